"""Verify: each kind of tampering is found, and the message names the row."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from occsynth.errors import ManifestError, ReplayError
from occsynth.faces.landmark_file import open_landmarks
from occsynth.manifest import Manifest, Row, open_manifest, write_rows
from occsynth.modes.occlusion import Occlusion
from occsynth.pixels.decode import decode_rgb
from occsynth.pixels.images import encode, pixels_sha256, read_grey, read_rgb
from occsynth.sharing.publish import publish
from occsynth.sharing.verify import verify
from tests.builds import DEMO_ROOT, STEMS, build_demo

Array = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built")
    build_demo(root, "r16")
    return root


@pytest.fixture
def manifest(built: Path, tmp_path: Path) -> Manifest:
    """A copy of the build to tamper with."""
    shutil.copytree(built, tmp_path / "b", ignore=shutil.ignore_patterns("cache"))
    return open_manifest(tmp_path / "b" / "manifests" / "demo-r16-few.csv")


@pytest.fixture
def lossy(tmp_path: Path) -> Manifest:
    return build_demo(tmp_path / "lossy", "r16", image_format="jpeg")[0]


def write(manifest: Manifest, rows: list[Row]) -> None:
    with manifest.path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, rows)


def edit(manifest: Manifest, change: Callable[[Row], Row], number: int = 1) -> Row:
    rows = list(manifest.rows())
    rows[number] = change(rows[number])
    write(manifest, rows)
    return rows[number]


def describe(manifest: Manifest, **changes: Any) -> Manifest:
    path = manifest.beside(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return open_manifest(manifest.path)


def problems(manifest: Manifest, root: Path | None = None) -> list[tuple[str, str]]:
    return verify(open_manifest(manifest.path), raw_root=root, workers=1).problems


def change_pixel(manifest: Manifest, path: str, place: Callable[[Array], tuple[int, int]], mask: str) -> Array:
    """Changes one pixel of an image by one grey level and returns the image."""
    pixels = read_rgb(manifest.file(path))
    y, x = place(read_grey(manifest.file(mask)))
    pixels[y, x, 0] ^= 1
    manifest.file(path).write_bytes(encode(pixels, path.rpartition(".")[2].replace("jpg", "jpeg")))
    return pixels


def outside(mask: Array) -> tuple[int, int]:
    y, x = np.argwhere(mask == 0)[0]
    return int(y), int(x)


def inside_mask(mask: Array) -> tuple[int, int]:
    y, x = np.argwhere(mask == 255)[0]
    return int(y), int(x)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_untouched_build_has_no_problem(manifest: Manifest, workers: int) -> None:
    report = verify(manifest, workers=workers)
    assert (report.rows, report.problems) == (5, [])
    assert report.not_checked == ["whether the images follow from their sources: give --root to render them again"]
    assert verify(manifest, raw_root=DEMO_ROOT, workers=workers).not_checked == []


@pytest.mark.parametrize("kind", ["clean", "occluded", "mask"])
def test_a_missing_file_is_found(manifest: Manifest, kind: str) -> None:
    row = list(manifest.rows())[2]
    path = getattr(row, kind)
    manifest.file(path).unlink()
    assert problems(manifest) == [(row.pair_id, f"{path}: file not found")]


@pytest.mark.parametrize("kind", ["clean", "occluded", "mask"])
@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_broken_file_is_found(manifest: Manifest, kind: str, content: bytes) -> None:
    row = list(manifest.rows())[2]
    manifest.file(getattr(row, kind)).write_bytes(content)
    ((name, what),) = problems(manifest)
    assert name == row.pair_id
    assert what.startswith(f"{getattr(row, kind)}: ")


def test_one_changed_pixel_under_the_mask_is_found(manifest: Manifest) -> None:
    row = list(manifest.rows())[3]
    change_pixel(manifest, row.occluded, inside_mask, row.mask)
    assert problems(manifest) == [(row.pair_id, f"{row.occluded}: its pixels do not match the manifest")]


def test_a_changed_clean_image_is_found_twice(manifest: Manifest) -> None:
    row = next(manifest.rows())
    change_pixel(manifest, row.clean, outside, row.mask)
    assert problems(manifest) == [
        (row.pair_id, "clean and occluded differ in 1 pixels outside the mask"),
        (row.pair_id, f"{row.clean}: its pixels do not match the manifest"),
    ]


def test_a_pair_unequal_outside_its_mask_is_found_under_forged_hashes(manifest: Manifest) -> None:
    row = list(manifest.rows())[1]
    pixels = change_pixel(manifest, row.occluded, outside, row.mask)
    edit(manifest, lambda row: replace(row, occluded_pixels_sha256=pixels_sha256(pixels)))
    assert problems(manifest) == [(row.pair_id, "clean and occluded differ in 1 pixels outside the mask")]


def test_a_shrunken_mask_is_found_under_forged_hashes(manifest: Manifest) -> None:
    row = list(manifest.rows())[1]
    mask = read_grey(manifest.file(row.mask))
    mask[mask < 255] = 0
    mask[np.nonzero(mask)[0][0]] = 0
    manifest.file(row.mask).write_bytes(encode(mask, "png"))
    edit(manifest, lambda row: replace(row, mask_pixels_sha256=pixels_sha256(mask)))
    ((name, what),) = problems(manifest)
    assert name == row.pair_id
    assert what.startswith("clean and occluded differ in")


def test_whole_forgeries_are_found_with_the_sources(manifest: Manifest) -> None:
    """A changed pixel under the mask, with its hash: only rendering the image again finds it."""
    row = list(manifest.rows())[1]
    pixels = change_pixel(manifest, row.occluded, inside_mask, row.mask)
    edit(manifest, lambda row: replace(row, occluded_pixels_sha256=pixels_sha256(pixels)))
    assert problems(manifest) == []
    ((name, what),) = problems(manifest, DEMO_ROOT)
    assert name == row.pair_id
    assert what.startswith("rendered again from its source: its occluded image comes out with different pixels")


@pytest.mark.parametrize("kind", ["clean", "occluded", "mask"])
def test_a_forged_hash_is_found(manifest: Manifest, kind: str) -> None:
    row = edit(manifest, lambda row: Row(**{**_dict(row), f"{kind}_pixels_sha256": "0" * 64}))
    expected = (row.pair_id, f"{getattr(row, kind)}: its pixels do not match the manifest")
    assert problems(manifest) == [expected]


def _dict(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Row.__slots__}


def test_an_image_of_another_size_is_found(manifest: Manifest) -> None:
    row = list(manifest.rows())[1]
    manifest.file(row.clean).write_bytes(encode(read_rgb(manifest.file(row.clean))[:90], "png"))
    assert problems(manifest) == [(row.pair_id, f"{row.clean}: 96x90 pixels instead of 96x96")]


def test_a_subject_in_two_folds_is_found(tmp_path: Path) -> None:
    (manifest,) = build_demo(tmp_path, "r16", stems=("s001_anger", "s001_fear", "s002_anger"))
    row = edit(manifest, lambda row: replace(row, fold=9))
    found = problems(manifest)
    assert (row.pair_id, "subject s001 is in fold 0 and in fold 9") in found
    assert ("demo-r16-few.json", "counts per fold do not match the rows") in found


def test_a_subject_in_two_splits_is_found(tmp_path: Path) -> None:
    (manifest,) = build_demo(tmp_path, "r16", stems=("s001_anger", "s001_fear"))
    row = edit(manifest, lambda row: replace(row, split="test"))
    assert (row.pair_id, "subject s001 is in fold 0 and in split test fold 0") in problems(manifest)


def test_rows_out_of_order_and_twice_are_found(manifest: Manifest) -> None:
    rows = list(manifest.rows())
    write(manifest, [rows[1], rows[0], rows[2], rows[2], *rows[3:]])
    found = problems(manifest)
    assert (rows[0].pair_id, f"pair_id comes after {rows[1].pair_id}, but rows are sorted by pair_id") in found
    assert (rows[2].pair_id, "pair_id occurs twice") in found
    assert ("demo-r16-few.json", "says 5 rows, but the manifest has 6") in found


def test_a_row_that_was_taken_away_is_found(manifest: Manifest) -> None:
    write(manifest, list(manifest.rows())[:-1])
    found = dict(problems(manifest))
    assert "demo-r16-few.json" in found
    assert found["demo-r16-few.landmarks.npz"].startswith("holds 5 faces for 4 rows")


@pytest.mark.parametrize(
    "change, what",
    [
        ({"expression": "joy"}, "expression 'joy' is not one of anger, disgust"),
        ({"split": "dev"}, "split 'dev' is not one of train, val, test"),
        ({"fold": -1}, "fold -1 is negative"),
        ({"landmarks": "guessed"}, "landmarks 'guessed' is not one of found, padded, fallback"),
        ({"mode": "r24"}, "mode is r24, but the manifest's mode is r16"),
        ({"database": "ck+"}, "database is ck+, but the manifest's database is demo"),
        ({"seed": 5}, "seed is 5, but the manifest's seed is 0"),
        ({"mask": ""}, "images named: clean, occluded; mode r16 has clean, occluded, mask"),
        ({"source_sha256": "xyz"}, "hash of source 'xyz' is not a SHA-256"),
        ({"source_pixels_sha256": ""}, "hash of source pixels '' is not a SHA-256"),
        ({"coverage_eyes": None}, "coverage is missing"),
        ({"source": "../secret.png"}, "path '../secret.png' leaves its root"),
        ({"align": "{}"}, "column align is incomplete: kind is missing"),
        ({"occlusion": "{}"}, "column occlusion is incomplete: fill is missing"),
        ({"template": "../../secret.png"}, "path '../../secret.png' leaves its root"),
        ({"template_sha256": "0"}, "hash of template '0' is not a SHA-256"),
        (
            {"occlusion": '{"fill":"black","square_xyxy":[1,1,4,4]}'},
            "occlusion has fill black, but the manifest's fill is template",
        ),
        ({"occluded": "../../x.png"}, "path '../../x.png' leaves its root"),
        ({"clean": "/etc/passwd"}, "path '/etc/passwd' leaves its root"),
    ],
)
def test_every_malformed_column_is_named(manifest: Manifest, change: dict[str, Any], what: str) -> None:
    if "template" in change or "template_sha256" in change:
        change = {"occlusion": json.dumps(json.loads(next(manifest.rows()).occlusion) | change)}
    row = edit(manifest, lambda row: Row(**(_dict(row) | change)))
    found = [text for name, text in problems(manifest) if name == row.pair_id]
    assert any(what in text for text in found), found


def test_swapped_images_are_found(manifest: Manifest) -> None:
    """A row that names another row's images together with their hashes."""
    rows = list(manifest.rows())
    names = ("clean", "occluded", "mask", "clean_pixels_sha256", "occluded_pixels_sha256", "mask_pixels_sha256")
    row = edit(manifest, lambda row: Row(**(_dict(row) | {name: getattr(rows[3], name) for name in names})))
    assert (row.pair_id, f"clean path '{rows[3].clean}' does not end in the row's pair_id") in problems(manifest)


