"""Each source against answers in the shape its servers give, served on loopback. No request leaves the machine."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from curl_cffi import requests
from fakes import FeedServer, Page

from config import definitions
from ingest.sources import Quote, Source, bars_of, points_of
from ingest.sources.exchanges import Exchanges
from ingest.sources.fred import Fred
from ingest.sources.yahoo import Yahoo
from models.errors import SourceError

DATA = Path(__file__).parent / "data" / "sources"
START = date(2026, 11, 16)
NOBODY = "http://127.0.0.1:9"
PAGES = {
    "coinbaseexchange/currencies": "coinbase-currencies.json",
    "coinbaseexchange/products": "coinbase-products.json",
    "coinbaseexchange/products/BTC-USD/candles": "coinbase-candles-day.json",
    "bitstamp/v2/markets/": "bitstamp-markets.json",
    "bitstamp/v2/ohlc/btcusd/": "bitstamp-ohlc-day.json",
    "kraken/0/public/Assets": "kraken-assets.json",
    "kraken/0/public/AssetPairs": "kraken-pairs.json",
    "kraken/0/public/OHLC": "kraken-ohlc-day.json",
    "v8/finance/chart/GC=F": "yahoo-chart.json",
    "graph/fredgraph.csv": "fred-DFII10.csv",
}


def page(name: str, status: int = 200) -> Page:
    kind = {"json": "application/json", "csv": "text/csv", "html": "text/html"}[name.rpartition(".")[2]]
    return Page((DATA / name).read_bytes(), status, {"Content-Type": kind})


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer({path: page(name) for path, name in PAGES.items()}) as running:
        yield running


class Redirected(requests.Session):
    """Yahoo's servers are on loopback; those for cookies are not there, which yfinance can do without."""

    root = ""

    def get(self, url: str, **options: Any) -> Any:
        return super().get(f"{self.root}/{url.split('/', 3)[3] if url.count('/') > 2 else 'cookie'}", **options)


def source(name: str, root: str) -> Source:
    if name == "yfinance":
        session = Redirected()
        session.root = root
        return Yahoo(session)
    if name == "fred":
        return Fred(root)
    names = (name,) if name != "ccxt" else ("coinbaseexchange", "bitstamp", "kraken")
    return Exchanges(names, {name: f"{root}/{name}" for name in names})


def ask(asked: Source, symbol: str, now: datetime, interval: Any = "day", start: date = START) -> list[Quote]:
    return [quote for found in asked.quotes(symbol, interval=interval, start=start, now=now) for quote in found.quotes]


@pytest.mark.parametrize(("name", "first"), [("coinbaseexchange", 90_016), ("bitstamp", 90_017), ("kraken", 90_018.5)])
def test_an_exchange_gives_daily_bars_that_have_closed(
    server: FeedServer, now: datetime, name: str, first: float
) -> None:
    found = ask(source(name, server.root), "BTC/USD", now)
    assert found == [Quote(date(2026, 11, 16 + day), first + day) for day in range(5)]  # the 21st is still open


def test_an_hourly_bar_is_dated_by_its_close(server: FeedServer, now: datetime) -> None:
    server.pages["coinbaseexchange/products/BTC-USD/candles"] = page("coinbase-candles-hour.json")
    found = ask(source("coinbaseexchange", server.root), "BTC/USD", now, "hour", date(2026, 11, 21))
    assert found == [Quote(datetime(2026, 11, 21, hour + 1, tzinfo=UTC), 90_100 + hour) for hour in range(12)]


def test_a_long_history_is_asked_for_page_by_page_also_before_the_market_was_listed(
    server: FeedServer, now: datetime
) -> None:
    path = "coinbaseexchange/products/BTC-USD/candles"
    asked: list[int] = []

    def listed_after_three_pages() -> None:
        asked.append(1)
        if len(asked) == 3:
            server.pages[path] = page("coinbase-candles-day.json")

    server.pages[path] = Page(b"[]", before=listed_after_three_pages)
    pages = list(source("ccxt", server.root).quotes("BTC/USD", interval="day", start=date(2024, 1, 1), now=now))
    candles = [seen for seen, _ in server.seen if "candles" in seen]
    assert [len(found.quotes) for found in pages] == [5]
    starts = ["2024-01-01", "2024-10-27", "2025-08-23", "2026-06-19"]  # 300 days a page
    assert [query.partition("start=")[2][:10] for query in candles] == starts


def test_the_first_exchange_that_answers_is_used(server: FeedServer, now: datetime) -> None:
    server.pages["coinbaseexchange/products"] = Page(b"upstream is down", 503)
    (found,) = source("ccxt", server.root).quotes("BTC/USD", interval="day", start=START, now=now)
    assert found.told_by == "bitstamp"
    assert len(found.quotes) == 5


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (page("page.html"), "coinbaseexchange gave no bars of BTC/USD"),
        (page("page.html", 403), "coinbaseexchange"),
        (Page(b"", 500), "coinbaseexchange cannot be reached"),
        (Page(b"slow down", 429), "coinbaseexchange asks us to slow down"),
        (Page(b"[]"), "coinbaseexchange gave no bars of BTC/USD"),
        (Page(b'[["x"], null, [1]]'), "coinbaseexchange gave no bars of BTC/USD"),
    ],
)
def test_every_exchange_that_fails_is_named_with_its_reason(
    server: FeedServer, now: datetime, broken: Page, sentence: str
) -> None:
    for path in PAGES:
        if path.endswith(("candles", "OHLC")) or "ohlc" in path:
            server.pages[path] = broken
    with pytest.raises(SourceError) as raised:
        ask(source("ccxt", server.root), "BTC/USD", now)
    said = str(raised.value)
    assert said.startswith("No exchange answers: " if raised.value.away else "No exchange gave BTC/USD: ")
    assert sentence in said
    assert "bitstamp" in said
    assert "kraken" in said
    assert "<" not in said
    assert len(said) < 600


