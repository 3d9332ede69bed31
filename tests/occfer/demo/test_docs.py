"""docs/demo.md: its commands and its snippet run; the notice stands there, and in the model card, word for word."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from occfer.demo.views import open_models, views
from occfer.faces.chosen_occlusion import Choice, ChosenOccluder
from occfer.faces.pictures import read_picture
from occfer.intended_use import NOTICE
from tests.builds import DEMO_ROOT, ROOT, demo_source
from tests.occfer.inference.test_export import write_model

DOCS = (ROOT / "docs" / "demo.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_backbone: None) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("demo", "other")):
        write_model(tmp_path / f"runs/{name}/checkpoints/best.safetensors", seed=seed, size_px=48)


@pytest.mark.slow
@pytest.mark.xdist_group("demo")
def test_the_commands_start_the_page(tmp_path: Path) -> None:
    """In a process of its own, as people start it."""
    commands = re.findall(r"^\$ occfer (.+)$", DOCS, re.MULTILINE)
    ports = ("7860", "7861")
    assert len(commands) == len(ports)
    for name in ("demo", "other"):  # a process does not know the tiny backbone of the tests
        write_model(tmp_path / f"runs/{name}/checkpoints/best.safetensors", "resnet18", size_px=48)
    for command, port in zip(commands, ports, strict=True):
        words = [sys.executable, "-m", "occfer", *shlex.split(command)]
        with subprocess.Popen(
            words, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                assert line == f"open http://127.0.0.1:{port} in a browser; Ctrl-C ends the demo\n"
            finally:
                process.kill()


def test_the_snippet_renders_the_record_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = read_picture(DEMO_ROOT / demo_source("s001_anger"))
    assert cv2.imwrite("photo.png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    (view,) = views(open_models([Path("runs/demo")], "cpu"), picture, ChosenOccluder(), Choice("lower", 50))
    Path("record.json").write_text(view.record)
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    values: dict[str, object] = {}
    exec(compile(snippet.replace("photo.jpg", "photo.png"), "docs/demo.md", "exec"), values)  # noqa: S102 - the docs' own
    assert capsys.readouterr().out.startswith("(48, 48, 3) (")
    np.testing.assert_array_equal(values["occluded"].image, view.occluded)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", ["demo.md", "model_card.md"])
def test_the_notice_of_the_page_stands_in_the_docs(page: str) -> None:
    paragraphs = [" ".join(each.split()) for each in (ROOT / "docs" / page).read_text(encoding="utf-8").split("\n\n")]
    assert [each for each in NOTICE if each not in paragraphs] == []
