from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.buckets import BUCKETS, MAX_DAYS, end_of, floor, floor_one, starts
from models.errors import BadRange

INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@given(INSTANTS, st.sampled_from(BUCKETS))
def test_an_instant_lies_in_the_bucket_it_is_floored_to(at: datetime, bucket: str) -> None:
    start = floor_one(at, bucket)
    assert start <= at < end_of(start, bucket)
    assert floor_one(start, bucket) == start


@given(INSTANTS, st.timedeltas(timedelta(seconds=1), timedelta(days=80)), st.sampled_from(BUCKETS))
def test_buckets_follow_one_another_and_cover_the_range(start: datetime, length: timedelta, bucket: str) -> None:
    found = starts(start, start + length, bucket)
    assert found[0] <= start
    assert end_of(found[-1], bucket) >= start + length
    assert all(end_of(a, bucket) == b for a, b in zip(found, found[1:], strict=False))


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    assert floor_one(datetime(2020, 3, 8, 23, 59, tzinfo=UTC), "week") == datetime(2020, 3, 2, tzinfo=UTC)
    assert floor_one(datetime(2020, 2, 29, tzinfo=UTC), "month") == datetime(2020, 2, 1, tzinfo=UTC)
    assert end_of(datetime(2019, 12, 1, tzinfo=UTC), "month") == datetime(2020, 1, 1, tzinfo=UTC)


def test_an_empty_series_floors_to_an_empty_one() -> None:
    empty = pd.Series([], dtype="datetime64[us, UTC]")
    assert floor(empty, "week").empty


def test_a_range_backwards_or_too_long_is_refused_with_the_reason() -> None:
    at = datetime(2020, 1, 1, tzinfo=UTC)
    with pytest.raises(BadRange, match="must be before end"):
        starts(at, at, "day")
    with pytest.raises(BadRange, match="at most 92 days.*by day"):
        starts(at, at + timedelta(days=MAX_DAYS["hour"] + 1), "hour")
