"""The graph of jobs: what is redone, what a failure takes with it, what is left of a process that dies."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from occfer.errors import ConfigError, DataError
from occfer.jobs.graph import Job, JobOutcome, in_order, lost_job, make_job, run_graph, timings
from occsynth.parallel import run_chunks
from occsynth.slurm import SlurmJobs
from tests.builds import ROOT

HERE = partial(run_chunks, workers=1)


def job(folder: Path, name: str, needs: tuple[Job, ...] = (), **content: Any) -> Job:
    return make_job("note", name, parent=folder, content={"name": name, **content}, payload={}, needs=needs, label="a")


def note(each: Job) -> None:
    """Writes a line; jobs called `bad` fail, those called `dead` take their process with them, but for once."""
    if each.name.startswith("bad"):
        raise DataError(f"{each.name} cannot\nbe done")
    if each.name.startswith("dead"):
        tries = each.folder.with_name(f"{each.name}.tries")
        tries.write_text(tries.read_text() + "x" if tries.is_file() else "x")
        if len(tries.read_text()) < 2 or each.name == "dead for good":
            os._exit(1)
    each.folder.mkdir(parents=True)
    (each.folder / "note").write_text(each.name)


def run(jobs: list[Job], parallel_map: Callable[..., Any] = HERE) -> tuple[Any, list[tuple[str, str]]]:
    said: list[tuple[str, str]] = []

    def on_done(each: Job, outcome: JobOutcome) -> None:
        said.append((each.name, outcome.error))

    return run_graph(jobs, note, parallel_map, on_done, lambda text: said.append(("", text))), said


def test_keys_follow_from_what_a_result_depends_on(tmp_path: Path) -> None:
    first = job(tmp_path, "first", rate=1)
    assert job(tmp_path / "elsewhere", "first", rate=1).key == first.key
    assert job(tmp_path, "first", rate=2).key != first.key
    second, other = job(tmp_path, "second", (first,)), job(tmp_path, "second", (job(tmp_path, "first", rate=2),))
    assert second.key != other.key and second.folder != other.folder
    assert second.folder.name.endswith(second.key[:16])


def test_every_job_comes_after_what_it_needs_and_is_done_once(tmp_path: Path) -> None:
    first = job(tmp_path, "first")
    second = job(tmp_path, "second", (first,))
    third = job(tmp_path, "third", (first, second))
    report, said = run([third, second, first, first])
    assert [name for name, _ in said] == ["first", "second", "third"]
    assert set(report.ran) == {first.key, second.key, third.key} and not report.failed
    report, said = run([first, second, third])
    assert said == [] and report.ran == ()
    taken = [json.loads((each.folder / "job.json").read_text())["seconds"] for each in (first, second, third)]
    assert sorted(timings(tmp_path)["a"]) == sorted(taken)


def test_a_changed_job_redoes_only_what_depends_on_it(tmp_path: Path) -> None:
    def graph(rate: int) -> list[Job]:
        first, other = job(tmp_path, "first", rate=rate), job(tmp_path, "other")
        return [first, other, job(tmp_path, "after first", (first,)), job(tmp_path, "after other", (other,))]

    run(graph(1))
    _, said = run(graph(2))
    assert {name for name, _ in said} == {"first", "after first"}
    assert run(graph(1))[1] == []  # the old results are still there


def test_a_failure_blocks_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    bad, good = job(tmp_path, "bad"), job(tmp_path, "good")
    after = job(tmp_path, "after bad", (bad, good))
    last = job(tmp_path, "last", (after,))
    fine = job(tmp_path, "fine", (good,))
    report, said = run([bad, good, after, last, fine])
    assert dict(said) == {"bad": "bad cannot be done", "good": "", "fine": ""}
    assert report.failed == {bad.key: "bad cannot be done"}
    assert report.blocked == {after.key: bad.key, last.key: bad.key} and report.count_blocked(bad.key) == 2
    trace = tmp_path / f"{bad.folder.name}.error.txt"
    assert "DataError" in trace.read_text()
    again, said = run([bad, good, after, last, fine])
    assert [name for name, _ in said] == ["bad"] and again.failed


def test_an_error_that_nobody_expected_is_one_line_with_its_kind(tmp_path: Path) -> None:
    there = job(tmp_path, "there")
    there.folder.mkdir(parents=True)
    report, _ = run([there])
    assert report.failed[there.key].startswith("FileExistsError: ")


def test_a_graph_must_be_whole(tmp_path: Path) -> None:
    first = job(tmp_path, "first")
    with pytest.raises(ConfigError, match="needs the job"):
        in_order([job(tmp_path, "second", (first,))])
    circle = [replace(first, needs=("b",), key="a"), replace(first, needs=("a",), key="b")]
    with pytest.raises(ConfigError, match="circle"):
        in_order(circle)


def a_process_dies(folder: Path) -> None:
    once, for_good, fine = job(folder, "dead once"), job(folder, "dead for good"), job(folder, "fine")
    after = job(folder, "after", (for_good,))
    report, said = run([once, for_good, fine, after], partial(run_chunks, workers=2))
    assert "its process died twice" in report.failed[for_good.key]
    assert fine.done and not for_good.done and report.blocked == {after.key: for_good.key}
    # a job that ran beside the dying one may share its fate; a second call does it
    assert once.done or run([once], partial(run_chunks, workers=2))[0].ran
    assert not list(folder.glob(".*.running"))
    assert len(said) == len(report.ran) + len(report.failed)


@pytest.mark.slow
def test_a_process_that_dies_is_tried_again_then_reported(tmp_path: Path) -> None:
    """In a program of its own: joblib keeps its workers, and what other tests have left in them may end them too."""
    script = f"from pathlib import Path; from {__name__} import a_process_dies; a_process_dies(Path({str(tmp_path)!r}))"
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=own, timeout=300, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_job_of_slurm_that_dies_fails_at_once_and_names_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    dead, fine = job(tmp_path, "dead for good"), job(tmp_path, "fine")
    after = job(tmp_path, "after", (dead,))
    slurm = SlurmJobs(tmp_path / "slurm", ("cluster=local", "time=5"), lost=lost_job)
    report, _ = run([dead, fine, after], partial(run_chunks, workers=2, backend="slurm", slurm=slurm))
    assert report.ran == (fine.key,) and report.blocked == {after.key: dead.key}
    log = next((tmp_path / "slurm").glob("*.out"))
    assert report.failed[dead.key].startswith(f"SLURM job {log.name.split('_')[0]} ended without an answer: ")
    assert report.failed[dead.key].endswith((f"its log is {log}", f"its log is {log.with_suffix('.err')}"))
    assert (tmp_path / "dead for good.tries").read_text() == "x", "no second try, whose job would wait in the queue"
    assert not list(tmp_path.glob(".*.running"))
