"""Stand-ins that behave: articles made from a few words, a tagger that reads them, a server of feeds on loopback."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from models.found import FoundArticle
from models.tags import AssetScore, NarrativeScore, Span, Tagged, Text


def found_article(
    title: str,
    at: datetime,
    *,
    identity: str = "",
    outlet: str = "The Wire",
    summary: str = "",
    body: str = "",
    known_at: datetime | None = None,
    url: str | None = None,
) -> FoundArticle:
    return FoundArticle(
        identity=identity or f"{outlet}|{title}|{at.isoformat()}",
        outlet=outlet,
        title=title,
        summary=summary,
        body=body,
        url=url,
        language="en",
        origin="archive",
        event_at=at,
        known_at=known_at or at,
        knowledge="assumed",
    )


class FakeTagger:
    """Reads a title like "safe_haven+ XAU: whatever": narrative keys with + or - for direction, asset keys bare
    or with their tone, as in "BTC=-1"."""

    name = "fake@1"

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        for text in texts:
            title = text.fields.get("title", "")
            words = title.partition(":")[0].split() if ":" in title else []
            narratives = [word for word in words if word[-1] in "+-"]
            yield Tagged(
                text.id,
                tuple(_narrative(word, title) for word in narratives),
                tuple(_asset(word) for word in words if word not in narratives),
            )


def _asset(word: str) -> AssetScore:
    key, _, tone = word.partition("=")
    return AssetScore(key, float(tone) if tone else None, 1.0, ())


def _narrative(word: str, title: str) -> NarrativeScore:
    key = word[:-1]
    start = title.index(word)
    return NarrativeScore(
        narrative=key,
        score=0.9,
        label=True,
        direction=1 if word[-1] == "+" else -1,
        modality="actual" if key == "liquidity" else None,
        evidence=(Span("title", start, start + len(key), key),),
    )


@dataclass
class Page:
    """What the server answers at one path. `before` runs first (to wait, or to count)."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], object] = lambda: None


class FeedServer:
    """Real HTTP on loopback. `pages` may be changed while it runs; `seen` holds (path, headers) of each request.

    A page under a path without its query answers every query.
    """

    def __init__(self, pages: dict[str, Page] | None = None) -> None:
        self.pages = pages or {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FeedServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, path: str) -> str:
        return f"{self.root}/{path}"


class _Handler(BaseHTTPRequestHandler):
    owner: FeedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.owner.seen.append((self.path, dict(self.headers)))
        path = self.path.lstrip("/")
        pages = self.owner.pages
        page = pages.get(path) or pages.get(path.partition("?")[0]) or Page(b"nothing here", 404)
        page.before()
        etag = page.headers.get("ETag")
        status, body = page.status, page.body
        if etag and self.headers.get("If-None-Match") == etag:
            status, body = 304, b""
        self.send_response(status)
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(ConnectionError):  # the client may have been killed
            self.wfile.write(body)


def rss(*titles: str, day: int = 20, site: str = "example.org") -> bytes:
    """An RSS feed of ours: one item a title, an hour apart on one day of November 2026."""
    items = "".join(
        f"<item><title>{title}</title><link>https://{site}/{day}/{number}</link>"
        f"<pubDate>Fri, {day} Nov 2026 {number % 24:02d}:00:00 GMT</pubDate>"
        f"<description>About {title}.</description></item>"
        for number, title in enumerate(titles)
    )
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>A wire</title>{items}</channel></rss>'.encode()


def hear_ctrl_c() -> None:
    """For a process about to start: hear SIGINT as at a terminal. One begun in the background would ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
