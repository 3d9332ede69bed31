"""Videos that are cut: their header names more frames than can be decoded."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from occsynth.pixels.videos import count_frames

FRAMES = 40
KINDS = {
    "AVI": ("MJPG", ".avi"),
    "AVI of MPEG-4": ("XVID", ".avi"),
    "Matroska": ("MJPG", ".mkv"),
    "WebM": ("VP80", ".webm"),
}


def clip(folder: Path, codec: str, ending: str) -> Path:
    path = folder / f"clip{ending}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25.0, (64, 48))
    noise = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    for number in range(FRAMES):
        writer.write(np.roll(noise, number, axis=1))
    writer.release()
    return path


@pytest.mark.parametrize("codec, ending", KINDS.values(), ids=KINDS)
def test_a_whole_video_has_no_fault(tmp_path: Path, codec: str, ending: str) -> None:
    counted = count_frames(clip(tmp_path, codec, ending))
    assert (counted.decoded, counted.fault) == (FRAMES, "")


@pytest.mark.parametrize("codec, ending", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
@pytest.mark.parametrize("filled", [False, True], ids=["cut", "filled with zeros"])
def test_a_part_of_a_video_is_cut(tmp_path: Path, codec: str, ending: str, share: float, filled: bool) -> None:
    path = clip(tmp_path, codec, ending)
    content = path.read_bytes()
    kept = int(len(content) * share)
    path.write_bytes(content[:kept] + bytes(len(content) - kept) * filled)
    counted = count_frames(path)
    assert 0 < counted.decoded < FRAMES
    assert counted.fault == f"cut: its header names 40 frames, but only {counted.decoded} can be decoded"


def test_a_header_that_names_billions_of_frames_is_believed_by_nobody(tmp_path: Path) -> None:
    path = clip(tmp_path, "MJPG", ".avi")
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"avih") + 24, 4_000_000_000)
    struct.pack_into("<I", content, content.index(b"strh") + 40, 4_000_000_000)
    path.write_bytes(content)
    assert count_frames(path).fault == "cut: its header names 4,000,000,000 frames, but only 40 can be decoded"


@pytest.mark.parametrize("content", [b"", b"RIFF not really a clip", b"\0" * 5000])
def test_what_is_no_video_has_no_frames(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.avi"
    path.write_bytes(content)
    assert count_frames(path).decoded == count_frames(tmp_path / "gone.avi").decoded == 0
