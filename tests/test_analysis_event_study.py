"""Event study: what is planted is found, what is not is not, and no later close changes what was said."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from analysis.event_study import (
    AFTER,
    ALPHA,
    BEFORE,
    ESTIMATION,
    WEEKS,
    event_study,
    record_highs,
    runs,
    weekly_correlation,
)
from analysis.synthetic import returns
from models.derived import EventStudy

DAY = timedelta(days=1)
FIRST = datetime(2014, 1, 2, tzinfo=UTC)
DAYS = 3_650


def closes_of(moves: np.ndarray, first: datetime = FIRST) -> list[tuple[datetime, float]]:
    """Struck at midnight, when the day of each move ends."""
    return [(first + (n + 1) * DAY, float(close)) for n, close in enumerate(100 * np.exp(np.cumsum(moves)))]


def some_days(rng: np.random.Generator, n: int) -> list[date]:
    places = rng.choice(np.arange(430, DAYS - 190), n, replace=False)
    return [(FIRST + int(place) * DAY).date() for place in places]


def with_drift(moves: np.ndarray, days: list[date], drift: float) -> np.ndarray:
    """Each of the sixty days that follow an event brings `drift` more."""
    moves = moves.copy()
    for day in days:
        place = (day - FIRST.date()).days
        moves[place + 1 : place + 61] += drift
    return moves


def week(answer: EventStudy, number: int) -> float:
    return answer.weeks[number + BEFORE].car  # type: ignore[return-value]


# -- what is there ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("drift", "verdict", "word"), [(0.008, "above", "better"), (-0.008, "below", "worse")])
def test_a_drift_planted_after_events_is_found_and_told_in_words(drift: float, verdict: str, word: str) -> None:
    rng = np.random.default_rng(1)
    days = some_days(rng, 12)
    moves = with_drift(0.02 * returns("garch", DAYS, rng), days, drift)
    answer = event_study(closes_of(moves), days, told="record closes of silver", asset="bitcoin")
    assert (answer.verdict, answer.n, answer.n_left_out) == (verdict, 12, 0)
    assert answer.p_family is not None
    assert answer.p_family <= ALPHA
    assert answer.peak_week is not None
    assert 4 <= answer.peak_week <= 14
    assert f"After record closes of silver, bitcoin does {word} than on other days" in answer.sentence
    assert f"n = 12, {answer.n_effective} without overlap" in answer.sentence


@pytest.mark.slow
def test_a_drift_of_four_tenths_of_a_deviation_a_day_is_found_in_most_histories() -> None:
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        days = some_days(rng, 12)
        moves = with_drift(0.02 * returns("garch", DAYS, rng), days, 0.008)
        found += event_study(closes_of(moves), days, draws=199).verdict == "above"
    assert found >= 16


def test_car_is_the_log_return_less_the_mean_of_the_year_before_the_window() -> None:
    moves = np.full(700, 0.001)
    place = 500
    moves[place + 1 : place + 8] += 0.01  # the week that begins with the first close after the event
    moves[place] += 0.5  # the day of the event, before it was knowable
    answer = event_study(closes_of(moves), [(FIRST + place * DAY).date()], draws=19)
    assert week(answer, 1) == pytest.approx(0.07, abs=1e-4)
    assert week(answer, AFTER) == pytest.approx(0.07, abs=1e-4)
    assert week(answer, -1) == pytest.approx(-0.5, abs=1e-4)
    assert week(answer, 0) == 0
    assert [row.week for row in answer.weeks] == list(range(-8, 27))


def test_returns_start_at_the_first_close_after_the_day_so_that_a_weekend_waits_for_monday() -> None:
    every_day = closes_of(0.01 * np.random.default_rng(2).standard_normal(900))
    sessions = [(at - timedelta(hours=3), close) for at, close in every_day if (at - DAY).weekday() < 5]
    friday = date(2015, 6, 5)
    (row,) = event_study(sessions, [friday], draws=19).events
    assert row.starts_at == datetime(2015, 6, 8, 21, tzinfo=UTC)


# -- what is not there ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("clustered", [False, True])
def test_chance_is_taken_for_an_effect_in_one_of_twenty_histories_and_not_more(clustered: bool) -> None:
    """100 histories with GARCH prices; the bound is what chance exceeds once in 1,000 runs."""
    alarms = told = 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 3])
        closes = closes_of(0.02 * returns("garch", DAYS, rng))
        days = some_days(rng, 4 if clustered else 12)
        if clustered:
            days = [day + more * DAY for day in days for more in (0, 9, 30)]
        answer = event_study(closes, days, seed=seed, draws=99)
        told += answer.verdict != "too_small"
        alarms += answer.verdict in ("above", "below")
    assert told > 80
    assert alarms <= binom.ppf(1 - 1e-3, told, ALPHA)


def test_a_price_that_never_moves_or_only_grows_has_no_effect() -> None:
    days = some_days(np.random.default_rng(4), 10)
    for drift in (0.0, 0.001):
        answer = event_study(closes_of(np.full(DAYS, drift)), days, draws=99)
        assert (answer.verdict, week(answer, AFTER)) == ("none", 0)
        assert answer.p_family == 1


@pytest.mark.parametrize(
    ("places", "n", "apart"),
    [((), 0, 0), ((500,), 1, 1), ((500, 900, 1300, 1700), 4, 4), ((500, 501, 502, 503, 504, 900), 6, 2)],
)
def test_too_few_events_get_their_numbers_and_no_verdict(places: tuple[int, ...], n: int, apart: int) -> None:
    moves = 0.02 * np.random.default_rng(5).standard_normal(DAYS)
    answer = event_study(closes_of(moves), [(FIRST + place * DAY).date() for place in places], draws=99)
    assert (answer.n, answer.n_effective, answer.verdict) == (n, apart, "too_small")
    assert answer.sentence.startswith("n too small to say what the price does after the dates given: ")
    assert (answer.weeks[-1].car is None) == (n == 0)
    assert (answer.p_family is None) == (n == 0)


def test_an_event_that_does_not_count_says_why_and_one_given_twice_counts_once() -> None:
    closes = closes_of(0.02 * np.random.default_rng(6).standard_normal(1_000))
    gap = [(at, close) for at, close in closes if not FIRST + 800 * DAY < at < FIRST + 830 * DAY]
    days = [(FIRST + place * DAY).date() for place in (-5, 100, 500, 500, 700, 950, 2_000)]
    answer = event_study(gap, days, draws=19)
    assert [one.left_out for one in answer.events] == [
        "no close follows it",
        "the year before it is not in the prices",
        None,
        "prices are missing around it",
        "its 26 weeks are not over",
        "no close follows it",
    ]
    assert (answer.n, answer.n_left_out) == (1, 5)
    assert event_study([], days, draws=19).n == 0


def test_five_events_in_a_month_of_each_year_tell_no_more_than_one_does() -> None:
    """Were they drawn one by one, the placebo's band would be the narrower the more often an event is repeated."""
    closes = closes_of(0.02 * np.random.default_rng(7).standard_normal(DAYS))
    lone = [date(year, 6, 1) for year in range(2016, 2022)]
    crowd = [day + more * DAY for day in lone for more in range(5)]
    bands = []
    for days in (lone, crowd):
        last = event_study(closes, days).weeks[-1]
        bands.append(last.placebo_high - last.placebo_low)  # type: ignore[operator]
    assert bands[1] > 0.9 * bands[0]


