"""θ: where the story stands between panic and devaluation, using only what was known by then. docs/methods/shift.md.

    daily counts per narrative -> current rate (discounted gamma-Poisson) / usual rate (trailing median) = ratio
    p = ratio of safe haven; d = mean ratio of the devaluation narratives; θ = d / (p + d), with interval and state

Every step is a filter over the past: changing a later day changes no earlier value.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import accumulate
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from analysis.audit import Correction
from analysis.buckets import GRACE, Bucket, end_of, floor
from analysis.intensity import THIN_BELOW, known
from config.definitions import PriorRate
from models.derived import ShiftPoint
from models.errors import BadRange

Array = NDArray[np.float64]
Prior = Mapping[str, PriorRate]
Corrections = Mapping[str, Correction]
"""Both by narrative."""
HALF_LIFE_DAYS, HALF_LIFE_STORIES, LONGEST_HALF_LIFE_DAYS = 5.0, 20.0, 45.0
"""How fast the current rate forgets: half in five days; where few stories come in, every 20 stories, or in 45 days."""
DISPERSION_HALF_LIFE_DAYS = 60.0
BASELINE_DAYS, BASELINE_ENDS_DAYS_AGO = 365, 30
PRIOR_ENDS_DAYS_AGO = 14
"""A record with prior rates learns its own from what is older than this."""
WARM_UP_DAYS = 120
"""Days since the first story below which no usual rate is told."""
WARM_UP = pd.Timedelta(days=WARM_UP_DAYS + BASELINE_ENDS_DAYS_AGO)
MIN_BASELINE_DAYS = 60
"""Days with stories that a baseline needs at least: an archive with long holes has none."""
HABIT_HITS, HABIT_HALF_LIFE_DAYS = 1.0, 180.0
PRIOR_STORIES = 1.0
"""The weight of the guess that a rate is as usual, in stories."""
ELEVATED, ELEVATED_IS = 1.25, 0.9
"""A ratio becomes elevated when P(ratio > 1.25) >= 0.9 …"""
STAYS, STAYS_IS = 1.1, 0.5
"""… and stays so while P(ratio > 1.1) >= 0.5."""
VALUES = ("panic", "devaluation", "index", "index_without_liquidity", "low", "high", "p_devaluation")
LEADS_IS = 0.9
"""Where both masses are elevated, one leads if P(it is the larger) >= 0.9; where one is, if it is the larger."""


@dataclass(frozen=True, slots=True)
class Mass:
    """A ratio to the usual rate, as a gamma distribution: mean and shape by day; NaN where not known."""

    mean: Array
    shape: Array

    def above(self, level: float) -> Array:
        """P(ratio > level) by day."""
        above: Array = special.gammaincc(self.shape, level * self.shape / self.mean)
        return above


@dataclass(frozen=True, slots=True)
class Poles:
    """Which narratives make up each pole, and which of the second are about money itself rather than easing."""

    panic: tuple[str, ...] = ("safe_haven",)
    devaluation: tuple[str, ...] = ("debasement", "fiscal_stress", "liquidity")
    money_doubted: tuple[str, ...] = ("debasement", "fiscal_stress")

    @property
    def all(self) -> tuple[str, ...]:
        return self.panic + self.devaluation


POLES = Poles()


def shift_points(
    totals: pd.DataFrame,
    carried: pd.DataFrame,
    *,
    starts: list[datetime],
    bucket: Bucket,
    now: datetime,
    prior: Prior | None = None,
    corrections: Corrections | None = None,
) -> list[ShiftPoint]:
    """One point per bucket (day, week or month), ascending: the state of the daily filter at the bucket's last day.

    Args:
        totals, carried: all stories from the first one known on, see models.store.stories.StoryFrames; the history
            before `starts` is what the usual rates are told from.
        now: the instant of knowledge.
        prior: usual rates to start from while the record has none of its own.
        corrections: what an audit says of the labels that are building, by narrative.

    Raises: BadRange for hours: a day is the shortest time in which enough stories gather.
    """
    daily = shift_by_day(totals, carried, prior=prior, corrections=corrections)
    return points_of(daily, starts=starts, bucket=bucket, now=now)


def shift_by_day(
    totals: pd.DataFrame, carried: pd.DataFrame, *, prior: Prior | None = None, corrections: Corrections | None = None
) -> pd.DataFrame:
    """daily_shift, and beside a θ that is corrected the one as tagged."""
    daily = daily_shift(totals, carried, prior=prior, corrections=corrections)
    daily["index_as_tagged"] = daily_shift(totals, carried, prior=prior)["index"] if corrections else np.nan
    return daily


def points_of(daily: pd.DataFrame, *, starts: list[datetime], bucket: Bucket, now: datetime) -> list[ShiftPoint]:
    """The points of shift_points, from shift_by_day: its days may reach beyond the buckets. Raises: as shift_points."""
    if bucket == "hour":
        raise BadRange("The shift index is a daily statistic. Ask by day, week or month.")
    buckets = pd.DatetimeIndex(floor(pd.Series(daily.index), bucket))
    stories: dict[Any, int] = daily["n_stories"].groupby(buckets).sum().to_dict()
    days = zip(buckets, daily.to_dict("records"), strict=True)
    last = {start: row for start, row in days if row["n_stories"]}
    progress: dict[Any, float] = daily["progress"].to_dict()
    points: list[ShiftPoint] = []
    for start in starts:
        row = last.get(pd.Timestamp(start), {})
        n_stories = int(stories.get(pd.Timestamp(start), 0))
        values = {name: known(row.get(name, np.nan)) for name in VALUES}
        points.append(
            ShiftPoint(
                bucket_start=start,
                **values,
                state=row.get("state", "unknown"),
                baseline=row.get("baseline"),
                n_stories=n_stories,
                thin=n_stories < THIN_BELOW,
                open=end_of(start, bucket) + GRACE > now,
                progress=float(row["progress"]) if row else progress.get(pd.Timestamp(start), 0.0),
                index_as_tagged=known(row.get("index_as_tagged", np.nan)),
            )
        )
    return points


def daily_shift(
    totals: pd.DataFrame,
    carried: pd.DataFrame,
    poles: Poles = POLES,
    *,
    prior: Prior | None = None,
    corrections: Corrections | None = None,
) -> pd.DataFrame:
    """θ and its parts for every UTC day from the first story to the last; columns as in ShiftPoint."""
    if totals.empty:
        columns = [*VALUES, "state", "baseline", "progress", "n_stories"]
        return pd.DataFrame(columns=columns, index=pd.DatetimeIndex([], tz="UTC"))
    return daily_of(record_of(totals, carried, poles, prior=prior, corrections=corrections), poles)


def daily_of(record: "Record", poles: Poles = POLES) -> pd.DataFrame:
    """daily_shift of what is known already."""
    ratios = dict(zip(record.names, record.ratios(), strict=True))
    panic, devaluation = _mean([ratios[n] for n in poles.panic]), _mean([ratios[n] for n in poles.devaluation])
    doubted = _mean([ratios[n] for n in poles.money_doubted])
    result = _theta(panic, devaluation)
    result["index_without_liquidity"] = doubted.mean / (panic.mean + doubted.mean)
    frame = pd.DataFrame(result, index=record.days)
    silent = record.n_stories == 0
    frame[silent] = np.nan
    frame["state"] = _states(panic, devaluation, [ratios[n] for n in poles.money_doubted], result, record.ready, silent)
    whose = [_baseline(*day) for day in zip(silent, record.own, record.ready, strict=True)]
    frame["baseline"] = pd.Series(whose, index=frame.index, dtype=object)
    frame["progress"] = record.progress
    frame["n_stories"] = record.n_stories.astype("int64")
    return frame


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of some narratives by UTC day, from the first story to the last.

    Shapes: own, ready, progress (days,); n (days, outlets); k, comparable (narratives, days, outlets); usual,
    dispersion, certainty (narratives, days). A value of a day rests on that day and those before it.
    """

    days: pd.DatetimeIndex
    outlets: list[str]
    names: tuple[str, ...]
    n: Array
    """Stories, by the outlet of the lead."""
    k: Array
    """Of them those in which the narrative is building; one that builds both poles gives half of itself to each."""
    comparable: Array
    """Stories, each outlet's counted by its habit of telling the narrative; see _comparable."""
    own: NDArray[np.bool_]
    """Whether the record has a usual rate of its own."""
    ready: NDArray[np.bool_]
    """Whether there is a usual rate."""
    progress: Array
    usual: Array
    """The usual share of comparable stories that carry the narrative; NaN where not ready."""
    dispersion: Array
    certainty: Array
    """The shape of the gamma of the usual rate: infinite where it is the record's own."""

    @property
    def n_stories(self) -> Array:
        stories: Array = self.n.sum(axis=1)
        return stories

    @property
    def spoken(self) -> NDArray[np.intp]:
        """The days, by place, on which θ can be told."""
        return np.flatnonzero(self.ready & (self.n_stories > 0))

    def weights(self, day: int) -> Array:
        """How much of each day up to this one is left in the current rate of the day: shape (day + 1,)."""
        logs = np.log(_discount(self.n_stories[: day + 1]))
        left: Array = np.exp(logs.sum() - np.cumsum(logs))
        return left

    def ratios(self) -> list[Mass]:
        """Each narrative's current rate over its usual one, by day.

        With a, b the discounted stories carrying it and in scope, and λ0 the usual rate, the ratio is
        Gamma(a + c, b λ0 + c): c stories' worth of prior says "as usual". The shape is divided by the over-dispersion.
        Where the record has no usual rate of its own, the uncertainty of the prior widens the ratio.
        """
        discount = _discount(self.n_stories)
        masses = []
        for place in range(len(self.names)):
            a = _discounted(self.k[place].sum(axis=1), discount)
            b = _discounted(self.comparable[place].sum(axis=1), discount)
            spread = _discounted(self.k[place].sum(axis=1), discount**2) * self.dispersion[place]
            shape = 1 / (1 / ((a + PRIOR_STORIES) ** 2 / (spread + PRIOR_STORIES)) + 1 / self.certainty[place])
            mean = (a + PRIOR_STORIES) / (b * self.usual[place] + PRIOR_STORIES)
            masses.append(Mass(mean, np.where(np.isnan(mean), np.nan, shape)))
        return masses


