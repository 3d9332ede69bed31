"""What each model makes of a picture: the face as it sees it, clean and with the chosen occlusion, and its answers."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from occfer.data.arrays import Float64Array, Images, Points
from occfer.demo.heat import HeatOfModel, SeenHeat
from occfer.errors import DataError
from occfer.faces.align import FaceAligner, aligner_of
from occfer.faces.chosen_occlusion import Choice, ChosenOccluder
from occfer.faces.pictures import decoded_picture
from occfer.inference.recogniser import Recogniser
from occfer.load import load

MOST_MODELS = 2
LARGEST_PICTURE_BYTES = 32 * 2**20
SHOWABLE = re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM|RIFF....WEBP|....ftypavi[fs]", re.DOTALL)
"""How the files begin that are decoded in memory; OpenCV writes some others, such as HDR, to a file first."""

NO_FACE = "No face was found in this picture. Show a face that is larger, better lit, or turned to the camera."
WHOLE_PICTURE = "No face was found, so the whole picture is taken as one, as this model does with its training faces."


@dataclass(frozen=True, slots=True, eq=False)
class ShownModel:
    """A model on the page.

    Attributes:
        name: what the page calls it.
        recogniser: gives its answers.
        aligner: finds and aligns faces as `occfer predict` does for it, with landmarks.
        heat: says where it looks.
    """

    name: str
    recogniser: Recogniser
    aligner: FaceAligner
    heat: HeatOfModel


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What a model makes of a picture.

    Attributes:
        model: its name and method.
        classes: of the model.
        clean, occluded: `(S, S, 3)` uint8 RGB.
        clean_probabilities, occluded_probabilities: in the order of the classes.
        heat: where it looked.
        record: JSON of the occlusion.
        hidden_fraction: the share of the face that is hidden.
        note: what is unusual; empty otherwise.
    """

    model: str
    classes: Sequence[str]
    clean: Images
    occluded: Images
    clean_probabilities: Float64Array
    occluded_probabilities: Float64Array
    heat: SeenHeat
    record: str
    hidden_fraction: float
    note: str = ""


def open_models(checkpoints: Sequence[Path], device: str) -> list[ShownModel]:
    """The models of the page; raises DataError for more than the page has room for, and what `occfer.load` raises."""
    if len(checkpoints) > MOST_MODELS:
        raise DataError(f"{len(checkpoints)} checkpoints: the page shows at most {MOST_MODELS}, side by side")
    models = []
    for path in checkpoints:
        recogniser = load(path, device=device)
        aligner = replace(aligner_of(recogniser.predictor), with_points=True)
        models.append(ShownModel(f"{path} ({recogniser.info.method})", recogniser, aligner, HeatOfModel(path, device)))
    return models


def read_shown(address: str) -> Images:
    """The pixels of a picture as the browser sends it, a `data:` address; raises DataError if it is none."""
    if len(address) > LARGEST_PICTURE_BYTES * 4 // 3:
        raise DataError(f"The picture is larger than {LARGEST_PICTURE_BYTES // 2**20} MiB. Make it smaller.")
    try:
        content = base64.b64decode(address.partition(";base64,")[2], validate=True)
    except binascii.Error as error:
        raise DataError("The picture did not arrive whole. Show it again.") from error
    if not SHOWABLE.match(content):
        raise DataError("This file is not a PNG, JPEG, WebP, GIF, BMP or AVIF picture. Convert it to PNG or JPEG.")
    return decoded_picture(content)


def views(models: Sequence[ShownModel], pixels: Images, occluder: ChosenOccluder, choice: Choice) -> list[View]:
    """What each model makes of a picture; those that see the same face of it get the same occlusion.

    Raises:
        DataError: a model finds no face, or the mode cannot be drawn as chosen.
    """
    return [_view(model, pixels, occluder, choice) for model in models]


def _view(model: ShownModel, pixels: Images, occluder: ChosenOccluder, choice: Choice) -> View:
    face = model.aligner(pixels)
    if face is None:
        raise DataError(NO_FACE)
    occluded = occluder(face, choice, pixels)
    return View(
        model=model.name,
        classes=model.recogniser.info.classes,
        clean=face.image,
        occluded=occluded.image,
        clean_probabilities=_answer(model, face.image, face.points_xy),
        occluded_probabilities=_answer(model, occluded.image, _points_of(model, occluded.image)),
        heat=model.heat(face.image, occluded.image, occluded.mask),
        record=occluded.record,
        hidden_fraction=occluded.hidden_fraction,
        note=WHOLE_PICTURE if face.how == "fallback" else "",
    )


def _answer(model: ShownModel, image: Images, points_xy: Points | None) -> Float64Array:
    points = None if points_xy is None else points_xy[None]
    return np.asarray(model.recogniser.predict(image[None], points).probabilities[0], dtype=np.float64)


def _points_of(model: ShownModel, image: Images) -> Points | None:
    """The landmarks as they are found on the occluded face itself, for models that need some."""
    if not model.recogniser.predictor.needs_points:
        return None
    face = replace(model.aligner, align="none")(image)
    return None if face is None else face.points_xy
