"""Bars and macro points: adding what is new or corrected, and reading what was known at an instant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlmodel import Session, col

from models.derived import PricePoint
from models.prices import FoundBar, FoundPoint, MacroPoint, PriceBar
from models.store.sql import insert_new


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


def add_bars(session: Session, asset: str, bars: Sequence[FoundBar], *, source: str, now: datetime) -> Kept:
    """Store closes. A first value is taken as known when it was struck; a correction is known only now."""
    kept = Kept()
    latest = {point.closed_at: point.close for point in read_bars(session, asset, as_of=now)}
    rows: list[dict[str, Any]] = []
    for bar in bars:
        before = latest.get(bar.closed_at)
        if kept.count(before, bar.close):
            known_at = bar.closed_at if before is None else now
            rows.append(
                {"asset": asset, "closed_at": bar.closed_at, "known_at": known_at, "close": bar.close, "source": source}
            )
            latest[bar.closed_at] = bar.close
    insert_new(session, PriceBar, rows)
    return kept


def read_bars(
    session: Session, asset: str, *, as_of: datetime, start: datetime | None = None, end: datetime | None = None
) -> list[PricePoint]:
    """The bars that closed in [start, end), ascending, each in the value known at `as_of`."""
    newest = (
        select(col(PriceBar.closed_at).label("closed_at"), func.max(col(PriceBar.known_at)).label("known_at"))
        .where(col(PriceBar.asset) == asset, col(PriceBar.known_at) <= as_of)
        .group_by(col(PriceBar.closed_at))
        .subquery()
    )
    query = (
        select(col(PriceBar.closed_at), col(PriceBar.close), col(PriceBar.known_at))
        .join(newest, and_(newest.c.closed_at == PriceBar.closed_at, newest.c.known_at == PriceBar.known_at))
        .where(col(PriceBar.asset) == asset)
        .order_by(col(PriceBar.closed_at))
    )
    if start is not None:
        query = query.where(col(PriceBar.closed_at) >= start)
    if end is not None:
        query = query.where(col(PriceBar.closed_at) < end)
    return [PricePoint(at, asset, close, known_at) for at, close, known_at in session.execute(query)]


def priced_assets(session: Session) -> dict[str, tuple[int, datetime, datetime]]:
    """For each asset that has bars: how many closes, the first and the last."""
    query = select(
        col(PriceBar.asset),
        func.count(col(PriceBar.closed_at).distinct()),
        func.min(col(PriceBar.closed_at)),
        func.max(col(PriceBar.closed_at)),
    ).group_by(col(PriceBar.asset))
    return {asset: (count, first, last) for asset, count, first, last in session.execute(query)}


def add_points(session: Session, series: str, points: Sequence[FoundPoint], *, source: str, now: datetime) -> Kept:
    """Store macro values, by the rule of `add_bars`; a first value is known at the end of its release lag."""
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
            known_at = point.known_at if before is None else max(now, point.known_at)
            rows.append(
                {"series": series, "period": point.period, "known_at": known_at, "value": point.value, "source": source}
            )
            latest[point.period] = point.value
    insert_new(session, MacroPoint, rows)
    return kept
