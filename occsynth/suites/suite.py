"""What a suite is: the content of suite.toml, and the digest over everything in it that decides a figure."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from occsynth.databases import DATABASES
from occsynth.errors import SuiteError
from occsynth.modes import REAL, is_mode
from occsynth.option_values import TemplateSplit
from occsynth.reading import read_toml, record_of

FILE = "suite.toml"
FORMAT = 1
MOST_COLUMNS = 200
_WORD = re.compile(r"[a-z0-9][a-z0-9.+_-]{0,59}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNCOUNTED = ("title", "hub", "digest")
"""Fields that decide no figure."""


@dataclass(frozen=True, slots=True)
class Column:
    """One way in which the faces of a suite are hidden.

    Attributes:
        name: what tables call it; `clean` and `real` are taken.
        mode: of occlusion.
        templates: which templates hide the faces: those for training (seen), those held out (unseen), or all.
        groups: the means that it counts in.
        manifest: its published manifest, relative to the suite's folder; before the suite is frozen, the one that was
            built, and in a recipe nothing.
        sha256: of the published manifest, see `column_sha256`; empty before the suite is frozen.
    """

    name: str
    mode: str
    templates: TemplateSplit = "all"
    groups: tuple[str, ...] = ()
    manifest: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class RealList:
    """A public list of images whose occlusions are real: who has it can be tested on it, and nobody is sent it.

    Attributes:
        name: of the list.
        where: where to get it, such as the address of a page.
        about: what it holds, in one line.
        sha256: of the list's file; empty where nobody has told.
    """

    name: str
    where: str
    about: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """The content of suite.toml.

    Attributes:
        name, version: of the suite; a change of anything that decides a figure needs another version.
        database: key of the database.
        columns: at least one.
        title: one line about it.
        variant, classes, labels, size_px, seed: as for `occsynth build`; empty or 0 for the database's own.
        part: the official part whose faces are tested on, `test` or `val`; empty where there is none.
        folds: of a database without parts: the folds whose faces are tested on; none for all of them.
        real: where to get real occlusions; None for nowhere.
        hub: the data set on the Hugging Face Hub that holds this suite; empty where none does.
        truth_sha256: of the labels and subjects of the faces together, see `truth_sha256`; empty before freezing.
        digest: see `suite_digest`; empty before freezing.
        format: of the file.
    """

    name: str
    version: str
    database: str
    columns: tuple[Column, ...]
    title: str = ""
    variant: str = ""
    classes: int = 7
    labels: str = ""
    size_px: int = 0
    seed: int = 0
    part: str = ""
    folds: tuple[int, ...] = ()
    real: RealList | None = None
    hub: str = ""
    truth_sha256: str = ""
    digest: str = ""
    format: int = FORMAT

    @property
    def is_frozen(self) -> bool:
        """Whether it was frozen; `occsynth.suites.check` finds out whether it still is what was frozen."""
        return bool(self.digest)


def read_suite(folder: Path) -> Suite:
    """The suite in a folder, or in a suite.toml.

    Raises:
        SuiteError: there is none, or it is malformed; the message names what is wrong.
    """
    path = folder / FILE if folder.is_dir() else folder
    if not path.is_file():
        raise SuiteError(f"{path} not found; a suite is a folder that holds {FILE}")
    suite = record_of(Suite, read_toml(path, SuiteError), str(path), SuiteError, closed=True)
    if fault := next(_faults(suite), ""):
        raise SuiteError(f"{path}: {fault}")
    return suite


def _faults(suite: Suite) -> Iterator[str]:
    """What cannot be."""
    if suite.format != FORMAT:
        yield f"its format is {suite.format}, but this version reads {FORMAT}; update occsynth"
    for what, word in (("name", suite.name), ("version", suite.version)):
        if not _WORD.fullmatch(word):
            yield f"the {what} '{word[:80]}' is not a word of small letters, digits and .+_-"
    if suite.database not in DATABASES:
        yield f"unknown database '{suite.database[:80]}'; choose one of: {', '.join(DATABASES)}"
    if suite.classes not in (7, 8):
        yield f"classes is {suite.classes}; it must be 7, or 8 with contempt"
    if suite.part not in ("", "val", "test") or (suite.part and suite.folds):
        yield "the tested faces are those of a part, `val` or `test`, or of folds"
    if not 0 < len(suite.columns) <= MOST_COLUMNS:
        yield f"it has {len(suite.columns)} columns; between 1 and {MOST_COLUMNS} are needed"
    twice = [name for name, count in Counter(each.name for each in suite.columns).items() if count > 1]
    if twice:
        yield f"two columns are called '{twice[0][:80]}'"
    built = Counter((each.mode, each.templates) for each in suite.columns)
    if again := [mode for (mode, _), count in built.items() if count > 1]:
        yield f"two columns are of mode '{again[0][:80]}' with the same templates"
    for column in suite.columns:
        yield from _faults_of(column, frozen=suite.is_frozen)


def _faults_of(column: Column, *, frozen: bool) -> Iterator[str]:
    where = f"column '{column.name[:80]}'"
    if not _WORD.fullmatch(column.name) or column.name in ("clean", REAL):
        yield f"{where} has no name that can be used: small letters, digits and .+_-, but not clean or {REAL}"
    if not is_mode(column.mode) or column.mode == REAL:
        yield f"{where}: unknown mode '{column.mode[:80]}'; see `occsynth modes`"
    if not all(map(_WORD.fullmatch, column.groups)):
        yield f"{where}: its groups are not words of small letters, digits and .+_-"
    if frozen and not (column.manifest and _SHA256.fullmatch(column.sha256)):
        yield f"{where} lacks its manifest or the manifest's sha256, though the suite has a digest"


def suite_digest(suite: Suite) -> str:
    """SHA-256 (hexadecimal) over everything that decides a figure: two suites that differ in it have other digests."""
    content = {name: value for name, value in asdict(suite).items() if name not in _UNCOUNTED}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def truth_sha256(faces: Iterable[tuple[str, str, str]]) -> str:
    """SHA-256 (hexadecimal) over the labels and subjects of all faces of a suite together.

    It tells who has other labels, and confirms no guess: for that, one would have to guess those of all faces at once.

    Args:
        faces: of each face the hash of its source's pixels, its expression and its subject; the order does not matter.
    """
    return hashlib.sha256(json.dumps(sorted(faces)).encode()).hexdigest()


def dump_suite(suite: Suite) -> str:
    """The text of suite.toml: fields that are empty are left out, and each column is one line."""
    lines = ["# A suite for `occfer benchmark`; docs/benchmark.md says what each line means."]
    for field in (each for each in fields(Suite) if each.name != "columns"):
        value = getattr(suite, field.name)
        if isinstance(value, RealList):
            lines.append(f"real = {_table(value)}")
        elif value or field.name == "format":
            lines.append(f"{field.name} = {_value(value)}")
    lines += ["columns = [", *(f"    {_table(column)}," for column in suite.columns), "]"]
    return "\n".join(lines) + "\n"


def _table(record: Column | RealList) -> str:
    filled = {field.name: getattr(record, field.name) for field in fields(record)}
    return "{ " + ", ".join(f"{name} = {_value(value)}" for name, value in filled.items() if value) + " }"


def _value(value: object) -> str:
    """Texts, numbers and lists of them, which TOML writes as JSON does, but for one letter."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
