"""From logits to probabilities that mean what they say, and the thresholds that follow."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.floating]
DRAWS = 200


def platt(logits: Array, wanted: Array, weights: Array, *, offset: Array | float = 0.0) -> tuple[float, float]:
    """scale, shift: sigmoid(scale * logit + shift + offset) is the probability. wanted: in [0, 1]. Shapes: all (n,).

    Source: Platt (1999), with the labels' own shares as targets.
    """
    found = _logistic(np.column_stack([logits, np.ones(len(logits))]), wanted, weights, offset)
    return float(found[0]), float(found[1])


def platt_with(logits: Array, beside: Array, wanted: Array, weights: Array) -> tuple[float, float, float]:
    """scale, shift, weight: sigmoid(scale * logit + shift + weight * beside), with what is known beside the logits."""
    found = _logistic(np.column_stack([logits, np.ones(len(logits)), beside]), wanted, weights, 0.0)
    return float(found[0]), float(found[1]), float(found[2])


def _logistic(columns: Array, wanted: Array, weights: Array, offset: Array | float) -> Array:
    x, y, w = (np.asarray(array, dtype=np.float64) for array in (columns, wanted, weights))

    def loss(parameters: Array) -> tuple[float, Array]:
        z = x @ parameters + offset
        slope = w * (1 / (1 + np.exp(-z)) - y)
        return float((w * (np.logaddexp(0, z) - y * z)).sum()), slope @ x

    start = np.zeros(x.shape[1])
    start[0] = 1.0
    found: Array = minimize(loss, start, jac=True, method="BFGS").x
    return found


def softmax_regression(columns: Array, wanted: NDArray[np.intp], classes: int) -> Array:
    """Weights (classes, 1 + columns), the bias first, of a logistic regression on classes; ridge of 1 but on the bias.

    columns: (n, columns); wanted: (n,), classes as 0, 1, …
    """
    x = np.column_stack([np.ones(len(columns)), columns]).astype(np.float64)
    truth = np.eye(classes)[wanted]

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(classes, -1)
        z = x @ weights.T
        z -= z.max(axis=1, keepdims=True)
        log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        free = np.column_stack([np.zeros(classes), weights[:, 1:]])
        slope = (np.exp(log_p) - truth).T @ x + free
        return float(-(truth * log_p).sum() + 0.5 * (free**2).sum()), slope.ravel()

    found: Array = minimize(loss, np.zeros(classes * x.shape[1]), jac=True, method="L-BFGS-B").x
    return found.reshape(classes, -1)


def best_threshold(probabilities: Array, truth: Array, weights: Array, *, seed: int) -> float:
    """The threshold with the best F1, as a mean over bootstrap samples: one sample's best is a matter of luck."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(0.05, 0.95, 91)
    said = probabilities[None, :] >= grid[:, None]
    found = []
    for _ in range(DRAWS):
        counted = weights * rng.multinomial(len(truth), np.full(len(truth), 1 / len(truth)))
        hits = (said * truth) @ counted
        f1 = 2 * hits / (said @ counted + (truth * counted).sum())
        found.append(grid[int(f1.argmax())])
    return float(np.mean(found))


def expected_error(probabilities: Array, truth: Array, *, bins: int = 10) -> float:
    """Expected calibration error over bins of equal width: the mean distance of what is said from what is."""
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    return float(
        sum(abs((probabilities - truth)[place == one].sum()) for one in range(bins)) / max(1, len(probabilities))
    )
