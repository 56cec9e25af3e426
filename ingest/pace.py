"""When to visit a feed again: as often as it has news, never more often than its server wants.

Pure: headers and counts in, minutes out. Floors are clamped, as servers ask for absurd ones (88 hours are seen).
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST = timedelta(hours=4)
"""Between two visits to a feed that answers, however little it publishes."""
LONGEST_FLOOR = timedelta(hours=6)
LONGEST_WAIT = timedelta(days=1)
"""After failures, or as the server asks by Retry-After."""
SLOWER, FASTER = 1.5, 0.7
MANY_NEW = 0.1
"""Where more of a feed's entries are new, it is worth a visit sooner."""
JITTER = 0.1
PERIODS = {"hourly": 1, "daily": 24, "weekly": 24 * 7, "monthly": 24 * 30, "yearly": 24 * 365}


@dataclass(frozen=True, slots=True)
class Visit:
    """What a visit brought, as far as it matters for the next."""

    new: int
    known: int


def adapted(interval: timedelta, visit: Visit, *, usual: timedelta) -> timedelta:
    """The interval to go on with: longer after a visit in vain, shorter where much was new; within [usual, LONGEST]."""
    entries = visit.new + visit.known
    if not visit.new:
        interval = interval * SLOWER
    elif visit.new / entries > MANY_NEW:
        interval = interval * FASTER
    return min(max(interval, usual), max(LONGEST, usual))


def wait(interval: timedelta, floor: timedelta, url: str) -> timedelta:
    """Until the next visit: the interval, never below the floor, and a little longer by the feed's own spread.

    The spread comes from the feed's address, so that feeds do not fall due together.
    """
    spread = int(hashlib.sha256(url.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    return max(min(floor, LONGEST_FLOOR), interval) * (1 + JITTER * spread)


def wait_after_failure(failures: int, retry_after: timedelta | None, *, usual: timedelta) -> timedelta:
    """Doubled for each failure in a row, and at least what the server asks for."""
    return min(max(usual * (1 << min(failures, 10)), retry_after or timedelta(0)), LONGEST_WAIT)


def longest_wait(usual: timedelta) -> timedelta:
    """No feed is ever left for longer."""
    return max(LONGEST_WAIT, max(LONGEST, LONGEST_FLOOR, usual) * (1 + JITTER))


def http_floor(headers: dict[str, str], *, now: datetime) -> timedelta:
    """How long the answer is fresh, by Cache-Control or else Expires. Names of headers are in lower case."""
    cache = headers.get("cache-control", "").lower()
    for part in cache.split(","):
        name, _, value = part.strip().partition("=")
        if name == "max-age" and value.strip('"').isdecimal():
            return min(timedelta(seconds=min(int(value.strip('"')), 10**9)), LONGEST_FLOOR)
    if "no-cache" in cache or "no-store" in cache or "expires" not in headers:
        return timedelta(0)
    expires = _http_date(headers["expires"])
    return min(max(expires - now, timedelta(0)), LONGEST_FLOOR) if expires else timedelta(0)


def retry_after(value: str, *, now: datetime) -> timedelta | None:
    """A Retry-After header: seconds, or a date."""
    value = value.strip()
    if value.isdecimal():
        return min(timedelta(seconds=min(int(value), 10**9)), LONGEST_WAIT)
    date = _http_date(value)
    return min(max(date - now, timedelta(0)), LONGEST_WAIT) if date else None


def feed_floor(ttl: str, period: str, frequency: str) -> timedelta:
    """What the feed itself asks for: RSS' <ttl> in minutes, or sy:updatePeriod with sy:updateFrequency."""
    if ttl.strip().isdecimal():
        return min(timedelta(minutes=min(int(ttl), 10**6)), LONGEST_FLOOR)
    hours = PERIODS.get(period.strip().lower(), 0)
    times = int(frequency) if frequency.strip().isdecimal() and int(frequency) > 0 else 1
    return min(timedelta(hours=hours) / times, LONGEST_FLOOR)


def _http_date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found