# -- no look-ahead ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=15)
@given(cut=st.integers(700, 1_290), seed=st.integers(0, 5), jump=st.floats(-3, 3))
def test_an_event_once_told_never_changes_with_later_closes(cut: int, seed: int, jump: float) -> None:
    rng = np.random.default_rng(seed)
    moves = 0.02 * rng.standard_normal(1_300)
    days = [(FIRST + place * DAY).date() for place in range(440, 1_280, 60)]
    late = moves.copy()
    late[cut:] += jump * 0.02
    early, other = (
        {one.day: one for one in event_study(closes_of(each), days, draws=19).events} for each in (moves[:cut], late)
    )
    told = [one for one in early.values() if one.left_out is None]
    assert told
    assert all(other[one.day] == one for one in told)


@settings(deadline=None, max_examples=25)
@given(cut=st.integers(1, 1_200), seed=st.integers(0, 20))
def test_record_closes_up_to_a_day_know_nothing_of_later_ones(cut: int, seed: int) -> None:
    closes = closes_of(0.0005 + 0.01 * np.random.default_rng(seed).standard_normal(1_200))
    until = closes[cut - 1][0].date()
    assert record_highs(closes[:cut]) == [day for day in record_highs(closes) if day < until]


def test_a_record_takes_a_year_of_closes_and_comes_once_a_quarter() -> None:
    rising = record_highs(closes_of(np.full(900, 0.001)))
    assert rising[0] == (FIRST + 365 * DAY).date()
    assert {later - day for day, later in zip(rising, rising[1:], strict=False)} == {91 * DAY}
    assert record_highs(closes_of(np.full(900, -0.001))) == record_highs(closes_of(np.zeros(900))) == []
    assert record_highs([]) == []


def test_a_run_begins_once_and_days_without_stories_neither_end_nor_begin_it() -> None:
    states = "warming_up panic panic calm panic unknown panic transition panic unknown calm unknown panic".split()
    days = [date(2020, 1, 1) + n * DAY for n in range(len(states))]
    found = runs(list(zip(days, states, strict=True)), "panic")
    assert [days.index(day) for day in found] == [4, 8, 12]
    assert runs([], "panic") == []


def test_how_closely_two_prices_move_is_told_by_the_week() -> None:
    rng = np.random.default_rng(10)
    common, own = rng.standard_normal((2, DAYS))
    one, other = closes_of(0.01 * common), closes_of(0.01 * (0.6 * common + 0.8 * own), FIRST + 20 * DAY)
    assert weekly_correlation(one, one) == 1
    assert weekly_correlation(one, [(at - 20 * DAY, close) for at, close in other]) == pytest.approx(0.6, abs=0.1)
    assert weekly_correlation(one, other) == pytest.approx(0, abs=0.15)
    assert weekly_correlation(one, closes_of(np.zeros(DAYS))) is None
    assert weekly_correlation(one, one[:100]) is weekly_correlation(one, []) is None


def test_the_same_seed_says_the_same_and_another_nearly_so() -> None:
    closes = closes_of(0.02 * np.random.default_rng(8).standard_normal(DAYS))
    days = some_days(np.random.default_rng(9), 8)
    one, other = event_study(closes, days, seed=1), event_study(closes, days, seed=2)
    assert one == event_study(closes, days[::-1], seed=1)
    assert abs((one.p_family or 0) - (other.p_family or 0)) < 0.1
    assert one.events == other.events


def test_what_a_year_needs_is_what_the_docs_say() -> None:
    assert (BEFORE, AFTER, ESTIMATION, len(WEEKS)) == (8, 26, 52, 35)
