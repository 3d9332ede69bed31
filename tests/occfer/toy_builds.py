"""Small build roots to train on: pictures whose pattern follows their class, with a manifest as occsynth writes it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from occfer.models import BACKBONES, Backbone
from occsynth.manifest import ManifestInfo, Row, write_rows

WORDS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
EIGHT_WORDS = (*WORDS, "contempt")


class TinyNetwork(nn.Module):
    """A backbone small enough for many training runs, with batch norm and dropout like the real ones."""

    def __init__(self, weights: None = None) -> None:
        super().__init__()
        channels = (3, 8, 16, 16)
        for index in range(3):
            block = nn.Sequential(
                nn.Conv2d(channels[index], channels[index + 1], 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(channels[index + 1]),
                nn.ReLU(),
            )
            self.add_module(f"block{index}", block)
        self.last = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(32, 1000)

    def forward(self, images: Tensor) -> Tensor:
        raise NotImplementedError("the classifier runs the parts")


def add_tiny_backbone() -> None:
    """Puts the backbone `tiny` into occfer's table, in this process."""
    trunk = ("block0", "block1", "block2", "last", "drop")
    weights = "ResNet18_Weights.IMAGENET1K_V1"
    BACKBONES["tiny"] = Backbone(TinyNetwork, weights, trunk, "block2", 16, "fc", "fc", small_stem=("block0.0",))


@dataclass(frozen=True)
class Build:
    """What a test's build looks like.

    Attributes:
        subjects: how many people; each shows every expression once. 0: no subjects are known.
        folds: subject-disjoint folds, or 0.
        splits: values of the column `split`, dealt out to the subjects in turn.
        edit: changes the rows before they are written.
        landmarks: whether the 68 points of each face are written beside the manifest.
    """

    name: str = "toy-r16"
    database: str = "toy"
    mode: str = "r16"
    subjects: int = 6
    words: tuple[str, ...] = WORDS
    folds: int = 3
    splits: tuple[str, ...] = ()
    size_px: int = 24
    seed: int = 0
    edit: Callable[[list[Row]], list[Row]] | None = None
    withheld: tuple[str, ...] = ()
    landmarks: bool = False


def write_build(root: Path, build: Build) -> Path:
    rows = [_row(root, build, subject, word) for subject in range(max(build.subjects, 1)) for word in build.words]
    rows.sort(key=lambda row: row.pair_id)
    if build.edit is not None:
        rows = build.edit(rows)
    folder = root / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{build.name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write_rows(file, rows)
    info = ManifestInfo(
        name=build.name, database=build.database, variant="toy", mode=build.mode, seed=build.seed,
        size_px=build.size_px, fill="noise", categories=[], align="none", format="png", rows=len(rows),
        withheld=list(build.withheld),
    )  # fmt: skip
    path.with_suffix(".json").write_text(info.dumps())
    if build.landmarks:
        points_xy = np.stack([face_points(build, int(row.pair_id[1:4]), row.expression) for row in rows])
        np.savez(folder / f"{build.name}.landmarks.npz", pair_ids=[row.pair_id for row in rows], points_xy=points_xy)
    return path


def _row(root: Path, build: Build, subject: int, word: str) -> Row:
    pair_id = f"s{subject:03d}_{word}"
    clean, occluded, mask = pictures(build, subject, word)
    clean_path = f"data/{build.database}-{build.size_px}px/clean/{pair_id}.png"
    made = f"data/{build.name}"
    for relative, image in (
        (clean_path, clean),
        (f"{made}/occluded/{pair_id}.png", occluded),
        (f"{made}/mask/{pair_id}.png", mask),
    ):
        (root / relative).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / relative), image if image.ndim == 2 else image[:, :, ::-1])
    return Row(
        pair_id=pair_id, database=build.database, subject=f"s{subject:03d}" if build.subjects else "",
        expression=word, split=build.splits[subject % len(build.splits)] if build.splits else "",
        fold=subject % build.folds if build.folds else None, mode=build.mode, clean=clean_path,
        occluded=f"{made}/occluded/{pair_id}.png", mask=f"{made}/mask/{pair_id}.png",
        clean_pixels_sha256=sha256(clean), occluded_pixels_sha256=sha256(occluded), mask_pixels_sha256=sha256(mask),
        source=f"{pair_id}.png", source_sha256=sha256(clean)[::-1], source_pixels_sha256=sha256(clean)[::-1],
        align="{}", landmarks="found", occlusion="{}", coverage_face=0.1, coverage_eyes=0.0, coverage_mouth=0.5,
        seed=build.seed,
    )  # fmt: skip


