"""Every `>>>` example in a docstring of occfer runs and prints what it shows; a new example needs no entry here.

An example may use the build `builds/manifests/demo-r16.csv` and the run `runs/demo`, as they are after the first
commands of the README.
"""

import doctest
import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from occfer.config import TrainConfig
from occfer.training.train import train
from tests.builds import build_demo

PACKAGE = Path(__file__).parents[2] / "occfer"


def examples_by_module() -> Iterator[object]:
    """The modules with examples; those that need the build take more than ten seconds."""
    for path in sorted(PACKAGE.rglob("*.py")):
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        code = [line for line in lines if line.startswith((">>> ", "... "))]
        needs_build = any("builds/" in line or "runs/" in line for line in code)
        if code:
            module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
            yield pytest.param(module, needs_build, marks=[pytest.mark.slow] if needs_build else [], id=module)


WORDS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
PEOPLE = ("s001", "s002", "s003", "s004", "s005")
"""In five different folds; the first one's is tested."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a build and a run, of fewer faces than the README's and smaller ones."""
    folder = tmp_path_factory.mktemp("place")
    stems = tuple(f"{person}_{word}" for person in PEOPLE for word in WORDS)
    (made,) = build_demo(folder / "builds", stems=stems, size_px=48)
    manifest = made.path.with_name("demo-r16.csv")
    for path in made.path.parent.glob(f"{made.path.stem}.*"):
        path.rename(path.with_name(path.name.replace(made.path.stem, manifest.stem)))
    config = TrainConfig(
        manifests=(manifest.relative_to(folder),), method="full", fold=0, backbone="resnet18", weights="none",
        pretrain_epochs=1, epochs=1, device="cpu", out=Path("runs/demo"),
    )  # fmt: skip
    before = Path.cwd()
    os.chdir(folder)  # what a run notes of its manifests is relative, as when it is typed
    try:
        train(config)
    finally:
        os.chdir(before)
    return folder


@pytest.mark.parametrize(("module", "needs_build"), list(examples_by_module()))
def test_examples_in_docstrings_run(
    module: str,
    needs_build: bool,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    examples = [test for test in doctest.DocTestFinder().find(importlib.import_module(module)) if test.examples]
    assert examples, f"{module}: its examples are in no docstring"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for number, test in enumerate(examples):
        folder = tmp_path / str(number)  # an example may write files under short names
        if needs_build:
            shutil.copytree(request.getfixturevalue("place"), folder)
        else:
            folder.mkdir()
        monkeypatch.chdir(folder)
        printed: list[str] = []
        assert runner.run(test, out=printed.append).failed == 0, "".join(printed)
