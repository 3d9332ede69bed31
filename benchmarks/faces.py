"""Raw databases of any size for the benchmarks: demo faces, each a little different, so that no cache knows them."""

from pathlib import Path

import cv2
import numpy as np

from occsynth.databases.demo import ROOT

SIDE_PX = 224


def demo_paths() -> list[Path]:
    """The 280 demo faces, 224 px JPEG files."""
    return sorted((ROOT / "images").glob("*/*.jpg"))


def make_faces(folder: Path, count: int) -> Path:
    """`count` JPEG files in class folders, for `--db folder`; every file has other pixels than all others."""
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
