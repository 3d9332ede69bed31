"""WLS-RF: trees on parts of the face, weighted by how visible each part seems. A reconstruction.

Dapogny, Bailly and Dubuisson, "Confidence-weighted local expression predictions for occlusion handling in expression
recognition and action unit detection", IJCV 126, 2018. Known are the forests over spatially constrained local
subspaces, the Local Expression Predictions (LEPs), and their weights from an autoencoder that captures the local
manifold of faces without occlusion. All else is recalled or decided; docs/baselines.md says which.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from joblib import Parallel, cpu_count, delayed

from occfer.baselines.classical.channels import FACE_PX, integral_channels
from occfer.baselines.classical.confidence import (
    Confidence,
    autoencoder_of,
    confidence_of,
    moments_of,
    read_confidence,
    triangle_hogs,
)
from occfer.baselines.classical.face_mesh import FaceMesh, draw_mask, mesh_arrays, mesh_of, read_mesh
from occfer.baselines.classical.fitted import (
    fitted_indices,
    inner_folds,
    load_fitted,
    parts_of,
    people_of,
    save_fitted,
    trained_view,
)
from occfer.baselines.classical.forest import Tree, fit_tree, read_trees, tree_arrays
from occfer.baselines.classical.local_features import POOL, draw_features
from occfer.data.arrays import Float32Array, Float64Array, Images, Indices, Int64Array, Points, View
from occfer.data.manifests import read_points
from occfer.data.random_streams import stream_rng
from occfer.engine.engine import Engine
from occfer.engine.loop import Session
from occfer.errors import CheckpointError, DamagedError, DataError
from occfer.faces.landmarks import open_points, points_in_parts
from occfer.runs.checkpoint import load, save
from occfer.runs.model_info import ModelInfo

BYTES_AT_ONCE = 512 << 20  # of the features' values in memory
TREES_AT_ONCE = 100
NAME = "wls-rf"


@dataclass(frozen=True, slots=True, eq=False)
class LocalForest:
    """The fitted model.

    Attributes:
        mesh: T triangles, for faces of 64 x 64 px.
        confidence: of each triangle.
        trees: each on a part of the mesh.
    """

    mesh: FaceMesh
    confidence: Confidence
    trees: list[Tree]

    @property
    def masks(self) -> npt.NDArray[np.bool_]:
        """`(trees, T)`."""
        return np.stack([tree.mask for tree in self.trees])

    def answers(self, points_xy: Points, sums: Float32Array) -> Float64Array:
        """`(N, trees, C)` float64: the trees' probabilities; arguments as of `LocalFeatures.values`."""
        return np.stack([tree.predict(points_xy, sums) for tree in self.trees], axis=1).astype(np.float64)

    def alphas(self, points_xy: Points, sums: Float32Array) -> Float64Array:
        """`(N, T)` float64 in [0, 1]: how much each triangle looks as in a clean face."""
        return self.confidence.alphas(triangle_hogs(self.mesh, points_xy, sums)).astype(np.float64)


