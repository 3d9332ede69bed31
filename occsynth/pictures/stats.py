"""The numbers of a manifest, counted in one pass: classes, splits, occluders, coverage, rejects, duplicates."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from occsynth.errors import ManifestError, SourceError
from occsynth.escapes import from_csv, printable
from occsynth.manifest import Manifest, Row
from occsynth.modes import REAL, find_mode, is_mode
from occsynth.pictures.pairs import Pair, percent
from occsynth.pixels.images import read_grey
from occsynth.reading import read_table

REGIONS = ("face", "eyes", "mouth")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

STEPS = 1000
"""Coverage is counted in steps of 0.1 %, so that memory does not grow with the number of rows."""

MOST_MASKS = 500
"""How many masks are read, evenly over the manifest."""

_HIDING = 128
"""From this value on a pixel of a mask counts as hidden, as for the coverage of regions."""


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """How much of a region the occlusions hide.

    Attributes:
        counts: `(1001,)` int64, number of rows at each step of 0.1 % coverage.
        unmeasured: number of rows whose coverage was not measured.
    """

    counts: npt.NDArray[np.int64]
    unmeasured: int

    @property
    def n(self) -> int:
        """Number of rows whose coverage was measured."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float | None:
        """Mean in [0, 1], to 0.1 %; None if n is 0."""
        return float(self.counts @ np.arange(STEPS + 1)) / STEPS / self.n if self.n else None

    def quantile(self, share: float) -> float | None:
        """The smallest coverage that at least `share` of the rows do not exceed; None if n is 0."""
        if not self.n:
            return None
        reached = np.cumsum(self.counts) >= share * self.n
        return int(np.argmax(reached)) / STEPS


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers of one manifest.

    Attributes:
        parts: splits and folds, in order; empty if the database has neither.
        classes: number of rows by class, then by part.
        modes, categories, landmarks: number of rows by name. The category is the template's, or else the fill.
        subjects: number of people, 0 if the database does not name them.
        named_share: the share that the mode's name stands for, in words; empty for none.
        coverage: coverage by region.
        picture: how much of the whole picture is hidden, from the masks of at most `MOST_MASKS` rows.
        partial: number of rows whose occlusion is `partial`.
        sources: number of sources that the build read.
        rejects: number of rejected sources by reason, the most common first; numbers inside a reason are ignored.
        rejects_listed: False if there are rejects but `NAME.rejects.csv` is missing.
        duplicate_groups, duplicate_rows: groups of equal images across splits, subjects, folds or labels, and their
            rows.
        label_conflicts: how many of these groups have different labels.
        published, found: counts that the database's authors publish, and the same counts of this copy.
    """

    name: str
    rows: int
    parts: list[str]
    classes: dict[str, dict[str, int]]
    modes: dict[str, int]
    categories: dict[str, int]
    landmarks: dict[str, int]
    subjects: int
    named_share: str
    coverage: dict[str, Coverage]
    picture: Coverage
    partial: int
    sources: int
    rejects: dict[str, int]
    rejects_listed: bool
    duplicate_groups: int
    duplicate_rows: int
    label_conflicts: int
    published: dict[str, int]
    found: dict[str, int]


def summarise(manifest: Manifest) -> Stats:
    """Counts what a manifest holds. Memory grows with the number of classes, parts and people, not of rows.

    Raises:
        ManifestError: the manifest or its list of rejects is malformed.
    """
    names: dict[str, Counter[str]] = {name: Counter() for name in ("mode", "category", "landmarks")}
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    counts = {region: np.zeros(STEPS + 1, np.int64) for region in REGIONS}
    subjects: set[tuple[str, str]] = set()
    group_of = {name: number for number, names in enumerate(manifest.info.duplicates) for name in names}
    labels: dict[int, set[str]] = defaultdict(set)
    of_picture = np.zeros(STEPS + 1, np.int64)
    every = -(-manifest.info.rows // MOST_MASKS) or 1
    rows = partial = 0
    for row in manifest.rows():
        if rows % every == 0 and (hidden := _hidden_of_picture(manifest, row)) is not None:
            of_picture[round(hidden * STEPS)] += 1
        rows += 1
        if row.pair_id in group_of:
            labels[group_of[row.pair_id]].add(row.expression)
        pair = Pair(manifest, row)
        classes[row.expression][pair.split_or_fold()] += 1
        names["mode"][row.mode] += 1
        names["category"][pair.occluder()[0]] += 1
        names["landmarks"][row.landmarks] += 1
        partial += '"partial":true' in row.occlusion
        if row.subject:
            subjects.add((row.database, row.subject))
        for region, value in zip(REGIONS, (row.coverage_face, row.coverage_eyes, row.coverage_mouth), strict=True):
            if value is not None:
                counts[region][round(min(max(value, 0.0), 1.0) * STEPS)] += 1
    parts = sorted({part for table in classes.values() for part in table}, key=_natural)
    rejects = _rejects(manifest)
    return Stats(
        name=manifest.info.name,
        rows=rows,
        parts=[part for part in parts if part or len(parts) > 1],
        classes={name: dict(table) for name, table in sorted(classes.items())},
        modes=dict(sorted(names["mode"].items())),
        categories=dict(names["category"].most_common()),
        landmarks=dict(names["landmarks"].most_common()),
        subjects=len(subjects),
        named_share=_named_share(manifest.info.mode),
        coverage={region: Coverage(table, rows - int(table.sum())) for region, table in counts.items()},
        picture=Coverage(of_picture, rows - int(of_picture.sum())),
        partial=partial,
        sources=manifest.info.sources,
        rejects=rejects or {},
        rejects_listed=rejects is not None or not manifest.info.rejects,
        duplicate_groups=len(manifest.info.duplicates),
        duplicate_rows=sum(map(len, manifest.info.duplicates)),
        label_conflicts=sum(len(found) > 1 for found in labels.values()),
        published=dict(manifest.info.published),
        found=dict(manifest.info.found),
    )


def _hidden_of_picture(manifest: Manifest, row: Row) -> float | None:
    """The share of a mask's pixels that hide; None where the row has no mask, or none that can be read."""
    path = manifest.file(row.mask) if row.mask else None
    if path is None or not path.is_file():
        return None
    try:
        return float((read_grey(path) >= _HIDING).mean())
    except SourceError:
        return None


