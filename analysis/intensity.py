"""Intensity: how much of the news carries a narrative, by bucket, with its interval. docs/methods/intensity.md.

share: stories that carry it / stories
index: per outlet, that share / its own standard deviation so far; the mean over outlets, its mean so far being 100
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.audit import Correction, corrected_share
from analysis.buckets import GRACE, PERIODS, Bucket, end_of, floor
from analysis.intervals import Z90, wilson
from models.derived import IntensityPoint
from models.rollups import BREADTH

Array = NDArray[np.float64]
Measure = Literal["share", "index"]
Weighting = Literal["story", "article"]
THIN_BELOW = 20
"""Stories in a bucket below which its share says little."""
NEEDS_DAYS, NEEDS_HITS, NEEDS_BUCKETS = 90, 10, 12
"""Of an outlet's history before a bucket, for the index: days since its first story, stories that carry the narrative,
and buckets with stories (a standard deviation of three months says nothing)."""
CONSTANT = 1e-9
"""A variance below this part of the squared mean is none."""
LEAST_PAIRS = 12
"""Buckets below which no correlation is told."""


@dataclass(frozen=True, slots=True)
class Told:
    """One narrative's number by bucket, NaN where not known, and what it rests on."""

    value: Array
    low: Array
    high: Array
    n_stories: Array
    n_indexed: Array | None = None
    progress: Array | None = None
    as_tagged: Array | None = None


@dataclass(frozen=True, slots=True)
class ByOutlet:
    """Each outlet's own stories; see models.store.stories.OutletFrames."""

    totals: pd.DataFrame
    carried: pd.DataFrame


def intensity_points(
    totals: pd.DataFrame,
    carried: pd.DataFrame,
    fetches: pd.DataFrame,
    *,
    breadth: pd.DataFrame,
    narratives: list[str],
    starts: list[datetime],
    bucket: Bucket,
    weighting: Weighting,
    now: datetime,
    by_outlet: ByOutlet | None = None,
    corrections: Mapping[str, Correction] | None = None,
    reviewed: pd.DataFrame | None = None,
) -> list[IntensityPoint]:
    """One point per narrative and bucket, narratives in the order given, buckets ascending, gaps included.

    Args:
        totals, carried: see models.store.stories.StoryFrames (hours are aware UTC).
        fetches: columns hour, attempts, answered.
        breadth: how many outlets brought the stories of `carried`; see breadth_of.
        starts: the buckets wanted; bucket: their width.
        weighting: 'story' counts copies once; 'article' counts each copy.
        now: the instant of knowledge; a bucket is open until its end plus GRACE.
        by_outlet: from the first story on; where given, intensity is the index.
        corrections: of shares, by narrative; see analysis.audit.
        reviewed: stories that a reviewer has read, which are not corrected; columns hour, narrative, holds, n_stories.

    Returns: intensity is a share in [0, 1], None where no story is known, its interval Wilson's score interval at the
    effective n: the stories, or (sum w)^2 / sum w^2 where each story weighs by its copies. Or it is the index, None
    where no outlet with stories has the history that is needed; its interval: see _Outlets.
    """
    index = pd.DatetimeIndex(starts)
    n_stories, n_articles, copies_squared = _by_bucket(totals, ["n_stories", "n_articles", "n_squared"], index, bucket)
    attempts, answered = _by_bucket(fetches, ["attempts", "answered"], index, bucket)
    weights = n_stories if weighting == "story" else n_articles
    effective = _ratio(weights**2, n_stories if weighting == "story" else copies_squared)
    coverage = told(_ratio(answered, attempts))
    is_open = [end_of(start, bucket) + GRACE > now for start in starts]
    stories, articles = whole(n_stories), whole(n_articles)
    hits = _by_narrative(carried, ["n_carrying", "n_articles"], narratives, index, bucket)
    outlets = _placed(breadth, BREADTH, narratives, index, breadth["start"])
    own_ways = _Outlets.of(by_outlet, index, bucket) if by_outlet else None
    points: list[IntensityPoint] = []
    for place, narrative in enumerate(narratives):
        n_carrying, n_copies = hits[place]
        n_outlets, pairs, pairs_squared = outlets[place]
        if own_ways is None:
            share = _ratio(n_carrying if weighting == "story" else n_copies, weights)
            found = Told(share, *wilson(share, effective), n_stories)
            correction = (corrections or {}).get(narrative)
            if correction is not None:
                found = _corrected(found, effective, correction, _known(reviewed, narrative, index, bucket, n_stories))
        else:
            found = own_ways.index_of(narrative)
        nothing = [None] * len(starts)
        columns = {
            "bucket_start": starts,
            "intensity": told(found.value),
            "low": told(found.low),
            "high": told(found.high),
            "n_articles": articles,
            "n_stories": stories,
            "n_carrying": whole(n_carrying),
            "echo": whole(n_articles - n_stories),
            "thin": (found.n_stories < THIN_BELOW).tolist(),
            "open": is_open,
            "coverage": coverage,
            "n_outlets": [count or None for count in whole(n_outlets)],
            "outlets_effective": told(_ratio(pairs**2, pairs_squared)),
            "n_indexed": nothing if found.n_indexed is None else whole(found.n_indexed),
            "progress": nothing if found.progress is None else told(found.progress),
            "as_tagged": nothing if found.as_tagged is None else told(found.as_tagged),
        }
        rows = zip(*columns.values(), strict=True)
        points.extend(IntensityPoint(narrative=narrative, **dict(zip(columns, row, strict=True))) for row in rows)
    return points


