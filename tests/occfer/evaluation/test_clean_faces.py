"""`evaluate --view clean`, the clean faces beside every result, and the drop between the two."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.errors import DataError
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.evaluation.result_folders import open_result
from occfer.metrics.clean_faces import on_clean_faces
from occfer.metrics.clean_result import read_clean_result
from occfer.metrics.predictions import read_predictions
from occfer.reports.html_table import table_view
from occfer.reports.runs_table import runs_table
from occfer.runs.run_folder import Run
from occfer.tables.result_table import Cell, Missing
from occfer.training.folds import train_folds
from occfer.training.train import train
from tests.occfer.toy_builds import Build, add_tiny_backbone, edited, without_clean, write_build


def quick(manifest: Path, **settings: Any) -> TrainConfig:
    small: dict[str, Any] = {
        "fold": 0, "method": "resnet", "backbone": "tiny", "weights": "none", "epochs": 1, "pretrain_epochs": 2,
        "pretrain_rate": 1e-3, "batch_size": 8, "device": "cpu",
    }  # fmt: skip
    return TrainConfig(manifests=(manifest,), **(small | settings))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    add_tiny_backbone()
    root = tmp_path_factory.mktemp("clean")
    return train(quick(write_build(root / "builds", Build()), out=root / "run"))


@pytest.fixture(autouse=True)
def known_backbone(run: Run, tiny_backbone: None) -> None:
    """The backbone `tiny` is in the table in every test."""


def manifest_of(run: Run) -> Path:
    return run.config.manifests[0]


def test_a_run_tests_the_clean_faces_too_and_tells_the_drop(run: Run) -> None:
    clean, occluded = read_clean_result(run.folder), read_predictions(run.predictions)
    assert clean is not None and [pair.key for pair in clean.pairs] == [pair.key for pair in occluded.pairs]
    assert not np.array_equal(clean.probabilities, occluded.probabilities)
    told = run.metrics["clean"]
    assert told["n"] == len(clean.pairs) and told["accuracy"] == clean.right.mean()
    assert told["drop"] == pytest.approx(clean.right.mean() - occluded.right.mean())
    assert told["drop_interval"]["low"] <= told["drop"] <= told["drop_interval"]["high"]
    assert told["drop_interval"]["low"] < told["drop_interval"]["high"]
    summary = json.loads((run.folder / "clean-faces" / "metrics.json").read_text())
    assert (summary["view"], summary["n"], summary["method"]) == ("clean", told["n"], "resnet")


def test_evaluate_shows_the_occluded_branch_clean_faces(run: Run) -> None:
    found = evaluate(EvaluateOptions(checkpoint=run.folder, manifests=(manifest_of(run),), view="clean", device="cpu"))
    clean = read_clean_result(run.folder)
    assert clean is not None and np.array_equal(found.predictions.probabilities, clean.probabilities)
    assert found.folder == run.folder / "evaluation" / "toy-r16-clean"
    assert found.title == "resnet on the clean faces of toy (r16)"
    assert found.summary["view"] == "clean" and found.summary["drop"] == run.metrics["clean"]
    with_clean = EvaluateOptions(
        checkpoint=run.folder, manifests=(manifest_of(run),), with_clean=True, device="cpu",
        out=run.folder.parent / "both",
    )  # fmt: skip
    both = evaluate(with_clean)
    assert both.summary["clean"] == run.metrics["clean"] and both.summary["view"] == "occluded"
    again = read_clean_result(both.folder)
    assert again is not None and np.array_equal(again.probabilities, clean.probabilities)


def test_a_report_keeps_clean_faces_in_columns_of_their_own(run: Run, tmp_path: Path) -> None:
    """Beside the figure of a run; an evaluation of clean faces alone has a column that is in no test with others."""
    options = EvaluateOptions(
        checkpoint=run.folder, manifests=(manifest_of(run),), view="clean", device="cpu", out=tmp_path / "clean"
    )
    evaluate(options)
    table = runs_table([open_result(run.folder), open_result(tmp_path / "clean")], tmp_path)
    assert [column.title for column in table.columns] == ["toy, r16", "toy, r16, clean faces"]
    first, second = (line.cells for line in table.lines)
    own, alone = first["toy-r16"], second["toy-r16, clean faces"]
    assert isinstance(own, Cell) and isinstance(alone, Cell) and own.clean is not None
    assert own.clean.accuracy == alone.accuracy == run.metrics["clean"]["accuracy"] and alone.clean is None
    assert isinstance(first["toy-r16, clean faces"], Missing) and isinstance(second["toy-r16"], Missing)
    view = table_view(table, "runs", "")
    assert view.with_clean == {"toy-r16"}
    assert view.lines[0].cells[0].clean_order == str(own.clean.accuracy) and view.lines[1].cells[0].clean == "-"


def test_the_commands_print_the_drop(run: Run, tmp_path: Path) -> None:
    words = ["evaluate", "--checkpoint", str(run.folder), "--manifest", str(manifest_of(run)), "--view", "clean"]
    done = CliRunner().invoke(app, [*words, "--device", "cpu", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "resnet on the clean faces of toy (r16): accuracy " in done.stdout
    assert f"drop from clean to occluded {run.metrics['clean']['drop']:.3f}, 95 % interval " in done.stdout


def test_the_folds_pool_their_clean_faces(run: Run, tmp_path: Path) -> None:
    found = train_folds(quick(manifest_of(run), fold=None, pretrain_epochs=1, out=tmp_path / "folds"))
    clean = read_clean_result(found.folder)
    assert clean is not None and len(clean.pairs) == found.metrics["clean"]["n"] == len(found.predictions.pairs)


def test_really_occluded_faces_have_no_clean_ones(run: Run, make_build: Callable[..., Path], tmp_path: Path) -> None:
    real = make_build(name="real-real", database="real", mode="real", edit=edited(without_clean))
    tested = train(quick(manifest_of(run), fold=None, test_manifests=(real,), out=tmp_path / "run"))
    assert "clean" not in tested.metrics and read_clean_result(tested.folder) is None
    with pytest.raises(DataError, match=r"--view clean tests on clean images, which 42 pairs do not have"):
        evaluate(EvaluateOptions(checkpoint=run.folder, manifests=(real,), view="clean", device="cpu"))
    both = EvaluateOptions(
        checkpoint=run.folder, manifests=(real,), with_clean=True, device="cpu", out=tmp_path / "both"
    )
    assert "clean" not in evaluate(both).summary


def test_a_drop_is_of_pairs(run: Run) -> None:
    """The same answers twice drop by nothing, and the interval says so more surely than two unpaired ones could."""
    occluded = read_predictions(run.predictions)
    none = on_clean_faces([occluded], [occluded])
    assert none.drop == 0 and none.drop_interval.low <= 0 <= none.drop_interval.high
    unpaired = 2 * (none.interval.high - none.interval.low)
    assert none.drop_interval.high - none.drop_interval.low < unpaired
    two_seeds = on_clean_faces([occluded, occluded], [occluded, occluded])
    assert two_seeds.n == none.n and two_seeds.accuracy == none.accuracy
