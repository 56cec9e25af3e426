"""The page of evidence in a real Chromium: lead and lag, event studies and tone, as the API tells them."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import test_page
import test_panels
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser
browser, page, serving, day = test_page.browser, test_page.page, test_page.serving, test_page.day
served = test_panels.served
PAGES = ("/", "/evidence", "/sources", "/quality")


def question(**changes: str) -> str:
    asked = {"driver": "narrative:safe_haven", "asset": "BTC", "bucket": "day", "target": "return", "max_lag": "8"}
    asked |= {"event": "shift:panic"} | changes
    return "/evidence?" + "&".join(f"{name}={value}" for name, value in asked.items())


def test_it_says_what_the_api_says_with_n_and_interval(served: str, page: Page) -> None:
    api = f"{served}/v1/lead-lag?driver=narrative:safe_haven&asset=BTC&bucket=day&max_lag=8"
    row = page.request.get(api).json()["data"][0]
    lead = row["lead_lag"]
    page.goto(served + question())
    verdict = {"none": "No lead or lag can be told.", "news_leads": "News first.", "price_leads": "Price first."}
    expect(page.locator("#lead-verdict")).to_have_text(verdict[lead["verdict"]])
    expect(page.locator("#lead-sentence")).to_contain_text(re.compile("safe haven", re.IGNORECASE))
    expect(page.locator("#lead-numbers")).to_contain_text(f"n{lead['n']}days")
    expect(page.locator("#lead-chart .scatterlayer").first).to_be_visible()
    chart = page.locator("#lead-chart")
    expect(chart).to_have_attribute("aria-label", re.compile(r"Chart of r by lag: strongest r .* to .*"))
    expect(chart).to_contain_text("price first")
    expect(chart).to_contain_text("news first")
    page.locator("#lead-table summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#lead-table tbody tr")).to_have_count(len(lead["lags"]))
    granger = row["beside"]["granger_driver_to_price"]
    expect(page.locator("#beside-numbers")).to_contain_text(f"n {granger['n']}")
    expect(page.locator("#lead-method a")).to_have_attribute("href", re.compile("narrative=safe_haven"))


def test_the_address_carries_the_view_and_back_goes_back(served: str, page: Page) -> None:
    page.goto(served + question())
    expect(page.locator("#lead-numbers")).to_contain_text("of 17 lags")
    form = page.locator("#question")
    form.locator("[name=target]").select_option("volatility")
    form.locator("[name=max_lag]").fill("5")
    page.keyboard.press("Enter")
    expect(page.locator("#lead-numbers")).to_contain_text("of 11 lags")
    shared = parse_qs(urlsplit(page.url).query)
    assert (shared["target"], shared["max_lag"], shared["driver"]) == (["volatility"], ["5"], ["narrative:safe_haven"])
    page.reload()
    expect(form.locator("[name=target]")).to_have_value("volatility")
    expect(form.locator("[name=driver]")).to_have_value("narrative:safe_haven")
    expect(page.locator("#lead-numbers")).to_contain_text("of 11 lags")
    page.go_back()
    expect(form.locator("[name=max_lag]")).to_have_value("8")
    expect(page.locator("#lead-numbers")).to_contain_text("of 17 lags")


def test_the_choices_are_those_of_the_record(served: str, page: Page) -> None:
    page.goto(served + question())
    expect(page.locator("#lead-told")).to_be_visible()
    drivers = page.locator("#question [name=driver] option")
    values = [option.get_attribute("value") for option in drivers.all()]
    assert {"theta", "narrative:debasement", "tone:BTC", "asset:BTC"} <= set(values)
    assert page.locator("#question [name=asset] option").all_text_contents() == ["Bitcoin"]


def test_too_few_events_are_a_sentence_and_no_chart(served: str, page: Page) -> None:
    row = page.request.get(f"{served}/v1/event-study?event=shift:panic&asset=BTC").json()["data"][0]
    assert row["verdict"] == "too_small"
    page.goto(served + question())
    expect(page.locator("#study-verdict")).to_have_text("Too few events to say.")
    expect(page.locator("#study-sentence")).to_have_text(row["sentence"])
    expect(page.locator("#study-figure")).to_be_hidden()
    expect(page.locator("#study-numbers")).to_contain_text(f"n{row['n']}events; {row['n_left_out']} left out")
    expect(page.locator("#study-events tbody tr")).to_have_count(len(row["events"]))
    page.locator("#study-events a").first.click()
    expect(page.locator("#articles-title")).to_contain_text("June 2020")


def test_a_study_shows_its_chart_with_the_band_of_chance(served: str, page: Page) -> None:
    week = {"low": -0.1, "high": 0.2, "placebo_mean": 0.0, "placebo_low": -0.15, "placebo_high": 0.15, "p": 0.5}
    weeks = [week | {"week": number, "car": 0.01 * number, "percentile": 60.0} for number in range(-8, 27)]
    row = {"event": "high:XAU", "asset": "BTC", "n": 9, "n_effective": 6, "n_left_out": 1, "weeks": weeks}
    row |= {"p_family": 0.44, "verdict": "none", "peak_week": 10, "sentence": "No rise can be told.", "method": "m"}
    left_out = {"day": "2020-06-12", "starts_at": None, "car": None, "left_out": "its 26 weeks are not over"}
    row |= {"seed": 0, "draws": 999, "events": [left_out]}
    meta = {"as_of": "2026-11-21T12:00:00Z", "n_bars": 200, "instrument": "BTC"}
    page.route("**/v1/event-study?*", lambda route: route.fulfill(json={"meta": meta, "data": [row]}))
    page.goto(served + question(event="high:XAU"))
    expect(page.locator("#study-sentence")).to_have_text("No rise can be told.")
    expect(page.locator("#study-chart .scatterlayer").first).to_be_visible()
    expect(page.locator("#study-numbers")).to_contain_text("strangest week: 10+10.5 %−9.5 % to +22.1 %")
    expect(page.locator("#study-chart")).to_have_attribute("aria-label", re.compile("n 9"))
    expect(page.locator("#study-events")).to_contain_text("left out: its 26 weeks are not over")


def test_what_the_api_refuses_is_its_sentence_and_no_chart(browser: Browser, served: str) -> None:
    page = browser.new_page()
    page.goto(served + question(driver="narrative:nonsense", start=day(190), event="high:NONE"))
    expect(page.locator("#lead-verdict")).to_have_text("Nothing can be told.")
    expect(page.locator("#lead-sentence")).to_contain_text("nonsense")
    expect(page.locator("#lead-told")).to_be_hidden()
    expect(page.locator("#study-sentence")).to_contain_text("NONE")
    page.locator("#question [name=driver]").select_option("narrative:safe_haven")
    page.get_by_role("button", name="Look").first.click()
    expect(page.locator("#lead-sentence")).to_contain_text("it takes at least 24")
    page.close()


def test_tone_without_a_tone_is_said_not_drawn(served: str, page: Page) -> None:
    rows = page.request.get(f"{served}/v1/tone?asset=XAU&bucket=week").json()["data"]
    page.goto(served + question())
    gold = page.locator("#tones figure").nth(1)
    spoken = sum(row["tone"] is not None for row in rows)
    if spoken:
        gold.locator("summary").click()
        expect(gold.locator("tbody tr")).to_have_count(spoken)
    else:
        expect(gold).to_contain_text("No story of Gold in this range has a tone")
        expect(gold.locator(".plot")).to_have_count(0)
    expect(page.locator("#lead-told")).to_be_visible()
    expect(page.locator("#study-told")).to_be_visible()


def test_the_keyboard_reaches_every_control(served: str, page: Page) -> None:
    page.goto(served + question())
    expect(page.locator("#lead-told")).to_be_visible()
    expect(page.locator("#study-told")).to_be_visible()
    page.locator("#question [name=driver]").focus()
    reached = []
    for _ in range(30):
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.localName"))
        page.keyboard.press("Tab")
    wanted = ["driver", "asset", "target", "bucket", "max_lag", "start", "end", "button", "summary", "event", "a"]
    assert set(wanted) <= set(reached)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_links_the_others_and_has_no_script_or_style_in_it(served: str, page: Page, path: str) -> None:
    html = page.request.get(served + path).text()
    assert re.search(r"<script(?![^>]*\ssrc=)", html) is None
    assert re.search(r"<style|\sstyle=|\son\w+=", html) is None
    page.goto(served + (question() if path == "/evidence" else path))  # its first question is too large for this record
    links = [link.get_attribute("href") for link in page.locator("header nav a").all()]
    assert links == ["/", "/evidence", "/sources", "/review", "/quality", "/docs"]
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("width", [360, 390, 768, 1440])
def test_nothing_is_wider_than_the_screen(served: str, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(served + question())
    expect(page.locator("#lead-told")).to_be_visible()
    expect(page.locator("#study-told")).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
