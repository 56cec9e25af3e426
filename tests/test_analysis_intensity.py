from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import FIRST, frames, news, until

from analysis.buckets import starts
from analysis.intensity import ByOutlet, beside, breadth_of, intensity_points
from analysis.intervals import wilson

NOTHING = pd.DataFrame({"hour": pd.to_datetime([], utc=True), "attempts": [], "answered": []})
NEVER = pd.to_datetime([], utc=True).as_unit("us")
NOBODY = pd.DataFrame({"hour": NEVER, "narrative": [], "outlet": [], "brought": NEVER, "n_stories": []})
OUTLETS = 6


def points(
    totals,
    carried,
    *,
    days=3,
    fetches=NOTHING,
    weighting="story",
    bucket="day",
    now=None,
    names=("liquidity",),
    brought=NOBODY,
    by_outlet=None,
):
    buckets = starts(FIRST, FIRST + timedelta(days=days), bucket)
    return intensity_points(
        totals,
        carried,
        fetches,
        breadth=breadth_of(brought, bucket),
        narratives=list(names),
        starts=buckets,
        bucket=bucket,
        weighting=weighting,
        now=now or FIRST + timedelta(days=999),
        by_outlet=by_outlet,
    )


def of_liquidity(hours, outlets, brought):
    return pd.DataFrame(
        {"hour": hours, "narrative": "liquidity", "outlet": outlets, "brought": brought, "n_stories": 1}
    )


def told_by(n, carrying):
    """Stories and carrying stories of each outlet by day, both of shape (days, outlets); no story of two outlets."""
    totals, carried = [], []
    for day, outlet in np.ndindex(*n.shape):
        hour, name = pd.Timestamp(FIRST + timedelta(days=day, hours=9)), f"Outlet {outlet}"
        if n[day, outlet]:
            totals.append((hour, name, n[day, outlet], n[day, outlet]))
        if carrying[day, outlet]:
            carried.append((hour, name, "liquidity", carrying[day, outlet]))
    first = pd.DataFrame(totals, columns=["hour", "outlet", "n_stories", "n_squared"])
    second = pd.DataFrame(carried, columns=["hour", "outlet", "narrative", "n_carrying"])
    for frame in (first, second):
        frame["hour"] = pd.to_datetime(frame["hour"], utc=True).astype("datetime64[us, UTC]")
    return ByOutlet(first, second)


