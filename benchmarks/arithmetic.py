"""What training costs by arithmetic alone: multiplications and memory for one face, counted on the networks.

`python -m benchmarks.arithmetic` prints the tables of docs/performance.md and docs/reproduce.md that follow from these
counts; a test compares them with the pages. Networks are counted on the device `meta`, where nothing is computed.
"""

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import markdown
from occfer.baselines.patches.centres import PATCHES
from occfer.baselines.patches.network import INPUT_PX, PatchNetwork
from occfer.config import TrainConfig
from occfer.methods import METHODS
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.decoder import Decoder
from occfer.models.discriminator import Discriminator
from occfer.tables.paper_methods import ALL_METHODS

BACKWARD = 2
"""Forward passes that a backward pass costs: one for the gradients of the weights, one for those of the input."""
CLASSES = 7
DEFAULTS = TrainConfig(manifests=(Path("none.csv"),))


@dataclass(frozen=True, slots=True)
class Costs:
    """Forward passes of one face, in 10^9 multiplications.

    Attributes:
        branch: a whole pass of a branch.
        feature: its part up to the shared feature.
        decoder, discriminator: from there on.
    """

    branch: float
    feature: float
    decoder: float
    discriminator: float

    def round(self, losses: Collection[str] = (), whole_teacher: Collection[str] = ()) -> float:
        """A round of K1 = K2 = 1 with these losses; without one, an update of stage 1 or of `resnet-long`.

        The teacher's logits are known. With an adversarial loss, the discriminator's turn takes the features of both
        branches, without gradients, and trains on both; in the student's turn gradients pass through it to its input
        alone.

        Args:
            losses: of the method.
            whole_teacher: the players (`discriminator`, `student`) for whose update the whole teacher runs.
        """
        trained = 1 + BACKWARD
        cost = trained * self.branch
        if "rec" in losses:
            cost += trained * self.decoder
        if "adv" in losses:
            cost += 2 * self.feature + 2 * trained * self.discriminator + 2 * self.discriminator
        naive = {"discriminator": self.branch - self.feature, "student": self.branch}
        return cost + sum(naive[player] for player in whole_teacher)


def multiplications(call: Callable[[], object]) -> float:
    """Of all matrix products and convolutions in a call, in 10^9; torch counts an addition with each."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops()) / 2e9


@cache
def costs(backbone: str, size_px: int, decoder_width: int = DEFAULTS.decoder_width) -> Costs:
    """What the parts of `full` cost with a backbone on faces of that size."""
    branch, decoder, discriminator = _networks(backbone, decoder_width)
    with torch.device("meta"):
        images = torch.rand(1, 3, size_px, size_px)
        features = branch.features(images)
    return Costs(
        branch=multiplications(lambda: branch(images)),
        feature=multiplications(lambda: branch.features(images)),
        decoder=multiplications(lambda: decoder(features, (size_px, size_px))),
        discriminator=multiplications(lambda: discriminator.layers(features)),
    )


def patch_cost(*, global_unit: bool) -> float:
    """A forward pass of PG-CNN, or with the global unit of gACNN, in 10^9 multiplications."""
    with torch.device("meta"):
        network = PatchNetwork(CLASSES, global_unit=global_unit).eval()
        images = torch.rand(1, 3, INPUT_PX, INPUT_PX)
        centres_xy = torch.zeros(1, PATCHES, 2, dtype=torch.int64)
    return multiplications(lambda: network(images, centres_xy))


def state_mb(backbone: str, decoder_width: int = DEFAULTS.decoder_width) -> tuple[float, float]:
    """10^6 bytes in 32 bits: weights, gradients and Adam's two moments of all that `full` trains; and the teacher."""
    networks = _networks(backbone, decoder_width)
    sizes = [4 * sum(each.numel() for each in network.parameters()) / 1e6 for network in networks]
    return 4 * sum(sizes), sizes[0]


def kept_mb(backbone: str, size_px: int, losses: Collection[str] = ()) -> float:
    """10^6 bytes for each face that the student's backward pass keeps: what autograd saves, images too."""
    few, many = (_saved_bytes(backbone, size_px, losses, count) for count in (2, 4))
    return (many - few) / 2e6


def _saved_bytes(backbone: str, size_px: int, losses: Collection[str], count: int) -> int:
    networks = _networks(backbone, DEFAULTS.decoder_width)
    branch, decoder, discriminator = networks
    decoder.train()  # the batch norm of the branch stays in eval mode, as by default in stage 2
    discriminator.requires_grad_(False)
    own = {value.untyped_storage()._cdata for each in networks for value in each.state_dict().values()}
    saved: dict[int, Tensor] = {}

    def keep(value: Tensor) -> Tensor:
        saved.setdefault(value.untyped_storage()._cdata, value)
        return value

    with torch.device("meta"), torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
        images, clean = torch.rand(2, count, 3, size_px, size_px)
        features, logits = branch.both(images)
        loss = F.cross_entropy(logits, torch.zeros(count, dtype=torch.int64))
        if "adv" in losses:
            loss = loss + F.softplus(-discriminator.layers(features)).mean()
        if "rec" in losses:
            loss = loss + F.mse_loss(decoder(features, (size_px, size_px)), clean)
    return sum(value.untyped_storage().nbytes() for storage, value in saved.items() if storage not in own)


