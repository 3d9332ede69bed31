"""The gallery, as text and in a browser."""

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from occsynth.errors import BuildError, ManifestError
from occsynth.manifest import Row
from occsynth.pictures.gallery import write_gallery
from tests.browser import Page, open_page
from tests.occsynth.synthetic_build import make_build, paired_row, real_row, template_occlusion

HOSTILE = '"><script>document.title="taken"</script><img src=x onerror=document.title="taken">'


def hostile_row(number: int) -> Row:
    """Whatever a manifest from elsewhere may say."""
    row = paired_row(number)
    if number % 2:
        return row
    occlusion = template_occlusion(f"c{HOSTILE}", f"t{HOSTILE}")
    return replace(
        row,
        pair_id=f"{row.pair_id}{HOSTILE}\u202e\x1b[31m",
        subject=HOSTILE,
        expression=f"e{HOSTILE}",
        mode=f"m{HOSTILE}",
        split=f"{{{{ 7*7 }}}}{HOSTILE}",
        occlusion=occlusion,
    )


class Tags(HTMLParser):
    """Every tag of a page with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))


def test_a_page_holds_all_and_loads_nothing(tmp_path: Path) -> None:
    written = write_gallery([make_build(tmp_path)], tmp_path / "out" / "gallery.html")
    assert (written.shown, written.total) == (12, 12)
    assert written.size_bytes == written.path.stat().st_size
    tags = Tags(written.path.read_text()).tags
    images = [attributes["src"] for tag, attributes in tags if tag == "img"]
    assert len(images) == 36 and all(source.startswith("data:image/png;base64,") for source in images)
    others = {attributes.get("src") or attributes.get("href") for tag, attributes in tags if tag != "img"}
    assert others == {None, "data:,"}
    policy = next(attributes["content"] for tag, attributes in tags if "http-equiv" in attributes)
    assert policy.startswith("default-src 'none'; img-src data:; script-src 'sha256-")
    assert "unsafe" not in policy
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["gallery.html"]


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    manifest = make_build(tmp_path, row_of=hostile_row, name="made-r16")
    text = write_gallery([manifest], tmp_path / "gallery.html").path.read_text()
    tags = [tag for tag, _ in Tags(text).tags]
    assert tags.count("script") == 1 and tags.count("img") == 36
    assert not any("onerror" in attributes for _, attributes in Tags(text).tags)
    assert "\u202e" not in text and "\x1b" not in text
    assert "{{ 7*7 }}" in text, "names are not rendered as templates"


def test_a_large_build_is_sampled_and_the_page_says_so(tmp_path: Path) -> None:
    manifest = make_build(tmp_path, 30)
    first = write_gallery([manifest], tmp_path / "a.html", limit=9)
    assert (first.shown, first.total) == (9, 30)
    text = first.path.read_text()
    assert "A sample of 9 of 30 pairs" in text
    shown = re.findall(r'data-expression="(\w+)"', text)
    assert {name: shown.count(name) for name in shown} == {"anger": 3, "happiness": 3, "neutral": 3}
    assert write_gallery([manifest], tmp_path / "b.html", limit=9).path.read_text() == text
    assert write_gallery([manifest], tmp_path / "c.html", limit=9, seed=1).path.read_text() != text


def test_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="has no rows to show"):
        write_gallery([make_build(tmp_path / "none", 0)], tmp_path / "x.html")
    manifest = make_build(tmp_path / "some")
    image = manifest.file(next(manifest.rows()).mask)
    image.write_bytes(b"<svg/>")
    with pytest.raises(ManifestError, match="is neither PNG nor JPEG"):
        write_gallery([manifest], tmp_path / "x.html")
    image.unlink()
    with pytest.raises(ManifestError, match=r"not found. The images of .* are missing"):
        write_gallery([manifest], tmp_path / "x.html")
    assert not list(tmp_path.glob("*.html")) and not list(tmp_path.glob(".*"))
    with pytest.raises(BuildError, match="cannot write"):
        (tmp_path / "file").write_text("")
        write_gallery([make_build(tmp_path / "more")], tmp_path / "file" / "x.html")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A gallery of two builds, one of them of really occluded faces."""
    folder = tmp_path_factory.mktemp("gallery")
    manifests = [make_build(folder / "pairs"), make_build(folder / "real", 6, name="made-real", row_of=real_row)]
    written = write_gallery(manifests, folder / "gallery.html")
    with open_page(written.path, folder / "profile") as page:
        yield page


@pytest.fixture
def page(opened: Page) -> Page:
    """The same page in one browser for all tests, as it was when it was opened."""
    opened.reload()
    opened.click("button[type=reset]")
    return opened


