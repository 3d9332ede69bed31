"""The robustness profile: which pairs are tested, numbers against slow sums, the difference, and the figure."""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.data.manifests import built_alike
from occfer.errors import DataError, ReportError
from occfer.evaluation.compare import CSV_COLUMNS as PAIRED_COLUMNS
from occfer.evaluation.profile import CSV_COLUMNS, Profile, ProfiledModel, ProfileOptions, profile, read_profile
from occfer.evaluation.profile_figure import profile_figure
from occfer.metrics.intervals import interval, paired_interval
from occfer.metrics.predictions import read_predictions
from occfer.training.folds import train_folds
from occfer.training.train import train
from occsynth.manifest import Row
from tests.occfer.evaluation.test_evaluate import quick
from tests.occfer.toy_builds import Build, add_tiny_backbone, edited, write_build

MakeBuild = Callable[..., Path]


def covered(row: Row) -> Row:
    """Coverages and categories that differ from pair to pair."""
    number = int(row.pair_id[1:4]) + len(row.expression)
    category = ("food", "hand", "drink")[number % 3]
    shares = {f"coverage_{name}": round((number * step) % 101 / 100, 2) for name, step in (("eyes", 37), ("face", 13))}
    return replace(row, occlusion=json.dumps({"category": category}), **shares)  # type: ignore[arg-type]  # all floats


@dataclass(frozen=True)
class Trained:
    """Models that several tests read and none changes, and builds of their database in three modes."""

    root: Path
    sim: Path
    resnet: Path
    clean: Path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    add_tiny_backbone()
    root = tmp_path_factory.mktemp("trained")
    for mode in ("r16", "eyes", "random"):
        write_build(root / "builds", Build(name=f"toy-{mode}", mode=mode, edit=edited(covered)))
    write_build(root / "builds", Build(name="other-r8", database="other", mode="r8"))
    manifest = root / "builds/manifests/toy-r16.csv"
    for method, epochs in (("sim", 10), ("resnet", 2), ("clean", 1)):
        train(quick(manifest, method=method, pretrain_epochs=epochs, out=root / method))
    return Trained(root, *(root / name for name in ("sim", "resnet", "clean")))


@pytest.fixture(autouse=True)
def known_backbone(trained: Trained, tiny_backbone: None) -> None:
    """The backbone `tiny` is in the table in every test."""


def run(out: Path, *checkpoints: Path, **options: Any) -> Profile:
    return profile(ProfileOptions(checkpoints=checkpoints, out=out, device="cpu", **options))


def test_without_manifests_every_mode_of_the_training_build_is_tested(trained: Trained, tmp_path: Path) -> None:
    found = run(tmp_path / "out", trained.sim)
    assert found.tested == "toy (eyes, r16, random)"
    answers = read_predictions(tmp_path / "out/a/predictions.csv")
    assert {pair.subject for pair in answers.pairs} == {"s000", "s003"}, "its own fold"
    assert found.groups[0].n == 3 * 14
    assert found.notes == (
        "toy: fold 0, 42 of 126 pairs",
        f"intervals of all pairs: {found.groups[0].shares[0].interval.how}",
    )
    assert found.models == (ProfiledModel("sim", str(trained.sim), "a"),)
    assert read_profile(tmp_path / "out") == found


def test_every_group_is_what_a_slow_sum_finds(trained: Trained, tmp_path: Path) -> None:
    found = run(tmp_path / "out", trained.sim)
    answers = read_predictions(tmp_path / "out/a/predictions.csv")
    with (tmp_path / "out/profile.csv").open() as file:
        rows = {(row["by"], row["group"]): row for row in csv.DictReader(file)}
    assert tuple(next(iter(rows.values()))) == CSV_COLUMNS and len(rows) == len(found.groups)
    for category in ("food", "hand", "drink"):
        right = [bool(ok) for pair, ok in zip(answers.pairs, answers.right, strict=True) if pair.category == category]
        row = rows["category", category]
        assert (int(row["n"]), int(row["correct"])) == (len(right), sum(right))
        persons = [pair.person for pair in answers.pairs if pair.category == category]
        assert float(row["low"]) == interval(np.array(right), persons).low
    half = [
        bool(ok)
        for pair, ok in zip(answers.pairs, answers.right, strict=True)
        if pair.coverage_face is not None and 0.3 < pair.coverage_face <= 0.5
    ]
    assert half and int(rows["coverage of the face", "30 to 50 %"]["correct"]) == sum(half)
    for by in ("mode", "category", "coverage of the eyes", "coverage of the mouth", "coverage of the face"):
        assert sum(group.n for group in found.groups if group.by == by) == 42, by


def test_two_models_and_their_difference(trained: Trained, tmp_path: Path) -> None:
    found = run(tmp_path / "out", trained.sim, trained.resnet)
    a, b = (read_predictions(tmp_path / "out" / name / "predictions.csv") for name in "ab")
    assert [pair.key for pair in a.pairs] == [pair.key for pair in b.pairs]
    total = found.groups[0]
    assert total.paired is not None
    assert total.paired.difference == pytest.approx(float(a.right.mean() - b.right.mean()))
    expected = paired_interval(a.right, b.right, [pair.person for pair in a.pairs])
    assert (total.paired.interval.low, total.paired.interval.high) == (expected.low, expected.high)
    with (tmp_path / "out/profile.csv").open() as file:
        assert tuple(next(csv.reader(file))) == PAIRED_COLUMNS
    assert read_profile(tmp_path / "out") == found == run(tmp_path / "again", trained.sim, trained.resnet)
    assert (tmp_path / "again/profile.csv").read_bytes() == (tmp_path / "out/profile.csv").read_bytes()
    (tmp_path / "out/profile.json").write_text('{"models": []}')
    with pytest.raises(ReportError, match=r"profile\.json is not a profile: it holds no groups"):
        read_profile(tmp_path / "out")


