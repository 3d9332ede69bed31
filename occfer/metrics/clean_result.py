"""The result on the clean faces of tested pairs, in a folder inside that of the result on the occluded ones."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from occfer.metrics.clean_faces import on_clean_faces
from occfer.metrics.predictions import Predictions
from occfer.metrics.result_files import PREDICTIONS, read_result, write_result
from occfer.metrics.summary import summarise

FOLDER = "clean-faces"
KEY = "clean"
"""What metrics.json of the result on occluded faces says of it."""


def write_clean_result(
    folder: Path, about: Mapping[str, Any], clean: Predictions, occluded: Predictions
) -> dict[str, Any]:
    """Writes `clean-faces/predictions.csv` and `clean-faces/metrics.json`.

    Args:
        folder: of the result on the occluded faces.
        about: what metrics.json says beside the figures.
        clean, occluded: answers to the clean and to the occluded faces of the same pairs.

    Returns:
        What metrics.json of the result on the occluded faces says of it: accuracy and drop, under `clean`.
    """
    inside = folder / FOLDER
    inside.mkdir(parents=True, exist_ok=True)
    write_result(inside, clean, dict(about) | {"view": "clean"} | summarise(clean))
    return {KEY: on_clean_faces([clean], [occluded]).to_json()}


def read_clean_result(folder: Path) -> Predictions | None:
    """The answers to the clean faces of a result; None where there are none, as in results of version 0.1.

    Raises:
        ReportError: they are damaged.
    """
    inside = folder / FOLDER
    return read_result(inside) if (inside / PREDICTIONS).is_file() else None
