"""Price and macro files: rows of CSV or Parquet to bars and points, each refused row with its reason."""

import math
from calendar import monthrange
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

from config.definitions import Asset, MacroSeries
from ingest.calendars import close_instants
from ingest.dates import has_no_time, parse_instant
from ingest.rows import Row, RowFile
from models.base import end_of_day
from models.errors import BadFile, BadRow
from models.prices import FoundBar, FoundPoint

FIRST_YEAR, LAST_YEAR = 1900, 2100
"""Of any bar or value; others are mistyped."""
Found = TypeVar("Found", FoundBar, FoundPoint)


@dataclass(slots=True)
class PriceFile(Generic[Found]):
    found: list[Found] = field(default_factory=list)
    refused: list[BadRow] = field(default_factory=list)
    empty: int = 0
    """Rows whose value is empty, as FRED writes a holiday."""


def read_bars(path: Path, key: str, asset: Asset, *, now: datetime) -> PriceFile[FoundBar]:
    """Closes of one asset from a file with `date` and `close`; a date may be an ISO instant.

    A day's bar is struck when its session ends. A bar that has not closed by `now` is refused.
    Raises: BadFile if a column is missing.
    """
    result: PriceFile[FoundBar] = PriceFile()
    days: list[tuple[int, date, float]] = []
    bars: list[tuple[int, datetime, float]] = []
    for line, row in _rows(path, "close", result):
        try:
            close = _number(row, "close")
            if close is None:
                result.empty += 1
                continue
            if close == 0:
                raise ValueError("close is 0, which is no price; leave it empty where there is none.")
            when = _when(row)
        except ValueError as error:
            result.refused.append(BadRow(str(path), line, str(error)))
            continue
        if isinstance(when, datetime):
            bars.append((line, when, close))
        else:
            days.append((line, when, close))
    instants = close_instants([day for _, day, _ in days], asset)
    bars.extend((line, at, close) for (line, _, close), at in zip(days, instants, strict=True))
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
            when = _when(row)
            period = when.date() if isinstance(when, datetime) else when
            known_at = end_of_day(period_end(period, series.frequency) + timedelta(days=series.lag_days))
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


def _when(row: Row) -> date | datetime:
    """The day of a bar or value; or the instant of its close, if a time other than midnight UTC is written."""
    value = row.get("date")
    written = value.isoformat() if isinstance(value, date) else str(value or "").strip()
    try:
        at = parse_instant(written)
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise ValueError
    except ValueError:
        raise ValueError(f"date is {written[:40]!r}, which is not a date like 2020-03-09.") from None
    return at.date() if has_no_time(written) or at.time() == time(0) else at
