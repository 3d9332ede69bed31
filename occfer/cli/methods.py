"""`occfer methods`: prints the table of methods and baselines."""

from occsynth.cli.output import table


def methods() -> None:
    """List the methods and baselines: what each is trained with, and what it is tested on."""
    from occfer.method_table import METHOD_TABLE

    def networks(name: str) -> str:
        method = METHOD_TABLE[name]
        parts = {
            "clean branch": method.needs_teacher,
            "discriminator": method.needs_discriminator,
            "decoder": method.needs_decoder,
        }
        return ", ".join(part for part, needed in parts.items() if needed) or "-"

    table(
        (
            "method",
            "what it is",
            "losses of stage 2",
            "beside the tested branch",
            "tested branch",
            "on",
            "pairs",
            "in the paper",
        ),
        [
            (
                name,
                method.shown_title,
                ", ".join(("sup", *method.losses)) if method.stage2 else "-",
                networks(name),
                method.branch or "-",
                method.view,
                method.pairing if method.losses else "-",
                "yes" if method.in_paper else "no",
            )
            for name, method in METHOD_TABLE.items()
        ],
    )
