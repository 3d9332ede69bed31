"""Fold lists of a user's own (`--folds LIST`): which fold each image, or each subject, is in.

A list is a file of lines `name fold`, a CSV with a column `fold`, or a folder with one list of images per fold.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from occsynth.build.subset import COLUMNS, Place, Subset, place_of
from occsynth.databases.folds import fold_number, two_folds
from occsynth.databases.layout import is_litter
from occsynth.databases.record import FaceRecord, Reject, ScanItem
from occsynth.errors import BuildError
from occsynth.files import explained_os_errors
from occsynth.reading import read_bytes, read_cells

SUBJECT = "subject"
_IMAGE = re.compile(r"(.+?\.(?:png|jpe?g|bmp|tiff?|webp|pgm|ppm))(?:[\s,;].*)?", re.IGNORECASE)
_NUMBER = re.compile(r"(\d+)\D*$")
_FORM = "lines `name fold`, a CSV with a column fold, or a folder with one list of images per fold"


@dataclass(frozen=True, slots=True)
class FoldList:
    """Which fold each image or subject is in.

    Attributes:
        path: of the list.
        sha256: over what it says.
        folds: fold by the list's words for an image or a subject.
    """

    path: Path
    sha256: str
    folds: dict[str, int]

    @property
    def name(self) -> str:
        """The list's part of a build's name."""
        return "".join(letter if letter.isalnum() else "_" for letter in self.path.stem)

    def applied(self, found: Iterable[ScanItem]) -> tuple[list[ScanItem], list[str]]:
        """The items with their folds, and the entries that name nothing; images of no entry become rejects by protocol.

        Raises:
            BuildError: the database has an official split, no entry fits any image, an entry fits several, or a
                subject is in two folds.
        """
        items = list(found)
        records = [item for item in items if isinstance(item, FaceRecord)]
        split = next((record for record in records if record.split), None)
        if split is not None:
            raise BuildError(
                f"--folds {self.path}: {split.source} is in the official split {split.split}; leave it out"
            )
        subjects = {record.subject.lower() for record in records if record.subject}
        if {name.lower() for name in self.folds} & subjects:
            by_subject = {name.lower(): fold for name, fold in self.folds.items()}
            numbers = {record.source: by_subject.get(record.subject.lower()) for record in records}
            unmatched = [name for name in self.folds if name.lower() not in subjects]
        else:
            numbers, unmatched = self._by_image(records)
        self._refuse_mixed(records, numbers)
        return [self._with_fold(item, numbers) for item in items], unmatched

    def _by_image(self, records: list[FaceRecord]) -> tuple[dict[str, int | None], list[str]]:
        entries: dict[Place, str] = {}
        for name, fold in self.folds.items():
            first = entries.setdefault(place_of(name), name)
            if self.folds[first] != fold:
                raise BuildError(f"--folds {self.path}: {name[:200]} is in the folds {self.folds[first]} and {fold}")
        choice = Subset(self.path, self.sha256, entries, "--folds").choose(records)
        for item, words in zip(choice.items, choice.words, strict=True):
            if len(folds := sorted({self.folds[word] for word in words})) > 1:
                raise BuildError(f"--folds {self.path}: {item.source} is in the folds {folds[0]} and {folds[1]}")
        named = zip(choice.items, choice.words, strict=True)
        return {item.source: self.folds[words[0]] for item, words in named}, choice.unmatched

    def _refuse_mixed(self, records: list[FaceRecord], numbers: dict[str, int | None]) -> None:
        folds = defaultdict[str, set[int]](set)
        for record in records:
            fold = numbers.get(record.source)
            if record.subject and fold is not None:
                folds[record.subject].add(fold)
        fault = two_folds(folds)
        if fault:
            raise BuildError(f"--folds {self.path}: {fault}")

    def _with_fold(self, item: ScanItem, numbers: dict[str, int | None]) -> ScanItem:
        if isinstance(item, Reject):
            return item
        fold = numbers.get(item.source)
        if fold is None:
            return Reject(item.source, f"not in the fold list {self.path.name}", by_protocol=True)
        return replace(item, fold=fold)


def read_fold_list(path: Path) -> FoldList:
    """Reads a list.

    Of a folder, each text file is a fold, numbered by the last number in its name; files with `train` in their name
    are left out, since what is trained on in one fold is tested in another. Where lines hold an image's path and more,
    such as a label, the path counts.

    Raises:
        BuildError: missing, unreadable, empty, of another form, or a name has two folds.
    """
    if not path.exists():
        raise BuildError(f"--folds {path} not found; it must hold {_FORM}")
    folds: dict[str, int] = {}
    for name, fold in _folder_entries(path) if path.is_dir() else _file_entries(path):
        if folds.setdefault(name, fold) != fold:
            raise BuildError(f"--folds {path}: {name[:200]} is in the folds {folds[name]} and {fold}")
    if not folds:
        raise BuildError(f"--folds {path} names nothing; it must hold {_FORM}")
    said = "\n".join(f"{name}\t{fold}" for name, fold in sorted(folds.items()))
    return FoldList(path, hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest(), folds)


def _folder_entries(path: Path) -> Iterator[tuple[str, int]]:
    with explained_os_errors(path):
        files = sorted(each for each in path.iterdir() if each.is_file() and not is_litter(each.name))
    for file in files:
        number = _NUMBER.search(file.stem)
        if "train" in file.name.lower() or number is None:
            continue
        fold = fold_number(number[1])
        for line in _lines(file) if fold is not None else ():
            match = _IMAGE.fullmatch(line)
            yield (match[1] if match else line.split()[0]), fold or 0


def _file_entries(path: Path) -> Iterator[tuple[str, int]]:
    if path.name.lower().endswith(".csv"):
        yield from _table_entries(path)
        return
    for line in _lines(path):
        *name, fold = line.rsplit(maxsplit=1)
        number = fold_number(fold)
        if not name or number is None:
            raise BuildError(f"--folds {path}: '{line[:60]}' is not of the form 'name fold', such as 'S005 3'")
        match = _IMAGE.fullmatch(name[0])
        yield (match[1] if match else name[0].strip()), number


def _table_entries(path: Path) -> Iterator[tuple[str, int]]:
    header: list[str] | None = None
    for line, cells in read_cells(path, BuildError, encoding="utf-8-sig"):
        words = [cell.strip() for cell in cells]
        if not any(words):
            continue
        if header is None:
            header = [word.lower() for word in words]
            named = next((name for name in (*COLUMNS, SUBJECT) if name in header), None)
            if named is None or "fold" not in header:
                wanted = f"fold, and one of {', '.join((*COLUMNS, SUBJECT))}"
                raise BuildError(f"--folds {path} has the columns {', '.join(header)[:200]}; it needs {wanted}")
            name_at, fold_at = header.index(named), header.index("fold")
            continue
        number = fold_number(words[fold_at]) if fold_at < len(words) else None
        if number is None or name_at >= len(words) or not words[name_at]:
            raise BuildError(f"--folds {path}, line {line}: it has no name or no fold from 0 to 999")
        yield words[name_at], number


def _lines(path: Path) -> list[str]:
    try:
        text = read_bytes(path, BuildError).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BuildError(f"--folds {path} cannot be read as UTF-8 text: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
