"""Serves the briefs on loopback as real feeds, RSS and Atom in turn: what was published by the replayed clock."""

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

from jobs.replay.briefs import Brief, briefs, outlets

ENTRIES = 30
"""The latest briefs that a feed shows, as a newsroom's feed would."""


class ReplayServer:
    """A context manager; `addresses` maps each outlet to its feed while it runs."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        handler = type("Handler", (_Handler,), {"clock": staticmethod(clock)})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        root = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.addresses = {outlet: f"{root}/{number}.xml" for number, outlet in enumerate(outlets())}

    def __enter__(self) -> "ReplayServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    clock: Callable[[], datetime]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        number = self.path.strip("/").removesuffix(".xml")
        if not number.isdecimal() or int(number) >= len(outlets()):
            self.send_error(404)
            return
        body = document(int(number), self.clock())
        etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        known = self.headers.get("If-None-Match") == etag
        self.send_response(304 if known else 200)
        self.send_header("ETag", etag)
        self.send_header("Content-Type", "application/xml; charset=utf-8")
        self.send_header("Content-Length", "0" if known else str(len(body)))
        self.end_headers()
        if not known:
            self.wfile.write(body)


def document(number: int, now: datetime) -> bytes:
    """The feed of one outlet as it stood at `now`."""
    outlet = outlets()[number]
    shown = [brief for brief in briefs() if brief.outlet == outlet and brief.published_at <= now][-ENTRIES:]
    build = _atom if number % 2 else _rss
    return ('<?xml version="1.0" encoding="utf-8"?>' + build(outlet, shown[::-1])).encode()


def _rss(outlet: str, shown: list[Brief]) -> str:
    items = "".join(
        f'<item><title>{escape(b.title)}</title><guid isPermaLink="false">urn:storyshift:{b.id}</guid>'
        f"<pubDate>{format_datetime(b.published_at)}</pubDate><description>{escape(b.summary)}</description></item>"
        for b in shown
    )
    about = f"<title>{escape(outlet)}</title><description>Briefs written for the replay</description>"
    return f'<rss version="2.0"><channel>{about}{items}</channel></rss>'


def _atom(outlet: str, shown: list[Brief]) -> str:
    entries = "".join(
        f"<entry><title>{escape(b.title)}</title><id>urn:storyshift:{b.id}</id><published>{b.published_at.isoformat()}</published>"
        f"<updated>{b.published_at.isoformat()}</updated><summary>{escape(b.summary)}</summary></entry>"
        for b in shown
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom"><title>{escape(outlet)}</title>{entries}</feed>'
