"""What a run trains on what: data, networks, and the two stages of Algorithm 1."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from occfer.models import BACKBONES, Stem
from occfer.setting import EVERYTHING, GUIDANCE, PATCH_NETWORKS, STAGE_1, STAGE_2, loss, setting

# How a clean image is chosen for an occluded one, from the strictest: the same face, one of its category, any. [P 4.4]
Pairing = Literal["paired", "category", "unpaired"]
Decay = Literal["constant", "linear", "cosine", "step"]
StudentNorm = Literal["frozen", "batch"]
DiscriminatorBatch = Literal["fresh", "shared"]
DiscriminatorNorm = Literal["none", "spectral"]
Balance = Literal["none", "sampler", "weights"]
Labels = Literal["hard", "votes"]

# Keys of `occfer.methods.OPTIMIZERS`, which needs torch and so cannot be asked by `--help`; a test compares them.
OPTIMIZER_NAMES = ("adam", "adamw", "sgd")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of data, networks and stages."""

    manifests: tuple[Path, ...] = setting(
        "Manifest of occsynth to train on; repeat it to merge several.",
        panel="data", changes=EVERYTHING, flag="manifest", metavar="CSV", one_run=True,
    )  # fmt: skip
    test_manifests: tuple[Path, ...] = setting(
        "Manifest to test on, instead of a part of --manifest; repeatable.", (),
        panel="data", changes=EVERYTHING, flag="test-manifest", metavar="CSV", one_run=True,
    )  # fmt: skip
    method: str = setting(
        "Method or baseline: see `occfer methods`.", "full",
        panel="model", changes=EVERYTHING, metavar="NAME", one_run=True,
    )  # fmt: skip
    classes: int = setting(
        "Number of expressions: 7, or 8 with contempt.", 7,
        panel="data", changes=EVERYTHING, metavar="7|8", at_least=7, at_most=8, before=7,
    )  # fmt: skip
    fold: int | None = setting(
        "Fold to test on, for manifests with folds.", None,
        panel="data", changes=EVERYTHING, metavar="K", at_least=0, one_run=True,
    )  # fmt: skip
    size_px: int | None = setting(
        "Side of the images in pixels; default: the first manifest's.", None,
        panel="data", changes=EVERYTHING, flag="size", metavar="PX", at_least=8, at_most=2048,
    )  # fmt: skip
    backbone: str = setting(
        f"Architecture of both branches: {', '.join(BACKBONES)}, or timm:NAME.", "resnet50",
        panel="model", changes=STAGE_1, metavar="NAME",
    )  # fmt: skip
    weights: str = setting(
        "Initial weights of both branches.", "imagenet",
        panel="model", changes=STAGE_1 + PATCH_NETWORKS, metavar="imagenet|none|FILE|hf://ORG/NAME",
    )  # fmt: skip
    stem: Stem = setting(
        "First layers of the backbone: small, for faces of 64 px and less, leaves out a stride of 2.", "full",
        panel="model", changes=STAGE_1, before="full",
    )  # fmt: skip
    network_px: int | None = setting(
        "Side to which the network enlarges faces; default: none, they stay as they are stored.", None,
        panel="model", changes=STAGE_1, flag="network-size", metavar="PX", at_least=8, at_most=2048, before=None,
    )  # fmt: skip
    pairing: Pairing = setting(
        "Clean image that an occluded one meets in stage 2: its own, one of its category, or any.", "paired",
        panel="data", changes=GUIDANCE,
    )  # fmt: skip
    live_occlusion: str = setting(
        "Mode of which fresh occlusions are drawn in each epoch, or `manifest` for the manifest's own; "
        "default: none, its images are trained on as they are.", "",
        panel="data", changes=("occluded branch", *STAGE_2, *PATCH_NETWORKS), metavar="MODE|manifest",
        before="", was_one_run=True,
    )  # fmt: skip
    clean_share: float = setting(
        "Share of clean faces among those that train the occluded branch, in both stages.", 0.0,
        panel="data", changes=("occluded branch", *STAGE_2), metavar="F", at_least=0, below=1, before=0.0,
    )  # fmt: skip
    epochs: int = setting(  # [D]
        "Epochs of stage 2.", 30, panel="stage 2", changes=STAGE_2, metavar="T", at_least=0
    )
    pretrain_epochs: int = setting(  # [D]
        "Epochs of each branch in stage 1.", 30, panel="stage 1", changes=STAGE_1, metavar="N", at_least=0
    )
    batch_size: int = setting(  # [D]
        "Images per batch, over all devices together.", 32,
        panel="stage 1", changes=STAGE_1 + PATCH_NETWORKS, metavar="N", at_least=2,
    )  # fmt: skip
    rate: float = setting(  # [P]
        "Learning rate of the occluded branch in stage 2.", 2e-5,
        panel="stage 2", changes=STAGE_2, above=0,
    )  # fmt: skip
    discriminator_rate: float = setting(  # [P]
        "Learning rate of the discriminator.", 1e-4,
        panel="stage 2", changes=loss("adv"), above=0,
    )  # fmt: skip
    pretrain_rate: float = setting(  # [D]
        "Learning rate of stage 1.", 1e-4, panel="stage 1", changes=STAGE_1, above=0
    )
    optimizer: str = setting(  # [D]
        f"Optimizer of both stages: {', '.join(OPTIMIZER_NAMES)}.", "adam",
        panel="stage 1", changes=STAGE_1, metavar="NAME",
    )  # fmt: skip
    weight_decay: float = setting(  # [D]
        "Weight decay of both stages.", 0.0, panel="stage 1", changes=STAGE_1, at_least=0
    )
    schedule: Decay = setting(
        "How the rates fall over the updates of a stage; step: to a tenth at 60 % and again at 80 %.", "constant",
        panel="stage 1", changes=STAGE_1, before="constant",
    )  # fmt: skip
    warmup_epochs: float = setting(
        "Epochs at the start of a stage in which the rates rise.", 0.0,
        panel="stage 1", changes=STAGE_1, metavar="N", at_least=0, before=0.0,
    )  # fmt: skip
    clip: float = setting(
        "Largest norm of the gradients of an update; 0: any.", 0.0,
        panel="stage 1", changes=STAGE_1 + PATCH_NETWORKS, metavar="NORM", at_least=0, before=0.0,
    )  # fmt: skip
    ema: float = setting(
        "Decay of the moving average of the weights that is validated and kept; 0: the weights themselves.", 0.0,
        panel="stage 1", changes=STAGE_1 + PATCH_NETWORKS, metavar="DECAY", at_least=0, below=1, before=0.0,
    )  # fmt: skip
    label_smoothing: float = setting(
        "Share of each label that the supervised loss spreads over all classes.", 0.0,
        panel="stage 1", changes=STAGE_1 + PATCH_NETWORKS, at_least=0, below=1, before=0.0,
    )  # fmt: skip
    balance: Balance = setting(
        "Make uneven classes count alike: by how often they are drawn, or by weights in the supervised loss.", "none",
        panel="stage 1", changes=STAGE_1 + PATCH_NETWORKS, before="none",
    )  # fmt: skip
    labels: Labels = setting(
        "What the supervised loss learns: the class that won, or the shares of the votes for each class.", "hard",
        panel="stage 1", changes=STAGE_1 + PATCH_NETWORKS, before="hard",
    )  # fmt: skip
    discriminator_updates: int = setting(  # [D] K1 of Algorithm 1
        "Discriminator updates per round of stage 2.", 1,
        panel="stage 2", changes=loss("adv"), flag="k1", metavar="N", at_least=0,
    )  # fmt: skip
    student_updates: int = setting(  # [D] K2 of Algorithm 1
        "Updates of the occluded branch per round of stage 2.", 1,
        panel="stage 2", changes=STAGE_2, flag="k2", metavar="N", at_least=1,
    )  # fmt: skip
    student_norm: StudentNorm = setting(  # [D]
        "Batch norm of the occluded branch.", "frozen", panel="stage 2", changes=STAGE_2, before="batch",
    )  # fmt: skip
    decoder_rate: float | None = setting(  # [D]
        "Learning rate of the decoder.", 1e-3, panel="stage 2", changes=loss("rec"), above=0, before=None,
    )  # fmt: skip
    decoder_width: int = setting(  # [D]
        "Channels of the decoder's first layer.", 64, panel="stage 2", changes=loss("rec"), at_least=2, before=256,
    )  # fmt: skip
    discriminator_batch: DiscriminatorBatch = setting(  # [P] fresh
        "Whose batch the discriminator sees.", "fresh", panel="stage 2", changes=loss("adv"), before="fresh",
    )  # fmt: skip
    discriminator_norm: DiscriminatorNorm = setting(
        "Norm of the discriminator's weights.", "none", panel="stage 2", changes=loss("adv"), before="none",
    )  # fmt: skip
