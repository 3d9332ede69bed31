"""The course of a training, told to trackers as its steps come: losses, validation, rates, and at the end the figures.

What was told stands in `tracking.json` of the run folder. A run that goes on repeats the steps after its last
checkpoint, with the same numbers; they are not told again.
"""

import importlib
import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from lightning_fabric.loggers.logger import Logger

from occfer.config import TrainConfig
from occfer.config_fields import NOT_COMPARED, identity
from occfer.errors import CheckpointError, ConfigError
from occfer.events import Event, OnStep
from occfer.files import digest, read_json, write_json
from occfer.runs.run_folder import RunPaths, open_run
from occfer.tracking import TRACKERS
from occsynth.reading import one_line, record_of

FILE = "tracking.json"
NOT_NUMBERS = frozenset({"event", "stage", "epochs", "round", "rounds", "rates"})


@dataclass(frozen=True, slots=True)
class Told:
    """What a tracker was told of a run.

    Attributes:
        version: of its logger.
        stage, round: of the last step that it was told, see `Course.stages`.
        finished: whether it knows the figures.
    """

    version: str
    stage: int = -1
    round: int = -1
    finished: bool = False


@dataclass(slots=True)
class Course:
    """The content of `tracking.json`.

    Attributes:
        run: a digest of the settings; the file of another run is replaced.
        stages: the rounds of each stage that was begun, in their order. A step is counted from the first stage on.
        told: by tracker.
    """

    run: str
    stages: dict[str, int] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)


def check_installed(names: Iterable[str]) -> None:
    """Raises ConfigError where a tracker is not installed."""
    for name in names:
        if importlib.util.find_spec(TRACKERS[name].package) is None:
            raise ConfigError(f"--log {name} needs more packages: pip install 'occsynth[{name}]'")


@contextmanager
def tracked(names: Iterable[str], config: TrainConfig, on_step: OnStep) -> Iterator[OnStep]:
    """A callback for the events of a training that tells trackers of them, too, and at the end of the result.

    Of a training over all folds each fold is a run. Only the process that gets events tells anything.

    Args:
        names: keys of `TRACKERS`.
        config: of the training, as `train` or `train_folds` gets it.
        on_step: the callback that is called first, with the notes of this one as well.

    Raises:
        ConfigError: a tracker cannot begin the run. One that fails later is left out, and a note says so.
    """
    telling = _Telling(dict.fromkeys(names), config, on_step)
    try:
        yield telling
    except BaseException as error:
        telling.end("failed" if isinstance(error, Exception) else "aborted")
        raise
    telling.end("success")


