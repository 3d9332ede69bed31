"""The pictures of paths: image files, folders of them, and the frames of videos, one after the other.

The path `-` is a picture that comes through standard input.
"""

import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from occfer.data.arrays import Images
from occfer.errors import DataError
from occfer.faces.face import Picture
from occsynth.databases.layout import is_image_name, list_folder
from occsynth.databases.own_folders import is_own_folder
from occsynth.errors import OccSynthError, SourceError
from occsynth.pixels.decode import decode_rgb
from occsynth.pixels.images import LARGEST_FILE_BYTES, read_bytes
from occsynth.pixels.videos import cut_fault

OTHER_ENDINGS = (".jfif", ".jpe", ".jp2", ".gif", ".avif", ".heic", ".heif", ".jxl", ".dng", ".cr2", ".nef", ".arw")
"""Of pictures that no database comes in: OpenCV decodes some, and the others are listed with what to do."""
VIDEO_ENDINGS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")

STDIN = Path("-")


def read_picture(path: Path) -> Images:
    """The pixels of an image file, `(H, W, 3)` uint8 RGB, as builds decode it; raises SourceError."""
    return decode_rgb(read_bytes(path))


def decoded_picture(content: bytes) -> Images:
    """The pixels of an image file's bytes, as `read_picture` gives them; raises DataError."""
    try:
        return decode_rgb(content)
    except SourceError as error:
        raise DataError(f"the picture cannot be read: {error}") from error


def pictures(
    paths: Sequence[Path],
    every: int = 1,
    leave_out: Path | None = None,
    passed_over: Callable[[Path], None] = lambda _path: None,
) -> Iterator[Picture]:
    """The pictures of files and folders, one after the other; only one is in memory.

    A file that cannot be read yields a picture without pixels, and so does a cut video after its frames.

    Args:
        paths: image files, videos, folders, which are searched recursively in order of names, and once `STDIN`.
        every: take every Nth frame of a video.
        leave_out: a folder that is not searched, such as the one that drawings are written to.
        passed_over: called with each file of a folder that is named neither as a picture nor as a video.
    """
    taken: set[str] = set()
    for path in paths:
        if path == STDIN:
            yield _of_stdin(_unused("stdin", taken))
            continue
        name = _unused(path.resolve().name, taken)
        if not path.is_dir():
            yield from _of_file(path, name, every)
            continue
        for relative, fault in _files(path, "", leave_out):
            if fault is None:
                passed_over(path / relative)
                continue
            inner = f"{name}/{relative}"
            if fault:
                yield Picture(str(path / relative), None, fault=fault, name=inner)
            else:
                yield from _of_file(path / relative, inner, every)


def _unused(name: str, taken: set[str]) -> str:
    """The name, or `2-name`, `3-name`, ... if another path of the command line has the same name."""
    unused, number = name, 1
    while unused in taken:
        number += 1
        unused = f"{number}-{name}"
    taken.add(unused)
    return unused


def _files(root: Path, folder: str, leave_out: Path | None) -> Iterator[tuple[str, str | None]]:
    """Files below a folder, relative to the root, each with the reason why it cannot be used.

    The reason is "" for images and videos, and None for what is neither.
    """
    if leave_out is not None and leave_out.is_dir() and (root / folder).samefile(leave_out):
        return
    try:
        listing = list_folder(root, folder)
    except OccSynthError as error:
        yield folder or ".", str(error)
        return
    for fault in listing.faults:
        if not is_own_folder(fault):
            yield fault.source, fault.reason
    for name in listing.files:
        wanted = is_image_name(name) or name.lower().endswith((*OTHER_ENDINGS, *VIDEO_ENDINGS))
        yield os.path.join(folder, name), "" if wanted else None  # noqa: PTH118 - relative names, not paths
    # a scan for a raw database passes over what occsynth has made; here it was asked for
    made = [Path(fault.source).name for fault in listing.faults if is_own_folder(fault)]
    for name in sorted((*listing.folders, *made)):
        yield from _files(root, os.path.join(folder, name), leave_out)  # noqa: PTH118 - as above


def _is_video_name(name: str) -> bool:
    return name.lower().endswith(VIDEO_ENDINGS)


def _of_file(path: Path, name: str, every: int) -> Iterator[Picture]:
    if _is_video_name(path.name):
        yield from _frames(path, name, every)
        return
    try:
        yield Picture(str(path), read_picture(path), name=name)
    except SourceError as error:
        advice = "; convert it to PNG or JPEG" if path.name.lower().endswith(OTHER_ENDINGS) else ""
        yield Picture(str(path), None, fault=f"{error}{advice}", name=name)


def _of_stdin(name: str) -> Picture:
    content = sys.stdin.buffer.read(LARGEST_FILE_BYTES + 1)
    try:
        if not content:
            raise SourceError("standard input is empty")
        if len(content) > LARGEST_FILE_BYTES:
            raise SourceError(f"longer than {LARGEST_FILE_BYTES:,} bytes, the most that is read as an image")
        return Picture(str(STDIN), decode_rgb(content), name=name)
    except SourceError as error:
        return Picture(str(STDIN), None, fault=str(error), name=name)


def _frames(path: Path, name: str, every: int) -> Iterator[Picture]:
    """Every Nth frame, then the fault of a video that is cut.

    All frames are decoded from the start, as in builds, because seeking is not always exact.
    """
    if not path.is_file():
        yield Picture(str(path), None, fault="file not found", name=name)
        return
    capture = cv2.VideoCapture(str(path))
    try:
        count = yield from frames(capture, str(path), name, every)
        fault = cut_fault(capture, count) if count else "no frame of the video can be decoded"
    finally:
        capture.release()
    if fault:
        yield Picture(str(path), None, fault=fault, name=name)


def frames(capture: cv2.VideoCapture, source: str, name: str, every: int) -> Generator[Picture, None, int]:
    """Every Nth frame of an open video or camera; returns how many frames there were, those between included."""
    rate = capture.get(cv2.CAP_PROP_FPS) / every
    frame = 0
    while capture.grab():
        if frame % every == 0:
            done, image = capture.retrieve()
            if not done:
                yield Picture(source, None, frame, "the frame cannot be decoded", name, rate)
            else:
                pixels = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
                yield Picture(source, pixels, frame, name=name, frames_per_s=rate)
        frame += 1
    return frame
