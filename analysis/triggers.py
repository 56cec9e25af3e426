"""The six triggers: how each stood at the end of every day, by what was known then. docs/methods/triggers.md.

    what was known, by when -> daily measures -> daily states, with hysteresis -> the last one, with its reason

Every step is a filter over the past: what becomes known later changes no earlier state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from analysis.intensity import known as rounded
from analysis.lead_lag import Dated
from analysis.shift import BASELINE_DAYS, BASELINE_ENDS_DAYS_AGO, WARM_UP_DAYS, Poles, daily_shift
from config.definitions import (
    BitcoinHedge,
    Cutting,
    FiscalPressure,
    Levels,
    MetalsLead,
    RealYields,
    Triggers,
    WeakDollar,
    macro_series,
)
from models.derived import TriggerDatum, TriggerState

Array = NDArray[np.float64]
Days = NDArray[np.bool_]
State = Literal["off", "forming", "on", "unknown"]
NARRATIVES = ("liquidity", "fiscal_stress", "btc_monetary_hedge", "btc_risk_asset")
RARER = {"DFF": "FEDFUNDS"}
"""The monthly mean of a daily series. It stands for it on days on which the daily one cannot tell a change."""
STALE_DAYS = {"day": 10, "week": 17, "month": 45}
"""Days since the latest value of a macro series became known after which it is stale, by its frequency."""
STALE_CLOSE_DAYS, STALE_NEWS_DAYS = 7, 3
SHOWN_STORIES = 5
PRIOR = 0.5
"""Jeffreys' prior of a share: Beta(1/2, 1/2)."""


@dataclass(frozen=True, slots=True)
class Known:
    """What was known: values and closes by asset or series as (known at, first value), in the order of their periods.

    totals, carried: stories by the hour in which they became known, see models.store.known.known_stories.
    """

    macro: Mapping[str, Dated]
    closes: Mapping[str, Dated]
    totals: pd.DataFrame
    carried: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Reading:
    """A trigger's state at the end of each day, the last one as a whole, and the ids of the stories it rests on."""

    days: pd.DatetimeIndex
    states: list[State]
    told: TriggerState
    story_ids: list[int]


@dataclass(frozen=True, slots=True)
class Line:
    """A series by day: the value that was the latest known at the day's end, NaN where there is none or it is stale."""

    name: str
    by_day: "pd.Series[float]"
    known: "pd.Series[float]"
    """The values themselves, by the day on which they became known."""
    last_at: datetime | None
    lack: str = ""
    """Why there is none today."""

    def change(self, days: int) -> "pd.Series[float]":
        return self.by_day - self.by_day.shift(days)


@dataclass(frozen=True, slots=True)
class Told:
    """One narrative's rate over its usual one by day, and the stories that make it."""

    ratio: "pd.Series[float]"
    stories: pd.DataFrame
    lack: str = ""


@dataclass(slots=True)
class Found:
    """What a rule finds: where each state begins and lasts, by day; what it rests on; what it lacks."""

    fit: Days
    on: Days
    on_stays: Days
    forming: Days
    forming_stays: Days
    reason: str
    data: list[TriggerDatum]
    stories: pd.DataFrame | None = None
    lacks: list[str] = field(default_factory=list)


def readings(known: Known, rules: Triggers, *, as_of: datetime) -> list[Reading]:
    """All six, in the order of triggers.toml. The last day is the one that `as_of` lies in."""
    days = _days(known, as_of)
    found = {
        "cutting": (rules.cutting.name, _cutting(known, rules.cutting, days)),
        "weak_dollar": (rules.weak_dollar.name, _weak_dollar(known, rules.weak_dollar, days)),
        "fiscal_pressure": (rules.fiscal_pressure.name, _fiscal_pressure(known, rules.fiscal_pressure, days)),
        "real_yields": (rules.real_yields.name, _real_yields(known, rules.real_yields, days)),
        "metals_lead": (rules.metals_lead.name, _metals_lead(known, rules.metals_lead, days)),
        "bitcoin_hedge": (rules.bitcoin_hedge.name, _bitcoin_hedge(known, rules.bitcoin_hedge, days)),
    }
    return [_reading(key, name, one, days) for key, (name, one) in found.items()]


