"""Bars and macro points, each with the instant it was struck and the instant we could know it.

A corrected value is a new row with a later `known_at`; the latest known is the one that counts.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.base import UTCDateTime

Interval = Literal["day", "hour"]


@dataclass(frozen=True, slots=True)
class FoundBar:
    """A close as a source gave it. `close` is unadjusted, in the asset's own unit, never 0 (oil has closed below)."""

    asset: str
    closed_at: datetime
    close: float


@dataclass(frozen=True, slots=True)
class FoundPoint:
    series: str
    period: date
    value: float
    known_at: datetime
    """The end of the period plus the series' release lag."""


class PriceBar(SQLModel, table=True):
    __tablename__ = "price_bars"
    __table_args__ = (
        CheckConstraint("close <> 0", name="close_not_zero"),
        CheckConstraint("closed_at <= known_at", name="closed_before_known"),
        CheckConstraint("interval in ('day', 'hour')", name="interval_known"),
        UniqueConstraint("asset", "interval", "closed_at", "known_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    asset: str
    interval: str = Field(default="day", sa_column_kwargs={"server_default": "day"})
    closed_at: datetime = Field(sa_type=UTCDateTime)
    known_at: datetime = Field(sa_type=UTCDateTime)
    close: float
    source: str


class MacroPoint(SQLModel, table=True):
    """`known_at` is the end of the period plus the series' release lag, or when a live load first saw it, if later."""

    __tablename__ = "macro_points"
    __table_args__ = (UniqueConstraint("series", "period", "known_at"),)

    id: int | None = Field(default=None, primary_key=True)
    series: str
    period: date
    known_at: datetime = Field(sa_type=UTCDateTime)
    value: float
    source: str


class Watch(SQLModel, table=True):
    """An asset's bars or a macro series that we keep up to date from outside, and how that went last."""

    __tablename__ = "watches"
    __table_args__ = (
        CheckConstraint("kind in ('price', 'macro')", name="kind_known"),
        CheckConstraint("failures >= 0", name="failures_not_negative"),
        UniqueConstraint("kind", "key", "interval"),
    )

    id: int | None = Field(default=None, primary_key=True)
    kind: str
    key: str
    interval: str
    since: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """The first load. What it finds of before is history, assumed known at once; all else is known when it is seen."""
    whole_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When the whole history was last loaded to its end, so that gaps and old corrections were found."""
    whole_to: date | None = None
    """How far a load of the whole history has come that is not at its end yet."""
    tried_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    loaded_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    next_at: datetime = Field(sa_type=UTCDateTime)
    answered_by: str | None = None
    """The source that answered last: "coinbaseexchange", "yfinance"."""
    last_error: str | None = None
    failures: int = 0
    """Failed loads in a row."""
