"""What is left of a replay that was stopped, or becomes of a finished one: the same command ends in the same bytes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from occsynth.errors import OccSynthError
from occsynth.manifest import open_manifest
from occsynth.sharing import replay as replay_module
from occsynth.sharing.replay import ReplayReport, replay
from tests.builds import STEMS, build_demo, files_under
from tests.occsynth.damages import DAMAGES, damage


@pytest.fixture(scope="module", params=["png", "jpeg"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a build of three faces."""
    root = tmp_path_factory.mktemp("built")
    return build_demo(root, "r16", STEMS[:3], size_px=32, image_format=request.param)[0].path


@pytest.fixture(scope="module")
def whole(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed replay."""
    out = tmp_path_factory.mktemp("whole")
    again(built, out)
    return out


@pytest.fixture(scope="module")
def stopped(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A replay whose process ended just before it wrote its manifest."""
    out = tmp_path_factory.mktemp("stopped")

    def killed() -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(replay_module, "flush_all_to_disk", killed)
        again(built, out)
    assert not list((out / "manifests").iterdir())
    return out


def again(manifest: Path, out: Path, *, overwrite: bool = False) -> ReplayReport:
    return replay(open_manifest(manifest), out=out, workers=1, overwrite=overwrite)


IMAGES = ("clean", "occluded", "mask")


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("role", IMAGES)
@pytest.mark.parametrize("state", ["stopped", "finished"])
def test_a_damaged_image_is_made_again(
    built: Path, whole: Path, stopped: Path, tmp_path: Path, state: str, role: str, how: str
) -> None:
    out = shutil.copytree(stopped if state == "stopped" else whole, tmp_path / "out")
    first, second = sorted((out / "data").glob(f"*/{role}/images/**/*.*"))[:2]
    damage(first, DAMAGES[how](first, second))
    try:
        report = again(built, out)
    except OccSynthError as error:  # a clean image that still is one may belong to another build
        assert role == "clean" and str(first) in str(error) and "remove it" in str(error)
        first.unlink()
        report = again(built, out)
    assert report.rows == 3
    assert files_under(out) == files_under(whole)


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("ending", [".csv", ".json", ".rejects.csv", ".landmarks.npz"])
def test_a_damaged_manifest_is_replaced_or_the_flag_is_named(
    built: Path, whole: Path, tmp_path: Path, ending: str, how: str
) -> None:
    out = shutil.copytree(whole, tmp_path / "out")
    name = built.name.removesuffix(".csv")
    path = out / "manifests" / f"{name}{ending}"
    damage(path, DAMAGES[how](path, out / "manifests" / f"{name}.json"))
    try:
        again(built, out)
    except OccSynthError as error:
        assert name in str(error) and "--overwrite" in str(error)
        again(built, out, overwrite=True)
    assert files_under(out) == files_under(whole)


STRANGE: dict[str, Callable[[Path], object]] = {
    "a file cut short": lambda work: (work / ".0123.part").write_bytes(b"\x89PNG"),
    "rows of a published manifest": lambda work: (work / "rows.csv").write_bytes(b"\xff\0"),
    "names that are no JSON": lambda work: (work / "names").write_bytes(b"\xff\0"),
}


@pytest.mark.parametrize("what", STRANGE)
def test_what_lies_in_the_work_folder_does_not_matter(
    built: Path, whole: Path, stopped: Path, tmp_path: Path, what: str
) -> None:
    out = shutil.copytree(stopped, tmp_path / "out")
    (work,) = (path for path in (out / ".work").iterdir() if path.is_dir())
    STRANGE[what](work)
    try:
        again(built, out)
    except OccSynthError as error:  # who made the images is told by the names alone
        assert "names" in what and "--overwrite" in str(error)
        again(built, out, overwrite=True)
    assert files_under(out) == files_under(whole)
