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


@dataclass(frozen=True, slots=True)
class Measures:
    """Ages in seconds; None where there is nothing yet."""

    articles: int
    untagged: int
    """Wordings that the tagger has still to read."""
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
    deliveries_waiting: int


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
    points = measure_store.last_points(session, definitions.macro_series())
    return Measures(
        articles=article_store.count_articles(session),
        untagged=tag_store.count_untagged(
            session, definitions.live_tagger_name(), languages=get_settings().tagged_languages()
        ),
        feeds=dict(feeds),
        fetch_age=None if last_visit is None else age(last_visit),
        article_age=None if last_article is None else age(last_article),
        price_ages={of: age(at) for of, at in closes.items() if at is not None},
        macro_ages={name: age(at) for name, at in points.items()},
        deliveries_waiting=measure_store.waiting_deliveries(session),
    )
