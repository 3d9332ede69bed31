"""What the command line says at the end of a build."""

import shlex

import typer

from occsynth.cli_output import shown, warn
from occsynth.report import BuildReport


def print_build(report: BuildReport) -> None:
    """Manifests, rows, rejects with their list, and the next command to type."""
    for warning in report.warnings:
        warn(warning)
    what = "was built already" if report.reused else f"in {report.seconds:.1f} s"
    modes = f", {len(report.manifests)} modes" if len(report.manifests) > 1 else ""
    typer.echo(f"{report.rows} pairs a mode{modes} from {report.sources} sources, {what}")
    for manifest in report.manifests:
        typer.echo(f"manifest\t{shown(manifest)}\t{report.rows} rows")
    if report.rejects or report.excluded:
        excluded = f", {report.excluded} left out by the protocol" if report.excluded else ""
        listed = shown(report.rejects_csv[0])
        typer.echo(f"rejects\t{report.rejects} of {report.sources} sources{excluded}; see {listed}")
    else:
        typer.echo(f"rejects\t0 of {report.sources} sources")
    if report.duplicates:
        listed = report.manifests[0].name.split(".csv")[0] + ".json"
        typer.echo(f"duplicates\t{report.duplicates} groups of equal images across splits or subjects; see {listed}")
    typer.echo(f"next\toccsynth verify {shlex.quote(shown(report.manifests[0]))}")
