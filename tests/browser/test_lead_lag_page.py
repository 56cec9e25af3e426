"""The page of lead and lag in a real Chromium: one pair, all of them, event studies and tone, as the API tells them."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import test_page
from playwright.sync_api import Browser, Page, Route, expect
from record import FIRST, fill

from models.database import Database
from models.prices import FoundBar
from models.store.prices import add_bars

pytestmark = pytest.mark.browser
browser, page, serving, day = test_page.browser, test_page.page, test_page.serving, test_page.day


def close_restlessly(database: Database, now: datetime) -> None:
    """Closes of bitcoin that go up and down, instead of the record's, whose past tells all of them."""
    closes = 8_000 * np.exp(np.cumsum(0.02 * np.random.default_rng(3).standard_normal(200)))
    with database.write() as session:
        bars = [FoundBar("BTC", FIRST + timedelta(days=n), float(close)) for n, close in enumerate(closes)]
        add_bars(session, "BTC", bars, source="correction", now=now)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The record with a planted panic, beside closes that go up and down."""
    database = Database.open(f"sqlite:///{tmp_path_factory.mktemp('pairs') / 'record.db'}")
    now = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
    fill(database, now)
    close_restlessly(database, now)
    with serving(database, now) as address:
        yield address


def question(**changes: str) -> str:
    asked = {"driver": "narrative:safe_haven", "asset": "BTC", "bucket": "day", "target": "return", "max_lag": "8"}
    asked |= {"event": "shift:panic"} | changes
    return "/lead-lag?" + "&".join(f"{name}={value}" for name, value in asked.items())


def planted(
    verdict: str, *, driver: str = "theta", asset: str = "BTC", p: float = 0.004, peak: int = 2
) -> dict[str, Any]:
    """A pair as the API tells it, strongest at the lag `peak`."""
    lags = [
        {"lag": lag, "estimate": 0.5 if lag == peak else 0.1, "low": -0.1, "high": 0.7, "p": 0.2}
        for lag in range(-4, 5)
    ]
    lead = {"n": 99, "max_lag": 4, "lags": lags, "p_family": 0.004, "verdict": verdict, "peak_lag": peak, "seed": 0}
    lead |= {"sentence": "theta runs with BTC.", "method": "m", "target": "return", "step": "week", "dropped": 1}
    lead |= {"visible_from": 0.3}
    return {"driver": driver, "asset": asset, "p_adjusted": p, "verdict": verdict, "lead_lag": lead, "beside": None}


def answer(page: Page, *rows: dict[str, Any], left_out: tuple[dict[str, str], ...] = ()) -> None:
    """Let the API answer these pairs, and to a question about one pair the first of them."""
    meta = {"start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z", "bucket": "week", "tagger": "fake@1"}
    meta |= {"target": "return", "left_out": list(left_out)}  # type: ignore[dict-item]

    def fulfil(route: Route) -> None:
        several = route.request.url.count("driver=") > 1
        route.fulfill(json={"meta": meta, "data": list(rows) if several else [rows[0]]})

    page.route("**/v1/lead-lag?*", fulfil)


@pytest.fixture(autouse=True)
def _all_pairs_at_once(page: Page) -> None:
    """The question about all pairs, of which each is counted, is answered without counting."""
    told = {"meta": {"left_out": []}, "data": [planted("none")]}
    page.route(re.compile(r"/v1/lead-lag\?driver=theta&driver="), lambda route: route.fulfill(json=told))


def test_it_says_what_the_api_says_with_n_and_interval(served: str, page: Page) -> None:
    api = f"{served}/v1/lead-lag?driver=narrative:safe_haven&asset=BTC&bucket=day&max_lag=8"
    row = page.request.get(api).json()["data"][0]
    lead = row["lead_lag"]
    page.goto(served + question())
    steps = f"{abs(lead['peak_lag'])} day" + "s" * (abs(lead["peak_lag"]) != 1)
    verdict = {"none": "No lead or lag can be told.", "news_leads": f"News first, by {steps}."}
    verdict |= {"price_leads": f"Bitcoin first, by {steps}.", "same_time": "At the same time."}
    expect(page.locator("#lead-title")).to_have_text("Does Safe haven lead Bitcoin?")
    expect(page.locator("#lead-verdict")).to_have_text(verdict[lead["verdict"]])
    expect(page.locator("#lead-sentence")).to_contain_text(re.compile("safe haven", re.IGNORECASE))
    expect(page.locator("#lead-numbers")).to_contain_text(f"n{lead['n']}days")
    expect(page.locator("#lead-chart .scatterlayer").first).to_be_visible()
    chart = page.locator("#lead-chart")
    expect(chart).to_have_attribute("aria-label", re.compile(r"Bitcoin first on the left .* strongest r .* to .*"))
    expect(chart).to_contain_text("← Bitcoin first")
    expect(chart).to_contain_text("News first →")
    page.locator("#lead-table summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#lead-table tbody tr")).to_have_count(len(lead["lags"]))
    granger = row["beside"]["granger_driver_to_price"]
    expect(page.locator("#beside-numbers")).to_contain_text(f"n {granger['n']}")
    expect(page.locator("#lead-behind a")).to_have_attribute("href", re.compile("/story#.*narrative=safe_haven"))


@pytest.mark.parametrize(
    ("driver", "verdict", "peak", "words"),
    [
        ("theta", "news_leads", 2, "News first, by 2 weeks."),
        ("theta", "price_leads", -1, "Bitcoin first, by 1 week."),
        ("asset:BTC", "same_time", 0, "At the same time."),
        ("theta", "none", 2, "No lead or lag can be told."),
    ],
)
def test_each_verdict_is_a_few_words(served: str, page: Page, driver: str, verdict: str, peak: int, words: str) -> None:
    answer(page, planted(verdict, driver=driver, peak=peak))
    page.goto(f"{served}/lead-lag?driver={driver}")
    expect(page.locator("#lead-verdict")).to_have_text(words)
    first = "News first" if driver == "theta" else "Bitcoin first"
    expect(page.locator("#lead-chart")).to_contain_text(f"{first} →")


def test_every_pair_has_its_verdict_among_all_and_opens_by_a_click_and_closes_by_back(served: str, page: Page) -> None:
    none = planted("none", driver="narrative:safe_haven", p=0.4)
    out = {
        "driver": "tone:BTC",
        "asset": "BTC",
        "why": "There are too few values of tone:BTC (22); it takes at least 24.",
    }
    answer(page, planted("news_leads"), none, left_out=(out,))
    page.goto(f"{served}/lead-lag")
    expect(page.locator("#pairs-verdict")).to_have_text(
        "Of 2 pairs asked about at once, one stands out from chance: θ and Bitcoin."
    )
    cells = page.locator("#pairs-table a")
    expect(cells.first).to_have_text("θ and Bitcoin: News first, by 2 weeksp 0.004")
    expect(cells.first).to_have_attribute("aria-current", "true")
    expect(page.locator("#lead-numbers .among")).to_contain_text("0.004")
    expect(page.locator("#pairs-table [data-driver='tone:BTC']")).to_contain_text("too few")
    page.locator("#pairs-left-out summary").click()
    expect(page.locator("#pairs-left-out li")).to_contain_text("tone of Bitcoin and Bitcoin: There are too few values")
    page.locator("#pairs-table [data-driver='narrative:safe_haven']").click()
    assert "driver=narrative%3Asafe_haven" in page.url
    expect(page.locator("#pairs-table [aria-current]")).to_contain_text("Safe haven and Bitcoin: nothing")
    expect(page.locator("#lead-title")).to_be_focused()
    page.go_back()
    expect(page.locator("#question [name=driver]")).to_have_value("theta")
    expect(page.locator("#pairs-table [aria-current]")).to_contain_text("θ and Bitcoin")


def test_what_is_no_more_than_chance_among_all_says_so_beside_its_own_verdict(served: str, page: Page) -> None:
    answer(page, planted("news_leads") | {"verdict": "none", "p_adjusted": 0.3})
    page.goto(f"{served}/lead-lag")
    expect(page.locator("#pairs-verdict")).to_contain_text("none stands out from chance")
    expect(page.locator("#lead-numbers .among")).to_have_text(
        "p among all pairs0.30beside the others no more than chance"
    )


def test_pairs_of_the_record_are_those_of_one_question_to_the_api(served: str, page: Page) -> None:
    page.unroute_all()
    asked: list[str] = []
    page.on(
        "request", lambda request: asked.append(request.url) if "/lead-lag?driver=theta&driver" in request.url else None
    )
    page.goto(served + question())
    expect(page.locator("#pairs-told")).to_be_visible()
    (one,) = asked
    told = page.request.get(one).json()
    n = sum(row["driver"] != f"asset:{row['asset']}" for row in told["data"])
    expect(page.locator("#pairs-verdict")).to_contain_text(f"Of {n} pairs asked about at once")
    expect(page.locator("#pairs-table tbody small")).to_have_count(n)


def test_the_address_carries_the_view_and_back_goes_back(served: str, page: Page) -> None:
    page.goto(served + question())
    expect(page.locator("#lead-numbers")).to_contain_text("in 17 lags")
    form = page.locator("#question")
    page.locator("#finer summary").click()
    form.locator("[name=start]").fill(day(10))
    form.locator("[name=max_lag]").fill("5")
    page.keyboard.press("Enter")
    expect(page.locator("#lead-numbers")).to_contain_text("in 11 lags")
    expect(page.locator("#finer summary")).to_have_text("Its returns, by day, lags up to 5, from 11 January 2020 on")
    shared = parse_qs(urlsplit(page.url).query)
    assert (shared["start"], shared["max_lag"], shared["driver"]) == ([day(10)], ["5"], ["narrative:safe_haven"])
    page.reload()
    expect(form.locator("[name=start]")).to_have_value(day(10))
    expect(form.locator("[name=driver]")).to_have_value("narrative:safe_haven")
    expect(page.locator("#lead-numbers")).to_contain_text("in 11 lags")
    page.go_back()
    expect(form.locator("[name=max_lag]")).to_have_value("8")
    expect(page.locator("#lead-numbers")).to_contain_text("in 17 lags")


def test_the_choices_are_those_of_the_record(served: str, page: Page) -> None:
    page.goto(served + question())
    expect(page.locator("#lead-told")).to_be_visible()
    drivers = page.locator("#question [name=driver] option")
    values = [option.get_attribute("value") for option in drivers.all()]
    assert {"theta", "narrative:debasement", "tone:BTC", "asset:BTC"} <= set(values)
    assert page.locator("#question [name=asset] option").all_text_contents() == ["Bitcoin"]
    events = page.locator("#event-form [name=event] option").all_text_contents()
    assert {"the story turns to panic", "the central bank is cutting", "a record close of Bitcoin"} <= set(events)


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


def test_a_record_without_a_close_says_what_to_do(page: Page, sqlite_url: str, now: datetime) -> None:
    database = Database(sqlite_url)
    with serving(database, now) as address:
        page.goto(f"{address}/lead-lag")
        expect(page.locator("#lead-verdict")).to_have_text("Nothing can be told yet.")
        expect(page.locator("#lead-sentence")).to_contain_text("storyshift import prices")
        expect(page.locator("#pairs")).to_be_hidden()
        page.wait_for_load_state("networkidle")


def test_the_keyboard_reaches_every_control(served: str, page: Page) -> None:
    page.goto(served + question())
    expect(page.locator("#lead-told")).to_be_visible()
    expect(page.locator("#study-told")).to_be_visible()
    page.locator("#finer summary").click()
    page.locator("#question [name=driver]").focus()
    reached = []
    for _ in range(40):
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.localName"))
        page.keyboard.press("Tab")
    wanted = ["driver", "asset", "target", "bucket", "max_lag", "start", "end", "button", "summary", "event", "a"]
    assert set(wanted) <= set(reached)


@pytest.mark.parametrize("width", [360, 390, 768, 1440])
def test_nothing_is_wider_than_the_screen(served: str, page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(served + question())
    expect(page.locator("#lead-told")).to_be_visible()
    expect(page.locator("#study-told")).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_says_why_n_is_less_than_the_range_and_the_lags_fewer_than_asked_for(served: str, page: Page) -> None:
    row = planted("none")
    row["lead_lag"] |= {"n": 24, "max_lag": 6}
    answer(page, row)
    page.goto(f"{served}/lead-lag?driver=theta&max_lag=12")
    expect(page.locator("#lead-reach")).to_have_text(
        "Of 52 weeks in the range 24 have both a value of θ and a return of Bitcoin; of the others one of the two is "
        "not known. Lags reach 6 weeks and not 12, because at most a quarter of n may be lost to a lag."
    )
    page.goto(f"{served}/lead-lag?driver=theta&max_lag=6")
    expect(page.locator("#lead-reach")).to_contain_text("is not known.")
    expect(page.locator("#lead-reach")).not_to_contain_text("Lags reach")
