"""Rows of an archive to articles: what is assumed, what is observed, and why a row is kept out."""

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.archives import read_article
from ingest.dates import EARLIEST
from models.found import FoundArticle

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ANY_TEXT = st.text(st.characters(), max_size=20)
DATES = st.sampled_from(["2020-03-09", "1970-01-01", "2026-11-21", "2031-01-01", "9 Mar 2020 10:00:00 GMT", "", None])
INSTANTS = DATES | st.datetimes() | st.dates() | ANY_TEXT | st.integers() | st.just(math.nan)


def read(**row: Any) -> FoundArticle:
    return read_article({"title": "Gold rises", "published_at": "2020-03-09T14:30:00Z"} | row, now=NOW)


def refusal(**row: Any) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        read(**row)
    return str(refused.value)


def test_without_first_seen_we_assume_we_knew_at_publication() -> None:
    found = read()
    assert found.event_at == found.known_at == datetime(2020, 3, 9, 14, 30, tzinfo=UTC)
    assert (found.knowledge, found.origin, found.date_note) == ("assumed", "archive", None)


def test_with_first_seen_we_know_when_we_knew() -> None:
    found = read(first_seen_at="2020-03-09T14:45:00Z")
    assert found.event_at == datetime(2020, 3, 9, 14, 30, tzinfo=UTC)
    assert found.known_at == datetime(2020, 3, 9, 14, 45, tzinfo=UTC)
    assert found.knowledge == "observed"


def test_an_article_seen_before_it_claims_to_be_published_was_published_when_seen() -> None:
    found = read(first_seen_at="2020-03-09T12:00:00Z")
    assert found.event_at == found.known_at == datetime(2020, 3, 9, 12, tzinfo=UTC)
    assert found.date_note == "dated 2020-03-09 14:30Z, after it was first seen: first seen"


@pytest.mark.parametrize("day", ["2020-03-09", date(2020, 3, 9)])
def test_a_date_without_a_time_is_the_end_of_that_day_on_both_clocks(day: str | date) -> None:
    found = read(published_at=day)
    assert found.event_at == found.known_at == datetime(2020, 3, 9, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("day", ["2020-03-09", date(2020, 3, 9)])
def test_an_article_seen_on_the_day_it_is_dated_needs_no_note(day: str | date) -> None:
    found = read(published_at=day, first_seen_at="2020-03-09T12:00:00Z")
    assert (found.event_at, found.date_note) == (datetime(2020, 3, 9, 12, tzinfo=UTC), None)


def test_an_archive_of_today_is_not_from_the_future() -> None:
    assert read(published_at=f"{NOW:%Y-%m-%d}").event_at.date() == NOW.date()


@pytest.mark.parametrize("at", [datetime(2020, 3, 9, 14, 30, tzinfo=UTC), datetime(2020, 3, 9, 14, 30)])
def test_a_timestamp_of_parquet_is_read_as_utc(at: datetime) -> None:
    assert read(published_at=at).event_at == datetime(2020, 3, 9, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"title": ""}, "has no title."),
        ({"title": None}, "has no title."),
        ({"title": "<p> &nbsp;</p>"}, "has no title."),
        ({"title": math.nan}, "has no title."),
        ({"title": 5}, "title is int, not text."),
        ({"title": ["Gold"]}, "title is list, not text."),
        ({"published_at": None}, "has no published_at."),
        ({"published_at": "  "}, "has no published_at."),
        ({"published_at": "soon"}, "published_at: 'soon' is not a date like"),
        ({"published_at": 1583764200}, "published_at is int, not text."),
        ({"published_at": "1970-01-01"}, "published_at 1970-01-01 is before 1980."),
        ({"published_at": "2026-11-22"}, "lies in the future."),
        ({"first_seen_at": "2026-11-22"}, "lies in the future."),
        ({"first_seen_at": "later"}, "first_seen_at: 'later' is not a date like"),
        ({"summary": {"html": "x"}}, "summary is dict, not text."),
        ({"url": 7}, "url is int, not text."),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: dict[str, Any], reason: str) -> None:
    assert reason in refusal(**row)


def test_a_title_alone_is_enough() -> None:
    found = read()
    assert (found.outlet, found.language, found.url, found.summary, found.body) == ("unknown", "en", None, "", "")


def test_markup_is_read_as_text() -> None:
    found = read(title="<b>Gold</b>\nrises", summary="<p>One.</p><p>Two.</p>", body=" B&amp;C ", outlet=" The\nWire ")
    assert (found.title, found.summary, found.body, found.outlet) == ("Gold rises", "One.\nTwo.", "B&C", "The Wire")


@pytest.mark.parametrize("url", ["", " ", "gold", "/a", "ftp://example.org/a", "http://[half", None, math.nan])
def test_what_is_no_web_address_costs_the_address_and_not_the_row(url: Any) -> None:
    assert read(url=url).url is None


def test_the_same_row_twice_is_the_same_article() -> None:
    assert read().identity == read(summary="longer", first_seen_at="2020-03-09T15:00:00Z").identity
    dressed = read(url="http://www.example.org/a/?utm_source=x", title="Gold falls")
    assert read(url="https://example.org/a").identity == dressed.identity != read().identity


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["title", "summary", "body", "url", "outlet", "language"]), ANY_TEXT))
@example({"language": "e\x00n"})
@example({"language": "\ud800"})
@example({"url": "https://example.org/\x00"})
@example({"title": "<![> Gold rises"})
def test_any_text_is_an_article_that_can_be_stored_or_a_value_error(row: dict[str, str]) -> None:
    try:
        found = read(**row)
    except ValueError:
        return
    text = "".join([found.title, found.summary, found.body, found.url or "", found.outlet, found.language])
    text.encode()
    assert "\x00" not in text


@settings(max_examples=100, deadline=None)
@given(INSTANTS, INSTANTS)
@example("2020-03-09", "1970-01-01")
@example("2020-03-09", "Mon, 9 Mar 2020 1:2:3 +99999999999999999999")
def test_whatever_the_dates_nothing_is_known_before_it_was_published(published_at: Any, first_seen_at: Any) -> None:
    try:
        found = read(published_at=published_at, first_seen_at=first_seen_at)
    except ValueError:
        return
    assert EARLIEST <= found.event_at <= found.known_at < NOW + timedelta(days=1)
