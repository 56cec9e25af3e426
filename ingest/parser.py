"""From the bytes of a feed to articles found in it.

    bytes -> RSS, RDF or Atom by feedparser, JSON Feed by its specification -> entries
          -> per entry: title, text, address, repaired date, identity; a bad entry is refused with its reason

Does not: fetch, store, or decide what is new.
"""

import json
import re
from calendar import timegm
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from time import struct_time
from typing import Any
from urllib.parse import urljoin

import feedparser

from ingest.dates import has_no_time, parse_instant, published
from ingest.identity import canonical_url, guid_key, identity
from ingest.pace import feed_floor
from ingest.text import TITLE_CHARACTERS, one_line, plain_text, shortened, storable
from models.errors import FeedError
from models.found import FoundArticle

MADE_TITLE_CHARACTERS = 300
"""A title made of the text's beginning, where an entry has none, is cut here."""
LONGEST_TAG = 65_536
"""Bytes; a feed with a longer tag is no feed, and would keep the parser busy for hours."""
LONG_STRETCH = re.compile(rb"(?:\A|>)[^>]{%d}" % LONGEST_TAG)
"""What a feed with such a tag has; texts may be as long, and are told apart then."""
NO_CHARACTER = re.compile(
    rb"&#(?:[xX]0*[dD][89a-fA-F][0-9a-fA-F]{2}|0*5(?:529[6-9]|5[3-9]\d\d|6\d{3}|7[0-2]\d\d|73[0-3]\d|734[0-3]));"
)
"""References to halves of characters, at which the parser would give up."""
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*")
TEXT_CHARACTERS = 200_000
"""Of a summary or body; the rest is not kept."""
MAX_ENTRIES = 2_000
"""Of one feed; the rest is refused, and says so."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as the feed gave it, as text; `claim` is the publisher's date as understood, if it was."""

    title: str
    summary: str
    body: str
    url: str | None
    guid: str | None
    claim: datetime | None
    written: str = ""
    """The date as the feed wrote it."""


@dataclass(slots=True)
class ParsedFeed:
    title: str
    articles: list[FoundArticle] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Why entries were refused, one reason each."""
    floor: timedelta = timedelta(0)
    """How long the feed asks to be left alone."""


def parse_feed(
    content: bytes,
    *,
    url: str,
    outlet: str,
    language: str,
    seen_at: datetime,
    content_type: str = "",
    origin: str = "live",
) -> ParsedFeed:
    """The articles of a feed that was fetched from `url` at `seen_at` (aware UTC).

    The language is the one that the feed names; `language` where it names none.

    Raises: FeedError (empty, html, unreadable, not_a_feed) if the whole cannot be read as a feed.
    """
    if not content.strip():
        raise FeedError("empty", "The server answered with an empty body.")
    about, raw_entries, read = _open(content, content_type)
    asks = [str(about.get(name) or "") for name in ("ttl", "sy_updateperiod", "sy_updatefrequency")]
    title = shortened(one_line(str(about.get("title") or "")), TITLE_CHARACTERS)
    parsed = ParsedFeed(title=title, floor=feed_floor(*asks))
    told = str(about.get("language") or "").strip().lower().replace("_", "-")
    told = told if LANGUAGE.fullmatch(told) else ""
    entries: list[Entry | str] = []
    for number, raw in enumerate(raw_entries[:MAX_ENTRIES], 1):
        try:
            entries.append(read(raw))
        except Exception as error:  # one bad entry never loses the feed
            entries.append(_refusal(number, error))
    guids = Counter(entry.guid for entry in entries if isinstance(entry, Entry))
    for number, entry in enumerate(entries, 1):
        try:
            if isinstance(entry, str):
                parsed.refused.append(entry)
                continue
            kept = entry if guids[entry.guid] == 1 else replace(entry, guid=None)  # a guid used twice tells nothing
            parsed.articles.append(_article(kept, url, outlet, told or language, seen_at, origin))
        except Exception as error:
            parsed.refused.append(_refusal(number, error))
    if len(raw_entries) > MAX_ENTRIES:
        parsed.refused.append(f"{len(raw_entries) - MAX_ENTRIES} entries beyond the first {MAX_ENTRIES}")
    return parsed


def _refusal(number: int, error: Exception) -> str:
    if isinstance(error, ValueError):
        return f"entry {number}: {error}"
    return f"entry {number}: could not be read ({type(error).__name__}: {error})"


def _open(content: bytes, content_type: str) -> tuple[dict[str, Any], list[Any], Callable[[Any], Entry]]:
    """What the feed says about itself, its raw entries, and how to read one."""
    if content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
        return _open_json(content)
    if _is_html(content[:5000]):
        raise FeedError(
            "html", "The server sent an HTML page, not a feed. Look for the feed's own address on that page."
        )
    longest = max((len(tag) for tag in _tags(content)), default=0) if LONG_STRETCH.search(content) else 0
    if longest > LONGEST_TAG:
        raise FeedError("unreadable", f"The feed cannot be read: it has a tag of {longest} bytes.")
    content = NO_CHARACTER.sub(b"&#xFFFD;", content)
    headers = {"content-type": content_type} if content_type else {}
    try:
        parsed = feedparser.parse(  # markup is read by nh3, addresses are made whole below
            BytesIO(content), response_headers=headers, sanitize_html=False, resolve_relative_uris=False
        )
    except Exception as error:
        raise FeedError("unreadable", f"The feed cannot be read ({type(error).__name__}: {error}).") from error
    if not parsed.entries and not parsed.version:
        reason = f" ({parsed.bozo_exception})" if parsed.get("bozo") and "bozo_exception" in parsed else ""
        raise FeedError("not_a_feed", f"What the server sent is not RSS, Atom, RDF or JSON Feed{reason}.")
    return dict(parsed.feed), list(parsed.entries), _read_entry


def _is_html(beginning: bytes) -> bool:
    """Whether a page begins here, comments and an XML declaration before it passed over."""
    rest = beginning.removeprefix(b"\xef\xbb\xbf").lstrip()
    for opening, closing in ((b"<?xml", b"?>"), (b"<!--", b"-->")):
        while rest.startswith(opening) and closing in rest:
            rest = rest.partition(closing)[2].lstrip()
    return rest[:15].lower().startswith((b"<!doctype html", b"<html", b"<head"))


def _tags(content: bytes) -> Iterator[bytes]:
    """What stands between the last < and each >, sections of text and comments left out."""
    for part in content.split(b">"):
        tag = part.rpartition(b"<")[2]
        if not tag.startswith((b"![CDATA[", b"!--")):
            yield tag


def _open_json(content: bytes) -> tuple[dict[str, Any], list[Any], Callable[[Any], Entry]]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise FeedError("unreadable", f"The JSON cannot be read ({error}).") from error
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise FeedError("not_a_feed", "What the server sent is JSON, but not a JSON Feed: it has no list of items.")
    return document, document["items"], _read_item


def _read_entry(raw: dict[str, Any]) -> Entry:
    """An entry of feedparser's."""
    contents = [str(part.get("value", "")) for part in raw.get("content", [])]
    dates = {key: str(dict.get(raw, key) or "") for key in ("published", "updated", "created")}
    # dict.get: feedparser's own would take `published` for a missing `updated`, with a warning
    claims = {key: dict.get(raw, f"{key}_parsed") for key, written in dates.items() if written}
    key = next((key for key, found in claims.items() if found), next(iter(claims), ""))
    claim = _instant(claims.get(key))
    link = raw.get("link") or next((e.get("href") for e in raw.get("enclosures", []) if e.get("href")), None)
    return Entry(
        title=str(raw.get("title", "")),
        summary=str(raw.get("summary", "")),
        body=max(contents, key=len, default=""),
        url=link,
        guid=storable(str(raw.get("id") or "")) or None,
        claim=claim,
        written=dates.get(key, ""),
    )


