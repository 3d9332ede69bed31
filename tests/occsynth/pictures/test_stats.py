"""The numbers of a manifest, against naive counts."""

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occsynth.errors import ManifestError
from occsynth.manifest import Row
from occsynth.pictures.stats import REGIONS, STEPS, Coverage, Stats, StatsTable, summarise, tables
from occsynth.pictures.stats_figure import plot
from occsynth.templates.sprites import OPAQUE_ALPHA
from tests.occsynth.synthetic_build import make_build, paired_row, real_row, template_occlusion


def table_of(stats: Stats, title: str) -> StatsTable:
    return next(each for each in tables(stats) if each.title == title)


def test_counts_are_those_of_the_rows(tmp_path: Path) -> None:
    def row_of(number: int) -> Row:
        row = replace(paired_row(number), fold=number % 11)
        if number == 4:
            return replace(row, occlusion=template_occlusion("hand", "x", partial=True), landmarks="fallback")
        return row

    duplicates = [["a", "b"], ["c", "d", "e"]]
    manifest = make_build(
        tmp_path, 26, row_of=row_of, duplicates=duplicates, published={"total": 30}, found={"total": 26}
    )
    rows = list(manifest.rows())
    stats = summarise(manifest)
    assert stats.rows == 26 and stats.subjects == 4 and stats.partial == 1
    assert {name: sum(parts.values()) for name, parts in stats.classes.items()} == Counter(
        row.expression for row in rows
    )
    assert stats.parts == [f"fold {fold}" for fold in range(11)], "in the order of numbers"
    for name, parts in stats.classes.items():
        naive = Counter(f"fold {row.fold}" for row in rows if row.expression == name)
        assert parts == naive
    assert stats.landmarks == {"found": 25, "fallback": 1}
    assert sum(stats.categories.values()) == 26 and set(stats.categories) == {"food", "hand", "drink"}
    assert (stats.duplicate_groups, stats.duplicate_rows) == (2, 5)
    mean = np.mean([row.coverage_eyes for row in rows if row.coverage_eyes is not None])
    assert stats.coverage["eyes"].mean == pytest.approx(mean, abs=5e-4)
    classes = table_of(stats, "Pairs by class")
    assert classes.rows[-1][0] == "all" and classes.rows[-1][-1] == "26"
    assert all(len(row) == len(each.columns) for each in tables(stats) for row in each.rows)
    assert table_of(stats, "Published counts").rows == [("total", "30", "26")]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.sampled_from((0.05, 0.25, 0.5, 0.75, 0.95)))
def test_quantiles_are_those_of_the_values(values: list[float], share: float) -> None:
    steps = [round(value * STEPS) for value in values]
    coverage = Coverage(np.bincount(steps, minlength=STEPS + 1).astype(np.int64), 0)
    naive = min(step for step in steps if sum(other <= step for other in steps) >= share * len(steps)) / STEPS
    assert coverage.quantile(share) == naive
    assert coverage.mean == pytest.approx(np.mean(values), abs=5e-4)


def test_really_occluded_faces_have_no_coverage(tmp_path: Path) -> None:
    stats = summarise(make_build(tmp_path, 6, row_of=real_row))
    assert stats.parts == ["test"] and stats.categories == {"real": 6}
    for region in REGIONS:
        coverage = stats.coverage[region]
        assert (coverage.n, coverage.unmeasured, coverage.mean, coverage.quantile(0.5)) == (0, 6, None, None)
    assert ("face", "0", "-", "-", "-", "-", "-", "-", "6") in table_of(stats, "Hidden share").rows


def test_the_hidden_share_of_the_picture_is_that_of_the_masks(tmp_path: Path) -> None:
    manifest = make_build(tmp_path, 9)
    hidden = [(np.asarray(Image.open(manifest.file(row.mask))) >= OPAQUE_ALPHA).mean() for row in manifest.rows()]
    stats = summarise(manifest)
    assert stats.picture.n == 9 and stats.picture.mean == pytest.approx(np.mean(hidden), abs=5e-4)
    assert table_of(stats, "Hidden share").rows[0][:2] == ("picture", "9")
    gone, cut = (manifest.file(row.mask) for row in list(manifest.rows())[:2])
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:20])
    again = summarise(manifest).picture
    assert (again.n, again.unmeasured) == (7, 2)


def test_no_more_masks_are_read_than_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("occsynth.pictures.stats.MOST_MASKS", 4)
    picture = summarise(make_build(tmp_path, 10)).picture
    assert (picture.n, picture.unmeasured) == (4, 6)


@pytest.mark.parametrize(
    "mode, said",
    [("r8", "2.78 % of the picture"), ("r24", "25 % of the picture"), ("upper-37", "37 % of the face"), ("eyes", ""),
     ("real", ""), ("of-another-kind", "")],
)  # fmt: skip
def test_the_share_in_the_modes_name_is_said(tmp_path: Path, mode: str, said: str) -> None:
    stats = summarise(make_build(tmp_path, 2, mode=mode))
    assert stats.named_share == said
    assert (("hidden by the mode's name", said) in table_of(stats, "Facts").rows) == bool(said)


def test_rejects_are_grouped_by_reason(tmp_path: Path) -> None:
    manifest = make_build(tmp_path, 3, rejects=3, sources=6)
    assert table_of(summarise(manifest), "Rejects").rows == [
        ("their list, .rejects.csv, is missing beside the manifest", "?")
    ]
    with manifest.beside(".rejects.csv").open("w", newline="") as file:
        listed = [("a.jpg", "9x9 is too small"), ("b.jpg", "8x7 is too small"), ("c.jpg", "no face\x1b[2J found")]
        csv.writer(file).writerows([("source", "reason"), *listed])
    stats = summarise(manifest)
    assert stats.rejects == {"NxN is too small": 2, "no face\x1b[N" + "J found": 1}
    assert table_of(stats, "Rejects").rows == [("NxN is too small", "2"), ("no face\\x1b[NJ found", "1")]
    manifest.beside(".rejects.csv").write_bytes(b"source,reason\n\xff\xfe,x\n")
    with pytest.raises(ManifestError, match=r"rejects\.csv cannot be read"):
        summarise(manifest)


def test_an_empty_manifest_has_tables_and_a_figure(tmp_path: Path) -> None:
    stats = summarise(make_build(tmp_path, 0))
    assert stats.rows == 0 and all(list(each.rows) is not None for each in tables(stats))
    assert plot(stats, tmp_path / "empty.png").is_file()


@pytest.mark.parametrize("folds", [0, 1, 3, 11])
def test_the_figure_is_drawn_and_the_same_each_time(tmp_path: Path, folds: int) -> None:
    def row_of(number: int) -> Row:
        return replace(paired_row(number), fold=number % folds if folds else None, expression=f"$class_{number % 3}^")

    stats = summarise(make_build(tmp_path, 24, row_of=row_of))
    path = plot(stats, tmp_path / "figures" / "stats.png")
    first = path.read_bytes()
    assert plot(stats, path).read_bytes() == first
    image = np.asarray(Image.open(path).convert("RGB"))
    assert image.shape[1] > 1500
    assert ((image == (0, 114, 178)).all(axis=2)).sum() > 1000, "bars in blue"