def sha256(image: npt.NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def pictures(build: Build, subject: int, word: str) -> tuple[npt.NDArray[np.uint8], ...]:
    """A clean picture with stripes whose direction and colour follow the class, its occluded twin, and the mask."""
    size, index = build.size_px, EIGHT_WORDS.index(word)
    rng = np.random.default_rng([build.seed, subject, index, len(build.database)])
    y, x = np.mgrid[:size, :size] / size
    angle = np.pi * index / len(WORDS)
    stripes = np.sin(2 * np.pi * (2 + index % 3) * (x * np.cos(angle) + y * np.sin(angle)) + subject)
    colour = np.array([index % 2, index // 2 % 2, index // 4 % 2]) * 60 + 60
    clean = np.clip(colour + 50 * stripes[..., None] + rng.normal(0, 8, (size, size, 3)), 0, 255).astype(np.uint8)
    side = size // 3
    top, left = np.random.default_rng([len(build.mode), subject, index]).integers(0, size - side, 2)
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[top : top + side, left : left + side] = 255
    noise = rng.integers(0, 256, clean.shape, dtype=np.uint8)
    return clean, np.where(mask[..., None] > 0, noise, clean), mask


def face_points(build: Build, subject: int, word: str) -> npt.NDArray[np.float32]:
    """`(68, 2)` iBUG points of a simple drawn face, a little different for each picture; pixels."""

    def oval(x: float, y: float, width: float, height: float, degrees: npt.ArrayLike) -> npt.NDArray[np.float64]:
        turn = np.radians(degrees)
        return np.stack([x + width / 2 * np.cos(turn), y - height / 2 * np.sin(turn)], axis=1)

    six = [180, 120, 60, 0, -60, -120]
    parts = [
        oval(0.5, 0.45, 0.76, 0.94, np.linspace(180, 360, 17)),
        *(oval(x, 0.32, 0.24, 0.1, np.linspace(170, 10, 5)) for x in (0.31, 0.69)),
        np.stack([np.full(4, 0.5), np.linspace(0.4, 0.56, 4)], axis=1),
        oval(0.5, 0.6, 0.16, 0.06, np.linspace(180, 360, 5)),
        *(oval(x, 0.4, 0.14, 0.06, six) for x in (0.32, 0.68)),
        oval(0.5, 0.76, 0.3, 0.14, 180 - 30 * np.arange(12)),
        oval(0.5, 0.76, 0.2, 0.05, 180 - 45 * np.arange(8)),
    ]
    rng = np.random.default_rng([build.seed, subject, EIGHT_WORDS.index(word), 68])
    return ((np.concatenate(parts) + rng.normal(0, 0.01, (68, 2))) * build.size_px).astype(np.float32)


def edited(change: Callable[[Row], Row | None]) -> Callable[[list[Row]], list[Row]]:
    """For `Build.edit`: a change to each row; None drops it."""

    def edit(rows: list[Row]) -> list[Row]:
        return [new for row in rows if (new := change(row)) is not None]

    return edit


def without_clean(row: Row) -> Row:
    """The row as mode `real` writes it."""
    return replace(row, mode="real", clean="", mask="", clean_pixels_sha256="", mask_pixels_sha256="", occlusion="")
