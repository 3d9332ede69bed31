"""A file of `occfer export` answers as its checkpoint does, without a description."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from occfer.benchmark.checkpoint import open_checkpoint
from occfer.inference.export import FORMATS, export
from occfer.outside.exported_file import open_exported_file
from tests.occfer.inference.test_export import write_model
from tests.occfer.outside.networks import question_of


@pytest.mark.parametrize("kind", FORMATS)
def test_it_answers_as_its_checkpoint(
    make_build: Callable[..., Path], tmp_path: Path, kind: str, tiny_backbone: None
) -> None:
    model = write_model(tmp_path / "best.safetensors")
    path = export(model, tmp_path / f"theirs{FORMATS[kind].ending}", kind=kind).path
    question = question_of(make_build(subjects=3))
    found = open_exported_file(path, device="cpu", batch_size=8)
    wanted = open_checkpoint(model, device="cpu").answer(question, lambda done: None).probabilities
    answers = found.answer(question, lambda done: None)
    np.testing.assert_allclose(answers.probabilities, wanted, atol=1e-5)
    assert (found.facts.name, found.facts.kind, found.facts.about) == ("theirs", "exported", "full, tiny")
    assert found.provenance((question,)).marks == ("training faces unknown",)
