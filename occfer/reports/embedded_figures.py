"""The figures of a report as data inside the page."""

import base64
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from occfer.errors import OccFERError
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

KINDS = {".png": "png", ".svg": "svg+xml"}
FACES = 7


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure inside the page.

    Attributes:
        uri: the picture itself, base64.
        caption: below it.
        wide: whether it needs the width of the page.
    """

    uri: str
    caption: str
    wide: bool = True


def embed(path: Path) -> str:
    """A PNG or SVG file as a data URI."""
    return f"data:image/{KINDS[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def embed_figure(figure: Figure) -> str:
    """A figure as an SVG inside a data URI; the same figure gives the same text."""
    with tempfile.TemporaryDirectory() as folder:
        return embed(save(figure, Path(folder) / "figure.svg"))


def answers_drawn(predictions: Predictions, title: str) -> Iterator[Drawing]:
    """Confusions and calibration of some answers."""
    summary = summarise(predictions)
    yield Drawing(
        embed_figure(confusion_figure(summary, title)), f"Confusions of {title}: counts, and shares of a row."
    )
    figure = reliability_figure(predictions, title)
    yield Drawing(embed_figure(figure), f"Calibration of {title}: accuracy against confidence.", wide=False)


def profile_drawn(found: Profile) -> Drawing:
    """The five panels of a robustness profile."""
    models = " and ".join(model.title for model in found.models)
    return Drawing(embed_figure(profile_figure(found)), f"Robustness profile of {models} on {found.tested}.")


def has_decoder(method: str) -> bool:
    """Whether a method restores faces."""
    row = METHOD_TABLE.get(method)
    return row is not None and row.needs_decoder


def reconstruction_drawn(model: Path, manifests: Sequence[KnownManifest], device: str) -> Drawing | str:
    """What a model's decoder makes of occluded faces, or why that cannot be drawn.

    Args:
        model: the run folder of a method with a decoder.
        manifests: of which those that are still there are used.
        device: `auto`, `cpu` or `cuda`.
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
        return Drawing(embed(out), caption)
