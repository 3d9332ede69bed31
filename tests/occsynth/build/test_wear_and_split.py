"""Builds of what people wear, and of a part of the templates: names, JSON, records, replay."""

import shutil
from pathlib import Path

import pytest

from occsynth.build.build import build
from occsynth.build.options import complete
from occsynth.errors import OccSynthError
from occsynth.manifest import Manifest
from occsynth.modes.occlusion import Occlusion
from occsynth.option_values import CATEGORIES
from occsynth.sharing.replay import replay
from occsynth.sharing.verify import verify
from occsynth.templates.pack import load_pack, shipped_pack_folder
from tests.builds import DEMO_ROOT, STEMS, build_demo, files_under
from tests.occsynth.build.test_build import options


def drawn(manifest: Manifest) -> set[str]:
    return {Occlusion.from_json(row.occlusion).template for row in manifest.rows()}


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """Sunglasses and masks, and eyes as before."""
    return build_demo(tmp_path_factory.mktemp("worn"), "sunglasses,mask,eyes")


def test_a_build_of_wear_comes_back(worn: list[Manifest], tmp_path: Path) -> None:
    for manifest in worn:
        assert replay(manifest, out=tmp_path, workers=1).rows == len(STEMS)
        assert verify(manifest, raw_root=DEMO_ROOT, workers=1).problems == []
    built, again = files_under(worn[0].root), files_under(tmp_path)
    assert {name: built[name] for name in again} == again


def test_only_builds_of_wear_record_the_digest_of_what_is_worn(worn: list[Manifest]) -> None:
    pack = load_pack()
    sunglasses, mask, eyes = (each.info for each in worn)
    assert sunglasses.template_pack_sha256 == mask.template_pack_sha256 == pack.worn_sha256 != pack.sha256
    assert sunglasses.categories == mask.categories == ["wear"]
    assert (eyes.template_pack_sha256, eyes.categories) == (pack.sha256, list(CATEGORIES))
    # of 0.1, whose manifests have this digest
    assert pack.sha256 == "e9eb0a6a54ea5cc67d2c410f9cbbe18716857df2c14d658d7271c5fd209ad9e9"
    assert {each.name for each in (sunglasses, mask, eyes)} == {"demo-sunglasses-few", "demo-mask-few", "demo-eyes-few"}


def test_a_changed_anchor_is_another_pack_for_those_who_wear_it_alone(worn: list[Manifest], tmp_path: Path) -> None:
    shutil.copytree(shipped_pack_folder(), tmp_path / "pack", ignore=shutil.ignore_patterns("render"))
    lines = (tmp_path / "pack/wear.csv").read_text()
    (tmp_path / "pack/wear.csv").write_text(lines.replace("brows ", "brows 1", 1))
    with pytest.raises(OccSynthError, match="give the folder of the original pack"):
        replay(worn[1], out=tmp_path / "again", templates=tmp_path / "pack", workers=1)
    assert replay(worn[2], out=tmp_path / "again", templates=tmp_path / "pack", workers=1).rows == len(STEMS)


@pytest.mark.parametrize("mode", ["eyes", "random", "r16", "mask"])
def test_a_part_of_the_templates_is_drawn_named_and_recorded(tmp_path: Path, mode: str) -> None:
    stems = tuple(f"s{number:03}_anger" for number in range(1, 13))
    for split in ("train", "test"):
        (manifest,) = build_demo(tmp_path, mode, stems, template_split=split)
        assert manifest.info.template_split == split
        assert manifest.info.name == f"demo-{mode}-templates-{split}-few"
        found = drawn(manifest)
        assert len(found) > 1
        assert found <= load_pack().held_out if split == "test" else not found & load_pack().held_out
        assert verify(manifest, raw_root=DEMO_ROOT, workers=1).problems == []


def test_all_templates_leave_name_identity_and_json_as_they_were(tmp_path: Path) -> None:
    plain, whole = (complete(options(tmp_path, **more)) for more in ({}, {"template_split": "all"}))
    assert plain == whole
    assert plain.name("r16") == "demo-r16"
    assert plain.info("r16").template_split == ""
    assert complete(options(tmp_path, template_split="test")).identity() != plain.identity()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"template_split": "half"}, "--template-split 'half'; choose one of: all, train, test"),
        ({"fill": "black", "template_split": "test"}, "--template-split: --fill black draws no template"),
        ({"categories": ("wear",)}, "of category wear; .* what is worn is drawn by other modes"),
    ],
)
def test_wrong_options_are_named(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(OccSynthError, match=words):
        build(options(tmp_path, "eyes", **changes))


def test_a_pack_without_wear_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    shutil.copytree(shipped_pack_folder(), tmp_path / "pack", ignore=shutil.ignore_patterns("render", "wear.csv"))
    with pytest.raises(OccSynthError, match=r"no template of kind sunglasses; .*wear\.csv must say"):
        build(options(tmp_path / "out", "sunglasses", templates=tmp_path / "pack"))
    assert not (tmp_path / "out").exists()


def test_names_say_which_categories_were_chosen_for_modes_that_heed_them(tmp_path: Path) -> None:
    made = complete(options(tmp_path, "random,mask", categories=("hand", "wear")))
    assert (made.name("random"), made.name("mask")) == ("demo-random-hand-wear", "demo-mask")
    assert made.info("random").template_pack_sha256 == load_pack().worn_sha256