def usual_news(days, *, seed, rate=0.05, a_day=(40,) * OUTLETS):
    """Stories and carrying stories of some outlets by day, each carrying at the rate (by outlet, or of all)."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(a_day, (days, len(a_day)))
    return n, rng.binomial(n, rate)


def index(by_outlet, *, days, **more):
    return points(*frames([], []), days=days, by_outlet=by_outlet, **more)


def test_share_counts_stories_once_and_articles_each() -> None:
    hour = pd.Timestamp(FIRST + timedelta(hours=5))
    totals, carried = frames([(hour, "", 4, 10, 52)], [(hour, "", "liquidity", 1, "actual", 1, 7, 0)])
    story, article = points(totals, carried)[0], points(totals, carried, weighting="article")[0]
    assert (story.intensity, article.intensity) == (0.25, 0.7)
    assert (story.n_stories, story.n_articles, story.n_carrying, story.echo) == (4, 10, 1, 6)
    # 100 / 52 effective stories say less than 4
    assert article.high - article.low > story.high - story.low


def test_no_story_is_none_and_never_zero() -> None:
    totals, carried = frames([(pd.Timestamp(FIRST), "", 30, 30, 30)], [])
    first, second, _ = points(totals, carried)
    assert (first.intensity, first.thin) == (0.0, False)
    assert first.low == 0.0
    assert first.high > 0.05
    assert (second.intensity, second.low, second.high, second.n_stories, second.thin) == (None, None, None, 0, True)


def test_an_empty_store_gives_gaps_and_no_warning() -> None:
    totals, carried = frames([], [])
    found = points(totals, carried, names=("liquidity", "debasement"))
    assert len(found) == 6
    assert {point.intensity for point in found} == {None}
    assert {point.coverage for point in found} == {None}


def test_a_bucket_is_open_until_its_end_and_the_grace_after_it() -> None:
    totals, carried = frames([(pd.Timestamp(FIRST), "", 30, 30, 30)], [])
    end = FIRST + timedelta(days=1)
    assert points(totals, carried, days=1, now=end + timedelta(minutes=59))[0].open
    assert not points(totals, carried, days=1, now=end + timedelta(minutes=60))[0].open


def test_coverage_is_the_share_of_attempts_that_were_answered() -> None:
    fetches = pd.DataFrame(
        {"hour": pd.to_datetime([FIRST, FIRST + timedelta(hours=1)], utc=True), "attempts": [3, 1], "answered": [1, 1]}
    )
    totals, carried = frames([], [])
    assert [point.coverage for point in points(totals, carried, fetches=fetches)] == [0.5, None, None]


@pytest.mark.parametrize("bucket", ["day", "week", "month"])
def test_every_story_is_counted_in_just_one_bucket(bucket: str) -> None:
    totals, carried = news(90, seed=1)
    found = points(totals, carried, days=90, bucket=bucket)
    assert sum(point.n_stories for point in found) == totals["n_stories"].sum()
    assert sum(point.n_carrying for point in found) == (carried["narrative"] == "liquidity").sum()


def test_the_interval_holds_the_planted_rate_nine_times_in_ten() -> None:
    totals, carried = news(600, seed=3, rate=lambda name, day: 0.1)
    found = points(totals, carried, days=600)
    inside = np.mean([point.low <= 0.1 <= point.high for point in found])
    assert 0.86 <= inside <= 0.95


@given(st.floats(0, 1), st.integers(1, 10_000))
def test_the_interval_is_a_share_and_holds_its_estimate(share: float, n: int) -> None:
    low, high = wilson(np.array([share]), np.array([float(n)]))
    assert 0 <= low[0] <= share <= high[0] <= 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1_000), st.integers(1, 29))
def test_changing_the_future_does_not_change_the_past(seed: int, day: int) -> None:
    totals, carried = news(30, seed=seed)
    later = news(30, seed=seed + 1, a_day=90)
    changed = [
        pd.concat([until(own, day), other[other["hour"] >= pd.Timestamp(FIRST + timedelta(days=day))]])
        for own, other in zip((totals, carried), later, strict=True)
    ]
    assert points(totals, carried, days=30)[:day] == points(*changed, days=30)[:day]


def test_breadth_tells_one_outlet_s_stories_from_everybody_s() -> None:
    hour = pd.Timestamp(FIRST)
    hours = [hour] * 4 + [hour + pd.Timedelta(days=1)] * 4
    totals, carried = frames(
        [(hours[0], "", 30, 30, 30), (hours[-1], "", 30, 30, 30)],
        [(at, "", "liquidity", 1, "actual", 1, 1, 0) for at in hours],
    )
    outlets = ["A", "A", "A", "A", "A", "A", "B", "C"]
    brought = of_liquidity(hours, outlets, hours)
    one, several, none = points(totals, carried, brought=brought)
    assert (one.n_outlets, one.outlets_effective) == (1, 1.0)
    assert (several.n_outlets, several.outlets_effective) == (3, round(16 / 6, 6))
    assert (none.n_outlets, none.outlets_effective) == (None, None)


def test_a_copy_of_the_next_day_is_not_breadth_of_this_one() -> None:
    hour = pd.Timestamp(FIRST)
    totals, carried = frames([(hour, "", 30, 32, 36)], [(hour, "", "liquidity", 1, "actual", 1, 3, 0)])
    copies = [hour, hour + pd.Timedelta(hours=20), hour + pd.Timedelta(hours=30)]
    brought = of_liquidity([hour] * 3, ["A", "B", "C"], copies)
    assert points(totals, carried, brought=brought)[0].n_outlets == 2
    assert points(totals, carried, brought=brought, bucket="week")[0].n_outlets == 3


def test_the_index_is_a_hundred_in_usual_times_and_doubles_when_all_tell_it_twice_as_often() -> None:
    rate = np.where(np.arange(430) < 400, 0.05, 0.1)[:, None]
    found = index(told_by(*usual_news(430, seed=1, rate=rate)), days=430)
    values = [point.intensity for point in found]
    assert np.mean(values[120:400]) == pytest.approx(100, abs=3)
    assert np.mean(values[400:]) == pytest.approx(200, rel=0.1)
    assert {point.n_indexed for point in found[200:]} == {OUTLETS}


def test_one_outlet_s_campaign_moves_the_index_by_its_part_and_the_share_by_its_size() -> None:
    a_day = (200, 20, 20, 20, 20, 20)
    n, carrying = usual_news(300, seed=3, a_day=a_day)
    n[-1] = a_day
    alone, together = carrying.copy(), carrying.copy()
    together[-1] = n[-1] * 0.5
    alone[-1] = n[-1] * 0.05
    alone[-1, 0] = 100
    campaign, everybody = (index(told_by(n, told), days=300)[-1] for told in (alone, together))
    assert alone[-1].sum() / n[-1].sum() > 6 * 0.05
    assert everybody.intensity == pytest.approx(1_000, rel=0.1)
    # the large outlet's share swings less, so that it weighs more than a sixth, but not two thirds
    assert 200 < campaign.intensity < 600
    assert campaign.high < everybody.low


def test_the_interval_of_the_index_holds_the_planted_value_nine_times_in_ten() -> None:
    n, carrying = usual_news(700, seed=4)
    found = index(told_by(n, carrying), days=700)[200:]
    assert 0.86 <= np.mean([point.low <= 100 <= point.high for point in found]) <= 0.96


def test_a_text_that_all_bring_says_less_than_as_many_texts() -> None:
    n, carrying = usual_news(200, seed=5)
    apart = told_by(n, carrying)
    shared = ByOutlet(apart.totals.assign(n_squared=apart.totals["n_stories"] * OUTLETS), apart.carried)
    one, other = index(apart, days=200)[-1], index(shared, days=200)[-1]
    assert one.intensity == other.intensity
    assert other.high - other.low > 2 * (one.high - one.low)


def test_the_index_waits_for_its_history_and_says_how_far_it_is() -> None:
    n, carrying = usual_news(120, seed=6, rate=0.2)
    found = index(told_by(n, carrying), days=120)
    assert {point.intensity for point in found[:90]} == {None}
    assert (found[0].progress, found[45].progress, found[89].progress) == (0.0, 0.5, 0.98)
    assert all(point.intensity is not None and point.progress == 1 for point in found[91:])
    assert {point.intensity for point in index(told_by(n, carrying), days=120, bucket="month")} == {None}


def test_an_outlet_without_hits_or_swings_is_left_out() -> None:
    n, carrying = usual_news(150, seed=7, rate=(0.1, 0.0, 0.1), a_day=(30, 30, 30))
    n[:, 2], carrying[:, 2] = 30, 3
    last = index(told_by(n, carrying), days=150)[-1]
    alone = index(told_by(n[:, :1], carrying[:, :1]), days=150)[-1]
    assert last.n_indexed == 1
    assert (last.intensity, last.low, last.high) == (alone.intensity, alone.low, alone.high)
    assert alone.intensity == pytest.approx(100 * (carrying[-1, 0] / n[-1, 0]) / np.mean(carrying[:-1, 0] / n[:-1, 0]))
    constant = index(told_by(n[:, 2:], carrying[:, 2:]), days=150)[-1]
    assert (constant.intensity, constant.low, constant.n_indexed, constant.progress) == (None, None, 0, 1.0)


def test_an_index_of_an_empty_store_is_none_and_no_warning() -> None:
    found = index(told_by(np.zeros((3, 1), int), np.zeros((3, 1), int)), days=3)
    assert {(point.intensity, point.high, point.n_indexed, point.progress) for point in found} == {(None, None, 0, 0.0)}


def test_a_day_on_which_nobody_tells_it_is_zero_with_a_ceiling_and_a_silent_day_is_none() -> None:
    n, carrying = usual_news(150, seed=8)
    carrying[-2], n[-1], carrying[-1] = 0, 0, 0
    untold, silent = index(told_by(n, carrying), days=150)[-2:]
    assert (untold.intensity, untold.low) == (0.0, 0.0)
    assert 0 < untold.high < 100
    assert (silent.intensity, silent.high, silent.progress) == (None, None, 1.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1_000), st.integers(1, 149))
def test_changing_the_future_does_not_change_the_index_before(seed: int, day: int) -> None:
    n, carrying = usual_news(150, seed=seed)
    other = usual_news(150, seed=seed + 1, rate=0.3, a_day=(90,) * (OUTLETS + 2))
    changed = [np.pad(own[:day], ((0, 0), (0, 2))) for own in (n, carrying)]
    changed = [np.vstack([own, later[day:]]) for own, later in zip(changed, other, strict=True)]
    assert index(told_by(n, carrying), days=150)[:day] == index(told_by(*changed), days=150)[:day]


def test_two_series_beside_one_another_are_correlated_where_both_are_known() -> None:
    totals, carried = news(60, seed=9)
    ours = points(totals, carried, days=62)
    rows, found, note = beside(ours, ours)
    assert (found["estimate"], found["n"], note) == (1.0, 60, None)
    assert found["low"] <= found["estimate"] <= found["high"]
    assert [row.keywords_intensity for row in rows] == [row.intensity for row in ours]
    later = points(*news(60, seed=10), days=62)
    assert beside(ours, later)[1]["low"] < 0 < beside(ours, later)[1]["high"]


def test_no_correlation_is_told_of_few_buckets_or_of_a_series_that_never_changes() -> None:
    totals, carried = news(60, seed=9)
    ours = points(totals, carried, days=60)
    _, found, note = beside(ours[:11], ours[:11])
    assert (found, note) == (None, "11 buckets have both numbers; 12 are needed.")
    _, found, note = beside(ours, points(totals, carried[:0], days=60))
    assert (found, note) == (None, "One of the two series never changes.")
