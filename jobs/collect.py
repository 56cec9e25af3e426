"""Collecting: due feeds are fetched, parsed and stored; visits that end together share a commit, whole feeds each.

store: due feeds, claimed for a while -> fetcher (conditional GET, some at a time) -> parser, in processes that can be
       killed -> store: articles, the attempt, when to come again

A failed feed is stored as data. Whoever is killed leaves claims that run out; while they work, claims are renewed.
"""

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session

from config.settings import get_settings
from ingest import pace
from ingest.fetcher import Answer, Http, fetch, or_error
from ingest.guard import Reach
from ingest.parser import ParsedFeed
from ingest.processes import Parsers
from models.database import Database
from models.errors import DatabaseUnavailable, FeedError
from models.feeds import REPLAY, Feed
from models.store import feeds as feed_store
from models.store.articles import Added, Batch, add_batches

AT_ONCE = 32
AT_ONCE_PER_HOST = 6
GATHER_SECONDS, GATHER_STEP = 0.02, 0.01
"""How long to wait before storing, so that many visits share a transaction; all have come in is long enough."""
CLAIM, RENEW_EVERY = timedelta(minutes=2), timedelta(seconds=30)
"""So long nobody else visits a feed that is about to be visited, and so often that is said again."""
MOVED_AFTER = 3
"""Visits in a row that say a feed moved for good before we believe it."""
log = logging.getLogger("storyshift.collect")
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
    body_hash: str | None = None
    parsed: ParsedFeed | None = None
    error: FeedError | None = None


def collect(
    database: Database,
    *,
    clock: Clock,
    every: bool = False,
    only: int | None = None,
    reach: Reach | None = None,
    parsers: Parsers | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CollectReport:
    """Visit all feeds that are due (with `every`, all), or `only` the one with this id. `progress` is told (done, of).

    `reach` is what may be connected to besides the public internet; by default what the settings allow. `parsers` are
    the caller's, for many rounds; by default they are started and stopped with this one.
    Raises: DatabaseUnavailable; what was committed before stays.
    """
    began = perf_counter()
    feeds = _claim(database, clock(), every=every, only=only)
    report = CollectReport(feeds=len(feeds))
    if feeds:
        reach = reach or Reach.from_settings()
        unvisited = {feed.id or 0: feed for feed in feeds}
        try:
            with nullcontext(parsers) if parsers else Parsers() as used:
                if any(feed.body_hash is None for feed in feeds):  # something is to be read for sure
                    used.warm_up()
                told = progress or (lambda *_: None)
                asyncio.run(_collect(database, unvisited, clock, reach, used, report, told))
        finally:  # Ctrl-C, or the database is gone: they need not wait for the claim to run out
            if unvisited:
                with suppress(DatabaseUnavailable), database.write() as session:
                    feed_store.release(session, list(unvisited.values()))
    report.seconds = round(perf_counter() - began, 3)
    return report


def due(database: Database, *, now: datetime) -> list[int]:
    """The ids of the feeds that are to be visited, longest waiting first."""
    longest = pace.longest_wait(_usual())
    with database.read() as session:
        return [feed.id or 0 for feed in feed_store.due_feeds(session, now=now, every=False, longest=longest)]


def _claim(database: Database, now: datetime, *, every: bool, only: int | None) -> Sequence[Feed]:
    if not every and only is None and not due(database, now=now):  # so that no writer waits where nothing is due
        return []
    with database.write() as session:
        return feed_store.claim_due(
            session, now=now, every=every, longest=pace.longest_wait(_usual()), until=now + CLAIM, only=only
        )


def _usual() -> timedelta:
    return timedelta(minutes=get_settings().collect_minutes)


async def _collect(
    database: Database,
    unvisited: dict[int, Feed],
    clock: Clock,
    reach: Reach,
    parsers: Parsers,
    report: CollectReport,
    progress: Callable[[int, int], None],
) -> None:
    """Visits the feeds and takes each out of `unvisited`, which is by id, once its visit is stored."""
    feeds = list(unvisited.values())
    one_writer = asyncio.Lock()
    waiting: list[tuple[Feed, Attempt]] = []
    done = 0

    async def visit_and_keep(feed: Feed) -> None:
        nonlocal done
        waiting.append((feed, await visit(feed)))
        async with one_writer:  # the first one in stores all that wait by then
            gathered = 0.0
            while waiting and done + len(waiting) < len(feeds) and gathered < GATHER_SECONDS:
                await asyncio.sleep(GATHER_STEP)
                gathered += GATHER_STEP
            if batch := waiting.copy():
                waiting.clear()
                await asyncio.to_thread(_keep, database, batch, report)
                for visited, _ in batch:
                    del unvisited[visited.id or 0]
        done += 1
        progress(done, len(feeds))

    async def renew_claims() -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY.total_seconds())
            async with one_writer:  # those that are stored say themselves when they are due
                with suppress(DatabaseUnavailable):
                    await asyncio.to_thread(_hold, database, list(unvisited), clock() + CLAIM)

    async with Http(get_settings().contact, reach, connections=AT_ONCE) as http:
        visit = _visitor(http, parsers, clock)
        visits = [asyncio.create_task(visit_and_keep(feed)) for feed in feeds]
        renewing = asyncio.create_task(renew_claims())
        try:
            for ended in asyncio.as_completed(visits):
                await ended
        finally:  # Ctrl-C, or the database is gone: no visit is waited for
            for task in (*visits, renewing):
                if not task.cancel() and not task.cancelled():
                    task.exception()  # seen: the first one is raised already