def test_an_unknown_market_is_named(server: FeedServer, now: datetime) -> None:
    with pytest.raises(SourceError, match="coinbaseexchange lists no market NOPE/USD; bitstamp lists no market NOPE"):
        ask(source("ccxt", server.root), "NOPE/USD", now)


def test_yahoo_gives_unadjusted_closes_by_the_day_of_the_exchange(server: FeedServer, now: datetime) -> None:
    assert ask(source("yfinance", server.root), "GC=F", now) == [
        Quote(date(2026, 11, 16), 4016.5),
        Quote(date(2026, 11, 17), 4017.25),
        Quote(date(2026, 11, 19), 4019.0),
        Quote(date(2026, 11, 20), 4020.75),
    ]


@pytest.mark.parametrize(
    ("symbol", "answer", "sentence"),
    [
        ("GONE1", page("yahoo-unknown.json", 404), "Yahoo has no prices of GONE1"),
        ("WEB1", page("page.html"), "Yahoo answered with something that is not prices"),
        ("DOWN1", Page(b"Will be right back", 503), "Yahoo answered with something that is not prices"),
        ("SLOW1", Page(b"Too Many Requests", 429), "Yahoo asks us to slow down"),
    ],
)
def test_what_yahoo_cannot_give_is_said_in_a_sentence(
    server: FeedServer, now: datetime, symbol: str, answer: Page, sentence: str
) -> None:
    server.pages[f"v8/finance/chart/{symbol}"] = answer
    with pytest.raises(SourceError, match=sentence):
        ask(source("yfinance", server.root), symbol, now)


def test_fred_leaves_out_days_without_a_value(server: FeedServer, now: datetime) -> None:
    assert ask(source("fred", server.root), "DFII10", now) == [
        Quote(date(2026, 11, 16), 1.81),
        Quote(date(2026, 11, 17), 1.79),
        Quote(date(2026, 11, 20), 1.75),
    ]
    assert server.seen[-1][0] == "/graph/fredgraph.csv?id=DFII10&cosd=2026-11-16"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (page("page.html"), "FRED answered for DFII10 with something that is not its CSV file"),
        (page("page.html", 404), "FRED knows no series DFII10"),
        (Page(b"", 200), "not its CSV file"),
        (Page(b"", 503), "FRED answered 503 Service Unavailable."),
        (Page(b"observation_date,DFII10\n2026-11-16,1.81\nnever,x\n", 200), "FRED's file of DFII10 is broken"),
        (Page(b"observation_date,DFII10\n2026-11-16\n", 200), "FRED's file of DFII10 is broken"),
    ],
)
def test_what_fred_cannot_give_is_said_in_a_sentence(
    server: FeedServer, now: datetime, answer: Page, sentence: str
) -> None:
    server.pages["graph/fredgraph.csv"] = answer
    with pytest.raises(SourceError, match=sentence):
        ask(source("fred", server.root), "DFII10", now)


@pytest.mark.parametrize(("name", "symbol"), [("ccxt", "BTC/USD"), ("yfinance", "AWAY1"), ("fred", "DFII10")])
def test_a_source_that_cannot_be_reached_says_so(now: datetime, name: str, symbol: str) -> None:
    with pytest.raises(SourceError, match="cannot be reached") as raised:
        ask(source(name, NOBODY), symbol, now)
    assert raised.value.away


def test_quotes_become_bars_at_the_instant_of_the_close_and_none_that_is_still_open(now: datetime) -> None:
    quotes = [Quote(date(2026, 11, day), float(day)) for day in (20, 19, 21)]
    assert [(bar.closed_at, bar.close) for bar in bars_of(quotes, "SPX", definitions.asset("SPX"), now=now)] == [
        (datetime(2026, 11, 19, 21, tzinfo=UTC), 19.0),
        (datetime(2026, 11, 20, 21, tzinfo=UTC), 20.0),
    ]
    hours = [Quote(now - timedelta(hours=1), 5.0), Quote(now + timedelta(hours=1), 6.0)]
    assert [bar.close for bar in bars_of(hours, "BTC", definitions.asset("BTC"), now=now)] == [5.0]


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_what_is_no_price_becomes_no_bar(now: datetime, value: float) -> None:
    assert bars_of([Quote(START, value)], "BTC", definitions.asset("BTC"), now=now) == []


def test_a_macro_value_is_known_after_its_release_lag() -> None:
    (point,) = points_of([Quote(date(2026, 10, 1), 320.5)], "CPIAUCSL", definitions.macro("CPIAUCSL"))
    assert f"{point.known_at:%Y-%m-%d}" == "2026-11-14"
