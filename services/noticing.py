"""Noticing events: what happened in the record and was not told yet. Store -> shifts, triggers, thresholds -> events.

Only whole days are looked at, an hour after their end. docs/webhooks.md.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

from sqlmodel import Session

from analysis.buckets import GRACE
from analysis.shift_events import STATES as SHIFT_STATES
from analysis.triggers import State as TriggerStateName
from config import definitions
from models.clocks import end_of_day
from models.derived import ShiftEvent, TriggerState
from models.errors import UnknownName
from models.events import Event, EventLook, Webhook
from models.store import events as event_store
from services.answers import plain
from services.series import Question, intensity, shift, tone
from services.shift_events import shift_events
from services.triggers import all_states, triggers

TRIGGER_STATES = tuple(state for state in get_args(TriggerStateName) if state != "unknown")
SERIES = "narrative:KEY, tone:ASSET, theta"
SAME_SHIFT = timedelta(days=10)
"""News that becomes known late can date a shift otherwise by a few days; it is not told again for that."""
LONGEST_AWAY = timedelta(days=31)
"""Of days that nobody looked at, so many are looked at afterwards."""


@dataclass(slots=True)
class Crossed:
    """How far a webhook's threshold was looked at."""

    webhook_id: int
    set_at: datetime | None
    day: date | None
    met: bool | None
    events: list[Event] = field(default_factory=list)
    off_reason: str | None = None
    """Why its series cannot be told any more."""


@dataclass(slots=True)
class Noticed:
    """What one look found."""

    tagger: str
    shifts: list[Event] = field(default_factory=list)
    turned: list[Event] = field(default_factory=list)
    looked: EventLook | None = None
    crossings: list[Crossed] = field(default_factory=list)


def last_whole_day(now: datetime) -> date:
    """The latest day that ended an hour ago or earlier."""
    return (now - GRACE).astimezone(UTC).date() - timedelta(days=1)


def notice(session: Session, tagger: str, *, now: datetime) -> Noticed:
    """What is there and was not told yet; nothing is written. Raises: ConfigError."""
    found = Noticed(tagger, shifts=list(_shifts(session, tagger, now)))
    found.looked, found.turned = _turned(session, tagger, now)
    for webhook in event_store.list_webhooks(session, active=True):
        if webhook.threshold is not None:
            found.crossings.append(_crossings(session, webhook, tagger, now))
    return found


def keep(session: Session, found: Noticed, *, now: datetime) -> list[Event]:
    """Keep what was noticed, and queue it for who wants to be told; what another has kept meanwhile is left out."""
    event_store.notice_one_at_a_time(session)
    events = list(found.shifts)
    began = event_store.look(session, f"shift:{found.tagger}")
    if began is None:
        session.add(EventLook(of=f"shift:{found.tagger}", began_at=now))
    else:
        began.began_at = min(began.began_at, now)  # a clock that was ahead has been set since
    if found.looked is not None:
        before, day = event_store.look(session, found.looked.of), found.looked.day or date.min
        if before is None or before.day is None or before.day < day or _is_ahead(before.day, day):
            session.merge(found.looked)
            events += found.turned
    for crossed in found.crossings:
        webhook = event_store.get_webhook(session, crossed.webhook_id)
        if webhook is not None and webhook.threshold_set_at == crossed.set_at:
            webhook.threshold_day, webhook.threshold_met = crossed.day, crossed.met
            events += crossed.events
            if crossed.off_reason is not None:
                event_store.switch_off(session, webhook, crossed.off_reason)
    webhooks = event_store.list_webhooks(session, active=True)
    new = [event for event in events if event_store.add_event(session, event)]
    for event in new:
        if not event.past:
            event_store.queue(session, event, [one for one in webhooks if wants(one, event)], now=now)
    return new


def wants(webhook: Webhook, event: Event) -> bool:
    """Whether the webhook is to be told of it."""
    if event.kind in ("threshold", "test"):
        return bool(event.payload["webhook"] == webhook.id)
    if event.kind not in webhook.events:
        return False
    if event.kind == "trigger" and webhook.triggers and event.payload["trigger"] not in webhook.triggers:
        return False
    states = set(webhook.states) & set(SHIFT_STATES if event.kind == "shift" else TRIGGER_STATES)
    return not states or event.payload["state"] in states


