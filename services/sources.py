"""Where things come from and how that goes: feeds (listing, adding, removing), prices and macro series (listing).

What a feed was expected to bring: docs/collecting.md.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, get_args
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray
from scipy import special
from sqlmodel import Session

from analysis.buckets import Bucket, check_span, end_of, starts
from analysis.join import MAX_GAP
from config import definitions
from config.definitions import FeedDefinition, FeedKind, MacroSeries
from ingest.pace import LONGEST_FLOOR
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
HISTORY_WEEKS, LEAST_DAYS, SEEN_TWICE = 4, 7, 2
"""What is expected of a feed is told from so many weeks; from days heard at least; by the hour of the week from two."""
TOO_FEW = 0.01
"""A feed that answers is silent where so few entries or fewer are less probable than this."""
COVERAGE_DAYS: dict[Bucket, int] = {"hour": 92, "day": 731, "week": 366 * 10, "month": 366 * 20}
"""The longest range of coverage that is answered in each bucket: a row is worked out for each feed and bucket."""
HEALTHS = ("fine", "new", "failing", "silent", "retired")
HOUR, DAY, HOURS_OF_WEEK = timedelta(hours=1), timedelta(days=1), 7 * 24
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
    """One feed in one bucket. Where it was not visited there is a row only if it was due: see `status`."""

    bucket_start: datetime
    outlet: str
    url: str
    attempts: int
    answered: int
    entries_new: int
    coverage: float | None
    """Answered / attempts; None without an attempt."""
    entries_expected: float | None
    """New entries that a bucket like this usually brings, up to now where it is open; None where that is not known."""
    expected_low: int | None
    expected_high: int | None
    """The 90 % interval of a Poisson variable with that mean."""
    expected_days: int
    """Days before the bucket that this is told from."""
    status: str
    """fine, silent (answered, but brought far less than expected), outage (never answered), unknown (answered; nothing
    is expected yet), or not_visited (nobody looked, though it was due)."""


@dataclass(frozen=True, slots=True)
class PricesView:
    """The bars of an asset, or the values of a macro series, and how they are kept up to date."""

    kind: str
    key: str
    name: str
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
    """Visits to each feed in each bucket, how many it answered, what they brought and what was expected of them.

    The range is widened to whole buckets, and ends now at the latest; by default it begins two weeks before its end.
    Feeds stand by outlet, buckets ascend. Raises: BadRange.
    """
    check_range(start, end)
    end = min(end or now, now)
    start = start or end - NEWS_WITHIN
    check_span(start, end, bucket, COVERAGE_DAYS)
    begins = starts(start, end, bucket)
    ends = [min(end_of(begin, bucket), now) for begin in begins]
    since = datetime.combine(begins[0], time(), UTC) - timedelta(weeks=HISTORY_WEEKS)
    hours = feed_store.fetches_by_hour(session, start=since, end=ends[-1])
    visits = {feed_id: [row[1:] for row in rows] for feed_id, rows in groupby(hours, key=itemgetter(0))}
    backlog_past = feed_store.answered_before(session, since)
    rows: list[CoverageRow] = []
    for feed in feed_store.all_feeds(session):
        record = _Record.of(visits.get(feed.id or 0, []), since, ends[-1], backlog_past=feed.id in backlog_past)
        rows.extend(_coverage_of(feed, record, list(zip(begins, ends, strict=True)), bucket))
    return rows


@dataclass(frozen=True, slots=True)
class _Record:
    """What visits to one feed brought by the hour since a midnight: counts of shape (hours,), whole days of them."""

    since: datetime
    attempts: NDArray[np.int64]
    answered: NDArray[np.int64]
    new: NDArray[np.int64]
    heard: NDArray[np.bool_]
    """Days, of shape (days,), from which can be told what is usual: it answered, and not for the first time."""

    @classmethod
    def of(
        cls, visits: Sequence[tuple[datetime, int, int, int]], since: datetime, end: datetime, *, backlog_past: bool
    ) -> "_Record":
        days = -((since - end) // DAY)
        counts = np.zeros((3, days * 24), dtype=np.int64)
        for hour, *found in visits:
            counts[:, (hour - since) // HOUR] = found
        heard = counts[1].reshape(days, 24).any(axis=1)
        if not backlog_past and heard.any():
            heard[heard.argmax()] = False
        return cls(since, counts[0], counts[1], counts[2], heard)

    def usual(self, day: int) -> tuple[NDArray[np.float64] | None, int]:
        """New entries in each of the 168 hours from the beginning of that day, and how many days tell so.

        Only the four weeks before the day are looked at. The mean of an hour of the week, where its weekday was heard
        twice; else that of the hour of the day. None where fewer than seven days were heard.
        """
        weeks = slice(day - 7 * HISTORY_WEEKS, day)
        heard = self.heard[weeks]
        n = int(heard.sum())
        if n < LEAST_DAYS:
            return None, n
        new = self.new.reshape(-1, 24)[weeks] * heard[:, None]
        by_weekday, weekdays = new.reshape(-1, 7, 24).sum(axis=0), heard.reshape(-1, 7).sum(axis=0)[:, None]
        mean = np.where(weekdays >= SEEN_TWICE, by_weekday / np.maximum(weekdays, 1), new.sum(axis=0) / n)
        return mean.ravel(), n


def _coverage_of(
    feed: Feed, record: _Record, buckets: Sequence[tuple[datetime, datetime]], bucket: Bucket
) -> Iterator[CoverageRow]:
    for begin, end in buckets:
        first = (begin - record.since) // HOUR
        hours = slice(first, first - (begin - end) // HOUR)
        attempts, answered, new = (
            int(counts[hours].sum()) for counts in (record.attempts, record.answered, record.new)
        )
        if not attempts and not _was_due(feed, begin, end, bucket):
            continue
        usual, n = record.usual(first // 24)
        expected = None if usual is None else _expected(usual, first % 24, (end - begin) / HOUR)
        low, high = (None, None) if expected is None else _ninety_percent(expected)
        if not attempts:
            status = "not_visited"
        elif not answered:
            status = "outage"
        elif usual is None:
            status = "unknown"
        else:
            told = _expected(usual, first % 24, (end - begin) / HOUR, _told_of(record.answered[hours] > 0))
            status = "silent" if float(special.pdtr(new, told)) < TOO_FEW else "fine"
        yield CoverageRow(
            bucket_start=begin,
            outlet=feed.outlet,
            url=feed.url,
            attempts=attempts,
            answered=answered,
            entries_new=new,
            coverage=round(answered / attempts, 4) if attempts else None,
            entries_expected=None if expected is None else round(expected, 2),
            expected_low=low,
            expected_high=high,
            expected_days=n,
            status=status,
        )


def _was_due(feed: Feed, begin: datetime, end: datetime, bucket: Bucket) -> bool:
    """Every feed falls due within a day, so in a whole bucket of a day or more while it was collected."""
    gone = min(filter(None, (feed.removed_at, feed.retired_at)), default=end)
    return bucket != "hour" and feed.added_at <= begin and end_of(begin, bucket) == end <= gone


def _expected(usual: NDArray[np.float64], first: int, hours: float, counted: NDArray[np.bool_] | None = None) -> float:
    """What so many hours bring from the hour `first` of the week on; the last may be a part of one.

    With `counted`, of shape (hours rounded up,), only those hours.
    """
    places = np.arange(-int(-hours // 1))
    brought = usual[(first + places) % HOURS_OF_WEEK] * np.minimum(hours - places, 1)
    return float(brought.sum() if counted is None else brought[counted].sum())


def _told_of(answered: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The hours whose news an answered visit can have brought: its own, and those before that may lie between two."""
    told = answered.copy()
    for hours in range(1, LONGEST_FLOOR // HOUR):
        told[:-hours] |= answered[hours:]
    return told


def _ninety_percent(mean: float) -> tuple[int, int]:
    return int(np.ceil(special.pdtrik(0.05, mean))), int(np.ceil(special.pdtrik(0.95, mean)))


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
            name=definition.name,
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
