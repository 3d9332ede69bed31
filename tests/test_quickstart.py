"""The notebook: what is stored in it is what a run of it shows, and it holds nothing of the machine that ran it."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from docs.make_quickstart import NOTEBOOK, executed
from occsynth.pixels.decode import decode_rgb
from occsynth.pixels.images import Pixels
from tests.builds import ROOT, run_python

STORED: dict[str, Any] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
MOST_BYTES = 1_000_000


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def printed(cell: Any) -> str:
    """The text of a cell's outputs, without the figures that another processor may compute otherwise."""
    texts = [each.get("text") or each["data"].get("text/plain", "") for each in cell["outputs"]]
    return re.sub(r"[-+]?\d[\d.]*", "N", "".join("".join(text) for text in texts))


def pictures(cell: Any) -> list[Pixels]:
    encoded = ["".join(each["data"]["image/png"]) for each in cell["outputs"] if "image/png" in each.get("data", {})]
    return [decode_rgb(base64.b64decode(text)) for text in encoded]


def test_the_stored_notebook_is_that_of_one_run() -> None:
    cells = code_cells(STORED)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert all(output.get("name", "stdout") == "stdout" for output in outputs)
    assert sum(len(pictures(cell)) for cell in cells) == 2
    assert NOTEBOOK.stat().st_size < MOST_BYTES


def test_the_stored_notebook_names_no_machine() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.])/(?:tmp|root|home|work|usr|opt)\b[^\"]*", text)
    assert str(ROOT) not in text and str(Path.home()) not in text
    assert set(STORED["metadata"]) == {"kernelspec", "language_info"}


def test_the_site_shows_commands_outputs_and_pictures() -> None:
    code = "import sys; sys.path.insert(0, 'docs'); from site_pages import notebook_page; "
    code += "text, pictures = notebook_page(open(sys.argv[1], encoding='utf-8').read()); print(text, list(pictures))"
    page = run_python(code, str(NOTEBOOK))
    assert "\n```sh\noccsynth build --db demo --mode eyes\n" in page and "%%bash" not in page
    assert "\n```text\n280 pairs from 280 sources" in page
    assert page.endswith("['pictures/quickstart-1.png', 'pictures/quickstart-2.png']\n")


@pytest.mark.slow
def test_a_run_shows_what_is_stored(tmp_path: Path) -> None:
    run = executed(tmp_path)
    assert [cell["source"] for cell in run["cells"]] == ["".join(cell["source"]) for cell in STORED["cells"]]
    for ours, stored in zip(code_cells(run), code_cells(STORED), strict=True):
        ours_lines, stored_lines = printed(ours).splitlines(), printed(stored).splitlines()
        assert [line.split()[:1] for line in ours_lines] == [line.split()[:1] for line in stored_lines], ours["source"]
        if "occfer" not in ours["source"]:
            assert ours_lines == stored_lines
        assert [each.shape for each in pictures(ours)] == [each.shape for each in pictures(stored)]
    [pairs] = pictures(code_cells(run)[1])
    [stored_pairs] = pictures(code_cells(STORED)[1])
    assert np.mean(cv2.absdiff(pairs, stored_pairs)) < 1  # letters may be drawn otherwise by another Pillow