def record_of(
    totals: pd.DataFrame,
    carried: pd.DataFrame,
    poles: Poles = POLES,
    *,
    prior: Prior | None = None,
    corrections: Corrections | None = None,
) -> Record:
    """See shift_points; there is at least one story."""
    exposure = _exposure(totals)
    days = pd.DatetimeIndex(exposure.index)
    outlets = sorted(totals["outlet"].unique())
    n, k = _by_outlet(totals, carried, days, outlets, poles.all)
    own, progress = _history(exposure)
    comparable, k = _comparable(n, k)
    stories = n.sum(axis=1)
    shape = len(poles.all), len(days)
    usual, dispersion, certainty = np.full(shape, np.nan), np.ones(shape), np.full(shape, np.inf)
    for place, name in enumerate(poles.all):
        correction = (corrections or {}).get(name)
        if correction is not None:
            others = np.maximum(comparable[place] - k[place], 0)
            k[place] = correction.kept.estimate * k[place] + correction.missed.estimate * others
        told, of = k[place].sum(axis=1), comparable[place].sum(axis=1)
        rate = _rate(told, of, _discount(stories))
        daily = pd.Series(np.where(stories > 0, rate, np.nan))
        trailing = daily.rolling(BASELINE_DAYS, min_periods=1).median().shift(BASELINE_ENDS_DAYS_AGO)
        usual[place] = trailing.where(own).to_numpy("float64")
        dispersion[place] = _dispersion(told, of, rate)
        if prior and name in prior:
            young, sure = _from_prior(
                told, of, prior[name] if correction is None else _audited(prior[name], correction)
            )
            usual[place] = np.where(own, usual[place], young)
            certainty[place] = np.where(own, np.inf, sure)
        if correction is not None:
            certainty[place] = 1 / (1 / certainty[place] + _unsure(rate, usual[place], correction))
    ready = own if prior is None else np.ones_like(own)
    return Record(days, outlets, poles.all, n, k, comparable, own, ready, progress, usual, dispersion, certainty)


