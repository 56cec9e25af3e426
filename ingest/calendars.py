"""When a bar ends or should have ended, and when offices publish: the one door to exchange_calendars."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from config.definitions import Asset
from models.errors import ConfigError

if TYPE_CHECKING:
    import exchange_calendars
    import numpy

CLOSED_AT_MOST = timedelta(days=10)
"""No exchange stays closed for longer, except in wars."""


@lru_cache(maxsize=1)
def _us_business_days() -> "numpy.busdaycalendar":
    import numpy
    from pandas.tseries.holiday import USFederalHolidayCalendar

    holidays = USFederalHolidayCalendar().holidays("1950-01-01", "2100-12-31")
    return numpy.busdaycalendar(holidays=holidays.to_numpy("datetime64[D]"))


def us_business_days_after(day: date, count: int) -> date:
    """The count-th day after it on which US offices publish: no weekend, no federal holiday; the day itself for 0."""
    import numpy

    if not count:
        return day
    return date.fromisoformat(str(numpy.busday_offset(day, count, roll="backward", busdaycal=_us_business_days())))


def closes_around(asset: Asset, now: datetime) -> tuple[datetime, datetime]:
    """When the daily bar last closed, at or before `now`, and when the next one will. Raises: ConfigError."""
    first, last = now.date() - CLOSED_AT_MOST, now.date() + CLOSED_AT_MOST
    if asset.calendar == "24/7":
        days = [first + timedelta(days=number) for number in range((last - first).days)]
    else:
        days = [day.date() for day in _calendar(asset, first, last).sessions]
    closes = close_instants(days, asset)
    return max(close for close in closes if close <= now), min(close for close in closes if close > now)


def close_instants(days: Sequence[date], asset: Asset) -> list[datetime]:
    """The instant (UTC) at which the bar of each day ended.

    The asset's own closing time if it has one, else its calendar's session close (early closes included); a day that
    is no session (a holiday bar) takes the closing time of the session nearest to it. Raises: ConfigError.
    """
    if asset.close is not None:
        clock, zone = asset.close.split()
        hour, minute = (int(part) for part in clock.split(":"))
        return [
            datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC) for day in days
        ]
    if asset.calendar == "24/7":
        return [datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) for day in days]
    return _session_closes(days, asset)


def _session_closes(days: Sequence[date], asset: Asset) -> list[datetime]:
    import pandas as pd

    if not days:
        return []
    closes = _calendar(asset, min(days), max(days)).closes.dt.tz_convert(None)
    wanted = pd.DatetimeIndex(pd.to_datetime(list(days)))
    nearest = closes.index.get_indexer(wanted, method="nearest")
    after_midnight = closes.iloc[nearest].to_numpy() - closes.index[nearest].to_numpy()
    instants = pd.DatetimeIndex(wanted.to_numpy() + after_midnight, tz="UTC")
    return [instant.to_pydatetime() for instant in instants]


def _calendar(asset: Asset, first: date, last: date) -> "exchange_calendars.ExchangeCalendar":
    """The asset's calendar, with days to spare on both sides."""
    import exchange_calendars

    try:
        return _calendar_of_years(asset.calendar, (first - CLOSED_AT_MOST).year, (last + CLOSED_AT_MOST).year)
    except (exchange_calendars.errors.InvalidCalendarName, ValueError) as error:
        raise ConfigError(f"assets.toml: calendar {asset.calendar!r} of {asset.name}: {error}") from None


@lru_cache(maxsize=16)
def _calendar_of_years(name: str, first: int, last: int) -> "exchange_calendars.ExchangeCalendar":
    import exchange_calendars

    return exchange_calendars.get_calendar(name, start=f"{first}-01-01", end=f"{last}-12-31")
