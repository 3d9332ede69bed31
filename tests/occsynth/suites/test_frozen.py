"""Making, freezing, checking and replaying a suite of demo faces."""

import gzip
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from occsynth.errors import OccSynthError, SuiteError
from occsynth.manifest import open_manifest
from occsynth.suites.check import check, differences
from occsynth.suites.freeze import freeze
from occsynth.suites.make import make_suite, recipe_for, standard_columns
from occsynth.suites.replay import build_real, replay_suite
from occsynth.suites.shipped import find_suite
from occsynth.suites.suite import FILE, RealList, dump_suite, read_suite, suite_digest
from tests.builds import DEMO_ROOT, files_under
from tests.occsynth.databases.trees import ferplus
from tests.occsynth.suites.small_suite import RECIPE, frozen_suite, made_suite


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(frozen_suite(), tmp_path / "frozen"))


def test_a_suite_holds_the_faces_of_its_folds_in_every_column() -> None:
    made = read_suite(made_suite())
    assert not made.is_frozen and [column.name for column in made.columns] == ["r16-seen", "eyes-unseen"]
    rows = [list(open_manifest(made_suite() / column.manifest).rows()) for column in made.columns]
    assert {row.fold for row in rows[0]} == {0} and len(rows[0]) == 28
    assert [row.clean_pixels_sha256 for row in rows[0]] == [row.clean_pixels_sha256 for row in rows[1]]
    drawn = [{row.occlusion.split('"template_sha256":"')[1][:64] for row in each} for each in rows]
    assert not drawn[0] & drawn[1], "seen and unseen templates are others"


def test_made_again_it_is_the_same(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(made_suite(), tmp_path / "copy"))
    before = files_under(copy / "builds"), (copy / FILE).read_bytes()
    make_suite(RECIPE, copy, workers=1)
    assert (files_under(copy / "builds"), (copy / FILE).read_bytes()) == before


def test_what_is_frozen_names_nobody_and_shows_nothing() -> None:
    content = b""
    for path in frozen_suite().rglob("*"):
        if path.is_file():
            assert path.name in (FILE, ".owner.json", ".owner.lock") or path.suffix in (".json", ".gz")
            content += gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    for word in (b"anger", b"happiness", b"s001", b"images/"):
        assert word not in content


def test_frozen_again_it_has_the_same_bytes(tmp_path: Path) -> None:
    again = tmp_path / "again"
    for _ in range(2):
        assert freeze(made_suite(), again).digest == read_suite(frozen_suite()).digest
    for path in sorted(frozen_suite().rglob("*.*")):
        if not path.name.startswith(".owner"):
            assert (again / path.relative_to(frozen_suite())).read_bytes() == path.read_bytes()


def test_another_suite_never_replaces_a_frozen_one(tmp_path: Path, frozen: Path) -> None:
    other = Path(shutil.copytree(made_suite(), tmp_path / "other"))
    (other / FILE).write_text(dump_suite(replace(read_suite(other), version="2")))
    with pytest.raises(SuiteError, match=r"holds small 1 of digest .* choose another folder"):
        freeze(other, frozen)
    assert read_suite(frozen) == read_suite(frozen_suite())
    assert freeze(other, frozen, overwrite=True).version == "2" == read_suite(frozen).version


def test_a_frozen_suite_is_not_frozen_again(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="is a frozen suite already"):
        freeze(frozen_suite(), tmp_path / "again")
    with pytest.raises(SuiteError, match="is a recipe: column 'random-seen' is not built"):
        freeze(find_suite("ferplus"), tmp_path / "again")


