"""Jobs of SLURM: through submitit's local executor, and through programs that stand in for SLURM's own."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from operator import call, mul
from pathlib import Path

import psutil
import pytest

from occsynth import slurm
from occsynth.errors import BuildError
from occsynth.parallel import run_chunks
from occsynth.reading import read_json
from occsynth.slurm import SLURM_FOLDER, SlurmJobs
from tests.builds import ROOT

LOCAL = ("cluster=local", "time=5")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / SLURM_FOLDER / "some"


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "_POLL_S", 0.1)
    monkeypatch.setattr(slurm, "_ASK_S", 0.5)


def products(numbers: range) -> Iterator[tuple[object, ...]]:
    return ((mul, 2, number) for number in numbers)


def processes_of(folder: Path) -> list[psutil.Process]:
    """The jobs that work in a folder."""
    listed = psutil.process_iter(["cmdline", "status"])
    return [each for each in listed if str(folder) in " ".join(each.info["cmdline"] or []) and each.pid != os.getpid()]


def wait_for_the_end(folder: Path) -> None:
    """Of all processes that work there: one that failed writes its log last."""
    until = time.monotonic() + 60
    while processes_of(folder):
        assert time.monotonic() < until, "a job is still at work"
        time.sleep(0.1)


def test_a_job_takes_several_chunks_and_nothing_is_left(folder: Path) -> None:
    jobs = SlurmJobs(folder, LOCAL, chunks_each=2)
    assert sorted(run_chunks(call, products(range(5)), workers=2, backend="slurm", slurm=jobs)) == [0, 2, 4, 6, 8]
    assert not folder.parent.exists()


def test_an_error_for_the_user_comes_through_and_the_other_jobs_end(folder: Path) -> None:
    chunks = [(time.sleep, 300), (read_json, folder / "none.json", BuildError)]
    with pytest.raises(BuildError, match=r"none\.json"):
        list(run_chunks(call, chunks, backend="slurm", slurm=SlurmJobs(folder, LOCAL)))
    wait_for_the_end(folder)


def test_a_job_without_an_answer_is_one_line_that_names_its_log(folder: Path) -> None:
    chunks = [(int, "seven")]
    with pytest.raises(
        BuildError, match=r"SLURM job (\d+) ended without an answer: ValueError: inv.* its log is "
    ) as told:
        list(run_chunks(call, chunks, backend="slurm", slurm=SlurmJobs(folder, LOCAL)))
    wait_for_the_end(folder)
    log = next(folder.glob("*.err"))
    assert f"its log is {log}. Run the same command again: finished work is kept" in str(told.value)
    assert "invalid literal for int() with base 10: 'seven'" in log.read_text()
    assert not list(folder.glob("*.pkl"))


def test_the_reason_is_what_the_job_raised_before_its_log_has_it(folder: Path) -> None:
    """The answer is there first; the traceback is written into the log as the process ends."""
    late = "import sys, time; sys.excepthook = lambda *_, wait=time.sleep: wait(2); raise LookupError('no seven')"
    with pytest.raises(BuildError, match=r"ended without an answer: LookupError: no seven; its log is .*\.err\. Run"):
        list(run_chunks(call, [(exec, late)], backend="slurm", slurm=SlurmJobs(folder, LOCAL)))


def test_who_says_what_a_lost_chunk_becomes_loses_no_other(folder: Path) -> None:
    jobs = SlurmJobs(folder, LOCAL, lost=lambda chunk, reason: (chunk, reason))
    killed = (signal.raise_signal, signal.SIGKILL)
    results = list(run_chunks(call, [killed, (mul, 2, 3)], backend="slurm", slurm=jobs))
    assert 6 in results
    results.remove(6)
    [(chunk, reason)] = results
    assert chunk == killed and "ended without an answer: nothing was logged; its log is" in reason


SUBMIT = """
import sys, time
from operator import call, mul
from pathlib import Path
from occsynth.parallel import run_chunks
from occsynth.slurm import SlurmJobs
chunks, jobs = [(time.sleep, 300), (mul, 2, 3)], SlurmJobs(Path(sys.argv[1]), ("cluster=local", "time=5"))
for result in run_chunks(call, chunks, backend="slurm", slurm=jobs):
    print(result, flush=True)
