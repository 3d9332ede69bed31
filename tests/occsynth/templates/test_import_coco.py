"""Importing COCO instances: which ones are cut out, polygons and run lengths, files that are not COCO's."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.errors import SourceError, TemplateError
from occsynth.pixels.images import Pixels
from occsynth.templates.add import add_pack
from occsynth.templates.import_coco import decode_run_lengths, decode_segmentation
from tests.occsynth.templates.cut_outs import CREDENTIALS, index_of, save

SQUARE = [[20.0, 20.0, 95.0, 20.0, 95.0, 90.0, 20.0, 90.0]]


def coco(folder: Path, objects: list[dict[str, Any]], **changes: object) -> Path:
    """A COCO file of one picture of 120x110 pixels."""
    rng = np.random.default_rng(0)
    save(folder / "val" / "p.png", rng.integers(0, 255, (110, 120, 3), dtype=np.uint8))
    content: dict[str, Any] = {
        "images": [{"id": 7, "file_name": "p.png", "license": 3, "coco_url": "http://pictures.invalid/p"}],
        "licenses": [{"id": 3, "name": "Attribution License"}],
        "categories": [{"id": 1, "name": "banana"}, {"id": 2, "name": "cup"}, {"id": 5, "name": "dog"}],
        "annotations": [{"image_id": 7, "category_id": 1, **each} for each in objects],
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
    for text, message in (("{", "not readable JSON"), ("[]", "needs the lists"), ("[" * 99_999, "nested too deep")):
        path.write_text(text)
        with pytest.raises(TemplateError, match=message):
            add_pack(path, tmp_path / "out", **CREDENTIALS)
    path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE}], images=[{"id": 7, "file_name": "elsewhere.jpg"}])
    with pytest.raises(TemplateError, match="name their folder with --images"):
        add_pack(path, tmp_path / "out", **CREDENTIALS)


WHOLE_FILES: dict[str, tuple[dict[str, Any], str]] = {
    "no images": ({"images": None}, "images must be a list, but is null"),
    "images by name": ({"images": {"p.png": {}}}, "images must be a list, but is an object"),
    "annotations as text": ({"annotations": "all"}, "annotations must be a list, but is a text"),
    "a category that is a number": ({"categories": [5]}, r"categories\[0\] must be an object, but is a number"),
    "a category without a name": ({"categories": [{"id": 1}]}, r"categories\[0\] needs an id, .*, and a name"),
    "a category without an id": ({"categories": [{"name": "cup"}]}, r"categories\[0\] needs an id"),
    "a category whose id is a list": ({"categories": [{"id": [1], "name": "cup"}]}, r"categories\[0\] needs an id"),
    "two categories of one id": (
        {"categories": [{"id": 1, "name": "cup"}, {"id": 1, "name": "banana"}]},
        r"categories\[1\] has the id 1 of another category",
    ),
    "two categories of one name": (
        {"categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "cup"}]},
        "has two categories of the name 'cup'",
    ),
    "no categories": ({"categories": []}, "no category that is imported by default; .* It has: none"),
    "panoptic, not at first": (
        {"annotations": [{"id": 1}, {"segments_info": [], "file_name": "a.png"}]},
        r"a panoptic one, .* give instances_",
    ),
    "panoptic": ({"annotations": [{"segments_info": [], "file_name": "a.png"}]}, r"a panoptic one, .* give instances_"),
}


@pytest.mark.parametrize("changes, message", WHOLE_FILES.values(), ids=WHOLE_FILES)
def test_what_is_wrong_with_a_whole_file_is_said(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE}], **changes)
    with pytest.raises(TemplateError, match=message) as refused:
        add_pack(path, tmp_path / "out", **CREDENTIALS)
    assert str(path) in str(refused.value) and "Error" not in str(refused.value)


def test_a_file_of_captions_says_which_lists_it_has(tmp_path: Path) -> None:
    path = tmp_path / "captions.json"
    path.write_text(json.dumps({"info": {}, "images": [], "annotations": []}))
    with pytest.raises(TemplateError, match="needs the lists images, annotations, categories; it has 'info', 'images'"):
        add_pack(path, tmp_path / "out", **CREDENTIALS)


def test_a_file_that_is_too_large_is_named_with_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE}])
    monkeypatch.setattr("occsynth.templates.coco_file.MOST_VALUES", 20)
    with pytest.raises(TemplateError, match="holds more than 20 values"):
        add_pack(path, tmp_path / "out", **CREDENTIALS)
    monkeypatch.setattr("occsynth.templates.coco_file.LARGEST_FILE_BYTES", 20)
    with pytest.raises(TemplateError, match="is larger than 20 bytes"):
        add_pack(path, tmp_path / "out", **CREDENTIALS)


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE}])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert add_pack(path, tmp_path / "out", **CREDENTIALS).added == ["food/banana_p_1.png"]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_the_byte_order_mark_of_utf_16_is_named(tmp_path: Path, encoding: str) -> None:
    path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE}])
    path.write_bytes(("\ufeff" + path.read_text()).encode(encoding))
    with pytest.raises(TemplateError, match="byte order mark of UTF-16; save it as UTF-8"):
        add_pack(path, tmp_path / "out", **CREDENTIALS)


PIECES: dict[str, tuple[Any, str]] = {
    "not an object": (5, "it must be an object, but is a number"),
    "no picture": ({"image_id": None}, "it names no image_id"),
    "an unknown picture": ({"image_id": 99}, "no picture has its id 99"),
    "a picture by another type": ({"image_id": "7"}, "no picture has its id '7'"),
    "a list for a picture": ({"image_id": [7]}, "no picture has its id [7]"),
    "no category": ({"category_id": None}, "it names no category_id"),
    "an unknown category": ({"category_id": 99}, "no category has its id 99"),
    "an object for a category": ({"category_id": {}}, "no category has its id {}"),
    "a text for a mask": ({"segmentation": "all"}, "it must be a list of polygons or an object with size and counts"),
    "true for a mask": ({"segmentation": True}, "it must be a list of polygons or an object with size and counts"),
    "a flat polygon": ({"segmentation": SQUARE[0]}, "a flat list of numbers; COCO has a list of polygons"),
    "a mixed list": ({"segmentation": [SQUARE[0], 5]}, "polygon must be a list of numbers"),
    "a far corner": ({"segmentation": [[0, 0, 9e7, 0, 9e7, 9e7]]}, "numbers out of range, far outside its picture"),
    "an endless outline": ({"segmentation": [[0, 0, 120, 110] * 20_000]}, "its outline is longer than 2,000,000"),
    "a polygon of texts": ({"segmentation": [["1"] * 8]}, "polygon holds something else than numbers"),
    "a polygon of nothing": ({"segmentation": [[None] * 8]}, "polygon holds something else than numbers"),
    "an odd polygon": ({"segmentation": [[1.0] * 7]}, "a polygon has 7 numbers, not two for each corner"),
    "a short polygon": ({"segmentation": [[1.0] * 4]}, "a polygon has 4 numbers, not two for each corner"),
    "no number": ({"segmentation": [[float("nan")] * 8]}, "polygon holds numbers out of range"),
    "a huge number": ({"segmentation": [[10**400] * 8]}, "polygon holds numbers out of range"),
    "no size": ({"segmentation": {"counts": [1]}}, "size must be a list of 2 numbers"),
    "three sides": ({"segmentation": {"size": [1, 2, 3], "counts": [1]}}, "size must be a list of 2 numbers"),
    "a size of texts": ({"segmentation": {"size": ["110", "120"], "counts": []}}, "size holds something else than"),
    "no counts": ({"segmentation": {"size": [110, 120]}}, "counts must be a list of numbers"),
    "half counts": ({"segmentation": {"size": [110, 120], "counts": [0.5]}}, "counts holds numbers that are not whole"),
    "counts below zero": ({"segmentation": {"size": [110, 120], "counts": [-1]}}, "not whole, or below zero"),
    "a text for a box": ({"bbox": "1 2 3 4"}, "bbox must be a list of 4 numbers"),
    "a short box": ({"bbox": [1, 2, 3]}, "bbox must be a list of 4 numbers"),
    "a box of texts": ({"bbox": ["1", "2", "3", "4"]}, "bbox holds something else than numbers"),
}


@pytest.mark.parametrize("changes, said", PIECES.values(), ids=PIECES)
def test_what_is_wrong_with_one_annotation_is_its_reason(tmp_path: Path, changes: Any, said: str) -> None:
    whole = {"id": 1, "segmentation": SQUARE, "image_id": 7, "category_id": 1}
    broken = {**whole, "id": 2, **changes} if isinstance(changes, dict) else changes
    path = coco(tmp_path, [], annotations=[whole, broken])
    summary = add_pack(path, tmp_path / "out", source_text="s")
    assert summary.added == ["food/banana_p_1.png"]
    (skipped,) = summary.skipped
    assert said in skipped.reason and "Error" not in skipped.reason
    assert "annotation" in skipped.label


ENTRIES: dict[str, tuple[Any, str]] = {
    "no name": ({"id": 7}, "the entry of its picture, 7, has no file_name"),
    "a number for a name": ({"id": 7, "file_name": 5}, "the entry of its picture, 7, has no file_name"),
    "no id": ({"file_name": "p.png"}, "no picture has its id 7"),
    "a text": ("p.png", "no picture has its id 7"),
    "twice": ([{"id": 7, "file_name": "p.png"}, {"id": 7, "file_name": "q.png"}], "two pictures have the id 7"),
    "no height": ({"id": 7, "file_name": "p.png", "width": 120}, "the width and height of its picture are no whole"),
    "sides of zero": ({"id": 7, "file_name": "p.png", "width": 0, "height": 0}, "are no whole numbers above zero"),
    "larger": (
        {"id": 7, "file_name": "p.png", "width": 240, "height": 220},
        "its picture is 120x110, but the file says 240x220: it is another one, or scaled",
    ),
    "turned": (
        {"id": 7, "file_name": "p.png", "width": 110, "height": 120},
        "its picture is 120x110, but the file says 110x120",
    ),
}


@pytest.mark.parametrize("entry, said", ENTRIES.values(), ids=ENTRIES)
def test_what_is_wrong_with_the_entry_of_a_picture_is_the_reason_of_its_objects(
    tmp_path: Path, entry: Any, said: str
) -> None:
    whole = {"id": 8, "file_name": "p.png", "width": 120, "height": 110}
    entries = [whole, *(entry if isinstance(entry, list) else [entry])]
    annotations = [{"id": 1, "segmentation": SQUARE, "image_id": 8}, {"id": 2, "segmentation": SQUARE}]
    summary = add_pack(coco(tmp_path, annotations, images=entries), tmp_path / "out", **CREDENTIALS)
    assert summary.added == ["food/banana_p_1.png"]
    (skipped,) = summary.skipped
    assert said in skipped.reason


def test_an_absolute_file_name_in_the_folder_of_pictures_is_found(tmp_path: Path) -> None:
    images = [{"id": 7, "file_name": str(tmp_path / "val" / "p.png")}]
    path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE}], images=images)
    assert add_pack(path, tmp_path / "out", **CREDENTIALS).added == ["food/banana_p_1.png"]


def test_odd_licences_are_none(tmp_path: Path) -> None:
    for number, licences in enumerate(({}, [5], [{"id": [3], "name": "x"}], [{"id": 3, "name": 5}], "x")):
        path = coco(tmp_path, [{"id": 1, "segmentation": SQUARE}], licenses=licences)
        add_pack(path, tmp_path / f"out{number}", **CREDENTIALS)
        assert index_of(tmp_path / f"out{number}")["food/banana_p_1.png"]["licence"] == "CC0-1.0"


def test_a_limit_a_category_is_said(tmp_path: Path) -> None:
    annotations = [{"id": number, "segmentation": [[v - number for v in SQUARE[0]]]} for number in range(4)]
    summary = add_pack(coco(tmp_path, annotations), tmp_path / "out", **CREDENTIALS, limit=2)
    assert len(summary.added) == 2
    assert [each.reason for each in summary.skipped] == ["more than 2 of its category"] * 2


def test_polygons_are_joined() -> None:
    mask = decode_segmentation(
        [[2.0, 2.0, 6.0, 2.0, 6.0, 6.0, 2.0, 6.0], [4.0, 4.0, 8.0, 4.0, 8.0, 8.0, 4.0, 8.0]], (10, 10)
    )
    expected = np.zeros((10, 10), np.uint8)
    expected[2:6, 2:6] = expected[4:8, 4:8] = 1
    assert (mask == expected).all(), "the corner (0, 0) is that of the first pixel, and overlapping parts leave no hole"


def star(wh: tuple[int, int], points: int, seed: int) -> npt.NDArray[np.float64]:
    """`(N, 2)` corners of a star in the middle of a picture."""
    rng = np.random.default_rng(seed)
    turns = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False)
    radii = min(wh) * rng.uniform(0.25, 0.45, 2 * points)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii[:, None] + np.array(wh) / 2


def coverage(corners_xy: npt.NDArray[np.float64], wh: tuple[int, int], steps: int = 16) -> npt.NDArray[np.float64]:
    """How much of each pixel a polygon covers, from `steps` squared places of it; naive."""
    xs, ys = ((np.arange(side * steps) + 0.5) / steps for side in wh)
    inside = np.zeros((len(ys), len(xs)), bool)
    for (ax, ay), (bx, by) in zip(corners_xy, np.roll(corners_xy, -1, axis=0), strict=True):
        crosses = (ay > ys) != (by > ys)
        with np.errstate(divide="ignore", invalid="ignore"):
            at_x = ax + (ys - ay) * (bx - ax) / (by - ay)
        inside ^= crosses[:, None] & (xs < at_x[:, None])
    return np.asarray(inside.reshape(wh[1], steps, wh[0], steps).mean(axis=(1, 3)), np.float64)


@pytest.mark.parametrize("seed", range(4))
def test_a_cut_out_has_no_fringe_of_its_background(seed: int) -> None:
    """Few pixels lie on the wrong side of half coverage, and as many too many as too few."""
    wh = (160, 140)
    corners = star(wh, 7, seed)
    mask = decode_segmentation([corners.ravel().tolist()], wh)
    covered = coverage(corners, wh)
    wrong = (mask > 0) != (covered >= 0.5)
    assert wrong.sum() <= 0.1 * np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum()
    assert abs(mask.sum() / covered.sum() - 1) < 0.004
    assert covered[mask > 0].min() > 0.05, "a pixel of the background was taken"


def test_without_pycocotools_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.mask", None)
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(TemplateError, match=r"pip install 'occsynth\[coco\]'"):
        add_pack(coco(tmp_path, [{"id": 1, "segmentation": SQUARE}]), tmp_path / "out", **CREDENTIALS)


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


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from([7, 1, "p.png", 120]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
FIELDS = {
    "images": ("id", "file_name", "license", "width", "height", "coco_url"),
    "annotations": ("id", "image_id", "category_id", "bbox", "segmentation", "iscrowd"),
    "categories": ("id", "name"),
    "licenses": ("id", "name"),
}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_value_in_any_place_of_a_coco_file_raises_anything_but_one_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("coco")
    path = coco(folder, [{"id": 1, "segmentation": SQUARE, "bbox": [20, 20, 75, 70]}])
    content = json.loads(path.read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(list(FIELDS)))
        place = data.draw(st.sampled_from(["list", "entry", "field"]))
        value = data.draw(JSON_VALUES)
        if place == "list":
            content[name] = value
        elif isinstance(content[name], list) and content[name]:
            if place == "field" and isinstance(content[name][0], dict):
                content[name][0][data.draw(st.sampled_from(FIELDS[name]))] = value
            else:
                content[name][0] = value
    path.write_text(json.dumps(content))
    try:
        summary = add_pack(path, folder / "out", **CREDENTIALS)
    except TemplateError as error:
        assert "Error(" not in str(error)
    else:
        assert not any("Error(" in each.reason for each in summary.skipped)
