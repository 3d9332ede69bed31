"""What a kill, a power failure or a bad disk leaves of a build: the same command ends in the same bytes, and says it.

Each test takes a build that was stopped before its merge, damages one file in one way, and builds again.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from occsynth.build import build as build_module
from occsynth.build import merge as merge_module
from occsynth.build import record_index
from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.build.part_files import read_part
from occsynth.build.record_index import RecordIndex
from occsynth.build.report import BuildReport
from occsynth.databases import DATABASES
from occsynth.databases.record import FaceRecord
from occsynth.errors import BuildError, OccSynthError
from occsynth.files import flush_all_to_disk
from occsynth.pixels.images import encode, read_grey, read_rgb
from tests.builds import DEMO_ROOT, STEMS
from tests.occsynth.build.test_build import options, tree
from tests.occsynth.damages import DAMAGES, damage

MODES = "r16,mouth"


def chosen(root: Path, image_format: str) -> BuildOptions:
    return options(root, MODES, size_px=32, subset=root.parent / "few.txt", image_format=image_format)


def stopped_build(root: Path, image_format: str) -> None:
    """A build in chunks of two faces whose process ended just before its merge."""
    (root.parent / "few.txt").write_text("\n".join(STEMS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_index, "CHUNK_RECORDS", 2)

        def killed(*_: object) -> BuildReport:
            raise KeyboardInterrupt

        patch.setattr(build_module, "merge", killed)
        with pytest.raises(KeyboardInterrupt):
            build(chosen(root, image_format))


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_index, "CHUNK_RECORDS", 2)


@pytest.fixture(scope="module", params=["png", "jpeg"])
def stopped(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    root = tmp_path_factory.mktemp("stopped") / "out"
    stopped_build(root, request.param)
    return root, request.param


@pytest.fixture(scope="module")
def whole(stopped: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed build makes."""
    root = tmp_path_factory.mktemp("whole") / "out"
    (root.parent / "few.txt").write_text("\n".join(STEMS))
    report = build(chosen(root, stopped[1]))
    assert report.warnings == []
    return tree(root)


Files = list[Path]
TARGETS: dict[str, Callable[[Path], Files]] = {
    "part": lambda root: sorted((root / ".work").glob("*/*.json")),
    "points": lambda root: sorted((root / ".work").glob("*/*.points")),
    "clean": lambda root: sorted((root / "data").glob("demo-32px*/clean/images/**/*.*")),
    "occluded": lambda root: sorted((root / "data").glob("*/occluded/images/**/*.*")),
    "mask": lambda root: sorted((root / "data").glob("*/mask/images/**/*.*")),
}
"""The files of a kind."""


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("target", TARGETS)
def test_a_damaged_file_is_made_again_and_said(
    stopped: tuple[Path, str], whole: dict[str, bytes], tmp_path: Path, target: str, how: str
) -> None:
    root = shutil.copytree(stopped[0], tmp_path / "out")
    shutil.copy(stopped[0].parent / "few.txt", tmp_path)
    first, second = TARGETS[target](root)[:2]
    damage(first, DAMAGES[how](first, second))
    report = build(chosen(root, stopped[1]))
    assert tree(root) == whole
    if (target, how) == ("part", "missing"):
        assert report.warnings == [], "the chunk had not been finished, which is no damage"
    else:
        (warning,) = report.warnings
        assert warning.startswith("finished chunks of an interrupted build that were made again: 1; ")
        assert first.name in warning


@pytest.mark.parametrize("how", ["one bit", "zeros", "half"])
def test_every_file_at_once_may_be_damaged(
    stopped: tuple[Path, str], whole: dict[str, bytes], tmp_path: Path, how: str
) -> None:
    """Part files and images together: only a clean image that still is an image would be taken for another build's."""
    root = shutil.copytree(stopped[0], tmp_path / "out")
    shutil.copy(stopped[0].parent / "few.txt", tmp_path)
    for target, find in TARGETS.items():
        for path in find(root):
            damage(path, DAMAGES["zeros" if target == "clean" else how](path, path))
    report = build(chosen(root, stopped[1]))
    assert tree(root) == whole
    assert report.warnings[0].startswith("finished chunks of an interrupted build that were made again: 3; ")


def test_an_image_that_is_far_too_large_is_not_read(stopped: tuple[Path, str], tmp_path: Path) -> None:
    root = shutil.copytree(stopped[0], tmp_path / "out")
    shutil.copy(stopped[0].parent / "few.txt", tmp_path)
    for target in ("clean", "occluded", "mask"):
        os.truncate(TARGETS[target](root)[0], 2**40)
    assert "were made again" in build(chosen(root, stopped[1])).warnings[0]
    assert all(path.stat().st_size < 2**20 for target in TARGETS for path in TARGETS[target](root))


def test_other_pixels_in_an_image_are_found(stopped: tuple[Path, str], whole: dict[str, bytes], tmp_path: Path) -> None:
    """A whole, readable image of the right size with one other pixel."""
    root = shutil.copytree(stopped[0], tmp_path / "out")
    shutil.copy(stopped[0].parent / "few.txt", tmp_path)
    for target in ("clean", "occluded", "mask"):
        path = TARGETS[target](root)[0]
        pixels = (read_grey if target == "mask" else read_rgb)(path).copy()
        pixels[5, 5] ^= 255
        path.write_bytes(encode(pixels, "png" if target == "mask" else stopped[1]))
    build(chosen(root, stopped[1]))
    assert tree(root) == whole


