"""Reading pages over real HTTP on loopback: what their sites allow, in their own time, and only what is text."""

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from fakes import FeedServer, Page

from ingest import fetcher, fulltext, processes
from ingest.fulltext import Pages, extract, rules_for
from ingest.guard import Reach
from ingest.processes import Parsers
from models.errors import FeedError

SENTENCES = [
    f"On the {n}th morning of the talks the price of gold rose again, as dealers found few who would sell before the "
    "minister had spoken and the banks had shut their books for the quarter."
    for n in range(4, 9)
]
ARTICLE = f"""<!doctype html><html><head><title>Gold rises</title><script>var advert = 1;</script></head><body>
<nav><a href="/">Home</a> <a href="/markets">Markets</a> <a href="/silver">Silver soars in 1980</a></nav>
<article><h1>Gold rises as talks go on</h1>{"".join(f"<p>{sentence}</p>" for sentence in SENTENCES)}</article>
<section class="comments" id="comments"><h2>Comments</h2><p>A reader says that it is all worthless.</p></section>
<footer><p>Copyright. Terms of use. Privacy.</p></footer></body></html>"""
FOR_SEARCH_ENGINES = json.dumps({"@type": "NewsArticle", "articleBody": " ".join(SENTENCES)})
TEASER = f"""<html><head><script type="application/ld+json">{FOR_SEARCH_ENGINES}</script></head><body>
<article><h1>Gold rises</h1><p>{SENTENCES[0]}</p><p>Subscribe to read on.</p></article></body></html>"""
HTML = {"Content-Type": "text/html; charset=utf-8"}
TEXT = {"Content-Type": "text/plain"}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture(scope="module")
def parsers() -> Iterator[Parsers]:
    with Parsers() as started:
        yield started


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer({"a": Page(ARTICLE.encode(), headers=HTML)}) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pages(clock: Clock) -> Pages:
    return Pages(clock=clock, reach=Reach(everything=True), contact="")


def read(pages: Pages, url: str, parsers: Parsers) -> str:
    return asyncio.run(pages.text(url, parsers))


def failure(pages: Pages, url: str, parsers: Parsers) -> FeedError:
    with pytest.raises(FeedError) as caught:
        read(pages, url, parsers)
    return caught.value


def asked(server: FeedServer) -> list[str]:
    return [path for path, _ in server.seen]


# -- what a page says -------------------------------------------------------------------------------------------------


def test_a_page_is_its_paragraphs_and_nothing_around_them() -> None:
    text = extract(ARTICLE.encode(), content_type="text/html")
    assert [line for line in text.splitlines() if line in SENTENCES] == SENTENCES
    for other in ("Markets", "Silver", "advert", "worthless", "Privacy"):
        assert other not in text


@pytest.mark.parametrize(
    ("encoding", "content_type", "meta"),
    [
        ("utf-8", "text/html", ""),
        ("utf-8", "text/html; charset=nonsense", ""),
        ("latin-1", "text/html; charset=ISO-8859-1", ""),
        ("cp1252", "text/html", '<meta charset="windows-1252">'),
        ("cp1252", "text/html", ""),
        ("cp1251", "", '<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">'),
    ],
)
def test_a_page_is_read_in_the_characters_that_it_names(encoding: str, content_type: str, meta: str) -> None:
    said = "Золото растёт" if encoding == "cp1251" else "Die Bank über alles – naïve"
    said = said.encode(encoding, errors="replace").decode(encoding)
    page = ARTICLE.replace("<head>", f"<head>{meta}").replace("the price of gold", said)
    assert said in extract(page.encode(encoding), content_type=content_type)


@pytest.mark.parametrize(
    ("page", "content_type", "told"),
    [
        (b"", "text/html", "no text of 500 characters"),
        (b"<html><body><video src='a.mp4'></video><p>Watch this.</p></body></html>", "text/html", "no text of 500"),
        (ARTICLE.encode(), "application/pdf", "not HTML but application/pdf"),
        (gzip.compress(ARTICLE.encode()), "text/html", "no text of 500"),  # it is not what the server said that it is
        (b"\x00\xff\xfe" * 5_000, "", "no text of 500"),
        (TEASER.encode(), "text/html", "no text of 500"),  # what is not shown is not dug out
    ],
)
def test_a_page_without_text_says_so(page: bytes, content_type: str, told: str) -> None:
    with pytest.raises(FeedError, match=told) as caught:
        extract(page, content_type=content_type)
    assert caught.value.kind == "no_text"


def test_of_a_long_text_200_000_characters_are_kept() -> None:
    long = ARTICLE.replace(SENTENCES[0], f"{SENTENCES[0]} " * 2_000)
    assert len(extract(long.encode(), content_type="text/html")) == 200_000


