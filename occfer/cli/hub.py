"""`occfer push` and `occfer pull`: parse, call, print; and the question before anything is uploaded."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from occsynth import __version__
from occsynth.cli.output import counted, fail, say, say_lines, shown

if TYPE_CHECKING:
    from occfer.hub.push import Found, Upload

YES = "yes"


def push(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="CHECKPOINT|RUN|MANIFEST|SUITE...",
            help="A model file or run folder; or published manifests, or a suite's folder: a data set without images.",
        ),
    ],
    repository: Annotated[str, typer.Argument(metavar="ORG/NAME", help="The repository on Hugging Face.")],
    licence: Annotated[
        str,
        typer.Option(
            "--license",
            metavar="ID",
            help="Licence under which you share the files, as the Hub writes it, such as cc-by-nc-4.0; or other.",
        ),
    ],
    licence_name: Annotated[
        str,
        typer.Option("--license-name", metavar="NAME", help="With --license other: its name, such as my-terms-1.0."),
    ] = "",
    licence_link: Annotated[
        str, typer.Option("--license-link", metavar="URL", help="With --license other: where its text lies.")
    ] = "",
    benchmark: Annotated[
        list[Path] | None,
        typer.Option(
            "--benchmark",
            metavar="FILE",
            help="Result of occfer benchmark for this model, which the card shows; repeat it for several suites.",
        ),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make the repository public; by default only its owners see it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the card and what would be uploaded, ask nobody, and stop.")
    ] = False,
) -> None:
    """Upload a model with its card, or published manifests, to Hugging Face: after you have seen all and typed yes."""
    from occfer.hub.card_head import Licence
    from occfer.hub.client import need_client
    from occfer.hub.manifest_files import is_suite
    from occfer.hub.push import look_up, manifests_upload, model_upload, upload
    from occfer.hub.repository import CARD, parse_address

    address = parse_address(repository)
    terms = Licence(licence, licence_name, licence_link)
    if is_suite(sources[0]) or all(source.name.endswith((".csv", ".csv.gz")) for source in sources):
        if benchmark:
            raise fail("--benchmark goes with a model; manifests have no result")
        planned = manifests_upload(sources, address, terms, __version__)
    elif len(sources) == 1:
        planned = model_upload(sources[0], address, terms, benchmark or [], __version__)
    else:
        raise fail("push takes one model file or run folder, or one or more published manifests (.csv, .csv.gz)")
    if dry_run:
        _show(planned, None, public=public)
        say_lines(planned.files[CARD].decode())
        say("nothing was uploaded", "--dry-run")
        return
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise fail("push asks before it uploads, which needs a terminal; --dry-run shows what would be uploaded")
    need_client()
    found = look_up(planned.address, public=public)
    _show(planned, found, public=public if found is None else not found.private)
    if not _typed_yes():
        say("nothing was uploaded")
        raise typer.Exit(1)
    say("uploaded", upload(planned, found, private=not public))


def pull(
    repository: Annotated[
        str, typer.Argument(metavar="ORG/NAME", help="A repository of occfer push; datasets/ORG/NAME for manifests.")
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Folder to write; default: NAME.")
    ] = None,
) -> None:
    """Download a model or published manifests from Hugging Face, and compare every file with its digest."""
    from occfer.hub.pull import pull as run_pull
    from occfer.hub.repository import MODEL, SUITE, parse_address

    address = parse_address(repository)
    folder = out or Path(address.name.partition("/")[2])
    pulled = run_pull(address, folder)
    for name in pulled.files:
        say("file", shown(folder / name))
    if pulled.left:
        say(f"{counted(len(pulled.left), 'file')} of {address} left there, which push did not upload", pulled.left[0])
    if address.kind == "model":
        say("next", f"occfer predict photos/ --checkpoint {shown(folder / MODEL)}")
    elif SUITE in pulled.files:
        say("next", f"occfer benchmark --suite {shown(folder)} --root YOUR_COPY --checkpoint YOUR_MODEL")
    else:
        tables = [name for name in pulled.files if name.endswith((".csv", ".csv.gz"))]
        say("next", f"occsynth replay {shown(folder / tables[0])} --root YOUR_COPY --out replayed")


def _show(planned: "Upload", found: "Found | None", *, public: bool) -> None:
    """Prints what would be uploaded: where to, who would see it, each file with its size, and what stays here."""
    seen = "public: everyone can download it" if public else "private: only its owners see it"
    kind = "data set" if planned.address.kind == "dataset" else "model"
    say("repository", planned.address.name, kind, seen, "new" if found is None else "exists")
    there = found.files if found else ()
    for name, content in planned.files.items():
        say("file", name, f"{len(content):,} bytes", *(["replaces that of the Hub"] if name in there else []))
    for name in found.stale(planned) if found else ():
        say("file", name, "removed from the Hub: the result of an earlier model")
    say("together", counted(len(planned.files), "file"), f"{sum(map(len, planned.files.values())):,} bytes")
    if planned.left:
        say("stays here", counted(len(planned.left), "other file"), ", ".join(planned.left))


def _typed_yes() -> bool:
    say(f"Type {YES} to upload these files:", err=True)
    return sys.stdin.readline().strip() == YES