def test_a_line_that_cannot_be_parsed_is_an_error(manifest: Manifest) -> None:
    with manifest.path.open("a") as file:
        file.write("half,a,line\n")
    with pytest.raises(ManifestError, match="line 7: 3 cells instead of 23"):
        problems(manifest)


@pytest.mark.parametrize(
    "change, what",
    [
        ({"rows": 4}, "says 4 rows, but the manifest has 5"),
        ({"sources": 9}, "9 sources are not 5 rows + 0 rejects"),
        ({"counts": {"class": {"anger": 5}}}, "counts per class do not match the rows"),
        ({"counts": {}}, "counts per fold do not match the rows"),
    ],
)
def test_the_json_must_agree(manifest: Manifest, change: dict[str, Any], what: str) -> None:
    assert ("demo-r16-few.json", what) in problems(describe(manifest, **change))


def test_rejects_are_counted(manifest: Manifest) -> None:
    with manifest.beside(".rejects.csv").open("a") as file:
        file.write("images/x.jpg,no face found\n")
    assert problems(manifest) == [("demo-r16-few.rejects.csv", "lists 1 rejects, but the JSON says 0")]


def save(path: Path, pair_ids: npt.NDArray[Any], points_xy: npt.NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, pair_ids=pair_ids, points_xy=points_xy)