def _corrected(tagged: Told, effective: Array, correction: Correction, reviewed: tuple[Array, Array]) -> Told:
    carrying, lacking = reviewed
    found = corrected_share(tagged.value, effective, correction, carrying=carrying, lacking=lacking)
    return Told(*found, tagged.n_stories, as_tagged=tagged.value)


def _known(
    reviewed: pd.DataFrame | None, narrative: str, index: pd.DatetimeIndex, bucket: Bucket, n_stories: Array
) -> tuple[Array, Array]:
    """Shares of each bucket's stories of which a reviewer has said that they carry the narrative, or do not."""
    if reviewed is None:
        return np.zeros(len(index)), np.zeros(len(index))
    own = reviewed[reviewed["narrative"] == narrative]
    carrying, lacking = (
        _ratio(_by_bucket(own[own["holds"] == holds], ["n_stories"], index, bucket)[0], n_stories)
        for holds in (True, False)
    )
    return carrying, lacking


def breadth_of(brought: pd.DataFrame, bucket: Bucket) -> pd.DataFrame:
    """How many stories of a narrative and bucket each outlet brought by the bucket's end, summed over outlets.

    Columns narrative, start (of the bucket) and BREADTH. `brought` has the columns hour (of the story), narrative,
    outlet, brought (hour of the outlet's first copy) and n_stories.
    """
    start = floor(brought["hour"], bucket)
    in_time = floor(brought["brought"], bucket) <= start
    pairs = brought.assign(start=start)[in_time].groupby(["narrative", "start", "outlet"])
    n = pairs["n_stories"].sum().rename("n").reset_index()
    parts = n.assign(n_outlets=1, n_squared=n["n"] ** 2).groupby(["narrative", "start"])
    return parts[BREADTH].sum().reset_index()


@dataclass(frozen=True, slots=True)
class _Outlets:
    """What the index of every narrative needs: arrays of shape (buckets from the first story on, outlets)."""

    carried: pd.DataFrame
    """Columns start, outlet, narrative, n_carrying."""
    n: pd.DataFrame
    days: Array
    """Since the outlet's first story, at the bucket's start."""
    copies: Array
    """How many outlets brought the text of a story, on average over the outlets' stories; shape (buckets,)."""
    wanted: NDArray[np.intp]
    """The places of the buckets that are asked for."""

    @classmethod
    def of(cls, found: ByOutlet, index: pd.DatetimeIndex, bucket: Bucket) -> "_Outlets":
        starts = floor(found.totals["hour"], bucket)
        first = (min(index[0], starts.min()) if len(starts) else index[0]).tz_localize(None)
        periods = pd.period_range(first, index[-1].tz_localize(None), freq=PERIODS[bucket])
        grid = periods.start_time.tz_localize("UTC").as_unit("us")
        sums = found.totals.groupby([starts.rename("start"), "outlet"])[["n_stories", "n_squared"]].sum()
        n = sums["n_stories"].unstack(fill_value=0).reindex(grid, fill_value=0).astype("float64")
        squared = sums["n_squared"].groupby("start").sum().reindex(grid, fill_value=0).to_numpy("float64")
        begun = found.totals.groupby("outlet")["hour"].min().reindex(n.columns)
        days = (grid.to_numpy("datetime64[us]")[:, None] - begun.to_numpy("datetime64[us]")) / np.timedelta64(1, "D")
        return cls(
            carried=found.carried.assign(start=floor(found.carried["hour"], bucket)),
            n=n,
            days=days,
            copies=_ratio(squared, n.to_numpy().sum(axis=1)),
            wanted=grid.get_indexer(index),
        )

    def index_of(self, narrative: str) -> Told:
        """100 * sum(x / s) / sum(m / s) over the outlets with stories and history: x the share in the bucket, m and s
        mean and standard deviation of the outlet's shares in the buckets before.

        The interval: all outlets' shares being θ m, sum(x / s) has mean θ sum(m / s) and, by Poisson counts, variance
        θ sum(m / (n s^2)), times the copies of a text; it holds the θ that the observed sum is within 1.645 standard
        deviations of. The usual shares m are taken as known.
        """
        own = self.carried[self.carried["narrative"] == narrative]
        sums = own.groupby(["start", "outlet"])["n_carrying"].sum().unstack(fill_value=0)
        hits = sums.reindex(index=self.n.index, columns=self.n.columns, fill_value=0).to_numpy("float64")
        n = self.n.to_numpy()
        share = np.nan_to_num(_ratio(hits, n))
        buckets, before = _before((n > 0).astype("float64")), _before(hits)
        mean = _ratio(_before(share), buckets)
        variance = _ratio(_before(share**2) - buckets * mean**2, buckets - 1)
        parts = self.days / NEEDS_DAYS, before / NEEDS_HITS, buckets / NEEDS_BUCKETS
        progress = np.minimum.reduce(parts)
        ready = (progress >= 1) & (n > 0) & (variance > CONSTANT * mean**2)
        scale = np.sqrt(np.where(ready, variance, np.nan))
        seen = np.nansum(share / scale, axis=1)
        usual = np.nansum(mean / scale, axis=1)
        spread = np.nansum(_ratio(mean, n) / scale**2, axis=1) * self.copies
        theta, half = _ratio(seen, usual), Z90**2 * _ratio(spread, 2 * usual**2)
        reach = np.sqrt(2 * theta * half + half**2)
        furthest = np.clip(progress.max(axis=1, initial=0.0), 0, 1)
        return Told(
            value=100 * theta[self.wanted],
            low=100 * np.maximum(theta + half - reach, 0)[self.wanted],
            high=100 * (theta + half + reach)[self.wanted],
            n_stories=np.where(ready, n, 0).sum(axis=1)[self.wanted],
            n_indexed=ready.sum(axis=1).astype("float64")[self.wanted],
            progress=np.where(furthest < 1, np.minimum(furthest, 0.99), 1).round(2)[self.wanted],
        )


