"""Tone: the mean of what stories say of an asset, with an interval that never claims more than it knows."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.tone import tone_points
from models.derived import TonePoint

DAY = datetime(2020, 3, 9, tzinfo=UTC)


def points(tones: list[float], copies: list[int] | None = None, **options: str) -> TonePoint:
    tone, n = np.array(tones), np.array(copies or [1] * len(tones))
    frame = pd.DataFrame(
        {
            "hour": pd.to_datetime([DAY] * len(tones), utc=True).astype("datetime64[us, UTC]"),
            "n_stories": 1,
            "n_articles": n,
            "n_squared": n**2,
            "tone": tone,
            "tone_squared": tone**2,
            "tone_by_article": n * tone,
            "tone_squared_by_article": n * tone**2,
        }
    )
    weighting = options.get("weighting", "story")
    (found,) = tone_points(
        frame,
        asset="BTC",
        starts=[DAY],
        bucket="day",
        weighting=weighting,
        now=DAY + timedelta(days=9),  # type: ignore[arg-type]
    )
    return found


def test_the_mean_its_interval_and_how_far_stories_disagree() -> None:
    found = points([1.0] * 30 + [-1.0] * 10)
    assert (found.tone, found.n_stories, found.thin, found.open) == (0.5, 40, False, False)
    assert found.disagreement == pytest.approx(0.866, abs=1e-3)
    assert found.low == pytest.approx(0.25, abs=0.06)
    assert found.high == pytest.approx(0.71, abs=0.06)


def test_no_story_is_null_and_one_is_no_certainty() -> None:
    nothing = points([])
    assert (nothing.tone, nothing.low, nothing.disagreement, nothing.n_stories) == (None, None, None, 0)
    one = points([1.0])
    assert (one.tone, one.high, one.disagreement, one.thin) == (1.0, 1.0, None, True)
    assert one.low < 0.2  # type: ignore[operator]


def test_copies_count_once_unless_articles_are_asked_for() -> None:
    assert points([1.0, -1.0], [9, 1]).tone == 0
    by_article = points([1.0, -1.0], [9, 1], weighting="article")
    assert by_article.tone == 0.8
    assert by_article.n_articles == 10
    assert by_article.high - by_article.low > points([1.0] * 9 + [-1.0]).high - points([1.0] * 9 + [-1.0]).low  # type: ignore[operator]


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=1, max_size=60))
def test_the_interval_holds_the_mean_and_stays_in_range(tones: list[float]) -> None:
    found = points(tones)
    assert -1 <= found.low <= found.tone <= found.high <= 1  # type: ignore[operator]


@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=30))
def test_more_of_the_same_narrows_it(tones: list[float]) -> None:
    few, many = points(tones), points(tones * 4)
    assert many.high - many.low <= few.high - few.low + 1e-9  # type: ignore[operator]
