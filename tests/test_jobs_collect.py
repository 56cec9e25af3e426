from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from fakes import FeedServer, Page, rss
from sqlmodel import select

from ingest import processes
from ingest.guard import LOOPBACK, Reach
from jobs.collect import CollectReport, collect
from models.articles import Article, Revision
from models.database import Database
from models.errors import DatabaseBusy
from models.feeds import Feed, Fetch
from models.store.feeds import list_feeds
from services.sources import add_feed, remove_feed

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
XML = {"Content-Type": "application/rss+xml"}


def add(database: Database, now: datetime, *urls: str) -> None:
    with database.write() as session:
        for url in urls:
            add_feed(session, url, outlet="", kind="general", language="en", now=now)


def visit(database: Database, now: datetime, *, every: bool = True) -> CollectReport:
    return collect(database, clock=lambda: now, every=every)


def counts(database: Database) -> tuple[int, int]:
    with database.read() as session:
        return len(session.exec(select(Article)).all()), len(session.exec(select(Revision)).all())


def test_new_articles_are_stored_with_both_clocks_and_a_second_round_asks_conditionally(
    database: Database, now: datetime
) -> None:
    page = Page(rss("Gold rises", "Fed waits"), headers=XML | {"ETag": '"1"', "Last-Modified": "yesterday"})
    with FeedServer({"a.xml": page}) as server:
        add(database, now, server.url("a.xml"))
        first = visit(database, now)
        second = visit(database, now + timedelta(hours=1))
        assert (first.fetched, first.new_articles, second.not_modified, second.new_articles) == (1, 2, 1, 0)
        assert server.seen[1][1]["If-None-Match"] == '"1"'
        assert server.seen[1][1]["If-Modified-Since"] == "yesterday"
        assert "Storyshift" in server.seen[0][1]["User-Agent"]
    with database.read() as session:
        article = session.exec(select(Article).order_by(Article.id)).first()
        assert article is not None
        assert (article.origin, article.knowledge, article.known_at) == ("live", "observed", now)
        assert article.event_at == datetime.fromisoformat("2026-11-20T00:00:00Z")
        assert [fetch.outcome for fetch in session.exec(select(Fetch).order_by(Fetch.id))] == ["ok", "not_modified"]
        feed = session.exec(select(Feed)).one()
        assert (feed.title, feed.last_status, feed.last_error) == ("A wire", 304, None)


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (Page(b"gone", 404), "answered 404"),
        (Page(b"", 500), "answered 500"),
        (Page(b"<!doctype html><html><body>hi</body></html>", headers={"Content-Type": "text/html"}), "HTML page"),
        (Page(b""), "empty body"),
        (Page(b"\x00\x01\x02 not a feed"), "not RSS"),
        (Page(b"x" * 10, headers={"Content-Encoding": "gzip"}), "not compressed as it says"),
    ],
)
def test_a_failed_feed_is_stored_as_data_and_the_others_go_on(
    database: Database, now: datetime, page: Page, told: str
) -> None:
    with FeedServer({"bad": page, "good": Page(rss("Gold rises"))}) as server:
        add(database, now, server.url("bad"), server.url("good"))
        report = visit(database, now)
    assert (report.feeds, report.fetched, report.failed, report.new_articles) == (2, 1, 1, 1)
    assert told in report.errors[0]["error"]
    with database.read() as session:
        health = {item.feed.url.rpartition("/")[2]: item for item in list_feeds(session, news_since=now)}
        assert told in (health["bad"].feed.last_error or "")
        assert (health["bad"].feed.failures, health["bad"].articles, health["good"].articles) == (1, 0, 1)
        assert told in (session.exec(select(Fetch).where(Fetch.outcome == "failed")).one().error or "")


def test_a_feed_removed_while_it_is_fetched_stays_removed(database: Database, now: datetime) -> None:
    with FeedServer() as server:
        url = server.url("a")

        def remove() -> None:
            with database.write() as session:
                remove_feed(session, url, now=now)

        server.pages["a"] = Page(rss("Gold rises"), before=remove)
        add(database, now, url)
        assert visit(database, now).new_articles == 1
    with database.read() as session:
        assert list_feeds(session, news_since=now) == []


def test_what_was_fetched_is_known_when_it_came_and_not_when_it_was_asked_for(
    database: Database, now: datetime
) -> None:
    asked_and_answered = iter([now, now, now + timedelta(seconds=40)])
    with FeedServer({"a": Page(rss("Gold rises"))}) as server:
        add(database, now, server.url("a"))
        collect(database, clock=lambda: next(asked_and_answered), every=True)
    with database.read() as session:
        assert session.exec(select(Article)).one().known_at == now + timedelta(seconds=40)


def test_an_entry_without_address_guid_or_date_is_one_article_on_all_days(database: Database, now: datetime) -> None:
    bare = b'<rss version="2.0"><channel><title>W</title><item><title>Market wrap</title></item></channel></rss>'
    with FeedServer({"a": Page(bare)}) as server:
        add(database, now, server.url("a"))
        for day in range(3):
            visit(database, now + timedelta(days=day))
    assert counts(database) == (1, 1)


