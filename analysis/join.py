"""Joining buckets of news with closes, without look-ahead. docs/methods/joining-with-prices.md.

`return_same` spans the closes around the bucket. `return_next` begins at the first close at or after the bucket's end
and ends a bucket's length later (for a day: at the next close), so that no price from before the bucket was complete
enters it, and weekend news meets the session that follows it.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log

from analysis.buckets import Bucket, end_of
from models.derived import PricePoint

MAX_GAP = timedelta(days=7)
"""A close further than this from where it is wanted does not stand for it: prices are missing there."""


@dataclass(frozen=True, slots=True)
class BucketReturns:
    """Logarithmic returns of one bucket; None where the closes for it are missing."""

    close: float | None
    closed_at: datetime | None
    return_same: float | None
    return_next: float | None
    next_from: datetime | None
    next_to: datetime | None


def bucket_returns(bars: list[PricePoint], *, starts: list[datetime], bucket: Bucket) -> list[BucketReturns]:
    """The returns in and after each bucket. `bars` ascend by `closed_at`; one result per start."""
    closes = [bar.closed_at for bar in bars]
    found: list[BucketReturns] = []
    for start in starts:
        end = end_of(start, bucket)
        before, inside = bisect_right(closes, start) - 1, bisect_right(closes, end) - 1
        has_close = inside > before
        has_base = has_close and before >= 0 and start - closes[before] <= MAX_GAP and end - closes[inside] <= MAX_GAP
        following = bisect_left(closes, end)
        then = max(following + 1, bisect_left(closes, end_of(end, bucket)))
        has_next = (
            then < len(bars)
            and closes[following] - end <= MAX_GAP
            and closes[then] - max(closes[following], end_of(end, bucket)) <= MAX_GAP
        )
        found.append(
            BucketReturns(
                close=bars[inside].close if has_close else None,
                closed_at=closes[inside] if has_close else None,
                return_same=_return(bars[before], bars[inside]) if has_base else None,
                return_next=_return(bars[following], bars[then]) if has_next else None,
                next_from=closes[following] if has_next else None,
                next_to=closes[then] if has_next else None,
            )
        )
    return found


def _return(first: PricePoint, last: PricePoint) -> float | None:
    """None where a close is below 0, as oil's was on 2020-04-20: a ratio of such prices says nothing."""
    return round(log(last.close / first.close), 8) if min(first.close, last.close) > 0 else None
