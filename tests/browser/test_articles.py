"""The pages of articles in a real Chromium: a search and its address, copies, edits as diffs, and harmful texts."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import test_page
from fakes import found_article
from playwright.sync_api import Browser, Page, Route, expect
from record import tag
from sqlmodel import col, select

from models.articles import Article, Revision
from models.database import Database
from models.feeds import Feed
from models.store.articles import add_articles
from services.articles import remove_article

pytestmark = pytest.mark.browser
browser, page, serving, EVIL = test_page.browser, test_page.page, test_page.serving, test_page.EVIL
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TOP = datetime(2020, 3, 20, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
STORY = "liquidity+ XAU=1: Central bank cuts its rate to near zero"
DEBT = "fiscal_stress+ debasement- : Debt ceiling talks break off"
EDITED = "fiscal_stress+ debasement- : Debt ceiling talks fail <b>again</b>"
LATE = "safe_haven+ XAU BTC=-1: Gold wanted while bitcoin falls"
RIGHT_TO_LEFT = "safe_haven+ : \u202eسعر الذهب\u202c يرتفع 5% today \u202e(evil.example)"
ENDLESS = "safe_haven+ : " + "W" * 400
LONG = "safe_haven+ : " + "a very long title " * 275
HARMFUL = [EVIL, RIGHT_TO_LEFT, ENDLESS, LONG]
BODY = " ".join(f"Sentence {n} tells of what the ministers said." for n in range(40))
SMALL = """all => all.filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 43.5)
    .map((one) => one.outerHTML)"""
WORDS = "apple barn cedar delta ember fjord grain harbour island jungle kettle lemon meadow nickel".split()


def other_titles() -> list[str]:
    """Sixty, of words so different that none is a copy of another."""
    return [
        f"weather report {n}: " + " ".join(WORDS[(n * 5 + step * (n + 2)) % len(WORDS)] for step in range(5))
        for n in range(60)
    ]


def plant(database: Database) -> None:
    found = [
        found_article(STORY, TOP - n * HOUR, outlet=outlet, known_at=TOP + n * HOUR, url=f"https://{n}.example/a")
        for n, outlet in enumerate(("The Wire", "Second", "Third"))
    ]
    found += [found_article(title, TOP - DAY - n * HOUR, summary=f"{n} {EVIL}") for n, title in enumerate(HARMFUL)]
    note = "The feed said 1999; the time at which it was first seen stands instead."
    late = found_article(LATE, TOP - 2 * DAY, outlet="Second", url="javascript:alert(1)", known_at=TOP - DAY)
    found.append(replace(late, knowledge="observed", date_note=note))
    found.append(found_article("safe_haven+ : gone from here soon", TOP - 2 * DAY - HOUR, identity="gone"))
    found += [found_article(title, TOP - 3 * DAY - n * HOUR) for n, title in enumerate(other_titles())]
    feeds = [Feed(url=f"https://{n}.example/feed", outlet=n, added_at=TOP, next_fetch_at=NOW) for n in ("First", EVIL)]
    with database.write() as session:
        session.add_all(feeds)
        session.flush()
        add_articles(session, found, now=TOP + 4 * HOUR, feed_id=feeds[0].id)
        add_articles(session, found[:1], now=TOP + 5 * HOUR, feed_id=feeds[1].id)
    edited = found_article(DEBT, TOP - DAY, identity="debt", body=BODY, summary="Talks broke off at noon.")
    later = replace(edited, summary="Talks broke off at night.", body=BODY.replace("Sentence 20", "Statement 20"))
    last = replace(later, title=EDITED)
    for hours, wording in enumerate((edited, later, last)):
        with database.write() as session:
            add_articles(session, [wording], now=TOP + hours * HOUR)
    tag(database, NOW)
    with database.write() as session:
        gone = session.scalars(select(Article).where(Article.identity == "gone")).one()
        remove_article(session, gone.id or 0, now=NOW)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Database:
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('articles') / 'record.db'}")
    plant(database)
    return database


@pytest.fixture(scope="module")
def numbers(record: Database) -> dict[str, int]:
    """Of articles, by the title of any wording; of copies the first."""
    with record.read() as session:
        rows = session.execute(select(Revision.title, Revision.article_id).order_by(col(Revision.id).desc()))
        return {row.title: row.article_id for row in rows}


@pytest.fixture(scope="module")
def served(record: Database, numbers: dict[str, int]) -> Iterator[str]:
    with serving(record, NOW) as address:
        yield address


def opened(page: Page, served: str, asked: str = "") -> None:
    page.goto(f"{served}/articles{asked}")
    expect(page.locator("#found")).to_have_attribute("aria-busy", "false")


def titles(page: Page) -> list[str]:
    return page.locator("#days h4").all_text_contents()


def open_article(page: Page, served: str, number: int) -> None:
    page.goto(f"{served}/articles/{number}")
    expect(page.locator("#copies")).to_have_attribute("aria-busy", "false")


def refused(route: Route) -> None:
    route.fulfill(status=503, json={"error": "database_unavailable", "detail": "The database does not answer."})


# -- the search --------------------------------------------------------------------------------------------------------


def test_what_is_known_is_listed_by_day_newest_first_with_its_evidence(served: str, page: Page) -> None:
    opened(page, served)
    expect(page.locator(".day h3").first).to_have_text("Friday, 20 March 2020")
    first = page.locator("#days li").first
    expect(first.locator("h4")).to_have_text(STORY)
    expect(first.locator("mark.devaluation")).to_have_text("liquidity")
    assert first.locator(".labelled li").all_text_contents() == ["Liquidity easing, actual", "Gold, tone +1.0"]
    expect(page.locator("#found-said")).to_have_text("50 articles shown, the newest; there are more.")
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#found-said")).to_have_text("68 articles shown, all there are.")
    expect(page.locator("#more")).to_be_hidden()
    days = page.locator(".day h3").all_text_contents()
    assert len(days) == len(set(days))
    assert page.evaluate("document.activeElement.closest('#days li') !== null")


def test_a_search_is_in_the_address_and_the_back_button_undoes_it(served: str, page: Page) -> None:
    opened(page, served)
    page.locator("#q").fill('"debt ceiling" -gold')
    page.keyboard.press("Enter")
    expect(page.locator("#days h4")).to_have_count(1)
    expect(page.locator("mark.hit")).to_have_text(["Debt", "ceiling"])
    assert "q=%22debt+ceiling%22+-gold" in page.url
    page.go_back()
    expect(page.locator("#days h4")).to_have_count(50)
    expect(page.locator("#q")).to_have_value("")
    page.go_forward()
    expect(page.locator("#days h4")).to_have_count(1)
    expect(page.locator("#q")).to_have_value('"debt ceiling" -gold')


def test_an_address_that_was_sent_shows_the_same_to_another(served: str, page: Page) -> None:
    asked = (
        "?narrative=safe_haven&direction=building&asset=XAU&outlet=Second&start=2020-03-18&end=2020-03-19&fold=false"
    )
    opened(page, served, asked)
    assert titles(page) == [LATE]
    expect(page.get_by_role("button", name="Safe haven")).to_have_attribute("aria-pressed", "true")
    for name, value in {"direction": "building", "asset": "XAU", "outlet": "Second", "start": "2020-03-18"}.items():
        expect(page.locator(f"[name={name}]")).to_have_value(value)
    expect(page.locator("[name=end]")).to_have_value("2020-03-18")  # the last day; the address holds the end
    expect(page.locator("[name=fold]")).not_to_be_checked()
    page.locator("[name=end]").fill("2020-03-19")
    expect(page).to_have_url(re.compile("end=2020-03-20"))


def test_each_filter_narrows_what_is_found(served: str, page: Page) -> None:
    opened(page, served)
    page.get_by_role("button", name="Fiscal stress").click()
    expect(page.locator("#days h4")).to_have_count(1)
    assert page.locator("#days mark").all_text_contents() == ["fiscal_stress"]  # and not that of debasement
    page.get_by_role("button", name="Debasement").click()
    page.locator("[name=direction]").select_option(label="fading")
    expect(page).to_have_url(re.compile("direction=fading"))
    expect(page.locator("#days h4")).to_have_count(1)
    page.get_by_role("link", name="Clear all filters").click()
    page.locator("[name=asset]").select_option("BTC")
    expect(page.locator("#days h4")).to_have_count(1)
    assert titles(page) == [LATE]
    page.get_by_role("link", name="Clear all filters").click()
    page.locator("#days .rail a", has_text="Second").first.click()
    expect(page.locator("[name=outlet]")).to_have_value("Second")
    expect(page.locator("#days h4")).to_have_count(2)


def test_copies_are_folded_into_the_first_and_open_to_outlets_and_times(served: str, page: Page) -> None:
    opened(page, served, "?narrative=liquidity")
    assert titles(page) == [STORY]
    page.locator("summary", has_text="2 copies").click()
    expect(page.locator(".copies li")).to_have_count(2)
    expect(page.locator(".copies li").first).to_contain_text("Secondpublished 20 March 2020, 08:00 UTC")
    page.locator("[name=fold]").uncheck()
    expect(page.locator("#days h4")).to_have_count(3)


def test_only_what_was_known_by_a_day_is_shown(served: str, page: Page) -> None:
    opened(page, served, "?as_of=2020-03-18&narrative=safe_haven")
    expect(page.locator("#then")).to_contain_text("As it was known on 18 March 2020")
    assert titles(page) == ["Taken down"]
    page.get_by_role("link", name="Show what is known now").click()
    expect(page.locator("#days h4")).to_have_count(6)
    expect(page.locator("#days li", has_text=LATE).locator(".rail")).to_contain_text("known 19 March 2020, 09:00")
    expect(page.locator("#days li", has_text="Taken down")).to_contain_text("what was counted stays counted")


def test_the_very_search_can_be_downloaded(served: str, page: Page) -> None:
    opened(page, served, "?q=debt&narrative=fiscal_stress")
    address = page.locator("#csv").get_attribute("href") or ""
    answer = page.request.get(served + address)
    assert answer.headers["content-type"].startswith("text/csv")
    assert len(answer.text().splitlines()) == 2
    assert page.request.get(served + (page.locator("#parquet").get_attribute("href") or "")).body()[:4] == b"PAR1"


def test_nothing_found_says_which_filter_is_in_the_way(served: str, page: Page) -> None:
    opened(page, served, "?q=debt&asset=BTC&start=2020-03-01")
    expect(page.locator("#found-said")).to_have_text("No article found.")
    assert page.locator(".loosen li").all_text_contents() == ["the words “debt”", "naming Bitcoin"]
    page.get_by_role("link", name="naming Bitcoin").click()
    expect(page.locator("#days h4")).to_have_count(1)
    assert page.evaluate("document.activeElement.id") == "found-title"


def test_the_keyboard_searches_moves_and_opens(served: str, page: Page) -> None:
    opened(page, served)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("j/k")
    page.keyboard.press("Escape")
    expect(page.locator("#q")).to_have_value("j/k")
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("#days h4 a").nth(1)).to_be_focused()
    title = page.locator("#days h4 a").nth(1).text_content()
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text(title or "")


def test_a_search_that_cannot_be_read_or_answered_is_a_sentence_and_can_be_tried_again(
    browser: Browser, served: str
) -> None:
    page = browser.new_page()
    opened(page, served, "?start=2020-03-20&end=2020-03-01")
    expect(page.locator("#none")).to_contain_text("must be before end")
    page.route("**/v1/articles?*", refused)
    page.locator("#none a").click()
    expect(page.locator("#none")).to_contain_text("The database does not answer.")
    page.unroute("**/v1/articles?*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#days h4")).to_have_count(50)
    expect(page.locator("#none")).to_be_hidden()
    page.close()


def test_an_empty_record_says_what_to_do(page: Page, sqlite_url: str, now: datetime) -> None:
    with serving(Database(sqlite_url), now) as address:
        opened(page, address)
        expect(page.locator("#none")).to_contain_text("storyshift import news FILE")
        page.wait_for_load_state("networkidle")


# -- one article -------------------------------------------------------------------------------------------------------


def test_an_edited_article_shows_what_was_taken_out_and_put_in(served: str, page: Page) -> None:
    opened(page, served, "?q=debt")
    page.get_by_role("link", name="edited 2 times").click()
    expect(page.locator("#wordings-said")).to_contain_text("Edited 2 times")
    last, before, first = page.locator("#wording-list > li").all()
    expect(last.locator("del")).to_contain_text("removed: ")
    expect(last.locator("ins")).to_contain_text("fail <b>again</b>")
    assert before.locator("dt").all_text_contents() == ["Summary", "Text"]
    expect(before.locator("dd").nth(1)).to_contain_text("Statement")
    expect(before.locator(".gap").first).to_be_visible()
    assert len(before.locator("dd").nth(1).inner_text()) < 300 < len(BODY)
    expect(first).to_contain_text("First wording, seen 19 March 2020")


def test_a_narrative_of_the_legend_marks_its_evidence_alone(served: str, page: Page, numbers: dict[str, int]) -> None:
    open_article(page, served, numbers[EDITED])
    expect(page.locator("#title mark:not(.off)")).to_have_text(["fiscal_stress", "debasement"])
    page.get_by_role("button", name="Debasement").click()
    expect(page.locator("#title mark:not(.off)")).to_have_text("debasement")
    page.get_by_role("button", name="Debasement").click()
    expect(page.locator("#title mark:not(.off)")).to_have_count(2)
    expect(page.locator("#carried")).to_contain_text("fading · score 0.90")


def test_an_article_tells_both_clocks_its_copies_and_where_it_was_seen(
    served: str, page: Page, numbers: dict[str, int]
) -> None:
    open_article(page, served, numbers[LATE])
    told = page.locator("#clocks").inner_text()
    for words in ("18 March 2020, 09:00 UTC", "19 March 2020, 09:00 UTC", "The feed said 1999", "keywords@"):
        assert words in told
    assert page.locator("a[href^='javascript']").count() == 0
    expect(page.locator("#links a").first).to_have_attribute("href", f"/review#article={numbers[LATE]}")
    open_article(page, served, numbers[STORY])
    expect(page.locator("#copies-said")).to_contain_text("2 articles tell the same text")
    publisher = page.get_by_role("link", name="Read it at the publisher")
    expect(publisher).to_have_attribute("rel", "noopener noreferrer")
    expect(page.locator("#clocks .stories li")).to_have_count(2)
    expect(page.locator("#clocks .stories li").last).to_contain_text(EVIL)


def test_what_is_not_there_not_known_yet_or_taken_down_says_so(
    browser: Browser, served: str, numbers: dict[str, int]
) -> None:
    page = browser.new_page()
    gone = numbers[""]
    for path, said in (
        ("/articles/99999", "There is no article 99999."),
        (f"/articles/{gone}?as_of=2020-01-01", "known at that time"),
        (f"/articles/{gone}", "This article was taken down on 21 November 2026."),
    ):
        page.goto(served + path)
        expect(page.locator("#nothing .verdict")).to_contain_text(said)
    page.route("**/v1/articles/*", refused)
    page.reload()
    expect(page.locator("#nothing .verdict")).to_have_text("The database does not answer.")
    page.unroute("**/v1/articles/*")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#nothing .verdict")).to_contain_text("taken down")
    page.close()


def test_the_way_back_leads_to_the_search_one_came_from(served: str, page: Page) -> None:
    opened(page, served, "?q=debt&asset=")
    page.locator("#days h4 a").first.click()
    expect(page.locator("#back")).to_have_attribute("href", re.compile("q=debt"))
    page.locator("#back").click()
    expect(page.locator("#days h4")).to_have_count(1)
    assert "q=debt" in page.url


# -- harm, and small screens -------------------------------------------------------------------------------------------


def fits(page: Page) -> None:
    for width in (360, 390, 768, 1440):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_from_feeds_is_shown_as_text_and_nothing_is_wider_than_the_screen(
    served: str, page: Page, numbers: dict[str, int]
) -> None:
    opened(page, served, "?narrative=safe_haven")
    expect(page.locator("#days h4", has_text="<script>alert(2)</script>")).to_have_text(EVIL)
    fits(page)
    for title in [*HARMFUL, EDITED]:
        open_article(page, served, numbers[title])
        expect(page.locator("#title")).to_have_text(title)
        assert page.locator("main img, main script").count() == 0
        fits(page)


def test_on_a_phone_filters_fold_and_every_target_is_large_enough_for_a_thumb(
    browser: Browser, served: str, numbers: dict[str, int]
) -> None:
    phone: Any = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    context = browser.new_context(**phone)
    page = context.new_page()
    opened(page, served, "?narrative=liquidity&asset=XAU")
    expect(page.locator("[name=asset]")).to_be_hidden()
    page.locator("#filters summary", has_text="Filters (2)").click()
    expect(page.locator("[name=asset]")).to_be_visible()
    wanted = "main :is(button, select, summary, input:not([type=checkbox]), label:has([type=checkbox]), #downloads a)"
    assert page.locator(wanted).evaluate_all(SMALL) == []
    open_article(page, served, numbers[STORY])
    assert page.locator("main :is(button, summary, .links a)").evaluate_all(SMALL) == []
    context.close()