def test_filters_and_views_work_in_a_browser(page: Page) -> None:
    assert page.texts("#status") == ["Showing 18 of 18"]
    page.choose("[data-filter=expression]", "=anger")
    assert page.texts("#status") == ["Showing 6 of 18"]
    assert page.count_shown("#pairs > li") == 6
    page.choose("[data-filter=mode]", "=r16")
    page.choose("[data-filter=category]", "=food")
    page.choose("[data-filter=part]", "=fold 1")
    assert page.texts("#status") == ["Showing 1 of 18"]
    page.type("#search", "NOWHERE")
    assert page.texts("#status") == ["Showing 0 of 18"]
    assert page.count_shown("#nothing") == 1
    page.click("#again")
    assert page.run("return document.activeElement.id") == "search"
    assert page.texts("#status") == ["Showing 18 of 18"]
    page.type("#search", "s01 hand")
    assert page.texts("#status") == ["Showing 1 of 18"]
    page.click("button[type=reset]")
    assert page.texts("#status") == ["Showing 18 of 18"]
    page.screenshot("gallery")
    assert page.messages() == []
    assert [address for address in page.requests() if not address.startswith("file:")] == []


def shown(page: Page, card: int) -> list[str]:
    """Which images of a card can be seen."""
    images = page.driver.find_elements("css selector", f"#pairs > li:nth-child({card}) img")
    return [str(image.get_attribute("class")) for image in images if image.is_displayed()]


def test_a_face_shows_its_views(page: Page) -> None:
    with_clean = page.run(
        "return 1 + [...document.querySelectorAll('#pairs > li')].findIndex(li => li.querySelector('.clean'))"
    )
    face = f"#pairs > li:nth-child({with_clean}) .face"
    assert shown(page, with_clean) == ["occluded"]
    page.point_at(face)
    assert shown(page, with_clean) == ["clean"], "pointing at it shows what is under the occluder"
    page.point_at("h1")
    assert shown(page, with_clean) == ["occluded"]
    # from the keyboard
    page.run("document.querySelector(arguments[0]).focus()", face)
    seen = []
    for key in ("\ue007", " ", "\ue007"):  # Enter, space, Enter
        page.driver.switch_to.active_element.send_keys(key)
        seen += shown(page, with_clean)
    assert seen == ["clean", "mask", "occluded"]
    page.click("input[value=mask]")
    assert shown(page, with_clean) == ["mask"]
    page.click("input[value=all]")
    assert shown(page, with_clean) == ["clean", "occluded", "mask"]
    real = page.run(
        "return 1 + [...document.querySelectorAll('#pairs > li')].findIndex(li => li.dataset.mode == 'real')"
    )
    page.click("input[value=clean]")
    assert shown(page, real) == ["occluded"], "a really occluded face has nothing else to show"
    page.click("button[type=reset]")
    assert page.messages() == []


def test_it_prints(page: Page) -> None:
    page.choose("[data-filter=mode]", "=r16")
    page.media("print")
    assert page.count_shown("select, input, form button") == 0
    assert page.texts("#status") == ["Showing 12 of 18"]
    assert page.count_shown("#pairs > li") == 12, "the filtered pairs"
    assert page.count_shown("#pairs img") == 36, "every view of them"
    page.screenshot("gallery-print")
    page.media("screen")
    page.click("button[type=reset]")


def test_hostile_names_do_nothing_in_a_browser_of_a_phones_size(tmp_path: Path) -> None:
    manifest = make_build(tmp_path, row_of=hostile_row)
    written = write_gallery([manifest], tmp_path / "gallery.html")
    with open_page(written.path, tmp_path / "profile", wh=(390, 844)) as page:
        assert page.driver.title == "made-r16"
        options = page.run("return [...document.querySelector('[data-filter=expression]').options].map(o => o.value)")
        page.choose("[data-filter=expression]", next(value for value in options if HOSTILE in value))
        count = page.texts("#status")[0]
        assert re.fullmatch(r"Showing [1-6] of 12", count)
        too_wide = """
            return [...document.querySelectorAll("body *")]
                .filter((element) => element.getBoundingClientRect().right > 391).map((element) => element.outerHTML)
        """
        assert page.run(too_wide) == [], "nothing is wider than the screen"
        assert page.driver.title == "made-r16"
        page.screenshot("gallery-phone")
        assert page.messages() == []


def test_the_policy_stops_a_script_that_got_in(tmp_path: Path) -> None:
    written = write_gallery([make_build(tmp_path)], tmp_path / "gallery.html")
    text = written.path.read_text().replace("</main>", '<script>document.title="taken"</script></main>')
    written.path.write_text(text)
    with open_page(written.path, tmp_path / "profile") as page:
        assert page.driver.title == "made-r16"
        assert any("Content Security Policy" in message for message in page.messages()), "and the console is heard"
