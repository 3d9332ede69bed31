"""The two stages of training: pre-training of one branch, and guided fine-tuning; `engine.loop` runs their rounds.

A stage's round is a function of its number and of the networks' state: batches and random draws follow from the number,
so that number is all that a checkpoint has to remember beside the tensors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from occfer.config import TrainConfig
from occfer.data.arrays import Indices, View
from occfer.data.batches import Batches, PairBatch
from occfer.engine.engine import Engine
from occfer.engine.run_data import RunData
from occfer.engine.scoring import predict_samples
from occfer.engine.stage import Update
from occfer.errors import MethodError
from occfer.methods import (
    AveragedNetwork,
    Guidance,
    GuidedStudent,
    Method,
    Player,
    Pretraining,
    ScheduledRates,
    Teacher,
    mean_logits,
    rate_of,
)
from occfer.models.classifier import Classifier
from occfer.models.decoder import Decoder
from occfer.models.discriminator import Discriminator
from occfer.models.seeding import weight_seed
from occfer.runs.checkpoint import Tensors, optimizer_state, prefixed, restore_module, restore_optimizer, under

Value = TypeVar("Value")

# [decided] The mean accuracy over an epoch above which the discriminator counts as the winner of Eq. 5 and 6: its loss
# is near zero then, and what it tells the occluded branch is the same for every face.
WON = 0.95
_WON = (
    "the discriminator tells occluded from clean features with an accuracy of {accuracy:.3f} over an epoch: it has "
    "won, and l_adv guides little. Try a lower --discriminator-rate or a larger --k2; --discriminator-norm spectral "
    "bounds the gradient that it gives"
)


def branch_stage(role: View) -> str:
    """The name of the stage that trains a branch."""
    return f"{role}-branch"


class PretrainStage:
    """Stage 1 for one branch: `F_o` on occluded or `F_c` on clean images (Algorithm 1, lines 1 and 2).

    Args:
        role: which branch.
        classifier: with its initial weights.
    """

    def __init__(
        self, role: View, classifier: Classifier, *, data: RunData, config: TrainConfig, engine: Engine
    ) -> None:
        self.name: str = branch_stage(role)
        self.view: View = role
        self.begins_trained = False
        self.epochs = config.pretrain_epochs
        self.backbone = config.backbone
        self._engine = engine
        self._store = data.store
        self._seed = config.seed
        self._training = Pretraining(classifier, config, hooks=engine.hooks(), class_counts=data.class_counts)
        self._batches = data.batches(
            config, engine, self.name, with_clean=role == "clean", stage2=False, live=role == "occluded"
        )
        self.rounds = len(self._batches)
        self._rates = ScheduledRates(
            self._training.optimizer, config, epochs=self.epochs, updates_per_epoch=self.rounds
        )
        self._average = AveragedNetwork(self._training.classifier, config.ema) if config.ema else None

    @property
    def network(self) -> Classifier:
        """The branch, or the average of its weights."""
        return self._training.classifier if self._average is None else self._average.network

    def predict(self, indices: Indices) -> Tensor:
        """The branch's logits."""
        return predict_samples(self._engine, self.network, self._store, self.view, indices)

    def round(self, number: int) -> list[Update]:
        """One update."""
        batch = self._batches.batch(number)
        images = batch.occluded if batch.clean is None else batch.clean
        self._rates.set(number)
        with self._engine.seeded(self._seed, self.name, number):
            terms = self._training.step(images, batch.labels, batch.votes)
        if self._average is not None:
            self._average.update(self._training.classifier, number)
        return [Update(terms, batch.all_indices)]

    def rates(self) -> dict[str, float]:
        """The branch's."""
        return {"rate": rate_of(self._training.optimizer)}

    def note(self) -> str:
        """Nothing."""
        return ""

    def networks(self) -> tuple[Tensors, Tensors | None]:
        """The branch's weights."""
        return self.network.state_dict(), None

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """The branch, its optimizer and its average."""
        optimizer, values = optimizer_state(self._training.optimizer)
        tensors = prefixed("branch", self._training.classifier.state_dict()) | prefixed("optimizer", optimizer)
        if self._average is not None:
            tensors |= prefixed("average", self._average.network.state_dict())
        return tensors, {"optimizer": values}

    def restore(self, tensors: Tensors, values: Mapping[str, Any]) -> None:
        """Puts `state` back."""
        restore_module(self._training.classifier, under("branch", tensors), self.name)
        restore_optimizer(self._training.optimizer, under("optimizer", tensors), values["optimizer"])
        if self._average is not None:
            restore_module(self._average.network, under("average", tensors), self.name)

    def close(self) -> None:
        """Stops fetching batches."""
        self._batches.close()


