"""The leaderboard in a headless Chromium: order, nothing loaded, hostile names as text, a phone's width."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from occfer.benchmark.result import Provenance
from occfer.leaderboard.page import write_leaderboard
from tests.browser import Page, open_page
from tests.occfer.leaderboard.results import SUITE, result, written
from tests.occfer.leaderboard.test_boards import HOSTILE

FIRST = "#suite-1 .board"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaderboard")
    results = [
        result("full", 62, 50, 40, 45, real=20, notes=("A model of this suite's own people.",)),
        result("resnet-long", 64, 45, 41, 40),
        result("Somebody's network", 50, 30, 33, 41, known=Provenance(("fer2013",)), about="onnx, mini-Xception"),
        result("answers", 58, 52, 30, 47, known=Provenance(overlap=3), real=25),
        result("full", 62, 50, 40, 44, suite=replace(SUITE, digest="b2" * 32)),
    ]
    return write_leaderboard([written(folder / "results", *results)], folder / "site").page


@pytest.fixture(scope="module")
def opened(site: Path) -> Iterator[Page]:
    with open_page(site, site.parent / "browser", wh=(1500, 1000)) as page:
        yield page


def names(page: Page, table: str = FIRST) -> list[str]:
    return [text.splitlines()[0] for text in page.texts(f"{table} tbody th")]


def order(page: Page, place: int) -> list[str]:
    rows = "[...document.querySelectorAll(arguments[0] + ' tbody tr')]"
    script = f"return {rows}.map(row => row.cells[arguments[1]].dataset.order)"
    return [str(each) for each in page.run(script, FIRST, place)]


def click(page: Page, heading: str) -> int:
    """Clicks the heading of the first board, and returns the place of its cells."""
    places = page.run("return [...document.querySelectorAll(arguments[0] + ' thead th')].map(e => e.innerText)", FIRST)
    place = next(number for number, text in enumerate(places) if text.split("\u2195")[0].strip() == heading)
    page.click(f"{FIRST} th:nth-child({place + 1}) button")
    return place


def test_nothing_is_loaded_and_no_script_fails(opened: Page) -> None:
    opened.screenshot("leaderboard")
    assert opened.texts("h1") == ["OccFER-Bench"] and len(opened.texts("section h2")) == 2
    assert any("rendered, not photographed" in text for text in opened.texts("aside li"))
    assert any("2 suites are called demo" in text for text in opened.texts("aside li"))
    assert names(opened) == ["full", "answers", "resnet-long", "Somebody's network"]
    assert names(opened, "#suite-2 .board") == ["full"]
    assert opened.count_shown(f"{FIRST} td.strip svg") == 4
    assert opened.messages() == []
    assert [address for address in opened.requests() if not address.startswith("file:")] == []


def test_every_column_sorts(opened: Page) -> None:
    opened.reload()
    place = click(opened, "clean")
    assert order(opened, place) == sorted(order(opened, place), key=float, reverse=True)
    assert names(opened)[0] == "resnet-long"
    click(opened, "clean")
    assert order(opened, place) == sorted(order(opened, place), key=float)
    assert opened.run("return document.querySelectorAll('[aria-sort=ascending]').length") == 1
    place = click(opened, "real")
    assert [bool(each) for each in order(opened, place)] == [True, True, False, False], "without a figure: last"
    click(opened, "model")
    assert names(opened) == ["answers", "full", "resnet-long", "Somebody's network"]
    place = click(opened, "selected by")
    assert order(opened, place)[-1] == "unknown"
    click(opened, "marks")
    marks = opened.texts(f"{FIRST} tbody td.marks")
    assert sorted(marks[:2]) == ["knows 3 of the tested faces", "training faces unknown"] and marks[2:] == ["-", "-"]
    opened.click("#suite-1 details summary")
    opened.click("#suite-1 .columns th:nth-child(3) button")
    assert names(opened, "#suite-1 .columns")[0] == "answers"
    assert opened.messages() == []


def test_a_phone_shows_hostile_names_as_text_and_nothing_wider_than_itself(tmp_path: Path) -> None:
    made = result(
        HOSTILE[:99], 60, 50, 40, 45, suite=replace(SUITE, title=HOSTILE[:99]), notes=(HOSTILE,), about=HOSTILE,
        known=Provenance((HOSTILE[:99],), HOSTILE, 3, 4),
    )  # fmt: skip
    site = write_leaderboard([written(tmp_path / "results", made)], tmp_path / "site")
    with open_page(site.page, tmp_path / "browser", wh=(390, 844)) as page:
        assert page.driver.title == "OccFER-Bench"
        assert page.run("return document.documentElement.scrollWidth") <= 390
        assert page.run("return document.images.length") == 0
        page.screenshot("leaderboard-phone")
        assert page.messages() == []
    with_script = site.page.read_text().replace("</main>", '<script>document.title="taken"</script></main>')
    site.page.write_text(with_script)
    with open_page(site.page, tmp_path / "browser-2") as page:
        assert page.driver.title == "OccFER-Bench", "the policy stops a script that got in"
        assert any("Content Security Policy" in message for message in page.messages())
