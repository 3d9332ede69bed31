"""Stage 2 step by step: who moves, who must not, and by which equation."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from occfer.errors import MethodError, UnknownNameError
from occfer.losses import LOSSES
from occfer.methods import Method, Pretraining, Teacher
from occfer.methods.guidance import Guidance
from occfer.methods.network_modes import batch_norms
from occfer.models import BACKBONES
from tests.occfer.methods.stage2 import (
    BACKBONES_TESTED,
    STAGE2,
    Faces,
    Tensors,
    built,
    changed,
    configured,
    drawn,
    guidance,
    play,
    same_dropout,
    student_step,
    tensors,
)


@pytest.mark.parametrize("backbone", BACKBONES_TESTED)
def test_the_clean_branch_is_bit_identical_after_stage_2(backbone: str) -> None:
    clean = built("clean", backbone)
    Pretraining(clean, configured()).step(Faces.clean, Faces.labels)  # statistics that are not the initial ones
    before = tensors(clean)
    teacher, player = Teacher(clean), guidance("full", backbone, rate=1e-2, discriminator_rate=1e-2)
    student_before = tensors(player.student)
    play(player, teacher, rounds=2)
    assert changed(before, clean) == set()
    assert not clean.training
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in clean.parameters())
    assert len(changed(student_before, player.student)) > 60, "stage 2 must have moved the other branch"


def test_the_teacher_gives_plain_tensors_of_the_clean_branch() -> None:
    clean = built("clean")
    reference = deepcopy(clean).eval()
    teacher = Teacher(clean)
    features, logits = teacher.features(Faces.clean), teacher.logits(Faces.clean)
    assert torch.equal(features, reference.features(Faces.clean))
    assert torch.equal(logits, reference(Faces.clean))
    assert all(torch.equal(*each) for each in zip(teacher.both(Faces.clean), (features, logits), strict=True))
    for given in (features, logits):
        assert not given.requires_grad
        assert not given.is_inference(), "autograd could not save it for the other players' gradients"


def test_two_networks_teach_with_their_mean_answer_and_the_feature_of_the_clean_branch() -> None:
    clean, other = built("clean"), built("occluded")
    alone, both = Teacher(deepcopy(clean)), Teacher(clean, other)
    answers = [F.softmax(deepcopy(each).eval()(Faces.clean), dim=1) for each in (clean, other)]
    geometric = torch.stack(answers).prod(dim=0).sqrt()
    logits = both.logits(Faces.clean)
    assert torch.allclose(F.softmax(logits, dim=1), geometric / geometric.sum(dim=1, keepdim=True), atol=1e-6)
    assert not torch.allclose(F.softmax(alone.logits(Faces.clean), dim=1), F.softmax(logits, dim=1), atol=1e-3)
    features, again = both.both(Faces.clean)
    assert torch.equal(features, alone.features(Faces.clean)) and torch.equal(again, logits)
    assert not other.training and not any(parameter.requires_grad for parameter in other.parameters())
    assert not logits.requires_grad


@pytest.mark.parametrize("shared", ["clean", "other"])
def test_no_network_of_the_teacher_may_be_the_student(shared: str) -> None:
    player = guidance("full")
    networks = {"clean": built("clean"), "other": built("clean")} | {shared: player.student.classifier}
    with pytest.raises(MethodError, match="shares weights"):
        Teacher(*networks.values()).refuse_shared(player.student)


def test_a_teacher_that_is_the_student_is_refused() -> None:
    player = guidance("full")
    with pytest.raises(MethodError, match="the clean branch shares weights with the occluded branch; build the two"):
        Teacher(player.student.classifier).refuse_shared(player.student)


def test_a_teacher_that_shares_one_layer_is_refused() -> None:
    player, clean = guidance("full"), built("clean")
    clean.network.set_submodule("features.0", player.student.classifier.network.get_submodule("features.0"))
    with pytest.raises(MethodError, match="shares weights"):
        Teacher(clean).refuse_shared(player.student)
    Teacher(deepcopy(clean)).refuse_shared(player.student)


def one_step(loss: str, weight: float, backbone: str) -> tuple[Guidance, Tensors]:
    """The student after one plain gradient step; sgd so that a gradient is a change of the same size."""
    weights: dict[str, Any] = {f"lambda_{loss}": weight, "force": True}
    player = guidance(Method("alone", (loss,)), backbone, optimizer="sgd", rate=1.0, **weights)
    terms = student_step(player)
    assert terms[loss] > 0
    return player, tensors(player.student)


@pytest.mark.parametrize("backbone", BACKBONES_TESTED)
@pytest.mark.parametrize("loss", LOSSES)
def test_each_loss_alone_changes_the_branch_where_it_should_and_nowhere_else(loss: str, backbone: str) -> None:
    """Two steps that differ in the loss's weight alone: what differs afterwards is what the loss has changed."""
    without, _ = one_step(loss, 0.0, backbone)
    player, with_loss = one_step(loss, 1000.0, backbone)
    moved = changed(with_loss, without.student)
    stem = tuple(f"classifier.network.{name}." for name in BACKBONES[backbone].lower)
    parameters = {name for name, _ in player.student.named_parameters()}
    expected = {
        "sim": parameters,
        "lir": parameters,
        "kd": parameters,
        "hint": {name for name in parameters if name.startswith(stem)},
        "adv": {name for name in parameters if name.startswith(stem)},
        "rec": {name for name in parameters if name.startswith((*stem, "decoder."))},
    }[loss]
    assert len(expected) > 20
    assert moved == expected


