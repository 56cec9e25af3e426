"""Bars and macro points, each with the instant it was struck and the instant we could know it.

A corrected value is a new row with a later `known_at`; the latest known is the one that counts.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field, SQLModel

from models.base import UTCDateTime


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


class PriceBar(SQLModel, table=True):
    __tablename__ = "price_bars"
    __table_args__ = (
        CheckConstraint("close <> 0", name="close_not_zero"),
        CheckConstraint("closed_at <= known_at", name="closed_before_known"),
        UniqueConstraint("asset", "closed_at", "known_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    asset: str
    closed_at: datetime = Field(sa_type=UTCDateTime)
    known_at: datetime = Field(sa_type=UTCDateTime)
    close: float
    source: str


class MacroPoint(SQLModel, table=True):
    """`known_at` is the end of the period plus the series' release lag."""

    __tablename__ = "macro_points"
    __table_args__ = (UniqueConstraint("series", "period", "known_at"),)

    id: int | None = Field(default=None, primary_key=True)
    series: str
    period: date
    known_at: datetime = Field(sa_type=UTCDateTime)
    value: float
    source: str
