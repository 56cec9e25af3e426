from collections import Counter
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import FIRST, USUAL, frames, news, until

from analysis.buckets import starts
from analysis.shift import WARM_UP_DAYS, ready_on, record_of, shift_points
from config.definitions import PriorRate
from models.derived import ShiftPoint
from models.errors import BadRange

CHANGE = 300


def run(
    totals: pd.DataFrame,
    carried: pd.DataFrame,
    *,
    days: int = 420,
    bucket: str = "day",
    prior: dict[str, PriorRate] | None = None,
) -> list[ShiftPoint]:
    buckets = starts(FIRST, FIRST + timedelta(days=days), bucket)
    now = FIRST + timedelta(days=days, hours=2)
    return shift_points(totals, carried, starts=buckets, bucket=bucket, now=now, prior=prior)


def raised(*names: str, times: float = 4.0):
    return lambda name, day: USUAL[name] * (times if day >= CHANGE and name in names else 1.0)


def test_usual_news_stays_near_one_half_and_calm() -> None:
    found = [point for point in run(*news(420, seed=5)) if point.index is not None]
    assert abs(np.mean([point.index for point in found]) - 0.5) < 0.06
    assert np.mean([point.state == "calm" for point in found]) > 0.93


@pytest.mark.parametrize(
    ("names", "state", "above_half"),
    [
        (("safe_haven",), "panic", False),
        (("debasement",), "devaluation", True),
        (("fiscal_stress",), "devaluation", True),
        (("liquidity",), "transition", True),  # easing talk alone is the policy answer, not doubt of money
    ],
)
@pytest.mark.parametrize("seed", [11, 12])
def test_a_planted_shift_is_found_within_ten_days_and_named(
    names: tuple[str, ...], state: str, above_half: bool, seed: int
) -> None:
    times = 8.0 if names == ("liquidity",) else 6.0
    found = run(*news(420, seed=seed, rate=raised(*names, times=times)))
    first = next(day for day, point in enumerate(found) if day >= CHANGE and point.state == state)
    assert first - CHANGE <= 10
    settled = found[CHANGE + 10 :]
    assert Counter(point.state for point in settled).most_common(1)[0][0] == state
    assert (np.mean([point.index for point in settled]) > 0.5) is np.bool_(above_half)


def test_both_poles_at_once_are_a_transition() -> None:
    found = run(*news(420, seed=7, rate=raised("safe_haven", "debasement", "fiscal_stress", "liquidity")))
    assert Counter(point.state for point in found[CHANGE + 10 :]).most_common(1)[0][0] == "transition"


def test_easing_alone_moves_theta_but_not_theta_without_liquidity() -> None:
    settled = run(*news(420, seed=8, rate=raised("liquidity", times=8.0)))[CHANGE + 10 :]
    assert np.mean([point.index for point in settled]) > 0.65
    assert abs(np.mean([point.index_without_liquidity for point in settled]) - 0.5) < 0.12


def test_nothing_is_told_before_the_baseline_is_warm_and_progress_says_how_far_it_is() -> None:
    found = run(*news(200, seed=9), days=200)
    assert {point.state for point in found[: WARM_UP_DAYS - 1]} == {"warming_up"}
    assert {point.index for point in found[: WARM_UP_DAYS - 1]} == {None}
    assert found[WARM_UP_DAYS - 1].index is not None
    progress = [point.progress for point in found[:WARM_UP_DAYS]]
    assert progress == sorted(progress)
    assert progress[0] < 0.05
    assert progress[-1] == 1.0


def test_days_without_stories_are_unknown_and_not_zero() -> None:
    totals, carried = news(200, seed=10)
    gap = (FIRST + timedelta(days=150), FIRST + timedelta(days=160))
    kept = [frame[(frame["hour"] < gap[0]) | (frame["hour"] >= gap[1])] for frame in (totals, carried)]
    silent = run(*kept, days=200)[150:160]
    assert {(p.index, p.panic, p.state, p.n_stories) for p in silent} == {(None, None, "unknown", 0)}


def test_the_interval_widens_while_few_stories_are_known() -> None:
    many, few = (run(*news(200, seed=2, a_day=a_day), days=200)[-1] for a_day in (200, 10))
    assert few.high - few.low > many.high - many.low
    assert (few.thin, many.thin) == (True, False)
    for point in (many, few):
        assert point.low < point.index < point.high


def test_the_interval_of_theta_holds_one_half_when_nothing_changed() -> None:
    inside = [
        point.low <= 0.5 <= point.high
        for seed in range(6)
        for point in run(*news(400, seed=seed), days=400)
        if point.index is not None
    ]
    assert np.mean(inside) >= 0.85


def test_a_story_in_both_poles_gives_each_half() -> None:
    totals, carried = news(200, seed=3, rate=lambda name, day: 0.1)
    both = carried.assign(n_split=carried["n_carrying"] * carried["narrative"].isin(["safe_haven", "debasement"]))
    record = record_of(totals, both)
    halves = dict(zip(record.names, record.k.sum(axis=(1, 2)), strict=True))
    ones = dict(zip(record.names, record_of(totals, carried).k.sum(axis=(1, 2)), strict=True))
    assert halves["safe_haven"] == pytest.approx(ones["safe_haven"] / 2, rel=0.01)
    assert halves["liquidity"] == ones["liquidity"]


