"""The triggers on planted series: each goes off -> forming -> on -> off, and says so when it cannot be told."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.triggers import Known, Reading, readings
from config import definitions

DAY = timedelta(days=1)
FIRST = datetime(2020, 1, 1, 12, tzinfo=UTC)
DAYS = 800
KEYS = ["cutting", "weak_dollar", "fiscal_pressure", "real_yields", "metals_lead", "bitcoin_hedge"]


def by_day(*parts: tuple[int, float]) -> np.ndarray:
    """Straight lines through the (day, value) given, held before the first and after the last."""
    days, values = zip(*parts, strict=True)
    line: np.ndarray = np.interp(np.arange(DAYS), days, values)
    return line


def daily(values: np.ndarray) -> list[tuple[datetime, float]]:
    return [(FIRST + day * DAY, float(value)) for day, value in enumerate(values)]


def news(*told: tuple[str, int, str | None, dict[int, int]], days: int = DAYS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """40 stories a day; of each (narrative, direction, modality) so many a day from each day given on."""
    rows, story = [], 0
    for narrative, direction, modality, counts in told:
        count = 0
        for day in range(days):
            count = counts.get(day, count)
            for _ in range(count):
                story += 1
                rows.append((story, FIRST + day * DAY, "A", narrative, direction, modality))
    totals = pd.DataFrame({"hour": [FIRST + day * DAY for day in range(days)], "outlet": "A", "n_stories": 40})
    carried = pd.DataFrame(rows, columns=["story_id", "hour", "outlet", "narrative", "direction", "modality"])
    for frame in (totals, carried):
        frame["hour"] = pd.to_datetime(frame["hour"], utc=True).astype("datetime64[us, UTC]")
    return totals, carried.astype({"story_id": "int64", "direction": "int64"})


RATE = by_day((0, 2.4), (500, 2.4), (501, 1.9), (520, 1.9))
MACRO = {
    "FEDFUNDS": [(FIRST + day * DAY, float(RATE[day])) for day in range(0, DAYS, 30)],
    "DTWEXBGS": daily(by_day((0, 120), (400, 120), (460, 112), (520, 122))),
    "DGS10": daily(by_day((0, 2), (440, 2), (500, 3), (560, 2))),
    "DFII10": daily(by_day((0, 1), (400, 1), (460, 0.5), (520, 1))),
}
CLOSES = {
    "XAU": daily(by_day((0, 1500), (400, 1500), (460, 1900))),
    "XAG": daily(by_day((0, 15), (400, 15), (460, 19))),
    "BTC": daily(by_day((0, 9000), (460, 9000), (500, 18000))),
}
NEWS = news(
    ("liquidity", 1, "actual", {0: 1, 490: 8, 560: 1}),
    ("liquidity", 1, "expected", {0: 1, 450: 8, 500: 1}),
    ("fiscal_stress", 1, None, {0: 1, 440: 8, 520: 1}),
    ("btc_risk_asset", 1, None, {0: 1}),
    ("btc_monetary_hedge", 1, None, {440: 2, 520: 0}),
)
PLANTED = Known(MACRO, CLOSES, *NEWS)


def read(known: Known, *, days: int = DAYS) -> dict[str, Reading]:
    found = readings(known, definitions.triggers(), as_of=FIRST + (days - 1) * DAY)
    return {reading.told.trigger: reading for reading in found}


def until(known: Known, days: int) -> Known:
    """What had become known by the end of so many days."""
    last = FIRST + (days - 1) * DAY
    macro, closes = (
        {key: [row for row in rows if row[0] <= last] for key, rows in part.items()}
        for part in (known.macro, known.closes)
    )
    totals, carried = (frame[frame["hour"] <= last] for frame in (known.totals, known.carried))
    return Known(macro, closes, totals, carried)


def runs(reading: Reading) -> list[tuple[str, int]]:
    """(state, its first day), of each run of states."""
    states = reading.states
    return [(state, day) for day, state in enumerate(states) if day == 0 or states[day - 1] != state]


@pytest.mark.parametrize("key", KEYS)
def test_what_is_planted_goes_off_forming_on_and_off_again(key: str) -> None:
    reading = read(PLANTED)[key]
    told = [state for state, _ in runs(reading)]
    assert told[:4] == ["unknown", "off", "forming", "on"]
    assert told[-1] == "off"
    assert len(told) <= 6  # and no state flickers
    assert reading.told.since == (FIRST + runs(reading)[-1][1] * DAY).date()
    began = dict(reversed(runs(reading)))
    assert 400 <= began["forming"] < began["on"] <= 540


@pytest.mark.parametrize("key", KEYS)
def test_the_answer_on_a_day_is_what_the_series_of_states_says_of_it(key: str) -> None:
    whole = read(PLANTED)[key]
    first_on = whole.states.index("on")
    reading = read(until(PLANTED, first_on + 3), days=first_on + 3)[key]
    assert (reading.told.state, reading.told.since) == ("on", (FIRST + first_on * DAY).date())
    assert reading.told.sentence.endswith(".")
    assert all(datum.value is not None and datum.at is not None and datum.n > 0 for datum in reading.told.data)
    if key in ("cutting", "fiscal_pressure", "bitcoin_hedge"):
        by_id = PLANTED.carried.set_index("story_id")["hour"]
        latest = [by_id[story] for story in reading.story_ids]
        assert len(latest) == 5
        assert latest == sorted(latest, reverse=True)
    else:
        assert reading.story_ids == []


@settings(max_examples=5, deadline=None)
@given(day=st.integers(380, 700))
def test_what_becomes_known_later_changes_no_earlier_state(day: int) -> None:
    whole, cut = read(PLANTED), read(until(PLANTED, day), days=day)
    for key in KEYS:
        assert cut[key].states == whole[key].states[:day], key


@pytest.mark.parametrize(
    ("key", "without", "told"),
    [
        ("cutting", "FEDFUNDS", "Nothing is known of DFF; import or load it."),
        ("weak_dollar", "DTWEXBGS", "Nothing is known of DTWEXBGS"),
        ("fiscal_pressure", "DGS10", "Nothing is known of DGS10"),
        ("real_yields", "DFII10", "Nothing is known of DFII10"),
        ("metals_lead", "XAG", "No close of XAG is known"),
    ],
)
def test_a_missing_series_is_named_and_only_its_trigger_is_unknown(key: str, without: str, told: str) -> None:
    macro = {name: rows for name, rows in MACRO.items() if name != without}
    closes = {name: rows for name, rows in CLOSES.items() if name != without}
    found = read(Known(macro, closes, *NEWS))
    assert {name for name, reading in found.items() if reading.told.state == "unknown"} == {key}
    assert told in found[key].told.sentence
    assert found[key].told.since == FIRST.date()


def test_a_stale_series_is_named_with_the_day_of_its_latest_value_and_unknown_since_it_was_stale() -> None:
    stopped = MACRO | {"DFII10": MACRO["DFII10"][:700]}
    told = read(Known(stopped, CLOSES, *NEWS))["real_yields"].told
    last = FIRST + 699 * DAY
    assert (told.state, told.since) == ("unknown", (last + 11 * DAY).date())
    assert told.sentence == f"DFII10 is stale: its latest value became known on {last:%Y-%m-%d}, and it lasts 10 days."
    assert told.data[0].value is None


def test_without_news_the_triggers_that_rest_on_stories_are_unknown_and_the_others_are_not() -> None:
    found = read(Known(MACRO, CLOSES, *(frame[:0] for frame in NEWS)))
    unknown = [key for key, reading in found.items() if reading.told.state == "unknown"]
    assert unknown == ["cutting", "fiscal_pressure", "bitcoin_hedge"]
    assert "No news is known" in found["cutting"].told.sentence
    stale = read(Known(MACRO, CLOSES, *news(("fiscal_stress", 1, None, {0: 1}), days=700)))
    assert "News is stale: the latest story became known on 2021-11-30" in stale["fiscal_pressure"].told.sentence


def test_an_empty_record_says_what_each_lacks() -> None:
    found = read(Known({}, {}, *(frame[:0] for frame in NEWS)))
    assert {reading.told.state for reading in found.values()} == {"unknown"}
    assert all(len(reading.states) == 1 for reading in found.values())


def test_a_young_record_tells_no_usual_rate_and_no_average() -> None:
    found = read(until(PLANTED, 100), days=100)
    assert "usual rate of liquidity stories cannot be told yet" in found["cutting"].told.sentence
    assert "DTWEXBGS has 100 values; its average needs 200" in found["weak_dollar"].told.sentence
    assert "0 in the 365 before (40 needed)" in read(until(PLANTED, 50), days=50)["bitcoin_hedge"].told.sentence


def test_where_nothing_moves_nothing_forms() -> None:
    flat = {key: daily(np.full(DAYS, 2.0)) for key in (*MACRO, *CLOSES)}
    kinds = [("liquidity", "actual"), ("liquidity", "expected"), ("fiscal_stress", None)]
    kinds += [("btc_risk_asset", None), ("btc_monetary_hedge", None)]
    told = news(*((narrative, 1, modality, {0: 1}) for narrative, modality in kinds))
    for reading in read(Known(flat, flat, *told)).values():
        assert set(reading.states) <= {"unknown", "off"}
        assert reading.told.state == "off"


def test_a_cut_that_the_news_does_not_tell_and_a_cut_only_expected_both_form() -> None:
    quiet = read(Known(MACRO, CLOSES, *news(("liquidity", 1, "actual", {0: 1}), ("liquidity", 1, "expected", {0: 1}))))
    talk = {"FEDFUNDS": [(at, 2.4) for at, _ in MACRO["FEDFUNDS"]]}
    expected = read(Known(MACRO | talk, CLOSES, *news(("liquidity", 1, "expected", {0: 1, 500: 8, 540: 1}))))
    for found in (quiet, expected):
        assert set(found["cutting"].states) == {"unknown", "off", "forming"}


def test_a_rate_that_has_turned_up_again_is_no_cut() -> None:
    turned = by_day((0, 2.4), (500, 2.4), (501, 1.0), (560, 1.0), (561, 1.6))
    rates = [(FIRST + day * DAY, float(turned[day])) for day in range(0, DAYS, 30)]
    reading = read(Known(MACRO | {"FEDFUNDS": rates}, CLOSES, *NEWS))["cutting"]
    assert reading.states[530] == "on"
    assert reading.states[575] == "forming"  # easing is still told as done


def test_in_a_crash_bitcoin_falls_most_and_metals_do_not_lead() -> None:
    fall = {"XAU": (1500, 1400), "XAG": (15, 13), "BTC": (9000, 5000)}
    closes = {key: daily(by_day((0, high), (500, high), (510, low))) for key, (high, low) in fall.items()}
    assert set(read(Known(MACRO, closes, *NEWS))["metals_lead"].states) == {"unknown", "off", "forming"}


def test_rising_yields_alone_are_no_fiscal_pressure() -> None:
    calm = news(("fiscal_stress", 1, None, {0: 1}))
    assert set(read(Known(MACRO, CLOSES, *calm))["fiscal_pressure"].states) == {"unknown", "off"}


def test_a_series_that_is_not_defined_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = definitions.triggers()
    own = rules.model_copy(update={"cutting": rules.cutting.model_copy(update={"series": "DFEDTARU"})})
    (reading, *_) = readings(PLANTED, own, as_of=FIRST + (DAYS - 1) * DAY)
    assert reading.told.state == "unknown"
    assert reading.told.sentence == "DFEDTARU is not defined in assets.toml; add it as [macro.DFEDTARU]."


def test_a_late_value_of_an_earlier_period_says_nothing_new() -> None:
    rows = MACRO["DFII10"][:-1]
    late = [*rows[:-20], (rows[-1][0], 99.0), *rows[-19:]]
    assert read(Known(MACRO | {"DFII10": late}, CLOSES, *NEWS))["real_yields"].told.state == "off"


# -- the policy rate by the day ---------------------------------------------------------------------------------------

DAILY_RATE = [(at, value) for at, value in daily(RATE) if at >= FIRST + 300 * DAY]
"""Known from day 300 on: its change over 183 days from day 483 on."""


def test_the_daily_rate_tells_a_cut_before_its_monthly_mean_does() -> None:
    late = {"FEDFUNDS": [(at + 30 * DAY, value) for at, value in MACRO["FEDFUNDS"]]}  # as its mean becomes known
    by_month = read(Known(MACRO | late, CLOSES, *NEWS))["cutting"]
    by_day_too = read(Known(MACRO | late | {"DFF": DAILY_RATE}, CLOSES, *NEWS))["cutting"]
    assert by_day_too.states.index("on") == 501
    assert by_month.states.index("on") >= 530
    assert by_day_too.states[:483] == by_month.states[:483], "the monthly one stands for it until it can tell a change"
    assert by_day_too.told.data[0].series == "DFF"
    assert by_month.told.data[0].series == "FEDFUNDS"


def test_where_the_daily_rate_goes_stale_the_monthly_one_stands_for_it() -> None:
    stopped = {"DFF": [(at, value) for at, value in DAILY_RATE if at <= FIRST + 520 * DAY]}
    found = read(Known(MACRO | stopped, CLOSES, *NEWS), days=545)["cutting"]
    assert (found.told.state, found.told.data[0].series) == ("on", "FEDFUNDS")
    alone = {key: rows for key, rows in MACRO.items() if key != "FEDFUNDS"} | stopped
    told = read(Known(alone, CLOSES, *NEWS), days=545)["cutting"].told
    assert (told.state, told.data[0].series) == ("unknown", "DFF")
    assert "DFF is stale: its latest value became known on" in told.sentence


@settings(deadline=None, max_examples=5)
@given(days=st.integers(470, 560))
def test_a_daily_rate_that_becomes_known_later_changes_no_state_of_before(days: int) -> None:
    known = Known(MACRO | {"DFF": DAILY_RATE}, CLOSES, *NEWS)
    assert read(until(known, days), days=days)["cutting"].states == read(known)["cutting"].states[:days]
