"""What `occfer benchmark` can test: the options that name it, of which exactly one is given."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from occfer.benchmark.contestant import Contestant

BenchmarkCheckpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint", metavar="F", help="Test a run folder, or a model file such as its checkpoints/best.safetensors."
    ),
]
ModelFile = Annotated[
    Path | None,
    typer.Option(
        "--model", metavar="FILE", help="Test an ONNX file, described by --describe, or a file of `occfer export`."
    ),
]
AnswersFile = Annotated[
    Path | None,
    typer.Option(
        "--answers",
        metavar="CSV",
        help="Test answers that were given elsewhere: columns column, pair_id, and a probability for each class.",
    ),
]
Function = Annotated[
    str,
    typer.Option(
        "--callable",
        metavar="MODULE:FUNCTION",
        help="Test a Python function: uint8 RGB images (N, S, S, 3) in, one number per image and class out. It is run.",
    ),
]
Describe = Annotated[
    Path | None,
    typer.Option(
        "--describe",
        metavar="TOML",
        help="What --model, --callable or --answers is: size_px, colour, mean, std, crop, classes, name, trained_on.",
    ),
]
ListPictures = Annotated[
    Path | None,
    typer.Option(
        "--list-pictures",
        metavar="CSV",
        help="Only write the list of pictures that --answers must answer: column, pair_id, picture.",
    ),
]


def one_of(
    checkpoint: Path | None, model: Path | None, answers: Path | None, function: str, describe: Path | None
) -> None:
    """Raises a usage error unless exactly one contestant is named, and the description is for one that takes it."""
    given = {"--checkpoint": checkpoint, "--model": model, "--answers": answers, "--callable": function}
    named = [option for option, value in given.items() if value]
    if len(named) != 1:
        raise typer.BadParameter(f"give exactly one of {', '.join(given)}; {' and '.join(named) or 'none'} was given")
    if describe is not None and checkpoint is not None:
        raise typer.BadParameter("--describe is for other people's models; a checkpoint says itself what it takes")


def open_contestant(
    checkpoint: Path | None,
    model: Path | None,
    answers: Path | None,
    function: str,
    describe: Path | None,
    *,
    device: str,
    batch_size: int,
    cache_dir: Path | None,
) -> "Contestant":
    """What is tested; see `one_of`."""
    if checkpoint is not None:
        from occfer.benchmark.checkpoint import open_checkpoint

        return open_checkpoint(checkpoint, device=device, batch_size=batch_size, cache_dir=cache_dir)
    if answers is not None:
        from occfer.outside.answer_table import open_answers

        return open_answers(answers, describe)
    if model is None:
        from occfer.outside.python_function import open_function

        return open_function(function, describe, batch_size=batch_size, cache_dir=cache_dir)
    if describe is None:
        from occfer.outside.exported_file import open_exported_file

        return open_exported_file(model, device=device, batch_size=batch_size, cache_dir=cache_dir)
    from occfer.outside.onnx_network import open_network

    return open_network(model, describe, device=device, batch_size=batch_size, cache_dir=cache_dir)


def results_folder(checkpoint: Path | None, contestant: "Contestant", suite: str) -> Path:
    """Where results go by default: into the run folder, or into one that is called after the contestant."""
    if checkpoint is not None:
        from occfer.benchmark.checkpoint import run_folder

        return run_folder(checkpoint) / "benchmark" / suite
    name = re.sub(r"[^\w.+-]+", "-", contestant.facts.name).strip(".-") or "model"
    return Path("benchmark") / name / suite
