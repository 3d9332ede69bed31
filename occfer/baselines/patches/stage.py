"""Training a patch-gated network: the one stage that `occfer.engine.loop.run_stage` runs for it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, optim
from torch.nn import functional as F

from occfer.baselines.patches.centres import patch_centres
from occfer.baselines.patches.images import MOST_SHIFT_PX, RESIZED_PX, cut, resized
from occfer.baselines.patches.network import INPUT_PX, PatchNetwork
from occfer.baselines.patches.vgg import BACKBONE
from occfer.config import TrainConfig, flag
from occfer.data.arrays import Points, View
from occfer.data.batches import Passes, Rows, occlude_live, stream_rng
from occfer.engine.engine import Engine
from occfer.engine.run_data import Task
from occfer.engine.scoring import share_rows
from occfer.engine.stages import Update
from occfer.runs.checkpoint import Tensors, optimizer_state, prefixed, restore_module, restore_optimizer, under

# [recalled] of the authors' training, whose solver file is not public; the power is decided.
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
POLY_POWER = 0.9
BIAS_RATE = 2.0  # times the rate, and no decay: the authors' prototxt
PREDICTED_AT_ONCE = 32


class PatchStage:
    """Cross-entropy on clean and occluded images alike, each an example of its own.

    A round is one update, summed over parts of at most `config.batch_size` images; batch norm sees a part. Images are
    resized to 232 and a random 224 of them is taken, landmarks with it [decided: the authors leave theirs], never
    mirrored. Validation sees occluded images, resized to 224 as the authors test.

    Args:
        network: with its initial weights; trained in place.
        points_xy: `(rows of the corpus, 68, 2)` float32, in pixels of the task's images.
    """

    view: View = "occluded"
    backbone = BACKBONE

    def __init__(
        self, network: PatchNetwork, points_xy: Points, *, task: Task, config: TrainConfig, engine: Engine
    ) -> None:
        self.name = config.method
        self.network = network.train()
        self._task, self._config, self._engine = task, config, engine
        self._rows = task.train
        self._hooks = engine.hooks()
        self._optimizer = _sgd(network, config.baseline_rate)
        self._wrapped, self._stepper = self._hooks.setup(network, self._optimizer)
        self._tested_centres = patch_centres(points_xy, task.size_px, INPUT_PX)
        self._trained_centres = patch_centres(points_xy, task.size_px, RESIZED_PX)
        # Example e is the occluded image of row e, example len(rows) + e its clean one.
        self._passes = Passes(
            np.arange(2 * len(self._rows)), config.baseline_batch_size, config.seed, self.name, engine.world_size,
            flag=flag("baseline_batch_size"),
        )  # fmt: skip
        self.epochs = config.baseline_epochs
        self.rounds = min(self._passes.batches, config.baseline_updates or self._passes.batches)

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
            waits = self._engine.fabric.no_backward_sync(self._wrapped, enabled=more)  # type: ignore[arg-type]  # its own
            with waits, self._engine.seeded(self._config.seed, self.name, number, index):
                loss = self._loss(batch[part], shifts[part], self._passes.epoch(number)) * (len(part) / len(share))
                self._hooks.backward(loss)
            total += loss.detach()
        self._stepper.step()
        return [Update({"sup": total, "total": total}, self._rows[batch % len(self._rows)])]

    def _parts(self, images: int) -> int:
        """In how many parts a share is computed: of at most a batch, but of two at least, which batch norm needs."""
        most = max(2, self._config.batch_size // self._engine.world_size)
        return max(1, min(-(-images // most), images // 2))

    def _set_rate(self, number: int) -> None:
        """Caffe's "poly": the rate falls to zero over the whole training."""
        left = 1 - number / (self.epochs * self.rounds)
        for group, factor in zip(self._optimizer.param_groups, (1.0, BIAS_RATE), strict=True):
            group["lr"] = self._config.baseline_rate * factor * left**POLY_POWER

    def _loss(self, examples: Rows, shift_xy: npt.NDArray[np.int64], epoch: int) -> Tensor:
        rows = self._rows[examples % len(self._rows)]
        device = self._engine.device
        shift = torch.from_numpy(shift_xy).to(device)
        faces = resized(self._images(rows, examples < len(self._rows), epoch), RESIZED_PX)
        centres = torch.from_numpy(self._trained_centres[rows] - shift_xy[:, None]).to(device)
        labels = torch.from_numpy(self._task.labels[rows]).to(device)
        logits: Tensor = self._wrapped(self._laid_out(cut(faces, shift)), centres)
        return F.cross_entropy(logits.float(), labels)

    def _images(self, rows: Rows, occluded: npt.NDArray[np.bool_], epoch: int) -> Tensor:
        """`(B, S, S, 3)` uint8 on the device, each occluded or clean."""
        store, live = self._task.store, self._task.live_occlusion
        images = torch.empty((len(rows), store.size_px, store.size_px, 3), dtype=torch.uint8, device=store.device)
        is_occluded = torch.from_numpy(occluded).to(store.device)
        images[~is_occluded] = store.clean(rows[~occluded])
        if live is None:
            images[is_occluded] = store.occluded(rows[occluded])
        elif occluded.any():
            images[is_occluded] = occlude_live(store, live, rows[occluded], epoch)
        return images

    def _laid_out(self, images: Tensor) -> Tensor:
        layout = torch.channels_last if self._engine.channels_last else torch.contiguous_format
        return images.contiguous(memory_format=layout)

    def predict(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """The network's logits for occluded images."""

        def answer(part: Rows) -> Tensor:
            images = resized(self._task.store.view(self.view, part), INPUT_PX)
            centres = torch.from_numpy(self._tested_centres[part]).to(self._engine.device)
            logits: Tensor = self.network(self._laid_out(images), centres)
            return logits

        return share_rows(
            self._engine, self.network, answer, rows, classes=self.network.classes, batch_size=PREDICTED_AT_ONCE
        )

    def networks(self) -> tuple[Tensors, Tensors | None]:
        """The network's weights."""
        return self.network.state_dict(), None

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """The network and its optimizer."""
        tensors, values = optimizer_state(self._optimizer)
        return prefixed("network", self.network.state_dict()) | prefixed("optimizer", tensors), {"optimizer": values}

    def restore(self, tensors: Tensors, values: Mapping[str, Any]) -> None:
        """Puts `state` back."""
        restore_module(self.network, under("network", tensors), self.name)
        restore_optimizer(self._optimizer, under("optimizer", tensors), values["optimizer"])

    def close(self) -> None:
        """Holds nothing open."""


def _sgd(network: PatchNetwork, rate: float) -> optim.Optimizer:
    """Momentum and decay for weights and affine parameters; biases of convolutions and fc layers apart."""
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
