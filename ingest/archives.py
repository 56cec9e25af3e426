"""News archives: rows to articles. `knowledge` is assumed unless a row says when it was first seen."""

import math
from datetime import date, datetime
from typing import Any

from ingest.dates import EARLIEST, has_no_time, parse_instant, published
from ingest.identity import canonical_url, identity
from ingest.rows import Row
from ingest.text import OUTLET_CHARACTERS, TITLE_CHARACTERS, one_line, plain_text, shortened
from models.clocks import end_of_day
from models.found import FoundArticle

NEEDS = ("published_at", "title")
UNKNOWN_OUTLET = "unknown"


def read_article(row: Row, *, now: datetime) -> FoundArticle:
    """The article of one archive row. Raises: ValueError saying why the row cannot be used."""
    title = shortened(one_line(_text(row, "title")), TITLE_CHARACTERS)
    if not title:
        raise ValueError("has no title.")
    claim, date_only = _instant(row, "published_at", now)
    if claim is None:
        raise ValueError("has no published_at.")
    seen, _ = _instant(row, "first_seen_at", now)
    event_at, note = published(claim, seen_at=seen, date_only=date_only) if seen is not None else (claim, None)
    outlet = shortened(one_line(_text(row, "outlet")), OUTLET_CHARACTERS) or UNKNOWN_OUTLET
    url = _text(row, "url").strip()
    canonical = canonical_url(url)
    return FoundArticle(
        identity=identity(canonical=canonical, guid=None, outlet=outlet, title=title, day=event_at.date()),
        outlet=outlet,
        title=title,
        summary=plain_text(_text(row, "summary")),
        body=plain_text(_text(row, "body")),
        url=url if canonical is not None else None,
        language=one_line(_text(row, "language"))[:16] or "en",
        origin="archive",
        event_at=event_at,
        known_at=claim if seen is None else seen,
        knowledge="assumed" if seen is None else "observed",
        date_note=note,
    )


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{name} is {type(value).__name__}, not text.")
    return value


def _instant(row: Row, name: str, now: datetime) -> tuple[datetime | None, bool]:
    """The instant of a field, and whether it was a date without a time (which today counts until tonight)."""
    value: Any = row.get(name)
    written = value.isoformat() if isinstance(value, date) else _text(row, name).strip()
    if not written:
        return None, False
    try:
        found, date_only = parse_instant(written), has_no_time(written)
    except ValueError as error:
        raise ValueError(f"{name}: {error}.") from None
    if found < EARLIEST:
        raise ValueError(f"{name} {found:%Y-%m-%d} is before {EARLIEST:%Y}.")
    if found > (end_of_day(now.date()) if date_only else now):
        raise ValueError(f"{name} {found:%Y-%m-%dT%H:%M:%SZ} lies in the future.")
    return found, date_only
