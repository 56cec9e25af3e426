"""What happened in the record (`Event`, an outbox), who is told of it (`Webhook`), and each telling (`Delivery`)."""

from datetime import date, datetime
from typing import Any, Literal, get_args

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.base import UTCDateTime

EventKind = Literal["shift", "trigger", "threshold", "test"]
KINDS: tuple[EventKind, ...] = get_args(EventKind)
"""The story shifted; the state of a trigger changed; a series crossed a webhook's threshold; a webhook is tried."""
Receiver = Literal["json", "slack", "mail"]
RECEIVERS: tuple[Receiver, ...] = get_args(Receiver)


class Event(SQLModel, table=True):
    """Something that happened, noticed once. Its payload holds nothing that was not known at `detected_at`."""

    __tablename__ = "events"
    __table_args__ = (CheckConstraint(f"kind in ({', '.join(map(repr, KINDS))})", name="kind_known"),)

    id: int | None = Field(default=None, primary_key=True)
    """Ascending in the order in which they were committed, so that readers go on after the last one they saw."""
    kind: str
    key: str = Field(unique=True)
    """What it is, in words that are the same whoever notices it: shift:2020-03-04:panic."""
    happened_at: datetime = Field(sa_type=UTCDateTime)
    detected_at: datetime = Field(sa_type=UTCDateTime)
    recorded_at: datetime = Field(sa_type=UTCDateTime)
    title: str
    sentence: str
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    link: str
    """Where the numbers stand, as a path of this server."""
    past: bool = False
    """It lay in the past when looking began: kept, and delivered to nobody."""


class EventLook(SQLModel, table=True):
    """How far events were looked for. of: shift:TAGGER, or triggers:TAGGER."""

    __tablename__ = "event_looks"

    of: str = Field(primary_key=True)
    began_at: datetime = Field(sa_type=UTCDateTime)
    """What was detected before is past."""
    day: date | None = None
    """The last day whose end was looked at."""
    states: dict[str, str] = Field(default_factory=dict, sa_type=JSON)
    """How each trigger stood then, or when it was last known."""


class Webhook(SQLModel, table=True):
    """Somebody who is told of events. `secret` is kept as it is, as signing needs it."""

    __tablename__ = "webhooks"
    __table_args__ = (
        CheckConstraint(f"kind in ({', '.join(map(repr, RECEIVERS))})", name="kind_known"),
        CheckConstraint("(kind = 'mail' and mail_to is not null) or url is not null", name="has_an_address"),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    url: str | None = None
    mail_to: str | None = None
    secret: str | None = Field(default=None, repr=False)
    events: list[str] = Field(default_factory=list, sa_type=JSON)
    triggers: list[str] = Field(default_factory=list, sa_type=JSON)
    """Only these; all if there are none."""
    states: list[str] = Field(default_factory=list, sa_type=JSON)
    """Only shifts to, and triggers that turn to, one of these; all if none of the kind is named."""
    threshold: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    threshold_set_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    threshold_day: date | None = None
    """The last day whose value was held against it."""
    threshold_met: bool | None = None
    """Whether that value lay beyond it; it fires when this becomes true."""
    quiet_hours: dict[str, str] | None = Field(default=None, sa_type=JSON)
    active: bool = True
    off_reason: str | None = None
    """Why it is off, where nobody switched it off."""
    failing_since: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """The first failure since something got through."""
    created_at: datetime = Field(sa_type=UTCDateTime)


class Delivery(SQLModel, table=True):
    """An event on its way to a webhook. state: waiting, delivered, given_up.

    Whoever tries to deliver it moves `next_attempt_at` on first: nobody else takes it until then, and if he dies it
    falls due again.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("state in ('waiting', 'delivered', 'given_up')", name="state_known"),
        CheckConstraint("attempts >= 0", name="attempts_not_negative"),
        UniqueConstraint("webhook_id", "event_id"),
        Index("ix_deliveries_state_next_attempt_at", "state", "next_attempt_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    webhook_id: int = Field(foreign_key="webhooks.id")
    event_id: int = Field(foreign_key="events.id")
    state: str = "waiting"
    attempts: int = 0
    """Begun, whether or not they came to an end."""
    next_attempt_at: datetime = Field(sa_type=UTCDateTime)
    last_attempt_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    last_status: int | None = None
    last_reason: str | None = None
    delivered_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
