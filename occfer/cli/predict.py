"""`occfer predict`: parse, call, print."""

import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from occfer.cli.options import Device, OverwriteFile
from occsynth.cli.output import counted, fail, progress_bar, say, shown, table

if TYPE_CHECKING:
    from occfer.faces.align import FaceAligner
    from occfer.faces.face import Picture
    from occfer.inference.annotate import Annotator
    from occfer.inference.answer_files import WriteAnswer
    from occfer.inference.recogniser import Answer, Recogniser
    from occsynth.parallel import Progress


class AlignName(StrEnum):
    """What `--align` takes."""

    similarity = "similarity"
    none = "none"


FacesChoice = Literal["largest", "all"]


def predict(
    checkpoint: Annotated[
        Path,
        typer.Option(
            "--checkpoint", metavar="F", help="Run folder, model file, hf://ORG/NAME, or exported .onnx or .pt2 file."
        ),
    ],
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[IMAGE|DIR|VIDEO|-]...",
            help="Images, videos, folders that are searched for them, and - for an image from standard input.",
        ),
    ] = None,
    camera: Annotated[
        int | None,
        typer.Option("--camera", metavar="N", min=0, help="Camera to watch until Ctrl-C, in place of files; often 0."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option("--frames", metavar="N", min=1, help="End after N frames of the camera.")
    ] = None,
    faces: Annotated[
        FacesChoice,
        typer.Option("--faces", help="Faces of each picture that are answered for: the largest, or all, a line each."),
    ] = "largest",
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
    every: Annotated[
        int, typer.Option("--every", metavar="N", min=1, help="Take every Nth frame of a video or camera.")
    ] = 1,
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
        int,
        typer.Option("--batch-size", metavar="N", min=1, help="Faces per call of the model; a camera's never wait."),
    ] = 64,
    overwrite: OverwriteFile = False,
) -> None:
    """Predict the expression of the faces in pictures, videos or a camera's frames, with its probability."""
    from occfer.faces.align import aligner_of
    from occfer.faces.camera import camera_frames
    from occfer.faces.pictures import STDIN, pictures
    from occfer.inference.answer_files import answers_file
    from occfer.load import load

    paths = inputs or []
    _check(paths, camera, frames, STDIN)

    recogniser = load(checkpoint, device=device, batch_size=batch_size if camera is None else 1)
    aligner = aligner_of(recogniser.predictor, align.value if align else "", cropped=cropped)
    if align and align.value != recogniser.info.align:
        say(
            f"faces are aligned by '{aligner.align}', while the model was trained on '{recogniser.info.align}'",
            err=True,
        )
    counts: Counter[str] = Counter()
    others: list[Path] = []
    every_face = faces == "all"
    with ExitStack() as stack:
        found: Iterable[Picture]
        if camera is None:
            found = pictures(paths, every, annotate, others.append)
        else:
            found = camera_frames(camera, every, frames, stack.enter_context(_until_interrupted()))
        info = recogniser.info
        writers = [
            stack.enter_context(answers_file(path, info, every_face=every_face, overwrite=overwrite))
            for path in out or []
        ]
        annotator = None
        if annotate is not None:
            from occfer.inference.annotate import Annotator

            files = [path for path in paths if path != STDIN]
            annotator = stack.enter_context(Annotator(annotate, info.classes, files, overwrite=overwrite))
        prints_at_once = camera is not None and not out
        report = _no_progress if prints_at_once else stack.enter_context(progress_bar())
        stream = _stream(recogniser, aligner, found, every_face=every_face, keep_pixels=annotator is not None)
        answers = _passed_on(stream, writers, annotator, report, counts)
        if out:
            for _ in answers:
                pass
        else:
            _print(answers, _COLUMNS_OF_ALL if every_face else _COLUMNS, at_once=prints_at_once)
    if others:
        first = f"{counted(len(others), 'file')} named neither as a picture nor as a video, such as {others[0]}"
        say(f"passed over: {first}", err=True)
    where = f"camera {camera}" if camera is not None else ", ".join(map(str, paths[:3]))
    _conclude(counts, where, [*(out or []), *([annotate] if annotate else [])])


