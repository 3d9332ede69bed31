"""The engine: devices, processes, precision and seeds, on lightning-fabric.

It runs one process on a CPU or an accelerator, several on one machine (started by `occfer.engine.launch`), or is one of
many that torchrun or SLURM has started. Methods see only its `EngineHooks`.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import Tensor, nn, optim

from occfer.config import TrainConfig
from occfer.data.random_streams import stream_rng
from occfer.errors import ConfigError, OccFERError
from occfer.methods import EngineHooks
from occfer.runs.environment import torch_device

Led = TypeVar("Led")

_FABRIC_PRECISION = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """One of a run's processes, and its device.

    Attributes:
        fabric: lightning-fabric, already launched.
        compile: whether networks that are trained are compiled.
        channels_last: whether networks and images use that memory layout.
    """

    fabric: Fabric
    compile: bool = False
    channels_last: bool = False

    @property
    def device(self) -> torch.device:
        """This process's device."""
        return self.fabric.device

    @property
    def rank(self) -> int:
        """The number of this process among all, from 0."""
        return self.fabric.global_rank

    @property
    def world_size(self) -> int:
        """Number of processes over all nodes."""
        return self.fabric.world_size

    @property
    def first(self) -> bool:
        """Whether this is the first process, which alone writes files."""
        return self.fabric.is_global_zero

    def hooks(self) -> EngineHooks:
        """What a method needs of the engine."""
        fabric = self.fabric
        return EngineHooks(setup=self._setup, backward=fabric.backward, clip=self._clip, autocast=fabric.autocast)

    def _setup(self, module: nn.Module, optimizer: optim.Optimizer) -> tuple[nn.Module, optim.Optimizer]:
        self.place(module)
        compiled: Any = torch.compile(module) if self.compile else module
        wrapped, stepper = self.fabric.setup(compiled, optimizer)
        return wrapped, stepper

    def _clip(self, module: nn.Module, optimizer: optim.Optimizer, max_norm: float) -> None:
        # fp16 begins with a loss scale at which gradients overflow, and leaves out such an update; what is not finite
        # otherwise is found in the losses.
        self.fabric.clip_gradients(module, optimizer, max_norm=max_norm, error_if_nonfinite=False)

    def place(self, module: nn.Module) -> None:
        """Moves a module to the device and into the memory layout, in place."""
        module.to(self.device)
        if self.channels_last:
            # Only tensors of four dimensions have this layout, so it changes convolutions alone.
            module.to(memory_format=torch.channels_last)

    def precision_state(self) -> dict[str, Any]:
        """The state of fp16's loss scale, JSON values; empty for other precisions."""
        return dict(self.fabric.strategy.precision.state_dict())

    def restore_precision(self, state: dict[str, Any]) -> None:
        """Puts `precision_state` back."""
        if state:
            self.fabric.strategy.precision.load_state_dict(state)

    def summed(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.world_size == 1:
            return values
        total = values.clone()
        torch.distributed.all_reduce(total)
        return total

    def share_buffers(self, module: nn.Module) -> None:
        """Copies the first process's batch-norm statistics to all processes.

        Each process updates them from its own share of a batch; without this, each would validate another network.
        """
        if self.world_size > 1:
            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def agreed(self, value: bool) -> bool:
        """The first process's value, in every process, for decisions that depend on the file system.

        Processes that look at different times may see different files; then some would wait for the others forever.
        """
        return bool(self.fabric.broadcast(value))

    def led(self, work: Callable[[], Led]) -> Led:
        """What `work` returns in the first process, which alone calls it; its OccFERError is raised in every process.

        Were it raised in the first one only, the others would wait for that one forever.
        """
        found: Led | None = None
        refused: OccFERError | None = None
        if self.first:
            try:
                found = work()
            except OccFERError as error:
                refused = error
        found, refused = self.fabric.broadcast((found, refused))
        if refused is not None:
            refused.told_by_first = not self.first
            raise refused
        return found  # type: ignore[return-value]  # of the type that `work` returns

    def wait(self) -> None:
        """Waits until every process has called this."""
        self.fabric.barrier()

    @contextmanager
    def seeded(self, seed: int, *names: object) -> Iterator[None]:
        """Inside, torch's random streams (dropout) follow from the seed, the names and the process; then they go back.

        So no random stream has a state that a checkpoint would have to keep.
        """
        drawn = int(stream_rng(seed, "torch", *names, self.rank).integers(2**62))
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.default_generator.manual_seed(drawn)
            if devices:
                torch.cuda.manual_seed(drawn)
            elif self.device.type == "mps":
                torch.mps.manual_seed(drawn)  # not put back: nothing draws there but inside such a block
            yield


def one_process(device: str) -> Engine:
    """An engine of this process alone, in float32, for work other than training.

    Args:
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        ConfigError: there is no such device.
    """
    accelerator = torch_device(device).type
    return Engine(Fabric(accelerator=accelerator, devices=1, plugins=LightningEnvironment()))


def make_fabric(config: TrainConfig) -> tuple[Fabric, bool]:
    """The fabric for a configuration, and whether it has to start the processes itself.

    Raises:
        ConfigError: the devices are not there, or the precision does not work on them.
    """
    # Of its own accord it tells of processes that start, and advises other precisions than the one that was asked for.
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    # cuda is refused below, which names how many devices there are
    accelerator = "cuda" if config.device == "cuda" else torch_device(config.device).type
    devices, nodes, strategy = config.devices, config.num_nodes, "auto"
    if TorchElasticEnvironment.detect():
        devices = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        nodes = int(os.environ["WORLD_SIZE"]) // devices
        strategy = "ddp"
    elif SLURMEnvironment.detect() and devices * nodes > 1:
        strategy = "ddp"
    elif nodes > 1:
        raise ConfigError(
            f"--num-nodes {nodes}: start one process group on every node with torchrun "
            f"(torchrun --nnodes {nodes} --nproc-per-node {devices} ... -m occfer.cli.app train ...) or srun"
        )
    elif devices > 1:
        strategy = "ddp_spawn"
    if accelerator == "cuda" and torch.cuda.device_count() < devices:
        found = torch.cuda.device_count()
        raise ConfigError(
            f"--device cuda --devices {devices}: this machine has {found} CUDA device(s); choose fewer, or --device cpu"
        )
    if accelerator == "mps" and devices * nodes > 1:
        raise ConfigError(f"--device mps --devices {devices}: a Mac has one GPU; choose one device on one node")
    if accelerator == "mps" and config.precision != "32":
        raise ConfigError(f"--precision {config.precision} needs a CUDA device or a CPU; on mps choose 32")
    if config.precision == "fp16" and accelerator == "cpu":
        raise ConfigError("--precision fp16 needs a CUDA device; on a CPU choose bf16 or 32")
    fabric = Fabric(
        accelerator=accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=_FABRIC_PRECISION[config.precision],  # type: ignore[arg-type]
    )
    return fabric, strategy == "ddp_spawn"
