"""What a search tries: the settings, and the values of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args, get_type_hints

from occfer.config import TrainConfig
from occfer.config_fields import ONE_RUN, flag
from occfer.errors import ConfigError, OccFERError
from occfer.jobs.relevant_settings import settings_of
from occfer.method_table import method_named
from occfer.models.hub import given_file
from occfer.setting import check_value, from_plain
from occfer.training.check import check_settings

# A value of a searched setting: of its own type, so that a whole number stays one; None where a setting may have none.
Value = bool | int | float | str | None

LOSS_WEIGHTS = (0.01, 0.1, 0.5, 1.0)  # [decided]: the paper searched a grid and does not say which

# Settings that a method depends on and a search must not choose, and why.
_FIXED = {
    "select": "trials are ranked by it, so it has one value",
    "seed": "the best of several seeds is only the luckiest",
    "val_fraction": "trials must be ranked on the same validation samples",
    "classes": "trials must be ranked on the same validation samples",
}


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
    grid: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    trials: int = 32
    at_once: int = 1
    given: Mapping[str, Any] = field(default_factory=dict)
    out: Path = Path("tune")


def choices(options: TuneOptions) -> dict[str, tuple[Value, ...]]:
    """The searched settings and their values, the base configuration's own among them, in ascending order.

    Raises:
        ConfigError: there is nothing to search; a value is none of its setting, or conflicts with the base
            configuration whatever the others are; the method does not use a setting; or no search can choose it.
        UnknownNameError: see `check_settings`.
        WeightsError: a file of weights is not there.
    """
    if isinstance(start := combined(options.base, {}), OccFERError):
        raise start
    method = method_named(options.base.method)
    weights = tuple(f"lambda_{loss}" for loss in method.losses)
    grid: dict[str, tuple[Value, ...]] = dict.fromkeys(weights, LOSS_WEIGHTS) | dict(options.grid)
    if not grid:
        raise ConfigError(
            f"--method {options.base.method} has no loss weights to search; name something with --grid, such as "
            "--grid pretrain-rate=1e-4,1e-3"
        )
    own = settings_of(options.base.method) - ONE_RUN
    for name in grid:
        if name not in own:
            raise ConfigError(
                f"--grid {flag(name)[2:]}: not a setting that the method {options.base.method} depends on"
            )
        if name in _FIXED:
            raise ConfigError(f"--grid {flag(name)[2:]}: {_FIXED[name]}; choose it with {flag(name)}")
    searched = {
        name: _in_order({getattr(options.base, name), *(checked(name, value) for value in values)})
        for name, values in grid.items()
    }
    for name in searched:
        _refuse_hopeless(options.base, name, searched)
    for initial in searched.get("weights", (options.base.weights,)) if "weights" in own else ():
        given_file(str(initial))
    return searched


def combined(base: TrainConfig, params: Mapping[str, Value]) -> TrainConfig | OccFERError:
    """A configuration with some settings changed, or the error that says which ones conflict."""
    try:
        config = TrainConfig.from_json(base.to_json() | dict(params))
        check_settings(config)
    except OccFERError as error:
        return error
    return config


def _refuse_hopeless(base: TrainConfig, name: str, searched: Mapping[str, Sequence[Value]]) -> None:
    """Refuses values of a setting that conflict with the base configuration whatever the other settings are.

    Conflicts are between two settings each, so it is enough to change one of the others at a time.
    """
    others = [{other: value} for other, values in searched.items() if other != name for value in values]
    hopeless = [
        value
        for value in searched[name]
        if all(isinstance(combined(base, {name: value} | other), OccFERError) for other in ({}, *others))
    ]
    if hopeless:
        listed, reason = ",".join(map(shown, hopeless)), combined(base, {name: hopeless[0]})
        raise ConfigError(f"--grid {flag(name)[2:]}={listed}: {reason}")


def _in_order(values: set[Any]) -> tuple[Value, ...]:
    """Ascending, None first: the order in which values were typed makes no other search."""
    return tuple(sorted(values, key=lambda value: (value is not None, 0 if value is None else value)))


def parsed(name: str, texts: Sequence[str]) -> tuple[Value, ...]:
    """The values of a field of `TrainConfig` from the words of `--grid`.

    >>> parsed("schedule", ["linear", "cosine"]), parsed("flip", ["true", "false"]), parsed("epochs", ["10"])
    (('linear', 'cosine'), (True, False), (10,))

    Raises:
        ConfigError: a word is no value of the field.
    """
    return tuple(checked(name, _of_text(_hint(name), text.strip())) for text in texts)


def checked(name: str, value: Value) -> Value:
    """A value as its field has it, such as 10 for 10.0 epochs; raises ConfigError if the field does not allow it."""
    hint = _hint(name)
    if isinstance(value, float) and int in _kinds(hint) and value.is_integer():
        value = int(value)
    value = from_plain(hint, value)
    try:
        check_value(TrainConfig.__dataclass_fields__[name], hint, value)
    except ConfigError as error:
        reason = str(error).partition(": ")[2] or str(error)
        raise ConfigError(f"--grid {flag(name)[2:]}={shown(value)}: {reason}") from error
    return value


def shown(value: Value) -> str:
    """A value as the command line takes it, numbers in six digits: `1e-05`, `true`, `linear`; `none` for None."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value[:80] if isinstance(value, str) else f"{value:g}"


def _of_text(hint: Any, text: str) -> Value:
    """What a word means for a type; a word that means nothing stays as it is, for `checked` to refuse."""
    kinds = _kinds(hint)
    if bool in kinds:
        return {"true": True, "false": False}.get(text, text)
    if type(None) in kinds and text == "none":
        return None
    if not {int, float} & kinds:
        return text
    try:
        return int(text) if int in kinds and text.lstrip("+-").isdecimal() else float(text)
    except ValueError:
        return text


def _kinds(hint: Any) -> set[Any]:
    return {hint, *get_args(hint)}


def _hint(name: str) -> Any:
    return get_type_hints(TrainConfig)[name]