@pytest.mark.parametrize("name", STAGE2)
@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_a_step_changes_the_whole_branch_and_its_decoder(name: str, norm: str) -> None:
    player = guidance(name, rate=1e-3, student_norm=norm)
    before = tensors(player.student)
    student_step(player)
    fixed = {"classifier.mean", "classifier.std"}
    if norm == "frozen":
        ends = ("running_mean", "running_var", "num_batches_tracked")
        fixed |= {each for each in before if each.startswith("classifier.") and each.endswith(ends)}
    assert changed(before, player.student) == before.keys() - fixed


@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_predictions_leave_the_modes_of_the_branch_alone(norm: str) -> None:
    player = guidance("sim", student_norm=norm)
    modes = [part.training for part in player.student.modules()]
    player.predict(Faces.occluded)
    assert [part.training for part in player.student.modules()] == modes
    assert any(each.training for each in batch_norms(player.student.classifier)) == (norm == "batch")


@pytest.mark.parametrize("name", ["adv", "full"])
def test_the_students_step_leaves_the_discriminator_alone(name: str) -> None:
    player = guidance(name, rate=1e-2)
    assert player.discriminator is not None
    before = tensors(player.discriminator)
    student_step(player)
    assert changed(before, player.discriminator) == set()
    assert all(parameter.grad is None and parameter.requires_grad for parameter in player.discriminator.parameters())


def test_a_step_is_eq_8_by_hand() -> None:
    """Against the equations written out on a copy of the networks, in float64."""
    weights = {"sim": 3.0, "lir": 0.5, "adv": 0.02, "rec": 0.3}
    settings: dict[str, Any] = {f"lambda_{name}": weight for name, weight in weights.items()}
    player = guidance("full", **settings)
    assert player.discriminator is not None
    student, discriminator = deepcopy(player.student.double()), deepcopy(player.discriminator.double())
    assert student.decoder is not None
    occluded, clean, hers = Faces.occluded.double(), Faces.clean.double(), Faces.wrong_logits.double()
    with same_dropout():
        features, logits = student.classifier.both(occluded)
    own, others = (F.cross_entropy(rows, Faces.labels, reduction="none") for rows in (logits, hers))
    expected = {
        "sup": own.mean(),
        "sim": (logits.softmax(1) - hers.softmax(1)).pow(2).sum() / 6,
        "lir": (others - own).clamp(min=0).mean(),
        "adv": -discriminator(features).sigmoid().log().mean(),
        "rec": (student.decoder(features, (48, 48)) - clean).pow(2).mean(),
    }
    expected["total"] = expected["sup"] + sum(weights[name] * expected[name] for name in weights)
    torch.autograd.backward(expected["total"])
    with same_dropout():
        terms = player.student_step(occluded, Faces.labels, clean=clean, teacher_logits=hers)
    assert list(terms) == ["sup", "sim", "lir", "adv", "rec", "total"]
    for name, value in terms.items():
        torch.testing.assert_close(value, expected[name].detach())
        assert not value.requires_grad
    pairs = zip(player.student.named_parameters(), student.parameters(), strict=True)
    for (name, mine), theirs in pairs:
        assert mine.grad is not None, name
        assert theirs.grad is not None, name
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_options_of_the_losses_arrive() -> None:
    values = {
        (space, reduction): student_step(
            guidance("sim+lir", similarity_space=space, inequality_reduction=reduction), drawn(6, 7, seed=8)
        )
        for space in ("softmax", "logits")
        for reduction in ("per-sample", "batch")
    }
    assert values["logits", "batch"]["sim"] != values["softmax", "batch"]["sim"]
    assert values["logits", "batch"]["lir"] != values["logits", "per-sample"]["lir"]


