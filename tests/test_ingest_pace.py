from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import pace
from ingest.pace import LONGEST, LONGEST_FLOOR, LONGEST_WAIT, Visit

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
USUAL = 15 * MINUTE


def test_a_feed_without_news_is_visited_ever_more_rarely_but_not_forgotten() -> None:
    interval, seen = USUAL, []
    for _ in range(10):
        interval = pace.adapted(interval, Visit(new=0, known=20), usual=USUAL)
        seen.append(interval)
    assert seen == sorted(seen)
    assert seen[-1] == LONGEST


def test_a_feed_that_fills_with_news_is_visited_more_often_but_not_below_the_usual_time() -> None:
    interval = LONGEST
    for _ in range(12):
        interval = pace.adapted(interval, Visit(new=18, known=2), usual=USUAL)
    assert interval == USUAL


def test_some_news_keeps_the_pace() -> None:
    assert pace.adapted(HOUR, Visit(new=1, known=19), usual=USUAL) == HOUR


def test_where_only_new_entries_are_shown_some_may_have_been_missed() -> None:
    assert pace.adapted(2 * HOUR, Visit(new=30, known=0), usual=USUAL) == 1.4 * HOUR


@pytest.mark.parametrize(
    ("headers", "floor"),
    [
        ({}, timedelta(0)),
        ({"cache-control": "max-age=1800"}, 30 * MINUTE),
        ({"cache-control": "public, Max-Age=600, must-revalidate"}, 10 * MINUTE),
        ({"cache-control": "no-cache, max-age=600"}, 10 * MINUTE),
        ({"cache-control": "max-age=316800"}, LONGEST_FLOOR),  # 88 hours
        ({"cache-control": "max-age=99999999999999999999"}, LONGEST_FLOOR),
        ({"cache-control": "max-age=-5"}, timedelta(0)),
        ({"cache-control": "max-age=soon"}, timedelta(0)),
        ({"expires": "Sat, 21 Nov 2026 13:00:00 GMT"}, HOUR),
        ({"expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, timedelta(0)),
        ({"expires": "0"}, timedelta(0)),
        ({"expires": "-1"}, timedelta(0)),
        ({"expires": "Sat, 21 Nov 2026 13:00:00 GMT", "cache-control": "no-store"}, timedelta(0)),
        ({"expires": "Sat, 21 Nov 2026 13:00:00 GMT", "cache-control": "max-age=60"}, MINUTE),
    ],
)
def test_how_long_an_answer_is_fresh(headers: dict[str, str], floor: timedelta) -> None:
    assert pace.http_floor(headers, now=NOW) == floor


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", 2 * MINUTE),
        (" 0 ", timedelta(0)),
        ("Sat, 21 Nov 2026 14:00:00 GMT", 2 * HOUR),
        ("Sat, 21 Nov 2020 14:00:00 GMT", timedelta(0)),
        ("99999999999", LONGEST_WAIT),
        ("later", None),
        ("", None),
    ],
)
def test_what_a_server_means_by_retry_after(value: str, wait: timedelta | None) -> None:
    assert pace.retry_after(value, now=NOW) == wait


@pytest.mark.parametrize(
    ("asks", "floor"),
    [
        (("60", "", ""), HOUR),
        (("", "hourly", "1"), HOUR),
        (("", "hourly", "4"), 15 * MINUTE),
        (("", "daily", ""), LONGEST_FLOOR),
        (("", "daily", "24"), HOUR),
        (("5280", "", ""), LONGEST_FLOOR),
        (("many", "sometimes", "often"), timedelta(0)),
        (("", "hourly", "0"), HOUR),
        (("", "", ""), timedelta(0)),
    ],
)
def test_what_a_feed_asks_for_itself(asks: tuple[str, str, str], floor: timedelta) -> None:
    assert pace.feed_floor(*asks) == floor


def test_failures_double_the_wait_and_the_server_s_wish_is_kept() -> None:
    waits = [pace.wait_after_failure(n, None, usual=USUAL) for n in range(1, 9)]
    assert waits[:3] == [30 * MINUTE, 60 * MINUTE, 120 * MINUTE]
    assert waits[-1] == LONGEST_WAIT
    assert pace.wait_after_failure(1, 3 * HOUR, usual=USUAL) == 3 * HOUR


@given(st.timedeltas(MINUTE, LONGEST), st.timedeltas(timedelta(0), timedelta(days=9)), st.text(min_size=1, max_size=40))
def test_no_feed_is_visited_below_its_floor_nor_much_later_than_it_must(
    interval: timedelta, floor: timedelta, url: str
) -> None:
    wait = pace.wait(interval, floor, url)
    wanted = max(interval, min(floor, LONGEST_FLOOR))
    assert wanted <= wait <= wanted * 1.1
    assert wait == pace.wait(interval, floor, url)
