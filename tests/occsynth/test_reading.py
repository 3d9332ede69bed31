"""JSON and CSV that nobody vouches for: size, lines, depth and types are bounded; every fault is one clear error."""

import gzip
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from occsynth import reading
from occsynth.reading import (
    DEEPEST_JSON,
    LONGEST_LINE,
    MOST_JSON_VALUES,
    parse_json,
    read_cells,
    read_json,
    read_table,
    read_toml,
    record_of,
)


class FaultError(Exception):
    """What a caller asks to be raised."""


@dataclass(frozen=True, slots=True)
class Example:
    name: str
    size_px: int
    share: float = 0.5
    kind: Literal["clean", "occluded"] = "clean"
    path: Path | None = None
    classes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


def test_a_record_comes_back_with_its_types() -> None:
    content = {"name": "a", "size_px": 48, "share": 1, "path": "x/y", "classes": ["u", "v"], "later": 3}
    assert record_of(Example, content, "it", FaultError) == Example("a", 48, 1.0, "clean", Path("x/y"), ("u", "v"))


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"name": 3}, "name"),
        ({"name": None}, "name"),
        ({"size_px": 1.5}, "size_px"),
        ({"size_px": True}, "size_px"),
        ({"size_px": "48"}, "size_px"),
        ({"share": "much"}, "share"),
        ({"kind": "seen"}, "kind"),
        ({"path": 3}, "path"),
        ({"classes": "abc"}, "classes"),
        ({"classes": ["a", 3]}, "classes.1"),
        ({"facts": [1]}, "facts"),
    ],
)
def test_a_value_of_another_type_is_named(changed: dict[str, Any], name: str) -> None:
    with pytest.raises(FaultError) as caught:
        record_of(Example, {"name": "a", "size_px": 48} | changed, "run.json", FaultError)
    assert str(caught.value).startswith(f"run.json: {name} is ") and "\n" not in str(caught.value)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(FaultError, match=r"^run\.json is incomplete: size_px is missing$"):
        record_of(Example, {"name": "a"}, "run.json", FaultError)


@pytest.mark.parametrize("content", [[], "text", 3, None])
def test_what_is_no_object_is_no_record(content: object) -> None:
    with pytest.raises(FaultError, match="holds no JSON object"):
        record_of(Example, content, "run.json", FaultError)


@pytest.mark.parametrize("shape", ["[", '{"a":'])
@pytest.mark.parametrize("levels", [DEEPEST_JSON + 1, 100_000])
def test_deep_json_is_refused(shape: str, levels: int) -> None:
    text = shape * levels + "1" + ("]" if shape == "[" else "}") * levels
    with pytest.raises(FaultError, match="nested too deep"):
        parse_json(text, "it", FaultError)


def test_json_as_deep_as_allowed_is_read() -> None:
    assert parse_json("[" * DEEPEST_JSON + "]" * DEEPEST_JSON, "it", FaultError)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not readable JSON"),
        (b'{"a": ', "is not readable JSON"),
        (b"\xff\xfe", "is not readable JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not readable JSON"),
        (b"[1]", "holds no JSON object"),
        (b"\0" * 100, "is not readable JSON"),
        (b'\xef\xbb\xbf{"a": 1}', "is not readable JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', "is not readable JSON: an object has two values of the name 'a'"),
        (b'{"a": "\\udc00"}', "is not readable JSON: .* surrogates not allowed"),
    ],
    ids=["empty", "cut", "bytes", "long number", "list", "zeros", "byte order mark", "name twice", "half a pair"],
)
def test_broken_json_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content)
    with pytest.raises(FaultError, match=message) as caught:
        read_json(path, FaultError)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_whole_surrogate_pairs_and_numbers_beyond_a_float_are_read() -> None:
    assert parse_json(r'["\ud83d\ude00", "\\ud800", 1e999]', "it", FaultError) == ["😀", r"\ud800", float("inf")]


@pytest.mark.parametrize("values", ["[],", "{},", "0,", '"":0,'])
def test_json_of_too_many_values_is_refused_before_it_is_read(values: str) -> None:
    ends = "{}" if values[0] == '"' else "[]"
    with pytest.raises(FaultError, match="it holds more than 2,000,000 values"):
        parse_json(f"{ends[0]}{values * MOST_JSON_VALUES}0{ends[1]}", "it", FaultError)


