"""Metals, shares, currencies and indices from Yahoo Finance: the one door to yfinance.

Closes are as traded, corrected for splits but not for dividends. A day is that of the exchange.
"""

import logging
import warnings
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from ingest.sources import Page, Quote
from models.errors import SourceError
from models.prices import Interval

TIMEOUT_SECONDS = 15


class Yahoo:
    def __init__(self, session: Any = None) -> None:
        """`session` replaces the curl_cffi session of yfinance."""
        self._session = session

    def quotes(self, symbol: str, *, interval: Interval, start: date, now: datetime) -> Iterator[Page]:
        """Daily closes of a symbol like GC=F, in one page. Raises: SourceError."""
        import yfinance
        from curl_cffi.requests.exceptions import HTTPError, RequestException
        from yfinance import exceptions

        logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # what went wrong is raised
        warnings.filterwarnings("ignore", module="yfinance")  # it turns its own warnings on for everybody
        yfinance.config.debug.hide_exceptions = False
        try:
            frame = yfinance.Ticker(symbol, session=self._session).history(
                start=start.isoformat(), auto_adjust=False, actions=False, timeout=TIMEOUT_SECONDS
            )
        except exceptions.YFRateLimitError:
            raise SourceError("Yahoo asks us to slow down.", away=True) from None
        except exceptions.YFTickerMissingError as error:
            raise _missing(symbol, error.rationale) from None
        except HTTPError as error:
            status = error.response.status_code if error.response is not None else None
            raise _missing(symbol, "404") if status == 404 else SourceError(f"Yahoo answered {status}.") from None
        except RequestException as error:
            reason = str(error).partition(". See")[0].removeprefix("Failed to perform, ")
            raise SourceError(f"Yahoo cannot be reached ({reason}).", away=True) from None
        except (exceptions.YFException, ValueError, TypeError, KeyError) as error:
            raise SourceError(f"Yahoo answered with something that is not prices ({type(error).__name__}).") from None
        yield Page("yfinance", [Quote(at.date(), float(close)) for at, close in frame["Close"].items()])


def _missing(symbol: str, reason: str) -> SourceError:
    return SourceError(
        f"Yahoo has no prices of {symbol} ({reason}). If it was delisted or renamed, change its source in assets.toml."
    )
