"""What follows from the descriptions of the fields of `TrainConfig`: flags, and which of them decide what."""

from collections.abc import Collection
from dataclasses import Field, fields
from typing import Any

from occfer.config import TrainConfig
from occfer.setting import BASELINE, baseline, flag_of, setting_of, to_plain

# Settings that say where and how far to run, not what is computed: they may differ between a run and its resumption.
NOT_COMPARED = frozenset(each.name for each in fields(TrainConfig) if not setting_of(each).changes)
# Settings that only a single run takes: a command of many runs sets them itself.
ONE_RUN = frozenset(each.name for each in fields(TrainConfig) if setting_of(each).one_run)


def changing(parts: frozenset[str]) -> frozenset[str]:
    """Fields that change any of the given parts of a training, see `occfer.setting.Setting.changes`."""
    return frozenset(each.name for each in fields(TrainConfig) if setting_of(each).changes & parts)


def flag(name: str) -> str:
    """The command line's flag for a field of `TrainConfig`.

    >>> flag("size_px")
    '--size'
    """
    return flag_of(TrainConfig.__dataclass_fields__[name])


def identity(config: TrainConfig, names: Collection[str]) -> dict[str, Any]:
    """What some fields contribute to a digest, as JSON values by name.

    A setting that version 0.1 did not have, or not for the configuration's method, is left out while it does what that
    version did (`Setting.before`). So a new setting changes no digest, and what was trained before it stays valid.
    """
    described = TrainConfig.__dataclass_fields__
    values = {name: getattr(config, name) for name in sorted(names)}
    kept = {
        name: value for name, value in values.items() if not setting_of(described[name]).as_before(value, config.method)
    }
    return {name: to_plain(value) for name, value in kept.items()}


def _counts(described: "Field[Any]", method: str) -> bool:
    """Whether a setting may change what a method computes; False for one of other baselines alone."""
    changes = setting_of(described).changes
    only_baselines = all(part.startswith(BASELINE) for part in changes)
    return not only_baselines or bool(changes & set(baseline(method)))


def differences(config: TrainConfig, other: TrainConfig) -> list[str]:
    """`--flag old -> new` for every field that changes what a run computes and differs.

    Settings of other baselines than the run's own do not count.
    """
    names = (each.name for each in fields(config) if each.name not in NOT_COMPARED and _counts(each, config.method))
    return [
        f"{flag(name)} {to_plain(getattr(config, name))} -> {to_plain(getattr(other, name))}"
        for name in names
        if getattr(config, name) != getattr(other, name)
    ]
