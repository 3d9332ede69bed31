"""The 24 units computed at once, against 24 modules of their own written as the authors' prototxt has them."""

import pytest
import torch
from torch import Tensor, nn

from occfer.baselines.patches.network import PatchNetwork, PatchSizes
from occfer.baselines.patches.units import GatedFeatures, PatchUnits, init_msra

UNITS, CHANNELS, SIDE, WIDTH, GATE = 24, 4, 6, 3, (8, 8)
NARROW = PatchSizes(blocks=(2, 2, 2, 4, 4), gate=GATE, feature=WIDTH, global_feature=5, hidden=8)


class OneUnit(nn.Module):
    """One gated unit, layer by layer."""

    def __init__(self, channels: int = CHANNELS, side: int = SIDE, width: int = WIDTH) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(channels, affine=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels, affine=False)
        self.gate_conv = nn.Conv2d(channels, GATE[0], 1, padding=1)
        self.gate_bn1 = nn.BatchNorm2d(GATE[0], affine=False)
        self.gate_fc1 = nn.Linear(*GATE)
        self.gate_bn2 = nn.BatchNorm1d(GATE[1], affine=False)
        self.gate_fc2 = nn.Linear(GATE[1], 1)
        self.gate_bn3 = nn.BatchNorm1d(1)
        self.feature = nn.Linear(channels * side * side, width)

    def forward(self, patch: Tensor) -> Tensor:
        maps = torch.relu(self.bn1(self.conv1(patch)))
        return self.gated(torch.relu(self.bn2(self.conv2(maps))))

    def gated(self, maps: Tensor) -> Tensor:
        gate = torch.relu(self.gate_bn1(self.gate_conv(nn.functional.max_pool2d(maps, 2))))
        gate = torch.relu(self.gate_bn2(self.gate_fc1(gate.mean(dim=(2, 3)))))
        gate = torch.sigmoid(self.gate_bn3(self.gate_fc2(gate)))
        return torch.relu(self.feature(maps.flatten(1))) * gate


def units(seed: int = 0) -> PatchUnits:
    """Units whose weights, biases and statistics are all different."""
    with torch.random.fork_rng():
        torch.default_generator.manual_seed(seed)
        made = PatchUnits(UNITS, CHANNELS, SIDE, WIDTH, GATE)
        init_msra(made)
        for name, tensor in made.state_dict().items():
            if name.endswith(("bias", "running_mean")):
                tensor.normal_()
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
    return made


