"""Text, JSON, TOML and CSV from files that nobody vouches for: size, line length, depth and types are bounded.

A file that was cut by a power failure, mixed up or made to harm ends in one clear error, never in a traceback or in
all of the memory. Errors are raised as the class that the caller names, such as ManifestError. Loads nothing heavy.
"""

import csv
import gzip
import io
import json
import re
import tomllib
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LARGEST_JSON_BYTES = 32 * 2**20
DEEPEST_JSON = 32
"""Levels of lists and objects; occsynth and occfer write at most ten."""
MOST_JSON_VALUES = 2_000_000
"""Values in one JSON text: an empty list of three bytes would otherwise take sixty in memory."""
LARGEST_TOML_BYTES = 64 * 1024
"""Of files that people write by hand, in TOML or YAML."""
MOST_TOML_DOTS = 500
"""In one line: the time that a key of many parts takes grows with the square of their number."""
LONGEST_LINE = 2**20
"""Characters of a line of text: a hundred times what occsynth writes, a millionth of what fills a memory."""
LARGEST_GZIP_RATIO = 50
"""How many times its size a gzipped table may unpack to. Rows hold hashes, so manifests reach five."""
GZIP_FREE_BYTES = 2**26
"""What any gzipped file may unpack to: a short list of equal lines packs better than a manifest."""

RecordT = TypeVar("RecordT")


def read_bytes(path: Path, error: type[Exception], *, largest: int = LARGEST_JSON_BYTES) -> bytes:
    """A file's content; raises `error` if it cannot be read or is larger than `largest` bytes."""
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as reason:
        raise error(f"{path} cannot be read: {reason.strerror or reason}") from reason
    if len(content) > largest:
        raise error(f"{path} is larger than {largest:,} bytes, the most that is read of such a file")
    return content


def read_json(path: Path, error: type[Exception], *, largest: int = LARGEST_JSON_BYTES) -> dict[str, Any]:
    """A JSON object from a file.

    Args:
        error: the class to raise.
        largest: the most bytes that are read.

    Raises:
        Exception: of class `error`, naming the file: missing, too large, not UTF-8, no JSON, too deep, or no object.
    """
    content = parse_json(read_bytes(path, error, largest=largest), str(path), error)
    if not isinstance(content, dict):
        raise error(f"{path} holds no JSON object")
    return content


def parse_json(
    text: str | bytes,
    where: str,
    error: type[Exception],
    *,
    largest: int | None = None,
    most_values: int | None = None,
) -> Any:
    """The value of a JSON text.

    >>> parse_json('{"a": [1, 2]}', "example", ValueError)
    {'a': [1, 2]}
    >>> parse_json("[" * 100_000, "example", ValueError)
    Traceback (most recent call last):
    ValueError: example is nested too deep for JSON that occsynth or occfer wrote

    Args:
        where: what the text is, for the message.
        error: the class to raise.
        largest: the longest text that is read, in bytes or characters; by default 32 MiB.
        most_values: the most values that it may hold; by default two million.

    Raises:
        Exception: of class `error`: no JSON, not UTF-8, too large, of too many values, deeper than 32 levels, with half
            of a surrogate pair, or with an object that has two values of one name.
    """
    largest = LARGEST_JSON_BYTES if largest is None else largest
    most_values = MOST_JSON_VALUES if most_values is None else most_values
    if len(text) > largest:
        raise error(f"{where} is larger than {largest:,} bytes, the most that is read as JSON")
    try:
        plain = text.decode("utf-8") if isinstance(text, bytes) else text
        # every value but the first follows one of these, and every level opens with one
        starts = sum(map(plain.count, "[{,")) if len(plain) > DEEPEST_JSON else 0
        if starts > most_values:
            raise error(f"{where} holds more than {most_values:,} values, the most that is read as JSON")
        content = json.loads(plain, object_pairs_hook=_object)
        too_deep = starts > DEEPEST_JSON and _is_too_deep(content)
        if not too_deep and _HALF_PAIR.search(plain):
            json.dumps(content, ensure_ascii=False).encode("utf-8")  # text with half a pair can be written nowhere
    except RecursionError:
        too_deep = True
    except ValueError as reason:
        raise error(f"{where} is not readable JSON: {one_line(reason)}") from reason
    if too_deep:
        raise error(f"{where} is nested too deep for JSON that occsynth or occfer wrote")
    return content


