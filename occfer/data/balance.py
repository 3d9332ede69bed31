"""Passes over uneven classes that draw all classes alike."""

import numpy as np

from occfer.data.arrays import Indices, Int64Array


def balanced_pass(indices: Indices, labels: Int64Array, rng: np.random.Generator) -> Indices:
    """As many draws as there are samples, shuffled, in which the numbers of any two classes differ by at most one.

    Each sample of a class is drawn equally often, give or take once; where a class has more samples than draws, each
    pass takes others of them.

    Args:
        indices: the samples.
        labels: `(samples of the corpus,)` int64.
        rng: for this pass alone.
    """
    own = labels[indices]
    classes = rng.permutation(np.unique(own))  # the first ones get the draws that are left over
    drawn = []
    for place, label in enumerate(classes):
        members = rng.permutation(indices[own == label])
        count = len(range(place, len(indices), len(classes)))
        drawn.append(np.resize(members, count))
    return rng.permutation(np.concatenate(drawn))


def earlier_draws(order: Indices) -> Int64Array:
    """How often each number stands before its place, such as a sample in a pass.

    >>> earlier_draws(np.array([7, 4, 7, 7, 4])).tolist()
    [0, 0, 1, 2, 1]
    """
    by_sample = np.argsort(order, kind="stable")
    _, first, counts = np.unique(order[by_sample], return_index=True, return_counts=True)
    earlier = np.empty(len(order), dtype=np.int64)
    earlier[by_sample] = np.arange(len(order)) - np.repeat(first, counts)
    return earlier
