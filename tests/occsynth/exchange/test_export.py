"""Exports, read back by the libraries that they are for, and compared with the build image by image."""

import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from occsynth.databases.record import EXPRESSIONS
from occsynth.errors import BuildError, ManifestError
from occsynth.exchange import arrow
from occsynth.exchange.export import export
from occsynth.exchange.samples import VIEWS, make_plan
from occsynth.manifest import Manifest, Row, open_manifest
from occsynth.option_values import EXPORTS, ExportFormat
from occsynth.sharing.publish import publish
from tests.occsynth.synthetic_build import make_build, paired_row, real_row

FORMATS: tuple[ExportFormat, ...] = ("imagefolder", "parquet", "webdataset")
PARTS = {"train": "train", "val": "validation", "test": "test"}
COLUMNS = ("pair_id", "database", "subject", "split", "mode", "landmarks", "occlusion", "fold", "coverage_face")


def split_row(number: int) -> Row:
    """Names that no file of an export should have, and splits in another order than the rows."""
    row = paired_row(number)
    fold = None if number < 6 else number % 2  # nothing but absent values at first
    split = ("test", "train", "val", "train")[number % 4]
    return replace(row, pair_id=f"{row.pair_id} [x].y", split=split, fold=fold)


def tell_nothing(_done: int) -> None:
    """A plan's progress, not looked at."""


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`datasets.load_dataset`, which asks no network and keeps nothing elsewhere."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    return lambda *words, **more: datasets.load_dataset(*words, cache_dir=str(tmp_path / "cache"), **more)


def flat(sample: dict[str, Any], to: str, names: tuple[str, ...]) -> dict[str, Any]:
    """A loaded sample with the same columns for every format, its label as a word."""
    if to != "webdataset":
        return {**sample, "label": names[sample["label"]]}
    assert names[sample["cls"]] == sample["json"]["label"]
    return {**sample["json"], **{view: sample.get(f"{view}.png", sample.get(f"{view}.jpg")) for view in VIEWS}}


def pixels(image: Any) -> Any:
    return None if image is None else np.asarray(image)


def compare(loaded: Any, manifest: Manifest, to: str) -> None:
    rows = list(manifest.rows())
    assert {part: len(loaded[part]) for part in loaded} == {
        PARTS[split]: sum(row.split == split for row in rows) for split in {row.split for row in rows}
    }
    for part in loaded:
        expected = [row for row in rows if PARTS[row.split] == part]
        names = tuple(loaded[part].features["cls" if to == "webdataset" else "label"].names)
        assert names == EXPRESSIONS
        for sample, row in zip((flat(each, to, names) for each in loaded[part]), expected, strict=True):
            assert sample["label"] == row.expression
            assert {name: sample[name] for name in COLUMNS} == {name: getattr(row, name) for name in COLUMNS}
            for view in VIEWS:
                relative = getattr(row, view)
                there = pixels(Image.open(manifest.file(relative))) if relative else None
                np.testing.assert_array_equal(pixels(sample[view]), there)


@pytest.mark.parametrize("to", FORMATS)
def test_load_dataset_gives_three_images_and_every_column(to: ExportFormat, tmp_path: Path, load: Any) -> None:
    manifest = make_build(tmp_path / "b", 20, row_of=split_row, name="made [1]-r16")
    report = export(manifest, to, tmp_path / "out")
    assert report.parts == {"train": 10, "validation": 5, "test": 5}
    loaded = load(str(tmp_path / "out"))
    compare(loaded, manifest, to)
    if to != "webdataset":
        assert list(loaded["train"].features)[:3] == list(VIEWS)


@pytest.mark.parametrize("to", FORMATS)
def test_the_builder_of_the_format_needs_no_readme(to: ExportFormat, tmp_path: Path, load: Any) -> None:
    """Each format tells its parts and its images itself; of WebDataset, the README alone names the classes."""
    manifest = make_build(tmp_path / "b", 12, row_of=lambda number: replace(split_row(number), fold=1))
    export(manifest, to, tmp_path / "out")
    (tmp_path / "out/README.md").unlink()
    loaded = load(to, data_dir=str(tmp_path / "out"))
    if to == "webdataset":
        assert {part: len(loaded[part]) for part in loaded} == {"train": 6, "validation": 3, "test": 3}
        assert [EXPRESSIONS[number] for number in loaded["test"]["cls"]] == [
            each["label"] for each in loaded["test"]["json"]
        ]
    else:
        compare(loaded, manifest, to)


