"""Importing cut-outs into a template pack."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occsynth.errors import SourceError, TemplateError
from occsynth.templates import sprites as template_sprites
from occsynth.templates.add import ImportSummary, add_pack, default_pack_folder, slug
from occsynth.templates.import_coco import decode_run_lengths, decode_segmentation
from occsynth.templates.pack import INDEX_COLUMNS, load_pack, shipped_pack_folder
from occsynth.templates.sprites import decode_mask, finish, guess_base_edge
from tests.occsynth.build.test_build import huge_png

Array = npt.NDArray[np.uint8]
CREDENTIALS: dict[str, Any] = {"licence": "CC0-1.0", "source_text": "drawn for this test"}


def disc(side: int = 100, radius: int = 40, alpha: int = 255, colour: tuple[int, int, int] = (200, 30, 60)) -> Array:
    """`(side, side, 4)`: a disc over green that must not show through anywhere."""
    y, x = np.mgrid[:side, :side] - side // 2
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[:, :] = (0, 255, 0, 0)
    rgba[x * x + y * y <= radius * radius] = (*colour, alpha)
    return rgba


def save(path: Path, pixels: Array) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def index_of(pack: Path) -> dict[str, dict[str, str]]:
    with (pack / "index.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def reason_of(summary: ImportSummary, label: str) -> str:
    return next(each.reason for each in summary.skipped if each.label == label)


# -- RGBA folders ----------------------------------------------------------------------------------------------------


def test_an_rgba_folder_becomes_a_pack_that_loads(tmp_path: Path) -> None:
    source, out = tmp_path / "mine", tmp_path / "pack"
    save(source / "food" / "Red Disc.png", disc())
    save(source / "drink" / "sets" / "glass.png", disc(alpha=90))
    summary = add_pack(source, out, **CREDENTIALS, attribution="nobody\nat all")
    assert summary.added == ["drink/sets_glass.png", "food/red_disc.png"]
    assert not summary.skipped
    pack = load_pack(out)
    assert pack.templates["food/red_disc.png"].licence == "CC0-1.0"
    assert pack.templates["drink/sets_glass.png"].see_through
    assert not pack.templates["food/red_disc.png"].see_through
    row = index_of(out)["food/red_disc.png"]
    assert row["attribution"] == "nobody at all"
    assert float(row["opaque_fraction"]) == pytest.approx(np.pi * 39**2 / 81**2, abs=0.02)  # its edge was softened
    assert pack.sprite("food/red_disc.png").wh == (83, 83)  # 81 visible and one transparent pixel a side


def test_colour_is_bled_and_no_background_is_left(tmp_path: Path) -> None:
    save(tmp_path / "in" / "food" / "disc.png", disc())
    add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)
    sprite = np.asarray(Image.open(tmp_path / "out" / "food" / "disc.png"))
    assert (sprite[:, :, :3] == (200, 30, 60)).all()
    assert not sprite[0, :, 3].any() and not sprite[:, -1, 3].any()
    assert sprite[1:-1, 1:-1, 3].any(axis=0).all(), "trimmed to the alpha box"


def test_large_cut_outs_are_shrunk_without_a_fringe(tmp_path: Path) -> None:
    save(tmp_path / "in" / "food" / "disc.png", disc(side=900, radius=400))
    add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS, long_side_px=200)
    sprite = np.asarray(Image.open(tmp_path / "out" / "food" / "disc.png"))
    assert max(sprite.shape) == 202
    assert np.abs(sprite[:, :, :3].astype(int) - (200, 30, 60)).max() <= 1


def test_every_file_that_gives_nothing_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    save(source / "food" / "good.png", disc())
    save(source / "flat.png", disc())
    save(source / "food" / "opaque.png", disc()[:, :, :3])
    save(source / "food" / "tiny.png", disc(side=40, radius=10))
    save(source / "food" / "empty_alpha.png", disc(alpha=0))
    save(source / "food" / "huge.png", disc(side=260, radius=100))
    (source / "food" / "text.png").write_text("no image")
    (source / "food" / "nothing.png").write_bytes(b"")
    (source / "food" / "notes.txt").write_text("hello")
    whole = (source / "food" / "good.png").read_bytes()
    (source / "food" / "cut.png").write_bytes(whole[: len(whole) // 2])
    monkeypatch.setattr(template_sprites, "MAX_PIXELS", 200 * 200)
    summary = add_pack(source, tmp_path / "out", **CREDENTIALS)
    assert summary.added == ["food/good.png"]
    assert len(summary.skipped) == 9
    assert "give --category" in reason_of(summary, "flat.png")
    assert "no alpha channel" in reason_of(summary, "food/opaque.png")
    assert "too small: 21x21" in reason_of(summary, "food/tiny.png")
    assert "hardly a pixel is visible" in reason_of(summary, "food/empty_alpha.png")
    assert "beyond the limit of 40,000 pixels" in reason_of(summary, "food/huge.png")
    assert "not a readable image" in reason_of(summary, "food/text.png")
    assert "empty file" in reason_of(summary, "food/nothing.png")
    assert "not an image file" in reason_of(summary, "food/notes.txt")
    assert "not a readable image" in reason_of(summary, "food/cut.png")
    assert sum(summary.reasons().values()) == 9


def test_the_same_pixels_come_in_once(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    save(source / "food" / "a.png", disc())
    save(source / "food" / "b.png", np.pad(disc(), ((3, 9), (5, 1), (0, 0))))
    first = add_pack(source, out, **CREDENTIALS)
    assert first.added == ["food/a.png"]
    assert reason_of(first, "food/b.png") == "its pixels are in the pack already, as food/a.png"
    before = (out / "index.csv").read_bytes()
    again = add_pack(source, out, **CREDENTIALS)
    assert not again.added and all(each.duplicate for each in again.skipped)
    assert (out / "index.csv").read_bytes() == before


def test_a_pack_grows_sorted_and_the_same_on_every_run(tmp_path: Path) -> None:
    save(tmp_path / "one" / "food" / "b.png", disc())
    save(tmp_path / "two" / "food" / "a.png", disc(colour=(1, 2, 3)))
    save(tmp_path / "two" / "food" / "b.png", disc(colour=(9, 9, 9)))
    packs = []
    for name in ("x", "y"):
        out = tmp_path / name
        add_pack(tmp_path / "one", out, **CREDENTIALS)
        add_pack(tmp_path / "two", out, **CREDENTIALS)
        packs.append({path.name: path.read_bytes() for path in sorted(out.rglob("*.*")) if path.name != ".lock"})
        files = list(index_of(out))
        assert files == sorted(files) and len(files) == 3
        assert files[0] == "food/a.png" and files[2].startswith("food/b_"), "a taken name gets a digest"
    assert packs[0] == packs[1]


def test_the_forearm_of_a_hand_goes_to_the_bottom(tmp_path: Path) -> None:
    hand = np.rot90(disc(side=120, radius=30), 1).copy()
    hand[50:70, 60:] = (200, 30, 60, 255)  # leaves by the right edge
    save(tmp_path / "in" / "hand" / "fist.png", hand)
    save(tmp_path / "in" / "food" / "stick.png", hand)
    add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)
    pack = load_pack(tmp_path / "out")
    assert pack.templates["food/stick.png"].base_edge == ""
    assert pack.templates["hand/fist.png"].base_edge == "bottom"
    base = pack.sprite("hand/fist.png").base_xy
    assert base is not None and base[1, 0] - base[0, 0] >= 15
    add_pack(tmp_path / "in", tmp_path / "cut", **CREDENTIALS, category="food", base_edge="top")
    assert {each.base_edge for each in load_pack(tmp_path / "cut").templates.values()} == {"bottom"}


def test_the_shipped_hands_are_recognised() -> None:
    hands = sorted((shipped_pack_folder() / "hand").glob("*.png"))
    edges = {guess_base_edge(np.asarray(Image.open(path))[:, :, 3]) for path in hands}
    assert len(hands) > 20 and edges == {"bottom"}


def test_see_through_is_found_as_the_shipped_index_says(tmp_path: Path) -> None:
    for path in sorted((shipped_pack_folder() / "drink").glob("*.png")):
        target = tmp_path / "in" / "drink" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)
    found = {name for name, each in load_pack(tmp_path / "out").templates.items() if each.see_through}
    said = {each.file for each in load_pack().templates.values() if each.see_through}
    assert found == said and found


# -- licence and source ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "option"), [("licence", "--licence"), ("source_text", "--source")])
def test_a_pack_without_licence_or_source_is_refused(tmp_path: Path, missing: str, option: str) -> None:
    save(tmp_path / "in" / "food" / "a.png", disc())
    with pytest.raises(TemplateError, match=f"is refused. Say it with {option}"):
        add_pack(tmp_path / "in", tmp_path / "out", **{**CREDENTIALS, missing: "  "})
    assert not (tmp_path / "out").exists()


def write_index(folder: Path, rows: list[dict[str, str]]) -> None:
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, INDEX_COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)


def test_the_index_of_a_foreign_pack_speaks_for_its_files(tmp_path: Path) -> None:
    source = tmp_path / "in"
    for name in ("a", "b", "unlisted"):
        save(source / "food" / f"{name}.png", disc(colour=(ord(name[0]), 0, 0)))
    listed: dict[str, str] = {"category": "food", "licence": "CC-BY-4.0", "source": "elsewhere", "see_through": "true"}
    write_index(
        source,
        [
            {"file": "food/a.png", "name": "anna", "skin_tone": "3", "attribution": "A", **listed},
            {"file": "food/b.png", **listed},
            {"file": "food/gone.png", **listed},
            {"file": "../../x.png", **listed},
        ],
    )
    save(tmp_path.parent / "x.png", disc(colour=(7, 7, 7)))
    summary = add_pack(source, tmp_path / "out", licence="MIT")
    assert summary.added == ["food/anna.png", "food/b.png"]
    row = index_of(tmp_path / "out")["food/anna.png"]
    assert (row["licence"], row["source"], row["skin_tone"], row["see_through"]) == (
        "CC-BY-4.0",
        "elsewhere",
        "3",
        "true",
    )
    assert any("the given licence were not used" in note or "not used" in note for note in summary.notes)
    assert any("--attribution" in note for note in summary.notes), "CC-BY rows without an author are said"
    assert "leaves its root" in reason_of(summary, "../../x.png")
    assert "cannot be read" in reason_of(summary, "food/gone.png")
    assert "not listed in" in reason_of(summary, "food/unlisted.png")


def test_empty_licence_cells_are_refused_even_with_the_option(tmp_path: Path) -> None:
    save(tmp_path / "in" / "food" / "a.png", disc())
    write_index(tmp_path / "in", [{"file": "food/a.png", "category": "food", "source": "somewhere"}])
    with pytest.raises(TemplateError, match=r"1 of 1 rows have no licence or no source, food/a\.png"):
        add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)


# -- names -----------------------------------------------------------------------------------------------------------


@given(st.text())
def test_a_slug_is_always_a_safe_file_name(text: str) -> None:
    name = slug(text)
    assert 0 < len(name) <= 64
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert slug(name) == name


def test_names_cannot_leave_the_pack(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "deep" / "pack"
    source.mkdir()
    save(source / "a.png", disc())
    hostile = {"file": "a.png", "licence": "CC0-1.0", "source": "s", "category": "../../x", "name": "../../y\0/z"}
    write_index(source, [hostile])
    assert add_pack(source, out).added == ["x/y_z.png"]
    assert {path.name for path in tmp_path.iterdir()} == {"in", "deep"}
    assert load_pack(out).templates


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    save(tmp_path / "private.png", disc())
    save(tmp_path / "in" / "food" / "a.png", disc(colour=(1, 2, 3)))
    (tmp_path / "in" / "food" / "b.png").symlink_to(tmp_path / "private.png")
    summary = add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)
    assert "through a link" in reason_of(summary, "food/b.png")


def test_an_index_in_the_target_that_is_another_table_is_left_alone(tmp_path: Path) -> None:
    save(tmp_path / "in" / "food" / "a.png", disc())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "index.csv").write_text("a,b\n1,2\n")
    with pytest.raises(TemplateError, match="not the index of a template pack"):
        add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)
    assert (tmp_path / "out" / "index.csv").read_text() == "a,b\n1,2\n"


def test_a_target_index_cannot_point_outside_it(tmp_path: Path) -> None:
    save(tmp_path / "in" / "food" / "a.png", disc())
    (tmp_path / "out").mkdir()
    write_index(tmp_path / "out", [{"file": "../in/food/a.png", "licence": "x", "source": "x"}])
    with pytest.raises(TemplateError, match="leaves its root"):
        add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)


def test_clear_errors_for_wrong_arguments(tmp_path: Path) -> None:
    save(tmp_path / "in" / "food" / "a.txt.png", disc(side=20, radius=8))
    with pytest.raises(TemplateError, match=r"not found\. Give a folder of cut-outs or a COCO"):
        add_pack(tmp_path / "nowhere", tmp_path / "out", **CREDENTIALS)
    with pytest.raises(TemplateError, match="is the folder that is imported"):
        add_pack(tmp_path / "in", tmp_path / "in", **CREDENTIALS)
    with pytest.raises(TemplateError, match=r"none of 1 could be used; the first, food/a\.txt\.png: too small"):
        add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)
    assert not (tmp_path / "out" / "index.csv").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(TemplateError, match="nothing to import was found"):
        add_pack(tmp_path / "empty", tmp_path / "out", **CREDENTIALS)
    with pytest.raises(TemplateError, match="masks not found"):
        (tmp_path / "empty" / "images").mkdir()
        add_pack(tmp_path / "empty", tmp_path / "out", **CREDENTIALS, kind="masks")


def test_the_default_place_is_the_users_data_folder(tmp_path: Path) -> None:
    folder = default_pack_folder(tmp_path / "My Cut-outs")
    assert folder.parts[-2:] == ("templates", "my_cut-outs")
    assert folder == default_pack_folder(tmp_path / "My Cut-outs.json")


# -- images with masks -----------------------------------------------------------------------------------------------


def test_images_with_masks(tmp_path: Path) -> None:
    source, shape = tmp_path / "in", disc()
    photo = np.full((100, 100, 3), (20, 200, 20), np.uint8)
    photo[shape[:, :, 3] > 0] = (180, 90, 10)
    save(source / "images" / "food" / "pie.jpg", photo)
    save(source / "masks" / "food" / "pie.png", shape[:, :, 3])
    save(source / "images" / "food" / "tart.png", photo)
    save(source / "masks" / "food" / "tart.png", shape[:, :, 3] // 255)  # zeros and ones
    save(source / "images" / "food" / "lonely.png", photo)
    save(source / "masks" / "food" / "widow.png", shape[:, :, 3])
    save(source / "images" / "food" / "other.png", photo)
    save(source / "masks" / "food" / "other.png", np.zeros((50, 60), np.uint8))
    summary = add_pack(source, tmp_path / "out", **CREDENTIALS)
    assert summary.added == ["food/pie.png", "food/tart.png"]
    assert "no mask of that name" in reason_of(summary, "images/food/lonely.png")
    assert "no image of that name" in reason_of(summary, "masks/food/widow.png")
    assert "its mask is 60x50, the image 100x100" in reason_of(summary, "images/food/other.png")
    sprite = np.asarray(Image.open(tmp_path / "out" / "food" / "tart.png")).astype(int)
    assert np.abs(sprite[:, :, :3] - (180, 90, 10)).max() == 0, "a hard edge keeps nothing of the old background"
    assert ((sprite[:, :, 3] > 0) & (sprite[:, :, 3] < 255)).any(), "and becomes soft"


def test_masks_that_are_no_grey_are_refused(tmp_path: Path) -> None:
    label = Image.new("P", (8, 8))
    label.putpalette([0, 0, 0, 255, 0, 0])
    label.save(tmp_path / "labels.png")
    with pytest.raises(SourceError, match="labels"):
        decode_mask((tmp_path / "labels.png").read_bytes())
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(SourceError, match="8-bit grey is read"):
        decode_mask((tmp_path / "deep.png").read_bytes())


def test_a_grey_mask_keeps_its_matte() -> None:
    rgba = disc(radius=40)
    rgba[:, :, 3] = cv2.GaussianBlur(rgba[:, :, 3], (0, 0), 4)
    done = finish(rgba, base_edge="", min_side_px=10, long_side_px=512)
    alpha = done.rgba[1:-1, 1:-1, 3]
    top = int(np.nonzero(rgba[:, :, 3] >= 6)[0].min())
    expected = rgba[top : top + alpha.shape[0], top : top + alpha.shape[1], 3]
    middle = (expected >= 6) & (expected <= 249)
    assert (alpha[middle] == expected[middle]).all()


# -- COCO ------------------------------------------------------------------------------------------------------------

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


def runs_of(mask: Array) -> list[int]:
    """Uncompressed run lengths, naively."""
    runs, value = [0], 0
    for pixel in mask.T.ravel():
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
    assert len(reasons) == 9, "a category that was not asked for is no skip"
    expected = {
        3: "a crowd",
        4: "cut by the border",
        5: "too small",
        6: "in several parts",
        7: "run lengths add up to 11, not 13200",
        8: "its mask is 60x60, its picture 120x110",
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
    with pytest.raises(TemplateError, match="no COCO instances file"):
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
    assert mask[4:6, 4:6].all(), "where parts overlap there is no hole"
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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (huge_png(), "has more than 100,000,000 pixels"),
        (b"", "is not an 8-bit RGBA image"),
        (b"no image", "is not an 8-bit RGBA image"),
    ],
)
def test_an_image_of_a_foreign_pack_that_cannot_be_used_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    shutil.copytree(shipped_pack_folder(), tmp_path / "pack", ignore=shutil.ignore_patterns("render", "hand", "drink"))
    index = tmp_path / "pack/index.csv"
    index.write_text("".join(line for line in index.open() if line.startswith(("file,", "food/"))))
    (tmp_path / "pack/food/pear.png").write_bytes(content)
    with pytest.raises(TemplateError, match=rf"food/pear\.png {said}"):
        load_pack(tmp_path / "pack").sprite("food/pear.png")
