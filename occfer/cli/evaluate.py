"""`occfer evaluate`: parse, call, print."""

from pathlib import Path
from typing import Annotated, Any

import typer

from occfer.cli.options import (
    CacheDir,
    Checkpoint,
    Device,
    Fold,
    Format,
    Manifests,
    OverwriteFolder,
    Rows,
    ViewChoice,
)
from occfer.cli.progress import progress
from occsynth.cli.output import say, shown, table


def evaluate(
    checkpoint: Checkpoint,
    manifest: Manifests,
    rows: Rows = "test",
    fold: Fold = None,
    view: Annotated[
        ViewChoice | None,
        typer.Option(
            "--view",
            help="Faces to test on; default: those that the method is for, which are the occluded ones for all but "
            "clean. With clean, the drop to the occluded ones is shown too.",
        ),
    ] = None,
    allow_overlap: Annotated[
        bool, typer.Option("--allow-overlap", help="Test also on people and pictures that the model was trained on.")
    ] = False,
    device: Device = "auto",
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, help="Images per call of the model.")
    ] = 64,
    cache_dir: CacheDir = None,
    figure_format: Format = "png",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Folder for the results; default: evaluation/<manifests> in the run folder."
        ),
    ] = None,
    overwrite: OverwriteFolder = False,
) -> None:
    """Test a trained model on the occluded images of manifests, by default on those it was not trained on."""
    from occfer.evaluation.evaluate import EvaluateOptions
    from occfer.evaluation.evaluate import evaluate as run_evaluation
    from occfer.metrics.clean_faces import drop_line
    from occfer.metrics.summary import accuracy_line, uar_line

    options = EvaluateOptions(
        checkpoint=checkpoint,
        manifests=tuple(manifest),
        part=rows,
        fold=fold,
        view=view,
        allow_overlap=allow_overlap,
        device=device,
        batch_size=batch_size,
        cache_dir=cache_dir,
        out=out,
        overwrite=overwrite,
        figure_format=figure_format,
    )
    with progress() as on_step:
        found = run_evaluation(options, on_step)
    for note in found.notes:
        say(note, err=True)
    summary = found.summary
    say(f"{found.title}: {accuracy_line(summary)}")
    if "drop" in summary:
        say(drop_line(summary["drop"]))
    say(uar_line(summary))
    counts = dict(zip(summary["classes"], map(sum, summary["confusion"]), strict=True))
    table(
        ("class", "n", "recall", "95 % interval"),
        [(name, str(counts[name]), *_recall(summary, name)) for name in summary["classes"]],
    )
    table(
        ("mode", "n", "accuracy", "95 % interval"),
        [
            (mode, str(entry["n"]), f"{entry['accuracy']:.3f}", "{low:.3f} to {high:.3f}".format(**entry["interval"]))
            for mode, entry in summary["by_mode"].items()
        ],
    )
    say("results", shown(found.folder))
    say("figures", " ".join(path.name for path in found.figures))


def _recall(summary: dict[str, Any], name: str) -> tuple[str, str]:
    """A class's recall and its interval as text; `-` where it does not occur."""
    value, bounds = summary["recall"][name], summary["recall_interval"][name]
    return ("-", "-") if value is None else (f"{value:.3f}", "{low:.3f} to {high:.3f}".format(**bounds))
