"""Trackio: its database on this machine, which `trackio show` draws and `trackio sync` uploads if its user wants that.

Rows go straight into the database. `trackio.init` would ask Hugging Face for the name of the account whose token lies
on this machine and keep it with the run, measure the processor and the network, and print.
"""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import Logger

from occfer.tracking.numbers import PROJECT, NumbersLogger


class TrackioRun(NumbersLogger):
    """A run in Trackio's database."""

    def __init__(self, run_name: str, run_id: str) -> None:
        from trackio.sqlite_storage import SQLiteStorage

        super().__init__(run_name, run_id)
        self._write = SQLiteStorage.bulk_log
        self._settings: dict[str, Any] | None = None

    def log_hyperparams(self, params: Any, *_args: Any, **_more: Any) -> None:
        """Keeps the settings for the first row, with which Trackio stores them."""
        self._settings = dict(params)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Writes a row."""
        row, settings = [dict(metrics)], self._settings
        self._write(PROJECT, self.name, row, steps=[step or 0], config=settings, run_id=self.version)
        self._settings = None


def open_trackio(folder: Path, name: str, version: str | None) -> Logger:
    """A run in the project `occfer` of the database in `TRACKIO_DIR`, or where Trackio keeps it."""
    del folder
    return TrackioRun(name, version or uuid.uuid4().hex)
