"""Tone: what stories say of an asset on average, by bucket, with interval and disagreement. docs/methods/tone.md."""

from datetime import datetime

import numpy as np
import pandas as pd

from analysis.audit import Line
from analysis.buckets import GRACE, Bucket, end_of, floor
from analysis.intensity import THIN_BELOW, Weighting, known
from analysis.intervals import Z90
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
    line: Line | None = None,
) -> list[TonePoint]:
    """One point per bucket, ascending, gaps included.

    Args:
        tones: sums by hour or day, see models.store.stories.asset_tones. weighting: 'story' counts copies once;
            'article' counts each.
        now: the instant of knowledge; a bucket is open until its end plus GRACE.
        line: how an audit corrects the tone; None: it does not.

    Returns: tone is a mean in [-1, 1], None where no story is known; the interval is that of the mean of a Dirichlet
    posterior over -1, 0 and +1 at the effective n.
    """
    sums = tones.drop(columns="hour").groupby(floor(tones["hour"], bucket)).sum()
    by_start = dict(zip(sums.index, sums.to_dict("records"), strict=True))
    return [
        _point(
            by_start.get(pd.Timestamp(start)),
            asset,
            start,
            weighting,
            is_open=end_of(start, bucket) + GRACE > now,
            line=line,
        )
        for start in starts
    ]


def _point(
    sums: dict[str, float] | None,
    asset: str,
    start: datetime,
    weighting: Weighting,
    *,
    is_open: bool,
    line: Line | None,
) -> TonePoint:
    if sums is None:
        return TonePoint(start, asset, None, None, None, None, 0, 0, True, is_open)
    stories, articles = int(sums["n_stories"]), int(sums["n_articles"])
    counted, suffix = (stories, "") if weighting == "story" else (articles, "_by_article")
    mean = sums[f"tone{suffix}"] / counted
    square = sums[f"tone_squared{suffix}"] / counted
    spread = float(np.sqrt(max(0.0, square - mean**2)))
    n = float(stories) if weighting == "story" else articles**2 / sums["n_squared"]
    total = n + PRIOR_WEIGHT * len(PRIOR)
    centre = n * mean / total
    half = Z90 * np.sqrt(
        max(0.0, (n * square + PRIOR_WEIGHT * float((PRIOR**2).sum())) / total - centre**2) / (total + 1)
    )
    low, high, tone = min(mean, centre - half), max(mean, centre + half), mean
    if line is not None:
        tone, unsure = line.at(mean)
        reach = np.sqrt((line.slope * half) ** 2 + Z90**2 * unsure)
        low, high = tone - reach, tone + reach
    return TonePoint(
        bucket_start=start,
        asset=asset,
        tone=known(tone),
        low=known(max(-1.0, low)),
        high=known(min(1.0, high)),
        disagreement=known(spread) if stories > 1 else None,
        n_articles=articles,
        n_stories=stories,
        thin=stories < THIN_BELOW,
        open=is_open,
        as_tagged=None if line is None else known(mean),
    )
