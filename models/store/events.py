"""Events and who is told of them: keeping what was noticed once, webhooks, what is due to be delivered, the log."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlmodel import Session, col

from models.articles import Article, Revision
from models.events import Delivery, Event, EventLook, Webhook
from models.prices import MacroPoint, PriceBar
from models.reviews import Review
from models.store.feeds import CLOCKS_DIFFER
from models.store.sql import one_at_a_time
from models.tags import Tagging

Mark = tuple[int | None, ...]
SWITCHED_OFF = "The webhook was switched off."


def record_mark(session: Session, tagger: str) -> Mark:
    """What differs when articles, tags of the tagger, closes, macro values or reviews came in. It costs nothing."""
    read = select(col(Tagging.revision_id)).where(col(Tagging.tagger) == tagger)
    latest = [session.scalar(read.order_by(col(Tagging.revision_id).desc()).limit(1))]
    for model in (Article, Revision, PriceBar, MacroPoint, Review):
        latest.append(session.scalar(select(func.max(col(model.id)))))
    return tuple(latest)


def count_tagged(session: Session, tagger: str) -> int:
    """Wordings that the tagger has read."""
    return session.scalar(select(func.count()).select_from(Tagging).where(col(Tagging.tagger) == tagger)) or 0


# -- events -----------------------------------------------------------------------------------------------------------


def notice_one_at_a_time(session: Session) -> None:
    """Until this transaction ends no other notices events: none is kept twice, and ids follow the commits."""
    one_at_a_time(session, "events")


def add_event(session: Session, event: Event) -> bool:
    """False if it was noticed before. Needs notice_one_at_a_time."""
    if session.scalar(select(col(Event.id)).where(col(Event.key) == event.key)) is not None:
        return False
    session.add(event)
    session.flush()
    return True


def events_of(session: Session, kind: str) -> Sequence[Event]:
    return session.scalars(select(Event).where(col(Event.kind) == kind).order_by(col(Event.id))).all()


def events_after(session: Session, after: int, *, kinds: Collection[str], limit: int) -> Sequence[Event]:
    """Those with a higher id, by id."""
    query = select(Event).where(col(Event.id) > after, col(Event.kind).in_(kinds))
    return session.scalars(query.order_by(col(Event.id)).limit(limit)).all()


def events_before(session: Session, before: int | None, *, kinds: Collection[str], limit: int) -> Sequence[Event]:
    """Those with a lower id, the newest first."""
    query = select(Event).where(col(Event.kind).in_(kinds))
    if before is not None:
        query = query.where(col(Event.id) < before)
    return session.scalars(query.order_by(col(Event.id).desc()).limit(limit)).all()


def last_event_id(session: Session) -> int:
    return session.scalar(select(func.max(col(Event.id)))) or 0


def look(session: Session, of: str) -> EventLook | None:
    return session.get(EventLook, of)


# -- webhooks ---------------------------------------------------------------------------------------------------------


def list_webhooks(session: Session, *, active: bool = False) -> Sequence[Webhook]:
    """By id; all, or only those that are active."""
    query = select(Webhook).order_by(col(Webhook.id))
    return session.scalars(query.where(col(Webhook.active)) if active else query).all()


def get_webhook(session: Session, webhook_id: int) -> Webhook | None:
    return session.get(Webhook, webhook_id)


def delete_webhook(session: Session, webhook: Webhook) -> None:
    """With the log of its deliveries; the events stay."""
    session.execute(delete(Delivery).where(col(Delivery.webhook_id) == webhook.id))
    session.delete(webhook)


def switch_off(session: Session, webhook: Webhook, reason: str) -> None:
    """Nobody is told by it any more, of what waits neither."""
    webhook.active, webhook.off_reason = False, reason
    give_up_waiting(session, webhook.id or 0)


# -- deliveries -------------------------------------------------------------------------------------------------------


def queue(session: Session, event: Event, webhooks: Iterable[Webhook], *, now: datetime) -> None:
    session.add_all(
        Delivery(webhook_id=webhook.id or 0, event_id=event.id or 0, next_attempt_at=now) for webhook in webhooks
    )


def is_due(session: Session, *, now: datetime) -> bool:
    """Whether anything waits that may be tried by now."""
    return session.scalar(select(col(Delivery.id)).where(_is_due(now)).limit(1)) is not None


def due(
    session: Session, *, now: datetime, beside: Collection[int], limit: int
) -> list[tuple[Delivery, Webhook, Event]]:
    """What is to be tried now: the oldest of each active webhook but those `beside`, up to `limit`.

    No other transaction is given the same ones until this one ends.
    """
    waits = _is_due(now)
    oldest = select(func.min(col(Delivery.id))).join(Webhook, col(Webhook.id) == col(Delivery.webhook_id))
    oldest = oldest.where(waits, col(Webhook.active), col(Webhook.id).not_in(beside)).group_by(col(Webhook.id))
    query = (
        select(Delivery)
        .where(col(Delivery.id).in_(oldest), waits)
        .order_by(col(Delivery.next_attempt_at), col(Delivery.id))
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [
        (one, session.get_one(Webhook, one.webhook_id), session.get_one(Event, one.event_id))
        for one in session.scalars(query).all()
    ]


def _is_due(now: datetime) -> ColumnElement[bool]:
    """It waits, and may be tried by now; or it was queued, or tried, later than now: the clock has jumped back."""
    later = now + CLOCKS_DIFFER
    queued = select(col(Event.id)).where(col(Event.id) == col(Delivery.event_id), col(Event.recorded_at) > later)
    jumped = or_(col(Delivery.last_attempt_at) > later, and_(col(Delivery.attempts) == 0, queued.exists()))
    return and_(col(Delivery.state) == "waiting", or_(col(Delivery.next_attempt_at) <= now, jumped))


def get_delivery(session: Session, delivery_id: int) -> tuple[Delivery, Webhook] | None:
    """None if its webhook was deleted."""
    found = session.get(Delivery, delivery_id)
    return None if found is None else (found, session.get_one(Webhook, found.webhook_id))


def give_up_waiting(session: Session, webhook_id: int) -> None:
    """Nothing that waits for the webhook is delivered any more, as it was switched off."""
    waits = col(Delivery.webhook_id) == webhook_id, col(Delivery.state) == "waiting"
    session.execute(update(Delivery).where(*waits).values(state="given_up", last_reason=SWITCHED_OFF))


def wake(session: Session, webhook_id: int, *, now: datetime) -> None:
    """What waits for the webhook and was not tried yet is due at once."""
    waits = col(Delivery.webhook_id) == webhook_id, col(Delivery.state) == "waiting", col(Delivery.attempts) == 0
    session.execute(update(Delivery).where(*waits).values(next_attempt_at=now))


def deliveries_before(
    session: Session, webhook_id: int, before: int | None, *, limit: int
) -> list[tuple[Delivery, Event]]:
    """Those of a webhook with a lower id, the newest first."""
    query = select(Delivery, Event).join(Event, col(Event.id) == col(Delivery.event_id))
    query = query.where(col(Delivery.webhook_id) == webhook_id)
    if before is not None:
        query = query.where(col(Delivery.id) < before)
    return [tuple(row) for row in session.execute(query.order_by(col(Delivery.id).desc()).limit(limit))]