def _hold(database: Database, feed_ids: list[int], until: datetime) -> None:
    with database.write() as session:
        feed_store.hold(session, feed_ids, until=until)


def check(feeds: Sequence[Feed], *, clock: Clock, reach: Reach | None = None) -> list[Attempt]:
    """Visit these feeds and read them, storing nothing: what each visit brought, in their order."""

    async def all_of_them() -> list[Attempt]:
        async with Http(get_settings().contact, reach or Reach.from_settings(), connections=AT_ONCE) as http:
            with Parsers() as parsers:
                return list(await asyncio.gather(*map(_visitor(http, parsers, clock), feeds)))

    return asyncio.run(all_of_them())


def _visitor(http: Http, parsers: Parsers, clock: Clock) -> Callable[[Feed], Awaitable[Attempt]]:
    """Visits a feed when there is room, at its host and in all."""
    room = asyncio.Semaphore(AT_ONCE)
    at_host: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE_PER_HOST))

    async def visit(feed: Feed) -> Attempt:
        async with AsyncExitStack() as held:
            async with at_host[urlsplit(feed.url).netloc]:
                await held.enter_async_context(room)  # until it is read: no more bodies than that are held
                began, at = perf_counter(), clock()
                asked = await or_error(fetch(http, feed.url, etag=feed.etag, last_modified=feed.last_modified))
            if isinstance(asked, FeedError):
                return Attempt(at, perf_counter() - began, error=asked)
            at = clock()  # known now, and not when we asked
            read = await or_error(_read(asked, parsers, feed, at))
            if isinstance(read, FeedError):
                return Attempt(at, perf_counter() - began, asked, error=read)
            return Attempt(at, perf_counter() - began, asked, *read)

    return visit


async def _read(answer: Answer, parsers: Parsers, feed: Feed, at: datetime) -> tuple[str | None, ParsedFeed | None]:
    """The hash of the body, and what is in it; None where it is the one that we know."""
    if answer.content is None:
        return None, None
    body_hash = hashlib.sha256(answer.content).hexdigest()[:32]
    if body_hash == feed.body_hash:
        return body_hash, None
    parsed = await parsers.parse(
        answer.content,
        url=answer.url,
        outlet=feed.outlet,
        language=feed.language,
        seen_at=at,
        content_type=answer.content_type,
        origin="replay" if feed.kind == REPLAY else "live",
    )
    return body_hash, parsed


def _keep(database: Database, batch: list[tuple[Feed, Attempt]], report: CollectReport) -> None:
    """Store these visits in one transaction; if that fails, each in its own, so that only the bad one is lost."""
    try:
        with database.write() as session:
            added = _store(session, batch)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # an entry that the database refuses must not stop the other feeds
        if len(batch) > 1:
            for visit in batch:
                _keep(database, [visit], report)
            return
        ((feed, attempt),) = batch
        failure = FeedError(
            "not_stored", f"Could not be stored ({type(error).__name__}: {str(error).splitlines()[0]})."
        )
        batch = [(feed, Attempt(attempt.at, attempt.seconds, error=failure))]
        with database.write() as session:
            added = _store(session, batch)
    for (feed, attempt), brought in zip(batch, added, strict=True):
        _report(report, feed, attempt, brought)


def _report(report: CollectReport, feed: Feed, attempt: Attempt, added: Added) -> None:
    if attempt.error is not None:
        report.failed += 1
        report.errors.append({"url": feed.url, "error": str(attempt.error)})
        log.warning("failed url=%s kind=%s reason=%s", feed.url, attempt.error.kind, attempt.error)
        return
    report.fetched += attempt.parsed is not None
    report.not_modified += attempt.parsed is None
    report.new_articles += added.new
    report.revised_articles += added.revised
    report.known_articles += added.known
    report.refused_entries += len(attempt.parsed.refused) if attempt.parsed else 0


