"""The description of a setting of a training run, from which flags, checks and keys are derived."""

import sys
from dataclasses import Field, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from occfer.errors import ConfigError

Panel = Literal[
    "data", "model", "stage 1", "stage 2", "losses", "augmentation", "hardware", "baselines", "output"
]  # fmt: skip
PANELS: tuple[Panel, ...] = get_args(Panel)
LARGEST_FLOAT = sys.float_info.max
NOT_ADDED: Any = object()

# What a setting can change, see `Setting.changes`.
EVERYTHING = ("everything",)
STAGE_1 = ("clean branch", "occluded branch")
STAGE_2 = ("stage 2",)
GUIDANCE = ("guidance",)
LOG = ("log",)
NOTHING = ()
BASELINE = "baseline "


def loss(*names: str) -> tuple[str, ...]:
    """What a setting changes that belongs to losses, by their keys in `occfer.losses.LOSSES`."""
    return tuple(f"loss {name}" for name in names)


def baseline(*names: str) -> tuple[str, ...]:
    """What a setting changes that belongs to baselines, by their keys in `occfer.baselines.BASELINES`."""
    return tuple(f"{BASELINE}{name}" for name in names)


PATCH_NETWORKS = baseline("pg-cnn", "gacnn")


@dataclass(frozen=True, slots=True)
class Setting:
    """The description of one field of `occfer.config.TrainConfig`.

    Attributes:
        help: what the setting is; the help text of its flag.
        panel: the group of `occfer train --help` that lists it.
        changes: what a change of it changes: `everything`, a branch of stage 1 (`clean branch`, `occluded branch`),
            `stage 2`, `guidance` (stage 2 of a method with losses), a `loss NAME`, a `baseline NAME`, the `log` alone,
            or nothing. Keys of finished jobs, digests of shared branches and the check at `--resume` follow from it.
        flag: name of its flag without the dashes; empty for the field's own name.
        metavar: what the help text shows in place of a value; empty for the type.
        at_least, above, at_most, below: bounds of a number.
        one_run: whether only a single run takes it; `occfer reproduce` and `occfer tune` set it themselves.
        before: for a setting that version 0.1 did not have, the value that does what that version did. With it, the
            setting is left out of the keys and digests of what is stored.
        added_to: for a setting that version 0.1 had, which parts of `changes` it has changed only since: `before` is
            for these alone.
        was_one_run: for a setting that version 0.1 had, whether only a single run took it then, so that it stood in no
            key or digest: with `before`, it still does not.
    """

    help: str
    panel: Panel
    changes: frozenset[str]
    flag: str = ""
    metavar: str = ""
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    one_run: bool = False
    before: Any = NOT_ADDED
    added_to: tuple[str, ...] = ()
    was_one_run: bool = False

    @property
    def added(self) -> bool:
        """Whether version 0.1 did not have the setting at all."""
        return self.before is not NOT_ADDED and not self.added_to and not self.was_one_run

    def as_before(self, value: Any, method: str = "") -> bool:
        """Whether a value does what version 0.1 did, which did not have the setting, or not for that baseline."""
        new = self.before is not NOT_ADDED and (not self.added_to or set(baseline(method)) <= set(self.added_to))
        return new and bool(value == self.before)

    def must(self) -> str:
        """What must hold of a number, such as `at least 0 and less than 1`."""
        bounds = (
            ("at least", self.at_least), ("greater than", self.above), ("at most", self.at_most),
            ("less than", self.below),
        )  # fmt: skip
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None) or "a number"

    def allows(self, value: float) -> bool:
        """Whether a number is finite and within the bounds."""
        return (
            (isinstance(value, int) or isfinite(value))  # a whole number may be too large for a float
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


_NO_DEFAULT: Any = object()


def setting(
    help: str,
    default: Any = _NO_DEFAULT,
    *,
    panel: Panel,
    changes: tuple[str, ...],
    **more: Any,
) -> Any:
    """A dataclass field with its description.

    Args:
        help: see `Setting`.
        default: of the field; left out for a setting that must be given.
    """
    described = {"setting": Setting(help, panel, frozenset(changes), **more)}
    if default is _NO_DEFAULT:
        return field(metadata=described)
    return field(default=default, metadata=described)


def setting_of(described: "Field[Any]") -> Setting:
    """The description of a field."""
    found: Setting = described.metadata["setting"]
    return found


def flag_of(described: "Field[Any]") -> str:
    """The command line's flag of a field."""
    return "--" + (setting_of(described).flag or described.name.replace("_", "-"))


def to_plain(value: Any) -> Any:
    """A field's value as a JSON value: paths become text, tuples lists."""
    if isinstance(value, tuple | list):
        return [to_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value


def from_plain(hint: Any, value: Any) -> Any:
    """A JSON value as a field of that type has it; one of another type stays as it is, for `check_value` to refuse."""
    if hint == tuple[Path, ...] and isinstance(value, list):
        return tuple(Path(each) if isinstance(each, str) else each for each in value)
    if hint in (Path, Path | None) and isinstance(value, str):
        return Path(value)
    if hint is float and type(value) is int and abs(value) <= LARGEST_FLOAT:
        return float(value)
    return value


def check_value(described: "Field[Any]", hint: Any, value: Any) -> None:
    """Refuses a value that its setting does not allow.

    Args:
        described: the field.
        hint: its type; a `Literal` lists the choices.
        value: None is allowed if the type says so.

    Raises:
        ConfigError: naming the flag, the value and what must hold.
    """
    if value is None:
        if type(None) in get_args(hint):
            return
        raise ConfigError(f"{flag_of(described)} must have a value")
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    if choices and value not in choices:
        raise ConfigError(f"{flag_of(described)} {_shown(value)}: choose one of {', '.join(choices)}")
    if not choices and (kind := _wrong_kind(hint, value)):
        raise ConfigError(f"{flag_of(described)} {_shown(value)}: must be {kind}")
    found = setting_of(described)
    if not {int, float} & {hint, *get_args(hint)}:
        return
    if not found.allows(value):
        finite = "finite and " if isinstance(value, float) and not isfinite(value) else ""
        raise ConfigError(f"{flag_of(described)} {value}: must be {finite}{found.must()}")


def _wrong_kind(hint: Any, value: Any) -> str:
    """What a value must be, if it is not of its field's type; empty if it is."""
    kinds = {hint, *get_args(hint)}
    if hint == tuple[Path, ...]:
        fits, must = isinstance(value, tuple) and all(map(_is_path, value)), "several paths (a list in JSON)"
    elif {int, float} & kinds:
        return _wrong_number(value, whole=int in kinds)
    elif bool in kinds:
        fits, must = isinstance(value, bool), "true or false"
    elif Path in kinds:
        fits, must = _is_path(value), "a path"
    else:
        fits, must = isinstance(value, str), "a text"
    return "" if fits else must


def _wrong_number(value: Any, *, whole: bool) -> str:
    if isinstance(value, str):
        return "a number"
    if isinstance(value, bool) or not isinstance(value, int | float) or (whole and isinstance(value, float)):
        return "a whole number" if whole else "a number"
    too_large = not whole and isinstance(value, int) and abs(value) > LARGEST_FLOAT
    return "a smaller number" if too_large else ""


def _is_path(value: Any) -> bool:
    return isinstance(value, Path) and "\0" not in str(value)


def _shown(value: Any) -> str:
    return repr(value)[:80]
