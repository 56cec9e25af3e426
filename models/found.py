"""A publication as a source gave it: what `ingest` hands to the store. Light to import, for parsing processes."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FoundArticle:
    """A publication as a source gave it, repaired but not yet stored: what `ingest` hands to the store.

    `identity` is the key under which the same publication is recognised again. Both clocks are aware UTC.
    """

    identity: str
    outlet: str
    title: str
    summary: str
    body: str
    url: str | None
    language: str
    origin: str
    event_at: datetime
    known_at: datetime
    knowledge: str
    date_note: str | None = None
    guid_key: str | None = None
    """Where an address tells the identity, the key of the guid beside it: it finds an article that has moved."""
