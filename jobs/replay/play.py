"""Playing the replay: a clock steps from day to day, and at each step the same jobs run as for live news.

    bundled prices and macro -> for each day with briefs: the clock moves, collect (real HTTP), cluster, tag

It can be stopped and goes on where it was; once played to the end it has nothing left to do.
"""

from collections.abc import Callable
from datetime import UTC, datetime, time

from ingest.guard import LOOPBACK
from ingest.processes import Parsers
from jobs.cluster import Clusterer
from jobs.collect import collect
from jobs.imports import import_macro, import_prices
from jobs.replay.briefs import HERE, briefs
from jobs.replay.server import ReplayServer
from jobs.tag import live_tagger, tag_untagged
from models.database import Database
from models.feeds import REPLAY
from models.store.stories import event_range
from services.sources import add_feed, list_feeds, remove_feed

END_OF_STEP = time(23, 59, 30, tzinfo=UTC)


def play(database: Database, *, now: datetime, progress: Callable[[int, int], None]) -> int:
    """Bring the whole replay into the record; `progress` is told (days done, of). Returns how many days were played.

    `now` is the real instant, by which the bundled prices are known; articles are known by the replayed clock.
    """
    with database.read() as session:
        last = event_range(session, as_of=now)[1]
    days = sorted({brief.published_at.astimezone(UTC).date() for brief in briefs()})
    todo = [day for day in days if last is None or day >= last.date()]
    if last is not None and last >= briefs()[-1].published_at:
        return 0
    for path in sorted((HERE / "prices").glob("*.csv")):
        import_prices(database, path, asset=None, now=now)
    for path in sorted((HERE / "macro").glob("*.csv")):
        import_macro(database, path, series=None, now=now)
    at = datetime.combine(todo[0], END_OF_STEP)
    tagger, clusterer = live_tagger(), Clusterer(database)

    def clock() -> datetime:
        return at

    with ReplayServer(clock) as server, Parsers() as parsers:
        _take_feeds(database, server.addresses, now=at)
        for done, day in enumerate(todo, 1):
            at = datetime.combine(day, END_OF_STEP)
            collect(database, clock=clock, every=True, reach=LOOPBACK, parsers=parsers)
            clusterer.cluster()
            tag_untagged(database, tagger, clock=clock)
            progress(done, len(todo))
        _take_feeds(database, {}, now=at)
    return len(todo)


def _take_feeds(database: Database, addresses: dict[str, str], *, now: datetime) -> None:
    """Let the record's feeds be these, and no others: a replay server has another port each time."""
    with database.write() as session:
        for feed in list_feeds(session, now=now):
            remove_feed(session, feed.url, now=now)
        for outlet, url in addresses.items():
            add_feed(session, url, outlet=outlet, kind=REPLAY, language="en", now=now)
