"""What a search tries: the settings, and the values of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occfer.config import TrainConfig
from occfer.config_fields import flag
from occfer.errors import ConfigError
from occfer.jobs.relevant_settings import settings_of
from occfer.method_table import method_named

LOSS_WEIGHTS = (0.01, 0.1, 0.5, 1.0)  # [decided]: the paper searched a grid and does not say which


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneOptions:
    """What to search.

    Attributes:
        base: all other settings; its own value of a searched setting is tried too.
        folds: trials are ranked by their mean validation accuracy over these folds; (None,) where there are none.
        grid: field of `TrainConfig` to its values. A loss weight of the method that is not in it gets `LOSS_WEIGHTS`.
        trials: number of trials at most, those of earlier calls included.
        at_once: number of trials that the sampler draws before it learns their results.
        given: settings that the result repeats, since it was found with them.
        out: folder of runs, branches, trials and result.
    """

    base: TrainConfig
    folds: tuple[int | None, ...] = (None,)
    grid: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    trials: int = 32
    at_once: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)
    out: Path = Path("tune")


def choices(options: TuneOptions) -> dict[str, tuple[float, ...]]:
    """The searched settings and their values, the base configuration's own among them, in ascending order.

    Raises:
        ConfigError: there is nothing to search; or a setting is not a number, or the method does not use it.
    """
    method = method_named(options.base.method)
    weights = tuple(f"lambda_{loss}" for loss in method.losses)
    grid = dict.fromkeys(weights, LOSS_WEIGHTS) | dict(options.grid)
    if not grid:
        raise ConfigError(
            f"--method {options.base.method} has no loss weights to search; name something with --grid, such as "
            "--grid pretrain-rate=1e-4,1e-3"
        )
    own = settings_of(options.base.method)
    for name in grid:
        if name not in own or type(getattr(options.base, name)) not in (int, float):
            raise ConfigError(f"--grid {flag(name)[2:]}: not a number that the method {options.base.method} depends on")
    return {
        name: tuple(sorted({getattr(options.base, name), *(_number(options.base, name, value) for value in values)}))
        for name, values in grid.items()
    }


def _number(base: TrainConfig, name: str, value: float) -> float:
    """A value of a setting, an int where the setting is one."""
    if not isinstance(getattr(base, name), int):
        return value
    if value != int(value):
        raise ConfigError(f"--grid {flag(name)[2:]}={value:g}: must be a whole number")
    return int(value)
