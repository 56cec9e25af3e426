"""The page of this morning in a real Chromium: the state, θ, what moved it, triggers, prices, and how fresh it is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
import served
import test_page
import test_panels
from playwright.sync_api import Browser, Page, Route, expect
from record import DAYS, FIRST, fill

from models.database import Database
from models.feeds import Feed

pytestmark = pytest.mark.browser
browser, page, serving, day = test_page.browser, test_page.page, test_page.serving, test_page.day
answer, refuse, SHIFT = test_panels.answer, test_panels.refuse, test_panels.SHIFT
LAST = FIRST + timedelta(days=DAYS - 1, hours=18)  # the evening of the last day of the record

FILLED = datetime.fromisoformat("2026-11-21T12:00:00+00:00")  # as in the other browser tests: it is copied from theirs


@contextmanager
def morning(url: str, now: datetime, *, days: int = DAYS) -> Iterator[str]:
    database = Database.open(url)
    if days:
        fill(database, FILLED, days=days)
    with serving(database, now) as address:
        yield address


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The record on the evening of its last day."""
    with morning(f"sqlite:///{tmp_path_factory.mktemp('now') / 'record.db'}", LAST) as address:
        yield address


@pytest.fixture(scope="module")
def read(browser: Browser, fresh: str) -> Iterator[Page]:
    """The page over it, opened once and only looked at."""
    with test_page.watched(browser) as found:
        found.goto(fresh)
        yield found


def test_the_state_theta_and_its_interval_stand_first(fresh: str, read: Page) -> None:
    point = read.request.get(f"{fresh}/v1/shift?start={day(199)}").json()["data"][0]
    expect(read.locator("#verdict")).to_have_text("Today the story is panic, leaning clearly to panic.")
    expect(read.locator("#numbers")).to_have_text(
        f"θ {point['index']:.2f} 90 % interval {point['low']:.2f} to {point['high']:.2f}"
    )
    gauge = read.get_by_role("img", name=re.compile(r"^θ 0\.\d\d on a scale from 0, panic, over 0.5, neutral"))
    expect(gauge).to_be_visible()
    dot = gauge.locator("circle").get_attribute("cx")
    assert dot is not None
    assert float(dot.rstrip("%")) == pytest.approx(100 * point["index"], abs=0.01)
    expect(read.locator("#fresh")).to_contain_text("18 July 2020, 08:00 UTC, 10 hours ago")
    expect(read.locator("#stale")).to_be_hidden()
    assert read.evaluate("typeof Plotly") == "undefined"  # the page is light


def test_what_moved_theta_since_the_day_before_is_one_sentence_of_the_api(fresh: str, read: Page) -> None:
    why = read.request.get(f"{fresh}/v1/shift/why?start={day(198)}&end={day(199)}").json()["meta"]["sentence"]
    expect(read.locator("#moved-title")).to_have_text("What moved it from 16 July to 17 July 2020")
    expect(read.locator("#moved")).to_contain_text(why.split(":")[0])
    assert "_" not in (read.locator("#moved").text_content() or "_")


def test_the_six_triggers_stand_with_state_reason_and_data(fresh: str, read: Page) -> None:
    told = read.request.get(f"{fresh}/v1/triggers").json()["data"]
    items = read.locator("#trigger-list > li")
    expect(items).to_have_count(6)
    assert items.locator(".lamp").all_text_contents() == [trigger["state"] for trigger in told]
    items.first.locator("summary").click()
    expect(items.first.locator("tbody tr")).to_have_count(len(told[0]["data"]))


def test_prices_are_told_since_the_last_shift_and_what_is_null_is_not_known(fresh: str, page: Page) -> None:
    answer(page, "shift/events", [SHIFT | {"return_btc": None}])
    page.goto(fresh)
    expect(page.locator("#assets-said")).to_have_text(
        "Since the story turned from calm to panic, detected 12 June 2020."
    )
    assert page.locator("#assets dd:not(.close)").all_text_contents() == ["not known", "n/a", "−10.0 %"]
    page.locator("#assets-said a").click()
    expect(page).to_have_url(re.compile(r"/story#start=.*at=2020-06-12"))


