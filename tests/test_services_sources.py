from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from analysis.buckets import Bucket, end_of
from models.database import Database
from models.feeds import Feed, Fetch
from services.sources import CoverageRow, coverage

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
FIRST = datetime(2026, 9, 7, tzinfo=UTC)  # a Monday
STOP = FIRST + 6 * WEEK
numbers = count()


def plant(database: Database, visits: Iterable[tuple[datetime, int | None]]) -> Feed:
    """A feed with these visits: when, and how many new entries (None: it failed)."""
    url = f"https://feed{next(numbers)}.example/"
    feed = Feed(url=url, outlet=url, added_at=FIRST, next_fetch_at=FIRST)
    with database.write() as session:
        session.add(feed)
    visit(database, feed, visits)
    return feed


def visit(database: Database, feed: Feed, visits: Iterable[tuple[datetime, int | None]]) -> None:
    with database.write() as session:
        rows = [
            {"feed_id": feed.id, "at": at, "outcome": "failed" if new is None else "ok", "entries_new": new or 0}
            for at, new in visits
        ]
        if rows:
            session.execute(insert(Fetch), rows)


def hourly(start: datetime, end: datetime, new: Callable[[datetime], int | None]) -> list[tuple[datetime, int | None]]:
    """A visit ten minutes past every hour."""
    times = [start + n * HOUR + timedelta(minutes=10) for n in range((end - start) // HOUR)]
    return [(at, new(at)) for at in times]


def by_day(at: datetime) -> int:
    """The planted rhythm: four an hour from 8 to 17 on weekdays, else nothing."""
    return 4 if 8 <= at.hour < 17 and at.weekday() < 5 else 0


def rows(
    database: Database, start: datetime, end: datetime, bucket: Bucket = "day", *, now: datetime | None = None
) -> list[CoverageRow]:
    with database.read() as session:
        return coverage(session, start=start, end=end, bucket=bucket, now=now or end)


def test_a_feed_whose_rhythm_stops_is_silent_and_one_whose_server_is_away_has_an_outage(database: Database) -> None:
    past = hourly(FIRST, STOP, by_day)
    plant(database, past + hourly(STOP, STOP + DAY, by_day))
    plant(database, past + hourly(STOP, STOP + DAY, lambda _: 0))
    plant(database, past + hourly(STOP, STOP + DAY, lambda _: None))
    found = rows(database, STOP, STOP + DAY)
    assert [row.status for row in found] == ["fine", "silent", "outage"]
    assert [row.entries_new for row in found] == [36, 0, 0]
    assert [row.coverage for row in found] == [1, 1, 0]
    assert {(row.entries_expected, row.expected_days) for row in found} == {(36, 28)}
    assert {(row.expected_low, row.expected_high) for row in found} == {(26, 46)}


def test_a_quiet_night_and_a_quiet_weekend_are_no_silence(database: Database) -> None:
    plant(database, hourly(FIRST, STOP, by_day))
    days = rows(database, STOP - WEEK, STOP)
    assert [row.entries_expected for row in days] == [36] * 5 + [0, 0]
    hours = rows(database, STOP - WEEK, STOP, "hour")
    assert {row.entries_expected for row in hours if 8 <= row.bucket_start.hour < 17} == {4, 0}
    assert {row.entries_expected for row in hours if row.bucket_start.hour < 8} == {0}
    assert {row.status for row in days + hours} == {"fine"}


def test_an_outage_of_an_evening_is_not_taken_for_silence(database: Database) -> None:
    answered = hourly(STOP, STOP + 12 * HOUR, by_day)
    plant(database, hourly(FIRST, STOP, by_day) + answered + hourly(STOP + 12 * HOUR, STOP + DAY, lambda _: None))
    (row,) = rows(database, STOP, STOP + DAY)
    assert (row.status, row.coverage, row.entries_new, row.entries_expected) == ("fine", 0.5, 16, 36)


def test_our_own_absence_is_not_taken_for_silence(database: Database) -> None:
    """We come back at five in the afternoon after two days, and find the last 20 of what was published meanwhile."""
    back = STOP + 17 * HOUR
    past, since = hourly(FIRST, STOP - 2 * DAY, lambda _: 4), hourly(back + HOUR, STOP + DAY, lambda _: 4)
    plant(database, [*past, (back + timedelta(minutes=10), 20), *since])
    found = rows(database, STOP - 2 * DAY, STOP + DAY)
    assert [row.status for row in found] == ["not_visited", "not_visited", "fine"]
    assert (found[-1].entries_new, found[-1].entries_expected) == (44, 96)


def test_a_day_that_has_only_begun_is_held_to_what_it_can_have_brought(database: Database) -> None:
    plant(database, hourly(FIRST, STOP + 9 * HOUR, by_day))
    (morning,) = rows(database, STOP, STOP + DAY, now=STOP + 9.5 * HOUR)
    assert (morning.status, morning.entries_new) == ("fine", 4)
    assert morning.entries_expected == 4 + 4 / 2  # the hour from 8, and half of the next


def test_the_first_week_expects_nothing_and_the_first_visit_s_backlog_never_counts(database: Database) -> None:
    plant(database, [(FIRST + timedelta(minutes=5), 500), *hourly(FIRST + HOUR, STOP, lambda _: 2)])
    found = rows(database, FIRST, STOP)
    assert [row.status for row in found] == ["unknown"] * 8 + ["fine"] * 34  # the first day is left out as a whole
    assert {row.entries_expected for row in found[:8]} == {None}
    assert {row.entries_expected for row in found[8:]} == {48}
    assert [row.expected_days for row in found[:10]] == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]


def test_with_one_week_of_history_the_hour_of_the_day_tells(database: Database) -> None:
    plant(database, hourly(FIRST, STOP, lambda at: 7 if at.hour == 6 and at.weekday() == 2 else 0))
    early, late = (
        {row.bucket_start: row.entries_expected for row in rows(database, at, at + WEEK, "hour")}
        for at in (FIRST + 8 * DAY, STOP - WEEK)
    )
    assert early[FIRST + 8 * DAY + 6 * HOUR] == 1  # seven on one of seven days
    assert late[STOP - 5 * DAY + 6 * HOUR] == 7  # on Wednesday
    assert late[STOP - 4 * DAY + 6 * HOUR] == 0


def test_days_on_which_nobody_looked_are_told_as_such_and_do_not_lower_what_is_expected(database: Database) -> None:
    away = [STOP - 9 * DAY, STOP - 8 * DAY]
    visits = [(at, new) for at, new in hourly(FIRST, STOP, lambda _: 1) if at.replace(hour=0, minute=0) not in away]
    feed = plant(database, visits)
    found = rows(database, FIRST - WEEK, STOP)
    assert [row.bucket_start for row in found if row.status == "not_visited"] == away
    assert {row.coverage for row in found if row.status == "not_visited"} == {None}
    assert found[0].bucket_start == FIRST  # there was no feed before
    assert {row.entries_expected for row in found[8:]} == {24}
    assert {row.bucket_start for row in rows(database, away[0], STOP, "hour")}.isdisjoint(away)
    with database.write() as session:
        session.get_one(Feed, feed.id).removed_at = away[1] + HOUR
    found = rows(database, FIRST, STOP + WEEK)
    assert [row.bucket_start for row in found if row.status == "not_visited"] == away[:1]


@pytest.mark.parametrize("every", [1, 3])
def test_steady_news_is_rarely_called_silent_however_often_it_is_looked_for(database: Database, every: int) -> None:
    rng = np.random.default_rng(7)
    for _ in range(6):
        visits = hourly(FIRST, FIRST + 20 * WEEK, lambda at: int(rng.poisson((3 if at.hour > 6 else 1) * every)))
        plant(database, visits[::every])
    found = [row for row in rows(database, FIRST + 4 * WEEK, FIRST + 20 * WEEK) if row.entries_expected is not None]
    low, high = (np.array([getattr(row, name) for row in found]) for name in ("expected_low", "expected_high"))
    new = np.array([row.entries_new for row in found])
    assert len(found) == 6 * 16 * 7
    assert np.mean([row.status == "silent" for row in found]) < 0.03  # 1 %, and what four weeks leave uncertain
    assert np.mean((low <= new) & (new <= high)) > 0.82


minutes = st.integers(0, 35 * 24 * 60 - 1)
outcomes = st.one_of(st.none(), st.integers(0, 30))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    visits=st.dictionaries(minutes, outcomes, max_size=60),
    later=st.dictionaries(minutes, outcomes, min_size=1, max_size=20),
    bucket=st.sampled_from(["hour", "day", "week"]),
)
def test_what_comes_later_changes_no_earlier_row(
    database: Database, visits: dict[int, int | None], later: dict[int, int | None], bucket: Bucket
) -> None:
    at = FIRST + 5 * WEEK
    steady = hourly(FIRST, at, lambda at: at.hour % 3)[::7]
    feed = plant(database, steady + [(FIRST + timedelta(minutes=n), new) for n, new in visits.items()])

    def known(now: datetime) -> list[CoverageRow]:
        found = [row for row in rows(database, FIRST, now, bucket) if row.url == feed.url]
        return [row for row in found if end_of(row.bucket_start, bucket) <= at]

    before = known(at)
    visit(database, feed, [(at + timedelta(minutes=n), new) for n, new in later.items()])
    assert known(at + 5 * WEEK) == before
