"""Files of answers, CSV or JSON: written as the answers come, and complete or not there at all."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from occfer.errors import DataError
from occfer.inference.recogniser import Answer
from occfer.runs.model_info import ModelInfo
from occsynth.escapes import for_csv
from occsynth.files import replacing
from occsynth.ownership import refuse_foreign_file

ENDINGS = (".csv", ".json")
PROBABILITY = "p_"
BEFORE = ("source", "frame", "status", "expression")
AFTER = ("face", "left", "top", "right", "bottom", "other_faces", "fault")
FACE_NUMBER = "face_number"

_LOOKED_AT_BYTES = 65_536
_HEADER = rf"{','.join(BEFORE)}(,{PROBABILITY}[^,\n]+)+,{','.join(AFTER)}(,{FACE_NUMBER})?\n"
_BEGINNING = re.compile(_HEADER.encode() + rb'|\{"model": \{"method": .*\},\n"answers": \[')

WriteAnswer = Callable[[Answer], None]


@contextmanager
def answers_file(
    path: Path, info: ModelInfo, *, every_face: bool = False, overwrite: bool = False
) -> Iterator[WriteAnswer]:
    """A function that writes one answer; the file gets its name when the block ends without an error.

    Args:
        path: ends in .csv or .json; an existing file of answers is replaced.
        info: of the model.
        every_face: whether a picture may have several answers, which then say the number of their face.
        overwrite: whether another file of that name may be replaced too.

    Raises:
        DataError: the path has another ending, or the file cannot be written, or is there and holds no answers.
    """
    if path.suffix not in ENDINGS:
        raise DataError(f"-o {path}: the name of a file of answers must end in {' or '.join(ENDINGS)}")
    refuse_foreign_file(path, "occfer predict", DataError, overwrite=overwrite, is_own=_holds_answers)
    form = _csv if path.suffix == ".csv" else _json
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            replacing(path) as part,
            # A file name that is not UTF-8 is written with escapes: it must not end a long prediction.
            part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
            form(file, info, every_face) as write,
        ):
            yield _explained(write, path)
    except OSError as error:
        raise _unwritable(path, error) from error


def _holds_answers(path: Path) -> bool:
    """Whether a file begins as files of answers do: neither CSV nor this JSON has a place for a mark."""
    try:
        with path.open("rb") as file:
            return _BEGINNING.match(file.read(_LOOKED_AT_BYTES)) is not None
    except OSError:
        return False


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(f"-o {path} cannot be written ({error.strerror or error}); free some space or choose another file")


def _explained(write: WriteAnswer, path: Path) -> WriteAnswer:
    def explained(answer: Answer) -> None:
        try:
            write(answer)
        except OSError as error:
            raise _unwritable(path, error) from error

    return explained


@contextmanager
def _csv(file: TextIO, info: ModelInfo, every_face: bool) -> Iterator[WriteAnswer]:
    writer = csv.writer(file, lineterminator="\n")
    after = (*AFTER, *([FACE_NUMBER] if every_face else []))
    writer.writerow(map(for_csv, (*BEFORE, *(f"{PROBABILITY}{name}" for name in info.classes), *after)))

    def write(answer: Answer) -> None:
        frame = "" if answer.frame is None else answer.frame
        probabilities = [f"{value:.9g}" for value in answer.probabilities] or [""] * len(info.classes)
        box = [f"{value:.1f}" for value in answer.box_xyxy or ()] or [""] * 4
        others = answer.other_faces if answer.face else ""
        before = (answer.source, frame, answer.status, answer.expression)
        number = [answer.face_number if answer.face else ""] if every_face else []
        writer.writerow(map(for_csv, (*before, *probabilities, answer.face, *box, others, answer.fault, *number)))

    yield write


@contextmanager
def _json(file: TextIO, info: ModelInfo, every_face: bool) -> Iterator[WriteAnswer]:
    about = {"method": info.method, "size_px": info.size_px, "align": info.align, "classes": list(info.classes)}
    file.write(f'{{"model": {json.dumps(about)},\n"answers": [')
    separator = "\n"

    def write(answer: Answer) -> None:
        nonlocal separator
        entry = _entry(answer, info.classes)
        if every_face and answer.face:
            entry[FACE_NUMBER] = answer.face_number
        file.write(separator + json.dumps(entry, ensure_ascii=False))
        separator = ",\n"

    yield write
    file.write("\n]}\n")


def _entry(answer: Answer, classes: Sequence[str]) -> dict[str, Any]:
    """One answer as JSON values; keys without a value are left out."""
    entry: dict[str, Any] = {"source": answer.source}
    if answer.frame is not None:
        entry["frame"] = answer.frame
    entry["status"] = answer.status
    if answer.fault:
        entry["fault"] = answer.fault
    if answer.status == "ok":
        entry["expression"] = answer.expression
        rounded = (float(f"{value:.9g}") for value in answer.probabilities)
        entry["probabilities"] = dict(zip(classes, rounded, strict=True))
        entry["face"] = answer.face
        entry["box_xyxy"] = [round(value, 1) for value in answer.box_xyxy or ()]
        entry["other_faces"] = answer.other_faces
    return entry
