"""The report as text: what stands in it, from which numbers, and that nothing from a file is more than text."""

import base64
import csv
import hashlib
import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from occfer.cli.app import app
from occfer.errors import ReportError
from occfer.evaluation.result_folders import open_result
from occfer.metrics.accuracy import persons_of
from occfer.metrics.intervals import interval
from occfer.metrics.significance import holm, paired_outcome
from occfer.models import BACKBONES
from occfer.reports.html_table import table_view
from occfer.reports.page import (
    DEMO_CAUTION,
    OLD_INTERVALS_CAUTION,
    RECONSTRUCTION_CAUTION,
    UNTRAINED_CAUTION,
    ReportOptions,
    write_report,
)
from occfer.reports.runs_table import runs_table
from occfer.tables.columns import adjusted
from occfer.tables.lines import title_of
from occfer.tables.result_table import Cell, Column, Speed
from occfer.tables.table_file import write_table
from occfer.tables.text_files import to_csv
from tests.occfer.damage import unseal
from tests.occfer.reports.report_folders import HOSTILE, Folders, hostile_folders, make_folders
from tests.occfer.tables.sample_table import TABLE
from tests.occfer.toy_builds import add_tiny_backbone
from tests.occsynth.pictures.test_gallery_browser import Tags


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """On a build that is called ck+, so that the paper has figures for it. No test changes them."""
    add_tiny_backbone()
    return make_folders(tmp_path_factory.mktemp("report"), "ck+")


@pytest.fixture(autouse=True)
def known_backbone(folders: Folders, tiny_backbone: None) -> None:
    """The backbone `tiny` is in the table in every test."""


def page_of(out: Path, *given: Path, **options: Any) -> str:
    write_report(ReportOptions(folders=given, out=out / "report.html", device="cpu", **options))
    return (out / "report.html").read_text(encoding="utf-8")


def text_of(page: str) -> str:
    """What a reader sees, white space joined."""
    return " ".join(
        html.unescape(re.sub("<[^>]*>", " ", page.split("<body>")[1].split("<script>", maxsplit=1)[0])).split()
    )


@pytest.fixture(scope="module")
def page(folders: Folders, tmp_path_factory: pytest.TempPathFactory) -> str:
    add_tiny_backbone()
    made = page_of(tmp_path_factory.mktemp("page"), *folders.all)
    del BACKBONES["tiny"]
    return made


def test_a_page_holds_all_and_loads_nothing(page: str) -> None:
    tags = Tags(page).tags
    assert [tag for tag, _ in tags].count("script") == 1 and [tag for tag, _ in tags].count("style") == 1
    sources = [attributes["src"] for tag, attributes in tags if "src" in attributes]
    assert sources and all(re.match(r"data:image/(png|svg\+xml);base64,", source) for source in sources)
    links = {attributes["href"] for _, attributes in tags if "href" in attributes}
    anchors = {f"#{attributes['id']}" for _, attributes in tags if "id" in attributes}
    assert links - {"data:,"} <= anchors
    assert not any(name.startswith("on") or name == "style" for _, attributes in tags for name in attributes)
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")


