"""Votes in the manifest: from the raw database to the rows; builds of versions that knew none stay what they are."""

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from occsynth.build.build import build
from occsynth.build.options import BuildOptions
from occsynth.databases import DATABASES
from occsynth.databases.record import FaceRecord
from occsynth.manifest import COLUMNS, open_manifest
from tests.builds import build_demo
from tests.occsynth.databases.trees import TREES


@pytest.fixture
def options(tmp_path: Path) -> BuildOptions:
    TREES["ferplus"](tmp_path / "raw")
    return BuildOptions("ferplus", ("r16",), root=tmp_path / "raw", out=tmp_path / "builds", workers=1)


def as_version_0_1_made_it(path: Path, raw: Path) -> None:
    """Takes the votes out of a build, and out of its digest of the scan."""
    with path.open(encoding="utf-8", newline="") as file:
        lines = [line[: len(COLUMNS)] for line in csv.reader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    names = ("source", "pair_id", "expression", "subject", "split", "fold", "box_xyxy", "points_xy")
    records = [each for each in DATABASES["ferplus"].scan(raw, "default") if isinstance(each, FaceRecord)]
    records.sort(key=lambda record: record.pair_id)
    texts = (json.dumps({name: getattr(each, name) for name in names}, separators=(",", ":")) for each in records)
    described = json.loads(path.with_suffix(".json").read_text())
    described["notes"]["records_sha256"] = hashlib.sha256("".join(texts).encode()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(described))


def test_rows_hold_every_vote_most_first(options: BuildOptions) -> None:
    manifest = open_manifest(build(options).manifests[0])
    assert manifest.has_votes
    assert {row.expression: row.votes for row in manifest.rows()} == {
        "neutral": "neutral:6;contempt:1;fear:1;sadness:1;surprise:1",
        "happiness": "happiness:8;contempt:2",
        "sadness": "sadness:8;anger:2",
        "fear": "fear:8;not-a-face:2",
    }
    assert build(options).reused


def test_a_database_without_votes_has_no_such_column(tmp_path: Path) -> None:
    (manifest,) = build_demo(tmp_path, "r16")
    assert not manifest.has_votes
    assert {row.votes for row in manifest.rows()} == {None}


def test_an_old_build_without_votes_is_kept_until_it_is_overwritten(options: BuildOptions) -> None:
    (path,) = build(options).manifests
    whole = path.read_bytes()
    assert options.root is not None
    as_version_0_1_made_it(path, options.root)
    again = build(options)
    assert again.reused
    assert again.warnings == [f"{path} was built before manifests had votes; --overwrite builds it with them"]
    assert not open_manifest(path).has_votes
    build(replace(options, overwrite=True))
    assert path.read_bytes() == whole
