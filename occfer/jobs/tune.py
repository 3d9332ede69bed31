"""Searching loss weights and schedule on validation rows: a walk along each in turn, then Optuna's sampler.

The test rows are never predicted here: every trial is a training run that stops before its test. Runs are
content-addressed and share the branches of stage 1, so a second call goes on, and another grid reuses what it can.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from occfer.config import TrainConfig, digest, flag
from occfer.data.batches import stream_rng
from occfer.data.manifests import read_corpus
from occfer.errors import ConfigError, TrainingError
from occfer.files import write_json
from occfer.jobs.graph import Job, Outcome, Spread, make_job, run_graph
from occfer.jobs.relevant_settings import content_of, only_own, settings_of
from occfer.jobs.worker import Workplace, do_job
from occfer.method_table import method_named
from occfer.runs.run_folder import open_run

WEIGHTS = (0.01, 0.1, 0.5, 1.0)  # of each loss [decided]: the paper searched a grid and does not say which
STORAGE, RESULT, TABLE, LOCK = "trials.journal", "config.json", "trials.csv", ".lock"

Params = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions:
    """What to search.

    Attributes:
        base: every other setting; what it says of a searched field is among the field's values.
        folds: their validation accuracies are averaged; (None,) where there are none.
        grid: field of `TrainConfig` to its values; weights of losses that are missing get `WEIGHTS`.
        trials: how many at most, those of the walk among them.
        at_once: trials that the sampler draws before it hears of their results.
        given: settings that the result repeats, since it was found with them.
        out: folder of runs, branches, trials and result.
    """

    base: TrainConfig
    folds: tuple[int | None, ...] = (None,)
    grid: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    trials: int = 32
    at_once: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)
    out: Path = Path("tune")


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished trial.

    Attributes:
        params: the searched fields.
        accuracy, loss: on validation rows, the mean over folds.
        phase: `walk` or `sampler`.
    """

    number: int
    params: dict[str, float]
    accuracy: float
    loss: float
    phase: str


@dataclass(frozen=True, slots=True)
class Tuned:
    """What was found.

    Attributes:
        best: the trial with the best accuracy; of equals the one with the lower loss.
        trials: all, by number.
        config: the file that `--config` takes.
    """

    best: Trial
    trials: tuple[Trial, ...]
    config: Path


@dataclass(frozen=True, slots=True)
class _Score:
    """On validation rows, the mean over folds."""

    accuracy: float
    loss: float


def tune(options: TuneOptions, spread: Spread, workplace: Workplace, say: Callable[[str], None]) -> Tuned:
    """Searches, and writes `config.json` and `trials.csv` after every trial.

    Args:
        options: what.
        spread: runs trials that do not wait for each other, see `occfer.jobs.graph.Spread`.
        workplace: how they run there.
        say: tells the user something, a line at a time.

    Raises:
        ConfigError: nothing to search, or a field that the method does not use.
        TrainingError: every trial has failed.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(options.out / LOCK, timeout=0):
            search = _Search(options, partial(_run, options, spread, workplace, say), say)
            search.walk()
            search.sample()
            return search.result()
    except Timeout as error:
        raise ConfigError(f"--out {options.out} is in use by another search; choose another folder") from error


class _Search:
    """The study on disk, and what was found so far."""

    def __init__(
        self,
        options: TuneOptions,
        run: Callable[[Sequence[TrainConfig]], list[_Score | None]],
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
            study_name=_identity(options, self._choices),
            direction="maximize",
            load_if_exists=True,
        )
        for trial in self._study.get_trials(states=(TrialState.RUNNING,)):  # of a search that was killed
            self._study.tell(trial.number, state=TrialState.FAIL)
        if self.trials():
            say(f"going on after {len(self.trials())} trials")

    def walk(self) -> None:
        """Coordinate search: each field in turn, the others at the best values so far."""
        place: Params = {name: getattr(self._options.base, name) for name in self._choices}
        for name, values in self._choices.items():
            line = [{**place, name: value} for value in values]
            self._try(line)
            tried = [trial for trial in self.trials() if trial.params in line]
            place = max(tried, key=_merit).params if tried else place

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

    def _ask(self, tried: Sequence[Params]) -> optuna.Trial | None:
        """The next trial, an untried one; None if there is none. It follows from the seed and its number."""
        number = len(self._study.get_trials(deepcopy=False))
        rng = stream_rng(self._options.base.seed, "tune", number)
        self._study.sampler = optuna.samplers.TPESampler(seed=int(rng.integers(2**31)))
        trial = self._study.ask(self._space)
        if trial.params not in tried:
            return trial
        self._study.tell(trial, state=TrialState.FAIL)  # the sampler repeats itself: any untried place instead
        every = (dict(zip(self._choices, values, strict=True)) for values in product(*self._choices.values()))
        untried = [params for params in every if params not in tried]
        if not untried:
            return None
        self._study.enqueue_trial(untried[int(rng.integers(len(untried)))])
        return self._study.ask(self._space)

    def _tried(self) -> list[Params]:
        """Values that have been tried, with or without success."""
        return [trial.params for trial in self._study.get_trials(deepcopy=False) if "phase" in trial.user_attrs]

    def _try(self, wanted: Sequence[Params]) -> None:
        """Trials of given values, but for those that were tried before."""
        known = self._tried()
        left = max(0, self._options.trials - len(self.trials()))
        fresh = [dict(params) for params in wanted if dict(params) not in known][:left]
        for params in fresh:
            self._study.enqueue_trial(params)
        self._answer([self._study.ask(self._space) for _ in fresh], "walk")

    def _answer(self, asked: Sequence[optuna.Trial], phase: str) -> None:
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
        """The finished ones."""
        return [_finished(each) for each in self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]

    def _best(self) -> Trial:
        return max(self.trials(), key=_merit)

    def _write(self) -> None:
        out, best = self._options.out, self._best()
        write_json(out / RESULT, {**self._options.given, **best.params})
        with (out / TABLE).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("trial", "phase", *self._choices, "validation_accuracy", "validation_loss"))
            for trial in self.trials():
                values = (trial.params[name] for name in self._choices)
                writer.writerow((trial.number, trial.phase, *values, trial.accuracy, trial.loss))

    def result(self) -> Tuned:
        """What was found; raises TrainingError if nothing was."""
        if not self.trials():
            raise TrainingError(f"every trial has failed; see the error files in {self._options.out / 'runs'}")
        return Tuned(self._best(), tuple(self.trials()), self._options.out / RESULT)


def _merit(trial: Trial) -> tuple[float, float, int]:
    """The greater, the better: accuracy, then the lower loss, then who came first."""
    return (trial.accuracy, -trial.loss, -trial.number)


def choices(options: TuneOptions) -> dict[str, tuple[float, ...]]:
    """The searched fields and their values, those of the base configuration among them.

    Raises:
        ConfigError: nothing to search, or a field that the method does not use or that is no number.
    """
    method = method_named(options.base.method)
    weights = tuple(f"lambda_{loss}" for loss in method.losses)
    grid = dict.fromkeys(weights, WEIGHTS) | dict(options.grid)
    if not grid:
        raise ConfigError(
            f"--method {options.base.method} has no loss weights to search; name something with --grid, such as "
            "--grid pretrain-rate=1e-4,1e-3"
        )
    own = settings_of(options.base.method)
    for name in grid:
        if name not in own or type(getattr(options.base, name)) not in (int, float):
            raise ConfigError(f"--grid {flag(name)[2:]}: no number that the method {options.base.method} depends on")
    return {
        name: tuple(sorted({getattr(options.base, name), *(_number(options.base, name, value) for value in values)}))
        for name, values in grid.items()
    }


def _number(base: TrainConfig, name: str, value: float) -> float:
    """A value of a field, whole where the field is."""
    if not isinstance(getattr(base, name), int):
        return value
    if value != int(value):
        raise ConfigError(f"--grid {flag(name)[2:]}={value:g}: it is counted in whole numbers")
    return int(value)


def _run(
    options: TuneOptions,
    spread: Spread,
    workplace: Workplace,
    say: Callable[[str], None],
    configs: Sequence[TrainConfig],
) -> list[_Score | None]:
    """The scores of some configurations, in their order; None where a fold's run failed."""
    jobs = [[job for fold in options.folds for job in _jobs(options, replace(config, fold=fold))] for config in configs]

    def on_done(job: Job, outcome: Outcome) -> None:
        if outcome.error:
            say(f"failed: {job.name}: {outcome.error}")

    run_graph([job for some in jobs for job in some], partial(do_job, workplace=workplace), spread, on_done)
    return [_score([job for job in some if job.payload["is_trial"]]) for some in jobs]


