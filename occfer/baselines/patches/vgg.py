"""The convolutions of VGG-16 as the patch-gated networks use them, and their initial weights."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from occfer.baselines.patches.training_points import MEAN_FACE
from occfer.errors import WeightsError
from occfer.models.hub import weights_file
from occfer.models.weight_files import file_state
from occfer.models.weights import imagenet_state, listed, refuse_not_finite, unwrapped

BACKBONE = "vgg16"
TO_CONV4_2 = (
    "conv1_1", "conv1_2", "pool1", "conv2_1", "conv2_2", "pool2", "conv3_1", "conv3_2", "conv3_3", "pool3",
    "conv4_1", "conv4_2",
)  # fmt: skip
TO_CONV5_2 = ("conv4_3", "pool4", "conv5_1", "conv5_2")


def vgg_layers(names: Sequence[str], channels: int, widths: Sequence[int]) -> nn.Sequential:
    """A part of VGG-16, with a batch norm without affine parameters after every convolution.

    Args:
        names: of its layers, in order; the digit after `conv` is the block.
        channels: of its input.
        widths: channels of the five blocks; 64, 128, 256, 512 and 512 in VGG-16.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for name in names:
        if name.startswith("pool"):
            layers[name] = nn.MaxPool2d(2)
            continue
        width = widths[int(name[len("conv")]) - 1]
        layers[name] = nn.Conv2d(channels, width, 3, padding=1)
        layers[f"{name}_bn"] = nn.BatchNorm2d(width, affine=False)
        layers[f"{name}_relu"] = nn.ReLU(inplace=True)
        channels = width
    return nn.Sequential(layers)


def load_vgg(network: nn.Module, weights: str) -> list[str]:
    """Puts initial weights into a network's VGG-16 convolutions, in place; or an earlier model into the whole network.

    Biases are taken too, although in training the batch norm after each convolution removes them.

    Args:
        network: it is not changed when an error is raised.
        weights: `imagenet` (torchvision's VGG-16 without batch norm), `none`, or a file as `--weights` takes it: a
            state dict of torchvision's names, or a model file of an earlier run of the same network.

    Returns:
        What the user should be told.

    Raises:
        WeightsError: there is no such file, it cannot be read, or it does not fit.
    """
    if weights == "none":
        return ["random initial weights"]
    if weights == "imagenet":
        source, state = "ImageNet weights", imagenet_state("VGG16_Weights.IMAGENET1K_V1")
    else:
        source, state = f"--weights {weights}", file_state(weights_file(weights))
    own = network.state_dict()
    whole = {key.removeprefix("classifier."): value for key, value in state.items()}
    whole.pop(MEAN_FACE, None)  # of the faces that trained the earlier model
    if whole.keys() == own.keys():
        _check(whole, own, source)
        network.load_state_dict(whole)
        return [f"{source}: a whole model with its last layer; check that its classes are in the same order"]
    wanted = _own_names(own)
    _, bare = unwrapped(state, wanted)
    _check(
        {theirs: bare[theirs] for theirs in wanted if theirs in bare}, {a: own[b] for a, b in wanted.items()}, source
    )
    network.load_state_dict({ours: bare[theirs] for theirs, ours in wanted.items()}, strict=False)
    return [f"{source}: {len(wanted) // 2} convolutions of VGG-16; all other layers start from random weights"]


def _own_names(own: Mapping[str, Tensor]) -> dict[str, str]:
    """Torchvision's name of every VGG-16 weight and bias that a network has, and the network's own name of it."""
    names: dict[str, str] = {}
    index = 0
    for layer in (*TO_CONV4_2, *TO_CONV5_2):
        for kind in ("weight", "bias"):
            names |= {f"features.{index}.{kind}": key for key in own if key.endswith(f".{layer}.{kind}")}
        index += 1 if layer.startswith("pool") else 2  # in torchvision, a ReLU follows each convolution
    return names


def _check(given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    problems = {
        "missing": [name for name in wanted if name not in given],
        "of another shape": [name for name in wanted if name in given and given[name].shape != wanted[name].shape],
    }
    if any(problems.values()):
        raise WeightsError(
            f"{source} does not fit ({listed(problems)}); give torchvision's vgg16 (the one without batch norm), a "
            "model file of the same method, or --weights none"
        )
    refuse_not_finite({name: given[name] for name in wanted}, source)
