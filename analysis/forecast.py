"""Beside the lags: does the past of one side help to tell the other's future? docs/methods/lead-lag.md.

None of it enters the verdict of analysis.lead_lag. statsmodels is slow to import, so where it is used.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.intervals import Z90
from analysis.lead_lag import unusual
from models.derived import Beside, Forecast, Granger, Projection

Array = NDArray[np.float64]
MOST_ORDERS = 10
LEAST_VARIED = 20
"""Rows in which a side differs from its usual value, without which no standard error of its slope means anything."""
FIRST_ROWS = 60
"""The first forecast is made after so many rows; fewer forecasts than this say nothing."""


def granger(cause: Array, effect: Array) -> Granger:
    """Whether the past of `cause` helps to tell `effect` beyond its own past: a Wald test with HAC covariance.

    Both in rows, NaN where missing; as many lags of each as BIC chooses, at most MOST_ORDERS. p is None where too few
    rows are there, one side hardly varies, or one column of the past is told by the others. Source: Granger (1969);
    Newey and West (1987).
    """
    from statsmodels.api import OLS

    most = min(MOST_ORDERS, len(effect) // 12)
    if most < 1:
        return Granger(None, 0, 0)
    past = [np.column_stack([_later(side, -lag) for lag in range(1, most + 1)]) for side in (effect, cause)]
    rows = np.isfinite(np.column_stack([effect, *past])).all(axis=1)
    n = int(rows.sum())
    if n < 4 * (2 * most + 1) or min(unusual(side[rows, 0]) for side in past) < LEAST_VARIED:
        return Granger(None, 0, n)
    y = effect[rows]
    if not _independent(np.column_stack([np.ones(n), y, past[0][rows], past[1][rows]])):
        return Granger(None, 0, n)
    designs = [
        np.column_stack([np.ones(n), past[0][rows, :order], past[1][rows, :order]]) for order in range(1, most + 1)
    ]
    order = int(np.argmin([OLS(y, design).fit().bic for design in designs])) + 1
    fitted = OLS(y, designs[order - 1]).fit(cov_type="HAC", cov_kwds={"maxlags": _bandwidth(n), "use_correction": True})
    restricted = np.eye(1 + 2 * order)[1 + order :]
    return Granger(round(float(fitted.wald_test(restricted, use_f=True, scalar=True).pvalue), 4), order, n)


def local_projections(driver: Array, returns: Array, *, horizons: int) -> list[Projection]:
    """What the price does over the h rows after a driver one standard deviation higher, h = 1 … horizons.

    The sum of the next h returns on the driver, less what the driver's last value and the last two returns tell, with
    HAC intervals. Source: Jordà (2005).
    """
    from statsmodels.api import OLS

    x = _standard(driver)
    controls = np.column_stack([np.ones(len(x)), x, _later(x, -1), returns, _later(returns, -1)])
    whole = controls[np.isfinite(controls).all(axis=1)]
    if len(whole) < LEAST_VARIED or unusual(whole[:, 1]) < LEAST_VARIED or not _independent(whole):
        return []
    found, ahead = [], np.zeros(len(x))
    for horizon in range(1, horizons + 1):
        ahead = ahead + _later(returns, horizon)
        rows = np.isfinite(np.column_stack([ahead, controls])).all(axis=1)
        if rows.sum() < 5 * controls.shape[1] + horizon:
            break
        lags = max(horizon, _bandwidth(int(rows.sum())))
        fitted = OLS(ahead[rows], controls[rows]).fit(
            cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}
        )
        slope, error = float(fitted.params[1]), float(fitted.bse[1])
        low, high = slope - Z90 * error, slope + Z90 * error
        found.append(Projection(horizon, round(slope, 6), round(low, 6), round(high, 6), int(rows.sum())))
    return found


def out_of_sample(driver: Array, returns: Array, *, max_lag: int) -> Forecast:
    """How well the driver would have told the next return in real time, against the mean of the returns so far.

    Each forecast uses what was known before it: the lag (1 … max_lag) whose correlation was the strongest so far, and
    its regression on the rows so far. r2 > 0: better than the mean. p: Clark and West (2007), one-sided. None where
    fewer than FIRST_ROWS forecasts could be made.
    """
    n = len(returns)
    driver = driver - driver[np.isfinite(driver)][:1]  # far from 0 the sums of squares would lose their digits
    x = np.column_stack([_later(driver, -lag) for lag in range(1, max_lag + 1)])
    there = np.isfinite(x) & np.isfinite(returns)[:, None]
    y = np.where(there, returns[:, None], 0.0)
    x = np.where(there, x, 0.0)
    count, sx, sy, sxx, sxy, syy = (
        np.cumsum(part, axis=0) for part in (there.astype(float), x, y, x * x, x * y, y * y)
    )
    known = np.isfinite(returns)
    mean = np.cumsum(np.where(known, returns, 0.0)) / np.maximum(np.cumsum(known), 1)
    errors: list[tuple[float, float, float]] = []
    for row in range(FIRST_ROWS, n):
        if not known[row]:
            continue
        before = row - 1
        m = np.maximum(count[before], 1)
        cov = sxy[before] - sx[before] * sy[before] / m
        var_x, var_y = sxx[before] - sx[before] ** 2 / m, syy[before] - sy[before] ** 2 / m
        usable = there[row] & (m >= LEAST_VARIED) & (var_x > 1e-10 * sxx[before]) & (var_y > 1e-10 * syy[before])
        spread = np.sqrt(np.where(usable, var_x * var_y, 1.0))
        strength = np.where(usable, np.abs(cov) / spread * np.sqrt(m), -1.0)
        best = int(strength.argmax())
        if strength[best] < 0:
            continue
        slope = cov[best] / var_x[best]
        told = sy[before, best] / m[best] + slope * (x[row, best] - sx[before, best] / m[best])
        errors.append((returns[row] - mean[before], returns[row] - told, mean[before] - told))
    if len(errors) < FIRST_ROWS:
        return Forecast(None, None, len(errors))
    plain, own, apart = np.array(errors).T
    gained = plain**2 - (own**2 - apart**2)
    deviation = gained.std(ddof=1)
    if not deviation or not plain.any():
        return Forecast(None, None, len(errors))
    p = float(norm.sf(np.sqrt(len(gained)) * gained.mean() / deviation))
    return Forecast(round(float(1 - (own**2).sum() / (plain**2).sum()), 4), round(p, 4), len(errors))


def _standard(series: Array) -> Array:
    """In its own standard deviations from its mean: no number here depends on its unit."""
    found: Array = (series - np.nanmean(series)) / np.nanstd(series)
    return found


def _independent(columns: Array) -> bool:
    """Whether no column is told by the others."""
    scaled = columns / np.abs(columns).max(axis=0)
    return bool(np.linalg.matrix_rank(scaled, tol=1e-8 * np.sqrt(len(scaled))) == columns.shape[1])


def _later(series: Array, rows: int) -> Array:
    """The series as it stands so many rows later (or earlier, if negative); NaN where it has no such row."""
    found = np.full(len(series), np.nan)
    if rows >= 0:
        found[: len(series) - rows] = series[rows:]
    else:
        found[-rows:] = series[:rows]
    return found


def _bandwidth(n: int) -> int:
    """Newey and West's rule of thumb for the lags of a HAC covariance."""
    return int(4 * (n / 100) ** (2 / 9))


def beside(driver: Array, wanted: Array, *, max_lag: int) -> Beside:
    """All of it, for a driver and what is wanted of the price, in rows, both of which vary."""
    driver = _standard(driver)
    return Beside(
        granger_driver_to_price=granger(driver, wanted),
        granger_price_to_driver=granger(wanted, driver),
        projections=local_projections(driver, wanted, horizons=max_lag),
        out_of_sample=out_of_sample(driver, wanted, max_lag=max_lag),
    )
