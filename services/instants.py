"""Instants as people write them in a question: ISO dates and instants, read as UTC where they name no zone."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time

from models.clocks import end_of_day
from models.errors import BadRange

FIRST_YEAR, LAST_YEAR = 1900, 2200


def parse_bound(text: str | None, name: str) -> datetime | None:
    """A start or end; a date is its first instant. Raises: BadRange naming the parameter."""
    return _parse(text, name, lambda day: datetime.combine(day, time(0), tzinfo=UTC))


def parse_as_of(text: str | None) -> datetime | None:
    """An instant of knowledge; a date is its last second. Raises: BadRange."""
    return _parse(text, "as_of", end_of_day)


def _parse(text: str | None, name: str, from_day: Callable[[date], datetime]) -> datetime | None:
    if text is None:
        return None
    try:
        if len(text) == 10:
            found = from_day(date.fromisoformat(text))
        else:
            found = datetime.fromisoformat(text)
            found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRange(
            f"{name} is {text!r}; write a date like 2020-03-09 or an instant like 2020-03-09T14:30:00Z."
        ) from None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise BadRange(f"{name} is {text!r}; only the years {FIRST_YEAR} to {LAST_YEAR} can be asked for.")
    return found


def check_range(start: datetime | None, end: datetime | None) -> None:
    """Raises: BadRange if both are given and start is not before end."""
    if start is not None and end is not None and start >= end:
        raise BadRange(f"start ({start:%Y-%m-%d}) must be before end ({end:%Y-%m-%d}).")


def known_by(as_of: datetime | None, now: datetime) -> datetime:
    """The instant of knowledge: `now` if none is named; "as of today" is now, not tonight. Raises: BadRange."""
    if as_of is not None and as_of.date() > now.date():
        raise BadRange(f"as_of ({as_of:%Y-%m-%dT%H:%M:%SZ}) lies in the future; nothing is known then yet.")
    return min(as_of or now, now)
