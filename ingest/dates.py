"""Publication dates: reading what sources write, and repairing what cannot be true.

A date without a time counts as the end of that day. `event_at` is never after the instant we first saw the article.
"""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from models.clocks import end_of_day

EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
"""No feed or archive of ours is older; an earlier date is a broken one (1970 is a computer's zero)."""


def parse_instant(text: str) -> datetime:
    """An ISO date, ISO instant or RFC 822 date as aware UTC; without a zone it is read as UTC.

    Raises: ValueError saying what was not understood.
    """
    text = text.strip()
    if not text:
        raise ValueError("the date is empty")
    try:
        try:
            found = datetime.fromisoformat(text.upper())
        except ValueError:
            found = parsedate_to_datetime(text)
        if has_no_time(text):
            return end_of_day(found.date())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text[:40]!r} is not within the years 1 to 9999") from None
    except (ValueError, IndexError, TypeError):
        raise ValueError(f"{text[:40]!r} is not a date like 2020-03-09 or 2020-03-09T14:30:00Z") from None


def has_no_time(written: str) -> bool:
    """Whether a date was written without a time of day: no colon, and no hour after an ISO date."""
    return bool(written) and ":" not in written and not re.match(r"\d{4}-?\d\d-?\d\d[Tt ]\d\d", written)


def published(
    claim: datetime | None, *, seen_at: datetime, date_only: bool = False, written: str = ""
) -> tuple[datetime, str | None]:
    """When an article that was first seen at `seen_at` was published, and why its claim was replaced, if it was.

    `claim` is None where the date is missing or, as `written`, could not be understood.
    """
    if claim is None:
        reason = f"date {written[:40]!r} not understood" if written else "no date given"
        return seen_at, f"{reason}: first seen"
    if date_only:
        claim = end_of_day(claim.date())
        if seen_at < claim <= seen_at + timedelta(days=1):
            return seen_at, None  # published today, at a time not given
    if claim > seen_at:
        late = claim - seen_at <= timedelta(minutes=5)
        return seen_at, None if late else f"dated {claim:%Y-%m-%d %H:%M}Z, after it was first seen: first seen"
    if claim < EARLIEST:
        return seen_at, f"dated {claim:%Y-%m-%d}, which cannot be: first seen"
    return claim, None
