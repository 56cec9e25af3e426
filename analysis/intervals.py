"""Intervals that every statistic here shares."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Z90 = 1.6448536269514722
"""Standard deviations to either side that hold nine of ten draws of a normal distribution."""


def wilson(share: Array, n: Array) -> tuple[Array, Array]:
    """The 90 % score interval of shares observed in n effective draws; NaN where n is 0. Shape: that of `share`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (share + Z90**2 / (2 * n)) / (1 + Z90**2 / n)
        half = Z90 / (1 + Z90**2 / n) * np.sqrt(share * (1 - share) / n + Z90**2 / (4 * n**2))
    return np.clip(np.minimum(centre - half, share), 0, 1), np.clip(np.maximum(centre + half, share), 0, 1)
