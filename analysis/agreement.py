"""Agreement of reviewers: Krippendorff's alpha with an interval. docs/methods/audit.md."""

from dataclasses import dataclass
from typing import Literal

import krippendorff
import numpy as np
from numpy.typing import NDArray

from analysis.audit import Interval

DRAWS = 400
Level = Literal["nominal", "interval"]


@dataclass(frozen=True, slots=True)
class Agreement:
    alpha: Interval
    n: int
    """Texts that two or more judged."""
    n_reviewers: int
    agreed: float | None
    disputed: list[int]
    """Places of the texts of which they did not say the same."""


def agreement(said: NDArray[np.float64], level: Level, *, seed: int = 0) -> Agreement:
    """said: shape (reviewers, texts), NaN where a reviewer did not judge. 90 %, over bootstrap samples of the texts; no
    interval where they never differ, of which no sample can tell how often they might.

    nominal: values are the same or not; interval: they differ by their squared distance.
    """
    pairable = np.flatnonzero((~np.isnan(said)).sum(axis=0) >= 2)
    judged = said[:, pairable]
    n = len(pairable)
    if not n:
        return Agreement(Interval(None, None, None), 0, 0, None, [])
    differ = np.nanmax(judged, axis=0) != np.nanmin(judged, axis=0)
    rng = np.random.default_rng(seed)
    drawn = [_alpha(judged[:, rng.integers(0, n, n)], level) for _ in range(DRAWS)]
    told = [value for value in drawn if value is not None]
    alpha = _alpha(judged, level)
    low, high = np.quantile(told, (0.05, 0.95)) if told and differ.any() else (None, None)
    return Agreement(
        Interval(alpha, None if low is None else round(float(low), 4), None if high is None else round(float(high), 4)),
        n,
        int((~np.isnan(judged)).any(axis=1).sum()),
        round(float(1 - differ.mean()), 6),
        pairable[differ].tolist(),
    )


def _alpha(said: NDArray[np.float64], level: Level) -> float | None:
    """None where all say the same of everything: by chance they would as well."""
    values = said[~np.isnan(said)]
    if values.min() == values.max():
        return None
    return round(float(krippendorff.alpha(reliability_data=said, level_of_measurement=level)), 6)
