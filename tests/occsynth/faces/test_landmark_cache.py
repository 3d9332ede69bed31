"""The landmark cache: what it returns, damaged and expired files, several writers at once."""

import multiprocessing
import os
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import pytest

from occsynth.errors import BuildError
from occsynth.faces import landmark_cache
from occsynth.faces.landmark_cache import LandmarkCache
from occsynth.faces.landmarks import RECIPE, Landmarks, detect_landmarks, fallback_landmarks
from occsynth.faces.regions import GEOMETRY_FOLDER
from occsynth.pixels.images import Pixels, pixels_sha256, read_rgb


@pytest.fixture(scope="module")
def face() -> Pixels:
    folder = GEOMETRY_FOLDER.parent / "demo_faces" / "images"
    return read_rgb(folder / "s001" / "s001_neutral.jpg")


def found(rgb: Pixels) -> Landmarks:
    landmarks = detect_landmarks(rgb)
    assert landmarks is not None
    return landmarks


def test_cache_gives_back_what_was_put(tmp_path: Path, face: Pixels) -> None:
    cache, digest, landmarks = LandmarkCache(tmp_path / "new"), pixels_sha256(face), found(face)
    assert cache.get(digest) is None
    cache.put(digest, landmarks)
    again = cache.get(digest)
    assert again is not None and again.landmarks is not None
    assert again.landmarks.points_xy.tobytes() == landmarks.points_xy.tobytes()
    assert again.landmarks.points_xy.flags.writeable
    for name in ("image_wh", "how", "other_faces"):
        assert getattr(again.landmarks, name) == getattr(landmarks, name)
    assert cache.get(digest, (0.0, 0.0, 9.0, 9.0)) is None
    assert cache.get("0" * 64) is None


def test_cache_remembers_that_there_is_no_face_and_keeps_boxes_apart(tmp_path: Path, face: Pixels) -> None:
    cache, digest = LandmarkCache(tmp_path), pixels_sha256(face)
    cache.put(digest, None)
    cache.put(digest, found(face), (1.0, 2.0, 200.0, 210.5))
    without_box, with_box = cache.get(digest), cache.get(digest, (1, 2, 200, 210.5))
    assert without_box is not None and without_box.landmarks is None
    assert with_box is not None and with_box.landmarks is not None
    assert cache.get(digest, (1.0, 2.0, 200.0, 210.25)) is None


def test_cache_files_are_sharded_and_no_temporary_file_stays(tmp_path: Path, face: Pixels) -> None:
    cache = LandmarkCache(tmp_path)
    for number in range(20):
        cache.put(f"{number:064x}", None)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 20
    assert all(path.parent.parent == tmp_path and path.parent.name == path.name[:2] for path in files)


def test_cache_expires_with_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = LandmarkCache(tmp_path)
    cache.put("a" * 64, None)
    monkeypatch.setattr(landmark_cache, "RECIPE", RECIPE + 1)
    landmark_cache._recipe.cache_clear()
    try:
        assert cache.get("a" * 64) is None
    finally:
        monkeypatch.undo()
        landmark_cache._recipe.cache_clear()
    assert cache.get("a" * 64) is not None


def test_a_damaged_cache_file_counts_as_missing_and_is_made_again(tmp_path: Path, face: Pixels) -> None:
    cache, digest, landmarks = LandmarkCache(tmp_path), pixels_sha256(face), found(face)
    cache.put(digest, landmarks)
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    good = file.read_bytes()
    flipped = [bytearray(good) for _ in range(5)]
    for content, place in zip(flipped, (0, 20, 75, len(good) // 2, len(good) - 1), strict=True):
        content[place] ^= 1
    for bad in (b"", good[:100], good + b"x", b"\x80\x04N." + good[4:], os.urandom(len(good)), *map(bytes, flipped)):
        file.write_bytes(bad)
        assert cache.get(digest) is None
        cache.put(digest, landmarks)
        assert cache.get(digest) is not None
        assert file.read_bytes() == good
    other = tmp_path / "other"
    other.mkdir()
    cache.put("b" * 64, None)
    (second,) = (path for path in tmp_path.rglob("*") if path.is_file() and path != file)
    second.write_bytes(good)  # an intact file under the name of another key
    assert cache.get("b" * 64) is None


def test_fallback_geometry_is_not_cached(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not cached"):
        LandmarkCache(tmp_path).put("a" * 64, fallback_landmarks((48, 48)))


def test_a_cache_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BuildError, match="cannot write"):
        LandmarkCache(tmp_path / "file").put("a" * 64, None)


def _write_and_read(folder: Path, landmarks: Landmarks, wrong: "SimpleQueue[int]") -> None:
    cache = LandmarkCache(folder)
    expected = landmarks.points_xy.tobytes()
    for _ in range(40):
        for number in range(5):
            cache.put(f"{number:064x}", landmarks)
            answer = cache.get(f"{number:064x}")
            if answer is None or answer.landmarks is None or answer.landmarks.points_xy.tobytes() != expected:
                wrong.put(number)


def test_two_processes_write_the_same_keys(tmp_path: Path, face: Pixels) -> None:
    context = multiprocessing.get_context("fork")
    wrong: SimpleQueue[int] = context.SimpleQueue()
    landmarks = found(face)
    writers = [context.Process(target=_write_and_read, args=(tmp_path, landmarks, wrong)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert wrong.empty()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 5
