"""Part files: what one finished chunk of a build leaves in the work folder, for the merge or for a later run.

A power failure or a bad disk may leave anything in them, so nothing in them is believed that its checksum does not
cover. Part files of version 0.1 have no checksums; their chunks are made again, which gives the same bytes.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occsynth.build.record_index import record_to_json
from occsynth.databases.record import FaceRecord
from occsynth.errors import BuildError
from occsynth.files import write_atomic
from occsynth.manifest import Row
from occsynth.reading import read_bytes, read_json


@dataclass(frozen=True, slots=True)
class Part:
    """What one finished chunk of a build leaves on disk.

    Attributes:
        rows: by mode, in the order of pair_ids.
        rejects: `(source, reason)`.
        points_xy: `(N, 68, 2)` float32, aligned pixels; the same for every mode, in the order of its rows.
        files: SHA-256 of every image file that the rows name, by its path under the build root.
    """

    rows: dict[str, list[Row]]
    rejects: list[tuple[str, str]]
    points_xy: npt.NDArray[np.float32]
    files: dict[str, str]


def write_part(work: Path, number: int, records: Sequence[FaceRecord], part: Part) -> None:
    """Writes the part file of chunk `number`, made from `records`; raises BuildError if it cannot be written."""
    points = part.points_xy.astype("<f4").tobytes()
    content: dict[str, object] = {
        "chunk": _chunk_sha256(work, number, records),
        "rows": {mode: [row.cells() for row in rows] for mode, rows in part.rows.items()},
        "rejects": part.rejects,
        "files": part.files,
        "points_sha256": hashlib.sha256(points).hexdigest(),
    }
    content["sha256"] = _content_sha256(content)
    write_atomic(_points_path(work, number), points)
    write_atomic(_path(work, number), json.dumps(content).encode())  # last: it says that the chunk is done


def part_is_there(work: Path, number: int) -> bool:
    """Whether chunk `number` has a part file; only `read_part` knows whether it can be used."""
    return _path(work, number).exists()


def read_part(work: Path, number: int, records: Sequence[FaceRecord]) -> Part:
    """Reads the part file of chunk `number`.

    Args:
        work: the build's work folder.
        number: of the chunk.
        records: of the chunk, as the database is now.

    Raises:
        BuildError: it is missing, damaged, or was made from other records; the message says what is wrong.
    """
    path, points_path = _path(work, number), _points_path(work, number)
    content = read_json(path, BuildError)
    if content.pop("sha256", None) != _content_sha256(content):
        raise BuildError(f"{path} is damaged or has no checksum")
    if content["chunk"] != _chunk_sha256(work, number, records):
        raise BuildError(f"{path} was made from other records of the database")
    points = read_bytes(points_path, BuildError)
    if hashlib.sha256(points).hexdigest() != content["points_sha256"]:
        raise BuildError(f"{points_path} is damaged")
    return Part(
        rows={mode: [Row.from_cells(cells) for cells in rows] for mode, rows in content["rows"].items()},
        rejects=[(source, reason) for source, reason in content["rejects"]],
        points_xy=np.frombuffer(points, "<f4").astype(np.float32).reshape(-1, 68, 2),
        files=content["files"],
    )


def _path(work: Path, number: int) -> Path:
    return work / f"{number:08d}.json"


def _points_path(work: Path, number: int) -> Path:
    return work / f"{number:08d}.points"


def _content_sha256(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _chunk_sha256(work: Path, number: int, records: Sequence[FaceRecord]) -> str:
    """Tells a chunk from all others: the work folder is named after the settings, and chunks are numbered anew when
    the database changes."""
    content = [work.name, number, *map(record_to_json, records)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
