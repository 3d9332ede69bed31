"""How the learning rates of a stage follow from an update's number, so that resuming needs no state of their own."""

import math
from dataclasses import dataclass

from torch import optim

from occfer.config import TrainConfig

# [decided] where `--schedule step` lowers the rates, as shares of the updates after the warm-up, and by what.
STEPS = (0.6, 0.8)
STEP_FACTOR = 0.1


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rates of one stage over its updates, as factors of the rates that are set.

    Attributes:
        decay: see `--schedule`.
        warmup: updates in which the rate rises in equal steps; the last of them has the full rate.
        updates: of the stage.
    """

    decay: str
    warmup: int
    updates: int

    def factor(self, number: int) -> float:
        """What the rates are multiplied by in the update with that number, counted from 0; at least 0, however late.

        >>> [Schedule("linear", 2, 6).factor(number) for number in range(6)]
        [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
        """
        if number < self.warmup:
            return (number + 1) / self.warmup
        share = min(1.0, (number - self.warmup) / max(self.updates - self.warmup, 1))
        match self.decay:
            case "linear":
                return 1 - share
            case "cosine":
                return (1 + math.cos(math.pi * share)) / 2
            case "step":
                return STEP_FACTOR ** sum(share >= step for step in STEPS)
            case _:
                return 1.0


def rate_of(optimizer: optim.Optimizer) -> float:
    """The present rate of an optimizer's first group of parameters."""
    return float(optimizer.param_groups[0]["lr"])


class ScheduledRates:
    """Sets the rates of an optimizer for each update.

    Args:
        optimizer: new: the rate of each of its groups of parameters is the one that the schedule scales.
        config: schedule and warm-up.
        epochs: of the stage.
        updates_per_epoch: of this optimizer.
    """

    def __init__(self, optimizer: optim.Optimizer, config: TrainConfig, *, epochs: int, updates_per_epoch: int) -> None:
        self._optimizer = optimizer
        self._full = [group["lr"] for group in optimizer.param_groups]
        warmup = round(config.warmup_epochs * updates_per_epoch)
        self._schedule = Schedule(config.schedule, warmup, epochs * updates_per_epoch)

    def set(self, number: int) -> None:
        """Sets the rates for the update with that number, counted from 0 over the stage."""
        factor = self._schedule.factor(number)
        for group, full in zip(self._optimizer.param_groups, self._full, strict=True):
            group["lr"] = factor * full
