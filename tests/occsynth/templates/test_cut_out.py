"""Preparing one cut-out: masks, mattes and the edge at which a forearm leaves the picture."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from occsynth.errors import SourceError
from occsynth.templates.cut_out import decode_mask, finish, guess_base_edge
from occsynth.templates.pack import shipped_pack_folder
from tests.occsynth.templates.cut_outs import disc


def test_the_shipped_hands_are_recognised() -> None:
    hands = sorted((shipped_pack_folder() / "hand").glob("*.png"))
    edges = {guess_base_edge(np.asarray(Image.open(path))[:, :, 3]) for path in hands}
    assert len(hands) > 20 and edges == {"bottom"}


def test_masks_that_are_no_grey_are_refused(tmp_path: Path) -> None:
    label = Image.new("P", (8, 8))
    label.putpalette([0, 0, 0, 255, 0, 0])
    label.save(tmp_path / "labels.png")
    with pytest.raises(SourceError, match="labels"):
        decode_mask((tmp_path / "labels.png").read_bytes())
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(SourceError, match="it must be 8-bit grey"):
        decode_mask((tmp_path / "deep.png").read_bytes())


def test_a_mask_that_is_a_cut_jpeg_is_refused() -> None:
    done, whole = cv2.imencode(".jpg", disc(side=300, radius=120)[:, :, 3])
    assert done and decode_mask(whole.tobytes()).shape == (300, 300)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(SourceError, match="truncated"):
            decode_mask(whole.tobytes()[: int(len(whole) * share)] + b"\xff\xd9")


def test_a_grey_mask_keeps_its_matte() -> None:
    rgba = disc(radius=40)
    rgba[:, :, 3] = cv2.GaussianBlur(rgba[:, :, 3], (0, 0), 4)
    done = finish(rgba, base_edge="", min_side_px=10, long_side_px=512)
    alpha = done.rgba[1:-1, 1:-1, 3]
    top = int(np.nonzero(rgba[:, :, 3] >= 6)[0].min())
    expected = rgba[top : top + alpha.shape[0], top : top + alpha.shape[1], 3]
    middle = (expected >= 6) & (expected <= 249)
    assert (alpha[middle] == expected[middle]).all()
