"""The full text of an article's page: asked for as its site allows, fetched like a feed, and extracted.

    address -> robots.txt of its host (RFC 9309), and whose turn it is -> the page -> its text, by trafilatura

A redirect is asked about anew where it leads to. What strangers wrote is read in processes that can be killed; only
there are trafilatura and protego imported (extra `fulltext`). Does not: store, or decide which articles.
"""

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from ingest.fetcher import PRODUCT, Http, fetch
from ingest.guard import Reach
from ingest.identity import canonical_url
from ingest.parser import TEXT_CHARACTERS
from ingest.processes import Parsers
from ingest.text import folded, storable
from models.errors import FeedError

LEAST_CHARACTERS = 500
"""A page with a shorter text has none: a teaser, a request for consent, a film."""
LEAST_WAIT = timedelta(seconds=5)
"""Between two pages of a host; longer where its robots.txt has a crawl-delay."""
LONGEST_WAIT = timedelta(days=30)
REST = timedelta(hours=1)
"""How long a host is left alone that does not answer, or asks for that without saying how long."""
ROBOTS_KEPT = timedelta(days=1)
ROBOTS_BYTES = 512 * 1024
"""Of a robots.txt; the rest is not read (RFC 9309 asks for 500 KiB at least)."""
HEAD_CHARACTERS = 100_000
"""Of a page, in which a reservation is looked for."""
ACCEPT = "text/html, application/xhtml+xml, */*;q=0.1"
MAY_PASS = frozenset(("timeout", "unreachable", "broken_answer", "robots_away"))
MAY_PASS_STATUS = frozenset((408, 425, 429))
EVER = datetime.min.replace(tzinfo=UTC)
CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
META = re.compile(r"<meta\s[^>]{0,500}>", re.IGNORECASE)
RESERVED = re.compile(r"(?=.*name\s*=\s*[\"']?tdm-reservation\b)(?=.*content\s*=\s*[\"']?\s*1\b)", re.I | re.S)


def may_pass(error: FeedError) -> bool:
    """Whether the same page may be there at another time."""
    status = error.status or 0
    return error.kind in MAY_PASS or status in MAY_PASS_STATUS or status >= 500


def host_of(url: str) -> str:
    """The host whose turn is waited for; with www and without are one."""
    return urlsplit(canonical_url(url) or "").netloc


@dataclass(slots=True, eq=False)
class _Host:
    asked_at: datetime = EVER
    wait: timedelta = LEAST_WAIT
    rests_until: datetime = EVER

    def is_free(self, now: datetime) -> bool:
        return self.asked_at + self.wait <= now and self.rests_until <= now


@dataclass(frozen=True, slots=True)
class Rules:
    """What a robots.txt says to us about one address."""

    allowed: bool
    delay: timedelta


@dataclass(frozen=True, slots=True)
class _Robots:
    content: bytes
    until: datetime
    away: str = ""
    """Why it could not be read, if so; then nothing is fetched from its host."""


