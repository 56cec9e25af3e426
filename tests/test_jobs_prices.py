from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
from sqlmodel import select

from config import definitions
from ingest.sources import Page, Quote
from jobs.doctor import check_sources
from jobs.prices import HISTORY_FROM, Loaded, LoadReport, load_prices
from models.database import Database
from models.errors import SourceError
from models.prices import FoundBar, Interval, MacroPoint, Watch
from models.store import prices as store
from services.sources import list_prices

ASSETS = """
[assets.BTC]
name = "Bitcoin"
source = "ccxt:BTC/USD"
[assets.SPX]
name = "Shares"
calendar = "XNYS"
source = "yfinance:^GSPC"
[macro.DFII10]
name = "Real yield"
unit = "percent"
frequency = "day"
lag_days = 1
source = "fred:DFII10"
"""
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass
class FakeSource:
    """Gives `value(day)` for every weekday asked for from `begins` on, and ten days by the hour, in pages; can break
    off, and remembers what it was asked. Where a long history is nothing to the test, a short one is quick to load."""

    told_by: str
    values: dict[date, float] = field(default_factory=dict)
    begins: date = date(2024, 9, 2)
    page_days: int = 100_000
    breaks_after: int | None = None
    away: bool = False
    missing: set[date] = field(default_factory=set)
    asked: list[tuple[str, Interval, date]] = field(default_factory=list)

    def quotes(self, symbol: str, *, interval: Interval, start: date, now: datetime) -> Iterator[Page]:
        self.asked.append((symbol, interval, start))
        days = [start + DAY * n for n in range((now.date() - start).days + 1)]
        given = [day for day in days if day.weekday() < 5 and self.begins <= day not in self.missing]
        for number, first in enumerate(range(0, len(given), self.page_days)):
            if number == self.breaks_after:
                raise SourceError(f"{self.told_by} cannot be reached.", away=self.away)
            page = given[first : first + self.page_days]
            if interval == "hour":
                last = [day for day in page if day > now.date() - 10 * DAY]
                hours = [datetime.combine(day, datetime.min.time(), UTC) + HOUR * h for day in last for h in range(24)]
                yield Page(self.told_by, [Quote(at, 1.0) for at in hours if start <= at.date() and at <= now])
            else:
                yield Page(self.told_by, [Quote(day, self.values.get(day, 100.0)) for day in page])


@pytest.fixture(autouse=True)
def _assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "assets.toml").write_text(ASSETS)
    monkeypatch.setenv("STORYSHIFT_CONFIG_DIR", str(folder))
    definitions.forget()


@pytest.fixture
def sources() -> dict[str, FakeSource]:
    return {"ccxt": FakeSource("kraken"), "yfinance": FakeSource("yfinance"), "fred": FakeSource("fred")}


def load(database: Database, sources: dict[str, FakeSource], now: datetime, *, every: bool = False) -> LoadReport:
    return load_prices(database, sources, clock=lambda: now, every=every)


def one(report: LoadReport, key: str, interval: str = "day") -> Loaded:
    return next(loaded for loaded in report.series if (loaded.key, loaded.interval) == (key, interval))


def closes(database: Database, asset: str, as_of: datetime, interval: Interval = "day") -> dict[date, float]:
    with database.read() as session:
        bars = store.read_bars(session, asset, as_of=as_of, interval=interval)
    return {bar.closed_at.date(): bar.close for bar in bars}


def watch(database: Database, key: str, interval: str = "day") -> Watch:
    with database.read() as session:
        return next(w for w in store.watches(session) if (w.key, w.interval) == (key, interval))


