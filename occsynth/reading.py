"""Text, JSON and CSV from files that nobody vouches for: size, line length, depth and types are bounded.

A file that was cut by a power failure, mixed up or made to harm ends in one clear error, never in a traceback or in
all of the memory. Errors are raised as the class that the caller names, such as ManifestError. Loads nothing heavy.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar, cast

LARGEST_JSON_BYTES = 64 * 2**20
DEEPEST_JSON = 32
"""Levels of lists and objects; occsynth and occfer write at most ten."""
LONGEST_LINE = 2**20
"""Characters of a line of text: a hundred times what occsynth writes, a millionth of what fills a memory."""

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


def parse_json(text: str | bytes, where: str, error: type[Exception]) -> Any:
    """The value of a JSON text.

    >>> parse_json('{"a": [1, 2]}', "example", ValueError)
    {'a': [1, 2]}
    >>> parse_json("[" * 100_000, "example", ValueError)
    Traceback (most recent call last):
    ValueError: example is nested too deep for JSON that occsynth or occfer wrote

    Args:
        where: what the text is, for the message.
        error: the class to raise.

    Raises:
        Exception: of class `error`: no JSON, not UTF-8, larger than 64 MiB, or deeper than 32 levels.
    """
    if len(text) > LARGEST_JSON_BYTES:
        raise error(f"{where} is larger than {LARGEST_JSON_BYTES:,} bytes, the most that is read as JSON")
    try:
        content = json.loads(text.decode("utf-8") if isinstance(text, bytes) else text)
    except RecursionError:
        content = None
        too_deep = True
    except ValueError as reason:
        raise error(f"{where} is not readable JSON: {reason}") from reason
    else:
        too_deep = _is_too_deep(content)
    if too_deep:
        raise error(f"{where} is nested too deep for JSON that occsynth or occfer wrote")
    return content


def _is_too_deep(content: Any) -> bool:
    level = [content]
    for _ in range(DEEPEST_JSON):
        inner = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [value for values in inner for value in values]
        if not level:
            return False
    return True


def record_of(kind: type[RecordT], content: object, where: str, error: type[Exception]) -> RecordT:
    """A dataclass from JSON values, with every value of the type that its field states.

    Nothing is converted: `"3"`, `3.5` and `true` are no whole number. A whole number is taken for a float, a list for
    a tuple, a text for a Path. Fields that have a default may be missing; names that are not fields are left out.

    Args:
        kind: a dataclass. Checks in its `__post_init__` run as always.
        content: JSON values, as `parse_json` gives them.
        where: what the content is, for the message.
        error: the class to raise.

    Raises:
        Exception: of class `error`: the content is no object, or a value is missing or of another type; the message
            names it.
    """
    from pydantic import TypeAdapter, ValidationError

    if not isinstance(content, dict):
        raise error(f"{where} holds no JSON object")
    try:
        # strict JSON, unlike strict Python values, takes lists for tuples and texts for paths
        return TypeAdapter(kind).validate_json(json.dumps(content), strict=True)
    except ValidationError as faults:
        first = faults.errors(include_url=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise error(f"{where} is incomplete: {name} is missing") from faults
        raise error(f"{where}: {name} is {repr(first['input'])[:80]}: {_must(first['msg'])}") from faults


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


def open_text(path: Path, *, encoding: str = "utf-8") -> IO[str]:
    """Opens a text file to read, unpacked while it is read if its name ends in `.gz`."""
    if path.name.endswith(".gz"):
        return io.TextIOWrapper(cast(IO[bytes], gzip.open(path, "rb")), encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def read_cells(path: Path, error: type[Exception], *, encoding: str = "utf-8") -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV file, one at a time: the number of its last line in the file, and its cells.

    Args:
        path: plain, or gzipped if its name ends in `.gz`.
        error: the class to raise.
        encoding: `utf-8-sig` for files that a spreadsheet may have written.

    Raises:
        Exception: of class `error`, naming the file and where possible the line: unreadable, not text, no CSV, or a
            line or cell that is too long.
    """
    number = 0
    try:
        with open_text(path, encoding=encoding) as file:
            reader = csv.reader(lines_of(file, str(path), error))
            for cells in reader:
                number = reader.line_num
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


def one_line(reason: Exception) -> str:
    """The message of a library's error on one line."""
    return " ".join(str(reason).split())[:300]
