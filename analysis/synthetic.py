"""Series with a known truth, for tests and benchmarks: drivers with memory, prices without news, and a planted lead."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.float64]
DriverKind = Literal["white", "ar80", "ar95"]
PriceKind = Literal["white", "ar20", "garch"]
DRIVERS: tuple[DriverKind, ...] = get_args(DriverKind)
PRICES: tuple[PriceKind, ...] = get_args(PriceKind)
MEMORY = {"white": 0.0, "ar80": 0.8, "ar95": 0.95, "ar20": 0.2}
WARM_UP = 500


def driver(kind: DriverKind, n: int, rng: np.random.Generator) -> Array:
    """An autoregression of unit variance with the memory that its name says, shape (n,)."""
    return _autoregression(MEMORY[kind], rng.standard_normal(n + WARM_UP))


def returns(kind: PriceKind, n: int, rng: np.random.Generator) -> Array:
    """White or AR(0.2) normal returns, or GARCH(1, 1) ones of Student's t with four degrees; variance 1, shape (n,)."""
    if kind != "garch":
        return _autoregression(MEMORY[kind], rng.standard_normal(n + WARM_UP))
    shocks = rng.standard_t(4, n + WARM_UP) / np.sqrt(2)
    found, variance = np.zeros(n + WARM_UP), 1.0
    for step, shock in enumerate(shocks):
        found[step] = np.sqrt(variance) * shock
        variance = 0.03 + 0.12 * found[step] ** 2 + 0.85 * variance
    return found[WARM_UP:]


def led(values: Array, lag: int, strength: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """The driver's last values, and returns r_t = strength · x_(t - lag) + noise of unit variance beside them."""
    led_returns = strength * values[:-lag] + rng.standard_normal(len(values) - lag)
    return values[lag:], led_returns


def _autoregression(memory: float, shocks: Array) -> Array:
    found: Array = lfilter([1.0], [1.0, -memory], shocks)[WARM_UP:] * np.sqrt(1 - memory**2)
    return found
