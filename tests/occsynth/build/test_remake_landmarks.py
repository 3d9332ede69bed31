"""`occsynth landmarks`: the same file again for every kind of manifest; a file that is none is not replaced."""

from pathlib import Path

import pytest

from occsynth.build.remake_landmarks import remake_landmarks
from occsynth.errors import BuildError
from tests.builds import STEMS, build_demo


@pytest.mark.parametrize("mode", ["r16", "real"])
def test_the_same_bytes_come_back(tmp_path: Path, mode: str) -> None:
    (manifest,) = build_demo(tmp_path, mode, stems=STEMS[:2])
    path = manifest.beside(".landmarks.npz")
    before = path.read_bytes()
    path.unlink()
    assert remake_landmarks(manifest) == path
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", [lambda content: content[:300], lambda content: b"", lambda content: bytes(99)])
def test_a_damaged_landmark_file_is_made_again(tmp_path: Path, damage: object) -> None:
    (manifest,) = build_demo(tmp_path, stems=STEMS[:1])
    path = manifest.beside(".landmarks.npz")
    before = path.read_bytes()
    path.write_bytes(damage(before))  # type: ignore[operator]
    remake_landmarks(manifest)
    assert path.read_bytes() == before


def test_a_build_inside_the_raw_root_is_refused(tmp_path: Path) -> None:
    """Version 0.1 could make one there."""
    (manifest,) = build_demo(tmp_path / "raw/builds", stems=STEMS[:1])
    before = manifest.beside(".landmarks.npz").read_bytes()
    with pytest.raises(BuildError, match=r"lies in the raw database .*; move the build .* out of it"):
        remake_landmarks(manifest, tmp_path / "raw")
    assert manifest.beside(".landmarks.npz").read_bytes() == before
