"""What libraries raise on a single bad source, so that it becomes a reject and does not end a build."""

import csv
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from occsynth.errors import SourceError
from occsynth.reading import one_line

SOURCE_FAULTS = (
    cv2.error,
    csv.Error,
    struct.error,
    zlib.error,
    ArithmeticError,  # of degenerate landmarks
    EOFError,
    LookupError,
    RuntimeError,  # what MediaPipe raises
    ValueError,  # what MediaPipe and numpy raise
)
"""Errors that speak of one source. An OSError is none: a full disk or a lost drive concerns all of them."""


@contextmanager
def explained_source_faults() -> Iterator[None]:
    """Turns whatever a library raises while it reads or works on one source into a SourceError.

    Raises:
        SourceError: the source is damaged, degenerate, or larger than the memory.
    """
    try:
        yield
    except MemoryError as error:
        raise SourceError("needs more memory than is left") from error
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise SourceError("needs more memory than is left") from error
        raise SourceError(f"OpenCV failed on it: {' '.join(error.err.split())}") from error
    except SOURCE_FAULTS as error:
        raise SourceError(f"could not be worked on ({type(error).__name__}: {one_line(error)})") from error
