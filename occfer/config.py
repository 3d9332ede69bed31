"""The one configuration of a training run: frozen, checked when made, stored in the run folder and the checkpoints.

Every error names the command line's flag, so that the CLI stays a skin. Defaults that the paper gives are marked [P],
our own decisions [D]; docs/occfer.md lists them.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from occfer.errors import ConfigError

PAIRINGS = ("paired", "category", "unpaired")
PRECISIONS = ("32", "bf16", "fp16")
FACES = ("clean", "occluded")
DEVICES = ("auto", "cpu", "cuda")
# They say where and how far to run, not what is computed: they may differ between a run and its resumption.
NOT_COMPARED = frozenset(
    {
        "out", "resume", "checkpoint_every", "cache_dir", "branch_cache", "resident_fraction",
        "device", "devices", "num_nodes", "channels_last", "compile",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Everything that a training run depends on, except the data itself.

    Attributes:
        manifests: manifests to train on, merged; paths of their CSVs.
        test_manifests: manifests to test on instead of a part of `manifests`.
        method: a key of `occfer.method_table.ROWS`.
        fold: the fold that is tested, for manifests with folds.
        size_px: side of the images in pixels; None takes the first manifest's.
        backbone, weights: a key of `occfer.models.BACKBONES`; `imagenet`, `none` or a file.
        pairing: which clean image an occluded one meets: its own, one of its category, or any. [P 4.4]
        live_occlusion: the mode drawn afresh each epoch (the callable itself is given to `train`); empty for none.
        epochs, pretrain_epochs: of stage 2 and of each branch in stage 1. [D] 30 and 30
        batch_size: over all devices together. [D] 32
        rate, discriminator_rate: of stage 2. [P] 2e-5 and 1e-4
        pretrain_rate: of stage 1. [D] 1e-4
        optimizer, weight_decay: of both stages; a key of `occfer.methods.OPTIMIZERS`. [D] adam, 0
        discriminator_updates, student_updates: K1 and K2 of Algorithm 1. [D] 1 and 1
        lambda_sim, lambda_lir, lambda_adv, lambda_rec: the weights of Eq. 8.
        similarity_space: `softmax` or `logits`. [D] softmax
        inequality_reduction: `per-sample` or `batch`: the hinge per sample, or of the batch's means
            (each process's share of it). [D] per-sample
        force: accept weights that reverse supervision (`lambda_lir` above 1).
        train_on, landmarks_from: of `rgbt` and `wls-rf`: the faces that train, and the faces whose landmarks they see;
            `clean` or `occluded`. [D] clean and clean
        baseline_epochs, baseline_rate, baseline_batch_size: of `pg-cnn` and `gacnn`, whose updates are summed over
            batches of `batch_size` images. [recalled] 30 epochs [D], 1e-3, 128
        baseline_updates: their updates an epoch at most, for a trial; 0 for a pass over all images.
        rgbt_templates, forest_trees: size of `rgbt` and `wls-rf`. [recalled] 1000 and 500
        val_fraction: share of the training rows held out for model selection; 0 keeps the last epoch.
        flip, crop_px, colour: augmentation: mirror half of the images; shift by up to so many pixels; change
            brightness, contrast and saturation by up to this fraction.
        seed: of everything random.
        device, devices, num_nodes: `auto`, `cpu` or `cuda`; processes per node; nodes.
        precision: `32`, or mixed `bf16` or `fp16`; the adversarial loss stays in float32.
        channels_last, compile: memory layout; torch.compile for the student.
        checkpoint_every: rounds between checkpoints; 0 for the end of each epoch only.
        log_every: rounds that one line of metrics.csv averages.
        resident_fraction: share of an accelerator's memory that the images may fill.
        occluded_branch, clean_branch: files of branches that are trained already.
        branch_cache: folder of stage-1 branches shared by runs, keyed by what they depend on; None for none.
        cache_dir: folder for packs; None takes `cache/packs` in the build root.
        out: the run folder.
        resume: go on from the run folder's last checkpoint.
    """

    manifests: tuple[Path, ...]
    test_manifests: tuple[Path, ...] = ()
    method: str = "full"
    fold: int | None = None
    size_px: int | None = None
    backbone: str = "resnet50"
    weights: str = "imagenet"
    pairing: str = "paired"
    live_occlusion: str = ""
    epochs: int = 30
    pretrain_epochs: int = 30
    batch_size: int = 32
    rate: float = 2e-5
    discriminator_rate: float = 1e-4
    pretrain_rate: float = 1e-4
    optimizer: str = "adam"
    weight_decay: float = 0.0
    discriminator_updates: int = 1
    student_updates: int = 1
    lambda_sim: float = 3.0
    lambda_lir: float = 0.5
    lambda_adv: float = 0.02
    lambda_rec: float = 0.3
    similarity_space: str = "softmax"
    inequality_reduction: str = "per-sample"
    force: bool = False
    train_on: str = "clean"
    landmarks_from: str = "clean"
    baseline_epochs: int = 30
    baseline_rate: float = 1e-3
    baseline_batch_size: int = 128
    baseline_updates: int = 0
    rgbt_templates: int = 1000
    forest_trees: int = 500
    val_fraction: float = 0.1
    flip: bool = True
    crop_px: int = 0
    colour: float = 0.0
    seed: int = 0
    device: str = "auto"
    devices: int = 1
    num_nodes: int = 1
    precision: str = "32"
    channels_last: bool = False
    compile: bool = False
    checkpoint_every: int = 0
    log_every: int = 10
    resident_fraction: float = 0.4
    occluded_branch: Path | None = None
    clean_branch: Path | None = None
    branch_cache: Path | None = None
    cache_dir: Path | None = None
    out: Path = Path("runs/run")
    resume: bool = False

    def __post_init__(self) -> None:
        if not self.manifests:
            raise ConfigError("no manifest given; name one with --manifest builds/manifests/NAME.csv")
        self._check_choices()
        self._check_numbers()
        if self.lambda_lir > 1 and not self.force:
            raise ConfigError(
                f"--lambda-lir {self.lambda_lir:g} is above 1: a sample with an active inequality would get "
                "(1 - lambda) times its supervised gradient, so supervision is reversed; choose at most 1, or --force"
            )

    def _check_choices(self) -> None:
        for name, choices in (
            ("pairing", PAIRINGS),
            ("precision", PRECISIONS),
            ("device", DEVICES),
            ("similarity_space", ("softmax", "logits")),
            ("inequality_reduction", ("per-sample", "batch")),
            ("train_on", FACES),
            ("landmarks_from", FACES),
        ):
            if getattr(self, name) not in choices:
                raise ConfigError(f"{flag(name)} {getattr(self, name)!r}: choose one of {', '.join(choices)}")

    def _check_numbers(self) -> None:
        lowest = {
            "batch_size": 2, "devices": 1, "num_nodes": 1, "log_every": 1, "student_updates": 1,
            "baseline_batch_size": 2, "rgbt_templates": 1, "forest_trees": 1, "baseline_epochs": 0,
            "baseline_updates": 0,
            "epochs": 0, "pretrain_epochs": 0, "discriminator_updates": 0, "checkpoint_every": 0, "crop_px": 0,
            "lambda_sim": 0, "lambda_lir": 0, "lambda_adv": 0, "lambda_rec": 0, "seed": 0, "weight_decay": 0,
        }  # fmt: skip
        for name, least in lowest.items():
            if not getattr(self, name) >= least:
                raise ConfigError(f"{flag(name)} {getattr(self, name)} is too small: at least {least}")
        for name in ("rate", "discriminator_rate", "pretrain_rate", "baseline_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{flag(name)} {getattr(self, name)} is no learning rate: a number above 0")
        for name in ("val_fraction", "colour", "resident_fraction"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{flag(name)} {getattr(self, name)} is out of range: at least 0 and below 1")
        if self.size_px is not None and not 8 <= self.size_px <= 2048:
            raise ConfigError(f"--size {self.size_px} is out of range: 8 to 2048 pixels")
        if self.fold is not None and self.fold < 0:
            raise ConfigError(f"--fold {self.fold} is negative: folds count from 0")

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; paths become text."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "TrainConfig":
        """The inverse of `to_json`; raises ConfigError for an unknown field or a wrong type."""
        known = get_type_hints(cls)
        unknown = sorted(set(content) - set(known))
        if unknown:
            raise ConfigError(f"unknown fields in the configuration: {', '.join(unknown)}")
        try:
            return cls(**{name: _typed(known[name], value) for name, value in content.items()})
        except TypeError as error:
            raise ConfigError(f"the configuration is malformed: {error}") from error


def read_settings(path: Path, left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Some fields of a configuration from a JSON file, as `occfer tune` writes them.

    Args:
        path: of the file.
        left_out: fields that the command does not take.

    Raises:
        ConfigError: it cannot be read, or names an unknown field or one that the command does not take.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"--config {path} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ConfigError(f'--config {path} holds no JSON object such as {{"lambda_sim": 1.0}}')
    wrong = sorted(name for name in content if name not in get_type_hints(TrainConfig) or name in left_out)
    if wrong:
        raise ConfigError(f"--config {path}: no setting of this command: {', '.join(wrong)}")
    return content


def flag(name: str) -> str:
    """The command line's flag for a field of `TrainConfig`."""
    short = {
        "manifests": "manifest", "test_manifests": "test-manifest", "size_px": "size",
        "discriminator_updates": "k1", "student_updates": "k2", "crop_px": "crop",
    }  # fmt: skip
    return "--" + short.get(name, name).replace("_", "-")


def differences(config: TrainConfig, other: TrainConfig) -> list[str]:
    """`--flag old -> new` for every field that changes what a run computes and differs."""
    names = (field.name for field in fields(config) if field.name not in NOT_COMPARED)
    return [
        f"{flag(name)} {_plain(getattr(config, name))} -> {_plain(getattr(other, name))}"
        for name in names
        if getattr(config, name) != getattr(other, name)
    ]


def digest(content: Any) -> str:
    """SHA-256 (hexadecimal) of a JSON value, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def _typed(hint: Any, value: Any) -> Any:
    if hint == tuple[Path, ...]:
        return tuple(Path(each) for each in value)
    if hint == Path | None:
        return None if value is None else Path(value)
    if hint is Path:
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
