"""The figures of a report, as data inside the page."""

import base64
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from occfer.errors import OccFERError, ReportError
from occfer.evaluation.profile import Profile
from occfer.evaluation.profile_figure import profile_figure
from occfer.evaluation.reconstruct import ReconstructOptions, reconstruct
from occfer.evaluation.result_folders import KnownManifest
from occfer.method_table import METHOD_TABLE
from occfer.metrics.figure_files import save
from occfer.metrics.figures import confusion_figure, reliability_figure
from occfer.metrics.predictions import Predictions
from occfer.metrics.summary import summarise
from occfer.runs.run_folder import RunPaths
from occsynth.reading import read_bytes

IMAGE_TYPES = {".png": "png", ".svg": "svg+xml"}
FACES = 7


@dataclass(frozen=True, slots=True)
class EmbeddedFigure:
    """A figure inside the page.

    Attributes:
        uri: the image itself, as a data URI.
        caption: the text below it, and for those who cannot see it.
        wide: whether it needs the width of the page.
    """

    uri: str
    caption: str
    wide: bool = True


def data_uri(path: Path) -> str:
    """A PNG or SVG file as a data URI."""
    content = read_bytes(path, ReportError)
    return f"data:image/{IMAGE_TYPES[path.suffix]};base64,{base64.b64encode(content).decode()}"


def _drawn_uri(figure: Figure) -> str:
    """A figure as an SVG in a data URI; the same figure gives the same text."""
    with tempfile.TemporaryDirectory() as folder:
        return data_uri(save(figure, Path(folder) / "figure.svg"))


def embed_predictions(predictions: Predictions, title: str) -> Iterator[EmbeddedFigure]:
    """The confusions and the calibration of some predictions."""
    confusions = confusion_figure(summarise(predictions), title)
    yield EmbeddedFigure(_drawn_uri(confusions), f"Confusions of {title}: counts, and shares of each truth.")
    calibration = reliability_figure(predictions, title)
    caption = f"Calibration of {title}: accuracy against confidence."
    yield EmbeddedFigure(_drawn_uri(calibration), caption, wide=False)


def embed_profile(profile: Profile) -> EmbeddedFigure:
    """The five panels of a robustness profile."""
    models = " and ".join(model.title for model in profile.models)
    return EmbeddedFigure(_drawn_uri(profile_figure(profile)), f"Robustness profile of {models} on {profile.tested}.")


def has_decoder(method: str) -> bool:
    """Whether a method trains a decoder that restores faces."""
    known = METHOD_TABLE.get(method)
    return known is not None and known.needs_decoder


def embed_reconstructions(model: Path, manifests: Sequence[KnownManifest], device: str) -> EmbeddedFigure | str:
    """What a model's decoder makes of occluded faces, or in a sentence why that cannot be drawn.

    Args:
        model: the run folder of a method with a decoder.
        manifests: those of the run; the ones that are still there are used.
        device: `auto`, `cpu`, `cuda` or `mps`.
    """
    there = tuple(dict.fromkeys(each.path for each in manifests if each.path is not None))
    if not RunPaths(model).best.is_file() or not there:
        what = "its manifests were" if RunPaths(model).best.is_file() else "its model was"
        return f"{model}: no reconstructions, since {what} not found"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "reconstruction.png"
        options = ReconstructOptions(checkpoint=model, manifests=there, faces=FACES, device=device, out=out)
        try:
            found = reconstruct(options)
        except OccFERError as error:
            return f"{model}: no reconstructions ({error})"
        caption = f"Clean, occluded and reconstructed faces of {model}; mean squared error {found.error:.4f}."
        return EmbeddedFigure(data_uri(out), caption)
