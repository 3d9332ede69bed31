"""Cut-outs made for tests, and what an import made of them."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from occsynth.pixels.images import Pixels
from occsynth.templates.add import ImportSummary

CREDENTIALS: dict[str, Any] = {"licence": "CC0-1.0", "source_text": "drawn for this test"}


def disc(side: int = 100, radius: int = 40, alpha: int = 255, colour: tuple[int, int, int] = (200, 30, 60)) -> Pixels:
    """`(side, side, 4)`: a disc over green that must not show through anywhere."""
    y, x = np.mgrid[:side, :side] - side // 2
    rgba = np.zeros((side, side, 4), np.uint8)
    rgba[:, :] = (0, 255, 0, 0)
    rgba[x * x + y * y <= radius * radius] = (*colour, alpha)
    return rgba


def save(path: Path, pixels: Pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def index_of(pack: Path) -> dict[str, dict[str, str]]:
    with (pack / "index.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def reason_of(summary: ImportSummary, label: str) -> str:
    return next(each.reason for each in summary.skipped if each.label == label)
