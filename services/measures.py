"""How the record fares, in numbers for a monitor: how much there is, how old it is, what lags behind."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from config import definitions
from config.settings import get_settings
from models.store import articles as article_store
from models.store import measures as measure_store
from models.store import prices as price_store
from models.store import tags as tag_store
from services import sources

JOB_STATES = ("todo", "doing", "failed", "succeeded")


@dataclass(frozen=True, slots=True)
class Measures:
    """Ages in seconds; None where there is nothing yet."""

    articles: int
    untagged: int
    """Wordings that the tagger has still to read."""
    set_aside: int
    """Wordings that the tagger could not read, and does not try any more."""
    feeds: dict[str, int]
    """How many are fine, new, failing, silent and retired."""
    fetch_age: float | None
    """Since a feed was last asked."""
    article_age: float | None
    """Since the latest article became known."""
    price_ages: dict[tuple[str, str], float]
    """By instrument and interval: since the latest close."""
    macro_ages: dict[str, float]
    """By series: since its latest value became known."""
    series_failing: int
    """Series of prices and macro values whose last load failed."""
    deliveries_waiting: int
    data_bytes: int
    """What the database takes on its disk."""
    free_bytes: int | None
    """What is free on that disk; None where it is another machine's."""
    jobs: dict[str, int] | None
    """The jobs that workers share, by state; None where none are shared."""
    worker_age: float | None
    """Since a worker that shares them was last heard."""


@dataclass(frozen=True, slots=True)
class About:
    """What the record lies in."""

    version: str
    """PostgreSQL 16.4, or SQLite 3.45.1."""
    schema: str
    """The newest migration that it has."""


def about(session: Session) -> About:
    return About(measure_store.server_version(session), measure_store.schema_version(session))


def measures(session: Session, *, now: datetime) -> Measures:
    def age(at: datetime) -> float:
        return max(0.0, (now - at).total_seconds())

    feeds = Counter(dict.fromkeys(sources.HEALTHS, 0))
    feeds.update(view.health for view in sources.list_feeds(session, now=now))
    closes = {
        (asset, interval): price_store.last_close(session, asset, interval)
        for asset in definitions.assets()
        for interval in ("day", "hour")
    }
    last_visit, last_article = measure_store.last_visit(session), measure_store.last_article(session)
    tagger = definitions.live_tagger_name()
    points = measure_store.last_points(session, definitions.macro_series())
    queue = measure_store.queue(session)
    return Measures(
        articles=article_store.count_articles(session),
        untagged=tag_store.count_untagged(session, tagger, languages=get_settings().tagged_languages()),
        set_aside=tag_store.count_set_aside(session, tagger),
        feeds=dict(feeds),
        fetch_age=None if last_visit is None else age(last_visit),
        article_age=None if last_article is None else age(last_article),
        price_ages={of: age(at) for of, at in closes.items() if at is not None},
        macro_ages={name: age(at) for name, at in points.items()},
        series_failing=measure_store.failing_watches(session),
        deliveries_waiting=measure_store.waiting_deliveries(session),
        data_bytes=measure_store.data_bytes(session),
        free_bytes=measure_store.free_bytes(session),
        jobs=None if queue is None else dict.fromkeys(JOB_STATES, 0) | queue.jobs,
        worker_age=None if queue is None or queue.heard_at is None else age(queue.heard_at),
    )
