"""Contexts in which a network behaves otherwise for a while: in eval mode, by the batch, or without own gradients."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def batch_norms(module: nn.Module) -> list[_BatchNorm]:
    """Its layers of batch norm that keep running statistics."""
    return [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Inside, the module is in eval mode; afterwards each part is in the mode in which it was."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Inside, batch norm normalises by the batch, whatever its mode, and does not update its running statistics."""
    norms = [(norm, norm.training) for norm in batch_norms(module)]
    for norm, _ in norms:
        norm.training, norm.track_running_stats = True, False
    try:
        yield
    finally:
        for norm, training in norms:
            norm.training, norm.track_running_stats = training, True


@contextmanager
def frozen_parameters(module: nn.Module) -> Iterator[None]:
    """Inside, gradients pass through the module to its input, but its own parameters get none."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