@pytest.mark.parametrize(
    ("loss", "missing"),
    [
        ("sim", "the clean branch's logits"),
        ("lir", "logits"),
        ("rec", "the clean images"),
        ("kd", "logits"),
        ("hint", "the clean branch's features"),
    ],
)
def test_an_input_that_a_loss_needs_is_asked_for(loss: str, missing: str) -> None:
    with pytest.raises(MethodError, match=f"loss '{loss}' needs .*{missing}, and the step was not given it"):
        guidance(loss).student_step(Faces.occluded, Faces.labels)


def test_a_method_with_an_unknown_loss_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown loss 'flow'; choose one of: sim, lir, adv, rec, kd"):
        Method("from the future", ("flow",))


def test_a_picture_has_the_size_of_the_image_even_where_eight_does_not_divide_it() -> None:
    output = guidance("rec").student(drawn(2, 3, 50, 43))
    assert output.reconstruction.shape == (2, 3, 50, 43)


def test_values_that_are_not_finite_reach_the_total() -> None:
    player = guidance("full")
    terms = player.student_step(
        Faces.occluded, Faces.labels, clean=Faces.clean * float("nan"), teacher_logits=Faces.wrong_logits
    )
    assert torch.isfinite(terms["sup"])
    assert not torch.isfinite(terms["rec"])
    assert not torch.isfinite(terms["total"])


@pytest.mark.parametrize("backbone", BACKBONES_TESTED)
def test_the_discriminators_step_leaves_the_branch_alone(backbone: str) -> None:
    player = guidance("full", backbone, discriminator_rate=1e-2)
    assert player.discriminator is not None
    student, discriminator = tensors(player.student), tensors(player.discriminator)
    stream = torch.get_rng_state()
    terms = player.discriminator_step(Faces.occluded, Teacher(built("clean", backbone)).features(Faces.clean))
    assert list(terms) == ["d", "d_accuracy"]
    assert changed(student, player.student) == set()
    assert all(parameter.grad is None for parameter in player.student.parameters())
    assert changed(discriminator, player.discriminator) == discriminator.keys()
    assert torch.equal(torch.get_rng_state(), stream), "the branch's dropout would draw other numbers"


@pytest.mark.parametrize("norm", ["frozen", "batch"])
def test_the_discriminator_sees_the_features_that_it_will_judge(norm: str) -> None:
    """Those of `F_o` in its own step: by the running statistics, or by the batch in train mode."""
    player = guidance("adv", student_norm=norm)
    expected = deepcopy(player.student.classifier).features(Faces.occluded).detach()
    assert player.discriminator is not None
    seen: list[Tensor] = []
    player.discriminator.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    hers = Teacher(built("clean")).features(Faces.clean, by_batch=player.normalises_by_batch)
    player.discriminator_step(Faces.occluded, hers)
    student_step(player)
    torch.testing.assert_close(seen[0], torch.cat([hers, expected]))
    torch.testing.assert_close(seen[1], expected)
    running = deepcopy(player.student.classifier).eval().features(Faces.occluded)
    assert torch.allclose(seen[0][6:], running, atol=1e-1) == (norm == "frozen")


def test_the_discriminators_step_is_eq_5_by_hand() -> None:
    player, teacher = guidance("adv"), Teacher(built("clean"))
    discriminator = deepcopy(player.discriminator)
    assert discriminator is not None
    clean, occluded = (
        discriminator(teacher.features(Faces.clean[:4])).sigmoid(),
        discriminator(deepcopy(player.student.classifier).features(Faces.occluded).detach()).sigmoid(),
    )
    expected = -clean.log().mean() - (1 - occluded).log().mean()
    torch.autograd.backward(expected)
    value = player.discriminator_step(Faces.occluded, teacher.features(Faces.clean[:4]))["d"]
    torch.testing.assert_close(value, expected.detach())
    assert player.discriminator is not None
    for mine, theirs in zip(player.discriminator.parameters(), discriminator.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_a_method_without_an_adversary_has_no_such_step() -> None:
    with pytest.raises(MethodError, match="'ResNet \\+ l_sim' has no adversarial loss, so no discriminator"):
        guidance("sim").discriminator_step(Faces.occluded, drawn(6, 32, 6, 6))


def test_train_mode_is_the_engines() -> None:
    player = guidance("full")
    assert player.discriminator is not None
    assert player.student.training
    assert player.discriminator.training
    player.train(False)
    student_step(player)
    assert not any(part.training for part in (*player.student.modules(), *player.discriminator.modules()))
