"""The sheet of explained faces: clean, occluded, and the heat over the occluded face with the occluder's outline."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from occfer.data.arrays import Images
from occfer.explain.faces import ExplainedFace
from occfer.metrics.figure_files import BLUE, GREY, ORANGE, STYLE
from occfer.metrics.figures import NAME_LETTERS, TITLE_LETTERS
from occfer.metrics.heat import COVERED
from occsynth.escapes import for_figure

COLUMNS, FEWEST_COLUMNS = 7, 3
HEAT_COLOURS = "inferno"  # its brightness rises evenly, so it is read without colour too
VIEWS = ("clean", "occluded", "heat")
LEGEND = (
    "The brighter, the more a place speaks for the class; each face has a scale of its own. White: outline of the "
    "occluder. Below each face: the share of its heat inside the occluder, and the occluder's share of the picture."
)
# pictures and maps of several sizes share one frame, whose sides are 1
FRAME = (0.0, 1.0, 1.0, 0.0)
# inches: a picture, the space between two, a line of text, the margin for the names of the views
SIDE, GAP, LINE, MARGIN = 1.15, 0.06, 0.14, 0.25
LETTERS_PER_INCH = {9: 13, 7: 16}


@dataclass(frozen=True, slots=True, eq=False)
class ShownFace:
    """A face of the sheet; `clean` is `(S, S, 3)` uint8 RGB, or None where nobody knows the clean face."""

    face: ExplainedFace
    clean: Images | None


@mpl.rc_context(STYLE)
def heat_sheet(shown: Sequence[ShownFace], title: str) -> Figure:
    """Three pictures for each face, below each other, with its truth, the answer and the shares.

    Args:
        shown: at least one face.
        title: above them; it is wrapped.
    """
    columns = min(COLUMNS, len(shown))
    width = MARGIN + max(FEWEST_COLUMNS, columns) * (SIDE + GAP) + GAP
    texts = [
        (size, line)
        for size, text in ((9, for_figure(title, TITLE_LETTERS)), (7, LEGEND))
        for line in textwrap.wrap(text, round(width * LETTERS_PER_INCH[size]))
    ]
    # below a band: the answer, the class if it is another one, the shares, and an empty line
    head, band = LINE * (len(texts) + 1), 3 * (SIDE + GAP) + 5 * LINE
    height = head + band * math.ceil(len(shown) / columns)
    figure = Figure(figsize=(width, height))
    for number, (size, line) in enumerate(texts):
        figure.text(MARGIN / width, 1 - LINE * (number + 0.5) / height, line, fontsize=size, va="top")
    for place, each in enumerate(shown):
        row, column = divmod(place, columns)
        left, top = MARGIN + column * (SIDE + GAP), height - head - row * band - LINE
        bottoms = [top - SIDE - number * (SIDE + GAP) for number in range(len(VIEWS))]
        panels = [figure.add_axes((left / width, bottom / height, SIDE / width, SIDE / height)) for bottom in bottoms]
        _draw(panels, each)
        for axes, name in zip(panels, VIEWS, strict=True):
            axes.set_axis_off()
            if column == 0:
                axes.text(-0.06, 0.5, name, ha="right", va="center", rotation=90, fontsize=7, transform=axes.transAxes)
    return figure


def _draw(panels: Sequence[Axes], each: ShownFace) -> None:
    clean, occluded, heat = panels
    face, heated = each.face, each.face.heated
    if each.clean is not None:
        clean.imshow(each.clean, interpolation="nearest", extent=FRAME)
    occluded.imshow(face.occluded, interpolation="nearest", extent=FRAME)
    _draw_heat(heat, face)
    right = heated.answer == heated.pair.truth
    clean.set_title(for_figure(f"truth: {heated.pair.truth}", NAME_LETTERS), fontsize=7, pad=2)
    answer = f"{for_figure(heated.answer, NAME_LETTERS)} {'✓' if right else '✗'}"
    if heated.explained == heated.answer:
        answer += f" {heated.probability:.2f}"
    lines = [(answer, BLUE if right else ORANGE), (_shares(face), GREY)]
    if heated.explained != heated.answer:
        lines.insert(1, (f"heat: {for_figure(heated.explained, NAME_LETTERS)} {heated.probability:.2f}", "black"))
    for number, (text, colour) in enumerate(lines):
        heat.text(
            0.5, -0.04 - LINE / SIDE * number, text, ha="center", va="top", fontsize=7, transform=heat.transAxes,
            color=colour, clip_on=False,
        )  # fmt: skip


def _draw_heat(axes: Axes, face: ExplainedFace) -> None:
    grey = face.occluded.mean(axis=2)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, interpolation="nearest", extent=FRAME)
    top = float(face.heat.max())
    if top > 0:
        axes.imshow(
            face.heat / top, cmap=HEAT_COLOURS, vmin=0, vmax=1, alpha=0.6, interpolation="nearest", extent=FRAME
        )
    if face.mask is not None and (face.mask >= COVERED).any():
        side = face.mask.shape[0]
        # a border of uncovered pixels closes outlines that end at the edge of the picture
        inside = np.pad((face.mask >= COVERED).astype(np.float64), 1)
        places = (np.arange(-1, side + 1) + 0.5) / side
        axes.contour(places, places, inside, levels=[0.5], colors="white", linewidths=0.9)
    axes.set_xlim(0, 1)
    axes.set_ylim(1, 0)


def _shares(face: ExplainedFace) -> str:
    heated = face.heated
    if heated.cold:
        return "no heat"
    if heated.share_of_heat is None or heated.share_of_face is None:
        return "occluder not known" if face.mask is None else "nothing hidden"
    return f"heat {100 * heated.share_of_heat:.0f} %, face {100 * heated.share_of_face:.0f} %"
