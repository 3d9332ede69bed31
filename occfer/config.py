"""The one configuration of a training run: frozen, checked when made, stored in the run folder and the checkpoints.

Each field is described once, with `setting`: default, flag, help text, bounds, panel, and what it changes. The
flags of `occfer train`, `tune` and `reproduce`, their checks, the keys of jobs and of shared branches are derived from
that (`occfer.config_fields`). Defaults that the paper gives are marked [P], our own decisions [D]; docs/occfer.md lists
them.
"""

from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_type_hints

from occfer.errors import ConfigError
from occfer.models import BACKBONES, Stem
from occfer.setting import (
    EVERYTHING,
    GUIDANCE,
    LOG,
    NOTHING,
    STAGE_1,
    STAGE_2,
    baseline,
    check_value,
    from_plain,
    loss,
    setting,
    setting_of,
    to_plain,
)

# How a clean image is chosen for an occluded one, from the strictest: the same face, one of its category, any. [P 4.4]
Pairing = Literal["paired", "category", "unpaired"]
SimilaritySpace = Literal["softmax", "logits"]
InequalityReduction = Literal["per-sample", "batch"]
Faces = Literal["clean", "occluded"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["32", "bf16", "fp16"]
Decay = Literal["constant", "linear", "cosine", "step"]
Guide = Literal["everywhere", "hidden", "seen"]
StudentNorm = Literal["frozen", "batch"]
DiscriminatorBatch = Literal["fresh", "shared"]
DiscriminatorNorm = Literal["none", "spectral"]
Balance = Literal["none", "sampler", "weights"]
Labels = Literal["hard", "votes"]
Selection = Literal["accuracy", "uar", "loss"]

# Keys of `occfer.methods.OPTIMIZERS`, which needs torch and so cannot be asked by `--help`; a test compares them.
OPTIMIZER_NAMES = ("adam", "adamw", "sgd")

_PATCH_NETWORKS = baseline("pg-cnn", "gacnn")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that a training run depends on, except the data itself.

    `occfer train --help` shows what each field is.

    >>> config = TrainConfig(manifests=(Path("builds/manifests/demo-r16.csv"),), method="sim", fold=0, lambda_sim=1.0)
    >>> config.rate
    2e-05
    >>> TrainConfig(manifests=config.manifests, rate=0.0)
    Traceback (most recent call last):
    occfer.errors.ConfigError: --rate 0.0: must be greater than 0

    Raises:
        ConfigError: a value is out of its bounds, or two do not go together; the message names the flag.
    """

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
        panel="model", changes=STAGE_1 + _PATCH_NETWORKS, metavar="imagenet|none|FILE|hf://ORG/NAME",
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
        "Mode of which fresh occlusions are drawn in each epoch; default: the manifest's images.", "",
        panel="data", changes=("occluded branch", *STAGE_2, *_PATCH_NETWORKS), metavar="MODE", one_run=True,
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
        panel="stage 1", changes=STAGE_1 + _PATCH_NETWORKS, metavar="N", at_least=2,
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
        panel="stage 1", changes=STAGE_1 + _PATCH_NETWORKS, metavar="NORM", at_least=0, before=0.0,
    )  # fmt: skip
    ema: float = setting(
        "Decay of the moving average of the weights that is validated and kept; 0: the weights themselves.", 0.0,
        panel="stage 1", changes=STAGE_1 + _PATCH_NETWORKS, metavar="DECAY", at_least=0, below=1, before=0.0,
    )  # fmt: skip
    label_smoothing: float = setting(
        "Share of each label that the supervised loss spreads over all classes.", 0.0,
        panel="stage 1", changes=STAGE_1 + _PATCH_NETWORKS, at_least=0, below=1, before=0.0,
    )  # fmt: skip
    balance: Balance = setting(
        "Make uneven classes count alike: by how often they are drawn, or by weights in the supervised loss.", "none",
        panel="stage 1", changes=STAGE_1 + _PATCH_NETWORKS, before="none",
    )  # fmt: skip
    labels: Labels = setting(
        "What the supervised loss learns: the class that won, or the shares of the votes for each class.", "hard",
        panel="stage 1", changes=STAGE_1 + _PATCH_NETWORKS, before="hard",
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
    # The weights of Eq. 8 [D]: the paper gives none, only "grid search". A small trial wanted similarity large, and the
    # adversarial and reconstruction weights small: a starting point, to be searched on validation samples.
    lambda_sim: float = setting("Weight of the similarity loss.", 3.0, panel="losses", changes=loss("sim"), at_least=0)
    lambda_lir: float = setting("Weight of the loss inequality.", 0.5, panel="losses", changes=loss("lir"), at_least=0)
    lambda_adv: float = setting(
        "Weight of the adversarial loss.", 0.02, panel="losses", changes=loss("adv"), at_least=0
    )
    lambda_rec: float = setting(
        "Weight of the reconstruction loss.", 0.3, panel="losses", changes=loss("rec"), at_least=0
    )
    # Not the paper's losses. [D]
    lambda_kd: float = setting("Weight of kd.", 1.0, panel="losses", changes=loss("kd"), at_least=0, before=1.0)
    temperature: float = setting("Temperature of kd.", 2.0, panel="losses", changes=loss("kd"), above=0, before=2.0)
    lambda_hint: float = setting("Weight of hint.", 1.0, panel="losses", changes=loss("hint"), at_least=0, before=1.0)
    guide: Guide = setting(
        "Where hint and rec look.", "everywhere", panel="losses", changes=loss("rec", "hint"), before="everywhere",
    )  # fmt: skip
    similarity_space: SimilaritySpace = setting(  # [D]
        "Outputs that the similarity loss compares.", "softmax", panel="losses", changes=loss("sim")
    )
    inequality_reduction: InequalityReduction = setting(  # [D]
        "Hinge of the loss inequality: one per sample, or one over the batch's mean losses.", "per-sample",
        panel="losses", changes=loss("lir"),
    )  # fmt: skip
    force: bool = setting(
        "Accept a --lambda-lir above 1, which reverses supervision.", False, panel="losses", changes=loss("lir")
    )
    train_on: Faces = setting(  # [D]
        "Faces that train rgbt and wls-rf.", "clean", panel="baselines", changes=baseline("rgbt", "wls-rf")
    )
    landmarks_from: Faces = setting(  # [D]
        "Faces on which the landmarks of wls-rf are found.", "clean", panel="baselines", changes=baseline("wls-rf")
    )
    baseline_epochs: int = setting(  # [D]
        "Epochs of pg-cnn and gacnn.", 30, panel="baselines", changes=_PATCH_NETWORKS, metavar="N", at_least=0
    )
    baseline_rate: float = setting(  # [recalled]
        "Learning rate of pg-cnn and gacnn.", 1e-3,
        panel="baselines", changes=_PATCH_NETWORKS, above=0,
    )  # fmt: skip
    baseline_batch_size: int = setting(  # [recalled]
        "Images per update of pg-cnn and gacnn, summed over batches of --batch-size.", 128,
        panel="baselines", changes=_PATCH_NETWORKS, metavar="N", at_least=2,
    )  # fmt: skip
    baseline_updates: int = setting(
        "Updates of pg-cnn and gacnn per epoch at most, for a trial; 0: a pass over all images.", 0,
        panel="baselines", changes=_PATCH_NETWORKS, metavar="N", at_least=0,
    )  # fmt: skip
    rgbt_templates: int = setting(  # [recalled]
        "Number of Gabor templates of rgbt.", 1000, panel="baselines", changes=baseline("rgbt"), metavar="N", at_least=1
    )
    forest_trees: int = setting(  # [recalled]
        "Number of trees of wls-rf.", 500, panel="baselines", changes=baseline("wls-rf"), metavar="N", at_least=1
    )
    val_fraction: float = setting(
        "Share of the training samples held out to choose the epoch by; 0 keeps the last epoch.", 0.1,
        panel="data", changes=EVERYTHING, at_least=0, below=1,
    )  # fmt: skip
    select: Selection = setting(
        "Validation figure that chooses the epoch of each stage; uar is the mean recall of the classes.", "accuracy",
        panel="data", changes=STAGE_1 + _PATCH_NETWORKS, before="accuracy",
    )  # fmt: skip
    flip: bool = setting("Mirror half of the pairs.", True, panel="augmentation", changes=STAGE_1)
    crop_px: int = setting(
        "Largest shift of a pair in pixels.", 0,
        panel="augmentation", changes=STAGE_1, flag="crop", metavar="PX", at_least=0,
    )  # fmt: skip
    colour: float = setting(
        "Largest relative change of brightness, contrast and saturation.", 0.0,
        panel="augmentation", changes=STAGE_1, at_least=0, below=1,
    )  # fmt: skip
    rotate_deg: float = setting(
        "Largest turn of a pair in degrees.", 0.0, panel="augmentation", changes=STAGE_1,
        flag="rotate", metavar="DEG", at_least=0, at_most=180, before=0.0,
    )  # fmt: skip
    scale: float = setting(
        "Largest relative change of a pair's size.", 0.0,
        panel="augmentation", changes=STAGE_1, metavar="F", at_least=0, below=1, before=0.0,
    )  # fmt: skip
    grey_share: float = setting(
        "Share of the pairs that lose their colours.", 0.0, panel="augmentation", changes=STAGE_1,
        flag="grey", metavar="P", at_least=0, at_most=1, before=0.0,
    )  # fmt: skip
    erase_share: float = setting(
        "Share of the pairs in which a random rectangle is hidden.", 0.0, panel="augmentation", changes=STAGE_1,
        flag="erase", metavar="P", at_least=0, at_most=1, before=0.0,
    )  # fmt: skip
    seed: int = setting(
        "Seed of everything that is random.", 0, panel="data", changes=EVERYTHING, metavar="N", at_least=0
    )
    device: Device = setting(
        "Device to train on; auto takes a GPU where there is one.", "auto", panel="hardware", changes=NOTHING
    )
    devices: int = setting(
        "Processes per node.", 1, panel="hardware", changes=NOTHING, metavar="N", at_least=1, one_run=True
    )
    num_nodes: int = setting(
        "Number of nodes, under torchrun.", 1, panel="hardware", changes=NOTHING, metavar="N", at_least=1, one_run=True
    )
    precision: Precision = setting(
        "Number format: 32 bits, or mixed precision; the adversarial loss stays in 32 bits.", "32",
        panel="hardware", changes=STAGE_1 + _PATCH_NETWORKS,
    )  # fmt: skip
    channels_last: bool = setting(
        "Keep images and networks in the channels-last memory layout.", False, panel="hardware", changes=NOTHING
    )
    compile: bool = setting(
        "Compile the networks that are trained with torch.compile.", False, panel="hardware", changes=NOTHING
    )
    checkpoint_every: int = setting(
        "Rounds between checkpoints; 0: at the end of each epoch.", 0,
        panel="output", changes=NOTHING, metavar="N", at_least=0,
    )  # fmt: skip
    log_every: int = setting(
        "Rounds that one line of metrics.csv averages.", 10,
        panel="output", changes=LOG, metavar="N", at_least=1, one_run=True,
    )  # fmt: skip
    workers: int | None = setting(
        "Processes that make batches of live occlusions, or of images that the GPU does not hold; default: up to 4.",
        None, panel="hardware", changes=NOTHING, metavar="N", at_least=0, before=None,
    )  # fmt: skip
    resident_fraction: float = setting(
        "Largest share of a GPU's memory that the images may fill.", 0.4,
        panel="hardware", changes=NOTHING, at_least=0, below=1,
    )  # fmt: skip
    occluded_branch: Path | None = setting(
        "Model file of an occluded branch that is already trained.", None,
        panel="stage 1", changes=("occluded branch",), metavar="F", one_run=True,
    )  # fmt: skip
    clean_branch: Path | None = setting(
        "Model file of a clean branch that is already trained.", None,
        panel="stage 1", changes=("clean branch",), metavar="F", one_run=True,
    )  # fmt: skip
    branch_cache: Path | None = setting(
        "Folder through which runs share the branches of stage 1.", None,
        panel="stage 1", changes=NOTHING, metavar="DIR", one_run=True,
    )  # fmt: skip
    cache_dir: Path | None = setting(
        "Folder for decoded images; default: cache/packs in the build root.", None,
        panel="data", changes=NOTHING, metavar="DIR",
    )  # fmt: skip
    out: Path = setting("Run folder.", Path("runs/run"), panel="output", changes=NOTHING, metavar="DIR", one_run=True)
    resume: bool = setting(
        "Go on from the run folder's last checkpoint.", False, panel="output", changes=NOTHING, one_run=True
    )

    def __post_init__(self) -> None:
        if not self.manifests:
            raise ConfigError("no manifest given; name one with --manifest builds/manifests/NAME.csv")
        hints = _hints()
        for each in fields(self):
            check_value(each, hints[each.name], getattr(self, each.name))
        if self.guide != "everywhere" and self.pairing != "paired":
            raise ConfigError(
                f"--guide {self.guide} needs --pairing paired: what is hidden is found by comparing a face with its "
                "own occluded picture"
            )
        if self.lambda_lir > 1 and not self.force:
            raise ConfigError(
                f"--lambda-lir {self.lambda_lir:g} is above 1: a sample with an active inequality would get "
                "(1 - lambda) times its supervised gradient, so supervision is reversed; choose at most 1, or --force"
            )

    def loss_weight(self, name: str) -> float:
        """The weight of a loss in Eq. 8: the field `lambda_NAME`.

        Raises:
            ConfigError: there is no such field.
        """
        weight = getattr(self, f"lambda_{name}", None)
        if weight is None:
            raise ConfigError(f"the loss '{name}' has no weight: give TrainConfig a field lambda_{name}")
        return float(weight)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; paths become text."""
        return {name: to_plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "TrainConfig":
        """The inverse of `to_json`; raises ConfigError for an unknown field or a wrong type."""
        known = _hints()
        unknown = sorted(set(content) - set(known))
        if unknown:
            raise ConfigError(f"unknown fields in the configuration: {', '.join(unknown)[:300]}")
        try:
            return cls(**{name: from_plain(known[name], value) for name, value in content.items()})
        except TypeError as error:
            raise ConfigError(f"the configuration is malformed: {error}") from error

    @classmethod
    def from_stored(cls, content: dict[str, Any]) -> "TrainConfig":
        """As `from_json`, for what a run has stored: a setting that its version did not have gets `Setting.before`."""
        found = ((each.name, setting_of(each)) for each in fields(cls))
        added = {name: to_plain(its.before) for name, its in found if its.added and name not in content}
        return cls.from_json(added | content)


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(TrainConfig)
