"""Trackers: each keeps the course of a run and nothing else, nothing twice, and none ends a training."""

import csv
import getpass
import importlib
import json
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.config import TrainConfig
from occfer.errors import ConfigError
from occfer.events import Event, ignore
from occfer.tracking import TRACKERS, Tracker
from occfer.tracking.course import FILE, figures_of, public, tracked
from occfer.tracking.numbers import NumbersLogger
from occfer.training.folds import train_folds
from occfer.training.train import train

History = dict[str, dict[int, float]]
"""By name, the value of each step."""
MakeConfig = Callable[..., TrainConfig]
WHERE = {
    "TRACKIO_DIR": "trackio",
    "WANDB_MODE": "offline",
    "WANDB_CACHE_DIR": "cache",
    "WANDB_CONFIG_DIR": "cache",
    "WANDB_DATA_DIR": "cache",
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All trackers write under the test's folder, and nothing in this process reaches another machine."""
    monkeypatch.chdir(tmp_path)
    # absolute: MLflow keeps a connection for each address, and would go on with the database of another test
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    for name, value in WHERE.items():
        monkeypatch.setenv(name, str(tmp_path / value) if name.endswith("DIR") else value)
    connect = socket.socket.connect

    def only_here(self: socket.socket, address: Any) -> None:
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"), address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_here)
    if "trackio.utils" in sys.modules:  # it reads its folder once
        for module in ("trackio.utils", "trackio.sqlite_storage"):
            for name in ("TRACKIO_DIR", "MEDIA_DIR"):
                if hasattr(sys.modules[module], name):
                    monkeypatch.setattr(sys.modules[module], name, tmp_path / "trackio")
    yield


# ---- what each tracker holds, read by its own means


def in_tensorboard(run: Path) -> tuple[History, Mapping[str, Any]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    history = {
        name: once((each.step, each.value) for each in events.Scalars(name)) for name in events.Tags()["scalars"]
    }
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    started = HParamsPluginData.FromString(content).session_start_info.hparams
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in started.items()}
    return history, values


def in_trackio(run: Path) -> tuple[History, Mapping[str, Any]]:
    from trackio.sqlite_storage import SQLiteStorage

    rows = SQLiteStorage.get_logs("occfer", run.name)
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name not in ("step", "timestamp"):
                found.setdefault(name, []).append((row["step"], value))
    return {name: once(pairs) for name, pairs in found.items()}, SQLiteStorage.get_run_config("occfer", run.name) or {}


def in_wandb(run: Path) -> tuple[History, Mapping[str, Any]]:
    import wandb
    from wandb.proto import wandb_internal_pb2

    wandb.teardown()  # what is still on its way to the files is written
    found: dict[str, list[tuple[int, float]]] = {}
    settings: dict[str, Any] = {}
    for path in sorted(run.glob("wandb/offline-run-*/*.wandb"), key=lambda each: each.stat().st_mtime_ns):
        for data in logged(path.read_bytes()):
            record: Any = getattr(wandb_internal_pb2, "Record").FromString(data)  # noqa: B009 - its types lack it
            for item in record.config.update:
                settings[item.key] = json.loads(item.value_json)
            for each in record.history.item:
                name = each.key or "/".join(each.nested_key)
                if not name.startswith("_"):
                    found.setdefault(name, []).append((record.history.step.num, json.loads(each.value_json)))
    return {name: once(pairs) for name, pairs in found.items()}, settings


def logged(content: bytes) -> Iterator[bytes]:
    """The records of a log as LevelDB writes them: in blocks of 32 KiB, a piece after its checksum, size and kind."""
    at, whole = 7, b""
    while at + 7 <= len(content):
        if (left := 32_768 - at % 32_768) < 7:
            at += left
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        whole += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last piece
            yield whole
            whole = b""


def in_mlflow(run: Path) -> tuple[History, Mapping[str, Any]]:
    from mlflow import MlflowClient

    client = MlflowClient()
    known = client.get_experiment_by_name("occfer")
    assert known is not None
    (found,) = client.search_runs([known.experiment_id], f"attributes.run_name = '{run.name}'")
    assert found.info.status == "FINISHED"
    histories = {name: client.get_metric_history(found.info.run_id, name) for name in found.data.metrics}
    return {
        name: once((each.step, each.value) for each in values) for name, values in histories.items()
    }, found.data.params


def once(pairs: Any) -> dict[int, float]:
    found: dict[int, float] = {}
    for step, value in pairs:
        assert step not in found, f"step {step} twice"
        found[step] = value
    return found


# MLflow takes ten seconds to make its database
EACH = [pytest.param(name, marks=pytest.mark.slow) if name == "mlflow" else name for name in TRACKERS]
READERS = {"tensorboard": in_tensorboard, "trackio": in_trackio, "wandb": in_wandb, "mlflow": in_mlflow}


def course_of(run: Path) -> History:
    """metrics.csv, with steps counted from the first stage on."""
    found: History = {}
    before: dict[str, int] = {}
    with (run / "metrics.csv").open() as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        before.setdefault(line["stage"], sum(rounds(lines, stage) for stage in before))
        for name in set(line) - {"stage", "epoch", "round"}:
            if line[name]:
                step = before[line["stage"]] + int(line["round"])
                found.setdefault(f"{line['stage']}/{name}", {})[step] = float(line[name])
    return found


def rounds(lines: list[dict[str, str]], stage: str) -> int:
    return max(int(line["round"]) for line in lines if line["stage"] == stage)


def run_of(config: TrainConfig, *names: str, stop_at: int | None = None) -> None:
    """Trains, and is interrupted at the step of that number, counted from 1."""
    seen = 0

    def on_step(event: Event) -> None:
        nonlocal seen
        seen += event["event"] == "step"
        assert not event.get("text", "").startswith("--log"), event
        if seen == stop_at:
            raise KeyboardInterrupt

    with tracked(names, config, on_step) as told:
        train(config, on_step=told)


def compare(found: History, wanted: History) -> None:
    for name, values in wanted.items():
        assert found[name] == pytest.approx(values, rel=1e-6), name


@pytest.mark.parametrize("name", EACH)
def test_a_tracker_keeps_the_course_of_a_run_that_was_interrupted(
    make_build: Callable[..., Path], make_config: MakeConfig, tmp_path: Path, name: str
) -> None:
    manifest = make_build(name="secretly-named")
    config = make_config(manifest, method="adv", out=tmp_path / "runs/mine", log_every=1, epochs=2)
    with pytest.raises(KeyboardInterrupt):
        run_of(config, name, stop_at=5)
    resumed = TrainConfig.from_json(config.to_json() | {"resume": True})
    run_of(resumed, name)
    run_of(resumed, name)  # finished: nothing is told again
    found, settings = READERS[name](config.out)
    course = course_of(config.out)
    assert len(course["guidance/d_accuracy"]) > 3 and len(course["guidance/val_accuracy"]) == 3
    compare(found, course)
    assert {"guidance/rate", "guidance/discriminator_rate", "guidance/images_per_s"} <= found.keys()
    assert all(value == pytest.approx(config.rate) for value in found["guidance/rate"].values())
    metrics = json.loads((config.out / "metrics.json").read_text())
    assert list(found["test/accuracy"].values()) == [pytest.approx(metrics["accuracy"])]
    assert list(found["test/low"].values()) == [pytest.approx(metrics["interval"]["low"])]
    assert set(found) - set(course) <= {
        *figures_of(metrics),
        *(each for each in found if re.search("rate|_s$|epoch$", each)),
    }
    assert float(settings["lambda_adv"]) == config.lambda_adv and settings["manifests"] == "secretly-named.csv"
    assert str(settings["method"]) == "adv" and "out" not in settings and "cache_dir" not in settings


OWN = {"tensorboard": "runs/mine/tensorboard", "trackio": "trackio", "wandb": "runs/mine/wandb", "mlflow": "mlflow.db"}


@pytest.mark.parametrize("name", EACH)
def test_a_tracker_is_not_told_who_and_where(
    make_build: Callable[..., Path], make_config: MakeConfig, tmp_path: Path, name: str
) -> None:
    config = make_config(make_build(), method="resnet", out=tmp_path / "runs/mine", cache_dir=tmp_path / "cache-dir")
    run_of(config, name)
    READERS[name](config.out)  # everything is written
    place = tmp_path / OWN[name]
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    content = b"\n".join(
        str(path.relative_to(tmp_path)).encode() + b"\n" + path.read_bytes()
        for path in files
        if not path.name.endswith(".log")
    )
    assert b"val_accuracy" in content and b"runs/mine/config.json" not in content
    secrets = [
        socket.gethostname(),
        "cache-dir",
        str(Path.home() / "x")[:-2],
        sys.executable,
        "pytest",
        os.uname().release,
    ]
    if getpass.getuser() != "root":
        secrets.append(getpass.getuser())
    known = content.replace(str(tmp_path).encode(), b"")
    for secret in secrets:
        assert not re.search(rb"\b" + re.escape(secret.encode()) + rb"\b", known), secret


# ---- any tracker


class Notebook(NumbersLogger):
    """Keeps what it is told; fails at one step, if it is asked to."""

    books: dict[str, "Notebook"] = {}  # noqa: RUF012 - of one test, see the fixture

    def __init__(self, folder: Path, name: str, version: str | None) -> None:
        super().__init__(name, version or f"number {len(self.books)}")
        before = self.books.get(self.version)
        self.folder = folder
        self.params: dict[str, Any] = {} if before is None else before.params
        self.lines: list[tuple[int | None, dict[str, float]]] = [] if before is None else before.lines
        self.ended: list[str] = [] if before is None else before.ended
        self.books[self.version] = self

    def log_hyperparams(self, params: Any, *_args: Any, **_more: Any) -> None:
        self.params = dict(params)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if step == FAILS_AT[0]:
            raise ConnectionError("the service\nis gone")
        self.lines.append((step, dict(metrics)))

    def finalize(self, status: str) -> None:
        self.ended.append(status)


FAILS_AT: list[int | None] = [None]


def open_notebook(folder: Path, name: str, version: str | None) -> Notebook:
    return Notebook(folder, name, version)


def open_closed(folder: Path, name: str, version: str | None) -> Notebook:
    raise PermissionError("log in first\nwith a key")


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Notebook]]:
    module = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "occfer.tracking.notebook", module)
    for name in ("notebook", "closed"):
        monkeypatch.setitem(TRACKERS, name, Tracker(f"notebook:open_{name}", "json"))
    monkeypatch.setattr(Notebook, "books", {})
    FAILS_AT[0] = None
    yield Notebook.books


