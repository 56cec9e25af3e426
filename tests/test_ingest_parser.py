"""Feeds of every kind to articles. A new case is two files in tests/data/feeds: NAME.rss and NAME.expected.json."""

import json
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from fakes import rss
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest import parser
from ingest.parser import ParsedFeed, parse_feed
from models.errors import FeedError

FEEDS = Path(__file__).parent / "data" / "feeds"
CASES = sorted(path for path in FEEDS.iterdir() if not path.name.endswith(".expected.json"))
SEEN = datetime(2026, 11, 21, 12, tzinfo=UTC)


def parse(content: bytes | str) -> ParsedFeed:
    content = content if isinstance(content, bytes) else content.encode()
    address = "https://feeds.example/desk/feed.xml"
    return parse_feed(content, url=address, outlet="The Wire", language="de", seen_at=SEEN)


def item(inside: str, head: str = '<?xml version="1.0"?>') -> str:
    return f'{head}<rss version="2.0"><channel><title>T</title><item>{inside}</item></channel></rss>'


def told(content: bytes) -> dict[str, Any]:
    """What a feed says, in the words of NAME.expected.json."""
    try:
        parsed = parse(content)
    except FeedError as error:
        return {"error": error.kind}
    names = ("title", "summary", "body", "url", "date_note")
    articles = [
        {name: getattr(article, name) for name in names} | {"event_at": f"{article.event_at:%Y-%m-%dT%H:%M:%SZ}"}
        for article in parsed.articles
    ]
    return {"title": parsed.title, "articles": articles, "refused": parsed.refused}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_a_feed_says_what_stands_beside_it(path: Path) -> None:
    expected = path.with_name(path.name.removesuffix(path.suffix) + ".expected.json")
    assert told(path.read_bytes()) == json.loads(expected.read_text(encoding="utf-8"))


def test_an_article_carries_its_feed_and_when_it_was_first_seen() -> None:
    (found,) = parse(rss("Gold rises")).articles
    assert (found.outlet, found.language, found.origin, found.knowledge) == ("The Wire", "de", "live", "observed")
    assert found.known_at == SEEN


def test_the_same_feed_gives_the_same_identities() -> None:
    once, twice = parse(rss("Gold", "Silver")), parse(rss("Gold, corrected", "Silver, corrected"))
    assert [a.identity for a in once.articles] == [a.identity for a in twice.articles]
    assert len({a.identity for a in once.articles}) == 2


@pytest.mark.parametrize("content_type", ["text/html", "application/rss+xml; charset=windows-1252", "a; charset=b"])
def test_a_feed_is_read_whatever_the_server_calls_it(content_type: str) -> None:
    content = '<rss version="2.0"><channel><item><title>Größe</title></item></channel></rss>'.encode("cp1252")
    names = {"url": "https://a.example/", "outlet": "The Wire", "language": "de", "content_type": content_type}
    assert parse_feed(content, seen_at=SEEN, **names).articles[0].title == "Größe"


@pytest.mark.parametrize("content", ["<rss version='2.0'><channel></channel></rss>", '{"items": []}'])
def test_a_feed_without_entries_is_no_error(content: str) -> None:
    assert parse(content) == ParsedFeed(title="")


@pytest.mark.parametrize("content", ["Not found", "<note>hello</note>", "[1, 2]", "{}", "null", "\x00\x01", "%PDF-1.7"])
def test_what_is_no_feed_is_called_so(content: str) -> None:
    assert told(content.encode()) == {"error": "not_a_feed"}


@pytest.mark.parametrize("content", [b'{"items": [', b'{"title": "\xff\xfe"}', b"[" * 100_000])
def test_broken_json_is_unreadable(content: bytes) -> None:
    assert told(content) == {"error": "unreadable"}


def test_a_date_that_is_not_understood_becomes_first_seen_and_is_quoted() -> None:
    (found,) = parse(item("<title>Gold</title><pubDate>yesterday</pubDate>")).articles
    assert (found.event_at, found.date_note) == (SEEN, "date 'yesterday' not understood: first seen")


@pytest.mark.parametrize(
    "dates",
    [
        "<pubDate>Fri, 20 Nov 2026</pubDate>",
        "<pubDate>20 Nov 2026</pubDate>",
        "<pubDate>20261120</pubDate>",
        "<pubDate>soon</pubDate><atom:updated xmlns:atom='http://www.w3.org/2005/Atom'>2026-11-20</atom:updated>",
    ],
)
def test_a_day_without_a_time_is_the_end_of_that_day_however_it_is_written(dates: str) -> None:
    (found,) = parse(item(f"<title>Gold</title>{dates}")).articles
    assert found.event_at == datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)


