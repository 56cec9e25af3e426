"""The page of sources in a real Chromium: one feed is fine, one silent, one fails, one is not visited yet."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import test_now
import test_page
from playwright.sync_api import Browser, Page, expect

from models.database import Database
from models.feeds import Feed, Fetch
from models.prices import FoundBar, Watch
from models.store.prices import add_bars

pytestmark = pytest.mark.browser
browser, page, serving, as_replay = test_page.browser, test_page.page, test_page.serving, test_now.as_replay
EVIL = '<img src=x onerror=alert(1)><b>Fine</b> & "quotes"'
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def plant(database: Database, now: datetime) -> None:
    """Five weeks of visits by the hour, two new entries each; one feed stops three days ago, one does not answer."""
    said = {"Failing": "The server answered 404 Not Found.", EVIL: None, "Silent": None, "Young": None}
    with database.write() as session:
        for number, (outlet, error) in enumerate(said.items()):
            visited = None if outlet == "Young" else now - HOUR
            feed = Feed(
                url=f"https://feed{number}.example/news",
                outlet=outlet,
                added_at=now - 36 * DAY if visited else now,
                next_fetch_at=now + HOUR,
                last_fetched_at=visited,
                last_error=error,
                failures=3 if error else 0,
            )
            session.add(feed)
            session.flush()
            for n in range(1, 35 * 24 if visited else 0):
                failed, new = error is not None and n <= 61, 0 if outlet == "Silent" and n <= 72 else 2
                outcome = "failed" if failed else "ok"
                session.add(
                    Fetch(feed_id=feed.id or 0, at=now - n * HOUR, outcome=outcome, entries_new=0 if failed else new)
                )
        bars = [FoundBar("XAU", now - n * DAY, 2_000.0) for n in range(60) if not 20 < n < 40]
        add_bars(session, "XAU", bars, source="planted", now=now)
        session.add(
            Watch(kind="price", key="XAG", interval="day", next_at=now, last_error="Yahoo said 429.", failures=2)
        )


@pytest.fixture
def served(sqlite_url: str, now: datetime) -> Iterator[str]:
    database = Database(sqlite_url)
    plant(database, now)
    with serving(database, now) as address:
        yield f"{address}/sources"


@pytest.fixture
def opened(served: str, page: Page, now: datetime) -> Page:
    page.clock.install(time=now)
    page.goto(served)
    expect(page.locator("#feeds tbody")).to_have_count(4)
    return page


def test_troubles_come_first_each_with_its_word_and_its_reason(opened: Page) -> None:
    expect(opened.locator("#verdict")).to_have_text(
        "2 of 4 feeds answer; 1 fails; 1 has gone silent; 1 is not visited yet."
    )
    rows = opened.locator("#feeds tbody")
    assert rows.locator(".health").all_text_contents() == ["failing", "silent", "not visited yet", "fine"]
    expect(rows.nth(0).locator(".says")).to_have_text("The server answered 404 Not Found. (3 visits in vain in a row.)")
    expect(rows.nth(1).locator(".says")).to_contain_text("nothing new since 18 Nov 2026, 11:00")
    expect(rows.nth(3).locator("time").first).to_have_text("1 h ago")
    expect(rows.nth(3).locator("time").first).to_have_attribute("title", "21 Nov 2026, 11:00 UTC")
    expect(rows.nth(3).locator("a")).to_have_text("https://feed1.example/news")


def test_the_strip_tells_each_of_fourteen_days(opened: Page) -> None:
    failing, silent, young, fine = (opened.locator("#feeds .strip").nth(place) for place in range(4))
    expect(failing.locator("i")).to_have_count(14)
    assert [strip.locator("i").nth(11).get_attribute("title") for strip in (failing, silent, young, fine)] == [
        "19 Nov: 24 visits, none answered, 0 new (expected 37-60)",
        "19 Nov: 24 visits, all answered, 0 new (expected 37-60), far fewer than usual",
        "19 Nov: not collected yet",
        "19 Nov: 24 visits, all answered, 48 new (expected 37-60)",
    ]
    assert fine.locator("i").last.get_attribute("title") == (
        "21 Nov: 12 visits, all answered, 24 new so far (expected 16-32)"
    )
    assert "24 visits, 23 answered" in (failing.locator("i.partly").get_attribute("title") or "")


def test_the_keyboard_reads_the_days_of_a_strip(opened: Page) -> None:
    strip = opened.get_by_role("slider", name="Two weeks of Silent")
    strip.focus()
    opened.keyboard.press("ArrowLeft")
    expect(opened.locator(".says .day")).to_contain_text("21 Nov: 12 visits, all answered, 0 new so far")
    opened.keyboard.press("ArrowLeft")
    expect(opened.locator(".says .day")).to_contain_text("20 Nov: 24 visits")
    expect(strip).to_be_focused()
    expect(strip).to_have_attribute("aria-valuenow", "13")
    opened.keyboard.press("Escape")
    expect(opened.locator(".says .day")).to_have_count(0)


def test_a_filter_is_kept_by_looking_again_and_by_the_address(opened: Page, sqlite_url: str, now: datetime) -> None:
    opened.set_viewport_size({"width": 390, "height": 500})
    opened.get_by_role("button", name="failing").click()
    expect(opened.locator("#feeds tbody:visible")).to_have_count(1)
    opened.get_by_role("slider", name="Failing").focus()
    opened.evaluate("scrollTo(0, 300)")
    database = Database(sqlite_url)
    with database.write() as session:
        feed = session.get_one(Feed, 1)
        feed.last_error, feed.failures = "The server answered 503 Service Unavailable.", 4
        session.get_one(Feed, 3).failures, session.get_one(Feed, 3).last_error = 1, "It took too long."
    database.close()
    opened.clock.fast_forward(31_000)
    expect(opened.locator("#verdict")).to_contain_text("2 fail")
    assert [text.split(".")[0] for text in opened.locator("#feeds .says:visible").all_text_contents()] == [
        "The server answered 503 Service Unavailable",
        "It took too long",
    ]
    expect(opened.get_by_role("slider", name="Failing")).to_be_focused()
    assert opened.evaluate("scrollY") == 300
    assert opened.url.endswith("#failing")
    opened.reload()
    expect(opened.locator("#feeds tbody:visible")).to_have_count(2)
    opened.get_by_role("button", name="all").click()
    expect(opened.locator("#feeds tbody:visible")).to_have_count(4)


def test_prices_say_what_fails_and_where_values_are_missing(opened: Page) -> None:
    expect(opened.locator("#series-verdict")).to_have_text("1 of 2 series have values; 1 fails; 1 has gaps.")
    rows = opened.locator("#series tbody")
    assert rows.locator(".health").all_text_contents() == ["failing", "has gaps"]
    expect(rows.nth(0).locator(".says")).to_have_text("Yahoo said 429. (2 tries in vain in a row.)")
    expect(rows.nth(1).locator(".says")).to_have_text("Nothing from 2026-10-12 to 2026-11-01.")


def test_names_from_feeds_are_shown_as_text(opened: Page) -> None:
    expect(opened.locator("#feeds tbody").nth(3).locator(".name b")).to_have_text(EVIL)
    assert opened.locator("#feeds img").count() == 0


def test_without_feeds_it_says_what_to_do(page: Page, sqlite_url: str, now: datetime) -> None:
    with serving(Database(sqlite_url), now) as address:
        page.goto(f"{address}/sources")
        expect(page.locator("#verdict")).to_have_text("No feed is collected.")
        expect(page.locator("#empty")).to_contain_text("storyshift feeds add URL")
        expect(page.locator("#feeds")).to_be_hidden()
        expect(page.locator("#series-verdict")).to_contain_text("storyshift import prices FILE")
        page.wait_for_load_state("networkidle")


def test_while_the_server_is_away_the_last_answer_stays_and_says_of_when_it_is(
    browser: Browser, served: str, now: datetime
) -> None:
    page = browser.new_page()
    page.clock.install(time=now)
    page.route("**/v1/feeds", lambda route: route.abort())
    page.goto(served)
    expect(page.locator("#verdict")).to_have_text("Nothing can be shown.")
    expect(page.locator("#message")).to_have_text("The server does not answer. Is storyshift still running?")
    page.unroute("**/v1/feeds")
    page.clock.fast_forward(31_000)
    expect(page.locator("#feeds tbody")).to_have_count(4)
    expect(page.locator("#message")).to_be_hidden()
    page.route("**/v1/feeds", lambda route: route.abort())
    page.clock.fast_forward(31_000)
    expect(page.locator("#message")).to_contain_text("What is shown is from 12:00 UTC.")
    expect(page.locator("#feeds tbody")).to_have_count(4)
    page.close()


@pytest.mark.parametrize("width", [360, 390, 768, 1121, 1440])
def test_nothing_is_wider_than_the_screen(opened: Page, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 900})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_the_front_page_leads_here_and_back(opened: Page, served: str) -> None:
    opened.get_by_role("link", name="Story").click()
    opened.get_by_role("link", name="Sources").click()
    expect(opened.locator("#feeds tbody")).to_have_count(4)
    assert opened.url == served


@pytest.mark.usefixtures("as_replay")
def test_in_a_replay_gaps_and_addresses_are_said_to_be_the_replays(page: Page, sqlite_url: str, now: datetime) -> None:
    database = Database(sqlite_url)
    plant(database, now)
    with serving(database, now) as address:
        page.clock.install(time=now)
        page.goto(f"{address}/sources")
        gold = page.locator("#series tbody[data-key='price XAU day']")
        expect(gold.locator(".health")).to_have_text("of the replay")
        expect(gold).to_contain_text("The replay brings nothing from")
        expect(page.locator("#series-verdict")).not_to_contain_text("has gaps")
        expect(page.locator("#feeds .address").first).to_have_text("served by the replay itself while it is played")
        assert page.locator("#feeds a").count() == 0
        page.wait_for_load_state("networkidle")
