"""Boards: which results share a table, in which order, and which files are refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from occfer.benchmark.result import FILE, Provenance, read_benchmark
from occfer.errors import ReportError
from occfer.leaderboard.boards import read_boards
from occfer.leaderboard.lines import detail_headings, headings, line_of
from occfer.leaderboard.page import FIGURES, PAGE, write_leaderboard
from occsynth.reading import read_cells
from tests.occfer.damage import unseal
from tests.occfer.leaderboard.results import SUITE, result, written


def test_results_are_sorted_by_their_mean_and_found_at_any_depth(tmp_path: Path) -> None:
    best, worst, same = result("b", 60, 50, 40, 45), result("a", 65, 20, 30, 40), result("0", 50, 50, 40, 45)
    written(tmp_path / "ours", worst, best)
    written(tmp_path / "ours" / "more" / "deeper", same)
    (board,) = read_boards([tmp_path / "ours", tmp_path / "ours" / "0-result", tmp_path / "ours" / "1-result" / FILE])
    assert [each.contestant.name for each in board.results] == ["0", "b", "a"], "and found twice it counts once"


def test_suites_of_other_digests_never_share_a_table(tmp_path: Path) -> None:
    other = replace(SUITE, digest="b2" * 32)
    written(tmp_path, result("a", 60, 50, 40, 45), result("a", 60, 50, 40, 44, suite=other))
    boards = read_boards([tmp_path])
    assert [board.suite.digest[:2] for board in boards] == ["a1", "b2"]
    assert [len(board.results) for board in boards] == [1, 1]


def test_one_digest_with_other_faces_is_a_forgery(tmp_path: Path) -> None:
    forged = {
        "has another name": result("b", 60, 50, 40, 45, suite=replace(SUITE, version="2")),
        "has other columns": replace(
            found := result("b", 60, 50, 40, 45),
            columns=tuple(replace(each, name=f"{each.name}-new") for each in found.columns),
        ),
    }
    for number, (message, each) in enumerate(forged.items()):
        folder = written(tmp_path / str(number), result("a", 60, 50, 40, 45), each)
        with pytest.raises(ReportError, match=f"claims the digest a1a1a1a1a1a1 of the suite demo, but {message}"):
            read_boards([folder])


def test_places_without_results(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="gone not found; give files or folders of `occfer benchmark`"):
        read_boards([tmp_path / "gone"])
    with pytest.raises(ReportError, match=r"holds no benchmark\.json"):
        read_boards([tmp_path])
    folder = written(tmp_path, result("a", 60, 50, 40, 45))
    path = folder / "0-result" / FILE
    path.write_text(path.read_text().replace("resnet18", "resnet50"))
    with pytest.raises(ReportError, match="not as it was written"):
        read_boards([folder])
    path.write_text('{"mean": 1}')
    with pytest.raises(ReportError, match="not the result of a benchmark"):
        read_boards([folder])


def test_a_line_says_every_figure_with_its_interval(tmp_path: Path) -> None:
    unknown = Provenance(trained_on=("demo", "fer2013"))
    written(tmp_path, result("a", 60, 50, 40, 45, real=20), result("b", 0, 0, 0, 7, known=unknown))
    (board,) = read_boards([tmp_path])
    assert headings(board) == ["mean", "clean", "relative drop", "worst column", "real"]
    first, second = (line_of(each, board) for each in board.results)
    assert [cell.text for cell in first.cells] == ["64.3", "85.7", "25.0 %", "57.1", "50.0"]
    assert first.cells[0].interval == "60.3 to 68.3" and first.cells[3].small == "mouth"
    assert first.cells[4].small == "n = 40"
    assert detail_headings(board) == ["mean, paper", "eyes", "mouth", "upper-40"]
    assert [cell.text for cell in first.details] == ["64.3", "71.4", "57.1", "64.3"] and all(
        c.interval for c in first.details
    )
    assert first.marks == () and first.selected_by == "accuracy on 30 validation pairs"
    assert second.marks == ("training faces unknown", "trained on demo") and second.selected_by == "unknown"
    assert [cell.text for cell in second.cells] == ["3.3", "0.0", "-", "0.0", "-"]
    assert second.cells[2].order == second.cells[4].order == "", "what is missing is sorted last"


def test_the_page_depends_on_nothing_but_the_results(tmp_path: Path) -> None:
    a, b = result("a", 60, 50, 40, 45), result("b", 61, 50, 40, 45)
    one = write_leaderboard([written(tmp_path / "one", a, b)], tmp_path / "site")
    other = write_leaderboard([written(tmp_path / "two", b, a)], tmp_path / "other")
    assert one.page.read_bytes() == other.page.read_bytes()
    assert one.figures.read_bytes() == other.figures.read_bytes()
    assert sorted(path.name for path in (tmp_path / "site").iterdir() if path.name[0] != ".") == [PAGE, FIGURES]
    again = write_leaderboard([tmp_path / "one"], tmp_path / "site")
    assert again.page.read_bytes() == other.page.read_bytes(), "its own site is written anew"
    header, *lines = [cells for _, cells in read_cells(one.figures, ReportError)]
    assert header[:3] == ["suite", "version", "digest"] and header[-3:] == ["accuracy", "low", "high"]
    assert len(lines) == 2 * (2 + 1 + 3), "two means, the clean faces and three columns for each model"


def test_files_of_the_users_stay(tmp_path: Path) -> None:
    folder = written(tmp_path / "results", result("a", 60, 50, 40, 45))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / PAGE).write_text("mine")
    with pytest.raises(ReportError, match="holds files that `occfer leaderboard` did not make"):
        write_leaderboard([folder], tmp_path / "site")
    assert (tmp_path / "site" / PAGE).read_text() == "mine"
    write_leaderboard([folder], tmp_path / "site", overwrite=True)
    assert "OccFER-Bench" in (tmp_path / "site" / PAGE).read_text()


HOSTILE = '"><img src=x onerror=alert(1)><script>document.title="taken"</script>\u202e'


def test_names_from_elsewhere_are_text(tmp_path: Path) -> None:
    suite = replace(SUITE, name=HOSTILE[:99], title=HOSTILE[:99])
    made = result(
        HOSTILE[:99], 60, 50, 40, 45, suite=suite, notes=(HOSTILE,), about=HOSTILE,
        known=Provenance((HOSTILE[:99], "=1+1"), HOSTILE, 3, 4),
    )  # fmt: skip
    site = write_leaderboard([written(tmp_path / "results", made)], tmp_path / "site")
    page = site.page.read_text()
    assert "<img" not in page and page.count("<script>") == 1 and "\u202e" not in page
    assert "&lt;img src=x" in page and "knows 3 of the tested faces" in page
    unseal(tmp_path / "results")
    content = json.loads((tmp_path / "results" / "0-result" / FILE).read_text())
    content["contestant"]["name"] = "=cmd()"
    (tmp_path / "results" / "0-result" / FILE).write_text(json.dumps(content))
    assert read_benchmark(tmp_path / "results" / "0-result").contestant.name == "=cmd()"
    figures = write_leaderboard([tmp_path / "results"], tmp_path / "site").figures.read_text()
    assert "'=cmd()" in figures and ",=cmd()" not in figures
