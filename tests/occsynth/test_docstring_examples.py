"""Every `>>>` example in a docstring of occsynth runs and prints what it shows; a new example needs no entry here."""

import doctest
import importlib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "occsynth"
MODULES = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted(PACKAGE.rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [test for test in doctest.DocTestFinder().find(importlib.import_module(module)) if test.examples]
    assert examples, f"{module}: its examples are in no docstring"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for number, test in enumerate(examples):
        folder = tmp_path / str(number)  # an example may write files under short names
        folder.mkdir()
        monkeypatch.chdir(folder)
        printed: list[str] = []
        assert runner.run(test, out=printed.append).failed == 0, "".join(printed)
