"""How fresh the record is: a few instants and counts, each from an index or a small table."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session, col

from models.articles import Article
from models.events import Delivery
from models.feeds import Feed
from models.prices import MacroPoint


def last_visit(session: Session) -> datetime | None:
    """When a feed was last asked."""
    return _latest(session, Feed.last_fetched_at)


def last_article(session: Session) -> datetime | None:
    """When the latest article became known."""
    return _latest(session, Article.known_at)


def last_points(session: Session, series: Iterable[str]) -> dict[str, datetime]:
    """When the latest value of each macro series became known, of those that have any."""
    found = {
        name: session.scalar(select(func.max(col(MacroPoint.known_at))).where(col(MacroPoint.series) == name))
        for name in series
    }
    return {name: at for name, at in found.items() if at is not None}


def waiting_deliveries(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Delivery).where(col(Delivery.state) == "waiting")) or 0


def _latest(session: Session, column: Any) -> datetime | None:
    found: datetime | None = session.scalar(select(func.max(col(column))))
    return found
