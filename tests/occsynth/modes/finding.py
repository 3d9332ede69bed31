"""A classifier that is told to find pasted pixels by the statistics around each: how well it does says how well an
occluder belongs to its picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score

from occsynth.modes.face import Face
from occsynth.modes.measures import channel_spread
from occsynth.modes.seeds import key_stream
from occsynth.occluder import Occluder
from occsynth.pixels.images import Pixels
from occsynth.templates.sprites import OPAQUE_ALPHA

WINDOW_PX = 7
PER_FACE = 120
"""Pixels of the occluder, and as many of the face beside it, that are taken from each picture."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A face, whose it is, and its name."""

    face: Face
    subject: str
    name: str


def statistics(pixels: Pixels) -> Numbers:
    """`(H, W, 6)`: contrast, steepness, how it falls with the scale, roughness, colour and its contrast."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float64)
    colour = channel_spread(pixels).astype(np.float64)

    def mean(values: Numbers) -> Numbers:
        return np.asarray(cv2.blur(values, (WINDOW_PX, WINDOW_PX), borderType=cv2.BORDER_REFLECT_101))

    def contrast(values: Numbers) -> Numbers:
        return np.sqrt(np.maximum(0, mean(values**2) - mean(values) ** 2))

    def steps(far: int) -> Numbers:
        right, down = (np.roll(grey, -far, axis) - grey for axis in (1, 0))
        return np.sqrt(mean(right**2 + down**2))

    rough = np.abs(cv2.filter2D(grey, -1, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)))
    maps = [contrast(grey), steps(1), steps(1) / (steps(2) + 0.5), mean(rough), mean(colour), contrast(colour)]
    return np.stack(maps, axis=2)


def samples(pictures: Sequence[Picture], occluder: Occluder) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Statistics of pixels of the face oval, half of them on the occluder, and which are."""
    rng = np.random.default_rng(1)
    found, pasted = [], []
    for picture in pictures:
        face = picture.face
        rendered, _ = occluder.draw(
            face.pixels, key_stream(occluder.seed, occluder.mode, picture.name), face.regions.points_xy
        )
        maps = statistics(rendered.image)
        oval = face.regions.masks["face"] > 0
        for is_pasted, where in ((True, rendered.alpha >= OPAQUE_ALPHA), (False, rendered.mask == 0)):
            places = np.argwhere(oval & where)
            if len(places):
                chosen = places[rng.integers(len(places), size=PER_FACE)]
                found.append(maps[chosen[:, 0], chosen[:, 1]])
                pasted.append(np.full(PER_FACE, is_pasted))
    return np.concatenate(found), np.concatenate(pasted)


def auc_of_finding(pictures: Sequence[Picture], occluder: Occluder) -> float:
    """Area under the ROC curve on every second subject, of a classifier that was fitted on the others."""
    subjects = sorted({picture.subject for picture in pictures})
    fitted_on = set(subjects[::2])
    train = samples([each for each in pictures if each.subject in fitted_on], occluder)
    test = samples([each for each in pictures if each.subject not in fitted_on], occluder)
    classifier = HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=8, random_state=0).fit(*train)
    return float(roc_auc_score(test[1], classifier.predict_proba(test[0])[:, 1]))
