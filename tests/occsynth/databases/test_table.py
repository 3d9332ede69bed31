"""Every database of the table, on a folder tree with its real layout."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from occsynth.databases import DATABASES, EXPRESSIONS, find_database, find_variant
from occsynth.databases.counts import count_check, published_counts
from occsynth.databases.record import FaceRecord, Reject
from occsynth.errors import DatabaseLayoutError, UnknownNameError
from occsynth.files import inside
from occsynth.pixels.sources import read_source
from tests.occsynth.databases.trees import OTHER_TREES, TREES, Expected

MakeTree = Callable[[str], tuple[Path, dict[str, Expected]]]
BUILDERS = {**{key: (key, tree) for key, tree in TREES.items()}, **OTHER_TREES}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MakeTree:
    """Makes each tree once."""
    trees: dict[str, tuple[Path, dict[str, Expected]]] = {}

    def make(name: str) -> tuple[Path, dict[str, Expected]]:
        if name not in trees:
            root = tmp_path_factory.mktemp("raw")
            trees[name] = (root, BUILDERS[name][1](root))
        return trees[name]

    return make


def test_every_database_has_a_tree() -> None:
    assert set(TREES) == set(DATABASES)
    assert all(database.key == key for key, database in DATABASES.items())


@pytest.mark.parametrize("name", BUILDERS)
def test_scan_gives_the_expected_records_and_rejects(name: str, made: MakeTree) -> None:
    root, variants = made(name)
    for variant, expected in variants.items():
        items = list(find_database(BUILDERS[name][0]).scan(root, variant))
        records = [item for item in items if isinstance(item, FaceRecord)]
        faults = [item for item in items if isinstance(item, Reject) and not item.by_protocol]
        assert Counter(record.split for record in records) == Counter(expected.records), (variant, faults)
        assert sum(isinstance(item, Reject) and item.by_protocol for item in items) == expected.protocol
        assert len(faults) == len(expected.faults), faults
        for part in expected.faults:
            assert any(part in f"{fault.source}: {fault.reason}" for fault in faults), (part, faults)


@pytest.mark.parametrize("name", BUILDERS)
def test_records_are_canonical_unique_and_inside_the_root(name: str, made: MakeTree) -> None:
    root, variants = made(name)
    for variant in variants:
        records = [
            item for item in find_database(BUILDERS[name][0]).scan(root, variant) if isinstance(item, FaceRecord)
        ]
        assert records
        assert len({record.pair_id for record in records}) == len(records)
        for record in records:
            assert record.expression in EXPRESSIONS
            assert re.fullmatch(r"[A-Za-z0-9._+-]+(/[A-Za-z0-9._+-]+)*", record.pair_id)
            assert inside(root, record.source.partition("#")[0]).is_file()
            assert record.points_xy is None or len(record.points_xy) in (5, 68)
            assert not (record.split and record.fold is not None)
            assert (record.votes is not None) == find_database(BUILDERS[name][0]).has_votes


def test_records_of_ferplus_carry_all_ten_votes(made: MakeTree) -> None:
    root, _ = made("ferplus")
    records = [each for each in find_database("ferplus").scan(root, "default") if isinstance(each, FaceRecord)]
    votes = {record.pair_id[-7:]: {name: count for name, count in record.votes or () if count} for record in records}
    assert votes == {
        "0000002": {"neutral": 6, "surprise": 1, "sadness": 1, "fear": 1, "contempt": 1},
        "0006953": {"happiness": 8, "contempt": 2},
        "0028639": {"sadness": 8, "anger": 2},
        "0032220": {"fear": 8, "not-a-face": 2},
    }


@pytest.mark.parametrize("name", BUILDERS)
def test_every_record_can_be_read(name: str, made: MakeTree) -> None:
    root, variants = made(name)
    for variant in variants:
        for item in find_database(BUILDERS[name][0]).scan(root, variant):
            if isinstance(item, FaceRecord):
                assert read_source(root, item.source).pixels.ndim == 3


@pytest.mark.parametrize("name", BUILDERS)
def test_a_second_scan_gives_the_same(name: str, made: MakeTree) -> None:
    root, variants = made(name)
    for variant in variants:
        scan = find_database(BUILDERS[name][0]).scan
        assert list(scan(root, variant)) == list(scan(root, variant))


@pytest.mark.parametrize("name", BUILDERS)
def test_a_database_with_subjects_and_no_split_has_disjoint_folds(name: str, made: MakeTree) -> None:
    root, variants = made(name)
    for variant in variants:
        records = [
            item for item in find_database(BUILDERS[name][0]).scan(root, variant) if isinstance(item, FaceRecord)
        ]
        if not all(record.subject for record in records):
            continue
        folds: dict[str, set[int | None]] = {}
        for record in records:
            folds.setdefault(record.subject, set()).add(record.fold)
        assert all(len(each) == 1 and None not in each for each in folds.values())


@pytest.mark.parametrize("key", [key for key in DATABASES if key != "demo"])
def test_a_wrong_root_says_what_was_looked_for_and_what_is_there(key: str, tmp_path: Path) -> None:
    database = DATABASES[key]
    with pytest.raises(DatabaseLayoutError, match=rf"^{re.escape(key)}: .* not found in .*found there: nothing"):
        list(database.scan(tmp_path, database.variants[0].name))
    (tmp_path / "holiday.mp4").touch()
    (tmp_path / "papers").mkdir()
    with pytest.raises(DatabaseLayoutError) as caught:
        list(database.scan(tmp_path, database.variants[0].name))
    assert "papers/, holiday.mp4" in str(caught.value)
    assert f"--root must be {database.expects}" in str(caught.value)


def test_a_wrong_root_is_an_error_before_the_first_record(tmp_path: Path) -> None:
    for database in DATABASES.values():
        with pytest.raises(DatabaseLayoutError, match="does not exist"):
            database.scan(tmp_path / "nowhere", database.variants[0].name)
        (tmp_path / "file").touch()
        with pytest.raises(DatabaseLayoutError, match="is a file"):
            database.scan(tmp_path / "file", database.variants[0].name)


def test_unknown_names_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown database 'ck'; choose one of: ck\+, ck\+48, raf-db"):
        find_database("ck")
    raf_db = DATABASES["raf-db"]
    assert find_variant(raf_db).name == "aligned"
    assert find_variant(raf_db, "original").align == "similarity"
    for wrong in (lambda: find_variant(raf_db, "cropped"), lambda: raf_db.scan(tmp_path, "cropped")):
        with pytest.raises(
            UnknownNameError, match="unknown raf-db variant 'cropped'; choose one of: aligned, original"
        ):
            wrong()


def test_the_demo_database_is_complete() -> None:
    from occsynth.databases.demo import ROOT

    records = [item for item in DATABASES["demo"].scan(ROOT, "default") if isinstance(item, FaceRecord)]
    assert Counter(record.expression for record in records) == Counter(dict.fromkeys(EXPRESSIONS, 40))
    assert Counter(record.fold for record in records) == Counter(dict.fromkeys(range(10), 28))
    assert count_check(DATABASES["demo"].published, {"": len(records)}) == []


def test_every_line_of_the_table_is_fit_to_print() -> None:
    for database in DATABASES.values():
        for text in (database.title, database.expects, database.terms, *(each.note for each in database.variants)):
            assert text
            assert "\n" not in text
        for variant in database.variants:
            assert all(count > 0 for count in published_counts(database, variant).values())


def test_listing_the_databases_loads_nothing_heavy() -> None:
    code = (
        "import sys, occsynth.databases, occsynth.databases.roots, occsynth.databases.counts, occsynth.build.subset\n"
        "print(*[name for name in ('numpy', 'cv2', 'pandas', 'mediapipe', 'PIL') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_documentation_has_every_database_with_its_counts() -> None:
    text = (Path(__file__).parents[3] / "docs/databases.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in text.split("\n## ")}
    assert list(DATABASES) == [title for title in sections if title in DATABASES]
    for key, database in DATABASES.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| `{key}` | {database.size_px} |")]
        default = database.variants[0]
        assert f"| {default.name}: {default.align} |" in line
        for variant in database.variants:
            assert variant.name in line + sections[key] + sections["Rules for all of them"]
            assert all(f"{count:,}" in line for count in published_counts(database, variant).values())
