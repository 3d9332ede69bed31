"""A trained model on a frozen suite of demo faces: from the command line, over folds, and what its training was."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from occfer.benchmark.checkpoint import open_checkpoint
from occfer.benchmark.contestant import Question
from occfer.benchmark.result import read_benchmark
from occfer.benchmark.run import run_benchmark
from occfer.benchmark.suites import ReadySuite, ready_suite
from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.data.manifests import read_corpus
from occfer.errors import DataError
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.metrics.predictions import read_predictions
from occfer.training.folds import train_folds
from occfer.training.train import train
from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.suites.suite import FILE, dump_suite, read_suite, suite_digest
from tests.builds import DEMO_ROOT
from tests.occfer.toy_builds import Build, add_tiny_backbone, write_build
from tests.occsynth.suites.small_suite import frozen_suite, made_suite

STEMS = [path.stem for path in sorted(DEMO_ROOT.glob("images/s00[1-7]/*.jpg"))]
"""People of folds 0 to 6, seven pictures of each."""


def quick(*manifests: Path, **settings: Any) -> TrainConfig:
    small: dict[str, Any] = {
        "fold": 0, "backbone": "tiny", "weights": "none", "epochs": 1, "pretrain_epochs": 1, "batch_size": 16,
        "device": "cpu", "method": "resnet", "size_px": 32,
    }  # fmt: skip
    return TrainConfig(manifests=manifests, **(small | settings))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on a few demo people without and with the suite's templates, and the suite's pictures."""
    add_tiny_backbone()
    root = tmp_path_factory.mktemp("benchmark")
    (root / "few.txt").write_text("\n".join(STEMS))
    for split in ("train", "all"):
        options = BuildOptions(
            db="demo", modes=("random",), subset=root / "few.txt", template_split=split, out=root / "builds", workers=1
        )
        (manifest,) = build(options).manifests
        train(quick(manifest, out=root / f"runs/{split}"))
    ready_suite(frozen_suite(), root / "pictures", workers=1)
    return root


@pytest.fixture(autouse=True)
def known_backbone(root: Path, tiny_backbone: None) -> None:
    """The backbone `tiny` is in the table in every test."""


@pytest.fixture
def suite(root: Path) -> ReadySuite:
    return ready_suite(frozen_suite(), root / "pictures", workers=1)


def test_the_command_prints_a_table_and_its_files_can_be_read(root: Path, tmp_path: Path) -> None:
    words = (
        "benchmark", "--suite", frozen_suite(), "--checkpoint", root / "runs/train", "--builds", root / "pictures",
        "-o", tmp_path / "out", "--device", "cpu",
    )  # fmt: skip
    for _ in range(2):
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0, f"{done.output}\n{done.exception!r}"
    digest = read_suite(frozen_suite()).digest
    lines = done.stdout.splitlines()
    assert lines[0] == f"train (resnet, tiny, 32 px) on small 1, digest {digest[:12]}"
    assert [line.split("\t")[0] for line in lines[1:-5]] == [
        "column", "clean", "r16-seen", "eyes-unseen", "mean, 2 columns", "mean of paper, 2 columns",
        "mean of seen, 1 column", "mean of unseen, 1 column", "real",
    ]  # fmt: skip
    assert any(line.startswith("worst column: ") for line in lines)
    assert any(line.startswith("selected by accuracy on ") for line in lines)
    found = read_benchmark(tmp_path / "out")
    assert found.suite.digest == digest and found.clean.n == 28
    assert len(json.loads((tmp_path / "out/results.json").read_text())) == 7
    clean = next(line.split("\t") for line in lines if line.startswith("clean\t"))
    assert clean[1:3] == ["28", f"{found.clean.accuracy:.3f}"]


def test_a_column_is_answered_as_evaluate_answers_it(root: Path, suite: ReadySuite, tmp_path: Path) -> None:
    run_benchmark(suite, open_checkpoint(root / "runs/train", device="cpu"), tmp_path / "out")
    manifest = suite.columns[1].question.corpus.manifests[0].path
    options = EvaluateOptions(
        checkpoint=root / "runs/train", manifests=(manifest,), part="all", device="cpu", out=tmp_path / "evaluated",
        with_clean=True,
    )  # fmt: skip
    evaluated = evaluate(replace(options, allow_overlap=True))
    ours = read_predictions(tmp_path / "out/columns/eyes-unseen/predictions.csv")
    assert (ours.probabilities == evaluated.predictions.probabilities).all()
    assert [pair.pair_id for pair in ours.pairs] == [pair.pair_id for pair in evaluated.predictions.pairs]
    clean = read_predictions(tmp_path / "out/columns/clean/predictions.csv")
    theirs = read_predictions(tmp_path / "evaluated/clean-faces/predictions.csv")
    assert (clean.probabilities == theirs.probabilities).all()


