"""Whether a driver leads a price, follows it, or neither. docs/methods/lead-lag.md.

    driver x_t, closes -> r_t: log returns, or log volatility -> the price side less what its own past tells (AR by BIC)
      -> corr(x_t, r_{t+k}) in its robust standard errors, for k in -L … L; k > 0: the driver comes first
      -> the same of many surrogates of the driver, which keep its memory and know nothing of the price
      -> p_family: how often the strongest of a surrogate's lags is as strong as the strongest that was seen

All lags are one family: that the best of 41 lags looks good says nothing until it is held against the best of 41.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

from analysis.intervals import Z90
from analysis.join import MAX_GAP
from models.derived import Lag, LeadLag, LeftOut, PairLeadLag
from models.errors import BadInput

Array = NDArray[np.float64]
Target = Literal["return", "volatility"]
MIN_N = 24
MIN_UNUSUAL = 5
"""Rows in which a side must differ from its most common value: surrogates of a single burst often have none at all."""
LARGEST = 1e100
"""The square of a larger number, or of one that is as small, is none."""
RESAMPLES, ALPHA, DEFAULT_MAX_LAG = 999, 0.05, 20
MOST_ORDERS, BURN_IN = 10, 200
AT_ONCE, FEWEST_AT_ONCE = 250_000, 32
"""Values of surrogates that are held in memory at a time (more is slower, too), and surrogates, however long."""
LARGEST_ROOT = 0.995
"""An autoregression that would grow without end is drawn back to this."""
HOURS_THERE, ROWS_THERE = 0.75, 0.75
"""Shares of a row's hours without which its realised volatility is missing, and of the rows without which all is."""
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
    realised: Array | None = None
    """ln of the realised volatility of each row, shape (rows,); None where there are too few hourly closes for it."""

    @property
    def driver(self) -> Array:
        """The driver in rows: the mean of the values that meet each; shape (rows,)."""
        found: Array = self.in_rows(self.values[None, :])[0]
        return found

    def wanted(self, target: Target) -> Array:
        """What is asked of the price: its returns, or their log volatility; shape (rows,)."""
        if target == "return":
            return self.returns
        return log_volatility(self.returns) if self.realised is None else self.realised

    def in_rows(self, grids: Array) -> Array:
        """Drivers on the grid, shape (many, grid), as means by row, shape (many, rows); missing where this one is."""
        known = np.isfinite(self.values)
        if self.meets is None:
            return np.where(known, grids, np.nan)
        used = self.meets >= 0
        known, grids, meets = known[used], grids[:, used], self.meets[used]
        found = np.full((len(grids), len(self.returns)), np.nan)
        first = np.flatnonzero(np.diff(meets, prepend=-1))
        rows = meets[first]
        if len(rows) == len(meets):
            found[:, rows] = np.where(known, grids, np.nan)
            return found
        count = np.add.reduceat(known.astype(np.float64), first)
        sums = np.add.reduceat(np.where(known, grids, 0.0), first, axis=1)
        found[:, rows] = np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0)
        return found


Dated = Sequence[tuple[datetime, float]]
"""Instants, aware UTC and ascending, with a value each: when it was known, or a close was struck."""


