"""Errors of reading a source's file, in words. Loads nothing heavy."""

from collections.abc import Iterator
from contextlib import contextmanager

from occsynth.errors import SourceError


@contextmanager
def explained_read_errors() -> Iterator[None]:
    """Turns an OSError while reading into a SourceError; the caller names the file."""
    try:
        yield
    except FileNotFoundError:
        raise SourceError("file not found") from None
    except OSError as error:
        raise SourceError(f"cannot be read: {error.strerror or error}") from error
