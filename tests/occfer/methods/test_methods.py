"""The methods' table, stage 1, and every method under the engines that may run it."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn, optim
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from occfer.errors import ConfigError, UnknownNameError
from occfer.losses import LOSSES, PAIRINGS
from occfer.methods import (
    METHODS,
    EngineHooks,
    Guidance,
    OptimizerSettings,
    Pretraining,
    Teacher,
    check_clean_share,
    check_pairing,
    make_optimizer,
)
from occfer.methods.network_modes import batch_norms
from tests.occfer.methods.stage2 import (
    STAGE2,
    Faces,
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


def test_the_table_has_the_papers_rows_and_our_references() -> None:
    paper = ["resnet", "sim", "lir", "sim+lir", "adv", "rec", "adv+rec", "full"]
    assert [name for name, method in METHODS.items() if method.in_paper] == paper
    beyond = ["kd", "hint", "kd+hint"]
    assert list(METHODS) == [*paper, *beyond, "resnet-long", "clean", "clean-on-occluded"]


@pytest.mark.parametrize("name", METHODS)
def test_a_name_says_its_losses(name: str) -> None:
    method = METHODS[name]
    spelt = {"full": tuple(loss for loss in LOSSES if LOSSES[loss].equation)}.get(
        name, tuple(part for part in name.split("+") if part in LOSSES)
    )
    assert method.losses == spelt
    assert method.stage2 == (bool(spelt) or name == "resnet-long")


@pytest.mark.parametrize(
    ("name", "branches", "features", "logits"),
    [
        ("resnet", ("occluded",), False, False),
        ("resnet-long", ("occluded",), False, False),
        ("rec", ("occluded",), False, False),
        ("sim", ("occluded", "clean"), False, True),
        ("lir", ("occluded", "clean"), False, True),
        ("adv", ("occluded", "clean"), True, False),
        ("adv+rec", ("occluded", "clean"), True, False),
        ("full", ("occluded", "clean"), True, True),
        ("kd", ("occluded", "clean"), False, True),
        ("hint", ("occluded", "clean"), True, False),
        ("kd+hint", ("occluded", "clean"), True, True),
        ("clean", ("clean",), False, False),
        ("clean-on-occluded", ("clean",), False, False),
    ],
)
def test_what_a_row_needs_of_the_clean_branch(
    name: str, branches: tuple[str, ...], features: bool, logits: bool
) -> None:
    method = METHODS[name]
    assert method.branches == branches
    assert (method.needs_teacher_features, method.needs_teacher_logits) == (features, logits)
    assert method.needs_teacher == (features or logits)
    assert method.student_needs_features == ("hint" in method.losses), "a discriminator has a turn of its own"


def test_only_the_upper_reference_sees_clean_test_images_and_no_paired_test() -> None:
    assert [name for name, method in METHODS.items() if method.view == "clean"] == ["clean"]
    assert [name for name, method in METHODS.items() if not method.comparable] == ["clean"]
    assert METHODS["clean-on-occluded"].branch == "clean"


@pytest.mark.parametrize("name", STAGE2)
def test_a_row_builds_only_the_heads_that_it_uses(name: str) -> None:
    player = guidance(name)
    assert (player.discriminator is not None) == ("adv" in METHODS[name].losses)
    assert (player.discriminator_optimizer is not None) == ("adv" in METHODS[name].losses)
    assert (player.student.decoder is not None) == ("rec" in METHODS[name].losses)


def test_rates_are_the_papers() -> None:
    player = guidance("full")
    assert player.discriminator_optimizer is not None
    assert player.student_optimizer.param_groups[0]["lr"] == 2e-5
    assert player.discriminator_optimizer.param_groups[0]["lr"] == 1e-4
    assert Pretraining(built("clean"), configured()).optimizer.param_groups[0]["lr"] == 1e-4


@pytest.mark.parametrize("pairing", PAIRINGS)
@pytest.mark.parametrize("name", METHODS)
def test_a_loss_that_needs_pairs_refuses_looser_ones(name: str, pairing: str) -> None:
    losses = set(METHODS[name].losses)
    needing = {"paired": set(), "category": losses - {"sim", "adv", "kd"}, "unpaired": losses - {"adv"}}
    if not needing[pairing]:
        check_pairing(name, METHODS[name], pairing)
        return
    with pytest.raises(ConfigError) as caught:
        check_pairing(name, METHODS[name], pairing)
    message = str(caught.value)
    assert message.startswith(f"--method {name} cannot be trained with --pairing {pairing}: its loss ")
    assert any(f"its loss {loss} needs {LOSSES[loss].pairing} images" in message for loss in needing[pairing])
    assert any(LOSSES[loss].reason in message for loss in needing[pairing])
    check_pairing(name, METHODS[name], message.split("use --pairing ")[1].rstrip("."))


@pytest.mark.parametrize("name", METHODS)
def test_clean_faces_do_not_pass_for_occluded_ones_in_the_discriminators_eyes(name: str) -> None:
    for settings in ({"clean_share": 0.25}, {"discriminator_batch": "shared"}):
        check_clean_share(METHODS[name], configured(**settings))
    mixed = configured(clean_share=0.25, discriminator_batch="shared")
    if "adv" not in METHODS[name].losses:
        check_clean_share(METHODS[name], mixed)
        return
    said = (
        r"^--discriminator-batch shared with --clean-share 0.25 .*use --discriminator-batch fresh, or --clean-share 0$"
    )
    with pytest.raises(ConfigError, match=said):
        check_clean_share(METHODS[name], mixed)


def test_an_unknown_pairing_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown pairing 'loose'; choose one of: paired, category, unpaired"):
        check_pairing("adv", METHODS["adv"], "loose")


def test_turns_are_algorithm_1() -> None:
    assert guidance("adv").turns(2, 3) == ("discriminator", "discriminator", "student", "student", "student")
    assert guidance("sim").turns(2, 3) == ("student",) * 3


def test_pretraining_is_cross_entropy() -> None:
    classifier = built("clean")
    reference, before = deepcopy(classifier), tensors(classifier)
    training = Pretraining(classifier, configured(optimizer="sgd"))
    with same_dropout():
        expected = F.cross_entropy(reference(Faces.clean), Faces.labels)
    with same_dropout():
        terms = training.step(Faces.clean, Faces.labels)
    torch.testing.assert_close(terms["sup"], expected.detach())
    assert terms["total"] == terms["sup"]
    assert changed(before, classifier) == before.keys() - {"mean", "std"}


@pytest.mark.parametrize("name", STAGE2)
def test_prediction_is_the_branch_alone_in_eval_mode(name: str) -> None:
    player = guidance(name)
    before = tensors(player.student)
    logits = player.predict(Faces.occluded)
    assert torch.equal(logits, deepcopy(player.student.classifier).eval()(Faces.occluded))
    assert not logits.requires_grad
    assert changed(before, player.student) == set()
    norms = batch_norms(player.student.classifier)
    assert all(part.training != (part in norms) for part in player.student.modules()), "the modes are put back"


@pytest.mark.parametrize(("name", "kind"), [("adam", optim.Adam), ("adamw", optim.AdamW), ("sgd", optim.SGD)])
def test_optimizers_get_their_numbers(name: str, kind: type[optim.Optimizer]) -> None:
    network = nn.Linear(2, 2)
    made = make_optimizer(network, 0.25, OptimizerSettings(name, beta1=0.8, beta2=0.9, weight_decay=0.01))
    group = made.param_groups[0]
    assert type(made) is kind
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.01)
    assert group.get("betas", (group.get("momentum"), 0.9)) == (0.8, 0.9)
    assert sum(parameter.numel() for parameter in group["params"]) == 6


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown optimizer 'lion'; choose one of: adam, adamw, sgd"):
        make_optimizer(nn.Linear(1, 1), 1.0, OptimizerSettings("lion"))


@pytest.mark.parametrize("name", STAGE2)
def test_every_method_runs_and_learns_its_batch(name: str) -> None:
    player, teacher = guidance(name, rate=1e-4), Teacher(built("clean"))
    terms = [each for each in play(player, teacher, rounds=4) if "total" in each]
    assert all(each.keys() == {"sup", "total", *METHODS[name].losses} for each in terms)
    assert all(torch.isfinite(each["total"]) for each in terms)
    assert terms[-1]["sup"] < terms[0]["sup"]


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_backbone")
def test_the_full_method_overfits_32_pairs() -> None:
    """Both stages from scratch, on noise that only memory can tell apart, with a network small enough for a test."""
    clean = drawn(32, 3, 24, 24, seed=11)
    occluded, labels = clean.clone(), torch.arange(32) % 7
    occluded[:, :, 6:12, 6:12] = 0
    branches = {"clean": built("clean", "tiny"), "occluded": built("occluded", "tiny")}
    with same_dropout():
        for branch, images in zip(branches.values(), (clean, occluded), strict=True):
            training = Pretraining(branch, configured(pretrain_rate=3e-3))
            for _ in range(60):
                training.step(images, labels)
        teacher = Teacher(branches["clean"])
        features, logits = teacher.features(clean), teacher.logits(clean)
        player = Guidance(METHODS["full"], branches["occluded"], configured(rate=1e-3))
        for _ in range(30):
            player.discriminator_step(occluded, features)
            terms = player.student_step(occluded, labels, clean=clean, teacher_logits=logits)
    assert all(torch.isfinite(term) for term in terms.values())
    assert (player.predict(occluded).argmax(dim=1) == labels).all()


def test_hooks_wrap_each_player_once_and_run_every_backward_pass() -> None:
    wrapped: list[nn.Module] = []
    losses: list[Tensor] = []
    contexts: list[str] = []

    def setup(module: nn.Module, optimizer: optim.Optimizer) -> tuple[nn.Module, optim.Optimizer]:
        wrapped.append(module)
        return module, optimizer

    def backward(loss: Tensor) -> None:
        losses.append(loss)
        torch.autograd.backward(loss)

    @contextmanager
    def autocast() -> Iterator[None]:
        contexts.append("entered")
        yield

    player = guidance("full", hooks=EngineHooks(setup=setup, backward=backward, autocast=autocast))
    terms = play(player, Teacher(built("clean")), rounds=1)
    assert wrapped == [player.student, player.discriminator]
    assert [float(loss.detach()) for loss in losses] == [float(terms[0]["d"]), float(terms[1]["total"])]
    assert contexts == ["entered"]


@pytest.mark.parametrize("name", ["full", "adv", "sim"])
def test_under_bfloat16_every_term_is_a_finite_float32(name: str) -> None:
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")

    def setup(module: nn.Module, optimizer: optim.Optimizer) -> tuple[nn.Module, optim.Optimizer]:
        wrapped, stepper = fabric.setup(module, optimizer)
        return wrapped, stepper

    player = guidance(name, hooks=EngineHooks(setup=setup, backward=fabric.backward, autocast=fabric.autocast))
    for terms in play(player, Teacher(built("clean")), rounds=2):
        assert all(value.dtype == torch.float32 and torch.isfinite(value) for value in terms.values())


@pytest.fixture
def one_process_group(tmp_path: Path) -> Iterator[None]:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("name", ["full", "resnet-long"])
@pytest.mark.usefixtures("one_process_group")
def test_data_parallel_needs_no_search_for_unused_parameters(name: str) -> None:
    """Every wrapped parameter gets a gradient in its own player's step, several updates of a player in a row too."""

    def setup(module: nn.Module, optimizer: optim.Optimizer) -> tuple[nn.Module, optim.Optimizer]:
        return DistributedDataParallel(module), optimizer

    plain, parallel = guidance(name), guidance(name, hooks=EngineHooks(setup=setup))
    teacher = Teacher(built("clean"))
    for player in (plain, parallel):
        play(player, teacher, rounds=2)
        student_step(player)
    assert changed(tensors(plain.student), parallel.student) == set()