def _named_share(mode: str) -> str:
    return find_mode(mode).named_share if is_mode(mode) and mode != REAL else ""


def _natural(text: str) -> list[tuple[int, str]]:
    """A sort key that puts `fold 10` after `fold 9`."""
    return [(int(piece or 0), "") if piece.isdecimal() else (0, piece) for piece in re.split(r"(\d+)", text)]


def _rejects(manifest: Manifest) -> dict[str, int] | None:
    """Number of rejects by reason, or None if their list is missing."""
    path = manifest.beside(".rejects.csv")
    if not path.is_file():
        return None
    listed = read_table(path, ("reason",), ManifestError)
    reasons = Counter(re.sub(r"\d+", "N", from_csv(cells["reason"])) for _, cells in listed)
    return dict(reasons.most_common())


@dataclass(frozen=True, slots=True)
class StatsTable:
    """One table of the report: a title, a header and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


def tables(stats: Stats) -> Iterator[StatsTable]:
    """The tables of the report, for a terminal, a pipe or a page; texts hold no control characters."""
    parts = stats.parts
    header = ("class", *(printable(part) or "(none)" for part in parts), "all")
    body = [_class_row(name, table, parts) for name, table in stats.classes.items()]
    sums = [sum(table.get(part, 0) for table in stats.classes.values()) for part in parts]
    yield StatsTable("Pairs by class", header, [*body, ("all", *map(_number, sums), _number(stats.rows))])
    yield _shares("Occluders", "category", stats.categories, stats.rows)
    yield _shares("Modes", "mode", stats.modes, stats.rows)
    yield _shares("Landmarks", "how", stats.landmarks, stats.rows)
    shares = [_coverage_row(*item) for item in ({"picture": stats.picture} | stats.coverage).items()]
    names = ("n", "mean", *(f"{100 * share:.0f} %" for share in QUANTILES), "not measured")
    yield StatsTable("Hidden share", ("region", *names), shares)
    facts = {"hidden by the mode's name": stats.named_share} if stats.named_share else {}
    facts |= {
        "subjects": _number(stats.subjects) if stats.subjects else "not named",
        "aim missed (partial)": f"{stats.partial:,} of {stats.rows:,} rows",
        "sources": _number(stats.sources),
        "equal images across splits, subjects, folds or labels": (
            f"{stats.duplicate_groups:,} groups, {stats.duplicate_rows:,} rows"
        ),
    }
    if stats.label_conflicts:
        facts["equal images with different labels"] = f"{stats.label_conflicts:,} groups"
    yield StatsTable("Facts", ("what", "number"), list(facts.items()))
    if stats.published:
        compared = [
            (printable(name), _number(n), _number(stats.found.get(name, 0))) for name, n in stats.published.items()
        ]
        yield StatsTable("Published counts", ("part", "published", "found"), compared)
    if stats.rejects or not stats.rejects_listed:
        rejects = [(printable(reason), _number(count)) for reason, count in stats.rejects.items()]
        missing = [("their list, .rejects.csv, is missing beside the manifest", "?")]
        yield StatsTable("Rejects", ("reason", "sources"), rejects if stats.rejects_listed else missing)


def _number(count: int) -> str:
    return f"{count:,}"


def _class_row(name: str, table: Mapping[str, int], parts: Sequence[str]) -> tuple[str, ...]:
    return (printable(name), *(_number(table.get(part, 0)) for part in parts), _number(sum(table.values())))


def _shares(title: str, column: str, table: Mapping[str, int], rows: int) -> StatsTable:
    body = [(printable(name), _number(count), percent(count / rows)) for name, count in table.items()]
    return StatsTable(title, (column, "pairs", "share"), body)


def _coverage_row(region: str, coverage: Coverage) -> tuple[str, ...]:
    values = (coverage.mean, *(coverage.quantile(share) for share in QUANTILES))
    shown = ["-" if value is None else f"{100 * value:.1f} %" for value in values]
    return (region, _number(coverage.n), *shown, _number(coverage.unmeasured))
