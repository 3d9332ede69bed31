"""Builds of modes with a share in their name, and of squares on the face: made, verified, shared and shown."""

from dataclasses import replace
from pathlib import Path

import pytest

from occsynth.build.build import build
from occsynth.build.options import BuildOptions, complete
from occsynth.errors import BuildError, UnknownNameError
from occsynth.manifest import Manifest, open_manifest
from occsynth.modes.occlusion import Occlusion
from occsynth.modes.share import TOLERANCE
from occsynth.pictures.gallery import write_gallery
from occsynth.sharing.publish import publish
from occsynth.sharing.replay import replay
from occsynth.sharing.verify import verify
from tests.builds import DEMO_ROOT, build_demo, files_under

MODES = "upper-40,right-15,cover-20,r16"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    return build_demo(tmp_path_factory.mktemp("built"), MODES, square_at="face")


def test_a_build_is_named_after_its_modes_and_holds_their_share(built: list[Manifest]) -> None:
    names = ["demo-upper-40-few", "demo-right-15-few", "demo-cover-20-few", "demo-r16-face-few"]
    assert [manifest.info.name for manifest in built] == names
    assert [manifest.info.square_at for manifest in built] == ["", "", "", "face"]
    for manifest, share in zip(built[:3], (0.40, 0.15, 0.20), strict=True):
        for row in manifest.rows():
            assert row.mode == manifest.info.mode
            assert row.coverage_face is not None
            assert abs(row.coverage_face - share) <= TOLERANCE or Occlusion.from_json(row.occlusion).partial


def test_it_can_be_verified_published_replayed_and_shown(built: list[Manifest], tmp_path: Path) -> None:
    made = files_under(built[0].root)
    for manifest in built:
        assert not verify(manifest, raw_root=DEMO_ROOT, workers=1).problems
        published = publish(manifest, tmp_path / f"{manifest.info.name}.csv")
        assert open_manifest(published).info.square_at == manifest.info.square_at
        replay(open_manifest(published), raw_root=DEMO_ROOT, out=tmp_path / "again", workers=1)
        for name, content in files_under(tmp_path / "again").items():
            if name.endswith(".png"):
                assert content == made[name]
    page = write_gallery(built, tmp_path / "gallery.html").path.read_text(encoding="utf-8")
    assert "upper-40" in page and "cover-20" in page


def test_a_build_goes_on_only_with_its_squares(built: list[Manifest], tmp_path: Path) -> None:
    few = tmp_path / "few.txt"
    few.write_text("s001_anger")
    options = BuildOptions(db="demo", modes=("r8", "eyes"), out=tmp_path, workers=1, subset=few)
    on_face = replace(options, square_at="face")
    assert complete(options).names() == ["demo-r8-few", "demo-eyes-few"]
    assert complete(on_face).names() == ["demo-r8-face-few", "demo-eyes-few"]
    assert complete(options).identity() != complete(on_face).identity()
    build(options)
    assert build(options).reused
    build(on_face)
    assert open_manifest(tmp_path / "manifests/demo-r8-few.csv").info.square_at == ""


def test_squares_are_placed_only_where_there_are_squares(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="--square-at face: eyes, upper-40 draws no square; only r8, r16, r24 do"):
        complete(BuildOptions(db="demo", modes=("eyes", "upper-40"), square_at="face", out=tmp_path))
    with pytest.raises(UnknownNameError, match="unknown --square-at 'nose'; choose one of: picture, face"):
        complete(BuildOptions(db="demo", modes=("r8",), square_at="nose", out=tmp_path))
