"""Part files: what one finished chunk of a build leaves in the work folder, for the merge or for a later run."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occsynth.files import write_atomic
from occsynth.manifest import Row


@dataclass(frozen=True, slots=True)
class Part:
    """What one finished chunk of a build leaves on disk.

    Attributes:
        rows: by mode, in the order of pair_ids.
        rejects: `(source, reason)`.
        points_xy: `(N, 68, 2)` float32, aligned pixels; the same for every mode, in the order of its rows.
    """

    rows: dict[str, list[Row]]
    rejects: list[tuple[str, str]]
    points_xy: npt.NDArray[np.float32]


def write_part(work: Path, number: int, part: Part) -> None:
    """Writes the part file of chunk `number`; raises BuildError if it cannot be written."""
    content = {
        "rows": {mode: [row.cells() for row in rows] for mode, rows in part.rows.items()},
        "rejects": part.rejects,
    }
    write_atomic(work / f"{number:08d}.points", part.points_xy.astype("<f4").tobytes())
    write_atomic(work / f"{number:08d}.json", json.dumps(content).encode())  # last: it says that the chunk is done


def part_is_done(work: Path, number: int) -> bool:
    """Whether chunk `number` is done."""
    return (work / f"{number:08d}.json").exists()


def read_part(work: Path, number: int) -> Part:
    """Reads the part file of chunk `number`."""
    content = json.loads((work / f"{number:08d}.json").read_text(encoding="utf-8"))
    points = np.fromfile(work / f"{number:08d}.points", "<f4").reshape(-1, 68, 2)
    rows = {mode: [Row.from_cells(cells) for cells in rows] for mode, rows in content["rows"].items()}
    return Part(rows, [(source, reason) for source, reason in content["rejects"]], points)
