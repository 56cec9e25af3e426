"""The story's page in a real Chromium: history replayed, ranges zoomed, lines chosen - all of it in the address."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import test_page
import test_panels
from playwright.sync_api import Browser, Page, Route, expect

pytestmark = pytest.mark.browser
browser, page, serving, day, view = test_page.browser, test_page.page, test_page.serving, test_page.day, test_page.view
served, refuse = test_panels.served, test_panels.refuse
AS_OF = 165


@pytest.fixture
def asked(page: Page) -> list[str]:
    """The questions about the record, as they are asked."""
    found: list[str] = []
    series = re.compile(r"/v1/(shift|intensity|prices/|tone|triggers|articles|stories)")
    page.on("request", lambda request: found.append(request.url) if series.search(request.url) else None)
    return found


def as_ofs(asked: list[str]) -> set[str]:
    return {parse_qs(urlsplit(url).query).get("as_of", [""])[0] for url in asked}


def latest(page: Page, axis: str) -> str:
    """The last day on which a line of that axis has a value."""
    return str(
        page.evaluate(
            """axis => chart.data.filter((line) => (line.yaxis || "y") === axis)
            .flatMap((line) => line.x.filter((_, place) => line.y[place] != null)).sort().at(-1).slice(0, 10)""",
            axis,
        )
    )


def drawn(page: Page, line: str) -> list[list[float]]:
    """The values of the lines with that key, once all that is asked for is drawn."""
    expect(page.locator("#chart")).not_to_have_class(re.compile("loading"))
    found = page.evaluate("key => chart.data.filter((line) => line.meta === key).map((line) => line.y)", line)
    return [[float(value) for value in values if value is not None] for values in found]


def drag(page: Page, start: float, end: float) -> None:
    area = page.locator("#chart .nsewdrag[data-subplot='xy3']").bounding_box()
    assert area is not None
    y = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * start, y)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * end, y, steps=4)
    page.mouse.up()


def test_history_is_replayed_as_it_was_known_and_says_so(served: str, page: Page, asked: list[str]) -> None:
    page.goto(served + view())
    expect(page.locator("#list li")).to_have_count(10)
    expect(page.locator("#as-of-said")).to_be_hidden()
    axes = page.evaluate("JSON.stringify(['yaxis', 'yaxis3', 'xaxis'].map((name) => chart.layout[name].range))")
    page.wait_for_load_state("networkidle")
    asked.clear()
    page.locator("#as-of-day").fill(day(AS_OF))
    expect(page.locator("#verdict")).to_contain_text("On 14 June 2020 the story was")
    expect(page.locator("#as-of-said")).to_contain_text("As it was known at the end of 14 June 2020")
    expect(page.locator("#shifts-said")).to_contain_text("As of the end of 14 June 2020.")
    expect(page.locator("#triggers-said")).to_contain_text("As of the end of 14 June 2020.")
    expect(page.locator("#articles-title")).to_have_text("Articles of 14 June 2020")
    page.wait_for_load_state("networkidle")
    assert len(asked) >= 7
    assert as_ofs(asked) == {day(AS_OF)}
    assert f"as_of={day(AS_OF)}" in page.url
    assert latest(page, "y") == latest(page, "y2") == latest(page, "y3") == day(AS_OF)
    assert axes == page.evaluate("JSON.stringify(['yaxis', 'yaxis3', 'xaxis'].map((name) => chart.layout[name].range))")
    search = page.locator("#search").get_attribute("href") or ""
    assert parse_qs(urlsplit(search).query)["as_of"] == [day(AS_OF)]
    page.get_by_role("button", name="Now", exact=True).click()
    expect(page.locator("#as-of-said")).to_be_hidden()
    expect(page.locator("#verdict")).to_contain_text("On 18 July 2020")
    assert "as_of" not in page.url


def test_an_address_of_a_replayed_day_asks_for_nothing_later_and_arrow_keys_move_on(
    served: str, page: Page, asked: list[str]
) -> None:
    page.goto(f"{served}{view()}&as_of={day(AS_OF)}")
    expect(page.locator("#list li")).to_have_count(10)
    page.wait_for_load_state("networkidle")
    days = [url for url in asked if not url.endswith("/v1/shift?bucket=week")]  # how far the record's days reach
    assert as_ofs(days) == {day(AS_OF)}
    slider = page.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuetext", "14 June 2020")
    slider.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    expect(slider).to_have_attribute("aria-valuetext", "17 June 2020")
    expect(page.locator("#verdict")).to_contain_text("On 17 June 2020")
    expect(page).to_have_url(re.compile(f"as_of={day(AS_OF + 3)}"))
    page.wait_for_load_state("networkidle")
    assert latest(page, "y2") == day(AS_OF + 3)


def test_playing_goes_bucket_by_bucket_to_the_end_of_the_range_and_can_pause(served: str, page: Page) -> None:
    address = f"/story#start={day(160)}&end={day(200)}&bucket=week&as_of={day(180)}"
    page.goto(served + address)
    expect(page.locator("#verdict")).to_contain_text("In the week of")
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#as-of-said")).to_contain_text("5 July 2020")  # a Sunday: where a week ends
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Play")).to_have_attribute("aria-pressed", "false")
    page.wait_for_load_state("networkidle")
    stood = page.locator("#as-of-day").input_value()
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#as-of-said")).to_contain_text("12 July 2020")
    expect(page.get_by_role("button", name="Play")).to_be_visible()  # it ends by itself
    assert stood < page.locator("#as-of-day").input_value() == "2020-07-12"


def test_a_drag_over_the_chart_zooms_and_a_double_click_goes_back(served: str, page: Page) -> None:
    page.goto(served + view())
    expect(page.locator("#list li")).to_have_count(10)
    drag(page, 0.25, 0.75)
    expect(page.locator("input[name=start]")).not_to_have_value(day(120))
    start, end = page.locator("input[name=start]").input_value(), page.locator("input[name=end]").input_value()
    assert day(137) <= start <= day(142)
    assert day(178) <= end <= day(183)
    assert f"start={start}&end={end}" in page.url
    expect(page.locator("#chart")).not_to_have_class(re.compile("loading"))
    area = page.locator("#chart .nsewdrag[data-subplot='xy3']").bounding_box()
    assert area is not None
    page.mouse.dblclick(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    expect(page.locator("input[name=start]")).to_have_value(day(120))
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator("input[name=start]")).to_have_value(day(140))
    page.get_by_role("button", name="Later").click()
    expect(page.locator("input[name=start]")).not_to_have_value(day(140))
    page.go_back()
    expect(page.locator("input[name=start]")).to_have_value(day(140))


def test_lines_are_chosen_by_chips_kept_in_the_address_and_asked_for_only_then(
    served: str, page: Page, asked: list[str]
) -> None:
    page.goto(served + view())
    expect(page.locator("#list li")).to_have_count(10)
    assert not [url for url in asked if "/v1/tone" in url]
    page.get_by_role("button", name="tone of bitcoin").click()
    expect(page.get_by_role("button", name="tone of bitcoin")).to_have_attribute("aria-pressed", "true")
    assert len(drawn(page, "tone:BTC")) == 1
    page.get_by_role("group", name="Prices").get_by_role("button", name="Bitcoin").click()
    assert drawn(page, "BTC") == []
    lines = parse_qs(urlsplit(page.url).fragment)["lines"][0].split(",")
    assert "tone:BTC" in lines
    assert "BTC" not in lines
    page.reload()
    expect(page.get_by_role("button", name="tone of bitcoin")).to_have_attribute("aria-pressed", "true")
    assert len(drawn(page, "tone:BTC")) == 1


def test_by_direction_what_fades_is_drawn_downwards(served: str, page: Page, asked: list[str]) -> None:
    page.goto(served + view())
    page.get_by_role("button", name="by direction").click()
    building, fading = drawn(page, "safe_haven")
    directions = {parse_qs(urlsplit(url).query).get("direction", [""])[0] for url in asked if "/v1/intensity" in url}
    assert directions == {"", "building", "fading"}
    assert max(building) == pytest.approx(0.32)
    assert set(fading) == {0.0}
    assert "split=on" in page.url


def test_an_error_is_the_sentence_of_the_api_and_can_be_tried_again(browser: Browser, served: str) -> None:
    page = browser.new_page()
    refuse(page, "intensity")
    page.goto(served + view())
    expect(page.get_by_role("alert")).to_contain_text("The database does not answer.")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#list li")).to_have_count(10)
    expect(page.get_by_role("alert")).to_be_hidden()
    page.close()


def test_an_older_answer_never_stands_over_a_newer_one(served: str, page: Page) -> None:
    page.goto(f"{served}{view()}&as_of={day(AS_OF)}")
    expect(page.locator("#list li")).to_have_count(10)
    page.wait_for_load_state("networkidle")
    held: list[str] = []

    def slowly(route: Route) -> None:
        if f"as_of={day(170)}" in route.request.url:
            held.append(route.request.url)
            page.wait_for_timeout(700)
        route.continue_()

    page.route("**/v1/shift?*", slowly)
    page.locator("#as-of-day").fill(day(170))
    page.wait_for_timeout(150)
    page.locator("#as-of-day").fill(day(175))
    expect(page.locator("#verdict")).to_contain_text("On 24 June 2020")
    page.wait_for_timeout(900)
    expect(page.locator("#verdict")).to_contain_text("On 24 June 2020")
    assert held
    assert latest(page, "y2") == day(175)


def pointed(page: Page, x: float, y: float) -> tuple[float, float]:
    """A place of the panel of shares, as shares of its width and height."""
    area = page.locator("#chart .nsewdrag[data-subplot='xy3']").bounding_box()
    assert area is not None
    return area["x"] + area["width"] * x, area["y"] + area["height"] * y


def test_a_date_that_is_pressed_is_told_beside_the_chart_and_nothing_jumps(served: str, page: Page) -> None:
    page.goto(served + view())
    expect(page.locator("#near li")).to_have_count(3)
    expect(page.locator("#near-said")).to_contain_text("11 June 2020 θ")
    expect(page.locator("#near-more")).to_have_text("10 articles ↓")
    stood = page.evaluate("scrollY")
    place = pointed(page, 0.3, 0.5)
    page.mouse.move(*place)
    page.mouse.click(*place)
    expect(page.locator("#near-said")).not_to_contain_text("11 June 2020")
    assert page.evaluate("scrollY") == stood
    page.keyboard.press("ArrowRight")  # the chart that was pressed hears it
    at = page.url
    page.locator("#near-more").click()
    assert page.evaluate("document.activeElement.id") == "articles"
    page.get_by_role("button", name="Back to the chart").click()
    assert page.evaluate("document.activeElement.id") == "chart"
    assert page.url == at


def test_arrow_keys_are_heard_while_the_pointer_lies_on_the_chart(served: str, page: Page) -> None:
    page.goto(served + view())
    expect(page.locator("#near-said")).to_contain_text("11 June 2020")
    page.mouse.move(*pointed(page, 0.3, 0.5))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#near-said")).to_contain_text("12 June 2020")
    page.mouse.move(5, 5)
    page.keyboard.press("ArrowRight")
    page.locator("input[name=start]").focus()
    expect(page.locator("#near-said")).to_contain_text("12 June 2020")


SHOWN = """chart.data.filter((line) => String(line.meta).startsWith("band:") && line.visible !== false)
    .map((line) => line.meta)"""


def banded(page: Page, line: str) -> None:
    """Waits until the band of that line, and of no other, is drawn."""
    for _ in range(300):
        if page.evaluate(SHOWN) == [f"band:{line}"] * 2:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"{page.evaluate(SHOWN)} instead of the band of {line}")


def test_two_shares_have_their_bands_and_of_more_the_one_that_is_pointed_at(served: str, page: Page) -> None:
    page.goto(f"{served}{view()}&lines=safe_haven,liquidity")
    expect(page.locator("#list li")).to_have_count(10)
    assert len(drawn(page, "safe_haven")) == 1
    assert page.evaluate(SHOWN) == ["band:safe_haven"] * 2 + ["band:liquidity"] * 2
    low, high = drawn(page, "band:safe_haven")
    assert all(bottom <= share <= top for bottom, share, top in zip(low, *drawn(page, "safe_haven"), high, strict=True))
    page.locator("#legend [data-line=debasement]").click()
    assert len(drawn(page, "debasement")) == 1
    banded(page, "debasement")  # its chip has the focus
    page.locator("#legend [data-line=liquidity]").hover()
    banded(page, "liquidity")


def test_a_range_that_ends_after_the_news_asks_what_moved_theta_where_it_last_spoke(
    served: str, page: Page, asked: list[str]
) -> None:
    for bucket in ("day", "week", "month"):
        asked.clear()
        page.goto("about:blank")
        page.goto(f"{served}/story#start={day(100)}&end={day(400)}&bucket={bucket}")
        expect(page.locator("#moved")).to_contain_text(re.compile("What moved θ, .* to 18 July 2020: θ"))
        page.wait_for_load_state("networkidle")
        assert [url for url in asked if "/v1/shift/why" in url], bucket  # an answer of 422 would be logged, and fail


def test_a_phone_reads_the_date_chosen_then_its_articles_then_the_panels(served: str, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(served + view())
    expect(page.locator("#trigger-list > li")).to_have_count(6)
    expect(page.locator("#list li")).to_have_count(6)
    expect(page.locator("#more")).to_be_visible()
    expect(page.locator("#legend")).to_be_hidden()
    blocks = ("#verdict", "#chart", "#near", "#articles", "#moved", "#shifts-said", "#triggers-said")
    tops = [place["y"] for name in blocks if (place := page.locator(name).bounding_box())]
    assert len(tops) == len(blocks)
    assert tops == sorted(tops)
    page.get_by_text("Lines", exact=True).click()
    expect(page.locator("#legend")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/story"])
def test_what_theta_state_shift_and_trigger_mean_is_told_where_they_first_stand(
    served: str, page: Page, path: str
) -> None:
    page.goto(served + path)
    page.get_by_text("What θ, state, shift and trigger mean").click()
    assert page.locator("#words dt").all_text_contents() == ["θ", "State", "Shift", "Trigger"]
    expect(page.locator("#words dl")).to_be_visible()
    page.wait_for_load_state("networkidle")
