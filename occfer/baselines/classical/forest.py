"""Decision trees that each see a part of the face, kept as arrays."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from sklearn.tree import DecisionTreeClassifier

from occfer.baselines.classical.channels import CHANNELS
from occfer.baselines.classical.face_mesh import Mask
from occfer.baselines.classical.fitted import Arrays, ExpectedArrays, expect, expect_below, malformed
from occfer.baselines.classical.local_features import CHANNEL, LocalFeatures, together
from occfer.data.arrays import Float32Array, Float64Array, Int64Array, Points

MAX_DEPTH = 18
MAX_FEATURES = 240
LARGEST_TREE = 1 << 31
NODE_FIELDS = ("left", "right", "feature", "threshold", "probabilities")


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree of M nodes; node 0 is the root.

    Attributes:
        mask: `(T,)`, the triangles that its features are in.
        features: the F features that it uses.
        left, right: `(M,)`, the next node if the feature is at most the threshold, and if it is greater; -1 in a leaf.
        feature: `(M,)`, the feature that the node compares; 0 in a leaf.
        threshold: `(M,)` float64.
        probabilities: `(M, C)` float32; each node's sum to 1.
    """

    mask: Mask
    features: LocalFeatures
    left: Int64Array
    right: Int64Array
    feature: Int64Array
    threshold: Float64Array
    probabilities: Float32Array

    def predict(self, points_xy: Points, sums: Float32Array) -> Float32Array:
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
    mask: Mask,
    pool: LocalFeatures,
    values: Float32Array,
    labels: Int64Array,
    weights: Float64Array,
    seed: int,
    classes: int,
) -> Tree:
    """A tree on a pool of features, of which only those that it uses are kept.

    Args:
        mask: the triangles that the features are in.
        pool: P features inside the mask.
        values: `(N, P)`, of the training faces.
        labels: `(N,)`, below `classes`.
        weights: `(N,)`, how often each face was drawn.
        seed: of the draw of the features that a node chooses between.
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
        CheckpointError: they are not trees.
    """
    int64, float64, float32 = np.int64, np.float64, np.float32
    expect(path, arrays, {"trees.nodes": (int64, (None,)), "trees.features": (int64, (None,))})
    nodes, counts = arrays["trees.nodes"], arrays["trees.features"]
    if not len(nodes) or len(nodes) != len(counts):
        raise malformed(path, "it has no trees")
    expect_below(path, "trees.nodes", nodes, LARGEST_TREE, least=1)
    expect_below(path, "trees.features", counts, LARGEST_TREE)
    total, asked = int(nodes.sum()), int(counts.sum())
    known: ExpectedArrays = {
        "trees.masks": (np.bool_, (len(nodes), triangles)),
        "nodes.threshold": (float64, (total,)),
        "nodes.probabilities": (float32, (total, classes)),
        "features.points": (int64, (asked, 3)),
        "features.weights": (float32, (asked, 3)),
        "features.side_fraction": (float32, (asked,)),
    }
    known |= {f"nodes.{name}": (int64, (total,)) for name in ("left", "right", "feature")}
    known |= {f"features.{name}": (int64, (asked,)) for name in ("kind", "channel")}
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
    """The tree, after a check that each node leads to later nodes and compares a feature that there is."""
    inner = tree.left >= 0
    own = np.arange(len(tree.left))
    for side in (tree.left, tree.right):
        if (side[inner] <= own[inner]).any() or (side >= len(side)).any():
            raise malformed(path, "the nodes of a tree lead in circles")
    expect_below(path, "nodes.feature", tree.feature[inner], len(tree.features))
    return tree