def test_the_policy_allows_its_own_script_and_style_alone(page: str) -> None:
    policy = next(attributes["content"] for _, attributes in Tags(page).tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; img-src data:; script-src 'sha256-") and "unsafe" not in policy
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_accuracies_stand_with_n_interval_paper_and_control(page: str, folders: Folders) -> None:
    view = table_view(runs_table([open_result(each) for each in folders.all[:4]], folders.root), "t", "")
    full, control = view.lines[0], view.lines[1]
    known = json.loads((folders.full / "metrics.json").read_text())
    other = json.loads((folders.long / "metrics.json").read_text())
    r16 = full.cells[1]
    found = open_result(folders.full).predictions
    bounds = interval(found.right, [pair.person for pair in found.pairs])
    assert known["interval"] == bounds.to_json()
    assert r16.main.split(" ")[0] == f"{100 * known['accuracy']:.2f}"
    assert r16.interval == f"{100 * bounds.low:.1f} to {100 * bounds.high:.1f}"
    gain = known["accuracy"] - other["accuracy"]
    assert r16.small == ("n = 14, fold 0", f"control {100 * other['accuracy']:.2f}, {100 * gain:+.2f}")
    assert (r16.paper, control.cells[1].paper, full.cells[0].paper) == ("96.86", "", "96.86")
    assert (full.cells[0].main, full.cells[0].order) == ("-", ""), "this run was not tested with mode eyes"
    assert [line.kind for line in view.lines] == ["guided", "control", "plain", "guided"]
    text = text_of(page)
    for cell in (r16, control.cells[1]):
        assert f"{cell.main} {cell.interval} {' '.join(cell.small)}" in text
    assert "Results on ck+" in text and "Ours (all four losses) (" in text


def test_paired_tests_of_runs_are_of_the_pairs_that_both_were_tested_on(folders: Folders) -> None:
    results = [open_result(each) for each in (folders.full, folders.long, folders.folds)]
    table = runs_table(results, folders.root)
    full, long, resnet = (
        {pair.key: bool(ok) for pair, ok in zip(each.predictions.pairs, each.predictions.right, strict=True)}
        for each in results
    )
    pairs = {pair.key: pair for pair in results[2].predictions.pairs}
    p_values = []
    for answers in (full, long):
        keys = sorted(set(answers) & set(resnet))
        assert len(keys) == 14
        one, other = (np.array([known[key] for key in keys]) for known in (answers, resnet))
        p_values.append(paired_outcome(one, other, *persons_of([pairs[key] for key in keys])).p_value)
    cells = [line.cells["ck+-r16"] for line in table.lines]
    assert all(isinstance(cell, Cell) for cell in cells)
    tests = [cell.tests["resnet"] for cell in cells[:2] if isinstance(cell, Cell)]
    assert [test.p for test in tests] == pytest.approx(p_values)
    assert [test.p_holm for test in tests] == pytest.approx(holm(p_values))
    third = cells[2]
    assert isinstance(third, Cell) and "resnet" not in third.tests and third.folds is not None
    assert (third.n, third.folds.n, third.note) == (42, 3, "")


@pytest.mark.parametrize("few", [{"baseline_updates": 2}, {"baseline_epochs": 0}])
def test_what_was_not_trained_is_called_so_and_in_no_test(
    folders: Folders, tmp_path: Path, few: dict[str, int]
) -> None:
    trial = tmp_path / "trial"
    shutil.copytree(folders.full, trial)
    unseal(trial)
    for name, changes in (("metrics.json", {"method": "pg-cnn"}), ("config.json", {"method": "pg-cnn"} | few)):
        path = trial / name
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    results = [open_result(each) for each in (folders.full, trial, folders.folds)]
    full, pg_cnn, _ = runs_table(results, tmp_path).lines
    assert pg_cnn.shown_title == "PG-CNN (not trained)"
    cells = [line.cells["ck+-r16"] for line in (full, pg_cnn)]
    tests = [cell.tests for cell in cells if isinstance(cell, Cell)]
    assert [list(each) for each in tests] == [["resnet"], []]
    assert tests[0]["resnet"].p_holm == tests[0]["resnet"].p, "the only test of its column"
    assert f"PG-CNN (not trained) ({trial})" in text_of(page_of(tmp_path, trial, reconstructions=False))


def test_speeds_are_told_as_they_were_measured() -> None:
    speed = Speed(12.0, 11.0, 14.0, 5, 8, 1000, 155.3)
    line = replace(TABLE.lines[0], cells={"frames/s": speed})
    table = replace(TABLE, quantity="frames/s", columns=(Column("frames/s", "frames/s"),), lines=(line,))
    view = table_view(table, "t", "")
    assert view.what.startswith("Frames per second: median, and lowest to highest.")
    (cell,) = view.lines[0].cells
    assert (cell.main, cell.interval, cell.paper) == ("12.00", "11.00 to 14.00", "155.30")
    assert cell.small == ("batch 8, 5 repeats", "1,000 parameters")


def test_every_kind_of_result_has_its_place(page: str) -> None:
    text = text_of(page)
    for words in (
        "Robustness profile of full (", "Pairs that A and B answer differently (",
        "Test (exact sign flips by subject): A alone is right on",
        "Confusions of Ours (all four losses) (", "Calibration of ResNet (", "PG-CNN (not trained)",
        "RGBT (reconstruction)", "* differs from resnet, p < 0.05", "train full r8 fold 3: error: <script>",
        "The control resnet-long is not in this table", "Over 3 folds: mean accuracy",
        "Shares of heat inside the occluder", "Heat of the answer inside the occluder: A ",
    ):  # fmt: skip
        assert words in text, words
    assert text.count("Clean, occluded and reconstructed faces of") == 1, "once a model, and of models with a decoder"
    assert RECONSTRUCTION_CAUTION in text and UNTRAINED_CAUTION in text and DEMO_CAUTION not in text
    assert OLD_INTERVALS_CAUTION in text, "the table has an interval of version 0.1"


def test_data_rejects_and_commands_are_listed(page: str, folders: Folders) -> None:
    text = text_of(page)
    digest = hashlib.sha256((folders.root / "builds/manifests/ck+-r16.csv").read_bytes()).hexdigest()
    assert f"SHA-256 of the manifest {digest}" in text and "42 of 45 sources" in text
    assert "rejects 3; no face found: 2 ; too small: 1" in text.replace(" ;", ";").replace("; too", " ; too")
    assert "Rejects (3 lines) source reason bad.png no face found worse.png no face found tiny.png too small" in text
    known = json.loads((folders.full / "environment.json").read_text())
    assert " ".join(known["command"].split()) in text
    assert known["device"] in text and f"torch {known['versions']['torch']}" in text
    assert "occfer reproduce table2 --db ck+" in text
    assert text.count(f"ck+-r8 SHA-256 of the manifest {'a' * 64} rejects 0 not found") == 1


def test_the_tables_lie_beside_the_page_as_text(folders: Folders, tmp_path: Path) -> None:
    made = write_report(
        ReportOptions(folders=(folders.table, folders.full), out=tmp_path / "report.html", device="cpu")
    )
    names = [path.relative_to(tmp_path).as_posix() for path in made.tables]
    endings = ("csv", "md", "tex")
    assert names == [f"report-tables/{name}/table.{ending}" for name in ("runs", "table") for ending in endings]
    assert (tmp_path / "report-tables/table/table.csv").read_text() == to_csv(adjusted(TABLE))
    with (tmp_path / "report-tables/runs/table.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["method"], row["n"], row["paper_percent"]) == ("full", "14", "96.86")
    control = "The control resnet-long is not in this table"
    assert control in (tmp_path / "report-tables/runs/table.md").read_text()
    page = text_of((tmp_path / "report.html").read_text())
    assert page.count(control) == 2, "once a table"


def test_the_same_results_give_the_same_bytes(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    given = (folders.full, folders.profile, folders.comparison)
    assert page_of(tmp_path / "a", *given) == page_of(tmp_path / "b", *given)


@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout")  # what such names do to a figure
def test_hostile_names_stay_text(folders: Folders, tmp_path: Path) -> None:
    given = hostile_folders(tmp_path, folders.full)
    made = page_of(tmp_path, *given)
    tags = Tags(made).tags
    assert [tag for tag, _ in tags].count("script") == 1
    assert all(attributes["src"].startswith("data:image/") for tag, attributes in tags if tag == "img")
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert "\u202e" not in made and "\x1b" not in made
    assert "{{ 7*7 }}" in made and HOSTILE in text_of(made), "they are shown as they are"
    inside = [path.relative_to(tmp_path).parts for path in (tmp_path / "report-tables").rglob("*")]
    assert all(part.replace("-", "").isalnum() or "." in part for parts in inside for part in parts[1:2])


def test_hostile_words_inside_figures_stay_text(folders: Folders, tmp_path: Path) -> None:
    """A class is a word of a file, too; it is drawn, so it stands inside an SVG."""
    run = tmp_path / "run"
    shutil.copytree(folders.full, run)
    unseal(run)
    path = run / "predictions.csv"
    path.write_text(path.read_text().replace("anger", "<script>alert(1)<"))
    (run / "config.json").unlink()
    made = page_of(tmp_path, run)
    drawn = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", made)
    assert drawn
    for each in drawn:
        assert "<script" not in base64.b64decode(each).decode()


def test_runs_that_were_moved_are_still_told_about(folders: Folders, tmp_path: Path) -> None:
    shutil.copytree(folders.full, tmp_path / "full")
    shutil.rmtree(tmp_path / "full" / "checkpoints")
    text = text_of(page_of(tmp_path, tmp_path / "full"))
    assert "no reconstructions, since its model was not found" in text
    assert "Clean, occluded and reconstructed" not in text
    assert "no reconstructions" not in text_of(page_of(tmp_path, tmp_path / "full", reconstructions=False))
    config = json.loads((tmp_path / "full/config.json").read_text())
    (tmp_path / "full/config.json").write_text(json.dumps(config | {"manifests": ["gone/ck+-r16.csv"]}))
    assert "rejects not known not found where it was used" in text_of(page_of(tmp_path, tmp_path / "full"))


def test_a_folder_that_holds_folders(folders: Folders, tmp_path: Path) -> None:
    made = write_report(ReportOptions(folders=(folders.root / "runs",), out=tmp_path / "report.html", device="cpu"))
    assert [result.folder.name for result in made.contents.results] == ["full", "resnet", "resnet-long"]


def test_what_cannot_be_reported(folders: Folders, tmp_path: Path) -> None:
    def attempt(*given: Path, out: str = "report.html") -> None:
        write_report(ReportOptions(folders=given, out=tmp_path / out))

    (tmp_path / "empty").mkdir()
    with pytest.raises(ReportError, match="empty holds no results: no finished run, evaluation"):
        attempt(tmp_path / "empty")
    with pytest.raises(ReportError, match="gone is not a folder"):
        attempt(tmp_path / "gone")
    with pytest.raises(ReportError, match=r"-o .*report\.pdf: the report is a page"):
        attempt(folders.table, out="report.pdf")
    (tmp_path / "file").touch()
    with pytest.raises(ReportError, match="cannot be written"):
        attempt(folders.table, out="file/report.html")
    (tmp_path / "compare.json").write_text('{"a": 1}')
    with pytest.raises(ReportError, match=r"compare\.json is not a comparison"):
        attempt(tmp_path)


def test_names_of_methods_that_this_version_does_not_know() -> None:
    assert title_of("later") == "later"
    assert title_of("rgbt").endswith("(reconstruction)")


def test_from_the_command_line(folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["report", str(folders.full), str(folders.profile), "--device", "cpu"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert re.match(r"1 result, 0 tables, 1 profile, 0 comparisons; \d\.\d MB\nreport\treport\.html\n", result.stdout)
    assert result.stderr == ""
    assert Path("report.html").is_file()


def test_the_runs_of_a_table_are_found_from_its_folder(folders: Folders, tmp_path: Path) -> None:
    """Of `full`, their confusions are drawn, and their faces restored; folders are named without `..`."""
    runs = tuple(f"../runs/full/{fold}" for fold in ("", "."))  # one folder by two names: a second seed, as it were
    line = TABLE.lines[0]
    cell = line.cells["r8"]
    assert isinstance(cell, Cell)
    table = replace(TABLE, lines=(replace(line, cells=dict(line.cells) | {"r8": replace(cell, runs=runs)}),))
    shutil.copytree(folders.full, tmp_path / "runs/full")
    write_table(tmp_path / "table", table)
    text = text_of(page_of(tmp_path, tmp_path / "table"))
    assert "Ours (all four losses) on R8: Table 2" in text and "Ours (all four losses) on R16" not in text
    assert f"Clean, occluded and reconstructed faces of {tmp_path}/runs/full; mean squared error" in text
    assert "ck+-r16 database ck+ SHA-256" in text, "its manifests are listed, too"