def _reading(key: str, name: str, found: Found, days: pd.DatetimeIndex) -> Reading:
    states = _states(found)
    state = states[-1]
    sentence = found.reason
    if state == "unknown":
        sentence = "; ".join(found.lacks) or f"too little is known yet: {found.reason[:-1]}"
        sentence = f"{sentence[0].upper()}{sentence[1:]}."
    stories = found.stories
    ids: list[int] = []
    if stories is not None:
        ids = stories.sort_values(["hour", "story_id"])["story_id"].drop_duplicates(keep="last").tolist()[::-1]
    told = TriggerState(
        trigger=key,
        name=name,
        state=state,
        since=_since(states, days),
        sentence=sentence,
        data=found.data,
        stories=[],
    )
    return Reading(days, states, told, ids[:SHOWN_STORIES])


def _since(states: list[State], days: pd.DatetimeIndex) -> date:
    first = len(states) - 1
    while first and states[first - 1] == states[-1]:
        first -= 1
    return days[first].date()


def _states(found: Found) -> list[State]:
    """Day by day: a state begins where its condition is met, and lasts while the weaker one is."""
    states: list[State] = []
    before: State = "unknown"
    for day in range(len(found.fit)):
        state: State = "off"
        if not found.fit[day]:
            state = "unknown"
        elif found.on[day] or (before == "on" and found.on_stays[day]):
            state = "on"
        elif found.forming[day] or (before in ("forming", "on") and found.forming_stays[day]):
            state = "forming"
        states.append(state)
        before = state
    return states


# -- the rules --------------------------------------------------------------------------------------------------------


def _cutting(known: Known, rule: Cutting, days: pd.DatetimeIndex) -> Found:
    """On: the rate is lower, has not turned up, and easing is told as done. Forming: one of them, or expected."""
    line, change, turned = _policy_rate(known, rule, days)
    done, expected = (_told(known, "liquidity", days, modality) for modality in ("actual", "expected"))
    lower = _held(_true(change <= -rule.fall) & ~turned, _true(change <= -rule.fall_stays) & ~turned)
    done_days = _days_above(done.ratio, rule.ratio, rule.done_of_days)
    expected_days = _days_above(expected.ratio, rule.ratio, rule.expected_of_days)
    is_done = _true(done_days >= rule.done_on_days)
    talked = _held(_true(expected_days >= rule.expected_on_days), _true(expected_days >= rule.expected_stays_days))
    on = lower & is_done
    forming = lower | talked | is_done
    unit = _unit(line.name)
    stories = pd.concat([_latest(done, days, rule.done_of_days), _latest(expected, days, rule.expected_of_days)])
    return Found(
        fit=_fit(change, done.ratio, expected.ratio),
        on=on,
        on_stays=on,
        forming=forming,
        forming_stays=forming,
        reason=(
            f"{line.name} is {_shown(line.by_day)} {unit}, {_shown(change, '+')} in {rule.days} days "
            f"({-rule.fall:+.2f} is a cut); easing was told as done at {rule.ratio:g} times its usual rate or more on "
            f"{_count(done_days)} of {rule.done_of_days} days ({rule.done_on_days} needed), as expected on "
            f"{_count(expected_days)} of {rule.expected_of_days} ({rule.expected_on_days} needed)."
        ),
        data=[
            _datum(line, f"change over {rule.days} days", change, -rule.fall, rule.days, unit),
            _story_datum(done, "liquidity, easing, actual", done_days, rule.done_on_days, rule.done_of_days, days),
            _story_datum(
                expected,
                "liquidity, easing, expected",
                expected_days,
                rule.expected_on_days,
                rule.expected_of_days,
                days,
            ),
        ],
        stories=stories,
        lacks=_lacks(line, done, expected, change=(line.name, change, rule.days)),
    )


def _policy_rate(known: Known, rule: Cutting, days: pd.DatetimeIndex) -> tuple[Line, "pd.Series[float]", Days]:
    """The series that tells today, and by day its change and whether it has turned up since its low."""
    change, turned, lines = pd.Series(np.nan, days), np.zeros(len(days), dtype=bool), []
    for key in (rule.series, RARER.get(rule.series)):
        if key is None:
            continue
        line = _macro(known, key, days)
        up = line.by_day - line.by_day.rolling(rule.days, min_periods=1).min() >= rule.fall
        turned = np.where(change.isna(), _true(up), turned)
        change = change.fillna(line.change(rule.days))
        lines.append((line, not np.isnan(line.change(rule.days).iloc[-1])))
    # The one that tells its change; else one of which anything is known: what it lacks is what is to be mended.
    best = max(lines, key=lambda one: (one[1], one[0].last_at is not None))
    return best[0], change, turned


