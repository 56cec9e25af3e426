"""Stories as statistics need them: counted by hour, and by what they carry, as they were known at an instant."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from sqlalchemy import and_, case, func, select
from sqlmodel import Session, col

from models.articles import Article, Revision
from models.feeds import Fetch
from models.store.sql import chunks, utc_hour
from models.tags import AssetMention, NarrativeTag, Tagging

SPREAD = timedelta(days=4)
"""Copies of a story lie within this time of one another: two days before or after its lead (ingest.copies)."""
BROUGHT = ["story_id", "outlet", "hour"]


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


@dataclass(frozen=True, slots=True)
class OutletFrames:
    """Stories by outlet: an outlet has a story once, where its own first known copy was published, as that copy reads.

    totals: columns hour (aware UTC), outlet, n_stories, n_squared (that of a text which n outlets bring one after the
        other sums to n squared). carried: columns hour, outlet, narrative, n_carrying. A row where there are any.
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
    direction: int | None = None,
    modality: str | None = None,
    outlet: str | None = None,
    asset: str | None = None,
) -> StoryFrames:
    """Stories published in [start, end) as known at `as_of`; with an asset those that name it.

    With a direction or modality `carried` has only the labels that say it.
    """
    leads = _leads(start=start, end=end, as_of=as_of, tagger=tagger, outlet=outlet, asset=asset)
    hour = utc_hour(leads.c.event_at)
    totals = (
        select(hour.label("hour"), func.count(), func.sum(leads.c.copies), func.sum(leads.c.copies * leads.c.copies))
        .group_by(hour)
        .order_by(hour)
    )
    carried = select(
        leads.c.story_id,
        utc_hour(leads.c.event_at),
        leads.c.copies,
        col(NarrativeTag.narrative),
        col(NarrativeTag.direction),
        col(NarrativeTag.modality),
    ).order_by(leads.c.story_id, col(NarrativeTag.narrative))
    carried = _labelled(carried, leads, tagger, narratives, direction, modality)
    return StoryFrames(
        totals=_frame(session, totals, ["hour", "n_stories", "n_articles", "n_squared"]),
        carried=_frame(session, carried, ["story_id", "hour", "n_articles", "narrative", "direction", "modality"]),
    )


