"""`occfer bench`: parse, call, print."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from occfer.cli.options import Device, DeviceName, prints
from occfer.cli.train import D, PrecisionName
from occfer.config import TrainConfig
from occsynth.cli.output import table

if TYPE_CHECKING:
    from occfer.training.benchmark import Measured


def bench(
    method: Annotated[
        list[str] | None, typer.Option("--method", metavar="NAME", help="Of stage 2; repeatable; default full.")
    ] = None,
    backbone: Annotated[
        str, typer.Option("--backbone", metavar="NAME", help="resnet50, resnet34, resnet18 or mobilenet_v2.")
    ] = D.backbone,
    size: Annotated[int, typer.Option("--size", metavar="PX", help="Side of the images.")] = 224,
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", help="Over all devices together.")
    ] = D.batch_size,
    k1: Annotated[
        int, typer.Option("--k1", metavar="N", help="Discriminator updates a round.")
    ] = D.discriminator_updates,
    k2: Annotated[int, typer.Option("--k2", metavar="N", help="Occluded-branch updates a round.")] = D.student_updates,
    device: Device = DeviceName.auto,
    devices: Annotated[int, typer.Option("--devices", metavar="N", help="Processes on each node.")] = D.devices,
    num_nodes: Annotated[int, typer.Option("--num-nodes", metavar="N", help="Nodes, under torchrun.")] = D.num_nodes,
    precision: Annotated[PrecisionName, typer.Option("--precision", help="32 bits, or mixed.")] = PrecisionName.full,
    channels_last: Annotated[bool, typer.Option("--channels-last", help="That memory layout.")] = D.channels_last,
    compile_: Annotated[bool, typer.Option("--compile", help="Compile the networks that are trained.")] = D.compile,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", min=0, help="Of each measurement, after its warm-up.")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Measure how fast this machine trains and predicts, and in how much memory."""
    from occfer.training.benchmark import bench as run

    config = TrainConfig(
        manifests=D.manifests,
        backbone=backbone,
        weights="none",
        size_px=size,
        batch_size=batch_size,
        discriminator_updates=k1,
        student_updates=k2,
        device=device.value,
        devices=devices,
        num_nodes=num_nodes,
        precision=precision.value,
        channels_last=channels_last,
        compile=compile_,
        resident_fraction=D.resident_fraction,
        out=Path("unused"),
    )

    def say(what: str) -> None:
        if prints():
            typer.echo(f"measuring {what} ...", err=True)

    found = list(run(config, method or ["full"], seconds=seconds, on_start=say))
    if prints():
        _report(config, found, as_json)


def _report(config: TrainConfig, found: "Sequence[Measured]", as_json: bool) -> None:
    import json

    from occfer.runs.environment import device_in_words, versions

    names = ("backbone", "size_px", "batch_size", "discriminator_updates", "student_updates", "devices", "num_nodes",
             "precision", "channels_last", "compile")  # fmt: skip
    settings: dict[str, Any] = {name: getattr(config, name) for name in names}
    machine = device_in_words(config.device)
    if as_json:
        lines = [asdict(each) for each in found]
        report = {"device": machine, "versions": versions(), "settings": settings, "measured": lines}
        typer.echo(json.dumps(report, indent=2))
        return
    typer.echo(
        f"{config.backbone}, {config.size_px} px, batch {config.batch_size}, precision {config.precision}, on {machine}"
    )
    table(
        ("what", "images/s", "lowest to highest", "repeats", "peak memory"),
        [
            (
                each.what,
                f"{each.images_per_s:,.4g}",
                f"{each.lowest:,.4g} to {each.highest:,.4g}",
                str(each.repeats),
                f"{each.peak_mb:,.0f} MB",
            )
            for each in found
        ],
    )
