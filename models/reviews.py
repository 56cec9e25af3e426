"""What reviewers say of a wording, which of it stands, and the random draws by which quality is estimated.

`Review` is the record: what somebody said, when, of what they were shown. `StandingLabel` follows from it: which label
counts, from when until when. `AuditRound` and `AuditDraw` record what was drawn at random, and with what probability.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from sqlalchemy import JSON, CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

import models.articles  # noqa: F401 - reviews refer to its tables
from models.base import UTCDateTime

Slice = Literal["audit", "uncertain", "disagreement", "second", "search", "chosen"]
SLICES: tuple[str, ...] = get_args(Slice)
"""Why it was shown: drawn at random, doubtful, tagger and keywords disagree, read blind a second time, found by search,
or chosen by the reviewer."""
EVERY_OTHER = ""
"""Of assets: the key of a label that says that none but those named beside it is there."""
STANDING = text("stands_until is null")


@dataclass(frozen=True, slots=True)
class SaidNarrative:
    """A narrative that holds. direction in {-1, 0, +1}; modality 'actual' or 'expected', for liquidity only."""

    direction: int
    modality: str | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reviewer says of a text. A narrative that is not there was not judged; None: it does not hold.

    assets: tones in {-1, 0, +1} of all that are named; None: assets were not judged.
    """

    narratives: dict[str, SaidNarrative | None] = field(default_factory=dict)
    assets: dict[str, int] | None = None


class Review(SQLModel, table=True):
    """One reading by one reviewer. It is never changed; undoing it says when."""

    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint(f"slice in ({', '.join(map(repr, SLICES))})", name="slice_known"),
        CheckConstraint("given_at <= known_at", name="given_before_known"),
        CheckConstraint("undone_at >= known_at", name="undone_after_known"),
        Index("ix_reviews_reviewer_given_at", "reviewer", "given_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    uid: str = Field(unique=True)
    """Chosen by whoever sends it: what comes twice is kept once."""
    revision_id: int = Field(foreign_key="revisions.id", index=True)
    reviewer: str
    given_at: datetime = Field(sa_type=UTCDateTime)
    known_at: datetime = Field(sa_type=UTCDateTime)
    """When it came into this store: later than given_at where it was imported. It counts from then on."""
    undone_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    slice: str
    blind: bool
    """Neither the tagger's labels nor another's review were shown."""
    tagger: str
    """Whose labels were shown, or would have been."""
    skipped: str | None = None
    """Why nothing was said of it; then it judges nothing."""
    note: str = ""
    narratives: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """By key: {"direction", "modality"}, or null where it does not hold."""
    assets: dict[str, Any] | None = Field(default=None, sa_type=JSON(none_as_null=True))
    """Tone by key; null: not judged."""


class StandingLabel(SQLModel, table=True):
    """A reviewed label while it stands: it counts instead of any tagger's from stands_from to stands_until."""

    __tablename__ = "standing_labels"
    __table_args__ = (
        CheckConstraint("kind in ('narrative', 'asset')", name="kind_known"),
        CheckConstraint("direction in (-1, 0, 1)", name="direction_known"),
        CheckConstraint("modality in ('actual', 'expected')", name="modality_known"),
        CheckConstraint("tone in (-1, 0, 1)", name="tone_known"),
        CheckConstraint("stands_until >= stands_from", name="ends_after_it_begins"),
        Index("ix_standing_labels_revision_id_kind_key", "revision_id", "kind", "key"),
        Index(
            "uq_standing_labels_now",
            "revision_id",
            "kind",
            "key",
            unique=True,
            sqlite_where=STANDING,
            postgresql_where=STANDING,
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    review_id: int = Field(foreign_key="reviews.id", index=True)
    revision_id: int = Field(foreign_key="revisions.id")
    kind: str
    key: str
    holds: bool
    direction: int | None = None
    modality: str | None = None
    tone: int | None = None
    stands_from: datetime = Field(sa_type=UTCDateTime, index=True)
    stands_until: datetime | None = Field(default=None, sa_type=UTCDateTime, index=True)


class AuditRound(SQLModel, table=True):
    """One random draw from all stories that a tagger had read, each by the wording of its lead."""

    __tablename__ = "audit_rounds"
    __table_args__ = (CheckConstraint("n_stories > 0", name="drawn_from_some"),)

    id: int | None = Field(default=None, primary_key=True)
    tagger: str
    drawn_at: datetime = Field(sa_type=UTCDateTime)
    n_stories: int
    bands: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """By narrative: how many of the stories lie in each band of its score; see analysis.audit.BANDS."""


class AuditDraw(SQLModel, table=True):
    __tablename__ = "audit_draws"
    __table_args__ = (
        UniqueConstraint("round_id", "place"),
        CheckConstraint("inclusion_probability > 0 and inclusion_probability <= 1", name="inclusion_is_probability"),
    )

    round_id: int = Field(foreign_key="audit_rounds.id", primary_key=True)
    revision_id: int = Field(foreign_key="revisions.id", primary_key=True, index=True)
    stratum: str
    inclusion_probability: float
    place: int
    """In which order they are to be read: a random one, so that those read by any time are drawn at random as well."""
