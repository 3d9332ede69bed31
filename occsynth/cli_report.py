"""What the command line says at the end of a build."""

import shlex

import typer

from occsynth.cli_output import counted, shown, warn
from occsynth.manifest import manifest_name
from occsynth.report import BuildReport


def print_build(report: BuildReport) -> None:
    """Manifests, rows, rejects with their list, and the next command to type."""
    for warning in report.warnings:
        warn(warning)
    what = "was built already" if report.reused else f"in {report.seconds:.1f} s"
    modes = f" in each of {len(report.manifests)} modes" if len(report.manifests) > 1 else ""
    typer.echo(f"{counted(report.rows, 'pair')}{modes} from {report.sources} sources, {what}")
    for manifest in report.manifests:
        typer.echo(f"manifest\t{shown(manifest)}\t{report.rows} rows")
    if report.rejects or report.excluded:
        excluded = f", {report.excluded} left out by the protocol" if report.excluded else ""
        listed = shown(report.rejects_csv[0])
        typer.echo(f"rejects\t{report.rejects} of {report.sources} sources{excluded}; see {listed}")
    else:
        typer.echo(f"rejects\t0 of {report.sources} sources")
    first = report.manifests[0]
    name = manifest_name(first)
    if report.duplicates:
        listed = shown(first.with_name(f"{name}.json"))
        typer.echo(f"duplicates\t{report.duplicates} groups of equal images across splits or subjects; see {listed}")
    sheet = shown(first.parent.parent / f"{name}.png")
    typer.echo(f"next\toccsynth preview {shlex.quote(shown(first))} -o {shlex.quote(sheet)}")
