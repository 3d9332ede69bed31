"""Two runs on the same pairs: the paired test, the difference with its interval, and the pairs on which they differ.

compare.json holds everything, compare.csv one line per group, differences.png the contact sheet.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occfer.errors import CheckpointError, DataError, ReportError
from occfer.evaluation.differences import Difference, chosen, differences, locate_pairs, sheet
from occfer.evaluation.heat_results import Explained, compare_heat_of
from occfer.evaluation.result_folders import Result, claimed_results, open_result
from occfer.files import read_sealed, write_csv, write_sealed
from occfer.method_table import METHOD_TABLE, shown_name
from occfer.metrics.accuracy import AccuracyEstimate
from occfer.metrics.figure_files import save
from occfer.metrics.heat import HeatComparison
from occfer.metrics.paired import CommonPredictions, GroupComparison, adjusted_groups, common_pairs, compare_answers
from occsynth.reading import record_of

FILE = "compare.json"
MOST_GROUPS = 1000
MOST_PAIRS = 10**12
LONGEST_LABEL = 300
CSV_COLUMNS = (
    "by", "group", "n", "correct_a", "accuracy_a", "low_a", "high_a", "interval_a", "correct_b", "accuracy_b", "low_b",
    "high_b", "interval_b", "difference", "low", "high", "interval", "only_a", "only_b", "p", "p_holm", "test",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """What to compare.

    Attributes:
        a, b: folders with results: of a run, of a run over all folds, or of an evaluation.
        manifests: that list the pairs' images; none to look where the runs found them.
        pictures: number of pairs on the contact sheet at most; 0 draws none.
        out: folder for the results; None writes nothing.
        overwrite: whether they may be written among files that are not of a comparison.
    """

    a: Path
    b: Path
    manifests: tuple[Path, ...] = ()
    pictures: int = 24
    out: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison as read from its compare.json.

    Attributes:
        a, b: titles, such as `full (runs/demo)`.
        groups: see `Comparison`.
        differing: how many pairs were answered differently.
        notes, heat: see `Comparison`.
    """

    a: str
    b: str
    groups: tuple[GroupComparison, ...]
    differing: int
    notes: tuple[str, ...]
    heat: Mapping[Explained, HeatComparison]


@dataclass(frozen=True, slots=True)
class _ComparedSide:
    """One of the two in compare.json."""

    method: str
    folder: str

    @property
    def title(self) -> str:
        """`full (runs/demo)`."""
        return f"{shown_name(self.method)} ({self.folder})"


@dataclass(frozen=True, slots=True)
class _CompareFile:
    """What is used of compare.json."""

    a: _ComparedSide
    b: _ComparedSide
    rows: tuple[GroupComparison, ...]
    differing: list[Any]
    notes: tuple[str, ...]
    heat: dict[Explained, HeatComparison] = field(default_factory=dict)


def read_compared(folder: Path) -> Compared:
    """A comparison from its folder; raises ReportError where there is none."""
    path = folder / FILE
    found = record_of(_CompareFile, read_groups_file(path, "a comparison"), f"{path} is not a comparison", ReportError)
    # version 0.1 adjusted p-values over the groups of one kind
    groups = (found.rows[0], *adjusted_groups(found.rows[1:]))
    return Compared(found.a.title, found.b.title, groups, len(found.differing), found.notes, found.heat)


def read_groups_file(path: Path, what: str) -> dict[str, Any]:
    """The content of a JSON file with groups of pairs under `rows`, as compare.json and profile.json have them.

    Args:
        path: of the file.
        what: it should be, such as `a comparison`.

    Raises:
        ReportError: it cannot be read, there are no groups or too many, or a number is none of theirs: counts are
            whole and not negative, shares and their differences lie within -1 to 1.
    """
    try:
        content = read_sealed(path)
    except CheckpointError as error:
        raise ReportError(str(error)) from error
    groups = content.get("rows")
    if not isinstance(groups, list) or not 1 <= len(groups) <= MOST_GROUPS:
        raise ReportError(f"{path} is not {what}: it holds no groups of pairs, or more than {MOST_GROUPS}")
    for value in _plain_values([groups, content.get("heat")]):
        if isinstance(value, str) and len(value) > LONGEST_LABEL:
            raise ReportError(f"{path}: {value[:40]!r}... is longer than {LONGEST_LABEL} characters")
        if isinstance(value, float) and not -1 <= value <= 1:
            raise ReportError(f"{path}: {value} is neither a share nor a difference of shares")
        if isinstance(value, int) and not 0 <= value <= MOST_PAIRS:
            raise ReportError(f"{path}: {str(value)[:40]} is no number of pairs")
    return content