# -- shifts -----------------------------------------------------------------------------------------------------------


def _shifts(session: Session, tagger: str, now: datetime) -> Iterator[Event]:
    """The shifts that were not told. Those detected before looking began are past."""
    look = event_store.look(session, f"shift:{tagger}")
    rows = shift_events(session, Question(tagger=tagger), now=now).rows
    for row in _untold(rows, event_store.events_of(session, "shift")):
        if look is None or row.detected_at <= look.began_at:
            payload = {"before": row.before, "state": row.state, "tagger": tagger}
            yield _shift(row, row.detected_at, payload, now, past=True)
        else:
            yield _shift_as_known(session, row, tagger, now)


def _untold(rows: Iterable[ShiftEvent], told: Sequence[Event]) -> Iterator[ShiftEvent]:
    """A shift is one that was told if that one was to the same state at about the same time; each only once."""
    left = list(told)
    for row in rows:
        same = [one for one in left if one.payload["state"] == row.state and _apart(one, row) <= SAME_SHIFT]
        if same:
            left.remove(min(same, key=lambda one: _apart(one, row)))
        else:
            yield row


def _apart(told: Event | ShiftEvent, row: ShiftEvent) -> timedelta:
    return abs(told.happened_at - row.happened_at)


def _shift_as_known(session: Session, row: ShiftEvent, tagger: str, now: datetime) -> Event:
    """As it was told when it was detected; where only later news tells it, that is now."""
    then = shift_events(session, Question(tagger=tagger, as_of=row.detected_at), now=now).rows
    same = [one for one in then if one.state == row.state and _apart(one, row) <= SAME_SHIFT]
    detected_at = same[-1].detected_at if same else now
    row = same[-1] if same else row
    names = ("before", "state", "probability", "index_before", "index", "moved_by", "n_stories", "why", "stories")
    payload = {name: plain(getattr(row, name)) for name in names}
    return _shift(row, detected_at, payload | {"tagger": tagger}, now)


def _shift(
    row: ShiftEvent, detected_at: datetime, payload: dict[str, Any], now: datetime, *, past: bool = False
) -> Event:
    sentence = (
        f"The story shifted from {row.before} to {row.state} on {_day(row.happened_at)}, as could be known on "
        f"{_day(detected_at)}, {detected_at:%H:%M} UTC"
    )
    if not past and row.index_before is not None:
        sentence += f"; θ went from {row.index_before:.2f} to {row.index:.2f}, moved most by {row.moved_by}"
    return Event(
        kind="shift",
        key=f"shift:{row.happened_at:%Y-%m-%d}:{row.state}",
        happened_at=row.happened_at,
        detected_at=detected_at,
        recorded_at=now,
        title=f"The story shifted to {row.state}",
        sentence=f"{sentence}.",
        payload=payload,
        link=f"/v1/shift/events?as_of={plain(detected_at)}",
        past=past,
    )


# -- triggers ---------------------------------------------------------------------------------------------------------


def _turned(session: Session, tagger: str, now: datetime) -> tuple[EventLook | None, list[Event]]:
    """The triggers that stood otherwise at the end of a day than when they were last known, each day as known then.

    None where every whole day was looked at. The first look only notes how they stand.
    """
    of, last = f"triggers:{tagger}", last_whole_day(now)
    look = event_store.look(session, of)
    if look is not None and look.day is not None and look.day >= last and not _is_ahead(look.day, last):
        return None, []
    since = date.min if look is None or look.day is None else min(max(look.day, last - LONGEST_AWAY), last)
    states = {} if look is None else dict(look.states)
    turns: dict[date, dict[str, str]] = {}
    for trigger, days in all_states(session, tagger, as_of=end_of_day(last)).items():
        for day, state in ((day, state) for day, state in days if day > since and state != "unknown"):
            if look is not None and states.get(trigger, state) != state:
                turns.setdefault(day, {})[trigger] = states[trigger]
            states[trigger] = state
    turned = []
    for day, before in sorted(turns.items()):
        rows = triggers(session, Question(tagger=tagger, as_of=end_of_day(day)), now=now).rows
        turned += [_trigger(row, before[row.trigger], day, tagger, now) for row in rows if row.trigger in before]
    return EventLook(of=of, began_at=look.began_at if look else now, day=last, states=states), turned


