"""Noticing events: what happened in the record is kept once, and queued for who wants to be told.

A look computes shifts and triggers over the whole record, so it is taken only when a day has ended (and an hour has
passed), and within a day at most once an hour, if anything came in.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta

from config import definitions
from models.database import Database
from services import events, noticing

AGAIN = timedelta(hours=1)
AFTER_FAILURE = timedelta(minutes=1)


class Noticer:
    """Remembers between rounds what the record was like at the last look; the first round always looks."""

    def __init__(self, database: Database, *, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._seen: tuple[str, date, object] | None = None
        self._tried_at: datetime | None = None

    def notice(self) -> int:
        """How many events were new and did not lie in the past. Raises: DatabaseUnavailable, ConfigError."""
        now, tagger = self._clock(), definitions.live_tagger_name()
        with self._database.read() as session:
            seen = (tagger, noticing.last_whole_day(now), events.record_mark(session))
            if not self._is_due(seen, now):
                return 0
            self._tried_at = now
            found = noticing.notice(session, tagger, now=now)
        with self._database.write() as session:
            new = noticing.keep(session, found, now=now)
        self._seen = seen
        return sum(not event.past for event in new)

    def _is_due(self, seen: tuple[str, date, object], now: datetime) -> bool:
        if seen == self._seen:
            return False
        if self._tried_at is None or (self._seen is not None and seen[:2] != self._seen[:2]):
            return True
        wait = AGAIN if self._seen else AFTER_FAILURE
        return not self._tried_at <= now < self._tried_at + wait  # before it, after the clock jumped back
