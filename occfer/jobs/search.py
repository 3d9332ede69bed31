"""The search itself: a walk along each setting in turn, then Optuna's sampler; every trial is kept on disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from occfer.config import TrainConfig, flag
from occfer.data.batches import stream_rng
from occfer.errors import TrainingError
from occfer.files import write_csv, write_json
from occfer.jobs.search_space import TuneOptions, choices
from occfer.jobs.trial_jobs import RUNS, TrialScore, study_name

STORAGE, RESULT, TABLE = "trials.journal", "config.json", "trials.csv"

# A value for each searched setting.
TrialValues = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial.

    Attributes:
        params: the searched settings and their values.
        accuracy, loss: on the validation samples, the means over folds.
        phase: `walk` or `sampler`.
    """

    number: int
    params: dict[str, float]
    accuracy: float
    loss: float
    phase: str

    @property
    def merit(self) -> tuple[float, float, int]:
        """What trials are ranked by, the greater the better: accuracy, then the lower loss, then the earlier trial."""
        return (self.accuracy, -self.loss, -self.number)


class Search:
    """The study on disk, and the trials so far.

    Args:
        options: what to search.
        run: trains configurations and returns their scores, None for a failed one.
        say: tells the user something, one line at a time.
    """

    def __init__(
        self,
        options: TuneOptions,
        run: Callable[[Sequence[TrainConfig]], list[TrialScore | None]],
        say: Callable[[str], None],
    ) -> None:
        self._options, self._run, self._say = options, run, say
        self._choices = choices(options)
        self._space: dict[str, BaseDistribution] = {
            name: CategoricalDistribution(values) for name, values in self._choices.items()
        }
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(options.out / STORAGE))),
            study_name=study_name(options, self._choices),
            direction="maximize",
            load_if_exists=True,
        )
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):  # left by a search that was killed
            self._study.tell(trial.number, state=TrialState.FAIL)
        if self.trials():
            say(f"continuing after {len(self.trials())} trials")

    def walk(self) -> None:
        """Coordinate search: tries the values of each setting in turn, with the others at the best values so far."""
        best: TrialValues = {name: getattr(self._options.base, name) for name in self._choices}
        for name, values in self._choices.items():
            line = [{**best, name: value} for value in values]
            self._try(line)
            tried = [trial for trial in self.trials() if trial.params in line]
            best = max(tried, key=lambda trial: trial.merit).params if tried else best

    def sample(self) -> None:
        """Optuna's tree-structured Parzen estimator, as long as trials and untried values are left."""
        while (left := self._options.trials - len(self.trials())) > 0:
            tried = self._tried()
            asked: list[optuna.Trial] = []
            while len(asked) < min(left, self._options.at_once) and (trial := self._ask(tried)) is not None:
                asked.append(trial)
                tried.append(trial.params)
            if not asked:
                self._say("every combination of values has been tried")
                return
            self._answer(asked, "sampler")

    def _ask(self, tried: Sequence[TrialValues]) -> optuna.Trial | None:
        """An untried combination of values, or None if all were tried.

        It follows from the seed and the earlier trials on disk, not from the process that asks.
        """
        number = len(self._study.get_trials(deepcopy=False))
        rng = stream_rng(self._options.base.seed, "tune", number)
        self._study.sampler = optuna.samplers.TPESampler(seed=int(rng.integers(2**31)))
        trial = self._study.ask(self._space)
        if trial.params not in tried:
            return trial
        self._study.tell(trial, state=TrialState.FAIL)  # the sampler repeats itself: take any untried combination
        every = (dict(zip(self._choices, values, strict=True)) for values in product(*self._choices.values()))
        untried = [params for params in every if params not in tried]
        if not untried:
            return None
        self._study.enqueue_trial(untried[int(rng.integers(len(untried)))])
        return self._study.ask(self._space)

    def _tried(self) -> list[TrialValues]:
        """The combinations that were tried, whether their runs succeeded or failed."""
        return [trial.params for trial in self._study.get_trials(deepcopy=False) if "phase" in trial.user_attrs]

    def _try(self, wanted: Sequence[TrialValues]) -> None:
        """Tries combinations of values, except those that were tried before, as long as trials are left."""
        known = self._tried()
        left = max(0, self._options.trials - len(self.trials()))
        fresh = [dict(params) for params in wanted if dict(params) not in known][:left]
        for params in fresh:
            self._study.enqueue_trial(params)
        self._answer([self._study.ask(self._space) for _ in fresh], "walk")

    def _answer(self, asked: Sequence[optuna.Trial], phase: str) -> None:
        """Runs trials and tells the study their scores."""
        scores = self._run([_with(self._options.base, trial.params) for trial in asked])
        for trial, score in zip(asked, scores, strict=True):
            trial.set_user_attr("phase", phase)
            if score is None:
                self._study.tell(trial, state=TrialState.FAIL)
                continue
            trial.set_user_attr("loss", score.loss)
            self._study.tell(trial, score.accuracy)
            self._say(f"trial {trial.number} ({phase}): {_shown(trial.params)}: validation {score.accuracy:.4f}")
        if self.trials():
            self._write()

    def trials(self) -> list[Trial]:
        """The finished trials, by number."""
        return [_finished(each) for each in self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]

    def best(self) -> Trial:
        """The best trial; raises TrainingError if none has finished."""
        if not self.trials():
            raise TrainingError(f"every trial has failed; see the error files in {self._options.out / RUNS}")
        return max(self.trials(), key=lambda trial: trial.merit)

    def _write(self) -> None:
        """Writes the best settings and the table of trials."""
        out = self._options.out
        write_json(out / RESULT, {**self._options.given, **self.best().params})
        header = ("trial", "phase", *self._choices, "validation_accuracy", "validation_loss")
        write_csv(out / TABLE, header, (self._cells(trial) for trial in self.trials()))

    def _cells(self, trial: Trial) -> tuple[object, ...]:
        values = (trial.params[name] for name in self._choices)
        return (trial.number, trial.phase, *values, trial.accuracy, trial.loss)


def _finished(trial: FrozenTrial) -> Trial:
    return Trial(
        trial.number, dict(trial.params), float(trial.value or 0.0), trial.user_attrs["loss"], trial.user_attrs["phase"]
    )


def _with(base: TrainConfig, params: TrialValues) -> TrainConfig:
    """The base configuration with some settings changed."""
    return TrainConfig.from_json(base.to_json() | dict(params))


def _shown(params: TrialValues) -> str:
    return ", ".join(f"{flag(name)} {value:g}" for name, value in params.items())
