"""The trainer of a baseline: how it is fitted in a run, and how its model file is used again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from occfer.config import TrainConfig
from occfer.data.arrays import View
from occfer.engine.engine import Engine, one_process
from occfer.engine.loop import Session
from occfer.engine.trainer import RunAnswers
from occfer.inference.ask_samples import ask_samples
from occfer.methods import Method
from occfer.runs.predictor import Predictor

TEST_BATCH_SIZE = 64


@dataclass(frozen=True, slots=True)
class Baseline:
    """The trainer of a published method that the paper compares with, see `occfer.engine.trainer.Trainer`.

    Attributes:
        method: its description, with `branch=None`.
        fit: trains on `session.data`, resumes what a killed run left, and writes the model file
            `session.paths.best` last. It is called in every process; a baseline that needs only one process works in
            the first and returns at once in the others.
        load: opens a model file as a predictor; called with the file, an engine of one process, and images per call.
    """

    method: Method
    fit: Callable[[Session], None]
    load: Callable[[Path, Engine, int], Predictor]

    def check(self, config: TrainConfig) -> None:
        """Accepts all settings, because those that conflict are of the guidance."""

    def answer_test(self, session: Session, view: View) -> RunAnswers | None:
        """Answers the test samples in the first process."""
        if not session.engine.first:
            return None
        data = session.data
        predictor = self.load(session.paths.best, one_process(str(session.engine.device.type)), TEST_BATCH_SIZE)
        probabilities, notes = ask_samples(
            predictor, view, data.corpus, data.store, data.test, batch_size=TEST_BATCH_SIZE
        )
        for note in notes:
            session.say(note)
        return RunAnswers(predictor.info, probabilities)
