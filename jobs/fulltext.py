"""Full text: the pages of new articles whose feed gives little text are read, at most one of a host at a time.

    store: articles without a body -> ingest.fulltext: whose turn it is, robots.txt, the page, its text
           -> store: a new wording, and the attempt, one commit a page

A failed page is stored as data; one that may be there at another time is tried again, a day later each time.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from config.settings import get_settings
from ingest.fetcher import or_error
from ingest.fulltext import LEAST_CHARACTERS, Pages, may_pass
from ingest.guard import Reach
from ingest.processes import Parsers
from ingest.text import storable
from models.database import Database
from models.errors import FeedError
from models.pages import PageFetch
from models.store import pages as page_store

PAGES = 32
"""In one round, all at once, each of another host."""
LOOKED_AT = 2_000
"""Articles that are looked at for whose turn it is."""
RECENT = timedelta(days=7)
"""Articles published earlier are left: turning this on must not walk through the whole record."""
UNDER_WAY = timedelta(minutes=5)
"""From when a page came until that is stored, at most."""
ATTEMPTS = 3
AGAIN = timedelta(days=1)
TOLD_APART = ("refused_by_robots", "no_text")
"""Kinds of errors that are outcomes of their own; with all others the page has failed."""


@dataclass(frozen=True, slots=True)
class _Visit:
    article_id: int
    at: datetime
    text: str = ""
    error: FeedError | None = None


class PageReader:
    """Remembers between rounds when each host was asked; when others asked it, it takes from the store."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime], reach: Reach | None = None) -> None:
        """`reach` is what may be connected to besides the public internet; by default what the settings allow."""
        self._database, self._clock = database, clock
        self._reach = reach or Reach.from_settings()
        self._noted_at: datetime | None = None

    @cached_property
    def _pages(self) -> Pages:
        return Pages(clock=self._clock, reach=self._reach, contact=get_settings().contact)

    def _note_others(self) -> None:
        """What was asked before this one began, and by others meanwhile."""
        since, self._noted_at = self._noted_at, self._clock()
        with self._database.read() as session:
            for url, at in page_store.visits_since(session, since - UNDER_WAY if since else self._noted_at - RECENT):
                self._pages.note_visit(url, at)

    def read(self) -> Counter[str]:
        """One round: how many pages were tried, by outcome. Raises: DatabaseUnavailable; what was committed stays."""
        outcomes: Counter[str] = Counter()
        self._note_others()
        if chosen := self._choose():
            with Parsers() as parsers:
                asyncio.run(self._read(chosen, parsers, outcomes))
        return outcomes

    def _choose(self) -> list[tuple[int, str]]:
        """(article id, address) of the newest article of each host whose turn it is."""
        now = self._clock()
        with self._database.read() as session:
            waiting = page_store.waiting_pages(
                session, now=now, published_since=now - RECENT, enough=LEAST_CHARACTERS, limit=LOOKED_AT
            )
        chosen: dict[str, tuple[int, str]] = {}
        for article_id, url in waiting:
            host = self._pages.turn(url)
            if host is not None and len(chosen) < PAGES:
                chosen.setdefault(host, (article_id, url))
        return list(chosen.values())

    async def _read(self, chosen: list[tuple[int, str]], parsers: Parsers, outcomes: Counter[str]) -> None:
        for visit in asyncio.as_completed([self._visit(article_id, url, parsers) for article_id, url in chosen]):
            found = await visit
            if found is not None:
                outcomes[await asyncio.to_thread(self._keep, found)] += 1

    async def _visit(self, article_id: int, url: str, parsers: Parsers) -> _Visit | None:
        """None if the page was not asked for, as a redirect led to a host whose turn has not come."""
        found = await or_error(self._pages.text(url, parsers))
        if not isinstance(found, FeedError):
            return _Visit(article_id, self._clock(), found)
        return None if found.kind == "not_yet" else _Visit(article_id, self._clock(), error=found)

    def _keep(self, visit: _Visit) -> str:
        """Store what a visit brought; its outcome."""
        error = visit.error
        with self._database.write() as session:
            if error is None and not page_store.add_full_text(session, visit.article_id, visit.text, now=visit.at):
                error = FeedError("removed", "The article was taken down meanwhile.")
            before = page_store.get_attempt(session, visit.article_id)
            attempts = 1 + (before.attempts if before else 0)
            again = error is not None and may_pass(error) and attempts < ATTEMPTS
            outcome = "ok" if error is None else error.kind if error.kind in TOLD_APART else "failed"
            page_store.save_attempt(
                session,
                PageFetch(
                    article_id=visit.article_id,
                    at=visit.at,
                    attempts=attempts,
                    outcome=outcome,
                    error=storable(str(error)) if error else None,
                    next_at=visit.at + AGAIN if again else None,
                ),
            )
        return outcome
