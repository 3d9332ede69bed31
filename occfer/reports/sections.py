"""The sections of a report below its tables: profiles, comparisons, and each run with its figures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occfer.evaluation.compare import Compared
from occfer.evaluation.profile import Profile
from occfer.evaluation.result_folders import Result
from occfer.metrics.accuracy import AccuracyEstimate
from occfer.metrics.heat import comparison_lines
from occfer.metrics.intervals import Interval
from occfer.metrics.paired import GroupComparison
from occfer.metrics.predictions import Predictions, pooled
from occfer.metrics.significance import shown_p
from occfer.metrics.summary import accuracy_line, summarise, uar_line
from occfer.reports.embedded_figures import (
    EmbeddedFigure,
    data_uri,
    embed_predictions,
    embed_profile,
    embed_reconstructions,
    has_decoder,
)
from occfer.reports.provenance import open_existing, run_folders
from occfer.tables.lines import title_of
from occfer.tables.paper_methods import FULL
from occfer.tables.result_table import Cell, ResultTable


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with what stands below it; the template escapes every text.

    Attributes:
        title: the heading.
        lead: sentences.
        figures: below them.
        header, lines: of a table; without lines there is none.
        notes: what a reader must know.
    """

    title: str
    lead: tuple[str, ...] = ()
    figures: tuple[EmbeddedFigure, ...] = ()
    header: tuple[str, ...] = ()
    lines: tuple[tuple[str, ...], ...] = ()
    notes: tuple[str, ...] = ()


def profile_section(folder: Path, profile: Profile) -> Section:
    """A robustness profile: figure, table, and what limits it."""
    names = [model.title for model in profile.models]
    header = ["by", "group", "n"]
    for name in names if len(names) == 1 else [f"A: {names[0]}", f"B: {names[1]}"]:
        header += [name, "95 % interval"]
    if len(names) > 1:
        header += ["A - B", "95 % interval"]
    lines = []
    for group in profile.groups:
        line = [group.by, group.label, str(group.n)]
        for share in group.shares:
            line += [f"{share.accuracy:.3f}", _bounds(share.interval, ".3f")]
        if group.paired is not None:
            line += [f"{group.paired.difference:+.3f}", _bounds(group.paired.interval, "+.3f")]
        lines.append(tuple(line))
    return Section(
        title=f"{' and '.join(names)} on {profile.tested}",
        lead=(f"From {folder}. Accuracy by what hides the face, and by how much of it is hidden.",),
        figures=(embed_profile(profile),),
        header=tuple(header),
        lines=tuple(lines),
        notes=profile.notes,
    )


def comparison_section(folder: Path, compared: Compared) -> Section:
    """Two runs on the same pairs: the test, the groups, and the pictures on which they differ."""
    total = compared.groups[0]
    between = f"{total.difference:+.3f}, 95 % interval {_bounds(total.interval, '+.3f')} ({total.interval.how})"
    caption = f"Pairs that A and B answer differently ({compared.differing} in all)."
    sheets = [path for path in (folder / "differences.png",) if path.is_file()]
    heat = [f"{line}." for what, found in compared.heat.items() for line in comparison_lines(what, found)]
    return Section(
        title=f"{compared.a} against {compared.b}",
        lead=(
            f"A: {compared.a}: accuracy {_accuracy(total.a)}, n = {total.n}.",
            f"B: {compared.b}: accuracy {_accuracy(total.b)}, n = {total.n}.",
            f"A - B: {between}. Test ({total.test}): A alone is right on {total.only_a}, B alone on {total.only_b}, "
            f"p = {shown_p(total.p)}.",
            *(f"{line[0].upper()}{line[1:]}" for line in heat),
        ),
        figures=tuple(EmbeddedFigure(data_uri(path), caption) for path in sheets),
        header=("by", "group", "n", "A", "B", "A - B", "95 % interval", "A alone", "B alone", "p (Holm)"),
        lines=tuple(_compared(group) for group in compared.groups[1:]),
        notes=(*compared.notes, f"p (Holm) is adjusted over the {len(compared.groups) - 1} groups of this table"),
    )


