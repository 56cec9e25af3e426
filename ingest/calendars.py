"""When a daily bar ends: the one door to exchange_calendars."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from config.definitions import Asset
from models.errors import ConfigError


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
    import exchange_calendars
    import pandas as pd

    if not days:
        return []
    margin = timedelta(days=10)
    try:
        calendar = exchange_calendars.get_calendar(
            asset.calendar, start=pd.Timestamp(min(days) - margin), end=pd.Timestamp(max(days) + margin)
        )
    except (exchange_calendars.errors.InvalidCalendarName, ValueError) as error:
        raise ConfigError(f"assets.toml: calendar {asset.calendar!r} of {asset.name}: {error}") from None
    closes = calendar.closes.dt.tz_convert(None)
    wanted = pd.DatetimeIndex(pd.to_datetime(list(days)))
    nearest = closes.index.get_indexer(wanted, method="nearest")
    after_midnight = closes.iloc[nearest].to_numpy() - closes.index[nearest].to_numpy()
    instants = pd.DatetimeIndex(wanted.to_numpy() + after_midnight, tz="UTC")
    return [instant.to_pydatetime() for instant in instants]