def read_toml(path: Path, error: type[Exception]) -> dict[str, Any]:
    """The content of a TOML file, in the types of JSON.

    Raises:
        Exception: of class `error`, naming the file: missing, larger than 64 KiB, not UTF-8, no TOML, too deep, or with
            a value that JSON does not have, such as a date.
    """
    content = read_bytes(path, error, largest=LARGEST_TOML_BYTES)
    if any(line.count(b".") > MOST_TOML_DOTS for line in content.splitlines()):
        raise error(f"{path} has a line with more than {MOST_TOML_DOTS} dots, which no setting needs")
    try:
        found = tomllib.loads(content.decode("utf-8-sig"))
        too_deep = _is_too_deep(found)
    except RecursionError:
        too_deep = True
    except ValueError as reason:
        raise error(f"{path} is not readable TOML: {one_line(reason)}") from reason
    if too_deep:
        raise error(f"{path} is nested deeper than {DEEPEST_JSON} levels")
    refuse_other_types(found, path, error)
    return found


def refuse_other_types(found: Any, path: Path, error: type[Exception]) -> None:
    """Raises `error` if a value or a name is of a type that JSON does not have."""
    for name in _other_names(found):
        raise error(f"{path} has the name {str(name)[:80]}, which is no text; put it in quotes")
    try:
        json.dumps(found, allow_nan=False, ensure_ascii=False).encode("utf-8")
    except (TypeError, ValueError) as reason:
        raise error(f"{path} holds a date, a time or no finite number: {one_line(reason)}") from reason


def _other_names(found: Any) -> Iterator[Any]:
    """The names in the objects of a value that are no texts."""
    if isinstance(found, dict):
        yield from (name for name in found if not isinstance(name, str))
    if isinstance(found, dict | list):
        for inner in found.values() if isinstance(found, dict) else found:
            yield from _other_names(inner)


_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
"""The escape of half of a surrogate pair, with or without the other half."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"an object has two values of the name {twice[:80]!r}")
    return content


def _is_too_deep(content: Any) -> bool:
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(DEEPEST_JSON):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [value for values in inner for value in values if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def record_of(
    kind: type[RecordT], content: object, where: str, error: type[Exception], *, closed: bool = False
) -> RecordT:
    """A dataclass from JSON values, with every value of the type that its field states.

    Nothing is converted: `"3"`, `3.5` and `true` are no whole number. A whole number is taken for a float, a list for
    a tuple, a text for a Path. Fields that have a default may be missing.

    Args:
        kind: a dataclass. Checks in its `__post_init__` run as always.
        content: JSON values, as `parse_json` gives them.
        where: what the content is, for the message.
        error: the class to raise.
        closed: whether a name that is not a field is refused; otherwise it is left out.

    Raises:
        Exception: of class `error`: the content is no object, or a value is missing, unknown or of another type; the
            message names it.
    """
    from pydantic import ValidationError

    if not isinstance(content, dict):
        raise error(f"{where} holds no JSON object")
    if closed and (unknown := [name for name in content if name not in cast(Any, kind).__dataclass_fields__]):
        raise error(f"{where}: {unknown[0][:80]!r} is not known to this version")
    try:
        # strict JSON, unlike strict Python values, takes lists for tuples and texts for paths
        return cast(RecordT, _adapter(cast(Any, kind)).validate_json(json.dumps(content), strict=True))
    except ValidationError as faults:
        first = faults.errors(include_url=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"]))[:200]
        if first["type"] == "missing":
            raise error(f"{where} is incomplete: {name} is missing") from faults
        raise error(f"{where}: {name} is {repr(first['input'])[:80]}: {_must(first['msg'])}") from faults


@cache
def _adapter(kind: type[Any]) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _must(message: str) -> str:
    """pydantic's `Input should be a valid integer` as `it must be a valid integer`."""
    return message.replace("Input should", "it must", 1)


