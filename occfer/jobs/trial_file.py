"""trials.json: the trials of searches in one folder, written whole after every round of trials.

Nothing is lost with it: each trial's runs lie in the folder too, so a search without the file finds them done, and asks
for the same trials once more. Version 0.1 kept trials in a journal of Optuna's, from which they are taken over.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from occfer.errors import DamagedError
from occfer.files import read_sealed, write_sealed
from occfer.jobs.search_space import Value
from occfer.jobs.trial_jobs import TrialScore
from occsynth.reading import parse_json, read_bytes, record_of

FILE, JOURNAL = "trials.json", "trials.journal"
FOUND_AGAIN = "the trials are found again among the finished runs"

# A value for each searched setting.
TrialValues = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class RecordedTrial:
    """A trial that needs not be made again.

    Attributes:
        number: counted from 0; it orders the trials.
        params: the searched settings and their values.
        phase: `walk` or `sampler`.
        score: None if it would fail again, because its training diverged or its settings conflict.
        conflict: which settings conflict, and why; empty if it was trained.
    """

    number: int
    params: TrialValues
    phase: str
    score: TrialScore | None = None
    conflict: str = ""


@dataclass(frozen=True, slots=True)
class FailedTrial:
    """A trial that failed for a reason that may be gone, such as a full disk; fields as in `RecordedTrial`."""

    params: TrialValues
    phase: str


@dataclass(frozen=True, slots=True)
class _Study:
    trials: tuple[RecordedTrial, ...] = ()
    failed: tuple[FailedTrial, ...] = ()


@dataclass(frozen=True, slots=True)
class _Content:
    studies: dict[str, _Study]


class TrialFile:
    """The trials of one search in the file that it shares with searches of other grids, data or settings.

    Args:
        folder: of the searches.
        study: the search's name, see `occfer.jobs.trial_jobs.study_name`.
        searched: the searched settings and their values.
        say: tells the user something, one line at a time.
    """

    def __init__(
        self, folder: Path, study: str, searched: Mapping[str, Sequence[Value]], say: Callable[[str], None]
    ) -> None:
        self._path, self._journal = folder / FILE, folder / JOURNAL
        self._study, self._searched, self._say = study, searched, say
        self._others: dict[str, _Study] = {}

    def read(self) -> tuple[list[RecordedTrial], list[FailedTrial]]:
        """The recorded trials, and those that are to be made again; what is damaged is left out, and that is said."""
        studies: dict[str, _Study] = {}
        if self._path.is_file():
            try:
                studies = record_of(_Content, read_sealed(self._path), str(self._path), DamagedError).studies
            except DamagedError as error:
                self._say(f"{error}; {FOUND_AGAIN}")
        self._others = {name: study for name, study in studies.items() if name != self._study}
        own = studies.get(self._study)
        if own is None:
            own = self._of_version_0_1()
        return [each for each in own.trials if self._fits(each)], [each for each in own.failed if self._fits(each)]

    def _fits(self, trial: RecordedTrial | FailedTrial) -> bool:
        return trial.params.keys() == self._searched.keys() and all(
            any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in self._searched[name])
            for name, value in trial.params.items()
        )

    def write(self, trials: Sequence[RecordedTrial], failed: Sequence[FailedTrial]) -> None:
        """Writes the trials atomically."""
        studies = {**self._others, self._study: _Study(tuple(trials), tuple(failed))}
        write_sealed(self._path, {"studies": {name: asdict(study) for name, study in studies.items()}})

    def _of_version_0_1(self) -> _Study:
        """The trials of Optuna's journal, up to its last whole line."""
        if not self._journal.is_file():
            return _Study()
        try:
            lines = read_bytes(self._journal, DamagedError).rstrip(b"\n").split(b"\n")
            whole = next((index for index, line in enumerate(lines) if not _is_json(line)), len(lines))
            if whole < len(lines):
                self._say(f"{self._journal} is damaged after line {whole}; {FOUND_AGAIN}")
            return _taken_over(lines[:whole], self._study)
        except Exception as error:  # Optuna checks nothing of what it reads
            self._say(f"{self._journal} is damaged ({type(error).__name__}); {FOUND_AGAIN}")
            return _Study()


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(parse_json(line, "a line of a journal", DamagedError), dict)
    except DamagedError:
        return False


def _taken_over(lines: Sequence[bytes], name: str) -> _Study:
    """The trials of a study in the lines of a journal; none if it holds no such study."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, JOURNAL)
        copy.write_bytes(b"".join(line + b"\n" for line in lines))
        try:
            study = optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(copy))))
            made = study.get_trials(deepcopy=False)  # it reads the file once more
        except KeyError:  # Optuna's way to say so
            return _Study()
    trials: list[RecordedTrial] = []
    failed: list[FailedTrial] = []
    for trial in made:
        noted: dict[str, Any] = trial.user_attrs
        if "phase" not in noted:
            continue
        if trial.value is None:  # version 0.1 did not tell why a trial failed
            failed.append(FailedTrial(trial.params, noted["phase"]))
        elif "loss" in noted:
            score = TrialScore(float(trial.value), float(noted["loss"]))
            trials.append(RecordedTrial(trial.number, trial.params, noted["phase"], score))
    return _Study(tuple(trials), tuple(failed))
