"""Build, verify, publish and replay through the command line; tampering is found."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from occsynth.cli.app import app
from occsynth.databases.roots import raw_root
from occsynth.manifest import open_manifest
from occsynth.pixels.images import encode, read_grey, read_rgb

DEMO_IMAGES = raw_root("demo", None) / "images"


def run(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build of 14 demo faces."""
    folder = tmp_path_factory.mktemp("built")
    stems = sorted(path.stem for path in DEMO_IMAGES.rglob("*.jpg"))[:14]
    (folder / "few.txt").write_text("\n".join(stems))
    run("build", "--db", "demo", "--mode", "r16", "--subset", folder / "few.txt", "--out", folder / "b", "--workers", 1)
    return folder / "b"


def copy(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "b")
    return tmp_path / "b" / "manifests" / "demo-r16-few.csv"


def problems(manifest: Path) -> str:
    result = CliRunner().invoke(app, ["verify", str(manifest), "--workers", "1"])
    assert result.exit_code == 1
    return result.output


def test_a_build_verifies(built: Path) -> None:
    manifest = built / "manifests" / "demo-r16-few.csv"
    assert "14 rows match" in run("verify", manifest, "--root", raw_root("demo", None), "--workers", 1)


def test_a_published_manifest_names_nobody_and_comes_back_whole(built: Path, tmp_path: Path) -> None:
    original = built / "manifests" / "demo-r16-few.csv"
    run("publish", original, "-o", tmp_path / "p.csv")
    for path in (tmp_path / "p.csv", tmp_path / "p.json"):
        assert not any(word in path.read_text() for word in ("s001", "s002", "anger", ".jpg", "images/"))
    run("replay", tmp_path / "p.csv", "--out", tmp_path / "r", "--workers", 1)
    assert (tmp_path / "r/manifests/demo-r16-few.csv").read_bytes() == original.read_bytes()
    for path in (built / "data").rglob("*.png"):
        assert (tmp_path / "r" / path.relative_to(built)).read_bytes() == path.read_bytes()
    run("verify", tmp_path / "r/manifests/demo-r16-few.csv", "--workers", 1)


def test_verify_finds_changed_pixels_and_missing_files(built: Path, tmp_path: Path) -> None:
    path = copy(built, tmp_path)
    manifest = open_manifest(path)
    first, second = list(manifest.rows())[:2]
    occluded = read_rgb(manifest.file(first.occluded))
    outside = np.argwhere(read_grey(manifest.file(first.mask)) == 0)[0]
    occluded[outside[0], outside[1]] ^= 1
    manifest.file(first.occluded).write_bytes(encode(occluded, "png"))
    manifest.file(second.mask).unlink()
    found = problems(path)
    assert f"{first.pair_id}\t{first.occluded}: its pixels do not match the manifest" in found
    assert f"{first.pair_id}\tclean and occluded differ in 1 pixels outside the mask" in found
    assert f"{second.pair_id}\t{second.mask}: file not found" in found


def test_verify_finds_a_subject_in_two_folds(built: Path, tmp_path: Path) -> None:
    path = copy(built, tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    lines[1] = lines[1].replace(",s001,anger,,0,", ",s001,anger,,5,")
    path.write_text("".join(lines))
    assert "subject s001 is in fold 5 and in fold 0" in problems(path)


def test_replay_says_whether_file_or_recipe_differs(built: Path, tmp_path: Path) -> None:
    path = copy(built, tmp_path)
    raw = tmp_path / "raw"
    shutil.copytree(raw_root("demo", None), raw, ignore=shutil.ignore_patterns("s0[1-4]*"))
    row = next(open_manifest(path).rows())
    other = sorted((raw / "images" / "s002").glob("*.jpg"))[0]
    shutil.copyfile(other, raw / row.source)
    words = ["replay", str(path), "--root", str(raw), "--out", str(tmp_path / "r"), "--workers", "1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert f"source {row.source} is not the file that the manifest was built from" in result.output
    assert not list((tmp_path / "r" / "manifests").glob("*few.csv"))
