"""The page of reviewing in a real Chromium: by keyboard, by touch, with the server gone, and nothing lost."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import pytest
import test_page
from fakes import found_article
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route, expect
from record import tag
from sqlmodel import select

from models.articles import Revision
from models.database import Database
from models.reviews import Review
from models.store.articles import add_articles
from services.keys import create_link, revoke_key

pytestmark = pytest.mark.browser
browser, page, serving = test_page.browser, test_page.page, test_page.serving
EVIL = 'safe_haven+ XAU: <img src=x onerror=alert(1)><script>alert(2)</script> 🚀 & "quotes"'
LONG = "\n".join(f"Paragraph {n} of a long text about the ai bubble and what it may do." for n in range(40))
WORDS = (
    "apple barn cedar delta ember fjord grain harbour island jungle kettle lemon meadow nickel orchid pepper quartz"
).split()
KINDS = ("safe_haven+ XAU", "liquidity-", "weather report says", "debasement+ BTC=-1")
N = 28
TIMES = """
window.times = [];
document.addEventListener("DOMContentLoaded", () => {
  const title = document.getElementById("title");
  if (!title) return;
  let pressed = null;
  for (const kind of ["keydown", "click"]) addEventListener(kind, (event) => { pressed = event.timeStamp; }, true);
  new MutationObserver(() => {
    const from = pressed;
    if (from === null) return;
    requestAnimationFrame(() => {
      const channel = new MessageChannel(); // its turn comes once the frame is drawn
      channel.port1.onmessage = () => window.times.push(performance.now() - from);
      channel.port2.postMessage(0);
    });
  }).observe(title, { childList: true });
});
"""
SMALL = """all => all.filter((one) => one.checkVisibility() && Math.min(one.offsetWidth, one.offsetHeight) < 44)
    .map((one) => one.textContent)"""
Said = tuple[dict[str, Any], dict[str, int] | None]


def titles() -> list[str]:
    """In turn of each of the kinds, all of words so different that none is a copy of another."""
    found = []
    for n in range(N):
        words = " ".join(WORDS[(n * 5 + step * (n + 2)) % len(WORDS)] for step in range(6))
        found.append(f"{KINDS[n % len(KINDS)]}: number {n} {words}")
    return found


def plant(database: Database, found: list[str], now: datetime, *, body: str = "", url: str | None = None) -> None:
    articles = [
        found_article(title, now - timedelta(hours=n + 2), body=body, url=url, summary=f"{n} ai bubble")
        for n, title in enumerate(found)
    ]
    with database.write() as session:
        add_articles(session, articles, now=now)
    tag(database, now)


@pytest.fixture
def served(sqlite_url: str, now: datetime) -> Iterator[str]:
    database = Database(sqlite_url)
    plant(database, titles(), now)
    with serving(database, now) as address:
        yield address


def stand_in(found: Page | BrowserContext) -> None:
    """What reviews have bought, told the same on every day."""
    told: dict[str, Any] = {"reviewer": "ann", "today": 3, "all": 3, "skipped": 0, "audited": 3}
    told |= {"sentences": ["Three more: <b>good</b>."]}
    found.route("**/v1/review/progress", lambda route: route.fulfill(json=told))


def open_session(found: Page, address: str, url: str, now: datetime, *, name: str = "ann", where: str = "") -> None:
    """By the link that is good for once; then the page of reviewing, with an article on it."""
    database = Database(url)
    with database.write() as session:
        code = create_link(session, name, now=now)
    database.close()
    found.add_init_script(TIMES)
    found.goto(f"{address}/open?code={code}")
    found.wait_for_url("**/review")
    if where:
        found.wait_for_load_state("networkidle")
        found.goto("about:blank")
        found.goto(f"{address}/review#{where}")
    expect(found.locator("#title")).to_be_visible()


@pytest.fixture
def opened(served: str, page: Page, sqlite_url: str, now: datetime) -> Page:
    stand_in(page)
    open_session(page, served, sqlite_url, now)
    expect(page.locator("#title")).to_be_visible()
    return page


def stored(url: str) -> dict[str, Review]:
    """Reviews that were not taken back, by the title of what was read."""
    database = Database(url)
    with database.read() as session:
        titles = {revision.id: revision.title for revision in session.scalars(select(Revision))}
        reviews = [review for review in session.scalars(select(Review)) if review.undone_at is None]
        found = [(titles[review.revision_id], review) for review in reviews]
        session.expunge_all()
    database.close()
    assert len(dict(found)) == len(found)
    return dict(found)


def said(review: Review) -> Said:
    held = {key: (one["direction"], one.get("modality")) for key, one in review.narratives.items() if one}
    return held, review.assets


def saved(found: Page) -> None:
    expect(found.locator("#unsaved")).to_be_hidden()


def press(found: Page, *keys: str) -> None:
    for key in keys:
        found.keyboard.press(key)


def by_keys(title: str, n: int) -> tuple[list[str], Said | str]:
    """What is keyed of an article, and what is to be kept of it (a word: why it was skipped)."""
    if title.startswith("safe_haven") and n % 2:
        return ["ArrowLeft", "Space"], ({"safe_haven": (-1, None)}, {"XAU": 0})
    if title.startswith("safe_haven"):
        return ["Enter"], ({"safe_haven": (1, None)}, {"XAU": 0})
    if title.startswith("liquidity"):
        return ["m", "Enter"], ({"liquidity": (-1, "expected")}, {})
    if title.startswith("debasement"):
        return ["2", "a", "e", "t", "h", "Enter", "ArrowRight", "Enter"], ({}, {"BTC": -1, "ETH": 1})
    if n % 3 == 0:
        return ["4", "ArrowDown", "Enter"], ({"fiscal_stress": (0, None)}, {})
    return (["Enter"], ({}, {})) if n % 3 == 1 else (["s", "c"], "cannot tell")


def tell(capsys: pytest.CaptureFixture[str], found: Page, what: str, n: int) -> None:
    times = found.evaluate("times")
    with capsys.disabled():
        print(
            f"\n{n / 20:.2f} {what} an article; the next painted after {median(times):.0f} ms, {max(times):.0f} at most"
        )


def test_twenty_articles_are_reviewed_by_keys_alone_each_kept_once_as_keyed(
    opened: Page, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    posts: list[Any] = []

    def sent(request: Request) -> None:
        if request.method == "POST":
            posts.append(request.post_data_json)

    opened.on("request", sent)
    expected: dict[str, Said | str] = {}
    n_keys = 0
    for n in range(20):
        title = opened.locator("#title").inner_text()
        assert title not in expected
        keys, expected[title] = by_keys(title, n)
        n_keys += len(keys)
        press(opened, *keys)
        expect(opened.locator("#title")).not_to_have_text(title)
    saved(opened)
    kept = stored(sqlite_url)
    assert {title: review.skipped if review.skipped else said(review) for title, review in kept.items()} == expected
    assert sorted(post["revision_id"] for post in posts) == sorted(review.revision_id for review in kept.values())
    assert {review.slice for review in kept.values()} == {"audit"}
    expect(opened.locator("#progress")).to_contain_text("today")
    tell(capsys, opened, "keys", n_keys)


def test_the_same_by_touch_on_a_small_screen(
    browser: Browser, served: str, sqlite_url: str, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    stand_in(context)
    found = context.new_page()
    wrong: list[str] = []
    found.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    open_session(found, served, sqlite_url, now)
    expected: dict[str, Said | str] = {}
    taps = 0
    for n in range(20):
        title = found.locator("#title").inner_text()
        found.wait_for_timeout(400)  # a second tap at once is taken for a slip
        assert found.evaluate("document.documentElement.scrollWidth") <= 390
        if title.startswith("safe_haven") and n % 2:
            found.get_by_role("group", name="Direction").get_by_role("button", name="fading").tap()
            expected[title] = {"safe_haven": (-1, None)}, {"XAU": 0}
        elif title.startswith("liquidity"):
            found.get_by_role("button", name="expected", exact=True).tap()
            expected[title] = {"liquidity": (-1, "expected")}, {}
        elif title.startswith("debasement"):
            found.get_by_role("button", name="Bitcoin", exact=False).last.tap()
            expected[title] = {"debasement": (1, None)}, {}
        elif title.startswith("weather") and n % 2:
            found.locator("#skip").tap()
            found.get_by_role("button", name="not news").tap()
            expected[title] = "not news"
            taps += 2
        else:
            expected[title] = ({"safe_haven": (1, None)}, {"XAU": 0}) if title.startswith("safe") else ({}, {})
            taps -= 1
        if not isinstance(expected[title], str):
            assert found.eval_on_selector_all("#work button, #bar button", SMALL) == []
            found.locator("#accept").tap()
            taps += 2
        expect(found.locator("#title")).not_to_have_text(title)
    saved(found)
    assert {title: one.skipped if one.skipped else said(one) for title, one in stored(sqlite_url).items()} == expected
    tell(capsys, found, "taps", taps)
    found.wait_for_load_state("networkidle")
    context.close()
    assert wrong == []


def test_undo_brings_articles_back_as_they_were_said_and_takes_the_reviews_back(opened: Page, sqlite_url: str) -> None:
    read = []
    for _ in range(3):
        read.append(opened.locator("#title").inner_text())
        press(opened, "3", "ArrowLeft", "Enter")
        expect(opened.locator("#title")).not_to_have_text(read[-1])
    saved(opened)
    waits = opened.locator("#title").inner_text()
    press(opened, "u")
    expect(opened.locator("#title")).to_have_text(read[2])
    press(opened, "u")
    expect(opened.locator("#title")).to_have_text(read[1])
    liquidity = opened.locator("[data-row='narrative:liquidity']")
    expect(liquidity.get_by_role("button", name="tightening")).to_have_attribute("aria-pressed", "true")
    saved(opened)
    assert set(stored(sqlite_url)) == {read[0]}
    press(opened, "x", "Enter", "Enter")
    expect(opened.locator("#title")).to_have_text(waits)
    saved(opened)
    kept = stored(sqlite_url)
    assert set(kept) == set(read)
    assert said(kept[read[1]])[0] == {}


def test_undo_of_a_verdict_that_was_not_sent_sends_nothing_that_stays(
    browser: Browser, served: str, sqlite_url: str, now: datetime
) -> None:
    found = browser.new_page()
    stand_in(found)
    open_session(found, served, sqlite_url, now)
    first = found.locator("#title").inner_text()
    found.route("**/v1/reviews", lambda route: route.abort())
    press(found, "Enter", "Enter")
    expect(found.locator("#unsaved")).to_have_text("2 not yet saved")
    press(found, "u", "u")
    expect(found.locator("#title")).to_have_text(first)
    found.unroute("**/v1/reviews")
    expect(found.locator("#unsaved")).to_be_hidden(timeout=20_000)
    assert stored(sqlite_url) == {}
    found.close()


def test_what_was_decided_while_the_server_was_gone_is_saved_once_it_is_back(
    browser: Browser, served: str, sqlite_url: str, now: datetime
) -> None:
    context = browser.new_context()
    stand_in(context)
    found = context.new_page()
    found.on("dialog", lambda dialog: dialog.accept())  # that something is not yet saved
    open_session(found, served, sqlite_url, now)
    read = [found.locator("#title").inner_text()]
    press(found, "Enter")
    saved(found)
    answers = iter(range(100))

    def fail(route: Route) -> None:
        """Alternately nothing arrives, the server is busy, and the answer alone is lost."""
        n = next(answers)
        if route.request.method != "POST":
            route.abort()
        elif n % 3 == 1:
            route.fulfill(status=503, json={"error": "busy", "detail": "The database is busy."})
        else:
            if n % 3 == 2:
                route.fetch()
            route.abort()

    context.route("**/v1/review*", fail)
    for _ in range(5):
        read.append(found.locator("#title").inner_text())
        press(found, "Enter")
        expect(found.locator("#title")).not_to_have_text(read[-1])
    expect(found.locator("#unsaved")).to_have_text("5 not yet saved")
    expect(found).to_have_title("(5 not yet saved) Storyshift: review")
    expect(found.locator("#message")).to_contain_text("is kept in this browser")
    found.wait_for_timeout(4_000)  # it tries again, and a verdict arrives of which the page does not learn
    kept = found.evaluate("Object.values(localStorage).map(JSON.parse)")
    assert len(kept) == 5
    context.unroute("**/v1/review*", fail)
    found.reload()
    expect(found.locator("#title")).to_be_visible()
    expect(found.locator("#unsaved")).to_be_hidden(timeout=10_000)
    assert set(stored(sqlite_url)) == set(read)
    assert found.locator("#title").inner_text() not in read
    assert found.evaluate("localStorage.length") == 0
    expect(found).to_have_title("Storyshift: review")
    context.close()


def test_a_session_that_ends_keeps_what_was_decided_until_a_new_link_is_open(
    browser: Browser, served: str, sqlite_url: str, now: datetime
) -> None:
    context = browser.new_context()
    stand_in(context)
    found, other = context.new_page(), context.new_page()
    open_session(found, served, sqlite_url, now)
    title = found.locator("#title").inner_text()
    database = Database(sqlite_url)
    with database.write() as session:
        revoke_key(session, "ann", now=now)
    database.close()
    press(found, "Enter")
    expect(found.locator("#message")).to_contain_text("Your session has ended")
    other.goto(f"{served}/review")
    expect(other.locator("#nothing")).to_contain_text("In this browser wait 1 verdict of ann")
    open_session(other, served, sqlite_url, now)  # the other page saves it, being opened
    expect(found.locator("#unsaved")).to_be_hidden(timeout=20_000)
    expect(found.locator("#message")).to_be_hidden()
    assert set(stored(sqlite_url)) == {title}
    context.close()


def test_a_refused_verdict_is_kept_until_it_is_corrected_or_discarded(
    browser: Browser, served: str, sqlite_url: str, now: datetime
) -> None:
    found = browser.new_page()
    stand_in(found)
    open_session(found, served, sqlite_url, now)
    told = {"error": "bad_input", "detail": "The direction is <i>wrong</i>."}
    found.route("**/v1/reviews", lambda route: route.fulfill(status=422, json=told))
    first = found.locator("#title").inner_text()
    press(found, "Enter")
    expect(found.locator("#refused li")).to_contain_text("The direction is <i>wrong</i>.")
    press(found, "Enter")
    expect(found.locator("#refused li")).to_have_count(2)
    found.unroute("**/v1/reviews")
    found.get_by_role("button", name="Discard").last.click()
    found.reload()
    expect(found.locator("#refused li")).to_contain_text(first)
    found.get_by_role("button", name="Correct").click()
    expect(found.locator("#title")).to_have_text(first)
    expect(found.locator("#refused")).to_be_hidden()
    press(found, "Enter")
    saved(found)
    assert set(stored(sqlite_url)) == {first}
    found.close()


def test_blind_shows_no_label_from_the_next_article_on(opened: Page, sqlite_url: str) -> None:
    titled = opened.locator("#title").inner_text()
    with opened.expect_response("**/v1/review/queue*"):
        press(opened, "b")
    expect(opened.locator("#title")).to_have_text(titled)
    press(opened, "Enter")
    expect(opened.locator("#why")).to_contain_text("Blind")
    for _ in range(4):
        assert opened.locator("#work mark, .row.on").count() == 0
        assert opened.locator("#assets li").count() == 0
        press(opened, "Enter")
        opened.wait_for_timeout(50)
    assert "blind=on" in opened.url
    saved(opened)
    kept = stored(sqlite_url)
    assert [review.blind for review in kept.values()].count(True) == 4
    assert not kept[titled].blind


def test_text_from_feeds_is_shown_as_text_with_its_evidence_marked(page: Page, sqlite_url: str, now: datetime) -> None:
    database = Database(sqlite_url)
    plant(database, [EVIL], now, body=LONG, url="https://example.org/a")
    with serving(database, now) as address:
        stand_in(page)
        open_session(page, address, sqlite_url, now)
        expect(page.locator("#title")).to_have_text(EVIL)
        expect(page.locator("#bought")).to_have_text("Three more: <b>good</b>.")
        assert page.locator("#work img, #work script, #bought b").count() == 0
        expect(page.locator("#title mark.chosen")).to_have_text("safe_haven")
        original = page.get_by_role("link", name="the original")
        assert original.get_attribute("rel") == "noreferrer noopener"
        expect(page.locator("#open")).to_contain_text("Show all of it")
        press(page, "o")
        expect(page.locator("#open")).to_contain_text("Show less")
        press(page, "Enter")
        expect(page.locator("#nothing .verdict")).to_contain_text("All that was drawn has been read")
        expect(page.locator("#undo")).to_be_enabled()
        press(page, "u")
        expect(page.locator("#title")).to_have_text(EVIL)
        saved(page)
        page.wait_for_load_state("networkidle")


def test_a_search_judges_one_narrative_alone_by_y_and_n(
    page: Page, served: str, sqlite_url: str, now: datetime
) -> None:
    stand_in(page)
    open_session(page, served, sqlite_url, now, where="search=ai+bubble&narrative=ai_bubble")
    expect(page.locator("#count")).to_have_text(f"1 of {N}")
    expect(page.locator(".row")).to_have_count(1)
    expect(page.locator("#narratives-title")).to_have_text("Does it tell ai bubble?")
    shown = []
    for key in ("y", "n", "Enter"):
        shown.append(page.locator("#title").inner_text())
        press(page, key)
        expect(page.locator("#title")).not_to_have_text(shown[-1])
    expect(page.locator("#count")).to_have_text(f"4 of {N}")
    saved(page)
    kept = stored(sqlite_url)
    assert kept[shown[0]].narratives == {"ai_bubble": {"direction": 0, "modality": None}}
    assert [kept[title].narratives for title in shown[1:]] == [{"ai_bubble": None}] * 2
    assert all(review.assets is None and review.slice == "search" for review in kept.values())


def test_liquidity_always_has_a_direction_and_a_modality(opened: Page, sqlite_url: str) -> None:
    while not opened.locator("#title").inner_text().startswith("weather"):
        press(opened, "s", "w")
        opened.wait_for_timeout(50)
    title = opened.locator("#title").inner_text()
    row = opened.locator("[data-row='narrative:liquidity']")
    press(opened, "3")
    expect(row.get_by_role("button", name="actual", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(row.get_by_role("button", name="easing", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(row.locator(".was")).to_have_text("off → easing, actual")
    press(opened, "m", "-", "j", "k", "Enter")
    saved(opened)
    assert said(stored(sqlite_url)[title])[0] == {"liquidity": (-1, "expected")}


def test_keys_write_into_a_field_and_a_note_goes_with_the_verdict(opened: Page, sqlite_url: str) -> None:
    title = opened.locator("#title").inner_text()
    press(opened, "n")
    opened.keyboard.type("x2 sub? yes")
    press(opened, "Enter")
    expect(opened.locator("#noted")).to_have_text("Note: x2 sub? yes")
    press(opened, "?")
    expect(opened.locator("#help")).to_be_visible()
    press(opened, "1", "Escape")
    expect(opened.locator("#help")).to_be_hidden()
    expect(opened.locator("#title")).to_have_text(title)
    press(opened, "Enter")
    saved(opened)
    assert stored(sqlite_url)[title].note == "x2 sub? yes"


def test_another_reads_a_second_time_without_being_told(
    browser: Browser, served: str, sqlite_url: str, now: datetime
) -> None:
    for name, where in (("ann", ""), ("bob", "slice=second")):
        context = browser.new_context()
        stand_in(context)
        found = context.new_page()
        open_session(found, served, sqlite_url, now, name=name, where=where)
        expect(found.locator("#title")).to_be_visible()
        if name == "ann":
            title = found.locator("#title").inner_text()
        else:
            expect(found.locator("#title")).to_have_text(title)
            expect(found.locator("#slice")).to_have_text("second reading")
            assert found.locator("#work mark, .row.on").count() == 0
        press(found, "Enter")
        saved(found)
        context.close()


def test_the_keyboard_chooses_what_is_reviewed(opened: Page) -> None:
    press(opened, "q")
    expect(opened.locator("#menu")).to_be_visible()
    press(opened, "3")
    expect(opened.locator("#nothing .verdict")).to_have_text("Nothing waits that is doubtful.")
    assert opened.url.endswith("/review#slice=uncertain")
    press(opened, "q", "1")
    expect(opened.locator("#title")).to_be_visible()
    opened.goto(opened.url.partition("#")[0] + "#article=12")
    expect(opened.locator("#choose")).to_contain_text("Article 12")
    expect(opened.locator("#title")).to_contain_text("number 11")


def test_without_a_session_it_says_how_to_get_one(browser: Browser, served: str) -> None:
    found = browser.new_page()
    found.goto(f"{served}/review")
    expect(found.locator("#nothing .verdict")).to_contain_text("storyshift keys link NAME")
    expect(found.locator("#bar")).to_be_hidden()
    found.close()


@pytest.mark.parametrize("width", [360, 390, 768, 1024, 1440])
def test_nothing_is_wider_than_the_screen(opened: Page, width: int) -> None:
    opened.set_viewport_size({"width": width, "height": 900})
    press(opened, *"123456789", "a")
    expect(opened.locator("#menu")).to_be_visible()
    press(opened, *"gold", "Enter")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_a_digit_turns_its_narrative_on_or_off_whatever_is_chosen_and_0_says_neither(opened: Page) -> None:
    haven = opened.locator("[data-row='narrative:safe_haven']")
    press(opened, "x")
    if haven.locator(".name").get_attribute("aria-pressed") == "true":  # it had none to turn off
        press(opened, "x")
    for other in ("2", "3", "j"):
        press(opened, "1")
        expect(haven.locator(".name")).to_have_attribute("aria-pressed", "true")
        expect(haven).to_have_attribute("aria-current", "true")
        press(opened, other, "1")
        expect(haven.locator(".name")).to_have_attribute("aria-pressed", "false")
        expect(haven).to_have_attribute("aria-current", "true")
    press(opened, "0")
    expect(haven.locator("[data-value='0']")).to_have_attribute("aria-pressed", "true")
    press(opened, "?")
    keys = opened.locator("#help dt").all_text_contents()
    assert [("0" in row) for row in keys].count(True) == 0
    assert opened.locator("#help").get_by_text("0", exact=True).count() == 1
    press(opened, "Escape")


def test_where_the_tagger_is_in_doubt_the_row_it_doubts_is_the_chosen_one(
    page: Page, served: str, sqlite_url: str, now: datetime
) -> None:
    def doubt(route: Route) -> None:
        told = route.fetch().json()
        for item in told["data"]:
            scored = {"label": True, "direction": 1, "modality": None, "evidence": [], "reviewed": False}
            tags = [("safe_haven", 0.97, True), ("debasement", 0.46, False), ("fiscal_stress", 0.2, False)]
            item["article"]["narratives"] = [
                scored | {"narrative": key, "score": score, "label": label} for key, score, label in tags
            ]
            item["slice"] = "uncertain"
        route.fulfill(json=told)

    stand_in(page)
    page.route("**/v1/review/queue*", doubt)
    open_session(page, served, sqlite_url, now)
    expect(page.locator("#work .row[aria-current]")).to_have_attribute("data-row", "narrative:debasement")
    expect(page.locator("#work .row[aria-current] .name")).to_have_attribute("aria-pressed", "false")
    expect(page.locator("#meaning")).to_contain_text("The tagger’s score: 0.46.")
    page.wait_for_load_state("networkidle")
