"""Intensity: the share of stories that carry a narrative, by bucket, with its interval. docs/methods/intensity.md."""

from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.buckets import GRACE, Bucket, end_of, floor
from models.derived import IntensityPoint

Weighting = Literal["story", "article"]
THIN_BELOW = 20
"""Stories in a bucket below which its share says little."""
Z90 = 1.6448536269514722


def intensity_points(
    totals: pd.DataFrame,
    carried: pd.DataFrame,
    fetches: pd.DataFrame,
    *,
    narratives: list[str],
    starts: list[datetime],
    bucket: Bucket,
    weighting: Weighting,
    now: datetime,
) -> list[IntensityPoint]:
    """One point per narrative and bucket, narratives in the order given, buckets ascending, gaps included.

    Args:
        totals, carried: see models.store.stories.StoryFrames (hours are aware UTC).
        fetches: columns hour, attempts, answered.
        starts: the buckets wanted; bucket: their width.
        weighting: 'story' counts copies once; 'article' counts each copy.
        now: the instant of knowledge; a bucket is open until its end plus GRACE.

    Returns: intensity is a share in [0, 1], None where no story is known. The interval is Wilson's score interval at
    the effective n: the stories, or (sum w)^2 / sum w^2 where each story weighs by its copies.
    """
    index = pd.DatetimeIndex(starts)
    counts = _by_bucket(totals, ["n_stories", "n_articles", "n_squared"], index, bucket)
    attempts = _by_bucket(fetches, ["attempts", "answered"], index, bucket)
    n_stories, n_articles = counts["n_stories"].to_numpy(), counts["n_articles"].to_numpy()
    weights = n_stories if weighting == "story" else n_articles
    squared = n_stories if weighting == "story" else counts["n_squared"].to_numpy()
    coverage = _ratio(attempts["answered"].to_numpy(), attempts["attempts"].to_numpy())
    is_open = [end_of(start, bucket) + GRACE > now for start in starts]
    effective = _ratio(weights**2, squared)
    points: list[IntensityPoint] = []
    for narrative in narratives:
        own = carried[carried["narrative"] == narrative]
        hits = _by_bucket(own.assign(n_carrying=1), ["n_carrying", "n_articles"], index, bucket)
        n_carrying = hits["n_carrying"].to_numpy()
        share = _ratio(n_carrying if weighting == "story" else hits["n_articles"].to_numpy(), weights)
        low, high = wilson(share, effective)
        points.extend(
            IntensityPoint(
                bucket_start=start,
                narrative=narrative,
                intensity=known(share[i]),
                low=known(low[i]),
                high=known(high[i]),
                n_articles=int(n_articles[i]),
                n_stories=int(n_stories[i]),
                n_carrying=int(n_carrying[i]),
                echo=int(n_articles[i] - n_stories[i]),
                thin=bool(n_stories[i] < THIN_BELOW),
                open=is_open[i],
                coverage=known(coverage[i]),
            )
            for i, start in enumerate(starts)
        )
    return points


def wilson(share: NDArray[np.float64], n: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The 90 % score interval of shares observed in n effective draws; NaN where n is 0. Shape: that of `share`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (share + Z90**2 / (2 * n)) / (1 + Z90**2 / n)
        half = Z90 / (1 + Z90**2 / n) * np.sqrt(share * (1 - share) / n + Z90**2 / (4 * n**2))
    return np.clip(np.minimum(centre - half, share), 0, 1), np.clip(np.maximum(centre + half, share), 0, 1)


def known(value: float) -> float | None:
    """NaN as None; at most six decimals, which is far below any interval of ours."""
    return None if np.isnan(value) else round(float(value), 6)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return ratio


def _by_bucket(frame: pd.DataFrame, names: list[str], index: pd.DatetimeIndex, bucket: Bucket) -> pd.DataFrame:
    """The sums of the columns by bucket, 0 where there is no row; shape (len(index), len(names))."""
    sums = frame.groupby(floor(frame["hour"], bucket))[names].sum()
    return sums.reindex(index, fill_value=0).astype("float64")
