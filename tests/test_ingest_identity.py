"""The key under which the same publication is recognised again, however its address is dressed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.identity import canonical_url, identity

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
PLAIN = "https://example.org/a/gold-rises"
ADDRESSES = st.builds(
    "{}://{}{}/{}{}".format,
    st.sampled_from(["http", "https", "HTTPS"]),
    st.sampled_from(["example.org", "www.example.org", "EXAMPLE.org", "münze.example", "10.0.0.1", "user:pw@a.org"]),
    st.sampled_from(["", ":80", ":443", ":8080"]),
    st.text(st.sampled_from("abc/%;=~+é.-_"), max_size=20),
    st.text(st.sampled_from("?&=#utm_source ref ab+%20;é"), max_size=20),
)
ANYTHING = st.text(st.characters(), max_size=40)


def key(url: str | None = None, guid: str | None = None, title: str = "Gold rises", at: datetime = AT) -> str:
    return identity(canonical=url and canonical_url(url), guid=guid, outlet="The Wire", title=title, day=at.date())


@pytest.mark.parametrize(
    "dressed",
    [
        "http://example.org/a/gold-rises",
        "HTTPS://www.Example.ORG/a/gold-rises/",
        "https://example.org:443/a/gold-rises",
        "https://example.org/a/gold-rises#comments",
        "https://example.org/a/gold-rises?utm_source=rss&utm_medium=feed",
        "https://example.org/a/gold-rises?fbclid=1&ref=home&at_campaign=x",
        "  https://example.org/a/gold-rises\n",
        "https://reader:secret@example.org/a/gold-rises",
    ],
)
def test_what_does_not_tell_articles_apart_is_dropped(dressed: str) -> None:
    assert canonical_url(dressed) == PLAIN


@pytest.mark.parametrize(
    "other",
    [
        "https://example.org/a/Gold-Rises",
        "https://example.org/a/gold-rises?page=2",
        "https://example.org/a/gold-rises?reference=1",
        "https://example.org:8443/a/gold-rises",
        "https://news.example.org/a/gold-rises",
    ],
)
def test_what_may_tell_articles_apart_is_kept(other: str) -> None:
    assert canonical_url(other) not in (None, PLAIN)


def test_what_a_query_asks_for_is_kept_in_its_order() -> None:
    assert canonical_url("http://example.org?b=2&utm_campaign=x&a=&b=1") == "https://example.org/?b=2&a=&b=1"


@pytest.mark.parametrize(
    "text",
    [
        *("", "gold", "/a/b", "//example.org/a", "ftp://example.org/", "mailto:a@example.org", "javascript:alert(1)"),
        *("http://", "https:///a", "http://[half", "http://example.org:99999/", "http://example.org:port/"),
    ],
)
def test_what_is_no_web_address_has_no_canonical_form(text: str) -> None:
    assert canonical_url(text) is None


@pytest.mark.parametrize(
    "address", ["http://[::1]/x", "http://www.www.example.org/", "http://example.org/b #c", "http://example.org/b/ /"]
)
def test_even_an_odd_address_in_canonical_form_stays_as_it_is(address: str) -> None:
    once = canonical_url(address)
    assert once is not None
    assert canonical_url(once) == once


@settings(max_examples=100)
@given(ADDRESSES)
def test_an_address_in_canonical_form_stays_as_it_is(address: str) -> None:
    once = canonical_url(address)
    assert once is None or canonical_url(once) == once


@settings(max_examples=100)
@given(ANYTHING | ANYTHING.map("https://example.org/{}".format))
def test_any_text_has_a_canonical_form_or_none(text: str) -> None:
    found = canonical_url(text)
    assert found is None or found.startswith("https://")


def test_half_a_character_in_a_query_is_no_reason_to_fail() -> None:
    canonical_url("https://example.org/?q=\ud800")


def test_an_article_is_known_by_its_address_whatever_else_changes() -> None:
    later = AT + timedelta(days=9)
    assert key(PLAIN, "guid-1", "Gold rises") == key(PLAIN + "?utm_source=x", "guid-2", "Gold falls", later)


def test_without_an_address_it_is_known_by_its_guid() -> None:
    assert key(None, "guid-1", "Gold rises") == key("no address", "guid-1", "Gold falls", AT + timedelta(days=9))
    assert key(None, "guid-1") != key(None, "guid-2")


def test_the_same_guid_of_another_outlet_is_another_article() -> None:
    other = identity(canonical=None, guid="1", outlet="Another", title="Gold rises", day=AT.date())
    assert key(None, "1") != other


def test_without_either_it_is_known_by_its_title_on_that_day() -> None:
    assert key(title="Gold  RISES\n") == key(title="gold rises", at=AT + timedelta(hours=5))
    assert key(title="Gold rises") != key(title="Gold rises", at=AT + timedelta(days=1))


def test_the_parts_of_a_key_do_not_run_into_each_other() -> None:
    one = identity(canonical=None, guid="b", outlet="The Wire a", title="t", day=AT.date())
    two = identity(canonical=None, guid="a b", outlet="The Wire", title="t", day=AT.date())
    assert one != two


@settings(max_examples=50)
@given(st.none() | ADDRESSES | st.text(max_size=20), st.none() | st.text(max_size=300), st.text(max_size=300))
def test_a_key_has_at_most_forty_characters(url: str | None, guid: str | None, title: str) -> None:
    assert 3 <= len(key(url, guid, title)) <= 40
