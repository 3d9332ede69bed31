"""`occfer train`: every field of `TrainConfig` as a flag, progress while it runs, the result with its interval."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from occfer.cli.options import FigureFormat, prints
from occfer.cli.progress import progress
from occfer.cli.training_flags import with_training_flags
from occfer.config import TrainConfig
from occfer.events import OnStep
from occfer.settings_file import save_settings
from occfer.tracking import TRACKERS
from occsynth.cli.output import interrupted, say, shown

if TYPE_CHECKING:
    from occfer.metrics.predictions import Predictions

ALL_FOLDS = "all"


def _fold(text: str) -> str:
    if text and text != ALL_FOLDS and not text.isdecimal():
        raise typer.BadParameter(f"'{text}' must be the number of a fold, or {ALL_FOLDS}")
    return text


def _trackers(names: list[str] | None) -> list[str] | None:
    for name in names or []:
        if name not in TRACKERS:
            raise typer.BadParameter(f"'{name}' is no tracker; choose one of {', '.join(TRACKERS)}")
    return names


@with_training_flags(TrainConfig.__dataclass_fields__)
def train(
    settings: dict[str, Any],
    fold: Annotated[
        str,
        typer.Option(
            "--fold",
            metavar="K|all",
            callback=_fold,
            rich_help_panel="data",
            help="Fold to test on; all: each in turn, then their answers pooled.",
        ),
    ] = "",
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", rich_help_panel="output", help="Draw the results at the end.")
    ] = True,
    figure_format: Annotated[
        FigureFormat, typer.Option("--format", rich_help_panel="output", help="File format of the figures.")
    ] = "png",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            rich_help_panel="output",
            help="Run folder; default: runs/<manifests>-<method>...",
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="|".join(TRACKERS),
            callback=_trackers,
            rich_help_panel="output",
            help="Tell the course and the result of the run to a tracker, too; repeatable. wandb sends them elsewhere.",
        ),
    ] = None,
    save_config: Annotated[
        Path | None,
        typer.Option(
            "--save-config",
            metavar="FILE",
            rich_help_panel="output",
            help="Write what the run would use to a .json, .toml or .yaml file for --config, and train nothing.",
        ),
    ] = None,
) -> None:
    """Train a method on the pairs of manifests, and test it once."""
    config = TrainConfig.from_json(settings | {"fold": int(fold) if fold.isdecimal() else None})
    config = replace(config, out=out or default_folder(config, every_fold=fold == ALL_FOLDS))
    if save_config is not None:
        from occfer.training.check import check_settings

        check_settings(config)
        save_settings(save_config, config)
        say("config", shown(save_config))
        return
    try:
        with _telling(log or [], config) as on_step:
            predictions, metrics = _run(config, on_step, every_fold=fold == ALL_FOLDS)
    except KeyboardInterrupt:
        advice = f"to continue, type the same command with --resume --out {shown(config.out)}"
        raise interrupted(advice) from None
    if prints():
        _report(config, predictions, metrics, figure_format if figures else "")


@contextmanager
def _telling(trackers: Sequence[str], config: TrainConfig) -> Iterator[OnStep]:
    """A callback for the events of the training, which the terminal shows and trackers keep."""
    with progress() as on_step:
        if not trackers:
            yield on_step
            return
        from occfer.tracking.course import check_installed, tracked

        check_installed(trackers)
        with tracked(trackers, config, on_step) as told:
            yield told


def default_folder(config: TrainConfig, *, every_fold: bool) -> Path:
    """`runs/<first manifest>[+N]-<method>[-fold<K>|-folds][-seed<N>]`."""
    name = _names(config.manifests)
    name += f"-{config.method}"
    if every_fold:
        name += "-folds"
    elif config.fold is not None:
        name += f"-fold{config.fold}"
    if config.seed:
        name += f"-seed{config.seed}"
    return Path("runs") / name


def _names(paths: Sequence[Path]) -> str:
    names = [path.name.removesuffix(".gz").removesuffix(".csv") for path in paths]
    return names[0] if len(names) == 1 else f"{names[0]}+{len(names) - 1}"


def _run(config: TrainConfig, on_step: OnStep, *, every_fold: bool) -> "tuple[Predictions, dict[str, Any]]":
    if every_fold:
        from occfer.training.folds import train_folds

        pooled = train_folds(config, on_step=on_step)
        return pooled.predictions, pooled.metrics
    from occfer.training.train import train as train_once

    run = train_once(config, on_step=on_step)

    from occfer.metrics.predictions import read_predictions

    return read_predictions(run.predictions), run.metrics


def _report(config: TrainConfig, predictions: "Predictions", metrics: dict[str, Any], figures: str) -> None:
    from occfer.method_table import shown_name
    from occfer.metrics.clean_faces import drop_line
    from occfer.metrics.summary import accuracy_line

    names = _names(config.test_manifests or config.manifests)
    part = ", all folds" if "folds" in metrics else "" if config.fold is None else f", fold {config.fold}"
    title = f"{shown_name(config.method)} on {names}{part}"
    say(f"{title}: {accuracy_line(metrics)}")
    if "clean" in metrics:
        say("clean faces", f"accuracy {metrics['clean']['accuracy']:.3f}; {drop_line(metrics['clean'])}")
    if "folds" in metrics:
        over = metrics["folds"]["accuracy"]
        deviation = "" if over["sd"] is None else f", deviation {over['sd']:.3f}"
        say(f"over {over['n']} folds: mean accuracy {over['mean']:.3f}{deviation}")
    say("run folder", shown(config.out))
    if "folds" not in metrics:
        say("model", shown(config.out / "checkpoints" / "best.safetensors"))
    say("predictions", shown(config.out / "predictions.csv"))
    if figures:
        from occfer.metrics.figures import draw_results

        drawn = draw_results(predictions, metrics, title, config.out / "figures", figures)
        say("figures", " ".join(shown(path) for path in drawn))
