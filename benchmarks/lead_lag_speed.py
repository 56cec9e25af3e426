"""Speed of the lead-lag of many pairs at once: python benchmarks/lead_lag_speed.py [SURROGATES OF THE PLAIN LOOP]

Nine drivers beside five assets, 365 days, lags -20 … 20, 1,000 surrogates. Beside it what a careful analyst would
write: one pair, one surrogate, one lag at a time; statsmodels' AutoReg for both sides, scipy's lfilter, numpy's
corrcoef. It is fed the same random moments and must find the same: every correlation to 1e-9, every p exactly.
It runs on 50 surrogates of every pair and is scaled to 1,000; its fits are counted once a pair. Give 1000 to run all of
it (two to four minutes). OMP_NUM_THREADS=1 keeps both to one core.
"""

import sys
from datetime import UTC, datetime, timedelta
from time import perf_counter

import numpy as np
from scipy.signal import lfilter
from statsmodels.tsa.ar_model import AutoReg

from analysis.lead_lag import BURN_IN, LARGEST_ROOT, MOST_ORDERS, _autoregression, _nulls, _Pair, align, family
from analysis.synthetic import DRIVERS, PRICES, driver, returns

DAYS, MAX_LAG, RESAMPLES, SEED = 365, 20, 1_000, 0
FIRST = datetime(2020, 1, 2, tzinfo=UTC)


def made():
    """Nine drivers and five assets by day; the third driver leads the second asset by five days."""
    rng = np.random.default_rng(3)
    drivers = {f"driver {place}": driver(DRIVERS[place % 3], DAYS, rng) for place in range(9)}
    moves = {f"asset {place}": returns(PRICES[place % 3], DAYS, rng) for place in range(5)}
    moves["asset 1"] = moves["asset 1"] + 0.4 * np.roll(drivers["driver 2"], 5)
    at = [FIRST + timedelta(days=day) for day in range(-1, DAYS)]
    return (
        {name: list(zip(at[1:], values.tolist(), strict=True)) for name, values in drivers.items()},
        {
            name: list(zip(at, (100 * np.exp(np.cumsum(np.r_[0, 0.01 * one]))).tolist(), strict=True))
            for name, one in moves.items()
        },
    )


def whitened(series):
    """Weights and residuals of the autoregression that BIC chooses among orders 0 to 10, all on the same rows."""
    centred = series - series.mean()
    held = centred[MOST_ORDERS:]
    best, weights = len(held) * np.log(held @ held), np.zeros(0)
    for order in range(1, MOST_ORDERS + 1):
        fitted = AutoReg(centred, order, trend="n", hold_back=MOST_ORDERS).fit()
        score = len(held) * np.log(fitted.resid @ fitted.resid) + order * np.log(len(held))
        if score < best:
            best, weights = score, fitted.params
    left = lfilter(np.r_[1.0, -weights], [1.0], centred)
    left[: len(weights)] = np.nan
    return weights, left


def correlations(x, y):
    """r and its t by lag, with White's standard error."""
    n, found, loud = len(x), [], np.square(x - np.nanmean(x))
    for lag in range(-MAX_LAG, MAX_LAG + 1):
        one, other = (x[: n - lag], y[lag:]) if lag >= 0 else (x[-lag:], y[: n + lag])
        there = np.isfinite(one) & np.isfinite(other)
        r = np.corrcoef(one[there], other[there])[0, 1]
        squared = (loud[: n - lag] if lag >= 0 else loud[-lag:])[there]
        rest = other[there] - other[there].mean()
        deviation = np.sqrt((squared * rest**2).sum())
        found.append((r, r * one[there].std() * np.sqrt((rest**2).sum() * there.sum()) / deviation))
    return np.array(found).T


