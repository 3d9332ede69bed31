"""What a report is made of: the folders that it is given, recognised by the files in them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.errors import ReportError
from occfer.evaluation import compare, heat_results, profile
from occfer.evaluation.compare import Compared, read_compared
from occfer.evaluation.heat_results import HeatResult, heat_of, open_heat
from occfer.evaluation.profile import Profile, read_profile
from occfer.evaluation.result_folders import Result, open_result
from occfer.metrics.clean_result import FOLDER
from occfer.metrics.result_files import METRICS, PREDICTIONS
from occfer.reports.embedded_figures import IMAGE_TYPES
from occfer.tables.result_table import ResultTable
from occfer.tables.table_file import FILE as TABLE
from occfer.tables.table_file import read_table

PAPER_FIGURES = ("figure2", "figure3", "figure4")


@dataclass(frozen=True, slots=True, eq=False)
class FolderContents:
    """Everything in the folders of a report, each thing with its folder, in the order given.

    Attributes:
        results: of runs, of runs over all folds, of evaluations.
        tables: of `occfer reproduce`.
        profiles: of `occfer profile`.
        comparisons: of `occfer compare`.
        heat: of `occfer explain`: folders that were given, and those in the folders of the results.
        heat_notes: what of it cannot be used.
        pictures: figures of `occfer reproduce`, PNG or SVG.
    """

    results: tuple[Result, ...]
    tables: tuple[tuple[Path, ResultTable], ...]
    profiles: tuple[tuple[Path, Profile], ...]
    comparisons: tuple[tuple[Path, Compared], ...]
    heat: tuple[HeatResult, ...]
    heat_notes: tuple[str, ...]
    pictures: tuple[Path, ...]


def read_folders(folders: Sequence[Path]) -> FolderContents:
    """Reads folders with results, and folders that hold such folders directly inside them.

    Raises:
        ReportError: a folder without any results, or damaged ones.
    """
    known = list(dict.fromkeys(each for folder in folders for each in _with_results(folder)))
    results = tuple(open_result(each) for each in known if _is_result(each))
    heat = {each.resolve(): open_heat(each) for each in known if (each / heat_results.FILE).is_file()}
    notes: list[str] = []
    for result in results:
        found, about = heat_of(result)
        notes += about
        for each in found:
            heat.setdefault(each.folder.resolve(), each)
    return FolderContents(
        results=results,
        tables=tuple((each, read_table(each)) for each in known if (each / TABLE).is_file()),
        profiles=tuple((each, read_profile(each)) for each in known if (each / profile.FILE).is_file()),
        comparisons=tuple((each, read_compared(each)) for each in known if (each / compare.FILE).is_file()),
        heat=tuple(heat.values()),
        heat_notes=tuple(dict.fromkeys(notes)),
        pictures=tuple(path for each in known for path in _pictures(each)),
    )


def _with_results(folder: Path) -> list[Path]:
    """The folder itself, or the folders inside it that hold results."""
    if not folder.is_dir():
        raise ReportError(
            f"{folder} is not a folder; give folders of runs, evaluations, profiles, comparisons or tables"
        )
    if _holds_results(folder):
        return [folder]
    # the clean faces are told about with the result that they belong to, and are none without it
    inside = [
        each for each in sorted(folder.iterdir()) if each.name != FOLDER and each.is_dir() and _holds_results(each)
    ]
    if not inside:
        raise ReportError(
            f"{folder} holds no results: no finished run, evaluation, profile, comparison or table of "
            "occfer reproduce; finish a run that was interrupted with --resume"
        )
    return inside


def _holds_results(folder: Path) -> bool:
    files = (TABLE, profile.FILE, compare.FILE, heat_results.FILE)
    return _is_result(folder) or any((folder / name).is_file() for name in files) or any(_pictures(folder))


def _is_result(folder: Path) -> bool:
    return (folder / PREDICTIONS).is_file() and (folder / METRICS).is_file()


def _pictures(folder: Path) -> Iterator[Path]:
    for name in PAPER_FIGURES:
        for ending in IMAGE_TYPES:
            if (path := folder / f"{name}{ending}").is_file():
                yield path
