"""What an asset does around events, held against other days of the same years. docs/methods/event-study.md.

    events, closes -> C_0: the first close at or after the end of the event's day (it was not knowable before)
      -> CAR_h = ln(C_h / C_0) - h · μ, h in -8 … 26 weeks; μ: its own mean week of the year before the window
      -> the mean over the events, and the same of placebo dates: each year's events, moved together through that year
      -> p_family: how often the placebo's strangest week after the event is as strange as the one that was seen

Events of one year keep their distances when they are moved, so that five in one month count as little as they tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.join import MAX_GAP
from analysis.lead_lag import ALPHA, Dated, chance
from models.derived import EventReturn, EventStudy, EventWeek

Array = NDArray[np.float64]
Places = NDArray[np.intp]
BEFORE, AFTER, ESTIMATION = 8, 26, 52
"""Weeks: shown before the event, shown after it, and of the mean, which ends where the window begins."""
DRAWS = 999
MIN_EVENTS, MIN_APART = 5, 3
QUIET = timedelta(weeks=13)
"""A record close within a quarter of the last event belongs to the same run."""
HISTORY = timedelta(days=365)
"""Of closes, before one of them can be called a record."""
MOST_RELATED = 0.5
"""Weekly correlation with the asset of the records above which these choose days after a rise of the price itself."""
DAY, WEEK = 86_400, 7 * 86_400
WEEKS = np.arange(-BEFORE, AFTER + 1)
EPOCH = date(1970, 1, 1)


def record_highs(closes: Dated) -> list[date]:
    """The days of closes above every earlier one, one a quarter at most; closes ascend.

    A close at midnight belongs to the day that it ends.
    """
    found: list[date] = []
    highest = -np.inf
    for at, close in closes:
        day = (at - timedelta(microseconds=1)).date()
        if close > highest and at - closes[0][0] >= HISTORY and (not found or day - found[-1] >= QUIET):
            found.append(day)
        highest = max(highest, close)
    return found


def weekly_correlation(one: Dated, other: Dated) -> float | None:
    """Of the log returns of the weeks that both have closes of; None below half a year, or where one never changes.

    A week that begins or ends more than seven days after the last close is none.
    """
    if not one or not other:
        return None
    grid = np.arange(max(one[0][0], other[0][0]).timestamp(), min(one[-1][0], other[-1][0]).timestamp() + 1, WEEK)
    sides = []
    for closes in (one, other):
        times = np.array([at.timestamp() for at, _ in closes])
        place = np.searchsorted(times, grid, side="right") - 1
        fresh = grid - times[place] <= MAX_GAP.total_seconds()
        sides.append(np.diff(np.where(fresh, np.log([close for _, close in closes])[place], np.nan)))
    moves = np.array(sides)[:, np.isfinite(sides).all(axis=0)]
    if moves.shape[1] < AFTER or np.ptp(moves, axis=1).min() < 1e-9:
        return None
    return round(float(np.corrcoef(moves)[0, 1]), 2)


def runs(states: Sequence[tuple[date, str]], state: str) -> list[date]:
    """The first day of each run of `state`; days ascend. Days without stories neither end a run nor begin one.

    A run that is there when the baseline is first known has no first day that was seen: it is left out.
    """
    told = [(day, one) for day, one in states if one != "unknown"]
    return [day for (_, before), (day, now) in pairwise(told) if now == state and before not in (state, "warming_up")]


def event_study(
    closes: Dated,
    days: Sequence[date],
    *,
    seed: int = 0,
    draws: int = DRAWS,
    event: str = "dates",
    told: str = "the dates given",
    asset: str = "the price",
) -> EventStudy:
    """The mean cumulative abnormal return around the days, by week, and one verdict over the 26 weeks after them.

    Args:
        closes: of the asset, ascending in time, above 0.
        days: of the events, each knowable at its end; one that is given twice counts once.
        told: the events in words, as they stand after "after".
    """
    paths = _paths(closes)
    days = sorted(set(days))
    events = [_event(paths, day) for day in days]
    used = np.array([_place(paths, one.day) for one in events if one.left_out is None], dtype=np.intp)
    n, apart = len(used), _apart(paths.start[used])
    method = (
        f"mean CAR against its constant mean of {ESTIMATION} weeks, which end {BEFORE} weeks before the event; "
        f"{draws} placebos, the events of each calendar year moved together through its days; low, high (90 %), "
        f"percentile and p pointwise, p_family over weeks 1 to {AFTER}"
    )
    weeks, p_family, peak = _judged(paths, used, np.random.default_rng(seed), draws)
    verdict = _verdict(n, apart, p_family, weeks, peak)
    return EventStudy(
        event=event,
        asset=asset,
        n=n,
        n_effective=apart,
        n_left_out=len(events) - n,
        weeks=weeks,
        p_family=p_family,
        verdict=verdict,
        peak_week=peak,
        sentence=_sentence(told, asset, n, apart, p_family, weeks, peak, verdict),
        method=method,
        seed=seed,
        draws=draws,
        events=events,
    )


@dataclass(frozen=True, slots=True)
class _Paths:
    """Every day from the first close to the last as if an event fell on it; rows are days."""

    first: int
    """Of the days, counted from 1970."""
    start: NDArray[np.int64]
    """When the close is struck from which returns are counted, in seconds; -1 where there is none."""
    car: Array
    """Shape (days, weeks); NaN where a close, or the year before, is missing."""
    mean: Array
    """Per week; NaN where the year before is missing."""

    @property
    def whole(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.isfinite(self.car.sum(axis=1))
        return found


def _paths(closes: Dated) -> _Paths:
    if not closes:
        return _Paths(0, np.zeros(0, dtype=np.int64), np.zeros((0, len(WEEKS))), np.zeros(0))
    times = np.array([int(at.timestamp()) for at, _ in closes], dtype=np.int64)
    logs = np.log([close for _, close in closes])
    gap = int(MAX_GAP.total_seconds())
    first = int(times[0] // DAY)
    ends = (np.arange(first, times[-1] // DAY + 1) + 1) * DAY
    following = np.searchsorted(times, ends)
    base = np.minimum(following, len(times) - 1)
    there = (following < len(times)) & (times[base] - ends <= gap)
    start = np.where(there, times[base], -1)

    def last_close(wanted: NDArray[np.int64]) -> tuple[Array, Array]:
        """Of each instant: when it was struck, and its logarithm; NaN where it is far, or a later one may yet come."""
        place = np.searchsorted(times, wanted, side="right") - 1
        at = times[np.maximum(place, 0)]
        good = (place >= 0) & (wanted <= times[-1]) & (wanted - at <= gap)
        return np.where(good, at, np.nan), np.where(good, logs[np.maximum(place, 0)], np.nan)

    at, value = last_close(start[:, None] + WEEKS * WEEK)
    from_at, from_value = last_close(start - (BEFORE + ESTIMATION) * WEEK)
    to_at, to_value = last_close(start - BEFORE * WEEK)
    mean = (to_value - from_value) / ((to_at - from_at) / WEEK)
    car = value - logs[base][:, None] - mean[:, None] * (at - start[:, None]) / WEEK
    return _Paths(first, start, np.where(there[:, None], car, np.nan), np.where(there, mean, np.nan))


def _place(paths: _Paths, day: date) -> int:
    return (day - EPOCH).days - paths.first


def _event(paths: _Paths, day: date) -> EventReturn:
    place = _place(paths, day)
    if not 0 <= place < len(paths.start) or paths.start[place] < 0:
        return EventReturn(day, None, None, "no close follows it")
    starts_at = datetime.fromtimestamp(int(paths.start[place]), UTC)
    car = paths.car[place]
    if np.isnan(paths.mean[place]):
        return EventReturn(day, starts_at, None, "the year before it is not in the prices")
    if not np.isfinite(car).all():
        over = paths.start[place] + AFTER * WEEK <= paths.start.max()
        return EventReturn(
            day, starts_at, None, "prices are missing around it" if over else f"its {AFTER} weeks are not over"
        )
    return EventReturn(day, starts_at, round(float(car[-1]), 4), None)


def _apart(starts: NDArray[np.int64]) -> int:
    """The most of them whose AFTER weeks do not overlap; ascending."""
    count, free = 0, -1
    for start in starts:
        if start >= free:
            count, free = count + 1, int(start) + AFTER * WEEK
    return count


def _placebo(paths: _Paths, used: Places, rng: np.random.Generator, draws: int) -> Array:
    """Mean paths of dates drawn instead of the events, shape (draws, weeks).

    The events of a calendar year move on by the same number of its days, from its last to its first, so that their
    distances stay. Only days whose window is whole take part, as only such events do.
    """
    whole = np.flatnonzero(paths.whole)
    years = (whole + paths.first).astype("datetime64[D]").astype("datetime64[Y]")
    total = np.zeros((draws, len(WEEKS)))
    for year in np.unique(years):
        days = whole[years == year]
        inside = np.flatnonzero(np.isin(days, used))
        if len(inside):
            moved = (inside + rng.integers(0, len(days), (draws, 1))) % len(days)
            total += paths.car[days[moved]].sum(axis=1)
    return total / len(used)


def _judged(
    paths: _Paths, used: Places, rng: np.random.Generator, draws: int
) -> tuple[list[EventWeek], float | None, int | None]:
    """Every week, p over those after the event, and the one that is the strangest."""
    if not len(used):
        return [EventWeek(int(week), *[None] * 8) for week in WEEKS], None, None
    # What differs by rounding alone is the same: on a price that grows evenly nothing is strange.
    seen = np.round(paths.car[used].mean(axis=0), 12)
    placebo = np.round(_placebo(paths, used, rng, draws), 12)
    centre, spread = placebo.mean(axis=0), placebo.std(axis=0)
    low, high = np.quantile(placebo, [0.05, 0.95], axis=0)
    away, off = np.abs(placebo - centre), np.abs(seen - centre)
    weeks = [
        EventWeek(
            week=int(week),
            car=round(float(seen[i]), 4),
            low=round(float(seen[i] - (high[i] - centre[i])), 4),
            high=round(float(seen[i] + (centre[i] - low[i])), 4),
            placebo_mean=round(float(centre[i]), 4),
            placebo_low=round(float(low[i]), 4),
            placebo_high=round(float(high[i]), 4),
            percentile=round(float(100 * (placebo[:, i] < seen[i]).mean()), 1) if week else None,
            p=round(chance(away[:, i] >= off[i]), 4) if week else None,
        )
        for i, week in enumerate(WEEKS)
    ]
    after = WEEKS > 0
    scale = np.where(spread[after] > 1e-12, spread[after], np.inf)
    strange = off[after] / scale
    return (
        weeks,
        round(chance((away[:, after] / scale).max(axis=1) >= strange.max()), 4),
        int(WEEKS[after][strange.argmax()]),
    )


def _verdict(n: int, apart: int, p_family: float | None, weeks: list[EventWeek], peak: int | None) -> str:
    if n < MIN_EVENTS or apart < MIN_APART or p_family is None or peak is None:
        return "too_small"
    if p_family > ALPHA:
        return "none"
    car, centre = weeks[peak + BEFORE].car, weeks[peak + BEFORE].placebo_mean
    return "above" if (car or 0.0) > (centre or 0.0) else "below"


def _sentence(
    told: str,
    asset: str,
    n: int,
    apart: int,
    p_family: float | None,
    weeks: list[EventWeek],
    peak: int | None,
    verdict: str,
) -> str:
    if verdict == "too_small":
        return (
            f"n too small to say what {asset} does after {told}: {n} {'event has' if n == 1 else 'events have'} the "
            f"year before and the {AFTER} weeks after in the prices, {apart} without overlap; it takes {MIN_EVENTS}, "
            f"{MIN_APART} of them without overlap."
        )
    row = weeks[(peak or 0) + BEFORE]
    moved = (
        f"{np.expm1(row.car or 0.0):+.1%} against its own past pace, placebo dates of the same years "
        f"{np.expm1(row.placebo_mean or 0.0):+.1%} ({np.expm1(row.placebo_low or 0.0):+.1%} to "
        f"{np.expm1(row.placebo_high or 0.0):+.1%})"
    )
    chance = (
        f"the strangest of {AFTER} weeks is so strange by chance in {100 * (p_family or 0.0):.2g} % of cases; n = {n}, "
        f"{apart} without overlap"
    )
    if verdict == "none":
        return f"No effect can be told: after {told}, {asset} stands out most in week {peak}: {moved}; {chance}."
    better = "better" if verdict == "above" else "worse"
    return f"After {told}, {asset} does {better} than on other days, most clearly by week {peak}: {moved}; {chance}."
