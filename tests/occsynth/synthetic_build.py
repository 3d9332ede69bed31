"""Small builds made by hand: tests of code that reads a manifest control every row, name and pixel of it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from occsynth.files import write_atomic
from occsynth.manifest import Manifest, ManifestInfo, Row, open_manifest, write_rows
from occsynth.modes.occlusion import Occlusion
from occsynth.pixels.images import encode

CLASSES = ("anger", "happiness", "neutral")
CATEGORIES = ("food", "hand", "drink")
SIZE_PX = 48

BLANK = Row(
    pair_id="",
    database="made",
    subject="",
    expression="neutral",
    split="",
    fold=None,
    mode="r16",
    clean="",
    occluded="",
    mask="",
    clean_pixels_sha256="",
    occluded_pixels_sha256="",
    mask_pixels_sha256="",
    source="",
    source_sha256="",
    source_pixels_sha256="",
    align="",
    landmarks="found",
    occlusion="",
    coverage_face=None,
    coverage_eyes=None,
    coverage_mouth=None,
    seed=0,
)


def template_occlusion(category: str, name: str, *, partial: bool = False) -> str:
    """The JSON of an occlusion by a template."""
    affine = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    file = f"{category}/{name}.png"
    record = Occlusion("template", file, "0" * 64, category, sprite_wh=(9, 9), affine=affine, partial=partial)
    return record.to_json()


def paired_row(number: int) -> Row:
    """The row of a pair; classes, subjects, folds and categories alternate with the number."""
    pair_id = f"s{number % 4:02}/face_{number:03}"
    return replace(
        BLANK,
        pair_id=pair_id,
        subject=f"s{number % 4:02}",
        expression=CLASSES[number % len(CLASSES)],
        fold=number % 2,
        clean=f"data/clean/{pair_id}.png",
        occluded=f"data/occluded/{pair_id}.png",
        mask=f"data/mask/{pair_id}.png",
        source=f"{pair_id}.jpg",
        occlusion=template_occlusion(CATEGORIES[number // 3 % 3], f"thing_{number % 5}"),
        coverage_face=number % 10 / 20,
        coverage_eyes=number % 5 / 5,
        coverage_mouth=0.0,
    )


def real_row(number: int) -> Row:
    """The row of a real occlusion: no clean image, mask, occlusion or coverage."""
    pair = paired_row(number)
    kept = {name: getattr(pair, name) for name in ("pair_id", "subject", "expression", "source")}
    return replace(BLANK, **kept, split="test", mode="real", occluded=f"data/occluded/{pair.pair_id}.png")


def make_build(
    root: Path,
    rows: int = 12,
    *,
    name: str = "made-r16",
    row_of: Callable[[int], Row] = paired_row,
    landmarks: bool = True,
    **info: Any,
) -> Manifest:
    """Writes a build of numbered rows under `root`, with every image that a row names."""
    made = sorted((row_of(number) for number in range(rows)), key=lambda row: row.pair_id)
    for number, row in enumerate(made):
        _write_images(root, row, number)
    folder = root / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    mode = made[0].mode if made else "r16"
    settings = ManifestInfo(name, "made", "", mode, 0, SIZE_PX, "template", [], "none", "png", rows=rows, sources=rows)
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        write_rows(file, made)
    (folder / f"{name}.json").write_text(replace(settings, **info).dumps(), encoding="utf-8")
    if landmarks:
        points = np.random.default_rng(0).uniform(4, SIZE_PX - 4, (rows, 68, 2)).astype(np.float32)
        np.savez(folder / f"{name}.landmarks.npz", pair_ids=np.array([row.pair_id for row in made]), points_xy=points)
    return open_manifest(folder / f"{name}.csv")


def _write_images(root: Path, row: Row, number: int) -> None:
    """Writes a face-like clean image, the same image with a square on it, and the mask of the square."""
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] / SIZE_PX - 0.5
    clean = np.full((SIZE_PX, SIZE_PX, 3), (120, 140, 160), np.uint8)
    clean[x**2 / 0.12 + y**2 / 0.2 < 1] = (220 - 3 * (number % 30), 180 - 4 * (number % 30), 150)
    for place in (-0.15, 0.15):
        clean[(x - place) ** 2 + (y + 0.1) ** 2 < 0.004] = (30, 30, 40)
    mask = np.zeros((SIZE_PX, SIZE_PX), np.uint8)
    start = 3 * number % 30
    mask[start : start + 16, 10:26] = 255
    occluded = clean.copy()
    occluded[mask > 0] = (200, 60, 20)
    for path, pixels in ((row.clean, clean), (row.occluded, occluded), (row.mask, mask)):
        if path:
            write_atomic(root / path, encode(pixels, "png"))
