"""A build of sources of which some are no pictures: each of those is a reject with its reason."""

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.manifest import open_manifest
from occsynth.pixels.images import FLATTEST_FACE, blank_fault
from tests.builds import DEMO_ROOT, demo_source
from tests.occsynth.databases.trees import face_bytes
from tests.occsynth.pixels.image_files import claimed_png


def rejects_of(out: Path) -> dict[str, str]:
    (path,) = (out / "manifests").glob("*.rejects.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return {row["source"]: row["reason"] for row in csv.DictReader(file)}


def encoded(pixels: npt.NDArray[Any], ending: str = ".png") -> bytes:
    done, content = cv2.imencode(ending, pixels)
    assert done
    return content.tobytes()


def bad_pictures() -> dict[str, tuple[bytes, str]]:
    whole = (DEMO_ROOT / demo_source("s001_anger")).read_bytes()
    noise = np.random.default_rng(0).integers(0, 4, (48, 48, 3), dtype=np.uint8)
    small = cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    return {
        "cut.jpg": (whole[: len(whole) // 3] + b"\xff\xd9", "truncated: its image data end before the picture does"),
        "black.png": (encoded(np.zeros((48, 48, 3), np.uint8)), "nearly one colour"),
        "white.jpg": (encoded(np.full((48, 48, 3), 255, np.uint8), ".jpg"), "nearly one colour"),
        "noisy.png": (encoded(noise + np.uint8(100)), "nearly one colour"),
        "twelve-bits.png": (encoded(small.astype(np.uint16) * 16), "nearly one colour"),
        "floats.tiff": (encoded(small[:, :, 0].astype(np.float32), ".tiff"), "pixels of type float32"),
        "signed.tiff": (encoded(small[:, :, 0].astype(np.int16) - 99, ".tiff"), "signed, some below zero"),
        "huge.png": (claimed_png(100_000, 100_000), "more pixels than the limit"),
        "empty.png": (b"", "empty file"),
        "text.png": (b"no picture", "not a readable image"),
    }


def test_every_picture_that_is_none_is_a_reject_with_its_reason(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    (root / "happy").mkdir(parents=True)
    bad = bad_pictures()
    for name, (content, _) in bad.items():
        (root / "happy" / name).write_bytes(content)
    (root / "happy/good.jpg").write_bytes(face_bytes(1, "happiness"))
    small = cv2.imdecode(np.frombuffer(face_bytes(2, "happiness", ".png"), np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    (root / "happy/sixteen.png").write_bytes(encoded(small.astype(np.uint16)))
    options = BuildOptions(
        db="folder", variant="cropped", modes=("r8",), root=root, out=tmp_path / "out", workers=1, size_px=48
    )
    (path,) = build(options).manifests
    assert [row.source for row in open_manifest(path).rows()] == ["happy/good.jpg", "happy/sixteen.png"]
    reasons = rejects_of(tmp_path / "out")
    assert reasons.keys() == {f"happy/{name}" for name in bad}
    for name, (_, said) in bad.items():
        assert said in reasons[f"happy/{name}"]


def test_blank_rows_of_a_table_are_rejects(tmp_path: Path) -> None:
    face = cv2.imdecode(np.frombuffer(face_bytes(1, "anger", ".png", 48), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert face is not None
    images = [np.zeros((48, 48), np.uint8), face, np.full((48, 48), 255, np.uint8)]
    rows = [f"0,{' '.join(map(str, image.ravel()))},Training" for image in images]
    root = tmp_path / "raw"
    root.mkdir()
    (root / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "\n".join(rows))
    (path,) = build(BuildOptions(db="fer2013", modes=("r8",), root=root, out=tmp_path / "out", workers=1)).manifests
    assert [row.source for row in open_manifest(path).rows()] == ["fer2013.csv#row=2"]
    reasons = rejects_of(tmp_path / "out")
    assert reasons.keys() == {"fer2013.csv#row=1", "fer2013.csv#row=3"}
    assert all("the standard deviation of its grey values is 0.0" in reason for reason in reasons.values())


@pytest.mark.parametrize("side_px", [24, 48, 224])
def test_no_face_of_the_demo_database_is_near_to_one_colour(side_px: int) -> None:
    for path in sorted((DEMO_ROOT / "images").rglob("*.jpg")):
        face = cv2.imread(str(path))
        assert face is not None
        shrunk = cv2.resize(face, (side_px, side_px), interpolation=cv2.INTER_AREA)
        assert not blank_fault(np.asarray(shrunk, np.uint8))
        darkened = np.asarray(shrunk // 6, np.uint8)  # a sixth of the light, as in a cellar
        assert not blank_fault(darkened), f"{path} is below {FLATTEST_FACE}"
