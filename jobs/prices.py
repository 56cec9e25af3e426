"""Keeping prices and macro series up to date from live sources.

    watches that are due, claimed one by one -> where each starts -> its source, page by page, one commit a page
        -> when to come again

The first load goes through the whole history, and so does one a week: gaps are found and filled, old corrections kept.
Between them only the last days are asked for. A load that breaks off goes on where it was; one source that fails
stops no other, and what it said is kept with its watch.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from config import definitions
from ingest.calendars import closes_around
from ingest.sources import Page, Source, bars_of, points_of
from models.database import Database
from models.errors import ConfigError, DatabaseUnavailable, SourceError
from models.prices import Interval, Watch
from models.store import prices as price_store
from models.store.prices import Kept

HISTORY_FROM = date(2014, 1, 1)
HOURS_FROM = timedelta(days=92)
"""How far back bars by the hour are asked for."""
OVERLAP = {"day": timedelta(days=10), "hour": timedelta(days=1)}
"""What is asked for again each time, as its values may have been corrected."""
WHOLE_EVERY = timedelta(days=7)
AFTER_CLOSE = timedelta(minutes=20)
"""A source needs this long until a bar stands."""
AFTER_HOUR = timedelta(minutes=3)
LATE_AGAIN = timedelta(hours=1)
"""When to ask again for a bar that should be there and is not."""
MACRO_AGAIN = timedelta(hours=6)
FAILED_AGAIN, FAILED_AT_MOST = timedelta(minutes=5), timedelta(hours=6)
CLAIM = timedelta(minutes=10)
"""So long nobody else loads a watch that is being loaded; each page says it again."""
HOURLY_SOURCE = "ccxt"
EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Loaded:
    """What became of one watch."""

    kind: str
    key: str
    interval: str
    told_by: str | None = None
    new: int = 0
    corrected: int = 0
    error: str | None = None

    @property
    def name(self) -> str:
        return f"{self.key} by the hour" if self.interval == "hour" else self.key


@dataclass(slots=True)
class LoadReport:
    series: list[Loaded] = field(default_factory=list)

    @property
    def failures(self) -> dict[str, list[str]]:
        """What was said, and of which series."""
        return by_error((loaded.error, loaded.name) for loaded in self.series)


def by_error(said: Iterable[tuple[str | None, str]]) -> dict[str, list[str]]:
    """(error, name) pairs as the names to each error; those without an error are left out."""
    found: dict[str, list[str]] = {}
    for error, name in said:
        if error:
            found.setdefault(error, []).append(name)
    return found


def wanted() -> list[tuple[str, str, str]]:
    """(kind, key, interval) of everything in assets.toml that has a source; crypto also by the hour."""
    assets = [(key, asset.source) for key, asset in definitions.assets().items() if asset.source]
    daily = [("price", key, "day") for key, _ in assets]
    hourly = [("price", key, "hour") for key, source in assets if source.startswith(HOURLY_SOURCE)]
    macro = [("macro", key, "day") for key, series in definitions.macro_series().items() if series.source]
    return daily + hourly + macro


def load_prices(
    database: Database,
    sources: Mapping[str, Source],
    *,
    clock: Callable[[], datetime],
    every: bool = False,
    most: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> LoadReport:
    """Load every watch that is due, or with `every` all, up to `most`; `progress` is told (watches done, of)."""
    names = wanted()
    with database.write() as session:
        price_store.seed_watches(session, names, now=clock())
    with database.read() as session:
        due = [
            watch
            for watch in price_store.watches(session)
            if (watch.kind, watch.key, watch.interval) in names and (every or price_store.is_due(watch, now=clock()))
        ]
    report = LoadReport()
    away: dict[str, SourceError] = {}
    for done, watch in enumerate(due[:most], 1):
        with database.write() as session:
            if not price_store.claim_watch(session, watch, until=clock() + CLAIM):
                continue  # another is at it
        loaded = Loaded(watch.kind, watch.key, watch.interval)
        report.series.append(loaded)
        source, symbol = _source(watch)
        try:
            if source in away:  # it is not asked again in this round
                raise away[source]
            _load(database, sources[source], symbol, watch, loaded, clock)
        except (SourceError, ConfigError) as error:
            loaded.error = str(error)
            if isinstance(error, SourceError) and error.away:
                away[source] = error
            _put_off(database, watch, loaded.error, now=clock())
        except BaseException:  # Ctrl-C, say: it need not wait for the claim to run out
            with suppress(DatabaseUnavailable), database.write() as session:
                session.get_one(Watch, watch.id).next_at = watch.next_at
            raise
        if progress is not None:
            progress(done, len(due))
    return report


def _source(watch: Watch) -> tuple[str, str]:
    """The name of the source, and the source's name for the series."""
    definition = definitions.asset(watch.key) if watch.kind == "price" else definitions.macro(watch.key)
    name, _, symbol = (definition.source or "").partition(":")
    return name, symbol


