"""What became of the page of an article, where its full text was asked for."""

from datetime import datetime

from sqlalchemy import CheckConstraint
from sqlmodel import Field, SQLModel

import models.articles  # noqa: F401 - pages refer to its table
from models.base import UTCDateTime


class PageFetch(SQLModel, table=True):
    """The last attempt to read the page of an article, and how many there were.

    outcome: ok (there is a revision with the text), refused_by_robots (by robots.txt, or a reservation on the page
    itself), no_text, failed.
    """

    __tablename__ = "page_fetches"
    __table_args__ = (
        CheckConstraint("outcome in ('ok', 'refused_by_robots', 'no_text', 'failed')", name="outcome_known"),
        CheckConstraint("attempts >= 1", name="attempts_positive"),
    )

    article_id: int = Field(foreign_key="articles.id", primary_key=True)
    at: datetime = Field(sa_type=UTCDateTime)
    attempts: int
    outcome: str
    error: str | None = None
    """Why there is no text."""
    next_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    """When it is tried again; None where it is not."""
