"""A scan never takes for sources what occsynth or occfer made inside a raw root."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.databases import DATABASES, find_database
from occsynth.databases.own_folders import is_own_folder, made_here
from occsynth.databases.record import FaceRecord, ScanItem
from occsynth.ownership import owned_folder
from tests.occsynth.databases.trees import TREES, kdef, put, write
from tests.occsynth.synthetic_build import make_build

Make = Callable[[Path], None]
BUILT = "data/kdef-r16/occluded/KDEF/AF01/AF01ANS.png"


def build_root(folder: Path) -> None:
    make_build(folder, 1)
    put(folder / BUILT)


def unfinished_build_root(folder: Path) -> None:
    put(folder / BUILT)
    (folder / ".work/kdef-0123456789abcdef").mkdir(parents=True)


def run_of_version_0_1(folder: Path) -> None:
    write(folder / "environment.json", json.dumps({"command": "occfer train", "versions": {}, "device": "CPU"}))
    put(folder / "AF01ANS.png")


def claimed_folder(folder: Path) -> None:
    with owned_folder(folder, "occfer evaluate", ValueError):
        put(folder / "AF01ANS.png")


KINDS = [build_root, unfinished_build_root, run_of_version_0_1, claimed_folder]


def scanned(key: str, root: Path) -> tuple[list[ScanItem], list[str]]:
    """What a scan yields, apart from own folders; and these folders."""
    items = list(find_database(key).scan(root, DATABASES[key].variants[0].name))
    own = [item.source for item in items if is_own_folder(item)]
    return [item for item in items if not is_own_folder(item)], own


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("key", DATABASES)
def test_a_scan_finds_the_same_with_own_folders_inside(key: str, make: Make, tmp_path: Path) -> None:
    TREES[key](tmp_path)
    before, _ = scanned(key, tmp_path)
    folders = [tmp_path, *(path for path in sorted(tmp_path.rglob("*")) if path.is_dir())]
    for place in {folders[0], folders[len(folders) // 2], folders[-1]}:
        make(place / "results")
    after, own = scanned(key, tmp_path)
    assert after == before
    assert all(source.rpartition("/")[2] == "results" for source in own)


@pytest.mark.parametrize("make", KINDS)
def test_the_folder_that_was_left_out_is_named_once(make: Make, tmp_path: Path) -> None:
    put(tmp_path / "AF01/AF01AFS.JPG")
    make(tmp_path / "AF01" / "results")
    items, own = scanned("kdef", tmp_path)
    assert own == ["AF01/results"]
    assert [type(item) for item in items] == [FaceRecord]


def test_a_raw_root_that_was_taken_for_a_build_root_is_read_without_its_parts(tmp_path: Path) -> None:
    """As version 0.1 allowed it: the parts of the build lie beside the pictures."""
    kdef(tmp_path)
    shutil.move(tmp_path / "KDEF", tmp_path / "pictures")
    put(tmp_path / "data/of my own/BF01AFS.JPG")
    before, _ = scanned("kdef", tmp_path)
    described = make_build(tmp_path / "elsewhere", 1).beside(".json").read_bytes()
    shutil.rmtree(tmp_path / "elsewhere")
    write(tmp_path / "manifests/kdef-r16.json", described)
    put(tmp_path / BUILT)
    put(tmp_path / "cache/landmarks/BF02AFS.JPG")
    after, own = scanned("kdef", tmp_path)
    assert after == before
    assert {"manifests", "cache", "data/kdef-r16"} <= set(own) and "data" not in own


@pytest.mark.parametrize(
    "names",
    [
        ("data/origin/a.jpg", "manifests/labels.csv"),
        ("data/a.jpg", "manifests/notes.json"),
        ("manifests/x.json",),
        ("cache/landmarks/a.npz",),
        ("config.json", "metrics.json"),
        ("environment.json",),
    ],
)
def test_folders_of_the_same_names_are_the_databases_own(names: tuple[str, ...], tmp_path: Path) -> None:
    for name in names:
        write(tmp_path / name, '{"command": "none"}')
    assert not made_here(tmp_path)
    assert not any(made_here(path) for path in tmp_path.rglob("*") if path.is_dir())


def test_a_second_build_has_as_many_pictures_as_the_first_and_says_what_it_left_out(tmp_path: Path) -> None:
    for number, code in enumerate(("AF", "AN", "DI"), 1):
        put(tmp_path / f"raw/AF01/AF01{code}S.JPG", number, side_px=256)
    options = BuildOptions(
        db="kdef", modes=("r8",), root=tmp_path / "raw", out=tmp_path / "builds", workers=1, align="none"
    )
    first = build(options)
    shutil.move(tmp_path / "builds", tmp_path / "raw/builds")
    second = build(options)
    assert (second.rows, second.sources) == (first.rows, first.sources) == (3, 3)
    assert second.warnings[0] == f"{tmp_path / 'raw/builds'} was left out: occsynth or occfer made it"
    assert not any("left out" in warning for warning in first.warnings)
