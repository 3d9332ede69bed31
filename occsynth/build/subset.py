"""Lists of images to keep (`--subset LIST`), matched by file stem: plain names, or public lists of occluded faces."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from occsynth.databases.layout import is_image_name
from occsynth.databases.record import ScanItem
from occsynth.errors import BuildError

_TWO_NUMBERS = re.compile(r"^(.*\S)\s+\d+\s+\d+$")
_LABELLED_STEM = re.compile(r"^\w_(fer\d+)$")


@dataclass(frozen=True, slots=True)
class Subset:
    """A list of images to keep.

    Attributes:
        path: the list's file.
        sha256: of its bytes.
        entries: the list's entries by the stem that they stand for; of several for one stem, the first.
    """

    path: Path
    sha256: str
    entries: dict[str, str]

    @property
    def name(self) -> str:
        """The list's part of a build's name."""
        return "".join(letter if letter.isalnum() else "_" for letter in self.path.stem)

    def chosen(self, found: Iterable[ScanItem], seen: set[str]) -> Iterator[ScanItem]:
        """The items that the list names, with every face or frame of a named file; adds their stems to `seen`.

        Rejects are chosen too, since a named image that is rejected was found nevertheless.
        """
        for each in found:
            stem = stem_of(each.source)
            if stem in self.entries:
                seen.add(stem)
                yield each

    def unmatched(self, seen: Collection[str]) -> list[str]:
        """The list's entries, in its order, whose stems were not seen."""
        return [word for stem, word in self.entries.items() if stem not in seen]


def read_subset(path: Path) -> Subset:
    """Reads a list: one name per line, with or without folders and ending; blank lines and `#` comments are skipped.

    Where every line ends in two whole numbers, these are labels, as in the lists of Challenge-condition-FER
    (`test_0003_aligned 4 1`, `2_fer0033359.png 8 2`), and not part of the name.

    Raises:
        BuildError: missing, unreadable, not text, or empty.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise BuildError(f"--subset {path} not found; it must be a text file with one image name per line") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BuildError(f"--subset {path} cannot be read as UTF-8 text: {error}") from error
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise BuildError(f"--subset {path} names no image; it must be a text file with one image name per line")
    labelled = [_TWO_NUMBERS.match(line) for line in lines]
    names = [match[1] for match in labelled if match] if all(labelled) else lines
    entries: dict[str, str] = {}
    for name in names:
        entries.setdefault(stem_of(name), name)
    return Subset(path, hashlib.sha256(content).hexdigest(), entries)


def stem_of(name: str) -> str:
    """The stem by which an entry of a list and a source are matched.

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
