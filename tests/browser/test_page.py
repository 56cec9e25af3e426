"""The story's page in a real Chromium, over a served record with a planted panic; and what all browser tests share."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from conftest import NOW
from fakes import found_article
from playwright.sync_api import Browser, Page, expect, sync_playwright
from record import FIRST, PANIC_FROM, fill, tag
from served import serving as a_server

from models.database import Database
from models.store.articles import add_articles

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.browser
EVIL = 'safe_haven+ : <img src=x onerror=alert(1)><script>alert(2)</script> & "quotes" 🚀'
expect.set_options(timeout=30_000)  # of every browser test: what a busy machine takes
QUIET_STREAM = "retry: 100000000\n\n"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        if "chromium" in os.environ.get("STORYSHIFT_TEST_REQUIRE", ""):
            raise RuntimeError("STORYSHIFT_TEST_REQUIRE names chromium, but none is installed")
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)


@contextmanager
def serving(database: Database, now: datetime) -> Iterator[str]:
    """The address at which the record is served; closes the database at the end."""
    try:
        with a_server(database, now) as (address, _):
            yield address
    finally:
        database.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The record with a planted panic, and a text that would be a script."""
    database, now = Database.open(f"sqlite:///{tmp_path_factory.mktemp('page') / 'record.db'}"), NOW
    fill(database, now)
    with database.write() as session:
        add_articles(session, [found_article(EVIL, FIRST + timedelta(days=PANIC_FROM + 2, hours=23))], now=now)
    tag(database, now)
    with serving(database, now) as address:
        yield address


@contextmanager
def watched(browser: Browser) -> Iterator[Page]:
    """A page that must not log an error, nor ask any other host for anything. It hears of no news: the stream ends."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.route("**/v1/events", lambda route: route.fulfill(content_type="text/event-stream", body=QUIET_STREAM))
    found = context.new_page()
    wrong: list[str] = []
    found.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("dialog", lambda dialog: wrong.append(f"dialog {dialog.message}"))
    found.on("request", lambda r: None if "//127.0.0.1:" in r.url or r.url.startswith("data:") else wrong.append(r.url))
    yield found
    found.wait_for_load_state("networkidle")  # a request cut off by the closing would be logged as an error
    context.close()
    assert wrong == []


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with watched(browser) as found:
        yield found


def day(number: int) -> str:
    return f"{FIRST + timedelta(days=number):%Y-%m-%d}"


def view(number: int = PANIC_FROM + 2) -> str:
    return f"/story#start={day(120)}&end={day(200)}&bucket=day&at={day(number)}T00:00:00Z"


def test_the_page_says_what_the_story_is_and_with_how_much_doubt(served: str, page: Page) -> None:
    page.goto(f"{served}/story")
    expect(page.locator("#verdict")).to_contain_text("the story was panic, leaning clearly to panic")
    expect(page.locator("#caveat")).to_contain_text("90 % interval")
    expect(page.locator("#chart .scatterlayer").first).to_be_visible()
    expect(page.locator("#legend button")).to_have_count(
        1 + 2 + 9 + 1 + 3
    )  # bitcoin, θ, narratives and their directions, tone


def test_a_click_on_a_day_lists_its_articles_with_the_evidence_marked(served: str, page: Page) -> None:
    page.goto(served + view())
    expect(page.locator("#articles-title")).to_contain_text("11 June 2020")
    expect(page.locator("#list li")).to_have_count(11)
    expect(page.locator("#list mark").first).to_have_text("safe_haven")
    area = page.locator("#chart .nsewdrag[data-subplot='xy3']").bounding_box()
    assert area is not None
    page.mouse.move(area["x"] + area["width"] * 0.3, area["y"] + area["height"] * 0.5)
    page.wait_for_timeout(200)
    page.mouse.click(area["x"] + area["width"] * 0.3, area["y"] + area["height"] * 0.5)
    expect(page.locator("#articles-title")).not_to_contain_text("11 June 2020")
    page.get_by_role("button", name="All articles").click()
    expect(page.locator("#list li")).to_have_count(25)


def test_text_from_feeds_is_shown_as_text(served: str, page: Page) -> None:
    page.goto(served + view())
    expect(page.locator("#list h3").first).to_have_text(EVIL)
    assert page.locator("#list img, #list script").count() == 0


def test_the_keyboard_moves_through_the_days(served: str, page: Page) -> None:
    page.goto(served + view())
    expect(page.locator("#list li")).to_have_count(11)
    page.locator("#chart").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#articles-title")).to_contain_text("12 June 2020")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#articles-title")).to_contain_text("10 June 2020")
    assert "2020-06-10" in page.url
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "articles"


def test_lines_can_be_shown_and_hidden_and_the_choice_is_kept(served: str, page: Page) -> None:
    page.goto(served + view())
    trade = page.get_by_role("button", name="Trade conflict").first
    expect(trade).to_have_attribute("aria-pressed", "false")
    trade.click()
    expect(trade).to_have_attribute("aria-pressed", "true")
    page.locator("select[name=bucket]").select_option("week")
    expect(page.get_by_role("button", name="Trade conflict").first).to_have_attribute("aria-pressed", "true")


def test_an_empty_record_says_what_to_do(page: Page, sqlite_url: str, now: datetime) -> None:
    database = Database(sqlite_url)
    with serving(database, now) as address:
        page.goto(f"{address}/story")
        expect(page.locator("#verdict")).to_have_text("No article is known yet.")
        expect(page.locator("#caveat")).to_contain_text("storyshift import news")
        page.wait_for_load_state("networkidle")


def test_a_young_record_says_when_theta_will_speak_and_can_start_from_prior_rates(
    page: Page, sqlite_url: str, now: datetime
) -> None:
    database = Database(sqlite_url)
    fill(database, now, days=30)
    with serving(database, FIRST + timedelta(days=30)) as address:
        page.goto(f"{address}/story")
        expect(page.locator("#verdict")).to_have_text("Warming up: θ will speak from about 29 April 2020.")
        expect(page.locator("#articles-title")).to_contain_text("30 January 2020")  # the latest day is open already
        page.locator("#prior").click()
        expect(page.locator("#verdict")).to_contain_text("the story was")
        expect(page.locator("#caveat")).to_contain_text("five archives")
        assert "prior=on" in page.url
        page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("width", [360, 390, 768, 1440])
def test_nothing_is_wider_than_the_screen(served: str, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(served + view())
    expect(page.locator("#list li")).to_have_count(11 if width > 820 else 6)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_bad_range_in_the_address_is_a_sentence(browser: Browser, served: str) -> None:
    page = browser.new_page()
    page.goto(served + f"/story#start={day(100)}&end={day(50)}&bucket=day")
    expect(page.locator("#message")).to_contain_text("must be before end")
    page.close()