def test_each_fold_is_a_run_of_its_own(
    make_build: Callable[..., Path], make_config: MakeConfig, tmp_path: Path, notebook: dict[str, Notebook]
) -> None:
    config = make_config(make_build(), method="resnet", fold=None, out=tmp_path / "all")
    with tracked(["notebook"], config, ignore) as told:
        pooled = train_folds(config, on_step=told)
    assert [book.name for book in notebook.values()] == [f"all-fold-{fold}" for fold in range(3)]
    for fold, book in enumerate(notebook.values()):
        assert (
            book.params["fold"] == fold and book.ended == ["success"] and book.folder == tmp_path / f"all/fold-{fold}"
        )
        assert book.lines[-1][1]["test/accuracy"] == pooled.runs[fold].metrics["accuracy"]


def test_a_tracker_that_fails_ends_no_training_and_the_others_go_on(
    make_build: Callable[..., Path], make_config: MakeConfig, notebook: dict[str, Notebook]
) -> None:
    FAILS_AT[0] = 1
    config = make_config(make_build(), method="resnet", log_every=1)
    notes: list[str] = []
    with tracked(["notebook", "tensorboard"], config, lambda event: notes.append(event.get("text", ""))) as told:
        run = train(config, on_step=told)
    assert run.metrics["accuracy"] >= 0
    assert [note for note in notes if note.startswith("--log")] == [
        "--log notebook failed and is told no more (the service is gone)"
    ]
    assert all(not book.lines and not book.ended for book in notebook.values())
    assert "test/accuracy" in in_tensorboard(run.folder)[0]