class WlsRfPredictor:
    """A fitted model, see `occfer.runs.predictor.Predictor`.

    Args:
        info: of its file.
        forest: what was fitted.
        batch_size: faces per call.
    """

    needs_points = True

    def __init__(self, info: ModelInfo, forest: LocalForest, batch_size: int = 64) -> None:
        self.info = info
        self.forest = forest
        self._batch_size = batch_size

    def probabilities(self, images: Images, points_xy: Points | None = None) -> Float64Array:
        """See `Predictor`: p(l | x) ~ sum_t alpha_t p_t(l | x), alpha_t the area-weighted mean of its triangles'.

        A face with a NaN among its points gets those of the mean face. [decided]

        Raises:
            DataError: there are no landmarks.
        """
        masks = self.forest.masks * self.forest.mesh.area_fraction
        share = masks / masks.sum(axis=1, keepdims=True)

        def weighted(points: Points, sums: Float32Array) -> Float64Array:
            # The summand keeps a wholly hidden face from a division by 0: all its trees then count equally.
            alpha = self.forest.alphas(points, sums) @ share.T + 1e-12
            together = np.einsum("nt,ntc->nc", alpha, self.forest.answers(points, sums))
            return np.asarray(together / together.sum(axis=1, keepdims=True))

        return self._by_parts(images, points_xy, weighted)

    def confidences(self, images: Images, points_xy: Points) -> Float64Array:
        """`(N, T)` in [0, 1], of the mesh's triangles; arguments as of `probabilities`."""
        return self._by_parts(images, points_xy, self.forest.alphas)

    def local_predictions(self, images: Images, points_xy: Points) -> Float64Array:
        """`(N, T, C)`: a triangle's Local Expression Prediction, the mean answer of the trees that look at it.

        Each sums to 1. A triangle that no tree looks at gets the mean of all trees.
        """
        masks = self.forest.masks.astype(np.float64)
        masks[:, ~masks.any(axis=0)] = 1
        share = masks / masks.sum(axis=0)
        return self._by_parts(
            images, points_xy, lambda points, sums: np.einsum("tk,ntc->nkc", share, self.forest.answers(points, sums))
        )

    def _by_parts(
        self,
        images: Images,
        points_xy: Points | None,
        work: Callable[[Points, Float32Array], Float64Array],
    ) -> Float64Array:
        if points_xy is None:
            raise DataError(f"{NAME} looks at parts of a face and needs its 68 landmarks")
        points = self.forest.mesh.known(in_face(points_xy, images.shape[1]))
        parts = [
            work(points[part], integral_channels(images[part])) for part in parts_of(len(images), self._batch_size)
        ]
        return np.concatenate(parts)


