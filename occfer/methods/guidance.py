"""Stage 2: the occluded branch under the clean branch's guidance, against a discriminator (Algorithm 1)."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Literal

import torch
from torch import Tensor

from occfer.config import TrainConfig
from occfer.errors import MethodError
from occfer.losses import LOSSES, LossInputs, discriminator_loss, total
from occfer.methods.engine_hooks import EngineHooks
from occfer.methods.method import Method
from occfer.methods.network_modes import batch_norms, batch_statistics, evaluating, frozen_parameters
from occfer.methods.optimizers import make_optimizer, optimizer_settings
from occfer.methods.student import GuidedStudent, StudentOutput
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
        if not method.needs_decoder:
            decoder = None
        elif decoder is None:
            decoder = Decoder(channels, classifier.feature_stride, config.decoder_width)
        self.student = GuidedStudent(classifier, decoder)
        own_rates = {"decoder": config.decoder_rate} if decoder is not None and config.decoder_rate is not None else {}
        self.student_optimizer = make_optimizer(self.student, config.rate, options, own_rates)
        self._student, self._student_stepper = self._hooks.setup(self.student, self.student_optimizer)
        self.discriminator: Discriminator | None = None
        self.discriminator_optimizer: torch.optim.Optimizer | None = None
        if method.needs_discriminator:
            spectral = config.discriminator_norm == "spectral"
            self.discriminator = discriminator or Discriminator(channels, spectral=spectral)
            self.discriminator_optimizer = make_optimizer(self.discriminator, config.discriminator_rate, options)
            self._discriminator, self._discriminator_stepper = self._hooks.setup(
                self.discriminator, self.discriminator_optimizer
            )
        self.train()

    def train(self, mode: bool = True) -> None:
        """Puts the student and the discriminator into train mode, or into eval mode.

        With `--student-norm frozen`, the branch's batch norm stays in eval mode: it normalises by the statistics of its
        pre-training, as the clean branch does and as it will at test time, and only its weights are trained.
        """
        self._student.train(mode)
        if not self.normalises_by_batch:
            for norm in batch_norms(self.student.classifier):
                norm.eval()
        if self.discriminator is not None:
            self._discriminator.train(mode)

    @property
    def normalises_by_batch(self) -> bool:
        """Whether the branch's batch norm is in train mode; then the discriminator must see h_c by the batch, too.

        Otherwise it would tell the two modes apart, and not the faces.
        """
        return self._config.student_norm == "batch"

    @property
    def shares_batch(self) -> bool:
        """Whether the discriminator learns from the occluded branch's own pass, without a turn of its own."""
        return self.method.needs_discriminator and self._config.discriminator_batch == "shared"

    def turns(self, discriminator_updates: int, student_updates: int) -> tuple[Player, ...]:
        """The players of one round of Algorithm 1, in order: K1 times the discriminator, K2 times the student.

        Without an adversarial loss there is no first player, and none that has turns with `--discriminator-batch
        shared`.
        """
        has_turns = self.method.needs_discriminator and not self.shares_batch
        first: list[Player] = ["discriminator"] * (discriminator_updates if has_turns else 0)
        second: list[Player] = ["student"] * student_updates
        return (*first, *second)

    def discriminator_step(self, occluded: Tensor, teacher_features: Tensor) -> dict[str, Tensor]:
        """One update of the discriminator by Eq. 5 (Algorithm 1, lines 6 to 8).

        The branch runs only up to its feature, without gradients. Both sides are normalised alike: by their running
        statistics with `--student-norm frozen`, each by its own batch with `batch`. Running statistics are not updated
        [decided: the discriminator's turn changes nothing of the other player, so they do not depend on K1].

        Args:
            occluded: images `(B, 3, H, W)` in [0, 1].
            teacher_features: h_c of clean images, `(B', C, h, w)`, see `Teacher.features`; `by_batch` where
                `normalises_by_batch`.

        Returns:
            `d`, and `d_accuracy`, the share of right answers over both sides before the update: detached scalars on the
            device.

        Raises:
            MethodError: the method has no adversarial loss.
        """
        if self.discriminator is None:
            raise MethodError(f"method '{self.method.title}' has no adversarial loss, so no discriminator to update.")
        normalised = batch_statistics(self.student.classifier) if self.normalises_by_batch else nullcontext()
        with torch.no_grad(), normalised, self._hooks.autocast():
            occluded_features = self.student.classifier.features(occluded)
        return self._train_discriminator(teacher_features, occluded_features)

    def _train_discriminator(self, clean_features: Tensor, occluded_features: Tensor) -> dict[str, Tensor]:
        features = torch.cat([clean_features.detach().float(), occluded_features.detach().float()])
        self._discriminator_stepper.zero_grad()
        logits = self._discriminator(features)
        clean_logits, occluded_logits = logits.split([len(clean_features), len(occluded_features)])
        loss = discriminator_loss(clean_logits, occluded_logits)
        self._hooks.update(loss, self._discriminator, self._discriminator_stepper, self._config.clip)
        right = torch.cat([clean_logits > 0, occluded_logits < 0])
        return {"d": loss.detach(), "d_accuracy": right.float().mean()}

    def student_step(
        self,
        occluded: Tensor,
        labels: Tensor,
        *,
        votes: Tensor | None = None,
        clean: Tensor | None = None,
        teacher_logits: Tensor | None = None,
        teacher_features: Tensor | None = None,
        adversary_features: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """One update of the occluded branch, with its decoder, by Eq. 8 (Algorithm 1, lines 11 and 12).

        Args:
            occluded: images `(B, 3, H, W)` in [0, 1].
            labels: `(B,)` int64.
            votes: see `SupervisedLoss`.
            clean: the same faces without occlusion; needed where the method has `rec`, and for `--guide`.
            teacher_logits: the clean branch's, `(B, classes)`; needed where the method has `sim`, `lir` or `kd`.
            teacher_features: h_c, `(B, C, h, w)`; needed where the method has `hint`.
            adversary_features: h_c as the discriminator is to see it, see `discriminator_step`; needed where
                `shares_batch`. The discriminator is then updated K1 times on it and on this batch's h_o, before it
                judges that.

        Returns:
            `sup`, every loss of the method by its key, and `total`: detached scalars on the device; only `total` is
            weighted. Reading them waits for the device. If one is not finite, neither is `total`. Where `shares_batch`,
            also what `discriminator_step` returns, of the last update.

        Raises:
            MethodError: an input that the method needs was not given.
        """
        self._student_stepper.zero_grad()
        output: StudentOutput = self._student(occluded)
        adversary: dict[str, Tensor] = {}
        if self.shares_batch:
            if adversary_features is None:
                raise MethodError("the discriminator shares the batch, and the step was not given the clean features")
            for _ in range(self._config.discriminator_updates):
                adversary = self._train_discriminator(adversary_features, output.features)
        supervised = self._supervised(output.logits, labels, votes)
        inputs = LossInputs(
            logits=output.logits,
            features=output.features,
            labels=labels,
            reconstruction=output.reconstruction,
            occluded=occluded,
            clean=clean,
            teacher_logits=teacher_logits,
            teacher_features=teacher_features,
            discriminate=self._discriminate if self.discriminator is not None else None,
        )
        terms = {name: LOSSES[name].compute(inputs, self._config) for name in self.method.losses}
        loss = total(supervised, terms, self._weights)
        self._hooks.update(loss, self._student, self._student_stepper, self._config.clip)
        terms = {"sup": supervised, **terms, "total": loss}
        return {name: term.detach() for name, term in terms.items()} | adversary

    def _discriminate(self, features: Tensor) -> Tensor:
        """The discriminator's logits; gradients pass through it to the features and leave its weights alone."""
        with frozen_parameters(self._discriminator), evaluating(self._discriminator):  # spectral norm iterates in train
            logits: Tensor = self._discriminator(features)
        return logits

    @torch.no_grad()
    def predict(self, occluded: Tensor) -> Tensor:
        """Logits `(B, classes)` of the occluded branch alone, in eval mode; the mode is put back afterwards."""
        classifier = self.student.classifier
        with evaluating(classifier), self._hooks.autocast():
            logits: Tensor = classifier(occluded)
        return logits.float()