def test_damage_beside_chunks_that_are_not_done_yet(
    stopped: tuple[Path, str], whole: dict[str, bytes], tmp_path: Path
) -> None:
    root = shutil.copytree(stopped[0], tmp_path / "out")
    shutil.copy(stopped[0].parent / "few.txt", tmp_path)
    TARGETS["part"](root)[0].unlink()  # killed before the first chunk was done
    for path in TARGETS["clean"](root):
        path.write_bytes(bytes(path.stat().st_size))
    build(chosen(root, stopped[1]))
    assert tree(root) == whole


def test_files_of_version_0_1_do_not_disturb(
    stopped: tuple[Path, str], whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Its part files held neither checksums nor the names of files; its work folder noted the records."""
    root = shutil.copytree(stopped[0], tmp_path / "out")
    shutil.copy(stopped[0].parent / "few.txt", tmp_path)
    for path in TARGETS["part"](root):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({name: content[name] for name in ("rows", "rejects")}))
        path.with_name("records.sha256").write_bytes(b"\xff\xfe\0binary")
    build(chosen(root, stopped[1]))
    assert tree(root) == whole


def test_parts_of_other_records_are_made_again(tmp_path: Path) -> None:
    """A list of images that grew moves the others to other chunks."""
    root = tmp_path / "out"
    stopped_build(root, "png")
    number, records = next(index_of(root).chunks())
    assert read_part(work_folder(root), number, records).rows["r16"]
    with pytest.raises(BuildError, match="made from other records"):
        read_part(work_folder(root), number, [replace(records[0], fold=7), *records[1:]])
    with pytest.raises(BuildError, match="cannot be read"):
        read_part(work_folder(root), 99, records)


def work_folder(root: Path) -> Path:
    (work,) = (path for path in (root / ".work").iterdir() if path.is_dir())
    return work


def index_of(root: Path) -> RecordIndex:
    index = RecordIndex(root / "again.sqlite")
    index.add(
        each
        for each in DATABASES["demo"].scan(DEMO_ROOT, "default")
        if isinstance(each, FaceRecord) and Path(each.source).stem in STEMS
    )
    return index


def test_no_flipped_bit_of_a_part_gets_through(tmp_path: Path) -> None:
    """Every bit of the JSON's ends and of every seventh byte, and of the points likewise."""
    root = tmp_path / "out"
    stopped_build(root, "png")
    number, records = next(index_of(root).chunks())
    work = work_folder(root)
    good = read_part(work, number, records)
    for path in (TARGETS["part"](root)[number], TARGETS["points"](root)[number]):
        content = path.read_bytes()
        for place in [*range(0, len(content), 7), *range(40), *range(len(content) - 40, len(content))]:
            changed = bytearray(content)
            changed[place] ^= 1 << place % 8
            path.write_bytes(changed)
            try:
                part = read_part(work, number, records)
            except BuildError:
                continue
            assert (part.rows, part.rejects, part.files) == (good.rows, good.rejects, good.files)
            assert part.points_xy.tobytes() == good.points_xy.tobytes()
        path.write_bytes(content)


FINISHED: dict[str, Callable[[Path], Files]] = {
    **{name: TARGETS[name] for name in ("clean", "occluded", "mask")},
    "few.csv": lambda root: sorted((root / "manifests").glob("*few.csv")),
    "few.json": lambda root: sorted((root / "manifests").glob("*.json")),
    "rejects": lambda root: sorted((root / "manifests").glob("*.rejects.csv")),
    "landmarks": lambda root: sorted((root / "manifests").glob("*.npz")),
}


@pytest.mark.parametrize("how", ["missing", "empty", "half", "zeros"])
@pytest.mark.parametrize("target", FINISHED)
def test_a_finished_build_is_repaired_too(tmp_path: Path, target: str, how: str) -> None:
    """What a power failure leaves is found by running the command again; a damaged JSON says nothing, so it asks."""
    root = tmp_path / "out"
    (tmp_path / "few.txt").write_text("\n".join(STEMS[:3]))
    build(chosen(root, "png"))
    before = tree(root)
    path = FINISHED[target](root)[0]
    damage(path, DAMAGES[how](path, path))
    try:
        report = build(chosen(root, "png"))
    except OccSynthError as error:
        assert target == "few.json"
        assert path.stem in str(error) and "--overwrite" in str(error)
        report = build(replace(chosen(root, "png"), overwrite=True))
    else:
        assert (target, how) == ("few.csv", "missing") or path.name in report.warnings[0]
    assert not report.reused
    assert tree(root) == before


def test_all_images_are_on_the_disk_before_a_manifest_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "out"
    (tmp_path / "few.txt").write_text("\n".join(STEMS[:3]))
    there: list[tuple[int, int]] = []

    def flush() -> None:
        there.append((len(list(root.rglob("data/**/*.png"))), len(list((root / "manifests").iterdir()))))
        flush_all_to_disk()

    monkeypatch.setattr(merge_module, "flush_all_to_disk", flush)
    build(chosen(root, "png"))
    assert there == [(3 * 5, 0)]


@pytest.mark.parametrize("moved", range(8))
def test_a_build_killed_between_its_last_files_is_completed(
    stopped: tuple[Path, str], whole: dict[str, bytes], tmp_path: Path, moved: int
) -> None:
    """Two modes with four files each are moved into place; some of them are, when the process ends."""
    root = shutil.copytree(stopped[0], tmp_path / "out")
    shutil.copy(stopped[0].parent / "few.txt", tmp_path)
    done: list[Path] = []

    def move(finished: Path, path: Path) -> None:
        if len(done) == moved:
            raise KeyboardInterrupt
        done.append(path)
        finished.replace(path)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(merge_module, "_move", move)
        build(chosen(root, stopped[1]))
    report = build(chosen(root, stopped[1]))
    assert report.warnings == []
    assert tree(root) == whole
