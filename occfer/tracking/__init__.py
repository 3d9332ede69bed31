"""Where the course of a training is told, too: TensorBoard, Trackio, Weights & Biases, MLflow (`--log`).

What is told, and that nothing is told twice, belongs into `course.py`; a tracker is one more file that opens a `Logger`
of Lightning Fabric, and one line of `TRACKERS`, which loads none of them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tracker:
    """A tracker that `--log` takes.

    Attributes:
        opener: module of this room and function, which begins a run or goes on with one. It takes the run folder, the
            run's name, and the `version` that the logger had in an earlier call, or None, and returns the logger.
        package: that must be installed.
    """

    opener: str
    package: str


TRACKERS: dict[str, Tracker] = {
    "tensorboard": Tracker("tensorboard:open_tensorboard", "tensorboard"),
    "trackio": Tracker("trackio:open_trackio", "trackio"),
    "wandb": Tracker("wandb:open_wandb", "wandb"),
    "mlflow": Tracker("mlflow:open_mlflow", "mlflow"),
}
"""Trackers by the name that `--log` takes, which is the name of their extra, too."""
