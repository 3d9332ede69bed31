"""The documentation as a site: it builds without a warning, holds every page, and loads nothing from the network."""

import html
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from occfer.config import TrainConfig
from occfer.setting import setting_of
from tests.builds import ROOT, run_python

CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
LOADS = re.compile(r"<(?:script|img|iframe|link|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"'\s>]+)")
API = (
    "occsynth.occluder.Occluder",
    "occsynth.manifest.open_manifest",
    "occfer.api.load",
    "occfer.api.train",
    "occfer.config.TrainConfig",
    "occfer.losses.loss_inequality.loss_inequality",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does it: any warning is an error, such as a broken link or a docstring that does not fit."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_broken_links_and_anchors_are_warnings() -> None:
    assert CONFIG["strict"] is True
    wanted = {"omitted_files", "absolute_links", "unrecognized_links", "anchors"}
    assert CONFIG["validation"] == dict.fromkeys(wanted, "warn")


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    pages |= {Path(f"{name}.html") for name in ("start", "contributing", "changelog")}
    assert {page for page in pages if not (site / page).is_file()} == set()
    assert not list(site.rglob("*.py"))


def test_links_between_the_readme_and_docs_lead_to_pages(site: Path) -> None:
    start = (site / "start.html").read_text(encoding="utf-8")
    assert 'src="pictures/pairs.png"' in start
    assert 'href="sharing.html"' in start
    assert 'href="results/demo.html"' in start
    assert 'href="start.html"' in (site / "index.html").read_text(encoding="utf-8")


def test_the_api_page_shows_the_public_names(site: Path) -> None:
    page = (site / "api.html").read_text(encoding="utf-8")
    assert {name for name in API if f'id="{name}"' not in page} == set()
    settings = {each.name: setting_of(each).help for each in fields(TrainConfig)}
    table = re.sub(r"<[^>]+>", "", page)
    assert {
        name for name, text in settings.items() if html.escape(text, quote=False).replace("`", "") not in table
    } == set()
    assert "setting(" not in table


def test_pages_load_nothing_from_another_host(site: Path) -> None:
    found = [(page.name, LOADS.findall(page.read_text(encoding="utf-8"))) for page in site.rglob("*.html")]
    assert len(found) > 20
    assert [each for each in found if each[1]] == []
    assert "fonts.googleapis" not in "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))


def test_the_hook_points_links_into_the_site() -> None:
    """From a page's place in the repository to its place in the site; what is not in the site stays as it is."""
    code = """
        import sys
        sys.path.insert(0, "docs")
        from site_pages import _in_site
        print(_in_site("docs/pictures/pairs.png", "", ""), _in_site("../README.md", "docs", ""))
        print(_in_site("../../README.md", "docs/results", "results"), _in_site("../LICENSE", "docs", ""))
        print(_in_site("https://example.org/docs/", "docs", ""))
    """
    printed = run_python("\n".join(line.strip() for line in code.splitlines()))
    assert printed.split() == [
        "pictures/pairs.png", "start.md", "../start.md", "../LICENSE", "https://example.org/docs/",
    ]  # fmt: skip
