"""Builds of grey faces and of the look natural: what the rows and the JSON say, and that they verify and replay."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.manifest import Manifest, open_manifest
from occsynth.modes.occlusion import Occlusion
from occsynth.pixels.images import read_rgb
from occsynth.sharing.replay import replay
from occsynth.sharing.verify import verify
from tests.builds import STEMS, demo_face


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A database of three grey faces, saved as JPEG in colour, and one in colour."""
    for number, stem in enumerate(STEMS[:4]):
        pixels = cv2.cvtColor(demo_face(stem, 160, "none").pixels, cv2.COLOR_RGB2BGR)
        if number < 3:
            pixels = cv2.merge([cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)] * 3)
        folder = tmp_path / "raw" / stem.partition("_")[2]
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{stem}.jpg"), pixels)
    return tmp_path / "raw"


def made(raw: Path, **choices: Any) -> list[Manifest]:
    options = BuildOptions("folder", ("random", "r16"), root=raw, size_px=64, out=raw.parent / "out", workers=1)
    return [open_manifest(path) for path in build(replace(options, **choices)).manifests]


@pytest.mark.parametrize("choices", [{}, {"look": "natural"}, {"keep_colour": True}, {"fill": "noise"}])
def test_grey_faces_are_hidden_in_grey_and_replay(raw: Path, choices: dict[str, Any]) -> None:
    grey = "keep_colour" not in choices
    for manifest in made(raw, **choices):
        assert (manifest.info.look, manifest.info.grey) == (choices.get("look", ""), grey)
        for row in manifest.rows():
            record = Occlusion.from_json(row.occlusion)
            image = read_rgb(manifest.file(row.occluded)).astype(np.int16)
            expected = grey and STEMS[3] not in row.source
            assert (record.saturation == 0) == expected
            if expected:
                assert np.abs(image - image[:, :, :1]).max() <= 8
            assert (record.shadow is not None) == (choices.get("look") == "natural")
        assert not verify(manifest, raw_root=raw, workers=1).problems
        assert replay(manifest, out=raw.parent / "again", raw_root=raw, workers=1).rows == 4
