"""The outputs of other models as probabilities of the expressions that they know."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from occfer.data.arrays import Float64Array
from occfer.errors import DataError
from occfer.outside.description import named_outputs

ROUNDED = 1e-3
"""How far from 1 the sum of probabilities in single precision may be."""


def probabilities_of(outputs: npt.NDArray[Any], count: int, classes: Sequence[str], where: str) -> Float64Array:
    """`(N, expressions)` float64, each line sums to 1.

    Outputs that are probabilities already, for every image of the batch, stay what they are; others go through softmax.
    Those that are no expression are left out first, and the rest is scaled to sum to 1.

    Args:
        outputs: for N images; dimensions of size 1 at the end do not matter.
        count: N.
        classes: what each output is, see `Described`.
        where: whose outputs they are, for errors.

    Raises:
        DataError: they are no numbers, not finite, or not one per image and class.
    """
    if outputs.dtype.kind not in "fiu":
        raise DataError(f"{where} returns {outputs.dtype} where numbers are expected")
    if outputs.ndim < 2 or outputs.shape[:2] != (count, len(classes)) or outputs.size != count * len(classes):
        raise DataError(
            f"{where} returns the shape {outputs.shape} for {count} images; the description names {len(classes)} "
            f"classes, so it must be ({count}, {len(classes)})"
        )
    values = outputs.reshape(count, len(classes)).astype(np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"{where} returns values that are not finite")
    kept, _ = named_outputs(classes)
    are_probabilities = (values >= 0).all() and (np.abs(values.sum(axis=1) - 1) <= ROUNDED).all()
    if not are_probabilities:
        return np.asarray(softmax(values[:, kept], axis=1))
    return scaled(values[:, kept])


def scaled(values: Float64Array) -> Float64Array:
    """Each line of values >= 0 so that it sums to 1; equal shares where all of it is 0."""
    sums = values.sum(axis=1, keepdims=True)
    return np.where(sums > 0, values / np.where(sums > 0, sums, 1), 1 / values.shape[1])