def _compared(group: GroupComparison) -> tuple[str, ...]:
    return (
        group.by, group.label, str(group.n), f"{group.a.accuracy:.3f}", f"{group.b.accuracy:.3f}",
        f"{group.difference:+.3f}", _bounds(group.interval, "+.3f"), str(group.only_a), str(group.only_b),
        shown_p(group.p_holm),
    )  # fmt: skip


def _accuracy(estimate: AccuracyEstimate) -> str:
    interval = estimate.interval
    return f"{estimate.accuracy:.3f}, 95 % interval {_bounds(interval, '.3f')} ({interval.how})"


def _bounds(interval: Interval, number_format: str) -> str:
    return f"{interval.low:{number_format}} to {interval.high:{number_format}}"


def run_sections(results: Sequence[Result], device: str, *, reconstructions: bool) -> Iterator[Section]:
    """One section per result, with its figures; and once per model, what its decoder restores."""
    restored: set[Path] = set()
    for result in results:
        model = result.models[0] if result.models else None
        wanted = reconstructions and has_decoder(result.method) and model is not None
        first_time = wanted and model is not None and model.resolve() not in restored
        if model is not None and first_time:
            restored.add(model.resolve())
        yield _run_section(result, device, model if first_time else None)


def _run_section(result: Result, device: str, model: Path | None) -> Section:
    title = f"{title_of(result.method, result.config)} ({result.folder})"
    figures = list(embed_predictions(result.predictions, title))
    notes = list(result.facts.notes)
    if model is not None:
        _add(embed_reconstructions(model, result.manifests, device), figures, notes)
    return Section(
        title=title,
        lead=tuple(_lead(result, summarise(result.predictions))),
        figures=tuple(figures),
        notes=tuple(notes),
    )


def _add(drawn: EmbeddedFigure | str, figures: list[EmbeddedFigure], notes: list[str]) -> None:
    if isinstance(drawn, str):
        notes.append(drawn)
    else:
        figures.append(drawn)


def _lead(result: Result, summary: dict[str, Any]) -> Iterator[str]:
    kinds = {"run": "A run", "folds": "A run over all folds", "evaluation": "An evaluation"}
    yield f"{kinds[result.kind]}, tested on {', '.join(result.predictions.tested_on)}."
    line = accuracy_line(summary)
    yield f"{line[0].upper()}{line[1:]}; {uar_line(summary)}."
    if result.facts.folds is not None:
        over = result.facts.folds.accuracy
        deviation = "" if over.sd is None else f", deviation {over.sd:.3f}"
        yield f"Over {over.n} folds: mean accuracy {over.mean:.3f}{deviation}."


def table_sections(folder: Path, table: ResultTable, device: str, *, reconstructions: bool) -> Iterator[Section]:
    """For each column, the confusions and calibration of the paper's own method; once, a grid of reconstructions."""
    line = next((each for each in table.lines if each.key == FULL), None)
    restored = not reconstructions
    for column in table.columns if line is not None else ():
        cell = line.cells[column.key] if line is not None else None
        results = list(open_existing(run_folders(folder, cell))) if isinstance(cell, Cell) else []
        if not results:
            continue
        title = f"{title_of(FULL)} on {column.title}"
        figures = list(embed_predictions(_one_seed(results), title))
        notes: list[str] = []
        if not restored and (model := next((each for result in results for each in result.models), None)) is not None:
            restored = True
            _add(embed_reconstructions(model, results[0].manifests, device), figures, notes)
        yield Section(title=f"{title}: {table.title}", figures=tuple(figures), notes=tuple(notes))


def _one_seed(results: Sequence[Result]) -> Predictions:
    """The predictions of the first seed: of all folds, but of each pair only once."""
    parts: list[Predictions] = []
    known: set[tuple[str, str, str]] = set()
    for result in results:
        keys = {pair.key for pair in result.predictions.pairs}
        if not keys & known:
            parts.append(result.predictions)
            known |= keys
    return pooled(parts)
