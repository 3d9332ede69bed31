"""What people wear: the `wear.csv` of a template pack says where on a face its sunglasses, masks, scarves and hats sit.

Its columns are `file`, `kind`, `fit` and `anchors`. An anchor is a place of the template that belongs on a landmark of
the face: its name and its x and y in pixels of the template, such as `nose_bridge 120.5 14`; `;` stands between them.
Laying a template on a face by its anchors belongs to `occsynth.modes`.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from occsynth.errors import TemplateError
from occsynth.escapes import from_csv
from occsynth.files import is_file
from occsynth.reading import read_table

WearKind = Literal["sunglasses", "mask", "scarf", "brim"]
KINDS: tuple[WearKind, ...] = get_args(WearKind)

Fit = Literal["similarity", "pieces"]
"""How a template follows a face: as a whole (turned, scaled, shifted), or triangle by triangle between its anchors."""

FITS: tuple[Fit, ...] = get_args(Fit)

WEAR_COLUMNS = ("file", "kind", "fit", "anchors")

_MIDDLE = {
    "forehead": 151,
    "brows": 9,
    "nose_bridge": 168,
    "nose_ridge": 197,
    "nose_tip": 1,
    "chin": 152,
}
_SIDES = {
    "forehead": (103, 332),
    "temple_top": (21, 251),
    "temple": (127, 356),
    "brow": (70, 300),
    "eye_outer": (33, 263),
    "eye_inner": (133, 362),
    "ear": (234, 454),
    "cheekbone": (117, 346),
    "cheek": (205, 425),
    "mouth": (61, 291),
    "jaw_top": (58, 288),
    "jaw": (172, 397),
    "jaw_low": (150, 379),
    "chin": (176, 400),
}
ANCHORS = {
    **_MIDDLE,
    **{f"{name}_left": left for name, (left, _) in _SIDES.items()},
    **{f"{name}_right": right for name, (_, right) in _SIDES.items()},
}
"""The mesh point on which each anchor belongs; left and right are sides of the picture."""

MOST_ANCHORS = 32
_FARTHEST_PX = 1 << 15


@dataclass(frozen=True, slots=True)
class Wear:
    """A line of `wear.csv`.

    Attributes:
        kind: what it is.
        fit: how it follows a face.
        anchors: names of `ANCHORS`, at least three, with x and y in pixels of the template.
    """

    kind: WearKind
    fit: Fit
    anchors: tuple[tuple[str, float, float], ...]


def mirrored(anchor: str) -> str:
    """The anchor on the other side of the face.

    >>> mirrored("ear_left"), mirrored("chin")
    ('ear_right', 'chin')
    """
    name, _, side = anchor.rpartition("_")
    other = {"left": "right", "right": "left"}.get(side)
    return f"{name}_{other}" if other else anchor


def read_wear(path: Path) -> dict[str, Wear]:
    """What `wear.csv` says of each template, by `file`; empty if there is no such file.

    Raises:
        TemplateError: it is malformed.
    """
    if not is_file(path):
        return {}
    found: dict[str, Wear] = {}
    for number, cells in read_table(path, WEAR_COLUMNS, TemplateError):
        where = f"{path}, line {number}"
        file, kind, fit = (from_csv(cells[name]) for name in ("file", "kind", "fit"))
        known_kind = next((each for each in KINDS if each == kind), None)
        known_fit = next((each for each in FITS if each == fit), None)
        if known_kind is None:
            raise TemplateError(f"{where}: kind is '{kind[:80]}'; it must be one of {', '.join(KINDS)}")
        if known_fit is None:
            raise TemplateError(f"{where}: fit is '{fit[:80]}'; it must be one of {', '.join(FITS)}")
        if file in found:
            raise TemplateError(f"{where}: {file[:200]} has a line already")
        found[file] = Wear(known_kind, known_fit, _anchors(cells["anchors"], where))
    return found


def _anchors(text: str, where: str) -> tuple[tuple[str, float, float], ...]:
    anchors = tuple(_anchor(each, where) for each in text.split(";", MOST_ANCHORS))
    names = {name for name, _, _ in anchors}
    if not 3 <= len(anchors) <= MOST_ANCHORS or len(names) < len(anchors):
        raise TemplateError(f"{where}: anchors must name 3 to {MOST_ANCHORS} places of the face, none of them twice")
    return anchors


def _anchor(text: str, where: str) -> tuple[str, float, float]:
    try:
        name, x, y = text.split()
        place_xy = float(x), float(y)
    except ValueError:
        example = "nose_bridge 120.5 14"
        raise TemplateError(f"{where}: '{text[:80]}' is no anchor; it must read as {example}: name, x, y") from None
    if name not in ANCHORS:
        raise TemplateError(f"{where}: unknown anchor '{name[:80]}'; choose one of: {', '.join(sorted(ANCHORS))}")
    if not all(math.isfinite(each) and abs(each) < _FARTHEST_PX for each in place_xy):
        raise TemplateError(f"{where}: the place of anchor {name} is out of range")
    return name, *place_xy
