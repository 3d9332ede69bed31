"""The trainer of a baseline: how it is fitted in a run, and how its model file is used again."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from occfer.engine.engine import Engine, one_process
from occfer.engine.loop import Session
from occfer.engine.trainer import RunAnswers
from occfer.inference.ask_samples import ask_samples
from occfer.methods import Method
from occfer.runs.predictor import Predictor

TEST_BATCH_SIZE = 64


@dataclass(frozen=True, slots=True)
class Baseline:
    """One published method beside the paper's own; it shares data, run folder, metrics and resumption with them.

    See `occfer.engine.trainer.Trainer`.

    Attributes:
        method: its description, with `branch=None`.
        fit: trains it on `session.task`, goes on from what a killed run has left, and writes the model file
            `session.paths.best` last. Called in every process; a baseline of one process works in the first alone.
        load: its predictor, from the model file; called with the file, an engine of one process, and images per call.
    """

    method: Method
    fit: Callable[[Session], None]
    load: Callable[[Path, Engine, int], Predictor]

    def check(self, name: str, pairing: str) -> None:
        """Accepts every pairing: it concerns the guidance alone."""

    def answer_test(self, session: Session) -> RunAnswers | None:
        """Answers the test samples in the first process."""
        if not session.engine.first:
            return None
        task = session.task
        predictor = self.load(session.paths.best, one_process(str(session.engine.device.type)), TEST_BATCH_SIZE)
        probabilities, notes = ask_samples(
            predictor, self.method, task.corpus, task.store, task.test, batch_size=TEST_BATCH_SIZE
        )
        for note in notes:
            session.say(note)
        return RunAnswers(predictor.facts, probabilities)
