"""Two runs on the same pairs: paired statistics checked by hand, groups, contact sheet, and what is refused."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy.stats import binomtest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.errors import ReportError
from occfer.evaluation.against_control import compare_with_control
from occfer.evaluation.compare import (
    CSV_COLUMNS,
    CompareOptions,
    Comparison,
    compare,
    read_compared,
)
from occfer.evaluation.differences import chosen, differences
from occfer.files import write_json
from occfer.metrics.groups import groups_of
from occfer.metrics.intervals import is_old, wilson
from occfer.metrics.paired import common_pairs, compare_answers
from occfer.metrics.predictions import PredictedPair, Predictions, write_predictions
from occfer.metrics.significance import holm
from occfer.training.train import train
from tests.occfer.toy_builds import edited

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]
CLASSES = ("anger", "fear", "happiness")
PAIR = PredictedPair(
    pair_id="p", database="toy", mode="r16", subject="", fold=0, category="food", coverage_face=0.1, coverage_eyes=0.0,
    coverage_mouth=None, truth="anger",
)  # fmt: skip


def table(*answers: tuple[PredictedPair, str]) -> Predictions:
    """Each pair with the class that a model names."""
    probabilities = np.array([[0.8 if name == answer else 0.1 for name in CLASSES] for _, answer in answers])
    return Predictions(CLASSES, tuple(pair for pair, _ in answers), probabilities)


def pairs(count: int, **changes: Any) -> list[PredictedPair]:
    return [replace(PAIR, pair_id=f"p{index}", **changes) for index in range(count)]


def answered(known: Sequence[PredictedPair], right: Sequence[int]) -> Predictions:
    """Right where `right` says 1, else a wrong answer."""
    return table(*((pair, "anger" if each else "fear") for pair, each in zip(known, right, strict=True)))


def counted(both: int, only_a: int, only_b: int, neither: int) -> tuple[Any, Any]:
    """Two methods' right answers, with those counts."""
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return np.array(a), np.array(b)


def test_every_figure_of_a_comparison_by_hand() -> None:
    """Ten faces: A has 8 right, B 5; A alone 4, B alone 1. Exact p = 2 * (C(5,0) + C(5,1)) / 2^5 = 0.375."""
    known = [*pairs(6), *pairs(4, mode="eyes", category="hand", coverage_eyes=0.9, coverage_face=0.3)]
    known = [replace(pair, pair_id=f"p{index}") for index, pair in enumerate(known)]
    a = answered(known, [1, 1, 1, 1, 1, 0, 1, 1, 1, 0])
    b = answered(known, [1, 1, 0, 0, 0, 1, 1, 1, 0, 0])
    everyone, *rest = compare_answers(common_pairs(a, b))
    assert (everyone.by, everyone.n, everyone.a.correct, everyone.b.correct) == ("all", 10, 8, 5)
    assert everyone.difference == pytest.approx(0.3)
    assert (everyone.only_a, everyone.only_b) == (4, 1)
    assert everyone.p == pytest.approx(0.375)
    assert everyone.a.interval == wilson(8, 10)
    found = {(group.by, group.label): group for group in rest}
    assert {key: group.n for key, group in found.items()} == {
        ("mode", "eyes"): 4, ("mode", "r16"): 6, ("category", "food"): 6, ("category", "hand"): 4,
        ("coverage of the eyes", "none"): 6, ("coverage of the eyes", "75 to 100 %"): 4,
        ("coverage of the face", "5 to 10 %"): 6, ("coverage of the face", "20 to 30 %"): 4,
    }  # fmt: skip
    r16, eyes = found["mode", "r16"], found["mode", "eyes"]
    assert (r16.only_a, r16.only_b) == (3, 1)
    assert r16.p == pytest.approx(0.625)
    assert (eyes.only_a, eyes.only_b, eyes.p) == (1, 0, 1.0)
    assert [group.p_holm for group in rest] == holm([group.p for group in rest]), "all groups are one family"
    assert everyone.p_holm == everyone.p
    assert r16.p == pytest.approx(binomtest(3, 4).pvalue)


def test_pairs_are_joined_by_name_not_by_place() -> None:
    known = pairs(4)
    a = answered(known, [1, 1, 0, 0])
    b = answered([*reversed(known), replace(PAIR, pair_id="other")], [0, 0, 1, 1, 1])
    common = common_pairs(a, b)
    assert [pair.pair_id for pair in common.b.pairs] == ["p0", "p1", "p2", "p3"]
    assert (common.only_in_a, common.only_in_b) == (0, 1)
    assert not differences(common)
    with pytest.raises(ReportError, match=r"no pair in common: 4 of toy \(r16\) and 1 of toy \(r8\)"):
        common_pairs(a, answered(pairs(1, mode="r8"), [1]))
    with pytest.raises(ReportError, match="pair 'p0' is anger in one run and fear in the other"):
        common_pairs(a, table((replace(PAIR, pair_id="p0", truth="fear"), "fear")))


