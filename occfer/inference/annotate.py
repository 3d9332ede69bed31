"""Answers drawn on their pictures and videos: the face's box, its expression, and a bar for each class."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from occfer.data.arrays import Images
from occfer.errors import DataError
from occfer.faces.face import Picture
from occfer.inference.recogniser import Answer
from occsynth.escapes import for_figure
from occsynth.files import replacing
from occsynth.ownership import owned_folder

BLUE, ORANGE, GREY, INK, PAPER = "#0072B2", "#D55E00", "#777777", "#222222", "#FFFFFF"
LEAST_SIDE_PX = 320  # smaller pictures are enlarged, so that the text fits
TEXT_FRACTION = 1 / 26  # of the picture's shorter side
LEAST_TEXT_PX, MOST_TEXT_PX = 12, 40
KEPT_ENDINGS = (".png", ".jpg", ".jpeg")
USUAL_FRAMES_PER_S = 25.0
NAME_LETTERS = 30  # the longest name of a class that is drawn whole


def draw(pixels: Images, answers: Sequence[Answer], classes: Sequence[str]) -> Images:
    """The picture with each face's box and expression, and to its right a bar for each class.

    Args:
        pixels: `(H, W, 3)` uint8 RGB; they are not changed.
        answers: to the picture, of any status; boxes of several faces bear their numbers, and the bars are the first's.
        classes: of the model.

    Returns:
        `(H', W', 3)` uint8 RGB. Its size depends only on that of the picture, and its sides are even, as video codecs
        require.
    """
    picture = Image.fromarray(pixels)
    scale = max(1.0, LEAST_SIDE_PX / min(picture.size))
    if scale > 1:
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    text_px = round(min(max(min(picture.size) * TEXT_FRACTION, LEAST_TEXT_PX), MOST_TEXT_PX))
    font = ImageFont.load_default(text_px)
    panel_wh = _panel_wh(classes, font, text_px)
    width, height = picture.width + panel_wh[0], max(picture.height, panel_wh[1])
    canvas = Image.new("RGB", (width + width % 2, height + height % 2), PAPER)
    canvas.paste(picture)
    pen = ImageDraw.Draw(canvas)
    for answer in reversed(answers):  # the largest face last, over the others
        if answer.status == "ok" and answer.box_xyxy is not None:
            number = f"{answer.face_number}: " if len(answers) > 1 else ""
            _box(pen, picture.size, [scale * (value + 0.5) - 0.5 for value in answer.box_xyxy], number, answer, font)
    _bars(pen, picture.width, answers, classes, font, text_px)
    return np.asarray(canvas, dtype=np.uint8)


def _shown(name: str) -> str:
    return for_figure(name, NAME_LETTERS)


def _panel_wh(classes: Sequence[str], font: Any, text_px: int) -> tuple[int, int]:
    widest = max(map(font.getlength, map(_shown, classes)))
    return round(widest) + 12 * text_px, round((1.6 * len(classes) + 3) * text_px)


def _box(pen: Any, picture_wh: tuple[int, int], box_xyxy: list[float], number: str, answer: Answer, font: Any) -> None:
    """The box, clipped to the picture, and the expression above it, or inside it if there is no room above."""
    line_px = max(2, round(font.size / 8))
    left, top = (max(0.0, value) for value in box_xyxy[:2])
    right = min(picture_wh[0] - 1.0, box_xyxy[2])
    bottom = min(picture_wh[1] - 1.0, box_xyxy[3])
    if right <= left or bottom <= top:
        return
    pen.rectangle((left, top, right, bottom), outline=ORANGE, width=line_px)
    label = f"{number}{_shown(answer.expression)} {answer.confidence:.2f}"
    length, tall = font.getlength(label) + font.size * 0.6, font.size * 1.4
    x = max(0.0, min(left, picture_wh[0] - length))
    y = top - tall if top >= tall else top
    pen.rectangle((x, y, x + length, y + tall), fill=ORANGE)
    pen.text((x + font.size * 0.3, y + tall / 2), label, fill=PAPER, font=font, anchor="lm")


def _bars(pen: Any, start_px: int, answers: Sequence[Answer], classes: Sequence[str], font: Any, text_px: int) -> None:
    left, answer = start_px + text_px, answers[0]
    if answer.status != "ok":
        pen.text((left, 1.5 * text_px), answer.status, fill=INK, font=font, anchor="lm")
        return
    names_px = max(map(font.getlength, map(_shown, classes)))
    bar, full = left + names_px + 0.5 * text_px, 6.5 * text_px
    for index, (name, value) in enumerate(zip(classes, answer.probabilities, strict=True)):
        y = (1.6 * index + 1.5) * text_px
        colour = ORANGE if name == answer.expression else BLUE
        pen.text((left, y), _shown(name), fill=INK, font=font, anchor="lm")
        pen.line((bar, y - 0.5 * text_px, bar, y + 0.5 * text_px), fill=GREY)
        pen.rectangle((bar, y - 0.4 * text_px, bar + full * value, y + 0.4 * text_px), fill=colour)
        pen.text((bar + full * value + 0.3 * text_px, y), f"{value:.2f}", fill=INK, font=font, anchor="lm")
    notes = {
        "fallback": "no face found:\nthe picture was\ntaken to be one",
        "whole": "the picture was\ntaken to be a face",
    }
    note = f"face 1 of {len(answers)}" if len(answers) > 1 else notes.get(answer.face, "")
    if note:
        small = ImageFont.load_default(0.7 * text_px)
        pen.text((left, (1.6 * len(classes) + 1) * text_px), note, fill=GREY, font=small)


class Annotator:
    """Writes pictures and videos with their answers drawn on them; the end of the with block ends the last video.

    An image keeps its name, with .png added if it is neither PNG nor JPEG; a video becomes .mp4. The folder must be
    new, empty or of an Annotator, and belongs to this one during the with block.

    Args:
        folder: that they are written to.
        classes: of the model.
        inputs: files and folders that the pictures come from.
        overwrite: whether other files in the folder may be replaced, though never the pictures.
    """

    def __init__(
        self, folder: Path, classes: Sequence[str], inputs: Sequence[Path] = (), *, overwrite: bool = False
    ) -> None:
        self._folder = folder
        self._classes = classes
        self._inputs = inputs
        self._overwrite = overwrite
        self._owned = ExitStack()
        self._video_file = ExitStack()
        self._video: cv2.VideoWriter | None = None
        self._video_wh = (0, 0)
        self._video_name = ""

    def __enter__(self) -> "Annotator":
        """Claims the folder; raises DataError if the pictures lie in it, or it holds files of somebody else."""
        for path in self._inputs:
            if path.resolve().is_relative_to(self._folder.resolve()):
                raise DataError(f"--annotate {self._folder} would replace {path} itself; choose another folder")
        self._owned.enter_context(owned_folder(self._folder, "occfer predict", DataError, overwrite=self._overwrite))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._owned, self._explained():
            if error is None:
                self._end_video()
            elif self._video is not None:
                self._video.release()
                self._video_file.__exit__(kind, error, trace)

    def write(self, picture: Picture, answers: Sequence[Answer]) -> None:
        """Draws one picture with the answers to its faces; one without pixels is skipped.

        Frames of a video must follow each other.

        Raises:
            DataError: the drawing would replace the picture itself, or cannot be written.
        """
        with self._explained():
            self._write(picture, answers)

    def _write(self, picture: Picture, answers: Sequence[Answer]) -> None:
        if picture.frame is None or picture.name != self._video_name:
            self._end_video()
        if picture.pixels is None:
            return
        drawn = cv2.cvtColor(draw(picture.pixels, answers, self._classes), cv2.COLOR_RGB2BGR)
        if picture.frame is None:
            kept = picture.name.lower().endswith(KEPT_ENDINGS)
            path = self._path(picture, picture.name if kept else f"{picture.name}.png")
            with replacing(path, ending=path.suffix) as part:
                if not cv2.imwrite(str(part), drawn):
                    raise DataError(f"--annotate {self._folder}: {path} cannot be written; free some space")
            return
        wh = (drawn.shape[1], drawn.shape[0])
        if self._video is None:
            self._start_video(picture, wh)
        if wh != self._video_wh:  # the size of a stream's frames may change
            drawn = cv2.resize(drawn, self._video_wh, interpolation=cv2.INTER_AREA)
        if self._video is not None:
            self._video.write(drawn)

    def _path(self, picture: Picture, name: str) -> Path:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        source = Path(picture.source)  # a camera and standard input are no files
        # the folder of the pictures may be linked to from this one
        if path.exists() and source.exists() and path.samefile(source):
            raise DataError(f"--annotate {self._folder} would replace {picture.source} itself; choose another folder")
        return path

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DataError(f"--annotate {self._folder} cannot be written to ({error.strerror or error})") from error

    def _start_video(self, picture: Picture, wh: tuple[int, int]) -> None:
        name = picture.name if picture.name.lower().endswith(".mp4") else f"{picture.name}.mp4"
        path = self._path(picture, name)
        part = self._video_file.enter_context(replacing(path, ending=path.suffix))
        rate = picture.frames_per_s if picture.frames_per_s > 0 else USUAL_FRAMES_PER_S
        video = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"mp4v"), rate, wh)
        if not video.isOpened():
            raise DataError(f"--annotate {self._folder}: {path} cannot be written as a video")
        self._video, self._video_wh, self._video_name = video, wh, picture.name

    def _end_video(self) -> None:
        if self._video is not None:
            self._video.release()
        self._video, self._video_name = None, ""
        self._video_file.close()  # the video gets its name
