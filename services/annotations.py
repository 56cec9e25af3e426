"""Dated remarks for anybody's chart: when the story shifted, when a trigger changed. Store -> analysis -> answer.

They are worked out from the record as it was known, so that they are there for the past, and as of any instant.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Literal, get_args
from urllib.parse import urlencode

from sqlmodel import Session

from config import definitions
from models.derived import ShiftEvent
from services.answers import Answer
from services.instants import check_range
from services.series import Question, scope_of
from services.shift_events import shift_events
from services.triggers import all_states

Kind = Literal["shift", "trigger"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DAY = timedelta(days=1)
REACH = timedelta(days=91)
"""As far to either side does the page that is linked to show the story."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark of ours, without a word of a publisher."""

    time: datetime
    """When it could first be known."""
    time_end: datetime | None
    """When the next one of its kind could (of a trigger: of the same trigger); None while it lasts."""
    kind: str
    title: str
    text: str
    tags: str
    """Separated by commas."""
    happened_at: datetime
    """Since when, as it looked then."""
    link: str
    """Where on this server the page shows it."""


def annotations(session: Session, question: Question, kinds: tuple[Kind, ...] = KINDS, *, now: datetime) -> Answer:
    """The remarks of [start, end), oldest first; all that are known if no start is named.

    Of the question, only `start`, `end`, `as_of` and `tagger` are used. A trigger that is unknown for a while and then
    stands as before has not changed. Raises: UnknownName, BadRange, ConfigError.
    """
    check_range(question.start, question.end)
    whole = replace(question, start=None, end=None)
    as_of = scope_of(session, whole, now).as_of
    found: list[Annotation] = []
    if "shift" in kinds:
        found += _until_the_next([_of_shift(event) for event in shift_events(session, whole, now=now).rows])
    if "trigger" in kinds:
        for trigger, states in all_states(session, question.tagger, as_of=as_of).items():
            found += _until_the_next(list(_of_trigger(trigger, [one for one in states if _end(one[0]) <= as_of])))
    asked = [one for one in found if question.start is None or one.time >= question.start]
    rows = sorted((one for one in asked if question.end is None or one.time < question.end), key=_order)
    meta = {"start": question.start, "end": question.end, "as_of": as_of, "tagger": question.tagger}
    return Answer(Annotation, rows, meta | {"kinds": list(kinds), "n": len(rows)})


def _of_shift(event: ShiftEvent) -> Annotation:
    theta = f"θ {event.index:.2f}" if event.index is not None else "θ unknown"
    before = f" from {event.index_before:.2f}" if event.index_before is not None else ""
    moved = f", moved most by {event.moved_by}" if event.moved_by else ""
    return Annotation(
        time=event.detected_at,
        time_end=None,
        kind="shift",
        title=f"The story shifts from {event.before} to {event.state}",
        text=f"{theta}{before}; P({event.state}) {event.probability:.2f}{moved}; n = {event.n_stories} stories since "
        f"{event.happened_at:%Y-%m-%d}.",
        tags=f"shift,{event.state}",
        happened_at=event.happened_at,
        link=_link(event.happened_at),
    )


def _of_trigger(trigger: str, states: list[tuple[date, str]]) -> Iterator[Annotation]:
    """states: of each day that is over, oldest first."""
    known = [(day, state) for day, state in states if state != "unknown"]
    name = getattr(definitions.triggers(), trigger).name
    since = known[0][0] if known else None
    for (_, before), (day, state) in pairwise(known):
        if state == before:
            continue
        yield Annotation(
            time=_end(day),
            time_end=None,
            kind="trigger",
            title=f"{name}: {state}",
            text=f"{before} since {since}, {state} at the end of {day}.",
            tags=f"trigger,{trigger},{state}",
            happened_at=_end(day) - DAY,
            link=_link(_end(day) - DAY),
        )
        since = day


def _until_the_next(rows: list[Annotation]) -> list[Annotation]:
    return [replace(one, time_end=after.time) for one, after in pairwise(rows)] + rows[-1:]


def _order(row: Annotation) -> tuple[datetime, str, str]:
    return row.time, row.kind, row.title


def _end(day: date) -> datetime:
    return datetime.combine(day, time(0), tzinfo=UTC) + DAY


def _link(day: datetime) -> str:
    shown = {"start": f"{day - REACH:%Y-%m-%d}", "end": f"{day + REACH:%Y-%m-%d}", "at": f"{day:%Y-%m-%dT00:00:00Z}"}
    return f"/story#{urlencode(shown | {'bucket': 'day'})}"
