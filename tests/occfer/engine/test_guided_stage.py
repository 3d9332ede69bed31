"""What stage 2 keeps, watches and says: the model of epoch 0, the discriminator's accuracy, logs of old runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from occfer.config import TrainConfig
from occfer.methods import Guidance
from occfer.runs.metrics_log import COLUMNS, MetricsLog
from occfer.training.train import train
from occsynth.manifest import Row
from tests.occfer.engine.test_engine import events_of, log_of, notes_of, same, weights_of

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]


@pytest.mark.parametrize("method", ["resnet-long", "full"])
def test_the_model_of_stage_1_is_kept_where_no_epoch_is_better(
    make_build: MakeBuild, make_config: MakeConfig, method: str
) -> None:
    """For the control as for the guided rows: rates at which everything is unlearnt leave epoch 0 as the best."""
    config = make_config(make_build(), method=method, epochs=2, rate=0.03, pretrain_epochs=8, pretrain_rate=1e-2)
    run = train(config)
    scored = [line for line in log_of(run.folder) if line["stage"] == "guidance" and line["val_accuracy"]]
    assert [line["epoch"] for line in scored] == ["0", "1", "2"]
    assert float(scored[0]["val_accuracy"]) > max(float(line["val_accuracy"]) for line in scored[1:])
    assert not any(scored[0][name] for name in ("total", "sup"))
    assert run.load().info.epoch == 0
    assert run.metrics["val_accuracy"] == float(scored[0]["val_accuracy"])
    branch = weights_of(run.folder / "checkpoints" / "occluded-branch.safetensors")
    kept = weights_of(run.folder / "checkpoints" / "best.safetensors")
    assert same(branch, {name: value for name, value in kept.items() if name.startswith("classifier.")})


@pytest.mark.parametrize(("rate", "warned"), [(1e-3, 1), (1e-12, 0)])
def test_a_discriminator_that_wins_is_named_once(
    make_build: MakeBuild, make_config: MakeConfig, rate: float, warned: int
) -> None:
    events = events_of(
        make_config(make_build(), method="adv", epochs=8, discriminator_rate=rate, discriminator_updates=8)
    )
    assert notes_of(events).count("it has won, and l_adv guides little") == warned
    accuracies = [event["d_accuracy"] for event in events if "d_accuracy" in event]
    assert len(accuracies) >= 6 and all(0 <= each <= 1 for each in accuracies)
    assert (accuracies[-1] > 0.95) == bool(warned)


def test_a_shared_batch_trains_both_players(make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path) -> None:
    for norm in ("frozen", "batch"):
        config = make_config(
            make_build(), method="full", epochs=3, discriminator_batch="shared", discriminator_rate=1e-3,
            student_norm=norm, discriminator_updates=2, out=tmp_path / norm,
        )  # fmt: skip
        log = [line for line in log_of(train(config).folder) if line["stage"] == "guidance" and line["d"]]
        assert float(log[-1]["d"]) < float(log[0]["d"]), "it learns"
        assert all(line["adv"] and line["d_accuracy"] for line in log)


def test_a_log_that_an_earlier_version_began_keeps_its_columns(tmp_path: Path) -> None:
    columns = ("stage", "epoch", "round", "total", "sup", "sim", "lir", "adv", "rec", "d", "val_accuracy", "val_loss")
    path = tmp_path / "metrics.csv"
    path.write_text(",".join(columns) + "\nguidance,1,3,1.0,1.0,,,,,,,\n")
    log = MetricsLog(path)
    log.start(path.stat().st_size)
    log.write("guidance", 2, 6, {"total": 2.0, "sup": 0.5, "kd": 9.0, "d_accuracy": 0.7, "val_loss": 0.25})
    assert path.read_text().splitlines()[2] == "guidance,2,6,2.0,0.5,,,,,,,0.25"
    fresh = MetricsLog(tmp_path / "new.csv")
    fresh.start(0)
    assert (tmp_path / "new.csv").read_text() == ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize("batch", ["fresh", "shared"])
@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_the_discriminator_is_shown_equal_features_of_equal_faces_by_equal_branches(
    make_build: MakeBuild, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, norm: str, batch: str
) -> None:
    """Nothing is hidden and nothing learnt yet, so whatever differs is how the engine asks the two branches."""
    shown: list[tuple[Tensor, Tensor]] = []
    train_discriminator = Guidance._train_discriminator

    def watched(player: Guidance, clean_features: Tensor, occluded_features: Tensor) -> dict[str, Tensor]:
        shown.append((clean_features.detach().clone(), occluded_features.detach().clone()))
        return train_discriminator(player, clean_features, occluded_features)

    monkeypatch.setattr(Guidance, "_train_discriminator", watched)

    def uncovered(rows: list[Row]) -> list[Row]:
        return [replace(row, occluded=row.clean, occluded_pixels_sha256=row.clean_pixels_sha256) for row in rows]

    config = make_config(
        make_build(edit=uncovered), method="adv", pretrain_epochs=0, rate=1e-12, student_norm=norm,
        discriminator_batch=batch,
    )  # fmt: skip
    train(config, test=False)
    assert shown and all(float(clean.std()) > 0 for clean, _ in shown)
    for clean, occluded in shown:
        torch.testing.assert_close(occluded, clean, rtol=1e-4, atol=1e-5)
