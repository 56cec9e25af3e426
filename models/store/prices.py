"""Bars and macro points: adding what is new or corrected, reading what was known at an instant; and the watches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, func, select, update
from sqlmodel import Session, col

from models.derived import PricePoint
from models.prices import FoundBar, FoundPoint, Interval, MacroPoint, PriceBar, Watch
from models.store.feeds import CLOCKS_DIFFER
from models.store.sql import insert_new, table_of


@dataclass(slots=True)
class Kept:
    """What became of the values given: `corrected` ones differ from what was known and are kept beside it."""

    new: int = 0
    corrected: int = 0
    known: int = 0

    def count(self, before: float | None, value: float) -> bool:
        """Count one value; True if it is to be stored."""
        self.new += before is None
        self.known += before == value
        self.corrected += before is not None and before != value
        return before != value


def add_bars(
    session: Session,
    asset: str,
    bars: Sequence[FoundBar],
    *,
    source: str,
    now: datetime,
    interval: Interval = "day",
    watched_since: datetime | None = None,
) -> Kept:
    """Store closes; a correction is a new row, known only now.

    A first value is taken as known when it was struck; if the asset is watched, one struck after `watched_since` is
    known only now, and a bar of another source is left as it is: two exchanges never agree to the cent.
    """
    kept = Kept()
    if not bars:
        return kept
    latest = _latest_bars(session, asset, interval, min(b.closed_at for b in bars), max(b.closed_at for b in bars))
    rows: list[dict[str, Any]] = []
    for bar in bars:
        before, told_by = latest.get(bar.closed_at, (None, source))
        if watched_since is not None and told_by != source:
            kept.known += 1
        elif kept.count(before, bar.close):
            assumed = before is None and (watched_since is None or bar.closed_at <= watched_since)
            rows.append(
                {
                    "asset": asset,
                    "interval": interval,
                    "closed_at": bar.closed_at,
                    "known_at": bar.closed_at if assumed else now,
                    "close": bar.close,
                    "source": source,
                }
            )
            latest[bar.closed_at] = bar.close, source
    insert_new(session, PriceBar, rows)
    return kept


def _latest_bars(
    session: Session, asset: str, interval: str, first: datetime, last: datetime
) -> dict[datetime, tuple[float | None, str]]:
    """The newest value of each bar that closed in [first, last], and its source."""
    query = (
        select(col(PriceBar.closed_at), col(PriceBar.close), col(PriceBar.source))
        .where(
            col(PriceBar.asset) == asset,
            col(PriceBar.interval) == interval,
            col(PriceBar.closed_at).between(first, last),
        )
        .order_by(col(PriceBar.known_at))
    )
    return {at: (close, source) for at, close, source in session.execute(query)}


def last_close(session: Session, asset: str, interval: str) -> datetime | None:
    """When the latest bar that we have closed."""
    return session.scalar(
        select(func.max(col(PriceBar.closed_at))).where(
            col(PriceBar.asset) == asset, col(PriceBar.interval) == interval
        )
    )


def read_bars(
    session: Session,
    asset: str,
    *,
    as_of: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    interval: Interval = "day",
) -> list[PricePoint]:
    """The bars that closed in [start, end), ascending, each in the value known at `as_of`."""
    found = known_bars(session, asset, as_of=as_of, start=start, end=end, interval=interval)
    return list({bar.closed_at: bar for bar in found}.values())


def known_bars(
    session: Session,
    asset: str,
    *,
    as_of: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
    interval: Interval = "day",
) -> list[PricePoint]:
    """Every value, known at `as_of`, of the bars that closed in [start, end), by when they closed and were known."""
    query = (
        select(col(PriceBar.closed_at), col(PriceBar.close), col(PriceBar.known_at))
        .where(col(PriceBar.asset) == asset, col(PriceBar.interval) == interval, col(PriceBar.known_at) <= as_of)
        .order_by(col(PriceBar.closed_at), col(PriceBar.known_at))
    )
    if start is not None:
        query = query.where(col(PriceBar.closed_at) >= start)
    if end is not None:
        query = query.where(col(PriceBar.closed_at) < end)
    return [PricePoint(at, asset, close, known_at) for at, close, known_at in session.execute(query)]


def closes(session: Session) -> dict[tuple[str, str], list[datetime]]:
    """For each (asset, interval) that has bars, the instants of all its closes, ascending."""
    found: dict[tuple[str, str], list[datetime]] = {}
    key = col(PriceBar.asset), col(PriceBar.interval), col(PriceBar.closed_at)
    for asset, interval, at in session.execute(select(*key).distinct().order_by(*key)):
        found.setdefault((asset, interval), []).append(at)
    return found


def priced_assets(session: Session) -> dict[str, tuple[int, datetime, datetime]]:
    """For each asset that has daily bars: how many closes, the first and the last."""
    query = (
        select(
            col(PriceBar.asset),
            func.count(col(PriceBar.closed_at).distinct()),
            func.min(col(PriceBar.closed_at)),
            func.max(col(PriceBar.closed_at)),
        )
        .where(col(PriceBar.interval) == "day")
        .group_by(col(PriceBar.asset))
    )
    return {asset: (count, first, last) for asset, count, first, last in session.execute(query)}


def add_points(
    session: Session,
    series: str,
    points: Sequence[FoundPoint],
    *,
    source: str,
    now: datetime,
    watched_since: datetime | None = None,
) -> Kept:
    """Store macro values. A first value is known at the end of its release lag, and not before it was seen if the
    series was watched by then; a correction is known now."""
    kept = Kept()
    query = (
        select(col(MacroPoint.period), col(MacroPoint.value))
        .where(col(MacroPoint.series) == series)
        .order_by(col(MacroPoint.known_at))
    )
    latest: dict[date, float] = {period: value for period, value in session.execute(query)}  # noqa: C416
    rows: list[dict[str, Any]] = []
    for point in points:
        before = latest.get(point.period)
        if kept.count(before, point.value):
            seen = before is not None or (watched_since is not None and point.known_at > watched_since)
            rows.append(
                {
                    "series": series,
                    "period": point.period,
                    "known_at": max(now, point.known_at) if seen else point.known_at,
                    "value": point.value,
                    "source": source,
                }
            )
            latest[point.period] = point.value
    insert_new(session, MacroPoint, rows)
    return kept


def read_points(session: Session, series: str, *, as_of: datetime) -> list[tuple[datetime, float]]:
    """(known at, value) of each period as it was first published by `as_of`, ascending."""
    first = (
        select(col(MacroPoint.period).label("period"), func.min(col(MacroPoint.known_at)).label("known_at"))
        .where(col(MacroPoint.series) == series, col(MacroPoint.known_at) <= as_of)
        .group_by(col(MacroPoint.period))
        .subquery()
    )
    query = (
        select(col(MacroPoint.known_at), col(MacroPoint.value))
        .join(first, and_(first.c.period == MacroPoint.period, first.c.known_at == MacroPoint.known_at))
        .where(col(MacroPoint.series) == series)
        .order_by(col(MacroPoint.period))
    )
    return [(at, value) for at, value in session.execute(query)]


def periods(session: Session) -> dict[str, list[date]]:
    """For each macro series that has values, the first days of their periods, ascending."""
    found: dict[str, list[date]] = {}
    key = col(MacroPoint.series), col(MacroPoint.period)
    for series, period in session.execute(select(*key).distinct().order_by(*key)):
        found.setdefault(series, []).append(period)
    return found


# -- watches ----------------------------------------------------------------------------------------------------------


def seed_watches(session: Session, wanted: Sequence[tuple[str, str, str]], *, now: datetime) -> None:
    """Let there be a watch for each (kind, key, interval), due at once where it is new."""
    insert_new(
        session,
        Watch,
        [
            {"kind": kind, "key": key, "interval": interval, "next_at": now, "failures": 0}
            for kind, key, interval in wanted
        ],
    )


def watches(session: Session) -> list[Watch]:
    """All of them, prices first."""
    order = col(Watch.kind).desc(), col(Watch.interval), col(Watch.id)
    return list(session.scalars(select(Watch).order_by(*order)))


def is_due(watch: Watch, *, now: datetime) -> bool:
    """Also if it was last tried at a time that has not been yet: the clock has jumped back."""
    return watch.next_at <= now or (watch.tried_at is not None and watch.tried_at > now + CLOCKS_DIFFER)


def claim_watch(session: Session, watch: Watch, *, until: datetime) -> bool:
    """For nobody else it is due before then; False if another has claimed it since it was read."""
    seen = col(Watch.id) == watch.id, col(Watch.next_at) == watch.next_at
    claimed = session.connection().execute(update(table_of(Watch)).where(*seen).values(next_at=until))
    return claimed.rowcount == 1
