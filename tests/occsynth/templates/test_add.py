"""Importing cut-outs into a template pack: what is added, what is skipped and why, licences, safe names."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occsynth.errors import TemplateError
from occsynth.templates import cut_out
from occsynth.templates.add import add_pack, default_pack_folder, slug
from occsynth.templates.pack import INDEX_COLUMNS, load_pack, shipped_pack_folder
from tests.occsynth.templates.cut_outs import CREDENTIALS, disc, index_of, reason_of, save


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
    monkeypatch.setattr(cut_out, "MAX_PIXELS", 200 * 200)
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
    assert reason_of(first, "food/b.png") == "its pixels are already in the pack, as food/a.png"
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


def test_see_through_is_found_as_the_shipped_index_says(tmp_path: Path) -> None:
    for path in sorted((shipped_pack_folder() / "drink").glob("*.png")):
        target = tmp_path / "in" / "drink" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)
    found = {name for name, each in load_pack(tmp_path / "out").templates.items() if each.see_through}
    said = {each.file for each in load_pack().templates.values() if each.see_through and each.category == "drink"}
    assert found == said and found


@pytest.mark.parametrize(("missing", "option"), [("licence", "--licence"), ("source_text", "--source")])
def test_a_pack_without_licence_or_source_is_refused(tmp_path: Path, missing: str, option: str) -> None:
    save(tmp_path / "in" / "food" / "a.png", disc())
    with pytest.raises(TemplateError, match=f"needs it. Give it with {option}"):
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
    (source / "wear.csv").write_text("file,kind,fit,anchors\n")
    summary = add_pack(source, tmp_path / "out", licence="MIT")
    assert summary.added == ["food/anna.png", "food/b.png"]
    row = index_of(tmp_path / "out")["food/anna.png"]
    assert (row["licence"], row["source"], row["skin_tone"], row["see_through"]) == (
        "CC-BY-4.0",
        "elsewhere",
        "3",
        "true",
    )
    assert any("overrides --licence" in note for note in summary.notes)
    assert any("wear.csv is not imported" in note for note in summary.notes)
    assert any("--attribution" in note for note in summary.notes), "CC-BY rows without an author are said"
    assert "leaves its root" in reason_of(summary, "../../x.png")
    assert reason_of(summary, "food/gone.png") == "file not found"
    assert "not listed in" in reason_of(summary, "food/unlisted.png")


def test_empty_licence_cells_are_refused_even_with_the_option(tmp_path: Path) -> None:
    save(tmp_path / "in" / "food" / "a.png", disc())
    write_index(tmp_path / "in", [{"file": "food/a.png", "category": "food", "source": "somewhere"}])
    with pytest.raises(TemplateError, match=r"1 of 1 rows have no licence or no source, such as food/a\.png"):
        add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)


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
    with pytest.raises(TemplateError, match=r"did not make, such as index\.csv\. .*--overwrite"):
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
    with pytest.raises(TemplateError, match="lies in the folder to import from"):
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


@pytest.mark.parametrize("twice", ["images/food/pie.jpg", "masks/food/pie.webp"])
def test_two_files_of_one_name_leave_open_which_mask_belongs_to_which_image(tmp_path: Path, twice: str) -> None:
    source = tmp_path / "in"
    for name in ("pie", "tart"):
        save(source / "images" / "food" / f"{name}.png", disc(colour=(ord(name[0]), 9, 9))[:, :, :3])
        save(source / "masks" / "food" / f"{name}.png", disc()[:, :, 3])
    save(source / twice, disc()[:, :, :3])
    summary = add_pack(source, tmp_path / "out", **CREDENTIALS)
    assert summary.added == ["food/tart.png"]
    assert reason_of(summary, "images/food/pie.png").startswith("which image and mask belong together is unclear: ")
    assert twice in reason_of(summary, "images/food/pie.png")


INDEXES = {
    "other columns": ("name,license\na,MIT\n", "columns missing: file, licence, source; columns found: name, license"),
    "semicolons": (
        "file;licence;source\n",
        "columns missing: file, licence, source; columns found: file;licence;source",
    ),
    "UTF-16": ("file,licence,source\n".encode("utf-16"), "cannot be read"),
    "no rows": ("file,licence,source\n", "it has no rows"),
    "an endless line": ("file,licence,source\n" + "x" * 2_000_000, "longer than 1,048,576 characters"),
}


@pytest.mark.parametrize("content, said", INDEXES.values(), ids=INDEXES)
def test_an_index_that_cannot_be_used_says_what_was_found(tmp_path: Path, content: str | bytes, said: str) -> None:
    save(tmp_path / "in" / "food" / "a.png", disc())
    (tmp_path / "in" / "index.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(TemplateError) as refused:
        add_pack(tmp_path / "in", tmp_path / "out", **CREDENTIALS)
    assert said in str(refused.value) and "index.csv" in str(refused.value)


def test_an_absolute_path_of_an_index_may_lie_in_its_pack(tmp_path: Path) -> None:
    path = save(tmp_path / "in" / "food" / "a.png", disc())
    write_index(
        tmp_path / "in", [{"file": str(path), "name": "a", "category": "food", "licence": "MIT", "source": "s"}]
    )
    assert add_pack(tmp_path / "in", tmp_path / "out").added == ["food/a.png"]


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
    assert "its mask has 60x50 pixels, but the image has 100x100" in reason_of(summary, "images/food/other.png")
    sprite = np.asarray(Image.open(tmp_path / "out" / "food" / "tart.png")).astype(int)
    assert np.abs(sprite[:, :, :3] - (180, 90, 10)).max() == 0, "a hard edge keeps nothing of the old background"
    assert ((sprite[:, :, 3] > 0) & (sprite[:, :, 3] < 255)).any(), "and becomes soft"
