"""What we conclude: one row type per statement. The same rows feed the command line, HTTP and the page.

None means "not known", never 0. Instants are aware UTC; buckets are half-open and named by their start.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class IntensityPoint:
    """Share of the bucket's stories that carry the narrative, in [0, 1], with a 90 % interval."""

    bucket_start: datetime
    narrative: str
    intensity: float | None
    low: float | None
    high: float | None
    n_articles: int
    n_stories: int
    n_carrying: int
    """Stories that carry the narrative."""
    echo: int
    """Copies among the articles of the bucket: articles beyond the first of each story."""
    thin: bool
    open: bool
    coverage: float | None
    """Share of the attempts to fetch a feed in the bucket that succeeded; None where nothing was collected live."""


@dataclass(frozen=True, slots=True)
class ShiftPoint:
    """Where the story stands between panic (0) and devaluation (1). See docs/methods/shift.md."""

    bucket_start: datetime
    panic: float | None
    """Safe-haven stories (building) against their usual rate; 1 is usual."""
    devaluation: float | None
    """Mean of debasement (building), fiscal stress (building) and liquidity (easing), each against its usual rate."""
    index: float | None
    """θ = devaluation / (panic + devaluation); 0.5 is neutral."""
    index_without_liquidity: float | None
    low: float | None
    high: float | None
    p_devaluation: float | None
    """P(θ > 0.5 | what was known by the end of the bucket)."""
    state: str
    """calm, panic, transition, devaluation; warming_up while the baseline is too short; unknown without stories."""
    baseline: str | None
    """Whose usual rates: own, or prior while the record is too young and prior rates were asked for."""
    n_stories: int
    thin: bool
    open: bool
    progress: float
    """How much of the history that a baseline needs is there, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class JoinedPoint:
    """A bucket's story beside what the asset did in it and next. Returns are logarithmic, close to close."""

    bucket_start: datetime
    asset: str
    index: float | None
    state: str
    safe_haven: float | None
    debasement: float | None
    liquidity: float | None
    fiscal_stress: float | None
    n_stories: int
    thin: bool
    open: bool
    close: float | None
    """The last close inside the bucket."""
    closed_at: datetime | None
    return_same: float | None
    """From the last close at or before the bucket's start to the last close inside the bucket."""
    return_next: float | None
    """From the first close at or after the bucket's end to the close a bucket later: no price from before the end."""
    next_from: datetime | None
    next_to: datetime | None


@dataclass(frozen=True, slots=True)
class PricePoint:
    closed_at: datetime
    asset: str
    close: float
    known_at: datetime


def columns(row_type: type[Any]) -> list[str]:
    """The column names of a derived row type, in order."""
    return [field.name for field in fields(row_type)]
