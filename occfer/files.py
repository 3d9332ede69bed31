"""Writing whole files or none, and reading JSON.

A file is written under a temporary name beside its own and renamed when it is complete, so whoever reads it meets the
old content or the new one, never a part. The temporary name holds the process's number, because several runs may write
the same file; `occfer.runs.run_folder.start_folder` removes what a killed run has left.
"""

import contextlib
import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from occfer.errors import CheckpointError

PART = ".*.part"  # matches the temporary names, unless an ending was asked for


@contextmanager
def whole_file(path: Path, ending: str = "") -> Iterator[Path]:
    """The name to write a file under; the file gets its own name when the block ends, or vanishes when it fails.

    Args:
        path: the file's own name; an existing file is replaced. Its folder must exist.
        ending: added to the temporary name, for writers that look at it, such as `.pt2`.

    Raises:
        OSError: the file cannot be renamed; the one that was there, if any, is as it was.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part{ending}")
    try:
        yield part
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, UTF-8, atomically."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file, UTF-8 with `\\n` at the end of each line, atomically."""
    with whole_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; raises CheckpointError where there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return content