def test_columns_of_different_faces_cannot_be_frozen(tmp_path: Path) -> None:
    other = Path(shutil.copytree(made_suite(), tmp_path / "other"))
    manifest = other / read_suite(other).columns[1].manifest
    manifest.write_text("".join(manifest.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(SuiteError, match="column 'eyes-unseen' shows other faces than column 'r16-seen'"):
        freeze(other, tmp_path / "frozen")


def test_a_frozen_suite_passes_its_check() -> None:
    found = check(frozen_suite())
    assert found.problems == () and found.faces == 28


def edit_rows(folder: Path) -> None:
    """One digit of a coverage."""
    path = folder / "manifests/r16-seen.csv.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    first = text.splitlines()[1]
    number = next(cell for cell in first.split(",")[::-1] if cell.startswith("0."))
    path.write_bytes(gzip.compress(text.replace(number, number[:-1] + str((int(number[-1]) + 1) % 10), 1).encode()))


def edit_description(folder: Path) -> None:
    path = folder / "manifests/eyes-unseen.json"
    path.write_text(path.read_text().replace('"size_px": 96', '"size_px": 97'))


def edit_text(folder: Path) -> None:
    path = folder / FILE
    path.write_text(path.read_text().replace('"paper", "seen"', '"paper", "known"'))


def swap(folder: Path) -> None:
    one, other = (folder / f"manifests/{name}.csv.gz" for name in ("r16-seen", "eyes-unseen"))
    held = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(held)


def remove(folder: Path) -> None:
    (folder / "manifests/r16-seen.csv.gz").unlink()


def unpublished(folder: Path) -> None:
    """The built manifest in place of the published one, with digests that fit."""
    made = read_suite(made_suite())
    for ending in (".csv", ".json"):
        shutil.copy((made_suite() / made.columns[0].manifest).with_suffix(ending), folder / f"manifests/r16{ending}")
    from occsynth.suites.freeze import column_sha256

    suite = read_suite(folder)
    first = replace(
        suite.columns[0],
        manifest="manifests/r16.csv",
        sha256=column_sha256(open_manifest(folder / "manifests/r16.csv")),
    )
    changed = replace(suite, columns=(first, suite.columns[1]))
    (folder / FILE).write_text(dump_suite(replace(changed, digest=suite_digest(changed))))


def outside(folder: Path) -> None:
    path = folder / FILE
    path.write_text(path.read_text().replace("manifests/r16-seen.csv.gz", "../r16-seen.csv.gz"))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (edit_rows, "column r16-seen: r16-seen.csv.gz has the digest"),
        (edit_description, "column eyes-unseen: eyes-unseen.csv.gz has the digest"),
        (edit_text, "what suite.toml says has the digest"),
        (swap, "has the digest"),
        (remove, "r16-seen.csv.gz not found"),
        (unpublished, "is not published"),
        (outside, "leaves its root"),
    ],
)
def test_one_changed_number_is_noticed_and_never_tested_on(
    spoil: Callable[[Path], None], told: str, frozen: Path, tmp_path: Path
) -> None:
    spoil(frozen)
    assert any(told in problem for problem in check(frozen).problems)
    with pytest.raises(SuiteError, match="See `occsynth suite check"):
        replay_suite(frozen, tmp_path / "builds", workers=1)
    assert not (tmp_path / "builds").exists()


def test_what_differs_is_named() -> None:
    one = read_suite(frozen_suite())
    first = replace(one.columns[0], groups=("seen",), sha256="0" * 64)
    other = replace(one, seed=1, columns=(first, replace(one.columns[1], name="new")))
    assert differences(one, other) == [
        "seed: 0 and 1", "column eyes-unseen: only in the first", "column new: only in the second",
        "column r16-seen: other groups, sha256",
    ]  # fmt: skip
    assert differences(one, one) == []


def test_a_suite_replays_to_what_was_made_and_only_once(tmp_path: Path) -> None:
    found = replay_suite(frozen_suite(), tmp_path, workers=1)
    assert found.made == 2
    made = read_suite(made_suite())
    for manifest, column in zip(found.manifests, made.columns, strict=True):
        ours, theirs = (list(open_manifest(path).rows()) for path in (manifest, made_suite() / column.manifest))
        assert ours == theirs
    assert replay_suite(frozen_suite(), tmp_path, workers=1).made == 0
    manifest = found.manifests[0]
    manifest.unlink()
    assert replay_suite(frozen_suite(), tmp_path, workers=1).made == 1
    assert manifest.is_file()


def test_two_who_replay_at_once_share_the_work(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(replay_suite, frozen_suite(), tmp_path, workers=1) for _ in range(2)]
        found = [each.result() for each in running]
    assert sum(each.made for each in found) == 2 and found[0].manifests == found[1].manifests