def test_a_date_of_json_that_is_too_large_costs_the_date_and_not_the_article() -> None:
    late = "Mon, 9 Mar 2020 1:2:3 +99999999999999999999"
    (found,) = parse(json.dumps({"items": [{"title": "Gold", "date_published": late}]})).articles
    assert found.event_at == SEEN


@pytest.mark.parametrize(
    "content",
    [
        item("<title>Gold</title><link>http://[half</link>"),
        '{"items": [{"title": "Gold", "url": "http://[half"}]}',
        '{"items": [{"title": "Gold", "url": "https://a.example/\\u0000"}]}',
        '{"items": [{"title": "Gold", "url": "https://a.example/?\\ud800"}]}',
        '{"items": [{"title": "Gold", "id": "\\ud800"}]}',
    ],
)
def test_a_link_or_guid_that_cannot_be_one_costs_the_link_and_not_the_article(content: str) -> None:
    (found,) = parse(content).articles
    assert found.title == "Gold"
    assert "\x00" not in (found.url or "")


def test_odd_markup_costs_neither_the_entry_nor_the_feed() -> None:
    odd = "<![> Gold rises"
    assert len(parse(item(f"<title>Gold</title><description>{escape(odd)}</description>")).articles) == 1
    assert parse(json.dumps({"title": odd, "items": [{"title": "Gold"}]})).articles


def test_a_feed_cannot_read_our_files() -> None:
    head = '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    parsed = parse(item("<title>Ours: &file;</title>", head))
    assert "root:" not in parsed.articles[0].title


def test_a_feed_cannot_fill_our_memory_with_entities() -> None:
    nested = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    head = f'<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY e0 "lol">{nested}]>'
    assert sum(len(a.title) for a in parse(item("<title>&e11;</title>", head)).articles) < 1_000


def test_comments_before_a_feed_cost_no_time() -> None:
    began = perf_counter()
    assert parse("<!---->" * 22 + item("<title>Gold</title>", head="")).articles
    assert perf_counter() - began < 0.4


def test_a_title_made_of_the_text_is_cut_at_a_word() -> None:
    (found,) = parse(item(f"<description>{'gold ' * 100}</description>")).articles
    assert len(found.title) <= parser.TITLE_CHARACTERS
    assert found.title.endswith("gold…")


def test_entries_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "MAX_ENTRIES", 3)
    parsed = parse(rss(*"abcdefgh"))
    assert [a.title for a in parsed.articles] == ["a", "b", "c"]
    assert parsed.refused == ["5 entries beyond the first 3"]


def test_of_a_very_long_text_the_beginning_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parser, "TEXT_CHARACTERS", 100)
    (found,) = parse(item(f"<title>Gold</title><description>{'x' * 1_000}</description>")).articles
    assert found.summary == "x" * 100


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """One of the sample feeds with pieces cut out, put in, or exchanged."""
    content = draw(st.sampled_from(CASES)).read_bytes()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        piece = draw(st.binary(max_size=6) | st.sampled_from([b"<![", b"]]>", b"&x;", b"\x00", b'"', b"<item>", b"{"]))
        content = content[:start] + piece + content[start + draw(st.integers(0, 40)) :]
    return content


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | mutated())
@example(b'{"title": "<![>", "items": []}')
def test_any_bytes_are_a_feed_or_a_named_failure(content: bytes) -> None:
    heard = told(content)
    assert heard.get("error") in (None, "empty", "html", "unreadable", "not_a_feed")
    assert all(article["title"] for article in heard.get("articles", []))
    assert all(article["event_at"] <= f"{SEEN:%Y-%m-%dT%H:%M:%SZ}" for article in heard.get("articles", []))


@pytest.mark.parametrize(
    ("told", "language"),
    [("de", "de"), ("en_US", "en-us"), ("EN", "en"), ("", "fr"), ("a language", "fr"), ("x" * 90, "fr")],
)
def test_the_language_is_the_one_that_the_feed_names(told: str, language: str, now: datetime) -> None:
    content = rss("Gold steigt").replace(b"<channel>", f"<channel><language>{told}</language>".encode())
    (article,) = parse_feed(content, url="https://x.org/", outlet="X", language="fr", seen_at=now).articles
    assert article.language == language


@pytest.mark.parametrize(("inside", "minutes"), [("<ttl>60</ttl>", 60), ("<ttl>soon</ttl>", 0), ("", 0)])
def test_how_long_a_feed_asks_to_be_left_alone(inside: str, minutes: int, now: datetime) -> None:
    content = rss("Gold rises").replace(b"<channel>", f"<channel>{inside}".encode())
    parsed = parse_feed(content, url="https://x.org/", outlet="X", language="en", seen_at=now)
    assert parsed.floor == timedelta(minutes=minutes)
