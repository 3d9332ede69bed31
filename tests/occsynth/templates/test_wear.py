"""`wear.csv`: what it says, and what is wrong with it."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occsynth.errors import TemplateError
from occsynth.faces.regions import canonical_face
from occsynth.templates.pack import load_pack, shipped_pack_folder
from occsynth.templates.wear import ANCHORS, KINDS, mirrored, read_wear
from tests.fuzzing import read_or_refused

GOOD = "chin 9 80; ear_left 2 10.5; ear_right 90 11"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "wear.csv"
    path.write_text("\n".join(["file,kind,fit,anchors", *lines, ""]))
    return path


def test_the_shipped_pack_has_wear_of_every_kind_in_many_colours() -> None:
    found = [each for each in load_pack().templates.values() if each.category == "wear"]
    assert len(found) >= 24
    assert all(each.wear is not None for each in found)
    counts = {kind: sum(each.wear is not None and each.wear.kind == kind for each in found) for kind in KINDS}
    assert min(counts.values()) >= 5, counts
    colours = {tuple(int(level) // 40 for level in load_pack().sprite(each.file).mean_rgb) for each in found}
    assert len(colours) >= 15


def test_sides_belong_together() -> None:
    face = canonical_face()
    for name, mesh in ANCHORS.items():
        assert mirrored(mirrored(name)) == name
        x, y = face[mesh]
        other_x, other_y = face[ANCHORS[mirrored(name)]]
        assert abs(x + other_x - 112) < 2.5 and abs(y - other_y) < 1.5, name
        assert x < 56 or not name.endswith("_left")


def test_a_line_is_read(tmp_path: Path) -> None:
    (found,) = read_wear(written(tmp_path, f"wear/a.png,mask,pieces,{GOOD}")).items()
    assert found[0] == "wear/a.png"
    assert (found[1].kind, found[1].fit) == ("mask", "pieces")
    assert found[1].anchors[1] == ("ear_left", 2.0, 10.5)
    assert read_wear(tmp_path / "none.csv") == {}


WRONG = {
    "kind": (f"a.png,beard,pieces,{GOOD}", "kind is 'beard'; it must be one of sunglasses, mask"),
    "fit": (f"a.png,mask,glued,{GOOD}", "fit is 'glued'; it must be one of similarity, pieces"),
    "few": ("a.png,mask,pieces,chin 1 2; ear_left 3 4", "must name 3 to 32 places"),
    "twice": ("a.png,mask,pieces,chin 1 2; chin 2 2; ear_left 3 4", "none of them twice"),
    "name": ("a.png,mask,pieces,chin 1 2; nose 2 2; ear_left 3 4", "unknown anchor 'nose'; choose one of: brow"),
    "number": ("a.png,mask,pieces,chin 1 2; ear_left x 4; ear_right 1 1", "'ear_left x 4' is no anchor|is no anchor"),
    "range": ("a.png,mask,pieces,chin 1 2; ear_left inf 4; ear_right 1 1", "anchor ear_left is out of range"),
    "empty": ("a.png,mask,pieces,", "is no anchor; it must read as nose_bridge"),
}


@pytest.mark.parametrize("line, said", WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_line_is_said(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(TemplateError, match=said) as refused:
        read_wear(written(tmp_path, line))
    assert "wear.csv, line 2" in str(refused.value)


def test_a_template_has_one_line(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"line 3: a\.png has a line already"):
        read_wear(written(tmp_path, f"a.png,mask,pieces,{GOOD}", f"a.png,scarf,pieces,{GOOD}"))


def test_what_is_worn_is_of_category_wear(tmp_path: Path) -> None:
    shutil.copytree(shipped_pack_folder(), tmp_path / "pack", ignore=shutil.ignore_patterns("render"))
    written(tmp_path / "pack", f"food/banana.png,mask,pieces,{GOOD}")
    with pytest.raises(TemplateError, match=r"food/banana\.png is listed in wear\.csv, so its category must be 'wear'"):
        load_pack(tmp_path / "pack")


@given(st.binary(max_size=400))
def test_fuzz_wear_csv(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("wear") / "wear.csv"
    path.write_bytes(b"file,kind,fit,anchors\n" + content)
    found = read_or_refused(lambda: read_wear(path), TemplateError)
    assert found is None or isinstance(found, dict)
