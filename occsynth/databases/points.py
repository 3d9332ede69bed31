"""Face points as databases write them. Malformed points give None, not an error: the image is usable without them."""

import math
from collections.abc import Sequence

from occsynth.databases.record import PointTuples


def points_of_lines(text: str | None, count: int) -> PointTuples | None:
    """The points, in pixels, in the first `count` lines `x y` of a text; None unless all are finite numbers."""
    lines = [line.split() for line in (text or "").splitlines() if line.strip()][:count]
    if len(lines) != count or any(len(words) != 2 for words in lines):
        return None
    return points_of_numbers([word for words in lines for word in words], count)


def points_of_numbers(numbers: Sequence[str], count: int) -> PointTuples | None:
    """`x, y, x, y, ...` as `count` points, in pixels; None unless there are exactly that many finite numbers."""
    values = finite(numbers)
    if values is None or len(values) != 2 * count:
        return None
    return tuple(zip(values[::2], values[1::2], strict=True))


def finite(numbers: Sequence[str]) -> list[float] | None:
    """The numbers, or None if one of them is not a finite number."""
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None
