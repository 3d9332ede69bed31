"""What the two classical baselines share: which faces train them, folds that keep people apart, their model files.

Nothing fitted is pickled: a model file holds arrays, whose names, types, shapes and values are checked on reading.
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

from occfer.data.arrays import Float32Array, Images, Indices, Int64Array, View
from occfer.data.splits import person
from occfer.engine.branches import info_of
from occfer.engine.loop import Session
from occfer.engine.run_data import RunData
from occfer.errors import CheckpointError, DataError
from occfer.runs.checkpoint import load, model_file, save
from occfer.runs.model_info import ModelInfo, info_of_header
from occsynth.reading import one_line

FACES_AT_ONCE = 64
INNER_FOLDS = 5

Arrays = dict[str, npt.NDArray[Any]]
ExpectedArray = tuple[type[np.generic], tuple[int | None, ...]]
ExpectedArrays = dict[str, ExpectedArray]


def fitted_indices(data: RunData) -> Indices:
    """The samples that a classical baseline is fitted to: training and validation samples.

    Neither baseline selects a model on held-out samples; what they choose, they choose by inner folds. [decided]
    """
    return np.sort(np.concatenate([data.train, data.val]))


def people_of(data: RunData, indices: Indices) -> Int64Array:
    """`(len(indices),)`: a number for each person; where the subject is unknown, a number for each source image."""
    names = []
    for index in indices:
        sample = data.corpus.samples[index]
        alone = (sample.database, "", sample.source_sha256 or sample.pair_id)
        names.append((*person(sample), "") if sample.subject else alone)
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], dtype=np.int64)


def inner_folds(labels: Int64Array, people: Int64Array) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Up to five folds, as (fitted, held out) positions, with no person in both parts and the classes spread evenly.

    Where people cannot be divided so that two classes are left to fit, every image counts as a person.

    Raises:
        DataError: there are too few images even for that.
    """
    for groups in (people, np.arange(len(labels))):
        count = min(INNER_FOLDS, len(np.unique(groups)), int(np.bincount(labels).max()))
        if count < 2:
            continue
        with warnings.catch_warnings():
            # A class with fewer faces than folds is missing in some folds, which is fine here.
            warnings.simplefilter("ignore", UserWarning)
            folds = list(StratifiedGroupKFold(count).split(labels, labels, groups))
        if all(len(np.unique(labels[fit])) > 1 for fit, _ in folds):
            return folds
    raise DataError(
        f"{len(labels)} training faces are too few to hold some out: there must be at least two faces of each of two "
        "classes"
    )


def parts_of(count: int, at_once: int = FACES_AT_ONCE) -> Iterator[slice]:
    """Slices that cut `count` things into parts of `at_once` at most."""
    for start in range(0, count, at_once):
        yield slice(start, min(start + at_once, count))


def grey_faces(images: Images, face_px: int) -> Float32Array:
    """`(N, face_px, face_px)` float32 in [0, 1] from `(N, S, S, 3)` uint8 RGB."""
    size_px = images.shape[1]
    method = cv2.INTER_AREA if size_px > face_px else cv2.INTER_LINEAR
    greys = np.empty((len(images), face_px, face_px), dtype=np.float32)
    for grey, image in zip(greys, images, strict=True):
        bright = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
        grey[:] = bright if size_px == face_px else cv2.resize(bright, (face_px, face_px), interpolation=method)
    return greys


def trained_view(session: Session) -> View:
    """The view that trains: `--train-on`."""
    return "clean" if session.config.train_on == "clean" else "occluded"


def save_fitted(session: Session, arrays: Arrays) -> None:
    """Writes the model file of a run."""
    own = info_of(session.config, session.data, trained_view(session), session.config.method)
    info = replace(own, backbone="", versions=own.versions | {"scikit-learn": sklearn.__version__})
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    save(session.paths.best, tensors, {"kind": "model"} | asdict(info))


def load_fitted(path: Path) -> tuple[Path, ModelInfo, Arrays]:
    """The file itself (`path` may be a run folder), what it says about the model, and its arrays.

    Raises:
        CheckpointError: see `occfer.runs.checkpoint.load`.
    """
    path = model_file(path)
    tensors, header = load(path)
    info = info_of_header(header, path)
    try:
        return path, info, {name: tensor.numpy() for name, tensor in tensors.items()}
    except (TypeError, RuntimeError) as error:  # torch has types that numpy lacks
        raise malformed(path, one_line(error)) from error


def expect(path: Path, arrays: Arrays, known: Mapping[str, ExpectedArray]) -> None:
    """Checks that a model file holds what it must.

    Args:
        path: for the error.
        arrays: of the file.
        known: type and shape of each; None for an axis of any length.

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
    """Checks that integers are from `least` to `limit - 1`; raises CheckpointError."""
    if array.size and not least <= int(array.min()) <= int(array.max()) < limit:
        raise malformed(path, f"{name} holds numbers outside {least} to {limit - 1}")


def malformed(path: Path, what: str) -> CheckpointError:
    """The error of a model file whose content cannot be used."""
    return CheckpointError(f"{path} is not a model of this method: {what}; train it again")
