"""Face points as databases write them. Malformed ones are None, never an error: an image is usable without them."""

import math
from collections.abc import Sequence

from occsynth.databases.record import Points


def points_of_lines(text: str | None, count: int) -> Points | None:
    """The first `count` lines `x y` of a text, pixels, or None unless all of them are finite numbers."""
    lines = [line.split() for line in (text or "").splitlines() if line.strip()][:count]
    if len(lines) != count or any(len(words) != 2 for words in lines):
        return None
    return points_of_numbers([word for words in lines for word in words], count)


def points_of_numbers(numbers: Sequence[str], count: int) -> Points | None:
    """`x, y, x, y, ...` as `count` points, pixels, or None unless there are just as many finite numbers."""
    values = finite(numbers)
    if values is None or len(values) != 2 * count:
        return None
    return tuple(zip(values[::2], values[1::2], strict=True))


def finite(numbers: Sequence[str]) -> list[float] | None:
    """The numbers, or None if one of them is none or not finite."""
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None
