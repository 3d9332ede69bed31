"""The flags of training, derived from the fields of `TrainConfig`, and files of settings (`--config`)."""

import inspect
from collections.abc import Callable, Collection
from dataclasses import MISSING, Field, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from occfer.config import TrainConfig
from occfer.config_fields import ONE_RUN
from occfer.recipes import RECIPES, Recipe
from occfer.setting import flag_of, setting_of, to_plain
from occfer.settings_file import NOT_IN_FILE, read_settings

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings in a .json, .toml or .yaml file, as `occfer tune` and --save-config write it; flags take "
        "precedence.",
    ),
]

RecipeName = Annotated[
    Recipe | None,
    typer.Option(
        "--recipe",
        help="Settings to start from: the paper's, or what trains best on small faces; --config and flags take "
        "precedence.",
    ),
]

# The fields that a command of many runs takes; it sets the others itself.
OF_MANY_RUNS = frozenset(each.name for each in fields(TrainConfig)) - ONE_RUN


def with_training_flags(
    names: Collection[str], *, config_file: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command a flag for some fields of `TrainConfig`, `--recipe` and `--config`.

    The command must take `settings`, a dict of fields of `TrainConfig` as JSON values: those of the recipe, over them
    those that stand in the file of `--config`, and over these those that were typed. Fields for which the command
    declares a parameter of its own get no second flag.

    Args:
        names: the fields.
        config_file: whether the command takes `--recipe` and `--config`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = dict(inspect.signature(command, eval_str=True).parameters)
        del own["settings"]
        flags = {
            each.name: _parameter(each) for each in fields(TrainConfig) if each.name in names and each.name not in own
        }
        not_in_file = NOT_IN_FILE | {each.name for each in fields(TrainConfig) if each.name not in names}

        @wraps(command)
        def run(ctx: typer.Context, **values: Any) -> None:
            typed = {name: to_plain(values[name]) for name in flags if _was_typed(ctx, name)}
            file: Path | None = values.get("config")
            in_file = {} if file is None else read_settings(file, not_in_file)
            recipe = RECIPES[values["recipe"]] if values.get("recipe") else {}
            command(**{name: values[name] for name in own}, settings={**recipe, **in_file, **typed})

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [
            inspect.Parameter("ctx", keyword, annotation=typer.Context),
            *(each.replace(kind=keyword) for each in own.values()),
            *flags.values(),
        ]
        if config_file:
            parameters.append(inspect.Parameter("recipe", keyword, default=None, annotation=RecipeName))
            parameters.append(inspect.Parameter("config", keyword, default=None, annotation=ConfigFile))
        seen_by_typer: Any = run
        seen_by_typer.__signature__ = inspect.Signature(parameters)
        seen_by_typer.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _parameter(described: "Field[Any]") -> inspect.Parameter:
    """The parameter of a command from which typer makes a field's flag."""
    found = setting_of(described)
    hint = get_type_hints(TrainConfig)[described.name]
    default = inspect.Parameter.empty if described.default is MISSING else described.default
    if hint == tuple[Path, ...]:  # repeatable flags are lists in typer
        hint, default = (list[Path], default) if default is inspect.Parameter.empty else (list[Path] | None, None)
    name = flag_of(described)
    option = typer.Option(
        f"{name}/--no-{name[2:]}" if default is True else name,
        metavar=found.metavar or None,
        help=found.help,
        rich_help_panel=found.panel,
    )
    return inspect.Parameter(
        described.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, option]
    )


def _was_typed(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