def patches(batch: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(batch, UNITS, CHANNELS, SIDE, SIDE, generator=generator)


def fill(one: OneUnit, tensors: list[Tensor]) -> None:
    """Puts tensors into a unit, in the order in which the batched layers hold them."""
    own = [each for name, each in one.state_dict().items() if not name.endswith("num_batches_tracked")]
    assert len(own) == len(tensors)
    for mine, given in zip(own, tensors, strict=True):
        mine.copy_(given.reshape(mine.shape))


def apart(together: PatchUnits) -> list[OneUnit]:
    """The units as modules of their own: every tensor's first dimension is cut into 24."""
    state = [each for name, each in together.state_dict().items() if not name.endswith("num_batches_tracked")]
    singles = [OneUnit() for _ in range(UNITS)]
    for index, one in enumerate(singles):
        fill(one, [tensor.chunk(UNITS)[index] for tensor in state])
    return singles


@pytest.mark.parametrize("training", [True, False])
def test_24_units_at_once_are_24_modules(training: bool) -> None:
    together = units()
    singles = [one.train(training) for one in apart(together)]
    found = together.train(training)(patches())
    expected = torch.stack([one(patches()[:, index]) for index, one in enumerate(singles)], dim=1)
    assert found.shape == (5, UNITS, WIDTH)
    assert torch.allclose(found, expected, atol=1e-5)
    assert found.detach().std(dim=1).min() > 0.01  # they differ


def test_24_units_at_once_have_the_gradients_of_24_modules() -> None:
    together = units()
    singles = [one.double() for one in apart(together)]
    together.double()(patches().double()).square().sum().backward()
    for index, one in enumerate(singles):
        one(patches()[:, index].double()).square().sum().backward()
    for index, own in enumerate(zip(*(one.parameters() for one in singles), strict=True)):
        found = list(together.parameters())[index].grad
        assert found is not None
        expected = torch.stack([each.grad.flatten() for each in own if each.grad is not None])
        assert torch.allclose(found.reshape(UNITS, -1), expected, atol=1e-9)


@pytest.mark.parametrize("training", [True, False])
def test_gates_lie_between_0_and_1_and_depend_on_the_patch(training: bool) -> None:
    gates = units().train(training).gates(patches())
    assert gates.shape == (5, UNITS)
    assert ((gates > 0) & (gates < 1)).all()
    assert (gates.std(dim=0) > 1e-3).sum() > UNITS / 2  # with few channels, some never respond


def test_a_gate_scales_its_own_feature() -> None:
    made = units().eval()
    before = made(patches())
    with torch.no_grad():
        made.state_dict()["gated.gate.9.bias"][3] = -200.0
    after = made(patches())
    assert not after[:, 3].any() and before[:, 3].any()
    others = [index for index in range(UNITS) if index != 3]
    assert torch.equal(after[:, others], before[:, others])


def test_patch_i_goes_to_unit_i() -> None:
    """Other patches for the units change the answer; patches and units reordered alike do not."""
    order = torch.randperm(UNITS, generator=torch.Generator().manual_seed(1))
    straight, reordered = units().eval(), units().eval()
    state = {
        name: each if each.ndim == 0 else torch.stack(each.chunk(UNITS))[order].flatten(0, 1)
        for name, each in straight.state_dict().items()
    }
    reordered.load_state_dict(state)
    expected = straight(patches())[:, order]
    assert torch.allclose(reordered(patches()[:, order]), expected, atol=1e-6)
    assert not torch.allclose(straight(patches()[:, order]), expected, atol=1e-2)


def test_a_unit_sees_its_own_patch_alone() -> None:
    made = units().eval()
    changed = patches()
    changed[:, 5] += 1
    moved = (made(changed) - made(patches())).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.nonzero().flatten().tolist() == [5]


def test_the_unit_of_the_whole_face_is_the_same_unit_on_another_map() -> None:
    whole = GatedFeatures(1, CHANNELS, 14, WIDTH, GATE).eval()
    one = OneUnit(side=14).eval()
    tensors = [each for name, each in whole.state_dict().items() if not name.endswith("num_batches_tracked")]
    own = [each for name, each in one.state_dict().items() if not name.endswith("num_batches_tracked")]
    fill(one, [*own[: len(own) - len(tensors)], *tensors])
    maps = torch.rand(3, CHANNELS, 14, 14, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(whole(maps)[:, 0], one.gated(maps), atol=1e-5)


def test_only_the_input_and_the_gates_have_an_affine_batch_norm() -> None:
    network = PatchNetwork(7, NARROW, global_unit=True)
    norms = {name: each for name, each in network.named_modules() if isinstance(each, nn.BatchNorm2d)}
    assert {name for name, each in norms.items() if each.affine} == {
        "normalise", "units.gated.gate.9", "global_unit.gate.9",
    }  # fmt: skip
    assert len(norms) == 1 + 12 + 2 * 3 + 2  # the input; conv1_1 to conv5_2; the gates' three each; a PG-Unit's two


def test_weights_start_from_the_initialisation_of_he_et_al() -> None:
    made = PatchUnits(UNITS, 32, SIDE, WIDTH, GATE)
    init_msra(made)
    weight = made.convolutions[0].weight
    assert isinstance(weight, Tensor)
    assert weight.std().item() == pytest.approx((2 / (9 * 32)) ** 0.5, rel=0.02)
    assert not any(each.any() for name, each in made.named_parameters() if name.endswith("bias"))
