"""The sections of a report below its tables: profiles, comparisons, and each run with its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occfer.errors import ReportError
from occfer.evaluation.compare import Compared
from occfer.evaluation.profile import Profile
from occfer.evaluation.result_folders import Result, open_result
from occfer.metrics.accuracy import AccuracyEstimate
from occfer.metrics.intervals import Interval
from occfer.metrics.paired import GroupComparison
from occfer.metrics.predictions import Predictions, pooled
from occfer.metrics.significance import shown_p
from occfer.metrics.summary import accuracy_line, summarise
from occfer.reports.embedded_figures import (
    Drawing,
    answers_drawn,
    embed,
    has_decoder,
    profile_drawn,
    reconstruction_drawn,
)
from occfer.reports.provenance import run_folders
from occfer.reports.runs_table import title_of
from occfer.tables.result_table import Cell, ResultTable

FIGURE_ROW = "full"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands below it; every text is escaped by the template.

    Attributes:
        title: the heading.
        lead: sentences.
        drawings: figures.
        header, lines: a table; none without lines.
        notes: what a reader must know.
    """

    title: str
    lead: tuple[str, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    header: tuple[str, ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def profile_section(folder: Path, found: Profile) -> Section:
    """A robustness profile: figure, table, and what limits it."""
    names = [model.title for model in found.models]
    header = ["by", "group", "n"]
    for name in names if len(names) == 1 else [f"A: {names[0]}", f"B: {names[1]}"]:
        header += [name, "95 % interval"]
    if len(names) > 1:
        header += ["A - B", "95 % interval"]
    lines = []
    for row in found.groups:
        line = [row.by, row.label, str(row.n)]
        for share in row.shares:
            line += [f"{share.accuracy:.3f}", _bounds(share.interval, ".3f")]
        if row.paired is not None:
            line += [f"{row.paired.difference:+.3f}", _bounds(row.paired.interval, "+.3f")]
        lines.append(tuple(line))
    return Section(
        title=f"{' and '.join(names)} on {found.tested}",
        lead=(f"From {folder}. Accuracy by what hides the face, and how much of it.",),
        drawings=(profile_drawn(found),),
        header=tuple(header),
        lines=tuple(lines),
        notes=found.notes,
    )


def comparison_section(folder: Path, found: Compared) -> Section:
    """Two runs on the same pairs: the test, the groups, the pictures on which they differ."""
    total = found.groups[0]
    between = f"{total.difference:+.3f}, 95 % interval {_bounds(total.interval, '+.3f')} ({total.interval.how})"
    caption = f"Pairs that A and B answer differently ({found.differing} in all)."
    sheets = [path for path in (folder / "differences.png",) if path.is_file()]
    return Section(
        title=f"{found.a} against {found.b}",
        lead=(
            f"A: {found.a}: accuracy {_share(total.a)}, n = {total.n}.",
            f"B: {found.b}: accuracy {_share(total.b)}, n = {total.n}.",
            f"A - B: {between}. Exact McNemar: A alone is right on {total.only_a}, B alone on {total.only_b}, "
            f"p = {shown_p(total.p)}.",
        ),
        drawings=tuple(Drawing(embed(path), caption) for path in sheets),
        header=("by", "group", "n", "A", "B", "A - B", "95 % interval", "A alone", "B alone", "p (Holm)"),
        lines=tuple(_compared(row) for row in found.groups[1:]),
        notes=found.notes,
    )


def _compared(row: GroupComparison) -> tuple[str, ...]:
    return (
        row.by, row.label, str(row.n), f"{row.a.accuracy:.3f}", f"{row.b.accuracy:.3f}", f"{row.difference:+.3f}",
        _bounds(row.interval, "+.3f"), str(row.only_a), str(row.only_b), shown_p(row.p_holm),
    )  # fmt: skip


def _share(share: AccuracyEstimate) -> str:
    return f"{share.accuracy:.3f}, 95 % interval {_bounds(share.interval, '.3f')} ({share.interval.how})"


def _bounds(interval: Interval, how: str) -> str:
    return f"{interval.low:{how}} to {interval.high:{how}}"


def run_sections(results: Sequence[Result], device: str, *, reconstructions: bool) -> Iterator[Section]:
    """One a result: its figures, and what its decoder restores, once a model."""
    restored: set[Path] = set()
    for result in results:
        model = result.models[0] if result.models else None
        wanted = reconstructions and has_decoder(result.method) and model is not None
        fresh = wanted and model is not None and model.resolve() not in restored
        if model is not None and fresh:
            restored.add(model.resolve())
        yield _run_section(result, device, model if fresh else None)


def _run_section(result: Result, device: str, model: Path | None) -> Section:
    title = f"{title_of(result.method, result.config)} ({result.folder})"
    summary = result.metrics
    drawings = list(answers_drawn(result.predictions, title))
    notes = [str(note) for note in summary.get("notes", [])]
    if model is not None:
        _add(reconstruction_drawn(model, result.manifests, device), drawings, notes)
    return Section(
        title=title,
        lead=tuple(_lead(result, summarise(result.predictions))),
        drawings=tuple(drawings),
        notes=tuple(notes),
    )


def _add(drawn: Drawing | str, drawings: list[Drawing], notes: list[str]) -> None:
    if isinstance(drawn, str):
        notes.append(drawn)
    else:
        drawings.append(drawn)


def _lead(result: Result, summary: dict[str, Any]) -> Iterator[str]:
    kinds = {"run": "A run", "folds": "A run over all folds", "evaluation": "An evaluation"}
    tested = sorted({f"{pair.database} ({pair.mode})" for pair in result.predictions.pairs})
    yield f"{kinds[result.kind]}, tested on {', '.join(tested)}."
    line = accuracy_line(summary)
    others = f"UAR {summary['uar']:.3f}, macro-F1 {summary['macro_f1']:.3f}, ECE {summary['ece']:.3f}"
    yield f"{line[0].upper()}{line[1:]}; {others}."
    folds = result.metrics.get("folds")
    if isinstance(folds, dict):
        over = folds["accuracy"]
        deviation = "" if over["sd"] is None else f", deviation {over['sd']:.3f}"
        yield f"Over {over['n']} folds: mean accuracy {over['mean']:.3f}{deviation}."


def table_sections(folder: Path, table: ResultTable, device: str, *, reconstructions: bool) -> Iterator[Section]:
    """Of each column, the confusions and calibration of the paper's own method, and one grid of reconstructions."""
    row = next((each for each in table.rows if each.key == FIGURE_ROW), None)
    restored = not reconstructions
    for column in table.columns if row is not None else ():
        cell = row.cells[column.key] if row is not None else None
        results = list(_opened(run_folders(folder, cell))) if isinstance(cell, Cell) else []
        if not results:
            continue
        title = f"{title_of(FIGURE_ROW)} on {column.title}"
        drawings = list(answers_drawn(_one_seed(results), title))
        notes: list[str] = []
        if not restored and (model := next((each for result in results for each in result.models), None)) is not None:
            restored = True
            _add(reconstruction_drawn(model, results[0].manifests, device), drawings, notes)
        yield Section(title=f"{title}: {table.title}", drawings=tuple(drawings), notes=tuple(notes))


def _opened(runs: Sequence[Path]) -> Iterator[Result]:
    for run in runs:
        try:
            yield open_result(run)
        except ReportError:
            continue  # the runs may have stayed behind


def _one_seed(results: Sequence[Result]) -> Predictions:
    """The answers of as many of the runs as test different pairs: those of the first seed."""
    parts: list[Predictions] = []
    known: set[tuple[str, str, str]] = set()
    for result in results:
        keys = {pair.key for pair in result.predictions.pairs}
        if not keys & known:
            parts.append(result.predictions)
            known |= keys
    return pooled(parts)