def _audited(prior: PriorRate, found: Correction) -> PriorRate:
    return prior.model_copy(
        update={"rate": found.kept.estimate * prior.rate + found.missed.estimate * (1 - prior.rate)}
    )


def _unsure(rate: Array, usual: Array, found: Correction) -> Array:
    """The relative variance of rate / usual by what the audit does not know of missed / kept, which moves both."""
    kept, missed = found.kept, found.missed
    ratio = missed.estimate / kept.estimate
    variance = ratio**2 * (missed.variance / missed.estimate**2 + kept.variance / kept.estimate**2)
    raw = [(value / kept.estimate - ratio) / (1 - ratio) for value in (rate, usual)]
    slopes = [(1 - part) / np.maximum(part + (1 - part) * ratio, 1e-9) for part in raw]
    unsure: Array = (slopes[0] - slopes[1]) ** 2 * variance
    return unsure


def _baseline(silent: bool, own: bool, ready: bool) -> str | None:
    if silent or not ready:
        return None
    return "own" if own else "prior"


def ready_on(totals: pd.DataFrame, *, now: datetime) -> date | None:
    """The first day on which a usual rate can be told, if news comes in every day from `now` on; None without stories.

    A day in the past if it can be told already.
    """
    if totals.empty:
        return None
    exposure = _exposure(totals)
    today = pd.Timestamp(now).floor("D")
    days = pd.date_range(exposure.index.min(), max(today, exposure.index.max()) + WARM_UP, freq="D", unit="us")
    coming = pd.Series((days >= today).astype("float64"), index=days)
    ready, _ = _history(exposure.reindex(days, fill_value=0).clip(lower=coming))
    return days[int(np.argmax(ready))].date()


