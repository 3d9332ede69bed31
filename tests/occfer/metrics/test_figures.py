"""Figures: what is drawn where, and in which files."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from occfer.errors import ReportError
from occfer.metrics.figure_files import save
from occfer.metrics.figures import (
    confusion_figure,
    coverage_figure,
    draw_results,
    mode_figure,
    reconstruction_figure,
    reliability_figure,
)
from occfer.metrics.predictions import PredictedPair, Predictions
from occfer.metrics.summary import summarise

CLASSES = ("anger", "fear", "happiness")


def predictions(n: int = 60, modes: tuple[str, ...] = ("r16", "eyes"), *, covered: bool = True) -> Predictions:
    rng = np.random.default_rng(0)
    pairs = tuple(
        PredictedPair(
            pair_id=f"p{index}", database="toy", mode=modes[index % len(modes)], subject=f"s{index}", fold=None,
            category="food" if covered else "", coverage_face=0.1 if covered else None,
            coverage_eyes=index / n if covered else None, coverage_mouth=0.0 if covered else None,
            truth=CLASSES[index % 2],
        )
        for index in range(n)
    )  # fmt: skip
    return Predictions(CLASSES, pairs, rng.dirichlet(np.ones(3), n))


def words(figure: Figure) -> list[str]:
    """Every text of a figure."""
    figure.draw_without_rendering()
    found = [figure.get_suptitle()]
    for axes in figure.axes:
        labels = [axes.xaxis.label, axes.yaxis.label, axes.title, *axes.get_xticklabels(), *axes.get_yticklabels()]
        found += [text.get_text() for text in [*labels, *axes.texts]]
    return found


def points(figure: Figure, axes: int = 0) -> list[tuple[float, float]]:
    """The markers of a panel."""
    marked = (line for line in figure.axes[axes].lines if line.get_marker() == "o")
    return [(float(x), float(y)) for line in marked for x, y in np.asarray(line.get_xydata())]


def test_confusions_are_drawn_as_counts_and_shares() -> None:
    summary = summarise(predictions())
    figure = confusion_figure(summary, "a title")
    texts = words(figure)
    counts, shares = figure.axes[0].texts, figure.axes[1].texts
    assert [text.get_text() for text in counts] == [str(count) for line in summary["confusion"] for count in line]
    top = summary["confusion"][0]
    assert shares[0].get_text() == f"{top[0] / sum(top):.2f}".removeprefix("0")
    assert texts[0].startswith("a title\naccuracy ") and "n = 60" in texts[0] and "95 % interval" in texts[0]
    assert {"truth (n)", "answer", "anger (30)", "fear (30)", "happiness (0)"} <= set(texts)


def test_each_mode_has_its_point_n_and_interval() -> None:
    summary = summarise(predictions())
    figure = mode_figure(summary, "a title")
    assert points(figure) == [
        (summary["by_mode"][mode]["accuracy"], place) for place, mode in enumerate(("eyes", "r16"))
    ]
    assert {"eyes (n = 30)", "r16 (n = 30)"} <= set(words(figure))
    bars = [line for line in figure.axes[0].lines if line.get_marker() == "|"]
    ends = {round(float(each), 9) for bar in bars for each in np.asarray(bar.get_xdata())}
    expected = [summary["by_mode"][mode]["interval"] for mode in ("eyes", "r16")]
    assert ends == {round(bounds[end], 9) for bounds in expected for end in ("low", "high")}


def test_coverage_has_a_panel_for_eyes_and_one_for_the_mouth() -> None:
    summary = summarise(predictions())
    figure = coverage_figure(summary, "a title")
    assert len(points(figure, 0)) == 5 and len(points(figure, 1)) == 1
    labels = {"none\nn = 1", "to 25\nn = 15", "25 to 50\nn = 15", "75 to 100\nn = 14", "none\nn = 60"}
    assert labels <= set(words(figure))


def test_calibration_is_drawn_where_there_are_answers() -> None:
    figure = reliability_figure(predictions(), "a title")
    drawn = points(figure)
    assert all(0 <= x <= 1 and 0 <= y <= 1 for x, y in drawn)
    bars = [bar for bar in figure.axes[1].patches if isinstance(bar, Rectangle)]
    assert len(bars) == len(figure.axes[1].patches)
    assert sum(bar.get_height() for bar in bars) == 60
    assert len(drawn) == sum(bar.get_height() > 0 for bar in bars)
    assert "expected calibration error" in words(figure)[0]


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_files_are_the_same_bytes_again(tmp_path: Path, ending: str) -> None:
    found = predictions()
    settings = dict(mpl.rcParams)
    first, second = (draw_results(found, summarise(found), "a title", tmp_path / name, ending) for name in "ab")
    assert {path.name for path in first} == {f"{name}.{ending}" for name in FIGURES}
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert dict(mpl.rcParams) == settings


FIGURES = ("confusion", "by_mode", "by_coverage", "reliability")


def test_no_coverage_no_figure(tmp_path: Path) -> None:
    found = predictions(covered=False)
    drawn = draw_results(found, summarise(found), "a title", tmp_path)
    assert {path.stem for path in drawn} == set(FIGURES) - {"by_coverage"}


def test_figures_that_cannot_be_written(tmp_path: Path) -> None:
    figure = mode_figure(summarise(predictions()), "a title")
    with pytest.raises(ReportError, match=r"figures end in \.png, \.pdf, \.svg"):
        save(figure, tmp_path / "figure.jpg")
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot be written"):
        save(figure, tmp_path / "file" / "figure.png")


def test_a_long_title_is_wrapped() -> None:
    figure = mode_figure(summarise(predictions()), " ".join(["manifest"] * 30))
    assert all(len(line) < 70 for line in figure.get_suptitle().splitlines())


def test_a_grid_shows_the_pixels_themselves() -> None:
    images = np.random.default_rng(0).random((3, 12, 12, 3)).astype(np.float32)
    figure = reconstruction_figure([("clean", images), ("occluded", 1 - images)], CLASSES, "a title")
    assert len(figure.axes) == 6
    assert np.array_equal(np.asarray(figure.axes[4].images[0].get_array()), (1 - images)[1])
    assert {"clean", "occluded", *CLASSES} <= set(words(figure))
