"""Stage 2: the occluded branch under the clean branch's guidance, against a discriminator (Algorithm 1)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from occfer.config import TrainConfig
from occfer.errors import MethodError
from occfer.losses import LOSSES, LossInputs, discriminator_loss, total
from occfer.methods.engine_hooks import EngineHooks
from occfer.methods.method import Method
from occfer.methods.optimizers import make_optimizer, optimizer_settings
from occfer.methods.student import GuidedStudent, StudentOutput, frozen_parameters, frozen_statistics
from occfer.methods.supervised import SupervisedLoss
from occfer.models.classifier import Classifier
from occfer.models.decoder import Decoder
from occfer.models.discriminator import Discriminator

Player = Literal["discriminator", "student"]


class Guidance:
    """Owns the occluded branch, the heads that the method uses, and their optimizers during stage 2.

    The clean branch is not among them: its outputs are passed to the steps, so it cannot be trained by mistake. Steps
    leave train and eval mode as they are; the engine sets them with `train`.

    Args:
        method: only the heads that its losses use are built.
        classifier: the pre-trained occluded branch; trained in place.
        config: weights of the losses, their options, learning rates and optimizer.
        hooks: the engine's functions.
        class_counts: see `SupervisedLoss`.
        decoder: used instead of a newly built one.
        discriminator: used instead of a newly built one.

    Attributes:
        student: the bare branch with its decoder, whose weights are saved.
        discriminator: bare, or None where the method has no adversarial loss.
        student_optimizer: bare, whose state is saved.
        discriminator_optimizer: likewise, or None.
    """

    def __init__(
        self,
        method: Method,
        classifier: Classifier,
        config: TrainConfig,
        *,
        hooks: EngineHooks | None = None,
        class_counts: Sequence[int] = (),
        decoder: Decoder | None = None,
        discriminator: Discriminator | None = None,
    ) -> None:
        self.method = method
        self._config = config
        self._supervised = SupervisedLoss(config, class_counts)
        self._weights = {name: config.loss_weight(name) for name in method.losses}
        self._hooks = hooks or EngineHooks()
        options = optimizer_settings(config)
        channels = classifier.feature_channels
        decoder = (decoder or Decoder(channels)) if method.needs_decoder else None
        self.student = GuidedStudent(classifier, decoder)
        self.student_optimizer = make_optimizer(self.student, config.rate, options)
        self._student, self._student_stepper = self._hooks.setup(self.student, self.student_optimizer)
        self.discriminator: Discriminator | None = None
        self.discriminator_optimizer: torch.optim.Optimizer | None = None
        if method.needs_discriminator:
            self.discriminator = discriminator or Discriminator(channels)
            self.discriminator_optimizer = make_optimizer(self.discriminator, config.discriminator_rate, options)
            self._discriminator, self._discriminator_stepper = self._hooks.setup(
                self.discriminator, self.discriminator_optimizer
            )
        self.train()

    def train(self, mode: bool = True) -> None:
        """Puts the student and the discriminator into train mode, or into eval mode."""
        self._student.train(mode)
        if self.discriminator is not None:
            self._discriminator.train(mode)

    def turns(self, discriminator_updates: int, student_updates: int) -> tuple[Player, ...]:
        """The players of one round of Algorithm 1, in order: K1 times the discriminator, K2 times the student.

        A method without an adversarial loss has no first player.
        """
        first: list[Player] = ["discriminator"] * (discriminator_updates if self.method.needs_discriminator else 0)
        second: list[Player] = ["student"] * student_updates
        return (*first, *second)

    def discriminator_step(self, occluded: Tensor, teacher_features: Tensor) -> dict[str, Tensor]:
        """One update of the discriminator by Eq. 5 (Algorithm 1, lines 6 to 8).

        The branch runs only up to its feature, without gradients. In train mode, batch norm normalises by this batch,
        as it does when the branch is judged, but its running statistics are not updated [decided: the discriminator's
        turn changes nothing of the other player, so the statistics do not depend on K1].

        Args:
            occluded: images `(B, 3, H, W)` in [0, 1].
            teacher_features: h_c of clean images, `(B', C, h, w)`, see `Teacher.features`.

        Returns:
            `d`, a detached scalar on the device.

        Raises:
            MethodError: the method has no adversarial loss.
        """
        if self.discriminator is None:
            raise MethodError(f"method '{self.method.title}' has no adversarial loss, so no discriminator to update.")
        with torch.no_grad(), frozen_statistics(self.student), self._hooks.autocast():
            occluded_features = self.student.classifier.features(occluded)
        features = torch.cat([teacher_features.detach().float(), occluded_features.float()])
        self._discriminator_stepper.zero_grad()
        logits = self._discriminator(features)
        clean_count = teacher_features.shape[0]
        loss = discriminator_loss(logits[:clean_count], logits[clean_count:])
        self._hooks.update(loss, self._discriminator, self._discriminator_stepper, self._config.clip)
        return {"d": loss.detach()}

    def student_step(
        self,
        occluded: Tensor,
        labels: Tensor,
        *,
        votes: Tensor | None = None,
        clean: Tensor | None = None,
        teacher_logits: Tensor | None = None,
        teacher_features: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One update of the occluded branch, with its decoder, by Eq. 8 (Algorithm 1, lines 11 and 12).

        Args:
            occluded: images `(B, 3, H, W)` in [0, 1].
            labels: `(B,)` int64.
            votes: see `SupervisedLoss`.
            clean: the same faces without occlusion; needed where the method has the reconstruction loss.
            teacher_logits: the clean branch's, `(B, classes)`; needed where the method has `sim`, `lir` or `kd`.
            teacher_features: h_c, `(B, C, h, w)`; needed where the method has `hint`.

        Returns:
            `sup`, every loss of the method by its key, and `total`: detached scalars on the device; only `total` is
            weighted. Reading them waits for the device. If one is not finite, neither is `total`.

        Raises:
            MethodError: an input that the method needs was not given.
        """
        self._student_stepper.zero_grad()
        output: StudentOutput = self._student(occluded)
        supervised = self._supervised(output.logits, labels, votes)
        inputs = LossInputs(
            logits=output.logits,
            features=output.features,
            labels=labels,
            reconstruction=output.reconstruction,
            clean=clean,
            teacher_logits=teacher_logits,
            teacher_features=teacher_features,
            discriminate=self._discriminate if self.discriminator is not None else None,
        )
        terms = {name: LOSSES[name].compute(inputs, self._config) for name in self.method.losses}
        loss = total(supervised, terms, self._weights)
        self._hooks.update(loss, self._student, self._student_stepper, self._config.clip)
        return {name: term.detach() for name, term in {"sup": supervised, **terms, "total": loss}.items()}

    def _discriminate(self, features: Tensor) -> Tensor:
        """The discriminator's logits; gradients pass through it to the features and leave its weights alone."""
        with frozen_parameters(self._discriminator):
            logits: Tensor = self._discriminator(features)
        return logits

    @torch.no_grad()
    def predict(self, occluded: Tensor) -> Tensor:
        """Logits `(B, classes)` of the occluded branch alone, in eval mode; the mode is put back afterwards."""
        classifier = self.student.classifier
        mode = classifier.training
        classifier.eval()
        try:
            with self._hooks.autocast():
                logits: Tensor = classifier(occluded)
        finally:
            classifier.train(mode)
        return logits.float()
