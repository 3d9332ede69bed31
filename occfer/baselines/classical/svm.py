"""A support vector machine with probabilities, chosen by inner folds, kept as plain arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from joblib import cpu_count, parallel_config
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from occfer.baselines.classical.fitted import Arrays, expect, inner_folds, malformed
from occfer.data.arrays import Float32Array, Float64Array, Int64Array

COSTS = (0.01, 0.1, 1.0, 10.0)
RBF_COSTS = (1.0, 10.0, 100.0)
# In units of 1 / (features x variance).
GAMMAS = (0.1, 1.0, 10.0)
TEMPERATURES = (1e-3, 1e2)
SEARCHED_AT_MOST = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Svm:
    """A fitted machine for C classes, d features and M vectors.

    The score of a class is the mean of its margins against the other classes in libsvm's one-against-one machines; the
    probabilities are the softmax of the scores over a temperature. [decided: `SVC(probability=True)` is deprecated]

    Attributes:
        gamma: of the radial kernel exp(-gamma |x - v|^2); 0 for the linear kernel x v.
        vectors: `(M, d)` float64: support vectors; for the linear kernel one vector per class.
        weights: `(M, C)` float64, of the kernel's values.
        intercepts: `(C,)` float64.
        temperature: above 0.
    """

    gamma: float
    vectors: Float64Array
    weights: Float64Array
    intercepts: Float64Array
    temperature: float = 1.0

    def scores(self, features: Float32Array) -> Float64Array:
        """`(N, C)`: mean margins of `(N, d)` features."""
        wide = features.astype(np.float64)
        kernel = rbf_kernel(wide, self.vectors, gamma=self.gamma) if self.gamma > 0 else wide @ self.vectors.T
        return np.asarray(kernel @ self.weights + self.intercepts)

    def probabilities(self, features: Float32Array) -> Float64Array:
        """`(N, C)`; each face's sum to 1."""
        return np.asarray(softmax(self.scores(features) / self.temperature, axis=1))

    def arrays(self) -> Arrays:
        """For a model file; see `read_svm`."""
        return {
            "svm.numbers": np.array([self.gamma, self.temperature]),
            "svm.vectors": self.vectors,
            "svm.weights": self.weights,
            "svm.intercepts": self.intercepts,
        }


def read_svm(path: Path, arrays: Arrays, features: int, classes: int) -> Svm:
    """The inverse of `Svm.arrays`.

    Raises:
        CheckpointError: arrays are missing or of other shapes.
    """
    floats = np.float64
    expect(
        path,
        arrays,
        {
            "svm.numbers": (floats, (2,)),
            "svm.vectors": (floats, (None, features)),
            "svm.weights": (floats, (len(arrays.get("svm.vectors", ())), classes)),
            "svm.intercepts": (floats, (classes,)),
        },
    )
    gamma, temperature = (float(each) for each in arrays["svm.numbers"])
    wide = {name: np.asarray(arrays[f"svm.{name}"], np.float64) for name in ("vectors", "weights", "intercepts")}
    if gamma < 0 or temperature <= 0:
        raise malformed(path, "svm.numbers has a value that is not above 0")
    return Svm(gamma, **wide, temperature=temperature)


def fit_svm(
    features: Float32Array, labels: Int64Array, people: Int64Array, rng: np.random.Generator
) -> tuple[Svm, str]:
    """Chooses kernel, C and gamma by inner folds of people, fits all faces, and calibrates on the folds' answers.

    Args:
        features: `(N, d)` in [0, 1].
        labels: `(N,)` class indices; all classes occur.
        people: `(N,)`, see `fitted.people_of`.
        rng: draws the people who take part in the search if there are more than 2000 faces. [decided]

    Returns:
        The machine, and a sentence that says what was chosen.
    """
    part = _searched(people, rng)
    x, y = features[part].astype(np.float64), labels[part]
    folds = inner_folds(y, people[part])
    scale = 1 / (x.shape[1] * max(float(x.var()), 1e-12))
    grid = [
        {"kernel": ["linear"], "C": list(COSTS)},
        {"kernel": ["rbf"], "C": list(RBF_COSTS), "gamma": [factor * scale for factor in GAMMAS]},
    ]
    search = GridSearchCV(SVC(), grid, cv=folds, refit=False)
    with parallel_config("threading", n_jobs=cpu_count()):
        search.fit(x, y)
    best = search.best_params_
    classes = int(labels.max()) + 1
    held = [
        (machine_of(SVC(**best).fit(x[fit], y[fit]), classes).scores(features[part][out]), y[out]) for fit, out in folds
    ]
    temperature = _temperature(*(np.concatenate(each) for each in zip(*held, strict=True)))
    fitted = machine_of(SVC(**best).fit(features.astype(np.float64), labels), classes)
    words = ", ".join(f"{name} {value:.3g}" for name, value in best.items() if name != "kernel")
    said = f"{best['kernel']} kernel, {words}: accuracy {search.best_score_:.3f} on {len(folds)} inner folds"
    return Svm(fitted.gamma, fitted.vectors, fitted.weights, fitted.intercepts, temperature), said


def _searched(people: Int64Array, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Positions of whole people, in order, up to `SEARCHED_AT_MOST` faces."""
    order = rng.permutation(np.unique(people))
    faces = np.cumsum(np.bincount(people)[order])
    return np.flatnonzero(np.isin(people, order[: max(2, int((faces <= SEARCHED_AT_MOST).sum()))]))


def machine_of(fitted: SVC, classes: int) -> Svm:
    """The mean margins of a fitted SVC; a class that it was not fitted to gets a low score."""
    seen = fitted.classes_
    count = len(seen)
    # libsvm lists support vectors by class; the coefficients of class i against j are in dual_coef_[j - (j > i)].
    ends = np.concatenate([[0], np.cumsum(fitted.n_support_)])
    weights = np.zeros((ends[-1], classes))
    intercepts = np.full(classes, -float(count))
    intercepts[seen] = 0
    sign = -1 if count == 2 else 1  # scikit-learn negates the margin of two classes
    pair = 0
    for i in range(count):
        for j in range(i + 1, count):
            for own, other in ((i, j - 1), (j, i)):
                of_class = slice(ends[own], ends[own + 1])
                alpha = sign * fitted.dual_coef_[other, of_class] / (count - 1)
                weights[of_class, seen[i]] += alpha
                weights[of_class, seen[j]] -= alpha
            intercepts[seen[i]] += sign * fitted.intercept_[pair] / (count - 1)
            intercepts[seen[j]] -= sign * fitted.intercept_[pair] / (count - 1)
            pair += 1
    vectors = np.asarray(fitted.support_vectors_, np.float64)
    if fitted.kernel == "linear":
        return Svm(0.0, weights.T @ vectors, np.eye(classes), intercepts)
    return Svm(float(fitted.gamma), vectors, weights, intercepts)


def _temperature(scores: Float64Array, labels: Int64Array) -> float:
    """The temperature with the least cross-entropy on held-out scores."""

    def loss(log_temperature: float) -> float:
        logs = log_softmax(scores / np.exp(log_temperature), axis=1)
        return float(-logs[np.arange(len(labels)), labels].mean())

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))