def _is_ahead(day: date, last: date) -> bool:
    """Noted by a clock that was ahead and has been set since; clocks of several machines differ by less."""
    return day - last > timedelta(days=1)


def _trigger(row: TriggerState, before: str, day: date, tagger: str, now: datetime) -> Event:
    at = end_of_day(day)
    return Event(
        kind="trigger",
        key=f"trigger:{row.trigger}:{day}:{row.state}",
        happened_at=at,
        detected_at=at,
        recorded_at=now,
        title=f"{row.name}: {row.state}",
        sentence=f"{row.name} is {row.state}, and was {before}. {row.sentence}",
        payload=plain(row) | {"before": before, "tagger": tagger},
        link=f"/v1/triggers?as_of={plain(at)}",
    )


# -- thresholds -------------------------------------------------------------------------------------------------------


def check_series(series: str) -> None:
    """Raises: UnknownName if it is no series that a threshold can be held against."""
    kind, _, key = series.partition(":")
    if kind == "narrative":
        definitions.narrative(key)
    elif kind == "tone":
        definitions.asset(key)
    elif series != "theta":
        raise UnknownName("series", series, SERIES.split(", "))


def _crossings(session: Session, webhook: Webhook, tagger: str, now: datetime) -> Crossed:
    """Held against the value of each whole day: where it comes to lie beyond, once; not where it lay there before."""
    threshold, set_at = webhook.threshold or {}, webhook.threshold_set_at or now
    crossed = Crossed(webhook.id or 0, webhook.threshold_set_at, webhook.threshold_day, webhook.threshold_met)
    first = crossed.day + timedelta(days=1) if crossed.day else set_at.date() - LONGEST_AWAY
    try:
        values = _values(session, threshold["series"], first, tagger, now)
    except UnknownName as error:
        crossed.off_reason = str(error)
        return crossed
    for day, value in values:
        if value is None or day > last_whole_day(now):
            continue
        met = value > threshold["above"] if threshold["above"] is not None else value < threshold["below"]
        if met and not crossed.met and day > last_whole_day(set_at):
            crossed.events.append(_crossing(webhook, day, value, tagger, now))
        crossed.day, crossed.met = day, met
    return crossed


def _values(session: Session, series: str, first: date, tagger: str, now: datetime) -> list[tuple[date, float | None]]:
    """(day, value), ascending; None where nothing was told."""
    kind, _, key = series.partition(":")
    question = Question(start=datetime(first.year, first.month, first.day, tzinfo=UTC), tagger=tagger)
    if question.start and question.start >= now:
        return []
    if kind == "narrative":
        return [(row.bucket_start.date(), row.intensity) for row in intensity(session, [key], question, now=now).rows]
    if kind == "tone":
        return [(row.bucket_start.date(), row.tone) for row in tone(session, key, question, now=now).rows]
    return [(row.bucket_start.date(), row.index) for row in shift(session, question, now=now).rows]


def _crossing(webhook: Webhook, day: date, value: float, tagger: str, now: datetime) -> Event:
    threshold = webhook.threshold or {}
    side = "above" if threshold["above"] is not None else "below"
    bound, series = threshold[side], threshold["series"]
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Event(
        kind="threshold",
        key=f"threshold:{webhook.id}:{day}:{series}:{side}:{bound}",
        happened_at=at,
        detected_at=now,
        recorded_at=now,
        title=f"{series} is {side} {bound:g}",
        sentence=f"{series} was {value:.3f} on {_day(at)}, {side} {bound:g}.",
        payload={"webhook": webhook.id, "series": series, "day": str(day), "value": value, "tagger": tagger}
        | {side: bound},
        link=_link(series, day),
    )


def _link(series: str, day: date) -> str:
    kind, _, key = series.partition(":")
    path = {"narrative": f"intensity?narrative={key}&", "tone": f"tone?asset={key}&"}.get(kind, "shift?")
    return f"/v1/{path}start={day}&end={day + timedelta(days=1)}"


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y}"
