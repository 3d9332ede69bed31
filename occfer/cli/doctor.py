"""`occfer doctor`: is this installation sound, and does its GPU do what the CPU does?"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from occfer.cli.options import OverwriteFile
from occfer.errors import ConfigError
from occsynth.cli.output import counted, fail, say, shown, table

DEFAULT_FILE = Path("gpu-check.json")


def doctor(
    gpu: Annotated[bool, typer.Option("--gpu", help="Check the GPU instead, in at most ten minutes.")] = False,
    device: Annotated[
        Literal["cuda", "cpu"],
        typer.Option("--device", help="With --gpu: what to check; cpu tries the checks where no card is."),
    ] = "cuda",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CHECK", help="With --gpu: make this check alone; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help=f"With --gpu: the report, JSON; default: {DEFAULT_FILE}."),
    ] = None,
    overwrite: OverwriteFile = False,
) -> None:
    """Check packages, devices, weights and folders; with --gpu, check what a card computes and how fast."""
    if gpu:
        _check_gpu(device, only or [], out or DEFAULT_FILE, overwrite)
        return
    if only or out or overwrite or device != "cuda":
        raise ConfigError("--device, --only, --output and --overwrite go with --gpu")
    from occfer.doctor.installation import run_doctor

    findings = run_doctor()
    for each in findings:
        say("ok" if each.ok else "FAIL", each.name, each.detail)
    bad = [each.name for each in findings if not each.ok]
    if bad:
        raise fail(f"{len(bad)} of {counted(len(findings), 'check')} failed: {', '.join(bad)}")


def _check_gpu(device: Literal["cuda", "cpu"], only: list[str], out: Path, overwrite: bool) -> None:
    from occfer.doctor.gpu_check import check_gpu
    from occfer.doctor.report import COLUMNS, cells

    report = check_gpu(
        device,
        out,
        only=only,
        overwrite=overwrite,
        on_start=lambda title: say(f"checking: {title} ...", err=True),
        on_result=lambda found: say(f"{found.status} after {found.seconds:.0f} s", err=True),
    )
    table(COLUMNS, map(cells, report.checks))
    stood_in = ", in place of a card: no figure says anything about one" if device == "cpu" else ""
    say(f"checked in {report.seconds:.0f} s: {report.machine.device}{stood_in}")
    say("report", shown(out))
    bad = report.of("failed")
    if bad:
        raise fail(f"{len(bad)} of {counted(len(report.checks), 'check')} failed: {', '.join(e.check for e in bad)}")
