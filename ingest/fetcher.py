"""Fetching one feed politely: a conditional GET with limits, and every way to fail under a name.

Where it may connect to is decided in guard.py. Does not: parse, store, or decide when to come again.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx

from ingest import pace
from ingest.decoding import TooLarge, decoded
from ingest.guard import GuardedTransport, Reach
from models.errors import FeedError

MAX_BYTES = 20 * 1024 * 1024
"""Of one answer, decompressed."""
TOTAL_SECONDS = 60.0
CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
MAX_REDIRECTS = 5
PERMANENT = (301, 308)
ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. `content` is None where nothing changed since last time (304)."""

    status: int
    content: bytes | None
    content_type: str
    etag: str | None
    last_modified: str | None
    url: str
    """Where it was found in the end, redirects followed."""
    moved: bool = False
    """Whether every redirect on the way there said that it is for good."""
    floor: timedelta = timedelta(0)
    """How long the answer is fresh, by its caching headers."""


def client(contact: str, reach: Reach, *, connections: int = 16) -> httpx.AsyncClient:
    about = f"; +{contact}" if contact else ""
    return httpx.AsyncClient(
        headers={"User-Agent": f"Storyshift/0.1 (feed reader{about})", "Accept": ACCEPT},
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None),
        transport=GuardedTransport(reach, connections=connections),
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
    )


async def fetch(http: httpx.AsyncClient, url: str, *, etag: str | None, last_modified: str | None) -> Answer:
    """Raises: FeedError.

    Kinds: timeout, unreachable, http_status, gone, too_large, bad_address, forbidden_address, broken_answer.
    """
    try:
        urlsplit(url).port  # noqa: B018 - raises where it is no port
    except ValueError as error:
        raise FeedError("bad_address", f"The address cannot be fetched: {error}") from None
    headers = {"If-None-Match": etag} if etag else {}
    if last_modified:
        headers["If-Modified-Since"] = last_modified
    try:
        async with asyncio.timeout(TOTAL_SECONDS), http.stream("GET", url, headers=headers) as response:
            return await _read(response)
    except TimeoutError:
        raise FeedError("timeout", f"The server did not finish within {TOTAL_SECONDS:.0f} s.") from None
    except httpx.TimeoutException:
        raise FeedError("timeout", f"The server did not answer within {READ_SECONDS:.0f} s.") from None
    except httpx.TooManyRedirects:
        raise FeedError("bad_address", f"The server redirects more than {MAX_REDIRECTS} times.") from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError) as error:
        raise FeedError("bad_address", f"The address cannot be fetched: {error}") from None
    except httpx.ConnectError as error:
        hint = "its certificate is not trusted" if "certificate" in str(error).lower() else "nothing answers there"
        raise FeedError("unreachable", f"The server cannot be reached: {hint} ({error}).") from None
    except httpx.HTTPError as error:
        raise FeedError("broken_answer", f"The server's answer broke off ({type(error).__name__}: {error}).") from None


async def _read(response: httpx.Response) -> Answer:
    now = datetime.now(UTC)  # as the server means it, whatever our clock: floors are spans
    if response.status_code != 304 and not response.is_success:
        said = f"The server answered {response.status_code} {response.reason_phrase}.".replace(" .", ".")
        if response.status_code == 410:
            raise FeedError("gone", f"{said} The feed is gone for good.", 410)
        again = pace.retry_after(response.headers.get("retry-after", ""), now=now)
        raise FeedError("http_status", said, response.status_code, again)
    return Answer(
        status=response.status_code,
        content=None if response.status_code == 304 else await _content(response),
        content_type=response.headers.get("content-type", ""),
        etag=_sendable(response.headers.get("etag")),
        last_modified=_sendable(response.headers.get("last-modified")),
        url=str(response.url),
        moved=bool(response.history) and all(step.status_code in PERMANENT for step in response.history),
        floor=pace.http_floor(dict(response.headers), now=now),
    )


async def _content(response: httpx.Response) -> bytes:
    """The body, decompressed, within the limit on both sides of that."""
    too_large = FeedError("too_large", f"The feed is larger than {MAX_BYTES // 2**20} MiB.", response.status_code)
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) > MAX_BYTES:
            raise too_large
    encoding = response.headers.get("content-encoding", "")
    if not encoding or not body:
        return bytes(body)
    try:
        return await asyncio.to_thread(decoded, bytes(body), encoding, limit=MAX_BYTES)
    except TooLarge:
        raise too_large from None
    except ValueError as error:
        raise FeedError("broken_answer", f"The server's answer {error}.", response.status_code) from None


def _sendable(value: str | None) -> str | None:
    """A validator that can be sent back as it came; others are forgotten, and the feed is fetched whole."""
    return value if value and value.isascii() and value.isprintable() else None
