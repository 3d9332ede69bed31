"""Figures of results: confusions, accuracy by mode and by coverage, calibration, reconstructions.

Every accuracy is drawn with its n and its 95 % interval. matplotlib's global settings are left as they were.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from occfer.metrics.accuracy import accuracy_of
from occfer.metrics.figure_files import BLUE, GREY, ORANGE, STYLE, save
from occfer.metrics.measures import reliability
from occfer.metrics.predictions import Predictions
from occsynth.escapes import for_figure

LETTERS_PER_INCH = 14  # of a figure's title
NAME_LETTERS, TITLE_LETTERS = 30, 300  # the longest that are drawn whole

# (N, S, S, 3), RGB in [0, 1].
UnitImages = npt.NDArray[np.float32]


def draw_results(
    predictions: Predictions, summary: dict[str, Any], title: str, folder: Path, ending: str = "png"
) -> list[Path]:
    """Draws `confusion`, `by_mode`, `reliability` and, where the manifest states the coverage, `by_coverage`.

    Args:
        predictions, summary: of one evaluation; see `occfer.metrics.summary.summarise`.
        title: what was tested on what; the title of each figure.
        folder: where the files are written.
        ending: `png`, `pdf` or `svg`.

    Returns:
        The files.

    Raises:
        ReportError: the ending is unknown, or the folder cannot be written to.
    """
    drawn = {
        "confusion": confusion_figure(summary, title),
        "by_mode": mode_figure(summary, title),
        "reliability": reliability_figure(predictions, title),
    }
    if any(summary["by_coverage"].values()):
        drawn["by_coverage"] = coverage_figure(summary, title)
    return [save(figure, folder / f"{name}.{ending}") for name, figure in drawn.items()]


@mpl.rc_context(STYLE)
def confusion_figure(summary: dict[str, Any], title: str) -> Figure:
    """Two matrices, truth by answer: counts, and counts as shares of each truth."""
    counts = np.array(summary["confusion"])
    truths = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, truths, out=np.zeros(counts.shape), where=truths > 0)
    figure = _figure(title, summary, (7.2, 3.9))
    left, right = figure.subplots(1, 2)
    classes = [for_figure(name, NAME_LETTERS) for name in summary["classes"]]
    names = [f"{name} ({n})" for name, n in zip(classes, truths[:, 0], strict=True)]
    _matrix(left, counts, [[str(value) for value in line] for line in counts], names, classes)
    left.set_title("counts")
    left.set_ylabel("truth (n)")
    texts = [[f"{value:.2f}".removeprefix("0") if value else "" for value in line] for line in shares]
    _matrix(right, shares, texts, [""] * len(names), classes)
    right.set_title("share of each truth")
    return figure


def _matrix(
    axes: Axes, values: npt.NDArray[Any], texts: list[list[str]], truths: Sequence[str], answers: Sequence[str]
) -> None:
    top = max(float(values.max()), 1e-9)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=top)
    for truth, line in enumerate(texts):
        for answer, text in enumerate(line):
            value = values[truth, answer]
            colour = "white" if value > 0.6 * top else "black" if value else GREY
            axes.text(answer, truth, text, ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(len(answers)), answers, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(truths)), truths)
    axes.tick_params(length=0)
    axes.set_xlabel("answer")


@mpl.rc_context(STYLE)
def mode_figure(summary: dict[str, Any], title: str) -> Figure:
    """Accuracy for each occlusion mode, one mode below the other."""
    modes = list(summary["by_mode"])
    figure = _figure(title, summary, (4.6, 1.5 + 0.32 * len(modes)))
    axes = figure.subplots()
    for place, mode in enumerate(modes):
        entry = summary["by_mode"][mode]
        _point(axes, entry["accuracy"], entry["interval"], place, BLUE, upright=False)
    axes.axvline(summary["accuracy"], color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    labels = [f"{for_figure(mode, NAME_LETTERS)} (n = {summary['by_mode'][mode]['n']})" for mode in modes]
    axes.set_yticks(range(len(modes)), labels)
    axes.set_ylim(len(modes) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy with its 95 % interval; dashed: all modes together")
    axes.grid(axis="x", linewidth=0.4)
    return figure


@mpl.rc_context(STYLE)
def coverage_figure(summary: dict[str, Any], title: str) -> Figure:
    """Accuracy by how much of the eyes, and of the mouth, is hidden."""
    figure = _figure(title, summary, (7.2, 3.2))
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (region, bins), colour in zip(panels, summary["by_coverage"].items(), (BLUE, ORANGE), strict=True):
        for place, entry in enumerate(bins):
            _point(axes, entry["accuracy"], entry["interval"], place, colour, upright=True)
        labels = [f"{_bin_name(entry)}\nn = {entry['n']}" for entry in bins]
        axes.set_xticks(range(len(bins)), labels)
        axes.set_xlim(-0.5, max(len(bins), 1) - 0.5)
        axes.set_ylim(0, 1)
        axes.set_xlabel(f"hidden share of the {region}, %")
        axes.grid(axis="y", linewidth=0.4)
    panels[0].set_ylabel("accuracy with its 95 % interval")
    return figure


@mpl.rc_context(STYLE)
def reliability_figure(predictions: Predictions, title: str) -> Figure:
    """Accuracy against confidence in bins, and how many answers each bin holds."""
    found = reliability(predictions.truth, predictions.probabilities)
    figure = _figure(f"{title}\nexpected calibration error {found.ece:.3f}, n = {found.n.sum()}", None, (3.6, 4.2))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, linestyle="--")
    for index in np.flatnonzero(found.n):
        shown = accuracy_of(predictions.where(found.bin_of == index))
        bounds = shown.interval.to_json()
        _point(upper, shown.accuracy, bounds, float(found.confidence[index]), BLUE, upright=True)
    upper.set_ylim(0, 1)
    upper.set_ylabel("accuracy with its 95 % interval")
    upper.grid(linewidth=0.4)
    lower.bar(found.edges[:-1], found.n, width=np.diff(found.edges), align="edge", color=BLUE, edgecolor="white")
    lower.set_xlim(0, 1)
    lower.set_xlabel("confidence")
    lower.set_ylabel("n")
    return figure


@mpl.rc_context(STYLE)
def reconstruction_figure(views: Sequence[tuple[str, UnitImages]], captions: Sequence[str], title: str) -> Figure:
    """A grid of faces as in the paper's Figure 4: the clean ones, below them the occluded and the reconstructed ones.

    Args:
        views: name and images `(N, S, S, 3)` float32 in [0, 1], from top to bottom.
        captions: the N captions of the faces.
        title: of the figure.
    """
    side = 0.95
    figure = _figure(title, None, (0.9 + side * len(captions), 0.75 + side * len(views)))
    grid = figure.subplots(len(views), len(captions), squeeze=False)
    for line, (name, images) in zip(grid, views, strict=True):
        for axes, image in zip(line, images, strict=True):
            axes.imshow(image, vmin=0, vmax=1, interpolation="nearest")
            axes.set_xticks(())
            axes.set_yticks(())
            axes.spines[:].set_visible(False)
        line[0].set_ylabel(name)
    for axes, caption in zip(grid[0], captions, strict=True):
        axes.set_title(for_figure(caption, NAME_LETTERS))
    return figure


def _figure(title: str, summary: dict[str, Any] | None, inches_wh: tuple[float, float]) -> Figure:
    figure = Figure(figsize=inches_wh, layout="constrained")
    lines = [for_figure(line, TITLE_LETTERS) for line in title.split("\n")]
    if summary is not None:
        shown = summary["interval"]
        lines.append(
            f"accuracy {summary['accuracy']:.3f}, 95 % interval {shown['low']:.3f} to {shown['high']:.3f}, "
            f"n = {summary['n']}"
        )
    letters = round(inches_wh[0] * LETTERS_PER_INCH)
    figure.suptitle("\n".join(part for line in lines for part in textwrap.wrap(line, letters)))
    return figure


def _point(axes: Axes, value: float, bounds: dict[str, Any], place: float, colour: str, *, upright: bool) -> None:
    """Draws an accuracy with its interval: along y if upright, else along x."""
    error = np.array([[max(value - bounds["low"], 0)], [max(bounds["high"] - value, 0)]])
    look: dict[str, Any] = {
        "fmt": "o",
        "color": colour,
        "markersize": 4,
        "capsize": 2.5,
        "linewidth": 1,
        "clip_on": False,
    }
    if upright:
        axes.errorbar([place], [value], yerr=error, **look)
    else:
        axes.errorbar([value], [place], xerr=error, **look)


def _bin_name(entry: dict[str, Any]) -> str:
    if entry["to"] == 0:
        return "none"
    low, high = (f"{100 * entry[edge]:.0f}" for edge in ("above", "to"))
    return f"to {high}" if entry["above"] == 0 else f"{low} to {high}"
