"""The commands that take a manifest: `occsynth replay`, `verify`, `publish` and `landmarks`."""

from pathlib import Path
from typing import Annotated

import typer

from occsynth.cli.options import Backend, ManifestPath, Overwrite, Root, Scheduler, Slurm, Templates, Workers
from occsynth.cli.output import counted, fail, progress_bar, say, shown, warn

_SHOWN = 20


def replay(
    manifest: ManifestPath,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The build root to make: the folder to write to.")],
    root: Root = None,
    templates: Templates = None,
    workers: Workers = None,
    backend: Backend = "loky",
    scheduler: Scheduler = "",
    slurm: Slurm = None,
    overwrite: Overwrite = False,
) -> None:
    """Make a whole build again from the raw database and its manifest, and check it by pixel hashes."""
    from occsynth.manifest import open_manifest
    from occsynth.sharing.replay import replay as run_replay

    with progress_bar() as progress:
        report = run_replay(
            open_manifest(manifest),
            out=out,
            raw_root=root,
            templates=templates,
            workers=workers,
            backend=backend,
            scheduler=scheduler,
            slurm=tuple(slurm or ()),
            overwrite=overwrite,
            progress=progress,
        )
    for warning in report.warnings:
        warn(warning)
    say(f"{report.rows} rows replayed pixel for pixel; {report.kept} of them were already there")
    say("manifest", shown(report.manifest))


def verify(
    manifest: ManifestPath,
    root: Annotated[
        Path | None,
        typer.Option("--root", metavar="DIR", help="Folder of the raw database: also render every image again."),
    ] = None,
    templates: Templates = None,
    workers: Workers = None,
) -> None:
    """Check a build: its files, pixels, equality outside the mask, and subject-disjoint folds."""
    from occsynth.manifest import open_manifest
    from occsynth.sharing.verify import verify as run_verify

    with progress_bar() as progress:
        report = run_verify(
            open_manifest(manifest), raw_root=root, templates=templates, workers=workers, progress=progress
        )
    for what in report.not_checked:
        say("not checked", what)
    for name, what in report.problems[:_SHOWN]:
        say(name, what)
    if report.problems:
        more = f" ({_SHOWN} shown)" if len(report.problems) > _SHOWN else ""
        raise fail(
            f"{counted(len(report.problems), 'problem')} in {report.rows} rows of {manifest}{more}. Delete each file "
            "that is named, or the manifest if its rows are wrong, and run the command again that made the build"
        )
    say(f"{report.rows} rows match {shown(manifest)}")


def publish(
    manifest: ManifestPath,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The manifest to write.")],
    overwrite: Overwrite = False,
) -> None:
    """Write a manifest that can be shared: without labels, subjects and file names."""
    from occsynth.databases.read_only import refuse_remembered_roots
    from occsynth.manifest import open_manifest
    from occsynth.sharing.publish import draws_tell_names
    from occsynth.sharing.publish import publish as run_publish

    refuse_remembered_roots(out, "-o")
    original = open_manifest(manifest)
    say("manifest", shown(run_publish(original, out, overwrite=overwrite)))
    if draws_tell_names(original.info):
        warn(
            f"{manifest} has manifest schema {original.info.schema}: its occlusions were drawn from the names of the "
            "pictures, so that whoever guesses a name can check the guess. Build it again with --overwrite to share it"
        )


def landmarks(manifest: ManifestPath, root: Root = None, overwrite: Overwrite = False) -> None:
    """Find the 68 landmarks of each face again and write them beside the manifest."""
    from occsynth.build.remake_landmarks import remake_landmarks
    from occsynth.manifest import open_manifest

    say("landmarks", shown(remake_landmarks(open_manifest(manifest), root, overwrite=overwrite)))
