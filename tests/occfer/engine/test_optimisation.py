"""Schedules, clipping, averages, smoothing and class balance in whole runs: in both stages, and for both players."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.amp import MixedPrecision
from torch import Tensor, optim

from occfer.config import TrainConfig
from occfer.engine.engine import Engine
from occfer.engine.launch import launch
from occfer.engine.run_data import RunData, prepare
from occfer.engine.stages import GuidedStage, PretrainStage
from occfer.methods import METHODS, Guidance, Pretraining
from occfer.methods.schedules import Schedule
from occfer.models.classifier import build_classifier
from occfer.runs.checkpoint import load
from occfer.training.train import train
from tests.occfer.methods.stage2 import Faces, built, configured, same_dropout

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]

MODERN: dict[str, Any] = {
    "schedule": "cosine", "warmup_epochs": 0.5, "clip": 0.5, "ema": 0.9, "label_smoothing": 0.1, "balance": "sampler",
}  # fmt: skip


def with_stages(config: TrainConfig, use: Callable[[PretrainStage, GuidedStage, RunData], None]) -> None:
    """Builds both stages of a run, with random weights, and uses them."""

    def work(engine: Engine, _: Any) -> None:
        data = prepare(config, engine, None)
        branch, student, teacher = (build_classifier("tiny", len(data.split.classes)) for _ in range(3))
        guided = GuidedStage(METHODS[config.method], student, [teacher], data=data, config=config, engine=engine)
        use(PretrainStage("occluded", branch, data=data, config=config, engine=engine), guided, data)

    launch(config, work, lambda _: None)


@contextmanager
def rates_at_each_update(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, list[float]]]:
    """The rate that each optimizer has when it updates, by its player."""
    seen: dict[str, list[float]] = {"branch": [], "discriminator": [], "student": []}
    with monkeypatch.context() as patched:
        for owner, step, player, attribute in (
            (Pretraining, "step", "branch", "optimizer"),
            (Guidance, "discriminator_step", "discriminator", "discriminator_optimizer"),
            (Guidance, "student_step", "student", "student_optimizer"),
        ):
            original = getattr(owner, step)

            def spy(
                self: Any,
                *args: Any,
                _original: Any = original,
                _where: Any = (player, attribute),
                **more: Any,
            ) -> Any:
                seen[_where[0]].append(getattr(self, _where[1]).param_groups[0]["lr"])
                return _original(self, *args, **more)

            patched.setattr(owner, step, spy)
        yield seen


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine", "step"])
def test_every_player_of_both_stages_follows_the_schedule_over_its_own_updates(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    config = make_config(
        make_build(), method="adv", schedule=schedule, warmup_epochs=0.5, pretrain_epochs=4, epochs=2,
        discriminator_updates=2, student_updates=3, pretrain_rate=1e-2, rate=1e-3, discriminator_rate=1e-4,
    )  # fmt: skip
    with rates_at_each_update(monkeypatch) as seen:

        def use(pretraining: PretrainStage, guided: GuidedStage, _: RunData) -> None:
            for stage in (pretraining, guided):
                for number in range(stage.epochs * stage.rounds):
                    stage.round(number)

        with_stages(config, use)
    rounds = 3
    for player, rate, epochs, per_round in (
        ("branch", 1e-2, 4, 1), ("discriminator", 1e-4, 2, 2), ("student", 1e-3, 2, 3),
    ):  # fmt: skip
        per_epoch = rounds * per_round
        expected = Schedule(schedule, round(0.5 * per_epoch), epochs * per_epoch)
        assert seen[player] == [rate * expected.factor(number) for number in range(epochs * per_epoch)], player
        assert len(set(seen[player])) > 1, "a warm-up at least"


def gradients(optimizer: optim.Optimizer) -> Tensor:
    groups = (group["params"] for group in optimizer.param_groups)
    return torch.cat([each.grad.flatten() for each in chain.from_iterable(groups)])


def test_gradients_are_clipped_in_both_stages_and_of_both_players(
    make_build: MakeBuild, make_config: MakeConfig
) -> None:
    found: dict[float, list[Tensor]] = {}
    for clip in (0.0, 0.001, 1e6):

        def use(pretraining: PretrainStage, guided: GuidedStage, _: RunData, clip: float = clip) -> None:
            pretraining.round(0)
            guided.round(0)
            training, guidance = pretraining._training, guided._guidance
            assert guidance.discriminator_optimizer is not None
            optimizers = (training.optimizer, guidance.student_optimizer, guidance.discriminator_optimizer)
            found[clip] = [gradients(each) for each in optimizers]

        torch.manual_seed(0)
        with_stages(make_config(make_build(), method="full", clip=clip), use)
    # The discriminator moves before the student, so the student's gradients follow a little from its clipping.
    for plain, clipped, loose in zip(found[0.0], found[0.001], found[1e6], strict=True):
        assert plain.norm() > 0.002
        assert float(clipped.norm()) == pytest.approx(0.001, rel=1e-3)
        assert torch.equal(plain, loose)


@pytest.mark.usefixtures("tiny_backbone")
@pytest.mark.parametrize("clip", [0.01, 1e6])
def test_fp16_clips_the_gradients_and_not_the_scaled_ones(clip: float) -> None:
    """On the CPU, with the loss scale that a GPU would have; an update whose gradients overflow is left out."""
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    training = Pretraining(
        built("occluded", "tiny"), configured(clip=clip, optimizer="sgd"), hooks=Engine(fabric).hooks()
    )
    plain = Pretraining(built("occluded", "tiny"), configured(optimizer="sgd"))
    for each in (training, plain):
        with same_dropout():
            each.step(Faces.occluded, Faces.labels)
    norm = float(gradients(plain.optimizer).norm())
    assert 0.02 < norm < 50
    assert float(gradients(training.optimizer).norm()) == pytest.approx(min(norm, clip), rel=0.02)
    scaler.update(2.0**40)
    before = {name: each.clone() for name, each in training.classifier.named_parameters()}
    training.step(Faces.occluded, Faces.labels)
    assert all(torch.equal(each, before[name]) for name, each in training.classifier.named_parameters())
    assert scaler.get_scale() < 2.0**40


def test_the_average_is_judged_and_saved_in_place_of_the_weights(
    make_build: MakeBuild, make_config: MakeConfig
) -> None:
    def use(pretraining: PretrainStage, guided: GuidedStage, data: RunData) -> None:
        for stage, trained in (
            (pretraining, pretraining._training.classifier), (guided, guided._guidance.student.classifier),
        ):  # fmt: skip
            begun = {name: each.clone() for name, each in stage.network.state_dict().items()}
            assert all(torch.equal(each, begun[name]) for name, each in trained.state_dict().items())
            for number in range(2):
                stage.round(number)
            saved, decoder = stage.networks()
            assert (decoder is not None) == (stage is guided)
            name = (
                "trunk.block0.0.weight"
                if "trunk.block0.0.weight" in saved
                else next(iter(dict(trained.named_parameters())))
            )
            assert not torch.equal(saved[name], trained.state_dict()[name]), "the average is behind"
            assert not torch.equal(saved[name], begun[name])
            images = data.store.occluded(data.val).permute(0, 3, 1, 2).float() / 255
            with torch.no_grad():
                torch.testing.assert_close(stage.predict(data.val), stage.network(images))
                assert not torch.allclose(stage.predict(data.val), trained.eval()(images), atol=1e-4)

    with_stages(make_config(make_build(), method="full", ema=0.9, pretrain_rate=1e-2, rate=1e-2), use)


def uneven(rows: list[Any]) -> list[Any]:
    """Three people show all expressions, the others show happiness alone."""
    return [row for row in rows if row.subject < "s003" or row.expression == "happiness"]


@pytest.mark.parametrize("method", ["resnet-long", "full"])
def test_the_sampler_draws_classes_alike_in_as_many_updates(
    make_build: MakeBuild, make_config: MakeConfig, method: str
) -> None:
    manifest = make_build(subjects=12, edit=uneven)
    counts = {}
    for balance in ("none", "sampler"):

        def use(pretraining: PretrainStage, guided: GuidedStage, data: RunData, balance: str = balance) -> None:
            for stage in (pretraining, guided):
                updates = [update for number in range(stage.rounds) for update in stage.round(number)]
                students = [data.labels[each.indices] for each in updates if "sup" in each.terms]
                found = np.bincount(np.concatenate(students), minlength=7)
                counts[balance, stage.name] = (len(updates), found.sum(), found.max() - found.min())

        with_stages(make_config(manifest, method=method, balance=balance), use)
    for stage in ("occluded-branch", "guidance"):
        plain, balanced = counts["none", stage], counts["sampler", stage]
        assert plain[:2] == balanced[:2]
        assert plain[2] > 3 and balanced[2] <= 1


def test_weights_follow_the_classes_of_the_training_part(make_build: MakeBuild, make_config: MakeConfig) -> None:
    def use(pretraining: PretrainStage, guided: GuidedStage, data: RunData) -> None:
        counts = torch.tensor(data.class_counts)
        assert counts.sum() == len(data.train) and counts.max() > counts.min()
        for supervised in (pretraining._training._supervised, guided._guidance._supervised):
            assert supervised._class_weights is not None
            torch.testing.assert_close(supervised._class_weights * counts, torch.full((7,), len(data.train) / 7))

    with_stages(make_config(make_build(subjects=12, edit=uneven), method="full", balance="weights"), use)


@pytest.mark.parametrize("name", MODERN)
def test_each_setting_changes_both_stages(make_build: MakeBuild, make_config: MakeConfig, name: str) -> None:
    plain = make_config(make_build(subjects=12, edit=uneven), method="sim", pretrain_epochs=2, epochs=2, rate=1e-2)
    runs = [
        train(replace(plain, out=plain.out / each, **settings))
        for each, settings in (("a", {}), ("b", {name: MODERN[name]}))
    ]
    for model in ("occluded-branch", "clean-branch", "best"):
        one, other = (load(run.folder / f"checkpoints/{model}.safetensors")[0] for run in runs)
        assert not all(torch.equal(one[key], other[key]) for key in one), model


def test_a_run_that_stopped_goes_on_to_the_same_bits(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of stage 1 and then of stage 2; `test_resume.py` kills processes at many other moments."""
    config = make_config(make_build(), method="sim", checkpoint_every=1, log_every=1, **MODERN)
    whole = train(config)
    stopped = replace(config, out=config.out.with_name("stopped"))
    for owner, step in ((Pretraining, "step"), (Guidance, "student_step")):
        original = getattr(owner, step)
        calls: list[int] = []

        def stop(self: Any, *args: Any, _original: Any = original, _calls: list[int] = calls, **more: Any) -> Any:
            _calls.append(1)
            if len(_calls) == 3:
                raise KeyboardInterrupt
            return _original(self, *args, **more)

        with monkeypatch.context() as patched:
            patched.setattr(owner, step, stop)
            with pytest.raises(KeyboardInterrupt):
                train(stopped)
        stopped = replace(stopped, resume=True)
    resumed = train(stopped)
    for name in ("metrics.csv", "predictions.csv"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    for model in ("occluded-branch", "clean-branch", "best"):
        one, other = (load(run.folder / f"checkpoints/{model}.safetensors")[0] for run in (whole, resumed))
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one), model
