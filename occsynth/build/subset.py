"""Lists of images to keep (`--subset LIST`): plain names, tables, or public lists of occluded faces.

An entry of the list and a source of the database are compared from the end of their paths: the file's stem, then as
many folders as both give.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from occsynth.databases.labels import is_class_name
from occsynth.databases.layout import is_image_name
from occsynth.databases.record import FaceRecord, ScanItem
from occsynth.errors import BuildError
from occsynth.reading import read_bytes, read_cells

COLUMNS = ("path", "source", "image", "file", "filename", "name")
"""Columns of a CSV that hold the names; the first of them that is there is read."""

_TWO_NUMBERS = re.compile(r"^(.*\S)\s+\d+\s+\d+$")
_LABELLED_STEM = re.compile(r"^\w_(fer\d+)$")
_LONGEST_NAME = 4096
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies, as far as its name says.

    Attributes:
        folders: the names of its folders, the outermost first.
        stem: see `stem_of`.
    """

    folders: tuple[str, ...]
    stem: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What a list chooses from a database.

    Attributes:
        items: the chosen items.
        unmatched: entries that name nothing, in the list's words and order.
        by_name_alone: entries whose folders are those of another layout, so that only the file's name was compared.
        words: for each item, the entries that name it.
    """

    items: list[ScanItem]
    unmatched: list[str]
    by_name_alone: list[str]
    words: list[list[str]]


@dataclass(frozen=True, slots=True)
class Subset:
    """A list of images to keep.

    Attributes:
        path: the list's file.
        sha256: of its bytes.
        entries: the list's words by the place that they stand for; of several for one place, the first.
        flag: the option that gave the list.
    """

    path: Path
    sha256: str
    entries: dict[Place, str]
    flag: str = "--subset"

    @property
    def name(self) -> str:
        """The list's part of a build's name."""
        return "".join(letter if letter.isalnum() else "_" for letter in self.path.stem)

    def choose(self, found: Iterable[ScanItem]) -> Choice:
        """The items that the list names, with every face or frame of a named file.

        Rejects are chosen too, since a named image that is rejected was found nevertheless. Only the items whose stem
        is in the list are held in memory.

        Raises:
            BuildError: an entry fits several files, or no entry fits any.
        """
        stems = {place.stem for place in self.entries}
        candidates: dict[str, list[tuple[Place, ScanItem]]] = defaultdict(list)
        folders: set[str] = set()
        examples: list[str] = []
        for item in found:
            for place in _places(item):
                folders.update(place.folders)
                if place.stem in stems:
                    candidates[place.stem].append((place, item))
            if len(examples) < _SHOWN and isinstance(item, FaceRecord):
                examples.append(item.source)
        choice, ambiguous = self._matched(candidates, folders)
        if ambiguous:
            word, sources = next(iter(ambiguous.items()))
            raise BuildError(
                f"{self.flag} {self.path}: {len(ambiguous)} of {len(self.entries)} entries fit several files each, "
                f"such as '{word}': {', '.join(sources[:_SHOWN])}. Write folders before the name, as in '{sources[0]}'"
            )
        if examples and not choice.items:
            listed = ", ".join(list(self.entries.values())[:_SHOWN])
            raise BuildError(
                f"{self.flag} {self.path} names nothing in this database: it lists {listed}; the database has names "
                f"such as {', '.join(examples)}"
            )
        return choice

    def _matched(
        self, candidates: dict[str, list[tuple[Place, ScanItem]]], folders: Collection[str]
    ) -> tuple[Choice, dict[str, list[str]]]:
        """The choice, and the sources of each entry that fits several files."""
        chosen: dict[int, ScanItem] = {}  # by identity: an item that two entries name is chosen once
        words = defaultdict[int, list[str]](list)
        choice = Choice([], [], [], [])
        ambiguous: dict[str, list[str]] = {}
        for entry, word in self.entries.items():
            there = candidates.get(entry.stem, [])
            fitting = _fitting(entry, there)
            if there and not fitting and _is_of_another_layout(entry, folders):
                fitting = there
                choice.by_name_alone.append(word)
            if not fitting:
                choice.unmatched.append(word)
            files = {place: item.source for place, item in fitting}
            if len(files) > 1:
                ambiguous[word] = sorted(files.values())
            chosen |= {id(item): item for _, item in fitting}
            for _, item in fitting:
                words[id(item)].append(word)
        choice.items.extend(chosen.values())
        choice.words.extend(words[each] for each in chosen)
        return choice, ambiguous


def _is_of_another_layout(entry: Place, folders: Collection[str]) -> bool:
    """Whether an entry's folders say nothing about where its image lies in this database.

    Public lists name folders of another release, such as `val/7/`, in which images lie by the number of their class.

    Args:
        entry: with folders that fit no image of its stem.
        folders: names of all folders of the database.
    """
    by_class_number = len(entry.folders[-1]) == 1 and entry.folders[-1].isdecimal()
    return by_class_number or not any(name in folders or is_class_name(name) for name in entry.folders)


def _fitting(entry: Place, candidates: list[tuple[Place, ScanItem]]) -> list[tuple[Place, ScanItem]]:
    """Those candidates, all of the entry's stem, whose folders contradict the entry's least: none, or the best ones."""
    ranked = defaultdict(list)
    for place, item in candidates:
        equal = _equal_folders(entry, place)
        if equal == min(len(entry.folders), len(place.folders)):
            ranked[equal, place == entry].append((place, item))
    return ranked[max(ranked)] if ranked else []


def _equal_folders(one: Place, other: Place) -> int:
    """How many folders are equal, counted from the innermost."""
    pairs = zip(reversed(one.folders), reversed(other.folders), strict=False)
    return next((number for number, (a, b) in enumerate(pairs) if a != b), min(len(one.folders), len(other.folders)))


def read_subset(path: Path) -> Subset:
    """Reads a list: one name per line, with or without folders and ending; blank lines and `#` comments are skipped.

    Where every line ends in two whole numbers, these are labels, as in the lists of Challenge-condition-FER
    (`test_0003_aligned 4 1`, `2_fer0033359.png 8 2`), and not part of the name. Of a `.csv`, the first of `COLUMNS`
    is read, or the first column if its first line names none of them.

    Raises:
        BuildError: missing, unreadable, not text, or empty.
    """
    if not path.exists():
        raise BuildError(f"--subset {path} not found; it must be a text file with one image name per line")
    content = read_bytes(path, BuildError)
    names = list(_table_names(path) if path.name.lower().endswith(".csv") else _line_names(path, content))
    entries: dict[Place, str] = {}
    for name in names:
        entries.setdefault(place_of(name), name)
    if not entries:
        raise BuildError(f"--subset {path} names no image; it must be a text file with one image name per line")
    return Subset(path, hashlib.sha256(content).hexdigest(), entries)


def _line_names(path: Path, content: bytes) -> Iterator[str]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BuildError(f"--subset {path} cannot be read as UTF-8 text: {error}") from error
    lines = [line.strip() for line in text.splitlines()]
    longest = max(map(len, lines), default=0)
    if longest > _LONGEST_NAME:
        raise BuildError(f"--subset {path} holds a line of {longest:,} characters, which is no image's name")
    lines = [line for line in lines if line and not line.startswith("#")]
    labelled = [_TWO_NUMBERS.match(line) for line in lines]
    yield from (match[1] for match in labelled if match) if all(labelled) else lines


def _table_names(path: Path) -> Iterator[str]:
    column = None
    for _, cells in read_cells(path, BuildError, encoding="utf-8-sig"):
        words = [cell.strip() for cell in cells]
        if not any(words) or words[0].startswith("#"):
            continue
        if column is None:
            header = [word.lower() for word in words]
            named = [header.index(name) for name in COLUMNS if name in header]
            column = named[0] if named else 0
            if named:
                continue
        if column < len(words) and words[column]:
            yield words[column]


def _places(item: ScanItem) -> list[Place]:
    """Where an image lies by its source, and if its pair_id has another name, by that: FER+ names rows of FER2013."""
    place = place_of(item.source)
    named = place_of(item.pair_id) if isinstance(item, FaceRecord) and "#row=" in item.source else place
    return [place] if named.stem == place.stem else [place, named]


def place_of(name: str) -> Place:
    """Where an entry of a list, or a source, says that its image lies."""
    path, mark, part = name.replace("\\", "/").rstrip("/").partition("#")
    *folders, last = path.split("/")
    return Place(tuple(each for each in folders if each not in ("", ".")), stem_of(last + mark + part))


def stem_of(name: str) -> str:
    """The stem by which an entry of a list and a source are compared.

    The last part of the path without an image's ending and `#frame=`, with `-row12` for `#row=12`; without RAF-DB's
    `_aligned`, so that a list fits both variants; and without the class that FER+ lists put before `ferNNNNNNN`.
    """
    path, _, part = name.replace("\\", "/").rstrip("/").partition("#")
    last = path.rpartition("/")[2]
    stem = last.rpartition(".")[0] if is_image_name(last) or last.lower().endswith((".avi", ".csv")) else last
    stem = stem.removesuffix("_aligned")
    labelled = _LABELLED_STEM.match(stem)
    row = f"-{part.replace('=', '')}" if part.startswith("row=") else ""
    return (labelled[1] if labelled else stem) + row
