"""`occfer tune`: searches settings of training on validation samples."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from occfer.errors import ConfigError
from occfer.jobs.graph import ParallelMap
from occfer.jobs.search import RESULT, Search, Trial
from occfer.jobs.search_space import TuneOptions
from occfer.jobs.trial_file import JOURNAL
from occfer.jobs.trial_jobs import check_ranking, run_trials
from occfer.jobs.worker import Workplace
from occsynth.ownership import LOCK, OWNER, owned_folder


@dataclass(frozen=True, slots=True)
class TuneResult:
    """What a search found.

    Attributes:
        best: the trial with the best figure of `--select`; of several, the one with the lowest loss.
        trials: all finished trials, by number.
        config: the file that `--config` takes.
    """

    best: Trial
    trials: tuple[Trial, ...]
    config: Path


def tune(
    options: TuneOptions, parallel_map: ParallelMap, workplace: Workplace, say: Callable[[str], None]
) -> TuneResult:
    """Searches, and writes `config.json` and `trials.csv` after every round of trials; a killed search goes on.

    Trials are ranked by what `--select` names, on validation samples. The test samples are never predicted here:
    whoever chose settings by them would report too high an accuracy for them later.

    Args:
        options: what to search.
        parallel_map: runs trials that do not wait for each other.
        workplace: what each process may use.
        say: tells the user something, one line at a time.

    Raises:
        ConfigError: `options` cannot be searched, see `occfer.jobs.search_space.choices` and `check_ranking`; or the
            folder is used by another process, or not one of a search.
        TrainingError: every trial has failed.
    """
    # two searches in one folder would overwrite each other's trials and results
    with owned_folder(
        options.out, "occfer tune", ConfigError, made_before=_holds_search, advice="Choose another folder with --out"
    ):
        check_ranking(options)
        search = Search(options, partial(run_trials, options, parallel_map, workplace, say), say)
        search.retry()
        search.walk()
        search.sample()
        return TuneResult(search.finish(), tuple(search.trials()), options.out / RESULT)


def _holds_search(folder: Path) -> bool:
    """Whether version 0.1, which left no mark, has begun a search in a folder."""
    names = {path.name for path in folder.iterdir()} - {OWNER, LOCK}
    return JOURNAL in names or names == {".lock"}
