"""How fresh and how large the record is: a few instants, counts and sizes, each from an index or a small table."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlmodel import Session, col

from models.articles import Article
from models.events import Delivery
from models.feeds import Feed
from models.prices import MacroPoint, Watch


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


def failing_watches(session: Session) -> int:
    """Series of prices and macro values whose last load failed."""
    return session.scalar(select(func.count()).select_from(Watch).where(col(Watch.failures) > 0)) or 0


@dataclass(frozen=True, slots=True)
class Queue:
    """The jobs that workers share, on PostgreSQL."""

    jobs: dict[str, int]
    """By state: todo, doing, failed, succeeded. Those that have ended are kept for a day."""
    heard_at: datetime | None
    """When a worker last said that it lives; None where none is there."""


def queue(session: Session) -> Queue | None:
    """None where work is not shared: on SQLite."""
    if session.get_bind().dialect.name == "sqlite":
        return None
    counted = session.execute(text("select status::text, count(*) as jobs from procrastinate_jobs group by status"))
    heard = session.scalar(text("select max(last_heartbeat) from procrastinate_workers"))
    return Queue({row.status: row.jobs for row in counted}, heard)


def data_bytes(session: Session) -> int:
    """What the database takes on its disk; of SQLite without its journal."""
    if session.get_bind().dialect.name == "sqlite":
        asked = "select page_count * page_size from pragma_page_count(), pragma_page_size()"
    else:
        asked = "select pg_database_size(current_database())"
    return int(session.execute(text(asked)).scalar_one())


def free_bytes(session: Session) -> int | None:
    """What is free on the disk of SQLite's file; None where that is not known from here."""
    name = session.connection().engine.url.database
    if session.get_bind().dialect.name != "sqlite" or not name or not Path(name).exists():
        return None
    return shutil.disk_usage(Path(name).parent).free


def server_version(session: Session) -> str:
    """PostgreSQL 16.4, or SQLite 3.45.1."""
    if session.get_bind().dialect.name == "sqlite":
        return f"SQLite {session.execute(text('select sqlite_version()')).scalar_one()}"
    return f"PostgreSQL {session.execute(text('show server_version')).scalar_one()}"


def schema_version(session: Session) -> str:
    """The newest migration that the database has."""
    return str(session.execute(text("select version_num from alembic_version")).scalar_one())


def _latest(session: Session, column: Any) -> datetime | None:
    found: datetime | None = session.scalar(select(func.max(col(column))))
    return found