def test_no_character_comes_through_that_cannot_be_stored() -> None:
    text = extract(ARTICLE.replace("gold", "go&#0;ld\x00&#xD800;").encode(), content_type="text/html")
    assert fulltext.storable(text) == text


@pytest.mark.parametrize(
    ("tag", "reserved"),
    [
        ('<meta name="tdm-reservation" content="1">', True),
        ("<META content='1' name='TDM-Reservation'/>", True),
        ('<meta name="tdm-reservation" content="0">', False),
        ('<meta name="description" content="1 tdm-reservation">', False),
    ],
)
def test_a_page_that_reserves_text_and_data_mining_is_not_read(tag: str, reserved: bool) -> None:
    page = ARTICLE.replace("<head>", f"<head>{tag}").encode()
    if not reserved:
        assert extract(page, content_type="text/html")
        return
    with pytest.raises(FeedError, match="reserves text and data mining") as caught:
        extract(page, content_type="text/html")
    assert caught.value.kind == "refused_by_robots"


def test_a_server_can_reserve_text_and_data_mining_too(pages: Pages, server: FeedServer, parsers: Parsers) -> None:
    server.pages["a"].headers = HTML | {"TDM-Reservation": "1"}
    assert failure(pages, server.url("a"), parsers).kind == "refused_by_robots"


# -- what a robots.txt says -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("robots", "path", "allowed"),
    [
        ("", "/news/1", True),
        ("User-agent: *\nDisallow:", "/news/1", True),
        ("User-agent: *\nDisallow: /", "/news/1", False),
        ("\ufeffUser-agent: *\nDisallow: /", "/news/1", False),
        ("User-agent: *\r\nDisallow: /news", "/news/1", False),
        ("User-agent: *\nDisallow: /news", "/markets/1", True),
        ("User-agent: *\nAllow: /\nDisallow: /news", "/news/1", False),  # the longest rule decides, not the first
        ("User-agent: *\nDisallow: /news\nAllow: /news/free", "/news/free/1", True),
        ("User-agent: *\nDisallow: /*/premium/", "/news/premium/1", False),
        ("User-agent: *\nDisallow: /*.html$", "/news/1.html", False),
        ("User-agent: *\nDisallow: /*.html$", "/news/1.html?page=2", True),
        ("User-agent: *\nDisallow: /*?print=", "/news/1?print=1", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: Storyshift\nAllow: /", "/news/1", True),
        ("User-agent: STORYSHIFT\nDisallow: /", "/news/1", False),
        ("User-agent: Googlebot\nDisallow: /", "/news/1", True),
        ("User-agent: Googlebot\nUser-agent: storyshift\nDisallow: /", "/news/1", False),
        ("<!doctype html><p>Disallow: nothing is here", "/news/1", True),
    ],
)
def test_robots_txt_is_read_as_rfc_9309_says(robots: str, path: str, allowed: bool) -> None:
    assert rules_for(robots.encode(), f"https://example.org{path}").allowed is allowed


@pytest.mark.parametrize(
    ("robots", "seconds"),
    [
        ("User-agent: *\nCrawl-delay: 60\nDisallow: /a", 60),
        ("User-agent: *\nCrawl-delay: 60\nUser-agent: Storyshift\nCrawl-delay: 2.5", 2.5),
        ("User-agent: *\nCrawl-delay: soon", 0),
        ("User-agent: *\nCrawl-delay: 1e300", 30 * 86_400),
        ("User-agent: bingbot\nCrawl-delay: 60", 0),
    ],
)
def test_the_crawl_delay_is_the_one_meant_for_us(robots: str, seconds: float) -> None:
    assert rules_for(robots.encode(), "https://example.org/b").delay == timedelta(seconds=seconds)


def test_what_robots_txt_disallows_is_not_asked_for(pages: Pages, server: FeedServer, parsers: Parsers) -> None:
    server.pages["robots.txt"] = Page(b"User-agent: Storyshift\nDisallow: /a", headers=TEXT)
    error = failure(pages, server.url("a"), parsers)
    assert error.kind == "refused_by_robots"
    assert asked(server) == ["/robots.txt"]
    assert server.seen[0][1]["User-Agent"].startswith("Storyshift/")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_without_a_robots_txt_all_is_allowed(pages: Pages, server: FeedServer, parsers: Parsers, status: int) -> None:
    server.pages["robots.txt"] = Page(b"Disallow: /", status)
    assert SENTENCES[0] in read(pages, server.url("a"), parsers)


