"""When the story shifted, why θ moved, and the record in hindsight. Store -> analysis -> answer."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sqlmodel import Session

from analysis.buckets import GRACE
from analysis.shift import POLES, Record, daily_of, record_of
from analysis.shift_events import Found, shifts
from analysis.shift_history import spells
from analysis.why import causes
from config import definitions
from models.derived import PricePoint, ShiftCause, ShiftEvent, ShiftSpell, ToldStory
from models.errors import BadInput
from models.store import prices as price_store
from models.store import stories as story_store
from services.answers import Answer
from services.series import Question, Scope, audited_poles, history, once, prior_of, scope_of

SINCE = {"return_btc": "BTC", "return_gold": "XAU", "return_silver": "XAG"}
CAUSES, STORIES = 5, 5
"""As many are told with an event."""
SEEN = 0.005
"""A change of θ that shows in two digits; smaller parts are told together."""


def shift_events(session: Session, question: Question, *, now: datetime) -> Answer:
    """The shifts that were detected in [start, end), oldest first; all that are known if no start is named.

    Raises: UnknownName, BadRange.
    """
    scope = scope_of(session, question, now)
    told = _record(session, question, scope, until=scope.as_of - GRACE)
    rows = []
    if told is not None:
        record, index = told
        start, end = question.start, question.end or scope.as_of + timedelta(days=1)
        asked = [one for one in shifts(record) if _detected_at(record, one) < end]
        asked = [one for one in asked if start is None or _detected_at(record, one) >= start]
        closes = {name: _closes(session, asset, scope) for name, asset in SINCE.items()} if asked else {}
        rows = [_event(session, question, record, index, closes, one) for one in asked]
    return Answer(ShiftEvent, rows, _meta(question, scope, rows))


def why(session: Session, question: Question, *, now: datetime) -> Answer:
    """What moved θ from the end of the day before `start` to the end of the last day before `end`.

    One row per narrative and outlet, the largest part first; they add up to `change` in the meta.
    Raises: UnknownName, BadRange, BadInput.
    """
    scope = scope_of(session, question, now)
    told = _record(session, question, scope, until=scope.as_of)
    if told is None or not len(told[0].spoken):
        raise BadInput("θ cannot be told yet: there is no day with a usual rate.")
    record, index = told
    days, spoken = record.days, record.spoken
    earlier = spoken[days[spoken] < pd.Timestamp(scope.start)]
    later = spoken[days[spoken] < pd.Timestamp(scope.end)]
    if not len(earlier) or not len(later) or later[-1] <= earlier[-1]:
        raise BadInput(
            f"θ speaks from {days[spoken[0]]:%Y-%m-%d} to {days[spoken[-1]]:%Y-%m-%d}: name a start after the first of "
            "them, and an end after the start."
        )
    before, after = int(earlier[-1]), int(later[-1])
    rows = causes(record, before, after)
    then, now_at = float(index[before]), float(index[after])
    moved = {
        "from": days[before].date(),
        "to": days[after].date(),
        "index_before": round(then, 6),
        "index": round(now_at, 6),
        "change": round(now_at - then, 6),
        "sentence": _sentence(then, now_at, rows),
    }
    return Answer(ShiftCause, rows, _meta(question, scope, rows) | moved)


def shift_history(session: Session, question: Question, *, now: datetime) -> Answer:
    """The record cut into spells, in hindsight: every number here knows what came after. Raises: as why."""
    scope = scope_of(session, question, now)
    told = _record(session, question, scope, until=scope.end)
    rows = [] if told is None else spells(told[0])
    return Answer(ShiftSpell, rows, _meta(question, scope, rows) | {"hindsight": True})


def _record(
    session: Session, question: Question, scope: Scope, *, until: datetime
) -> tuple[Record, NDArray[np.float64]] | None:
    """What whole days that end by `until` tell, and θ by day; None where there is no story."""
    last = pd.Timestamp(min(until, scope.as_of)).floor("D")

    def told() -> tuple[Record, NDArray[np.float64]] | None:
        whole = history(session, question, scope.as_of)
        totals, carried = (frame[frame["hour"] < last] for frame in (whole.totals, whole.carried))
        if totals.empty:
            return None
        found = audited_poles(session, question, scope)
        record = record_of(totals, carried, prior=prior_of(question), corrections=found.corrections)
        return record, daily_of(record)["index"].to_numpy("float64")

    return once(session, ("record", question.tagger, question.outlet, question.prior_rates, scope.as_of, last), told)


def _detected_at(record: Record, found: Found) -> datetime:
    """The end of the day whose news told it, and the grace."""
    return record.days[found.detected].to_pydatetime() + timedelta(days=1) + GRACE


def _event(
    session: Session,
    question: Question,
    record: Record,
    index: "np.ndarray",
    closes: dict[str, list[PricePoint]],
    found: Found,
) -> ShiftEvent:
    happened, detected_at = record.days[found.happened].to_pydatetime(), _detected_at(record, found)
    earlier = record.spoken[record.spoken < found.happened]
    rows = causes(record, int(earlier[-1]), found.detected) if len(earlier) else []
    moved = _by_narrative(rows)
    moved_by = max(moved, key=lambda name: abs(moved[name])) if moved else ""
    returns = {name: _return(bars, detected_at) for name, bars in closes.items()}
    return ShiftEvent(
        happened_at=happened,
        detected_at=detected_at,
        before=found.before,
        state=found.to,
        probability=found.probability,
        index_before=round(float(index[earlier[-1]]), 6) if len(earlier) else None,
        index=round(float(index[found.detected]), 6),
        moved_by=moved_by,
        n_stories=int(record.n_stories[found.happened : found.detected + 1].sum()),
        **returns,
        why=rows[:CAUSES],
        stories=[
            ToldStory(*row)
            for row in story_store.loudest(
                session,
                moved_by,
                start=happened,
                end=detected_at - GRACE,
                as_of=detected_at,
                tagger=question.tagger,
                outlet=question.outlet,
                limit=STORIES,
            )
        ],
    )


def _closes(session: Session, asset: str, scope: Scope) -> list[PricePoint]:
    """As they are known, ascending; none where the asset is not defined."""
    if asset not in definitions.assets():
        return []
    bars = price_store.read_bars(session, definitions.priced_as(asset), as_of=scope.as_of)
    return [bar for bar in bars if bar.close > 0]


def _return(closes: list[PricePoint], since: datetime) -> float | None:
    """Log return from the first close at or after an instant to the latest known; None where there are not two."""
    after = [bar.close for bar in closes if bar.closed_at >= since]
    return round(float(np.log(after[-1] / after[0])), 6) if len(after) > 1 else None


def _by_narrative(rows: list[ShiftCause]) -> dict[str, float]:
    return {name: sum(row.change for row in rows if row.narrative == name) for name in {row.narrative for row in rows}}


def _sentence(before: float, after: float, rows: list[ShiftCause]) -> str:
    moved = sorted(_by_narrative(rows).items(), key=lambda one: -abs(one[1]))
    verb = "stayed at" if abs(after - before) < SEEN else "rose to" if after > before else "fell to"
    parts = [(name, change) for name, change in moved if abs(change) >= SEEN]
    digits = 2 if len({round(change, 2) for _, change in parts}) == len(parts) else 3
    said = [f"{name} {change:+.{digits}f} ({_largest(rows, name)})" for name, change in parts]
    rest = sum(change for _, change in moved if abs(change) < SEEN)
    said += [f"others {rest:+.{digits}f}"] if abs(rest) >= SEEN else []
    told = f"θ {verb} {after:.2f}" + ("" if verb == "stayed at" else f" from {before:.2f}")
    return told + (": " + ", ".join(said) if said else "") + "."


def _largest(rows: list[ShiftCause], narrative: str) -> str:
    """The outlet with the largest part in a narrative's change."""
    own = next(row for row in rows if row.narrative == narrative)
    return f"{own.ratio_before:.1f} to {own.ratio:.1f} times the usual, most by {own.outlet}"


def _meta(
    question: Question, scope: Scope, rows: list[ShiftEvent] | list[ShiftCause] | list[ShiftSpell]
) -> dict[str, object]:
    return {
        "as_of": scope.as_of.astimezone(UTC),
        "tagger": question.tagger,
        "outlet": question.outlet,
        "narratives": list(POLES.all),
        "n": len(rows),
    }
