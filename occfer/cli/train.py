"""`occfer train`: every field of `TrainConfig` as a flag, progress while it runs, the result with its interval."""

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from occfer.cli.options import CacheDir, Device, DeviceName, Format, FormatName, Manifests, prints
from occfer.cli.progress import OnStep, progress
from occfer.cli.training_flags import ConfigFile, settings_given
from occfer.config import TrainConfig
from occsynth.cli.output import shown

if TYPE_CHECKING:
    from occfer.metrics.predictions import Predictions

ALL_FOLDS = "all"
# What a file of settings does not say.
OF_ONE_RUN = frozenset({"manifests", "test_manifests", "fold", "out", "resume"})
# The defaults of the flags; the manifest is only there because a configuration must have one.
D = TrainConfig(manifests=(Path("any.csv"),))


class PairingName(StrEnum):
    """What `--pairing` takes."""

    paired = "paired"
    category = "category"
    unpaired = "unpaired"


class PrecisionName(StrEnum):
    """What `--precision` takes."""

    full = "32"
    bf16 = "bf16"
    fp16 = "fp16"


class SpaceName(StrEnum):
    """What `--similarity-space` takes."""

    softmax = "softmax"
    logits = "logits"


class ReductionName(StrEnum):
    """What `--inequality-reduction` takes."""

    per_sample = "per-sample"
    batch = "batch"


class FacesName(StrEnum):
    """What `--train-on` and `--landmarks-from` take."""

    clean = "clean"
    occluded = "occluded"


def _fold(text: str) -> str:
    if text not in ("", ALL_FOLDS) and not text.isdecimal():
        raise typer.BadParameter(f"'{text}' is no fold: give a number, or {ALL_FOLDS}")
    return text


