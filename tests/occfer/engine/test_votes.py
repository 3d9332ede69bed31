"""`--labels votes`: shares of the votes as targets of the supervised loss, where the manifest has votes."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from occfer.config import TrainConfig
from occfer.data.manifests import Sample, label_shares, read_corpus
from occfer.engine.engine import Engine
from occfer.engine.launch import launch
from occfer.engine.run_data import RunData, prepare
from occfer.errors import DataError
from occfer.runs.checkpoint import load_model
from occfer.training.train import train
from occsynth.manifest import Row
from tests.occfer.toy_builds import WORDS, edited

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]


def voted(row: Row) -> Row:
    """Nine votes for the row's own class, two for its neighbour, and some that no class stands for."""
    other = WORDS[(WORDS.index(row.expression) + 1) % len(WORDS)]
    return replace(row, votes=f"{row.expression}:9;{other}:2;contempt:1;unknown:1")


def prepared(config: TrainConfig) -> RunData:
    found: list[RunData] = []

    def work(engine: Engine, _: Any) -> None:
        found.append(prepare(config, engine, None))

    launch(config, work, lambda _: None)
    return found[0]


def sample(make_build: MakeBuild, **changes: Any) -> Sample:
    return replace(read_corpus([make_build()]).samples[0], **changes)


@pytest.mark.parametrize(
    "votes, shares",
    [
        ("anger:6;fear:2", [0.75, 0.25, 0.0]),
        ("anger:6;contempt:3;fear:2;unknown:1", [0.75, 0.25, 0.0]),
        ("contempt:10", [0.0, 1.0, 0.0]),
        ("", [0.0, 1.0, 0.0]),
    ],
)
def test_votes_for_no_class_do_not_count_and_a_face_without_votes_keeps_its_label(
    make_build: MakeBuild, votes: str, shares: list[float]
) -> None:
    found = label_shares([sample(make_build, expression="fear", votes=votes)], ("anger", "fear", "sadness"))
    assert found.dtype == np.float32
    assert found.tolist() == [shares]


def test_an_expression_that_is_no_class_has_no_share(make_build: MakeBuild) -> None:
    assert label_shares([sample(make_build, expression="disgust", votes="")], ("anger", "fear")).sum() == 0


def test_batches_carry_the_shares_of_their_samples(make_build: MakeBuild, make_config: MakeConfig) -> None:
    config = make_config(make_build(edit=edited(voted)), method="sim", labels="votes")

    def work(engine: Engine, _: Any) -> None:
        data = prepare(config, engine, None)
        batch = data.batches(config, engine, "student", with_clean=False, stage2=True).batch(0)
        assert batch.votes is not None
        assert batch.votes.argmax(dim=1).equal(batch.labels)
        assert batch.votes.max(dim=1).values.numpy() == pytest.approx(9 / 11)
        hard = replace(config, labels="hard")
        assert (
            prepare(hard, engine, None).batches(hard, engine, "s", with_clean=False, stage2=True).batch(0).votes is None
        )

    launch(config, work, lambda _: None)


@pytest.mark.parametrize("method", ["resnet", "full"])
def test_both_stages_learn_from_votes_and_are_judged_by_labels(
    tmp_path: Path, make_build: MakeBuild, make_config: MakeConfig, method: str
) -> None:
    manifest = make_build(edit=edited(voted))
    runs = {
        labels: train(make_config(manifest, method=method, labels=labels, out=tmp_path / labels))
        for labels in ("hard", "votes")
    }
    logs = {labels: list(csv.DictReader((run.folder / "metrics.csv").open())) for labels, run in runs.items()}
    for hard, votes in zip(logs["hard"], logs["votes"], strict=True):
        assert hard["epoch"] == "0" or hard["sup"] != votes["sup"]
    for run in runs.values():
        assert {line["truth"] for line in csv.DictReader(run.predictions.open())} == set(WORDS)
    assert json.loads((runs["votes"].folder / "config.json").read_text())["labels"] == "votes"


def test_merged_manifests_may_have_votes_in_some_rows(make_build: MakeBuild, make_config: MakeConfig) -> None:
    plain = make_build()
    with_votes = make_build(name="other-r16", database="other", edit=edited(voted))
    config = make_config(plain, with_votes, method="resnet", labels="votes")
    data = prepared(config)
    assert data.votes is not None
    largest: dict[str, set[float]] = {"toy": set(), "other": set()}
    for index in data.split.train:
        largest[data.corpus.samples[index].database].add(round(float(data.votes[index].max()), 4))
    assert largest == {"toy": {1.0}, "other": {round(9 / 11, 4)}}
    assert np.allclose(data.votes[list(data.split.train)].sum(axis=1), 1)


def test_a_manifest_without_votes_is_one_error(make_build: MakeBuild, make_config: MakeConfig) -> None:
    with pytest.raises(DataError, match="--labels votes: toy-r16 has no votes for its training samples; take a "):
        train(make_config(make_build(), method="resnet", labels="votes"))


def test_a_branch_that_learnt_from_votes_is_not_shared_with_hard_labels(
    tmp_path: Path, make_build: MakeBuild, make_config: MakeConfig
) -> None:
    manifest = make_build(edit=edited(voted))
    folder = tmp_path / "branches"
    for out, labels in (("a", "hard"), ("b", "votes"), ("c", "votes")):
        train(make_config(manifest, method="resnet", labels=labels, branch_cache=folder, out=tmp_path / out))
    files = sorted(folder.glob("[!.]*.safetensors"))
    assert sorted(load_model(file).info.config["labels"] for file in files) == ["hard", "votes"]


def test_other_votes_are_other_images_for_shared_branches(make_build: MakeBuild, make_config: MakeConfig) -> None:
    first = make_build(edit=edited(voted))
    digests = [prepared(make_config(first, method="resnet", labels=labels)).images_digest("clean") for labels in
               ("hard", "votes")]  # fmt: skip
    assert digests[0] != digests[1]