def test_the_first_load_brings_the_history_and_what_was_struck_before_is_assumed_known(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    sources["yfinance"].begins = HISTORY_FROM
    report = load(database, sources, now)
    assert [(loaded.kind, loaded.key, loaded.interval, loaded.error) for loaded in report.series] == [
        ("price", "BTC", "day", None),
        ("price", "SPX", "day", None),
        ("price", "BTC", "hour", None),
        ("macro", "DFII10", "day", None),
    ]
    assert one(report, "SPX").new == len(closes(database, "SPX", now)) > 3_000
    assert min(closes(database, "SPX", datetime(2014, 6, 1, tzinfo=UTC))) == date(2014, 1, 1)
    assert sources["yfinance"].asked == [("^GSPC", "day", HISTORY_FROM)]
    assert sources["ccxt"].asked[1][1:] == ("hour", (now - timedelta(days=92)).date())


def test_bars_by_the_hour_and_by_the_day_are_kept_apart(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    load(database, sources, now)
    assert set(closes(database, "BTC", now).values()) == {100.0}
    assert set(closes(database, "BTC", now, "hour").values()) == {1.0}


def test_a_bar_struck_while_we_watched_is_known_when_it_was_seen(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    load(database, sources, now)
    later = now + 4 * DAY
    load(database, sources, later, every=True)
    monday = date(2026, 11, 23)
    assert monday not in closes(database, "SPX", later - HOUR)  # it closed on Monday, but nobody looked until Wednesday
    assert monday in closes(database, "SPX", later)


def test_a_corrected_bar_is_kept_beside_the_old_one_and_known_from_then(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    load(database, sources, now)
    friday = date(2026, 11, 20)
    sources["yfinance"].values[friday] = 101.0
    assert one(load(database, sources, now + DAY, every=True), "SPX").corrected == 1
    assert closes(database, "SPX", now)[friday] == 100.0
    assert closes(database, "SPX", now + DAY)[friday] == 101.0


def test_after_a_correction_the_whole_history_is_asked_for_next(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    load(database, sources, now)
    sources["yfinance"].values = {HISTORY_FROM + DAY * n: 50.0 for n in range(5_000)}  # a split: two for one
    load(database, sources, now + DAY, every=True)
    load(database, sources, now + DAY + HOUR, every=True)
    assert [start for _, _, start in sources["yfinance"].asked] == [
        HISTORY_FROM,
        date(2026, 11, 10),
        HISTORY_FROM,
    ]
    assert set(closes(database, "SPX", now + DAY + HOUR).values()) == {50.0}


def test_another_exchange_is_no_correction(database: Database, sources: dict[str, FakeSource], now: datetime) -> None:
    load(database, sources, now)
    sources["ccxt"] = FakeSource("bitstamp", {HISTORY_FROM + DAY * n: 100.5 for n in range(5_000)})
    report = load(database, sources, now + 3 * DAY, every=True)
    assert one(report, "BTC").corrected == 0
    found = closes(database, "BTC", now + 3 * DAY)
    assert found[date(2026, 11, 21)] == 100.0  # as the first told it
    assert found[date(2026, 11, 24)] == 100.5


def test_imported_bars_stay_as_they_are(database: Database, sources: dict[str, FakeSource], now: datetime) -> None:
    at = datetime(2020, 3, 13, tzinfo=UTC)
    with database.write() as session:
        store.add_bars(session, "BTC", [FoundBar("BTC", at, 4_970.8)], source="BTC.csv", now=now)
    sources["ccxt"].begins = HISTORY_FROM
    assert one(load(database, sources, now), "BTC").corrected == 0
    assert closes(database, "BTC", now)[at.date()] == 4_970.8


def test_a_backfill_that_breaks_off_goes_on_where_it_was(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    sources["yfinance"].begins = HISTORY_FROM
    sources["yfinance"].page_days, sources["yfinance"].breaks_after = 500, 2
    report = load(database, sources, now)
    assert (one(report, "SPX").new, one(report, "SPX").error) == (1_000, "yfinance cannot be reached.")
    assert one(report, "DFII10").error is None  # the others go on
    sources["yfinance"].breaks_after = None
    load(database, sources, now + HOUR)
    assert sources["yfinance"].asked[1][2] == date(2017, 10, 31)  # the last day of the second page
    found = closes(database, "SPX", now + HOUR)
    assert (min(found), max(found), len(found)) == (date(2014, 1, 1), date(2026, 11, 20), 3_363)
    assert watch(database, "SPX").whole_at == now + HOUR


def test_half_a_year_that_was_missing_is_filled_once_the_source_has_it(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    hole = {date(2025, 1, 1) + DAY * n for n in range(182)}
    sources["yfinance"].missing = hole
    load(database, sources, now)
    assert not hole & set(closes(database, "SPX", now))
    sources["yfinance"].missing = set()
    load(database, sources, now + DAY, every=True)
    assert not hole & set(closes(database, "SPX", now + DAY))  # only the last days were asked for
    load(database, sources, now + 8 * DAY, every=True)
    filled = closes(database, "SPX", now + 8 * DAY)
    assert {day for day in hole if day.weekday() < 5} <= set(filled)
    assert not hole & set(closes(database, "SPX", now + 7 * DAY))  # what was not there then stays so


def test_a_source_that_fails_is_asked_ever_more_rarely_and_taken_back(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    sources["fred"].breaks_after = 0
    waits = []
    at = now
    for _ in range(9):
        report = load(database, sources, at)
        assert one(report, "DFII10").error == "fred cannot be reached."
        waits.append((watch(database, "DFII10").next_at - at) / timedelta(minutes=1))
        at = watch(database, "DFII10").next_at
    assert waits == [5, 10, 20, 40, 80, 160, 320, 360, 360]
    sources["fred"].breaks_after = None
    load(database, sources, at)
    found = watch(database, "DFII10")
    assert (found.failures, found.last_error, found.loaded_at) == (0, None, at)


def test_a_source_that_does_not_answer_is_not_asked_again_in_the_same_round(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    sources["ccxt"].breaks_after, sources["ccxt"].away = 0, True
    report = load(database, sources, now)
    assert report.failures == {"kraken cannot be reached.": ["BTC", "BTC by the hour"]}
    assert len(sources["ccxt"].asked) == 1
    assert watch(database, "BTC", "hour").failures == 1


def test_a_load_says_where_half_a_year_is_missing(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    sources["yfinance"].missing = {date(2025, 1, 1) + DAY * n for n in range(182)}
    load(database, sources, now)
    with database.read() as session:
        views = {(view.key, view.interval): view for view in list_prices(session)}
    ((before, after),) = views["SPX", "day"].gaps
    assert (before.date(), after.date()) == (date(2024, 12, 31), date(2025, 7, 2))
    assert views["BTC", "day"].gaps == []
    assert views["BTC", "day"].answered_by == "kraken"
    assert views["DFII10", "day"].last == date(2026, 11, 20)


def test_each_source_is_checked_and_says_why_it_fails(sources: dict[str, FakeSource], now: datetime) -> None:
    sources["yfinance"].breaks_after = 0
    sources["fred"].missing = {now.date() - DAY * n for n in range(10)}
    found = {check.source: (check.answers, check.said) for check in check_sources(sources, now=now)}
    assert found == {
        "ccxt": (True, "100.00 on 2026-11-20"),
        "yfinance": (False, "yfinance cannot be reached."),
        "fred": (False, "gave nothing for the last days"),
    }


def test_nothing_is_asked_before_a_bar_can_be_there(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    load(database, sources, now)
    assert watch(database, "BTC").next_at == datetime(2026, 11, 22, 0, 20, tzinfo=UTC)
    assert watch(database, "BTC", "hour").next_at == now + HOUR + timedelta(minutes=3)
    assert watch(database, "SPX").next_at == datetime(2026, 11, 23, 21, 20, tzinfo=UTC)  # Monday, after the close
    assert load(database, sources, now + timedelta(minutes=10)).series == []


def test_a_bar_that_is_late_is_asked_for_again_within_the_hour(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    sources["yfinance"].missing = {date(2026, 11, 20)}
    load(database, sources, now)
    assert watch(database, "SPX").next_at == now + HOUR


def test_a_macro_value_seen_late_is_known_when_it_was_seen(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    sources["fred"].missing = {date(2026, 11, 19), date(2026, 11, 20)}
    load(database, sources, now)
    sources["fred"].missing = set()
    sources["fred"].values = {date(2026, 3, 2): 3.0}
    report = load(database, sources, now + 4 * DAY, every=True)
    assert (one(report, "DFII10").new, one(report, "DFII10").corrected) == (5, 1)
    with database.read() as session:
        rows = session.exec(select(MacroPoint).order_by(MacroPoint.period, MacroPoint.known_at)).all()
    known = {(row.period, row.value): row.known_at for row in rows}
    assert known[date(2026, 3, 2), 100.0] == datetime(2026, 3, 3, 23, 59, 59, tzinfo=UTC)
    assert known[date(2026, 3, 2), 3.0] == now + 4 * DAY
    assert known[date(2026, 11, 20), 100.0] == now + 4 * DAY


def test_a_removed_source_is_asked_no_more(
    database: Database, sources: dict[str, FakeSource], now: datetime, tmp_path: Path
) -> None:
    load(database, sources, now)
    held = closes(database, "SPX", now)
    (tmp_path / "config" / "assets.toml").write_text(ASSETS.replace('source = "yfinance:^GSPC"', ""))
    definitions.forget()
    assert [loaded.key for loaded in load(database, sources, now + DAY, every=True).series] == ["BTC", "BTC", "DFII10"]
    assert closes(database, "SPX", now) == held != {}


def test_two_loaders_at_once_ask_for_each_series_once(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    together = Barrier(2)

    def run() -> None:
        together.wait()
        load(database, sources, now)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asked = sorted((symbol, interval) for source in sources.values() for symbol, interval, _ in source.asked)
    assert asked == [("BTC/USD", "day"), ("BTC/USD", "hour"), ("DFII10", "day"), ("^GSPC", "day")]


def test_a_series_that_is_being_loaded_is_nobody_else_s_and_free_again_after_ctrl_c(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    class Stopped(FakeSource):
        def quotes(self, *_: str, now: datetime, **__: object) -> Iterator[Page]:
            others = {name: FakeSource("other") for name in sources}
            load(database, others, now)
            assert ("^GSPC", "day") not in [(name, span) for name, span, _ in others["yfinance"].asked]
            assert watch(database, "SPX").next_at > now
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(database, sources | {"yfinance": Stopped("yfinance")}, now)
    load(database, sources, now)
    assert one(load(database, sources, now + DAY, every=True), "SPX").error is None
    assert [symbol for symbol, _, _ in sources["yfinance"].asked] == ["^GSPC", "^GSPC"]


@pytest.mark.parametrize("back", [HOUR * 5, DAY * 500])
def test_a_clock_set_back_keeps_no_series_waiting(
    database: Database, sources: dict[str, FakeSource], now: datetime, back: timedelta
) -> None:
    load(database, sources, now)
    assert len(load(database, sources, now - back).series) == 4
    assert load(database, sources, now - back).series == []


def test_so_many_at_a_time_are_loaded_the_rest_next_time(
    database: Database, sources: dict[str, FakeSource], now: datetime
) -> None:
    loaded = [len(load_prices(database, sources, clock=lambda: now, most=3).series) for _ in range(3)]
    assert loaded == [3, 1, 0]
