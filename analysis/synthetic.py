"""Series with a known truth, for tests and benchmarks: drivers with memory, prices, a planted lead, and news."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.float64]
DriverKind = Literal["white", "ar80", "ar95"]
PriceKind = Literal["white", "ar20", "garch"]
DRIVERS: tuple[DriverKind, ...] = get_args(DriverKind)
PRICES: tuple[PriceKind, ...] = get_args(PriceKind)
MEMORY = {"white": 0.0, "ar80": 0.8, "ar95": 0.95, "ar20": 0.2}
WARM_UP = 500
TOTALS = ["hour", "outlet", "n_stories", "n_articles", "n_squared"]
CARRIED = ["hour", "outlet", "narrative", "direction", "modality", "n_carrying", "n_articles", "n_split"]


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


def loud_together(n: int, spread: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two series that have nothing to do with each other but that both are loud at the same times, shape (n,) each.

    Their common log volatility is an AR(0.97) with this standard deviation.
    """
    volatility = np.exp(spread * _autoregression(0.97, rng.standard_normal(n + WARM_UP)))
    return volatility * rng.standard_normal(n), volatility * rng.standard_normal(n)


def led(values: Array, lag: int, strength: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """The driver's last values, and returns r_t = strength · x_(t - lag) + noise of unit variance beside them."""
    led_returns = strength * values[:-lag] + rng.standard_normal(len(values) - lag)
    return values[lag:], led_returns


def _autoregression(memory: float, shocks: Array) -> Array:
    found: Array = lfilter([1.0], [1.0, -memory], shocks)[WARM_UP:] * np.sqrt(1 - memory**2)
    return found


def news(
    days: int,
    rng: np.random.Generator,
    *,
    first: datetime,
    usual: Mapping[str, float],
    times: Mapping[str, Array],
    a_day: float = 40.0,
    outlets: int = 12,
    mixed: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Totals and carried (see models.store.stories.StoryFrames) of building stories, all at noon, by day and outlet.

    A story carries a narrative with its `usual` share, multiplied by the narrative's `times`, shape (days,). `mixed`:
    outlets come and go, their volume wanders and rests on weekends, and each has a habit of its own of telling each
    narrative, lognormal with a spread of 0.5.
    """
    volume = np.full((days, outlets), a_day / outlets)
    habits = np.ones((len(usual), outlets))
    if mixed:
        habits = rng.lognormal(-0.125, 0.5, habits.shape)
        steps = rng.normal(0, 0.08, volume.shape)
        steps[0] = rng.normal(0, 0.8, outlets)
        wandering = np.exp(lfilter([1.0], [1.0, -0.98], steps, axis=0))
        rest = np.where((np.arange(days) + first.weekday()) % 7 >= 5, 0.4, 1.0)[:, None]
        there = np.ones(volume.shape, dtype=bool)
        for outlet in range(outlets // 3):  # a third of them come late, or stop
            change = int(rng.integers(0, days))
            there[:change, outlet] = outlet % 2 == 0
            there[change:, outlet] = outlet % 2 == 1
        volume = wandering * rest * there
        volume *= a_day / volume.sum(axis=1).mean()
    n = rng.poisson(volume)
    noon = [pd.Timestamp(first + timedelta(days=day, hours=12)).as_unit("us") for day in range(days)]
    names = [f"outlet{outlet}" for outlet in range(outlets)]
    totals = [(noon[d], names[o], n[d, o], n[d, o], n[d, o]) for d, o in zip(*np.nonzero(n), strict=True)]
    carried = []
    for place, (narrative, share) in enumerate(usual.items()):
        k = rng.binomial(n, np.minimum(1.0, share * times[narrative][:, None] * habits[place]))
        carried += [
            (noon[d], names[o], narrative, 1, "", k[d, o], k[d, o], 0) for d, o in zip(*np.nonzero(k), strict=True)
        ]
    return pd.DataFrame(totals, columns=TOTALS), pd.DataFrame(carried, columns=CARRIED)