def _weak_dollar(known: Known, rule: WeakDollar, days: pd.DatetimeIndex) -> Found:
    """Weak: under its average and lower than before. On once that has lasted."""
    line = _macro(known, rule.series, days)
    average = _on_days(line.known.rolling(rule.average).mean(), days).where(line.by_day.notna())
    gap = 100 * (line.by_day / average - 1)
    change = 100 * (line.by_day / line.by_day.shift(rule.days) - 1)
    weak = _held(_true(gap < 0) & _true(change < 0), _true(gap <= rule.leaves) & _true(change <= rule.leaves))
    lasted = _run(weak)
    on = lasted >= rule.lasts_days
    lacks = _lacks(line, change=(rule.series, change, rule.days))
    if not lacks and np.isnan(average.iloc[-1]):
        lacks = [f"{rule.series} has {len(line.known)} values; its average needs {rule.average}"]
    return Found(
        fit=_fit(gap, change),
        on=on,
        on_stays=weak,
        forming=weak,
        forming_stays=weak,
        reason=(
            f"{rule.series} is {_shown(gap, '+')} percent from the average of its last {rule.average} values and moved "
            f"{_shown(change, '+')} percent in {rule.days} days; it has been weak for {int(lasted[-1])} days "
            f"({rule.lasts_days} needed)."
        ),
        data=[
            _datum(line, f"over the average of {rule.average} values", gap, 0.0, None, "percent", n=rule.average),
            _datum(line, f"change over {rule.days} days", change, 0.0, rule.days, "percent"),
        ],
        lacks=lacks,
    )


def _fiscal_pressure(known: Known, rule: FiscalPressure, days: pd.DatetimeIndex) -> Found:
    """On: fiscal stress is told far above its usual rate for days, and the long yield rises. Forming: told alone."""
    line, told = _macro(known, rule.series, days), _told(known, "fiscal_stress", days)
    change = line.change(rule.days)
    rising = _held(_true(change >= rule.rise), _true(change >= rule.rise_stays))
    above = _days_above(told.ratio, rule.ratio, rule.of_days)
    stays = _days_above(told.ratio, rule.ratio_stays, rule.of_days)
    stressed = _held(_true(above >= rule.on_days), _true(stays >= rule.on_days))
    on = stressed & rising
    return Found(
        fit=_fit(change, told.ratio),
        on=on,
        on_stays=on,
        forming=stressed,
        forming_stays=stressed,
        reason=(
            f"Fiscal stress is told at {_shown(told.ratio, digits=1)} times its usual rate, at {rule.ratio:g} times or "
            f"more on {_count(above)} of {rule.of_days} days ({rule.on_days} needed); {rule.series} moved "
            f"{_shown(change, '+')} points in {rule.days} days ({rule.rise:+.2f} needed)."
        ),
        data=[
            _story_datum(told, "fiscal_stress", above, rule.on_days, rule.of_days, days),
            _datum(line, f"change over {rule.days} days", change, rule.rise, rule.days, _unit(rule.series)),
        ],
        stories=_latest(told, days, rule.of_days),
        lacks=_lacks(line, told, change=(rule.series, change, rule.days)),
    )


def _real_yields(known: Known, rule: RealYields, days: pd.DatetimeIndex) -> Found:
    line = _macro(known, rule.series, days)
    level = _smooth(line.by_day, rule.mean_days)
    change = level - level.shift(rule.days)
    return _by_level(
        -change,
        rule.fall,
        reason=(
            f"{rule.series} is {_shown(line.by_day)} {_unit(rule.series)}, {_shown(change, '+')} in {rule.days} days "
            f"({-rule.fall.forming:+.2f} forms, {-rule.fall.on:+.2f} turns on)."
        ),
        data=[_datum(line, f"change over {rule.days} days", change, -rule.fall.on, rule.days, _unit(rule.series))],
        lacks=_lacks(line, change=(rule.series, change, rule.days)),
    )


