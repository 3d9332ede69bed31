"""A function of the user's: what it is given, what it may return, and how its faults are told."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from occfer.errors import ConfigError, DataError, OccFERError
from occfer.outside.python_function import open_function
from occsynth.pixels.images import read_rgb
from tests.occfer.outside.networks import question_of
from tests.occfer.toy_builds import WORDS

MODULE = """\
import numpy as np
seen = []
def look(images):
    seen.append(images)
    red = images[..., 0].mean(axis=(1, 2))
    return np.stack([red, *[np.zeros_like(red)] * 6], axis=1)
def shares(images):
    return [[0.25, 0.75]] * len(images)
def few(images):
    return np.ones((len(images), 3))
def broken(images):
    raise RuntimeError("no weights\\nfound")
def nothing(images):
    return None
def words(images):
    return [["a"] * 7] * len(images)
def endless(images):
    return np.full((len(images), 7), np.nan)
number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the current folder, with a name of its own, since Python keeps what it has imported."""
    name = f"their_model_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield name


def test_it_is_given_faces_and_returns_logits(make_build: Callable[..., Path], module: str) -> None:
    import sys

    before = list(sys.path)
    question = question_of(make_build())
    found = open_function(f"{module}:look", batch_size=16)
    counts: list[int] = []
    probabilities = found.answer(question, counts.append).probabilities
    assert sys.path == before and counts == [16, 32, 42]
    shown = np.concatenate(sys.modules[module].seen)
    stored = np.stack([read_rgb(file) for file in question.files])
    assert shown.dtype == np.uint8 and np.array_equal(shown, stored), "RGB, and as they are stored"
    wanted = np.exp(stored[..., 0].mean(axis=(1, 2)))
    np.testing.assert_allclose(probabilities[:, 0], wanted / (wanted + 6), rtol=1e-6)
    assert found.facts.classes == WORDS and found.facts.sha256 == "" and found.facts.name == f"{module}:look"


def test_a_description_says_how_large_the_faces_are(
    make_build: Callable[..., Path], module: str, tmp_path: Path
) -> None:
    described = tmp_path / "f.toml"
    described.write_text('size_px = 12\nclasses = ["sad", "happy"]\nname = "Two words"\n')
    found = open_function(f"{module}:shares", described)
    assert found.facts.classes == ("sadness", "happiness") and found.facts.name == "Two words"
    answers = found.answer(question_of(make_build(subjects=2)), lambda done: None)
    np.testing.assert_allclose(answers.probabilities, [[0.25, 0.75]] * 14)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("few", r"returns the shape \(42, 3\) for 42 images; the description names 7 classes"),
        ("broken", "fails: RuntimeError: no weights found"),
        ("nothing", "returns object where numbers are expected"),
        ("words", "returns <U1 where numbers are expected"),
        ("endless", "returns values that are not finite"),
    ],
)
def test_what_it_may_not_return(make_build: Callable[..., Path], module: str, function: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_function(f"{module}:{function}").answer(question_of(make_build()), lambda done: None)


def test_a_function_that_is_not_there(module: str, tmp_path: Path) -> None:
    (tmp_path / "wrong_syntax_here.py").write_text("def (")
    cases = {
        "their_model": "write module:function",
        ":look": "write module:function",
        "no_such_module_anywhere:f": "cannot be imported .ModuleNotFoundError",
        "wrong_syntax_here:f": "cannot be imported .SyntaxError",
        f"{module}:gone": "has no function gone",
        f"{module}:number": "has no function number",
    }
    for name, message in cases.items():
        with pytest.raises(ConfigError, match=message):
            open_function(name)
    assert issubclass(ConfigError, OccFERError)