def _check(inputs: list[Path], camera: int | None, frames: int | None, stdin: Path) -> None:
    """Ends the command where the inputs do not go together."""
    if camera is not None and inputs:
        raise fail(f"--camera {camera} takes no files; leave out {inputs[0]}")
    if camera is None and not inputs:
        raise fail("nothing to look at; give images, videos or folders, - for standard input, or --camera 0")
    if camera is None and frames is not None:
        raise fail(f"--frames {frames} is for --camera alone; --every N takes fewer frames of a video")
    if inputs.count(stdin) > 1:
        raise fail("- is given twice, and standard input holds one image")
    if stdin in inputs and sys.stdin.isatty():
        raise fail("- reads an image from standard input, which is this terminal; send one in, as with < photo.jpg")


@contextmanager
def _until_interrupted() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was typed: until the block ends it ends the frames and not the command. A second one ends both."""
    caught, usual = threading.Event(), signal.getsignal(signal.SIGINT)

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, usual)
        caught.set()

    if usual != signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)
    try:
        yield caught.is_set
    finally:
        signal.signal(signal.SIGINT, usual)


def _no_progress(_phase: str, _done: int, _total: int) -> None:
    """The lines that are printed show how far it is."""


def _stream(
    recogniser: "Recogniser", aligner: "FaceAligner", found: "Iterable[Picture]", *, every_face: bool, keep_pixels: bool
) -> "Iterator[tuple[Picture, Sequence[Answer]]]":
    """Each picture with its answers: one for each face, or one."""
    if every_face:
        yield from recogniser.stream_faces(found, aligner.every, keep_pixels=keep_pixels)
    else:
        for picture, answer in recogniser.stream(found, aligner, keep_pixels=keep_pixels):
            yield picture, [answer]


def _passed_on(
    stream: "Iterator[tuple[Picture, Sequence[Answer]]]",
    writers: "Sequence[WriteAnswer]",
    annotator: "Annotator | None",
    report: "Progress",
    counts: Counter[str],
) -> "Iterator[Answer]":
    """The answers, each written to the files, drawn and counted as it passes.

    They are counted by status, and as `fallback` where the whole picture was taken as a face.
    """
    for done, (picture, answers) in enumerate(stream, start=1):
        for answer in answers:
            for write in writers:
                write(answer)
            counts[answer.status] += 1
            counts["fallback"] += answer.face == "fallback"
        if annotator is not None:
            annotator.write(picture, answers)
        report("predict", done, 0)
        yield from answers


def _print(answers: "Iterator[Answer]", columns: "Mapping[str, Callable[[Answer], str]]", *, at_once: bool) -> None:
    """Prints a line for each answer; with `at_once` as it comes, where a table would wait for the last one."""
    lines = ([cell(answer) for cell in columns.values()] for answer in answers)
    if not at_once:
        table(tuple(columns), lines)
        return
    say(*columns)
    for line in lines:
        say(*line)


def _frame(answer: "Answer") -> str:
    return "" if answer.frame is None else str(answer.frame)


def _note(answer: "Answer") -> str:
    return f"{answer.status}: {answer.fault}" if answer.fault else "" if answer.status == "ok" else answer.status


_COLUMNS: "Mapping[str, Callable[[Answer], str]]" = {
    "source": lambda answer: answer.source,
    "frame": _frame,
    "expression": lambda answer: answer.expression,
    "probability": lambda answer: f"{answer.confidence:.3f}" if answer.expression else "",
    "face": lambda answer: answer.face,
    "note": _note,
}
_COLUMNS_OF_ALL: "Mapping[str, Callable[[Answer], str]]" = {
    "source": lambda answer: answer.source,
    "frame": _frame,
    "face number": lambda answer: str(answer.face_number) if answer.face else "",
    "box": lambda answer: ",".join(f"{value:.0f}" for value in answer.box_xyxy or ()),
    **_COLUMNS,
}


def _conclude(counts: Counter[str], where: str, written: list[Path]) -> None:
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
        raise fail(f"no images or videos in {where}; give files, or folders that hold some")
    if not counts["ok"]:
        raise fail(f"nothing could be predicted: {', '.join(parts[1:])}")
    say(", ".join(parts), err=True)
