"""Two runs on the same pairs: the paired test, the difference with its interval, and the pictures on which they differ.

compare.json holds everything, compare.csv a line a group, differences.png the contact sheet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occfer.errors import CheckpointError, DataError, ReportError
from occfer.evaluation.differences import Difference, chosen, differences, find_pictures, sheet
from occfer.evaluation.result_folders import Result, open_result
from occfer.files import read_json, write_csv, write_json
from occfer.method_table import METHOD_TABLE, shown_name
from occfer.metrics.accuracy import AccuracyEstimate
from occfer.metrics.figure_files import save
from occfer.metrics.paired import CommonPredictions, GroupComparison, common_pairs, compare_answers
from occfer.runs.run_folder import RunPaths

FILE = "compare.json"
CSV_COLUMNS = (
    "by", "group", "n", "correct_a", "accuracy_a", "low_a", "high_a", "interval_a", "correct_b", "accuracy_b", "low_b",
    "high_b", "interval_b", "difference", "low", "high", "interval", "only_a", "only_b", "p", "p_holm",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What to compare.

    Attributes:
        a, b: folders with results: of a run, of a run over all folds, or of an evaluation.
        manifests: where the pictures are; none to look where the runs found them.
        pictures: at most so many on the contact sheet; 0 draws none.
        out: folder for the results; None writes nothing.
    """

    a: Path
    b: Path
    manifests: tuple[Path, ...] = ()
    pictures: int = 24
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison as its compare.json tells it.

    Attributes:
        a, b: `full (runs/demo)`.
        rows: see `Comparison`.
        differing: how many pairs were answered differently.
        notes: see `Comparison`.
    """

    a: str
    b: str
    rows: tuple[GroupComparison, ...]
    differing: int
    notes: tuple[str, ...]


def read_compared(folder: Path) -> Compared:
    """A comparison from its folder; raises ReportError where there is none."""
    try:
        content = read_json(folder / FILE)
        a, b = (f"{shown_name(content[name]['method'])} ({content[name]['folder']})" for name in ("a", "b"))
        rows = tuple(GroupComparison.from_json(row) for row in content["rows"])
        return Compared(a, b, rows, len(content["differing"]), tuple(map(str, content["notes"])))
    except CheckpointError as error:
        raise ReportError(str(error)) from error
    except (KeyError, TypeError) as error:
        raise ReportError(f"{folder / FILE} is no comparison ({type(error).__name__}: {error})") from error


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What came out.

    Attributes:
        a, b: the results.
        common: the pairs that both were tested on.
        rows: all pairs first, then the groups; see `occfer.metrics.paired.compare_answers`.
        differing: pairs with different answers.
        notes: what the user should know.
        files: what was written.
    """

    a: Result
    b: Result
    common: CommonPredictions
    rows: tuple[GroupComparison, ...]
    differing: tuple[Difference, ...]
    notes: tuple[str, ...]
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """The content of compare.json."""
        kinds = ("only_a", "only_b", "neither")
        return {
            "a": {"method": self.a.method, "folder": str(self.a.folder), "only_here": self.common.only_in_a},
            "b": {"method": self.b.method, "folder": str(self.b.folder), "only_here": self.common.only_in_b},
            "rows": [row.to_json() for row in self.rows],
            "differing": [
                {"database": each.pair.database, "mode": each.pair.mode, "pair_id": each.pair.pair_id}
                | {"truth": each.pair.truth, "a": each.a, "b": each.b, "right": kinds[each.turn]}
                for each in self.differing
            ],
            "notes": list(self.notes),
        }


def compare(options: CompareOptions) -> Comparison:
    """Compares two runs on the pairs that both were tested on.

    Raises:
        ReportError: no results, no pair in common, or a method that sees other pictures than the occluded ones.
    """
    a, b = open_result(options.a), open_result(options.b)
    for result in (a, b):
        _refuse_other_view(result)
    common = common_pairs(a.predictions, b.predictions)
    rows = tuple(compare_answers(common))
    differing = tuple(differences(common))
    notes = [*_left_out(common), *_other_builds(a, b)]
    files: list[Path] = []
    if options.out is not None:
        _refuse_run_folder(options.out)
        files += [options.out / FILE, options.out / "compare.csv"]
        picture, said = _draw(options, a, b, differing)
        notes += said
        files += picture
    made = Comparison(a, b, common, rows, differing, tuple(notes), tuple(files))
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        write_json(options.out / FILE, made.to_json())
        write_rows(options.out / "compare.csv", rows)
    return made


def _refuse_other_view(result: Result) -> None:
    row = METHOD_TABLE.get(result.method)
    if row is not None and not row.comparable:
        raise ReportError(f"{result.folder}: the method {result.method} is tested on clean images; no paired test fits")


def _refuse_run_folder(folder: Path) -> None:
    if RunPaths(folder).config.is_file():
        raise ReportError(f"-o {folder} is a run folder; choose another one")


def _left_out(common: CommonPredictions) -> list[str]:
    return [
        f"{count} pairs of {name} are not among the other's and were left out"
        for name, count in (("A", common.only_in_a), ("B", common.only_in_b))
        if count
    ]


def _other_builds(a: Result, b: Result) -> list[str]:
    """Manifests of one name and two contents: the pairs may then show other pictures."""
    ours, theirs = ({each.name: each.sha256 for each in result.manifests} for result in (a, b))
    changed = [name for name, sha256 in ours.items() if theirs.get(name, sha256) != sha256]
    return [f"the runs read {name} with different content: their pictures may differ" for name in changed]


def _draw(
    options: CompareOptions, a: Result, b: Result, differing: Sequence[Difference]
) -> tuple[list[Path], list[str]]:
    """The contact sheet, and why there is none or not all of it."""
    if not differing or not options.pictures or options.out is None:
        return [], []
    pictures = find_pictures([a, b], options.manifests)
    known = [each for each in differing if each.pair.key in pictures.found]
    notes = list(pictures.notes)
    if not known:
        return [], [*notes, "no contact sheet: none of the pictures was found"]
    shown = chosen(known, options.pictures)
    try:
        figure = sheet(shown, pictures, _title(a, b, differing, len(shown)))
    except DataError as error:
        return [], [*notes, f"no contact sheet: {error}"]
    return [save(figure, options.out / "differences.png")], notes


def _title(a: Result, b: Result, differing: Sequence[Difference], shown: int) -> str:
    counts = [sum(each.turn == turn for each in differing) for turn in range(3)]
    which = "all" if shown == len(differing) else f"{shown}"
    return (
        f"A: {a.title}\nB: {b.title}\n{len(differing)} different answers: A alone is right on {counts[0]}, B alone on "
        f"{counts[1]}, neither on {counts[2]}; {which} shown, clean and occluded"
    )


def write_rows(path: Path, rows: Sequence[GroupComparison]) -> None:
    """Writes a line a group, shares in [0, 1], atomically."""
    write_csv(path, CSV_COLUMNS, map(_cells, rows))


def _cells(row: GroupComparison) -> tuple[object, ...]:
    def share(of: AccuracyEstimate) -> tuple[object, ...]:
        return (of.correct, of.accuracy, of.interval.low, of.interval.high, of.interval.how)

    between = row.interval
    return (
        row.by, row.label, row.n, *share(row.a), *share(row.b), row.difference, between.low, between.high, between.how,
        row.only_a, row.only_b, row.p, row.p_holm,
    )  # fmt: skip
