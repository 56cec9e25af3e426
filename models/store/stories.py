"""Stories as statistics need them: counted by hour, and by what they carry, as they were known at an instant."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import and_, case, func, select
from sqlmodel import Session, col

from models.articles import Article, Revision
from models.feeds import Fetch
from models.store.sql import utc_hour
from models.tags import NarrativeTag, Tagging

SPREAD = timedelta(days=4)
"""Copies of a story lie within this time of one another: two days before or after its lead (ingest.copies)."""


@dataclass(frozen=True, slots=True)
class StoryFrames:
    """Stories that were known and read by the tagger, each standing where its first known copy was published.

    totals: one row per UTC hour with stories; columns hour (aware), n_stories, n_articles, n_squared (sum of squared
        copies, from which the effective n of article weighting follows).
    carried: one row per (story, narrative) that is labelled; columns story_id, hour, n_articles, narrative, direction,
        modality.
    """

    totals: pd.DataFrame
    carried: pd.DataFrame


def story_frames(
    session: Session,
    *,
    start: datetime | None,
    end: datetime,
    as_of: datetime,
    tagger: str,
    narratives: list[str],
    outlet: str | None = None,
) -> StoryFrames:
    """Stories published in [start, end) as known at `as_of`."""
    leads = _leads(start=start, end=end, as_of=as_of, tagger=tagger, outlet=outlet)
    hour = utc_hour(leads.c.event_at)
    totals = (
        select(hour.label("hour"), func.count(), func.sum(leads.c.copies), func.sum(leads.c.copies * leads.c.copies))
        .group_by(hour)
        .order_by(hour)
    )
    carried = (
        select(
            leads.c.story_id,
            utc_hour(leads.c.event_at),
            leads.c.copies,
            col(NarrativeTag.narrative),
            col(NarrativeTag.direction),
            col(NarrativeTag.modality),
        )
        .join(
            NarrativeTag,
            and_(col(NarrativeTag.revision_id) == leads.c.revision_id, col(NarrativeTag.tagger) == tagger),
        )
        .where(col(NarrativeTag.label).is_(True), col(NarrativeTag.narrative).in_(narratives))
        .order_by(leads.c.story_id, col(NarrativeTag.narrative))
    )
    return StoryFrames(
        totals=_frame(session, totals, ["hour", "n_stories", "n_articles", "n_squared"]),
        carried=_frame(session, carried, ["story_id", "hour", "n_articles", "narrative", "direction", "modality"]),
    )


def _leads(*, start: datetime | None, end: datetime, as_of: datetime, tagger: str, outlet: str | None) -> Any:
    """Per story: its first known copy, the copy's newest wording that was read, and how many copies were known."""
    current = (
        select(col(Revision.article_id).label("article_id"), func.max(col(Revision.id)).label("revision_id"))
        .join(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .where(col(Revision.seen_at) <= as_of)
        .group_by(col(Revision.article_id))
        .subquery()
    )
    order = (col(Article.known_at), col(Article.id))
    known = (
        select(
            col(Article.story_id),
            col(Article.event_at),
            current.c.revision_id,
            func.row_number().over(partition_by=col(Article.story_id), order_by=order).label("place"),
            func.count().over(partition_by=col(Article.story_id)).label("copies"),
        )
        .join(current, current.c.article_id == Article.id)
        .where(col(Article.story_id).is_not(None), col(Article.known_at) <= as_of, col(Article.event_at) < end + SPREAD)
    )
    if start is not None:
        known = known.where(col(Article.event_at) >= start - SPREAD)
    if outlet is not None:
        known = known.where(col(Article.outlet) == outlet)
    ranked = known.subquery()
    leads = select(ranked).where(ranked.c.place == 1, ranked.c.event_at < end)
    if start is not None:
        leads = leads.where(ranked.c.event_at >= start)
    return leads.cte("leads")


def event_range(session: Session, *, as_of: datetime) -> tuple[datetime | None, datetime | None]:
    """When the earliest and the latest article that were known at `as_of` were published."""
    query = select(func.min(col(Article.event_at)), func.max(col(Article.event_at))).where(
        col(Article.known_at) <= as_of
    )
    first, last = session.execute(query).one()
    return first, last


def fetch_counts(session: Session, *, start: datetime, end: datetime) -> pd.DataFrame:
    """Attempts to fetch a feed by UTC hour: columns hour, attempts, answered."""
    hour = utc_hour(col(Fetch.at))
    answered = func.sum(case((col(Fetch.outcome) == "failed", 0), else_=1))
    query = select(hour.label("hour"), func.count(), answered).where(col(Fetch.at) >= start, col(Fetch.at) < end)
    return _frame(session, query.group_by(hour).order_by(hour), ["hour", "attempts", "answered"])


def _frame(session: Session, query: Any, names: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame([tuple(row) for row in session.execute(query)], columns=names)
    frame["hour"] = pd.to_datetime(frame["hour"], utc=True).astype("datetime64[us, UTC]")
    counts = [name for name in names if name.startswith("n_") or name in ("attempts", "answered")]
    return frame.astype(dict.fromkeys(counts, "int64"))
