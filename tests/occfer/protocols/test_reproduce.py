"""`occfer reproduce` on small builds in place of the demo's: the tables, what a second call does, what fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.errors import DataError
from occfer.metrics.predictions import Predictions, pooled, read_predictions
from occfer.metrics.significance import holm
from occfer.protocols import job_times
from occfer.tables.result_table import Cell, Missing, ResultTable
from occfer.tables.table_file import read_table
from occsynth.ownership import owned_folder
from tests.builds import ROOT
from tests.occfer.damage import damage
from tests.occfer.toy_builds import Build, without_clean, write_build

MakeBuild = Callable[..., Path]
SMALL = ("--backbone", "tiny", "--weights", "none", "--size", "24", "--batch-size", "8", "--device", "cpu")
SHORT = ("--epochs", "1", "--pretrain-epochs", "1", "--workers", "1", "--seeds", "1")
TABLE2 = ("reproduce", "table2", "--db", "demo", "--modes", "r16", "--folds", "0,1", *SMALL, *SHORT)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield


@pytest.fixture
def demo(make_build: MakeBuild) -> None:
    """Toy builds under the names of the demo's."""
    for mode in ("r16", "eyes", "random"):
        make_build(name=f"demo-{mode}", database="demo", mode=mode, folds=3)


def call(*words: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, f"{result.output}\n{result.exception!r}"
    return result.stdout, result.stderr


def trained(stderr: str) -> list[str]:
    """Methods that a call trained."""
    return [line.split("] train ")[1].split()[0] for line in stderr.splitlines() if "] train " in line]


def cell(table: ResultTable, method: str, column: str = "r16") -> Cell:
    found = next(each for each in table.lines if each.key == method).cells[column]
    assert isinstance(found, Cell), found
    return found


def predictions_of(table: ResultTable, folder: Path, method: str, column: str = "r16") -> Predictions:
    return pooled([read_predictions(folder / run / "predictions.csv") for run in cell(table, method, column).runs])


def test_table2_against_its_own_predictions(demo: None) -> None:
    stdout, stderr = call(*TABLE2, "--rows", "resnet,sim,resnet-long,clean")
    assert stdout.splitlines()[0].split("\t") == ["method", "R16", "paper", "clean", "drop"]
    assert "8 jobs, 0 of them done already" in stderr
    folder = Path("reproduce/table2-demo")
    table = read_table(folder)
    assert [line.key for line in table.lines] == ["resnet", "sim", "resnet-long", "clean"]
    answers = {line.key: predictions_of(table, folder, line.key) for line in table.lines}
    for method, found in answers.items():
        made = cell(table, method)
        assert (made.n, made.correct) == (28, int(found.right.sum())) == (len(found.pairs), made.correct)
        assert made.folds is not None and made.folds.n == 2
        assert {pair.fold for pair in found.pairs} == {0, 1}
        if method == "clean":
            assert made.clean is None  # its own figure is the one on clean faces
            continue
        on_clean = pooled([read_predictions(folder / run / "clean-faces" / "predictions.csv") for run in made.runs])
        assert made.clean is not None and made.clean.accuracy == on_clean.right.mean()
        assert made.clean.drop == pytest.approx(on_clean.right.mean() - found.right.mean())
    p_values = {}
    for method in ("sim", "resnet-long"):
        only = [int((a & ~b).sum()) for a, b in ((answers[method].right, answers["resnet"].right),
                                                 (answers["resnet"].right, answers[method].right))]  # fmt: skip
        p_values[method] = binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0
        assert [cell(table, method).tests["resnet"].only_this, cell(table, method).tests["resnet"].only_other] == only
    for (method, p), p_holm in zip(p_values.items(), holm(list(p_values.values())), strict=True):
        assert (cell(table, method).tests["resnet"].p, cell(table, method).tests["resnet"].p_holm) == (p, p_holm)
    assert set(cell(table, "resnet").tests) == {"resnet-long"} and cell(table, "clean").tests == {}
    assert cell(table, "sim").paper == 95.44
    assert [each.name for each in table.provenance.manifests] == ["demo-r16"]
    assert {path.suffix for path in folder.glob("table.*")} == {".json", ".csv", ".md", ".tex"}


def test_a_second_call_runs_only_what_has_changed(demo: None) -> None:
    words = (*TABLE2, "--folds", 1, "--rows", "resnet,sim,adv")
    assert sorted(trained(call(*words)[1])) == ["adv", "clean", "resnet", "sim"]
    first = read_table(Path("reproduce/table2-demo"))
    assert trained(call(*words)[1]) == []
    assert read_table(Path("reproduce/table2-demo")) == first
    assert trained(call(*words, "--lambda-adv", 0.5)[1]) == ["adv"]
    assert set(trained(call(*words, "--modes", "r16,eyes")[1])) == {"resnet", "sim", "adv"}
    stderr = call(*words)[1]
    assert trained(stderr) == [] and "reproduce/table2-demo also showed eyes; `" in stderr
    assert read_table(Path("reproduce/table2-demo")) == first
    Path("settings.json").write_text(json.dumps({"lambda_adv": 0.5, "lambda_sim": 9.0}))
    assert trained(call(*words, "--config", "settings.json")[1]) == ["sim"]
    assert trained(call(*words, "--config", "settings.json", "--lambda-sim", 3)[1]) == []


def test_branches_are_not_trained_again_for_guided_methods(demo: None) -> None:
    call(*TABLE2, "--folds", 0, "--rows", "sim,full")
    branches = list(Path("reproduce/branches").glob("*.safetensors"))
    assert sorted(path.name.split("-")[0] for path in branches) == ["clean", "occluded"]
    for run in Path("reproduce/runs").iterdir():
        log = (run / "metrics.csv").read_text()
        stages = {line.split(",")[0] for line in log.splitlines()[1:]}
        assert stages == {
            "resnet": {"occluded-branch"}, "clean": {"clean-branch"}, "sim": {"guidance"}, "full": {"guidance"},
        }[run.name.split("-")[0]]  # fmt: skip
        kept = [path.name for path in (run / "checkpoints").iterdir()]
        assert kept == (["best.safetensors"] if run.name.startswith("full") else [])


def test_a_failed_job_is_reported_and_the_rest_goes_on(demo: None) -> None:
    """PG-CNN needs the landmarks, which these builds lack."""
    stdout, stderr = call(*TABLE2, "--rows", "pg-cnn,resnet", code=1)
    assert "failed: " in stderr and "landmarks.npz not found; make it with `occsynth landmarks" in stderr
    assert stderr.splitlines()[-1] == "error: 2 jobs failed; see above"
    table = read_table(Path("reproduce/table2-demo"))
    assert table.lines[0].cells["r16"] == Missing("failed", 95.70)
    assert cell(table, "resnet").n == 28
    assert {each.job for each in table.provenance.failed} == {
        f"train pg-cnn on demo-r16, fold {fold}, seed 0" for fold in (0, 1)
    }
    assert "PG-CNN\t- (failed)\t95.70" in stdout


def test_what_a_failed_branch_blocks_is_said(demo: None) -> None:
    _, stderr = call(*TABLE2, "--rows", "sim,clean-on-occluded", "--folds", 0, "--weights", "gone.pth", code=1)
    assert "error: --weights gone.pth: no such file" in stderr.splitlines()[-1]
    image = next(Path("builds/data/demo-r16/occluded").glob("*.png"))
    image.write_bytes(b"no picture")
    _, stderr = call(*TABLE2, "--rows", "sim,resnet", "--folds", 0, code=1)
    assert "blocked: train sim on demo-r16, fold 0, seed 0 (needs: train" in stderr
    table = read_table(Path("reproduce/table2-demo"))
    assert [line.cells["r16"] for line in table.lines] == [Missing("failed", 95.13), Missing("blocked", 95.44)]
    assert sum(each.blocked for each in table.provenance.failed) == 1


def test_several_seeds_make_one_figure(demo: None) -> None:
    call(*TABLE2, "--rows", "resnet,sim", "--folds", 0, "--seeds", 2)
    table = read_table(Path("reproduce/table2-demo"))
    found = cell(table, "sim")
    assert len(found.seeds.each) == len(found.runs) == 2
    assert found.accuracy == pytest.approx(sum(found.seeds.each) / 2) == pytest.approx(found.correct / (2 * found.n))
    assert any("2 x the median" in note for note in table.notes)
    assert "1 of 3 folds only" in table.notes
    assert "The control resnet-long is not in this table" in Path("reproduce/table2-demo/table.md").read_text()


def test_plan_runs_nothing(demo: None) -> None:
    stdout, _ = call(*TABLE2, "--rows", "resnet,sim", "--plan")
    lines = stdout.splitlines()
    assert lines[0] == "table2: 2 methods, 1 column, 2 folds, 1 seed"
    assert lines[1] == "6 jobs, 0 done already, 6 to run:"
    assert {"  train resnet: 2", "  train clean: 2", "  train sim: 2"} <= set(lines)
    assert any(line.startswith("estimate: ") and "CPU" in line for line in lines)
    assert not Path("reproduce").exists()
    call(*TABLE2, "--rows", "resnet")
    stdout, _ = call(*TABLE2, "--rows", "resnet,sim", "--plan")
    assert "6 jobs, 2 done already, 4 to run:" in stdout
    stdout, _ = call("reproduce", "figure3", "--db", "demo", "--folds", 0, "--modes", "eyes", "--plan", *SMALL, *SHORT)
    assert "  train full: 1" in stdout.splitlines() and "4 jobs" in stdout
    assert call("reproduce", "table4", "--plan")[0] == "table4 trains nothing: it takes minutes\n"
    words = ("--db", "kdef", "--rows", "resnet,rgbt", "--plan", *SMALL)
    stdout, _ = call("reproduce", "table2", *words)
    assert "planned with 1,000 images, a guess" in stdout
    assert stdout.splitlines()[-1] == "  without 15 of rgbt: no job like these has finished here yet"


def test_plan_counts_the_images_of_patch_networks(demo: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of three folds: 28 of 42 samples less a tenth, clean and occluded, 100 times: 2.8 hours at 1 s per image."""
    asked: list[tuple[str, str, int]] = []

    def patch_seconds(device: str, method: str, batch_size: int) -> float:
        asked.append((device, method, batch_size))
        return 1.0

    monkeypatch.setattr(job_times, "patch_seconds", patch_seconds)
    words = (*TABLE2, "--rows", "pg-cnn", "--plan", "--baseline-epochs", 100)
    hours = 2 * 100 * 2 * 28 * 0.9 / 3600
    assert f"estimate: {hours:.1f} h with 1 process on" in call(*words)[0] and asked == [("cpu", "pg-cnn", 8)]
    stdout, _ = call(*words, "--baseline-updates", 2, "--baseline-batch-size", 8)
    assert f"estimate: {(2 * 100 * 16 + 6) / 60:.0f} min with 1 process on" in stdout


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pg-cnn", "gacnn"])
def test_a_pass_of_a_patch_network_is_timed(method: str) -> None:
    assert job_times.patch_seconds("cpu", method, 8) > 0


def test_table1_tests_a_model_on_another_database(make_build: MakeBuild) -> None:
    splits = ("train", "train", "test")
    make_build(name="raf-db-random-aligned", database="raf-db", mode="random", splits=splits, subjects=6)
    make_build(name="ck+-random-88px", database="ck+", mode="random", subjects=3, seed=5)
    stdout, stderr = call("reproduce", "table1", "--db", "raf-db", "--rows", "resnet", *SMALL, *SHORT)
    assert len(list(Path("reproduce/runs").rglob("best.safetensors"))) == 1
    assert "test resnet of raf-db, seed 0 on ck+-random-88px" in stderr
    table = read_table(Path("reproduce/table1-raf-db"))
    within, across = (cell(table, "resnet", column) for column in ("raf-db", "raf-db->ck+"))
    assert (within.n, across.n, within.folds) == (14, 21, None)
    assert (within.paper, across.paper) == (77.54, 78.46)
    assert within.clean is not None and across.clean is not None and across.clean.n == 21
    assert "RAF-DB → CK+: all faces are aligned alike, by none; what still differs: the pictures of raf-db " in stderr
    again = "Pan et al. 2019, re-implemented, as later papers quote it"
    assert f"{again}\tRAF-DB\t80.18\tquoted\tnot the paper's figure" in stdout
    assert "80.2 on RAF-DB" in stderr and again in Path("reproduce/table1-raf-db/table.md").read_text()
    assert trained(call("reproduce", "table1", "--db", "raf-db", "--rows", "resnet", *SMALL, *SHORT)[1]) == []


def test_table3_merges_databases_and_tests_on_real_occlusions(make_build: MakeBuild) -> None:
    splits = ("train", "train", "test")
    make_build(name="raf-db-random-224px-aligned", database="raf-db", mode="random", splits=splits, subjects=6)
    make_build(name="affectnet-random-aligned", database="affectnet", mode="random", splits=splits, subjects=3)
    for name in ("fed-ro", "other"):
        make_build(
            name=f"{name}-real", database=name, mode="real", subjects=2, folds=0, seed=9 if name == "other" else 3,
            edit=lambda rows: [without_clean(row) for row in rows],
        )  # fmt: skip
    words = ("--rows", "resnet,sim,clean", "--test-manifest", "builds/manifests/other-real.csv", *SMALL, *SHORT)
    _, stderr = call("reproduce", "table3", *words)
    table = read_table(Path("reproduce/table3"))
    assert [column.key for column in table.columns] == ["fed-ro", "other-real"]
    assert [cell(table, "sim", column.key).n for column in table.columns] == [14, 14]
    assert table.lines[2].cells["fed-ro"] == Missing("no clean images", None)
    assert cell(table, "sim", "fed-ro").clean is None
    assert {each.column for each in table.published} == {"fed-ro"}
    assert "This copy of FED-RO has 14 images, the paper's 400" in stderr
    data = json.loads((Path("reproduce/table3") / cell(table, "sim", "fed-ro").runs[0] / "data.json").read_text())
    assert [each["database"] for each in data["manifests"]] == ["raf-db", "affectnet", "fed-ro"]


def test_a_database_that_is_not_there_leaves_its_columns_empty(make_build: MakeBuild) -> None:
    make_build(name="sfew-random", database="sfew", mode="random", splits=("train", "train", "val"), subjects=6)
    words = ("--db", "sfew,jaffe", "--root", "jaffe=nowhere", "--rows", "resnet", *SMALL, *SHORT)
    _, stderr = call("reproduce", "table1", *words, code=1)
    assert "build jaffe-random failed: " in stderr and "nowhere" in stderr
    table = read_table(Path("reproduce/table1-sfew-jaffe"))
    assert cell(table, "resnet", "sfew").n == 14
    assert table.lines[0].cells["jaffe"] == Missing("no data", None)
    assert [each.job for each in table.provenance.failed] == ["build jaffe-random"]


def test_figures(demo: None) -> None:
    common = ("--db", "demo", "--folds", 0, *SMALL, *SHORT)
    for words, name in (
        (("figure2", "--modes", "r16,eyes", "--faces", 3), "figure2"),
        (("figure4", "--faces", 3), "figure4"),
        (("figure3", "--modes", "eyes", "--format", "svg"), "figure3"),
    ):
        stdout, _ = call("reproduce", *words, *common)
        path = Path(stdout.splitlines()[-1].split("\t")[1])
        assert path.parent == Path(f"reproduce/{name}-demo") and path.stat().st_size > 1000
    assert "full on demo, eyes: " in stdout
    assert trained(call("reproduce", "figure4", "--faces", 2, "--figure-seed", 5, *common)[1]) == []


@pytest.mark.parametrize("what", ["table1", "table2", "table3", "figure2", "figure3", "figure4"])
def test_builds_that_all_fail_are_one_line(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise DataError("nowhere not found; --root must be the folder as unzipped")

    monkeypatch.setattr("occfer.cli.reproduce._build", fail)
    _, stderr = call("reproduce", what, "--db", "jaffe", "--root", "jaffe=nowhere", *SMALL, *SHORT, code=1)
    assert "nowhere not found" in stderr
    last = stderr.splitlines()[-1]
    assert last.startswith("error: ")
    if what in ("figure3", "figure4"):
        assert last.startswith("error: nothing to draw: build ") and "nowhere not found" in last


def test_a_damaged_model_of_a_figure_says_what_to_delete(demo: None) -> None:
    words = ("reproduce", "figure4", "--db", "demo", "--folds", 0, "--faces", 3, *SMALL, *SHORT)
    call(*words)
    (model,) = Path("reproduce/runs").glob("full-*/checkpoints/best.safetensors")
    damage(model, "a flipped byte")
    _, stderr = call(*words, code=1)
    last = stderr.splitlines()[-1]
    assert "best.safetensors is not as it was written" in last and f"; delete {model.parents[1].resolve()}" in last
    shutil.rmtree(model.parents[1])
    assert trained(call(*words)[1]) == ["full"]


def test_damaged_results_are_made_again_before_the_table_is(demo: None) -> None:
    words = (*TABLE2, "--folds", 0, "--rows", "resnet,sim")
    call(*words)
    first = read_table(Path("reproduce/table2-demo"))
    (predictions,) = Path("reproduce/runs").glob("sim-*/predictions.csv")
    (metrics,) = Path("reproduce/runs").glob("resnet-*/metrics.json")
    damage(predictions, "cut in half")
    damage(metrics, "empty")
    stdout, _ = call(*words, "--plan")
    assert "3 jobs, 1 done already, 2 to run:" in stdout
    _, stderr = call(*words)
    assert trained(stderr) == ["resnet", "sim"] and "3 jobs, 1 of them done already" in stderr
    assert sum(" is done again: " in line for line in stderr.splitlines()) == 2
    assert read_table(Path("reproduce/table2-demo")) == first


def test_one_folder_is_used_by_one_call_at_a_time(demo: None) -> None:
    with owned_folder(Path("reproduce"), "occfer reproduce", RuntimeError):
        for words in (TABLE2, ("reproduce", "table4", "--quick"), ("reproduce", "figure2", "--db", "demo")):
            told = call(*words, code=1)[1].splitlines()[-1]
            held = f"error: {Path('reproduce').resolve()} is in use by `occfer reproduce` (process {os.getpid()} on "
            assert told.startswith(held)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("table2", "--rows", "vgg", "--db", "demo"), "--rows vgg: not in this table"),
        (("table3", "--subset", "raf-db"), "--subset raf-db: give a database and a file"),
        (
            ("table1", "--root", "somewhere", "--db", "raf-db,sfew"),
            "--root somewhere: name the database that it belongs to",
        ),
        (("table3", "--root", "somewhere"), "--root somewhere: name the database that it belongs to, such as ck+=DIR"),
        (("table2", "--config", "gone.json"), "--config gone.json cannot be read"),
    ],
)
def test_wrong_requests_are_one_line(demo: None, words: tuple[str, ...], message: str) -> None:
    stdout, stderr = call("reproduce", *words, code=1)
    assert stdout == "" and message in stderr.splitlines()[-1]
    assert call("reproduce", "table2", "--folds", "a", code=2)[0] == ""


def test_a_file_of_settings_may_not_say_what_a_protocol_does(demo: None) -> None:
    Path("settings.json").write_text(json.dumps({"fold": 3, "lambda_sim": 1.0}))
    _, stderr = call(*TABLE2, "--config", "settings.json", code=1)
    assert "--config settings.json: this command has no setting fold" in stderr


START = "from tests.occfer import toy_builds\ntoy_builds.add_tiny_backbone()\nfrom occfer.cli.app import main\nmain()"


@pytest.mark.slow
def test_a_killed_call_goes_on_and_ends_in_the_same_table(tmp_path: Path) -> None:
    for mode in ("r16",):
        write_build(tmp_path / "builds", Build(name=f"demo-{mode}", database="demo", mode=mode))
    words = [*TABLE2, "--rows", "resnet,sim", "--folds", "0", "--epochs", "40"]

    def begin(out: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", START, *words, "--out", out]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)

    process = begin("killed")
    until = time.monotonic() + 120
    while not any("guidance,3," in log.read_text() for log in tmp_path.glob("killed/runs/sim-*/metrics.csv")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    begun = next(tmp_path.glob("killed/runs/sim-*/checkpoints/last.safetensors")).stat().st_mtime_ns
    for out in ("killed", "undisturbed"):
        process = begin(out)
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        if out == "killed":
            assert trained(stderr) == ["sim"] and begun
    logs = [next(tmp_path.glob(f"{out}/runs/sim-*/predictions.csv")).read_bytes() for out in ("killed", "undisturbed")]
    assert logs[0] == logs[1]
    tables = [read_table(tmp_path / out / "table2-demo") for out in ("killed", "undisturbed")]
    assert tables[0].lines == tables[1].lines


@pytest.mark.slow
@pytest.mark.parametrize("given_scheduler", [True, False])
def test_jobs_run_on_a_dask_cluster(demo: None, tmp_path: Path, given_scheduler: bool) -> None:
    distributed = pytest.importorskip("distributed")
    words: list[Any] = [*TABLE2, "--rows", "resnet,sim", "--backbone", "resnet18", "--backend", "dask", "--workers", 2]
    if not given_scheduler:
        call(*words, "--folds", 0)
    else:
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
        with cluster:
            _, stderr = call(*words, "--scheduler", cluster.scheduler_address)
        assert len(trained(stderr)) == 6
    table = read_table(Path("reproduce/table2-demo"))
    assert cell(table, "sim").n == (28 if given_scheduler else 14)


@pytest.mark.slow
def test_jobs_run_as_jobs_of_slurm(demo: None) -> None:
    slurm = ["--backend", "slurm", "--slurm", "cluster=local", "--slurm", "time=10"]
    _, stderr = call(*TABLE2, "--rows", "resnet", "--folds", 0, "--backbone", "resnet18", *slurm)
    assert trained(stderr) == ["resnet"]
    assert cell(read_table(Path("reproduce/table2-demo")), "resnet").n == 14
    assert not Path("reproduce/slurm").exists()
