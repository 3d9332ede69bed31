"""`occfer bench`: how fast this machine trains and predicts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from occfer.cli.options import prints
from occfer.cli.training_flags import with_training_flags
from occfer.config import TrainConfig
from occsynth.cli.output import say, say_lines, table

if TYPE_CHECKING:
    from occfer.training.benchmark import Measured


MEASURED = (
    "backbone", "stem", "network_px", "batch_size", "discriminator_updates", "student_updates", "discriminator_batch",
    "decoder_width", "student_norm", "ema", "device", "devices", "num_nodes", "precision", "channels_last", "compile",
)  # fmt: skip


@with_training_flags(MEASURED, config_file=False)
def bench(
    settings: dict[str, Any],
    method: Annotated[
        list[str] | None,
        typer.Option("--method", metavar="NAME", help="Method whose stage 2 is measured; repeatable; default: full."),
    ] = None,
    size: Annotated[int, typer.Option("--size", metavar="PX", help="Side of the images in pixels.")] = 224,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=0, help="Seconds per measurement, after its warm-up.")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure how fast this machine trains and predicts, and in how much memory."""
    from occfer.training.benchmark import bench as run

    fixed = {"manifests": ["any.csv"], "weights": "none", "size_px": size, "out": "unused"}
    config = TrainConfig.from_json(settings | fixed)

    def measuring(what: str) -> None:
        if prints():
            say(f"measuring {what} ...", err=True)

    found = list(run(config, method or ["full"], seconds=seconds, on_start=measuring))
    if prints():
        _report(config, found, as_json)


def _report(config: TrainConfig, found: "Sequence[Measured]", as_json: bool) -> None:
    import json

    from occfer.runs.environment import device_in_words, versions

    shown = ("backbone", "size_px", *(name for name in MEASURED if name not in ("backbone", "device")))
    settings: dict[str, Any] = {name: getattr(config, name) for name in shown}
    machine = device_in_words(config.device)
    if as_json:
        lines = [asdict(each) for each in found]
        report = {"device": machine, "versions": versions(), "settings": settings, "measured": lines}
        say_lines(json.dumps(report, indent=2))
        return
    say(
        f"{config.backbone}, {config.size_px} px, batch {config.batch_size}, precision {config.precision}, on {machine}"
    )
    table(
        ("what", "images/s", "lowest to highest", "repeats", "peak memory"),
        [
            (
                each.what,
                f"{each.images_per_s:,.4g}",
                f"{each.lowest:,.4g} to {each.highest:,.4g}",
                str(each.repeats),
                f"{each.peak_mb:,.0f} MB",
            )
            for each in found
        ],
    )
