"""The report in a headless Chromium: filters, order, paper and print, a phone's width, and what a policy stops."""

import base64
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from occfer.models import BACKBONES
from occfer.reports.page import ReportOptions, write_report
from tests.browser import Page, open_page
from tests.occfer.reports.report_folders import Folders, hostile_folders, make_folders
from tests.occfer.toy_builds import add_tiny_backbone

RUNS = "#table-1"
OURS = ":not(.paper, .clean, .drop)"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    add_tiny_backbone()
    made = make_folders(tmp_path_factory.mktemp("report"), "demo")
    write_report(ReportOptions(folders=made.all, out=made.root / "report.html", device="cpu"))
    del BACKBONES["tiny"]
    return made


@pytest.fixture(scope="module")
def opened(folders: Folders) -> Iterator[Page]:
    with open_page(folders.root / "report.html", folders.root / "browser") as page:
        yield page


@pytest.fixture
def page(opened: Page) -> Page:
    """The same page in one browser for all tests, as it was when it was opened."""
    opened.reload()
    opened.click(f"{RUNS} button[type=reset]")
    return opened


def test_nothing_is_loaded_and_no_script_fails(page: Page) -> None:
    page.screenshot("report")
    assert page.texts("h1") == ["Results on demo, ck+"]
    assert page.count_shown("aside li") > 0 and "no evidence about people" in page.texts("aside")[0]
    broken = "return [...document.images].filter(image => !image.complete || !image.naturalWidth).length"
    assert page.run("return document.images.length") > 8 and page.run(broken) == 0
    assert page.messages() == []
    assert [address for address in page.requests() if not address.startswith("file:")] == []


def test_lines_are_filtered_by_method_and_columns_by_mode(page: Page) -> None:
    assert page.texts(f"{RUNS} output") == ["4 of 4 lines"]
    page.choose(f"{RUNS} [data-filter=kind]", "plain guided control")
    assert page.texts(f"{RUNS} output") == ["4 of 4 lines"]
    page.type(f"{RUNS} [data-filter=words]", "resnet-LONG")
    assert page.texts(f"{RUNS} output") == ["1 of 4 lines"]
    assert [text.split(" (")[0] for text in page.texts(f"{RUNS} .figures tbody th")] == [
        "",
        "ResNet, as many updates",
        "",
        "",
    ]
    page.click(f"{RUNS} button[type=reset]")
    page.choose(f"{RUNS} [data-filter=column]", "=demo-eyes")
    assert page.count_shown(f"{RUNS} [data-column=demo-r16]") == 0
    assert page.count_shown(f"{RUNS} td[data-column=demo-eyes]{OURS}") == 4
    page.type(f"{RUNS} [data-filter=words]", "nobody")
    assert page.texts(f"{RUNS} .nothing") == ["No line matches these filters."]
    page.click(f"{RUNS} button[type=reset]")
    assert page.texts(f"{RUNS} output") == ["4 of 4 lines"]
    assert page.count_shown(f"{RUNS} td[data-column=demo-r16]{OURS}") == 4
    page.choose("#table-2 [data-filter=kind]", "baseline")
    assert page.texts("#table-2 output") == ["2 of 3 lines"], "every table has filters of its own"
    assert page.messages() == []


def orders(page: Page, selector: str) -> list[str]:
    return [
        str(each)
        for each in page.run("return [...document.querySelectorAll(arguments[0])].map(e => e.dataset.order)", selector)
    ]


def test_lines_are_sorted_by_our_figure_the_papers_and_the_name(page: Page) -> None:
    r16 = f"{RUNS} td[data-column=demo-r16]{OURS}"
    before = orders(page, r16)
    button = f"{RUNS} th[data-column=demo-r16] button"
    page.click(button)
    assert orders(page, r16) == sorted(before, key=float, reverse=True)
    page.click(button)
    assert orders(page, r16) == sorted(before, key=float)
    assert page.run("return document.querySelectorAll('[aria-sort=ascending]').length") == 1
    eyes = f"{RUNS} td[data-column=demo-eyes]{OURS}"
    page.click(f"{RUNS} th[data-column=demo-eyes] button")
    assert [bool(order) for order in orders(page, eyes)] == [True, False, False, False], "without a figure: last"
    page.click(f"{RUNS} [data-sort=method]")
    titles = page.texts(f"{RUNS} .figures tbody th")
    assert titles == sorted(titles) or titles[0].startswith("Ours")
    page.click(f"{RUNS} button[type=reset]")
    assert orders(page, r16) == before
    paper = "#table-2 td.paper[data-column=r8]"
    page.click("#table-2 th.paper[data-column=r8] button")
    assert orders(page, paper) == ["97.80", "96.58", ""]
    assert page.messages() == []


def test_it_prints_with_every_list_open(page: Page, tmp_path: Path) -> None:
    page.choose(f"{RUNS} [data-filter=kind]", "plain guided control")
    page.run("dispatchEvent(new Event('beforeprint'))")
    page.media("print")
    assert page.count_shown("form, nav") == 0
    assert page.count_shown(".plain") == page.run("return document.querySelectorAll('.plain').length") > 4
    page.screenshot("report-print")
    page.media("screen")
    page.run("dispatchEvent(new Event('afterprint'))")
    assert page.count_shown(".plain") == 0
    printed = page.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True})
    (tmp_path / "report.pdf").write_bytes(base64.b64decode(printed["data"]))
    assert len(re.findall(rb"/Type\s*/Page\b", (tmp_path / "report.pdf").read_bytes())) > 3
    assert page.messages() == []


@pytest.mark.filterwarnings("ignore:Glyph", "ignore:constrained_layout")  # what such names do to a figure
def test_a_phone_shows_hostile_names_as_text_and_nothing_wider_than_itself(folders: Folders, tmp_path: Path) -> None:
    given = [folders.full, *hostile_folders(tmp_path, folders.full)]
    out = tmp_path / "report.html"
    write_report(ReportOptions(folders=tuple(given), out=out, device="cpu", reconstructions=False))
    with open_page(out, tmp_path / "browser", wh=(390, 844)) as page:
        assert page.driver.title.startswith('Results on demo, "><img'), "the title is a text like any other"
        assert page.run("return document.documentElement.scrollWidth") <= 390
        outside = """
            const inside = (element) => element.closest(".scroll") !== null;
            return [...document.querySelectorAll("body *")]
                .filter((element) => !inside(element) && element.getBoundingClientRect().right > 391)
                .map((element) => element.outerHTML.slice(0, 200));
        """
        assert page.run(outside) == []
        page.screenshot("report-phone")
        assert page.driver.title.startswith("Results on"), "and no script has changed it"
        assert page.messages() == []


def test_the_policy_stops_a_script_that_got_in(folders: Folders, tmp_path: Path) -> None:
    page_file = tmp_path / "report.html"
    text = (folders.root / "report.html").read_text()
    page_file.write_text(text.replace("</main>", '<script>document.title="taken"</script></main>'))
    with open_page(page_file, tmp_path / "browser") as page:
        assert page.driver.title == "Results on demo, ck+"
        assert any("Content Security Policy" in message for message in page.messages())
