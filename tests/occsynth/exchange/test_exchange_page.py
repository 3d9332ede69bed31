"""Commands and snippets of docs/exchange.md run, one after another, on a few faces."""

import re
import shlex
from pathlib import Path

import pytest

from tests.builds import ROOT, STEMS, build_demo, run_python
from tests.occsynth.cli.test_cli import call

PAGE = (ROOT / "docs/exchange.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_demo(tmp_path / "builds", "r16", STEMS)
    for path in (tmp_path / "builds/manifests").glob("demo-r16-few.*"):
        text = path.read_text().replace('"demo-r16-few"', '"demo-r16"') if path.suffix == ".json" else None
        renamed = path.with_name(path.name.replace("-few", ""))
        path.rename(renamed)
        if text is not None:
            renamed.write_text(text)
    monkeypatch.chdir(tmp_path)
    printed = []
    for kind, text in BLOCKS:
        if kind == "python":
            here = f"import os\nos.chdir({str(tmp_path)!r})\n"
            more = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "PYTHONWARNINGS": "ignore"}
            printed.append(run_python(here + text, **more).splitlines())
            continue
        for line in text.splitlines():
            program, *words = shlex.split(line.removeprefix("$ "))
            assert program == "occsynth"
            call(*words)
    assert printed == [["(96, 96) (96, 96) L", "anger s001 0"], ["b'anger'"]]


def test_every_block_is_run() -> None:
    assert [kind for kind, _ in BLOCKS] == ["console", "python", "console", "python"]
