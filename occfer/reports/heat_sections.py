"""The sections of a report about where models look: the shares of heat of all of them, then each with its sheet."""

from collections.abc import Iterator, Sequence

from occfer.evaluation.heat_results import SHEET, HeatResult
from occfer.metrics.heat import HeatGroup, share_lines
from occfer.reports.embedded_figures import EmbeddedFigure, data_uri
from occfer.reports.sections import Section

SHARES = ("n", "heat", "face", "heat - face", "95 % interval", "times its share", "without heat")
NONE = "-"


def heat_sections(results: Sequence[HeatResult], notes: Sequence[str]) -> Iterator[Section]:
    """One section for all results, if there are several or something cannot be used, and one for each."""
    if len(results) > 1 or notes:
        yield Section(
            title="Shares of heat inside the occluder",
            header=("model", "on", "heat of the", *SHARES),
            lines=tuple(
                (each.title, _tested(each), each.facts.explained, *_shares(each.groups[0])) for each in results
            ),
            notes=tuple(notes),
        )
    for each in results:
        yield _section(each)


def _section(result: HeatResult) -> Section:
    cells = "{} x {}".format(*result.facts.map_hw)
    lines = share_lines(result.groups[0], result.without_occluder)
    caption = f"Faces of {_tested(result)}: clean, occluded, and the heat of {result.title}."
    sheets = [path for path in (result.folder / SHEET,) if path.is_file()]
    return Section(
        title=f"{result.title} on {_tested(result)}",
        lead=(
            f"From {result.folder}. Grad-CAM of the {result.facts.explained} on maps of {cells} cells.",
            *(f"{line[0].upper()}{line[1:]}." for line in lines),
        ),
        figures=tuple(EmbeddedFigure(data_uri(path), caption) for path in sheets),
        header=("by", "group", *SHARES),
        lines=tuple((group.by, group.label, *_shares(group)) for group in result.groups),
        notes=result.facts.notes,
    )


def _tested(result: HeatResult) -> str:
    return ", ".join(each.name for each in result.facts.manifests)


def _shares(group: HeatGroup) -> tuple[str, ...]:
    found = group.difference
    if found is None or group.share_of_heat is None or group.share_of_face is None:
        return (str(group.n), *[NONE] * (len(SHARES) - 2), str(group.cold))
    return (
        str(group.n),
        f"{group.share_of_heat:.3f}",
        f"{group.share_of_face:.3f}",
        f"{found.mean:+.3f}",
        f"{found.interval.low:+.3f} to {found.interval.high:+.3f}",
        NONE if group.ratio is None else f"{group.ratio:.2f}",
        str(group.cold),
    )