def plain(values, closes, draws):
    """Returns: the seconds of the fits, the seconds of one surrogate, r and t seen, t of the surrogates."""
    began = perf_counter()
    x = np.array([value for _, value in values])
    r = np.diff(np.log([close for _, close in closes]))
    weights, residuals = whitened(x)
    _, e = whitened(r)
    seen, told = correlations(x, e)
    fits, began = perf_counter() - began, perf_counter()
    known = residuals[np.isfinite(residuals)]
    largest = max((abs(root) for root in np.roots(np.r_[1.0, -weights])), default=0.0)
    if largest > LARGEST_ROOT:
        weights = weights * (LARGEST_ROOT / largest) ** np.arange(1, len(weights) + 1)
    null = []
    for draw in draws:
        surrogate = lfilter([1.0], np.r_[1.0, -weights], (known - known.mean())[draw])[BURN_IN:]
        null.append(correlations(surrogate, e)[1])
    return fits, (perf_counter() - began) / len(draws), seen, told, np.array(null)


def same(condition, pair):
    if not condition:
        sys.exit(f"The plain loop finds something else for {pair.driver} and {pair.asset}.")


def main(draws_of_loop):
    drivers, assets = made()
    family(drivers, assets, max_lag=MAX_LAG, resamples=9)  # imports and first calls
    times = []
    for _ in range(5):
        began = perf_counter()
        told, _ = family(drivers, assets, max_lag=MAX_LAG, resamples=RESAMPLES, seed=SEED)
        times.append(perf_counter() - began)
    own = sorted(times)[2]
    fitted = {name: _autoregression(np.array([value for _, value in values])) for name, values in drivers.items()}
    known = np.all([np.isfinite(one.residuals) for one in fitted.values()], axis=0)
    draws = np.random.default_rng(SEED).integers(0, known.sum(), (RESAMPLES, DAYS + BURN_IN))[:draws_of_loop]
    fits, each, apart = [], [], 0.0
    for pair in told:
        values, closes = drivers[pair.driver], assets[pair.asset]
        # The loop draws among all residuals of its driver; the family among the moments that every driver has.
        moved = draws + int(known.argmax()) - len(fitted[pair.driver].weights)
        fit, one, seen, told_by_loop, null = plain(values, closes, moved)
        fits.append(fit)
        each.append(one)
        side = _Pair(align(values, closes), "return", (pair.driver, pair.asset), MAX_LAG)
        ours = _nulls(fitted[pair.driver], known, [side], RESAMPLES, SEED)[0][:draws_of_loop]
        (ours_seen,), (error,) = side.correlations(side.found.driver[None, :])
        ours_told = ours_seen / error
        sides = (ours, null), (ours_seen, seen), (ours_told, told_by_loop)
        apart = max(apart, *(np.abs(one - other).max() for one, other in sides))
        same(apart < 1e-9, pair)
        same(np.allclose([lag.estimate for lag in pair.lead_lag.lags], seen, rtol=0, atol=5.1e-5), pair)
        reached, ours_reached = (
            np.abs(surrogates).max(axis=1) >= np.abs(truth).max()
            for surrogates, truth in ((null, told_by_loop), (ours, ours_told))
        )
        same((reached == ours_reached).all(), pair)
        p = round(float((1 + reached.sum()) / (1 + RESAMPLES)), 4)
        same(draws_of_loop < RESAMPLES or pair.lead_lag.p_family == p, pair)
    loop = sum(fits) + RESAMPLES * sum(each)
    scaled = "" if draws_of_loop == RESAMPLES else f", scaled from {draws_of_loop} surrogates of every pair"
    print(f"{len(told)} pairs, {DAYS} rows, lags ±{MAX_LAG}, {RESAMPLES:,} surrogates: {own:.2f} s (median of 5)")
    print(f"plain loop: {loop:.0f} s{scaled}; r and t differ by at most {apart:.0e}, p are the same")
    print(f"{loop / own:.0f} times as fast")


if __name__ == "__main__":
    main(min(RESAMPLES, int(sys.argv[1])) if len(sys.argv) > 1 else 50)
