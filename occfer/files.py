"""The JSON, CSV and text files of runs and results: written whole or not at all, read within bounds."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from occfer.errors import CheckpointError
from occsynth.files import replacing
from occsynth.reading import read_json as read_json_object


def write_text(path: Path, text: str) -> None:
    """Writes a text file, UTF-8, atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file atomically."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """Writes a CSV file, UTF-8 with `\\n` at the end of each line, atomically."""
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; raises CheckpointError where there is none."""
    return read_json_object(path, CheckpointError)
