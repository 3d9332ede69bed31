"""The frames of a camera, as they come."""

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2

from occfer.errors import DataError
from occfer.faces.face import Picture
from occfer.faces.pictures import frames
from occsynth.pixels.silence import silent_stderr


def camera_frames(number: int, every: int, most: int | None, is_stopped: Callable[[], bool]) -> Iterator[Picture]:
    """Every Nth frame of a camera, until there are `most`, it is stopped, or the camera ends.

    A camera that ends by itself, because it was unplugged, yields a picture without pixels after its frames.

    Args:
        number: of the camera, as OpenCV counts them, from 0.
        every: take every Nth frame.
        most: frames that are taken at most; None for any number.
        is_stopped: asked after each frame that was taken.

    Raises:
        DataError: there is no such camera, or it cannot be opened.
    """
    with silent_stderr():  # OpenCV and the drivers have words of their own for a camera that is not there
        capture = cv2.VideoCapture(number)
    source = f"camera {number}"
    try:
        if not capture.isOpened():
            raise DataError(f"--camera {number} cannot be opened; {_cameras()}")
        for taken, picture in enumerate(frames(capture, source, f"camera-{number}", every), start=1):
            yield picture
            if taken == most or is_stopped():
                return
        yield Picture(source, None, fault="the camera gave no more frames", name=f"camera-{number}")
    finally:
        capture.release()


def _cameras() -> str:
    """Which cameras the system names."""
    named = sorted(str(path) for path in Path("/dev").glob("video[0-9]*"))
    if not named:
        return "this machine has no camera under /dev/video*"
    return f"this machine has {', '.join(named[:10])}: plug it in, close what uses it, or ask for another number"
