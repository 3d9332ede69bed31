"""`occfer predict`: parse, call, print."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from occfer.cli.options import Device, OverwriteFile
from occsynth.cli.output import counted, fail, progress_bar, say, shown, table

if TYPE_CHECKING:
    from occfer.faces.align import FaceAligner
    from occfer.inference.recogniser import Answer, Recogniser


class AlignName(StrEnum):
    """What `--align` takes."""

    similarity = "similarity"
    none = "none"


def predict(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE|DIR|VIDEO", help="Images, videos, and folders that are searched for them."),
    ],
    checkpoint: Annotated[
        Path,
        typer.Option("--checkpoint", metavar="F", help="Run folder, model file, or exported .onnx or .pt2 file."),
    ],
    out: Annotated[
        list[Path] | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="File for the answers, .csv or .json, in place of a printed table; repeatable.",
        ),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(
            "--annotate",
            metavar="DIR",
            help="Folder for copies of the pictures and videos with the answers drawn on them.",
        ),
    ] = None,
    every: Annotated[int, typer.Option("--every", metavar="N", min=1, help="Take every Nth frame of a video.")] = 1,
    align: Annotated[
        AlignName | None,
        typer.Option("--align", help="Alignment of the faces; default: that of the model's training faces."),
    ] = None,
    cropped: Annotated[
        bool,
        typer.Option(
            "--cropped", help="Pictures are cropped faces: if no face is found, take the whole picture as one."
        ),
    ] = False,
    device: Device = "auto",
    batch_size: Annotated[
        int, typer.Option("--batch-size", metavar="N", min=1, help="Faces per call of the model.")
    ] = 64,
    overwrite: OverwriteFile = False,
) -> None:
    """Predict the expression of the largest face in each picture or video frame, with its probability."""
    from occfer.faces.align import aligner_of
    from occfer.load import load

    recogniser = load(checkpoint, device=device, batch_size=batch_size)
    aligner = aligner_of(recogniser.predictor, align.value if align else "", cropped=cropped)
    if align and align.value != recogniser.info.align:
        say(
            f"faces are aligned by '{aligner.align}', while the model was trained on '{recogniser.info.align}'",
            err=True,
        )
    counts: Counter[str] = Counter()
    others: list[Path] = []
    with _answers(recogniser, aligner, inputs, every, out or [], annotate, overwrite, others) as answers:
        seen = _counted(answers, counts)
        if out:
            for _ in seen:
                pass
        else:
            table(("source", "frame", "expression", "probability", "face", "note"), map(_cells, seen))
    if others:
        first = f"{counted(len(others), 'file')} named neither as a picture nor as a video, such as {others[0]}"
        say(f"passed over: {first}", err=True)
    _conclude(counts, inputs, [*(out or []), *([annotate] if annotate else [])])


@contextmanager
def _answers(
    recogniser: "Recogniser",
    aligner: "FaceAligner",
    inputs: list[Path],
    every: int,
    out: list[Path],
    annotate: Path | None,
    overwrite: bool,
    others: list[Path],
) -> "Iterator[Iterator[Answer]]":
    """The answers, each written to the files and drawn as it passes; the files are complete when the block ends.

    Files of folders that are neither pictures nor videos are added to `others`.
    """
    from occfer.faces.pictures import pictures
    from occfer.inference.answer_files import answers_file

    with ExitStack() as stack:
        writers = [stack.enter_context(answers_file(path, recogniser.info, overwrite=overwrite)) for path in out]
        annotator = None
        if annotate is not None:
            from occfer.inference.annotate import Annotator

            annotator = stack.enter_context(Annotator(annotate, recogniser.info.classes, inputs, overwrite=overwrite))
        report = stack.enter_context(progress_bar())

        def answers() -> "Iterator[Answer]":
            found = pictures(inputs, every, annotate, others.append)
            stream = recogniser.stream(found, aligner, keep_pixels=annotator is not None)
            for done, (picture, answer) in enumerate(stream, start=1):
                for write in writers:
                    write(answer)
                if annotator is not None:
                    annotator.write(picture, answer)
                report("predict", done, 0)
                yield answer

        yield answers()


def _counted(answers: "Iterator[Answer]", counts: Counter[str]) -> "Iterator[Answer]":
    """The same answers, counted as they pass: by status, and those that took the whole picture as a face."""
    for answer in answers:
        counts[answer.status] += 1
        counts["fallback"] += answer.face == "fallback"
        yield answer


def _cells(answer: "Answer") -> tuple[str, ...]:
    frame = "" if answer.frame is None else str(answer.frame)
    note = f"{answer.status}: {answer.fault}" if answer.fault else "" if answer.status == "ok" else answer.status
    sure = f"{answer.confidence:.3f}" if answer.expression else ""
    return (answer.source, frame, answer.expression, sure, answer.face, note)


def _conclude(counts: Counter[str], inputs: list[Path], written: list[Path]) -> None:
    """Prints a summary; exit code 1 only if nothing at all could be predicted."""
    without, unreadable, fallback = counts["no face"], counts["unreadable"], counts["fallback"]
    parts = [
        f"{counted(counts['ok'], 'face')} predicted",
        *([f"{fallback} of them the whole picture, because no face was found"] if fallback else []),
        *([f"{without} without a face"] if without else []),
        *([f"{unreadable} unreadable"] if unreadable else []),
    ]
    for path in written:
        say("written", shown(path))
    if not any(counts.values()):
        names = ", ".join(map(str, inputs[:3]))
        raise fail(f"no images or videos in {names}; give files, or folders that hold some")
    if not counts["ok"]:
        raise fail(f"nothing could be predicted: {', '.join(parts[1:])}")
    say(", ".join(parts), err=True)
