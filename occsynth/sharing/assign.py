"""Which record of the recipient's copy a published row was made from, where several records share one source file."""

import numpy as np
import numpy.typing as npt

from occsynth.databases.record import FaceRecord
from occsynth.faces.align import Alignment
from occsynth.manifest import Row
from occsynth.pixels.warp import rescale, transform


def assign(rows: list[Row], records: list[FaceRecord]) -> list[tuple[Row, FaceRecord]]:
    """Pairs each row with its record: by face box where there are more records than rows, else by order.

    Rows without a record are left out.

    Args:
        rows: of one source file, in the order of their numbers.
        records: of that file, in the order of their pair_ids.
    """
    # `publish` numbers the rows of one file by pair_id: as many records as rows stand in the same order
    if len(records) <= len(rows) or any(record.box_xyxy is None for record in records):
        return list(zip(rows, records, strict=False))
    left, pairs = list(records), []
    for row in rows:
        centre = _face_centre(Alignment.from_json(row.align))
        nearest = min(left, key=lambda record: float(np.linalg.norm(_box_centre(record) - centre)))
        left.remove(nearest)
        pairs.append((row, nearest))
    return pairs


def _face_centre(alignment: Alignment) -> npt.NDArray[np.float64]:
    """The middle of the aligned face in source pixels, taken at a side of 96 pixels; other sides differ little."""
    middle = transform(alignment.affine, np.array([[48.0, 48.0]]))
    return np.asarray(rescale(middle, alignment.reduced_wh, alignment.source_wh)[0])


def _box_centre(record: FaceRecord) -> npt.NDArray[np.float64]:
    x0, y0, x1, y1 = record.box_xyxy or (0.0, 0.0, 0.0, 0.0)
    return np.array([(x0 + x1) / 2, (y0 + y1) / 2])
