"""docs/clusters.md: what can run without a cluster runs, and the other commands are understood."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from occfer.cli.app import app as occfer
from occsynth.cli.app import app as occsynth
from occsynth.slurm import SlurmJobs
from tests.builds import ROOT
from tests.test_readme import run, unmeasured

DOCS = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for kind, text in BLOCKS
    for line in text.replace("\\\n", " ").splitlines()
    if kind == "console" and line.startswith("$ ")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_each_command_are_understood(command: str) -> None:
    program, name, *words = shlex.split(command)
    group = get_command({"occsynth": occsynth, "occfer": occfer}[program])
    context = group.commands[name].make_context(name, words)  # type: ignore[attr-defined]
    assert context.params["backend"] == "slurm" or "tcp://" in context.params["scheduler"]
    SlurmJobs(Path("slurm"), tuple(context.params["slurm"] or ()))


@pytest.mark.slow
def test_what_needs_no_cluster_prints_what_is_shown(tmp_path: Path) -> None:
    [shown] = [text for kind, text in BLOCKS if kind == "console" and "cluster=local" in text]
    command, *printed = shown.removeprefix("$ ").splitlines(keepends=True)
    assert unmeasured(run(command, tmp_path)) == unmeasured("".join(printed))


@pytest.mark.slow
@pytest.mark.xdist_group("dask")
def test_the_script_for_dask_runs_on_workers_of_this_machine(tmp_path: Path) -> None:
    """Jobs of SLURM are processes here; the rest of the script is as it stands."""
    [script] = [text for kind, text in BLOCKS if kind == "python"]
    for there, here in (
        ("from dask_jobqueue import SLURMCluster", "from distributed import LocalCluster"),
        (re.search(r"SLURMCluster\(.*?\)", script)[0], "LocalCluster(n_workers=0, threads_per_worker=1)"),  # type: ignore[index]
        ("scale(jobs=4)", "scale(2)"),
    ):
        assert script.count(there) == 1
        script = script.replace(there, here)
    (tmp_path / "workers.py").write_text(script)
    assert run(f"{sys.executable} workers.py", tmp_path) == "280\n"
