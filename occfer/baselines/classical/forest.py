"""Decision trees that each see a part of the face, kept as arrays."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.tree import DecisionTreeClassifier

from occfer.baselines.classical.channels import CHANNELS
from occfer.baselines.classical.face_mesh import Mask, Points
from occfer.baselines.classical.fitted import Arrays, Known, expect, expect_below, malformed
from occfer.baselines.classical.local_features import CHANNEL, Floats, LocalFeatures, together

Whole = npt.NDArray[np.int64]
Wide = npt.NDArray[np.float64]

MAX_DEPTH = 18
MAX_FEATURES = 240
LARGEST_TREE = 1 << 31
NODE_FIELDS = ("left", "right", "feature", "threshold", "probabilities")


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree of M nodes; node 0 is the root.

    Attributes:
        mask: `(T,)` the triangles that its features are in.
        features: those that it asks for, F of them.
        left, right: `(M,)` the next node where the feature is at most the threshold, and where it is not; -1 in a leaf.
        feature: `(M,)` which one is asked for; 0 in a leaf.
        threshold: `(M,)` float64.
        probabilities: `(M, C)` float32, rows sum to 1.
    """

    mask: Mask
    features: LocalFeatures
    left: Whole
    right: Whole
    feature: Whole
    threshold: Wide
    probabilities: Floats

    def predict(self, points_xy: Points, sums: Floats) -> Floats:
        """`(N, C)` float32; arguments as of `LocalFeatures.values`."""
        values = self.features.values(points_xy, sums)
        faces = np.arange(len(values))
        node = np.zeros(len(values), dtype=np.int64)
        for _ in range(MAX_DEPTH):
            inner = self.left[node] >= 0
            if not inner.any():
                break
            low = values[faces, self.feature[node]] <= self.threshold[node]
            node = np.where(inner, np.where(low, self.left[node], self.right[node]), node)
        return self.probabilities[node]


def fit_tree(
    mask: Mask, pool: LocalFeatures, values: Floats, labels: Whole, weights: Wide, seed: int, classes: int
) -> Tree:
    """A tree on a pool of features, of which only those that it asks for are kept.

    Args:
        mask: of its triangles.
        pool: P features inside the mask.
        values: `(N, P)` of the training faces.
        labels: `(N,)`, below `classes`.
        weights: `(N,)` how often each face was drawn.
        seed: of the features that a node chooses between.
        classes: C.
    """
    drawn = weights > 0
    fitted = DecisionTreeClassifier(
        criterion="entropy", max_depth=MAX_DEPTH, max_features=min(MAX_FEATURES, len(pool)), random_state=seed
    ).fit(values[drawn], labels[drawn], sample_weight=weights[drawn])
    nodes = fitted.tree_
    inner = nodes.children_left >= 0
    used, own = np.unique(nodes.feature[inner], return_inverse=True)
    feature = np.zeros(nodes.node_count, dtype=np.int64)
    feature[inner] = own
    probabilities = np.zeros((nodes.node_count, classes), dtype=np.float32)
    shares = nodes.value[:, 0]
    probabilities[:, fitted.classes_] = shares / shares.sum(axis=1, keepdims=True)
    return Tree(
        mask=mask,
        features=pool.some(used),
        left=nodes.children_left.astype(np.int64),
        right=nodes.children_right.astype(np.int64),
        feature=feature,
        threshold=np.where(inner, nodes.threshold, 0.0),
        probabilities=probabilities,
    )


def tree_arrays(trees: list[Tree]) -> Arrays:
    """For a model file; see `read_trees`."""
    features = together([tree.features for tree in trees])
    return (
        {
            "trees.nodes": np.array([len(tree.left) for tree in trees], dtype=np.int64),
            "trees.features": np.array([len(tree.features) for tree in trees], dtype=np.int64),
            "trees.masks": np.stack([tree.mask for tree in trees]),
        }
        | {f"nodes.{name}": np.concatenate([getattr(tree, name) for tree in trees]) for name in NODE_FIELDS}
        | {f"features.{each.name}": getattr(features, each.name) for each in fields(features)}
    )


def read_trees(path: Path, arrays: Arrays, triangles: int, classes: int) -> list[Tree]:
    """The inverse of `tree_arrays`.

    Raises:
        CheckpointError: they are no trees.
    """
    whole, wide, floats = np.int64, np.float64, np.float32
    expect(path, arrays, {"trees.nodes": (whole, (None,)), "trees.features": (whole, (None,))})
    nodes, counts = arrays["trees.nodes"], arrays["trees.features"]
    if not len(nodes) or len(nodes) != len(counts):
        raise malformed(path, "it has no trees")
    expect_below(path, "trees.nodes", nodes, LARGEST_TREE, least=1)
    expect_below(path, "trees.features", counts, LARGEST_TREE)
    total, asked = int(nodes.sum()), int(counts.sum())
    known: Known = {
        "trees.masks": (np.bool_, (len(nodes), triangles)),
        "nodes.threshold": (wide, (total,)),
        "nodes.probabilities": (floats, (total, classes)),
        "features.points": (whole, (asked, 3)),
        "features.weights": (floats, (asked, 3)),
        "features.side_fraction": (floats, (asked,)),
    }
    known |= {f"nodes.{name}": (whole, (total,)) for name in ("left", "right", "feature")}
    known |= {f"features.{name}": (whole, (asked,)) for name in ("kind", "channel")}
    expect(path, arrays, known)
    expect_below(path, "features.kind", arrays["features.kind"], CHANNEL + 1)
    expect_below(path, "features.points", arrays["features.points"], 68)
    expect_below(path, "features.channel", arrays["features.channel"], CHANNELS)
    table = LocalFeatures(*(arrays[f"features.{each.name}"] for each in fields(LocalFeatures)))
    ends, feature_ends = np.cumsum(nodes)[:-1], np.cumsum(counts)[:-1]
    by_field = {name: np.split(arrays[f"nodes.{name}"], ends) for name in NODE_FIELDS}
    owns = np.split(np.arange(asked), feature_ends)
    return [
        _checked(path, Tree(mask, table.some(own), *(by_field[name][index] for name in NODE_FIELDS)))
        for index, (mask, own) in enumerate(zip(arrays["trees.masks"], owns, strict=True))
    ]


def _checked(path: Path, tree: Tree) -> Tree:
    """The tree, whose nodes lead to later ones or nowhere, and ask for features that it has."""
    inner = tree.left >= 0
    later = np.arange(len(tree.left))
    for side in (tree.left, tree.right):
        if (side[inner] <= later[inner]).any() or (side >= len(side)).any():
            raise malformed(path, "the nodes of a tree lead in circles")
    expect_below(path, "nodes.feature", tree.feature[inner], len(tree.features))
    return tree
