"""The panels below the chart in a real Chromium: shifts, triggers, and the sentence on what moved θ."""

from collections.abc import Iterator
from datetime import datetime

import pytest
import test_page
from playwright.sync_api import Browser, Page, Route, expect
from record import fill

from models.database import Database

pytestmark = pytest.mark.browser
browser, page, serving, day, view = test_page.browser, test_page.page, test_page.serving, test_page.day, test_page.view
EVIL = '<img src=x onerror=alert(1)> "quotes"'
SHIFT = {
    "happened_at": "2020-06-08T00:00:00Z",
    "detected_at": "2020-06-12T01:00:00Z",
    "before": "calm",
    "state": "panic",
    "probability": 0.91,
    "index_before": 0.5,
    "index": 0.21,
    "moved_by": "safe_haven",
    "n_stories": 1234,
    "return_btc": 0.0953,
    "return_gold": None,
    "return_silver": -0.1054,
    "why": [{"narrative": "safe_haven", "outlet": "A", "change": -0.29, "ratio_before": 1.1, "ratio": 4.7}],
    "stories": [{"id": 1, "title": EVIL, "outlet": "A", "event_at": "2020-06-09T00:00:00Z"}],
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('panels') / 'record.db'}")
    now = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
    fill(database, now)
    with serving(database, now) as address:
        yield address


def answer(page: Page, path: str, rows: list[dict[str, object]]) -> None:
    """Let the API answer these rows."""
    page.route(f"**/v1/{path}?*", lambda route: route.fulfill(json={"meta": {}, "data": rows}))


def refuse(page: Page, path: str) -> None:
    def fail(route: Route) -> None:
        route.fulfill(status=503, json={"error": "database_unavailable", "detail": "The database does not answer."})

    page.route(f"**/v1/{path}?*", fail)


def test_a_shift_tells_what_moved_it_and_what_prices_did_since(served: str, page: Page) -> None:
    earlier = [SHIFT | {"detected_at": f"2020-0{month}-12T01:00:00Z"} for month in (2, 3, 4, 5)]
    answer(page, "shift/events", [*earlier, SHIFT])
    page.goto(served + view())
    expect(page.locator("#shifts-said")).to_contain_text("5 shifts detected so far")
    latest = page.locator("#shift-list > li").first
    expect(latest.locator("h3")).to_have_text("calm → panicP 0.91")
    expect(latest).to_contain_text("Detected 12 June 2020, began 8 June 2020")
    expect(latest).to_contain_text("θ 0.50 → 0.21, 1,234 stories.")
    expect(latest).to_contain_text("safe haven in A −0.29 (all outlets: 1.1 → 4.7 times the usual)")
    assert latest.locator("dd").all_text_contents() == ["+10.0 %", "not known", "−10.0 %"]
    expect(page.locator("#shift-list > li:visible")).to_have_count(3)
    assert page.evaluate("chart.layout.shapes.filter((shape) => shape.name === 'shift').length") == 5
    page.locator("#all-shifts").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#shift-list > li:visible")).to_have_count(5)
    assert page.evaluate("document.activeElement.closest('#shift-list') !== null")


def test_a_story_behind_a_shift_opens_among_the_articles_and_in_the_address(served: str, page: Page) -> None:
    answer(page, "shift/events", [SHIFT])
    page.goto(served + view())
    page.locator("#shift-list summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#shift-list .stories a")).to_have_text(EVIL)
    page.locator("#shift-list .stories a").click()
    expect(page.locator("#articles-title")).to_have_text("One story")
    expect(page.locator("#summary")).to_contain_text("1 article of 1 outlet")
    expect(page.locator("#list li")).to_have_count(1)
    assert "story=1" in page.url
    page.reload()
    expect(page.locator("#articles-title")).to_have_text("One story")
    page.get_by_role("button", name="← Articles of 11 June 2020").click()
    expect(page.locator("#articles-title")).to_have_text("Articles of 11 June 2020")
    assert "story=" not in page.url


