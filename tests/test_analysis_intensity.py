from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import FIRST, frames, news, until

from analysis.buckets import starts
from analysis.intensity import intensity_points, wilson

NOTHING = pd.DataFrame({"hour": pd.to_datetime([], utc=True), "attempts": [], "answered": []})


def points(
    totals, carried, *, days=3, fetches=NOTHING, weighting="story", bucket="day", now=None, names=("liquidity",)
):
    buckets = starts(FIRST, FIRST + timedelta(days=days), bucket)
    return intensity_points(
        totals,
        carried,
        fetches,
        narratives=list(names),
        starts=buckets,
        bucket=bucket,
        weighting=weighting,
        now=now or FIRST + timedelta(days=999),
    )


def test_share_counts_stories_once_and_articles_each() -> None:
    hour = pd.Timestamp(FIRST + timedelta(hours=5))
    totals, carried = frames([(hour, 4, 10, 52)], [(1, hour, 7, "liquidity", 1, "actual")])
    story, article = points(totals, carried)[0], points(totals, carried, weighting="article")[0]
    assert (story.intensity, article.intensity) == (0.25, 0.7)
    assert (story.n_stories, story.n_articles, story.n_carrying, story.echo) == (4, 10, 1, 6)
    # 100 / 52 effective stories say less than 4
    assert article.high - article.low > story.high - story.low


def test_no_story_is_none_and_never_zero() -> None:
    totals, carried = frames([(pd.Timestamp(FIRST), 30, 30, 30)], [])
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
    totals, carried = frames([(pd.Timestamp(FIRST), 30, 30, 30)], [])
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
