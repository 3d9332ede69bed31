"""The line of a method in a table: its title, its kind, and what a reader must know about it."""

from collections.abc import Iterable, Mapping
from typing import Any

from occfer.method_table import METHOD_TABLE
from occfer.methods import Kind
from occfer.tables.paper_methods import CONTROL, PATCH_METHODS, REFERENCES
from occfer.tables.result_table import CLEAN_LANDMARKS, AnyCell, TableLine


def make_line(
    method: str,
    cells: Mapping[str, AnyCell],
    *,
    title_end: str = "",
    untrained: bool = False,
    clean_landmarks: bool = False,
) -> TableLine:
    """The line of a method, also of one that this version does not know.

    Args:
        method: its key.
        cells: by column key.
        title_end: what tells it from another line of the same method.
        untrained: see `is_untrained`.
        clean_landmarks: see `by_clean_landmarks`.
    """
    known = METHOD_TABLE.get(method)
    return TableLine(
        key=method,
        title=(method if known is None else known.title) + title_end,
        cells=cells,
        reconstruction=known is not None and known.reconstruction,
        not_trained=untrained,
        reference=method == CONTROL or method in REFERENCES,
        clean_landmarks=clean_landmarks,
    )


def title_of(method: str, settings: Mapping[str, Any] | None = None) -> str:
    """A method's title in a report, with the words `reconstruction` and `not trained` where they apply.

    Args:
        method: its key, perhaps one that this version does not know.
        settings: see `is_untrained`.
    """
    known = METHOD_TABLE.get(method)
    title = method if known is None else known.shown_title
    remarks = (
        ("not trained", is_untrained(method, settings or {})),
        (CLEAN_LANDMARKS, by_clean_landmarks(method, settings or {})),
    )
    return title + "".join(f" ({remark})" for remark, applies in remarks if applies)


def is_untrained(method: str, settings: Mapping[str, Any]) -> bool:
    """Whether a method got a handful of updates or none, to show that it runs: its accuracy then means nothing.

    Args:
        method: its key.
        settings: fields of `TrainConfig` as JSON values, as far as they are known.

    >>> is_untrained("gacnn", {"baseline_updates": 2}), is_untrained("resnet", {"baseline_updates": 2})
    (True, False)
    """
    few = bool(settings.get("baseline_updates")) or settings.get("baseline_epochs") == 0
    return method in PATCH_METHODS and few


def by_clean_landmarks(method: str, settings: Mapping[str, Any]) -> bool:
    """Whether a method that needs landmarks places itself by those of the clean face where the face is occluded.

    >>> by_clean_landmarks("wls-rf", {"landmarks_from": "clean"}), by_clean_landmarks("wls-rf", {})
    (True, False)
    """
    known = METHOD_TABLE.get(method)
    return known is not None and known.needs_points and settings.get("landmarks_from") == "clean"


def in_paired_tests(method: str) -> bool:
    """Whether a method may enter a paired test: it sees the occluded images, and it is not a reference."""
    known = METHOD_TABLE.get(method)
    return known is not None and known.comparable and method not in REFERENCES


def control_note(methods: Iterable[str]) -> tuple[str, ...]:
    """The note for a reader of a table that shows a guided method without the control; else none."""
    kinds = set(map(kind_of, methods))
    if "guided" in kinds and "control" not in kinds:
        return (
            f"The control {CONTROL} is not in this table: a guided method's gain may come from longer training alone",
        )
    return ()


def kind_of(method: str) -> Kind:
    """The kind of a method, see `occfer.methods.Method.kind`; `plain` for one that this version does not know."""
    known = METHOD_TABLE.get(method)
    return "plain" if known is None else known.kind
