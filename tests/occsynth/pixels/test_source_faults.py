"""What libraries raise on one source becomes a reject; what concerns all sources, or is a fault of the program, not."""

import csv
import errno
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from occsynth.build import make_pairs
from occsynth.build.build import build
from occsynth.errors import SourceError
from occsynth.pixels.source_faults import explained_source_faults
from occsynth.pixels.sources import Source, read_source
from tests.builds import STEMS
from tests.occsynth.build.test_build import options, tree


def huge_array() -> None:
    np.empty(10**14, np.uint8)


def huge_image() -> None:
    cv2.copyMakeBorder(np.zeros((2, 2), np.uint8), 2**30, 2**30, 2**30, 2**30, cv2.BORDER_CONSTANT)


def negative_size() -> None:
    cv2.resize(np.zeros((4, 4), np.uint8), (-1, 4))


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


FAULTS: list[tuple[Callable[[], object], str]] = [
    (huge_array, "needs more memory than is left"),
    (huge_image, "OpenCV failed on it"),
    (negative_size, "OpenCV failed on it"),
    (lambda: np.linalg.inv(np.zeros((2, 2))), r"could not be worked on \(LinAlgError: Singular matrix\)"),
    (lambda: struct.unpack("<i", b""), r"could not be worked on \(error: unpack requires"),
    (lambda: zlib.decompress(b"no"), r"could not be worked on \(error: Error -3"),
    (lambda: next(csv.reader(["a" * 200_000])), r"could not be worked on \(Error: field larger"),
    (raising(ZeroDivisionError("division by zero")), r"could not be worked on \(ZeroDivisionError: division"),
    (raising(RuntimeError("Graph\nhas errors")), r"could not be worked on \(RuntimeError: Graph has errors\)"),
    (raising(EOFError()), r"could not be worked on \(EOFError: \)"),
]


@pytest.mark.parametrize("fail, reason", FAULTS)
def test_a_fault_of_one_source_is_told_in_one_line(fail: Callable[[], object], reason: str) -> None:
    with pytest.raises(SourceError, match=reason) as caught, explained_source_faults():
        fail()
    assert "\n" not in str(caught.value)


PASSES = [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), TypeError("a fault of the program")]


@pytest.mark.parametrize("error", PASSES, ids=repr)
def test_what_is_no_fault_of_a_source_passes(error: BaseException) -> None:
    with pytest.raises(type(error)), explained_source_faults():
        raise error


def failing_on(stem: str, fail: Callable[[], object]) -> Callable[[Path, str], Source]:
    def read(root: Path, source: str) -> Source:
        if stem in source:
            fail()
        return read_source(root, source)

    return read


@pytest.mark.parametrize("fail, reason", FAULTS)
def test_one_bad_source_does_not_end_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[[], object], reason: str
) -> None:
    (tmp_path / "few.txt").write_text("\n".join(STEMS[:3]))
    monkeypatch.setattr(make_pairs, "read_source", failing_on(STEMS[1], fail))
    report = build(options(tmp_path / "out", size_px=32, subset=tmp_path / "few.txt"))
    assert (report.rows, report.rejects) == (2, 1)
    assert STEMS[1] in report.rejects_csv[0].read_text()
    assert not [name for name in tree(tmp_path / "out") if STEMS[1] in name], "an image without a row"


@pytest.mark.parametrize("error", PASSES, ids=repr)
def test_what_concerns_all_sources_ends_a_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    (tmp_path / "few.txt").write_text("\n".join(STEMS[:3]))
    monkeypatch.setattr(make_pairs, "read_source", failing_on(STEMS[1], raising(error)))
    with pytest.raises(type(error)):
        build(options(tmp_path / "out", size_px=32, subset=tmp_path / "few.txt"))
    assert not list((tmp_path / "out/manifests").glob("*.csv"))
