"""Macro series from FRED's public CSV files (fred.stlouisfed.org), which need no key. Always today's vintage."""

import csv
from collections.abc import Iterator
from datetime import date, datetime

import httpx

from ingest.sources import Page, Quote
from models.errors import SourceError
from models.prices import Interval

ROOT = "https://fred.stlouisfed.org"
TIMEOUT_SECONDS = 20.0


class Fred:
    def __init__(self, root: str = ROOT) -> None:
        self._root = root

    def quotes(self, symbol: str, *, interval: Interval, start: date, now: datetime) -> Iterator[Page]:
        """Values of a series like DFII10, in one page, whatever its frequency. Raises: SourceError."""
        try:
            answer = httpx.get(
                f"{self._root}/graph/fredgraph.csv",
                params={"id": symbol, "cosd": start.isoformat()},
                timeout=TIMEOUT_SECONDS,
                follow_redirects=True,
            )
        except httpx.TimeoutException:
            raise SourceError(f"FRED did not answer within {TIMEOUT_SECONDS:.0f} s.", away=True) from None
        except httpx.HTTPError as error:
            raise SourceError(f"FRED cannot be reached ({error}).", away=True) from None
        if answer.status_code in (400, 404):
            raise SourceError(f"FRED knows no series {symbol}. Change or remove its source in assets.toml.")
        if not answer.is_success:
            raise SourceError(f"FRED answered {answer.status_code} {answer.reason_phrase}.".replace(" .", "."))
        yield Page("fred", _values(answer.text, symbol))


def _values(text: str, symbol: str) -> list[Quote]:
    """Rows of date and value; "." and nothing stand for a day without one."""
    header, *rows = csv.reader(text.splitlines()) if text.strip() else [[]]
    if len(header) != 2 or header[1] != symbol:
        raise SourceError(f"FRED answered for {symbol} with something that is not its CSV file (a web page?).")
    try:
        return [Quote(date.fromisoformat(day), float(value)) for day, value in rows if value not in ("", ".")]
    except ValueError as error:
        raise SourceError(f"FRED's file of {symbol} is broken ({error}).") from None
