"""The one configuration of a training run: frozen, checked when made, stored in the run folder and the checkpoints.

Its fields come from `occfer.settings`, grouped by what they are about. Here they are joined, and checked together.
"""

from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, get_type_hints

from occfer.errors import ConfigError
from occfer.setting import check_value, from_plain, setting_of, to_plain
from occfer.settings import (
    BaselineSettings,
    LossSettings,
    MachineSettings,
    SampleSettings,
    TrainingSettings,
)


# From the last to the first: dataclasses take fields from the last base on, and their order is that of config.json.
@dataclass(frozen=True, kw_only=True)
class TrainConfig(MachineSettings, SampleSettings, BaselineSettings, LossSettings, TrainingSettings):
    """Everything that a training run depends on, except the data itself.

    `occfer train --help` shows what each field is.

    >>> from pathlib import Path
    >>> config = TrainConfig(manifests=(Path("builds/manifests/demo-r16.csv"),), method="sim", fold=0, lambda_sim=1.0)
    >>> config.rate
    2e-05
    >>> TrainConfig(manifests=config.manifests, rate=0.0)
    Traceback (most recent call last):
    occfer.errors.ConfigError: --rate 0.0: must be greater than 0

    Raises:
        ConfigError: a value is out of its bounds, or two do not go together; the message names the flag.
    """

    def __post_init__(self) -> None:
        if not self.manifests:
            raise ConfigError("no manifest given; name one with --manifest builds/manifests/NAME.csv")
        hints = _hints()
        for each in fields(self):
            check_value(each, hints[each.name], getattr(self, each.name))
        if self.guide != "everywhere" and self.pairing != "paired":
            raise ConfigError(
                f"--guide {self.guide} needs --pairing paired: what is hidden is found by comparing a face with its "
                "own occluded picture"
            )
        if self.lambda_lir > 1 and not self.force:
            raise ConfigError(
                f"--lambda-lir {self.lambda_lir:g} is above 1: a sample with an active inequality would get "
                "(1 - lambda) times its supervised gradient, so supervision is reversed; choose at most 1, or --force"
            )

    def loss_weight(self, name: str) -> float:
        """The weight of a loss in Eq. 8: the field `lambda_NAME`.

        Raises:
            ConfigError: there is no such field.
        """
        weight = getattr(self, f"lambda_{name}", None)
        if weight is None:
            raise ConfigError(f"the loss '{name}' has no weight: give TrainConfig a field lambda_{name}")
        return float(weight)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; paths become text."""
        return {name: to_plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "TrainConfig":
        """The inverse of `to_json`; raises ConfigError for an unknown field or a wrong type."""
        known = _hints()
        unknown = sorted(set(content) - set(known))
        if unknown:
            raise ConfigError(f"unknown fields in the configuration: {', '.join(unknown)[:300]}")
        try:
            return cls(**{name: from_plain(known[name], value) for name, value in content.items()})
        except TypeError as error:
            raise ConfigError(f"the configuration is malformed: {error}") from error

    @classmethod
    def from_stored(cls, content: dict[str, Any]) -> "TrainConfig":
        """As `from_json`, for what a run has stored: a setting that its version did not have gets `Setting.before`."""
        found = ((each.name, setting_of(each)) for each in fields(cls))
        added = {name: to_plain(its.before) for name, its in found if its.added and name not in content}
        return cls.from_json(added | content)


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(TrainConfig)
