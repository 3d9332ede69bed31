"""What a report is made of: the folders that it is given, recognised by what lies in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.errors import ReportError
from occfer.evaluation import compare, profile
from occfer.evaluation.compare import Compared, read_compared
from occfer.evaluation.profile import Profile, read_profile
from occfer.evaluation.result_folders import METRICS, PREDICTIONS, Result, open_result
from occfer.reports.embedded_figures import KINDS
from occfer.tables.result_table import FILE as TABLE
from occfer.tables.result_table import ResultTable, read_table

PICTURES = ("figure2", "figure3", "figure4")


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Everything in the folders of a report, each thing with its folder, in the order given.

    Attributes:
        results: of runs, of runs over all folds, of evaluations.
        tables: of `occfer reproduce`.
        profiles: of `occfer profile`.
        comparisons: of `occfer compare`.
        pictures: figures of `occfer reproduce`, PNG or SVG.
    """

    results: tuple[Result, ...]
    tables: tuple[tuple[Path, ResultTable], ...]
    profiles: tuple[tuple[Path, Profile], ...]
    comparisons: tuple[tuple[Path, Compared], ...]
    pictures: tuple[Path, ...]


def find(folders: Sequence[Path]) -> Found:
    """Looks into folders with results, or one level below a folder that holds such folders.

    Raises:
        ReportError: a folder without any, or damaged results.
    """
    known = list(dict.fromkeys(each for folder in folders for each in _with_results(folder)))
    return Found(
        results=tuple(open_result(each) for each in known if _is_result(each)),
        tables=tuple((each, read_table(each)) for each in known if (each / TABLE).is_file()),
        profiles=tuple((each, read_profile(each)) for each in known if (each / profile.FILE).is_file()),
        comparisons=tuple((each, read_compared(each)) for each in known if (each / compare.FILE).is_file()),
        pictures=tuple(path for each in known for path in _pictures(each)),
    )


def _with_results(folder: Path) -> list[Path]:
    """The folder itself, or those of its folders that hold something."""
    if not folder.is_dir():
        raise ReportError(f"{folder} is no folder; give folders of runs, evaluations, profiles, comparisons or tables")
    if _holds_something(folder):
        return [folder]
    inside = [each for each in sorted(folder.iterdir()) if each.is_dir() and _holds_something(each)]
    if not inside:
        raise ReportError(
            f"{folder} holds no results: no finished run, evaluation, profile, comparison or table of "
            "occfer reproduce; runs that were interrupted are finished with --resume"
        )
    return inside


def _holds_something(folder: Path) -> bool:
    files = (TABLE, profile.FILE, compare.FILE)
    return _is_result(folder) or any((folder / name).is_file() for name in files) or any(_pictures(folder))


def _is_result(folder: Path) -> bool:
    return (folder / PREDICTIONS).is_file() and (folder / METRICS).is_file()


def _pictures(folder: Path) -> Iterator[Path]:
    for name in PICTURES:
        for ending in KINDS:
            if (path := folder / f"{name}{ending}").is_file():
                yield path