def test_the_planted_panic_is_told_as_the_api_tells_it(served: str, page: Page) -> None:
    told = page.request.get(f"{served}/v1/shift/events").json()["data"]
    assert [event["state"] for event in told] == ["panic"]
    page.goto(served + view())
    expect(page.locator("#shift-list > li h3")).to_have_text(f"calm → panicP {told[0]['probability']:.2f}")
    expect(page.locator("#shift-list .unsaid")).to_have_count(2)  # gold and silver have no closes
    why = page.request.get(f"{served}/v1/shift/why?start={day(193)}&end={day(200)}").json()["meta"]["sentence"]
    expect(page.locator("#moved")).to_contain_text(f": {why.replace('safe_haven', 'safe haven')[:30]}")
    assert "_" not in (page.locator("#moved").text_content() or "_")


def test_each_trigger_has_its_word_its_sentence_and_its_data(served: str, page: Page) -> None:
    told = page.request.get(f"{served}/v1/triggers?as_of={day(200)}T00:00:00Z").json()["data"]
    assert len(told) == 6
    page.goto(served + view())
    items = page.locator("#trigger-list > li")
    expect(items).to_have_count(6)
    assert items.locator(".lamp").all_text_contents() == [trigger["state"] for trigger in told]
    expect(page.locator("#triggers-said")).to_contain_text("As of 19 July 2020, where the range shown ends.")
    summary = items.first.locator("summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(items.first.locator("tbody tr")).to_have_count(len(told[0]["data"]))
    expect(items.first.get_by_role("region")).to_be_visible()


def test_an_error_of_a_panel_is_its_sentence_and_the_rest_of_the_page_stands(browser: Browser, served: str) -> None:
    page = browser.new_page()
    for path in ("shift/events", "triggers", "shift/why"):
        refuse(page, path)
    page.goto(served + view())
    for place in ("#shifts-said", "#triggers-said", "#moved"):
        expect(page.locator(place)).to_have_text("The database does not answer.")
    expect(page.locator("#list li")).to_have_count(10)
    page.close()


def test_a_young_record_says_that_shifts_are_warming_up(page: Page, sqlite_url: str, now: datetime) -> None:
    database = Database(sqlite_url)
    fill(database, now, days=30)
    with serving(database, datetime.fromisoformat("2020-01-31T00:00:00+00:00")) as address:
        page.goto(f"{address}/story")
        expect(page.locator("#shifts-said")).to_contain_text("Warming up: a shift can be told once θ has its usual")
        expect(page.locator("#moved")).to_be_hidden()
        expect(page.locator("#trigger-list .lamp.unknown")).to_have_count(6)
        page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("width", [360, 390, 768, 1440])
def test_no_panel_is_wider_than_the_screen_even_when_opened(served: str, page: Page, width: int) -> None:
    answer(page, "shift/events", [SHIFT | {"stories": [{**SHIFT["stories"][0], "title": "W" * 120}]}])  # type: ignore[index]
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(served + view())
    expect(page.locator("#trigger-list > li")).to_have_count(6)
    expect(page.locator("#shift-list > li")).to_have_count(1)
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_colours_without_a_shift_are_explained_by_how_many_stories_there_are(served: str, page: Page) -> None:
    answer(page, "shift/events", [])
    page.goto(served + view())
    told = page.request.get(f"{served}/v1/shift?start={day(120)}&end={day(200)}&bucket=day").json()["data"]
    n = sum(point["state"] in ("panic", "transition", "devaluation") for point in told)
    assert n
    expect(page.locator("#shifts-said")).to_contain_text(f"No shift has been detected, though {n} days are coloured")
    expect(page.locator("#shifts-said")).not_to_contain_text("too few")  # 25 a day are not

    def thin(route: Route) -> None:
        found = route.fetch().json()
        points = [point | {"thin": True, "n_stories": 2} for point in found["data"]]
        route.fulfill(json=found | {"data": points})

    page.route("**/v1/shift?*", thin)
    page.reload()
    expect(page.locator("#shifts-said")).to_contain_text("too few here: 2.0 a day, 80 of 80 days thin.")


def test_parts_of_a_shift_that_two_digits_cannot_tell_apart_are_told_in_three(served: str, page: Page) -> None:
    cause = SHIFT["why"][0]  # type: ignore[index]
    causes = [cause | {"outlet": outlet, "change": change} for outlet, change in (("A", 0.012), ("B", 0.009))]
    answer(page, "shift/events", [SHIFT | {"why": causes}])
    page.goto(served + view())
    expect(page.locator("#shift-list > li").first).to_contain_text("safe haven in A +0.012 (")
    expect(page.locator("#shift-list > li").first).to_contain_text("safe haven in B +0.009 (")
