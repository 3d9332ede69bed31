"""Whether a tested face is hidden by an occluder that training has shown: said by `train`, kept with every answer."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from occfer.config import TrainConfig
from occfer.data.manifests import read_corpus
from occfer.data.seen_templates import TrainedTemplates
from occfer.data.splits import split_corpus
from occfer.errors import ReportError
from occfer.evaluation.evaluate import EvaluateOptions, evaluate
from occfer.metrics.predictions import Predictions, read_predictions
from occfer.training.train import train
from occsynth.manifest import Row
from tests.occfer.toy_builds import edited

MakeBuild = Callable[..., Path]


def hidden(template_of: Callable[[Row], str]) -> Callable[[Row], Row]:
    def change(row: Row) -> Row:
        name = template_of(row)
        facts = {"fill": "template", "template": f"{name}.png", "template_sha256": name, "category": "food"}
        return replace(row, occlusion=json.dumps(facts if name else {"fill": "noise"}))

    return change


def by_subject(row: Row) -> str:
    """People s000 and s003, who are tested in fold 0, are hidden by a cup as others are, by a fan, or by noise."""
    if row.subject not in ("s000", "s003"):
        return "cup"
    return {"anger": "cup", "fear": ""}.get(row.expression, "fan")


def split_told(manifest: Path, split: str) -> Path:
    path = manifest.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"template_split": split}))
    return manifest


def counted(predictions: Predictions) -> dict[bool | None, int]:
    seen = [pair.template_seen for pair in predictions.pairs]
    return {value: seen.count(value) for value in (True, False, None)}


def test_a_run_says_how_many_test_rows_show_a_template_of_the_training(
    make_build: MakeBuild, make_config: Callable[..., TrainConfig]
) -> None:
    manifest = make_build(edit=edited(hidden(by_subject)))
    said: list[str] = []
    run = train(make_config(manifest, method="resnet"), on_step=lambda event: said.append(str(event.get("text"))))
    assert "2 of 14 test samples show a template that was seen in training" in said
    assert counted(read_predictions(run.predictions)) == {True: 2, False: 10, None: 2}
    assert {name: entry["n"] for name, entry in run.metrics["by_template"].items()} == {"seen": 2, "unseen": 10}
    again = evaluate(EvaluateOptions(checkpoint=run.folder, manifests=(manifest,), device="cpu"))
    assert counted(again.predictions) == {True: 2, False: 10, None: 2}
    assert again.summary["by_template"] == run.metrics["by_template"]


def test_where_nobody_knows_nothing_is_said(make_build: MakeBuild, make_config: Callable[..., TrainConfig]) -> None:
    said: list[str] = []
    run = train(make_config(make_build(), method="resnet"), on_step=lambda event: said.append(str(event.get("text"))))
    assert not any("template" in text for text in said) and "by_template" not in run.metrics
    assert "template_seen" not in run.predictions.read_text()


@pytest.mark.parametrize(
    ("trained_on", "live", "seen"),
    [("", False, False), ("", True, True), ("train", True, False), ("train", False, False)],
)
def test_live_occlusions_show_all_templates_but_those_that_were_held_out(
    make_build: MakeBuild, trained_on: str, live: bool, seen: bool
) -> None:
    train_on = split_told(make_build(edit=edited(hidden(lambda _: "cup"))), trained_on)
    held_out = make_build(name="other-r16", database="other", folds=0, edit=edited(hidden(lambda _: "fan")))
    corpus = read_corpus([train_on], [split_told(held_out, "test")])
    split = split_corpus(corpus, fold=0, val_fraction=0.2, seed=0)
    tested = [corpus.samples[index] for index in split.test if corpus.samples[index].database == "other"]
    assert set(TrainedTemplates.of(corpus, split.train, live=live).seen(corpus, tested)) == {seen}


def test_a_table_of_predictions_with_another_word_is_refused(
    make_build: MakeBuild, make_config: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    run = train(make_config(make_build(edit=edited(hidden(by_subject))), method="resnet"))
    text = run.predictions.read_text()
    (tmp_path / "predictions.csv").write_text(text.replace(",no,", ",perhaps,", 1))
    with pytest.raises(ReportError, match=r"template_seen is 'perhaps', which is neither yes nor no"):
        read_predictions(tmp_path / "predictions.csv")
