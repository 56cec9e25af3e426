"""Asking each source of live values for a few of them, to see which answer from here. Stores nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter

from ingest.sources import Source
from models.errors import SourceError

SAMPLES = {"yfinance": "GC=F", "fred": "DFII10"}
CRYPTO_SAMPLE = "BTC/USD"
LAST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SourceCheck:
    source: str
    symbol: str
    answers: bool
    said: str
    seconds: float


def check_sources(sources: Mapping[str, Source], *, now: datetime) -> Iterator[SourceCheck]:
    """One check per source; an exchange is a source of its own."""
    for name, source in sources.items():
        symbol = SAMPLES.get(name, CRYPTO_SAMPLE)
        began = perf_counter()
        try:
            pages = list(source.quotes(symbol, interval="day", start=(now - LAST).date(), now=now))
            last = pages[-1].quotes[-1]
            answers, said = True, f"{last.value:,.2f} on {last.at:%Y-%m-%d}"
        except (SourceError, IndexError) as error:
            answers, said = False, str(error) if isinstance(error, SourceError) else "gave nothing for the last days"
        yield SourceCheck(name, symbol, answers, said, round(perf_counter() - began, 2))
