"""Keeps programs that load any folder of pictures from taking a build for one, with subjects or masks for classes.

`datasets.load_dataset` takes folders for classes, or names that begin with `train` and `test` for parts, and so would
mix clean faces, occluded faces and masks. A folder whose name ends in `train` comes first for it, and a table of
metadata in it, which names a file by what no path may hold, ends in an error that says what to do.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from occsynth.databases.layout import GUARD
from occsynth.files import explained_os_errors, write_atomic

ADVICE = (
    "error://this is a build of occsynth and no folder to load; make one by "
    "`occsynth export MANIFEST --to imagefolder -o DIR`"
)
TABLE = "metadata.csv"
PICTURE = "none.pgm"
"""One black pixel: without any picture, the folder would pass for a table. No image of a build has this ending."""


def write_guards(out: Path, names: Iterable[str], clean_folder: str) -> None:
    """Puts a guard into each folder of images of some builds.

    Args:
        out: the build root.
        names: of the builds.
        clean_folder: the folder of their clean images; empty if they have none.

    Raises:
        BuildError: one cannot be written.
    """
    files = {PICTURE: b"P5 1 1 255\n\0", TABLE: f"file_name\n{ADVICE}\n".encode()}
    for folder in filter(Path.is_dir, _folders(out, names, clean_folder)):
        for name, content in files.items():
            path = folder / GUARD / name
            with explained_os_errors(path):
                if not path.is_file() or path.read_bytes() != content:
                    write_atomic(path, content, durable=False)


def remove_guards(out: Path, name: str) -> None:
    """Removes the guards of a build, but not that of its clean images, which other builds share.

    Raises:
        OSError: one cannot be removed.
    """
    for folder in _folders(out, [name], ""):
        for file in (TABLE, PICTURE):
            (folder / GUARD / file).unlink(missing_ok=True)


def _folders(out: Path, names: Iterable[str], clean_folder: str) -> Iterator[Path]:
    yield from (out / "data" / name / view for name in names for view in ("occluded", "mask"))
    if clean_folder:
        yield out / "data" / clean_folder / "clean"
