"""Importing COCO instances: which ones are cut out, polygons and run lengths, files that are not COCO's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occsynth.errors import SourceError, TemplateError
from occsynth.pixels.images import Pixels
from occsynth.templates.add import add_pack
from occsynth.templates.import_coco import decode_run_lengths, decode_segmentation
from tests.occsynth.templates.cut_outs import CREDENTIALS, index_of, save

SQUARE = [[20.0, 20.0, 95.0, 20.0, 95.0, 90.0, 20.0, 90.0]]


def coco(folder: Path, annotations: list[dict[str, Any]], **changes: object) -> Path:
    """A COCO file of one picture of 120x110 pixels."""
    rng = np.random.default_rng(0)
    save(folder / "val" / "p.png", rng.integers(0, 255, (110, 120, 3), dtype=np.uint8))
    content: dict[str, Any] = {
        "images": [{"id": 7, "file_name": "p.png", "license": 3, "coco_url": "http://pictures.invalid/p"}],
        "licenses": [{"id": 3, "name": "Attribution License"}],
        "categories": [{"id": 1, "name": "banana"}, {"id": 2, "name": "cup"}, {"id": 5, "name": "dog"}],
        "annotations": [{"image_id": 7, "category_id": 1, **each} for each in annotations],
    }
    path = folder / "annotations" / "instances_val.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content | changes))
    return path


def runs_of(mask: Pixels) -> list[int]:
    """Uncompressed run lengths, naively."""
    runs, value = [0], 0
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    return runs


def test_coco_instances(tmp_path: Path) -> None:
    mask = np.zeros((110, 120), np.uint8)
    mask[15:95, 30:100] = 1
    parts = np.zeros((110, 120), np.uint8)
    parts[10:90, 5:30] = parts[10:90, 60:90] = 1
    annotations: list[dict[str, Any]] = [
        {"id": 1, "segmentation": SQUARE, "bbox": [20, 20, 75, 70]},
        {"id": 2, "segmentation": {"size": [110, 120], "counts": runs_of(mask)}, "category_id": 2},
        {"id": 3, "segmentation": SQUARE, "iscrowd": 1},
        {"id": 4, "segmentation": [[0.0, 20.0, 95.0, 20.0, 95.0, 90.0, 0.0, 90.0]]},
        {"id": 5, "segmentation": SQUARE, "bbox": [20, 20, 30, 40]},
        {"id": 6, "segmentation": {"size": [110, 120], "counts": runs_of(parts)}},
        {"id": 7, "segmentation": {"size": [110, 120], "counts": [5, 6]}},
        {"id": 8, "segmentation": {"size": [60, 60], "counts": [0, 3600]}},
        {"id": 9, "segmentation": []},
        {"id": 10},
        {"id": 11, "segmentation": SQUARE, "category_id": 5},
        {"id": 12, "segmentation": [[1e300, 2.0, 3.0, 4.0, 5.0, 6.0]]},
    ]
    summary = add_pack(coco(tmp_path, annotations), tmp_path / "out", source_text="test pictures")
    assert summary.added == ["drink/cup_p_2.png", "food/banana_p_1.png"]
    reasons = {each.label: each.reason for each in summary.skipped}
    assert len(reasons) == 9, "a category that was not chosen does not count as skipped"
    expected = {
        3: "a crowd",
        4: "cut by the border",
        5: "too small",
        6: "in several parts",
        7: "run lengths add up to 11, not 13200",
        8: "its mask is 60x60, but its picture is 120x110",
        9: "its mask is empty",
        10: "it has no mask",
        12: "out of range",
    }
    for number, text in expected.items():
        assert text in reasons[f"p.png, annotation {number}"]
    row = index_of(tmp_path / "out")["food/banana_p_1.png"]
    assert row["licence"] == "Attribution License"
    assert row["source"] == "test pictures: p.png, annotation 1"
    assert row["attribution"] == "http://pictures.invalid/p"


def test_coco_pictures_without_a_licence_need_the_option(tmp_path: Path) -> None:
    path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE}], licenses=[])
    with pytest.raises(TemplateError, match="no licence for 1 of 1"):
        add_pack(path, tmp_path / "out", source_text="s")
    add_pack(path, tmp_path / "out", **CREDENTIALS)
    assert index_of(tmp_path / "out")["food/banana_p_1.png"]["licence"] == "CC0-1.0"


def test_coco_categories_are_chosen_by_name(tmp_path: Path) -> None:
    path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE, "category_id": 5}])
    with pytest.raises(TemplateError, match="is 'dog' food, hand or drink"):
        add_pack(path, tmp_path / "out", **CREDENTIALS, coco_categories=["dog"])
    with pytest.raises(TemplateError, match="has no category 'cat'; it has: banana, cup, dog"):
        add_pack(path, tmp_path / "out", **CREDENTIALS, coco_categories=["cat"])
    summary = add_pack(path, tmp_path / "out", **CREDENTIALS, coco_categories=["dog"], category="Pets!")
    assert summary.added == ["pets/dog_p_1.png"]


def test_coco_pictures_cannot_lie_outside_their_folder(tmp_path: Path) -> None:
    images = [{"id": 7, "file_name": "../../x.png"}, {"id": 8, "file_name": "p.png"}]
    annotations = [{"id": 1, "segmentation": SQUARE}, {"id": 2, "segmentation": SQUARE, "image_id": 8}]
    save(tmp_path.parent / "x.png", np.zeros((110, 120, 3), np.uint8))
    summary = add_pack(coco(tmp_path, annotations, images=images), tmp_path / "out", **CREDENTIALS)
    assert summary.added == ["food/banana_p_2.png"]
    assert "leaves its root" in summary.skipped[0].reason


def test_coco_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text, message in (("{", "not readable JSON"), ("[]", "needs the lists"), ("[" * 99_999, "not readable JSON")):
        path.write_text(text)
        with pytest.raises(TemplateError, match=message):
            add_pack(path, tmp_path / "out", **CREDENTIALS)
    path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE}], images=[{"id": 7, "file_name": "elsewhere.jpg"}])
    with pytest.raises(TemplateError, match="name their folder with --images"):
        add_pack(path, tmp_path / "out", **CREDENTIALS)
    with pytest.raises(TemplateError, match="is not a COCO instances file"):
        add_pack(coco(tmp_path, [], categories=[5]), tmp_path / "out", **CREDENTIALS)


def test_a_limit_a_category_is_said(tmp_path: Path) -> None:
    annotations = [{"id": number, "segmentation": [[v - number for v in SQUARE[0]]]} for number in range(4)]
    summary = add_pack(coco(tmp_path, annotations), tmp_path / "out", **CREDENTIALS, limit=2)
    assert len(summary.added) == 2
    assert [each.reason for each in summary.skipped] == ["more than 2 of its category"] * 2


def test_polygons_are_joined_at_sub_pixel_precision() -> None:
    mask = decode_segmentation(
        [[2.0, 2.0, 6.0, 2.0, 6.0, 6.0, 2.0, 6.0], [4.0, 4.0, 8.0, 4.0, 8.0, 8.0, 4.0, 8.0]], (10, 10)
    )
    assert mask[4:6, 4:6].all(), "overlapping parts leave no hole"
    naive = np.zeros((10, 10), bool)  # a pixel belongs to it if its centre does
    for low, high in ((2, 6), (4, 8)):
        centre = np.arange(10) + 0.5
        inside = (centre > low) & (centre < high)
        naive |= inside[:, None] & inside[None]
    # OpenCV also fills pixels whose centre is just outside
    assert not (naive & (mask == 0)).any() and (mask.astype(bool) & ~naive).sum() <= 20


@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=3, max_size=9))
def test_run_lengths_give_the_mask_back(rows: list[list[bool]]) -> None:
    mask = np.array(rows, np.uint8)
    decoded = decode_segmentation({"size": list(mask.shape), "counts": runs_of(mask)}, (mask.shape[1], mask.shape[0]))
    assert (decoded == mask).all()


def test_compressed_run_lengths() -> None:
    # encoded by COCO's own tools, pycocotools 2.0.11
    rows = ["0011000", "0100101", "1101100", "1001101", "0100110", "1011011"]
    mask = np.array([[int(digit) for digit in row] for row in rows], np.uint8)
    decoded = decode_segmentation({"size": [6, 7], "counts": "221O010O0031M00O034NLO0000"}, (7, 6))
    assert (decoded == mask).all()
    assert decode_run_lengths("221O010O0031M00O034NLO0000") == runs_of(mask)


@given(st.text())
def test_no_text_breaks_the_run_length_decoder(text: str) -> None:
    try:
        decode_segmentation({"size": [4, 5], "counts": text}, (5, 4))
    except SourceError as error:
        assert "mask" in str(error)
