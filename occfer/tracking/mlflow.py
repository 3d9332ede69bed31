"""MLflow: the server or database that MLFLOW_TRACKING_URI names, or its own default, mlflow.db in this folder."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning_fabric.loggers.logger import Logger

from occfer.tracking.numbers import PROJECT, NumbersLogger


class MlflowRun(NumbersLogger):
    """A run of MLflow, by its client, which adds neither the user's name nor the program's path."""

    def __init__(self, client: Any, run_name: str, run_id: str) -> None:
        super().__init__(run_name, run_id)
        self._client = client

    def log_hyperparams(self, params: Any, *_args: Any, **_more: Any) -> None:
        """Tells the settings."""
        from mlflow.entities import Param

        self._client.log_batch(self.version, params=[Param(name, str(value)) for name, value in params.items()])

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Tells one line."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        told = [Metric(name, value, now_ms, step or 0) for name, value in metrics.items()]
        self._client.log_batch(self.version, metrics=told)

    def finalize(self, status: str) -> None:
        """Ends the run."""
        ended = {"success": "FINISHED", "aborted": "KILLED"}
        self._client.set_terminated(self.version, ended.get(status, "FAILED"))


def open_mlflow(folder: Path, name: str, version: str | None) -> Logger:
    """A run of the experiment MLFLOW_EXPERIMENT_NAME, or `occfer`."""
    del folder
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # what is used how, to its makers
    from mlflow import MlflowClient

    client: Any = MlflowClient()
    if version:
        client.update_run(version, status="RUNNING")
        return MlflowRun(client, name, version)
    wanted = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
    known = client.get_experiment_by_name(wanted)
    experiment = client.create_experiment(wanted) if known is None else known.experiment_id
    return MlflowRun(client, name, client.create_run(experiment, run_name=name).info.run_id)
