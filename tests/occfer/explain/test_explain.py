"""`occfer explain` on trained models: its files, its figures, and what `compare` and `report` make of them."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.data.manifests import read_corpus
from occfer.errors import DataError, MethodError, ReportError
from occfer.evaluation.compare import CompareOptions, compare, read_compared
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.evaluation.heat_results import FILE, SHEET, TABLE, heat_folders, open_heat
from occfer.explain.explain import ExplainOptions, explain
from occfer.explain.faces import read_mask
from occfer.metrics.heat import COVERED
from occfer.models import BACKBONES
from occfer.reports.page import ReportOptions, write_report
from occfer.training.folds import train_folds
from occfer.training.train import train
from tests.occfer.toy_builds import Build, add_tiny_backbone, edited, without_clean, write_build

MakeConfig = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of different methods on one manifest; `tests/occfer/conftest.py` has the same settings."""
    here = tmp_path_factory.mktemp("explained")
    add_tiny_backbone()
    manifest = write_build(here / "builds", Build(size_px=48, subjects=9))
    config = TrainConfig(
        manifests=(manifest,), fold=0, backbone="tiny", weights="none", epochs=1, pretrain_epochs=1, batch_size=8,
        device="cpu", branch_cache=here / "branches",
    )  # fmt: skip
    for method in ("resnet", "sim", "clean"):
        train(replace(config, method=method, out=here / "runs" / method))
    del BACKBONES["tiny"]
    return here


@pytest.fixture(autouse=True)
def tiny(tiny_backbone: None) -> None:
    """The models' backbone."""


def options(root: Path, method: str = "resnet", **changes: object) -> ExplainOptions:
    plain = ExplainOptions(checkpoint=root / "runs" / method, manifests=(manifest_of(root),), device="cpu", faces=0)
    return replace(plain, **changes)  # type: ignore[arg-type]


def manifest_of(root: Path) -> Path:
    return root / "builds/manifests/toy-r16.csv"


def test_the_files_hold_every_face_and_its_shares(root: Path, tmp_path: Path) -> None:
    found = explain(options(root, out=tmp_path / "out", faces=9))
    result = found.result
    assert result.facts.map_hw == (6, 6) and result.facts.explained == "answer"
    assert result.facts.notes == ("toy: fold 0, 21 of 63 pairs",)
    with (tmp_path / "out" / TABLE).open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(result.pairs) == 21 and len({line["subject"] for line in lines}) == 3
    corpus = read_corpus([manifest_of(root)])
    samples = {sample.pair_id: sample for sample in corpus.samples}
    for line in lines:
        mask = read_mask(corpus, samples[line["pair_id"]])
        assert float(line["share_of_face"]) == pytest.approx((mask >= COVERED).mean())
        assert line["share_of_heat"] == "" or 0 <= float(line["share_of_heat"]) <= 1
        assert line["answer"] == line["explained"] and 1 / 7 < float(line["probability"]) <= 1
    written = json.loads((tmp_path / "out" / FILE).read_text())
    (total, *_) = result.groups
    assert written["rows"][0]["difference"]["mean"] == pytest.approx(
        np.mean(
            [float(line["share_of_heat"]) - float(line["share_of_face"]) for line in lines if line["share_of_heat"]]
        )
    )
    assert total.n + total.cold == 21 and total.difference is not None
    assert total.difference.interval.how == "Student's t over 3 subjects"
    assert found.sheet is not None
    picture = cv2.imread(str(found.sheet))
    # two bands of three pictures; seven faces in the first
    assert picture is not None and picture.shape[1] > 1600 and picture.shape[0] > 1500 and picture.std() > 20


def test_figures_do_not_depend_on_the_batch(root: Path, tmp_path: Path) -> None:
    found = {
        size: explain(options(root, out=tmp_path / str(size), batch_size=size, faces=2 * (size == 64))).result
        for size in (1, 4, 64)
    }
    again = explain(options(root, out=tmp_path / "again", batch_size=64, faces=2)).result
    assert again.pairs == found[64].pairs
    for name in (TABLE, SHEET):
        assert (again.folder / name).read_bytes() == (found[64].folder / name).read_bytes()
    for size in (1, 4):
        for one, other in zip(found[size].pairs, found[64].pairs, strict=True):
            assert (one.pair, one.answer, one.share_of_face) == (other.pair, other.answer, other.share_of_face)
            assert (one.share_of_heat or 0) == pytest.approx(other.share_of_heat or 0, abs=1e-4)