def test_without_a_shift_prices_are_told_over_thirty_days_and_without_a_close_not_at_all(
    fresh: str, page: Page
) -> None:
    answer(page, "shift/events", [])
    page.goto(fresh)
    expect(page.locator("#assets-said")).to_have_text("Over 30 days: no shift has been detected.")
    btc = 9_990 / 9_690 - 1
    assert page.locator("#assets dd:not(.close)").all_text_contents() == [f"+{100 * btc:.1f} %", "n/a", "n/a"]
    expect(page.locator("#assets .close").first).to_have_text("9,990 USD, close of 18 July 2020")
    expect(page.locator("#assets .close").last).to_have_text("no close in the last 45 days")


def test_the_course_of_theta_says_in_words_what_it_draws_and_leads_into_the_story(read: Page) -> None:
    words = re.compile(r"θ over 90 days, from 0\.\d\d to 0\.\d\d; lowest 0\.\d\d on .*, highest .* Open the story\.")
    address = read.get_by_role("link", name=words).get_attribute("href") or ""
    assert address.startswith(f"/story#start={day(110)}&end={day(200)}&bucket=day&at={day(199)}")


def test_the_newest_articles_show_their_evidence_and_lead_to_the_whole(read: Page) -> None:
    expect(read.locator("#list li")).to_have_count(4)
    expect(read.locator("#list mark").first).to_be_visible()
    assert (read.locator("#list a", has_text="whole article").first.get_attribute("href") or "").startswith(
        "/articles/"
    )
    assert "narrative=safe_haven" in (read.locator("#all-articles").get_attribute("href") or "")


def test_a_failing_feed_is_shown_with_what_its_server_said(page: Page, sqlite_url: str) -> None:
    with morning(sqlite_url, LAST, days=3) as address:
        database = Database(sqlite_url)
        with database.write() as session:
            for name, said in (("Good", None), ("Bad", "The server answered 404 Not Found.")):
                url = f"https://{name}.example/feed"
                session.add(
                    Feed(url=url, outlet=name, added_at=LAST, next_fetch_at=LAST, last_fetched_at=LAST, last_error=said)
                )
        database.close()
        page.goto(address)
        expect(page.locator("#fresh")).to_contain_text("2 feeds, 1 failing")
        expect(page.locator("#failing li")).to_have_text("Bad The server answered 404 Not Found.")
        page.locator("#freshness").get_by_role("link").click()
        expect(page).to_have_title("Storyshift: sources")
        page.wait_for_load_state("networkidle")


def test_an_empty_record_says_what_to_do(page: Page, sqlite_url: str, now: datetime) -> None:
    with morning(sqlite_url, now, days=0) as address:
        page.goto(address)
        expect(page.locator("#verdict")).to_have_text("No article is known yet.")
        expect(page.locator("#caveat")).to_contain_text("make run")
        expect(page.locator("#caveat")).to_contain_text("storyshift import news")
        expect(page.locator("#theta-part")).to_be_hidden()
        expect(page.locator("#fresh")).to_contain_text("none yet")
        page.wait_for_load_state("networkidle")


def test_a_young_record_shows_how_far_it_is_and_can_start_from_prior_rates(page: Page, sqlite_url: str) -> None:
    with morning(sqlite_url, FIRST + timedelta(days=30), days=30) as address:
        page.goto(address)
        expect(page.locator("#verdict")).to_have_text("Warming up: θ will speak from about 29 April 2020.")
        expect(page.locator("#progress-said")).to_have_text("30 of 120 days of news")
        expect(page.get_by_role("progressbar")).to_have_js_property("value", 30)
        page.locator("#prior").click()
        expect(page.locator("#verdict")).to_contain_text("the story was")
        expect(page.locator("#figures")).to_contain_text("five archives")
        assert "prior=on" in page.url
        page.wait_for_load_state("networkidle")


def test_a_record_that_has_stood_still_says_since_when_and_dates_the_sentence(page: Page, sqlite_url: str) -> None:
    with morning(sqlite_url, LAST + timedelta(days=5)) as address:
        page.goto(address)
        expect(page.locator("#verdict")).to_contain_text("On 18 July 2020, the last day with θ, the story was panic")
        expect(page.locator("#stale")).to_contain_text("Nothing new for 5 days.")
        expect(page.locator("#fresh")).to_contain_text("bitcoin 18 July 2020 (old)")
        page.wait_for_load_state("networkidle")


