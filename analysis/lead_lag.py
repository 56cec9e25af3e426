"""Whether a driver leads a price, follows it, or neither. docs/methods/lead-lag.md.

    driver x_t, closes -> r_t: log returns, or log volatility -> the price side less what its own past tells (AR by BIC)
      -> corr(x_t, r_{t+k}) for k in -L … L; k > 0: the driver comes first
      -> the same of many surrogates of the driver, which keep its memory and know nothing of the price
      -> p_family: how often the strongest of a surrogate's lags is as strong as the strongest that was seen

All lags are one family: that the best of 41 lags looks good says nothing until it is held against the best of 41.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from analysis.intensity import Z90
from analysis.join import MAX_GAP
from models.derived import Lag, LeadLag, PairLeadLag
from models.errors import BadInput

Array = NDArray[np.float64]
Target = Literal["return", "volatility"]
MIN_N = 24
RESAMPLES, ALPHA, DEFAULT_MAX_LAG = 999, 0.05, 20
MOST_ORDERS, BURN_IN = 10, 200
LARGEST_ROOT = 0.995
"""An autoregression that would grow without end is drawn back to this."""
FLOOR = 0.1
"""ε of log volatility, in medians of |return|: a day without movement is a quiet day, not minus infinity."""
STEPS = {timedelta(hours=1): "hour", timedelta(days=1): "day", timedelta(days=7): "week", timedelta(days=30): "month"}


@dataclass(frozen=True, slots=True)
class Aligned:
    """A driver and the returns that it meets. NaN where either is missing."""

    values: Array
    """The driver on its own grid, ascending in time, shape (grid,)."""
    returns: Array
    """Shape (rows,)."""
    step: str
    """What a lag counts: hour, day, week, month, or row."""
    meets: NDArray[np.intp] | None = None
    """The row that each value of the grid belongs to, -1 for none, shape (grid,); None where the grid is the rows."""

    @property
    def driver(self) -> Array:
        """The driver in rows: the mean of the values that meet each; shape (rows,)."""
        found: Array = self.in_rows(self.values[None, :])[0]
        return found

    @property
    def both(self) -> NDArray[np.bool_]:
        return np.isfinite(self.driver) & np.isfinite(self.returns)

    def in_rows(self, grids: Array) -> Array:
        """Drivers on the grid, shape (many, grid), as means by row, shape (many, rows); missing where this one is."""
        known = np.isfinite(self.values)
        if self.meets is None:
            return np.where(known, grids, np.nan)
        used = self.meets >= 0
        known, grids, meets = known[used], grids[:, used], self.meets[used]
        rows = np.unique(meets)
        first = np.searchsorted(meets, rows)
        count = np.add.reduceat(known.astype(np.float64), first)
        sums = np.add.reduceat(np.where(known, grids, 0.0), first, axis=1)
        found = np.full((len(grids), len(self.returns)), np.nan)
        found[:, rows] = np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0)
        return found


Dated = Sequence[tuple[datetime, float]]
"""Instants, aware UTC and ascending, with a value each: when it was known, or a close was struck."""


def align(values: Dated, closes: Dated) -> Aligned:
    """Rows are the coarser of both grids. A value of NaN holds a place of the grid.

    Values after one close and up to the next are averaged and meet the next: weekend news meets Monday's close. Where
    values are rarer than closes, the last close at or before each value stands for it. A return over a gap of more than
    seven days (or twice the usual step) is missing. Raises: BadInput if the two do not overlap.
    """
    driver, price = (pd.Series(dict(found), dtype="float64").sort_index() for found in (values, closes))
    if len(driver) < 2 or len(price) < 2 or driver.index[-1] < price.index[0] or price.index[-1] < driver.index[0]:
        raise BadInput(f"The series ({_range(driver)}) and the prices ({_range(price)}) have no time in common.")
    meets = None
    if _step(driver) > 1.5 * _step(price):
        place = price.index.searchsorted(driver.index, side="right") - 1
        fresh = (place >= 0) & (driver.index - price.index[np.maximum(place, 0)] <= _step(driver))
        price = pd.Series(np.where(fresh, price.to_numpy()[np.maximum(place, 0)], np.nan), index=driver.index)
    else:
        price = price[price.index >= price.index[max(0, price.index.searchsorted(driver.index[0]) - 1)]]
        place = price.index.searchsorted(driver.index, side="left")
        near = (place < len(price)) & (price.index[np.minimum(place, len(price) - 1)] - driver.index <= MAX_GAP)
        meets = np.where(near, place, -1)
        price = price[: int(meets.max()) + 1]
    step = _step(price)
    gaps = price.index.to_series().diff()
    returns = pd.Series(np.log(price)).diff().where(gaps <= max(MAX_GAP, 2 * step))
    name = next((name for length, name in STEPS.items() if abs(step / length - 1) < 0.1), "row")
    return Aligned(np.asarray(driver, dtype="float64"), np.asarray(returns, dtype="float64"), name, meets)


def lead_lag(
    found: Aligned,
    *,
    target: Target = "return",
    max_lag: int = DEFAULT_MAX_LAG,
    seed: int = 0,
    resamples: int = RESAMPLES,
    driver_name: str = "the series",
    price_name: str = "the price",
) -> LeadLag:
    """Every lag from -L to L with its 90 % interval and pointwise p, and one verdict over all of them.

    L is the smaller of max_lag and n // 4. Raises: BadInput if fewer than MIN_N rows have both, or one never changes.
    """
    names = (driver_name, price_name)
    _refuse(found, names, max_lag)
    fitted = _autoregression(found.values)
    draws = _draws(np.isfinite(fitted.residuals), resamples, np.random.default_rng(seed))
    return _judged(found, fitted, draws, target=target, max_lag=max_lag, seed=seed, names=names).answer


def family(
    drivers: Mapping[str, Dated],
    assets: Mapping[str, Dated],
    *,
    target: Target = "return",
    max_lag: int = DEFAULT_MAX_LAG,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[PairLeadLag]:
    """Every driver beside every asset, with p adjusted for all of them: Romano and Wolf's step-down.

    The drivers are resampled together, the same moments for each, so that those which say the same count as one. All
    are put on one grid, the union of theirs. Raises: BadInput as lead_lag does, naming the pair.
    """
    grid = sorted({at for values in drivers.values() for at, _ in values})
    whole = {name: [(at, dict(values).get(at, np.nan)) for at in grid] for name, values in drivers.items()}
    fitted = {name: _autoregression(np.array([value for _, value in values])) for name, values in whole.items()}
    known = np.all([np.isfinite(one.residuals) for one in fitted.values()], axis=0)
    if known.sum() < MIN_N:
        raise BadInput(f"Only {known.sum()} moments have a value of every driver; together they need at least {MIN_N}.")
    draws = _draws(known, resamples, np.random.default_rng(seed))
    judged = {}
    for driver, values in whole.items():
        for asset, closes in assets.items():
            try:
                pair = align(values, closes)
                _refuse(pair, (driver, asset), max_lag)
                judged[driver, asset] = _judged(
                    pair, fitted[driver], draws, target=target, max_lag=max_lag, seed=seed, names=(driver, asset)
                )
            except BadInput as error:
                raise BadInput(f"{driver} and {asset}: {error}") from None
    adjusted = _step_down([one.strength for one in judged.values()], np.stack([one.null for one in judged.values()]))
    return [
        PairLeadLag(driver, asset, _rounded(p), one.answer)
        for ((driver, asset), one), p in zip(judged.items(), adjusted, strict=True)
    ]


def _step_down(seen: list[float], null: Array) -> list[float]:
    """Adjusted p of each; null: of its surrogates, shape (pairs, resamples). Source: Romano and Wolf (2005)."""
    order = np.argsort(seen)[::-1]
    adjusted, before = np.ones(len(seen)), 0.0
    for place, pair in enumerate(order):
        strongest = null[order[place:]].max(axis=0)
        before = max(before, chance(strongest >= seen[pair]))
        adjusted[pair] = before
    return adjusted.tolist()


def _refuse(found: Aligned, names: tuple[str, str], max_lag: int) -> None:
    """Raises: BadInput where no lead or lag can be told."""
    n = int(found.both.sum())
    if n < MIN_N:
        raise BadInput(f"Only {n} rows have both a value and a return; to tell a lead or lag takes at least {MIN_N}.")
    if max_lag < 1:
        raise BadInput(f"max_lag is {max_lag}; it must be at least 1.")
    for name, side in zip(names, (found.driver, found.returns), strict=True):
        if np.ptp(side[found.both]) == 0:
            raise BadInput(f"All {n} values of {name} are the same; nothing can lead or follow what never changes.")


@dataclass(frozen=True, slots=True)
class _Judged:
    answer: LeadLag
    strength: float
    """Of the strongest lag: |r| times the root of its pairs."""
    null: Array
    """The same of each surrogate, shape (resamples,)."""


def _judged(
    found: Aligned,
    fitted: "_Autoregression",
    draws: NDArray[np.intp],
    *,
    target: Target,
    max_lag: int,
    seed: int,
    names: tuple[str, str],
) -> _Judged:
    n = int(found.both.sum())
    lags = np.arange(-min(max_lag, n // 4), min(max_lag, n // 4) + 1)
    price = _autoregression(wanted_of(found.returns, target))
    pairs = _Pairs(np.isfinite(found.driver), price.residuals, lags)
    surrogates = found.in_rows(_surrogates(fitted, draws))
    seen, null = pairs.correlations(found.driver[None, :])[0], pairs.correlations(surrogates)
    root = np.sqrt(pairs.n)
    strongest = (np.abs(null) * root).max(axis=1)
    peak = int((np.abs(seen) * root).argmax())
    strength = float(abs(seen[peak]) * root[peak])
    p_family = chance(strongest >= strength)
    spread = Z90 * np.arctanh(np.clip(null, -1 + 1e-12, 1 - 1e-12)).std(axis=0)
    centre = np.arctanh(np.clip(seen, -1 + 1e-12, 1 - 1e-12))
    rows = [
        Lag(
            lag=int(lag),
            estimate=round(float(seen[i]), 4),
            low=round(float(np.tanh(centre[i] - spread[i])), 4),
            high=round(float(np.tanh(centre[i] + spread[i])), 4),
            p=_rounded(chance(np.abs(null[:, i]) >= abs(seen[i]))),
        )
        for i, lag in enumerate(lags)
    ]
    verdict = _verdict(int(lags[peak])) if p_family <= ALPHA else "none"
    visible = float(np.quantile(strongest, 1 - ALPHA) / np.sqrt(n))
    shown = (names[0], names[1] if target == "return" else f"the volatility of {names[1]}")
    answer = LeadLag(
        n=n,
        max_lag=int(lags[-1]),
        lags=rows,
        p_family=_rounded(p_family),
        verdict=verdict,
        peak_lag=int(lags[peak]),
        sentence=_sentence(shown, rows[peak], len(lags), p_family, visible, verdict, found.step),
        method=(
            f"{target}: largest |r| of {len(lags)} lags by {found.step}; price side less its own "
            f"AR({len(price.weights)}), against {len(draws)} surrogates of the driver by its "
            f"AR({len(fitted.weights)}); orders by BIC; low, high (90 %) and p pointwise, p_family over all lags"
        ),
        seed=seed,
        target=target,
        step=found.step,
        dropped=_dropped(found),
        visible_from=round(visible, 4),
    )
    return _Judged(answer, strength, strongest)


def _dropped(found: Aligned) -> int:
    """Rows between the first and the last value that lack a value or a return."""
    inside = np.flatnonzero(np.isfinite(found.driver))
    return int((~found.both[inside[0] : inside[-1] + 1]).sum())


def wanted_of(returns: Array, target: Target) -> Array:
    """What is asked of a price: its returns, or their log volatility."""
    return returns if target == "return" else log_volatility(returns)


def log_volatility(returns: Array) -> Array:
    """ln(|r| + ε), ε a tenth of the median |r|; NaN where r is."""
    size = np.abs(returns)
    known = size[np.isfinite(size)]
    floor = FLOOR * float(np.median(known[known > 0])) if (known > 0).any() else 1.0
    found: Array = np.log(size + floor)
    return found


class _Pairs:
    """Correlations of many drivers with one price side at many lags, over the pairs of which both are known."""

    def __init__(self, known: NDArray[np.bool_], price: Array, lags: NDArray[np.int64]) -> None:
        rows = len(price)
        target = np.arange(rows)[:, None] + lags[None, :]
        inside = (target >= 0) & (target < rows) & known[:, None]
        later = np.where(inside, price[np.clip(target, 0, rows - 1)], np.nan)
        self._there = np.isfinite(later).astype(np.float64)
        self.n = self._there.sum(axis=0)
        mean = np.nansum(later, axis=0) / np.maximum(self.n, 1)
        self._later = np.where(np.isfinite(later), later - mean, 0.0)
        self._spread = np.sqrt((self._later**2).sum(axis=0))

    def correlations(self, drivers: Array) -> Array:
        """drivers: (many, rows), NaN where they are not known. Returns: (many, lags); 0 where nothing varies."""
        drivers = np.nan_to_num(drivers - np.nanmean(drivers, axis=1, keepdims=True))
        mean = drivers @ self._there / np.maximum(self.n, 1)
        variance = drivers**2 @ self._there - self.n * mean**2
        scale = np.sqrt(np.maximum(variance, 0)) * self._spread
        found: Array = np.divide(drivers @ self._later, scale, out=np.zeros_like(scale), where=scale > 1e-12)
        return found


@dataclass(frozen=True, slots=True)
class _Autoregression:
    weights: Array
    residuals: Array
    """Of the whole series, shape (rows,); NaN where a value or its past is missing."""


def _autoregression(series: Array) -> _Autoregression:
    """By least squares over the rows whose past is known; the order by BIC, on the same rows for each."""
    centred = series - np.nanmean(series)
    most = min(MOST_ORDERS, int(np.isfinite(series).sum()) // 6)
    past = np.column_stack([np.r_[np.full(lag, np.nan), centred[: len(centred) - lag]] for lag in range(1, most + 1)])
    rows = np.isfinite(past).all(axis=1) & np.isfinite(centred)
    if rows.sum() <= 3 * most or np.ptp(centred[rows]) == 0:
        return _Autoregression(np.zeros(0), centred)
    x, y = past[rows], centred[rows]
    gram, moment, total = x.T @ x, x.T @ y, float(y @ y)
    best, weights = len(y) * np.log(total), np.zeros(0)
    for order in range(1, most + 1):
        fitted = np.linalg.lstsq(gram[:order, :order], moment[:order], rcond=None)[0]
        left = max(total - float(fitted @ moment[:order]), 1e-300)
        score = len(y) * np.log(left) + order * np.log(len(y))
        if score < best:
            best, weights = score, fitted
    return _Autoregression(weights, centred - past[:, : len(weights)] @ weights)


def _draws(known: NDArray[np.bool_], many: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Moments of the grid whose residuals are known, in random order, as many as a surrogate takes."""
    moments: NDArray[np.intp] = np.flatnonzero(known)[rng.integers(0, known.sum(), (many, len(known) + BURN_IN))]
    return moments


