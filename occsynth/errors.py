"""The errors of occsynth: each message says what was looked for, where, and what to do."""

from collections.abc import Mapping
from typing import TypeVar

from occsynth.escapes import for_terminal


class OccSynthError(Exception):
    """An error that the command line prints as one line, with exit code 1."""

    def __str__(self) -> str:
        """The message as one printable line, whatever the names from files in it hold."""
        return for_terminal(super().__str__())


class UnknownNameError(OccSynthError):
    """A name is not in the table in which it was looked up."""


class DatabaseLayoutError(OccSynthError):
    """A raw database is not laid out on disk as its importer expects."""


class SourceError(OccSynthError):
    """One source image cannot be used; a build lists it as a reject."""


class TemplateError(OccSynthError):
    """A template or a template pack cannot be used."""


class ManifestError(OccSynthError):
    """A manifest is malformed, or points outside its root."""


class BuildError(OccSynthError):
    """A build cannot start or continue, such as for other settings, a full disk or missing permissions."""


class ReplayError(OccSynthError):
    """A replay did not give the pixels that the manifest records."""


class SuiteError(OccSynthError):
    """A suite is malformed, is not the one that was frozen, or cannot be made."""


class SystemLibraryError(OccSynthError):
    """A shared library of the operating system, which a wheel loads, is missing."""


EntryT = TypeVar("EntryT")


def lookup(table: Mapping[str, EntryT], name: str, *, kind: str) -> EntryT:
    """The table's entry of that name.

    >>> lookup({"eyes": 1, "mouth": 2}, "nose", kind="region")
    Traceback (most recent call last):
    occsynth.errors.UnknownNameError: unknown region 'nose'; choose one of: eyes, mouth

    Args:
        table: entries by name.
        name: what to look up.
        kind: what the entries are, for the message.

    Raises:
        UnknownNameError: there is no such entry; the message lists all names.
    """
    try:
        return table[name]
    except KeyError:
        raise UnknownNameError(f"unknown {kind} '{name}'; choose one of: {', '.join(table)}") from None