def test_nothing_is_written_into_a_raw_database(tmp_path: Path) -> None:
    raw = Path(shutil.copytree(DEMO_ROOT, tmp_path / "raw"))
    before = sorted(raw.rglob("*"))
    with pytest.raises(OccSynthError, match="lies in the raw database"):
        replay_suite(frozen_suite(), raw / "builds", root=raw, workers=1)
    assert sorted(raw.rglob("*")) == before


def test_a_suite_that_is_not_frozen_is_not_replayed(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="it is not frozen"):
        replay_suite(made_suite(), tmp_path, workers=1)


def test_the_standard_columns_are_those_of_the_benchmark() -> None:
    columns = standard_columns()
    assert len(columns) == 22
    modes = {column.mode for column in columns if column.templates == "test"}
    assert modes == {column.mode for column in columns if column.templates == "train"}
    assert modes == {
        "random", "eyes", "mouth", "r8", "r16", "r24", "cover-20", "cover-40", "cover-60", "upper-50", "lower-50"
    }  # fmt: skip
    assert all(("unseen" in column.groups) == (column.templates == "test") for column in columns)


def test_a_recipe_takes_the_official_test_part(tmp_path: Path) -> None:
    ferplus(tmp_path)
    recipe = recipe_for("ferplus", tmp_path)
    assert (recipe.part, recipe.folds) == ("test", ())
    with pytest.raises(SuiteError, match="--folds: ferplus comes with an official test part"):
        recipe_for("ferplus", tmp_path, folds=(0,))
    assert recipe_for("demo", None, folds=(1, 2)).folds == (1, 2)
    with pytest.raises(SuiteError, match=r"fold 11: demo has the folds \[0, 1, 2"):
        recipe_for("demo", None, folds=(11,))


def test_the_recipe_that_ships_for_ferplus_can_be_made(tmp_path: Path) -> None:
    ferplus(tmp_path / "raw")
    recipe = read_suite(find_suite("ferplus"))
    assert recipe.columns == standard_columns() and recipe.real is not None
    small = replace(recipe, columns=recipe.columns[1:2])
    made = make_suite(small, tmp_path / "made", root=tmp_path / "raw", workers=1)
    frozen = freeze(tmp_path / "made", tmp_path / "frozen")
    rows = list(open_manifest(tmp_path / "made" / made.suite.columns[0].manifest).rows())
    assert rows and {row.split for row in rows} == {"test"}
    replayed = replay_suite(tmp_path / "frozen", tmp_path / "builds", root=tmp_path / "raw", workers=1)
    assert list(open_manifest(replayed.manifests[0]).rows()) == rows and frozen.is_frozen


def test_a_list_of_real_occlusions_is_built_where_the_suite_points_to_it(tmp_path: Path) -> None:
    listed = tmp_path / "real.txt"
    listed.write_text("s001_anger\ns002_fear\n")
    with pytest.raises(SuiteError, match="names no list of real occlusions"):
        build_real(RECIPE, listed, tmp_path / "builds", root=None)
    pointing = replace(RECIPE, real=RealList("some", "https://example.org"))
    manifest = open_manifest(build_real(pointing, listed, tmp_path / "builds", root=None, workers=1))
    assert [row.mode for row in manifest.rows()] == ["real", "real"]
    other = replace(pointing, real=RealList("some", "https://example.org", sha256="0" * 64))
    with pytest.raises(SuiteError, match=r"is not some as the suite knows it; get it from https://example.org"):
        build_real(other, listed, tmp_path / "builds", root=None)


def test_what_ships_for_the_demo_database_is_frozen() -> None:
    found = check(find_suite("demo"))
    assert found.problems == () and found.faces == 28 and len(found.suite.columns) == 22
    size = sum(path.stat().st_size for path in find_suite("demo").rglob("*"))
    assert size < 400_000


def test_a_folder_without_a_suite(tmp_path: Path) -> None:
    with pytest.raises(OccSynthError, match=r"suite\.toml not found; a suite is a folder"):
        check(tmp_path)
