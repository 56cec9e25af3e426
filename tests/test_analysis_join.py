from datetime import UTC, datetime, timedelta
from math import log

from hypothesis import given
from hypothesis import strategies as st

from analysis.buckets import end_of, starts
from analysis.join import bucket_returns
from models.derived import PricePoint

MONDAY = datetime(2020, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)


def bars(*closes: tuple[datetime, float]) -> list[PricePoint]:
    return [PricePoint(at, "X", close, at) for at, close in closes]


def every_day(days: int, at: timedelta = timedelta(0)) -> list[PricePoint]:
    return bars(*((MONDAY + n * DAY + at, 100.0 + n) for n in range(days)))


def sessions(days: int) -> list[PricePoint]:
    """Closes at 21:00 UTC on weekdays only, as for shares in New York."""
    return [bar for bar in every_day(days, timedelta(hours=21)) if bar.closed_at.weekday() < 5]


def test_bitcoin_closes_at_midnight_so_the_next_return_is_the_next_day() -> None:
    found = bucket_returns(every_day(5), starts=[MONDAY + DAY], bucket="day")[0]
    assert (found.close, found.closed_at) == (102.0, MONDAY + 2 * DAY)
    assert found.return_same == round(log(102 / 101), 8)
    assert found.return_next == round(log(103 / 102), 8)
    assert (found.next_from, found.next_to) == (MONDAY + 2 * DAY, MONDAY + 3 * DAY)


def test_a_close_in_new_york_comes_before_the_day_is_over_so_the_next_return_begins_at_the_next_close() -> None:
    found = bucket_returns(sessions(5), starts=[MONDAY + DAY], bucket="day")[0]
    assert found.return_same == round(log(101 / 100), 8)
    assert found.next_from == MONDAY + 2 * DAY + timedelta(hours=21)


def test_weekend_news_meets_the_session_after_it() -> None:
    saturday, sunday = bucket_returns(sessions(12), starts=[MONDAY + 5 * DAY, MONDAY + 6 * DAY], bucket="day")
    for found in (saturday, sunday):
        assert (found.close, found.return_same) == (None, None)
        assert found.next_from == MONDAY + 7 * DAY + timedelta(hours=21)
        assert found.next_to == MONDAY + 8 * DAY + timedelta(hours=21)


def test_the_next_return_of_a_week_spans_the_week_that_follows() -> None:
    found = bucket_returns(every_day(30), starts=[MONDAY], bucket="week")[0]
    assert (found.next_from, found.next_to) == (MONDAY + 7 * DAY, MONDAY + 14 * DAY)
    assert found.return_same == round(log(107 / 100), 8)


def test_missing_prices_are_none_and_a_gap_is_no_return() -> None:
    gapped = every_day(3) + bars((MONDAY + 40 * DAY, 150.0), (MONDAY + 41 * DAY, 151.0))
    found = bucket_returns(gapped, starts=starts(MONDAY, MONDAY + 42 * DAY, "day"), bucket="day")
    assert found[1].return_next is None
    assert found[20].close is None
    assert found[20].return_next is None
    assert found[39].return_same is None  # its base close lies 38 days back
    assert found[39].return_next == round(log(151 / 150), 8)
    assert bucket_returns([], starts=[MONDAY], bucket="day")[0].return_next is None


def test_a_close_below_zero_gives_no_return() -> None:
    oil = bars((MONDAY, 18.27), (MONDAY + DAY, -37.63), (MONDAY + 2 * DAY, 10.01), (MONDAY + 3 * DAY, 13.78))
    first, second, _ = bucket_returns(oil, starts=[MONDAY + n * DAY for n in range(3)], bucket="day")
    assert (first.close, first.return_same, first.return_next) == (-37.63, None, None)
    assert second.return_next == round(log(13.78 / 10.01), 8)


@given(
    st.lists(st.tuples(st.integers(0, 2_000), st.floats(1, 1_000)), unique_by=lambda bar: bar[0]),
    st.sampled_from(["hour", "day", "week", "month"]),
    st.integers(0, 60),
)
def test_no_price_from_before_the_end_of_the_bucket_enters_its_next_return(
    closes: list[tuple[int, float]], bucket: str, day: int
) -> None:
    series = bars(*sorted((MONDAY + hours * timedelta(hours=1), close) for hours, close in closes))
    start = starts(MONDAY + day * DAY, MONDAY + (day + 1) * DAY, bucket)[0]
    end = end_of(start, bucket)
    found = bucket_returns(series, starts=[start], bucket=bucket)[0]
    if found.return_next is not None:
        assert end <= found.next_from < found.next_to
    # what happens after the end changes nothing of what is told of the bucket itself
    cut = bucket_returns([bar for bar in series if bar.closed_at <= end], starts=[start], bucket=bucket)[0]
    assert (cut.close, cut.return_same) == (found.close, found.return_same)
    # and what happened before it changes nothing of the next return
    after = bucket_returns([bar for bar in series if bar.closed_at >= end], starts=[start], bucket=bucket)[0]
    assert after.return_next == found.return_next
