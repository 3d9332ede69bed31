"""The figure of `occsynth stats`: pairs per class, and how much of face, eyes and mouth the occlusions hide."""

import io
import warnings
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from occsynth.errors import BuildError
from occsynth.escapes import for_figure
from occsynth.files import write_atomic
from occsynth.ownership import MARK, refuse_foreign_file
from occsynth.pictures.stats import STEPS, Coverage, Stats

MAKER = "occsynth stats"
_STYLE: Any = {"text.parse_math": False}  # a $ in a name is a letter
_BINS = 20
_BLUE, _ORANGE, _INK = "#0072B2", "#E69F00", "#222222"
# the colours of Okabe and Ito, for colour-blind eyes too; hatches tell them apart in grey print
_PARTS = ((_BLUE, ""), (_ORANGE, "//"), ("#009E73", ".."), ("#CC79A7", "xx"))


@mpl.rc_context(_STYLE)
def plot(stats: Stats, out: Path, *, overwrite: bool = False) -> Path:
    """Writes the figure as a PNG and returns `out`; every bar and histogram shows its n.

    Args:
        stats: what to draw.
        out: the PNG to write.
        overwrite: replace `out` even if it is no earlier figure.

    Raises:
        BuildError: `out` is no earlier figure, or cannot be written.
    """
    refuse_foreign_file(out, MAKER, BuildError, overwrite=overwrite)
    figure = draw(stats)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # a letter that the font lacks is drawn as a box, and a name may leave no room for the axes
        warnings.filterwarnings("ignore", "Glyph|constrained_layout")
        figure.savefig(buffer, format="png", dpi=150, metadata={"Software": MARK.format(MAKER)})
    write_atomic(out, buffer.getvalue())
    return out


@mpl.rc_context(_STYLE)
def draw(stats: Stats) -> Figure:
    """The figure."""
    figure = Figure(figsize=(13, max(3.6, 1.2 + 0.36 * len(stats.classes))), layout="constrained")
    first, *others = figure.subplots(1, 4, width_ratios=(1.25, 1, 1, 1))
    _draw_classes(first, stats)
    for axes, (region, coverage) in zip(others, stats.coverage.items(), strict=True):
        _draw_coverage(axes, region, coverage)
    figure.suptitle(for_figure(f"{stats.name}: {stats.rows:,} pairs"), color=_INK)
    return figure


def _draw_classes(axes: Axes, stats: Stats) -> None:
    names = list(stats.classes)
    places = np.arange(len(names))
    totals = np.array([sum(stats.classes[name].values()) for name in names])
    few = 2 <= len(stats.parts) <= len(_PARTS)
    start = np.zeros(len(names), np.int64)
    for part, (colour, hatch) in zip(stats.parts if few else [""], _PARTS, strict=False):
        widths = np.array([stats.classes[name].get(part, 0) for name in names]) if few else totals
        label = for_figure(part) or "no split"
        axes.barh(places, widths, left=start, color=colour, hatch=hatch, edgecolor="white", label=label)
        start = start + widths
    for place, total in zip(places, totals, strict=True):
        axes.text(int(total), float(place), f" {total:,}", va="center", color=_INK, fontsize=9)
    axes.set_yticks(places, [for_figure(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, max(1, int(totals.max(initial=0))) * 1.18)
    axes.set_xlabel("pairs")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"Classes, n = {stats.rows:,}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    if few:
        axes.legend(fontsize=8, loc="lower right")


def _draw_coverage(axes: Axes, region: str, coverage: Coverage) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlim(0, 100)
    axes.set_xlabel("hidden, %")
    untouched = int(coverage.counts[0])
    touched = coverage.n - untouched
    axes.set_title(f"{region.capitalize()}, n = {coverage.n:,}\n{untouched:,} not touched, not drawn", fontsize=10)
    if not touched:
        note = "not measured" if not coverage.n else "never touched"
        axes.text(0.5, 0.5, note, transform=axes.transAxes, ha="center", va="center", color=_INK)
        axes.set_yticks([])
        return
    values = 100 * np.arange(1, STEPS + 1) / STEPS
    axes.hist(values, bins=_BINS, range=(0, 100), weights=coverage.counts[1:], color=_BLUE, edgecolor="white")
    axes.set_ylabel("pairs")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    middle = Coverage(np.concatenate([[0], coverage.counts[1:]]), 0).quantile(0.5)
    if middle is not None:
        axes.axvline(
            100 * middle, color=_ORANGE, linewidth=2, linestyle="--", label=f"their median {100 * middle:.0f} %"
        )
        axes.legend(fontsize=8)
