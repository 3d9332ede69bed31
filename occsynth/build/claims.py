"""Which names of a build root builds made: nothing else in it is replaced.

A finished build is known by its manifest's JSON. An unfinished one lists its names in its work folder, before it writes
anything else. The work folders of version 0.1 hold no list: they stand for all names of their database.
"""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from occsynth.build.guard import remove_guards
from occsynth.databases.own_folders import is_manifest_json
from occsynth.errors import BuildError, ManifestError
from occsynth.files import explained_os_errors, inside, write_atomic
from occsynth.manifest import read_rows
from occsynth.ownership import refuse_foreign_file, take_turn
from occsynth.reading import read_json

CLAIMS = "names"
"""The file in a work folder that lists what its build makes."""
MANIFEST_ENDINGS = (".csv", ".csv.gz", ".json", ".rejects.csv", ".landmarks.npz")
"""Of the files of one build in `manifests/`."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What is known to be made by builds under one root.

    Attributes:
        finished: names of builds, and of their folders of clean images, that manifests tell.
        unfinished: those that work folders tell.
        prefixes: beginnings of names that work folders of version 0.1 stand for.
    """

    finished: frozenset[str]
    unfinished: frozenset[str]
    prefixes: tuple[str, ...]

    def __contains__(self, name: str) -> bool:
        """Whether a build made `data/<name>` or `manifests/<name>.*`."""
        return name in self.finished or self.is_unfinished(name)

    def is_unfinished(self, name: str) -> bool:
        """Whether a build that makes this name was interrupted, or is under way."""
        return name in self.unfinished or name.startswith(self.prefixes)


def read_claims(out: Path) -> Claims:
    """Reads what builds made under a root, or are about to make; an empty or missing root has no claims."""
    unfinished: set[str] = set()
    prefixes: list[str] = []
    for work in out.glob(".work/*/"):  # before the manifests: a build that ends just now has one or the other
        try:
            names = read_json(work / CLAIMS, ValueError).get("names")
            unfinished.update(filter(lambda name: isinstance(name, str), names if isinstance(names, list) else ()))
        except ValueError:
            replayed = work.name.removeprefix("replay-")
            prefixes.append(replayed if replayed != work.name else work.name.rpartition("-")[0] + "-")
    finished: set[str] = set()
    for path in out.glob("manifests/*.json"):
        if is_manifest_json(path):
            content = read_json(path, BuildError)
            notes = content.get("notes")
            clean = notes.get("clean_folder") if isinstance(notes, dict) else None
            finished.update({path.name.removesuffix(".json"), str(content["name"]), str(clean or "")})
    return Claims(frozenset(finished), frozenset(unfinished), tuple(prefixes))


@contextmanager
def only_maker(out: Path, names: Iterable[str], maker: str) -> Iterator[None]:
    """Keeps every other build and replay of these names out of a build root until the block ends.

    Builds of one name may differ in their settings, such as two lists of one name for `--subset`.

    Raises:
        BuildError: another process makes one of them; the message says which, and since when.
    """
    with ExitStack() as stack:
        for name in names:
            entry = out / ".work" / name
            with explained_os_errors(entry):
                other = take_turn(stack, entry, maker, wait_s=0)
            if other:
                raise BuildError(
                    f"{name} is being made under {out} by {other}; wait for it to end, or use another --out"
                )
        yield


def write_claims(work: Path, names: Iterable[str]) -> None:
    """Lists in a work folder what its build makes; raises BuildError if it cannot be written."""
    write_atomic(work / CLAIMS, json.dumps({"names": sorted(names)}).encode())


def empty_work_folder(work: Path) -> None:
    """Removes unfinished work, but not the list of what it makes: images of it are still there.

    Raises:
        OSError: something cannot be removed.
    """
    for path in work.glob("*"):
        if path.name != CLAIMS:
            path.unlink(missing_ok=True)


def refuse_foreign_names(out: Path, builds: Sequence[str], clean_folder: str, claims: Claims, maker: str) -> None:
    """Refuses files and folders of a build's names that no build made.

    Args:
        out: the build root.
        builds: names of builds.
        clean_folder: the folder of their clean images; empty if they have none.
        claims: of the build root.
        maker: the command, for the message.

    Raises:
        BuildError: naming the first such file, and the flag.
    """
    for name in (each for each in builds if each not in claims):
        for ending in MANIFEST_ENDINGS:
            refuse_foreign_file(out / "manifests" / f"{name}{ending}", maker, BuildError)
    for name in (each for each in (*builds, clean_folder) if each and each not in claims):
        for path in files_under(out / "data" / name):
            raise BuildError(
                f"{path} already exists and was not made by `{maker}`. Use another --out, or --overwrite, which keeps "
                "it unless an image gets its name"
            )


def files_under(folder: Path) -> Iterator[Path]:
    """Every file at any depth below a folder, links not followed; none if there is no such folder."""
    for path, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(path) / name).is_symlink()]
        folders.sort()
        yield from (Path(path) / name for name in sorted([*names, *links]))


def remove_build(out: Path, name: str, work: Path, claims: Claims) -> list[str]:
    """Removes a build that is to be made again: its manifest, and the images that the manifest lists.

    Nothing else is removed, in case its folder holds something of the user's.

    Args:
        out: the build root.
        name: of the build.
        work: a folder for the manifest until its images are gone.
        claims: of the build root.

    Returns:
        A warning, if files of unknown origin are left in its folder.

    Raises:
        OSError: something cannot be removed.
    """
    for ending in (".csv", ".csv.gz"):
        former = work / f"former{ending}"
        with suppress(FileNotFoundError):  # first, since no manifest may name images that are not there
            (out / "manifests" / f"{name}{ending}").replace(former)
            _remove_images(out, name, former)
    remove_guards(out, name)
    folder = out / "data" / name
    for path, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):  # not empty
            Path(path).rmdir()
    strays = [] if claims.is_unfinished(name) else list(files_under(folder))
    if not strays:
        return []
    number = f"{len(strays)} files" if len(strays) > 1 else "a file"
    return [
        f"{folder} holds {number} that no manifest lists, such as {strays[0]}; nothing of it was removed, but a file "
        "with the name of a new image is replaced"
    ]


def _remove_images(out: Path, name: str, manifest_csv: Path) -> None:
    try:
        for row in read_rows(manifest_csv):
            for relative in (row.occluded, row.mask):
                if relative.startswith(f"data/{name}/"):
                    inside(out, relative).unlink(missing_ok=True)
    except ManifestError:  # damaged: the images that it does not tell stay, and are replaced by those of their names
        return
