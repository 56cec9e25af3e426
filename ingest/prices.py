"""Price and macro files: rows of CSV or Parquet to bars and points, each refused row with its reason."""

import math
import re
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from config.definitions import Asset, MacroSeries
from ingest.calendars import close_instants, us_business_days_after
from ingest.dates import has_no_time, parse_instant
from ingest.rows import Row, RowFile
from models.clocks import end_of_day
from models.errors import BadFile, BadRow
from models.prices import FoundBar, FoundPoint, Interval

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""Of any bar or value; others are mistyped."""
MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ]00:00(?::00(?:\.0+)?)?(?:[Zz]| ?[+-]\d\d:?\d\d)?")
SHORTEST_BAR = timedelta(hours=1)


class FoundValue(NamedTuple):
    at: datetime
    value: float


Found = TypeVar("Found", FoundBar, FoundPoint, FoundValue)


class _When(NamedTuple):
    """What is written under `date`."""

    at: datetime
    day: date
    """As it is written, in whatever zone."""
    time: Literal["none", "midnight", "other"]


@dataclass(slots=True)
class PriceFile(Generic[Found]):
    found: list[Found] = field(default_factory=list)
    refused: list[BadRow] = field(default_factory=list)
    empty: int = 0
    """Rows whose value is empty, as FRED writes a holiday."""


def read_bars(path: Path, key: str, asset: Asset, *, now: datetime) -> PriceFile[FoundBar]:
    """Closes of one asset from a file with `date` and `close`; a date may be an ISO instant.

    A day's bar is struck when its session ends. Midnight, in whatever zone it is written, means the day, as in files of
    daily bars; in a file of which most rows carry another time it is an instant like those. A bar that has not closed
    by `now` is refused. Raises: BadFile if a column is missing, or if bars are shorter than an hour.
    """
    result: PriceFile[FoundBar] = PriceFile()
    dated: list[tuple[int, _When, float]] = []
    for line, row in _rows(path, "close", result):
        try:
            close = _number(row, "close")
            if close is None:
                result.empty += 1
                continue
            if close == 0:
                raise ValueError("close is 0, which is no price; leave it empty where there is none.")
            dated.append((line, _when(row), close))
        except ValueError as error:
            result.refused.append(BadRow(str(path), line, str(error)))
    by_time = _by_time(dated)
    timed = ("midnight", "other") if by_time else ("other",)
    bars = [(line, when.at, close) for line, when, close in dated if when.time in timed]
    daily = [(line, when.day, close) for line, when, close in dated if when.time not in timed]
    instants = close_instants([day for _, day, _ in daily], asset)
    bars.extend((line, at, close) for (line, _, close), at in zip(daily, instants, strict=True))
    seen: dict[datetime, int] = {}
    for line, at, close in sorted(bars):
        if at > now:
            reason = f"the bar closes at {at:%Y-%m-%d %H:%M}Z, which is in the future."
        elif at in seen:
            reason = f"a bar that closed at {at:%Y-%m-%d %H:%M}Z stands in line {seen[at]} already."
        else:
            seen[at] = line
            result.found.append(FoundBar(key, at, close))
            continue
        result.refused.append(BadRow(str(path), line, reason))
    result.found.sort(key=lambda bar: bar.closed_at)
    return result


def read_values(path: Path, column: str, *, above_zero: bool = False) -> PriceFile[FoundValue]:
    """Dated values of a plain file with `date` and `column`, ascending.

    A date without a time, or with midnight in a file of days, is the end of that day. Raises: BadFile.
    """
    result: PriceFile[FoundValue] = PriceFile()
    dated: list[tuple[int, _When, float]] = []
    for line, row in _rows(path, column, result):
        try:
            value = _number(row, column)
            if value is None:
                result.empty += 1
                continue
            if above_zero and value <= 0:
                raise ValueError(f"{column} is {value:g}, which has no return; leave it empty where there is none.")
            dated.append((line, _when(row), value))
        except ValueError as error:
            result.refused.append(BadRow(str(path), line, str(error)))
    by_time = _by_time(dated)
    seen: dict[datetime, int] = {}
    for line, when, value in dated:
        at = when.at if when.time == "other" or (by_time and when.time == "midnight") else end_of_day(when.day)
        if at in seen:
            result.refused.append(
                BadRow(str(path), line, f"a value of {at:%Y-%m-%d %H:%M}Z stands in line {seen[at]} already.")
            )
            continue
        seen[at] = line
        result.found.append(FoundValue(at, value))
    result.found.sort(key=lambda found: found.at)
    return result


def interval_of(path: Path, bars: Sequence[FoundBar]) -> Interval:
    """Whether most bars follow each other within hours or days. Raises: BadFile where they are shorter than an hour."""
    steps = sorted(other.closed_at - one.closed_at for one, other in pairwise(bars))
    if not steps:
        return "day"
    usual = steps[len(steps) // 2]
    if usual < SHORTEST_BAR:
        raise BadFile(str(path), f"holds bars of {usual}; bring bars by the hour or by the day.")
    return "hour" if usual < timedelta(hours=12) else "day"


def read_points(path: Path, key: str, series: MacroSeries, column: str, *, now: datetime) -> PriceFile[FoundPoint]:
    """Values of one macro series from a file with `date` (the period's first day) and `column`.

    A value is known at the end of its period plus the series' release lag. One not yet released by `now` is refused.
    """
    result: PriceFile[FoundPoint] = PriceFile()
    seen: dict[date, int] = {}
    for line, row in _rows(path, column, result):
        try:
            value = _number(row, column)
            if value is None:
                result.empty += 1
                continue
            period = _when(row).day
            known_at = released_at(period, series)
            if known_at > now:
                raise ValueError(
                    f"the value of {period} is published about {known_at:%Y-%m-%d}, which is in the future."
                )
            if period in seen:
                raise ValueError(f"a value of {period} stands in line {seen[period]} already.")
            seen[period] = line
            result.found.append(FoundPoint(key, period, value, known_at))
        except ValueError as error:
            result.refused.append(BadRow(str(path), line, str(error)))
    return result


def released_at(period: date, series: MacroSeries) -> datetime:
    """When the value of a period can be known: its release lag after its end; of a daily series, in US business days.

    Friday's rates are published on Monday, or on Tuesday where Monday is a federal holiday.
    """
    end = period_end(period, series.frequency)
    if series.frequency != "day":
        return end_of_day(end + timedelta(days=series.lag_days))
    return end_of_day(us_business_days_after(end, series.lag_days))


def period_end(start: date, frequency: str) -> date:
    """The last day of the period that begins at `start`. A weekly FRED value is dated by the day the week ends."""
    if frequency == "month":
        return start.replace(day=monthrange(start.year, start.month)[1])
    return start


def value_column(path: Path, *names: str) -> str:
    """The first of `names` that is a column of the file. Raises: BadFile."""
    columns = next((list(row) for _, row in RowFile(path) if not isinstance(row, BadRow)), [])
    for name in names:
        if name in columns:
            return name
    raise BadFile(
        str(path), f"has no column {' or '.join(map(repr, names))}. Found: {', '.join(columns) or 'no rows'}."
    )


def _rows(path: Path, column: str, result: PriceFile[Any]) -> Iterable[tuple[int, Row]]:
    for line, row in RowFile(path, needs=("date", column)):
        if isinstance(row, BadRow):
            result.refused.append(row)
        else:
            yield line, row


def _by_time(dated: Sequence[tuple[int, _When, float]]) -> bool:
    """Whether most rows carry a time of day, so that midnight is one too."""
    return sum(when.time == "other" for _, when, _ in dated) * 2 > len(dated)


def _number(row: Row, name: str) -> float | None:
    if name not in row:
        raise ValueError(f"has no {name}.")
    value = row[name]
    if isinstance(value, bool):
        raise ValueError(f"{name} is {value}, which is not a number.")
    if value is None or (isinstance(value, str) and value.strip() in ("", ".")):
        return None
    if isinstance(value, str) and ("_" in value or not value.isascii()):
        raise ValueError(f"{name} is {value[:40]!r}, which is not a number.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is {str(value)[:40]!r}, which is not a number.") from None
    if math.isnan(number):
        return None
    if math.isinf(number):
        raise ValueError(f"{name} is infinite.")
    return number


def _when(row: Row) -> _When:
    value = row.get("date")
    written = value.isoformat() if isinstance(value, date) else str(value or "").strip()
    try:
        at = parse_instant(written)
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise ValueError
    except ValueError:
        raise ValueError(f"date is {written[:40]!r}, which is not a date like 2020-03-09.") from None
    if has_no_time(written):
        return _When(at, at.date(), "none")
    if midnight := MIDNIGHT.fullmatch(written):
        return _When(at, date.fromisoformat(midnight[1]), "midnight")
    return _When(at, at.date(), "other")
