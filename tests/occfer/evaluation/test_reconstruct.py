"""Clean, occluded and reconstructed faces from a trained model, and what cannot be reconstructed."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from occfer.config import TrainConfig
from occfer.errors import DataError, MethodError
from occfer.evaluation.reconstruct import ReconstructOptions, reconstruct
from occfer.training.folds import train_folds
from occfer.training.train import train
from tests.occfer.toy_builds import WORDS, edited, without_clean

MakeBuild = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]


@pytest.mark.parametrize("size_px", [24, 20])
def test_reconstruction_from_a_checkpoint(
    make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path, size_px: int
) -> None:
    manifest = make_build(size_px=size_px)
    run = train(make_config(manifest, method="rec"))
    options = ReconstructOptions(
        checkpoint=run.folder, manifests=(manifest,), faces=9, device="cpu", out=tmp_path / "grid.png"
    )
    found = reconstruct(options)
    assert found.reconstructed.shape == found.clean.shape == found.occluded.shape == (9, size_px, size_px, 3)
    assert found.reconstructed.min() >= 0 and found.reconstructed.max() <= 1
    assert found.error == pytest.approx(np.mean((found.reconstructed - found.clean) ** 2))
    assert found.notes == ("toy: fold 0, 14 of 42 pairs",)
    assert {re.sub("s00[03]_", "", pair_id) for pair_id in found.pair_ids} == set(WORDS)
    changed = np.abs(found.clean - found.occluded).max(axis=(1, 2, 3))
    assert (changed > 0.2).all()
    picture = cv2.imread(str(found.figure))
    assert picture is not None and picture.shape[0] > 300 and picture.std() > 20
    assert reconstruct(options).pair_ids == found.pair_ids
    assert reconstruct(replace(options, seed=1)).pair_ids != found.pair_ids


def test_what_cannot_be_reconstructed(make_build: MakeBuild, make_config: MakeConfig, tmp_path: Path) -> None:
    manifest = make_build()

    def attempt(run: Path, *manifests: Path) -> None:
        out = tmp_path / "grid.png"
        reconstruct(ReconstructOptions(checkpoint=run, manifests=manifests, device="cpu", out=out))

    plain = train(make_config(manifest, method="sim"))
    with pytest.raises(MethodError, match=r"'sim' trains no decoder.*methods that do: rec, adv\+rec, full"):
        attempt(plain.folder, manifest)
    runs = train_folds(make_config(manifest, method="rec", fold=None, epochs=0, out=tmp_path / "folds"))
    with pytest.raises(DataError, match=r"holds 3 models, one per fold; name one of them, such as .*fold-0"):
        attempt(runs.folder, manifest)
    real = make_build(name="new-real", database="new", mode="real", edit=edited(without_clean))
    with pytest.raises(DataError, match="none of the pairs has a clean image"):
        attempt(runs.runs[0].folder, real)