@pytest.mark.parametrize("to", FORMATS)
def test_real_occlusions_have_one_image(to: ExportFormat, tmp_path: Path, load: Any) -> None:
    manifest = make_build(tmp_path / "b", 4, row_of=real_row, landmarks=False)
    export(manifest, to, tmp_path / "out")
    loaded = load(str(tmp_path / "out"))
    compare(loaded, manifest, to)


def test_the_eighth_class_has_a_number_of_its_own(tmp_path: Path, load: Any) -> None:
    def row_of(number: int) -> Row:
        return replace(split_row(number), expression="contempt" if number == 1 else "sadness")

    manifest = make_build(tmp_path / "b", 4, row_of=row_of, classes=8)
    export(manifest, "parquet", tmp_path / "out")
    train = load(str(tmp_path / "out"))["train"]
    names = train.features["label"].names
    assert len(names) == 8
    assert {names[number] for number in train["label"]} == {"contempt", "sadness"}
    with pytest.raises(ManifestError, match="has the expression 'contempt', and an export knows anger, disgust"):
        export(make_build(tmp_path / "c", 4, row_of=row_of), "parquet", tmp_path / "other")


@pytest.mark.parametrize("to", FORMATS)
def test_rows_without_a_split_are_the_only_part_or_one_of_their_own(
    to: ExportFormat, tmp_path: Path, load: Any
) -> None:
    export(make_build(tmp_path / "b", 4), to, tmp_path / "out")
    assert {part: len(rows) for part, rows in load(str(tmp_path / "out")).items()} == {"train": 4}

    def partly(number: int) -> Row:
        return replace(paired_row(number), split="train" if number % 4 == 0 else "")

    export(make_build(tmp_path / "c", 8, row_of=partly), to, tmp_path / "partly")
    assert {part: len(rows) for part, rows in load(str(tmp_path / "partly")).items()} == {"train": 2, "unsplit": 6}


def test_a_folder_of_classes_is_what_other_programs_expect(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 12, row_of=split_row)
    export(manifest, "imagefolder", tmp_path / "out")
    rows = list(manifest.rows())
    for view in VIEWS:
        paths = list((tmp_path / "out").glob(f"*/{view}/*/*"))
        assert len(paths) == 12
        for path in paths:
            row = rows[int(path.stem)]
            assert path.parts[-4:-1] == (PARTS[row.split], view, row.expression)
            assert path.read_bytes() == manifest.file(getattr(row, view)).read_bytes()


