"""Manifests: rows are read back as they were written; malformed and hostile ones are refused, naming the line."""

import gzip
import io
import json
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occsynth.errors import ManifestError
from occsynth.faces.align import Alignment
from occsynth.manifest import (
    COLUMNS,
    MOST_VOTED,
    ManifestInfo,
    Row,
    columns,
    manifest_name,
    open_manifest,
    read_rows,
    votes_of,
    votes_text,
    write_rows,
)
from occsynth.modes.occlusion import Occlusion, Shadow

ROW = Row(
    pair_id="s001/a",
    database="demo",
    subject="s001",
    expression="anger",
    split="",
    fold=3,
    mode="r16",
    clean="data/demo-96px/clean/s001/a.png",
    occluded="data/demo-r16/occluded/s001/a.png",
    mask="data/demo-r16/mask/s001/a.png",
    clean_pixels_sha256="a" * 64,
    occluded_pixels_sha256="b" * 64,
    mask_pixels_sha256="c" * 64,
    source="images/a.jpg",
    source_sha256="d" * 64,
    source_pixels_sha256="e" * 64,
    align='{"kind":"none","source_wh":[9,9],"reduced_wh":[9,9],"affine":[1.0,0.0,0.0,0.0,1.0,0.0]}',
    landmarks="found",
    occlusion='{"fill":"black","square_xyxy":[1,1,3,3]}',
    coverage_face=0.1,
    coverage_eyes=None,
    coverage_mouth=0.25,
    seed=7,
)

INFO = ManifestInfo(
    name="demo-r16",
    database="demo",
    variant="default",
    mode="r16",
    seed=7,
    size_px=96,
    fill="black",
    categories=[],
    align="none",
    format="png",
    rows=1,
)

TEXT_COLUMNS = [
    name for name in COLUMNS if name not in ("fold", "seed", "coverage_face", "coverage_eyes", "coverage_mouth")
]

# a scan lets no control character into a name
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30)
shares = st.none() | st.floats(0, 1)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    changes: dict[str, Any] = {name: draw(texts) for name in TEXT_COLUMNS}
    for name in ("coverage_face", "coverage_eyes", "coverage_mouth"):
        changes[name] = draw(shares)
    changes |= {"fold": draw(st.none() | st.integers(0, 99)), "seed": draw(st.integers())}
    return replace(ROW, **changes)


votes = st.dictionaries(
    st.from_regex("[a-z][a-z-]{0,29}", fullmatch=True), st.integers(1, 999_999), max_size=MOST_VOTED
)


