"""Makes `occsynth/assets/face_geometry/canonical_face.csv`: the mean of the demo faces in the ArcFace frame.

The 478 landmarks of each demo face are moved onto the ArcFace template by the similarity that fits five points (eye
centres, nose tip, mouth corners), and then averaged. Run it in the repository: `python docs/face_geometry_tool.py`.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from occsynth.faces.align import ARCFACE_112_XY
from occsynth.faces.landmarks import detect_landmarks
from occsynth.faces.regions import GEOMETRY_FOLDER, MESH_POINTS, fit_similarity, five_points, transform_points
from occsynth.pixels.images import read_rgb

DEMO_FACES = GEOMETRY_FOLDER.parent / "demo_faces" / "images"


def mean_face(paths: Iterable[Path]) -> npt.NDArray[np.float64]:
    """`(478, 2)` mean of the aligned faces in these images; raises ValueError for an image without a face."""
    total, count = np.zeros((MESH_POINTS, 2)), 0
    for path in paths:
        landmarks = detect_landmarks(read_rgb(path))
        if landmarks is None:
            raise ValueError(f"no face found in {path}")
        affine = fit_similarity(five_points(landmarks.points_xy), np.array(ARCFACE_112_XY))
        total += transform_points(landmarks.points_xy, affine)
        count += 1
    return total / count


def main() -> None:
    """Writes the file into occsynth's assets."""
    face = mean_face(sorted(DEMO_FACES.glob("*/*.jpg")))
    rows = "".join(f"{index},{x:.2f},{y:.2f}\n" for index, (x, y) in enumerate(face))
    path = GEOMETRY_FOLDER / "canonical_face.csv"
    path.write_text("mesh,x,y\n" + rows, encoding="utf-8")
    sys.stdout.write(f"wrote {path}\n")


if __name__ == "__main__":
    main()
