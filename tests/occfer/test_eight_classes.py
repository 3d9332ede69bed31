"""`--classes 8`: contempt is an expression in training, tests, prediction and tables; 7 leave it out and say so."""

import json
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from occfer.config import TrainConfig
from occfer.data.manifests import CONTEMPT, EXPRESSIONS, read_corpus
from occfer.data.splits import split_corpus
from occfer.errors import DataError
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.events import Event
from occfer.inference.recogniser import Recogniser
from occfer.load import load
from occfer.protocols.manifests import WITH_CONTEMPT, NeededBuild
from occfer.protocols.paper_tables import TABLES
from occfer.protocols.request import Request
from occfer.runs.checkpoint import read_model_info
from occfer.setting import setting_of
from occfer.training.train import train
from occsynth.databases import DATABASES
from tests.occfer.toy_builds import EIGHT_WORDS, WORDS

MakeBuild = Callable[..., Path]
EIGHT = tuple(sorted(EIGHT_WORDS))


@pytest.mark.parametrize(("count", "classes"), [(7, EXPRESSIONS), (8, EIGHT)])
def test_seven_classes_leave_contempt_out_and_eight_keep_it(
    make_build: MakeBuild, count: int, classes: tuple[str, ...]
) -> None:
    corpus = read_corpus([make_build(words=EIGHT_WORDS)])
    split = split_corpus(corpus, fold=0, val_fraction=0.2, seed=0, class_count=count)
    used = (*split.train, *split.val, *split.test)
    assert split.classes == classes and {corpus.samples[index].expression for index in used} == set(classes)
    assert len(split.contempt) == (6 if count == 7 else 0)
    assert len(used) + len(split.contempt) == len(corpus.samples)


def test_eight_classes_without_contempt_name_the_build_that_has_it(make_build: MakeBuild) -> None:
    corpus = read_corpus([make_build()])
    with pytest.raises(
        DataError, match=r"--classes 8: no training sample of toy-r16 shows contempt; .*build --classes 8"
    ):
        split_corpus(corpus, fold=0, val_fraction=0.2, seed=0, class_count=8)


def test_a_run_of_version_0_1_means_seven() -> None:
    stored = TrainConfig(manifests=(Path("a.csv"),)).to_json()
    del stored["classes"]
    assert TrainConfig.from_stored(stored).classes == 7
    described = next(each for each in fields(TrainConfig) if each.name == "classes")
    assert setting_of(described).as_before(described.default, "full")


def hear(texts: list[str], event: Event) -> None:
    texts.append(str(event.get("text", "")))


def test_a_model_of_either_kind_says_what_it_was_not_asked(
    make_build: MakeBuild, make_config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    with_contempt = make_build(name="eight-r16", words=EIGHT_WORDS)
    without = make_build(name="seven-r16", database="other", words=WORDS)
    told: dict[int, list[str]] = {7: [], 8: []}
    for count in (7, 8):
        config = make_config(with_contempt, method="resnet", classes=count, out=tmp_path / str(count))
        train(config, on_step=partial(hear, told[count]))
    assert "6 samples show contempt and were left out; --classes 8 keeps them" in told[7]
    assert not any(CONTEMPT in text for text in told[8])

    def check(count: int, manifest: Path) -> Any:
        return evaluate(EvaluateOptions(checkpoint=tmp_path / str(count), manifests=(manifest,), device="cpu"))

    assert read_model_info(tmp_path / "8").classes == EIGHT
    assert check(8, with_contempt).summary["n"] == 16 and check(8, with_contempt).summary["recall"].keys() == set(EIGHT)
    seven = check(7, with_contempt)
    assert seven.summary["n"] == 14 and CONTEMPT not in seven.summary["recall"]
    assert any("without 2 of contempt, which the model does not know" in note for note in seven.notes)
    other = check(8, without)
    assert other.summary["n"] == 42 and other.summary["recall"][CONTEMPT] is None
    assert any("also knows contempt, which no tested pair shows" in note for note in other.notes)
    assert isinstance(load(tmp_path / "8"), Recogniser)
    assert load(tmp_path / "8").predictor.probabilities(np.zeros((1, 24, 24, 3), np.uint8)).shape == (1, 8)


def test_the_databases_with_contempt_are_those_of_occsynth() -> None:
    assert {key for key, each in DATABASES.items() if each.has_contempt} == WITH_CONTEMPT


def test_a_tables_builds_of_eight_classes_have_names_of_their_own() -> None:
    request = Request(what="table1", databases=("affectnet", "raf-db"), settings={"classes": 8})
    assert [build.name for build in TABLES["table1"].builds(request)] == [
        "affectnet-random-aligned-8classes", "raf-db-random-aligned", "ck+-random-224px-8classes",
        "ck+-random-88px-8classes",
    ]  # fmt: skip
    assert request.folder.name == "table1-affectnet-raf-db-8classes"
    assert NeededBuild("ck+", "r8").name == "ck+-r8"
    assert json.dumps(Request(what="table2").classes) == "7"
