"""Raw databases of any size for the benchmarks: demo faces, shifted a little so that no two files are equal."""

from pathlib import Path

import cv2
import numpy as np

from occsynth.databases.demo import ROOT

SIDE_PX = 224


def demo_paths() -> list[Path]:
    """Paths of the 280 demo faces, JPEG files of 224 px."""
    return sorted((ROOT / "images").glob("*/*.jpg"))


def make_faces(folder: Path, count: int) -> Path:
    """Writes `count` JPEG files in class folders, for `--db folder`; no two files have the same pixels."""
    paths = demo_paths()
    decoded = [cv2.imread(str(path)) for path in paths]
    for number in range(count):
        path, image = paths[number % len(paths)], decoded[number % len(paths)]
        if image is None:
            raise RuntimeError(f"{path} cannot be decoded")
        copy, (row, column) = number // len(paths), divmod(number // len(paths), 14)
        moved = np.roll(image, (row - 2, column - 7), axis=(0, 1)) if copy else image
        target = folder / path.stem.partition("_")[2] / f"{path.stem}_{copy:04d}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        done, content = cv2.imencode(".jpg", moved)
        if not done:
            raise RuntimeError(f"{target} cannot be encoded")
        target.write_bytes(content.tobytes())
    return folder
