"""Landmarks of faces that lie on their side: the detector sees them upright, and the points are turned back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from occsynth.build.face_landmarks import find_landmarks, quarter_turns, turned_back
from occsynth.databases import DATABASES
from occsynth.databases.record import FaceRecord
from occsynth.databases.roots import raw_root
from occsynth.faces.align import align_image, similarity_alignment
from occsynth.faces.landmark_cache import LandmarkCache
from occsynth.faces.regions import five_points
from occsynth.pixels.images import pixels_sha256
from occsynth.pixels.sources import Source, read_source


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_points_come_back_from_a_turned_image(turns: int) -> None:
    image = np.zeros((5, 7), np.uint8)
    image[1, 5] = 255
    y, x = np.argwhere(np.rot90(image, turns))[0]
    assert turned_back(np.array([[x, y]], np.float32), turns, (7, 5)).tolist() == [[5, 1]]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_face_on_its_side_is_aligned_as_the_upright_one(tmp_path: Path, turns: int) -> None:
    cache = LandmarkCache(tmp_path)
    record = next(iter(DATABASES["demo"].scan(raw_root("demo", None), "default")))
    assert isinstance(record, FaceRecord)
    source = read_source(raw_root("demo", None), record.source)
    upright = find_landmarks(cache, record, source, cropped=False)
    lying = np.ascontiguousarray(np.rot90(source.pixels, -turns))
    five = turned_back(five_points(upright.points_xy), turns, (lying.shape[1], lying.shape[0]))
    turned = replace(record, points_xy=tuple((float(x), float(y)) for x, y in five))
    assert quarter_turns(turned.points_xy) == turns
    found = find_landmarks(cache, turned, Source(lying, "", pixels_sha256(lying)), cropped=False)
    faces = []
    for pixels, landmarks in ((source.pixels, upright), (lying, found)):
        alignment = similarity_alignment(five_points(landmarks.points_xy), landmarks.image_wh, 96)
        faces.append(align_image(pixels, alignment, 96).astype(int))
    assert np.abs(faces[0] - faces[1]).mean() < 2