def test_landmarks_must_fit(manifest: Manifest) -> None:
    path = manifest.beside(".landmarks.npz")
    pair_ids, points_xy = (np.array(each) for each in open_landmarks(path))
    save(path, pair_ids, points_xy)
    assert problems(manifest) == []
    save(path, pair_ids[::-1], points_xy)
    ((name, what),) = problems(manifest)
    assert (name, what.split(",")[0]) == (path.name, f"names {pair_ids[-1]} as number 1")
    points_xy[2, 5] = np.nan
    save(path, pair_ids, points_xy)
    assert problems(manifest) == [(pair_ids[2], f"its landmarks in {path.name} are not finite")]


@pytest.mark.parametrize(
    "pair_ids, points_xy",
    [
        (np.array(["a"] * 5, object), np.zeros((5, 68, 2), np.float32)),
        (np.arange(5), np.zeros((5, 68, 2), np.float32)),
        (np.array(["a"] * 5), np.zeros((5, 68, 2), np.float64)),
    ],
)
def test_landmarks_of_another_type_are_refused(
    manifest: Manifest, pair_ids: npt.NDArray[Any], points_xy: npt.NDArray[Any]
) -> None:
    """They are never unpickled."""
    path = manifest.beside(".landmarks.npz")
    save(path, pair_ids, points_xy)
    ((name, what),) = problems(manifest)
    assert name == path.name
    assert "is no landmark file, or damaged" in what