class GuidedStage:
    """Stage 2: Algorithm 1, lines 3 to 14, for any method.

    A round is K1 updates of the discriminator and K2 of the student, each on a batch of its own; the two players walk
    through two independent shuffled passes. With `--discriminator-batch shared` the discriminator has none: it learns
    from the student's batch, K1 times before the student does.

    Args:
        method: what is trained.
        student: the pre-trained occluded branch.
        teachers: the pre-trained clean branch, where the method needs one, and others, see `Teacher`.
    """

    name = "guidance"
    view: View = "occluded"
    begins_trained = True

    def __init__(
        self,
        method: Method,
        student: Classifier,
        teachers: Sequence[Classifier],
        *,
        data: RunData,
        config: TrainConfig,
        engine: Engine,
    ) -> None:
        self._engine = engine
        self._config = config
        self._store = data.store
        self.backbone = config.backbone
        self.epochs = config.epochs
        self.teacher = self._place_teacher(teachers)
        self._guidance = _guidance(method, student, config, engine, data.class_counts)
        if self.teacher is not None:
            self.teacher.refuse_shared(self._guidance.student)
        self._turns = self._guidance.turns(config.discriminator_updates, config.student_updates)
        self._needs_logits = method.needs_teacher_logits
        self._logits = TeacherLogits.compute(self.teacher, data, engine) if self._can_cache(method, data) else None
        shared = self._guidance.shares_batch and not self._guidance.normalises_by_batch
        self._needs_features = method.student_needs_features or shared
        asks = (
            method.needs_decoder or self._needs_features or self._guidance.shares_batch
            or (self._needs_logits and self._logits is None)
        )  # fmt: skip
        self._batches: dict[Player, Batches] = {
            "student": data.batches(config, engine, "student", with_clean=asks, stage2=True)
        }
        if "discriminator" in self._turns:
            self._batches["discriminator"] = data.batches(
                config, engine, "discriminator", with_clean=True, stage2=True, mixed=False
            )
        self.rounds = len(self._batches["student"])
        self._rates = self._scheduled_rates()
        self._average = AveragedNetwork(self._guidance.student, config.ema) if config.ema else None
        self._watched: list[Tensor] = []
        self._told = False

    def _scheduled_rates(self) -> dict[Player, ScheduledRates]:
        optimizers: dict[Player, torch.optim.Optimizer | None] = {
            "student": self._guidance.student_optimizer, "discriminator": self._guidance.discriminator_optimizer,
        }  # fmt: skip
        shared = self._guidance.shares_batch
        turns = {player: self._turns.count("student" if shared else player) for player in optimizers}
        return {
            player: ScheduledRates(
                optimizer, self._config, epochs=self.epochs, updates_per_epoch=self.rounds * turns[player]
            )
            for player, optimizer in optimizers.items()
            if optimizer is not None
        }

    def _place_teacher(self, teachers: Sequence[Classifier]) -> Teacher | None:
        for each in teachers:
            self._engine.place(each)
        return Teacher(*teachers) if teachers else None

    def _can_cache(self, method: Method, data: RunData) -> bool:
        return method.needs_teacher_logits and data.augmentation.only_flips

    @property
    def network(self) -> Classifier:
        """The occluded branch, or the average of its weights."""
        return self._kept.classifier

    @property
    def _kept(self) -> GuidedStudent:
        return self._guidance.student if self._average is None else self._average.network

    def predict(self, indices: Indices) -> Tensor:
        """The occluded branch's logits."""
        return predict_samples(self._engine, self.network, self._store, self.view, indices)

    def round(self, number: int) -> list[Update]:
        """K1 updates of the discriminator, then K2 of the student."""
        done: dict[Player, int] = {"discriminator": 0, "student": 0}
        updates: list[Update] = []
        for player in self._turns:
            serial = number * self._turns.count(player) + done[player]
            done[player] += 1
            batch = self._batches[player].batch(serial)
            for each in self._rates if self._guidance.shares_batch else (player,):
                self._rates[each].set(serial)
            with self._engine.seeded(self._config.seed, player, serial):
                terms = self._update_student(batch) if player == "student" else self._update_discriminator(batch)
            if player == "student" and self._average is not None:
                self._average.update(self._guidance.student, serial)
            self._watched += [terms["d_accuracy"]] if "d_accuracy" in terms else []
            updates.append(Update(terms, batch.all_indices))
        return updates

    def rates(self) -> dict[str, float]:
        """The occluded branch's and the discriminator's; the decoder's follows the same schedule as the branch's."""
        discriminator = self._guidance.discriminator_optimizer
        rates = {"rate": rate_of(self._guidance.student_optimizer)}
        return rates if discriminator is None else rates | {"discriminator_rate": rate_of(discriminator)}

    def note(self) -> str:
        """At the end of an epoch: says once if the discriminator was right so often that it has won."""
        watched, self._watched = self._watched, []
        if not watched or self._told:
            return ""
        accuracy = float(self._engine.summed(torch.stack(watched).mean()) / self._engine.world_size)
        self._told = accuracy > WON
        return _WON.format(accuracy=accuracy) if self._told else ""

    def _update_discriminator(self, batch: PairBatch) -> dict[str, Tensor]:
        with self._engine.fabric.autocast():
            by_batch = self._guidance.normalises_by_batch
            features = _present(self.teacher).features(_present(batch.clean), by_batch=by_batch)
        return self._guidance.discriminator_step(batch.occluded, features)

    def _update_student(self, batch: PairBatch) -> dict[str, Tensor]:
        features, logits = self._ask_teacher(batch)
        adversary_features = features if self._guidance.shares_batch else None
        if self._guidance.shares_batch and self._guidance.normalises_by_batch:
            with self._engine.fabric.autocast():
                adversary_features = _present(self.teacher).features(_present(batch.clean), by_batch=True)
        return self._guidance.student_step(
            batch.occluded, batch.labels, votes=batch.votes,
            clean=batch.clean, teacher_logits=logits, teacher_features=features, adversary_features=adversary_features,
        )  # fmt: skip

    def _ask_teacher(self, batch: PairBatch) -> tuple[Tensor | None, Tensor | None]:
        """What the student's losses need of h_c and of the clean branch's logits, in one pass at most."""
        features, logits = None, None if self._logits is None else self._logits.of(batch)
        asks_logits = self._needs_logits and logits is None
        if not self._needs_features and not asks_logits:
            return features, logits
        teacher, clean = _present(self.teacher), _present(batch.clean)
        with self._engine.fabric.autocast():
            if self._needs_features and asks_logits:
                features, logits = teacher.both(clean)
            elif asks_logits:
                logits = teacher.logits(clean)
            else:
                features = teacher.features(clean)
        return None if features is None else features.float(), None if logits is None else logits.float()

    def networks(self) -> tuple[Tensors, Tensors | None]:
        """The occluded branch and its decoder."""
        student = self._kept
        return student.classifier.state_dict(), None if student.decoder is None else student.decoder.state_dict()

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """Student, discriminator, their optimizers, and the student's average."""
        guidance = self._guidance
        optimizer, values = optimizer_state(guidance.student_optimizer)
        tensors = prefixed("student", guidance.student.state_dict()) | prefixed("student_optimizer", optimizer)
        header: dict[str, Any] = {"student_optimizer": values}
        if self._average is not None:
            tensors |= prefixed("average", self._average.network.state_dict())
        if guidance.discriminator is not None and guidance.discriminator_optimizer is not None:
            optimizer, values = optimizer_state(guidance.discriminator_optimizer)
            tensors |= prefixed("discriminator", guidance.discriminator.state_dict())
            tensors |= prefixed("discriminator_optimizer", optimizer)
            header["discriminator_optimizer"] = values
        return tensors, header

    def restore(self, tensors: Tensors, values: Mapping[str, Any]) -> None:
        """Puts `state` back."""
        guidance = self._guidance
        restore_module(guidance.student, under("student", tensors), self.name)
        restore_optimizer(guidance.student_optimizer, under("student_optimizer", tensors), values["student_optimizer"])
        if self._average is not None:
            restore_module(self._average.network, under("average", tensors), self.name)
        if guidance.discriminator is not None and guidance.discriminator_optimizer is not None:
            restore_module(guidance.discriminator, under("discriminator", tensors), self.name)
            optimizer = under("discriminator_optimizer", tensors)
            restore_optimizer(guidance.discriminator_optimizer, optimizer, values["discriminator_optimizer"])

    def close(self) -> None:
        """Stops fetching batches."""
        for batches in self._batches.values():
            batches.close()


