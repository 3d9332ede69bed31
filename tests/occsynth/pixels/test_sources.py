"""Reading the sources that records name: files, rows of a table, frames of a video; and refusing what is none."""

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from occsynth.errors import SourceError
from occsynth.pixels.images import Pixels
from occsynth.pixels.sources import read_source, source_sha256
from tests.builds import DEMO_ROOT, demo_source
from tests.occsynth.pixels.image_files import packed


def put(root: Path, name: str, content: bytes) -> str:
    (root / name).write_bytes(content)
    return name


def test_png_is_read_as_it_is(rgb: Pixels, tmp_path: Path) -> None:
    content = packed(Image.fromarray(rgb))
    source = read_source(tmp_path, put(tmp_path, "a.png", content))
    assert np.array_equal(source.pixels, rgb)
    assert source.sha256 == hashlib.sha256(content).hexdigest()
    assert source.pixels_sha256 == hashlib.sha256(rgb.tobytes()).hexdigest()


def test_the_name_decides_nothing(rgb: Pixels, tmp_path: Path) -> None:
    put(tmp_path, "really_a_png.jpg", packed(Image.fromarray(rgb)))
    assert np.array_equal(read_source(tmp_path, "really_a_png.jpg").pixels, rgb)


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "empty file"),
        (b"this is no image at all, only text", "not a readable image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a readable image"),
        (b"\x89PNG\r\n\x1a\n", "not a readable image"),
        (b"\xff\xd8\xff\xd9", "not a readable image"),
        (b"\0" * 4096, "not a readable image"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read_source(tmp_path, put(tmp_path, "a.jpg", content))


@pytest.mark.parametrize("source", ["../secret.png", "/etc/passwd", "a\\b.png", "", "C:/a.png", "x/../../y.png"])
def test_a_source_outside_the_root_is_refused(tmp_path: Path, source: str) -> None:
    with pytest.raises(SourceError, match="leaves its root"):
        read_source(tmp_path, source)


def test_missing_files_folders_and_odd_fragments(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for source, said in (
        ("none.png", "file not found"),
        ("folder", "cannot be read"),
        ("none.csv#row=1", "file not found"),
        ("none.avi#frame=1", "file not found"),
        ("a.png#page=2", "neither #row=N nor #frame=N"),
        ("a.png#row=-1", "neither #row=N nor #frame=N"),
        ("a.png#row=", "neither #row=N nor #frame=N"),
        ("folder#row=1", "cannot be read"),
        ("folder#frame=1", "cannot be read"),
    ):
        with pytest.raises(SourceError, match=said):
            read_source(tmp_path, source)


def fer_csv(root: Path, rows: list[str]) -> None:
    (root / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(f"{row}\n" for row in rows))


def test_a_csv_row_is_a_square_grey_image(tmp_path: Path) -> None:
    images = np.random.default_rng(2).integers(0, 256, (3, 48, 48), dtype=np.uint8)
    fer_csv(tmp_path, [f"3,{' '.join(map(str, image.ravel()))},Training" for image in images])
    for row in (3, 1, 2):
        source = read_source(tmp_path, f"fer2013.csv#row={row}")
        assert np.array_equal(source.pixels, np.repeat(images[row - 1][:, :, None], 3, axis=2))
        assert source_sha256(tmp_path, f"fer2013.csv#row={row}") == source.sha256


def test_a_row_is_the_same_whatever_the_line_ends(tmp_path: Path) -> None:
    fer_csv(tmp_path, ["3,1 2 3 4,Training"])
    unix = read_source(tmp_path, "fer2013.csv#row=1")
    (tmp_path / "fer2013.csv").write_bytes(b"emotion,pixels,Usage\r\n3,1 2 3 4,Training\r\n")
    assert read_source(tmp_path, "fer2013.csv#row=1").sha256 == unix.sha256


@pytest.mark.parametrize(
    "row, said",
    [
        ("3,1 2 3,Training", "3 pixels are not a square image"),
        ("3,,Training", "0 pixels are not a square image"),
        ("3,1 2 3 256,Training", "row 1 holds no pixels"),
        ("3,1 2 3 -1,Training", "row 1 holds no pixels"),
        ("3,1 2 x 4,Training", "row 1 holds no pixels"),
        ("3", "row 1 has 1 cells, but the header names 3"),
        ("", "row 1 is blank"),
    ],
)
def test_a_row_without_an_image_is_refused(tmp_path: Path, row: str, said: str) -> None:
    fer_csv(tmp_path, [row])
    with pytest.raises(SourceError, match=said):
        read_source(tmp_path, "fer2013.csv#row=1")


def test_a_row_number_out_of_range_says_how_many_there_are(tmp_path: Path) -> None:
    fer_csv(tmp_path, ["3,1 2 3 4,Training"])
    for row in (0, 2, 999_999_999_999):
        with pytest.raises(SourceError, match=f"row {row} not found; the file has 1"):
            read_source(tmp_path, f"fer2013.csv#row={row}")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six frames, each brighter than the one before."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (64, 48))
    for number in range(6):
        writer.write(np.full((48, 64, 3), 20 + 40 * number, np.uint8))
    writer.release()
    return tmp_path


def test_a_frame_is_the_same_in_any_order(clip: Path) -> None:
    in_order = [read_source(clip, f"clip.avi#frame={number}") for number in range(6)]
    for number in (4, 1, 5, 0, 3):
        again = read_source(clip, f"clip.avi#frame={number}")
        assert np.array_equal(again.pixels, in_order[number].pixels)
        assert again.sha256 == in_order[number].sha256 == source_sha256(clip, f"clip.avi#frame={number}")
        assert abs(int(again.pixels.mean()) - (20 + 40 * number)) < 5
    assert len({each.sha256 for each in in_order}) == 6


def test_a_frame_beyond_the_end_and_a_broken_clip_are_refused(clip: Path) -> None:
    with pytest.raises(SourceError, match="frame 6 not found; 6 frames could be read"):
        read_source(clip, "clip.avi#frame=6")
    (clip / "broken.avi").write_bytes(b"RIFF not really a clip")
    with pytest.raises(SourceError, match="frame 0 not found"):
        read_source(clip, "broken.avi#frame=0")


def test_the_digest_alone_is_the_one_of_the_source() -> None:
    source = demo_source("s001_anger")
    assert source_sha256(DEMO_ROOT, source) == read_source(DEMO_ROOT, source).sha256
    with pytest.raises(SourceError, match="file not found"):
        source_sha256(DEMO_ROOT, "images/none.jpg")
