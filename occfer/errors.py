"""The errors of occfer: each says what was looked for, where, and what to do; and the look-up in its tables.

The command line prints an error as one line, so a message is one line.
"""

from collections.abc import Mapping
from typing import TypeVar

from occsynth.escapes import for_terminal

Entry = TypeVar("Entry")


class OccFERError(Exception):
    """An error that the command line prints as one line, with exit code 1.

    Attributes:
        told_by_first: whether the first process of a run tells the user, so that this one ends without a word.
    """

    told_by_first: bool = False

    def __str__(self) -> str:
        """The message as one printable line, whatever the names from files in it hold."""
        return for_terminal(super().__str__())


class UnknownNameError(OccFERError):
    """A name that is not in the table it was looked up in."""


class ConfigError(OccFERError):
    """A setting is wrong, or two do not go together; the message names the command line's flag."""


class AnotherRunError(ConfigError):
    """A folder holds a run of other settings or data than the one that is to be resumed."""


class DataError(OccFERError):
    """A manifest, an image or another input cannot be used."""


class WeightsError(OccFERError):
    """Initial weights cannot be downloaded or read, or do not fit the network."""


class MethodError(OccFERError):
    """A method was given networks or inputs that it cannot use."""


class CheckpointError(OccFERError):
    """A checkpoint or another file of a run is missing, damaged, or of another kind of run."""


class DamagedError(CheckpointError):
    """A file that occfer wrote is missing or is not as it was written."""


class TrainingError(OccFERError):
    """Training cannot continue: a loss is not finite, or a process died."""


class ExportError(OccFERError):
    """A model cannot be exported, or its export predicts something else than the model."""


class HubError(OccFERError):
    """Something must not or cannot be shared on the Hugging Face Hub, or is not what a repository there should hold."""


class ReportError(OccFERError):
    """Runs cannot be compared, tabulated or drawn."""


def lookup(table: Mapping[str, Entry], name: str, *, kind: str) -> Entry:
    """The table's entry of that name.

    Raises:
        UnknownNameError: there is none; the message lists all names.
    """
    try:
        return table[name]
    except KeyError:
        raise UnknownNameError(f"unknown {kind} '{name}'; choose one of: {', '.join(table)}") from None