def in_face(points_xy: Points, size_px: int) -> Points:
    """Points in pixels of images of `size_px`, converted to pixels of the 64 x 64 faces."""
    return np.asarray((points_xy + 0.5) * (FACE_PX / size_px) - 0.5, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Faces:
    """The faces that a forest is fitted to.

    Attributes:
        session: of the run.
        indices, labels, people: `(N,)`.
        clean_xy: `(N, 68, 2)`, the manifest's landmarks in the 64 x 64 faces.
        mesh: of their mean.
    """

    session: Session
    indices: Indices
    labels: Int64Array
    people: Int64Array
    clean_xy: Points
    mesh: FaceMesh

    def channels(self, view: View, positions: npt.NDArray[np.intp]) -> Float32Array:
        """The integral channels of some of the faces."""
        return integral_channels(self.session.data.store.host(view, self.indices[positions]))


def fit_wls_rf(session: Session) -> None:
    """Fits the autoencoder on clean faces, then the trees, some at a time, and writes the model file."""
    if not session.engine.first:
        return
    if not session.paths.best.is_file():
        _fit(session)
    for path in session.paths.checkpoints.glob(f"{NAME}-trees-*.safetensors"):
        path.unlink()


def _fit(session: Session) -> None:
    data = session.data
    indices = fitted_indices(data)
    clean_xy = in_face(read_points(data.corpus, data.size_px)[indices], data.size_px)
    faces = _Faces(session, indices, data.labels[indices], people_of(data, indices), clean_xy, mesh_of(clean_xy))
    session.say(f"{NAME}: {len(faces.mesh.triangles)} triangles, {len(indices)} {session.config.train_on} faces")
    confidence = _fit_confidence(faces)
    trees = _fit_trees(faces)
    save_fitted(session, mesh_arrays(faces.mesh) | confidence.arrays() | tree_arrays(trees))


def _fit_confidence(faces: _Faces) -> Confidence:
    """The autoencoder of all clean faces, with the errors of each inner fold under an autoencoder of the others."""

    def hogs(positions: npt.NDArray[np.intp]) -> Float32Array:
        return triangle_hogs(faces.mesh, faces.clean_xy[positions], faces.channels("clean", positions))

    held = [out for _, out in inner_folds(faces.labels, faces.people)]
    own = [reduce(add, (moments_of(hogs(out[part])) for part in parts_of(len(out)))) for out in held]
    total = reduce(add, own)
    errors = []
    for out, moments in zip(held, own, strict=True):
        others = autoencoder_of(total.without(moments))
        errors += [others.errors(hogs(out[part])) for part in parts_of(len(out))]
    return confidence_of(autoencoder_of(total), np.concatenate(errors))


def _fit_trees(faces: _Faces) -> list[Tree]:
    """All trees; those that a killed run has finished are read from its checkpoints."""
    session = faces.session
    count = session.config.forest_trees
    at_once = max(1, min(TREES_AT_ONCE, BYTES_AT_ONCE // (4 * POOL * len(faces.indices))))
    points_xy = _trained_points(faces)
    trees: list[Tree] = []
    for part in parts_of(count, at_once):
        path = session.paths.checkpoints / f"{NAME}-trees-{part.start:06d}.safetensors"
        identity = {"kind": "trees", "run": session.run, "first": part.start}
        grown = _grown_before(faces, path, identity) if path.is_file() else None
        if grown is None:
            arrays = tree_arrays(_grow(faces, points_xy, range(part.start, part.stop)))
            save(path, {name: torch.from_numpy(array) for name, array in arrays.items()}, identity)
            grown = _saved_trees(faces, path, identity)
        trees += grown
        session.say(f"{NAME}: {len(trees)} of {count} trees")
    return trees


def _grown_before(faces: _Faces, path: Path, identity: dict[str, Any]) -> list[Tree] | None:
    """The trees of a checkpoint; None, and a word to the user, if it is damaged or of another run."""
    try:
        return _saved_trees(faces, path, identity)
    except CheckpointError as error:
        faces.session.say(f"{error}; its trees are grown again")
        return None


def _saved_trees(faces: _Faces, path: Path, identity: dict[str, Any]) -> list[Tree]:
    tensors, header = load(path)
    if any(header.get(name, value) != value for name, value in identity.items()):  # version 0.1 wrote the kind alone
        raise DamagedError(f"{path} holds trees of another run")
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return read_trees(path, arrays, len(faces.mesh.triangles), len(faces.session.data.split.classes))


def _trained_points(faces: _Faces) -> Points:
    """The landmarks of the faces that train the trees, in the 64 x 64 faces."""
    session = faces.session
    if session.config.train_on == "clean":
        return faces.clean_xy
    points = open_points(session.data.corpus, session.data.size_px, session.config.landmarks_from)
    found = points_in_parts(points, session.data.store, faces.indices)
    for note in points.notes():
        session.say(f"{NAME}, training: {note}")
    return faces.mesh.known(in_face(found, session.data.size_px))


def _grow(faces: _Faces, points_xy: Points, numbers: range) -> list[Tree]:
    """The trees of those numbers.

    Each draws from a stream of its own, so that it depends neither on threads nor on how many are grown at once.
    """
    seed = faces.session.config.seed
    neighbours = faces.mesh.neighbours()
    streams = [stream_rng(seed, NAME, "tree", number) for number in numbers]
    masks = [draw_mask(faces.mesh, neighbours, rng) for rng in streams]
    pools = [draw_features(faces.mesh, mask, rng) for mask, rng in zip(masks, streams, strict=True)]
    values = np.empty((len(numbers), len(faces.indices), POOL), dtype=np.float32)
    with Parallel(n_jobs=cpu_count(), prefer="threads") as threads:
        for part in parts_of(len(faces.indices)):
            sums = faces.channels(trained_view(faces.session), np.arange(part.start, part.stop))
            found = threads(delayed(pool.values)(points_xy[part], sums) for pool in pools)
            values[:, part] = np.stack(found)
        people = int(faces.people.max()) + 1
        draws = [np.bincount(rng.integers(people, size=people), minlength=people) for rng in streams]
        return list(
            threads(
                delayed(fit_tree)(
                    mask, pool, own, faces.labels, drawn[faces.people].astype(np.float64), int(rng.integers(2**31)),
                    len(faces.session.data.split.classes),
                )
                for mask, pool, own, drawn, rng in zip(masks, pools, values, draws, streams, strict=True)
            )
        )  # fmt: skip


def load_wls_rf(path: Path, engine: Engine, batch_size: int = 64) -> WlsRfPredictor:
    """The predictor of a model file or run folder.

    Raises:
        CheckpointError: it is missing, damaged, or not a model of this method.
    """
    del engine
    path, info, arrays = load_fitted(path)
    mesh = read_mesh(path, arrays)
    triangles = len(mesh.triangles)
    trees = read_trees(path, arrays, triangles, len(info.classes))
    return WlsRfPredictor(info, LocalForest(mesh, read_confidence(path, arrays, triangles), trees), batch_size)
