"""What the two classical baselines share: which faces train them, folds that keep people apart, their model files.

Nothing fitted is pickled: a model file holds arrays, and what they may be is checked when they are read.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import sklearn
import torch
from sklearn.model_selection import StratifiedGroupKFold

from occfer.data.arrays import Images, View
from occfer.data.splits import person
from occfer.engine.branches import facts_of
from occfer.engine.loop import Session
from occfer.engine.run_data import Rows, Task
from occfer.errors import CheckpointError, DataError
from occfer.runs.checkpoint import load, model_file, save
from occfer.runs.model_facts import ModelFacts, facts_of_header

FACES_AT_ONCE = 64
INNER_FOLDS = 5

Arrays = dict[str, npt.NDArray[Any]]
Expected = tuple[type[np.generic], tuple[int | None, ...]]
Known = dict[str, Expected]


def fitted_rows(task: Task) -> Rows:
    """The rows that fit a classical baseline: training and validation rows.

    Neither selects a model on held-out rows; what they choose, they choose by inner folds. [decided]
    """
    return np.sort(np.concatenate([task.train, task.val]))


def people_of(task: Task, rows: Rows) -> npt.NDArray[np.int64]:
    """`(len(rows),)` a number for each person. An image of nobody known is its own, with all pairs made from it."""
    names = []
    for row in rows:
        sample = task.corpus.samples[row]
        alone = (sample.database, "", sample.source_sha256 or sample.pair_id)
        names.append((*person(sample), "") if sample.subject else alone)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64)


def inner_folds(
    labels: npt.NDArray[np.int64], people: npt.NDArray[np.int64]
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Up to five pairs of (fitted, held out) positions with no person in both parts, the classes spread evenly.

    Where people cannot be divided so that two classes are left to fit, every image counts as a person.

    Raises:
        DataError: there are too few images for that, too.
    """
    for groups in (people, np.arange(len(labels))):
        count = min(INNER_FOLDS, len(np.unique(groups)), int(np.bincount(labels).max()))
        if count < 2:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class with fewer faces than folds is missing in some
            folds = list(StratifiedGroupKFold(count).split(labels, labels, groups))
        if all(len(np.unique(labels[fit])) > 1 for fit, _ in folds):
            return folds
    raise DataError(
        f"{len(labels)} training faces are too few to hold some out: it takes two of each of two classes at least"
    )


def parts_of(count: int, at_once: int = FACES_AT_ONCE) -> Iterator[slice]:
    """Slices that cut `count` things into parts."""
    for start in range(0, count, at_once):
        yield slice(start, min(start + at_once, count))


def grey_faces(images: Images, face_px: int) -> npt.NDArray[np.float32]:
    """`(N, face_px, face_px)` float32 in [0, 1] from `(N, S, S, 3)` uint8 RGB."""
    size_px = images.shape[1]
    method = cv2.INTER_AREA if size_px > face_px else cv2.INTER_LINEAR
    greys = np.empty((len(images), face_px, face_px), dtype=np.float32)
    for grey, image in zip(greys, images, strict=True):
        bright = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
        grey[:] = bright if size_px == face_px else cv2.resize(bright, (face_px, face_px), interpolation=method)
    return greys


def trained_view(session: Session) -> View:
    """The images that train: `--train-on`."""
    return "clean" if session.config.train_on == "clean" else "occluded"


def save_fitted(session: Session, arrays: Arrays) -> None:
    """Writes the model file of a run."""
    own = facts_of(session.config, session.task, trained_view(session), session.config.method)
    facts = replace(own, backbone="", versions=own.versions | {"scikit-learn": sklearn.__version__})
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    save(session.paths.best, tensors, {"kind": "model"} | asdict(facts))


def load_fitted(path: Path) -> tuple[Path, ModelFacts, Arrays]:
    """The file itself, what it says about itself, and its arrays.

    Raises:
        CheckpointError: see `occfer.runs.checkpoint.load`.
    """
    path = model_file(path)
    tensors, header = load(path)
    return path, facts_of_header(header, path), {name: tensor.numpy() for name, tensor in tensors.items()}


def expect(path: Path, arrays: Arrays, known: Mapping[str, Expected]) -> None:
    """Checks that a model file holds what it must.

    Args:
        path: for the error.
        arrays: of the file.
        known: type and shape of each; None for a side of any length.

    Raises:
        CheckpointError: an array is missing, of another type or shape, or not finite.
    """
    for name, (kind, shape) in known.items():
        if name not in arrays:
            raise malformed(path, f"it has no {name}")
        array = arrays[name]
        fits = len(array.shape) == len(shape) and all(
            wanted in (None, found) for found, wanted in zip(array.shape, shape, strict=True)
        )
        if array.dtype != kind or not fits:
            raise malformed(path, f"{name} is {array.dtype} {array.shape}")
        if np.issubdtype(kind, np.floating) and not np.isfinite(array).all():
            raise malformed(path, f"{name} is not finite")


def expect_below(path: Path, name: str, array: npt.NDArray[np.integer], limit: int, least: int = 0) -> None:
    """Checks that whole numbers are from `least` to `limit - 1`; raises CheckpointError."""
    if array.size and not least <= int(array.min()) <= int(array.max()) < limit:
        raise malformed(path, f"{name} holds numbers outside {least} to {limit - 1}")


def malformed(path: Path, what: str) -> CheckpointError:
    """The error of a model file whose content makes no sense."""
    return CheckpointError(f"{path} is no model of this method: {what}; train it again")
