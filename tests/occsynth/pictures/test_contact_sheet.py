"""The contact sheet, and which pairs it shows."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from occsynth.errors import ManifestError
from occsynth.manifest import Row
from occsynth.pictures.contact_sheet import contact_sheet
from occsynth.pictures.pairs import balanced_pairs, percent
from tests.occsynth.synthetic_build import BLANK, SIZE_PX, make_build, paired_row, real_row

POINT = (230, 159, 0)
PLAIN = (10, 99, 200)


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def colours(image: npt.NDArray[np.uint8]) -> Counter[tuple[int, ...]]:
    return Counter(map(tuple, image.reshape(-1, 3).tolist()))


def test_a_sheet_shows_every_image_at_whole_factors(tmp_path: Path) -> None:
    sheet = contact_sheet([make_build(tmp_path)], tmp_path / "made" / "sheet.png", count=6)
    assert (sheet.shown, sheet.total, sheet.notes) == (6, 12, [])
    image = pixels(sheet.path)
    tile = 3 * SIZE_PX  # 48 px faces, enlarged to at least 144
    assert image.shape[1] > 6 * tile and image.shape[0] > 4 * tile
    found = colours(image)
    hidden = 16 * 16 * 9
    assert found[(200, 60, 20)] == 6 * hidden, "six occluders, each pixel of them three by three"
    assert found[POINT] > 6 * 68 * 4, "and the landmarks"
    assert found[(0, 0, 0)] >= 6 * (tile * tile - hidden), "and the masks"


def test_landmarks_lie_where_the_manifest_says(tmp_path: Path) -> None:
    def one_row(number: int) -> Row:
        return replace(paired_row(number), clean="data/clean/plain.png")

    manifest = make_build(tmp_path, 1, row_of=one_row)
    Image.new("RGB", (SIZE_PX, SIZE_PX), PLAIN).save(tmp_path / "data" / "clean" / "plain.png")
    points = np.full((1, 68, 2), 10.0, np.float32)
    points[0, 0] = (30, 20)
    np.savez(manifest.beside(".landmarks.npz"), pair_ids=np.array([next(manifest.rows()).pair_id]), points_xy=points)
    image = pixels(contact_sheet([manifest], tmp_path / "s.png").path)
    clean = np.argwhere((image == PLAIN).all(axis=2))
    drawn = np.argwhere((image == POINT).all(axis=2))
    tops = [group[:, 0].min() for group in np.split(clean, np.flatnonzero(np.diff(clean[:, 0]) > 1) + 1)]
    top, left = tops[-1], clean[:, 1].min()
    centres = {tuple(np.round(((place - (top, left)) - 1) / 3).astype(int)) for place in drawn}
    assert (20, 30) in centres and (10, 10) in centres
    assert all(min(abs(y - 20) + abs(x - 30), abs(y - 10) + abs(x - 10)) <= 2 for y, x in centres)


def test_really_occluded_faces_have_one_image(tmp_path: Path) -> None:
    manifest = make_build(tmp_path, 5, name="made-real", row_of=real_row, landmarks=False)
    sheet = contact_sheet([manifest], tmp_path / "sheet.png")
    assert sheet.shown == 5
    assert "no landmarks: made-real.landmarks.npz is missing; `occsynth landmarks` makes it" in sheet.notes
    assert "no clean images and masks: the occlusions are real" in sheet.notes
    assert pixels(sheet.path).shape[0] < 3 * 3 * SIZE_PX


def test_two_builds_go_on_one_sheet(tmp_path: Path) -> None:
    both = [make_build(tmp_path / "a"), make_build(tmp_path / "b", name="made-real", row_of=real_row)]
    sheet = contact_sheet(both, tmp_path / "sheet.png", count=8, columns=4)
    assert (sheet.shown, sheet.total, sheet.notes) == (8, 24, [])


def test_the_same_call_gives_the_same_bytes(tmp_path: Path) -> None:
    manifest = make_build(tmp_path)
    first = contact_sheet([manifest], tmp_path / "a.png", count=4).path.read_bytes()
    assert contact_sheet([manifest], tmp_path / "b.png", count=4).path.read_bytes() == first
    assert contact_sheet([manifest], tmp_path / "c.png", count=4, seed=1).path.read_bytes() != first


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 cut", None])
def test_damaged_landmarks_are_said(tmp_path: Path, content: bytes | None) -> None:
    manifest = make_build(tmp_path)
    path = manifest.beside(".landmarks.npz")
    if content is None:
        np.savez(path, pair_ids=np.array([row.pair_id for row in manifest.rows()], object), points_xy=np.zeros(3))
    else:
        path.write_bytes(content)
    notes = contact_sheet([manifest], tmp_path / "sheet.png").notes
    assert notes and "made-r16.landmarks.npz is damaged" in notes[0]


def test_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has no rows to show"):
        contact_sheet([make_build(tmp_path / "none", 0)], tmp_path / "x.png")
    manifest = make_build(tmp_path / "some")
    path = manifest.file(next(manifest.rows()).occluded)
    path.write_bytes(b"no image")
    with pytest.raises(ManifestError, match="not a readable image; `occsynth verify`"):
        contact_sheet([manifest], tmp_path / "x.png", count=12)
    path.unlink()
    with pytest.raises(ManifestError, match="are missing: give the manifest inside its build root"):
        contact_sheet([manifest], tmp_path / "x.png", count=12)
    assert not (tmp_path / "x.png").exists()


def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "deep" / "root", 1, row_of=lambda number: replace(real_row(number), occluded="x"))
    text = manifest.path.read_text().replace(",x,", ",../../secret.png,")
    manifest.path.write_text(text)
    Image.new("RGB", (9, 9)).save(tmp_path / "secret.png")
    with pytest.raises(ManifestError, match="leaves its root"):
        contact_sheet([manifest], tmp_path / "x.png")


def test_hostile_names_fit_on_the_sheet(tmp_path: Path) -> None:
    def row_of(number: int) -> Row:
        return replace(paired_row(number), expression="\x1b[31m" + "\u202eW" * 300, occlusion="")

    assert contact_sheet([make_build(tmp_path, 2, row_of=row_of)], tmp_path / "x.png").shown == 2


def test_pairs_are_balanced_over_classes_and_modes(tmp_path: Path) -> None:
    counts = {"anger": 40, "fear": 3, "neutral": 20}
    names = [name for name, count in counts.items() for _ in range(count)]

    def row_of(number: int) -> Row:
        mode = ("eyes", "mouth")[number % 2]
        return replace(BLANK, pair_id=f"{number:03}", expression=names[number], mode=mode)

    manifest = make_build(tmp_path, len(names), row_of=row_of, landmarks=False)
    pairs, total = balanced_pairs([manifest], 15)
    assert total == 63
    assert Counter(pair.row.expression for pair in pairs) == {"anger": 6, "neutral": 6, "fear": 3}
    anger = Counter(pair.row.mode for pair in pairs if pair.row.expression == "anger")
    assert anger == {"eyes": 3, "mouth": 3}
    assert [pair.row.expression for pair in pairs[:3]] == ["anger", "fear", "neutral"]
    assert len({pair.row.pair_id for pair in pairs}) == 15
    everything, _ = balanced_pairs([manifest], 1000)
    assert len(everything) == 63


def test_percentages() -> None:
    assert [percent(share) for share in (None, 0.0, 0.436, 1.0)] == ["?", "0 %", "44 %", "100 %"]
