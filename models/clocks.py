"""What a date without a time counts as. Light to import."""

from datetime import UTC, date, datetime, time


def end_of_day(day: date) -> datetime:
    """The instant that a date without a time counts as: the last second of that day, UTC."""
    return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)
