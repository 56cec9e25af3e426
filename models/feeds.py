"""A feed, and each attempt to fetch it: what a server said and when. What it published is in articles.py."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index
from sqlmodel import Field, SQLModel

from models.base import UTCDateTime

REPLAY = "replay"
"""The kind of a feed whose articles are briefs of the replay."""


class Feed(SQLModel, table=True):
    """An address that we collect, with what its server last said. `removed_at` remembers a removal."""

    __tablename__ = "feeds"
    __table_args__ = (
        CheckConstraint("substr(url, 1, 7) = 'http://' or substr(url, 1, 8) = 'https://'", name="url_is_http"),
        CheckConstraint("failures >= 0", name="failures_not_negative"),
        CheckConstraint("interval_seconds > 0 and floor_seconds >= 0", name="pace_not_negative"),
    )

    id: int | None = Field(default=None, primary_key=True)
    url: str = Field(unique=True)
    outlet: str
    kind: str = "general"
    language: str = "en"
    verified: str = "never"
    title: str = ""
    added_at: datetime = Field(sa_type=UTCDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    etag: str | None = None
    last_modified: str | None = None
    last_fetched_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    next_fetch_at: datetime = Field(sa_type=UTCDateTime)
    last_status: int | None = None
    last_error: str | None = None
    failures: int = 0
    """Failed attempts in a row."""
    interval_seconds: float | None = None
    """Between visits, as its news comes in; None before the first visit."""
    floor_seconds: float = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """What the feed itself asks to be left alone for (ttl, sy:updatePeriod)."""
    body_hash: str | None = None
    moved_to: str | None = None
    moved_times: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    """How often in a row its server said that it moved there for good."""
    retired_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When its server said that it is gone for good."""


class FetchHour(SQLModel, table=True):
    """Attempts of all feeds by the hour, counted as they are kept; hours are whole ones since 1900."""

    __tablename__ = "fetch_hours"

    hour: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    attempts: int
    answered: int


class Fetch(SQLModel, table=True):
    """One attempt to fetch a feed: the record from which coverage is told."""

    __tablename__ = "fetches"
    __table_args__ = (
        CheckConstraint("outcome in ('ok', 'not_modified', 'failed')", name="outcome_known"),
        CheckConstraint("bytes >= 0 and seconds >= 0", name="sizes_not_negative"),
        CheckConstraint(
            "entries_new >= 0 and entries_revised >= 0 and entries_known >= 0 and entries_refused >= 0",
            name="counts_not_negative",
        ),
        Index("ix_fetches_at", "at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    feed_id: int = Field(foreign_key="feeds.id", index=True)
    at: datetime = Field(sa_type=UTCDateTime)
    outcome: str
    status: int | None = None
    error: str | None = None
    bytes: int = 0
    seconds: float = 0.0
    entries_new: int = 0
    entries_revised: int = 0
    entries_known: int = 0
    entries_refused: int = 0
    refusals: str | None = None
    """Why entries were refused: up to five reasons, one a line."""