@pytest.mark.parametrize("status", [500, 503, 429])
def test_where_robots_txt_cannot_be_read_now_nothing_is_asked_for_and_the_host_rests(
    pages: Pages, server: FeedServer, parsers: Parsers, clock: Clock, status: int
) -> None:
    server.pages["robots.txt"] = Page(b"", status)
    error = failure(pages, server.url("a"), parsers)
    assert (error.kind, fulltext.may_pass(error)) == ("robots_away", True)
    assert f"robots.txt of its host cannot be read, so no page is: The server answered {status}" in str(error)
    clock.forward(minutes=59)
    assert pages.turn(server.url("a")) is None
    assert failure(pages, server.url("a"), parsers).kind == "robots_away"
    assert asked(server) == ["/robots.txt"]
    del server.pages["robots.txt"]
    clock.forward(minutes=1)
    assert pages.turn(server.url("a"))
    assert read(pages, server.url("a"), parsers)


def test_where_nobody_listens_robots_txt_cannot_be_read(pages: Pages, parsers: Parsers) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    assert failure(pages, f"http://127.0.0.1:{port}/a", parsers).kind == "robots_away"


def test_a_robots_txt_that_keeps_its_reader_busy_is_one_that_cannot_be_read(
    pages: Pages, server: FeedServer, parsers: Parsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PARSE_SECONDS", 0.5)
    agents = "".join(f"User-agent: a{n}\n" for n in range(9_000))
    server.pages["robots.txt"] = Page((agents + "Disallow: /b\n" * 9_000).encode(), headers=TEXT)
    error = failure(pages, server.url("a"), parsers)
    assert error.kind == "robots_away"
    assert asked(server) == ["/robots.txt"]


def test_robots_txt_is_asked_for_once_a_day(pages: Pages, server: FeedServer, parsers: Parsers, clock: Clock) -> None:
    for _ in range(3):
        read(pages, server.url("a"), parsers)
        clock.forward(hours=11)
    assert asked(server) == ["/robots.txt", "/a", "/a", "/a"]
    server.pages["robots.txt"] = Page(b"User-agent: *\nDisallow: /", headers=TEXT)
    assert failure(pages, server.url("a"), parsers).kind == "refused_by_robots"


# -- whose turn it is -------------------------------------------------------------------------------------------------


def test_a_host_is_left_alone_for_five_seconds_after_a_page(
    pages: Pages, server: FeedServer, parsers: Parsers, clock: Clock
) -> None:
    assert pages.turn(server.url("a")) == pages.turn(server.url("b")) is not None
    read(pages, server.url("a"), parsers)
    clock.forward(seconds=4.9)
    assert pages.turn(server.url("b")) is None
    clock.forward(seconds=0.1)
    assert pages.turn(server.url("b"))


def test_with_www_and_without_is_one_host(pages: Pages, clock: Clock) -> None:
    pages.note_visit("https://www.example.org/a", clock())
    assert pages.turn("http://example.org/b") is None
    assert pages.turn("https://news.example.org/b")


def test_a_crawl_delay_is_waited_for_even_if_the_last_visit_was_before_we_began(
    pages: Pages, server: FeedServer, parsers: Parsers, clock: Clock
) -> None:
    server.pages["robots.txt"] = Page(b"User-agent: *\nCrawl-delay: 60", headers=TEXT)
    pages.note_visit(server.url("a"), clock())
    clock.forward(seconds=30)
    assert pages.turn(server.url("a"))  # its crawl-delay is not known yet
    assert failure(pages, server.url("a"), parsers).kind == "not_yet"
    assert pages.turn(server.url("a")) is None
    clock.forward(seconds=30)
    assert pages.turn(server.url("a"))
    read(pages, server.url("a"), parsers)
    clock.forward(seconds=59)
    assert pages.turn(server.url("a")) is None
    assert asked(server) == ["/robots.txt", "/a"]


@pytest.mark.parametrize(
    ("page", "minutes"), [(Page(b"", 503), 60), (Page(b"", 429, {"Retry-After": "7200"}), 120), (Page(b"", 404), 1)]
)
def test_a_host_that_is_in_trouble_rests_for_as_long_as_it_asks_or_an_hour(
    pages: Pages, server: FeedServer, parsers: Parsers, clock: Clock, page: Page, minutes: int
) -> None:
    server.pages["a"] = page
    assert failure(pages, server.url("a"), parsers).kind == "http_status"
    clock.forward(minutes=minutes, seconds=-1)
    assert (pages.turn(server.url("a")) is None) == (minutes > 1)
    clock.forward(seconds=1)
    assert pages.turn(server.url("a"))


def test_a_redirect_is_asked_about_where_it_leads_to(
    pages: Pages, server: FeedServer, parsers: Parsers, clock: Clock
) -> None:
    with FeedServer({"robots.txt": Page(b"User-agent: *\nDisallow: /a", headers=TEXT)}) as other:
        server.pages["moved"] = Page(status=302, headers={"Location": other.url("a")})
        assert failure(pages, server.url("moved"), parsers).kind == "refused_by_robots"
        assert asked(other) == ["/robots.txt"]
        clock.forward(seconds=5)
        server.pages["again"] = Page(status=302, headers={"Location": "/a"})
        assert read(pages, server.url("again"), parsers)


def test_a_redirect_to_a_host_whose_turn_has_not_come_is_gone_on_with_later(
    pages: Pages, server: FeedServer, parsers: Parsers, clock: Clock
) -> None:
    with FeedServer({"moved": Page(status=302, headers={"Location": server.url("a")})}) as first:
        read(pages, server.url("a"), parsers)
        assert failure(pages, first.url("moved"), parsers).kind == "not_yet"
        clock.forward(seconds=4)
        assert pages.turn(first.url("moved")) is None
        clock.forward(seconds=1)
        assert pages.turn(first.url("moved")) == pages.turn(server.url("a"))
        assert read(pages, first.url("moved"), parsers)
        assert asked(first) == ["/robots.txt", "/moved"]
        assert asked(server) == ["/robots.txt", "/a", "/a"]


# -- pages that mean harm ---------------------------------------------------------------------------------------------


@pytest.fixture
def endless() -> Iterator[str]:
    """The address of a page that never ends; there is no robots.txt."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            wanted = connection.recv(65_536)
            if b"robots.txt" in wanted:
                connection.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html><body>")
            while True:
                connection.sendall(b"<p>And then gold rose again." * 1_000)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/a"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_page_without_end_is_left_at_twenty_mebibytes(pages: Pages, endless: str, parsers: Parsers) -> None:
    error = failure(pages, endless, parsers)
    assert (error.kind, fulltext.may_pass(error)) == ("too_large", False)


def test_a_page_that_takes_its_time_is_left(
    pages: Pages, server: FeedServer, parsers: Parsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetcher, "TOTAL_SECONDS", 0.3)
    left = threading.Event()
    server.pages["a"].before = lambda: left.wait(10)
    error = failure(pages, server.url("a"), parsers)
    left.set()
    assert (error.kind, fulltext.may_pass(error)) == ("timeout", True)


def test_the_time_that_robots_txt_takes_is_not_the_pages(
    pages: Pages, server: FeedServer, parsers: Parsers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetcher, "TOTAL_SECONDS", 1.0)
    for path in ("robots.txt", "a"):
        page = server.pages.setdefault(path, Page(b"", headers=TEXT))
        page.before = lambda: threading.Event().wait(0.7)
    assert read(pages, server.url("a"), parsers)


@pytest.mark.parametrize("status", [200, 302])
def test_a_bomb_does_not_go_off(pages: Pages, server: FeedServer, parsers: Parsers, status: int) -> None:
    bomb = gzip.compress(b"<p>" * 40_000_000)
    server.pages["b"] = Page(bomb, status, HTML | {"Content-Encoding": "gzip", "Location": "/a"})
    if status == 200:
        assert failure(pages, server.url("b"), parsers).kind == "too_large"
    else:  # the body of a redirect is not even read
        assert SENTENCES[0] in read(pages, server.url("b"), parsers)


def test_a_page_that_keeps_the_extractor_busy_is_stopped(
    pages: Pages, server: FeedServer, parsers: Parsers, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["b"] = Page(b"<p><b>" * 300_000, headers=HTML)
    assert read(pages, server.url("a"), parsers)
    clock.forward(seconds=5)
    monkeypatch.setattr(processes, "PARSE_SECONDS", 1.0)
    error = failure(pages, server.url("b"), parsers)
    assert (error.kind, fulltext.may_pass(error)) == ("unreadable", False)
    assert "page was not read within" in str(error)
    monkeypatch.setattr(processes, "PARSE_SECONDS", 30.0)
    clock.forward(seconds=5)
    assert read(pages, server.url("a"), parsers)


def test_a_page_in_a_private_network_is_refused(clock: Clock, server: FeedServer, parsers: Parsers) -> None:
    error = failure(Pages(clock=clock, reach=Reach(), contact=""), server.url("a"), parsers)
    assert "127.0.0.1 is not a public address" in str(error)
    assert server.seen == []


@pytest.mark.parametrize("url", ["", "ftp://example.org/a", "http://[::1", "http://example.org:99999/"])
def test_what_is_no_web_address_is_not_asked_for(pages: Pages, parsers: Parsers, url: str) -> None:
    assert failure(pages, url, parsers).kind in ("bad_address", "robots_away")
