"""Events: those that were noticed, and how much the record holds now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from config import definitions
from models.errors import BadInput
from models.events import Event
from models.store import articles as article_store
from models.store import events as event_store
from models.store import stories as story_store

TOLD_KINDS = ("shift", "trigger", "threshold")
"""What happened; not what somebody tries out."""
MAX_PAGE = 200


@dataclass(frozen=True, slots=True)
class EventView:
    id: int
    kind: str
    """shift, trigger, threshold; test where somebody tries a webhook."""
    key: str
    happened_at: datetime
    detected_at: datetime
    """When it could be known; the payload holds nothing that became known later."""
    recorded_at: datetime
    title: str
    sentence: str
    payload: dict[str, Any]
    link: str
    """Where its numbers stand, as a path of this server."""
    past: bool
    """It lay in the past when looking began, and was delivered to nobody."""


@dataclass(frozen=True, slots=True)
class EventPage:
    data: list[EventView]
    next_cursor: int | None


@dataclass(frozen=True, slots=True)
class RecordState:
    """How much there is: what a page needs to know to ask again."""

    articles: int
    latest: datetime | None
    """When the latest article was published."""
    tagged: int
    """Wordings that the tagger has read."""


def view(event: Event) -> EventView:
    return EventView(
        id=event.id or 0,
        kind=event.kind,
        key=event.key,
        happened_at=event.happened_at,
        detected_at=event.detected_at,
        recorded_at=event.recorded_at,
        title=event.title,
        sentence=event.sentence,
        payload=event.payload,
        link=event.link,
        past=event.past,
    )


def list_events(session: Session, *, kinds: Collection[str], cursor: int | None, limit: int) -> EventPage:
    """Those that happened, the newest first. Raises: BadInput for a limit that is none."""
    if not 1 <= limit <= MAX_PAGE:
        raise BadInput(f"limit is {limit}; a page holds from 1 to {MAX_PAGE} events.")
    rows = event_store.events_before(session, cursor, kinds=kinds or TOLD_KINDS, limit=limit + 1)
    return EventPage([view(row) for row in rows[:limit]], rows[limit - 1].id if len(rows) > limit else None)


def events_after(session: Session, after: int, *, kinds: Collection[str], limit: int) -> list[EventView]:
    """Those that were recorded after the one with this id, in their order."""
    return [view(row) for row in event_store.events_after(session, after, kinds=kinds or TOLD_KINDS, limit=limit)]


def record_mark(session: Session) -> event_store.Mark:
    """What differs whenever the record has changed."""
    return event_store.record_mark(session, definitions.live_tagger_name())


def last_event_id(session: Session) -> int:
    return event_store.last_event_id(session)


def record_state(session: Session, *, now: datetime) -> RecordState:
    return RecordState(
        article_store.count_articles(session),
        story_store.event_range(session, as_of=now)[1],
        event_store.count_tagged(session, definitions.live_tagger_name()),
    )
