"""Where live prices and macro values come from: one protocol, one file and one heavy library per source.

    pages = source.quotes(symbol, interval="day", start=…, now=…)    # oldest first; each can be stored on its own
    bars_of(…) / points_of(…)                                        # quotes to facts with their instants

Does not: store, decide when to come again, or repair what a source says.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from config.definitions import Asset, MacroSeries
from ingest.calendars import close_instants
from ingest.prices import released_at
from models.prices import FoundBar, FoundPoint, Interval


@dataclass(frozen=True, slots=True)
class Quote:
    at: date | datetime
    """The day of a daily bar, the first day of a macro value's period; of an hourly bar the instant of its close."""
    value: float


@dataclass(frozen=True, slots=True)
class Page:
    told_by: str
    """Who answered, "coinbaseexchange", where a source asks several."""
    quotes: list[Quote]


class Source(Protocol):
    def quotes(self, symbol: str, *, interval: Interval, start: date, now: datetime) -> Iterator[Page]:
        """What there is from `start` (a UTC day) on, oldest first. Raises: SourceError, possibly between two pages."""


def open_sources() -> dict[str, Source]:
    """The sources by the name that assets.toml uses. Their libraries are loaded when they are first asked."""
    from ingest.sources.exchanges import Exchanges
    from ingest.sources.fred import Fred
    from ingest.sources.yahoo import Yahoo

    return {"ccxt": Exchanges(), "yfinance": Yahoo(), "fred": Fred()}


def open_one_by_one() -> dict[str, Source]:
    """The same, with each exchange as a source of its own."""
    from ingest.sources.exchanges import EXCHANGES, Exchanges

    sources = open_sources()
    del sources["ccxt"]
    return {name: Exchanges((name,)) for name in EXCHANGES} | sources


def bars_of(quotes: list[Quote], key: str, asset: Asset, *, now: datetime) -> list[FoundBar]:
    """The bars that have closed by `now`, ascending; a value that is no price (missing, 0, infinite) is left out."""
    usable = [quote for quote in quotes if math.isfinite(quote.value) and quote.value != 0]
    days = [quote.at for quote in usable if not isinstance(quote.at, datetime)]
    closes = dict(zip(days, close_instants(days, asset), strict=True))
    bars = [FoundBar(key, closes.get(quote.at, quote.at), quote.value) for quote in usable]  # type: ignore[arg-type]
    return sorted((bar for bar in bars if bar.closed_at <= now), key=lambda bar: bar.closed_at)


def points_of(quotes: list[Quote], key: str, series: MacroSeries) -> list[FoundPoint]:
    """Macro values, each with the instant at which it is published by the series' release lag."""
    return [
        FoundPoint(key, quote.at, quote.value, released_at(quote.at, series))
        for quote in quotes
        if math.isfinite(quote.value)
    ]