def test_an_error_is_the_sentence_of_the_api_and_can_be_tried_again(browser: Browser, fresh: str) -> None:
    page = browser.new_page()
    refuse(page, "shift")
    page.goto(fresh)
    expect(page.locator("#verdict")).to_have_text("Nothing can be shown.")
    expect(page.get_by_role("alert")).to_contain_text("The database does not answer.")
    expect(page.locator("#triggers")).to_be_hidden()
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#verdict")).to_contain_text("the story is panic")
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()


def test_news_from_the_server_refreshes_the_page_and_an_unchanged_verdict_is_not_read_out_again(
    fresh: str, page: Page
) -> None:
    page.goto(fresh)
    expect(page.locator("#trigger-list > li")).to_have_count(6)
    page.evaluate("window.told = document.querySelector('#verdict').firstChild")
    body = "retry: 100000000\nevent: record\ndata: {}\n\n"
    page.route("**/v1/events", lambda route: route.fulfill(content_type="text/event-stream", body=body))
    with page.expect_request("**/v1/shift?*"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.told === document.querySelector('#verdict').firstChild")


def test_the_real_stream_is_heard(browser: Browser, fresh: str) -> None:
    page = browser.new_page()
    with page.expect_response("**/v1/events") as heard:
        page.goto(fresh)
    assert heard.value.headers["content-type"].startswith("text/event-stream")
    page.close()


def test_an_old_address_of_the_story_leads_to_its_page(fresh: str, page: Page) -> None:
    page.goto(fresh + test_page.view().replace("/story", "/"))
    expect(page.locator("#articles-title")).to_contain_text("11 June 2020")
    expect(page).to_have_url(re.compile(r"/story#start="))


@pytest.fixture
def as_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is served then is served as a replay."""
    create = served.create_app
    monkeypatch.setattr(served, "create_app", lambda *args, **told: create(*args, **told, replay=True))


@pytest.mark.usefixtures("as_replay")
def test_of_a_replay_now_is_its_end_and_no_alarm(page: Page, sqlite_url: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with morning(sqlite_url, LAST + timedelta(days=100)) as address:
        page.goto(address)
        expect(page.locator(".banner")).to_contain_text("This is a replay.")
        expect(page.locator("#verdict")).to_contain_text("On 18 July 2020, where the replay ends, the story was panic")
        expect(page.locator("#fresh")).to_contain_text("Newest article")
        expect(page.locator("#stale")).to_be_hidden()
        expect(page.locator("#trigger-list")).to_contain_text(
            "Nothing is known of DFII10, which the replay does not bring."
        )
        expect(page.locator("#trigger-list")).not_to_contain_text("import or load")
        page.wait_for_load_state("networkidle")
        for path in ("triggers", "shift/why", "shift/events", "prices/BTC", "articles"):
            questions = [url for url in asked if f"/v1/{path}?" in url]
            assert questions, path
            assert all(f"as_of={day(200)}" in url for url in questions), path


def test_nothing_is_wider_than_the_screen_and_a_phone_reads_in_order(fresh: str, page: Page) -> None:
    def bear(route: Route) -> None:
        told = route.fetch().json()
        told["data"][0] |= {"title": "W" * 200, "summary": "M" * 400}
        route.fulfill(json=told)

    page.route("**/v1/articles?*", bear)
    page.goto(fresh)
    expect(page.locator("#list li")).to_have_count(4)
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    for width in (1440, 768, 390, 360):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    blocks = ("#verdict", "#gauge", "#moved", "#triggers", "#assets")
    tops = [place["y"] for name in blocks if (place := page.locator(name).bounding_box())]
    assert len(tops) == 5
    assert tops == sorted(tops)


def test_what_is_pressed_is_large_enough_for_a_thumb(browser: Browser, fresh: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    for path in ("/", "/story"):
        page.goto(fresh + path)
        expect(page.locator("#trigger-list > li")).to_have_count(6)
        sizes = page.locator("main :is(button, summary, select, input):visible").evaluate_all(
            "nodes => nodes.map((node) => [node.id || node.textContent, node.getBoundingClientRect().height])"
        )
        assert [name for name, height in sizes if height < 44] == []
    context.close()
