"""The supervised loss against sums written by hand, and where it is used."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from occfer.errors import MethodError
from occfer.methods import Pretraining, SupervisedLoss
from occfer.methods.supervised import class_weights
from tests.occfer.methods.stage2 import Faces, built, configured, drawn, guidance, same_dropout, student_step

LOGITS = 4 * drawn(6, 7, seed=3)
LABELS = torch.tensor([0, 1, 1, 2, 4, 6])
COUNTS = [10, 40, 5, 0, 20, 1, 4]


def by_hand(smoothing: float, weights: list[float], votes: Tensor | None) -> float:
    """The definition, one sample and one class at a time."""
    total = 0.0
    for index, label in enumerate(LABELS.tolist()):
        log_p = LOGITS[index].double().log_softmax(dim=0)
        for word in range(7):
            target = float(votes[index, word]) if votes is not None else float(word == label)
            total -= weights[label] * ((1 - smoothing) * target + smoothing / 7) * float(log_p[word])
    return total / len(LABELS)


@pytest.mark.parametrize("smoothing", [0.0, 0.25])
@pytest.mark.parametrize("balance", ["none", "sampler", "weights"])
@pytest.mark.parametrize("votes", [None, drawn(6, 7, seed=4).softmax(dim=1)], ids=["labels", "votes"])
def test_it_is_the_definition(smoothing: float, balance: str, votes: Tensor | None) -> None:
    compute = SupervisedLoss(configured(label_smoothing=smoothing, balance=balance), COUNTS)
    weights = [80 / 6 / max(count, 1) for count in COUNTS] if balance == "weights" else [1.0] * 7
    expected = torch.tensor(by_hand(smoothing, weights, votes))
    torch.testing.assert_close(compute(LOGITS, LABELS, votes), expected)


def test_weights_keep_the_scale_of_the_loss_over_all_samples() -> None:
    weights, counts = class_weights(COUNTS), torch.tensor(COUNTS)
    assert float((weights * counts).sum() / counts.sum()) == pytest.approx(1)
    assert (weights * counts)[counts > 0].tolist() == pytest.approx([80 / 6] * 6)


def test_weights_of_two_halves_of_a_batch_are_those_of_the_whole() -> None:
    """So two processes have the gradients of one."""
    compute = SupervisedLoss(configured(balance="weights"), COUNTS)
    halves = [compute(LOGITS[part::2], LABELS[part::2]) for part in (0, 1)]
    torch.testing.assert_close(sum(halves) / 2, compute(LOGITS, LABELS))


def test_weights_need_counts() -> None:
    with pytest.raises(MethodError, match="--balance weights needs the number of training samples of each class"):
        SupervisedLoss(configured(balance="weights"))


def test_both_stages_use_it_and_the_loss_inequality_does_not() -> None:
    config = configured(label_smoothing=0.5)
    branch = built("occluded")
    reference = deepcopy(branch)
    with same_dropout():
        first = Pretraining(branch, config).step(Faces.occluded, Faces.labels)["sup"]
    with same_dropout():
        expected = SupervisedLoss(config)(reference(Faces.occluded), Faces.labels)
    torch.testing.assert_close(first, expected.detach())
    plain, smoothed = (student_step(guidance("lir", label_smoothing=share)) for share in (0.0, 0.5))
    torch.testing.assert_close(plain["lir"], smoothed["lir"])
    assert plain["lir"] > 0 and abs(float(plain["sup"] - smoothed["sup"])) > 1e-3
