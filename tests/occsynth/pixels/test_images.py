"""The images that a build makes: encoding, reading back, hashing."""

from pathlib import Path

import numpy as np
import pytest

from occsynth.errors import SourceError
from occsynth.pixels.images import Pixels, encode, pixels_sha256, read_grey, read_rgb


def test_encoded_pixels_come_back(rgb: Pixels, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode(rgb, "png"))
    assert np.array_equal(read_rgb(tmp_path / "a.png"), rgb)
    mask = rgb[:, :, 0]
    (tmp_path / "mask.png").write_bytes(encode(mask, "png"))
    assert np.array_equal(read_grey(tmp_path / "mask.png"), mask)
    (tmp_path / "a.jpg").write_bytes(encode(rgb, "jpeg"))
    assert np.abs(read_rgb(tmp_path / "a.jpg").astype(int) - rgb).mean() < 4


def test_made_images_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no image")
    for read in (read_rgb, read_grey):
        with pytest.raises(SourceError, match="not a readable image"):
            read(tmp_path / "a.png")
        with pytest.raises(SourceError, match="file not found"):
            read(tmp_path / "none.png")


def test_the_hash_is_over_pixels_not_memory_layout(rgb: Pixels) -> None:
    assert pixels_sha256(rgb[:, ::-1]) == pixels_sha256(np.ascontiguousarray(rgb[:, ::-1]))
    assert pixels_sha256(rgb[:, ::-1]) != pixels_sha256(rgb)
