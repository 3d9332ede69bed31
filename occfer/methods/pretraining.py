"""Stage 1: one branch on one view, with the supervised loss alone (Algorithm 1, lines 1 and 2)."""

from collections.abc import Sequence

from torch import Tensor

from occfer.config import TrainConfig
from occfer.methods.engine_hooks import EngineHooks
from occfer.methods.optimizers import make_optimizer, optimizer_settings
from occfer.methods.supervised import SupervisedLoss
from occfer.models.classifier import Classifier


class Pretraining:
    """Owns a branch and its optimizer during stage 1.

    [paper] both branches are pre-trained by cross-entropy, each on its own view. [decided] Adam at 1e-4.

    Args:
        classifier: the branch; trained in place.
        config: learning rate, optimizer and supervised loss.
        hooks: the engine's functions.
        class_counts: see `SupervisedLoss`.

    Attributes:
        classifier: the bare branch, whose weights are saved.
        optimizer: the bare optimizer, whose state is saved.
    """

    def __init__(
        self,
        classifier: Classifier,
        config: TrainConfig,
        *,
        hooks: EngineHooks | None = None,
        class_counts: Sequence[int] = (),
    ) -> None:
        self._hooks = hooks or EngineHooks()
        self._clip = config.clip
        self._supervised = SupervisedLoss(config, class_counts)
        self.classifier = classifier.train()
        self.optimizer = make_optimizer(classifier, config.pretrain_rate, optimizer_settings(config))
        self._wrapped, self._stepper = self._hooks.setup(classifier, self.optimizer)

    def step(self, images: Tensor, labels: Tensor, votes: Tensor | None = None) -> dict[str, Tensor]:
        """One update on images `(B, 3, H, W)` of the branch's view, labels `(B,)` int64 and, where given, votes.

        Returns:
            `sup` and `total` (the same here), detached scalars on the device: reading them is what waits for it.
        """
        self._stepper.zero_grad()
        supervised = self._supervised(self._wrapped(images), labels, votes)
        self._hooks.update(supervised, self._wrapped, self._stepper, self._clip)
        return {"sup": supervised.detach(), "total": supervised.detach()}
