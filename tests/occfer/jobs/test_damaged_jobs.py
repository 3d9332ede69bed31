"""Whatever happens to the files of a job, finished or not: the next call ends in the right bytes, and says why."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from occfer.config import TrainConfig
from occfer.jobs.graph import GraphReport, Job, make_job, run_graph
from occfer.jobs.result import MARKER
from occfer.jobs.worker import Workplace, do_job
from occfer.models import BACKBONES
from occfer.training.train import train
from occsynth.parallel import run_chunks
from tests.occfer.damage import DAMAGES, damage, unseal
from tests.occfer.toy_builds import Build, add_tiny_backbone, write_build

MODEL, LAST = "checkpoints/best.safetensors", "checkpoints/last.safetensors"
TRAINED = ("config.json", "data.json", "environment.json", "metrics.csv", "metrics.json", "predictions.csv", MARKER)
TESTED = ("environment.json", "metrics.json", "predictions.csv", MARKER)
BEGUN = ("config.json", "data.json", "environment.json", "metrics.csv", LAST)
CHANGING = {MARKER}  # it tells how long the job took


@dataclass(frozen=True)
class Graph:
    """A training, and a test of its model after it; done once."""

    trained: Job
    tested: Job
    config: TrainConfig
    kept: Path

    def files(self, job: Job) -> dict[str, bytes]:
        return files_of(job.folder)

    def restore(self) -> None:
        """Puts everything back to how it was after both jobs were done."""
        shutil.rmtree(self.trained.folder.parent, ignore_errors=True)
        shutil.copytree(self.kept, self.trained.folder.parent)


def files_of(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "." and path.name not in CHANGING]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def run(*jobs: Job) -> tuple[GraphReport, list[str]]:
    said: list[str] = []
    work = partial(do_job, workplace=Workplace())
    report = run_graph(jobs, work, partial(run_chunks, workers=1), lambda *_: None, said.append)
    assert not report.failed, report.failed
    return report, said


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    add_tiny_backbone()
    folder = tmp_path_factory.mktemp("jobs")
    manifest = write_build(folder / "builds", Build(subjects=3))
    config = TrainConfig(
        manifests=(manifest,), fold=0, method="resnet", backbone="tiny", weights="none", pretrain_epochs=2,
        batch_size=8, device="cpu", out=Path(),
    )  # fmt: skip
    parent = folder / "runs"
    trained = make_job(
        "train", "train", parent=parent, content={"a": 1}, payload={"config": config.to_json(), "keep_model": True}
    )
    payload = {"run": str(trained.folder), "manifests": [str(manifest)], "device": "cpu", "cache_dir": None}
    tested = make_job("evaluate", "test", parent=parent, content={"b": 2}, payload=payload, needs=[trained])
    run(trained, tested)
    shutil.copytree(parent, folder / "kept")
    yield Graph(trained, tested, config, folder / "kept")
    del BACKBONES["tiny"]


@pytest.mark.parametrize(
    ("which", "name"), [("trained", name) for name in TRAINED] + [("tested", name) for name in TESTED]
)
@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_a_damaged_result_is_made_again_and_that_is_said(graph: Graph, which: str, name: str, how: str) -> None:
    graph.restore()
    job = graph.trained if which == "trained" else graph.tested
    wanted = graph.files(job)
    damage(job.folder / name, how)
    assert not job.done or (name, how) == (MARKER, "a flipped byte")
    report, said = run(graph.trained, graph.tested)
    assert job.done and graph.files(job) == wanted
    if (name, how) == (MARKER, "missing"):  # as after a kill between the last two steps: all else is there
        assert report.ran == (job.key,) and said == []
    elif not (name == MARKER and how == "a flipped byte"):
        assert report.ran == (job.key,)
        assert len(said) == 1 and said[0].startswith(f"{job.name} is done again: ") and name in said[0]


@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_a_damaged_model_is_made_again_where_a_job_needs_it(graph: Graph, how: str) -> None:
    graph.restore()
    wanted = [graph.files(job) for job in (graph.trained, graph.tested)]
    shutil.rmtree(graph.tested.folder)
    damage(graph.trained.folder / MODEL, how)
    report, said = run(graph.trained, graph.tested)
    assert report.ran == (graph.trained.key, graph.tested.key)
    assert [graph.files(job) for job in (graph.trained, graph.tested)] == wanted
    assert len(said) == 1 and "best.safetensors" in said[0]


@pytest.mark.parametrize("name", BEGUN)
@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_an_unfinished_job_ends_in_the_right_bytes(graph: Graph, name: str, how: str) -> None:
    graph.restore()
    wanted = graph.files(graph.trained)
    shutil.rmtree(graph.trained.folder)

    def stop(event: dict[str, Any]) -> None:
        if event.get("epoch") == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(replace(graph.config, out=graph.trained.folder), on_step=stop)
    damage(graph.trained.folder / name, how)
    run(graph.trained)
    assert graph.files(graph.trained) == wanted


@pytest.mark.parametrize("name", ["metrics.json", "predictions.csv", "config.json", "environment.json"])
@pytest.mark.parametrize("how", ["empty", "cut in half", "zeroed", "binary", "other JSON"])
def test_a_job_of_version_0_1_is_done_unless_a_file_cannot_be_used(graph: Graph, name: str, how: str) -> None:
    graph.restore()
    wanted = graph.files(graph.trained)
    unseal(graph.trained.folder)
    assert graph.trained.done and run(graph.trained)[1] == []
    damage(graph.trained.folder / name, how)
    if (name, how) == ("environment.json", "other JSON"):  # without checksums, it is believed to tell nothing
        assert graph.trained.done
        return
    report, said = run(graph.trained)
    assert report.ran == (graph.trained.key,) and len(said) == 1
    assert graph.files(graph.trained) == wanted


def test_a_job_whose_folder_holds_another_one_is_done_again(graph: Graph) -> None:
    graph.restore()
    wanted = graph.files(graph.trained)
    marker = graph.trained.folder / MARKER
    marker.write_bytes((graph.tested.folder / MARKER).read_bytes())
    report, said = run(graph.trained)
    assert report.ran == (graph.trained.key,) and "is of another job" in said[0]
    assert graph.files(graph.trained) == wanted
