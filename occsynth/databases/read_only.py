"""A raw database is never written into: every command that writes asks here whether its output would lie in one."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from occsynth.databases.roots import remembered_roots
from occsynth.errors import BuildError
from occsynth.files import lies_in


def refuse_raw_root(out: Path, root: Path, flag: str = "--out") -> None:
    """Raises BuildError if `out` is the raw root or lies in it; the message says what to type instead.

    Args:
        out: what is about to be written, a file or a folder.
        root: an existing raw root.
        flag: the option that named `out`.
    """
    if lies_in(out, root):
        name = "builds" if lies_in(root, out) else out.name
        instead = next((f"type {flag} {path}" for path in _elsewhere(root, name)), "give another folder")
        raise BuildError(f"{flag} {out} lies in the raw database {root}, which is never written to; {instead}")


def refuse_remembered_roots(out: Path, flag: str = "--out") -> None:
    """As `refuse_raw_root`, for every root that `databases set` remembers: for commands that know no root."""
    for root in remembered_roots().values():
        refuse_raw_root(out, root, flag)


def refuse_overlap(out: Path, written: Iterable[str], root: Path) -> None:
    """Raises BuildError if a build root, or a folder that is written in it, lies in the raw root or contains it.

    The raw root may lie in the build root beside those folders: then nothing is written into it. The build root may not
    lie in the raw root of another database either, as far as `databases set` remembers it.

    Args:
        out: the build root.
        written: paths of folders under it.
        root: an existing raw root.
    """
    refuse_raw_root(out, root)
    refuse_remembered_roots(out)
    for folder in (out / name for name in written):
        if lies_in(folder, root) or lies_in(root, folder):
            instead = next((f"type --out {path}" for path in _elsewhere(root, "builds")), "give another --out")
            raise BuildError(
                f"--out {out}: {folder} would be written to, but the raw database is {root}, which is never written "
                f"to; {instead}"
            )


def _elsewhere(root: Path, name: str) -> Iterator[Path]:
    """Paths of that name that do not lie in the raw root: in the user's home, else beside the root."""
    try:
        folders = [Path.home(), root.resolve().parent]
    except RuntimeError:  # no home
        folders = [root.resolve().parent]
    yield from (folder / name for folder in folders if not lies_in(folder, root))
