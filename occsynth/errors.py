"""The errors of occsynth: each says what was looked for, where, and what to do."""

from collections.abc import Mapping
from typing import TypeVar


class OccSynthError(Exception):
    """An error that the command line prints as one line, with exit code 1."""


class UnknownNameError(OccSynthError):
    """A name that is not in the table it was looked up in."""


class DatabaseLayoutError(OccSynthError):
    """A raw database does not look on disk as its importer expects."""


class SourceError(OccSynthError):
    """One source image cannot be used; a build turns it into a listed reject."""


class TemplateError(OccSynthError):
    """A template or a template pack cannot be used."""


class ManifestError(OccSynthError):
    """A manifest is malformed, or points outside its root."""


class BuildError(OccSynthError):
    """A build cannot start or go on (other settings, disk full, no permission)."""


class ReplayError(OccSynthError):
    """A replay did not give the pixels that the manifest names."""


class SystemLibraryError(OccSynthError):
    """A shared library of the operating system that a wheel loads is missing."""


Entry = TypeVar("Entry")


def lookup(table: Mapping[str, Entry], name: str, *, kind: str) -> Entry:
    """The table's entry of that name.

    Raises:
        UnknownNameError: naming the kind of thing and every name there is.
    """
    try:
        return table[name]
    except KeyError:
        raise UnknownNameError(f"unknown {kind} '{name}'; choose one of: {', '.join(table)}") from None
