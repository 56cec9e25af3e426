"""What a tagger says about a revision: narratives with evidence, assets with spans.

The dataclasses are what `nlp` returns and what the command line prints; the tables are what the store keeps.
Offsets count Unicode code points of the named field and are half-open.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index
from sqlmodel import Field, SQLModel

import models.articles  # noqa: F401 - tags refer to its tables
from models.base import UTCDateTime


@dataclass(frozen=True, slots=True)
class Text:
    """What a tagger reads: named fields in reading order, e.g. title, summary, body. Empty fields may be left out."""

    id: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Span:
    field: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class NarrativeScore:
    """score in [0, 1]; direction in {-1, 0, +1}; modality 'actual' or 'expected', for liquidity only."""

    narrative: str
    score: float
    label: bool
    direction: int
    modality: str | None
    evidence: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class AssetScore:
    """tone in [-1, 1], or None if the tagger does not judge it; salience in [0, 1]."""

    asset: str
    tone: float | None
    salience: float
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Tagged:
    id: str
    narratives: tuple[NarrativeScore, ...]
    assets: tuple[AssetScore, ...]


class Tagging(SQLModel, table=True):
    """A tagger has read a revision - also where it found nothing, so that a share has its denominator."""

    __tablename__ = "taggings"

    revision_id: int = Field(foreign_key="revisions.id", primary_key=True)
    tagger: str = Field(primary_key=True)
    tagged_at: datetime = Field(sa_type=UTCDateTime)


class NarrativeTag(SQLModel, table=True):
    __tablename__ = "narrative_tags"
    __table_args__ = (
        CheckConstraint("score >= 0 and score <= 1", name="score_is_share"),
        CheckConstraint("direction in (-1, 0, 1)", name="direction_known"),
        CheckConstraint("modality in ('actual', 'expected')", name="modality_known"),
        CheckConstraint("tagger <> replace(tagger, '@', '')", name="tagger_has_revision"),
        Index("ix_narrative_tags_tagger_narrative", "tagger", "narrative"),
    )

    revision_id: int = Field(foreign_key="revisions.id", primary_key=True)
    tagger: str = Field(primary_key=True)
    narrative: str = Field(primary_key=True)
    score: float
    label: bool
    direction: int
    modality: str | None = None
    evidence: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)


class AssetMention(SQLModel, table=True):
    __tablename__ = "asset_mentions"
    __table_args__ = (
        CheckConstraint("tone >= -1 and tone <= 1", name="tone_in_range"),
        CheckConstraint("salience >= 0 and salience <= 1", name="salience_is_share"),
        Index("ix_asset_mentions_tagger_asset", "tagger", "asset"),
    )

    revision_id: int = Field(foreign_key="revisions.id", primary_key=True)
    tagger: str = Field(primary_key=True)
    asset: str = Field(primary_key=True)
    tone: float | None = None
    salience: float
    spans: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)


class TagAttempt(SQLModel, table=True):
    """A tagger is reading revisions from first_id to last_id, or could not read the one that this is of.

    While its reader lives, alive_at is brought up to date; the note goes in the transaction that saves the tags.
    """

    __tablename__ = "tag_attempts"
    __table_args__ = (
        CheckConstraint("first_id <= last_id", name="ids_ascend"),
        CheckConstraint("tries >= 1", name="tries_from_one"),
        CheckConstraint("set_aside_at is null or first_id = last_id", name="set_aside_alone"),
        Index("ix_tag_attempts_tagger_first_id", "tagger", "first_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    tagger: str
    first_id: int
    last_id: int
    begun_at: datetime = Field(sa_type=UTCDateTime)
    alive_at: datetime = Field(sa_type=UTCDateTime)
    tries: int = 1
    """How often reading was begun."""
    reason: str | None = None
    set_aside_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """Since when it is not tried any more."""