def test_a_tracker_that_cannot_begin_is_one_line(
    make_build: Callable[..., Path], make_config: MakeConfig, notebook: dict[str, Notebook]
) -> None:
    config = make_config(make_build(), method="resnet")
    with (
        pytest.raises(ConfigError, match=r"^--log closed cannot begin: log in first with a key$"),
        tracked(["notebook", "closed"], config, ignore) as told,
    ):
        train(config, on_step=told)
    assert [book.ended for book in notebook.values()] == [["failed"]]


def test_figures_that_a_killed_run_could_not_tell_are_told_by_resume(
    make_build: Callable[..., Path], make_config: MakeConfig, notebook: dict[str, Notebook]
) -> None:
    config = make_config(make_build(), method="resnet")

    def killed(event: Event) -> None:
        if event["event"] == "step" and event["round"] == event["rounds"]:
            told_last.append(event)

    told_last: list[Event] = []
    with pytest.raises(KeyboardInterrupt), tracked(["notebook"], config, killed) as told:
        train(config, on_step=told)
        raise KeyboardInterrupt
    (book,) = notebook.values()
    assert told_last and book.ended == ["aborted"] and "test/accuracy" not in book.lines[-1][1]
    steps = len(book.lines)
    resumed = TrainConfig.from_json(config.to_json() | {"resume": True})
    (config.out / "metrics.json").unlink()
    with tracked(["notebook"], resumed, ignore) as told:
        train(resumed, on_step=told)
    (book,) = notebook.values()
    assert len(book.lines) == steps + 1 and "test/accuracy" in book.lines[-1][1] and book.ended[-1] == "success"


