"""News with planted truth: stories by day with known rates, in the shape that the store hands to `analysis`."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from analysis.synthetic import CARRIED, TOTALS

FIRST = datetime(2019, 1, 1, tzinfo=UTC)
USUAL = {"safe_haven": 0.03, "debasement": 0.02, "fiscal_stress": 0.02, "liquidity": 0.05}


def news(
    days: int,
    *,
    seed: int,
    a_day: int = 40,
    rate: Callable[[str, int], float] = lambda name, day: USUAL[name],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Totals and carried (see models.store.stories.StoryFrames) of `days` days from FIRST; all stories are building.

    `rate(narrative, day)` is the share of that day's stories that carry the narrative.
    """
    rng = np.random.default_rng(seed)
    totals, carried = [], []
    for day in range(days):
        hour = FIRST + timedelta(days=day, hours=12)
        n = int(rng.poisson(a_day))
        if n:
            totals.append((hour, "A", n, n, n))
        for _ in range(n):
            carried += [(hour, "A", name, 1, "", 1, 1, 0) for name in USUAL if rng.random() < rate(name, day)]
    return frames(totals, carried)


def frames(totals: list[tuple[object, ...]], carried: list[tuple[object, ...]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(hour, outlet, n_stories, n_articles, n_squared); (hour, outlet, narrative, direction, modality, counts …)."""
    first, second = pd.DataFrame(totals, columns=TOTALS), pd.DataFrame(carried, columns=CARRIED)
    for frame in (first, second):
        frame["hour"] = pd.to_datetime(frame["hour"], utc=True).astype("datetime64[us, UTC]")
    return tuple(frame.astype({name: "int64" for name in frame if name.startswith("n_")}) for frame in (first, second))


def until(frame: pd.DataFrame, day: int) -> pd.DataFrame:
    """The rows of the days before `day`."""
    return frame[frame["hour"] < pd.Timestamp(FIRST + timedelta(days=day))]
