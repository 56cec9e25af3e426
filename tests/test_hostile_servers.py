"""Servers that send too much, too little or nonsense, or lead astray: each visit ends within its cap, and says why.

One row a server: what it sends over a raw socket at 127.0.0.2, the only address that may be reached, and the kind and
words of the failure; no kind where what it sends is harmless, and is read. The limits are made small.
"""

import base64
import gzip
import logging
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import ip_network
from time import perf_counter, sleep

import brotli
import pytest
import zstandard
from fakes import rss
from sqlmodel import select

from ingest import fetcher, processes
from ingest.guard import Reach
from ingest.processes import Parsers
from jobs.collect import collect
from models.articles import Revision
from models.database import Database
from models.feeds import Feed, Fetch
from services.sources import add_feed

HOST = "127.0.0.2"
ONLY_HOST = Reach((ip_network(f"{HOST}/32"),))
TOTAL_SECONDS, READ_SECONDS, PARSE_SECONDS, MAX_BYTES = 0.6, 0.3, 10.0, 1_000_000
ENDS_WITHIN = 10.0
"""Seconds, however slow the machine; servers without an end go on for longer."""
GOES_ON = 30.0
Answer = bytes | Callable[[socket.socket], Iterator[bytes]]
FEED = rss("Gold rises")


