"""Feeds and the record of each attempt to fetch them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, bindparam, case, func, insert, or_, select, update
from sqlmodel import Session, col

from models.articles import Article
from models.feeds import Feed, Fetch, FetchHour
from models.store.rollups import hour_number
from models.store.sql import add_to, chunks, table_of, utc_hour

VISITED = (
    "id url title etag last_modified last_fetched_at next_fetch_at last_status last_error failures interval_seconds "
    "floor_seconds body_hash moved_to moved_times retired_at"
).split()
"""The columns that a visit may change, after the id."""
CLOCKS_DIFFER = timedelta(minutes=5)
"""Between machines, at most; what lies further ahead than that was noted before the clock jumped back."""


def seed_feeds(session: Session, feeds: Sequence[Feed]) -> int:
    """Add those whose address the database has never had; a removed one stays removed. Returns how many were added."""
    known = set(session.scalars(select(col(Feed.url))))
    new = [feed for feed in feeds if feed.url not in known]
    session.add_all(new)
    return len(new)


def get_feed(session: Session, url: str) -> Feed | None:
    return session.scalars(select(Feed).where(col(Feed.url) == url)).first()


def save_visits(session: Session, states: list[dict[str, Any]], fetches: list[dict[str, Any]]) -> None:
    """Keep each visited feed's state (the columns of VISITED), and the record of the visit (those of Fetch)."""
    table = table_of(Feed)
    new = {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in VISITED[1:]}
    rows = [{f"new_{name}": value for name, value in state.items()} for state in states]
    session.connection().execute(update(table).where(table.c.id == bindparam("new_id")).values(new), rows)
    add_fetches(session, fetches)


def add_fetches(session: Session, fetches: list[dict[str, Any]]) -> None:
    """Keep the record of visits (the columns of Fetch), and count them by the hour."""
    session.connection().execute(insert(table_of(Fetch)), fetches)
    hours: Counter[int] = Counter(hour_number(fetch["at"]) for fetch in fetches)
    answered = Counter(hour_number(fetch["at"]) for fetch in fetches if fetch["outcome"] != "failed")
    rows = [{"hour": hour, "attempts": count, "answered": answered[hour]} for hour, count in hours.items()]
    add_to(session, FetchHour, ("attempts", "answered"), rows)


def due_feeds(session: Session, *, now: datetime, every: bool, longest: timedelta | None = None) -> Sequence[Feed]:
    """Feeds whose next fetch is due, longest waiting first; with `every`, all that are neither removed nor retired.

    One whose next fetch lies further ahead than the `longest` wait there is, or whose last one has not been yet, is due
    too: the clock has jumped back.
    """
    return session.scalars(_due(now, every=every, longest=longest)).all()


def claim_due(
    session: Session,
    *,
    now: datetime,
    every: bool,
    longest: timedelta,
    until: datetime,
    only: int | None = None,
) -> Sequence[Feed]:
    """due_feeds, or `only` the one with this id if it is due; for nobody else they are due before `until`.

    The feeds say when they were due. No other transaction is given the same ones until this one ends.
    """
    query = _due(now, every=every, longest=longest).with_for_update(skip_locked=not every)
    if only is not None:
        query = query.where(col(Feed.id) == only)
    feeds = session.scalars(query).all()
    hold(session, [feed.id or 0 for feed in feeds], until=until)
    return feeds


def hold(session: Session, feed_ids: Sequence[int], *, until: datetime) -> None:
    """Let nobody else visit these feeds before then. What has read them from the session does not see it."""
    table = table_of(Feed)
    for part in chunks(feed_ids):
        held = update(table).where(table.c.id.in_(part)).values(next_fetch_at=until)
        session.connection().execute(held)


def release(session: Session, feeds: Sequence[Feed]) -> None:
    """These are due as they were when they were claimed: nobody visits them."""
    table = table_of(Feed)
    if feeds:
        due = update(table).where(table.c.id == bindparam("feed")).values(next_fetch_at=bindparam("due"))
        session.connection().execute(due, [{"feed": feed.id, "due": feed.next_fetch_at} for feed in feeds])


def _due(now: datetime, *, every: bool, longest: timedelta | None) -> Any:
    query = (
        select(Feed)
        .where(col(Feed.removed_at).is_(None), col(Feed.retired_at).is_(None))
        .order_by(col(Feed.next_fetch_at), col(Feed.id))
    )
    if every:
        return query
    is_due: list[ColumnElement[bool]] = [col(Feed.next_fetch_at) <= now]
    if longest is not None:
        is_due += [col(Feed.next_fetch_at) > now + longest, col(Feed.last_fetched_at) > now + CLOCKS_DIFFER]
    return query.where(or_(*is_due))


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


def all_feeds(session: Session) -> Sequence[Feed]:
    """Every feed there ever was, removed ones too, by outlet and address."""
    return session.scalars(select(Feed).order_by(col(Feed.outlet), col(Feed.url))).all()


def fetches_by_hour(session: Session, *, start: datetime, end: datetime) -> list[tuple[int, datetime, int, int, int]]:
    """(feed id, hour, attempts, answered, new entries) of every feed and UTC hour with an attempt, ascending."""
    hour = utc_hour(col(Fetch.at))
    query = (
        select(
            col(Fetch.feed_id),
            hour,
            func.count(),
            func.sum(case((col(Fetch.outcome) == "failed", 0), else_=1)),
            func.sum(col(Fetch.entries_new)),
        )
        .where(col(Fetch.at) >= start, col(Fetch.at) < end)
        .group_by(col(Fetch.feed_id), hour)
        .order_by(col(Fetch.feed_id), hour)
    )
    return [tuple(row) for row in session.execute(query)]


def answered_before(session: Session, instant: datetime) -> set[int]:
    """The ids of the feeds that had answered a visit before `instant`."""
    visit = select(col(Fetch.id)).where(
        col(Fetch.feed_id) == Feed.id, col(Fetch.at) < instant, col(Fetch.outcome) != "failed"
    )
    return set(session.scalars(select(col(Feed.id)).where(visit.exists())))


def count_fetches(session: Session) -> int:
    return session.scalar(select(func.coalesce(func.sum(col(FetchHour.attempts)), 0))) or 0
