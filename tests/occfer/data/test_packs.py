"""Packs: decoded once, checked against the manifest, shared by processes, made again when stale."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from occfer.data.manifests import read_corpus
from occfer.data.packs import ImagePack, open_packs, resize
from occfer.errors import DataError
from tests.occfer.damage import DAMAGES, damage
from tests.occfer.toy_builds import Build, edited, pictures, without_clean

MakeBuild = Callable[..., Path]


def pack_of(manifest: Path, size_px: int = 24, cache_dir: Path | None = None) -> ImagePack:
    return open_packs(read_corpus([manifest]), size_px, cache_dir)[0]


def test_a_pack_holds_the_pictures_in_the_order_of_the_rows(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=2)
    pack = pack_of(manifest)
    samples = read_corpus([manifest]).samples
    assert pack.clean.shape == pack.occluded.shape == (14, 24, 24, 3)
    assert pack.clean.dtype == np.uint8
    assert pack.resized == 0
    for index, sample in enumerate(samples):
        clean, occluded, _ = pictures(Build(), int(sample.subject[1:]), sample.expression)
        assert (pack.clean[index] == clean).all()
        assert (pack.occluded[index] == occluded).all()


def test_a_pack_is_memory_mapped_and_made_once(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=2)
    done: list[tuple[int, int]] = []
    corpus = read_corpus([manifest])
    first = open_packs(corpus, 24, on_progress=lambda *step: done.append(step))[0]
    assert done[-1] == (14, 14)
    assert first.folder.parent == manifest.parents[1] / "cache" / "packs"
    assert isinstance(first.clean, np.memmap)
    first.clean[0] = 0  # stays in memory
    stamp = (first.folder / "clean.npy").stat().st_mtime_ns
    second = open_packs(corpus, 24, on_progress=lambda *step: done.append(step))[0]
    assert len(done) == 14
    assert second.clean[0].any()
    assert (second.folder / "clean.npy").stat().st_mtime_ns == stamp


def test_a_pack_of_a_changed_manifest_is_made_again_and_the_stale_one_removed(make_build: MakeBuild) -> None:
    old = pack_of(make_build(subjects=2))
    other_name = pack_of(make_build(subjects=2, name="toy-r16-24px-black", mode="r8"))
    new = pack_of(make_build(subjects=3))
    assert new.folder != old.folder
    assert not old.folder.exists()
    assert other_name.folder.exists()
    assert len(new.clean) == 21


def test_manifests_that_share_a_cache_folder_keep_their_packs(make_build: MakeBuild, tmp_path: Path) -> None:
    """A part of a manifest, whose JSON names the whole, and a build of the same name in another folder."""
    whole = make_build(subjects=2)
    part = whole.with_name("part.csv")
    part.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:8]))
    shutil.copy(whole.with_suffix(".json"), part.with_suffix(".json"))
    moved = shutil.copytree(whole.parents[1], tmp_path / "other") / "manifests" / whole.name
    lines = moved.read_bytes().splitlines(keepends=True)
    moved.write_bytes(b"".join(lines[:-1]))
    cache = tmp_path / "shared-cache"
    packs = [pack_of(each, cache_dir=cache) for each in (whole, part, moved)]
    assert [len(pack.clean) for pack in packs] == [14, 7, 13]
    assert all(pack.folder.is_dir() for pack in packs)
    moved.unlink()
    whole.write_bytes(b"".join(lines[:-2]))
    assert len(pack_of(whole, cache_dir=cache).clean) == 12
    assert [pack.folder.exists() for pack in packs] == [False, True, False]


def test_packs_of_two_sizes_exist_side_by_side(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=1)
    own, small, large = (pack_of(manifest, size) for size in (24, 16, 32))
    assert (own.resized, small.resized, large.resized) == (0, 14, 14)
    assert own.folder.exists() and small.folder.exists()
    shrunk = cv2.resize(np.array(own.clean[3]), (16, 16), interpolation=cv2.INTER_AREA)
    grown = cv2.resize(np.array(own.clean[3]), (32, 32), interpolation=cv2.INTER_LINEAR)
    assert (small.clean[3] == shrunk).all()
    assert (large.clean[3] == grown).all()
    assert resize(np.zeros((10, 40, 3), np.uint8), 20).shape == (20, 20, 3)


def test_pairs_without_a_clean_image_are_zero_there(make_build: MakeBuild) -> None:
    pack = pack_of(make_build(subjects=1, mode="real", edit=edited(without_clean)))
    assert not pack.clean.any()
    assert pack.occluded.any()


def test_changed_pixels_are_an_error_that_names_the_file_and_verify(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=1)
    path = manifest.parents[1] / read_corpus([manifest]).samples[2].occluded
    image = np.array(cv2.imread(str(path)), dtype=np.uint8)
    image[0, 0] ^= 1
    cv2.imwrite(str(path), image)
    with pytest.raises(DataError, match=r"s000_fear\.png: its pixels are not those.*`occsynth verify"):
        pack_of(manifest)
    assert not list((manifest.parents[1] / "cache" / "packs").glob("*/"))


def test_files_that_are_not_images_are_named(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=1)
    samples = read_corpus([manifest]).samples
    (manifest.parents[1] / samples[0].clean).write_bytes(b"")
    with pytest.raises(DataError, match=r"s000_anger\.png is not an image that OpenCV can decode"):
        pack_of(manifest)
    (manifest.parents[1] / samples[0].clean).unlink()
    with pytest.raises(DataError, match=r"s000_anger\.png cannot be read: No such file.*whether the build is complete"):
        pack_of(manifest)


def test_images_of_lossy_builds_are_not_compared_with_hashes(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=1, edit=edited(lambda row: replace(row, clean_pixels_sha256="0" * 64)))
    with pytest.raises(DataError, match=r"its pixels are not those"):
        pack_of(manifest)
    info = manifest.with_suffix(".json")
    info.write_text(info.read_text().replace('"format": "png"', '"format": "jpeg"'))
    assert len(pack_of(manifest).clean) == 7


def test_packs_of_a_read_only_root_go_to_the_users_cache(
    make_build: MakeBuild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = make_build(subjects=1)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    pack = pack_of(manifest)
    assert pack.folder.is_relative_to(tmp_path / "home" / "occfer" / "packs")


def test_a_folder_that_cannot_be_used_is_an_error(make_build: MakeBuild, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be written to .*file.*--cache-dir"):
        pack_of(make_build(subjects=1), cache_dir=tmp_path / "file" / "packs")


def pictures_of(pack: ImagePack) -> tuple[bytes, bytes]:
    return pack.clean.tobytes(), pack.occluded.tobytes()


@pytest.mark.parametrize("name", ["pack.json", "clean.npy", "occluded.npy"])
@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_a_damaged_pack_is_made_again_and_that_is_said(make_build: MakeBuild, name: str, how: str) -> None:
    manifest = make_build(subjects=1)
    first = pack_of(manifest)
    wanted = pictures_of(first)
    damage(first.folder / name, how)
    said: list[str] = []
    again = open_packs(read_corpus([manifest]), 24, say=said.append)[0]
    assert pictures_of(again) == wanted
    assert len(said) == 1 and first.folder.name in said[0]
    assert said[0].endswith("; the pack is made again from the images") and "\n" not in said[0]
    assert open_packs(read_corpus([manifest]), 24, say=said.append)[0].resized == 0 and len(said) == 1


def test_a_tenth_of_the_bytes_inverted_is_noticed(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=1)
    first = pack_of(manifest)
    wanted = pictures_of(first)
    path = first.folder / "occluded.npy"
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    content[np.random.default_rng(0).permutation(np.arange(128, len(content)))[: len(content) // 10]] ^= 0xFF
    path.write_bytes(content.tobytes())
    assert pictures_of(pack_of(manifest)) == wanted


def test_a_pack_of_version_0_1_or_of_another_manifest_is_made_again(make_build: MakeBuild) -> None:
    manifest, other = make_build(subjects=1), make_build(subjects=1, name="toy-r8", mode="r8", database="other")
    folder, wanted = pack_of(manifest).folder, pictures_of(pack_of(manifest))
    sealed = json.loads((folder / "pack.json").read_text())
    facts = {name: value for name, value in sealed.items() if name not in ("crc32", "checksums")}
    (folder / "pack.json").write_text(json.dumps(facts) + "\n")
    said: list[str] = []
    assert pictures_of(open_packs(read_corpus([manifest]), 24, say=said.append)[0]) == wanted
    shutil.rmtree(folder)
    shutil.copytree(pack_of(other).folder, folder)
    assert pictures_of(open_packs(read_corpus([manifest]), 24, say=said.append)[0]) == wanted
    assert "has no checksums: version 0.1 made it" in said[0] and "holds the pack of something else" in said[1]


def _open(manifest: Path, count: "multiprocessing.queues.Queue[int]") -> None:
    made: list[int] = []
    corpus = read_corpus([manifest])
    open_packs(corpus, 24, on_progress=lambda done, _: made.append(done))
    count.put(len(made))


@pytest.mark.slow
def test_one_of_several_processes_makes_the_pack(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=3)
    context = multiprocessing.get_context("spawn")
    count = context.Queue()
    workers = [context.Process(target=_open, args=(manifest, count)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(count.get(timeout=5) for _ in workers) == [0, 21]


def test_what_a_killed_process_left_is_made_again(make_build: MakeBuild) -> None:
    manifest = make_build(subjects=1)
    folder = pack_of(manifest).folder
    part = folder.with_name(folder.name + ".part")
    folder.rename(part)
    (part / "pack.json").unlink()
    assert pack_of(manifest).folder == folder
    assert not part.exists()
