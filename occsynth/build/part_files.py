"""occsynth.build.build.part_files: docstring to write."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occsynth.files import write_atomic
from occsynth.manifest import Row


@dataclass(frozen=True, slots=True)
class Part:
    """What a chunk leaves on disk for the merge.

    Attributes:
        rows: by mode, in the order of pair_ids.
        rejects: `(source, reason)`.
        points_xy: `(N, 68, 2)` float32, of the rows of any one mode.
    """

    rows: dict[str, list[Row]]
    rejects: list[tuple[str, str]]
    points_xy: npt.NDArray[np.float32]


def _write_part(work: Path, number: int, part: Part) -> None:
    content = {
        "rows": {mode: [row.cells() for row in rows] for mode, rows in part.rows.items()},
        "rejects": part.rejects,
    }
    write_atomic(work / f"{number:08d}.points", part.points_xy.astype("<f4").tobytes())
    write_atomic(work / f"{number:08d}.json", json.dumps(content).encode())


def part_is_done(work: Path, number: int) -> bool:
    """Whether a chunk's part file is there: it is written last."""
    return (work / f"{number:08d}.json").exists()


def read_part(work: Path, number: int) -> Part:
    """What `build_chunk` left."""
    content = json.loads((work / f"{number:08d}.json").read_text(encoding="utf-8"))
    points = np.fromfile(work / f"{number:08d}.points", "<f4").reshape(-1, 68, 2)
    rows = {mode: [Row.from_cells(cells) for cells in rows] for mode, rows in content["rows"].items()}
    return Part(rows, [(source, reason) for source, reason in content["rejects"]], points)