def drawn(figure: Figure) -> dict[str, list[tuple[float, float]]]:
    """Marker to its points, over all panels."""
    points: dict[str, list[tuple[float, float]]] = {}
    for axes in figure.axes:
        for line in axes.lines:
            if (marker := str(line.get_marker())) in "osD":
                points.setdefault(marker, []).extend((float(x), float(y)) for x, y in np.asarray(line.get_xydata()))
    return points


def test_the_figure_shows_every_group_and_difference(trained: Trained, tmp_path: Path) -> None:
    found = run(tmp_path / "two", trained.sim, trained.resnet)
    figure = profile_figure(found)
    figure.draw_without_rendering()
    points = drawn(figure)
    groups = found.groups[1:]
    order = ("coverage of the eyes", "coverage of the mouth", "coverage of the face", "mode", "category")
    ordered = sorted(groups, key=lambda group: order.index(group.by))
    assert sorted(y for _, y in points["o"]) == pytest.approx(sorted(group.shares[0].accuracy for group in ordered))
    assert sorted(y for _, y in points["s"]) == pytest.approx(sorted(group.shares[1].accuracy for group in ordered))
    differences = [group.paired.difference for group in ordered if group.paired is not None]
    assert sorted(y for _, y in points["D"]) == pytest.approx(sorted(differences))
    labels = [text.get_text() for axes in figure.axes for text in axes.get_xticklabels()]
    assert {"r16\n14", "eyes\n14"} <= set(labels)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        f"A: sim ({trained.sim})",
        f"B: resnet ({trained.resnet})",
    ]
    single = profile_figure(run(tmp_path / "one", trained.sim))
    assert len(single.axes) == 5 and not single.legends and "s" not in drawn(single)


def test_each_fold_is_tested_by_its_own_model(trained: Trained, tmp_path: Path) -> None:
    manifest = trained.root / "builds/manifests/toy-r16.csv"
    runs = train_folds(quick(manifest, method="resnet", fold=None, out=tmp_path / "folds"))
    found = run(tmp_path / "out", runs.folder)
    assert found.groups[0].n == 3 * 42
    assert found.notes[-1].startswith("intervals of all pairs: Wilson, design effect ")
    assert found.notes[-1].endswith(" over 6 subjects")


def test_what_is_built_alike(make_build: MakeBuild) -> None:
    given = make_build(name="toy-r16")
    make_build(name="toy-eyes", mode="eyes")
    make_build(name="toy-mouth-some", mode="mouth", subjects=2)
    make_build(name="toy-mouth", mode="mouth", subjects=4)
    make_build(name="toy-r16-more", subjects=8)
    make_build(name="toy-r8-32px", mode="r8", size_px=32)
    make_build(name="toy-r24-seed5", mode="r24", seed=5)
    (given.parent / "toy-r16.rejects.csv").write_text("source,reason\n")
    assert [path.name for path in built_alike(given)] == ["toy-eyes.csv", "toy-mouth.csv", "toy-r16.csv"]
    with pytest.raises(DataError, match=r"gone\.csv not found"):
        built_alike(given.with_name("gone.csv"))


def test_squares_on_the_face_are_profiled_only_with_their_like(make_build: MakeBuild) -> None:
    """Both kinds of squares are the same mode, so one of them would be taken for the other."""
    eyes, anywhere = make_build(name="toy-eyes", mode="eyes"), make_build(name="toy-r8", mode="r8")
    on_face = make_build(name="toy-r8-face", mode="r8", subjects=8)
    facts = on_face.with_suffix(".json")
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"square_at": "face"}))
    assert built_alike(eyes) == built_alike(anywhere) == [eyes, anywhere]
    assert built_alike(on_face) == [eyes, on_face]


def test_what_cannot_be_profiled(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="give --checkpoint once or twice"):
        run(tmp_path, *[trained.sim] * 3)
    with pytest.raises(ReportError, match="the method clean is tested on clean images, so occlusions"):
        run(tmp_path, trained.clean)
    with pytest.raises(ReportError, match="holds a training run, whose results would be lost"):
        run(trained.resnet, trained.sim)
    manifests = [trained.root / f"builds/manifests/{name}.csv" for name in ("toy-r16", "other-r8")]
    with pytest.raises(DataError, match="a profile is made on one database, not other, toy"):
        run(tmp_path, trained.sim, manifests=tuple(manifests))
    (trained.root / "builds").rename(trained.root / "away")
    try:
        with pytest.raises(DataError, match=r"its training manifest \(.*toy-r16\.csv\) was not found; name the man"):
            run(tmp_path, trained.sim)
    finally:
        (trained.root / "away").rename(trained.root / "builds")


def test_from_the_command_line(trained: Trained, tmp_path: Path) -> None:
    words = ["profile", "--checkpoint", trained.sim, "--checkpoint", trained.resnet, "-o", tmp_path, "--format", "svg"]
    result = CliRunner().invoke(app, [*map(str, words), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:2] == [f"A: sim ({trained.sim}) on toy (eyes, r16, random)",
                         f"B: resnet ({trained.resnet}) on toy (eyes, r16, random)"]  # fmt: skip
    assert lines[2].split("\t") == ["by", "group", "n", "A", "95 % interval", "B", "95 % interval", "A - B",
                                    "95 % interval"]  # fmt: skip
    assert lines[3].startswith("all\tall\t42\t")
    assert (tmp_path / "profile.svg").stat().st_size > 10_000
