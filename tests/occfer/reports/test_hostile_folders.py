"""Folders of results from elsewhere: wrong types at every place and texts that are no paths end in a page or a line."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from occfer.errors import OccFERError
from occfer.evaluation.compare import CompareOptions, compare
from occfer.models import BACKBONES
from occfer.reports.folder_contents import read_folders
from occfer.reports.heat_sections import heat_sections
from occfer.reports.page import ReportOptions, write_report
from occfer.reports.provenance import manifests_of, shows_demo, what_ran
from occfer.reports.runs_table import runs_table
from occfer.reports.sections import comparison_section
from occfer.tables.lines import title_of
from tests.occfer.damage import unseal
from tests.occfer.reports.report_folders import Folders, make_folders
from tests.occfer.toy_builds import add_tiny_backbone

FILES = [
    *(("full", name) for name in ("metrics.json", "data.json", "config.json", "environment.json")),
    *(("tested", name) for name in ("metrics.json", "environment.json")),
    ("folds", "metrics.json"),
    ("profile", "profile.json"),
    ("comparison", "compare.json"),
    ("heat", "explain.json"),
    ("table", "table.json"),
]
WRONG: list[Any] = [None, True, -1, 10**400, 1e308, float("nan"), "", "x", [], [[]], [None], {}, {"a": 1}]
NO_PATHS = [
    "",
    ".",
    "/",
    "..",
    "a\0b",
    "y" * 100_000,
    "x/" * 5000,
    "~",
    "~root/x",
    "http://example.org/a.csv",
    "-",
    "😀" * 90,
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folders]:
    add_tiny_backbone()
    yield make_folders(tmp_path_factory.mktemp("results"), "toy")
    del BACKBONES["tiny"]


def unsealed_copy(source: Path, out: Path) -> Path:
    """A copy without checksums: whoever forges a file can compute them."""
    shutil.copytree(source, out, ignore=shutil.ignore_patterns("checkpoints", "*.png"))
    unseal(out)
    return out


def read_everything(folder: Path, other: Path) -> None:
    """As `report` and `compare` read a folder, without the drawing of figures."""
    read_facts(folder)
    if results := read_folders([folder]).results:
        runs_table(results, folder.parent)
        compare(CompareOptions(a=folder, b=other))


def read_facts(folder: Path) -> None:
    """As far as nothing is computed of the predictions."""
    contents = read_folders([folder])
    shows_demo(contents, manifests_of(contents))
    what_ran(contents)
    for path, compared in contents.comparisons:
        comparison_section(path, compared)
    list(heat_sections(contents.heat, contents.heat_notes))
    for result in contents.results:
        title_of(result.method, result.config)


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside a JSON value; of a list, to its first and last one."""
    yield at
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        for place in sorted({0, len(value) - 1} & set(range(len(value)))):
            yield from places(value[place], (*at, place))


def replaced(plain: Any, at: tuple[Any, ...], value: Any) -> Any:
    if not at:
        return value
    changed = copy.deepcopy(plain)
    inner = changed
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    return changed


@pytest.mark.parametrize(("kind", "name"), FILES, ids=[f"{kind} {name}" for kind, name in FILES])
def test_a_wrong_type_at_any_place_is_one_line(folders: Folders, tmp_path: Path, kind: str, name: str) -> None:
    folder = unsealed_copy(getattr(folders, kind), tmp_path / "copy")
    plain = json.loads((folder / name).read_bytes())
    refused = 0
    for number, at in enumerate(places(plain)):
        for value in WRONG if len(at) < 2 else WRONG[number % 4 :: 4]:  # deep inside, each place meets some of them
            (folder / name).write_text(json.dumps(replaced(plain, at, value)))
            try:
                read_facts(folder)
            except OccFERError as error:
                refused += 1
                assert str(error).isprintable()
    assert refused


@pytest.mark.parametrize("text", NO_PATHS, ids=[repr(text)[:12] for text in NO_PATHS])
def test_texts_that_are_no_paths_are_not_found(folders: Folders, tmp_path: Path, text: str) -> None:
    run = unsealed_copy(folders.full, tmp_path / "run")
    tested = unsealed_copy(folders.tested, tmp_path / "tested")
    for path, changes in (
        (run / "config.json", {"manifests": [text], "test_manifests": [text]}),
        (run / "data.json", {"manifests": [{"name": text, "sha256": text, "database": text}]}),
        (tested / "metrics.json", {"checkpoint": text, "manifest_files": [text]}),
    ):
        path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))
    for folder in (run, tested):
        read_everything(folder, folders.long)
        assert all(each.path is None for each in read_folders([folder]).results[0].manifests)


def test_a_page_is_written_of_texts_without_end(folders: Folders, tmp_path: Path) -> None:
    long = "long words " * 10_000
    run = unsealed_copy(folders.full, tmp_path / "run")
    for name, changes in (
        ("data.json", {"manifests": [{"name": long, "sha256": "a", "database": long}]}),
        ("environment.json", {"command": long, "device": long, "versions": {long: long}}),
        ("metrics.json", {"notes": [long]}),
    ):
        path = run / name
        path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))
    made = write_report(ReportOptions(folders=(run,), out=tmp_path / "report.html", device="cpu"))
    assert made.size_bytes > len(long)