def _store(session: Session, batch: list[tuple[Feed, Attempt]]) -> list[Added]:
    """The articles of all visits, then each attempt with its feed's new state."""
    brought = add_batches(
        session,
        [Batch(attempt.parsed.articles if attempt.parsed else [], attempt.at, feed.id) for feed, attempt in batch],
    )
    states, fetches = [], []
    for (feed, attempt), added in zip(batch, brought, strict=True):
        state = _after(feed, attempt, added)
        moved = state["url"] != feed.url
        if moved and feed_store.get_feed(session, state["url"]) is not None:
            state["url"] = feed.url  # it is collected there already
        elif moved:
            log.info("moved url=%s to=%s", feed.url, state["url"])
        if state["retired_at"] is not None and feed.retired_at is None:
            log.warning("retired url=%s reason=%s", feed.url, attempt.error)
        states.append(state)
        fetches.append(_fetch(feed, state, attempt, added))
    feed_store.save_visits(session, states, fetches)
    return brought


def _after(feed: Feed, attempt: Attempt, added: Added) -> dict[str, Any]:
    """The feed's state after a visit, by column."""
    answer, parsed, error = attempt.answer, attempt.parsed, attempt.error
    state: dict[str, Any] = {name: getattr(feed, name) for name in feed_store.VISITED}
    state |= _pace(feed, attempt, added)
    state["last_fetched_at"] = attempt.at
    state["last_error"] = str(error) if error else None
    state["last_status"] = answer.status if answer else error.status if error else None
    if answer is not None and error is None:
        state |= _move(feed, answer)
    if parsed is not None and answer is not None:
        state["etag"], state["last_modified"] = answer.etag, answer.last_modified
        state["body_hash"] = attempt.body_hash
        state["title"] = parsed.title or feed.title
    return state


def _fetch(feed: Feed, state: dict[str, Any], attempt: Attempt, added: Added) -> dict[str, Any]:
    """The record of a visit, by column of Fetch."""
    answer, parsed, error = attempt.answer, attempt.parsed, attempt.error
    return {
        "feed_id": feed.id,
        "at": attempt.at,
        "outcome": "failed" if error else "ok" if parsed else "not_modified",
        "status": state["last_status"],
        "error": state["last_error"],
        "bytes": len(answer.content or b"") if answer else 0,
        "seconds": round(attempt.seconds, 3),
        "entries_new": added.new,
        "entries_revised": added.revised,
        "entries_known": added.known,
        "entries_refused": len(parsed.refused) if parsed else 0,
        "refusals": "\n".join(parsed.refused[:5]) or None if parsed else None,
    }


def _pace(feed: Feed, attempt: Attempt, added: Added) -> dict[str, Any]:
    """When to come again, by what this visit brought and what the server asks for."""
    usual = _usual()
    if attempt.error is not None:
        wait = pace.wait_after_failure(feed.failures + 1, attempt.error.retry_after, usual=usual)
        gone = attempt.at if attempt.error.kind == "gone" else feed.retired_at
        return {"failures": feed.failures + 1, "next_fetch_at": attempt.at + wait, "retired_at": gone}
    interval = usual
    if feed.interval_seconds is not None:
        visit = pace.Visit(added.new + added.revised, added.known)
        interval = pace.adapted(timedelta(seconds=feed.interval_seconds), visit, usual=usual)
    own_floor = attempt.parsed.floor if attempt.parsed else timedelta(seconds=feed.floor_seconds)
    floor = max(own_floor, attempt.answer.floor if attempt.answer else timedelta(0))
    return {
        "failures": 0,
        "interval_seconds": interval.total_seconds(),
        "floor_seconds": own_floor.total_seconds(),
        "next_fetch_at": attempt.at + pace.wait(interval, floor, feed.url),
    }


def _move(feed: Feed, answer: Answer) -> dict[str, Any]:
    """A feed that its server has moved for good, visit after visit, is visited at its new address."""
    if not answer.moved or answer.url == feed.url:
        return {"moved_to": None, "moved_times": 0}
    times = feed.moved_times + 1 if feed.moved_to == answer.url else 1
    if times < MOVED_AFTER:
        return {"moved_to": answer.url, "moved_times": times}
    return {"url": answer.url, "moved_to": None, "moved_times": 0}
