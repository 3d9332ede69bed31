"""Whether a video is whole: how many frames its header names, and how many can be decoded."""

from dataclasses import dataclass
from pathlib import Path

import cv2

_FEW_FRAMES = 2
_FEW_SHARE = 0.05
"""Some encoders count a little more than they write: only a larger shortage tells a video that was cut."""


@dataclass(frozen=True, slots=True)
class FrameCount:
    """What counting the frames of a video gave.

    Attributes:
        decoded: how many can be decoded; 0 for a file that is no video.
        fault: why the video seems to be cut, or empty.
    """

    decoded: int
    fault: str


def count_frames(path: Path) -> FrameCount:
    """Decodes a video from its start to where it ends."""
    capture = cv2.VideoCapture(str(path))
    try:
        decoded = 0
        while capture.read()[0]:
            decoded += 1
        return FrameCount(decoded, cut_fault(capture, decoded))
    finally:
        capture.release()


def cut_fault(capture: cv2.VideoCapture, decoded: int) -> str:
    """Why a video whose last frame was read seems to be cut; empty if it is whole, or its header names no number.

    Args:
        capture: the video, open.
        decoded: frames that could be decoded.
    """
    named = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    missing = named - decoded
    if decoded == 0 or missing <= max(_FEW_FRAMES, _FEW_SHARE * named):
        return ""
    return f"cut: its header names {named:,.0f} frames, but only {decoded:,} can be decoded"
