"""The search itself: a walk along each setting in turn, then Optuna's sampler.

What is tried next follows from the seed and the finished trials alone, so a search that was killed, however often, ends
in the same trials as an undisturbed one. A trial that failed for a reason that may be gone, such as a full disk, is
tried again by the next call. A combination of values that conflict with each other is recorded as a trial that failed
for good, and is not trained.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import TrialState, create_trial

from occfer.config import TrainConfig
from occfer.config_fields import flag
from occfer.data.random_streams import stream_rng
from occfer.errors import TrainingError
from occfer.files import write_csv, write_json
from occfer.jobs.search_space import TuneOptions, choices, combined, shown
from occfer.jobs.trial_file import FailedTrial, RecordedTrial, TrialFile, TrialValues
from occfer.jobs.trial_jobs import RUNS, TrialFailure, TrialScore, study_name
from occfer.settings import Selection

RESULT, TABLE = "config.json", "trials.csv"


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial.

    Attributes:
        params: the searched settings and their values.
        score: on the validation samples.
        phase: `walk` or `sampler`.
        select: the figure of the score that ranks trials.
    """

    number: int
    params: TrialValues
    score: TrialScore
    phase: str
    select: Selection

    @property
    def merit(self) -> tuple[float, float, int]:
        """What trials are ranked by, the greater the better: their score, then the earlier trial."""
        return (*self.score.merit(self.select), -self.number)