def put(folder: Path, *rows: Row, info: ManifestInfo = INFO, ending: str = ".csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    write_rows(text, rows)
    path = folder / f"{info.name}{ending}"
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    (folder / f"{info.name}.json").write_text(info.dumps())
    return path


def test_the_columns_are_the_rows_fields_in_order() -> None:
    assert tuple(each.name for each in fields(Row)) == columns(votes=True) == (*COLUMNS, "votes")
    assert ",".join(columns(votes=False)) == (
        "pair_id,database,subject,expression,split,fold,mode,clean,occluded,mask,clean_pixels_sha256,"
        "occluded_pixels_sha256,mask_pixels_sha256,source,source_sha256,source_pixels_sha256,align,landmarks,occlusion,"
        "coverage_face,coverage_eyes,coverage_mouth,seed"
    )


@settings(deadline=None)
@given(rows(), st.none() | votes)
def test_a_row_comes_back_from_its_cells(row: Row, given_votes: dict[str, int] | None) -> None:
    row = replace(row, votes=None if given_votes is None else votes_text(given_votes.items()))
    assert Row.from_cells(row.cells()) == row


@given(votes)
def test_votes_come_back_from_their_text_with_the_most_first(given_votes: dict[str, int]) -> None:
    found = votes_of(votes_text([*given_votes.items(), ("nobody", 0)]))
    assert found == given_votes
    assert list(found.values()) == sorted(found.values(), reverse=True)


@settings(deadline=None, max_examples=50)
@given(st.lists(rows(), max_size=4), st.sampled_from((".csv", ".csv.gz")), st.sampled_from((None, "", "fear:3")))
def test_rows_come_back_from_a_file(
    tmp_path_factory: pytest.TempPathFactory, found: list[Row], ending: str, cell: str | None
) -> None:
    found = [replace(row, votes=cell) for row in found]
    path = put(tmp_path_factory.mktemp("rows"), *found, ending=ending)
    assert list(read_rows(path)) == found
    manifest = open_manifest(path)
    assert list(manifest.rows()) == found
    assert manifest.has_votes == (bool(found) and cell is not None)


def test_a_manifest_without_votes_is_written_as_version_0_1_did(tmp_path: Path) -> None:
    assert put(tmp_path, ROW).read_bytes().splitlines()[0].endswith(b"coverage_mouth,seed")


def test_numbers_keep_every_digit() -> None:
    share = 0.1 + 0.2
    assert Row.from_cells(replace(ROW, coverage_face=share).cells()).coverage_face == share


def test_line_ends_are_those_of_unix(tmp_path: Path) -> None:
    assert b"\r" not in put(tmp_path, ROW, ROW).read_bytes()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"seed": "x"}, "line 3: invalid literal"),
        ({"fold": "1.5"}, "line 3: invalid literal"),
        ({"coverage_eyes": "half"}, "line 3: could not convert"),
        ({"coverage_eyes": "nan"}, "line 3: coverage_eyes"),
        ({"coverage_face": "1.5"}, "line 3: coverage_face"),
        ({"coverage_mouth": "-0.1"}, "line 3: coverage_mouth"),
        ({"votes": "fear:0"}, "line 3: votes is 'fear:0', but must name each class once"),
        ({"votes": "fear:-1"}, "line 3: votes is"),
        ({"votes": "fear:1.5"}, "line 3: votes is"),
        ({"votes": "fear:1e9"}, "line 3: votes is"),
        ({"votes": "fear:1000000"}, "line 3: votes is"),
        ({"votes": "fear:٣"}, "line 3: votes is"),
        ({"votes": "fear"}, "line 3: votes is"),
        ({"votes": "fear:1;"}, "line 3: votes is"),
        ({"votes": "fear:1;fear:2"}, "line 3: votes is"),
        ({"votes": "=cmd:1"}, "line 3: votes is"),
        ({"votes": ";".join(f"{'x' * number}:1" for number in range(1, MOST_VOTED + 2))}, "line 3: votes is"),
    ],
)
def test_a_malformed_row_is_named_by_its_line(tmp_path: Path, change: dict[str, str], said: str) -> None:
    good = replace(ROW, votes="fear:1" if "votes" in change else None)
    path = put(tmp_path, good)
    cells = dict(zip(columns(votes="votes" in change), good.cells(), strict=True)) | change
    with path.open("a", newline="") as file:
        file.write(",".join(f'"{value.replace(chr(34), chr(34) * 2)}"' for value in cells.values()) + "\n")
    with pytest.raises(ManifestError, match=said):
        list(read_rows(path))


@pytest.mark.parametrize("cell, wanted", [(None, 23), ("fear:1", 24)])
def test_a_row_of_another_length_than_the_header_is_refused(tmp_path: Path, cell: str | None, wanted: int) -> None:
    other = replace(ROW, votes=None if cell else "fear:1")
    for line, count in (("a,b\n", 2), (",".join(["0"] * len(other.cells())) + "\n", len(other.cells()))):
        path = put(tmp_path, replace(ROW, votes=cell))
        with path.open("a") as file:
            file.write(line)
        with pytest.raises(ManifestError, match=f"line 3: {count} cells instead of {wanted}"):
            list(read_rows(path))


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "columns missing: pair_id, .*; columns found: none"),
        (b"pair_id,database\nx,y\n", "columns missing: subject, .*; columns found: pair_id, database"),
        (b"\xff\xfe\x00\x01", "cannot be read"),
        (",".join(reversed(COLUMNS)).encode() + b"\n", "its columns are in another order; columns found: seed, "),
        (
            ",".join((*COLUMNS, "colour")).encode() + b"\n",
            "columns that this version does not know: colour; columns found",
        ),
        (",".join((*COLUMNS, "seed")).encode() + b"\n", "columns that stand there twice: seed; columns found"),
        (",".join(("votes", *COLUMNS)).encode() + b"\n", "its columns are in another order; columns found: votes, "),
        (",".join((*COLUMNS, "votes", "votes")).encode() + b"\n", "columns that stand there twice: votes; "),
        (f"\ufeff{','.join(COLUMNS)}\n".encode(), "columns missing: pair_id; .*not know: .ufeffpair_id; columns found"),
    ],
)
def test_another_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = put(tmp_path)
    path.write_bytes(content)
    with pytest.raises(ManifestError, match=said):
        list(read_rows(path))