def align(values: Dated, closes: Dated, hourly: Dated = ()) -> Aligned:
    """Rows are the coarser of both grids. A value of NaN holds a place of the grid.

    Values after one close and up to the next are averaged and meet the next: weekend news meets Monday's close. Where
    values are rarer than closes, the last close at or before each value stands for it. A return over a gap of more than
    seven days (or twice the usual step) is missing. `hourly`: closes by the hour of a market that never rests, for the
    realised volatility between two closes. Raises: BadInput if the two do not overlap.
    """
    driver, price = (pd.Series(dict(found), dtype="float64").sort_index() for found in (values, closes))
    for name, side in (("the series", driver), ("the price", price)):
        if len(side) < 2:
            raise BadInput(f"There are too few values of {name} ({len(side)}); it takes at least {MIN_N}.")
    sizes = driver[driver != 0].abs()
    if sizes.max() > LARGEST or sizes.min() < 1 / LARGEST:
        raise BadInput(
            f"The series holds values from {sizes.min():.0e} to {sizes.max():.0e} in size; only sizes from "
            f"{1 / LARGEST:.0e} to {LARGEST:.0e} can be told apart. Write it in another unit."
        )
    if driver.index[-1] < price.index[0] or price.index[-1] < driver.index[0]:
        raise BadInput(f"The series ({_range(driver)}) and the prices ({_range(price)}) have no time in common.")
    meets, struck = None, price.index
    if _step(driver) > 1.5 * _step(price):
        place = price.index.searchsorted(driver.index, side="right") - 1
        fresh = (place >= 0) & (driver.index - price.index[np.maximum(place, 0)] <= _step(driver))
        struck = price.index[np.maximum(place, 0)]
        price = pd.Series(np.where(fresh, price.to_numpy()[np.maximum(place, 0)], np.nan), index=driver.index)
    else:
        price = price[price.index >= price.index[max(0, price.index.searchsorted(driver.index[0]) - 1)]]
        place = price.index.searchsorted(driver.index, side="left")
        near = (place < len(price)) & (price.index[np.minimum(place, len(price) - 1)] - driver.index <= MAX_GAP)
        if not near.any():
            raise BadInput(f"No close follows a value of the series ({_range(driver)}) within {MAX_GAP.days} days.")
        meets = np.where(near, place, -1)
        price = price[: int(meets.max()) + 1]
        struck = price.index
    step = _step(price)
    gaps = price.index.to_series().diff()
    returns = np.asarray(pd.Series(np.log(price)).diff().where(gaps <= max(MAX_GAP, 2 * step)), dtype="float64")
    name = next((name for length, name in STEPS.items() if abs(step / length - 1) < 0.1), "row")
    realised = (
        np.where(np.isfinite(returns), _log_realised(hourly, pd.DatetimeIndex(struck)), np.nan) if hourly else None
    )
    if realised is not None and np.isfinite(realised).sum() < ROWS_THERE * np.isfinite(returns).sum():
        realised = None
    return Aligned(np.asarray(driver, dtype="float64"), returns, name, meets, realised)


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
    pair = _Pair(found, target, names, max_lag)
    fitted = _autoregression(found.values)
    (null,) = _nulls(fitted, np.isfinite(fitted.residuals), [pair], resamples, seed)
    return _judged(pair, fitted, null, target=target, seed=seed, names=names).answer