def test_the_heat_of_the_truth(root: Path, tmp_path: Path) -> None:
    found = explain(options(root, out=tmp_path / "truth", explained="truth")).result
    assert all(each.explained == each.pair.truth for each in found.pairs)
    assert any(each.explained != each.answer for each in found.pairs)
    assert found.facts.explained == "truth"


def test_a_run_over_all_folds_explains_what_each_model_was_not_trained_on(
    make_config: MakeConfig, root: Path, tmp_path: Path
) -> None:
    runs = train_folds(make_config(manifest_of(root), method="resnet", fold=None, epochs=0, out=tmp_path / "folds"))
    found = explain(options(root, checkpoint=runs.folder)).result
    assert len(found.pairs) == 63 and len(found.facts.models) == 3
    assert found.folder == runs.folder / "explain/toy-r16"
    with pytest.raises(DataError, match="the models of several folds explain each face once; leave out --rows"):
        explain(options(root, checkpoint=runs.folder, part="all"))


def test_the_clean_branch_is_shown_occluded_faces_and_says_so(root: Path, tmp_path: Path) -> None:
    found = explain(options(root, "clean", out=tmp_path / "out")).result
    assert "the method clean is tested on clean faces; the heat is that of occluded ones" in found.facts.notes


def test_faces_that_were_trained_on_are_told(root: Path, tmp_path: Path) -> None:
    found = explain(options(root, out=tmp_path / "out", part="all")).result
    assert "42 of 63 pairs show people or pictures that the model was trained on" in found.facts.notes


def test_faces_without_masks_have_a_sheet_and_no_shares(root: Path, tmp_path: Path) -> None:
    build = Build(name="new-real", database="new", mode="real", size_px=48, subjects=2, edit=edited(without_clean))
    real = write_build(tmp_path / "builds", build)
    found = explain(options(root, manifests=(real,), out=tmp_path / "out", faces=2))
    assert found.result.without_occluder == len(found.result.pairs) == 14
    assert found.result.groups[0].difference is None
    assert found.sheet is not None and found.sheet.is_file()
    explain(options(root, manifests=(real,), out=tmp_path / "out"))
    assert not found.sheet.exists(), "a sheet of an earlier call would show other heat than the table"