def _metals_lead(known: Known, rule: MetalsLead, days: pd.DatetimeIndex) -> Found:
    """Relative strength; where the metals themselves do not rise nothing is led, and it only forms."""
    metals, lags = [_close(known, asset, days) for asset in rule.metals], _close(known, rule.lags, days)
    levels = [_smooth(line.by_day.map(np.log), rule.mean_days) for line in (*metals, lags)]
    moves = [level - level.shift(rule.days) for level in levels]
    metal: pd.Series[float] = sum(moves[:-1], start=0 * moves[-1]) / len(metals)
    lead = metal - moves[-1]
    rises = _held(_true(metal > 0), _true(metal > -rule.lead.forming))
    found = _by_level(
        lead,
        rule.lead,
        reason=(
            f"{' and '.join(rule.metals)} moved {_percent(metal)} percent in {rule.days} days, {rule.lags} "
            f"{_percent(moves[-1])}: a lead of {_percent(lead)} points ({100 * rule.lead.forming:+.0f} forms, "
            f"{100 * rule.lead.on:+.0f} turns on if the metals rise)."
        ),
        data=[
            *(
                _datum(line, f"log return over {rule.days} days", move, None, rule.days, "log return")
                for line, move in zip((*metals, lags), moves, strict=True)
            ),
            _datum(lags, "lead of the metals", lead, rule.lead.on, rule.days, "log return"),
        ],
        lacks=_lacks(*metals, lags, change=(rule.lags, lead, rule.days)),
    )
    found.on, found.on_stays = found.on & rises, found.on_stays & rises
    return found


def _bitcoin_hedge(known: Known, rule: BitcoinHedge, days: pd.DatetimeIndex) -> Found:
    """P(hedge stories are a larger share of both kinds' now than before), from a Beta distribution for each share."""
    both = known.carried[known.carried["narrative"].isin(["btc_monetary_hedge", "btc_risk_asset"])]
    hedge = both[(both["narrative"] == "btc_monetary_hedge") & (both["direction"] > 0)]
    n, k = (_stories_by_day(frame, days) for frame in (both, hedge))
    n_now, k_now = (x.rolling(rule.days, min_periods=1).sum() for x in (n, k))
    n_before, k_before = (x.rolling(rule.before_days, min_periods=1).sum().shift(rule.days) for x in (n, k))
    news, lack = _news(known, days)
    enough = (n_now >= rule.least) & (n_before >= rule.least_before) & news.notna()
    sure = _larger(*(counts[enough] for counts in (k_now, n_now, k_before, n_before))).reindex(days)
    lacks = [lack] if lack else []
    told, told_before = (int(np.nan_to_num(counts.iloc[-1])) for counts in (n_now, n_before))
    if told < rule.least or told_before < rule.least_before:
        lacks.append(
            f"too few stories tell what bitcoin is: {told} in the last {rule.days} days ({rule.least} needed), "
            f"{told_before} in the {rule.before_days} before ({rule.least_before} needed)"
        )
    now, before = _share(k_now, n_now), _share(k_before, n_before)
    found = _by_level(
        sure,
        rule.sure,
        reason=(
            f"{now} tell bitcoin as a hedge in the last {rule.days} days, {before} in the {rule.before_days} before: a "
            f"larger share with probability {_shown(sure)} ({rule.sure.forming:g} forms, {rule.sure.on:g} turns on)."
        ),
        data=[
            TriggerDatum(
                series="stories",
                measure="P(larger share of btc_monetary_hedge)",
                value=rounded(sure.iloc[-1]),
                threshold=rule.sure.on,
                unit="probability",
                n=told,
                at=_last_at(both),
            )
        ],
        lacks=lacks,
    )
    mostly = _true(k_now >= rule.share * n_now)
    found.on, found.on_stays = found.on & mostly, found.on_stays & mostly
    found.stories = hedge[hedge["hour"] > days[-1] - pd.Timedelta(days=rule.days - 1)]
    return found


def _by_level(
    measure: "pd.Series[float]", levels: Levels, *, reason: str, data: list[TriggerDatum], lacks: list[str]
) -> Found:
    return Found(
        fit=_fit(measure),
        on=_true(measure >= levels.on),
        on_stays=_true(measure >= levels.on_stays),
        forming=_true(measure >= levels.forming),
        forming_stays=_true(measure >= levels.forming_stays),
        reason=reason,
        data=data,
        lacks=lacks,
    )


# -- what they rest on ------------------------------------------------------------------------------------------------


def _days(known: Known, as_of: datetime) -> pd.DatetimeIndex:
    """From the first day on which anything became known to that of `as_of`."""
    today = pd.Timestamp(as_of).floor("D")
    firsts = [min(at for at, _ in rows) for rows in (*known.macro.values(), *known.closes.values()) if rows]
    firsts += [] if known.totals.empty else [known.totals["hour"].min()]
    first = min([pd.Timestamp(at).floor("D") for at in firsts], default=today)
    return pd.date_range(min(first, today), today, freq="D", unit="us")


