"""Results of benchmarks, found in files and folders and sorted into boards: one for each suite, told by its digest."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from occfer.benchmark.result import FILE, BenchmarkResult, TestedSuite, read_benchmark
from occfer.errors import ReportError

MOST_RESULTS = 1000
"""On one page; a browser shows and sorts as many without waiting."""


@dataclass(frozen=True, slots=True)
class Board:
    """All results on one suite.

    Attributes:
        suite: the same for all of them.
        results: the best mean over the columns first.
    """

    suite: TestedSuite
    results: tuple[BenchmarkResult, ...]

    @property
    def columns(self) -> list[str]:
        """Names of the occluded columns, in the suite's order."""
        return [column.name for column in self.results[0].columns]

    @property
    def groups(self) -> list[str]:
        """Names of the means over some of the columns."""
        return list(dict.fromkeys(mean.name for result in self.results for mean in result.groups))

    @property
    def has_real(self) -> bool:
        """Whether some result was tested on real occlusions."""
        return any(result.real is not None for result in self.results)


def read_boards(places: Sequence[Path]) -> list[Board]:
    """The boards of all results in some places, in the order of the suites' names.

    Args:
        places: files, or folders that hold benchmark.json, at any depth. A result that is found twice counts once.

    Raises:
        ReportError: a place holds no result, one cannot be read, there are too many of them, or two that claim one
            suite differ in its columns or faces.
    """
    results: dict[str, list[BenchmarkResult]] = {}
    for number, path in enumerate(_files(places), 1):
        if number > MOST_RESULTS:
            raise ReportError(f"there are more than {MOST_RESULTS:,} results; give fewer folders")
        found = read_benchmark(path)
        same = results.setdefault(found.suite.digest, [])
        if same and (wrong := _differs(found, same[0])):
            raise ReportError(
                f"{path} claims the digest {found.suite.digest[:12]} of the suite {same[0].suite.name}, but {wrong}: "
                "one of the files is forged or damaged"
            )
        if found not in same:
            same.append(found)
    boards = [Board(each[0].suite, tuple(sorted(each, key=_best_first))) for each in results.values()]
    return sorted(boards, key=lambda board: (board.suite.name, board.suite.version, board.suite.digest))


def _files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        if not place.is_dir():
            if not place.is_file():
                raise ReportError(f"{place} not found; give files or folders of `occfer benchmark`")
            yield place
            continue
        found = sorted(place.rglob(FILE))
        if not found:
            raise ReportError(f"{place} holds no {FILE}; make one with `occfer benchmark`")
        yield from found


def _differs(found: BenchmarkResult, first: BenchmarkResult) -> str:
    """What two results on one suite cannot disagree about; empty if they agree."""
    if found.suite != first.suite:
        return "has another name, title, version or database"
    names = [[(each.name, each.n, each.groups) for each in result.columns] for result in (found, first)]
    if names[0] != names[1]:
        return "has other columns"
    return "" if found.clean.n == first.clean.n else f"has {found.clean.n} faces instead of {first.clean.n}"


def _best_first(result: BenchmarkResult) -> tuple[float, str, str]:
    return (-result.mean.accuracy, result.contestant.name, result.contestant.sha256)