def _plain_values(content: object) -> Iterator[object]:
    """What JSON values hold at any depth, other than lists and objects."""
    if isinstance(content, dict | list):
        for each in content.values() if isinstance(content, dict) else content:
            yield from _plain_values(each)
    else:
        yield content


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The result of `compare`.

    Attributes:
        a, b: what was compared.
        common: both models' answers to the pairs that both were tested on.
        groups: all pairs first, then the groups; see `occfer.metrics.paired.compare_answers`.
        differing: the pairs with different answers.
        heat: for what `occfer explain` has explained of both, the shares of heat inside the occluders.
        notes: what the user should know.
        files: what was written.
    """

    a: Result
    b: Result
    common: CommonPredictions
    groups: tuple[GroupComparison, ...]
    differing: tuple[Difference, ...]
    heat: Mapping[Explained, HeatComparison]
    notes: tuple[str, ...]
    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """The content of compare.json."""
        kinds = ("only_a", "only_b", "neither")
        return {
            "a": {"method": self.a.method, "folder": str(self.a.folder), "only_here": self.common.only_in_a},
            "b": {"method": self.b.method, "folder": str(self.b.folder), "only_here": self.common.only_in_b},
            "rows": [group.to_json() for group in self.groups],
            "differing": [
                {"database": each.pair.database, "mode": each.pair.mode, "pair_id": each.pair.pair_id}
                | {"truth": each.pair.truth, "a": each.a, "b": each.b, "right": kinds[each.turn]}
                for each in self.differing
            ],
            **({"heat": {what: found.to_json() for what, found in self.heat.items()}} if self.heat else {}),
            "notes": list(self.notes),
        }


def compare(options: CompareOptions) -> Comparison:
    """Compares two runs on the pairs that both were tested on.

    Raises:
        ReportError: a folder has no results, the two have no pair in common, or a method does not see the occluded
            images; or the folder for the results holds a run or files of the user's, or another process works in it.
    """
    if options.out is None:
        return _compare(options)
    with claimed_results(options.out, "occfer compare", "-o", holds_comparison, overwrite=options.overwrite):
        return _compare(options)


def holds_comparison(folder: Path) -> bool:
    """Whether version 0.1 has compared runs into a folder."""
    try:
        read_compared(folder)
    except ReportError:
        return False
    return True


def _compare(options: CompareOptions) -> Comparison:
    a, b = open_result(options.a), open_result(options.b)
    for result in (a, b):
        refuse_other_view(result)
    common = common_pairs(a.predictions, b.predictions)
    groups = tuple(compare_answers(common))
    differing = tuple(differences(common))
    heat, about_heat = compare_heat_of(a, b)
    notes = [*left_out(common), *other_builds(a, b), *about_heat]
    files: list[Path] = []
    if options.out is not None:
        files += [options.out / FILE, options.out / "compare.csv"]
        drawn, remarks = _draw(options, a, b, differing)
        notes += remarks
        files += drawn
    made = Comparison(a, b, common, groups, differing, heat, tuple(notes), tuple(files))
    if options.out is not None:
        write_sealed(options.out / FILE, made.to_json())
        write_groups(options.out / "compare.csv", groups)
    return made


def refuse_other_view(result: Result) -> None:
    """Raises ReportError for a method whose answers are about clean images."""
    method = METHOD_TABLE.get(result.method)
    if method is not None and not method.comparable:
        raise ReportError(
            f"{result.folder}: the method {result.method} is tested on clean images, so a paired test does not apply"
        )


def left_out(common: CommonPredictions) -> list[str]:
    """How many pairs only one of two was tested on, in sentences."""
    return [
        f"{count} pairs of {name} were left out, because the other was not tested on them"
        for name, count in (("A", common.only_in_a), ("B", common.only_in_b))
        if count
    ]


def other_builds(a: Result, b: Result) -> list[str]:
    """Manifests that have the same name and different contents: their pairs may show different images."""
    ours, theirs = ({each.name: each.sha256 for each in result.manifests} for result in (a, b))
    changed = [name for name, sha256 in ours.items() if theirs.get(name, sha256) != sha256]
    return [f"the runs read different versions of {name}, whose images may differ" for name in changed]


def _draw(
    options: CompareOptions, a: Result, b: Result, differing: Sequence[Difference]
) -> tuple[list[Path], list[str]]:
    """Writes the contact sheet; also returns why it is missing or incomplete."""
    if not differing or not options.pictures or options.out is None:
        return [], []
    pairs = locate_pairs([a, b], options.manifests)
    known = [each for each in differing if each.pair.key in pairs.found]
    notes = list(pairs.notes)
    if not known:
        return [], [*notes, "no contact sheet: none of the images was found"]
    shown = chosen(known, options.pictures)
    try:
        figure = sheet(shown, pairs, _title(a, b, differing, len(shown)))
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


def write_groups(path: Path, groups: Sequence[GroupComparison]) -> None:
    """Writes one line per group, accuracies in [0, 1], atomically."""
    write_csv(path, CSV_COLUMNS, map(_cells, groups))


def _cells(group: GroupComparison) -> tuple[object, ...]:
    def accuracy(of: AccuracyEstimate) -> tuple[object, ...]:
        return (of.correct, of.accuracy, of.interval.low, of.interval.high, of.interval.how)

    between = group.interval
    return (
        group.by, group.label, group.n, *accuracy(group.a), *accuracy(group.b),
        group.difference, between.low, between.high, between.how, group.only_a, group.only_b, group.p, group.p_holm,
        group.test,
    )  # fmt: skip