def _surrogates(fitted: _Autoregression, draws: NDArray[np.intp]) -> Array:
    """Series with the driver's memory, from its residuals at the moments drawn; shape (many, grid)."""
    centred = fitted.residuals - np.nanmean(fitted.residuals)
    weights = fitted.weights
    if not len(weights):
        return centred[draws[:, BURN_IN:]]
    largest = float(np.abs(np.roots(np.r_[1.0, -weights])).max())
    if largest > LARGEST_ROOT:
        weights = weights * (LARGEST_ROOT / largest) ** np.arange(1, len(weights) + 1)
    found: Array = lfilter([1.0], np.r_[1.0, -weights], centred[draws], axis=1)[:, BURN_IN:]
    return found


def chance(reached: NDArray[np.bool_]) -> float:
    """Of the surrogates and of what was seen, which is one of the possible outcomes itself."""
    return float((1 + reached.sum()) / (1 + len(reached)))


def _rounded(share: float) -> float:
    return round(share, 4)


def _verdict(lag: int) -> Literal["news_leads", "price_leads", "same_time"]:
    if lag == 0:
        return "same_time"
    return "news_leads" if lag > 0 else "price_leads"


def _sentence(
    names: tuple[str, str], peak: Lag, lags: int, p_family: float, visible: float, verdict: str, step: str
) -> str:
    driver, price = names
    steps = f"{abs(peak.lag)} {step}{'s' if abs(peak.lag) != 1 else ''}"
    way = "with" if peak.estimate > 0 else "against"
    chance = (
        f"r = {peak.estimate:+.2f}; the best of {lags} lags is so strong by chance in {_percent(p_family)} of cases"
    )
    if verdict == "none":
        when = "at the same time" if peak.lag == 0 else f"{steps} {'later' if peak.lag > 0 else 'earlier'}"
        return (
            f"No lead or lag can be told: {driver} runs most {way} {price} {when} ({chance}). "
            f"Only a correlation beyond about {visible:.2f} would have stood out."
        )
    told = {
        "news_leads": f"{driver} comes first: it runs {way} {price} {steps} later",
        "price_leads": f"{price} comes first: {driver} runs {way} it {steps} later",
        "same_time": f"Neither comes first: {driver} runs {way} {price} at the same time",
    }[verdict]
    return f"{told[0].upper()}{told[1:]} ({chance}). It may still be of no use to trade on: see whether it forecasts."


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


def _step(series: "pd.Series[float]") -> timedelta:
    """The usual distance of two rows."""
    return pd.Timedelta(pd.Series(series.index).diff().median()).to_pytimedelta()


def _range(series: "pd.Series[float]") -> str:
    return f"{series.index[0]:%Y-%m-%d} to {series.index[-1]:%Y-%m-%d}" if len(series) else "empty"