def _instant(parsed: struct_time | None) -> datetime | None:
    """What feedparser understood of a date; None also where no calendar has it."""
    try:
        return datetime.fromtimestamp(timegm(parsed), UTC) if parsed else None
    except (ValueError, OverflowError, OSError):
        return None


def _read_item(raw: Any) -> Entry:
    """An item of a JSON Feed (jsonfeed.org/version/1.1)."""
    if not isinstance(raw, dict):
        raise ValueError("is not an object")

    def text(key: str) -> str:
        value = raw.get(key)
        return value if isinstance(value, str) else ""

    date = text("date_published") or text("date_modified")
    try:
        claim = parse_instant(date) if date else None
    except ValueError:
        claim = None
    guid = raw.get("id")
    return Entry(
        title=text("title"),
        summary=text("summary"),
        body=text("content_html") or text("content_text"),
        url=text("url") or text("external_url") or None,
        guid=storable(str(guid)) if isinstance(guid, str | int) else None,
        claim=claim,
        written=date,
    )


def _article(entry: Entry, feed_url: str, outlet: str, language: str, seen_at: datetime, origin: str) -> FoundArticle:
    """Raises: ValueError saying why the entry cannot be an article."""
    summary, body = plain_text(entry.summary)[:TEXT_CHARACTERS], plain_text(entry.body)[:TEXT_CHARACTERS]
    title = shortened(one_line(entry.title), TITLE_CHARACTERS)
    if not title:
        title = shortened((summary or body).split("\n", 1)[0], MADE_TITLE_CHARACTERS)
    if not title:
        raise ValueError("has neither title nor text")
    if summary == body:
        body = ""
    url, canonical = _address(feed_url, entry.url)
    written = entry.written.strip()
    event_at, note = published(entry.claim, seen_at=seen_at, date_only=has_no_time(written), written=written)
    return FoundArticle(
        identity=identity(
            canonical=canonical, guid=entry.guid, outlet=outlet, title=title, day=entry.claim and entry.claim.date()
        ),
        outlet=outlet,
        title=title,
        summary=summary,
        body=body,
        url=url,
        language=language,
        origin=origin,
        event_at=event_at,
        known_at=seen_at,
        knowledge="observed",
        date_note=note,
        guid_key=guid_key(entry.guid, canonical, outlet),
    )


def _address(feed_url: str, link: str | None) -> tuple[str | None, str | None]:
    """The entry's absolute http(s) address and its canonical form; None where it has none that can be used."""
    if not link:
        return None, None
    url = link.strip()
    if not url.startswith(("https://", "http://")):
        try:
            url = urljoin(feed_url, url)
        except ValueError:
            return None, None
    canonical = canonical_url(url)
    return (url, canonical) if canonical is not None else (None, None)
