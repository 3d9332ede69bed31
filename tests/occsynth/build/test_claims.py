"""A build replaces only what builds made: finished ones, interrupted ones, and those of version 0.1."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from occsynth.build import build as building
from occsynth.build.build import build
from occsynth.build.claims import only_maker, read_claims
from occsynth.build.options import BuildOptions, complete
from occsynth.errors import BuildError
from occsynth.manifest import open_manifest
from tests.builds import STEMS, files_under

NAME = "demo-r16-few"
MINE = b"mine"


@pytest.fixture
def options(tmp_path: Path) -> BuildOptions:
    (tmp_path / "few.txt").write_text("\n".join(STEMS[:2]))
    return BuildOptions(db="demo", modes=("r16",), out=tmp_path / "out", workers=1, subset=tmp_path / "few.txt")


@pytest.fixture
def whole(options: BuildOptions, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed build makes."""
    out = tmp_path_factory.mktemp("whole")
    build(replace(options, out=out))
    return files_under(out)


def interrupt(options: BuildOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends a build after its images are made."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(building, "merge", killed)
        with pytest.raises(KeyboardInterrupt):
            build(options)


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("times", [1, 3])
def test_images_of_an_interrupted_build_are_its_own(
    options: BuildOptions, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, resume: bool, times: int
) -> None:
    again = replace(options, resume=resume)
    for _ in range(times):
        interrupt(again, monkeypatch)
    for damage in list(options.out.glob("data/*/*/images/*/*.png"))[::2]:
        damage.write_bytes(b"")
    assert not build(again).reused
    assert files_under(options.out) == whole


def test_other_settings_of_the_same_name_continue_over_an_interrupted_build(
    options: BuildOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(options, monkeypatch)
    (options.out.parent / "few.txt").write_text(STEMS[0])
    assert build(options).rows == 1


def test_an_interrupted_build_of_version_0_1_is_continued(
    options: BuildOptions, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lists nothing in its work folder; a later version of occsynth gives that folder another name."""
    interrupt(options, monkeypatch)
    (work,) = options.out.glob(".work/*/")
    (work / "names").unlink()
    work.rename(work.with_name("demo-0123456789abcdef"))
    build(options)
    assert files_under(options.out) == whole


def test_a_build_of_another_mode_shares_clean_images(options: BuildOptions) -> None:
    build(options)
    other = replace(options, modes=("eyes",))
    assert build(other).rows == 2
    assert {"demo-96px", NAME, "demo-eyes-few"} <= read_claims(options.out).finished


@pytest.mark.parametrize("folder", [f"data/{NAME}", "data/demo-96px"])
def test_a_folder_that_no_build_made_is_refused_by_its_first_file(options: BuildOptions, folder: str) -> None:
    for name in ("b.png", "a/holiday.png"):
        path = options.out / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(MINE)
    with pytest.raises(BuildError, match=rf"{folder}/b\.png already exists and was not made by .*--overwrite"):
        build(options)
    assert not (options.out / ".work").exists(), "a refused command leaves nothing"
    (options.out / folder / "b.png").unlink()
    with pytest.raises(BuildError, match=rf"{folder}/a/holiday\.png already exists"):
        build(options)
    shutil.rmtree(options.out / folder / "a")
    (options.out / folder / "c").symlink_to(options.out.parent)
    with pytest.raises(BuildError, match=rf"{folder}/c already exists and was not made by .*--overwrite"):
        build(options)
    (options.out / folder / "c").unlink()
    assert build(options).rows == 2, "an empty folder is nobody's"


@pytest.mark.parametrize("foreign", [b"{}", b'{"name": "demo-r16-few"}', b"", b"\xff", b"[" * 100])
def test_a_json_of_that_name_that_is_no_manifest_is_refused(options: BuildOptions, foreign: bytes) -> None:
    path = options.out / f"manifests/{NAME}.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(foreign)
    with pytest.raises(BuildError, match=rf"{path} already exists and was not made by `occsynth build`"):
        build(options)
    assert path.read_bytes() == foreign


def test_overwrite_removes_what_the_manifest_lists_and_nothing_else(options: BuildOptions) -> None:
    manifest = open_manifest(build(options).manifests[0])
    kept = manifest.root / f"data/{NAME}/occluded/images/holiday.png"
    kept.write_bytes(MINE)
    (manifest.root / f"data/{NAME}/link").symlink_to(options.out.parent)
    listed = [manifest.file(row.occluded) for row in manifest.rows()]
    (options.out.parent / "few.txt").write_text(STEMS[0])
    report = build(replace(options, overwrite=True))
    assert [path.is_file() for path in listed] == [True, False]
    assert not listed[1].parent.exists(), "a folder that became empty goes too"
    assert kept.read_bytes() == MINE and (options.out.parent / "few.txt").is_file()
    assert any("holds 2 files that no manifest lists" in warning for warning in report.warnings)


def test_overwrite_says_nothing_of_the_leftovers_of_an_interrupted_build(
    options: BuildOptions, whole: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(options, monkeypatch)
    report = build(replace(options, overwrite=True))
    assert not any("no manifest lists" in warning for warning in report.warnings)
    assert files_under(options.out) == whole


def test_overwrite_of_a_damaged_or_hostile_manifest_removes_nothing_outside(options: BuildOptions) -> None:
    manifest = open_manifest(build(options).manifests[0])
    rows = manifest.path.read_text().replace(f"data/{NAME}/occluded", f"data/{NAME}/../../precious")
    manifest.path.write_text(rows + "half,a,line\n")
    precious = options.out / "precious" / next(manifest.rows()).occluded.partition("precious/")[2]
    precious.parent.mkdir(parents=True)
    precious.write_bytes(MINE)
    build(replace(options, overwrite=True))
    assert precious.read_bytes() == MINE


def test_a_raw_root_that_contains_the_build_root_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    for name in ("anger", "happy"):
        (tmp_path / "raw" / name).mkdir(parents=True)
    options = BuildOptions(db="folder", modes=("r8",), root=tmp_path / "raw", out=tmp_path / "raw/builds")
    with pytest.raises(BuildError, match="which is never written to; type --out "):
        complete(options)
    with pytest.raises(BuildError, match="which is never written to"):
        build(options)
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == ["anger", "happy"]


def test_claims_survive_nonsense_in_the_build_root(tmp_path: Path) -> None:
    for path, text in (
        (".work/demo-0/names", "{"),
        (".work/kdef-0/names", json.dumps({"names": [1, "kdef-r8"]})),
        (".work/replay-ck+-r8/x", ""),
        ("manifests/a.json", "[]"),
        ("manifests/b.json", json.dumps(dict.fromkeys(("schema", "name", "database", "mode", "withheld"), 0))),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    claims = read_claims(tmp_path)
    assert "demo-r8" in claims and "kdef-r8" in claims and "ck+-r8" in claims and "b" in claims
    assert "kdef-r16" not in claims and "a" not in claims and "" not in read_claims(tmp_path / "none")


def test_two_builds_of_one_name_do_not_meet(options: BuildOptions, tmp_path: Path) -> None:
    """Their lists differ, so they have a work folder each."""
    with (
        only_maker(options.out, [NAME], "occsynth replay"),
        pytest.raises(
            BuildError, match=rf"{NAME} is being made under .* by `occsynth replay` \(process .*, since .*wait"
        ),
    ):
        build(options)
    assert not files_under(options.out).keys() - {f".work/.{NAME}.owner.lock"}
    assert build(options).rows == 2