def test_differing_answers_are_told_apart() -> None:
    known = pairs(5)
    a = table(*zip(known, ["anger", "fear", "fear", "fear", "anger"], strict=True))
    b = table(*zip(known, ["fear", "anger", "happiness", "fear", "fear"], strict=True))
    found = differences(common_pairs(a, b))
    assert [(each.pair.pair_id, each.turn) for each in found] == [("p0", 0), ("p4", 0), ("p1", 1), ("p2", 2)]
    assert [each.pair.pair_id for each in chosen(found, 3)] == ["p0", "p1", "p2"], "each kind has its turn"


def test_groups_hold_every_pair_of_known_coverage_once() -> None:
    rng = np.random.default_rng(0)
    known = [
        replace(PAIR, pair_id=str(index), coverage_face=float(rng.random()), coverage_mouth=float(rng.integers(0, 2)))
        for index in range(50)
    ]
    found = groups_of(known)
    for by in dict.fromkeys(group.by for group in found):
        assert (np.sum([group.members for group in found if group.by == by], axis=0) == 1).all(), by


def save(folder: Path, predictions: Predictions, **metrics: Any) -> Path:
    folder.mkdir(parents=True)
    write_predictions(folder / "predictions.csv", predictions)
    write_json(folder / "metrics.json", {"method": "sim"} | metrics)
    return folder


