"""Stage 2 as somebody would write it by hand: plain PyTorch on tensors in memory, without engine, data path or log."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim
from torch.nn import functional as F

from occfer.config import TrainConfig
from occfer.data.manifests import EXPRESSIONS
from occfer.methods import METHODS
from occfer.models.classifier import build_classifier
from occfer.models.decoder import Decoder
from occfer.models.discriminator import Discriminator


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
    """The same networks, losses, optimizers and updates as `full` or `sim+lir` of occfer, in float32.

    Args:
        config: backbone, size, batch size, loss weights and learning rates; K1 and K2 are 1.
        whole_teacher: the players (`discriminator`, `student`) for whose update the whole teacher runs. For the other
            ones it stops at the shared feature, or does not run at all, since its logits are known.
        device: on which all of it lies.
    """

    def __init__(self, config: TrainConfig, whole_teacher: tuple[str, ...] = (), device: str = "cpu") -> None:
        self.config, self.whole_teacher, self.device = config, whole_teacher, device
        self.adversarial = "adv" in METHODS[config.method].losses
        self.student, self.teacher = (build_classifier(config.backbone, len(EXPRESSIONS)).to(device) for _ in range(2))
        self.teacher.eval().requires_grad_(False)
        channels = self.student.feature_channels
        self.decoder = Decoder(channels).to(device) if self.adversarial else None
        self.discriminator = Discriminator(channels).to(device)
        self.optimizer = optim.Adam(
            nn.ModuleList([self.student, self.decoder or nn.Identity()]).parameters(), config.rate
        )
        self.discriminator_optimizer = optim.Adam(self.discriminator.parameters(), config.discriminator_rate)
        self.batches = [self._random_batch(seed) for seed in range(4)]

    def _random_batch(self, seed: int) -> Batch:
        rng = torch.Generator().manual_seed(seed)
        count, side_px = self.config.batch_size, self.config.size_px or 224
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
        with torch.no_grad():
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