def daily_rates(totals: pd.DataFrame, carried: pd.DataFrame, poles: Poles = POLES) -> dict[str, Array]:
    """The current rate of each narrative by day, from the first story to the last; NaN on days without stories."""
    record = record_of(totals, carried, poles)
    stories = record.n_stories
    rates = {}
    for name, k, comparable in zip(record.names, record.k, record.comparable, strict=True):
        rate = _rate(k.sum(axis=1), comparable.sum(axis=1), _discount(stories))
        rates[name] = np.where(stories > 0, rate, np.nan)
    return rates


def _exposure(totals: pd.DataFrame) -> "pd.Series[float]":
    """Stories in scope on every UTC day from the first story to the last, by day."""
    by_day = totals.groupby(floor(totals["hour"], "day"))["n_stories"].sum()
    days = pd.date_range(by_day.index.min(), by_day.index.max(), freq="D", unit="us")
    return by_day.reindex(days, fill_value=0).astype("float64")


def _by_outlet(
    totals: pd.DataFrame, carried: pd.DataFrame, days: pd.DatetimeIndex, outlets: list[str], names: tuple[str, ...]
) -> tuple[Array, Array]:
    """Record.n and Record.k."""
    columns = pd.Index(outlets)

    def cells(frame: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return (
            days.get_indexer(pd.DatetimeIndex(floor(frame["hour"], "day"))),
            columns.get_indexer(pd.Index(frame["outlet"])),
        )

    n = np.zeros((len(days), len(outlets)))
    np.add.at(n, cells(totals), totals["n_stories"].to_numpy("float64"))
    building = carried[(carried["direction"] > 0) & carried["narrative"].isin(names)]
    units = building["n_carrying"].to_numpy("float64") - building["n_split"].to_numpy("float64") / 2
    k = np.zeros((len(names), *n.shape))
    np.add.at(k, (pd.Index(names).get_indexer(pd.Index(building["narrative"])), *cells(building)), units)
    return n, k


def _comparable(n: Array, k: Array) -> tuple[Array, Array]:
    """Stories and those that carry each narrative, made comparable between outlets: (narratives, days, outlets) each.

    Each outlet's stories are counted by its habit of telling the narrative: what it told before the day over what all
    outlets' rates on the same days let expect of it, with HABIT_HITS of "as all" added to both and a half-life of
    HABIT_HALF_LIFE_DAYS. News that all tell moves no habit; an outlet that grows or stops moves nothing by its habit.
    And both count less for as long as an outlet's habit is less certain than its latest days are (the inverse variance
    of its rate over that of its counts alone): a large newcomer moves little before its habit is known.
    """
    keeps, lately = 0.5 ** (1 / HABIT_HALF_LIFE_DAYS), 0.5 ** (1 / HALF_LIFE_DAYS)
    told, expected, recent = np.zeros((3, k.shape[0], k.shape[2]))
    rate = np.zeros(len(k))
    comparable, counted = np.zeros_like(k), np.zeros_like(k)
    for day, stories in enumerate(n):
        weight = 1 / (1 + (recent * lately + np.outer(rate, stories)) / (expected + HABIT_HITS))
        comparable[:, day] = weight * (told + HABIT_HITS) / (expected + HABIT_HITS) * stories
        counted[:, day] = weight * k[:, day]
        if stories.any():
            rate = counted[:, day].sum(axis=1) / comparable[:, day].sum(axis=1)
            hits = np.outer(rate, stories)
            told = told * keeps + k[:, day]
            expected = expected * keeps + hits
            recent = recent * lately + hits
    return comparable, counted


def _history(exposure: "pd.Series[float]") -> tuple[NDArray[np.bool_], Array]:
    """Whether a usual rate can be told on each day, and how much of the history that it needs is there."""
    has_stories = exposure > 0
    span = np.arange(1, len(exposure) + 1)
    window = has_stories.astype("float64").rolling(BASELINE_DAYS, min_periods=1)
    in_baseline = window.sum().shift(BASELINE_ENDS_DAYS_AGO).fillna(0).to_numpy("float64")
    ready = (span >= WARM_UP_DAYS) & (in_baseline >= MIN_BASELINE_DAYS)
    progress = np.minimum(span / WARM_UP_DAYS, (in_baseline + MIN_BASELINE_DAYS / 2) / MIN_BASELINE_DAYS)
    return ready, np.where(ready, 1.0, np.clip(np.minimum(progress, span / WARM_UP_DAYS), 0, 0.99)).round(2)


def _discount(n: NDArray[np.floating[Any]]) -> Array:
    """What is left of yesterday's sums on each day, by the number of its stories."""
    halvings = np.clip(n / HALF_LIFE_STORIES, 1 / LONGEST_HALF_LIFE_DAYS, 1 / HALF_LIFE_DAYS)
    discount: Array = 0.5**halvings
    return discount


def _discounted(values: NDArray[np.floating[Any]], discount: Array) -> Array:
    """The sum of all values up to each day, multiplied by each day's discount as it passes."""
    sums = accumulate(zip(values, discount, strict=True), lambda total, day: total * day[1] + day[0], initial=0.0)
    return np.fromiter(sums, dtype="float64", count=len(values) + 1)[1:]


def _rate(k: Array, n: Array, discount: Array) -> Array:
    """The share of stories that carry the narrative now: discounted sums, drawn a little towards the long run."""
    long_run = (np.cumsum(k) + 0.5) / (np.cumsum(n) + 50.0)
    rate: Array = (_discounted(k, discount) + 0.5) / (_discounted(n, discount) + 0.5 / long_run)
    return rate


def _from_prior(k: NDArray[np.floating[Any]], n: NDArray[np.floating[Any]], prior: PriorRate) -> tuple[Array, Array]:
    """The usual rate by day, and the shape of its gamma: the prior rate, updated by what is two weeks old by then.

    The prior is a gamma whose mean is the rate and whose relative variance is that of its spread between archives.
    """
    shape = 1 / np.expm1(prior.spread**2)
    seen_k, seen_n = (np.concatenate([np.zeros(PRIOR_ENDS_DAYS_AGO), np.cumsum(x)])[: len(x)] for x in (k, n))
    return (shape + seen_k) / (shape / prior.rate + seen_n), shape + seen_k


def _dispersion(k: NDArray[np.floating[Any]], n: NDArray[np.floating[Any]], rate: Array) -> Array:
    """Trailing variance over mean of daily counts around yesterday's forecast; at least 1, as for Poisson counts."""
    forecast = np.concatenate([[np.nan], rate[:-1]]) * n
    residual = np.nan_to_num((k - forecast) ** 2)
    discount = np.full(len(n), 0.5 ** (1 / DISPERSION_HALF_LIFE_DAYS))
    surprise, expected = _discounted(residual, discount), _discounted(np.nan_to_num(forecast), discount)
    return np.maximum(1.0, (surprise + 1.0) / (expected + 1.0))


def _mean(ratios: list[Mass]) -> Mass:
    """The mean of independent ratios, as the gamma distribution with its mean and variance."""
    mean = np.mean([ratio.mean for ratio in ratios], axis=0)
    variance = np.sum([ratio.mean**2 / ratio.shape for ratio in ratios], axis=0) / len(ratios) ** 2
    return Mass(mean, mean**2 / variance)


def _theta(panic: Mass, devaluation: Mass) -> dict[str, Array]:
    """θ with its 90 % interval: the odds d / p of two gammas follow an F distribution."""
    odds = devaluation.mean / panic.mean
    df_d, df_p = 2 * devaluation.shape, 2 * panic.shape
    low, high = odds * special.fdtri(df_d, df_p, 0.05), odds * special.fdtri(df_d, df_p, 0.95)
    return {
        "panic": panic.mean,
        "devaluation": devaluation.mean,
        "index": odds / (1 + odds),
        "low": low / (1 + low),
        "high": high / (1 + high),
        "p_devaluation": np.asarray(special.fdtrc(df_d, df_p, 1 / odds)),
    }


def _states(
    panic: Mass,
    devaluation: Mass,
    doubted: list[Mass],
    theta: dict[str, Array],
    ready: NDArray[np.bool_],
    silent: NDArray[np.bool_],
) -> list[str]:
    panic_on, devaluation_on = _elevated(panic), _elevated(devaluation)
    doubted_on = np.any([_elevated(mass) for mass in doubted], axis=0)
    p_devaluation = theta["p_devaluation"]
    states: list[str] = []
    for day in range(len(ready)):
        if silent[day]:
            states.append("unknown")
        elif not ready[day]:
            states.append("warming_up")
        else:
            states.append(
                _state(bool(panic_on[day]), bool(devaluation_on[day]), bool(doubted_on[day]), float(p_devaluation[day]))
            )
    return states


def _state(panic_on: bool, devaluation_on: bool, doubted_on: bool, p_devaluation: float) -> str:
    if not panic_on and not devaluation_on:
        return "calm"
    if panic_on and p_devaluation <= (1 - LEADS_IS if devaluation_on else 0.5):
        return "panic"
    if doubted_on and p_devaluation >= (LEADS_IS if panic_on else 0.5):
        return "devaluation"
    return "transition"


def _elevated(mass: Mass) -> NDArray[np.bool_]:
    """Whether the mass is above its usual level, with hysteresis, by day."""
    enters, stays = mass.above(ELEVATED) >= ELEVATED_IS, mass.above(STAYS) >= STAYS_IS
    elevated = np.zeros(len(enters), dtype=bool)
    on = False
    for day in range(len(enters)):
        on = bool(enters[day] or (on and stays[day]))
        elevated[day] = on
    return elevated
