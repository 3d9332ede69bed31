"""What is not as `occsynth publish` left it is not taken for a published manifest."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from occsynth.errors import ManifestError
from occsynth.manifest import Row, open_manifest, read_rows, write_rows
from occsynth.sharing.publish import publish
from occsynth.sharing.published import refuse_unpublished
from tests.builds import STEMS, build_demo


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (made,) = build_demo(tmp_path_factory.mktemp("build"), "r16", STEMS[:3])
    return made.path


@pytest.fixture
def shared(build: Path, tmp_path: Path) -> Path:
    return publish(open_manifest(build), tmp_path / "shared.csv")


def change_rows(path: Path, change: Callable[[list[Row]], list[Row]]) -> None:
    rows = change(list(read_rows(path)))
    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, rows)


def test_a_published_manifest_passes_and_a_build_does_not(build: Path, shared: Path) -> None:
    refuse_unpublished(open_manifest(shared))
    with pytest.raises(ManifestError, match="is no published manifest: it does not withhold pair_id, subject, expr"):
        refuse_unpublished(open_manifest(build))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("pair_id", "s001_anger"), ("pair_id", "00000009"), ("subject", "s001"), ("expression", "anger"),
        ("source", "images/s001/s001_anger.jpg"), ("votes", "anger:8"),
    ],
)  # fmt: skip
def test_a_row_that_tells_something_is_found(column: str, value: str, shared: Path) -> None:
    def told(rows: list[Row]) -> list[Row]:
        if column == "votes":
            rows = [replace(row, votes="") for row in rows]
        changed: dict[str, Any] = {column: value}
        if column == "pair_id":
            paths = ("clean", "occluded", "mask")
            changed |= {name: getattr(rows[1], name).replace(rows[1].pair_id, value) for name in paths}
        return [rows[0], replace(rows[1], **changed), *rows[2:]]

    change_rows(shared, told)
    with pytest.raises(ManifestError, match=rf"row 2 still tells its {column}\. Share what `occsynth publish` makes"):
        refuse_unpublished(open_manifest(shared))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"withheld": ["pair_id"]}, "it does not withhold subject, expression"),
        ({"duplicates": [["s001_anger", "s001_fear"]]}, "names duplicates"),
        ({"counts": {"class": {"anger": 3}}}, "counts the faces of each class"),
        ({"subset_sha256": "0" * 64}, "the digest of a list of names"),
        ({"folds_sha256": "0" * 64}, "the digest of a list of names"),
        ({"notes": {"labels": "Jane is angry"}}, r"notes on what is withheld \(labels\)"),
        ({"records_sha256": "0" * 64}, r"keys that this version does not know \(records_sha256\)"),
        ({"schema": 1}, "of schema 1, whose draws tell"),
        ({"root": "jane"}, "names the folder of the build"),
        ({"rows": 4}, "it has 3 rows, though its JSON says 4"),
    ],
)
def test_facts_that_tell_something_are_found(changed: dict[str, Any], told: str, shared: Path) -> None:
    facts = shared.with_suffix(".json")
    facts.write_text(json.dumps(json.loads(facts.read_text()) | changed))
    with pytest.raises(ManifestError, match=told):
        refuse_unpublished(open_manifest(shared))


def test_digests_over_lines_with_labels_are_found(shared: Path) -> None:
    facts = shared.with_suffix(".json")
    content = json.loads(facts.read_text())
    facts.write_text(json.dumps(content | {"withheld": [*content["withheld"], "source_sha256"]}))
    with pytest.raises(ManifestError, match="row 1 still tells its source_sha256"):
        refuse_unpublished(open_manifest(shared))
