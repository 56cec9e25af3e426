"""Fetching one feed politely: a conditional GET with limits, and every way to fail under a name.

Does not: parse, store, or decide when to come again.
"""

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from models.errors import FeedError

MAX_BYTES = 20 * 1024 * 1024
"""Of one answer, decompressed."""
TOTAL_SECONDS = 60.0
CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0
MAX_REDIRECTS = 5
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


def client(contact: str = "") -> httpx.AsyncClient:
    about = f"; +{contact}" if contact else ""
    return httpx.AsyncClient(
        headers={"User-Agent": f"Storyshift/0.1 (feed reader{about})", "Accept": ACCEPT},
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        follow_redirects=True,
        max_redirects=MAX_REDIRECTS,
    )


async def fetch(http: httpx.AsyncClient, url: str, *, etag: str | None, last_modified: str | None) -> Answer:
    """Raises: FeedError (timeout, unreachable, http_status, too_large, bad_address, broken_answer)."""
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
    if response.status_code != 304 and not response.is_success:
        raise FeedError(
            "http_status",
            f"The server answered {response.status_code} {response.reason_phrase}.".replace(" .", "."),
            response.status_code,
        )
    content = bytearray()
    if response.status_code != 304:
        async for part in response.aiter_bytes():
            content += part
            if len(content) > MAX_BYTES:
                raise FeedError("too_large", f"The feed is larger than {MAX_BYTES // 2**20} MiB.", response.status_code)
    return Answer(
        status=response.status_code,
        content=None if response.status_code == 304 else bytes(content),
        content_type=response.headers.get("content-type", ""),
        etag=_sendable(response.headers.get("etag")),
        last_modified=_sendable(response.headers.get("last-modified")),
        url=str(response.url),
    )


def _sendable(value: str | None) -> str | None:
    """A validator that can be sent back as it came; others are forgotten, and the feed is fetched whole."""
    return value if value and value.isascii() and value.isprintable() else None