def _jobs(options: TuneOptions, config: TrainConfig) -> Iterator[Job]:
    """A run without its test, after those that train the branches that it shares with others."""
    branches = []
    method = method_named(config.method)
    if method.stage2:
        names = ("resnet", "clean") if "clean" in method.branches else ("resnet",)
        branches = [_job(options, replace(config, method=name), is_trial=False) for name in names]
    yield from branches
    yield _job(options, config, branches)


def _job(options: TuneOptions, config: TrainConfig, needs: Sequence[Job] = (), *, is_trial: bool = True) -> Job:
    own = only_own(replace(config, branch_cache=options.out / "branches", out=Path()))
    sources = read_corpus(config.manifests, config.test_manifests).sources
    digests = [source.sha256 for source in sources]
    many = len(config.manifests)
    return make_job(
        "train",
        f"{config.method}, fold {config.fold}",
        parent=options.out / "runs",
        content=content_of(own, digests[:many], digests[many:]) | {"tested": False},
        payload={"config": own.to_json(), "keep_model": False, "test": False, "is_trial": is_trial},
        needs=needs,
        label=config.method,
    )


def _score(runs: Sequence[Job]) -> _Score | None:
    if not all(job.done for job in runs):
        return None
    metrics = [open_run(job.folder).metrics for job in runs]
    if any(each["val_accuracy"] is None for each in metrics):
        raise ConfigError("--val-fraction 0 leaves no validation rows to choose by; the test rows are not for that")
    count = len(metrics)
    return _Score(
        sum(each["val_accuracy"] for each in metrics) / count, sum(each["val_loss"] for each in metrics) / count
    )


def _identity(options: TuneOptions, searched: Mapping[str, tuple[float, ...]]) -> str:
    """A name for the study that follows from all that its results depend on."""
    sources = read_corpus(options.base.manifests, options.base.test_manifests).sources
    content = content_of(only_own(options.base), [source.sha256 for source in sources], [])
    left = {name: value for name, value in content.items() if name not in searched}
    return digest({"settings": left, "searched": {name: list(each) for name, each in searched.items()},
                   "folds": list(options.folds)})[:24]  # fmt: skip


def _finished(trial: FrozenTrial) -> Trial:
    return Trial(
        trial.number, dict(trial.params), float(trial.value or 0.0), trial.user_attrs["loss"], trial.user_attrs["phase"]
    )


def _with(base: TrainConfig, params: Params) -> TrainConfig:
    """The base with some fields changed."""
    return TrainConfig.from_json(base.to_json() | dict(params))


def _shown(params: Params) -> str:
    return ", ".join(f"{flag(name)} {value:g}" for name, value in params.items())
