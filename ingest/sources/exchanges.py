"""Crypto bars from public exchange interfaces: the one door to ccxt. No key is needed, none is sent."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from ingest.sources import Page, Quote
from models.errors import SourceError
from models.prices import Interval

if TYPE_CHECKING:
    import ccxt

EXCHANGES = ("coinbaseexchange", "bitstamp", "kraken")
"""Asked in this order; the first that answers is used. All trade against the US dollar itself."""
PAGE_BARS = 300
"""Bars asked for at once: what the most frugal of them gives."""
TIMEOUT_MS = 10_000
STEPS = {"day": timedelta(days=1), "hour": timedelta(hours=1)}


class Exchanges:
    def __init__(self, names: tuple[str, ...] = EXCHANGES, roots: Mapping[str, str] | None = None) -> None:
        """`roots` replaces the address of an exchange's public interface, by name."""
        self._names, self._roots = names, roots or {}
        self._open: dict[str, ccxt.Exchange] = {}

    def quotes(self, symbol: str, *, interval: Interval, start: date, now: datetime) -> Iterator[Page]:
        """Bars of a market like BTC/USD that have closed by `now`. Raises: SourceError if no exchange answers."""
        failures: list[SourceError] = []
        for name in self._names:
            pages = self._pages(name, symbol, interval, start, now)
            try:
                yield next(pages)
            except SourceError as error:
                failures.append(error)
                continue
            yield from pages
            return
        away = all(failure.away for failure in failures)
        what = "No exchange answers" if away else f"No exchange gave {symbol}"
        raise SourceError(f"{what}: {'; '.join(map(str, failures))}.", away=away)

    def _pages(self, name: str, symbol: str, interval: Interval, start: date, now: datetime) -> Iterator[Page]:
        step = STEPS[interval]
        cursor = datetime.combine(start, time(0), tzinfo=UTC)
        found = False
        while cursor + step <= now:
            quotes = []
            for opened, close in self._ask(name, symbol, interval, cursor):
                if opened >= cursor and opened + step <= now:
                    quotes.append(Quote(opened.date() if interval == "day" else opened + step, close))
                    cursor = opened + step
            if quotes:
                found = True
                yield Page(name, quotes)
            else:  # before the market was listed, or in an outage
                cursor += PAGE_BARS * step
        if not found:  # ccxt takes a web page for an empty list
            raise SourceError(f"{name} gave no bars of {symbol}")

    def _ask(self, name: str, symbol: str, interval: Interval, since: datetime) -> list[tuple[datetime, float]]:
        """(opening, close) of bars from `since` on, ascending."""
        import ccxt

        try:
            rows = self._exchange(name).fetch_ohlcv(
                symbol, {"day": "1d", "hour": "1h"}[interval], int(since.timestamp() * 1000), PAGE_BARS
            )
            return [(datetime.fromtimestamp(row[0] / 1000, UTC), float(row[4])) for row in rows if row[4] is not None]
        except ccxt.BadSymbol:
            raise SourceError(f"{name} lists no market {symbol}") from None
        except ccxt.RequestTimeout:
            raise SourceError(f"{name} did not answer within {TIMEOUT_MS // 1000} s", away=True) from None
        except (ccxt.DDoSProtection, ccxt.RateLimitExceeded):
            raise SourceError(f"{name} asks us to slow down", away=True) from None
        except ccxt.NetworkError:
            raise SourceError(f"{name} cannot be reached", away=True) from None
        except ccxt.BaseError as error:  # its message may hold a whole web page
            raise SourceError(f"{name} refused ({type(error).__name__})") from None
        except (TypeError, ValueError, KeyError, IndexError, AttributeError):
            raise SourceError(f"{name} answered with something that is not bars") from None

    def _exchange(self, name: str) -> "ccxt.Exchange":
        import ccxt

        if name not in self._open:
            options: dict[str, object] = {"timeout": TIMEOUT_MS, "requests_trust_env": True}
            if name in self._roots:
                options["urls"] = {"api": {"public": self._roots[name]}}
            self._open[name] = getattr(ccxt, name)(options)
        return self._open[name]
