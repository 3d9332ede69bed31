"""The figure of a robustness profile: accuracy by what is hidden, and for two models their difference below."""

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from occfer.evaluation.profile import Profile, ProfileGroup
from occfer.metrics.figure_files import BLUE, GREY, ORANGE, STYLE
from occfer.metrics.figures import NAME_LETTERS, TITLE_LETTERS
from occfer.metrics.intervals import Interval
from occsynth.escapes import for_figure

# Two models differ in shape, place and colour, so that the figure reads in black and white too.
LOOKS: tuple[dict[str, Any], ...] = (
    {"marker": "o", "color": BLUE},
    {"marker": "s", "color": ORANGE, "markerfacecolor": "white"},
)
UPPER = ("coverage of the eyes", "coverage of the mouth", "coverage of the face")
LOWER = ("mode", "category")
APART = 0.13  # half the distance between two models' marks; groups are 1 apart


@mpl.rc_context(STYLE)
def profile_figure(found: Profile) -> Figure:
    """Five panels, each group with its n and its 95 % interval; for two models, the differences below."""
    paired = len(found.models) > 1
    figure = Figure(figsize=(7.2, 7.6 if paired else 5.4), layout="constrained")
    figure.suptitle(_title(found))
    halves: npt.NDArray[np.object_] = np.asarray(figure.subfigures(2, 1))
    for part, names in zip(halves, (UPPER, LOWER), strict=True):
        panels = {name: [group for group in found.groups if group.by == name] for name in names}
        _draw(part, {name: groups for name, groups in panels.items() if groups}, paired=paired)
    if paired:
        handles = [mpl.lines.Line2D([], [], linestyle="", markersize=4, **look) for look in LOOKS]
        models = [f"{letter}: {for_figure(model.title)}" for letter, model in zip("AB", found.models, strict=True)]
        figure.legend(handles, models, loc="outside lower center", ncols=1, frameon=False)
    return figure


def _title(found: Profile) -> str:
    total = found.groups[0]
    lines = [f"{' and '.join(model.method for model in found.models)} on {found.tested}, n = {total.n}"]
    for letter, share in zip("AB", total.shares, strict=False):
        name = f"{letter}: " if total.paired else ""
        lines.append(f"{name}accuracy {share.accuracy:.3f}, 95 % interval {_bounds(share.interval, '.3f')}")
    if total.paired is not None:
        lines.append(f"A - B: {total.paired.difference:+.3f}, 95 % interval {_bounds(total.paired.interval, '+.3f')}")
    return "\n".join(part for line in lines for part in textwrap.wrap(for_figure(line, TITLE_LETTERS), 100))


def _bounds(interval: Interval, how: str) -> str:
    return f"{interval.low:{how}} to {interval.high:{how}}"


def _draw(part: SubFigure, panels: dict[str, list[ProfileGroup]], *, paired: bool) -> None:
    if not panels:
        return
    widths = [max(3, len(groups)) for groups in panels.values()]
    heights = (3, 1.7) if paired else (1,)
    grid = part.subplots(
        len(heights), len(panels), squeeze=False, sharey="row", sharex="col", width_ratios=widths, height_ratios=heights
    )
    for column, (name, groups) in enumerate(panels.items()):
        _accuracies(grid[0][column], groups)
        if paired:
            _differences(grid[1][column], groups)
        _name_groups(grid[-1][column], groups, name)
    grid[0][0].set_ylabel("accuracy")
    if paired:
        grid[1][0].set_ylabel("A - B")


def _accuracies(axes: Axes, groups: Sequence[ProfileGroup]) -> None:
    count = len(groups[0].shares)
    for model, look in zip(range(count), LOOKS, strict=False):
        shares = [group.shares[model] for group in groups]
        places = np.arange(len(groups)) + (model - (count - 1) / 2) * 2 * APART
        _points(axes, places, [share.accuracy for share in shares], [share.interval for share in shares], look)
    axes.set_ylim(0, 1)
    axes.grid(axis="y", linewidth=0.4)


def _differences(axes: Axes, groups: Sequence[ProfileGroup]) -> None:
    known = [group.paired for group in groups if group.paired is not None]
    look = {"marker": "D", "color": GREY}
    _points(axes, np.arange(len(known)), [each.difference for each in known], [each.interval for each in known], look)
    axes.axhline(0, color="black", linewidth=0.7)
    axes.grid(axis="y", linewidth=0.4)


def _points(axes: Axes, places: Any, values: Sequence[float], bounds: Sequence[Interval], look: dict[str, Any]) -> None:
    below = [max(value - each.low, 0) for value, each in zip(values, bounds, strict=True)]
    above = [max(each.high - value, 0) for value, each in zip(values, bounds, strict=True)]
    axes.errorbar(
        places, values, yerr=[below, above], linestyle="", markersize=4, capsize=2, linewidth=1, clip_on=False, **look
    )


def _name_groups(axes: Axes, groups: Sequence[ProfileGroup], name: str) -> None:
    is_coverage = name in UPPER
    labels = [
        f"{_short(group.label) if is_coverage else for_figure(group.label, NAME_LETTERS)}\n{group.n}"
        for group in groups
    ]
    axes.set_xticks(range(len(groups)), labels, fontsize=6.5)
    axes.set_xlim(-0.5, max(len(groups), 3) - 0.5)
    axes.set_xlabel(f"{name}{', %' if is_coverage else ''}\n(n below)")


def _short(label: str) -> str:
    """`to 25 %` as `≤25`, `25 to 50 %` as `25-50`."""
    plain = label.removesuffix(" %")
    return f"≤{plain.removeprefix('to ')}" if plain.startswith("to ") else plain.replace(" to ", "-")