def test_what_is_known_of_the_training(root: Path, suite: ReadySuite, tmp_path: Path) -> None:
    questions = tuple(column.question for column in suite.columns)
    kept = open_checkpoint(root / "runs/train", device="cpu").provenance(questions)
    assert (kept.trained_on, kept.overlap, kept.known_templates, kept.doubt) == (("demo",), 0, 0, "")
    assert kept.selected_by.startswith("accuracy on ") and not kept.marks
    loose = open_checkpoint(root / "runs/all", device="cpu").provenance(questions)
    assert loose.overlap == 0 and loose.known_templates
    other = train(quick(root / "builds/manifests/demo-random-templates-train-few.csv", fold=1, out=tmp_path / "fold1"))
    seen = open_checkpoint(other.folder, device="cpu").provenance(questions)
    assert seen.overlap == 7 and seen.marks == ("knows 7 of the tested faces",)
    alone = Path(shutil.copy(root / "runs/train/checkpoints/best.safetensors", tmp_path / "alone.safetensors"))
    (root / "builds").rename(root / "moved")
    try:
        unknown = open_checkpoint(alone, device="cpu")
        assert unknown.facts.name == "alone"
        found = unknown.provenance(questions)
    finally:
        (root / "moved").rename(root / "builds")
    assert found.overlap is None and found.marks == ("training faces unknown",) and "not found" in found.doubt


def test_each_fold_answers_for_the_faces_that_it_left_out(tmp_path: Path) -> None:
    build_of = Build(name="toy-r16", subjects=6, folds=3)
    manifest = write_build(tmp_path / "builds", build_of)
    train_folds(quick(manifest, fold=None, size_px=None, out=tmp_path / "folds"))
    contestant = open_checkpoint(tmp_path / "folds", device="cpu")
    assert contestant.facts.about.endswith("3 folds")
    question = Question("r16", "occluded", read_corpus([manifest]))
    answers = contestant.answer(question, lambda _count: None)
    pooled = read_predictions(tmp_path / "folds/predictions.csv")
    by_id = {pair.pair_id: line for pair, line in zip(pooled.pairs, pooled.probabilities.tolist(), strict=True)}
    for sample, line in zip(question.samples, answers.probabilities.tolist(), strict=True):
        assert line == pytest.approx(by_id[sample.pair_id], abs=1e-8)
    assert contestant.provenance((question,)).overlap == 0
    with pytest.raises(DataError, match="which are not those of the suite's faces"):
        other = write_build(tmp_path / "other", replace(build_of, database="else", name="else-r16"))
        contestant.answer(Question("r16", "occluded", read_corpus([other])), lambda _count: None)


def test_other_labels_are_never_tested_on(root: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    shutil.copytree(root / "pictures", pictures)
    suite = read_suite(frozen_suite())
    wrong = tmp_path / "wrong"
    shutil.copytree(frozen_suite(), wrong)
    unsealed = replace(suite, truth_sha256="0" * 64)
    (wrong / FILE).write_text(dump_suite(replace(unsealed, digest=suite_digest(unsealed))))
    with pytest.raises(DataError, match="the labels or subjects in this copy of demo are not those that small 1"):
        ready_suite(wrong, pictures, workers=1)


def test_a_suite_that_is_not_frozen_ends_in_one_line(root: Path, tmp_path: Path) -> None:
    words = ("benchmark", "--checkpoint", root / "runs/train", "--builds", tmp_path, "--suite")
    for name, told in (
        (made_suite(), "it is not frozen"),
        ("ferplus", "it is not frozen"),
        ("none", "no suite 'none'"),
    ):
        done = CliRunner().invoke(app, [str(word) for word in (*words, name)])
        assert done.exit_code == 1 and done.stderr.startswith("error: ") and told in done.stderr
