"""Dates as sources write them: read to aware UTC or refused with a reason, and never later than first seen."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.dates import EARLIEST, parse_instant, published

SEEN = datetime(2026, 11, 21, 12, tzinfo=UTC)
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
AWARE = st.datetimes(timezones=ZONES | st.just(UTC))
DATE_LIKE = st.lists(
    st.sampled_from("Mon, |9|Mar |2020| |14:30|:00|+0100|-2500|GMT|EST|T|Z|-|/|W11|99999|24:00".split("|")), max_size=9
).map("".join)


@pytest.mark.parametrize("written", ["2020-03-09", " 2020-03-09\n", "20200309", "2020-W11-1"])
def test_a_date_without_a_time_is_the_end_of_that_day(written: str) -> None:
    assert parse_instant(written) == datetime(2020, 3, 9, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "2020-03-09T14:30:00Z",
        "2020-03-09T14:30:00+00:00",
        "2020-03-09T15:30:00.000+01:00",
        "2020-03-09 14:30",
        "2020-03-09T14:30:00.000000000Z",
        "Mon, 09 Mar 2020 14:30:00 GMT",
        "Mon, 09 Mar 2020 14:30:00 -0000",
        "9 Mar 2020 10:30:00 EDT",
        "\tMon, 9 Mar 2020 15:30:00 +0100 ",
    ],
)
def test_the_same_instant_is_understood_however_it_is_written(written: str) -> None:
    found = parse_instant(written)
    assert found == datetime(2020, 3, 9, 14, 30, tzinfo=UTC)
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    "written",
    ["yesterday", "2020-13-01", "2020-02-30", "09/03/2020", "2020-03-09T25:00:00", "12345", "\x00", "Mon, 99 Mar 2020"],
)
def test_what_is_no_date_is_quoted_in_the_refusal(written: str) -> None:
    with pytest.raises(ValueError, match="is not a date like 2020-03-09") as refusal:
        parse_instant(written)
    assert repr(written) in str(refusal.value)


@pytest.mark.parametrize("written", ["", "  ", "\n\t"])
def test_an_empty_date_is_called_empty(written: str) -> None:
    with pytest.raises(ValueError, match="the date is empty"):
        parse_instant(written)


def test_a_refusal_quotes_only_the_beginning_of_a_long_text() -> None:
    with pytest.raises(ValueError, match="is not a date") as refusal:
        parse_instant("soon " * 10_000)
    assert len(str(refusal.value)) < 150


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_an_instant_that_leaves_the_calendar_in_utc_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not within the years 1 to 9999"):
        parse_instant(written)


@settings(max_examples=100)
@given(st.text(max_size=60) | DATE_LIKE | AWARE.map(datetime.isoformat))
@example("Mon, 9 Mar 2020 1:2:3 +99999999999999999999")
@example("Mon, 9 Mar 99999999999999 1:2:3")
def test_any_text_is_an_aware_utc_instant_or_a_value_error(written: str) -> None:
    try:
        found = parse_instant(written)
    except ValueError:
        return
    assert found.tzinfo is UTC


@settings(max_examples=100)
@given(AWARE)
def test_an_iso_instant_is_read_back_as_it_was_written(instant: datetime) -> None:
    try:
        expected = instant.astimezone(UTC)
    except OverflowError:
        return
    assert parse_instant(instant.isoformat()) == expected


@settings(max_examples=50)
@given(st.dates())
def test_any_iso_day_ends_within_itself(day: date) -> None:
    assert parse_instant(day.isoformat()).date() == day


def test_a_claim_before_first_seen_is_believed() -> None:
    claim = SEEN - timedelta(days=3)
    assert published(claim, seen_at=SEEN) == (claim, None)


def test_the_oldest_claim_that_can_be_is_believed() -> None:
    assert published(EARLIEST, seen_at=SEEN) == (EARLIEST, None)


def test_without_a_date_the_article_is_as_old_as_our_first_sight_of_it() -> None:
    assert published(None, seen_at=SEEN) == (SEEN, "no date given: first seen")


def test_a_date_not_understood_is_quoted_in_the_note() -> None:
    assert published(None, seen_at=SEEN, written="yesterday") == (SEEN, "date 'yesterday' not understood: first seen")


def test_a_publisher_s_clock_may_run_five_minutes_ahead_without_a_note() -> None:
    assert published(SEEN + timedelta(minutes=5), seen_at=SEEN) == (SEEN, None)


def test_a_claim_after_first_seen_is_replaced_and_says_so() -> None:
    at, note = published(SEEN + timedelta(minutes=6), seen_at=SEEN)
    assert at == SEEN
    assert note == "dated 2026-11-21 12:06Z, after it was first seen: first seen"


def test_a_computer_s_zero_is_no_publication_date() -> None:
    at, note = published(datetime(1970, 1, 1, tzinfo=UTC), seen_at=SEEN)
    assert at == SEEN
    assert note == "dated 1970-01-01, which cannot be: first seen"


def test_a_day_that_is_still_running_needs_no_note() -> None:
    assert published(datetime(2026, 11, 21, tzinfo=UTC), seen_at=SEEN, date_only=True) == (SEEN, None)


def test_a_past_day_without_a_time_ends_at_its_last_second() -> None:
    found = published(datetime(2026, 11, 20, tzinfo=UTC), seen_at=SEEN, date_only=True)
    assert found == (datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC), None)


def test_a_day_that_has_not_begun_is_replaced_and_says_so() -> None:
    at, note = published(datetime(2026, 11, 23, tzinfo=UTC), seen_at=SEEN, date_only=True)
    assert at == SEEN
    assert note is not None


@settings(max_examples=100)
@given(st.none() | st.datetimes(timezones=st.just(UTC)), st.booleans(), st.text(max_size=60))
def test_nothing_was_published_after_it_was_first_seen(claim: datetime | None, date_only: bool, written: str) -> None:
    at, note = published(claim, seen_at=SEEN, date_only=date_only, written=written)
    assert EARLIEST <= at <= SEEN
    assert note or claim is not None