@dataclass(frozen=True, slots=True, eq=False)
class TeacherLogits:
    """The teacher's logits for every training face, as it is and mirrored: it never changes, so they are computed once.

    Attributes:
        table: `(2, training samples, classes)` float32 on the device; the second half is for mirrored images.
        place: `(samples of the corpus,)` int64 on the device: a sample's place in the table.
    """

    table: Tensor
    place: Tensor

    @classmethod
    def compute(cls, teacher: Teacher | None, data: RunData, engine: Engine) -> "TeacherLogits":
        """Runs the teacher over the training samples; the processes share the work."""
        indices = data.train
        sides = (False, True) if data.augmentation.flip else (False,)
        networks = _present(teacher).networks
        tables = [
            mean_logits(
                [predict_samples(engine, each, data.store, "clean", indices, mirrored=side) for each in networks]
            )
            for side in sides
        ]
        place = torch.zeros(len(data.labels), dtype=torch.int64)
        place[torch.from_numpy(indices)] = torch.arange(len(indices))
        return cls(torch.stack(tables).to(engine.device), place.to(engine.device))

    def of(self, batch: PairBatch) -> Tensor:
        """`(B, classes)` for a batch's clean images."""
        return self.table[batch.flipped.long(), self.place[batch.clean_indices]]


def _guidance(
    method: Method, student: Classifier, config: TrainConfig, engine: Engine, class_counts: Sequence[int]
) -> Guidance:
    channels = student.feature_channels
    with weight_seed(config.seed, "decoder"):
        has_decoder = method.needs_decoder
        decoder = Decoder(channels, student.feature_stride, config.decoder_width) if has_decoder else None
    with weight_seed(config.seed, "discriminator"):
        spectral = config.discriminator_norm == "spectral"
        discriminator = Discriminator(channels, spectral=spectral) if method.needs_discriminator else None
    return Guidance(
        method, student, config,
        hooks=engine.hooks(), class_counts=class_counts, decoder=decoder, discriminator=discriminator,
    )  # fmt: skip


def _present(value: Value | None) -> Value:
    """A value that the method's description promises."""
    if value is None:
        raise MethodError("a stage was built without what its method needs")
    return value
