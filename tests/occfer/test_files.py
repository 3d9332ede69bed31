"""Files are written whole or not at all, and what a killed run leaves behind is recognised."""

from pathlib import Path

import pytest

from occfer.errors import CheckpointError
from occfer.files import read_json, write_csv, write_json, write_text
from occsynth.files import PART, replacing


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_gets_its_name_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("old")
    with replacing(path) as part:
        part.write_text("new")
        assert path.read_text() == "old", "the old content stands until the new one is complete"
        assert part.parent == tmp_path, "a rename to another disk would not be atomic"
        assert [part] == list(tmp_path.glob(PART)), "a new run cleans its folder by this pattern"
    assert path.read_text() == "new"
    assert names(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["an error", "Ctrl-C"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("old")

    def fail() -> None:
        with replacing(path) as part:
            part.write_text("half of the n")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["notes.txt"]


def test_nothing_written_is_an_error_and_not_a_lost_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_text() == "old"


def test_a_writer_that_looks_at_the_ending_gets_one(tmp_path: Path) -> None:
    with replacing(tmp_path / "model.pt2", ending=".pt2") as part:
        assert part.suffix == ".pt2" and part.name != "model.pt2"
        part.touch()
    assert names(tmp_path) == ["model.pt2"]


def test_the_bytes_of_each_kind(tmp_path: Path) -> None:
    write_text(tmp_path / "page.html", "ü\n")
    write_json(tmp_path / "facts.json", {"b": 1, "a": ["ü"]})
    write_csv(tmp_path / "table.csv", ("name", "n"), [("a,b", 1), ("c", None)])
    assert (tmp_path / "page.html").read_bytes() == b"\xc3\xbc\n"
    assert (tmp_path / "facts.json").read_bytes() == b'{\n  "b": 1,\n  "a": [\n    "\xc3\xbc"\n  ]\n}\n'
    assert (tmp_path / "table.csv").read_bytes() == b'name,n\n"a,b",1\nc,\n'
    assert names(tmp_path) == ["facts.json", "page.html", "table.csv"]


def test_a_csv_whose_lines_fail_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_csv(tmp_path / "table.csv", ("n",), ((1 // n,) for n in (1, 0)))
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [("[1]", "holds no JSON object"), ("{", "is not readable JSON"), (None, "cannot be read")],
    ids=["a list", "damaged", "missing"],
)
def test_what_is_no_json_object_is_an_error(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "run.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CheckpointError, match=message):
        read_json(path)


def test_json_comes_back(tmp_path: Path) -> None:
    content = {"text": "ü", "list": [1, 2.5, None]}
    write_json(tmp_path / "run.json", content)
    assert read_json(tmp_path / "run.json") == content