class Pages:
    """Reads pages, and remembers between them the robots.txt of each host and when it was last asked for a page."""

    def __init__(self, *, clock: Callable[[], datetime], reach: Reach, contact: str) -> None:
        self._clock, self._reach, self._contact = clock, reach, contact
        self._hosts: dict[str, _Host] = {}
        self._robots: dict[str, _Robots] = {}
        self._leads_to: dict[str, str] = {}
        """Where pages lie whose host's turn had not come when a redirect led there."""

    def note_visit(self, url: str, at: datetime) -> None:
        """A page was asked for at `at`, by us, before we began to remember."""
        host = self._host(url)
        host.asked_at = max(host.asked_at, at)

    def turn(self, url: str) -> str | None:
        """The host that would be asked for this page; None if it is to be left alone for now."""
        target = self._leads_to.get(url, url)
        return host_of(target) if self._host(target).is_free(self._clock()) else None

    async def text(self, url: str, parsers: Parsers) -> str:
        """The text of the page, at most TEXT_CHARACTERS, one line a paragraph.

        Raises: FeedError. Kinds: those of fetch, and refused_by_robots, robots_away (its robots.txt cannot be read),
        no_text, unreadable; not_yet where a redirect led to a host whose turn has not come: nothing was asked there.
        """
        host: _Host | None = None
        met: list[_Host] = []

        async def permit(address: str) -> None:
            nonlocal host
            host = self._host(address)
            rules = await self._rules(address, parsers)
            host.wait = max(LEAST_WAIT, rules.delay)
            if not rules.allowed:
                raise FeedError("refused_by_robots", "The robots.txt of its host does not allow the page.")
            if host not in met:
                if not host.is_free(self._clock()):
                    self._leads_to[url] = address
                    raise FeedError("not_yet", "The turn of its host has not come.")
                met.append(host)
                host.asked_at = self._clock()

        try:
            async with Http(self._contact, self._reach, connections=1, accept=ACCEPT) as http:
                answer = await fetch(http, self._leads_to.pop(url, url), permit=permit)
        except FeedError as error:
            if host is not None and may_pass(error):
                host.rests_until = self._clock() + (error.retry_after or REST)
            raise
        finally:
            for one in met:
                one.asked_at = self._clock()
        if answer.reserved:
            raise _reserved()
        return await parsers.run("page", extract, answer.content or b"", content_type=answer.content_type)

    def _host(self, url: str) -> _Host:
        return self._hosts.setdefault(host_of(url), _Host())

    async def _rules(self, url: str, parsers: Parsers) -> Rules:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        kept = self._robots.get(origin)
        try:
            if kept is None or kept.until <= self._clock():
                content = await self._read_robots(origin)
                kept = self._robots[origin] = _Robots(content, self._clock() + ROBOTS_KEPT)
            if not kept.away:
                return await parsers.run("robots.txt", rules_for, kept.content, url)
        except FeedError as error:
            away = f"The robots.txt of its host cannot be read, so no page is: {error}"
            kept = self._robots[origin] = _Robots(b"", self._clock() + (error.retry_after or REST), away)
        raise FeedError("robots_away", kept.away, retry_after=kept.until - self._clock())

    async def _read_robots(self, origin: str) -> bytes:
        """Nothing where there is none, so that all is allowed. Raises: FeedError if there may be one."""
        try:
            async with Http(self._contact, self._reach, connections=1, accept="text/plain, */*;q=0.1") as http:
                return ((await fetch(http, f"{origin}/robots.txt")).content or b"")[:ROBOTS_BYTES]
        except FeedError as error:
            if 400 <= (error.status or 0) < 500 and not may_pass(error):
                return b""
            raise


def rules_for(robots: bytes, url: str) -> Rules:
    """What this robots.txt says to us about the address."""
    from protego import Protego

    told = Protego.parse(robots.decode("utf-8-sig", errors="replace"))
    delay = min(told.crawl_delay(PRODUCT) or 0.0, LONGEST_WAIT.total_seconds())
    return Rules(told.can_fetch(url, PRODUCT), timedelta(seconds=delay))


def extract(content: bytes, *, content_type: str) -> str:
    """The main text of a page, without comments, tables and what surrounds it.

    Raises: FeedError (no_text; refused_by_robots where the page reserves text and data mining).
    """
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    if content_type and "html" not in content_type.lower():
        raise FeedError("no_text", f"The page is not HTML but {content_type[:80]}.")
    page = _decoded(content, content_type)
    if any(RESERVED.match(tag) for tag in META.findall(page[:HEAD_CHARACTERS])):
        raise _reserved()
    # as text: bytes it would try to decompress; with precision: else it digs out what the page does not show
    found = trafilatura.extract(page, include_comments=False, include_tables=False, favor_precision=True)
    text = folded(storable(found or ""))
    if len(text) < LEAST_CHARACTERS:
        raise FeedError("no_text", f"The page has no text of {LEAST_CHARACTERS} characters or more.")
    return text[:TEXT_CHARACTERS]


def _decoded(content: bytes, content_type: str) -> str:
    """By the character set that the header or the page names; else UTF-8; else what browsers take."""
    named = CHARSET.search(content_type) or CHARSET.search(content[:4096].decode("latin-1"))
    for name in (*([named[1]] if named else []), "utf-8-sig"):
        with suppress(LookupError, ValueError):
            return content.decode(name)
    return content.decode("cp1252", errors="replace")


def _reserved() -> FeedError:
    return FeedError("refused_by_robots", "The page reserves text and data mining (tdm-reservation).")
