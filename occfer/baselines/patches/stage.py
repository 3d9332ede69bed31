"""Training a patch-gated network: the one stage that `occfer.engine.loop.run_stage` runs for it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, optim

from occfer.baselines.patches.centres import patch_centres
from occfer.baselines.patches.images import MOST_SHIFT_PX, RESIZED_PX, cut, resized
from occfer.baselines.patches.network import INPUT_PX, PatchNetwork
from occfer.baselines.patches.training_points import MEAN_FACE, TrainingPoints
from occfer.baselines.patches.vgg import BACKBONE
from occfer.config import TrainConfig
from occfer.config_fields import flag
from occfer.data.arrays import Indices, Int64Array, View
from occfer.data.batch_maker import occlude_live
from occfer.data.image_store import laid_out
from occfer.data.passes import Passes
from occfer.data.random_streams import stream_rng
from occfer.engine.engine import Engine
from occfer.engine.run_data import RunData
from occfer.engine.scoring import gather_logits
from occfer.engine.stage import Update
from occfer.methods import AveragedNetwork, SupervisedLoss, rate_of
from occfer.runs.checkpoint import Tensors, optimizer_state, prefixed, restore_module, restore_optimizer, under

# [recalled] from the authors' papers, as their solver file is not public; the power is decided.
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
POLY_POWER = 0.9
BIAS_RATE = 2.0  # times the rate, and no decay: the authors' prototxt
PREDICTED_AT_ONCE = 32


class PatchStage:
    """Cross-entropy on clean and occluded images alike; each of them is an example of its own.

    A round is one update, summed over parts of at most `config.batch_size` images, so batch norm sees one part at a
    time. Images are resized to 232 px and a random part of 224 px is taken, and landmarks are shifted with it [decided:
    the authors do not shift theirs]; images are never mirrored. Validation sees occluded images, resized to 224 px as
    in the authors' tests.

    Args:
        network: with its initial weights; trained in place.
        points: the landmarks of clean and of occluded faces.
    """

    view: View = "occluded"
    backbone = BACKBONE
    begins_trained = False

    def __init__(
        self, network: PatchNetwork, points: TrainingPoints, *, data: RunData, config: TrainConfig, engine: Engine
    ) -> None:
        self.name = config.method
        self._network = network.train()
        self._data, self._config, self._engine = data, config, engine
        self._indices = data.train
        self._hooks = engine.hooks()
        self._optimizer = _sgd(network, config.baseline_rate)
        self._wrapped, self._stepper = self._hooks.setup(network, self._optimizer)
        self._supervised = SupervisedLoss(config, data.class_counts)
        self._average = AveragedNetwork(network, config.ema) if config.ema else None
        self._mean_face = torch.from_numpy(points.mean_face)
        self._tested_centres = patch_centres(points.occluded_xy, data.size_px, INPUT_PX)
        self._trained_centres: dict[View, Int64Array] = {
            "clean": patch_centres(points.clean_xy, data.size_px, RESIZED_PX),
            "occluded": patch_centres(points.occluded_xy, data.size_px, RESIZED_PX),
        }
        # Example e is the occluded image of training sample e, example len(self._indices) + e its clean image.
        self._passes = Passes(
            np.arange(2 * len(self._indices)), config.baseline_batch_size, config.seed, self.name, engine.world_size,
            flag=flag("baseline_batch_size"),
            balanced=np.tile(data.labels[self._indices], 2) if config.balance == "sampler" else None,
        )  # fmt: skip
        self.epochs = config.baseline_epochs
        self.rounds = min(self._passes.batches, config.baseline_updates or self._passes.batches)

    @property
    def network(self) -> PatchNetwork:
        """The network that is trained, or the average of its weights."""
        return self._network if self._average is None else self._average.network

    def rates(self) -> dict[str, float]:
        """That of all weights but biases."""
        return {"rate": rate_of(self._optimizer)}

    def note(self) -> str:
        """Nothing."""
        return ""

    def round(self, number: int) -> list[Update]:
        """One update."""
        batch = self._passes.batch(number)
        rng = stream_rng(self._config.seed, self.name, "batch", number)
        shifts = rng.integers(0, MOST_SHIFT_PX + 1, size=(len(batch), 2))
        share = np.arange(self._engine.rank, len(batch), self._engine.world_size)
        parts = np.array_split(share, self._parts(len(share)))
        self._set_rate(number)
        self._stepper.zero_grad()
        total = torch.zeros((), device=self._engine.device)
        for index, part in enumerate(parts):
            more = index < len(parts) - 1
            # Only the last part exchanges gradients between processes: one exchange per update is enough.
            waits = self._engine.fabric.no_backward_sync(self._wrapped, enabled=more)  # type: ignore[arg-type]
            with waits, self._engine.seeded(self._config.seed, self.name, number, index):
                loss = self._loss(batch[part], shifts[part], self._passes.epoch(number)) * (len(part) / len(share))
                self._hooks.backward(loss)
            total += loss.detach()
        if self._config.clip:
            self._hooks.clip(self._wrapped, self._stepper, self._config.clip)
        self._stepper.step()
        if self._average is not None:
            self._average.update(self._network, number)
        return [Update({"sup": total, "total": total}, self._indices[batch % len(self._indices)])]

    def _parts(self, images: int) -> int:
        """The number of parts that a share is computed in: of at most a batch, but of at least two images each.

        Batch norm cannot train on one image.
        """
        most = max(2, self._config.batch_size // self._engine.world_size)
        return max(1, min(-(-images // most), images // 2))

    def _set_rate(self, number: int) -> None:
        """Caffe's policy "poly": the rate falls to zero over the whole training."""
        left = 1 - number / (self.epochs * self.rounds)
        for group, factor in zip(self._optimizer.param_groups, (1.0, BIAS_RATE), strict=True):
            group["lr"] = self._config.baseline_rate * factor * left**POLY_POWER

    def _loss(self, examples: Indices, shift_xy: Int64Array, epoch: int) -> Tensor:
        indices = self._indices[examples % len(self._indices)]
        device = self._engine.device
        shift = torch.from_numpy(shift_xy).to(device)
        occluded = examples < len(self._indices)
        faces = resized(self._images(indices, occluded, epoch), RESIZED_PX)
        clean_centres, occluded_centres = (self._trained_centres[view][indices] for view in ("clean", "occluded"))
        shown = np.where(occluded[:, None, None], occluded_centres, clean_centres)
        centres = torch.from_numpy(shown - shift_xy[:, None]).to(device)
        labels = torch.from_numpy(self._data.labels[indices]).to(device)
        logits: Tensor = self._wrapped(laid_out(cut(faces, shift), self._engine.channels_last), centres)
        shares = self._data.votes
        votes = None if shares is None else torch.from_numpy(shares[indices]).to(device)
        return self._supervised(logits.float(), labels, votes)

    def _images(self, indices: Indices, occluded: npt.NDArray[np.bool_], epoch: int) -> Tensor:
        """`(B, S, S, 3)` uint8 on the device, each occluded or clean."""
        store, live = self._data.store, self._data.live_occlusion
        images = torch.empty((len(indices), store.size_px, store.size_px, 3), dtype=torch.uint8, device=store.device)
        is_occluded = torch.from_numpy(occluded).to(store.device)
        images[~is_occluded] = store.clean(indices[~occluded])
        if live is None:
            images[is_occluded] = store.occluded(indices[occluded])
        elif occluded.any():
            images[is_occluded] = occlude_live(store, live, indices[occluded], epoch)
        return images

    def predict(self, indices: Int64Array) -> Tensor:
        """The network's logits for occluded images."""

        def answer(part: Indices) -> Tensor:
            images = resized(self._data.store.view(self.view, part), INPUT_PX)
            centres = torch.from_numpy(self._tested_centres[part]).to(self._engine.device)
            logits: Tensor = self.network(laid_out(images, self._engine.channels_last), centres)
            return logits

        return gather_logits(
            self._engine, self.network, answer, indices, classes=self.network.classes, batch_size=PREDICTED_AT_ONCE
        )

    def networks(self) -> tuple[Tensors, Tensors | None]:
        """The network's weights, with the mean face."""
        return self.network.state_dict() | {MEAN_FACE: self._mean_face}, None

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """The network, its optimizer and its average."""
        optimizer, values = optimizer_state(self._optimizer)
        tensors = prefixed("network", self._network.state_dict()) | prefixed("optimizer", optimizer)
        if self._average is not None:
            tensors |= prefixed("average", self._average.network.state_dict())
        return tensors, {"optimizer": values}

    def restore(self, tensors: Tensors, values: Mapping[str, Any]) -> None:
        """Puts `state` back."""
        restore_module(self._network, under("network", tensors), self.name)
        restore_optimizer(self._optimizer, under("optimizer", tensors), values["optimizer"])
        if self._average is not None:
            restore_module(self._average.network, under("average", tensors), self.name)

    def close(self) -> None:
        """Does nothing: the stage holds nothing open."""


def _sgd(network: PatchNetwork, rate: float) -> optim.Optimizer:
    """SGD with momentum; biases of convolutions and fc layers have twice the rate and no weight decay."""
    biases = [
        module.bias
        for module in network.modules()
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear) and module.bias is not None
    ]
    apart = {id(bias) for bias in biases}
    others = [each for each in network.parameters() if id(each) not in apart]
    groups: list[dict[str, Any]] = [
        {"params": others},
        {"params": biases, "lr": BIAS_RATE * rate, "weight_decay": 0.0},
    ]
    return optim.SGD(groups, lr=rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
