"""Does a narrative, a tone, θ, another asset or a macro series lead an asset? Store -> analysis -> answer."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlmodel import Session

from analysis.buckets import end_of
from analysis.forecast import beside
from analysis.join import MAX_GAP, bucket_returns
from analysis.lead_lag import DEFAULT_MAX_LAG, Dated, Target, align, family
from config import definitions
from models.derived import LeftOut, PairLeadLag
from models.errors import BadInput, UnknownName
from models.store import prices as price_store
from services.series import Question, Scope, intensity, scope_of, shift, tone

DRIVERS = "narrative:KEY, tone:ASSET, theta, asset:ASSET, macro:SERIES"
MOST_PAIRS = 60
MONTH = timedelta(days=31)
"""The longest bucket: the first value meets a return that begins so long before it."""


@dataclass(frozen=True, slots=True)
class LeadLagAnswer:
    rows: list[PairLeadLag]
    meta: dict[str, Any]


def lead_lag(
    session: Session,
    drivers: list[str],
    assets: list[str],
    question: Question,
    *,
    target: Target = "return",
    max_lag: int = DEFAULT_MAX_LAG,
    seed: int = 0,
    now: datetime,
) -> LeadLagAnswer:
    """Every driver beside every asset, p adjusted for all of them. A driver is a change or a share, never a level:

    narrative:KEY its share of the stories, tone:ASSET its mean tone, theta θ, asset:ASSET its log return, macro:SERIES
    its change from one publication to the next. A bucket's value is known at its end; open buckets are left out. Pairs
    of which nothing can be told are named in `meta`, each with the reason; p is adjusted for the others.
    Raises: UnknownName, BadRange; BadInput, also if nothing can be told of any pair.
    """
    drivers, assets = list(dict.fromkeys(drivers)), list(dict.fromkeys(assets))
    if not drivers or not assets:
        raise BadInput(f"Name at least one driver ({DRIVERS}) and one asset.")
    if len(drivers) * len(assets) > MOST_PAIRS:
        raise BadInput(
            f"{len(drivers) * len(assets)} pairs are too many for one answer; at most {MOST_PAIRS} are told."
        )
    scope = scope_of(session, question, now)
    values = {name: _values(session, name, question, scope, now) for name in drivers}
    closes = {asset: _closes(session, asset, scope) for asset in assets}
    nothing = {name for name, found in (*values.items(), *closes.items()) if not found}
    hourly = {asset: _hourly(session, asset, scope) for asset in assets} if target == "volatility" else {}
    rows, left_out = family(
        {name: found for name, found in values.items() if found},
        {asset: found for asset, found in closes.items() if found},
        hourly=hourly,
        target=target,
        max_lag=max_lag,
        seed=seed,
    )
    left_out += [
        LeftOut(driver, asset, _unknown(driver if driver in nothing else asset, scope))
        for driver in drivers
        for asset in assets
        if nothing & {driver, asset}
    ]
    if not rows:
        raise BadInput(left_out[0].why)
    if len(rows) == 1:
        driver, asset = rows[0].driver, rows[0].asset
        pair = align(values[driver], closes[asset], hourly.get(asset, ()))
        told = beside(pair.driver, pair.wanted(target), max_lag=rows[0].lead_lag.max_lag)
        rows = [replace(rows[0], beside=told)]
    meta = {
        "start": scope.start,
        "end": scope.end,
        "bucket": question.bucket,
        "as_of": scope.as_of,
        "tagger": question.tagger,
        "outlet": question.outlet,
        "target": target,
        "pairs": len(rows),
        "left_out": left_out,
        "adjusted": "Romano-Wolf step-down over all pairs",
    }
    return LeadLagAnswer(rows, meta)


def _unknown(name: str, scope: Scope) -> str:
    return f"There is nothing known of {name} between {scope.start:%Y-%m-%d} and {scope.end:%Y-%m-%d}."


def _values(session: Session, name: str, question: Question, scope: Scope, now: datetime) -> Dated:
    kind, _, key = name.partition(":")
    if name == "theta":
        told = [(point, point.index) for point in shift(session, question, now=now).rows]
    elif kind == "narrative":
        told = [(point, point.intensity) for point in intensity(session, [key], question, now=now).rows]
    elif kind == "tone":
        told = [(point, point.tone) for point in tone(session, key, question, now=now).rows]
    elif kind == "asset":
        return _returns(session, key, question, scope)
    elif kind == "macro":
        return _changes(session, key, scope)
    else:
        raise UnknownName("driver", name, DRIVERS.split(", "))
    return [
        (end_of(point.bucket_start, question.bucket), value)
        for point, value in told
        if value is not None and not point.open
    ]


def _returns(session: Session, asset: str, question: Question, scope: Scope) -> Dated:
    bars = price_store.read_bars(session, definitions.priced_as(asset), as_of=scope.as_of)
    found = bucket_returns(bars, starts=scope.starts, bucket=question.bucket)
    return [
        (end_of(start, question.bucket), one.return_same)
        for start, one in zip(scope.starts, found, strict=True)
        if one.return_same is not None
    ]


def _changes(session: Session, key: str, scope: Scope) -> Dated:
    """From one publication to the next; where several come at one moment, the last."""
    definitions.macro(key)
    known = price_store.read_points(session, key, as_of=scope.as_of)
    changes = {at: value - before for (_, before), (at, value) in pairwise(known)}
    return [(at, change) for at, change in changes.items() if scope.start < at <= scope.end]


def _closes(session: Session, asset: str, scope: Scope) -> Dated:
    bars = price_store.read_bars(session, definitions.priced_as(asset), as_of=scope.as_of)
    return [(bar.closed_at, bar.close) for bar in bars if bar.close > 0]


def _hourly(session: Session, asset: str, scope: Scope) -> Dated:
    """Closes by the hour around the scope; none of a market that rests: its hours are not all of one kind."""
    instrument = definitions.priced_as(asset)
    if definitions.asset(instrument).calendar != "24/7":
        return []
    bars = price_store.read_bars(
        session,
        instrument,
        as_of=scope.as_of,
        start=scope.start - MONTH,
        end=scope.end + MAX_GAP,
        interval="hour",
    )
    return [(bar.closed_at, bar.close) for bar in bars if bar.close > 0]
