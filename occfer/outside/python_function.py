"""A Python function as a contestant: it takes faces, and returns one number per face and class."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from occfer.benchmark.contestant import Answers, OnAsked, Question
from occfer.benchmark.result import Provenance, TestedContestant
from occfer.data.arrays import Images
from occfer.data.vocabulary import LONGEST_WORD
from occfer.errors import ConfigError, DataError
from occfer.outside.description import Described, named_outputs, read_description
from occfer.outside.shown_faces import Asking
from occsynth.reading import one_line

KIND = "function"


@dataclass(frozen=True, slots=True, eq=False)
class PythonFunction:
    """A function of the user's; what it does is unknown, so its answers are never kept for another call.

    Attributes:
        facts: see `Contestant`.
        description: what it is shown and returns.
        asking: how the faces reach it.
        function: takes `(N, S, S, 3)` uint8 RGB, and returns `(N, C)` probabilities or logits.
    """

    facts: TestedContestant
    description: Described
    asking: Asking
    function: Callable[[Images], Any]

    def provenance(self, questions: tuple[Question, ...]) -> Provenance:
        """See `Contestant`: what the description says; nobody can look whether it knows the suite's faces."""
        del questions
        return Provenance(trained_on=self.description.trained_on, selected_by=self.description.selected_by)

    def answer(self, question: Question, on_asked: OnAsked) -> Answers:
        """See `Contestant`."""
        return self.asking.answers(question, self._run, on_asked)

    def _run(self, images: Images) -> npt.NDArray[Any]:
        try:
            return np.asarray(self.function(images))
        except Exception as error:  # the user's code can raise anything
            raise DataError(f"{self.asking.where} fails: {type(error).__name__}: {one_line(error)}") from error


def open_function(
    name: str, describe: Path | None = None, *, batch_size: int = 64, cache_dir: Path | None = None
) -> PythonFunction:
    """A function as a contestant. Its module is imported, which runs it; the current folder is searched first.

    Args:
        name: `module:function`.
        describe: a TOML file, see `Described`; None: faces as they are stored, and the seven classes of occsynth.
        batch_size: images per call.
        cache_dir: see `Asking`.

    Raises:
        ConfigError: there is no such function, or the description cannot be used.
    """
    description = Described() if describe is None else read_description(describe, Described)
    _, classes = named_outputs(description.classes)
    facts = TestedContestant(
        name=description.name or name[:LONGEST_WORD], kind=KIND, sha256="", classes=classes, about=description.about
    )
    where = f"--callable {name}"
    return PythonFunction(facts, description, Asking(description, where, batch_size, cache_dir), _imported(name, where))


def _imported(name: str, where: str) -> Callable[[Images], Any]:
    module_name, _, function_name = name.partition(":")
    if not module_name or not function_name:
        raise ConfigError(f"{where}: write module:function, such as my_model:probabilities")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module can raise anything
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise ConfigError(
            f"{where}: the module cannot be imported ({reason}); it is looked for in the current folder and among the "
            "installed packages"
        ) from error
    finally:
        sys.path.remove(here)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ConfigError(f"{where}: {module_name} has no function {function_name}")
    return function  # type: ignore[no-any-return]