def test_a_database_that_goes_away_is_named_and_not_wrapped(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise DatabaseBusy("held by another process")

    with FeedServer({"a": Page(rss("Gold rises"))}) as server:
        add(database, now, server.url("a"))
        monkeypatch.setattr("jobs.collect.add_batches", busy)
        with pytest.raises(DatabaseBusy, match="held by another"):
            visit(database, now)


def test_a_server_that_is_not_there_fails_alone(database: Database, now: datetime) -> None:
    add(database, now, "http://127.0.0.1:9/feed")
    assert "cannot be reached" in visit(database, now).errors[0]["error"]


def test_a_failing_feed_is_visited_less_and_less_and_a_recovered_one_as_usual(
    database: Database, now: datetime
) -> None:
    with FeedServer({"a": Page(b"", 503)}) as server:
        add(database, now, server.url("a"))
        waits = []
        for _ in range(9):
            visit(database, now)
            with database.read() as session:
                waits.append(session.exec(select(Feed)).one().next_fetch_at - now)
        server.pages["a"] = Page(rss("Gold rises"))
        visit(database, now)
        with database.read() as session:
            feed = session.exec(select(Feed)).one()
    assert waits[0] == timedelta(minutes=30)
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(days=1)
    assert feed.failures == 0
    assert MINUTE * 15 <= feed.next_fetch_at - now <= MINUTE * 16.5


def test_only_due_feeds_are_visited_unless_all_are_asked_for(database: Database, now: datetime) -> None:
    with FeedServer({"a": Page(rss("Gold rises"))}) as server:
        add(database, now, server.url("a"))
        assert visit(database, now, every=False).feeds == 1
        assert visit(database, now + timedelta(minutes=14), every=False).feeds == 0
        assert visit(database, now + timedelta(minutes=17), every=False).feeds == 1
        assert visit(database, now, every=True).feeds == 1


def feed_now(database: Database) -> Feed:
    with database.read() as session:
        return session.exec(select(Feed)).one()


def test_a_server_that_says_nothing_of_change_is_not_parsed_again(database: Database, now: datetime) -> None:
    with FeedServer({"a": Page(rss("Gold rises"))}) as server:
        add(database, now, server.url("a"))
        visit(database, now)
        again = visit(database, now + HOUR)
    assert (again.fetched, again.not_modified, again.known_articles) == (0, 1, 0)


def test_a_feed_that_is_gone_for_good_is_retired_and_can_be_taken_back(database: Database, now: datetime) -> None:
    with FeedServer({"a": Page(b"", 410)}) as server:
        add(database, now, server.url("a"))
        assert "gone for good" in visit(database, now).errors[0]["error"]
        assert visit(database, now + 30 * HOUR).feeds == 0
        assert feed_now(database).retired_at == now
        server.pages["a"] = Page(rss("Gold rises"))
        add(database, now + 31 * HOUR, server.url("a"))
        assert visit(database, now + 31 * HOUR).new_articles == 1


@pytest.mark.parametrize("status", [301, 308])
def test_a_feed_that_moved_for_good_is_visited_there_once_it_was_said_three_times(
    database: Database, now: datetime, status: int
) -> None:
    with FeedServer({"new": Page(rss("Gold rises"))}) as server:
        server.pages["old"] = Page(status=status, headers={"Location": server.url("new")})
        add(database, now, server.url("old"))
        for hours in range(2):
            visit(database, now + hours * HOUR)
            assert feed_now(database).url == server.url("old")
        visit(database, now + 2 * HOUR)
        assert feed_now(database).url == server.url("new")
        assert visit(database, now + 3 * HOUR).failed == 0
    assert counts(database) == (1, 1)


def test_a_passing_redirect_moves_nothing(database: Database, now: datetime) -> None:
    with FeedServer({"new": Page(rss("Gold rises"))}) as server:
        server.pages["old"] = Page(status=302, headers={"Location": server.url("new")})
        add(database, now, server.url("old"))
        for hours in range(5):
            visit(database, now + hours * HOUR)
        assert feed_now(database).url == server.url("old")


def test_a_feed_that_moved_onto_another_stays_where_it_is(database: Database, now: datetime) -> None:
    with FeedServer({"new": Page(rss("Gold rises"))}) as server:
        server.pages["old"] = Page(status=301, headers={"Location": server.url("new")})
        add(database, now, server.url("old"), server.url("new"))
        for hours in range(5):
            assert visit(database, now + hours * HOUR).failed == 0
    with database.read() as session:
        assert {feed.url for feed in session.exec(select(Feed))} == {server.url("old"), server.url("new")}


@pytest.mark.parametrize(
    ("headers", "body", "hours"),
    [
        ({"Cache-Control": "max-age=7200"}, rss("Gold rises"), 2),
        ({"Cache-Control": "max-age=316800"}, rss("Gold rises"), 6),
        ({}, rss("Gold rises").replace(b"<channel>", b"<channel><ttl>180</ttl>"), 3),
    ],
)
def test_no_feed_is_visited_before_its_server_wants(
    database: Database, now: datetime, headers: dict[str, str], body: bytes, hours: int
) -> None:
    with FeedServer({"a": Page(body, headers=headers)}) as server:
        add(database, now, server.url("a"))
        visit(database, now)
    assert hours * HOUR <= feed_now(database).next_fetch_at - now <= hours * HOUR * 1.1


def test_retry_after_is_kept(database: Database, now: datetime) -> None:
    with FeedServer({"a": Page(b"", 429, {"Retry-After": "10800"})}) as server:
        add(database, now, server.url("a"))
        visit(database, now)
    assert feed_now(database).next_fetch_at - now == 3 * HOUR


def test_a_feed_in_a_private_network_is_refused_unless_that_is_allowed(database: Database, now: datetime) -> None:
    with FeedServer({"a": Page(rss("Gold rises"))}) as server:
        add(database, now, server.url("a"))
        refused = collect(database, clock=lambda: now, every=True, reach=Reach())
        assert "127.0.0.1 is not a public address" in refused.errors[0]["error"]
        assert server.seen == []
        assert collect(database, clock=lambda: now, every=True, reach=LOOPBACK).new_articles == 1


def test_a_feed_that_keeps_the_parser_busy_is_stopped_and_the_others_go_on(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = rss(*(f"Story {n}" for n in range(1_900))).replace(b"About", b"About " * 500)
    with FeedServer({"big": Page(big), "good": Page(rss("Gold rises"))}) as server:
        add(database, now, server.url("good"))
        visit(database, now)  # the processes are warm for the next
        add(database, now, server.url("big"))
        monkeypatch.setattr(processes, "PARSE_SECONDS", 0.05)
        report = visit(database, now + HOUR)
    assert (report.failed, report.not_modified) == (1, 1)
    assert "was not read within" in report.errors[0]["error"]


def test_an_edited_entry_is_a_revision_of_the_same_article(database: Database, now: datetime) -> None:
    with FeedServer({"a": Page(rss("Gold rises"))}) as server:
        add(database, now, server.url("a"))
        visit(database, now)
        server.pages["a"] = Page(rss("Gold rises to record"))
        report = visit(database, now + timedelta(hours=1))
    assert (report.new_articles, report.revised_articles) == (0, 1)
    assert counts(database) == (1, 2)


def test_stopping_in_the_middle_keeps_what_was_committed_and_a_rerun_completes(
    database: Database, now: datetime
) -> None:
    stopped = Event()
    pages = {str(n): Page(rss(f"Story {n} of the day", site=f"site{n}.org")) for n in range(40)}
    for n in range(10, 40):
        pages[str(n)].before = lambda: stopped.wait(20)
    with FeedServer(pages) as server:
        add(database, now, *(server.url(str(n)) for n in range(40)))

        def stop(done: int, of: int) -> None:
            if done == 7:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            collect(database, clock=lambda: now, every=True, progress=stop)
        stopped.set()
        assert 7 <= counts(database)[0] <= 10
        visit(database, now, every=False)
    assert counts(database) == (40, 40)


def test_what_the_database_refuses_fails_that_feed_alone(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs import collect as module

    real: Callable[..., object] = module.add_batches

    def refuse(session: object, batches: list[object]) -> object:
        if any("bad" in str(batch) for batch in batches):
            raise ValueError("cannot store this")
        return real(session, batches)

    monkeypatch.setattr(module, "add_batches", refuse)
    with FeedServer({"1": Page(rss("bad news", site="bad.org")), "2": Page(rss("fair news"))}) as server:
        add(database, now, server.url("1"), server.url("2"))
        report = visit(database, now)
    assert (report.failed, report.new_articles) == (1, 1)
    assert "cannot store this" in report.errors[0]["error"]


CAPTURED = Path(__file__).parents[2] / "shared" / "data" / "feeds" / "captured"


@pytest.mark.slow
@pytest.mark.skipif(not CAPTURED.exists(), reason="the captured feeds are not part of the project")
def test_feeds_as_real_servers_sent_them_are_read_or_refused_with_a_reason(database: Database, now: datetime) -> None:
    files = sorted(CAPTURED.iterdir())
    with FeedServer({file.name: Page(file.read_bytes()) for file in files}) as server:
        add(database, now, *(server.url(file.name) for file in files))
        report = visit(database, now)
        again = visit(database, now + timedelta(hours=1))
    assert report.feeds == len(files)
    assert report.fetched + report.failed == report.feeds
    assert report.failed <= 4
    assert all(error["error"] for error in report.errors)
    assert report.new_articles > 2_000
    assert again.new_articles == 0
