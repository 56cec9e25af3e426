"""Fetching over real HTTP on loopback: conditional, limited, and every failure under a name."""

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from fakes import FeedServer, Page, rss

from ingest import fetcher, guard
from ingest.fetcher import Answer, Http, fetch
from ingest.guard import Reach
from models.errors import FeedError

BODY = rss("Gold rises")


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer() as running:
        yield running


def get(url: str, *, etag: str | None = None, last_modified: str | None = None, contact: str = "") -> Answer:
    async def once() -> Answer:
        async with Http(contact, Reach(everything=True)) as http:
            return await fetch(http, url, etag=etag, last_modified=last_modified)

    return asyncio.run(once())


def failure(url: str, **conditions: str) -> FeedError:
    with pytest.raises(FeedError) as caught:
        get(url, **conditions)
    return caught.value


def test_a_feed_is_fetched_with_what_tells_whether_it_changes(server: FeedServer) -> None:
    since = "Fri, 20 Nov 2026 10:00:00 GMT"
    server.pages["feed"] = Page(BODY, headers={"ETag": '"v1"', "Last-Modified": since, "Content-Type": "text/xml"})
    assert get(server.url("feed")) == Answer(200, BODY, "text/xml", '"v1"', since, server.url("feed"))


def test_what_the_server_does_not_say_is_none_and_not_sent_back(server: FeedServer) -> None:
    server.pages["feed"] = Page(BODY)
    answer = get(server.url("feed"))
    assert (answer.etag, answer.last_modified) == (None, None)
    assert not {"If-None-Match", "If-Modified-Since"} & set(server.seen[0][1])


def test_an_unchanged_feed_is_not_sent_again(server: FeedServer) -> None:
    server.pages["feed"] = Page(BODY, headers={"ETag": '"v1"'})
    answer = get(server.url("feed"), etag='"v1"')
    assert (answer.status, answer.content, answer.etag) == (304, None, '"v1"')


def test_the_date_of_the_last_change_is_sent_back_as_it_came(server: FeedServer) -> None:
    server.pages["feed"] = Page(status=304)
    answer = get(server.url("feed"), last_modified="Fri, 20 Nov 2026 10:00:00 GMT")
    assert server.seen[0][1]["If-Modified-Since"] == "Fri, 20 Nov 2026 10:00:00 GMT"
    assert (answer.status, answer.content) == (304, None)


def test_an_etag_that_is_not_ascii_does_not_lock_the_feed_out(server: FeedServer) -> None:
    server.pages["feed"] = Page(BODY, headers={"ETag": '"é"'})
    first = get(server.url("feed"))
    assert get(server.url("feed"), etag=first.etag).status in (200, 304)


@pytest.mark.parametrize(("contact", "sign"), [("", "feed reader)"), ("me@example.org", "+me@example.org)")])
def test_the_user_agent_says_who_asks_and_whom_to_write_to(server: FeedServer, contact: str, sign: str) -> None:
    server.pages["feed"] = Page(BODY)
    get(server.url("feed"), contact=contact)
    agent = server.seen[0][1]["User-Agent"]
    assert agent.startswith("Storyshift/")
    assert agent.endswith(sign)


def test_a_compressed_feed_is_unpacked(server: FeedServer) -> None:
    server.pages["feed"] = Page(gzip.compress(BODY), headers={"Content-Encoding": "gzip"})
    assert get(server.url("feed")).content == BODY


@pytest.mark.parametrize(("status", "words"), [(404, "404 Not Found"), (500, "500 Internal"), (429, "429")])
def test_an_http_error_carries_its_status(server: FeedServer, status: int, words: str) -> None:
    server.pages["feed"] = Page(b"<rss/>", status)
    error = failure(server.url("feed"))
    assert (error.kind, error.status) == ("http_status", status)
    assert words in str(error)


def test_a_redirect_is_followed_and_its_end_remembered(server: FeedServer) -> None:
    server.pages = {"old": Page(status=301, headers={"Location": "/new"}), "new": Page(BODY)}
    answer = get(server.url("old"))
    assert (answer.content, answer.url) == (BODY, server.url("new"))


def test_a_redirect_in_a_circle_ends(server: FeedServer) -> None:
    server.pages["feed"] = Page(status=302, headers={"Location": "/feed"})
    assert failure(server.url("feed")).kind == "bad_address"
    assert len(server.seen) == fetcher.MAX_REDIRECTS + 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.org/", "mailto:me@example.org"])
def test_a_redirect_cannot_leave_the_web(server: FeedServer, target: str) -> None:
    server.pages["feed"] = Page(status=302, headers={"Location": target})
    assert failure(server.url("feed")).kind == "bad_address"


def test_a_redirect_to_nowhere_is_an_http_error(server: FeedServer) -> None:
    server.pages["feed"] = Page(status=302)
    assert failure(server.url("feed")).status == 302


@pytest.mark.parametrize("packed", [False, True])
def test_a_feed_that_is_too_large_is_refused_however_it_is_packed(
    server: FeedServer, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setattr(fetcher, "MAX_BYTES", 1_000)
    body = b"x" * 1_001
    server.pages = {
        "feed": Page(gzip.compress(body), headers={"Content-Encoding": "gzip"}) if packed else Page(body),
        "fits": Page(body[1:]),
    }
    assert failure(server.url("feed")).kind == "too_large"
    assert get(server.url("fits")).content == body[1:]


def test_a_server_that_takes_its_time_is_left(server: FeedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetcher, "TOTAL_SECONDS", 0.3)
    left = Event()
    server.pages["feed"] = Page(BODY, before=lambda: left.wait(10))
    error = failure(server.url("feed"))
    left.set()
    assert (error.kind, error.status) == ("timeout", None)


def test_a_body_that_is_not_what_it_claims_is_a_broken_answer(server: FeedServer) -> None:
    server.pages["feed"] = Page(b"not gzip", headers={"Content-Encoding": "gzip"})
    assert failure(server.url("feed")).kind == "broken_answer"


def test_where_nobody_listens_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}/feed")
    assert (error.kind, error.status) == ("unreachable", None)
    assert "nothing answers there" in str(error)


@pytest.mark.parametrize(
    "url",
    [
        *("", "feed", "ftp://example.org/", "file:///etc/passwd", "http://", "http://[::1"),
        *("http://127.0.0.1:99999/", "http://xn--/", "http://\u2603.\u00ad/", "http://127.0.0.1:1/\ud800"),
    ],
)
def test_what_is_no_web_address_is_a_bad_address(url: str) -> None:
    assert failure(url).kind == "bad_address"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes the certificate, is not installed")
def test_over_tls_a_feed_is_read_where_its_certificate_is_trusted_and_else_that_is_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    options = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        ["openssl", *options.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=30
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = FeedServer({"feed": Page(BODY)})
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    with server:
        address = server.url("feed").replace("http:", "https:")
        error = failure(address)
        monkeypatch.setattr(guard, "_trusted", lambda: ssl.create_default_context(cafile=str(certificate)))
        assert get(address).content == BODY
    assert error.kind == "unreachable"
    assert "its certificate is not trusted" in str(error)
