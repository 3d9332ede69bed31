"""A hook of MkDocs: takes Markdown files from outside docs/ into the site, and points links between them the right way.

On disk and on a code host, pages link to each other by their paths in the repository; in the site, README.md and the
other files of `PAGES` are pages like those of docs/. So is the notebook, with the outputs that are stored in it.
"""

import base64
import json
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "start.md",
    "docs/quickstart.ipynb": "quickstart.md",
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
        content = (ROOT / source).read_text(encoding="utf-8")
        if source.endswith(".ipynb"):
            content, pictures = notebook_page(content)
            for name, picture in pictures.items():
                files.append(File.generated(config, name, content=picture))
        files.append(File.generated(config, page, content=content))
    return files


def notebook_page(text: str) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and its pictures by their names: the plugins for this load scripts from the network."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        bash = source.removeprefix("%%bash\n")
        parts.append(f"```{'python' if bash == source else 'sh'}\n{bash}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"pictures/quickstart-{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![What the cell shows]({name})")
            else:
                printed = "".join(output.get("text") or data["text/plain"])
                parts.append(f"```text\n{printed.rstrip()}\n```")
    return "\n\n".join(parts) + "\n", pictures


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
