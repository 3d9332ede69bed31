"""Runs against a control: a line per run, or per method where each seed has a control of its own; control.csv."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from occfer.config_fields import ONE_RUN
from occfer.errors import ReportError
from occfer.evaluation.compare import holds_comparison, left_out, other_builds, refuse_other_view, write_groups
from occfer.evaluation.result_folders import Result, claimed_results, open_result
from occfer.files import digest
from occfer.method_table import shown_name
from occfer.metrics.paired import CommonPredictions, GroupComparison, adjusted_groups, common_pairs, compare_answers
from occfer.metrics.predictions import one_after_the_other

CONTROL_TABLE = "control.csv"


@dataclass(frozen=True, slots=True, eq=False)
class ControlComparison:
    """The result of `compare_with_control`.

    Attributes:
        controls: what the runs were compared with.
        groups: one per run, or per method where there are several controls: its title as the label, and the common
            pairs as the group; the p-values are adjusted over the lines (Holm 1979).
        notes: what the user should know.
        files: what was written.
    """

    controls: tuple[Result, ...]
    groups: tuple[GroupComparison, ...]
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def compare_with_control(
    runs: Sequence[Path], controls: Sequence[Path], out: Path | None = None, *, overwrite: bool = False
) -> ControlComparison:
    """Compares runs with a control, on the pairs that both were tested on; writes control.csv.

    With several controls, which differ in their seed alone, each run is compared with the control of its seed, and the
    runs that differ in their seed alone are one line: a person's faces count together over all seeds, so that the
    p-value says whether the method is better for people, with these seeds.

    Args:
        runs: folders with results, at least one.
        controls: the folders of the control, one per seed.
        out: folder for the table; None writes nothing.
        overwrite: whether it may be written among files that are not of a comparison.

    Raises:
        ReportError: as `occfer.evaluation.compare.compare`; or with several controls, a seed is not known, is there
            twice, or lacks a control.
    """
    if out is None:
        return _compared(runs, controls, ())
    with claimed_results(out, "occfer compare", "-o", holds_comparison, overwrite=overwrite):
        made = _compared(runs, controls, (out / CONTROL_TABLE,))
        write_groups(out / CONTROL_TABLE, made.groups)
        return made


def _compared(runs: Sequence[Path], controls: Sequence[Path], files: tuple[Path, ...]) -> ControlComparison:
    references, results = tuple(map(open_result, controls)), tuple(map(open_result, runs))
    for result in (*references, *results):
        refuse_other_view(result)
    lines = _by_seed(results, references) if len(references) > 1 else [[(each, references[0])] for each in results]
    against = _title(references)
    groups: list[GroupComparison] = []
    notes: list[str] = []
    for line in lines:
        commons = [common_pairs(result.predictions, reference.predictions) for result, reference in line]
        for (result, reference), common in zip(line, commons, strict=True):
            notes += [f"{result.title}: {note}" for note in [*left_out(common), *other_builds(result, reference)]]
        title = _title([result for result, _ in line])
        groups.append(replace(compare_answers(_joined(commons))[0], by=f"against {against}", label=title))
    return ControlComparison(references, tuple(adjusted_groups(groups)), tuple(notes), files)


def _title(results: Sequence[Result]) -> str:
    """Such as `full (runs/full-0)`, or `full, seeds 0, 1 (runs/full-0, runs/full-1)`."""
    if len(results) == 1:
        return results[0].title
    seeds, folders = ", ".join(str(_seed(one)) for one in results), ", ".join(str(one.folder) for one in results)
    return f"{shown_name(results[0].method)}, seeds {seeds} ({folders})"


def _by_seed(results: Sequence[Result], references: Sequence[Result]) -> list[list[tuple[Result, Result]]]:
    """For each method its runs with the control of their seed, by seed, in the order of the first run given."""
    control_of: dict[int, Result] = {}
    for reference in references:
        if (other := control_of.setdefault(_seed(reference), reference)) is not reference:
            raise ReportError(f"{other.folder} and {reference.folder} are controls of the seed {_seed(reference)}")
    if len({_but_for_the_seed(each) for each in references}) > 1:
        raise ReportError(
            f"the controls {', '.join(str(each.folder) for each in references)} differ in more than their seed; "
            "compare with one at a time"
        )
    lines: dict[str, dict[int, Result]] = {}
    for result in results:
        seed = _seed(result)
        if seed not in control_of:
            raise ReportError(f"{result.folder} has the seed {seed}, which no --control has")
        line = lines.setdefault(_but_for_the_seed(result), {})
        if (other := line.setdefault(seed, result)) is not result:
            raise ReportError(f"{other.folder} and {result.folder} are runs of the same settings and seed")
    return [[(line[seed], control_of[seed]) for seed in sorted(line)] for line in lines.values()]


def _seed(result: Result) -> int:
    seed = result.config.get("seed")
    if not isinstance(seed, int):
        raise ReportError(
            f"the seed of {result.folder} is not known, since its run folder is gone or its config.json does not say; "
            "several controls need it"
        )
    return seed


def _but_for_the_seed(result: Result) -> str:
    of_a_seed = (ONE_RUN - {"manifests", "fold"}) | {"seed"}
    settings = {name: value for name, value in result.config.items() if name not in of_a_seed}
    return digest({"method": result.method, "settings": settings})


def _joined(commons: Sequence[CommonPredictions]) -> CommonPredictions:
    """The answers of all seeds, one after the other: their pairs repeat."""
    return CommonPredictions(
        one_after_the_other([each.a for each in commons]),
        one_after_the_other([each.b for each in commons]),
        sum(each.only_in_a for each in commons),
        sum(each.only_in_b for each in commons),
    )
