"""Weights & Biases, which sends what it is told to its makers, unless WANDB_MODE or WANDB_BASE_URL say otherwise."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import Logger

from occfer.tracking.numbers import PROJECT, NumbersLogger


class WandbRun(NumbersLogger):
    """A run of Weights & Biases."""

    def __init__(self, run: Any) -> None:
        super().__init__(str(run.name), str(run.id))
        self._run = run
        self.note = "" if run.settings._offline else f"--log wandb sends settings, losses and figures to {run.url}"

    def log_hyperparams(self, params: Any, *_args: Any, **_more: Any) -> None:
        """Tells the settings."""
        self._run.config.update(dict(params), allow_val_change=True)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Tells one line."""
        self._run.log(dict(metrics), step=step)

    def finalize(self, status: str) -> None:
        """Ends the run, and waits until all of it is sent or written."""
        self._run.finish(exit_code=0 if status == "success" else 1)


def open_wandb(folder: Path, name: str, version: str | None) -> Logger:
    """A run of the project WANDB_PROJECT, or `occfer`; its files lie in WANDB_DIR, or in the run folder.

    The names of machine, account, program and folders, the code, the list of packages and the machine's load, which
    wandb adds by itself, are left out.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # reports of its own faults, to its makers
    import wandb

    settings = wandb.Settings(
        console="off", silent=True, host="", save_code=False, disable_code=True, disable_git=True, x_disable_meta=True,
        x_disable_stats=True, x_disable_machine_info=True, x_save_requirements=False, disable_job_creation=True,
    )  # fmt: skip
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        name=name,
        id=version,
        resume="allow" if version and os.environ.get("WANDB_MODE") != "offline" else None,
        dir=os.environ.get("WANDB_DIR", str(folder)),
        settings=settings,
    )
    return WandbRun(run)