def test_masks_of_other_pixels_are_refused(root: Path, tmp_path: Path) -> None:
    manifest = write_build(tmp_path / "builds", Build(size_px=48, subjects=3))
    mask = tmp_path / "builds/data/toy-r16/mask/s000_anger.png"
    cv2.imwrite(str(mask), np.zeros((48, 48), dtype=np.uint8))
    attempt = options(root, manifests=(manifest,), out=tmp_path / "out")
    with pytest.raises(DataError, match="its pixels are not those that the manifest names in the row of 's000_anger'"):
        explain(attempt)
    cv2.imwrite(str(mask), np.zeros((8, 9), dtype=np.uint8))
    with pytest.raises(DataError, match="has 9 x 8 pixels instead of 48 a side"):
        explain(attempt)
    mask.unlink()
    with pytest.raises(DataError, match=r"s000_anger\.png cannot be read"):
        explain(attempt)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_explained(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no manifest given"):
        explain(options(root, manifests=()))
    with pytest.raises(MethodError, match="is an exported model"):
        explain(options(root, checkpoint=tmp_path / "model.onnx"))
    with pytest.raises(ReportError, match="holds a training run, whose results would be lost"):
        explain(options(root, out=root / "runs/sim"))


def test_two_runs_are_compared_and_reported_with_their_heat(root: Path, tmp_path: Path) -> None:
    """What was explained into the run folders is found there; the line of the page equals that of the command."""
    a, b = root / "runs/resnet", root / "runs/sim"
    assert not compare(CompareOptions(a=a, b=b)).heat
    ours = explain(options(root, faces=2)).result
    assert heat_folders(a) == [a / "explain/toy-r16"]
    assert not compare(CompareOptions(a=a, b=b)).heat
    theirs = explain(options(root, "sim")).result
    made = compare(CompareOptions(a=a, b=b, out=tmp_path / "compared", pictures=0))
    found = made.heat["answer"]
    both = [
        (one.share_of_heat, other.share_of_heat)
        for one, other in zip(ours.pairs, theirs.pairs, strict=True)
        if one.share_of_heat is not None and other.share_of_heat is not None
    ]
    assert found.difference.n == len(both) == 21 - found.left_out > 0
    assert found.difference.mean == pytest.approx(np.mean([one - other for one, other in both]))
    assert read_compared(tmp_path / "compared").heat == made.heat
    same = compare(CompareOptions(a=a, b=a)).heat["answer"]
    assert (same.difference.mean, same.difference.p) == (0, 1)

    told = CliRunner().invoke(app, ("compare", str(a), str(b)))
    lines = [line for line in told.output.splitlines() if line.startswith(("heat of the answer", "A - B"))]
    assert len(lines) == 3 and lines[2].endswith(f"n = {len(both)}")
    report = write_report(
        ReportOptions(folders=(root / "runs", tmp_path / "compared"), out=tmp_path / "report.html", device="cpu")
    )
    page = report.path.read_text()
    assert [each.folder for each in report.contents.heat] == [ours.folder, theirs.folder]
    section = page[page.index('<section id="heat">') :].partition('<section id="runs">')[0]
    assert section.count("<h3>") == 3 and section.count("<img ") == 1
    assert (
        "Shares of heat inside the occluder" in section and "Grad-CAM of the answer on maps of 6 x 6 cells" in section
    )
    plain = page.replace("&#39;", "'")
    assert f"H{lines[1][1:]}." in plain and f"{lines[2]}." in plain
    alone = write_report(ReportOptions(folders=(ours.folder,), out=tmp_path / "alone.html", device="cpu"))
    assert 'id="heat"' in alone.path.read_text() and not alone.contents.results


def test_evaluations_find_the_heat_of_their_models(root: Path, tmp_path: Path) -> None:
    """Heat lies in the folder of the model's run; pairs that were not tested do not count."""
    seen: dict[str, Path] = {}
    for method in ("resnet", "sim"):
        run = shutil.copytree(root / "runs" / method, tmp_path / method)
        explain(options(root, checkpoint=run, part="all"))
        seen[method] = evaluate(EvaluateOptions(checkpoint=run, manifests=(manifest_of(root),), device="cpu")).folder
    assert seen["sim"] == tmp_path / "sim/evaluation/toy-r16"
    found = compare(CompareOptions(a=seen["resnet"], b=seen["sim"])).heat["answer"]
    assert found.difference.n + found.left_out == 21


def test_heat_of_an_earlier_model_is_not_used(make_config: MakeConfig, root: Path, tmp_path: Path) -> None:
    run = train(make_config(manifest_of(root), method="resnet", epochs=0, out=tmp_path / "run"))
    explain(options(root, checkpoint=run.folder))
    known = compare(CompareOptions(a=run.folder, b=run.folder))
    assert known.heat and not known.notes
    other = (root / "runs/sim/checkpoints/best.safetensors").read_bytes()
    run.checkpoint.write_bytes(other)
    changed = compare(CompareOptions(a=run.folder, b=run.folder))
    assert not changed.heat
    assert re.search(
        r"run/explain/toy-r16 explains another model than that of .*; run occfer explain again", changed.notes[0]
    )


def test_a_changed_table_is_noticed(root: Path, tmp_path: Path) -> None:
    folder = explain(options(root, out=tmp_path / "out")).result.folder
    text = (folder / TABLE).read_text()
    (folder / TABLE).write_text(text.replace("anger", "fear", 1))
    with pytest.raises(ReportError, match=r"heat\.csv is not as it was written.*run occfer explain again"):
        open_heat(folder)


def test_from_the_command_line(root: Path, tmp_path: Path) -> None:
    words = ("explain", "--checkpoint", root / "runs/resnet", "--manifest", manifest_of(root), "-o", tmp_path / "out")
    done = CliRunner().invoke(app, [*map(str, words), "--device", "cpu", "--faces", "2"])
    assert done.exit_code == 0, done.output
    assert "heat of its answers, maps of 6 x 6 cells" in done.stdout
    patterns = (
        r"\d+\.\d % of the heat lies inside the occluder, which has 11\.1 % of the face, \d\.\d\d times as much",
        r"difference [+-]0\.\d{3}, 95 % interval .* \(Student's t over 3 subjects\), n = \d+",
    )
    assert all(re.search(f"^{pattern}$", done.stdout, re.MULTILINE) for pattern in patterns), done.stdout
    assert "explained: 21 pairs" in done.stderr and f"sheet\t{tmp_path / 'out' / SHEET}" in done.stdout
