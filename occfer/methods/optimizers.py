"""The optimizers of both stages, by name."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn, optim

from occfer.config import TrainConfig
from occfer.errors import lookup

# Parameters, or groups of them as torch takes them: each with `params`, and with a rate `lr` of its own or without.
Parameters = Iterable[nn.Parameter] | list[dict[str, Any]]
Maker = Callable[[Parameters, "OptimizerSettings", float], optim.Optimizer]


@dataclass(frozen=True, slots=True)
class OptimizerSettings:
    """How a network is updated. The paper gives rates only; Adam and the rest are decided.

    Attributes:
        name: a key of `OPTIMIZERS`.
        beta1: Adam's first decay; the momentum of sgd.
        beta2: Adam's second decay.
        weight_decay: L2 (adam, sgd) or decoupled (adamw).
    """

    name: str = "adam"
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0


def _adam(parameters: Parameters, options: OptimizerSettings, rate: float) -> optim.Optimizer:
    betas = (options.beta1, options.beta2)
    return optim.Adam(parameters, lr=rate, betas=betas, weight_decay=options.weight_decay)


def _adamw(parameters: Parameters, options: OptimizerSettings, rate: float) -> optim.Optimizer:
    betas = (options.beta1, options.beta2)
    return optim.AdamW(parameters, lr=rate, betas=betas, weight_decay=options.weight_decay)


def _sgd(parameters: Parameters, options: OptimizerSettings, rate: float) -> optim.Optimizer:
    return optim.SGD(parameters, lr=rate, momentum=options.beta1, weight_decay=options.weight_decay)


OPTIMIZERS: dict[str, Maker] = {"adam": _adam, "adamw": _adamw, "sgd": _sgd}


def optimizer_settings(config: TrainConfig) -> OptimizerSettings:
    """The optimizer of both stages, as the configuration says."""
    return OptimizerSettings(config.optimizer, weight_decay=config.weight_decay)


def make_optimizer(
    network: nn.Module, rate: float, options: OptimizerSettings, own_rates: Mapping[str, float] | None = None
) -> optim.Optimizer:
    """An optimizer over all of a network's parameters.

    Args:
        network: whose parameters are updated.
        rate: the learning rate.
        options: which optimizer, and its further numbers.
        own_rates: parts of the network by name, such as `decoder`, that have learning rates of their own; each becomes
            a group of the optimizer, after the group of all else.

    Raises:
        UnknownNameError: there is no such optimizer.
    """
    make = lookup(OPTIMIZERS, options.name, kind="optimizer")
    if not own_rates:
        return make(network.parameters(), options, rate)
    rest = [value for name, value in network.named_parameters() if name.partition(".")[0] not in own_rates]
    parts: list[dict[str, Any]] = [
        {"params": list(network.get_submodule(name).parameters()), "lr": each} for name, each in own_rates.items()
    ]
    return make([{"params": rest}, *parts], options, rate)