def test_a_closed_record_takes_no_other_names() -> None:
    with pytest.raises(FaultError, match="it: 'later' is not known to this version"):
        record_of(Example, {"name": "a", "size_px": 48, "later": 3}, "it", FaultError, closed=True)


def test_large_json_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"a": "x" * 1000}))
    with pytest.raises(FaultError, match="is larger than 500 bytes"):
        read_json(path, FaultError, largest=500)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(FaultError, match=f"{path} cannot be read"):
            read_json(path, FaultError)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_lines_keep_their_numbers(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table{ending}"
    text = 'name,n\n"two\nlines",1\nb,2\n'
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    assert list(read_cells(path, FaultError)) == [(1, ["name", "n"]), (3, ["two\nlines", "1"]), (4, ["b", "2"])]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_long_line_is_refused_before_it_is_read_whole(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table{ending}"
    text = b"name\n" + b"x" * (LONGEST_LINE + 5)
    path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    with pytest.raises(FaultError, match="line 2 is longer than"):
        list(read_cells(path, FaultError))


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_row_of_endless_lines_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"table{ending}"
    text = b"name\n" + b'"a\n",' * LONGEST_LINE
    path.write_bytes(gzip.compress(text) if ending.endswith("gz") else text)
    with pytest.raises(FaultError, match="the row after line 1 is longer than"):
        list(read_cells(path, FaultError))


def test_a_gzipped_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "GZIP_FREE_BYTES", 2**16)
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" * 2**18))
    with pytest.raises(FaultError, match="it unpacks to more than 50 times its size"):
        for _ in read_cells(path, FaultError):
            pass
    path.write_bytes(gzip.compress(b"a,b\n" * 2**13))
    assert sum(1 for _ in read_cells(path, FaultError)) == 2**13


@pytest.mark.parametrize(
    "spoil",
    [lambda packed: packed[:-10], lambda packed: packed[:20] + b"\xff" * 10 + packed[30:], lambda _: b"no gzip"],
    ids=["cut", "garbled", "other"],
)
def test_a_damaged_gzip_is_one_line(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(spoil(gzip.compress(b"name,n\n" + b"abc,1\n" * 100)))
    with pytest.raises(FaultError, match=r"table\.csv\.gz cannot be read"):
        list(read_cells(path, FaultError))


def test_a_table_names_the_columns_that_it_lacks_and_those_it_has(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("\ufefffile;label\n")
    with pytest.raises(FaultError, match="columns missing: file, label; columns found: file;label"):
        list(read_table(path, ("file", "label"), FaultError))


def test_a_table_pads_short_lines_and_ignores_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("\ufefffile,label,more\na.png\n", encoding="utf-8")
    assert list(read_table(path, ("file", "label"), FaultError)) == [(2, {"file": "a.png", "label": "", "more": ""})]


def test_the_limit_of_json_text_holds_for_text_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_JSON_BYTES", 10)
    with pytest.raises(FaultError, match="is larger than 10 bytes"):
        parse_json('{"a": "xxxxxxxx"}', "it", FaultError)


def test_a_toml_file_comes_back_in_the_types_of_json(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b'\xef\xbb\xbfname = "a"\n[table]\nn = 3\nwords = ["u", "v"]\n')
    assert read_toml(path, FaultError) == {"name": "a", "table": {"n": 3, "words": ["u", "v"]}}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a = 1\na = 2\n", "not readable TOML"),
        ("a = " + "[" * 5000, "nested"),
        ("a = " + "[" * 40 + "]" * 40, "nested"),
        (".".join(["a"] * 600) + " = 1", "dots"),
        ("a = 1979-05-27", "date"),
        ("a = nan", "finite"),
        ("# " + "x" * 70_000, "larger"),
        ('a = "\udcff"', "not readable TOML"),
    ],
)
def test_other_toml_is_one_clear_error(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FaultError, match=what) as caught:
        read_toml(path, FaultError)
    assert str(path) in str(caught.value)


def test_a_toml_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match="cannot be read"):
        read_toml(tmp_path / "none.toml", FaultError)