def test_fading_stories_move_nothing() -> None:
    totals, carried = news(420, seed=4, rate=raised("safe_haven", times=6.0))
    faded = carried.assign(direction=carried["direction"].where(carried["narrative"] != "safe_haven", -1))
    assert all(point.state != "panic" for point in run(totals, faded))


def test_a_week_is_the_state_at_its_last_day_and_its_stories_are_the_sum() -> None:
    totals, carried = news(420, seed=6)
    days, weeks = run(totals, carried), run(totals, carried, bucket="week")
    by_day = {point.bucket_start: point for point in days}
    for week in weeks[2:-2]:
        inside = [by_day[week.bucket_start + timedelta(days=day)] for day in range(7)]
        assert week.index == inside[-1].index
        assert week.n_stories == sum(point.n_stories for point in inside)


def test_no_story_at_all_is_unknown_everywhere() -> None:
    found = run(*frames([], []), days=30)
    assert {(point.state, point.index, point.progress) for point in found} == {("unknown", None, 0.0)}


def test_hours_are_refused_because_a_day_is_the_shortest_time() -> None:
    with pytest.raises(BadRange, match="daily statistic"):
        run(*news(3, seed=1), days=3, bucket="hour")


@pytest.mark.parametrize(("days", "holes"), [(1, False), (50, False), (50, True), (200, False), (200, True)])
def test_the_day_on_which_theta_will_speak_is_the_day_it_speaks(days: int, holes: bool) -> None:
    totals, carried = news(400, seed=9)
    today = FIRST + timedelta(days=days)
    if holes:  # news on every third day so far
        third = (totals["hour"] - pd.Timestamp(FIRST)).dt.days % 3 == 0
        totals = totals[third | (totals["hour"] >= pd.Timestamp(today))]
    told = ready_on(until(totals, days), now=today)
    speaks = next(point for point in run(totals, carried, days=400) if point.baseline == "own")
    assert told == speaks.bucket_start.date()


def test_without_a_story_nobody_knows_when_theta_will_speak() -> None:
    assert ready_on(frames([], [])[0], now=FIRST) is None


PRIOR = {name: PriorRate(rate=rate, spread=0.5) for name, rate in USUAL.items()}


def test_prior_rates_speak_from_the_first_day_and_give_way_to_the_record_s_own() -> None:
    totals, carried = news(200, seed=9)
    alone, started = run(totals, carried, days=200), run(totals, carried, days=200, prior=PRIOR)
    young, grown = slice(WARM_UP_DAYS - 1), slice(WARM_UP_DAYS - 1, None)
    assert {point.baseline for point in started[young]} == {"prior"}
    assert {point.baseline for point in started[grown]} == {"own"}
    assert {point.baseline for point in alone[young]} == {None}
    assert all(point.index is not None for point in started)
    assert [point.progress for point in started] == [point.progress for point in alone]
    assert [(p.index, p.low, p.high) for p in started[grown]] == [(p.index, p.low, p.high) for p in alone[grown]]


def test_a_young_record_with_prior_rates_is_calm_in_usual_news_also_where_its_feeds_differ_from_the_archives() -> None:
    wrong = {name: PriorRate(rate=rate, spread=0.5) for name, rate in zip(USUAL, (0.02, 0.03, 0.03, 0.03), strict=True)}
    for seed in range(4):
        found = run(*news(100, seed=seed), days=100, prior=wrong)
        assert np.mean([point.state == "calm" for point in found]) > 0.9
        assert np.mean([point.low <= 0.5 <= point.high for point in found]) > 0.9


def test_a_young_record_with_prior_rates_sees_a_planted_panic() -> None:
    found = run(
        *news(60, seed=3, rate=lambda n, d: USUAL[n] * (8 if d >= 30 and n == "safe_haven" else 1)),
        days=60,
        prior=PRIOR,
    )
    first = next(day for day, point in enumerate(found) if point.state == "panic")
    assert 30 <= first <= 36
    assert found[40].index < 0.3


def test_the_less_archives_agree_the_wider_the_interval() -> None:
    totals, carried = news(20, seed=3)
    widths = []
    for spread in (0.2, 0.6, 1.4):
        prior = {name: PriorRate(rate=rate, spread=spread) for name, rate in USUAL.items()}
        point = run(totals, carried, days=20, prior=prior)[10]
        widths.append(point.high - point.low)
    assert widths == sorted(widths)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1_000), st.integers(1, 179), st.sampled_from([None, PRIOR]))
def test_changing_the_future_does_not_change_the_past(seed: int, day: int, prior: dict[str, PriorRate] | None) -> None:
    totals, carried = news(180, seed=seed, a_day=15)
    later = news(180, seed=seed + 1, a_day=60, rate=lambda name, day: 0.4)
    at = pd.Timestamp(FIRST + timedelta(days=day))
    changed = [
        pd.concat([until(own, day), other[other["hour"] >= at]])
        for own, other in zip((totals, carried), later, strict=True)
    ]
    before = [(p.index, p.low, p.high, p.state) for p in run(totals, carried, days=180, prior=prior)[:day]]
    assert before == [(p.index, p.low, p.high, p.state) for p in run(*changed, days=180, prior=prior)[:day]]
    cut = run(until(totals, day), until(carried, day), days=180, prior=prior)[:day]
    assert before == [(p.index, p.low, p.high, p.state) for p in cut]
