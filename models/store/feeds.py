"""Feeds and the record of each attempt to fetch them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select
from sqlmodel import Session, col

from models.articles import Article
from models.feeds import Feed, Fetch
from models.store.sql import utc_hour


def seed_feeds(session: Session, feeds: Sequence[Feed]) -> int:
    """Add those whose address the database has never had; a removed one stays removed. Returns how many were added."""
    known = set(session.scalars(select(col(Feed.url))))
    new = [feed for feed in feeds if feed.url not in known]
    session.add_all(new)
    return len(new)


def get_feed(session: Session, url: str) -> Feed | None:
    return session.scalars(select(Feed).where(col(Feed.url) == url)).first()


def get_feeds(session: Session, ids: Sequence[int]) -> dict[int, Feed]:
    return {feed.id or 0: feed for feed in session.scalars(select(Feed).where(col(Feed.id).in_(ids)))}


def due_feeds(session: Session, *, now: datetime, every: bool) -> Sequence[Feed]:
    """Feeds whose next fetch is due, longest waiting first; with `every`, all that are neither removed nor retired."""
    here = col(Feed.removed_at).is_(None), col(Feed.retired_at).is_(None)
    query = select(Feed).where(*here).order_by(col(Feed.next_fetch_at), col(Feed.id))
    if not every:
        query = query.where(col(Feed.next_fetch_at) <= now)
    return session.scalars(query).all()


@dataclass(frozen=True, slots=True)
class FeedHealth:
    feed: Feed
    articles: int
    visits_with_news: int
    """Since the instant asked for."""
    last_news_at: datetime | None


def list_feeds(session: Session, *, news_since: datetime) -> list[FeedHealth]:
    """All feeds that are not removed, by kind and outlet, with what each brought."""
    counts = (
        select(col(Article.feed_id).label("feed_id"), func.count().label("articles"))
        .group_by(col(Article.feed_id))
        .subquery()
    )
    news = (
        select(col(Fetch.feed_id).label("feed_id"), func.count().label("visits"), func.max(col(Fetch.at)).label("last"))
        .where(col(Fetch.entries_new) > 0, col(Fetch.at) >= news_since)
        .group_by(col(Fetch.feed_id))
        .subquery()
    )
    query = (
        select(Feed, func.coalesce(counts.c.articles, 0), func.coalesce(news.c.visits, 0), news.c.last)
        .outerjoin(counts, counts.c.feed_id == Feed.id)
        .outerjoin(news, news.c.feed_id == Feed.id)
        .where(col(Feed.removed_at).is_(None))
        .order_by(col(Feed.kind), col(Feed.outlet), col(Feed.id))
    )
    return [FeedHealth(*row) for row in session.execute(query)]


def fetches_by_hour(
    session: Session, *, start: datetime, end: datetime
) -> list[tuple[str, str, datetime, int, int, int]]:
    """(outlet, url, hour, attempts, answered, new entries) of every feed and UTC hour with an attempt, ascending."""
    hour = utc_hour(col(Fetch.at))
    query = (
        select(
            col(Feed.outlet),
            col(Feed.url),
            hour,
            func.count(),
            func.sum(case((col(Fetch.outcome) == "failed", 0), else_=1)),
            func.sum(col(Fetch.entries_new)),
        )
        .join(Feed, col(Feed.id) == col(Fetch.feed_id))
        .where(col(Fetch.at) >= start, col(Fetch.at) < end)
        .group_by(col(Feed.outlet), col(Feed.url), hour)
        .order_by(col(Feed.outlet), col(Feed.url), hour)
    )
    return [tuple(row) for row in session.execute(query)]


def count_fetches(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Fetch)) or 0
