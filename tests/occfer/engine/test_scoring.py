"""The score of a network on validation samples, and by which of its figures an epoch is chosen."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from occfer.engine.loop import SavedProgress
from occfer.engine.scoring import Score, score_logits
from occfer.errors import DamagedError
from occfer.settings import Selection
from occsynth.reading import record_of

# three classes of which the samples show two: five of class 0, one of class 2
LABELS = np.array([0, 0, 0, 0, 0, 2])


def logits_for(answers: list[int], certainty: float = 1.0) -> torch.Tensor:
    return F.one_hot(torch.tensor(answers), 3).float() * certainty


def test_uar_is_the_mean_recall_of_the_classes_that_are_there() -> None:
    score = score_logits(logits_for([0, 0, 0, 0, 1, 0]), LABELS)
    assert score.accuracy == pytest.approx(4 / 6)
    assert score.uar == pytest.approx((4 / 5 + 0) / 2)
    assert score.loss == pytest.approx(float(F.cross_entropy(logits_for([0, 0, 0, 0, 1, 0]), torch.tensor(LABELS))))


@pytest.mark.parametrize("select, best", [("accuracy", "all 0"), ("uar", "half right"), ("loss", "unsure")])
def test_each_figure_prefers_another_network(select: Selection, best: str) -> None:
    scores = {
        "all 0": score_logits(logits_for([0] * 6, 9.0), LABELS),
        "half right": score_logits(logits_for([0, 0, 0, 1, 1, 2], 9.0), LABELS),
        "unsure": score_logits(logits_for([1] * 6, 0.01), LABELS),
    }
    assert max(scores, key=lambda name: scores[name].merit(select)) == best


@pytest.mark.parametrize("select", ["accuracy", "uar"])
def test_the_lower_loss_decides_between_equal_figures(select: Selection) -> None:
    assert Score(0.5, 1.0, 0.5).merit(select) > Score(0.5, 2.0, 0.5).merit(select)


def test_a_checkpoint_of_version_0_1_holds_no_uar_and_goes_on_with_its_accuracy() -> None:
    header = {"stage": "guidance", "round": 4, "best_epoch": 1, "metrics_bytes": 9, "precision_state": {}}
    saved = record_of(SavedProgress, header | {"best": [0.5, -1.25]}, "last", DamagedError)
    assert saved.score == Score(0.5, 1.25, None)
    assert (
        Score(0.5, 1.0, 0.1).merit("accuracy") > saved.score.merit("accuracy") > Score(0.25, 0.1, 0.9).merit("accuracy")
    )
