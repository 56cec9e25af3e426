"""What was published (`Article`), each wording of it (`Revision`), and which are copies of one another (`Story`)."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

import models.feeds  # noqa: F401 - articles refer to its table
from models.base import UTCDateTime


class Story(SQLModel, table=True):
    """A cluster of copies. An article's story is never changed later; its lead is the copy that was known first."""

    __tablename__ = "stories"

    id: int | None = Field(default=None, primary_key=True)
    lead_id: int
    """The id of the lead's article."""
    event_at: datetime = Field(sa_type=UTCDateTime, index=True)
    """When the lead was published."""
    known_at: datetime = Field(sa_type=UTCDateTime)


class Article(SQLModel, table=True):
    """One publication. `event_at` is the publisher's claim, repaired; `known_at` is when we knew."""

    __tablename__ = "articles"
    __table_args__ = (
        CheckConstraint("origin in ('live', 'archive', 'replay')", name="origin_known"),
        CheckConstraint("knowledge in ('observed', 'assumed')", name="knowledge_known"),
        CheckConstraint("event_at <= known_at", name="published_before_known"),
        Index("ix_articles_event_at_id", "event_at", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    identity: str = Field(unique=True)
    story_id: int | None = Field(default=None, foreign_key="stories.id", index=True)
    """None until it has been compared with what was known before; only then it counts."""
    feed_id: int | None = Field(default=None, foreign_key="feeds.id", index=True)
    outlet: str = Field(index=True)
    url: str | None = None
    language: str = "en"
    origin: str
    event_at: datetime = Field(sa_type=UTCDateTime)
    known_at: datetime = Field(sa_type=UTCDateTime, index=True)
    knowledge: str
    date_note: str | None = None
    """Why the publisher's date was replaced, if it was."""
    removed_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When its text was taken down; what was counted stays counted."""


class Tally(SQLModel, table=True):
    """How many articles and wordings there are by language, in small letters, and how many each tagger has read."""

    __tablename__ = "tallies"

    of: str = Field(primary_key=True)
    """articles, revisions, taggings."""
    key: str = Field(primary_key=True)
    """The language, or the tagger."""
    n: int


class Guid(SQLModel, table=True):
    """A guid under which an article with an address was first found."""

    __tablename__ = "guids"

    key: str = Field(primary_key=True)
    article_id: int = Field(foreign_key="articles.id")


class Sighting(SQLModel, table=True):
    """Another feed in which an article was seen, besides the one that brought it first."""

    __tablename__ = "sightings"

    article_id: int = Field(foreign_key="articles.id", primary_key=True)
    feed_id: int = Field(foreign_key="feeds.id", primary_key=True)
    seen_at: datetime = Field(sa_type=UTCDateTime)


class Revision(SQLModel, table=True):
    """One wording of an article. An edited article keeps every version; the latest seen is the current one."""

    __tablename__ = "revisions"
    __table_args__ = (UniqueConstraint("article_id", "content_hash"),)

    id: int | None = Field(default=None, primary_key=True)
    article_id: int = Field(foreign_key="articles.id")
    seen_at: datetime = Field(sa_type=UTCDateTime, index=True)
    title: str
    summary: str = ""
    body: str = ""
    content_hash: str = Field(index=True)