class RawServer:
    """Sends what `answers` holds for a path, byte by byte, then closes. `asked` are the paths that were asked for."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers, self.asked = answers, list[str]()
        self._listening = socket.create_server((HOST, 0))
        self.port = self._listening.getsockname()[1]
        self._ends = perf_counter() + GOES_ON

    def __enter__(self) -> "RawServer":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = 0.0
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=self._listening.accept()[:1], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # whoever asked has left
            request = connection.recv(65_536)
            path = request.split(b" ")[1].decode() if request.startswith(b"GET") else "/feed"
            self.asked.append(path)
            answer = self.answers.get(path, b"HTTP/1.1 404 Not Found\r\n\r\n")
            for part in [answer] if isinstance(answer, bytes) else answer(connection):
                if perf_counter() > self._ends:
                    break
                connection.sendall(part.replace(b"PORT!", str(self.port).encode()))  # as long as a port is


def http(body: bytes = b"", *headers: str, status: str = "200 OK", version: str = "HTTP/1.1") -> bytes:
    """A whole answer; its length is told unless a header does."""
    told = [*headers] if "length" in str(headers).lower() else [f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([f"{version} {status}", *told, "", ""]).encode("latin-1") + body


def to(location: str) -> bytes:
    return http(b"", f"Location: {location}", status="302 Found")


def packed(body: bytes, encoding: str) -> bytes:
    return http(body, f"Content-Encoding: {encoding}")


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> Callable[[socket.socket], Iterator[bytes]]:
    def parts(_: socket.socket) -> Iterator[bytes]:
        yield head
        while True:
            sleep(pause)
            yield piece

    return parts


def reset(connection: socket.socket) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<rss"
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def xml(inside: str, doctype: str = "", encoding: str = "utf-8") -> str:
    """A feed with one entry."""
    entry = f"<item><title>Gold {inside}</title><guid>1</guid></item>"
    head = f'<?xml version="1.0" encoding="{encoding}"?>{doctype}'
    return f'{head}<rss version="2.0"><channel><title>W</title>{entry}</channel></rss>'


ZEROS = b"\0" * 10_000_000
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
LAUGHS = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
CAPTCHA = b"<!doctype html><html><body>Are you a robot?</body></html>"

NEVER_ENDING: dict[str, tuple[Answer, str | None, str]] = {
    "a body without end": (endless(OK + b"\r\n", b"x" * 4096), "too_large", "is larger than"),
    "a body of a byte now and then": (endless(OK + b"\r\n", b"x", 0.1), "timeout", "did not finish within"),
    "headers of a byte now and then": (endless(OK + b"X: ", b"x", 0.1), "timeout", "did not finish within"),
    "no word at all": (endless(b"", b"", 0.05), "timeout", "did not answer within"),
    "a body that stops": (endless(OK + b"Content-Length: 99\r\n\r\n<rss", b"", 0.05), "timeout", "did not answer"),
    "headers without end": (endless(OK, b"X-Filler: y\r\n" * 100), "broken_answer", "broke off"),
    "a status line without end": (endless(b"HTTP/1.1 200 ", b"x" * 1000), "broken_answer", "broke off"),
    "interim answers without end": (
        endless(b"", b"HTTP/1.1 103 Wait\r\n\r\n" * 99),
        "timeout",
        "did not finish within",
    ),
    "chunks without end": (endless(CHUNKED, b"400\r\n" + b"x" * 1024 + b"\r\n"), "too_large", "is larger than"),
    "one chunk without end": (endless(CHUNKED + b"FFFFFFFFFF\r\n", b"x" * 4096), "too_large", "is larger than"),
    "trailers without end": (endless(CHUNKED + b"0\r\n", b"X: y\r\n" * 100), "broken_answer", "broke off"),
    "a redirect with a body without end": (endless(to("/feed"), b"x" * 4096), "bad_address", "redirects more than 5"),
}
LENGTHS: dict[str, tuple[Answer, str | None, str]] = {
    "a header of a megabyte": (http(FEED, "X: " + "y" * 2**20), "broken_answer", "broke off"),
    "ten thousand headers": (http(FEED, *(f"X-Filler-{n}: y" for n in range(10_000))), "broken_answer", "broke off"),
    "as many headers as are let in": (http(FEED, *(f"{n:x}:" for n in range(18_000))), None, ""),
    "a reason of 60 kB": (http(b"", status="500 " + "x" * 60_000), "http_status", "answered 500 xxx"),
    "a negative length": (http(FEED, "Content-Length: -1"), "broken_answer", "broke off"),
    "a length in words": (http(FEED, "Content-Length: ten"), "broken_answer", "broke off"),
    "a length of forty digits": (http(FEED, "Content-Length: " + "9" * 40), "broken_answer", "broke off"),
    "a length never reached": (http(FEED, "Content-Length: 99999999999"), "broken_answer", "broke off"),
    "a length that is too short": (http(FEED, "Content-Length: 10"), "not_a_feed", "is not RSS"),
    "two lengths": (http(FEED, "Content-Length: 10", "Content-Length: 20"), "broken_answer", "broke off"),
    "a chunk of no number": (CHUNKED + b"zz\r\n<rss/>\r\n0\r\n\r\n", "broken_answer", "broke off"),
    "a chunk of a negative size": (CHUNKED + b"-5\r\n<rss/>\r\n0\r\n\r\n", "broken_answer", "broke off"),
    "a chunk of forty digits": (CHUNKED + b"F" * 40 + b"\r\n<rss/>", "broken_answer", "broke off"),
    "a chunk longer than its size": (CHUNKED + b"2\r\n<rss/>\r\n0\r\n\r\n", "broken_answer", "broke off"),
    "a chunk that breaks off": (CHUNKED + b"FF\r\n<rss", "broken_answer", "broke off"),
    "a transfer encoding of its own": (OK + b"Transfer-Encoding: gzip\r\n\r\n", "broken_answer", "broke off"),
    "a close at once": (b"", "broken_answer", "broke off"),
    "a close in the headers": (b"HTTP/1.1 200 OK\r\nContent-Le", "broken_answer", "broke off"),
    "a reset in the body": (reset, "broken_answer", "broke off"),
}
ENCODINGS: dict[str, tuple[Answer, str | None, str]] = {
    "a bomb of gzip": (packed(gzip.compress(ZEROS), "gzip"), "too_large", "is larger than"),
    "a bomb of deflate": (packed(zlib.compress(ZEROS), "deflate"), "too_large", "is larger than"),
    "a bomb of brotli": (packed(brotli.compress(ZEROS, quality=5), "br"), "too_large", "is larger than"),
    "a bomb of zstd": (packed(zstandard.compress(ZEROS), "zstd"), "too_large", "is larger than"),
    "a bomb in a bomb": (packed(gzip.compress(gzip.compress(ZEROS)), "gzip, gzip"), "too_large", "is larger than"),
    "gzip that breaks off": (packed(gzip.compress(FEED)[:-20], "gzip"), "broken_answer", "breaks off inside"),
    "gzip twice, told once": (packed(gzip.compress(gzip.compress(FEED)), "gzip"), "not_a_feed", "is not RSS"),
    "gzip that is none": (packed(FEED, "gzip"), "broken_answer", "is not compressed as it says"),
    "an unknown encoding": (packed(FEED, "rot13"), "broken_answer", "is encoded as 'rot13'"),
    "gzip five thousand times": (packed(FEED, "gzip," * 5000), "broken_answer", "is not compressed as it says"),
}
REDIRECTS: dict[str, tuple[Answer, str | None, str]] = {
    "a redirect in a circle": (to("/feed"), "bad_address", "redirects more than 5"),
    "a redirect without a place": (http(status="302 Found"), "http_status", "302"),
    "a redirect to half an address": (to("http://[::1"), "bad_address", "cannot be fetched"),
    "a redirect to a port that is none": (to(f"http://{HOST}:99999/"), "bad_address", "cannot be fetched"),
    "a redirect to octal numbers": (to("http://0177.0.0.1/secret"), "bad_address", "cannot be fetched"),
    **{
        f"a redirect to {place.partition(':')[0]}:": (to(place), "bad_address", "cannot be fetched")
        for place in ("file:///etc/passwd", "ftp://example.org/", "gopher://example.org/", "javascript:alert(1)")
    },
    **{
        f"a redirect to {host}": (to(f"http://{host}:PORT!/secret"), "forbidden_address", "is not a public address")
        for host in (
            *("localhost", "127.0.0.1", "2130706433", "0x7f000001", "127.1", "0.0.0.0", "0"),
            *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "me:secret@169.254.169.254"),
            *("169.254.169.254", "10.0.0.1", "192.168.0.1", "100.64.0.1", "[fe80::1]", "[fd00::1]", "224.0.0.1"),
        )
    },
}
STATUSES: dict[str, tuple[Answer, str | None, str]] = {
    "a captcha": (http(CAPTCHA, "Content-Type: text/html"), "html", "HTML page"),
    "200 and nothing": (http(), "empty", "empty body"),
    "204": (OK.replace(b"200 OK", b"204 No Content") + b"\r\n", "empty", "empty body"),
    "206, a part": (http(FEED[:300], status="206 Partial Content"), None, ""),
    "304 without a question": (http(status="304 Not Modified"), "broken_answer", "nothing is new"),
    **{
        str(status): (http(FEED, status=f"{status} Said"), "http_status", f"answered {status}")
        for status in (300, 401, 403, 407, 418, 429, 451, 503, 999)
    },
    "410": (http(FEED, status="410 Gone"), "gone", "gone for good"),
    "500, come again in 9999": (
        http(b"", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", status="500 Never"),
        *("http_status", "answered 500"),
    ),
    "101": (http(b"", "Upgrade: h2c", status="101 Switching Protocols"), "broken_answer", "broke off"),
    "a status of zeros": (http(FEED, status="000 Nothing"), "broken_answer", "broke off"),
}
BODIES: dict[str, tuple[Answer, str | None, str]] = {
    "noise": (http(bytes(range(1, 256)) * 99), "not_a_feed", "is not RSS"),
    "null bytes": (http(bytes(1_000)), "not_a_feed", "is not RSS"),
    "a picture": (http(base64.b64decode("iVBORw0KGgoAAAANSUhEUg==")), "not_a_feed", "is not RSS"),
    "a billion laughs": (
        http(xml("&e11;", f'<!DOCTYPE rss [<!ENTITY e0 "lol">{LAUGHS}]>').encode()),
        *(None, ""),
    ),
    "an entity that is squared": (
        http(xml("&e;" * 50_000, f'<!DOCTYPE rss [<!ENTITY e "{"x" * 50_000}">]>').encode()),
        *(None, ""),
    ),
    "our files as an entity": (
        http(xml("&e;", '<!DOCTYPE rss [<!ENTITY e SYSTEM "file:///etc/passwd">]>').encode()),
        *(None, ""),
    ),
    "an address as an entity": (
        http(xml("&e;", f'<!DOCTYPE rss [<!ENTITY e SYSTEM "http://{HOST}:PORT!/secret">]>').encode()),
        *(None, ""),
    ),
    "entities from an address": (
        http(xml("&e;", f'<!DOCTYPE rss SYSTEM "http://{HOST}:PORT!/secret">').encode()),
        *(None, ""),
    ),
    "tags a hundred thousand deep": (http(xml("<a>" * 100_000 + "</a>" * 100_000).encode()), None, ""),
    "a tag of 100 kB": (http(xml(f"<a b='{'x' * 100_000}'/>").encode()), "unreadable", "has a tag of"),
    "lists a hundred thousand deep": (http(b'{"items": ' + b"[" * 100_000), "unreadable", "JSON cannot be read"),
    "a number of 100,000 digits": (http(b'{"items": [' + b"9" * 100_000 + b"]}"), "unreadable", "JSON cannot be read"),
    "more entries than are kept": (http(rss(*(f"Gold {n}" for n in range(2_100)))), None, ""),
    "UTF-16 told as UTF-8": (
        http(xml("rises").encode("utf-16"), "Content-Type: a/b; charset=utf-8"),
        "not_a_feed",
        "is not RSS",
    ),
    "UTF-32 without a mark": (http(xml("rises", encoding="ascii").encode("utf-32-le")), "not_a_feed", "is not RSS"),
    "UTF-7": (http(xml("+ADw-b+AD4-", encoding="utf-7").encode()), None, ""),
    "an encoding that is none": (http(xml("rises", encoding="hex").encode()), None, ""),
}
PROTOCOLS: dict[str, tuple[Answer, str | None, str]] = {
    "TLS": (b"\x15\x03\x01\x00\x02\x02\x46", "broken_answer", "broke off"),
    "HTTP/0.9": (FEED, "broken_answer", "broke off"),
    "HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18), "broken_answer", "broke off"),
    "a version to come": (http(FEED, version="HTTP/3.0"), None, ""),
    "a radio": (http(FEED, version="ICY"), "broken_answer", "broke off"),
    "another server": (b"SSH-2.0-OpenSSH_9.2\r\n", "broken_answer", "broke off"),
    "a null byte in a header": (http(FEED, "X: a\0b"), "broken_answer", "broke off"),
    "commands in a charset": (http(b"<p/>", "Content-Type: text/xml; charset=\x1b[31m"), "not_a_feed", "is not RSS"),
    "a header without a name": (http(FEED, ": y"), "broken_answer", "broke off"),
    "a header without a colon": (http(FEED, "y"), "broken_answer", "broke off"),
    "a terminal's commands": (http(FEED, status="500 \x1b[31mred"), "http_status", "answered 500"),
    "commands of eight bits": (http(FEED, status="500 \x9b31mred"), "http_status", "answered 500"),
    "an ETag of eight bits": (http(FEED, "ETag: \xe9"), None, ""),
    "a second answer": (http(FEED) + http(CAPTCHA), None, ""),
}
SERVERS = NEVER_ENDING | LENGTHS | ENCODINGS | REDIRECTS | STATUSES | BODIES | PROTOCOLS


@pytest.fixture(scope="module")
def parsers() -> Iterator[Parsers]:
    with Parsers() as running:
        yield running


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "MAX_BYTES", MAX_BYTES)
    monkeypatch.setattr(processes, "PARSE_SECONDS", PARSE_SECONDS)


def visit(url: str, sqlite_url: str, parsers: Parsers, now: datetime) -> tuple[Feed, list[str], float]:
    """The feed after a visit, the titles that are stored, and the seconds it took."""
    database = Database(sqlite_url)
    with database.write() as session:
        add_feed(session, url, outlet="", kind="general", language="en", now=now)
    began = perf_counter()
    collect(database, clock=lambda: now, every=True, reach=ONLY_HOST, parsers=parsers)
    seconds = perf_counter() - began
    with database.read() as session:
        feed, record = session.exec(select(Feed)).one(), session.exec(select(Fetch)).one()
        titles = [revision.title for revision in session.exec(select(Revision))]
    database.close()
    assert record.error == feed.last_error
    return feed, titles, seconds


def failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [told for name, _, told in caplog.record_tuples if name == "storyshift.collect" and "failed" in told]


@pytest.mark.parametrize("name", SERVERS)
def test_a_hostile_server_is_refused_or_bounded_and_named_in_the_log(
    name: str,
    sqlite_url: str,
    parsers: Parsers,
    now: datetime,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO, "storyshift.collect")
    answer, kind, words = SERVERS[name]
    if kind == "timeout":  # the others end by themselves, however slow the machine
        monkeypatch.setattr(fetcher, "TOTAL_SECONDS", TOTAL_SECONDS)
        monkeypatch.setattr(fetcher, "READ_SECONDS", READ_SECONDS)
    with RawServer({"/feed": answer}) as server:
        url = f"http://{HOST}:{server.port}/feed"
        feed, titles, seconds = visit(url, sqlite_url, parsers, now)
    assert seconds < ENDS_WITHIN
    assert "/secret" not in server.asked
    assert not any("root:" in title or len(title) > 1_000 for title in titles)
    assert feed.next_fetch_at <= now + timedelta(days=1)
    if kind is None:
        assert feed.last_error is None
        assert failures(caplog) == []
        return
    assert words in (feed.last_error or "")
    assert feed.last_error.isprintable()
    assert len(feed.last_error) < 1_000
    assert titles == []
    assert failures(caplog) == [f"failed url={url} kind={kind} reason={feed.last_error}"]