"""


def test_jobs_of_a_call_that_was_killed_are_ended_by_the_next(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SUBMIT, str(folder)], stdout=subprocess.PIPE, cwd=ROOT) as submitter:
        assert submitter.stdout and submitter.stdout.readline() == b"6\n"
        submitter.kill()
    former = processes_of(folder)
    assert former, "the other job goes on"
    assert list(run_chunks(call, [(mul, 2, 4)], backend="slurm", slurm=SlurmJobs(folder, LOCAL))) == [8]
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in former)
    assert not folder.exists()


def test_a_folder_that_others_can_write_to_is_refused(folder: Path) -> None:
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(BuildError, match=r"can be written to by others, who could run code through it as you; delete"):
        list(run_chunks(mul, [(2, 3)], backend="slurm", slurm=SlurmJobs(folder, LOCAL)))


def test_a_job_runs_after_its_setup_in_a_folder_for_its_owner_alone(folder: Path) -> None:
    jobs = SlurmJobs(folder, (*LOCAL, "setup=WORD=there", "setup=export WORD"), chunks_each=2)
    word, status = run_chunks(call, [(os.getenv, "WORD"), (os.stat, folder)], workers=1, backend="slurm", slurm=jobs)
    assert word == "there"
    assert stat.S_IMODE(status.st_mode) == 0o700


@pytest.mark.parametrize(
    "options, message",
    [
        (["partition=gpu"], "needs --slurm time=MINUTES, the longest that one job may take"),
        (["time=soon"], "--slurm time=soon: give a time as SLURM does: 90, 1:30:00 or 1-12"),
        (["time=0"], "--slurm time=0: give a time"),
        (["time=5", "--partition=gpu"], "--slurm --partition=gpu: give a long option of sbatch without its dashes"),
        (["time=5", "comment=a\nrm -rf x"], "give a long option"),
        (["time=5", "output=log"], "--slurm output=log: this is set for you; leave it out"),
        (["time=5", "cluster=mine"], "--slurm cluster=mine: must be slurm, or local to try the jobs on this machine"),
    ],
)
def test_options_that_are_none_are_named(folder: Path, options: list[str], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        SlurmJobs(folder, tuple(options))


def test_options_need_the_backend_and_the_backend_needs_submitit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BuildError, match="--slurm needs --backend slurm"):
        list(run_chunks(mul, [(2, 3)], slurm=SlurmJobs(folder, LOCAL)))
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(BuildError, match=r"needs submitit: pip install 'occsynth\[slurm\]'"):
        list(run_chunks(mul, [(2, 3)], backend="slurm", slurm=SlurmJobs(folder, LOCAL)))


PROGRAMS = {
    # runs each task of a script in the background, as SLURM would on a node; its file in the queue goes when it ends
    "sbatch": """
        option() { sed -n "s/^#SBATCH --$1=//p" "$script" | sed "s/%A_%a\\|%j/$number/"; }
        script=$1
        grep -q "partition=none" "$script" && { echo "sbatch: error: invalid partition specified: none" >&2; exit 1; }
        last=$(option array | sed -n "s/^0-\\([0-9]*\\)%.*/\\1/p")
        for task in $(seq 0 ${last:-0}); do
            number=$$${last:+_$task}
            touch "$QUEUE/$number"
            (
                export SLURM_JOB_ID=$$ SLURM_CPUS_ON_NODE=$(option cpus-per-task)
                test -z "$last" || export SLURM_ARRAY_JOB_ID=$$ SLURM_ARRAY_TASK_ID=$task
                bash "$script" > "$(option output)" 2> "$(option error)"
                rm "$QUEUE/$number"
            ) > /dev/null 2>&1 &
        done
        echo "Submitted batch job $$"
        cp "$script" "$QUEUE/../script-$$"
    """,
    "squeue": 'ls "$QUEUE"',
    "sacct": 'echo "FAILED by a program that stands in"',
    "srun": "exit 1",
    "scancel": 'echo "$@" >> "$QUEUE/../cancelled"',
}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that stand in for SLURM's, first in PATH."""
    programs = tmp_path / "programs"
    (tmp_path / "queue").mkdir()
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("QUEUE", str(tmp_path / "queue"))
    return tmp_path


def test_slurm_gets_an_array_with_its_options(cluster: Path, folder: Path) -> None:
    options = ("time=1:30:00", "partition=cpu", "cpus-per-task=2", "exclusive", f"setup=touch {cluster}/was-here")
    assert sorted(run_chunks(call, products(range(3)), backend="slurm", slurm=SlurmJobs(folder, options))) == [0, 2, 4]
    [script] = cluster.glob("script-*")
    lines = script.read_text().splitlines()
    wanted = {"time=90", "partition=cpu", "cpus-per-task=2", "exclusive", "array=0-2%3", "job-name=occsynth"}
    assert wanted <= {line.removeprefix("#SBATCH --") for line in lines}
    assert (cluster / "was-here").exists()
    assert not folder.exists()


def test_a_job_that_slurm_no_longer_lists_has_ended(cluster: Path, folder: Path) -> None:
    jobs = SlurmJobs(folder, ("time=5",))
    with pytest.raises(BuildError, match=r"\(FAILED by a program that stands in\): .*Killed.*; its log is .*\.err"):
        list(run_chunks(call, [(signal.raise_signal, signal.SIGKILL)], backend="slurm", slurm=jobs))


def test_only_jobs_of_slurm_are_cancelled_there(cluster: Path, folder: Path) -> None:
    """A process that a call with cluster=local has left may have the number of somebody's job."""
    folder.mkdir(parents=True, mode=0o700)
    for name in ("77_1_submitted.pkl", "77_submission.sh", f"{os.getpid()}_submitted.pkl", "77_1_0_log.err"):
        (folder / name).touch()
    assert list(run_chunks(mul, [(2, 3)], backend="slurm", slurm=SlurmJobs(folder, ("time=5",)))) == [6]
    assert (cluster / "cancelled").read_text() == "--quiet 77_1\n"
    assert not folder.exists()


def test_what_sbatch_says_is_told(cluster: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    jobs = SlurmJobs(folder, ("time=5", "partition=none"))
    with pytest.raises(BuildError, match=r"refuses the job, see --slurm: sbatch: error: invalid partition specified"):
        list(run_chunks(mul, [(2, 3)], backend="slurm", slurm=jobs))
    assert "sbatch" not in capfd.readouterr().err
    assert not list(folder.glob("*.pkl"))


def test_without_slurm_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="no `srun` on this machine; run this on a node from which jobs can be"):
        list(run_chunks(mul, [(2, 3)], backend="slurm", slurm=SlurmJobs(folder, ("time=5",))))