@pytest.mark.parametrize("keep", [0, 40, 300])
def test_a_cut_landmark_file_is_found(manifest: Manifest, keep: int) -> None:
    path = manifest.beside(".landmarks.npz")
    path.write_bytes(path.read_bytes()[:keep])
    ((name, what),) = problems(manifest)
    assert (name, "is no landmark file, or damaged" in what) == (path.name, True)


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.8])
def test_a_flipped_bit_in_the_landmarks_is_found(manifest: Manifest, share: float) -> None:
    path = manifest.beside(".landmarks.npz")
    content = bytearray(path.read_bytes())
    content[int(share * len(content))] ^= 1
    path.write_bytes(content)
    ((name, what),) = problems(manifest)
    assert name == path.name
    assert "is no landmark file, or damaged" in what and "`occsynth landmarks` makes it again" in what


def test_what_is_not_there_is_not_checked_and_said(manifest: Manifest) -> None:
    manifest.beside(".landmarks.npz").unlink()
    manifest.beside(".rejects.csv").unlink()
    report = verify(manifest, raw_root=DEMO_ROOT, workers=1)
    assert report.problems == []
    assert report.not_checked == ["landmarks.npz and rejects.csv, which are not beside the manifest"]


def test_another_pack_cannot_verify(manifest: Manifest, tmp_path: Path) -> None:
    forged = describe(manifest, template_pack_sha256="0" * 64)
    with pytest.raises(ReplayError, match="was built with template pack"):
        verify(forged, raw_root=DEMO_ROOT, workers=1)


def test_a_changed_recipe_is_found_with_the_sources(manifest: Manifest) -> None:
    def turn(row: Row) -> Row:
        occlusion = Occlusion.from_json(row.occlusion)
        return replace(row, occlusion=replace(occlusion, gain_rgb=(200, 256, 256)).to_json())

    row = edit(manifest, turn)
    assert problems(manifest) == []
    ((name, what),) = problems(manifest, DEMO_ROOT)
    assert (name, "occluded image comes out with different pixels" in what) == (row.pair_id, True)


def test_a_published_manifest_has_nothing_to_verify(manifest: Manifest, tmp_path: Path) -> None:
    published = publish(manifest, tmp_path / "p.csv")
    with pytest.raises(
        ManifestError, match=r"is published: it has no images of its own. Replay it, then verify the replayed manifest"
    ):
        verify(open_manifest(published), workers=1)


def test_mode_real_has_one_image_a_row(tmp_path: Path) -> None:
    (manifest,) = build_demo(tmp_path, "real", stems=STEMS[:3])
    assert problems(manifest) == []
    row = edit(manifest, lambda row: replace(row, split="train", coverage_face=0.5, mask=row.occluded))
    found = [what for name, what in problems(manifest) if name == row.pair_id]
    assert "split 'train' is not one of test" in found
    assert "coverage without an occlusion" in found
    assert "images named: occluded, mask; mode real has occluded" in found


def test_lossy_images_are_checked_as_far_as_they_can_be(lossy: Manifest) -> None:
    report = verify(lossy, workers=1)
    assert report.problems == []
    assert "JPEG is lossy and the hashes were taken before encoding; give --root" in report.not_checked[0]
    row = next(lossy.rows())
    pixels = read_rgb(lossy.file(row.occluded))
    far = np.argwhere(read_grey(lossy.file(row.mask)) == 0)[0]
    pixels[far[0], far[1]] ^= 64
    lossy.file(row.occluded).write_bytes(encode(pixels, "jpeg"))
    ((name, what),) = problems(lossy)
    assert name == row.pair_id
    assert "in blocks that the mask does not touch" in what


def test_a_changed_lossy_image_is_found_with_the_sources(lossy: Manifest) -> None:
    row = next(lossy.rows())
    mask = read_grey(lossy.file(row.mask))
    pixels = read_rgb(lossy.file(row.occluded))
    pixels[mask == 255] ^= 32
    content = encode(pixels, "jpeg")
    lossy.file(row.occluded).write_bytes(content)
    # the blocks around stay as they were, so that only the source can tell
    again = decode_rgb(content)
    assert (again != pixels).any()
    found = dict(problems(lossy, DEMO_ROOT))
    assert found[row.pair_id].startswith("its occluded image differs from the JPEG that its recipe makes")


def test_problems_are_sorted_whatever_the_workers(manifest: Manifest) -> None:
    for row in manifest.rows():
        manifest.file(row.mask).unlink()
    one, two = (verify(manifest, workers=workers).problems for workers in (1, 2))
    assert one == two == sorted(one)
    assert len(one) == 5
