"""Full texts beside the record: which pages are read, in what order and time, and what becomes of each."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep

import pytest
from fakes import FeedServer, Page, found_article, rss
from sqlmodel import col, select

from config import definitions
from config.settings import get_settings
from ingest.processes import Parsers
from jobs.collect import collect
from jobs.fulltext import PageReader
from jobs.scheduler import work
from models.articles import Article, Revision
from models.database import Database
from models.errors import ConfigError, DatabaseBusy
from models.pages import PageFetch
from models.store.articles import add_articles, get_article
from services.articles import remove_article
from services.sources import add_feed

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TEXT = "\n".join(
    f"The dealer of stall {n} said that she had not seen such a rush for silver since the old coins were called in, "
    "and that her shelves would be empty by the evening."
    for n in range(1, 6)
)
HTML = {"Content-Type": "text/html"}


def page(text: str = TEXT) -> Page:
    paragraphs = "".join(f"<p>{line}</p>" for line in text.splitlines())
    return Page(f"<html><body><article>{paragraphs}</article></body></html>".encode(), headers=dict(HTML))


def feed(server: FeedServer, *titles: str) -> Page:
    """Of the server's own pages 20/0, 20/1 …"""
    return Page(rss(*titles, site=server.root.removeprefix("http://")).replace(b"https:", b"http:"))


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, span: timedelta) -> None:
        self.now += span


@pytest.fixture(scope="module")
def _parsers() -> Iterator[Parsers]:
    with Parsers() as started:
        yield started