def _macro(known: Known, series: str, days: pd.DatetimeIndex) -> Line:
    if series not in macro_series():
        none = f"{series} is not defined in assets.toml; add it as [macro.{series}]"
        return _line(series, [], days, STALE_DAYS["day"], none)
    stale = STALE_DAYS[macro_series()[series].frequency]
    return _line(series, known.macro.get(series, []), days, stale, f"nothing is known of {series}; import or load it")


def _close(known: Known, asset: str, days: pd.DatetimeIndex) -> Line:
    rows = [(at, close) for at, close in known.closes.get(asset, []) if close > 0]
    return _line(asset, rows, days, STALE_CLOSE_DAYS, f"no close of {asset} is known; import or load prices")


def _line(name: str, rows: Dated, days: pd.DatetimeIndex, stale_days: int, none: str) -> Line:
    """A value that becomes known after one of a later period says nothing new."""
    frame = pd.DataFrame(rows, columns=["at", "value"]).rename_axis("period").reset_index()
    frame["at"] = pd.to_datetime(frame["at"], utc=True).astype("datetime64[us, UTC]")
    frame = frame.sort_values(["at", "period"])
    frame = frame[frame["period"] == frame["period"].cummax()]
    values = frame.set_index(frame["at"].dt.floor("D"))["value"].astype("float64")
    by_day = values.groupby(level=0).last().reindex(days).ffill(limit=stale_days)
    last_at = frame["at"].iloc[-1].to_pydatetime() if len(frame) else None
    lack = ""
    if last_at is None:
        lack = none
    elif np.isnan(by_day.iloc[-1]):
        lack = f"{name} is stale: its latest value became known on {last_at:%Y-%m-%d}, and it lasts {stale_days} days"
    return Line(name, by_day, values, last_at, lack)


def _told(known: Known, narrative: str, days: pd.DatetimeIndex, modality: str | None = None) -> Told:
    """The narrative's building stories alone against their own usual rate, as θ counts them."""
    stories = known.carried[(known.carried["narrative"] == narrative) & (known.carried["direction"] > 0)]
    if modality is not None:
        stories = stories[stories["modality"] == modality]
    counted = stories.assign(n_carrying=1, n_split=0)
    daily = daily_shift(known.totals, counted, Poles(("safe_haven",), (narrative,), (narrative,)))
    ratio = daily["devaluation"].astype("float64").reindex(days).ffill(limit=STALE_NEWS_DAYS)
    _, lack = _news(known, days)
    if not lack and np.isnan(ratio.iloc[-1]):
        lack = (
            f"the usual rate of {narrative} stories cannot be told yet: it needs {WARM_UP_DAYS} days of news, of the "
            f"{BASELINE_DAYS} that end {BASELINE_ENDS_DAYS_AGO} days ago"
        )
    return Told(ratio, stories, lack)


def _news(known: Known, days: pd.DatetimeIndex) -> tuple["pd.Series[float]", str]:
    """Whether stories came in lately (NaN where not), and what is to be said if not."""
    n = known.totals.groupby(known.totals["hour"].dt.floor("D"))["n_stories"].sum().astype("float64")
    fresh = n.reindex(days).ffill(limit=STALE_NEWS_DAYS)
    if not np.isnan(fresh.iloc[-1]):
        return fresh, ""
    last = _last_at(known.totals)
    if last is None:
        return fresh, "no news is known; collect or import it, and tag it"
    return (
        fresh,
        f"news is stale: the latest story became known on {last:%Y-%m-%d}, and it lasts {STALE_NEWS_DAYS} days",
    )


def _stories_by_day(frame: pd.DataFrame, days: pd.DatetimeIndex) -> "pd.Series[float]":
    stories = frame.drop_duplicates("story_id")
    return stories.groupby(stories["hour"].dt.floor("D")).size().reindex(days, fill_value=0).astype("float64")


def _latest(told: Told, days: pd.DatetimeIndex, of_days: int) -> pd.DataFrame:
    return told.stories[told.stories["hour"] > days[-1] - pd.Timedelta(days=of_days - 1)]