def outlets_of(
    session: Session, stories: Collection[int], *, as_of: datetime, tagger: str, outlet: str | None = None
) -> pd.DataFrame:
    """When each outlet first brought each of the stories, by copies known at `as_of` and read by the tagger.

    Columns story_id, outlet, hour (of publication).
    """
    read = (
        select(col(Tagging.revision_id))
        .join(Revision, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .where(col(Revision.article_id) == Article.id, col(Revision.seen_at) <= as_of)
    )
    query = (
        select(col(Article.story_id), col(Article.outlet), utc_hour(func.min(col(Article.event_at))))
        .where(col(Article.known_at) <= as_of, read.exists())
        .group_by(col(Article.story_id), col(Article.outlet))
    )
    if outlet is not None:
        query = query.where(col(Article.outlet) == outlet)
    ids = sorted(stories)
    parts = chunks(ids) if ids else [ids]
    return pd.concat([_frame(session, query.where(col(Article.story_id).in_(part)), BROUGHT) for part in parts])


def outlet_frames(
    session: Session,
    *,
    end: datetime,
    as_of: datetime,
    tagger: str,
    narratives: list[str],
    direction: int | None = None,
    modality: str | None = None,
    outlet: str | None = None,
    asset: str | None = None,
) -> OutletFrames:
    """Each outlet's own stories published before `end`, from the first on; otherwise as story_frames."""
    leads = _leads(start=None, end=end, as_of=as_of, tagger=tagger, outlet=outlet, asset=asset, by_outlet=True)
    hour = utc_hour(leads.c.event_at)
    nth = func.row_number().over(partition_by=leads.c.story_id, order_by=(leads.c.event_at, leads.c.outlet))
    placed = select(hour.label("hour"), leads.c.outlet, nth.label("nth")).subquery()
    totals = select(placed.c.hour, placed.c.outlet, func.count(), func.sum(2 * placed.c.nth - 1)).group_by(
        placed.c.hour, placed.c.outlet
    )
    carried = select(hour.label("hour"), leads.c.outlet, col(NarrativeTag.narrative), func.count()).group_by(
        hour, leads.c.outlet, col(NarrativeTag.narrative)
    )
    carried = _labelled(carried, leads, tagger, narratives, direction, modality)
    return OutletFrames(
        totals=_frame(session, totals, ["hour", "outlet", "n_stories", "n_squared"]),
        carried=_frame(session, carried, ["hour", "outlet", "narrative", "n_carrying"]),
    )


def asset_tones(
    session: Session,
    *,
    start: datetime,
    end: datetime,
    as_of: datetime,
    tagger: str,
    asset: str,
    outlet: str | None = None,
) -> pd.DataFrame:
    """Stories published in [start, end) that are about the asset, as known at `as_of`, where a tone was told.

    Columns story_id, hour, n_articles, tone.
    """
    leads = _leads(start=start, end=end, as_of=as_of, tagger=tagger, outlet=outlet)
    query = (
        select(leads.c.story_id, utc_hour(leads.c.event_at), leads.c.copies, col(AssetMention.tone))
        .join(
            AssetMention,
            and_(col(AssetMention.revision_id) == leads.c.revision_id, col(AssetMention.tagger) == tagger),
        )
        .where(col(AssetMention.asset) == asset, col(AssetMention.tone).is_not(None))
        .order_by(leads.c.story_id)
    )
    return _frame(session, query, ["story_id", "hour", "n_articles", "tone"])


def _labelled(
    query: Any, leads: Any, tagger: str, narratives: list[str], direction: int | None, modality: str | None
) -> Any:
    """The query over the labels of the leads' wordings: of these narratives, that say this."""
    query = query.join(
        NarrativeTag, and_(col(NarrativeTag.revision_id) == leads.c.revision_id, col(NarrativeTag.tagger) == tagger)
    ).where(col(NarrativeTag.label).is_(True), col(NarrativeTag.narrative).in_(narratives))
    if direction is not None:
        query = query.where(col(NarrativeTag.direction) == direction)
    return query if modality is None else query.where(col(NarrativeTag.modality) == modality)


def _leads(
    *,
    start: datetime | None,
    end: datetime,
    as_of: datetime,
    tagger: str,
    outlet: str | None,
    asset: str | None = None,
    by_outlet: bool = False,
) -> Any:
    """Per story: its first known copy, the copy's newest wording that was read, and how many copies were known.

    With an asset the stories of which that wording names it; by outlet, each outlet's own copies of a story apart.
    """
    current = (
        select(col(Revision.article_id).label("article_id"), func.max(col(Revision.id)).label("revision_id"))
        .join(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .where(col(Revision.seen_at) <= as_of)
        .group_by(col(Revision.article_id))
        .subquery()
    )
    order = (col(Article.known_at), col(Article.id))
    copies = [col(Article.story_id), col(Article.outlet)] if by_outlet else [col(Article.story_id)]
    known = (
        select(
            col(Article.story_id),
            col(Article.outlet),
            col(Article.event_at),
            current.c.revision_id,
            func.row_number().over(partition_by=copies, order_by=order).label("place"),
            func.count().over(partition_by=copies).label("copies"),
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
    if asset is not None:
        named = select(col(AssetMention.revision_id)).where(
            col(AssetMention.tagger) == tagger, col(AssetMention.asset) == asset
        )
        leads = leads.where(ranked.c.revision_id.in_(named))
    return leads.cte("leads")


def event_range(session: Session, *, as_of: datetime) -> tuple[datetime | None, datetime | None]:
    """When the earliest and the latest article that were known at `as_of` were published."""
    query = select(func.min(col(Article.event_at)), func.max(col(Article.event_at))).where(
        col(Article.known_at) <= as_of
    )
    first, last = session.execute(query).one()
    return first, last


def count_read(session: Session, *, start: datetime, end: datetime, as_of: datetime, tagger: str) -> int:
    """Articles published in [start, end), known at `as_of`, of which the tagger has read a wording that was."""
    query = (
        select(func.count(col(Article.id).distinct()))
        .join(Revision, col(Revision.article_id) == Article.id)
        .join(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .where(col(Article.event_at) >= start, col(Article.event_at) < end)
        .where(col(Article.known_at) <= as_of, col(Revision.seen_at) <= as_of)
    )
    return session.scalar(query) or 0


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
