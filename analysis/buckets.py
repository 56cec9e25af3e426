"""Time buckets: half-open, aligned to UTC - hours, days, weeks that begin on Monday, months."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

import pandas as pd

from models.errors import BadRange

Bucket = Literal["hour", "day", "week", "month"]
BUCKETS: tuple[str, ...] = get_args(Bucket)
PERIODS = {"hour": "h", "day": "D", "week": "W-SUN", "month": "M"}
MAX_DAYS: dict[Bucket, int] = {"hour": 92, "day": 366 * 20, "week": 366 * 50, "month": 366 * 100}
"""The longest range that is answered in each bucket."""
GRACE = timedelta(hours=1)
"""Articles of a bucket still arrive for this long after its end; until then it is open."""


def floor(instants: "pd.Series[pd.Timestamp]", bucket: Bucket) -> "pd.Series[pd.Timestamp]":
    """The start of the bucket that each aware UTC instant lies in."""
    if bucket == "hour":
        return instants.dt.floor("h")
    periods = instants.dt.tz_localize(None).dt.to_period(PERIODS[bucket])
    return periods.dt.start_time.dt.tz_localize("UTC").astype("datetime64[us, UTC]")


def floor_one(instant: datetime, bucket: Bucket) -> datetime:
    return floor(pd.Series([pd.Timestamp(instant)]), bucket).iloc[0].to_pydatetime()


def end_of(start: datetime, bucket: Bucket) -> datetime:
    """The end of the bucket that begins at `start`."""
    if bucket == "month":
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start + {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}[bucket]


def starts(start: datetime, end: datetime, bucket: Bucket) -> list[datetime]:
    """The starts of every bucket that overlaps [start, end), ascending.

    Raises: BadRange if start is not before end, or the range is longer than MAX_DAYS[bucket].
    """
    if start >= end:
        raise BadRange(f"start ({_iso(start)}) must be before end ({_iso(end)}).")
    check_span(start, end, bucket)
    first = floor_one(start, bucket)
    found = [first]
    while (following := end_of(found[-1], bucket)) < end:
        found.append(following)
    return found


def check_span(start: datetime, end: datetime, bucket: Bucket, most: Mapping[Bucket, int] = MAX_DAYS) -> None:
    """Raises: BadRange if the range is longer than most[bucket] days."""
    if end - start > timedelta(days=most[bucket]):
        longer = next((b for b in BUCKETS[BUCKETS.index(bucket) + 1 :]), None)
        hint = f", or ask by {longer}" if longer else ""
        raise BadRange(f"By {bucket}, at most {most[bucket]} days are answered at once. Ask for a shorter range{hint}.")


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