def lines_of(file: IO[str], where: str, error: type[Exception]) -> Iterator[str]:
    """The lines of an open text file, each with its end; raises `error` with the number of a line that is too long."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise error(f"{where}, line {number} is longer than {LONGEST_LINE:,} characters")
        yield line


def open_text(path: Path, *, encoding: str = "utf-8", errors: str = "strict") -> IO[str]:
    """Opens a text file to read, unpacked while it is read if its name ends in `.gz`; see `open_unpacked`."""
    return io.TextIOWrapper(open_unpacked(path), encoding=encoding, errors=errors, newline="")


def open_unpacked(path: Path) -> IO[bytes]:
    """Opens a file to read its bytes, unpacked while it is read if its name ends in `.gz`.

    Reading a gzipped file raises OSError where it unpacks to fifty times its size: nobody waits for a terabyte.
    """
    if path.name.endswith(".gz"):
        return cast(IO[bytes], io.BufferedReader(_Unpacked(path, "rb")))
    return path.open("rb")


class _Unpacked(gzip.GzipFile):
    """A gzipped file, read until it unpacks to more than such a file can hold."""

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer)
        if self.tell() > GZIP_FREE_BYTES and self.tell() > LARGEST_GZIP_RATIO * Path(self.name).stat().st_size:
            raise gzip.BadGzipFile(f"it unpacks to more than {LARGEST_GZIP_RATIO} times its size")
        return count


def read_cells(
    path: Path, error: type[Exception], *, encoding: str = "utf-8", errors: str = "strict"
) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV file, one at a time: the number of its last line in the file, and its cells.

    Args:
        path: plain, or gzipped if its name ends in `.gz`.
        error: the class to raise.
        encoding: `utf-8-sig` for files that a spreadsheet may have written.
        errors: of decoding; `surrogateescape` keeps bytes of file names that are not UTF-8.

    Raises:
        Exception: of class `error`, naming the file and where possible the line: unreadable, not text, no CSV, or a
            line, cell or row that is too long.
    """
    number = taken = 0

    def bounded(lines: Iterator[str]) -> Iterator[str]:
        nonlocal taken
        for line in lines:
            taken += len(line)
            if taken > LONGEST_LINE:  # cells with line ends in them can make one row of any number of lines
                raise error(f"{path}: the row after line {number} is longer than {LONGEST_LINE:,} characters")
            yield line

    try:
        with open_text(path, encoding=encoding, errors=errors) as file:
            reader = csv.reader(bounded(lines_of(file, str(path), error)))
            for cells in reader:
                number, taken = reader.line_num, 0
                yield number, cells
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, zlib.error) as reason:
        raise error(f"{path} cannot be read after line {number}: {one_line(reason)}") from reason


def read_table(
    path: Path, columns: Iterable[str], error: type[Exception], *, encoding: str = "utf-8-sig"
) -> Iterator[tuple[int, dict[str, str]]]:
    """The lines of a CSV file whose first line names its columns: line number, and each column's cell.

    Args:
        path: plain, or gzipped if its name ends in `.gz`.
        columns: that must be there; others are kept too. A cell that a short line lacks is empty.
        error: the class to raise.
        encoding: of the file.

    Raises:
        Exception: of class `error`, as `read_cells` does, or for missing columns: it names them and those found.
    """
    lines = read_cells(path, error, encoding=encoding)
    _, header = next(lines, (0, []))
    names = [name.strip() for name in header]
    missing = [name for name in columns if name not in names]
    if missing:
        found = ", ".join(names) or "none"
        raise error(f"{path}: columns missing: {', '.join(missing)}; columns found: {found[:300]}")
    for number, cells in lines:
        yield number, dict(zip(names, cells + [""] * (len(names) - len(cells)), strict=False))


def one_line(reason: BaseException) -> str:
    """The message of a library's error on one line, cut where it gets long."""
    return " ".join(str(reason).split())[:300]
