"""Tone: what stories say of an asset on average, by bucket, with interval and disagreement. docs/methods/tone.md."""

from datetime import datetime

import numpy as np
import pandas as pd

from analysis.buckets import GRACE, Bucket, end_of, floor
from analysis.intensity import THIN_BELOW, Z90, Weighting, known
from models.derived import TonePoint

PRIOR = np.array([-1.0, 0.0, 1.0])
PRIOR_WEIGHT = 0.5
"""Half a story of each tone is added before the interval is told: three stories that agree are not certainty."""


def tone_points(
    tones: pd.DataFrame,
    *,
    asset: str,
    starts: list[datetime],
    bucket: Bucket,
    weighting: Weighting,
    now: datetime,
) -> list[TonePoint]:
    """One point per bucket, ascending, gaps included.

    Args:
        tones: see models.store.stories.asset_tones. weighting: 'story' counts copies once; 'article' counts each.
        now: the instant of knowledge; a bucket is open until its end plus GRACE.

    Returns: tone is a mean in [-1, 1], None where no story is known; the interval is that of the mean of a Dirichlet
    posterior over -1, 0 and +1 at the effective n.
    """
    grouped = dict(list(tones.assign(bucket=floor(tones["hour"], bucket)).groupby("bucket"))) if len(tones) else {}
    return [_point(grouped.get(pd.Timestamp(start)), asset, start, bucket, weighting, now) for start in starts]


def _point(
    rows: pd.DataFrame | None, asset: str, start: datetime, bucket: Bucket, weighting: Weighting, now: datetime
) -> TonePoint:
    is_open = end_of(start, bucket) + GRACE > now
    if rows is None:
        return TonePoint(start, asset, None, None, None, None, 0, 0, True, is_open)
    tone = rows["tone"].to_numpy(dtype="float64")
    copies = rows["n_articles"].to_numpy(dtype="float64")
    weights = np.ones(len(tone)) if weighting == "story" else copies
    mean = float(np.average(tone, weights=weights))
    spread = float(np.sqrt(np.average((tone - mean) ** 2, weights=weights)))
    n = float(weights.sum() ** 2 / (weights**2).sum())
    total = n + PRIOR_WEIGHT * len(PRIOR)
    centre = n * mean / total
    square = (n * (spread**2 + mean**2) + PRIOR_WEIGHT * float((PRIOR**2).sum())) / total
    half = Z90 * np.sqrt(max(0.0, square - centre**2) / (total + 1))
    return TonePoint(
        bucket_start=start,
        asset=asset,
        tone=known(mean),
        low=known(max(-1.0, min(mean, centre - half))),
        high=known(min(1.0, max(mean, centre + half))),
        disagreement=known(spread) if len(tone) > 1 else None,
        n_articles=int(copies.sum()),
        n_stories=len(tone),
        thin=len(tone) < THIN_BELOW,
        open=is_open,
    )