class _Telling:
    """What `tracked` yields."""

    def __init__(self, names: Iterable[str], config: TrainConfig, on_step: OnStep) -> None:
        self._names, self._whole, self._on_step = tuple(names), config, on_step
        self._config, self._gets_events = config, False
        self._course: Course | None = None
        self._loggers: dict[str, Logger] = {}
        self._failed: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        self._on_step(event)
        if event["event"] == "fold":
            self.end("success")
            fold = event["fold"]
            self._config = replace(self._whole, fold=fold, out=self._whole.out / f"fold-{fold}")
            return
        self._gets_events = True
        if event["event"] == "step":
            self._step(event)

    def end(self, status: str) -> None:
        """Tells the figures of a run that has ended well, and closes the trackers."""
        if status == "success" and self._gets_events:
            self._tell_figures()
        for name in list(self._loggers):
            with self._without_failing(name):
                self._loggers[name].finalize(status)
        self._loggers, self._failed, self._course, self._gets_events = {}, set(), None, False

    def _step(self, event: Event) -> None:
        if self._course is None:
            self._course = self._known() or Course(self._run())
            for name in self._names:
                self._open(name, self._course)
        stage, course = event["stage"], self._course
        course.stages.setdefault(stage, event["rounds"])
        place = (list(course.stages).index(stage), event["round"])
        step = sum(list(course.stages.values())[: place[0]]) + event["round"]
        values = {name: value for name, value in event.items() if name not in NOT_NUMBERS} | event["rates"]
        for name in list(self._loggers):
            told = course.told[name]
            if place > (told.stage, told.round):
                # before it is told: where a run is killed between the two, a step is missing and not doubled
                self._note_down(course, name, replace(told, stage=place[0], round=place[1]))
                self._tell(name, {f"{stage}/{key}": value for key, value in values.items()}, step)

    def _tell_figures(self) -> None:
        course = self._course = self._course or self._known()
        if course is None or not RunPaths(self._config.out).metrics.is_file():
            return
        figures = figures_of(open_run(self._config.out).metrics)
        for name in self._names:
            if name in course.told and name not in self._failed and not course.told[name].finished:
                self._open(name, course)
                self._note_down(course, name, replace(course.told[name], finished=True))
                self._tell(name, figures, sum(course.stages.values()))

    def _open(self, name: str, course: Course) -> None:
        """Begins the run in a tracker, or goes on with it, unless that was done."""
        if name in self._loggers:
            return
        module, _, function = TRACKERS[name].opener.partition(":")
        told = course.told.get(name)
        try:
            opener = getattr(importlib.import_module(f"occfer.tracking.{module}"), function)
            logger: Logger = opener(self._config.out.resolve(), self._name(), None if told is None else told.version)
            if told is None:
                logger.log_hyperparams(public(self._config))
        except Exception as error:  # whatever a service or its library may raise
            raise ConfigError(f"--log {name} cannot begin: {one_line(error) or type(error).__name__}") from error
        self._loggers[name] = logger
        if note := getattr(logger, "note", ""):
            self._on_step({"event": "note", "text": note})
        if told is None:
            self._note_down(course, name, Told(str(logger.version)))

    def _tell(self, name: str, values: Mapping[str, float], step: int) -> None:
        with self._without_failing(name):
            self._loggers[name].log_metrics(dict(values), step)
            self._loggers[name].save()

    @contextmanager
    def _without_failing(self, name: str) -> Iterator[None]:
        """A training of hours does not end because a service does."""
        try:
            yield
        except Exception as error:  # as above
            self._loggers.pop(name, None)
            self._failed.add(name)
            text = f"--log {name} failed and is told no more ({one_line(error) or type(error).__name__})"
            self._on_step({"event": "note", "text": text})

    def _name(self) -> str:
        """The run folder's name, after that of the folder around it for one of several folds."""
        inner = self._config.out.name
        return inner if self._config.out == self._whole.out else f"{self._whole.out.name}-{inner}"

    def _run(self) -> str:
        return digest(identity(self._config, self._config.__dataclass_fields__.keys() - NOT_COMPARED))

    def _known(self) -> Course | None:
        """What was told of this run by earlier calls; None if nothing was, or the file is damaged or of another run."""
        path = self._config.out / FILE
        try:
            known = record_of(Course, read_json(path), str(path), CheckpointError)
        except CheckpointError:
            return None
        return known if known.run == self._run() else None

    def _note_down(self, course: Course, name: str, told: Told) -> None:
        course.told[name] = told
        write_json(self._config.out / FILE, asdict(course))


def public(config: TrainConfig) -> dict[str, str | int | float | bool]:
    """The settings of a run that others may see: of manifests and weights the names, of all other paths nothing."""
    hints = get_type_hints(TrainConfig)
    shown: dict[str, Any] = {
        name: value
        for name, value in config.to_json().items()
        if value is not None and Path not in {hints[name], *get_args(hints[name])}
    }
    shown["weights"] = config.weights if config.weights.startswith("hf://") else Path(config.weights).name
    for name, paths in (("manifests", config.manifests), ("test_manifests", config.test_manifests)):
        if paths:
            shown[name] = ", ".join(path.name for path in paths)
    return {name: value for name, value in shown.items() if name != "resume"}


def figures_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The figures of metrics.json that are single numbers, by where they come from."""
    of_test = {"n", "accuracy", "uar", "macro_f1", "ece", "loss"}
    found = {f"test/{name}": value for name, value in metrics.items() if name in of_test}
    for part, inner in (("test", metrics.get("interval")), ("clean", metrics.get("clean"))):
        names = ("low", "high") if part == "test" else ("accuracy",)
        found |= {f"{part}/{name}": inner[name] for name in names if inner and name in inner}
    found |= {f"kept/{name}": value for name, value in metrics.items() if name == "epoch" or name.startswith("val_")}
    return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}