def _load(
    database: Database, source: Source, symbol: str, watch: Watch, loaded: Loaded, clock: Callable[[], datetime]
) -> None:
    now = clock()
    whole = watch.kind == "macro" or watch.whole_at is None or now - watch.whole_at >= WHOLE_EVERY
    start = _start(database, watch, whole, now)
    for page in source.quotes(symbol, interval=_interval(watch), start=start, now=now):
        kept = _keep(database, watch, page, symbol, whole=whole, now=now, until=clock() + CLAIM)
        loaded.new, loaded.corrected = loaded.new + kept.new, loaded.corrected + kept.corrected
        loaded.told_by = page.told_by
    _settle(database, watch, whole=whole, corrected=bool(loaded.corrected), now=now)


def _interval(watch: Watch) -> Interval:
    return "hour" if watch.interval == "hour" else "day"


def _keep(
    database: Database, watch: Watch, page: Page, symbol: str, *, whole: bool, now: datetime, until: datetime
) -> Kept:
    """Store one page, how far it brought us, and until when the watch is claimed."""
    with database.write() as session:
        mine = session.get_one(Watch, watch.id)
        mine.since, mine.answered_by, mine.next_at = mine.since or now, page.told_by, until
        assumed_to = mine.since if mine.whole_at is None else EVER  # what a later load finds was not known before
        if whole and page.quotes:
            last = page.quotes[-1].at
            mine.whole_to = last.date() if isinstance(last, datetime) else last
        if watch.kind == "macro":
            points = points_of(page.quotes, watch.key, definitions.macro(watch.key))
            return price_store.add_points(
                session, watch.key, points, source=page.told_by, now=now, watched_since=assumed_to
            )
        return price_store.add_bars(
            session,
            watch.key,
            bars_of(page.quotes, watch.key, definitions.asset(watch.key), now=now),
            source=f"{page.told_by}:{symbol}",
            now=now,
            interval=_interval(watch),
            watched_since=assumed_to,
        )


def _start(database: Database, watch: Watch, whole: bool, now: datetime) -> date:
    """The day from which values are asked for."""
    if watch.kind == "macro":
        return HISTORY_FROM
    if whole:
        return watch.whole_to or (HISTORY_FROM if watch.interval == "day" else (now - HOURS_FROM).date())
    with database.read() as session:
        last = price_store.last_close(session, watch.key, watch.interval)
    return ((last or now) - OVERLAP[watch.interval]).date()


def _settle(database: Database, watch: Watch, *, whole: bool, corrected: bool, now: datetime) -> None:
    """A load came to its end: note it, and when to come again.

    Where a value was corrected, others may have been (a split changes all): the whole history is next.
    """
    with database.write() as session:
        mine = session.get_one(Watch, watch.id)
        mine.tried_at = mine.loaded_at = now
        mine.last_error, mine.failures = None, 0
        if whole:
            mine.whole_at, mine.whole_to = now, None
        elif corrected:
            mine.whole_at = now - WHOLE_EVERY
        mine.next_at = _next(mine, price_store.last_close(session, mine.key, mine.interval), now)


def _next(watch: Watch, last: datetime | None, now: datetime) -> datetime:
    if watch.kind == "macro":
        return now + MACRO_AGAIN
    if watch.interval == "hour":
        return datetime.combine(now.date(), time(now.hour), UTC) + timedelta(hours=1) + AFTER_HOUR
    closed, closes = closes_around(definitions.asset(watch.key), now)
    if last is None or last < closed:
        return min(now + LATE_AGAIN, closes + AFTER_CLOSE)
    return closes + AFTER_CLOSE


def _put_off(database: Database, watch: Watch, error: str, *, now: datetime) -> None:
    with database.write() as session:
        mine = session.get_one(Watch, watch.id)
        mine.tried_at, mine.last_error, mine.failures = now, error, mine.failures + 1
        mine.next_at = now + min(FAILED_AGAIN * 2 ** min(mine.failures - 1, 10), FAILED_AT_MOST)
