"""Manifests that version 0.1 wrote, plain and published, replay to the same pixels and go on being usable."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.build.remake_landmarks import remake_landmarks
from occsynth.cli.app import app
from occsynth.errors import BuildError
from occsynth.manifest import Manifest, open_manifest
from occsynth.sharing.publish import publish
from occsynth.sharing.replay import replay
from occsynth.sharing.verify import verify
from tests.builds import DEMO_ROOT, files_under

PLAIN = Path(__file__).parent / "schema_1" / "plain"
PUBLISHED = Path(__file__).parent / "schema_1" / "published"
NAMES = sorted(path.name for path in PLAIN.glob("*.csv"))
LIST = "".join(
    f"{person}_{word}\n"
    for person in ("s003", "s014", "s027")
    for word in ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
)


def test_every_mode_of_that_version_is_there() -> None:
    infos = [open_manifest(folder / name).info for folder in (PLAIN, PUBLISHED) for name in NAMES]
    assert {info.schema for info in infos} == {1}
    assert {(info.mode, info.fill) for info in infos} == {
        ("r16", "noise"),
        *((mode, "template") for mode in ("random", "eyes", "mouth", "r8", "r16", "r24")),
    }


@pytest.mark.parametrize("name", NAMES)
def test_plain_and_published_replay_to_the_same_pixels(name: str, tmp_path: Path) -> None:
    """A replay compares every image with its hash; a published one brings back the very rows of the plain one."""
    original = open_manifest(PLAIN / name)
    for folder in (PLAIN, PUBLISHED):
        out = tmp_path / folder.name
        again = replay(open_manifest(folder / name), out=out, workers=1)
        assert (again.rows, again.warnings) == (21, [])
        assert again.manifest.read_bytes() == original.path.read_bytes()
        assert open_manifest(again.manifest).info == original.info
        assert verify(open_manifest(again.manifest), raw_root=DEMO_ROOT, workers=1).problems == []
    assert files_under(tmp_path / "plain") == files_under(tmp_path / "published")


def finished(tmp_path: Path, mode: str) -> Manifest:
    """A finished build of version 0.1, with all that lies beside its manifest."""
    again = replay(open_manifest(PLAIN / f"demo-{mode}-three.csv"), out=tmp_path / "b", workers=1)
    manifest = open_manifest(again.manifest)
    remake_landmarks(manifest)
    manifest.beside(".rejects.csv").write_text("source,reason\n")
    return manifest


def options(tmp_path: Path, *modes: str) -> BuildOptions:
    (tmp_path / "three.txt").write_text(LIST)
    return BuildOptions("demo", modes, subset=tmp_path / "three.txt", out=tmp_path / "b", workers=1)


def test_a_finished_build_is_kept_and_the_warning_says_what_it_tells(tmp_path: Path) -> None:
    manifest = finished(tmp_path, "r16")
    before = files_under(tmp_path / "b")
    report = build(options(tmp_path, "r16"))
    assert report.reused
    (warning,) = report.warnings
    assert warning.startswith(
        f"{manifest.path} has manifest schema 1: if it is published, its occlusions confirm a guess"
    )
    assert files_under(tmp_path / "b") == before
    build(replace(options(tmp_path, "r16"), overwrite=True))
    fresh = open_manifest(manifest.path)
    assert fresh.info.schema == 2
    assert verify(fresh, raw_root=DEMO_ROOT, workers=1).problems == []
    assert not build(options(tmp_path, "r16")).warnings


def test_a_build_never_holds_both_streams(tmp_path: Path) -> None:
    """What would make a build of schema 1 again without being told to is refused, and nothing of it is touched."""
    manifest = finished(tmp_path, "r16")
    before = files_under(tmp_path / "b")
    with pytest.raises(BuildError, match=r"schema 1, and not all modes are there\. Build the missing ones"):
        build(options(tmp_path, "r16", "eyes"))
    assert files_under(tmp_path / "b") == before
    assert not build(options(tmp_path, "eyes")).reused
    assert {name: content for name, content in files_under(tmp_path / "b").items() if name in before} == before
    mask = manifest.file(next(manifest.rows()).mask)
    mask.unlink()
    with pytest.raises(
        BuildError, match=r"schema 1, but .* is missing or damaged\. `occsynth replay` makes its images"
    ):
        build(options(tmp_path, "r16"))
    assert manifest.path.is_file()
    again = replay(manifest, out=tmp_path / "repaired", workers=1)
    assert again.manifest.read_bytes() == manifest.path.read_bytes()


def test_an_unfinished_build_begins_anew(tmp_path: Path) -> None:
    """Its work folder has another name, and what it left in the build root is replaced."""
    manifest = finished(tmp_path, "r16")
    for path in manifest.path.parent.iterdir():
        path.unlink()
    left = tmp_path / "b/.work/demo-0123456789abcdef"
    left.mkdir(parents=True)
    report = build(options(tmp_path, "r16"))
    assert (report.rows, report.reused, report.warnings) == (21, False, [])
    fresh = open_manifest(report.manifests[0])
    assert fresh.info.schema == 2
    assert verify(fresh, raw_root=DEMO_ROOT, workers=1).problems == []


def test_publishing_it_warns_and_leaves_the_digests_out(tmp_path: Path) -> None:
    for ending in (".csv", ".json"):
        shutil.copy(PLAIN / f"demo-eyes-three{ending}", tmp_path)
    result = CliRunner().invoke(app, ["publish", str(tmp_path / "demo-eyes-three.csv"), "-o", str(tmp_path / "p.csv")])
    assert result.exit_code == 0
    assert "schema 1: its occlusions were drawn from the names of the pictures" in result.output
    published = open_manifest(tmp_path / "p.csv")
    assert (published.info.schema, published.info.subset_sha256) == (1, "")
    assert "records_sha256" not in published.info.notes
    assert (
        publish(open_manifest(PLAIN / "demo-eyes-three.csv"), tmp_path / "again/p.csv").read_bytes()
        == (tmp_path / "p.csv").read_bytes()
    )
    assert published.path.read_bytes() == (PUBLISHED / "demo-eyes-three.csv").read_bytes()