def test_a_cut_gzip_file_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, *[replace(ROW, pair_id=str(number)) for number in range(500)], ending=".csv.gz")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ManifestError, match="cannot be read"):
        list(read_rows(path))
    path.write_bytes(b"not gzip")
    with pytest.raises(ManifestError, match="cannot be read"):
        list(read_rows(path))


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200))
def test_random_bytes_are_an_error_not_a_crash(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = put(tmp_path_factory.mktemp("bytes"))
    path.write_bytes(content)
    with pytest.raises(ManifestError):
        list(read_rows(path))
    path.with_suffix(".json").write_bytes(content)
    with pytest.raises(ManifestError):
        open_manifest(path)


def test_info_comes_back(tmp_path: Path) -> None:
    info = replace(INFO, counts={"class": {"anger": 1}}, duplicates=[["a", "b"]], notes={"é": "ü"}, withheld=["source"])
    manifest = open_manifest(put(tmp_path / "builds" / "manifests", ROW, info=info))
    assert manifest.info == info
    assert manifest.root == tmp_path / "builds"
    assert manifest.beside(".rejects.csv") == tmp_path / "builds" / "manifests" / "demo-r16.rejects.csv"


def test_a_build_moves_as_a_whole(tmp_path: Path) -> None:
    put(tmp_path / "here" / "manifests", ROW)
    (tmp_path / "here").rename(tmp_path / "there")
    manifest = open_manifest(tmp_path / "there" / "manifests" / "demo-r16.csv")
    assert manifest.file(ROW.clean) == tmp_path / "there" / ROW.clean


def test_a_compressed_manifest_is_found_by_its_plain_name(tmp_path: Path) -> None:
    put(tmp_path, ROW, ending=".csv.gz")
    assert list(open_manifest(tmp_path / "demo-r16.csv").rows()) == [ROW]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"demo-r16\.csv not found\. Build it with `occsynth build`"):
        open_manifest(tmp_path / "demo-r16.csv")
    with pytest.raises(ManifestError, match=r"a manifest is a \.csv or \.csv\.gz file"):
        manifest_name(tmp_path / "demo-r16.json")
    path = put(tmp_path, ROW)
    path.with_suffix(".json").unlink()
    with pytest.raises(ManifestError, match=r"copy the \.json beside the \.csv"):
        open_manifest(path)


def test_a_later_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = put(tmp_path, ROW, info=replace(INFO, schema=3))
    with pytest.raises(ManifestError, match=r"schema 3 is not 1 or 2.*use the version of occsynth that it names"):
        open_manifest(path)


def test_unknown_keys_of_a_later_release_are_read_over(tmp_path: Path) -> None:
    path = put(tmp_path, ROW)
    path.with_suffix(".json").write_text(json.dumps(asdict(INFO) | {"colour": "blue"}))
    assert open_manifest(path).info == INFO


@pytest.mark.parametrize("text", ["[]", "null", "3", "{", '{"schema": 1}', ""])
def test_json_that_is_no_info_is_refused(tmp_path: Path, text: str) -> None:
    path = put(tmp_path, ROW)
    path.with_suffix(".json").write_text(text)
    with pytest.raises(
        ManifestError, match=r"holds no JSON object|is incomplete|is not readable JSON|schema None is not 1 or 2"
    ):
        open_manifest(path)


WRONG: dict[str, list[Any]] = {
    "name": [3, "../x", "a/b", ""],
    "size_px": ["96", 0, -5, 2.5, True, 4097],
    "rows": ["1", -1],
    "format": ["gif", None],
    "withheld": ["source", [1]],
    "counts": [[], {"class": 3}, {"class": {"anger": "1"}}],
    "duplicates": [[1], "a"],
    "notes": [[], {"a": 1}],
    "root": [3, None, "/", "/etc", "../..", "a/../../b", "..\\x"],
    "mode": [None, 1],
}


@pytest.mark.parametrize("name, value", [(name, value) for name, values in WRONG.items() for value in values])
def test_info_of_a_wrong_type_or_range_is_refused(tmp_path: Path, name: str, value: object) -> None:
    path = put(tmp_path / "manifests", ROW)
    path.with_suffix(".json").write_text(json.dumps(asdict(INFO) | {name: value}))
    with pytest.raises(ManifestError, match=rf"demo-r16\.json: {name}[\w.]* is "):
        open_manifest(path)


def test_the_reference_names_every_column_and_key() -> None:
    page = (Path(__file__).parents[2] / "docs/manifest.md").read_text(encoding="utf-8")
    names = {each.name for kind in (Row, ManifestInfo, Occlusion, Shadow, Alignment) for each in fields(kind)}
    assert {name for name in names if f"`{name}`" not in page} == set()
