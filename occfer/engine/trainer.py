"""What a run needs of whatever it trains: one interface for the paper's methods and the baselines."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from occfer.config import TrainConfig
from occfer.data.arrays import View
from occfer.engine.engine import Engine
from occfer.engine.loop import Session
from occfer.methods import Method
from occfer.runs.model_info import ModelInfo
from occfer.runs.predictor import Predictor


@dataclass(frozen=True, slots=True, eq=False)
class RunAnswers:
    """What a trained model answered to the test samples of its run.

    Attributes:
        info: what its model file says about it.
        probabilities: `(test samples, classes)` float64, rows sum to 1.
    """

    info: ModelInfo
    probabilities: npt.NDArray[np.float64]


class Trainer(Protocol):
    """How a method is trained in a run, and how its model file is used again."""

    @property
    def method(self) -> Method:
        """The description of what is trained."""
        ...

    def check(self, config: TrainConfig) -> None:
        """Refuses settings that `config.method` cannot be trained with; raises ConfigError."""
        ...

    @property
    def fit(self) -> Callable[[Session], None]:
        """Trains in a session; called in every process."""
        ...

    @property
    def load(self) -> Callable[[Path, Engine, int], Predictor]:
        """Opens a model file: path, an engine of one process, images per call."""
        ...

    def answer_test(self, session: Session, view: View) -> RunAnswers | None:
        """Answers the clean or the occluded images of the test samples, after `fit`.

        It is called in every process, and returns None in all but the first.
        """
        ...
