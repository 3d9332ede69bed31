"""The functions through which a method uses the engine, so that it need not know devices, processes or precision."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn, optim


class Setup(Protocol):
    """Wraps a module with its optimizer for devices and processes, as `lightning.fabric.Fabric.setup` does."""

    def __call__(self, module: nn.Module, optimizer: optim.Optimizer) -> tuple[nn.Module, optim.Optimizer]:
        """The wrapped pair; the given module keeps its parameters, which may be moved in place."""
        ...


def _plain_setup(module: nn.Module, optimizer: optim.Optimizer) -> tuple[nn.Module, optim.Optimizer]:
    return module, optimizer


def _plain_backward(loss: Tensor) -> None:
    torch.autograd.backward(loss)


def _plain_clip(module: nn.Module, _optimizer: optim.Optimizer, max_norm: float) -> None:
    nn.utils.clip_grad_norm_(module.parameters(), max_norm)


@dataclass(frozen=True, slots=True)
class EngineHooks:
    """Functions of the engine; the defaults are plain PyTorch on one device.

    Attributes:
        setup: wraps a module and its optimizer.
        backward: runs a loss backwards, with the loss scaling that the precision needs.
        clip: scales the gradients of a wrapped module and its optimizer down to a largest norm, of all together.
        autocast: context for passes through networks that are not wrapped (the teacher, a part of the student).
    """

    setup: Setup = _plain_setup
    backward: Callable[[Tensor], object] = _plain_backward
    clip: Callable[[nn.Module, optim.Optimizer, float], object] = _plain_clip
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext

    def update(self, loss: Tensor, module: nn.Module, optimizer: optim.Optimizer, clip: float) -> None:
        """One update of a module by a loss, both as `setup` wrapped them.

        Args:
            loss: a scalar; its gradients are added to those that are there.
            module: whose gradients are clipped.
            optimizer: of the module.
            clip: largest norm of all its gradients together; 0 leaves them as they are.
        """
        self.backward(loss)
        if clip:
            self.clip(module, optimizer, clip)
        optimizer.step()