def _larger(
    k: "pd.Series[float]", n: "pd.Series[float]", k_before: "pd.Series[float]", n_before: "pd.Series[float]"
) -> "pd.Series[float]":
    """P(share > share before), each Beta(k + 1/2, n - k + 1/2): the mean over the quantiles of the first."""
    hits, misses, hits_before, misses_before = (
        counts.to_numpy("float64")[:, None] + PRIOR for counts in (k, n - k, k_before, n_before - k_before)
    )
    quantiles = special.betaincinv(hits, misses, (np.arange(200) + 0.5) / 200)
    return pd.Series(special.betainc(hits_before, misses_before, quantiles).mean(axis=1), index=k.index)


# -- days -------------------------------------------------------------------------------------------------------------


def _true(condition: "pd.Series[bool]") -> Days:
    return condition.to_numpy(bool)


def _fit(*needed: "pd.Series[float]") -> Days:
    fit: Days = np.all([series.notna().to_numpy(bool) for series in needed], axis=0)
    return fit


def _held(enters: Days, stays: Days) -> Days:
    held, on = np.zeros(len(enters), dtype=bool), False
    for day in range(len(enters)):
        held[day] = on = bool(enters[day] or (on and stays[day]))
    return held


def _run(held: Days) -> NDArray[np.int64]:
    """For how many days it has held, by day."""
    lasted, count = np.zeros(len(held), dtype=np.int64), 0
    for day in range(len(held)):
        lasted[day] = count = count + 1 if held[day] else 0
    return lasted


def _smooth(values: "pd.Series[float]", mean_days: int) -> "pd.Series[float]":
    """The trailing mean; NaN where today's value is not known."""
    return values.rolling(mean_days, min_periods=1).mean().where(values.notna())


def _days_above(ratio: "pd.Series[float]", level: float, of_days: int) -> "pd.Series[float]":
    return (ratio >= level).astype("float64").rolling(of_days, min_periods=1).sum().where(ratio.notna())


def _on_days(values: "pd.Series[float]", days: pd.DatetimeIndex) -> "pd.Series[float]":
    return values.groupby(level=0).last().reindex(days).ffill()


def _lacks(*parts: Line | Told, change: tuple[str, "pd.Series[float]", int]) -> list[str]:
    lacks = list(dict.fromkeys(part.lack for part in parts if part.lack))
    name, values, days = change
    if not lacks and np.isnan(values.iloc[-1]):
        lacks = [f"what {name} was {days} days before is not known"]
    return lacks


# -- words ------------------------------------------------------------------------------------------------------------


def _datum(
    line: Line,
    measure: str,
    values: "pd.Series[float]",
    threshold: float | None,
    days: int | None,
    unit: str,
    n: int = 0,
) -> TriggerDatum:
    today = values.index[-1]
    if days is not None:
        n = int((line.known.index > today - pd.Timedelta(days=days)).sum())
    return TriggerDatum(line.name, measure, rounded(values.iloc[-1]), threshold, unit, n, line.last_at)


def _story_datum(
    told: Told, name: str, counted: "pd.Series[float]", needed: int, of_days: int, days: pd.DatetimeIndex
) -> TriggerDatum:
    latest = _latest(told, days, of_days)
    measure = f"days of {of_days} far above its usual rate"
    return TriggerDatum(
        name, measure, rounded(counted.iloc[-1]), float(needed), "days", latest["story_id"].nunique(), _last_at(latest)
    )


def _last_at(frame: pd.DataFrame) -> datetime | None:
    """The hour in which the latest became known."""
    return None if frame.empty else frame["hour"].max().to_pydatetime()


def _unit(series: str) -> str:
    return macro_series()[series].unit if series in macro_series() else ""


def _shown(values: "pd.Series[float]", sign: str = "", digits: int = 2) -> str:
    return "not known" if np.isnan(values.iloc[-1]) else f"{values.iloc[-1]:{sign}.{digits}f}"


def _percent(values: "pd.Series[float]") -> str:
    return _shown(100 * values, "+", 1)


def _count(values: "pd.Series[float]") -> str:
    return _shown(values, digits=0)


def _share(k: "pd.Series[float]", n: "pd.Series[float]") -> str:
    """'12 of 40 stories (30 %, 90 % interval 19 to 43)'."""
    told, of = (float(np.nan_to_num(x.iloc[-1])) for x in (k, n))
    if not of:
        return "0 of 0 stories"
    low, high = special.betaincinv(told + PRIOR, of - told + PRIOR, [0.05, 0.95])
    return (
        f"{told:.0f} of {of:.0f} stories ({100 * told / of:.0f} %, 90 % interval {100 * low:.0f} to {100 * high:.0f})"
    )