def test_runs_are_compared_with_a_control_and_adjusted_together(tmp_path: Path) -> None:
    known = pairs(30)
    rights = {"control": [1] * 10 + [0] * 20, "a": [1] * 18 + [0] * 12, "b": [1] * 16 + [0] * 14, "c": [0] + [1] * 29}
    folders = {name: save(tmp_path / name, answered(known, right)) for name, right in rights.items()}
    runs = [folders[name] for name in "abc"]
    found = compare_with_control(runs, [folders["control"]], tmp_path / "out")
    for folder, group in zip(runs, found.groups, strict=True):
        alone = compare(CompareOptions(a=folder, b=folders["control"])).groups[0]
        assert (group.a, group.b, group.p) == (alone.a, alone.b, alone.p)
        assert str(folder) in group.label
    ordered = sorted(group.p for group in found.groups)
    by_hand = {p: max(min(1.0, (3 - rank) * ordered[rank]) for rank in range(at + 1)) for at, p in enumerate(ordered)}
    assert [group.p_holm for group in found.groups] == [by_hand[group.p] for group in found.groups]
    with (tmp_path / "out/control.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["p_holm"]) for line in lines] == [group.p_holm for group in found.groups]
    words = ["compare", *map(str, runs), "--control", str(folders["control"]), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[2].split("\t")[1:4] == ["30", "0.600", "0.333"]
    told = next(line for line in result.stdout.splitlines() if line.startswith("95 % intervals: Wilson's"))
    assert told.endswith("; p: exact McNemar, (Holm) over the 3 lines of this table")


def of_seed(folder: Path, seed: int, right: Sequence[int], method: str = "full", **settings: Any) -> Path:
    save(folder, answered(pairs(len(right)), right), method=method)
    write_json(folder / "config.json", {"method": method, "seed": seed, "out": str(folder)} | settings)
    write_json(folder / "data.json", {"manifests": []})
    return folder


def test_runs_of_several_seeds_are_one_line_against_the_controls_of_their_seeds(tmp_path: Path) -> None:
    """By hand: of ten faces the method alone is right on a, b, c with both seeds, on d with one, never alone wrong."""
    control = [[0] * 4 + [1] * 6, [0] * 5 + [1] * 5]
    full = [[1] * 10, [1, 1, 1, 0, 0] + [1] * 5]
    controls = [of_seed(tmp_path / f"long-{seed}", seed, control[seed], "resnet-long") for seed in (0, 1)]
    runs = [of_seed(tmp_path / f"full-{seed}", seed, full[seed]) for seed in (1, 0)]
    other = of_seed(tmp_path / "other-1", 1, control[1], lambda_sim=9.0)
    found = compare_with_control([*runs, other], controls[::-1], tmp_path / "out")
    both, alone = found.groups
    assert both.label == f"full, seeds 0, 1 ({runs[1]}, {runs[0]})"
    assert (both.n, both.a.accuracy, both.b.accuracy) == (20, 0.9, 0.55)
    assert (both.only_a, both.only_b, both.test) == (7, 0, "exact sign flips by face")
    assert both.p == 2 / 2**4, "four faces differ, each with a sign of its own"
    assert (alone.label, alone.n, alone.p) == (f"full ({other})", 10, 1.0)
    words = ["compare", *map(str, runs), *(word for each in controls for word in ("--control", str(each)))]
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert [line.split("\t")[1] for line in lines[:2]] == [f"resnet-long ({each})" for each in controls]
    assert lines[3].split("\t")[1:5] == ["20", "0.900", "0.550", "+0.350"]


def test_seeds_without_a_control_are_named(tmp_path: Path) -> None:
    zero, one = (of_seed(tmp_path / f"long-{seed}", seed, [0, 1], "resnet-long") for seed in (0, 1))
    same = of_seed(tmp_path / "same", 1, [0, 1], "resnet-long")
    changed = of_seed(tmp_path / "changed", 2, [0, 1], "resnet-long", rate=1.0)
    runs = [of_seed(tmp_path / f"full-{number}", number // 2, [1, 1]) for number in range(6)]
    nothing = save(tmp_path / "nothing", answered(pairs(2), [1, 1]))
    for given, controls, message in (
        (runs[4:5], (zero, one), "full-4 has the seed 2, which no --control has"),
        (runs[:2], (zero, one), "full-0 and .*full-1 are runs of the same settings and seed"),
        (runs[:1], (one, same), "long-1 and .*same are controls of the seed 1"),
        (runs[:1], (zero, changed), "long-0, .*changed differ in more than their seed"),
        ([nothing], (zero, one), "the seed of .*nothing is not known"),
    ):
        with pytest.raises(ReportError, match=message):
            compare_with_control(given, controls)


def test_a_comparison_of_version_0_1_is_adjusted_anew(tmp_path: Path) -> None:
    """It adjusted p-values over the groups of one kind, and bootstrapped intervals."""
    known = [*pairs(12), *pairs(12, mode="eyes", category="hand", coverage_eyes=0.9, coverage_face=0.3)]
    known = [replace(pair, pair_id=f"p{index}") for index, pair in enumerate(known)]
    folders = [
        save(tmp_path / name, answered(known, right)) for name, right in (("a", [1] * 24), ("b", [0] * 9 + [1] * 15))
    ]
    made = compare(CompareOptions(a=folders[0], b=folders[1], out=tmp_path / "out", pictures=0))
    path = tmp_path / "out/compare.json"
    content = json.loads(path.read_text())
    for row in content["rows"]:
        row["p_holm"] = row["p"]
        row["interval"]["how"] = "bootstrap over 12 subjects"
    write_json(path, {key: value for key, value in content.items() if key in {"a", "b", "rows", "differing", "notes"}})
    found = read_compared(tmp_path / "out")
    assert [group.p_holm for group in found.groups] == [group.p_holm for group in made.groups]
    r16 = next(group for group in found.groups if group.label == "r16")
    assert r16.p_holm == pytest.approx(len(found.groups[1:]) * r16.p), "the smallest p-value of all groups"
    assert all(is_old(group.interval) for group in found.groups)


def test_two_runs_or_a_control_are_asked_for(tmp_path: Path) -> None:
    folder = save(tmp_path / "a", answered(pairs(3), [1, 0, 1]))
    result = CliRunner().invoke(app, ["compare", *[str(folder)] * 3])
    assert result.exit_code == 2
    assert "3 runs: give two, or name the one to compare with by --control" in result.stderr


def call(*words: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stdout, result.stderr


@pytest.fixture
def trained(make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path) -> tuple[Path, Path]:
    """Two runs on one manifest, in the folders a and b."""
    manifest = make_build(edit=edited(lambda row: replace(row, occlusion='{"category": "hand"}')))
    for name, method in (("a", "sim"), ("b", "resnet")):
        train(make_config(manifest, method=method, out=tmp_path / name, pretrain_epochs=12 if name == "a" else 0))
    return tmp_path / "a", tmp_path / "b"


def test_two_runs_from_the_command_line(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stdout, stderr = call("compare", "a", "b", "-o", "out", "--pictures", 4)
    assert stderr == ""
    told, *lines = stdout.splitlines()
    assert told == (
        "n = 14, of 2 subjects; 95 % intervals: Wilson's for accuracies and UAR, Newcombe's for differences, on n "
        "divided by the design effect"
    )
    assert re.match(r"A: sim \(a\): accuracy 0\.\d{3}, 95 % interval 0\.\d{3} to 0\.\d{3}, n = 14 \(Wilson", lines[0])
    assert re.match(r"A - B: [+-]0\.\d{3}, 95 % interval [+-]0\.\d{3} to [+-]0\.\d{3} \(Newcombe", lines[2])
    assert re.match(r"exact sign flips by subject: A alone right on \d+, B alone on \d+, p = ", lines[3])
    assert any(line.startswith("category\thand\t14\t") for line in lines)
    assert any(
        re.fullmatch(r"p \(Holm\): exact [\w ]+, adjusted over the \d+ groups of this table", line) for line in lines
    )
    content = json.loads(Path("out/compare.json").read_text())
    assert content["a"] == {"method": "sim", "folder": "a", "only_here": 0}
    with Path("out/compare.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == CSV_COLUMNS and [row["group"] for row in rows][:2] == ["all", "r16"]
    assert float(rows[0]["difference"]) == content["rows"][0]["difference"]
    different = len(content["differing"])
    assert different > 4, "the toy runs must differ enough for this test"
    picture = cv2.imread("out/differences.png")
    assert picture is not None and picture.std() > 20
    before = Path("out/differences.png").read_bytes()
    call("compare", "a", "b", "-o", "out", "--pictures", 4)
    assert Path("out/differences.png").read_bytes() == before


def run_options(trained: tuple[Path, Path], **options: Any) -> Comparison:
    return compare(CompareOptions(a=trained[0], b=trained[1], **options))


def test_manifests_that_moved_or_changed(trained: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "builds").rename(tmp_path / "elsewhere")
    found = run_options(trained, out=tmp_path / "out")
    assert found.notes == (
        "manifest toy-r16 not found; give it with --manifest",
        "no contact sheet: none of the images was found",
    )
    assert [path.name for path in found.files] == ["compare.json", "compare.csv"]
    assert json.loads(found.files[0].read_text())["notes"] == list(found.notes)
    manifest = tmp_path / "elsewhere/manifests/toy-r16.csv"
    given = run_options(trained, out=tmp_path / "given", manifests=(manifest,))
    assert given.notes == () and given.files[-1].name == "differences.png"
    (tmp_path / "elsewhere").rename(tmp_path / "builds")
    manifest = tmp_path / "builds/manifests/toy-r16.csv"
    manifest.write_text(manifest.read_text().replace("s005_anger.png,", "s005_anger.jpg,", 1))
    changed = run_options(trained, out=tmp_path / "changed")
    assert "toy-r16.csv has changed since the run" in changed.notes[0]
    for path in (tmp_path / "builds/data/toy-r16/occluded").iterdir():
        path.write_bytes(b"")
    broken = run_options(trained, out=tmp_path / "broken", manifests=(manifest,), pictures=99)
    assert broken.notes[-1].startswith("no contact sheet: ")


def test_a_run_that_was_moved_with_its_builds_is_found(
    trained: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads((tmp_path / "a/config.json").read_text())
    for name in "ab":
        write_json(tmp_path / name / "config.json", config | {"manifests": ["builds/manifests/toy-r16.csv"]})
    monkeypatch.chdir("/")
    assert run_options(trained, out=tmp_path / "out").notes == ()


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    a = save(tmp_path / "a", answered(pairs(3), [1, 0, 1]))
    b = save(tmp_path / "b", answered(pairs(3, mode="r8"), [1, 0, 1]))
    (tmp_path / "run").mkdir()
    clean = save(tmp_path / "clean", answered(pairs(3), [1, 1, 1]), method="clean")
    said = call("compare", a, b, code=1)[1]
    assert said.startswith("error: the runs have no pair in common: 3 of toy (r16) and 3 of toy (r8)")
    assert "holds no results" in call("compare", a, tmp_path, code=1)[1]
    assert "the method clean is tested on clean images" in call("compare", a, clean, code=1)[1]
    write_json(tmp_path / "run/config.json", {})
    (tmp_path / "run/checkpoints").mkdir()
    assert "holds a training run, whose results" in call("compare", a, a, "-o", tmp_path / "run", code=1)[1]


def test_what_only_one_run_was_tested_on_is_counted(tmp_path: Path) -> None:
    a = save(tmp_path / "a", answered(pairs(5), [1, 0, 1, 1, 1]))
    b = save(tmp_path / "b", answered(pairs(3), [1, 0, 1]))
    found = run_options((a / "predictions.csv", b), out=tmp_path / "out")
    assert found.notes[0] == "2 pairs of A were left out, because the other was not tested on them"
    assert found.groups[0].n == 3 and found.groups[0].difference == 0 and found.groups[0].p == 1
    assert found.to_json()["a"]["only_here"] == 2
    assert [path.name for path in found.files] == ["compare.json", "compare.csv"], (
        "no answers differ, so there is no contact sheet"
    )