@pytest.mark.parametrize("content", ["{}", "no JSON", '{"run": 3}', '{"run": "another", "stages": {}, "told": {}}'])
def test_a_damaged_course_is_begun_again(
    make_build: Callable[..., Path], make_config: MakeConfig, notebook: dict[str, Notebook], content: str
) -> None:
    config = make_config(make_build(), method="resnet")
    with pytest.raises(KeyboardInterrupt), tracked(["notebook"], config, ignore) as told:
        told({"event": "note", "text": ""})
        raise KeyboardInterrupt
    assert not notebook and not config.out.exists()
    config.out.mkdir()
    step = {"event": "step", "stage": "guidance", "epoch": 1, "epochs": 1, "round": 1, "rounds": 2, "rates": {}}
    (config.out / FILE).write_text(content)
    for number in (1, 2):
        with pytest.raises(KeyboardInterrupt), tracked(["notebook"], config, ignore) as told:
            told(step | {"total": 1.0, "round": number})
            raise KeyboardInterrupt
    (book,) = notebook.values()
    assert [(at, values["guidance/total"]) for at, values in book.lines] == [(1, 1.0), (2, 1.0)]


def test_a_process_without_events_tells_nothing(make_config: MakeConfig, notebook: dict[str, Notebook]) -> None:
    """As all but the first of those that torchrun starts."""
    config = make_config(Path("a.csv"), fold=None)
    with tracked(["notebook"], config, ignore) as told:
        told({"event": "fold", "fold": 0, "done": 0, "folds": 1})
    assert not notebook


def test_settings_that_others_may_see_name_no_folder(make_config: MakeConfig, tmp_path: Path) -> None:
    inner = tmp_path / "home"
    config = make_config(
        inner / "a.csv", inner / "b.csv.gz", test_manifests=(inner / "c.csv",), weights=str(inner / "w.pth"),
        out=inner / "run", cache_dir=inner, branch_cache=inner, occluded_branch=inner / "x", clean_branch=inner / "y",
    )  # fmt: skip
    shown = public(config)
    assert not any("home" in str(value) for value in shown.values())
    assert (shown["manifests"], shown["test_manifests"], shown["weights"]) == ("a.csv, b.csv.gz", "c.csv", "w.pth")
    assert public(make_config(Path("a.csv"), weights="hf://org/name"))["weights"] == "hf://org/name"
    assert {"lambda_sim", "rate", "seed", "fold"} <= shown.keys()


# ---- the command


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    result = CliRunner().invoke(app, ["train", "--manifest", "none.csv", "--fold", "0", "--log", name])
    assert result.exit_code == 1
    assert result.stderr == f"error: --log {name} needs more packages: pip install 'occsynth[{name}]'\n"


def test_a_tracker_that_nobody_knows_is_refused() -> None:
    result = CliRunner().invoke(app, ["train", "--manifest", "none.csv", "--log", "neptune"])
    assert result.exit_code == 2
    assert "'neptune' is no tracker; choose one of tensorboard, trackio, wandb, mlflow" in result.stderr


def test_the_table_names_what_is_there() -> None:
    for name, tracker in TRACKERS.items():
        module, _, function = tracker.opener.partition(":")
        assert callable(getattr(importlib.import_module(f"occfer.tracking.{module}"), function)), name


def test_the_command_tells_trackers(make_build: Callable[..., Path], tiny_backbone: None, tmp_path: Path) -> None:
    words = ["train", "--manifest", str(make_build()), "--method", "resnet", "--fold", "0", "--backbone", "tiny"]
    words += ["--weights", "none", "--pretrain-epochs", "1", "--batch-size", "8", "--device", "cpu", "--no-figures"]
    result = CliRunner().invoke(app, [*words, "--out", "mine", "--log", "tensorboard", "--log", "trackio"])
    assert result.exit_code == 0, result.output
    assert in_tensorboard(tmp_path / "mine")[0].keys() == in_trackio(tmp_path / "mine")[0].keys()
    assert result.stdout.startswith("resnet on toy-r16") and "trackio" not in result.output.lower()
