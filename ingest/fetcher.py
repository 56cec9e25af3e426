"""Fetching one feed or page politely: a conditional GET with limits, and every way to fail under a name.

Where it may connect to is decided in guard.py. Does not: parse, store, or decide when to come again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from ingest import pace
from ingest.decoding import TooLarge, decoded
from ingest.guard import GuardedTransport, Reach
from models.errors import FeedError

PRODUCT = "Storyshift"
"""The name under which servers know us: in the User-Agent, and in robots.txt."""
MAX_BYTES = 20 * 1024 * 1024
"""Of one answer, decompressed."""
TOTAL_SECONDS = 60.0
CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
MAX_REDIRECTS = 5
PERMANENT = (301, 308)
ACCEPT = "application/rss+xml, application/atom+xml, application/feed+json, application/xml;q=0.9, */*;q=0.5"
LAST_PORT = 65_535
ACCEPT_ENCODING = "gzip, deflate, br, zstd"
Found = TypeVar("Found")
Permit = Callable[[str], Awaitable[None]]
"""Told each address before it is asked, those of redirects too; raises FeedError where it must not be."""


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
    reserved: bool = False
    """Whether its server reserves text and data mining (header tdm-reservation)."""


class Http:
    """The connections that fetches share, and what is sent with each: httpx without its client.

    Its cookies, logins and environment proxies are not wanted, and cost a quarter of a round in which nothing is new.
    """

    def __init__(self, contact: str, reach: Reach, *, connections: int = 16, accept: str = ACCEPT) -> None:
        about = f"; +{contact}" if contact else ""
        self._headers = {
            "User-Agent": f"{PRODUCT}/0.1 (feed reader{about})",
            "Accept": accept,
            "Accept-Encoding": ACCEPT_ENCODING,
            "Connection": "close",
        }
        self._times = {"timeout": httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None).as_dict()}
        self._transport = GuardedTransport(reach, connections=connections)

    async def __aenter__(self) -> "Http":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.aclose()

    async def get(self, url: httpx.URL | str, headers: dict[str, str]) -> httpx.Response:
        """The answer with its body unread, to be closed. Redirects are not followed. Raises: httpx.HTTPError."""
        request = httpx.Request("GET", url, headers=self._headers | headers, extensions=self._times)
        response = await self._transport.handle_async_request(request)
        response.request = request
        return response


async def fetch(
    http: Http,
    url: str,
    *,
    etag: str | None = None,
    last_modified: str | None = None,
    permit: Permit | None = None,
) -> Answer:
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
        async with asyncio.timeout(TOTAL_SECONDS) as limit:
            answer = await _follow(http, httpx.URL(url), headers, permit, limit)
    except TimeoutError:
        raise FeedError("timeout", f"The server did not finish within {TOTAL_SECONDS:.0f} s.") from None
    except httpx.TimeoutException:
        raise FeedError("timeout", f"The server did not answer within {READ_SECONDS:.0f} s.") from None
    except (httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError) as error:
        raise FeedError("bad_address", f"The address cannot be fetched: {error}") from None
    except httpx.ConnectError as error:
        hint = "its certificate is not trusted" if "certificate" in str(error).lower() else "nothing answers there"
        raise FeedError("unreachable", f"The server cannot be reached: {hint} ({error}).") from None
    except httpx.HTTPError as error:
        raise FeedError("broken_answer", f"The server's answer broke off ({type(error).__name__}: {error}).") from None
    if answer.content is None and not headers:
        raise FeedError(
            "broken_answer", "The server says that nothing is new (304), though it gave nothing before.", 304
        )
    return answer


async def or_error(work: Awaitable[Found]) -> Found | FeedError:
    """What the work found, or how it failed: whatever a server makes a library do, all others go on."""
    try:
        return await work
    except FeedError as error:
        return error
    except Exception as error:
        return FeedError("unexpected", f"{type(error).__name__}: {error}")


async def _follow(
    http: Http, url: httpx.URL, headers: dict[str, str], permit: Permit | None, limit: asyncio.Timeout
) -> Answer:
    """The answer at the end of the redirects. Their own bodies are not read: what is not read cannot grow."""
    moves: list[int] = []
    while len(moves) <= MAX_REDIRECTS:
        if url.scheme not in ("http", "https") or not url.host or (url.port or 0) > LAST_PORT:
            raise FeedError("bad_address", f"The address cannot be fetched: {str(url)[:200]!r} is none of the web.")
        if permit is not None:
            await _outside(limit, permit(str(url)))
        response = await http.get(url, headers)
        try:
            if not response.has_redirect_location:
                return await _read(response, moves)
        finally:
            await response.aclose()
        moves.append(response.status_code)
        url = url.join(response.headers["location"])
    raise FeedError("bad_address", f"The server redirects more than {MAX_REDIRECTS} times.")


async def _outside(limit: asyncio.Timeout, asking: Awaitable[None]) -> None:
    """Wait for an answer whose time is not the server's."""
    clock, ends = asyncio.get_running_loop().time, limit.when() or 0.0
    began = clock()
    limit.reschedule(None)
    await asking
    limit.reschedule(ends + clock() - began)


async def _read(response: httpx.Response, moves: list[int]) -> Answer:
    now = datetime.now(UTC)  # as the server means it, whatever our clock: floors are spans
    if response.status_code != 304 and not response.is_success:
        said = f"The server answered {response.status_code} {response.reason_phrase}.".replace(" .", ".")
        if response.status_code == 410:
            raise FeedError("gone", f"{said} It is gone for good.", 410)
        again = pace.retry_after(response.headers.get("retry-after", ""), now=now)
        raise FeedError("http_status", said, response.status_code, again)
    return Answer(
        status=response.status_code,
        content=None if response.status_code == 304 else await _content(response),
        content_type=response.headers.get("content-type", ""),
        etag=_sendable(response.headers.get("etag")),
        last_modified=_sendable(response.headers.get("last-modified")),
        url=str(response.url),
        moved=bool(moves) and all(status in PERMANENT for status in moves),
        floor=pace.http_floor(dict(response.headers.items()), now=now),
        reserved=response.headers.get("tdm-reservation", "").strip() == "1",
    )


async def _content(response: httpx.Response) -> bytes:
    """The body, decompressed, within the limit on both sides of that."""
    too_large = FeedError("too_large", f"The answer is larger than {MAX_BYTES // 2**20} MiB.", response.status_code)
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
