"""Contempt, the eighth class: kept where eight classes are asked for, and left out as ever where not."""

from collections import Counter
from pathlib import Path

import pytest

from occsynth.databases import DATABASES, EXPRESSIONS, LabelOptions
from occsynth.databases.counts import published_counts
from occsynth.databases.record import CONTEMPT, FaceRecord, Reject, ScanItem
from tests.occsynth.databases.coded_trees import ck_plus_labels, pixel_table
from tests.occsynth.databases.trees import TREES, affectnet_npy, put, write

EIGHT = LabelOptions(classes=8)


def of(key: str, root: Path, variant: str = "", labels: LabelOptions = EIGHT) -> list[ScanItem]:
    return list(DATABASES[key].scan(root, variant or DATABASES[key].variants[0].name, labels))


def contempt_of(items: list[ScanItem]) -> list[FaceRecord]:
    return [item for item in items if isinstance(item, FaceRecord) and item.expression == CONTEMPT]


@pytest.mark.parametrize("key", [key for key, database in DATABASES.items() if database.has_contempt])
def test_eight_classes_add_contempt_and_change_no_other_row(key: str, tmp_path: Path) -> None:
    TREES[key](tmp_path)
    seven, eight = of(key, tmp_path, labels=LabelOptions()), of(key, tmp_path)
    added = contempt_of(eight)
    assert added and not contempt_of(seven)
    without = [item for item in eight if isinstance(item, FaceRecord) and item not in added]
    folds_may_move = key == "ck+48"  # its contempt brings people who are in no other class
    if folds_may_move:
        assert {(item.pair_id, item.expression) for item in without} == {
            (item.pair_id, item.expression) for item in seven if isinstance(item, FaceRecord)
        }
    else:
        assert without == [item for item in seven if isinstance(item, FaceRecord)]
    left_out = [
        item for item in seven if isinstance(item, Reject) and "'contempt' is not one of the seven" in item.reason
    ]
    assert len(left_out) == len(added) and all(item.by_protocol for item in left_out)
    assert not [item for item in eight if isinstance(item, Reject) and CONTEMPT in item.reason.lower()]


def test_contempt_of_the_npy_release_and_of_ckextended(tmp_path: Path) -> None:
    affectnet_npy(tmp_path)
    assert [item.source for item in contempt_of(of("affectnet", tmp_path))] == ["train_set/images/7.jpg"]
    pixel_table("ckextended.csv")(tmp_path, "01234567")
    items = of("ck+48", tmp_path, "extended")
    assert Counter(item.expression for item in items if isinstance(item, FaceRecord)) == Counter(
        dict.fromkeys((*EXPRESSIONS, CONTEMPT), 1)
    )
    seven = of("ck+48", tmp_path, "extended", LabelOptions())
    assert sum(isinstance(item, FaceRecord) for item in seven) == 7


def test_contempt_of_ck_plus_is_the_apex_of_its_sequence(tmp_path: Path) -> None:
    ck_plus_labels(tmp_path, ["1", "2", "7"])
    (record,) = contempt_of(of("ck+", tmp_path))
    assert record.source.endswith("S002_001_00000002.png") and record.subject == "S002" and record.fold == 1


def test_class_folders_of_ones_own_may_hold_contempt(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in ("Contempt", "happy"):
            put(tmp_path / f"{split}/{name}/1.png", side_px=16)
    assert len(contempt_of(of("folder", tmp_path))) == 2
    write(tmp_path / "labels.csv", "path,expression\ntrain/happy/1.png,contempt\n")
    assert len(contempt_of(of("folder", tmp_path))) == 1


def test_counts_that_are_published_for_eight_classes() -> None:
    found = {
        key: dict(published_counts(DATABASES[key], DATABASES[key].variants[0], EIGHT))
        for key in ("ck+", "ck+48", "affectnet", "ferplus", "folder")
    }
    assert found == {
        "ck+": {"total": 654},
        "ck+48": {"total": 981},
        "affectnet": {"train": 287_651, "test": 4_000},
        "ferplus": {},
        "folder": {},
    }