def _networks(backbone: str, decoder_width: int) -> tuple[Classifier, Decoder, Discriminator]:
    with torch.device("meta"):
        branch = build_classifier(backbone, CLASSES)
        channels = branch.feature_channels
        decoder = Decoder(channels, branch.feature_stride, decoder_width)
        return branch.eval(), decoder.eval(), Discriminator(channels).eval()


SHOWN = {"ResNet-50": "resnet50", "ResNet-18": "resnet18", "MobileNetV2": "mobilenet_v2"}
FULL = METHODS["full"].losses


def performance_table() -> str:
    """The table of docs/performance.md, in Markdown."""
    found = [costs(backbone, 224) for backbone in SHOWN.values()]
    lines: dict[str, list[float]] = {
        "a forward pass of a branch": [each.branch for each in found],
        "its part up to the shared feature": [each.feature for each in found],
        "the decoder": [each.decoder for each in found],
        "the discriminator": [each.discriminator for each in found],
        "an update of stage 1, or of `resnet-long`": [each.round() for each in found],
        "a round of `sim`, `lir` or `sim+lir`, teacher's logits cached": [each.round() for each in found],
        "a round of `full`": [each.round(FULL) for each in found],
        "`full` as a share of the rate of `resnet-long`": [each.round() / each.round(FULL) for each in found],
    }
    return markdown(("", *SHOWN), [(name, *map(_shown, numbers)) for name, numbers in lines.items()])


def _shown(number: float) -> str:
    return f"{number:.1f}" if number >= 1 else f"{number:.2f}"


SEEDS, BATCH_SIZE, TRAINED_SHARE = 3, DEFAULTS.batch_size, 1 - DEFAULTS.val_fraction
LAUNCH_S = 0.025
"""Assumed least time of a round: the launch of small kernels."""
CARDS = {"T4": 100, "V100": 350, "A100": 800, "H100": 1600}
"""Assumed ResNet-50 training rates, images of 224 px per second."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a table trains on: faces of one fold, held-out ones among them; their size; folds and modes."""

    faces: float
    size_px: int
    folds: int = 1
    modes: int = 1


TABLES = {
    "`table2`": Trained(636 * 0.9, 48, folds=10, modes=5),
    "`table1`, RAF-DB": Trained(12_271, 88),
    "`table1`, AffectNet": Trained(280_000, 224),
    "`table1`, SFEW": Trained(891, 144),
    "`table3`": Trained(280_000 + 12_271, 224),
}


def weights() -> dict[str, float]:
    """What a round of each method of stage 2 in the paper's tables counts, as a multiple of a plain one, rounded."""
    found = costs("resnet50", 224)
    plain = found.round()
    guided = {name: METHODS[name] for name in ALL_METHODS if name in METHODS and METHODS[name].stage2}
    return {name: round(found.round(method.losses) / plain, 1) for name, method in guided.items()}


def rounds(table: Trained, weight: float) -> float:
    """Rounds of all seeds, a method of weight w counting w times, where `weight` is the sum of all weights."""
    per_run = ceil(table.faces * TRAINED_SHARE / BATCH_SIZE) * DEFAULTS.epochs
    runs = SEEDS * table.folds
    # the clean branch is shared by the modes, the occluded one by the methods
    return per_run * runs * (1 + table.modes * (1 + weight))


def hours_table() -> str:
    """The table of docs/reproduce.md, in Markdown."""
    weight = sum(weights().values())
    patches = patch_cost(global_unit=False) + patch_cost(global_unit=True)
    reference = costs("resnet50", 224).branch
    lines = []
    for name, table in TABLES.items():
        count, branch = rounds(table, weight), costs("resnet50", table.size_px).branch
        # they train on the clean and the occluded face of each pair
        images = 2 * table.faces * TRAINED_SHARE * DEFAULTS.baseline_epochs * SEEDS * table.folds * table.modes
        cells = []
        for rate in CARDS.values():
            ours = count * max(LAUNCH_S, BATCH_SIZE * branch / (rate * reference)) / 3600
            cells.append(f"{_hours(ours)} + {_hours(images * patches / (rate * reference) / 3600)}")
        lines.append((name, f"{_millions(count)} million", *cells))
    return markdown(("", "rounds", *CARDS), lines)


def _hours(hours: float) -> str:
    if round(hours) < 1:
        return "under 1"
    return f"{round(hours, -1) if hours >= 100 else hours:,.0f}"


def _millions(count: float) -> str:
    return f"{count / 1e6:.2g}" if count >= 1e5 else f"{count / 1e6:.2f}"


def naive_ratios(backbone: str, size_px: int, method: str) -> dict[tuple[str, ...], float]:
    """How many times a round costs where the whole teacher runs for the updates of these players."""
    found, losses = costs(backbone, size_px), METHODS[method].losses
    players = [("discriminator",), ("discriminator", "student")] if "adv" in losses else [("student",)]
    return {each: found.round(losses, each) / found.round(losses) for each in players}


def main() -> None:
    """Prints the tables, and the numbers of the text below them."""
    trained, teacher = state_mb("resnet50")
    kept = {name: kept_mb("resnet50", 224, METHODS[name].losses) for name in ("resnet-long", "full")}
    ratios = {name: naive_ratios("resnet50", 48, name) for name in ("full", "sim+lir")}
    for text in (
        performance_table(),
        f"trained state {trained:.0f} MB, teacher {teacher:.0f} MB; kept for each face {kept}\n",
        f"a round as a multiple of a plain one: {weights()}\n",
        hours_table(),
        f"with the whole teacher, 48 px: {ratios}\n",
    ):
        sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    main()
