"""The pictures on which two models differ, on one contact sheet."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from occfer.data.arrays import Images
from occfer.data.manifests import CorpusManifest, Sample, image_path, read_corpus
from occfer.data.packs import read_rgb
from occfer.errors import DataError
from occfer.evaluation.result_folders import Result
from occfer.metrics.figure_files import BLUE, GREY, ORANGE, STYLE
from occfer.metrics.figures import NAME_LETTERS, TITLE_LETTERS
from occfer.metrics.paired import CommonPredictions
from occfer.metrics.predictions import PredictedPair
from occsynth.escapes import for_figure

Key = tuple[str, str, str]
COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Difference:
    """A pair that two models answer differently.

    Attributes:
        pair: with its true expression.
        a, b: the models' answers.
    """

    pair: PredictedPair
    a: str
    b: str

    @property
    def turn(self) -> int:
        """0 where a alone is right, 1 where b alone is, 2 where neither is."""
        return 0 if self.a == self.pair.truth else 1 if self.b == self.pair.truth else 2


@dataclass(frozen=True, slots=True, eq=False)
class LocatedPairs:
    """Where the images of pairs are.

    Attributes:
        found: by the pair's key: the manifest that lists it, and its sample there.
        notes: manifests that could not be used, and why.
    """

    found: Mapping[Key, tuple[CorpusManifest, Sample]]
    notes: tuple[str, ...]


def differences(common: CommonPredictions) -> list[Difference]:
    """The pairs with different answers: first those that only a got right, then only b, then neither."""
    ours, theirs = (
        [part.classes[index] for index in part.probabilities.argmax(axis=1)] for part in (common.a, common.b)
    )
    found = [
        Difference(pair, one, other)
        for pair, one, other in zip(common.a.pairs, ours, theirs, strict=True)
        if one != other
    ]
    return sorted(found, key=lambda each: each.turn)


def chosen(found: Sequence[Difference], count: int) -> list[Difference]:
    """At most `count` of the differences, taken from the three kinds in turn, in their order."""
    kinds = [[each for each in found if each.turn == turn] for turn in range(3)]
    queue = [kind[turn] for turn in range(max(map(len, kinds), default=0)) for kind in kinds if turn < len(kind)]
    return sorted(queue[:count], key=found.index)


def locate_pairs(results: Sequence[Result], manifests: Sequence[Path] = ()) -> LocatedPairs:
    """Finds the images of the pairs that results were tested on.

    Args:
        results: their manifests are looked for; one that has changed since the test is not used.
        manifests: used in place of those, whatever their content.
    """
    found: dict[Key, tuple[CorpusManifest, Sample]] = {}
    notes: list[str] = []
    known = {each.sha256: each for result in results for each in result.manifests}
    wanted: list[tuple[Path, str]] = [(path, "") for path in manifests]
    for each in [] if manifests else known.values():
        if each.path is None:
            notes.append(f"manifest {each.name} not found; give it with --manifest")
        else:
            wanted.append((each.path, each.sha256))
    for path, sha256 in wanted:
        try:
            corpus = read_corpus([path])
        except DataError as error:
            notes.append(str(error))
            continue
        if sha256 and corpus.manifests[0].sha256 != sha256:
            notes.append(f"{path} has changed since the run; give a manifest with --manifest to show its images")
            continue
        for sample in corpus.samples:
            found.setdefault(sample.key, (corpus.manifests[0], sample))
    return LocatedPairs(found, tuple(dict.fromkeys(notes)))


@mpl.rc_context(STYLE)
def sheet(shown: Sequence[Difference], pairs: LocatedPairs, title: str) -> Figure:
    """The contact sheet: each pair's clean and occluded face, its truth, and both answers.

    Args:
        shown: at least one; all of them are in `pairs.found`.
        pairs: where their images are.
        title: above the faces; it is wrapped.

    Raises:
        DataError: an image is missing or damaged.
    """
    columns = min(COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    lines = [
        part
        for line in title.split("\n")
        for part in textwrap.wrap(for_figure(line, TITLE_LETTERS), max(40, 17 * columns))
    ]
    figure = Figure(figsize=(max(3.4, 1.35 * columns), 1.3 * rows + 0.16 * len(lines) + 0.2), layout="constrained")
    figure.suptitle("\n".join(lines))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, each in zip(grid.flat, shown, strict=False):
        axes.imshow(_both_views(*pairs.found[each.pair.key]), interpolation="nearest")
        _caption(axes, each)
    return figure


def _caption(axes: Axes, each: Difference) -> None:
    """Right answers are blue with a tick, wrong ones orange with a cross, so that they differ without colour too."""
    lines = [("", each.pair.truth, "black"), ("A", each.a, ""), ("B", each.b, "")]
    for line, (name, word, colour) in enumerate(lines):
        right = word == each.pair.truth
        shown = for_figure(word, NAME_LETTERS)
        text = f"truth: {shown}" if not name else f"{name}: {shown} {'✓' if right else '✗'}"
        axes.text(
            0.5, -0.04 - 0.2 * line, text, ha="center", va="top", fontsize=7, transform=axes.transAxes,
            color=colour or (BLUE if right else ORANGE), clip_on=False,
        )  # fmt: skip
    occlusion = ", ".join(filter(None, (each.pair.mode, each.pair.category)))
    axes.set_title(for_figure(occlusion, NAME_LETTERS), fontsize=7, color=GREY)


def _both_views(manifest: CorpusManifest, sample: Sample) -> Images:
    """Clean beside occluded, with a white line between; without a clean image, the occluded one alone."""
    occluded = read_rgb(image_path(manifest, sample.occluded))
    if not sample.clean:
        return occluded
    clean = read_rgb(image_path(manifest, sample.clean))
    gap = np.full((clean.shape[0], max(1, clean.shape[1] // 24), 3), 255, dtype=np.uint8)
    return np.concatenate([clean, gap, occluded], axis=1)
