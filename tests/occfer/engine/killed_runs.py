"""`occfer train` in a process of its own, ended by a real SIGKILL at a chosen moment, for the tests of `--resume`.

The processes are forked by a server that has loaded occfer already, so a kill costs a second and not ten.
"""

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STEPS = ("stage 1", "discriminator", "student")
WRITES = ("half a checkpoint", "before a rename", "after a rename", "half a line of the log")


@dataclass
class Killer:
    """Counts moments of some kinds as they pass, and kills its process at one of them.

    Attributes:
        kinds: of `STEPS` and `WRITES`; others pass uncounted.
        number: the moment to die at, counted from 1; 0 for never.
        trace: a file that gets each counted moment as a line.
    """

    kinds: tuple[str, ...]
    number: int
    trace: Path
    seen: int = 0

    def is_due(self, kind: str) -> bool:
        if kind not in self.kinds:
            return False
        self.seen += 1
        with self.trace.open("a") as file:
            file.write(f"{kind}\n")
        return self.seen == self.number

    def pass_by(self, kind: str) -> None:
        if self.is_due(kind):
            self.kill()

    def kill(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def start(folder: Path, words: list[str], kinds: tuple[str, ...] = (), number: int = 0) -> Any:
    """A started process that runs `occfer WORDS` in a folder; it traces into `trace` and prints into `said` there."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["occfer.cli.app", "occfer.training.train", "occfer.metrics.figures"])
    process = context.Process(target=_run, args=(folder, words, kinds, number))
    process.start()
    return process


def finish(process: Any) -> int:
    """The exit code, minus the signal that ended it."""
    process.join(120)
    code = process.exitcode
    process.close()
    assert isinstance(code, int), "the run does not end"
    return code


def _run(folder: Path, words: list[str], kinds: tuple[str, ...], number: int) -> None:
    import torch

    from occfer.cli.app import main
    from tests.occfer.toy_builds import add_tiny_backbone

    torch.set_num_threads(1)
    add_tiny_backbone()
    os.chdir(folder)
    _arm(Killer(kinds, number, folder / "trace"))
    sys.argv = ["occfer", *words]
    with (folder / "said").open("a") as said, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        main()


def _arm(killer: Killer) -> None:
    """Makes functions report their moments to the killer."""
    from occfer.methods import Guidance, Pretraining
    from occfer.runs import checkpoint
    from occfer.runs.metrics_log import MetricsLog

    for owner, name, kind in (
        (Pretraining, "step", "stage 1"),
        (Guidance, "discriminator_step", "discriminator"),
        (Guidance, "student_step", "student"),
    ):

        def spy(original: Callable[..., Any], *args: Any, _kind: str = kind, **options: Any) -> Any:
            killer.pass_by(_kind)
            return original(*args, **options)

        _replace(owner, name, spy)

    def save_half(original: Callable[..., None], content: Any, path: Path, **options: Any) -> None:
        original(content, path, **options)
        if killer.is_due("half a checkpoint"):
            os.truncate(path, path.stat().st_size // 2)
            shutil.copyfile(path, path.with_name(".tmpA1b2C3"))  # safetensors' own temporary name
            killer.kill()

    def rename(original: Callable[..., Path], path: Path, target: Path) -> Path:
        killer.pass_by("before a rename")
        renamed = original(path, target)
        killer.pass_by("after a rename")
        return renamed

    def append_half(original: Callable[..., None], log: MetricsLog, cells: tuple[Any, ...]) -> None:
        before = log.path.stat().st_size if log.path.is_file() else 0
        original(log, cells)
        if killer.is_due("half a line of the log"):
            os.truncate(log.path, (before + log.path.stat().st_size) // 2)
            killer.kill()

    _replace(checkpoint, "save_file", save_half)
    _replace(Path, "replace", rename)
    _replace(MetricsLog, "_append", append_half)


def _replace(owner: Any, name: str, made: Callable[..., Any]) -> None:
    original = getattr(owner, name)
    setattr(owner, name, lambda *args, **options: made(original, *args, **options))
