"""A build is no image folder: whatever its files are called, no program takes it for one without a word."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from occsynth.build.guard import write_guards
from occsynth.databases.layout import GUARD, list_folder
from occsynth.manifest import Manifest, Row
from occsynth.sharing.replay import replay
from tests.builds import STEMS, build_demo
from tests.occsynth.exchange.test_export import load  # noqa: F401 - a fixture
from tests.occsynth.synthetic_build import make_build, paired_row

NAMES = {
    "subjects": ("s1/a", "s1/b", "s2/a"),
    "parts in names, as in RAF-DB": ("train_0001_aligned", "test_0001_aligned", "test_0002_aligned"),
    "parts in folders, as in FER2013": ("Training/1", "PublicTest/1", "train/2"),
}


def build_of(root: Path, names: tuple[str, ...]) -> Manifest:
    """A build by hand that lies as builds do."""

    def row_of(number: int) -> Row:
        name = names[number]
        return replace(
            paired_row(number),
            pair_id=name,
            clean=f"data/made-48px/clean/{name}.png",
            occluded=f"data/made-r16/occluded/{name}.png",
            mask=f"data/made-r16/mask/{name}.png",
        )

    manifest = make_build(root, len(names), row_of=row_of, landmarks=False)
    write_guards(root, ["made-r16"], "made-48px")
    return manifest


FOLDERS = ("", "data", "data/made-r16", "data/made-r16/occluded", "data/made-r16/mask", "data/made-48px")


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_datasets_refuses_a_build_and_says_what_to_do(names: tuple[str, ...], tmp_path: Path, load: Any) -> None:  # noqa: F811
    root = tmp_path / "b"
    build_of(root, names)
    for folder in FOLDERS:
        for words in (("imagefolder", str(root / folder)), (str(root / folder), None)):
            with pytest.raises(Exception, match="generating the dataset") as caught:
                load(words[0], data_dir=words[1])
            assert "make one by `occsynth export MANIFEST --to imagefolder -o DIR`" in str(caught.value.__cause__)
    for guard in root.rglob(GUARD):
        shutil.rmtree(guard)
    assert "image" in load("imagefolder", data_dir=str(root))["train"].features, "without the guards it does"


def guards(root: Path) -> set[str]:
    """The folders with a guard, under `data`."""
    return {path.parent.relative_to(root / "data").as_posix() for path in root.rglob(GUARD)}


def test_builds_and_replays_have_guards(tmp_path: Path) -> None:
    manifest = build_demo(tmp_path / "b", "r16", STEMS[:2])[0]
    expected = {"demo-96px/clean", "demo-r16-few/occluded", "demo-r16-few/mask"}
    assert guards(tmp_path / "b") == expected
    replay(manifest, out=tmp_path / "r", workers=1)
    assert guards(tmp_path / "r") == expected


def test_scans_pass_over_them(tmp_path: Path) -> None:
    build_demo(tmp_path, "r16", STEMS[:2])
    listing = list_folder(tmp_path, "data/demo-r16-few/occluded")
    assert (listing.folders, listing.files, listing.faults) == (["images"], [], [])


def test_a_build_of_an_earlier_version_gets_them(tmp_path: Path) -> None:
    build_demo(tmp_path, "r16", STEMS[:2])
    for guard in list(tmp_path.rglob(GUARD)):
        shutil.rmtree(guard)
    build_demo(tmp_path, "r16", STEMS[:2])
    assert len(guards(tmp_path)) == 3


def test_a_build_that_is_made_again_has_no_strays(tmp_path: Path) -> None:
    """A guard is no file of unknown origin, of which a build would warn."""
    from occsynth.build.build import build
    from occsynth.build.options import BuildOptions

    build_demo(tmp_path, "r16", STEMS[:2])
    options = BuildOptions(db="demo", modes=("r16",), out=tmp_path, workers=1, subset=tmp_path / "few.txt")
    assert build(replace(options, overwrite=True)).warnings == []
    assert len(guards(tmp_path)) == 3
