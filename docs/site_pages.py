"""A hook of MkDocs: takes Markdown files from outside docs/ into the site, and points links between them the right way.

On disk and on a code host, pages link to each other by their paths in the repository; in the site, README.md and the
other files of `PAGES` are pages like those of docs/.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "start.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "manifests/README.md": "published_manifests.md",
    "occsynth/assets/demo_faces/README.md": "demo_faces.md",
}
"""Path in the repository, and the name of its page in the site."""

_SOURCES = {page: source for source, page in PAGES.items()}
_LINK = re.compile(r"(\]\()([^)\s#]+)([^)]*\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages; called by MkDocs once it has listed docs/."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with its links into the repository turned into links into the site; called by MkDocs."""
    del config, files
    here = page.file.src_uri
    folder = posixpath.dirname(_SOURCES.get(here, f"docs/{here}"))
    return _LINK.sub(lambda link: link[1] + _in_site(link[2], folder, posixpath.dirname(here)) + link[3], markdown)


def _in_site(target: str, folder: str, page_folder: str) -> str:
    """`target`, relative to `folder` of the repository, as a link from a page in `page_folder` of the site."""
    if "://" in target:
        return target
    path = posixpath.normpath(posixpath.join(folder, target))
    if path not in PAGES and not path.startswith("docs/"):
        return target  # not in the site: MkDocs warns about it
    return posixpath.relpath(PAGES.get(path, path.removeprefix("docs/")), page_folder or ".")