@pytest.fixture(autouse=True)
def _one_start(_parsers: Parsers, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same processes for all rounds of these tests."""
    monkeypatch.setattr("jobs.fulltext.Parsers", lambda: nullcontext(_parsers))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer() as running:
        yield running


def add(database: Database, clock: Clock, *urls: str | None, **about: object) -> None:
    """Live articles, each a minute older than the one before."""
    for number, url in enumerate(urls):
        found = found_article(f"Story {number} of {url}", clock.now - timedelta(minutes=1 + number), url=url)
        found = replace(found, **{"origin": "live", "summary": "In short.", "known_at": clock.now} | about)
        with database.write() as session:
            add_articles(session, [found], now=clock.now)


def attempts(database: Database) -> list[PageFetch]:
    with database.read() as session:
        return list(session.exec(select(PageFetch).order_by(col(PageFetch.article_id))))


def revisions(database: Database) -> list[Revision]:
    with database.read() as session:
        return list(session.exec(select(Revision).order_by(col(Revision.id))))


def pages_asked(server: FeedServer) -> list[str]:
    return [path for path, _ in server.seen if path != "/robots.txt"]


# -- what a page adds -------------------------------------------------------------------------------------------------


def test_the_text_of_a_page_is_a_new_wording_known_from_now_on_and_no_clock_is_changed(
    database: Database, clock: Clock, server: FeedServer
) -> None:
    server.pages["a"] = page()
    add(database, clock, server.url("a"))
    with database.read() as session:
        before = session.exec(select(Article)).one().model_dump()
    added_at = clock.now
    clock.forward(HOUR)
    assert PageReader(database, clock=clock).read() == Counter(ok=1)
    with database.read() as session:
        assert session.exec(select(Article)).one().model_dump() == before
        now, then = (get_article(session, before["id"], as_of=at) for at in (clock.now, added_at))
    assert now is not None
    assert then is not None
    assert (now.title, now.summary, now.body) == (then.title, "In short.", TEXT)
    assert (then.body, then.revisions, now.revisions) == ("", 1, 2)
    assert [revision.seen_at for revision in revisions(database)] == [added_at, clock.now]
    (attempt,) = attempts(database)
    assert (attempt.outcome, attempt.attempts, attempt.at, attempt.next_at) == ("ok", 1, clock.now, None)


def test_a_feed_that_brings_its_old_wording_again_does_not_take_the_text_away(
    database: Database, clock: Clock, server: FeedServer
) -> None:
    server.pages |= {"feed": feed(server, "Silver is rare"), "20/0": page()}
    with database.write() as session:
        add_feed(session, server.url("feed"), outlet="", kind="general", language="en", now=clock.now)
    collect(database, clock=clock, every=True)
    assert PageReader(database, clock=clock).read() == Counter(ok=1)
    clock.forward(HOUR)
    server.pages["feed"] = feed(server, "Silver is rare", "Gold too")
    report = collect(database, clock=clock, every=True)
    assert (report.new_articles, report.revised_articles, report.known_articles) == (1, 0, 1)
    with database.read() as session:
        article = get_article(session, revisions(database)[0].article_id, as_of=clock.now)
    assert article is not None
    assert (article.revisions, article.body) == (2, TEXT)


def test_only_recent_live_articles_without_a_text_are_read(
    database: Database, clock: Clock, server: FeedServer
) -> None:
    add(database, clock, None)
    add(database, clock, server.url("archive"), origin="archive")
    add(database, clock, server.url("replay"), origin="replay")
    add(database, clock, server.url("text"), body="x" * 500)
    add(database, clock, server.url("old"), event_at=clock.now - 7 * DAY - HOUR)
    add(database, clock, server.url("short"), body="x" * 499)
    server.pages["short"] = page()
    assert PageReader(database, clock=clock).read() == Counter(ok=1)
    assert pages_asked(server) == ["/short"]


# -- whose turn it is -------------------------------------------------------------------------------------------------


def test_a_round_reads_the_newest_page_of_each_host_and_each_host_is_waited_for(
    database: Database, clock: Clock, server: FeedServer
) -> None:
    with FeedServer({"x": page(), "y": page()}) as other:
        server.pages |= {"a": page(), "b": page(), "c": page()}
        add(database, clock, *(server.url(path) for path in "abc"), other.url("x"), other.url("y"))
        reader = PageReader(database, clock=clock)
        assert reader.read() == Counter(ok=2)
        assert (pages_asked(server), pages_asked(other)) == (["/a"], ["/x"])
        clock.forward(timedelta(seconds=4))
        assert reader.read() == Counter()
        clock.forward(timedelta(seconds=1))
        assert reader.read() == Counter(ok=2)
        clock.forward(timedelta(seconds=5))
        assert reader.read() == Counter(ok=1)
        clock.forward(DAY)
        assert reader.read() == Counter()
        assert (pages_asked(server), pages_asked(other)) == (["/a", "/b", "/c"], ["/x", "/y"])


def test_a_crawl_delay_is_kept_over_a_restart_and_nothing_is_read_twice(
    database: Database, clock: Clock, server: FeedServer
) -> None:
    server.pages |= {"a": page(), "b": page(), "robots.txt": Page(b"User-agent: *\nCrawl-delay: 120")}
    add(database, clock, server.url("a"), server.url("b"))
    waited = []
    while len(pages_asked(server)) < 2:
        PageReader(database, clock=clock).read()  # started anew each time
        waited.append(len(pages_asked(server)))
        clock.forward(timedelta(seconds=30))
    assert waited == [1, 1, 1, 1, 2]
    assert PageReader(database, clock=clock).read() == Counter()
    assert pages_asked(server) == ["/a", "/b"]


def test_at_most_32_pages_are_read_in_a_round(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.fulltext.PAGES", 2)
    add(database, clock, *(f"http://127.0.0.1:{port}/a" for port in (1, 2, 3)))
    reader = PageReader(database, clock=clock)
    assert [reader.read(), reader.read(), reader.read()] == [Counter(failed=2), Counter(failed=1), Counter()]


# -- what fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("robots", "answer", "outcome", "told"),
    [
        (Page(b"User-agent: *\nDisallow: /"), page(), "refused_by_robots", "robots.txt of its host does not allow"),
        (Page(b"", 404), page("Too short."), "no_text", "no text of 500 characters"),
        (Page(b"", 404), Page(b"", 404), "failed", "answered 404"),
        (Page(b"", 404), Page(b"", 403), "failed", "answered 403"),
    ],
)
def test_a_page_that_gives_no_text_is_stored_as_data_and_not_tried_again(
    database: Database, clock: Clock, server: FeedServer, robots: Page, answer: Page, outcome: str, told: str
) -> None:
    server.pages |= {"a": answer, "robots.txt": robots}
    add(database, clock, server.url("a"))
    assert PageReader(database, clock=clock).read() == Counter([outcome])
    (attempt,) = attempts(database)
    assert (attempt.outcome, attempt.attempts, attempt.next_at) == (outcome, 1, None)
    assert told in (attempt.error or "")
    assert server.url("a") not in (attempt.error or "")  # it must not outlive a takedown
    clock.forward(2 * DAY)
    assert PageReader(database, clock=clock).read() == Counter()
    assert len(revisions(database)) == 1


@pytest.mark.parametrize("path", ["a", "robots.txt"])
def test_what_may_pass_is_tried_three_times_a_day_apart(
    database: Database, clock: Clock, server: FeedServer, path: str
) -> None:
    server.pages |= {"a": page(), path: Page(b"", 500)}
    add(database, clock, server.url("a"))
    reader = PageReader(database, clock=clock)
    tried_at = []
    for hour in range(24 * 5):
        if reader.read() == Counter(failed=1):
            tried_at.append(hour)
        clock.forward(HOUR)
    assert tried_at == [0, 24, 48]
    (attempt,) = attempts(database)
    assert (attempt.outcome, attempt.attempts, attempt.next_at) == ("failed", 3, None)
    assert "answered 500" in (attempt.error or "")


def test_a_page_that_comes_at_the_second_attempt_is_kept(database: Database, clock: Clock, server: FeedServer) -> None:
    server.pages["a"] = Page(b"", 503)
    add(database, clock, server.url("a"))
    assert PageReader(database, clock=clock).read() == Counter(failed=1)
    server.pages["a"] = page()
    clock.forward(DAY)
    assert PageReader(database, clock=clock).read() == Counter(ok=1)
    (attempt,) = attempts(database)
    assert (attempt.outcome, attempt.attempts, attempt.error) == ("ok", 2, None)


def test_a_host_that_does_not_answer_is_not_asked_for_its_other_pages_for_an_hour(
    database: Database, clock: Clock, server: FeedServer
) -> None:
    server.pages |= {"a": Page(b"", 503), "b": page()}
    add(database, clock, server.url("a"), server.url("b"))
    reader = PageReader(database, clock=clock)
    assert reader.read() == Counter(failed=1)
    clock.forward(HOUR - timedelta(seconds=1))
    assert reader.read() == Counter()
    clock.forward(timedelta(seconds=1))
    assert reader.read() == Counter(ok=1)


def test_one_page_that_fails_stops_no_other(
    database: Database, clock: Clock, server: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingest.fulltext import Pages

    real = Pages.text

    async def text(self: Pages, url: str, parsers: Parsers) -> str:
        if url.endswith("bad"):
            raise RuntimeError("a library lost its way\x00")
        return await real(self, url, parsers)

    monkeypatch.setattr(Pages, "text", text)
    server.pages["a"] = page()
    add(database, clock, "http://127.0.0.1:9/bad", "http://127.0.0.1:9999/gone", server.url("a"))
    assert PageReader(database, clock=clock).read() == Counter(ok=1, failed=2)
    assert "a library lost its way" in (attempts(database)[0].error or "")


# -- takedown, and what goes away -------------------------------------------------------------------------------------


def test_a_text_that_is_taken_down_while_its_page_is_read_stays_away(
    database: Database, clock: Clock, server: FeedServer
) -> None:
    def take_down() -> None:
        with database.write() as session:
            remove_article(session, article_id, now=clock.now)

    server.pages["a"] = page()
    server.pages["a"].before = take_down
    add(database, clock, server.url("a"))
    article_id = revisions(database)[0].article_id
    assert PageReader(database, clock=clock).read() == Counter(failed=1)
    (revision,) = revisions(database)
    assert (revision.title, revision.summary, revision.body) == ("", "", "")
    (attempt,) = attempts(database)
    assert (attempt.error, attempt.next_at) == ("The article was taken down meanwhile.", None)


def test_a_takedown_takes_the_text_of_the_page_too_and_it_is_not_read_again(
    database: Database, clock: Clock, server: FeedServer
) -> None:
    server.pages |= {"a": page(), "b": page()}
    add(database, clock, server.url("a"), server.url("b"))
    assert PageReader(database, clock=clock).read() == Counter(ok=1)
    with database.write() as session:
        for article in session.exec(select(Article)).all():
            remove_article(session, article.id or 0, now=clock.now)
    clock.forward(DAY)
    assert PageReader(database, clock=clock).read() == Counter()
    assert {revision.body for revision in revisions(database)} == {""}
    assert pages_asked(server) == ["/a"]


def test_a_database_that_goes_away_is_named_and_the_page_is_read_again_when_it_is_back(
    database: Database, clock: Clock, server: FeedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise DatabaseBusy("held by another process")

    server.pages["a"] = page()
    add(database, clock, server.url("a"))
    reader = PageReader(database, clock=clock)
    with monkeypatch.context() as away:
        away.setattr("jobs.fulltext.page_store.add_full_text", busy)
        with pytest.raises(DatabaseBusy, match="held by another"):
            reader.read()
    clock.forward(timedelta(seconds=5))
    assert reader.read() == Counter(ok=1)


# -- the setting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [False, True])
def test_the_worker_reads_pages_only_where_that_is_wanted(
    database: Database, clock: Clock, server: FeedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    server.pages |= {"feed": feed(server, "Silver is rare"), "20/0": page()}
    (tmp_path / "feeds.toml").write_text(f'[[feeds]]\nurl = "{server.url("feed")}"\noutlet = "A"\nkind = "general"\n')
    monkeypatch.setenv("STORYSHIFT_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("STORYSHIFT_LOAD_PRICES", "false")
    monkeypatch.setenv("STORYSHIFT_FULL_TEXT", str(wanted))
    monkeypatch.setattr("jobs.scheduler.LOOK_EVERY_SECONDS", 0.1)
    stop = Event()
    worker = Thread(target=work, args=(database,), kwargs={"clock": clock, "stop": stop})
    worker.start()
    ends = monotonic() + 20
    while monotonic() < ends and len(revisions(database)) < 1 + wanted:
        sleep(0.05)
    sleep(0.5)  # several rounds
    stop.set()
    worker.join()
    assert [revision.body for revision in revisions(database)] == ["", TEXT][: 1 + wanted]
    assert pages_asked(server) == ["/feed", "/20/0"][: 1 + wanted]


@pytest.mark.parametrize("library", ["trafilatura", "protego", "lxml_html_clean"])
def test_without_the_extra_the_setting_names_it(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert get_settings().full_text is False
    monkeypatch.setenv("STORYSHIFT_FULL_TEXT", "true")
    definitions.forget()
    with pytest.raises(ConfigError, match=r"STORYSHIFT_FULL_TEXT needs .* pip install 'storyshift\[fulltext\]'"):
        get_settings()


@pytest.mark.slow
def test_neither_library_is_loaded_where_pages_are_not_read() -> None:
    code = "import sys, jobs.scheduler; print(*({'trafilatura', 'protego'} & set(sys.modules)))"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=Path(__file__).parent.parent)
    assert loaded.strip() == ""