def train(
    ctx: typer.Context,
    manifest: Manifests,
    test_manifest: Annotated[
        list[Path] | None,
        typer.Option("--test-manifest", metavar="CSV", help="Test on it instead of a part of --manifest; repeatable."),
    ] = None,
    method: Annotated[str, typer.Option("--method", metavar="NAME", help="See `occfer methods`.")] = D.method,
    fold: Annotated[
        str,
        typer.Option(
            "--fold", metavar="K|all", callback=_fold, help="The fold that is tested; all: each in turn, then pooled."
        ),
    ] = "",
    size: Annotated[
        int | None, typer.Option("--size", metavar="PX", help="Side of the images; default the first manifest's.")
    ] = None,
    backbone: Annotated[
        str, typer.Option("--backbone", metavar="NAME", help="resnet50, resnet34, resnet18 or mobilenet_v2.")
    ] = D.backbone,
    weights: Annotated[
        str, typer.Option("--weights", metavar="imagenet|none|FILE", help="What both branches start from.")
    ] = D.weights,
    pairing: Annotated[
        PairingName, typer.Option("--pairing", help="The clean image that an occluded one meets in stage 2.")
    ] = PairingName.paired,
    live_occlusion: Annotated[
        str, typer.Option("--live-occlusion", metavar="MODE", help="Draw occlusions of this mode afresh each epoch.")
    ] = D.live_occlusion,
    epochs: Annotated[int, typer.Option("--epochs", metavar="T", help="Of stage 2.")] = D.epochs,
    pretrain_epochs: Annotated[
        int, typer.Option("--pretrain-epochs", metavar="N", help="Of each branch in stage 1.")
    ] = D.pretrain_epochs,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", help="Over all devices together.")
    ] = D.batch_size,
    rate: Annotated[float, typer.Option("--rate", help="Of the occluded branch in stage 2.")] = D.rate,
    discriminator_rate: Annotated[
        float, typer.Option("--discriminator-rate", help="Of the discriminator.")
    ] = D.discriminator_rate,
    pretrain_rate: Annotated[float, typer.Option("--pretrain-rate", help="Of stage 1.")] = D.pretrain_rate,
    optimizer: Annotated[str, typer.Option("--optimizer", metavar="NAME", help="adam, adamw or sgd.")] = D.optimizer,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Of both stages.")] = D.weight_decay,
    k1: Annotated[
        int, typer.Option("--k1", metavar="N", help="Discriminator updates a round.")
    ] = D.discriminator_updates,
    k2: Annotated[int, typer.Option("--k2", metavar="N", help="Occluded-branch updates a round.")] = D.student_updates,
    lambda_sim: Annotated[float, typer.Option("--lambda-sim", help="Weight of the similarity loss.")] = D.lambda_sim,
    lambda_lir: Annotated[float, typer.Option("--lambda-lir", help="Weight of the loss inequality.")] = D.lambda_lir,
    lambda_adv: Annotated[float, typer.Option("--lambda-adv", help="Weight of the adversarial loss.")] = D.lambda_adv,
    lambda_rec: Annotated[float, typer.Option("--lambda-rec", help="Weight of the reconstruction.")] = D.lambda_rec,
    similarity_space: Annotated[
        SpaceName, typer.Option("--similarity-space", help="What the similarity loss compares.")
    ] = SpaceName.softmax,
    inequality_reduction: Annotated[
        ReductionName, typer.Option("--inequality-reduction", help="A hinge per sample, or of the batch's means.")
    ] = ReductionName.per_sample,
    force: Annotated[bool, typer.Option("--force", help="Accept a --lambda-lir above 1.")] = False,
    train_on: Annotated[
        FacesName, typer.Option("--train-on", help="Of rgbt and wls-rf: the faces that train them.")
    ] = FacesName.clean,
    landmarks_from: Annotated[
        FacesName, typer.Option("--landmarks-from", help="Of rgbt and wls-rf: the faces that landmarks are found on.")
    ] = FacesName.clean,
    baseline_epochs: Annotated[
        int, typer.Option("--baseline-epochs", metavar="N", help="Of pg-cnn and gacnn.")
    ] = D.baseline_epochs,
    baseline_rate: Annotated[float, typer.Option("--baseline-rate", help="Of pg-cnn and gacnn.")] = D.baseline_rate,
    baseline_batch_size: Annotated[
        int, typer.Option("--baseline-batch-size", metavar="N", help="Images an update of pg-cnn and gacnn.")
    ] = D.baseline_batch_size,
    baseline_updates: Annotated[
        int, typer.Option("--baseline-updates", metavar="N", help="Of pg-cnn and gacnn, an epoch at most; 0: no limit.")
    ] = D.baseline_updates,
    rgbt_templates: Annotated[
        int, typer.Option("--rgbt-templates", metavar="N", help="Gabor templates of rgbt.")
    ] = D.rgbt_templates,
    forest_trees: Annotated[int, typer.Option("--forest-trees", metavar="N", help="Trees of wls-rf.")] = D.forest_trees,
    val_fraction: Annotated[
        float, typer.Option("--val-fraction", help="Of the training rows, to choose the epoch by; 0 keeps the last.")
    ] = D.val_fraction,
    flip: Annotated[bool, typer.Option("--flip/--no-flip", help="Mirror half of the pairs.")] = D.flip,
    crop: Annotated[int, typer.Option("--crop", metavar="PX", help="Shift pairs by up to so many pixels.")] = D.crop_px,
    colour: Annotated[
        float, typer.Option("--colour", help="Change brightness, contrast and saturation by up to this share.")
    ] = D.colour,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of everything random.")] = D.seed,
    device: Device = DeviceName.auto,
    devices: Annotated[int, typer.Option("--devices", metavar="N", help="Processes on each node.")] = D.devices,
    num_nodes: Annotated[int, typer.Option("--num-nodes", metavar="N", help="Nodes, under torchrun.")] = D.num_nodes,
    precision: Annotated[PrecisionName, typer.Option("--precision", help="32 bits, or mixed.")] = PrecisionName.full,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="That memory layout.")] = D.channels_last,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the networks that are trained.")] = D.compile,
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", metavar="N", help="Rounds; 0: at the end of each epoch.")
    ] = D.checkpoint_every,
    log_every: Annotated[int, typer.Option("--log-every", metavar="N", help="Rounds a line.")] = D.log_every,
    resident_fraction: Annotated[
        float, typer.Option("--resident-fraction", help="Of a GPU's memory that the images may fill.")
    ] = D.resident_fraction,
    occluded_branch: Annotated[
        Path | None, typer.Option("--occluded-branch", metavar="F", help="A branch that is trained already.")
    ] = None,
    clean_branch: Annotated[
        Path | None, typer.Option("--clean-branch", metavar="F", help="A branch that is trained already.")
    ] = None,
    branch_cache: Annotated[
        Path | None, typer.Option("--branch-cache", metavar="DIR", help="Share branches of stage 1 between runs.")
    ] = None,
    cache_dir: CacheDir = None,
    settings: ConfigFile = None,
    figures: Annotated[bool, typer.Option("--figures/--no-figures", help="Draw the results at the end.")] = True,
    figure_format: Format = FormatName.png,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run folder's last checkpoint.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="The run folder; default runs/<manifests>-<method>...")
    ] = None,
) -> None:
    """Train a method on the pairs of manifests, and test it once."""
    config = TrainConfig(
        manifests=tuple(manifest),
        test_manifests=tuple(test_manifest or ()),
        method=method,
        fold=int(fold) if fold.isdecimal() else None,
        size_px=size,
        backbone=backbone,
        weights=weights,
        pairing=pairing.value,
        live_occlusion=live_occlusion,
        epochs=epochs,
        pretrain_epochs=pretrain_epochs,
        batch_size=batch_size,
        rate=rate,
        discriminator_rate=discriminator_rate,
        pretrain_rate=pretrain_rate,
        optimizer=optimizer,
        weight_decay=weight_decay,
        discriminator_updates=k1,
        student_updates=k2,
        lambda_sim=lambda_sim,
        lambda_lir=lambda_lir,
        lambda_adv=lambda_adv,
        lambda_rec=lambda_rec,
        similarity_space=similarity_space.value,
        inequality_reduction=inequality_reduction.value,
        force=force,
        train_on=train_on.value,
        landmarks_from=landmarks_from.value,
        baseline_epochs=baseline_epochs,
        baseline_rate=baseline_rate,
        baseline_batch_size=baseline_batch_size,
        baseline_updates=baseline_updates,
        rgbt_templates=rgbt_templates,
        forest_trees=forest_trees,
        val_fraction=val_fraction,
        flip=flip,
        crop_px=crop,
        colour=colour,
        seed=seed,
        device=device.value,
        devices=devices,
        num_nodes=num_nodes,
        precision=precision.value,
        channels_last=channels_last,
        compile=compile_,
        checkpoint_every=checkpoint_every,
        log_every=log_every,
        resident_fraction=resident_fraction,
        occluded_branch=occluded_branch,
        clean_branch=clean_branch,
        branch_cache=branch_cache,
        cache_dir=cache_dir,
        resume=resume,
    )
    if settings is not None:
        config = TrainConfig.from_json(config.to_json() | settings_given(ctx, settings, OF_ONE_RUN))
    config = replace(config, out=out or default_folder(config, every_fold=fold == ALL_FOLDS))
    try:
        with progress() as on_step:
            predictions, metrics = _run(config, on_step, every_fold=fold == ALL_FOLDS)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; the same command with --resume --out {shown(config.out)} goes on", err=True)
        raise typer.Exit(130) from None
    if prints():
        _report(config, predictions, metrics, figure_format.value if figures else "")


