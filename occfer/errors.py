"""The errors of occfer: each says what was looked for, where, and what to do; and the look-up in its tables."""

from collections.abc import Mapping
from typing import TypeVar

Entry = TypeVar("Entry")


class OccFERError(Exception):
    """An error that the command line prints as one line, with exit code 1."""


class UnknownNameError(OccFERError):
    """A name that is not in the table it was looked up in."""


class ConfigError(OccFERError):
    """A setting, or two that do not go together; the message names the command line's flag."""


class DataError(OccFERError):
    """A manifest or its images cannot be trained or tested on."""


class WeightsError(OccFERError):
    """Initial weights cannot be had, read, or fitted to the network."""


class MethodError(OccFERError):
    """A method was given networks or inputs that it cannot use."""


class CheckpointError(OccFERError):
    """A checkpoint is missing, damaged, or from another kind of run."""


class TrainingError(OccFERError):
    """Training cannot go on (a loss that is not finite, a lost process)."""


class ExportError(OccFERError):
    """A model cannot be exported, or its export does not answer as the model does."""


class ReportError(OccFERError):
    """Runs cannot be compared, tabulated or drawn."""


def lookup(table: Mapping[str, Entry], name: str, *, kind: str) -> Entry:
    """The table's entry of that name.

    Raises:
        UnknownNameError: naming the kind of thing and every name there is.
    """
    try:
        return table[name]
    except KeyError:
        raise UnknownNameError(f"unknown {kind} '{name}'; choose one of: {', '.join(table)}") from None