def members(path: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None
            yield member, file.read()


def test_members_of_archives_tell_nothing_of_this_machine(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 3)
    export(manifest, "webdataset", tmp_path / "out")
    found = list(members(tmp_path / "out/data/train-00000-of-00001.tar"))
    assert [member.name for member, _ in found[:5]] == [
        *(f"00000000.{view}.png" for view in VIEWS),
        "00000000.cls",
        "00000000.json",
    ]
    for member, _ in found:
        assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
        assert member.mode == 0o644
    row = next(manifest.rows())
    assert found[1][1] == manifest.file(row.occluded).read_bytes()
    assert json.loads(found[4][1])["label"] == row.expression


def content(folder: Path) -> dict[str, bytes]:
    """Every file of an export but those of its owner."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".owner")
    }


@pytest.mark.parametrize("to", FORMATS)
def test_the_same_manifest_gives_the_same_bytes(to: ExportFormat, tmp_path: Path) -> None:
    """Wherever the build lies, and however old its files are."""
    manifest = make_build(tmp_path / "b", 12, row_of=split_row)
    shutil.copytree(tmp_path / "b", tmp_path / "moved")
    export(manifest, to, tmp_path / "one")
    export(open_manifest(tmp_path / "moved/manifests" / manifest.path.name), to, tmp_path / "two")
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert str(tmp_path).encode() not in b"".join(content(tmp_path / "one").values())


@pytest.mark.parametrize("to", ["parquet", "webdataset"])
def test_files_are_bounded(to: ExportFormat, tmp_path: Path, load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def large(number: int) -> Row:
        return replace(split_row(number), split="train")

    manifest = make_build(tmp_path / "b", 9, row_of=large)
    noise = np.random.default_rng(0).integers(0, 256, (260, 260, 3), np.uint8)
    for row in manifest.rows():
        Image.fromarray(noise).save(manifest.file(row.clean))
    monkeypatch.setattr(arrow, "ROWS_AT_ONCE", 2)
    report = export(manifest, to, tmp_path / "out", shard_mb=1)
    files = sorted((tmp_path / "out/data").iterdir())
    assert report.files == len(files) == 3
    assert files[0].name.startswith("train-00000-of-00003.")
    assert all(path.stat().st_size < 1.1e6 for path in files)
    compare(load(str(tmp_path / "out")), manifest, to)


def test_a_sample_larger_than_a_file_has_one_of_its_own(tmp_path: Path) -> None:
    plan = make_plan(make_build(tmp_path, 3), 1, tell_nothing)
    assert plan.shards == {"train": [1, 1, 1]}


@pytest.mark.parametrize("to", FORMATS)
def test_an_interrupted_export_goes_on(to: ExportFormat, tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 12, row_of=split_row)
    export(manifest, to, tmp_path / "whole")
    last = list(manifest.rows())[-2]  # of the part that is written first
    hidden = manifest.file(last.mask)
    image = hidden.read_bytes()

    def stop(phase: str, done: int, _total: int) -> None:
        if phase == "samples" and done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(manifest, to, tmp_path / "out", progress=stop)
    begun = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*") if path.suffix != ".json"}
    assert begun
    assert not (tmp_path / "out/README.md").exists()
    hidden.write_bytes(image)
    export(manifest, to, tmp_path / "out")
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    kept = [path for path, time in begun.items() if path.exists() and path.stat().st_mtime_ns == time]
    assert kept


@pytest.mark.parametrize("to", FORMATS)
def test_another_export_is_replaced_only_if_asked(to: ExportFormat, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(make_build(tmp_path / "b", 12, row_of=split_row), "imagefolder", out)
    other = make_build(tmp_path / "c", 4)
    before = content(out)
    with pytest.raises(BuildError, match=r"holds another export, of made-r16 as imagefolder. .*--overwrite"):
        export(other, to, out)
    assert content(out) == before
    (out / "train/clean/notes.txt").write_text("mine")
    export(other, to, out, overwrite=True)
    fresh = tmp_path / "fresh"
    export(other, to, fresh)
    assert content(out) == content(fresh) | {"train/clean/notes.txt": b"mine"}


def test_a_published_manifest_has_nothing_to_export(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 4, landmarks=False)
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    with pytest.raises(ManifestError, match=r"is published and has no images. Make the build with `occsynth replay`"):
        export(published, "parquet", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["missing", "cut"])
@pytest.mark.parametrize("to", FORMATS)
def test_a_damaged_image_is_named(to: ExportFormat, damage: str, tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 4)
    path = manifest.file(list(manifest.rows())[2].mask)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ManifestError, match=f"{path}: .*Run `occsynth verify {manifest.path}`"):
        export(manifest, to, tmp_path / "out")
    assert not (tmp_path / "out/README.md").exists()


def test_nothing_but_images_is_exported(tmp_path: Path) -> None:
    """A manifest from elsewhere may name any file under its root."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b/diary.txt").write_text("private")
    manifest = make_build(tmp_path / "b", 2)
    text = manifest.path.read_text().replace("data/mask/s00/face_000.png", "diary.txt")
    manifest.path.write_text(text)
    with pytest.raises(ManifestError, match=r"diary\.txt: missing or damaged"):
        export(manifest, "webdataset", tmp_path / "out")


def test_a_split_is_no_path(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 2, row_of=lambda number: replace(paired_row(number), split="../../x"))
    with pytest.raises(ManifestError, match=r"has the split '\.\./\.\./x', and an export knows train, val, test"):
        export(manifest, "imagefolder", tmp_path / "out")


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = make_build(tmp_path / "b", 2)

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(arrow, "import_module", missing)
    with pytest.raises(BuildError, match=r"pip install 'occsynth\[exchange\]'"):
        export(manifest, "parquet", tmp_path / "out")
    export(manifest, "webdataset", tmp_path / "out")


def test_progress_counts_every_sample_once(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 8, row_of=split_row)
    for to in FORMATS:
        told: list[tuple[str, int, int]] = []
        export(manifest, to, tmp_path / to, progress=lambda *words: told.append(words))  # noqa: B023
        assert [done for phase, done, total in told if phase == "samples" and total == 8] == list(range(9))
        assert told[7] == ("rows", 8, 8)


def test_the_readme_escapes_what_others_named(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 2, name="a<b>|c")
    export(manifest, "webdataset", tmp_path / "out")
    text = (tmp_path / "out/README.md").read_text()
    assert r"# a\<b\>\|c" in text
    assert io.StringIO(text).readline() == "---\n"


def test_every_format_is_offered() -> None:
    assert (*FORMATS, "croissant") == EXPORTS
