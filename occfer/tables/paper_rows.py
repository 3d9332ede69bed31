"""occfer.tables.paper_rows: docstring to write."""

from collections.abc import Iterable, Mapping
from typing import Any

from occfer.method_table import METHOD_TABLE
from occfer.methods import Kind

PAPER_ROWS = (
    "rgbt", "wls-rf", "pg-cnn", "gacnn", "resnet", "sim", "lir", "sim+lir", "adv", "rec", "adv+rec", "full",
)  # fmt: skip


# Beside the paper's rows; the last two are never in a paired test.
CONTROL = "resnet-long"


REFERENCES = ("clean-on-occluded", "clean")


DEEP_ROWS = (*PAPER_ROWS[2:], CONTROL, *REFERENCES)


ALL_ROWS = (*PAPER_ROWS, CONTROL, *REFERENCES)


UPDATED_IN_BATCHES = frozenset({"pg-cnn", "gacnn"})


def is_trial(row: str, settings: Mapping[str, Any]) -> bool:
    """Whether a row got a handful of updates or none, to see that it runs: its accuracy says nothing.

    Args:
        row: key of `METHOD_TABLE`.
        settings: fields of `TrainConfig` as JSON values, as far as they are known.
    """
    few = bool(settings.get("baseline_updates")) or settings.get("baseline_epochs") == 0
    return row in UPDATED_IN_BATCHES and few


def control_note(keys: Iterable[str]) -> tuple[str, ...]:
    """What a reader of some rows' accuracies must know where a guided one stands without the control."""
    kinds = set(map(kind_of, keys))
    if "guided" in kinds and "control" not in kinds:
        return (
            f"The control {CONTROL} is not among the rows: what a guided method gains may be longer training alone",
        )
    return ()


def kind_of(key: str) -> Kind:
    """The kind of a method, see `occfer.methods.Method.kind`; `plain` for one that this version lacks."""
    method = METHOD_TABLE.get(key)
    return "plain" if method is None else method.kind
