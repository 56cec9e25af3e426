"""Collecting: due feeds are fetched, parsed and stored, one commit a feed. A failed feed is stored as data.

store: due feeds -> fetcher (conditional GET, some at a time) -> parser -> store: articles, the attempt, the next date
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter

from httpx import AsyncClient

from config.settings import get_settings
from ingest.fetcher import Answer, client, fetch
from ingest.parser import ParsedFeed, parse_feed
from models.database import Database
from models.errors import DatabaseUnavailable, FeedError
from models.feeds import REPLAY, Feed, Fetch
from models.store import feeds as feed_store
from models.store.articles import Added, add_articles

AT_ONCE = 16
LONGEST_WAIT = timedelta(days=1)
Clock = Callable[[], datetime]


@dataclass(slots=True)
class CollectReport:
    feeds: int = 0
    fetched: int = 0
    not_modified: int = 0
    failed: int = 0
    new_articles: int = 0
    revised_articles: int = 0
    known_articles: int = 0
    refused_entries: int = 0
    seconds: float = 0.0
    errors: list[dict[str, str]] = field(default_factory=list)
    """Of each failed feed its url and error."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one visit to a feed brought: an answer and what was in it, or an error."""

    at: datetime
    seconds: float
    answer: Answer | None = None
    parsed: ParsedFeed | None = None
    error: FeedError | None = None


def collect(
    database: Database, *, clock: Clock, every: bool = False, progress: Callable[[int, int], None] | None = None
) -> CollectReport:
    """Visit all feeds that are due (with `every`, all). `progress` is told (done, of).

    Raises: DatabaseUnavailable; what was committed before stays.
    """
    began = perf_counter()
    with database.read() as session:
        feeds = feed_store.due_feeds(session, now=clock(), every=every)
    report = CollectReport(feeds=len(feeds))
    asyncio.run(_collect(database, feeds, clock, report, progress or (lambda *_: None)))
    report.seconds = round(perf_counter() - began, 3)
    return report


async def _collect(
    database: Database, feeds: Sequence[Feed], clock: Clock, report: CollectReport, progress: Callable[[int, int], None]
) -> None:
    room, one_writer = asyncio.Semaphore(AT_ONCE), asyncio.Lock()
    done = 0

    async def visit(feed: Feed) -> None:
        nonlocal done
        async with room:
            attempt = await _attempt(http, feed, clock)
            async with one_writer:
                await asyncio.to_thread(_keep, database, feed, attempt, report)
        done += 1
        progress(done, len(feeds))

    async with client(get_settings().contact) as http:
        visits = [asyncio.create_task(visit(feed)) for feed in feeds]
        try:
            for ended in asyncio.as_completed(visits):
                await ended
        finally:  # Ctrl-C, or the database is gone: no visit is waited for
            for task in visits:
                if not task.cancel() and not task.cancelled():
                    task.exception()  # seen: the first one is raised already


async def _attempt(http: AsyncClient, feed: Feed, clock: Clock) -> Attempt:
    began, at, answer = perf_counter(), clock(), None
    try:
        answer = await fetch(http, feed.url, etag=feed.etag, last_modified=feed.last_modified)
        at, parsed = clock(), None  # known now, and not when we asked
        if answer.content is not None:
            parsed = await asyncio.to_thread(
                parse_feed,
                answer.content,
                url=answer.url,
                outlet=feed.outlet,
                language=feed.language,
                seen_at=at,
                content_type=answer.content_type,
                origin="replay" if feed.kind == REPLAY else "live",
            )
        return Attempt(at, perf_counter() - began, answer, parsed)
    except FeedError as error:
        return Attempt(at, perf_counter() - began, answer, error=error)
    except Exception as error:  # whatever a server makes a library do, the other feeds go on
        failure = FeedError("unexpected", f"{type(error).__name__}: {error}")
        return Attempt(at, perf_counter() - began, answer, error=failure)


def _keep(database: Database, feed: Feed, attempt: Attempt, report: CollectReport) -> None:
    try:
        added = _store(database, feed, attempt)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # an entry that the database refuses must not stop the other feeds
        failure = FeedError(
            "not_stored", f"Could not be stored ({type(error).__name__}: {str(error).splitlines()[0]})."
        )
        attempt = Attempt(attempt.at, attempt.seconds, error=failure)
        added = _store(database, feed, attempt)
    if attempt.error is not None:
        report.failed += 1
        report.errors.append({"url": feed.url, "error": str(attempt.error)})
        return
    report.fetched += attempt.parsed is not None
    report.not_modified += attempt.parsed is None
    report.new_articles += added.new
    report.revised_articles += added.revised
    report.known_articles += added.known
    report.refused_entries += len(attempt.parsed.refused) if attempt.parsed else 0


def _store(database: Database, feed: Feed, attempt: Attempt) -> Added:
    """Articles, the attempt and the feed's new state, in one transaction."""
    answer, parsed, error = attempt.answer, attempt.parsed, attempt.error
    with database.write() as session:
        current = session.get_one(Feed, feed.id)  # as it is now: it may have been removed since
        added = add_articles(session, parsed.articles, now=attempt.at, feed_id=feed.id) if parsed else Added()
        current.last_fetched_at = attempt.at
        current.last_error = str(error) if error else None
        current.last_status = answer.status if answer else error.status if error else None
        current.failures = current.failures + 1 if error else 0
        current.next_fetch_at = attempt.at + _wait(current.failures)
        if parsed is not None and answer is not None:
            current.etag, current.last_modified = answer.etag, answer.last_modified
            current.title = parsed.title or current.title
        session.add(
            Fetch(
                feed_id=feed.id or 0,
                at=attempt.at,
                outcome="failed" if error else "ok" if parsed else "not_modified",
                status=current.last_status,
                error=current.last_error,
                bytes=len(answer.content or b"") if answer else 0,
                seconds=round(attempt.seconds, 3),
                entries_new=added.new,
                entries_revised=added.revised,
                entries_known=added.known,
                entries_refused=len(parsed.refused) if parsed else 0,
                refusals="\n".join(parsed.refused[:5]) or None if parsed else None,
            )
        )
    return added


def _wait(failures: int) -> timedelta:
    """Until the next visit: the usual time, doubled for each failure in a row."""
    return min(timedelta(minutes=get_settings().collect_minutes) * (1 << min(failures, 10)), LONGEST_WAIT)
