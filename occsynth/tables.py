"""Looking a name up in one of the explicit tables (databases, modes, fills)."""

from collections.abc import Mapping
from typing import TypeVar

from occsynth.errors import UnknownNameError

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
