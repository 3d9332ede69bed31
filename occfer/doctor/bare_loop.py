"""Stage 2 as somebody would write it by hand: plain PyTorch on tensors in memory, without engine, data path or log."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields

import torch
from torch import Tensor, optim
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.data.manifests import EXPRESSIONS
from occfer.errors import ConfigError
from occfer.methods import METHODS, OPTIMIZERS, optimizer_settings
from occfer.methods.network_modes import batch_norms, batch_statistics
from occfer.models.classifier import Classifier, build_classifier
from occfer.models.decoder import Decoder
from occfer.models.discriminator import Discriminator

LOOPS = ("full", "sim+lir")
"""The methods whose updates the loop knows."""
PLAIN = frozenset(
    {
        *("discriminator_updates", "student_updates", "schedule", "warmup_epochs", "clip", "ema", "label_smoothing"),
        *("balance", "labels", "guide", "teacher", "similarity_space", "inequality_reduction", "discriminator_batch"),
        *("discriminator_norm", "precision", "channels_last", "compile"),
    }
)
"""Settings of the updates that the loop does not read: it does what their defaults say."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """A batch that is ready for training.

    Attributes:
        occluded, clean: `(B, 3, S, S)` float32 in [0, 1].
        labels: `(B,)` int64.
        teacher_logits: `(B, classes)` float32, of the clean images.
    """

    occluded: Tensor
    clean: Tensor
    labels: Tensor
    teacher_logits: Tensor


class BareLoop:
    """The networks, losses, optimizers and updates of `full` or `sim+lir` that the engine has with the same settings.

    A test compares the weights after some rounds on the engine's batches. What the loop leaves out is around the
    updates: its four batches lie ready as floats, so nothing is drawn, read or mirrored; the teacher's logits lie
    beside them, where the engine looks them up as long as pairs are mirrored at most; dropout has no seed; and nothing
    is kept of the losses, nor of the discriminator's accuracy.

    Args:
        config: backbone, stem and sizes; batch size; weights of the losses; optimizer, weight decay and the three
            rates; width of the decoder; the student's batch norm.
        whole_teacher: the players (`discriminator`, `student`) for whose update the whole teacher runs. For the other
            ones it stops at the shared feature, or does not run at all, since its logits are known.
        device: on which all of it lies.

    Attributes:
        batches: two for the discriminator, which take turns, then two for the student.

    Raises:
        ConfigError: another method, or a setting in `PLAIN` that is not at its default.
    """

    def __init__(self, config: TrainConfig, whole_teacher: tuple[str, ...] = (), device: str = "cpu") -> None:
        _refuse_unknown(config)
        self.config, self.whole_teacher, self.device = config, whole_teacher, device
        self.adversarial = "adv" in METHODS[config.method].losses
        self.size_px = config.size_px or 224
        self.student, self.teacher = (self._branch().to(device).train() for _ in range(2))
        self.teacher.eval().requires_grad_(False)
        if config.student_norm == "frozen":
            for norm in batch_norms(self.student):
                norm.eval()
        channels, options = self.student.feature_channels, optimizer_settings(config)
        groups = [{"params": list(self.student.parameters()), "lr": config.rate}]
        self.decoder: Decoder | None = None
        if self.adversarial:
            self.decoder = Decoder(channels, self.student.feature_stride, config.decoder_width).to(device)
            groups.append({"params": list(self.decoder.parameters()), "lr": config.decoder_rate or config.rate})
        self.discriminator = Discriminator(channels).to(device)
        make = OPTIMIZERS[config.optimizer]
        self.optimizer: optim.Optimizer = make(groups, options, config.rate)
        self.discriminator_optimizer: optim.Optimizer = make(
            self.discriminator.parameters(), options, config.discriminator_rate
        )
        self.batches = [self._random_batch(seed) for seed in range(4)]

    def _branch(self) -> Classifier:
        config = self.config
        return build_classifier(
            config.backbone, len(EXPRESSIONS), stem=config.stem, size_px=self.size_px, network_px=config.network_px
        )

    def _random_batch(self, seed: int) -> Batch:
        rng = torch.Generator().manual_seed(seed)
        count, side_px = self.config.batch_size, self.size_px
        occluded, clean = (torch.rand(count, 3, side_px, side_px, generator=rng) for _ in range(2))
        labels = torch.randint(len(EXPRESSIONS), (count,), generator=rng)
        known = torch.randn(count, len(EXPRESSIONS), generator=rng)
        return Batch(*(each.to(self.device) for each in (occluded, clean, labels, known)))

    def round(self, number: int) -> None:
        """One update of the discriminator, if the method has one, and one of the student, each on its own batch."""
        if self.adversarial:
            self._update_discriminator(self.batches[number % 2])
        self._update_student(self.batches[2 + number % 2])

    def _update_discriminator(self, batch: Batch) -> None:
        with torch.no_grad(), self._as_seen(self.teacher), self._as_seen(self.student):
            if "discriminator" in self.whole_teacher:
                teacher_features, _ = self.teacher.both(batch.clean)
            else:
                teacher_features = self.teacher.features(batch.clean)
            features = torch.cat([teacher_features, self.student.features(batch.occluded)])
        self.discriminator_optimizer.zero_grad()
        logits = self.discriminator(features)
        count = len(batch.labels)
        loss = F.softplus(-logits[:count]).mean() + F.softplus(logits[count:]).mean()
        torch.autograd.backward(loss)
        self.discriminator_optimizer.step()

    def _as_seen(self, branch: Classifier) -> AbstractContextManager[object]:
        """How the discriminator sees a branch: with `--student-norm batch`, normalised by the batch at hand."""
        return batch_statistics(branch) if self.config.student_norm == "batch" else nullcontext()

    def _update_student(self, batch: Batch) -> None:
        config, known = self.config, batch.teacher_logits
        if "student" in self.whole_teacher:
            with torch.no_grad():
                known = self.teacher(batch.clean)
        self.optimizer.zero_grad()
        features, logits = self.student.both(batch.occluded)
        own, teachers = (F.cross_entropy(each, batch.labels, reduction="none") for each in (logits, known))
        loss = own.mean() + config.lambda_lir * F.relu(teachers - own).mean()
        loss = loss + config.lambda_sim * (logits.softmax(1) - known.softmax(1)).square().sum(1).mean()
        if self.decoder is not None:
            self.discriminator.requires_grad_(False)
            loss = loss + config.lambda_adv * F.softplus(-self.discriminator(features)).mean()
            self.discriminator.requires_grad_(True)
            restored = self.decoder(features, (batch.clean.shape[2], batch.clean.shape[3]))
            loss = loss + config.lambda_rec * F.mse_loss(restored, batch.clean)
        torch.autograd.backward(loss)
        self.optimizer.step()


def _refuse_unknown(config: TrainConfig) -> None:
    if config.method not in LOOPS:
        raise ConfigError(f"--method {config.method}: the bare loop knows {' and '.join(LOOPS)} only")
    for each in fields(config):
        value = getattr(config, each.name)
        if each.name in PLAIN and value != each.default:
            raise ConfigError(f"{each.name} {value}: the bare loop does not know it; leave it at {each.default}")
