"""What does an asset do around events: turns of the story, record closes, or days that are named? Store -> answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session

from analysis.buckets import GRACE
from analysis.event_study import AFTER, BEFORE, MOST_RELATED, record_highs, runs, weekly_correlation
from analysis.event_study import event_study as judge
from analysis.lead_lag import Dated
from config import definitions
from models.clocks import end_of_day
from models.derived import EventStudy, EventWeek
from models.errors import BadInput, UnknownName
from models.store import prices as price_store
from services.answers import Answer
from services.instants import check_range
from services.series import Question, scope_of
from services.shift_events import shift_events
from services.triggers import states as trigger_states

STATES = ("panic", "transition", "devaluation")
TRIGGERS = tuple(definitions.Triggers.model_fields)
EVENTS = [*(f"shift:{state}" for state in STATES), *(f"trigger:{key}" for key in TRIGGERS), "high:ASSET"]


@dataclass(frozen=True, slots=True)
class EventView:
    event: str
    name: str


def known_events(session: Session) -> list[EventView]:
    """What can be asked about: turns of the story, triggers that turn on, and record closes of what has closes."""
    priced = price_store.priced_assets(session)
    rules = definitions.triggers()
    return [
        *(EventView(f"shift:{state}", f"the story turns to {state}") for state in STATES),
        *(EventView(f"trigger:{key}", getattr(rules, key).name) for key in TRIGGERS),
        *(
            EventView(f"high:{key}", f"record close of {asset.name}")
            for key, asset in definitions.assets().items()
            if definitions.priced_as(key) == key and key in priced
        ),
    ]


@dataclass(frozen=True, slots=True)
class EventStudyAnswer:
    row: EventStudy
    meta: dict[str, Any]

    def table(self) -> Answer:
        """Its weeks, for CSV and Parquet."""
        return Answer(EventWeek, self.row.weeks, self.meta)


def event_study(
    session: Session,
    event: str | None,
    asset: str,
    question: Question,
    *,
    days: Sequence[date] = (),
    seed: int = 0,
    now: datetime,
) -> EventStudyAnswer:
    """The asset's cumulative abnormal return around events, against placebo dates of the same years.

    shift:STATE the days whose news told that the story had shifted, trigger:KEY those on which a trigger turned on,
    high:ASSET record closes; or `days` instead. Only events in the question's range that were over at `as_of` count;
    prices are taken from wherever they are known. Raises: UnknownName, BadRange, BadInput.
    """
    if (event is None) == (not days):
        raise BadInput(f"Name either an event ({', '.join(EVENTS)}) or days, one of both.")
    instrument = definitions.priced_as(asset)
    check_range(question.start, question.end)
    as_of = scope_of(session, replace(question, start=None, end=None), now).as_of
    if event is None:
        event, told, found = "dates", "the dates given", list(days)
    else:
        told, found = _events(session, event, question, as_of, now)
    found = [
        day
        for day in found
        if (question.start is None or end_of_day(day) >= question.start)
        and (question.end is None or end_of_day(day) < question.end)
        and end_of_day(day) <= as_of
    ]
    closes = _closes(session, asset, as_of)
    related = _related(session, event, asset, closes, as_of)
    row = judge(closes, found, seed=seed, event=event, told=told, asset=asset)
    meta = {
        "event": event,
        "asset": asset,
        "instrument": instrument,
        "start": question.start,
        "end": question.end,
        "as_of": as_of,
        "tagger": question.tagger if event.startswith(("shift:", "trigger:")) else None,
        "n_bars": len(closes),
        "correlation": related,
        "weeks": [-BEFORE, AFTER],
        "interval": 0.9,
    }
    return EventStudyAnswer(row, meta)


def _events(session: Session, event: str, question: Question, as_of: datetime, now: datetime) -> tuple[str, list[date]]:
    """In words, and their days."""
    kind, _, key = event.partition(":")
    if kind == "high" and key:
        return f"record closes of {key}", record_highs(_closes(session, key, as_of))
    if kind == "trigger" and key in TRIGGERS:
        return f"the trigger {key} turned on", runs(trigger_states(session, key, question.tagger, as_of=as_of), "on")
    if kind != "shift" or key not in STATES:
        raise UnknownName("event", event, EVENTS)
    shifts = shift_events(session, replace(question, start=None, end=None), now=now).rows
    days = [(row.detected_at - GRACE - timedelta(days=1)).date() for row in shifts if row.state == key]
    return f"the story was seen to have shifted to {key}", days


def _related(session: Session, event: str, asset: str, closes: Dated, as_of: datetime) -> float | None:
    """How the asset moves with the one whose records are the events. Raises: BadInput where that is too closely."""
    kind, _, key = event.partition(":")
    if kind != "high":
        return None
    found = weekly_correlation(_closes(session, key, as_of), closes)
    if found is not None and found > MOST_RELATED:
        raise BadInput(
            f"{asset} cannot be judged after record closes of {key}: the two move together (weekly correlation "
            f"{found:.2f}), so that a record itself picks days after a rise. At most {MOST_RELATED} can be told."
        )
    return found


def _closes(session: Session, asset: str, as_of: datetime) -> Dated:
    """Raises: UnknownName; BadInput if there is none."""
    bars = price_store.read_bars(session, definitions.priced_as(asset), as_of=as_of)
    found = [(bar.closed_at, bar.close) for bar in bars if bar.close > 0]
    if not found:
        raise BadInput(
            f"There is no close of {asset} known on {as_of:%Y-%m-%d}; `storyshift import prices` brings them in."
        )
    return found