def _before(values: Array) -> Array:
    """The sums of all earlier rows; the first row has none."""
    sums = np.zeros_like(values)
    np.cumsum(values[:-1], axis=0, out=sums[1:])
    return sums


def beside(
    ours: list[IntensityPoint], theirs: list[IntensityPoint]
) -> tuple[list[IntensityPoint], dict[str, float] | None, str | None]:
    """Our points with their intensity beside, and the correlation of both with its 90 % interval, or why there is none.

    The interval is Fisher's, as if buckets were independent.
    """
    rows = [replace(own, keywords_intensity=other.intensity) for own, other in zip(ours, theirs, strict=True)]
    pairs = [
        (row.intensity, row.keywords_intensity)
        for row in rows
        if row.intensity is not None and row.keywords_intensity is not None
    ]
    if len(pairs) < LEAST_PAIRS:
        return rows, None, f"{len(pairs)} buckets have both numbers; {LEAST_PAIRS} are needed."
    x, y = np.array(pairs).T
    if x.min() == x.max() or y.min() == y.max():
        return rows, None, "One of the two series never changes."
    r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    half = Z90 / np.sqrt(len(pairs) - 3)
    z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    found = {"estimate": r, "low": min(float(np.tanh(z - half)), r), "high": max(float(np.tanh(z + half)), r)}
    return rows, {name: round(value, 6) for name, value in found.items()} | {"n": len(pairs)}, None


def known(value: float) -> float | None:
    """NaN as None; at most six decimals, which is far below any interval of ours."""
    return None if np.isnan(value) else round(float(value), 6)


def told(values: Array) -> list[float | None]:
    """Each as `known` tells it."""
    return [None if value != value else value for value in values.round(6).tolist()]


def whole(counts: Array) -> list[int]:
    found: list[int] = counts.astype("int64").tolist()
    return found


def _ratio(part: Array, whole: Array) -> Array:
    ratio: Array = np.divide(part, whole, out=np.full_like(whole, np.nan), where=whole > 0)
    return ratio


def _by_bucket(frame: pd.DataFrame, names: list[str], index: pd.DatetimeIndex, bucket: Bucket) -> Array:
    """The sums of the columns by bucket, 0 where there is no row; shape (len(names), len(index))."""
    sums: Array = _by_narrative(frame.assign(narrative=""), names, [""], index, bucket)[0]
    return sums


def _by_narrative(
    frame: pd.DataFrame, names: list[str], narratives: list[str], index: pd.DatetimeIndex, bucket: Bucket
) -> Array:
    """The same of each narrative; shape (len(narratives), len(names), len(index))."""
    return _placed(frame, names, narratives, index, floor(frame["hour"], bucket))


def _placed(
    frame: pd.DataFrame,
    names: list[str],
    narratives: list[str],
    index: pd.DatetimeIndex,
    starts: "pd.Series[pd.Timestamp]",
) -> Array:
    """The sums of the columns by narrative and the bucket that `starts` names; what lies in none is left out."""
    sums = np.zeros((len(narratives), len(names), len(index)))
    of = pd.Index(narratives).get_indexer(pd.Index(frame["narrative"]))
    at = index.get_indexer(pd.DatetimeIndex(starts))
    within = (of >= 0) & (at >= 0)
    for place, name in enumerate(names):
        np.add.at(sums[:, place], (of[within], at[within]), frame[name].to_numpy("float64")[within])
    return sums
