"""Settings of training for commands that train many runs: train's own flags, and files of settings (`--config`)."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from occfer.config import TrainConfig, flag, read_settings

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Settings in JSON, as `occfer tune` writes them; flags go before."),
]

# Fields whose flags make no sense where a command trains many runs: it sets them itself.
SET_BY_COMMAND = frozenset(
    {
        "manifests", "test_manifests", "method", "fold", "live_occlusion", "devices", "num_nodes", "occluded_branch",
        "clean_branch", "branch_cache", "resume", "out", "log_every",
    }
)  # fmt: skip


def with_training_flags(train: Callable[..., None]) -> Callable[..., Any]:
    """Gives a command the flags of another one that are fields of `TrainConfig`, without those that it sets itself.

    The command must take `settings`, a dict: what was typed or stands in the file of `--config`, fields of
    `TrainConfig` as JSON values.

    Args:
        train: the command that has the flags.
    """
    flags = {flag(field.name): field.name for field in fields(TrainConfig) if field.name not in SET_BY_COMMAND}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(ctx: typer.Context, **values: Any) -> None:
            own = {name: value for name, value in values.items() if name not in shared and name != "config"}
            command(**own, settings=settings_given(ctx, values["config"], SET_BY_COMMAND))

        theirs = inspect.signature(train, eval_str=True).parameters
        shared = {name: each for name, each in theirs.items() if _names(each) & set(flags)}
        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter("ctx", keyword, annotation=typer.Context),
            *(
                each.replace(kind=keyword)
                for each in inspect.signature(command, eval_str=True).parameters.values()
                if each.name != "settings"
            ),
            inspect.Parameter("config", keyword, default=None, annotation=ConfigFile),
            *(each.replace(kind=keyword) for each in shared.values()),
        ]
        seen_by_typer: Any = run
        seen_by_typer.__signature__ = inspect.Signature(parameters)
        seen_by_typer.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _names(parameter: inspect.Parameter) -> set[str]:
    """The flags of a parameter of a command."""
    told = getattr(parameter.annotation, "__metadata__", ())
    first = [name for each in told for name in (each.default, *(each.param_decls or ())) if isinstance(name, str)]
    return {name for whole in first for name in whole.split("/") if name.startswith("--")}


def settings_given(ctx: typer.Context, file: Path | None, left_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    """What stands in a file of settings, and over it what was typed: fields of `TrainConfig` as JSON values.

    Raises:
        ConfigError: the file cannot be read, or names something that is no setting here.
    """
    known = {flag(field.name): field.name for field in fields(TrainConfig) if field.name not in left_out}
    typed = {
        known[name]: _plain(ctx.params[parameter.name])
        for parameter in ctx.command.params
        for name in parameter.opts
        if name in known and parameter.name is not None and _was_typed(ctx, parameter.name)
    }
    return (read_settings(file, left_out) if file is not None else {}) | typed


def _was_typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