def family(
    drivers: Mapping[str, Dated],
    assets: Mapping[str, Dated],
    *,
    hourly: Mapping[str, Dated] | None = None,
    target: Target = "return",
    max_lag: int = DEFAULT_MAX_LAG,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[list[PairLeadLag], list[LeftOut]]:
    """Every driver beside every asset, with p adjusted for all of them: Romano and Wolf's step-down.

    The drivers are resampled together, the same moments for each, so that those which say the same count as one. All
    are put on one grid, the union of theirs. `hourly`: closes by the hour, of the assets that have them. Returns: what
    could be told, and why the other pairs could not; p is adjusted for those that could.
    """
    left_out = [
        LeftOut(name, asset, f"There are too few values of {name} ({len(values)}); it takes at least {MIN_N}.")
        for name, values in drivers.items()
        for asset in assets
        if len(values) < MIN_N
    ]
    drivers = {name: values for name, values in drivers.items() if len(values) >= MIN_N}
    grid = sorted({at for values in drivers.values() for at, _ in values})
    whole = {
        name: [(at, value_at.get(at, np.nan)) for at in grid]
        for name, value_at in ((name, dict(values)) for name, values in drivers.items())
    }
    pairs: dict[str, dict[str, _Pair]] = {}
    for driver, values in whole.items():
        for asset, closes in assets.items():
            try:
                found = align(values, closes, (hourly or {}).get(asset, ()))
                pairs.setdefault(driver, {})[asset] = _Pair(found, target, (driver, asset), max_lag)
            except BadInput as error:
                left_out.append(LeftOut(driver, asset, f"{driver} and {asset}: {error}"))
    fitted = {name: _autoregression(np.array([value for _, value in whole[name]])) for name in pairs}
    known, rare = _together(fitted)
    for name, n in rare.items():
        told = f"Only {n} moments have a value of {name} and of those before it; it takes at least {MIN_N}."
        left_out += [LeftOut(name, asset, told) for asset in pairs.pop(name)]
    if not pairs:
        return [], left_out
    judged = {}
    for driver, beside in pairs.items():
        nulls = _nulls(fitted[driver], known, list(beside.values()), resamples, seed)
        for asset, null in zip(beside, nulls, strict=True):
            judged[driver, asset] = _judged(
                beside[asset], fitted[driver], null, target=target, seed=seed, names=(driver, asset)
            )
    adjusted = _step_down([one.strength for one in judged.values()], np.stack([one.null for one in judged.values()]))
    rows = [
        _among(len(judged), driver, asset, one.answer, p)
        for ((driver, asset), one), p in zip(judged.items(), adjusted, strict=True)
    ]
    return rows, left_out


def _together(fitted: Mapping[str, "_Autoregression"]) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """The moments that every driver knows; and those drivers that would leave too few, with how many it would be.

    What was asked about first stays.
    """
    known: NDArray[np.bool_] = np.array(True)
    rare: dict[str, int] = {}
    for name, one in fitted.items():
        together = known & np.isfinite(one.residuals)
        if together.sum() < MIN_N:
            rare[name] = int(together.sum())
        else:
            known = together
    return known, rare


def _among(pairs: int, driver: str, asset: str, answer: LeadLag, p: float) -> PairLeadLag:
    if answer.verdict == "none" or p <= ALPHA:
        return PairLeadLag(driver, asset, _rounded(p), answer.verdict, answer)
    more = f" Among {pairs} pairs asked about at once that is no more than chance ({p:.0%})."
    return PairLeadLag(driver, asset, _rounded(p), "none", replace(answer, sentence=answer.sentence + more))


def _step_down(seen: list[float], null: Array) -> list[float]:
    """Adjusted p of each; null: of its surrogates, shape (pairs, resamples). Source: Romano and Wolf (2005)."""
    order = np.argsort(seen)[::-1]
    adjusted, before = np.ones(len(seen)), 0.0
    for place, pair in enumerate(order):
        strongest = null[order[place:]].max(axis=0)
        before = max(before, chance(strongest >= seen[pair]))
        adjusted[pair] = before
    return adjusted.tolist()


def _refuse(found: Aligned, target: Target, names: tuple[str, str], max_lag: int) -> None:
    """Raises: BadInput where no lead or lag can be told."""
    driver, wanted = found.driver, found.wanted(target)
    both = np.isfinite(driver) & np.isfinite(wanted)
    n = int(both.sum())
    if n < MIN_N:
        raise BadInput(f"Only {n} rows have both a value and a return; to tell a lead or lag takes at least {MIN_N}.")
    if max_lag < 1:
        raise BadInput(f"max_lag is {max_lag}; it must be at least 1.")
    sides = (driver[both], 0.0), (wanted[both], 1e-9)
    for name, (side, rounding) in zip(_shown(names, target), sides, strict=True):
        differ = unusual(side, rounding)
        if not differ:
            raise BadInput(f"All {n} values of {name} are the same; nothing can lead or follow what never changes.")
        if differ < MIN_UNUSUAL:
            raise BadInput(
                f"Only {differ} of {n} values of {name} differ from the usual one; to tell a lead or lag takes at "
                f"least {MIN_UNUSUAL}."
            )


def unusual(side: Array, rounding: float = 0.0) -> int:
    """How many of the values differ from the usual one, the median, by more than rounding does."""
    return int((np.abs(side - np.median(side)) > max(rounding, 1e-14 * np.abs(side).max())).sum())


@dataclass(frozen=True, slots=True)
class _Judged:
    answer: LeadLag
    strength: float
    """Of the strongest lag: |t|."""
    null: Array
    """The same of each surrogate, shape (resamples,)."""


def _judged(
    pair: "_Pair",
    fitted: "_Autoregression",
    null: Array,
    *,
    target: Target,
    seed: int,
    names: tuple[str, str],
) -> _Judged:
    found, lags, n = pair.found, pair.lags, int(pair.both.sum())
    (seen,), (error,) = pair.correlations(found.driver[None, :])
    told = _over(seen, error)
    strongest = np.abs(null).max(axis=1)
    peak = int(np.abs(told).argmax())
    strength = float(abs(told[peak]))
    p_family = chance(strongest >= strength)
    spread = Z90 * error
    centre = np.arctanh(np.clip(seen, -1 + 1e-12, 1 - 1e-12))
    rows = [
        Lag(
            lag=int(lag),
            estimate=round(float(seen[i]), 4),
            low=round(float(np.tanh(centre[i] - spread[i])), 4),
            high=round(float(np.tanh(centre[i] + spread[i])), 4),
            p=_rounded(chance(np.abs(null[:, i]) >= abs(told[i]))),
        )
        for i, lag in enumerate(lags)
    ]
    verdict = _verdict(int(lags[peak])) if p_family <= ALPHA else "none"
    visible = min(1.0, float(np.quantile(strongest, 1 - ALPHA) * error[peak]))
    measure = "return" if target == "return" else "volatility, ln |r|"
    if target == "volatility" and found.realised is not None:
        measure = "volatility, realised by the hour"
    answer = LeadLag(
        n=n,
        max_lag=int(lags[-1]),
        lags=rows,
        p_family=_rounded(p_family),
        verdict=verdict,
        peak_lag=int(lags[peak]),
        sentence=_sentence(_shown(names, target), rows[peak], len(lags), p_family, visible, verdict, found.step),
        method=(
            f"{measure}: largest robust |t| of {len(lags)} lags by {found.step}; price side less its own "
            f"AR({pair.order}), against {len(null)} surrogates of the driver by its "
            f"AR({len(fitted.weights)}); orders by BIC; low, high (90 %) and p pointwise, p_family over all lags"
        ),
        seed=seed,
        target=target,
        step=found.step,
        dropped=_dropped(pair),
        visible_from=round(visible, 4),
    )
    return _Judged(answer, strength, strongest)


def _shown(names: tuple[str, str], target: Target) -> tuple[str, str]:
    return names[0], names[1] if target == "return" else f"the volatility of {names[1]}"


def _dropped(pair: "_Pair") -> int:
    """Rows between the first and the last value that lack a value or a return."""
    inside = np.flatnonzero(np.isfinite(pair.found.driver))
    return int((~pair.both[inside[0] : inside[-1] + 1]).sum())


def log_volatility(returns: Array) -> Array:
    """ln(|r| + ε), ε a tenth of the median |r|; NaN where r is."""
    size = np.abs(returns)
    known = size[np.isfinite(size)]
    floor = FLOOR * float(np.median(known[known > 0])) if (known > 0).any() else 1.0
    found: Array = np.log(size + floor)
    return found


def _log_realised(hourly: Dated, struck: pd.DatetimeIndex) -> Array:
    """ln of the root of the summed squares of the hourly log returns that lie between each close and the one before.

    NaN where less than HOURS_THERE of the hours are there, or where the price stood still in all of them.
    """
    times = pd.DatetimeIndex([at for at, _ in hourly])
    squares = np.diff(np.log([close for _, close in hourly])) ** 2
    first, last = times.searchsorted(struck[:-1], side="left"), times.searchsorted(struck[1:], side="right") - 1
    sums = np.array([squares[begin:end].sum() for begin, end in zip(first, last, strict=True)])
    enough = last - first >= HOURS_THERE * ((struck[1:] - struck[:-1]) / timedelta(hours=1))
    told = enough & (sums > 0)
    found: Array = np.r_[np.nan, np.where(told, np.log(np.where(told, sums, 1.0)) / 2, np.nan)]
    return found


class _Pair:
    """A driver and a price: correlations of many drivers with its price side at every lag, over the rows both know."""

    def __init__(self, found: Aligned, target: Target, names: tuple[str, str], max_lag: int) -> None:
        """Raises: BadInput where no lead or lag can be told."""
        _refuse(found, target, names, max_lag)
        self.found = found
        driver, wanted = found.driver, found.wanted(target)
        self.both = np.isfinite(driver) & np.isfinite(wanted)
        longest = min(max_lag, int(self.both.sum()) // 4)
        self.lags = np.arange(-longest, longest + 1)
        price = _autoregression(wanted)
        self.order = len(price.weights)
        if np.nanstd(price.residuals) < 1e-9 * np.nanstd(wanted):
            raise BadInput(f"The past of {names[1]} tells all of it; nothing is left of it that could lead or follow.")
        self._rows = np.flatnonzero(np.isfinite(driver))
        padded = np.r_[np.full(longest, np.nan), price.residuals, np.full(longest, np.nan)]
        later = padded[self._rows[:, None] + longest + self.lags]
        there = np.isfinite(later)
        self.n = there.sum(axis=0)
        mean = np.where(there, later, 0.0).sum(axis=0) / np.maximum(self.n, 1)
        self._there = there.astype(np.float64)
        self._later = np.where(there, later - mean, 0.0)
        self._spread = np.sqrt((self._later**2).sum(axis=0))

    def correlations(self, drivers: Array) -> tuple[Array, Array]:
        """drivers: (many, rows), known where the driver is. Returns: r, and its standard error; (many, lags) each.

        The error is robust, √(Σ x² e²) over √(Σ x² Σ e²): where both sides are loud in the same rows, r varies by more
        than 1/√n. Both are 0 where nothing varies. Source: White (1980).
        """
        drivers = drivers[:, self._rows]
        drivers = drivers - drivers.mean(axis=1, keepdims=True)
        squared = drivers**2
        mean = drivers @ self._there / np.maximum(self.n, 1)
        variance = squared @ self._there - self.n * mean**2
        varies = (variance > 1e-12 * squared.sum(axis=1, keepdims=True)) & (self._spread > 0)
        scale = np.sqrt(np.maximum(variance, 0)) * self._spread
        products = drivers @ self._later
        deviation = np.sqrt(squared @ self._later**2)
        found: Array = np.divide(products, scale, out=np.zeros_like(scale), where=varies)
        error: Array = np.divide(deviation, scale, out=np.zeros_like(scale), where=varies)
        return found, error


def _over(r: Array, error: Array) -> Array:
    """t: r in standard errors; 0 where there is no error."""
    told: Array = np.divide(r, error, out=np.zeros_like(r), where=error > 0)
    return told


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


def _nulls(
    fitted: _Autoregression, known: NDArray[np.bool_], pairs: list[_Pair], resamples: int, seed: int
) -> list[Array]:
    """t of the driver's surrogates in each of its pairs, shape (resamples, lags).

    known: the moments of the grid whose residuals may be drawn. The same seed draws the same moments for each driver.
    """
    rng, moments, length = np.random.default_rng(seed), np.flatnonzero(known), len(known) + BURN_IN
    parts: list[list[Array]] = [[] for _ in pairs]
    at_once = max(FEWEST_AT_ONCE, AT_ONCE // length)
    for first in range(0, resamples, at_once):
        many = min(at_once, resamples - first)
        surrogates = _surrogates(fitted, moments[rng.integers(0, len(moments), (many, length))])
        for part, pair in zip(parts, pairs, strict=True):
            part.append(_over(*pair.correlations(pair.found.in_rows(surrogates))))
    return [np.concatenate(part) for part in parts]


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