class Search:
    """The trials so far, on disk and in memory.

    Args:
        options: what to search.
        run: trains configurations and returns for each its score, or why there is none.
        say: tells the user something, one line at a time.
    """

    def __init__(
        self,
        options: TuneOptions,
        run: Callable[[Sequence[TrainConfig]], list[TrialScore | TrialFailure]],
        say: Callable[[str], None],
    ) -> None:
        self._options, self._run, self._say = options, run, say
        self._choices = choices(options)
        self._space: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(values) for name, values in self._choices.items()
        }
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._file = TrialFile(options.out, study_name(options, self._choices), self._choices, say)
        self._recorded, self._failed_before = self._file.read()
        # trials of this call that failed for a reason that may be gone at the next one
        self._failed: list[FailedTrial] = []
        if self.trials():
            say(f"continuing after {len(self.trials())} trials")

    def retry(self) -> None:
        """Tries again what failed in an earlier call for a reason that may be gone."""
        again, self._failed_before = self._failed_before, []
        for phase in dict.fromkeys(trial.phase for trial in again):
            self._try([trial.params for trial in again if trial.phase == phase], phase)

    def walk(self) -> None:
        """Coordinate search: tries the values of each setting in turn, with the others at the best values so far."""
        best: TrialValues = {name: getattr(self._options.base, name) for name in self._choices}
        for name, values in self._choices.items():
            line = [{**best, name: value} for value in values]
            self._try(line, "walk")
            if 0 < sum(trial.params in line for trial in self._recorded if trial.conflict) == len(line) - 1:
                stays = f"{flag(name)} stays {shown(best[name])} in the walk"
                self._say(f"{stays}: every other value conflicts with the best settings so far")
            tried = [trial for trial in self.trials() if trial.params in line]
            best = max(tried, key=lambda trial: trial.merit).params if tried else best

    def sample(self) -> None:
        """Optuna's tree-structured Parzen estimator, as long as trials and untried values are left."""
        while (left := self._left()) > 0:
            asked: list[TrialValues] = []
            while len(asked) < min(left, self._options.at_once) and (params := self._ask(asked)) is not None:
                asked.append(params)
            if not asked:
                self._say("every combination of values has been tried")
                return
            self._answer(asked, "sampler")

    def _ask(self, asked: Sequence[TrialValues]) -> TrialValues | None:
        """An untried combination of values, or None if all were tried.

        Args:
            asked: combinations whose results are not known yet.
        """
        tried = [*self._tried(), *asked]
        rng = stream_rng(self._options.base.seed, "tune", len(tried))
        params = self._suggested(rng)
        if params not in tried:
            return params
        # the sampler repeats itself: take any untried combination
        every = (dict(zip(self._choices, values, strict=True)) for values in product(*self._choices.values()))
        untried = [each for each in every if each not in tried]
        return untried[int(rng.integers(len(untried)))] if untried else None

    def _suggested(self, rng: np.random.Generator) -> TrialValues:
        """What Optuna asks for after the recorded trials."""
        study = optuna.create_study(
            direction="maximize", sampler=optuna.samplers.TPESampler(seed=int(rng.integers(2**31)))
        )
        for trial in self._recorded:
            score = trial.score
            study.add_trial(
                create_trial(
                    params=dict(trial.params),
                    distributions=self._space,
                    state=TrialState.FAIL if score is None else TrialState.COMPLETE,
                    value=None if score is None else score.merit(self._options.base.select)[0],
                )
            )
        return study.ask(self._space).params

    def _tried(self) -> list[TrialValues]:
        """The combinations that were tried, whether their runs succeeded or failed in this call or for good."""
        return [*(trial.params for trial in self._recorded), *(trial.params for trial in self._failed)]

    def _left(self) -> int:
        """How many trials may still be made, those that have failed for now left out."""
        return self._options.trials - len(self.trials())

    def _try(self, wanted: Sequence[TrialValues], phase: str) -> None:
        """Tries combinations of values, except those that were tried before, as long as trials are left."""
        while fresh := [params for params in wanted if params not in self._tried()][: max(0, self._left())]:
            self._answer(fresh, phase)

    def _answer(self, asked: Sequence[TrialValues], phase: str) -> None:
        """Runs trials, and records all of them at once: a search that is killed before asks for the same ones again."""
        for params, outcome in zip(asked, self._outcomes(asked), strict=True):
            if isinstance(outcome, TrialFailure) and not outcome.lasting:
                self._failed.append(FailedTrial(params, phase))
                continue
            number = max((trial.number for trial in self._recorded), default=-1) + 1
            score, conflict = (outcome, "") if isinstance(outcome, TrialScore) else (None, outcome.conflict)
            self._recorded.append(RecordedTrial(number, params, phase, score, conflict))
            if score is not None or conflict:
                told = f"skipped: {conflict}" if score is None else f"validation {self._figure(score)}"
                self._say(f"trial {number} ({phase}): {_shown(params)}: {told}")
        self._file.write(self._recorded, [*self._failed_before, *self._failed])
        if self.trials():
            self._write_result()

    def _outcomes(self, asked: Sequence[TrialValues]) -> list[TrialScore | TrialFailure]:
        """What trials come to; those whose settings conflict are not run."""
        configs = [combined(self._options.base, params) for params in asked]
        runnable = [each for each in configs if isinstance(each, TrainConfig)]
        found = iter(self._run(runnable) if runnable else [])
        return [
            next(found) if isinstance(each, TrainConfig) else TrialFailure(lasting=True, conflict=str(each))
            for each in configs
        ]

    def _figure(self, score: TrialScore) -> str:
        """What trials are ranked by: `0.8125`, or `uar 0.7913`."""
        select = self._options.base.select
        figure = abs(score.merit(select)[0])
        return f"{figure:.4f}" if select == "accuracy" else f"{select} {figure:.4f}"

    def trials(self) -> list[Trial]:
        """The finished trials, by number."""
        return [
            Trial(each.number, each.params, each.score, each.phase, self._options.base.select)
            for each in self._recorded
            if each.score is not None
        ]

    def finish(self) -> Trial:
        """Writes the best settings and the table of trials, and returns the best trial.

        Raises:
            TrainingError: none has finished.
        """
        if self._failed:
            self._say(f"trials that failed for a reason that may be gone: {len(self._failed)}; call again to try again")
        if not self.trials():
            raise TrainingError(f"every trial has failed; see the error files in {self._options.out / RUNS}")
        return self._write_result()

    def _write_result(self) -> Trial:
        out, trials = self._options.out, self.trials()
        best = max(trials, key=lambda trial: trial.merit)
        write_json(out / RESULT, {**self._options.given, **best.params})
        header = ("trial", "phase", *self._choices, "validation_accuracy", "validation_loss", "validation_uar")
        write_csv(out / TABLE, header, (self._cells(trial) for trial in trials))
        return best

    def _cells(self, trial: Trial) -> tuple[object, ...]:
        values = (trial.params[name] for name in self._choices)
        cells = (value if type(value) in (int, float) else shown(value) for value in values)  # every digit of a number
        score = trial.score
        return (trial.number, trial.phase, *cells, score.accuracy, score.loss, "" if score.uar is None else score.uar)


def _shown(params: TrialValues) -> str:
    return ", ".join(f"{flag(name)} {shown(value)}" for name, value in params.items())