def default_folder(config: TrainConfig, *, every_fold: bool) -> Path:
    """`runs/<first manifest>[+N]-<method>[-fold<K>|-folds][-seed<N>]`."""
    name = _names(config.manifests)
    name += f"-{config.method}"
    if every_fold:
        name += "-folds"
    elif config.fold is not None:
        name += f"-fold{config.fold}"
    if config.seed != D.seed:
        name += f"-seed{config.seed}"
    return Path("runs") / name


def _names(paths: Sequence[Path]) -> str:
    names = [path.name.removesuffix(".gz").removesuffix(".csv") for path in paths]
    return names[0] if len(names) == 1 else f"{names[0]}+{len(names) - 1}"


def _run(config: TrainConfig, on_step: OnStep, *, every_fold: bool) -> "tuple[Predictions, dict[str, Any]]":
    from occfer.metrics.predictions import read_predictions
    from occfer.training.folds import train_folds
    from occfer.training.train import train as train_once

    if every_fold:
        pooled = train_folds(config, on_step=on_step)
        return pooled.predictions, pooled.metrics
    run = train_once(config, on_step=on_step)
    return read_predictions(run.predictions), run.metrics


def _report(config: TrainConfig, predictions: "Predictions", metrics: dict[str, Any], figures: str) -> None:
    from occfer.method_table import shown_name
    from occfer.metrics.summary import accuracy_line

    names = _names(config.test_manifests or config.manifests)
    part = ", all folds" if "folds" in metrics else "" if config.fold is None else f", fold {config.fold}"
    title = f"{shown_name(config.method)} on {names}{part}"
    typer.echo(f"{title}: {accuracy_line(metrics)}")
    if "folds" in metrics:
        over = metrics["folds"]["accuracy"]
        deviation = "" if over["sd"] is None else f", deviation {over['sd']:.3f}"
        typer.echo(f"over {over['n']} folds: mean accuracy {over['mean']:.3f}{deviation}")
    typer.echo(f"run folder\t{shown(config.out)}")
    if "folds" not in metrics:
        typer.echo(f"model\t{shown(config.out / 'checkpoints' / 'best.safetensors')}")
    typer.echo(f"predictions\t{shown(config.out / 'predictions.csv')}")
    if figures:
        from occfer.metrics.figures import draw_results

        drawn = draw_results(predictions, metrics, title, config.out / "figures", figures)
        typer.echo(f"figures\t{' '.join(shown(path) for path in drawn)}")
