"""Where things come from and how that goes: feeds (listing, adding, removing), prices and macro series (listing)."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, get_args
from urllib.parse import urlsplit

from sqlmodel import Session

from analysis.buckets import Bucket, starts
from analysis.join import MAX_GAP
from config import definitions
from config.definitions import FeedDefinition, FeedKind, MacroSeries
from models.errors import BadInput, NotFound, UnknownName
from models.feeds import REPLAY, Feed
from models.prices import Watch
from models.store import feeds as feed_store
from models.store import prices as price_store
from models.store.feeds import FeedHealth
from services.instants import check_range

LONGEST_STEP = {
    "hour": timedelta(hours=6),
    "day": MAX_GAP,
    "week": timedelta(days=21),
    "month": timedelta(days=62),
}
"""Between two values in a row; where they lie further apart, values are missing."""
NEWS_WITHIN = timedelta(days=14)
NEWS_TOLD_BY, SILENT_TIMES, SILENT_AFTER = 3, 5, timedelta(days=1)
MAX_ADDRESS, MAX_NAME = 2_000, 200


@dataclass(frozen=True, slots=True)
class FeedView:
    url: str
    outlet: str
    title: str
    kind: str
    language: str
    verified: str
    articles: int
    last_fetched_at: datetime | None
    last_status: int | None
    last_error: str | None
    failures: int
    next_fetch_at: datetime
    retired_at: datetime | None
    """When its server said that it is gone for good; it is not visited any more."""
    last_news_at: datetime | None
    """When a visit last brought a new article, within two weeks."""
    health: str
    """fine, failing, silent (it answers, but its news has stopped), retired, or new (not visited yet)."""


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """One feed in one bucket; buckets without an attempt have no row."""

    bucket_start: datetime
    outlet: str
    url: str
    attempts: int
    answered: int
    entries_new: int
    coverage: float
    """Answered / attempts."""


@dataclass(frozen=True, slots=True)
class PricesView:
    """The bars of an asset, or the values of a macro series, and how they are kept up to date."""

    kind: str
    key: str
    interval: str
    n: int
    first: datetime | date | None
    """When the first bar closed; of a macro series the first day of its first period."""
    last: datetime | date | None
    gaps: list[tuple[datetime, datetime] | tuple[date, date]]
    """Where values are missing: the last before and the first after, further apart than joins bridge."""
    source: str | None
    answered_by: str | None = None
    loaded_at: datetime | None = None
    last_error: str | None = None
    failures: int = 0
    next_at: datetime | None = None


def seed_feeds(session: Session, wanted: Sequence[FeedDefinition], *, now: datetime) -> int:
    """Bring feeds.toml into the database, which then decides. Returns how many were new to it."""
    return feed_store.seed_feeds(
        session,
        [
            Feed(
                url=found.url,
                outlet=found.outlet,
                kind=found.kind,
                language=found.language,
                verified=found.verified,
                added_at=now,
                next_fetch_at=now,
            )
            for found in wanted
        ],
    )


def list_feeds(session: Session, *, now: datetime) -> list[FeedView]:
    return [
        FeedView(
            url=health.feed.url,
            outlet=health.feed.outlet,
            title=health.feed.title,
            kind=health.feed.kind,
            language=health.feed.language,
            verified=health.feed.verified,
            articles=health.articles,
            last_fetched_at=health.feed.last_fetched_at,
            last_status=health.feed.last_status,
            last_error=health.feed.last_error,
            failures=health.feed.failures,
            next_fetch_at=health.feed.next_fetch_at,
            retired_at=health.feed.retired_at,
            last_news_at=health.last_news_at,
            health=_health(health, now),
        )
        for health in feed_store.list_feeds(session, news_since=now - NEWS_WITHIN)
    ]


def _health(found: FeedHealth, now: datetime) -> str:
    """A feed is silent when its news stays away for five times as long as it usually does, and for a day at least."""
    if found.feed.retired_at is not None:
        return "retired"
    if found.feed.last_fetched_at is None:
        return "new"
    if found.feed.failures:
        return "failing"
    if found.last_news_at is None or found.visits_with_news < NEWS_TOLD_BY:
        return "fine"
    usual = NEWS_WITHIN / found.visits_with_news
    return "silent" if now - found.last_news_at > max(SILENT_AFTER, SILENT_TIMES * usual) else "fine"


def coverage(
    session: Session, *, start: datetime | None, end: datetime | None, bucket: Bucket, now: datetime
) -> list[CoverageRow]:
    """How many visits each feed had in each bucket, how many it answered and what they brought; by default two weeks.

    Raises: BadRange.
    """
    check_range(start, end)
    end = min(end or now, now)
    start = start or end - NEWS_WITHIN
    begins = starts(start, end, bucket)
    totals: dict[tuple[str, str, datetime], list[int]] = {}
    for outlet, url, hour, *counts in feed_store.fetches_by_hour(session, start=start, end=end):
        total = totals.setdefault((outlet, url, begins[bisect_right(begins, hour) - 1]), [0, 0, 0])
        for place, count in enumerate(counts):
            total[place] += count
    return [
        CoverageRow(at, outlet, url, attempts, answered, new, round(answered / attempts, 4))
        for (outlet, url, at), (attempts, answered, new) in totals.items()
    ]


def add_feed(session: Session, url: str, *, outlet: str, kind: str, language: str, now: datetime) -> bool:
    """Add a feed, or take a removed or retired one back. False if it is there already.

    Raises: BadInput for a bad address.
    """
    url, host = _address(url)
    if kind not in (*get_args(FeedKind), REPLAY):
        raise UnknownName("kind of feed", kind, list(get_args(FeedKind)))
    if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", language):
        raise BadInput(f"--language {language!r} is not a code like en or de.")
    if len(outlet) > MAX_NAME or not outlet.isprintable():
        raise BadInput(f"An outlet's name is at most {MAX_NAME} printable characters.")
    feed = feed_store.get_feed(session, url)
    if feed is not None and feed.removed_at is None and feed.retired_at is None:
        return False
    if feed is None:
        name = outlet or host.removeprefix("www.")
        feed = Feed(url=url, outlet=name, kind=kind, language=language, added_at=now, next_fetch_at=now)
    feed.removed_at, feed.retired_at, feed.next_fetch_at = None, None, now
    session.add(feed)
    return True


def _address(url: str) -> tuple[str, str]:
    """The address with its scheme in lower case, and its host. Raises: BadInput saying what is wrong."""
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BadInput(f"{url[:80]!r} is not a feed's address: {error}.") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadInput(f"{url[:80]!r} is not a feed's address: it must start with http:// or https:// and name a host.")
    if parts.username or parts.password:
        raise BadInput(
            "A feed's address must not hold a user name or password: every reader of /v1/feeds would see it."
        )
    if len(url) > MAX_ADDRESS or not url.isascii() or not url.isprintable() or " " in url:
        raise BadInput(f"{url[:80]!r} is not a feed's address: at most {MAX_ADDRESS} ASCII characters without spaces.")
    return parts._replace(scheme=parts.scheme.lower()).geturl(), host


def remove_feed(session: Session, url: str, *, now: datetime) -> None:
    """Stop collecting a feed; its articles stay. The removal is remembered against feeds.toml. Raises: NotFound."""
    feed = feed_store.get_feed(session, url)
    if feed is None or feed.removed_at is not None:
        raise NotFound(f"There is no feed {url}. `storyshift feeds list` shows those there are.")
    feed.removed_at = now


def list_prices(session: Session) -> list[PricesView]:
    """Every asset and macro series that has values or a source, prices first."""
    watched = {(watch.kind, watch.key, watch.interval): watch for watch in price_store.watches(session)}
    struck: dict[tuple[str, str, str], Sequence[Any]] = {
        ("price", *key): instants for key, instants in price_store.closes(session).items()
    }
    struck |= {("macro", key, "day"): days for key, days in price_store.periods(session).items()}
    found = []
    for name in sorted(watched.keys() | struck.keys(), key=lambda name: (name[0] != "price", name[2], name[1])):
        kind, key, interval = name
        at = struck.get(name, [])
        definition = definitions.assets().get(key) if kind == "price" else definitions.macro_series().get(key)
        if definition is None:  # taken out of assets.toml
            continue
        frequency = definition.frequency if isinstance(definition, MacroSeries) else interval
        view = PricesView(
            kind=kind,
            key=key,
            interval=frequency,
            n=len(at),
            first=at[0] if at else None,
            last=at[-1] if at else None,
            gaps=[(one, other) for one, other in pairwise(at) if other - one > LONGEST_STEP[frequency]],
            source=definition.source,
        )
        found.append(_with_health(view, watched.get(name)))
    return found


def _with_health(view: PricesView, watch: Watch | None) -> PricesView:
    if watch is None:
        return view
    return replace(
        view,
        answered_by=watch.answered_by,
        loaded_at=watch.loaded_at,
        last_error=watch.last_error,
        failures=watch.failures,
        next_at=watch.next_at,
    )
