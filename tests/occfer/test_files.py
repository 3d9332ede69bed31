"""Files are written whole or not at all, and what a killed run leaves behind is recognised."""

import hashlib
import json
from pathlib import Path

import pytest

from occfer.errors import CheckpointError, DamagedError
from occfer.files import is_sealed, read_json, read_sealed, write_csv, write_json, write_sealed, write_text
from occsynth.files import PART, replacing
from tests.occfer.damage import DAMAGES, damage


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


def sealed_folder(folder: Path) -> Path:
    (folder / "inner").mkdir()
    (folder / "table.csv").write_text("n\n1\n")
    (folder / "inner" / "model").write_bytes(b"weights")
    write_sealed(folder / "facts.json", {"n": 1}, [folder / "table.csv", folder / "inner" / "model"])
    return folder / "facts.json"


def test_a_sealed_file_comes_back_without_its_checksums(tmp_path: Path) -> None:
    path = sealed_folder(tmp_path)
    assert read_sealed(path) == {"n": 1} and is_sealed(path)
    write_json(path, {"n": 2})
    assert read_sealed(path) == {"n": 2} and not is_sealed(path), "files of version 0.1 have no seal"


@pytest.mark.parametrize("name", ["facts.json", "table.csv", "inner/model"])
@pytest.mark.parametrize("how", DAMAGES, ids=list(DAMAGES))
def test_a_sealed_folder_notices_every_damage(tmp_path: Path, name: str, how: str) -> None:
    path = sealed_folder(tmp_path)
    damage(tmp_path / name, how)
    if (name, how) == ("facts.json", "other JSON"):
        assert not is_sealed(path), "who reads it must look for what it should hold"
        return
    with pytest.raises(DamagedError, match=name):
        read_sealed(path)


def test_a_large_file_may_be_left_for_later(tmp_path: Path) -> None:
    path = sealed_folder(tmp_path)
    damage(tmp_path / "inner" / "model", "a flipped byte")
    assert read_sealed(path, lambda name: name != "inner/model") == {"n": 1}
    (tmp_path / "inner" / "model").unlink()
    with pytest.raises(DamagedError, match=r"model is missing, though facts\.json names it"):
        read_sealed(path, lambda name: name != "inner/model")


@pytest.mark.parametrize("name", ["/etc/hostname", "../facts.json"])
def test_a_seal_reaches_no_file_out_of_its_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "facts.json"
    outside = tmp_path / "facts.json"
    outside.write_text("{}")
    write_sealed(path, {})
    content = json.loads(path.read_text())
    sums = {name: "0" * 64}
    own = hashlib.sha256(json.dumps([{}, sums], sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(content | {"checksums": sums | {"facts.json": own}}))
    with pytest.raises(DamagedError, match="names a file out of its folder"):
        read_sealed(path)
