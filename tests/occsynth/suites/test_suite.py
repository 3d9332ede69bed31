"""suite.toml: what comes back from it, what is refused, and that its digest knows every number."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occsynth.errors import OccSynthError, SuiteError
from occsynth.suites.shipped import find_suite, shipped_suites
from occsynth.suites.suite import FILE, Column, RealList, Suite, dump_suite, read_suite, suite_digest, truth_sha256
from tests.occsynth.suites.small_suite import RECIPE

SHA = "0123456789abcdef" * 4
FULL = replace(
    RECIPE,
    title='A "title" with a \\ and a \x7f, ünïcode\tand a tab',
    variant="default",
    labels="1=fear",
    size_px=48,
    seed=3,
    real=RealList("list", "https://example.org", "one line", SHA),
    hub="org/name",
    columns=tuple(replace(each, manifest=f"manifests/{each.name}.csv.gz", sha256=SHA) for each in RECIPE.columns),
    truth_sha256=SHA,
    digest=SHA,
)


def written(folder: Path, suite: Suite) -> Path:
    (folder / FILE).write_text(dump_suite(suite), encoding="utf-8")
    return folder


@pytest.mark.parametrize("suite", [RECIPE, FULL])
def test_a_suite_comes_back_from_its_file(suite: Suite, tmp_path: Path) -> None:
    assert read_suite(written(tmp_path, suite)) == suite
    assert read_suite(tmp_path / FILE) == suite


OTHER: dict[str, Any] = {
    "name": "other", "version": "2", "database": "jaffe", "title": "another", "variant": "x", "classes": 8,
    "labels": "", "size_px": 49, "seed": 4, "part": "test", "folds": (0, 1), "real": None, "hub": "",
    "truth_sha256": SHA[::-1], "digest": "", "format": 2,
    "columns": (replace(FULL.columns[0], sha256=SHA[::-1]), FULL.columns[1]),
}  # fmt: skip


@pytest.mark.parametrize("field", [field.name for field in fields(Suite)])
def test_suites_that_differ_in_one_field_have_other_digests(field: str) -> None:
    other = replace(FULL, **{field: OTHER[field]})
    counts = field not in ("title", "hub", "digest")
    assert (suite_digest(other) != suite_digest(FULL)) == counts


@pytest.mark.parametrize("field", [field.name for field in fields(Column)])
def test_columns_that_differ_in_one_field_have_other_digests(field: str) -> None:
    other: dict[str, Any] = {"templates": "all", "groups": ("seen",)}
    column = replace(FULL.columns[0], **{field: other.get(field, "other")})
    assert suite_digest(replace(FULL, columns=(column, *FULL.columns[1:]))) != suite_digest(FULL)


def test_the_order_of_columns_counts() -> None:
    assert suite_digest(replace(FULL, columns=FULL.columns[::-1])) != suite_digest(FULL)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "Big Name"}, "the name 'Big Name' is not a word"),
        ({"name": "../up"}, "the name '../up' is not a word"),
        ({"version": "1/2"}, "the version '1/2' is not a word"),
        ({"database": "nobody"}, "unknown database 'nobody'"),
        ({"classes": 6}, "classes is 6"),
        ({"part": "train"}, "the tested faces are those of a part"),
        ({"part": "test", "folds": (0,)}, "the tested faces are those of a part"),
        ({"columns": ()}, "it has 0 columns"),
        ({"columns": RECIPE.columns * 2}, "two columns are called 'r16-seen'"),
        ({"columns": (Column("a", "r16"), Column("b", "r16"))}, "two columns are of mode 'r16'"),
        ({"columns": (Column("clean", "r16"),)}, "column 'clean' has no name that can be used"),
        ({"columns": (Column("a/b", "r16"),)}, "column 'a/b' has no name that can be used"),
        ({"columns": (Column("a", "real"),)}, "unknown mode 'real'"),
        ({"columns": (Column("a", "nose"),)}, "unknown mode 'nose'"),
        ({"columns": (Column("a", "r16", groups=("A b",)),)}, "its groups are not words"),
        ({"digest": SHA}, "lacks its manifest"),
        ({"format": 2}, "its format is 2"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    suite = replace(RECIPE, **change)
    with pytest.raises(SuiteError) as caught:
        read_suite(written(tmp_path, suite))
    assert told in str(caught.value) and str(tmp_path / FILE) in str(caught.value)


def test_a_name_that_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(dump_suite(RECIPE) + "fill = 'black'\n")
    with pytest.raises(SuiteError, match="'fill' is not known to this version"):
        read_suite(tmp_path)


@given(st.text(max_size=200))
def test_any_text_is_a_suite_or_one_clear_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("suite") / FILE
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(OccSynthError) as caught:
        read_suite(path)
    assert "\n" not in str(caught.value)


def test_the_truth_does_not_depend_on_order_and_knows_every_word() -> None:
    faces = [("aa", "fear", "s1"), ("bb", "anger", "s2")]
    assert truth_sha256(faces) == truth_sha256(faces[::-1])
    for other in ([("aa", "fear", "s1"), ("bb", "fear", "s2")], [("aa", "fear", "s1"), ("bb", "anger", "s1")]):
        assert truth_sha256(other) != truth_sha256(faces)


def test_a_suite_is_found_by_name_or_by_folder(tmp_path: Path) -> None:
    assert {"demo", "ferplus"} <= set(shipped_suites())
    assert find_suite("demo").is_dir() and find_suite(str(written(tmp_path, RECIPE))) == tmp_path
    with pytest.raises(SuiteError, match=r"no suite 'nothing': .*the suites that ship are demo, ferplus"):
        find_suite("nothing")
