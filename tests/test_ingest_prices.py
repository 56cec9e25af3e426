"""Closes and macro values from files: when each bar was struck, when each value was known, and what is refused."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config import definitions
from config.definitions import Asset
from ingest.calendars import close_instants
from ingest.prices import PriceFile, interval_of, read_bars, read_points, released_at, value_column
from models.clocks import end_of_day
from models.errors import BadFile, ConfigError
from models.prices import FoundBar, FoundPoint

# exchange_calendars 4.13 leans on what pandas 3.1 calls deprecated
Bars = Callable[..., PriceFile[FoundBar]]
Points = Callable[..., PriceFile[FoundPoint]]


@pytest.fixture
def bars(tmp_path: Path, now: datetime) -> Bars:
    def _bars(key: str, *lines: str, name: str = "prices.csv", head: str = "date,close\n") -> PriceFile[FoundBar]:
        path = tmp_path / name
        path.write_text(head + "\n".join(lines), encoding="utf-8")
        return read_bars(path, key, definitions.asset(key), now=now)

    return _bars


@pytest.fixture
def points(tmp_path: Path, now: datetime) -> Points:
    def _points(key: str, *lines: str) -> PriceFile[FoundPoint]:
        path = tmp_path / "macro.csv"
        path.write_text(f"date,{key}\n" + "\n".join(lines), encoding="utf-8")
        return read_points(path, key, definitions.macro(key), key, now=now)

    return _points


@pytest.mark.parametrize(
    ("key", "written", "closed"),
    [
        ("BTC", "2020-03-09", "2020-03-10T00:00"),
        ("BTC", "2020-12-31", "2021-01-01T00:00"),
        ("SPX", "2020-07-01", "2020-07-01T20:00"),
        ("SPX", "2020-01-15", "2020-01-15T21:00"),
        ("SPX", "2020-11-27", "2020-11-27T18:00"),
        ("SPX", "2020-12-25", "2020-12-25T18:00"),
        ("VIX", "2020-07-01", "2020-07-01T20:15"),
        ("XAU", "2020-07-01", "2020-07-01T21:00"),
        ("XAU", "2020-01-15", "2020-01-15T22:00"),
        ("BTC", "20200309", "2020-03-10T00:00"),
        ("SPX", "20200701", "2020-07-01T20:00"),
        ("SPX", "2020-07-01T19:30:00Z", "2020-07-01T19:30"),
        ("BTC", "2020-03-09T10:00:00-05:00", "2020-03-09T15:00"),
    ],
)
def test_a_bar_is_struck_when_its_session_ends(bars: Bars, key: str, written: str, closed: str) -> None:
    result = bars(key, f"{written},1.5")
    assert result.found == [FoundBar(key, datetime.fromisoformat(closed).replace(tzinfo=UTC), 1.5)]


def test_midnight_means_the_day_in_whatever_zone_it_is_written(bars: Bars) -> None:
    """As yfinance writes the days of New York."""
    result = bars("SPX", "2020-01-15 00:00:00-05:00,1", "2020-07-01 00:00:00-04:00,2", "2020-07-02T00:00,3")
    assert [f"{bar.closed_at:%m-%d %H:%M}" for bar in result.found] == ["01-15 21:00", "07-01 20:00", "07-02 20:00"]


def test_a_quote_of_today_does_not_turn_a_file_of_days_into_one_of_hours(bars: Bars) -> None:
    result = bars("BTC", "2020-03-09 00:00:00+00:00,1", "2020-03-10 00:00:00+00:00,2", "2020-03-11 15:32:10+00:00,3")
    assert [f"{bar.closed_at:%m-%d %H:%M}" for bar in result.found] == ["03-10 00:00", "03-11 00:00", "03-11 15:32"]


def test_in_a_file_of_hours_midnight_is_an_hour(bars: Bars) -> None:
    hours = [f"2020-03-{9 + h // 24:02d}T{h % 24:02d}:00:00Z,{h + 1}" for h in range(30)]
    found = bars("BTC", *hours).found
    assert [bar.close for bar in found] == list(range(1, 31))
    assert found[24].closed_at == datetime(2020, 3, 10, tzinfo=UTC)
    assert interval_of(Path("f.csv"), found) == "hour"


def test_days_with_holidays_are_bars_by_the_day_and_minutes_are_refused(bars: Bars) -> None:
    assert interval_of(Path("f.csv"), bars("SPX", "2020-07-01,1", "2020-07-02,1", "2020-07-06,1").found) == "day"
    assert interval_of(Path("f.csv"), bars("BTC", "2020-07-01,1").found) == "day"
    minutes = bars("BTC", *(f"2020-07-01T10:{m:02d}:00Z,1" for m in range(0, 60, 5)))
    with pytest.raises(BadFile, match=r"f.csv: holds bars of 0:05:00; bring bars by the hour or by the day"):
        interval_of(Path("f.csv"), minutes.found)


def test_bars_come_out_in_the_order_of_time_whatever_the_file_s(bars: Bars) -> None:
    found = bars("BTC", "2020-03-10,2", "2020-03-09T12:00:00Z,0.5", "2020-03-08,-37.63").found
    assert [bar.close for bar in found] == [-37.63, 0.5, 2]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2020-03-10,n/a", "close is 'n/a', which is not a number."),
        ('2020-03-10,"7,935.10"', "close is '7,935.10', which is not a number."),
        ("2020-03-10,0", "close is 0, which is no price"),
        ("2020-03-10,inf", "close is infinite."),
        ("2020-03-10,-1e999", "close is infinite."),
        ("10.03.2020,1", "date is '10.03.2020', which is not a date like"),
        (",1", "date is '', which is not a date like"),
        ("2020-03-10,1,2", "has 3 values under 2 columns."),
        ("2020-03-09,1", "a bar that closed at 2020-03-10 00:00Z stands in line 2 already."),
        ("2020-03-09T00:00:00Z,1", "a bar that closed at 2020-03-10 00:00Z stands in line 2 already."),
        ("2026-11-21,1", "the bar closes at 2026-11-22 00:00Z, which is in the future."),
        ("9999-12-31,1", "9999"),
        ('"Mon, 9 Mar 2020 1:2:3 +99999999999999999999",1', "which is not a date like"),
    ],
)
def test_a_bar_that_cannot_be_one_is_refused_with_its_line(bars: Bars, line: str, reason: str) -> None:
    result = bars("BTC", "2020-03-09,7935.1", line, "2020-03-11,7911.4")
    assert [bar.close for bar in result.found] == [7935.1, 7911.4]
    (refused,) = result.refused
    assert refused.line == 3
    assert reason in str(refused)


@pytest.mark.parametrize("day", ["0001-01-01", "0020-03-10", "9999-12-31"])
def test_a_mistyped_year_costs_its_bar_and_not_the_file(bars: Bars, day: str) -> None:
    result = bars("SPX", "2020-03-09,2746.56", f"{day},1")
    assert [bar.close for bar in result.found] == [2746.56]
    assert [row.line for row in result.refused] == [3]


def test_a_bar_that_closes_now_is_taken(bars: Bars, now: datetime) -> None:
    assert bars("BTC", f"{now:%Y-%m-%dT%H:%M:%SZ},1").found == [FoundBar("BTC", now, 1)]


@pytest.mark.parametrize("value", ["", " ", ".", "nan"])
def test_a_day_without_a_value_is_empty_and_not_refused(bars: Bars, points: Points, value: str) -> None:
    for result in (bars("BTC", f"2020-03-09,{value}"), points("DGS10", f"2020-03-09,{value}")):
        assert (result.found, result.refused, result.empty) == ([], [], 1)


@pytest.mark.parametrize("close", ["true", "[1]", "9" * 400, '"1 000"'])
def test_what_is_no_number_in_json_is_refused(bars: Bars, close: str) -> None:
    result = bars("BTC", f'{{"date": "2020-03-09", "close": {close}}}', name="prices.jsonl", head="")
    assert (result.found, [row.line for row in result.refused]) == ([], [1])


def test_json_lines_without_the_column_are_not_passed_off_as_empty(bars: Bars) -> None:
    try:
        result = bars("BTC", '{"date": "2020-03-09", "price": 1}', name="prices.jsonl", head="")
    except BadFile:
        return
    assert (result.empty, len(result.refused)) == (0, 1)


def test_a_missing_column_is_named_beside_those_that_are_there(bars: Bars, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="has no column 'close'. It needs date, close; found: date, price."):
        bars("BTC", "2020-03-09,1", head="date,price\n")
    path = tmp_path / "DGS10.csv"
    path.write_text("DATE,rate\n2020-03-09,1\n")
    with pytest.raises(BadFile, match="has no column 'DGS10' or 'value'. Found: DATE, rate."):
        value_column(path, "DGS10", "value")


@pytest.mark.parametrize(("head", "column"), [("date,value,DGS10", "DGS10"), ("date,value,x", "value")])
def test_the_value_stands_under_the_series_name_or_value(tmp_path: Path, head: str, column: str) -> None:
    path = tmp_path / "macro.csv"
    path.write_text(f"{head}\n2020-03-09,1,2\n")
    assert value_column(path, "DGS10", "value") == column


@pytest.mark.parametrize("day", [date(2020, 7, 1), datetime(2020, 7, 1)])
def test_a_day_of_parquet_is_a_day_however_it_is_typed(tmp_path: Path, now: datetime, day: date) -> None:
    path = tmp_path / "SPX.parquet"
    pq.write_table(pa.table({"date": [day], "close": [1.0]}), path)
    (bar,) = read_bars(path, "SPX", definitions.asset("SPX"), now=now).found
    assert bar.closed_at == datetime(2020, 7, 1, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("key", "day", "known"),
    [
        ("DGS10", "2020-03-09", "2020-03-10"),
        ("CPIAUCSL", "2020-02-01", "2020-03-14"),
        ("WALCL", "2020-02-05", "2020-02-06"),
    ],
)
def test_a_macro_value_is_known_at_the_end_of_its_period_plus_the_lag(
    points: Points, key: str, day: str, known: str
) -> None:
    known_at = datetime.fromisoformat(known + "T23:59:59Z")
    assert points(key, f"{day},-0.5").found == [FoundPoint(key, date.fromisoformat(day), -0.5, known_at)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2020-03-10,high", "not a number"),
        ("2026-11-20,1", "in the future"),
        ("soon,1", "date"),
        ("9999-12-31,1", "9999"),
    ],
)
def test_a_macro_value_that_cannot_be_one_is_refused_with_its_line(points: Points, line: str, reason: str) -> None:
    result = points("DGS10", "2020-03-09,0.54", line, "2020-03-11,0.82")
    assert [point.value for point in result.found] == [0.54, 0.82]
    assert [row.line for row in result.refused] == [3]
    assert reason in str(result.refused[0])


def test_a_calendar_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="'NOWHERE' of Tulips"):
        close_instants([date(2020, 3, 9)], Asset(name="Tulips", calendar="NOWHERE"))


def test_no_days_have_no_closes() -> None:
    assert close_instants([], definitions.asset("SPX")) == []


@pytest.mark.parametrize(
    ("day", "known"),
    [
        ("2026-11-18", "2026-11-19"),
        ("2026-11-20", "2026-11-23"),  # a Friday: on Monday
        ("2026-01-16", "2026-01-20"),  # Monday is a federal holiday
        ("2026-11-21", "2026-11-23"),  # a Saturday, of a series that has weekends
    ],
)
def test_a_daily_rate_is_known_on_the_next_us_business_day(day: str, known: str) -> None:
    series = definitions.macro("DGS10")
    assert released_at(date.fromisoformat(day), series) == end_of_day(date.fromisoformat(known))
