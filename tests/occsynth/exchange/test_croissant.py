"""Descriptions in Croissant, checked and read by the validator of its authors."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pytest

from occsynth.errors import BuildError
from occsynth.exchange.croissant import describe
from occsynth.manifest import GZIP_ABOVE_ROWS, Manifest, Row, columns, open_manifest, text_file, write_rows
from occsynth.sharing.publish import publish
from tests.builds import ROOT, STEMS, build_demo
from tests.occsynth.synthetic_build import make_build, paired_row, real_row

SHIPPED = sorted((ROOT / "manifests").glob("*.csv"))
RECOMMENDED = {"citeAs", "datePublished"}
"""What Croissant recommends and no description has: neither is known, and a time would change the bytes."""


def loaded(path: Path) -> Any:
    """The description as its validator reads it; it must find nothing wrong."""
    dataset = mlcroissant.Dataset(jsonld=str(path))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert {str(each).split('"')[1].rpartition("/")[2] for each in issues.warnings} == RECOMMENDED
    return dataset


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def compare(dataset: Any, manifest: Manifest) -> None:
    """Every cell of every row."""
    rows = list(manifest.rows())
    names = columns(votes=manifest.has_votes)
    for record, row in zip(dataset.records("pairs"), rows, strict=True):
        for name in names:
            there, expected = record[f"pairs/{name}"], getattr(row, name)
            if expected is None or expected == "":
                assert there is None or np.isnan(there), name
            elif isinstance(expected, str):
                # the validator takes the number of a published pair for one
                assert text(there).zfill(8 if expected.isdigit() else 0) == expected
            else:
                assert there == expected, name


def votes_row(number: int) -> Row:
    return replace(paired_row(number), votes="anger:3;fear:2", split="train", fold=None if number else 3)


@pytest.mark.parametrize("row_of", [paired_row, votes_row])
def test_a_build_is_described(row_of: Any, tmp_path: Path) -> None:
    manifest = make_build(tmp_path, 6, row_of=row_of, landmarks=False)
    dataset = loaded(describe(manifest, tmp_path / "croissant.json"))
    compare(dataset, manifest)
    assert [each.id for each in dataset.metadata.distribution] == ["manifest.csv", "clean", "occluded", "mask"]


def test_real_occlusions_have_one_set_of_files(tmp_path: Path) -> None:
    manifest = make_build(tmp_path, 4, row_of=real_row, landmarks=False)
    dataset = loaded(describe(manifest, tmp_path / "croissant.json"))
    compare(dataset, manifest)
    assert [each.id for each in dataset.metadata.distribution] == ["manifest.csv", "occluded"]


def test_the_sets_of_files_are_those_of_the_rows(tmp_path: Path) -> None:
    manifest = build_demo(tmp_path, "r16", STEMS[:3], image_format="jpeg")[0]
    for folder in (tmp_path, tmp_path.parent):
        content = json.loads(describe(manifest, folder / f"{tmp_path.name}.json").read_text())
        for each in content["distribution"][1:]:
            found = {path.resolve() for path in folder.glob(each["includes"])}
            assert found == {manifest.file(getattr(row, each["@id"])).resolve() for row in manifest.rows()}


def test_a_published_manifest_is_described_without_images(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 4, landmarks=False)
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    path = describe(published, tmp_path / "croissant.json")
    compare(loaded(path), published)
    assert "cr:FileSet" not in path.read_text()
    assert "s00" not in path.read_text()


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda path: path.stem)
def test_shipped_manifests_can_be_described(shipped: Path, tmp_path: Path) -> None:
    for ending in (".csv", ".json"):
        (tmp_path / f"{shipped.stem}{ending}").write_bytes(shipped.with_suffix(ending).read_bytes())
    manifest = open_manifest(tmp_path / shipped.name)
    compare(loaded(describe(manifest, tmp_path / "croissant.json")), manifest)


def test_compressed_manifests_are_described(tmp_path: Path) -> None:
    assert GZIP_ABOVE_ROWS  # larger builds have them
    manifest = make_build(tmp_path, 4, landmarks=False)
    packed = manifest.path.with_name(f"{manifest.path.name}.gz")
    with text_file(packed) as file:
        write_rows(file, manifest.rows())
    manifest.path.unlink()
    opened = open_manifest(packed)
    compare(loaded(describe(opened, tmp_path / "croissant.json")), opened)


def test_the_same_manifest_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (make_build(tmp_path / name, 4, landmarks=False) for name in "ab")
    one, two = (describe(each, each.root / "croissant.json").read_bytes() for each in (first, second))
    assert one == two
    assert describe(first, first.root / "croissant.json").read_bytes() == one


def test_a_changed_manifest_is_noticed(tmp_path: Path) -> None:
    manifest = make_build(tmp_path, 4, landmarks=False)
    path = describe(manifest, tmp_path / "croissant.json")
    with manifest.path.open("a") as file:
        file.write("\n")
    with pytest.raises(mlcroissant.GenerationError) as caught:
        list(mlcroissant.Dataset(jsonld=str(path)).records("pairs"))
    assert "is not identical with the reference" in " ".join(str(caught.value.__cause__).split())


def test_it_lies_where_it_can_name_the_files(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 2)
    (tmp_path / "elsewhere").mkdir()
    for out in (tmp_path / "elsewhere/croissant.json", tmp_path / "b/manifests/croissant.json"):
        with pytest.raises(BuildError, match=re.escape(f"type -o {tmp_path}/b/croissant.json")):
            describe(manifest, out)
    with pytest.raises(BuildError, match=r"is no \.json"):
        describe(manifest, tmp_path / "b")


def test_it_never_replaces_the_manifest(tmp_path: Path) -> None:
    manifest = make_build(tmp_path / "b", 2, landmarks=False)
    published = open_manifest(publish(manifest, tmp_path / "p.csv"))
    with pytest.raises(BuildError, match="belongs to the manifest itself"):
        describe(published, tmp_path / "p.json", overwrite=True)
