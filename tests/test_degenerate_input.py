"""Input that says little or nothing: each gets a refusal that names the reason, or the right answer; no warning.

Warnings are errors here as in every test. What a service refuses, the command line and HTTP refuse with its sentence.
"""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from fakes import found_article
from record import tag

from analysis.event_study import event_study as judge_events
from analysis.event_study import weekly_correlation
from analysis.forecast import beside
from analysis.lead_lag import align
from analysis.lead_lag import lead_lag as judge_lags
from models.database import Database
from models.errors import BadInput, StoryshiftError
from models.prices import FoundBar
from models.store.articles import add_articles
from models.store.prices import add_bars
from services.event_study import event_study
from services.lead_lag import lead_lag
from services.series import Question, tone
from services.triggers import triggers
from storyshift.__main__ import main

DAY = timedelta(days=1)
FIRST = datetime(2020, 1, 2, tzinfo=UTC)
N = 200
RNG = np.random.default_rng(0)
NOISE, PRICE = RNG.standard_normal(N), 100 * np.exp(np.cumsum(0.01 * RNG.standard_normal(N)))
Dated = list[tuple[datetime, float]]


def daily(values: np.ndarray) -> Dated:
    return [(FIRST + n * DAY, float(value)) for n, value in enumerate(values)]


# -- lead and lag -----------------------------------------------------------------------------------------------------

REFUSED = {
    "constant series": (daily(np.full(N, 0.1)), daily(PRICE), "All 199 values of the series are the same"),
    "constant price": (daily(NOISE), daily(np.full(N, 100.0)), "All 199 values of .*the price are the same"),
    "even growth": (daily(NOISE), daily(100 * 1.001 ** np.arange(N)), "All 199 values of .*the price are the same"),
    "one burst": (daily(np.eye(N)[100]), daily(PRICE), "Only 1 of 199 values of the series differ"),
    "one jump": (daily(NOISE), daily(100.0 + (np.arange(N) > 9)), "Only 1 of 199 values of .*the price differ"),
    "two prices in turn": (daily(NOISE), daily(np.tile([100.0, 101.0], N // 2)), "The past of the price|are the same"),
    "no row": ([], daily(PRICE), r"There are too few values of the series \(0\)"),
    "one row": (daily(NOISE[:1]), daily(PRICE), r"There are too few values of the series \(1\)"),
    "one price": (daily(NOISE), daily(PRICE[:1]), r"There are too few values of the price \(1\)"),
    "prices once a month": (daily(NOISE), daily(PRICE)[::30], "Only 6 rows have both a value and a return"),
    "a hole in the prices": (daily(NOISE)[60:90], daily(PRICE)[:20] + daily(PRICE)[150:], "No close follows a value"),
    "nothing but NaN": (daily(np.full(N, np.nan)), daily(PRICE), "Only 0 rows have both a value and a return"),
    "infinity": (daily(np.r_[NOISE[:-1], np.inf]), daily(PRICE), "holds values from .* to inf in size"),
    "huge values": (daily(1e300 * NOISE), daily(PRICE), r"holds values from 4e\+297 to 2e\+300 in size"),
    "tiny values": (daily(1e-300 * NOISE), daily(PRICE), "Write it in another unit"),
}


@pytest.mark.parametrize("target", ["return", "volatility"])
@pytest.mark.parametrize("case", REFUSED)
def test_lead_and_lag_of_what_says_nothing_is_refused(case: str, target: str) -> None:
    values, closes, told = REFUSED[case]
    with pytest.raises(BadInput, match=told):
        judge_lags(align(values, closes), target=target, resamples=99)  # type: ignore[arg-type]


ANSWERED = {
    "constant, then not": (daily(np.r_[np.full(150, 0.1), NOISE[:50]]), daily(PRICE), 199),
    "a price that rests, then not": (daily(NOISE), daily(np.r_[np.full(150, 100.0), PRICE[:50]]), 199),
    "gaps of weeks": ([one for n, one in enumerate(daily(NOISE)) if n % 40 < 12], daily(PRICE), 59),
    "gaps of weeks in the prices": (daily(NOISE), [one for n, one in enumerate(daily(PRICE)) if n % 40 < 12], 55),
    "a straight line": (daily(np.arange(N)), daily(PRICE), 199),
    "a step": (daily(np.r_[np.ones(90), np.full(110, 2.0)]), daily(PRICE), 199),
    "the returns themselves": (daily(np.diff(np.log(PRICE), prepend=0.0)), daily(PRICE), 199),
    "hours": ([(FIRST + n * timedelta(hours=1), x) for n, x in enumerate(np.tile(NOISE, 24))], daily(PRICE), 199),
    "half of it NaN": (daily(np.where(np.arange(N) % 2, np.nan, NOISE)), daily(PRICE), 99),
    "moves on every eighth day": (daily(NOISE), daily(np.repeat(PRICE[:25], 8)), 199),
    "25 rows": (daily(NOISE[:25]), daily(PRICE[:25]), 24),
    "duplicate and unsorted": (daily(NOISE)[::-1] * 2, daily(PRICE)[::-1] * 2, 199),
}


@pytest.mark.parametrize("target", ["return", "volatility"])
@pytest.mark.parametrize("case", ANSWERED)
def test_lead_and_lag_of_what_says_little_is_finite_and_whole(case: str, target: str) -> None:
    values, closes, n = ANSWERED[case]
    found = align(values, closes)
    answer = judge_lags(found, target=target, resamples=99)  # type: ignore[arg-type]
    also = beside(found.driver, found.wanted(target), max_lag=answer.max_lag)  # type: ignore[arg-type]
    numbers = [number for row in answer.lags for number in (row.estimate, row.low, row.high, row.p)]
    numbers += [number for row in also.projections for number in (row.estimate, row.low, row.high)]
    numbers += [also.out_of_sample.r2 or 0.0, also.out_of_sample.p or 0.0, also.granger_driver_to_price.p or 0.0]
    assert answer.n == n
    assert np.isfinite(numbers).all()
    assert also.granger_driver_to_price.p != 0.0, "a p of nothing is the mark of a standard error of nothing"


@pytest.mark.parametrize("turned", [1e-20 * NOISE, 1e20 * NOISE, 1e9 + NOISE])
def test_neither_a_unit_nor_an_offset_changes_what_stands_beside(turned: np.ndarray) -> None:
    plain, other = (align(daily(values), daily(PRICE)) for values in (NOISE, turned))
    one, two = (beside(found.driver, found.returns, max_lag=5) for found in (plain, other))
    assert two.granger_driver_to_price.p == pytest.approx(one.granger_driver_to_price.p, abs=2e-4)
    assert two.out_of_sample.r2 == pytest.approx(one.out_of_sample.r2, abs=2e-4)
    assert two.projections[-1].estimate == pytest.approx(one.projections[-1].estimate, abs=2e-6)


# -- event study ------------------------------------------------------------------------------------------------------

YEARS = 2_500
LONG = 100 * np.exp(np.cumsum(0.02 * RNG.standard_normal(YEARS)))
EVENTS = [(FIRST + n * DAY).date() for n in range(500, 2_300, 200)]


@pytest.mark.parametrize(
    ("closes", "verdict", "n"),
    [
        ([], "too_small", 0),
        (daily(LONG[:1]), "too_small", 0),
        (daily(LONG)[::30], "too_small", 0),
        ([one for n, one in enumerate(daily(LONG)) if n % 60 < 30], "too_small", 0),
        (daily(np.full(YEARS, 100.0)), "none", 9),
        (daily(100 * 1.001 ** np.arange(YEARS)), "none", 9),
        (daily(1e300 * LONG), "none", 9),
    ],
)
def test_events_beside_prices_that_say_little(closes: Dated, verdict: str, n: int) -> None:
    answer = judge_events(closes, EVENTS, draws=199)
    assert (answer.verdict, answer.n) == (verdict, n)
    if n and verdict == "none" and np.ptp([row.car for row in answer.weeks]) == 0:
        assert {row.p for row in answer.weeks if row.week} == {1.0}
        assert answer.p_family == 1.0


def test_weeks_without_closes_are_no_weeks_in_which_two_assets_stand_still() -> None:
    holes = [one for n, one in enumerate(daily(LONG)) if not 500 < n < 1_500]
    assert weekly_correlation(holes, daily(LONG)) == pytest.approx(1.0, abs=0.02)
    assert weekly_correlation(holes[:100], daily(LONG)) is None


# -- out of the store -------------------------------------------------------------------------------------------------


def fill(database: Database, now: datetime, titles: list[str], *, closes: int = 120) -> None:
    """A story a day with the titles in turn, all of one outlet, and closes of bitcoin."""
    stories = [found_article(f"{title}, day {n}", FIRST + n * DAY) for n, title in enumerate(titles)]
    with database.write() as session:
        add_articles(session, stories, now=now)
        bars = [FoundBar("BTC", FIRST + n * DAY, float(PRICE[n])) for n in range(closes)]
        add_bars(session, "BTC", bars, source="record", now=now)
    tag(database, now)


ALTERNATING = ["safe_haven+ BTC=1: fear", "weather is fine", "safe_haven+ BTC=-1: fear"] * 40
Ask = Callable[..., object]


def whole() -> Question:
    return Question(start=FIRST, end=FIRST + 120 * DAY)


def lags_of(driver: str) -> Ask:
    return lambda session, now: lead_lag(session, [driver], ["BTC"], whole(), now=now)


@pytest.mark.parametrize(
    ("titles", "closes", "ask", "told"),
    [
        ([], 120, lags_of("narrative:safe_haven"), "nothing known of narrative:safe_haven between 2020-01-02 and"),
        ([], 120, lags_of("tone:BTC"), "nothing known of tone:BTC"),
        ([], 120, lags_of("theta"), "nothing known of theta"),
        (
            ["safe_haven+ BTC=1: fear"],
            120,
            lags_of("narrative:safe_haven"),
            r"too few values of narrative:safe_haven \(1\)",
        ),
        (["safe_haven+ BTC=1: fear"], 120, lags_of("tone:BTC"), r"too few values of tone:BTC \(1\)"),
        (["safe_haven+ BTC=1: fear"] * 120, 120, lags_of("narrative:safe_haven"), "values of .* are the same"),
        (["safe_haven+ BTC=1: fear"] * 120, 120, lags_of("tone:BTC"), "values of tone:BTC are the same"),
        (ALTERNATING, 0, lags_of("narrative:safe_haven"), "nothing known of BTC"),
        (ALTERNATING, 1, lags_of("narrative:safe_haven"), "too few values of the price"),
        (
            ALTERNATING,
            0,
            lambda session, now: event_study(session, "shift:panic", "BTC", whole(), now=now),
            "no close of BTC",
        ),
    ],
)
def test_a_store_that_says_too_little_is_refused_in_one_sentence(
    database: Database, now: datetime, titles: list[str], closes: int, ask: Ask, told: str
) -> None:
    fill(database, now, titles, closes=closes)
    with database.read() as session, pytest.raises(StoryshiftError, match=told) as refused:
        ask(session, now)
    assert str(refused.value).count("\n") == 0


def test_a_store_of_one_outlet_or_of_nothing_answers_what_can_be_told(database: Database, now: datetime) -> None:
    with database.read() as session:
        assert {row.state for row in triggers(session, Question(), now=now).rows} == {"unknown"}
        assert {row.tone for row in tone(session, "BTC", whole(), now=now).rows} == {None}
    fill(database, now, ALTERNATING)
    with database.read() as session:
        (pair,) = lead_lag(session, ["narrative:safe_haven"], ["BTC"], whole(), now=now).rows
        assert pair.lead_lag.n == 119
        assert [row.tone for row in tone(session, "BTC", whole(), now=now).rows[:3]] == [1.0, None, -1.0]
        assert event_study(session, "trigger:fiscal_pressure", "BTC", Question(), now=now).row.verdict == "too_small"
        assert {row.state for row in triggers(session, Question(), now=now).rows} == {"unknown"}


# -- plain files, as a person gives them ------------------------------------------------------------------------------


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`storyshift lead-lag` on the lines of two files. Returns: its exit code, stdout and stderr."""

    def run(series: list[str], prices: list[str]) -> tuple[int, str, str]:
        (tmp_path / "series.csv").write_text("\n".join(["date,value", *series]))
        (tmp_path / "prices.csv").write_text("\n".join(["date,close", *prices]))
        files = "--series", str(tmp_path / "series.csv"), "--prices", str(tmp_path / "prices.csv")
        monkeypatch.setattr(sys, "argv", ["storyshift", "lead-lag", *files, "--format", "json"])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


def lines(values: np.ndarray) -> list[str]:
    return [f"{FIRST + n * DAY:%Y-%m-%d},{value}" for n, value in enumerate(values)]


SERIES, PRICES = lines(NOISE), lines(PRICE)


@pytest.mark.parametrize(
    ("series", "prices", "n", "told"),
    [
        (["2020-07-25,nan", "2020-07-26,", "2020-07-27,NaN"], [], 199, ""),
        (["2020-07-25,inf"], ["2020-07-25,-inf"], 199, "value is infinite"),
        ([], ["2020-07-25,0", "2020-07-26,-3"], 199, "close is -3, which has no return"),
        (["2020-01-05,7"], ["2020-01-05,7"], 199, "a value of 2020-01-05 23:59Z stands in line"),
        (["2020-13-45,7", "soon,1"], [], 199, "which is not a date like 2020-03-09"),
    ],
)
def test_rows_that_cannot_be_used_are_told_and_the_rest_is_answered_as_without_them(
    command: Callable[..., tuple[int, str, str]], series: list[str], prices: list[str], n: int, told: str
) -> None:
    plain = json.loads(command(SERIES, PRICES)[1])
    code, out, err = command(SERIES + series, PRICES + prices)
    assert code == 0
    assert told in err
    assert json.loads(out) == plain
    assert plain["n"] == n


def test_the_order_of_rows_and_the_zone_they_are_written_in_change_nothing(
    command: Callable[..., tuple[int, str, str]],
) -> None:
    zones = ["T12:00:00Z", "T14:00:00+02:00", "T07:00:00-05:00"]
    at_noon = (
        [line.replace(",", "T12:00:00Z,") for line in SERIES],
        [line.replace(",", "T12:00:00Z,") for line in PRICES],
    )
    mixed = [line.replace(",", zones[n % 3] + ",") for n, line in enumerate(SERIES)]
    plain = json.loads(command(*at_noon)[1])
    assert json.loads(command(mixed[::-1], at_noon[1][::-1])[1]) == plain


@pytest.mark.parametrize(
    ("series", "prices", "code", "told"),
    [
        ([], PRICES, 2, "series.csv holds no usable row"),
        (["2020-01-02,"], PRICES, 2, "series.csv holds no usable row"),
        (SERIES, [line.split(",")[0] + ",-1" for line in PRICES], 2, "prices.csv holds no usable row"),
        (SERIES[:1], PRICES, 2, "There are too few values of the series (1)"),
        (SERIES, PRICES[:1], 2, "There are too few values of the price (1)"),
        (lines(np.ones(N)), PRICES, 2, "All 199 values of the series are the same"),
        (SERIES[:20], PRICES[:20], 2, "Only 19 rows have both a value and a return"),
    ],
)
def test_files_that_say_too_little_are_refused_in_one_sentence(
    command: Callable[..., tuple[int, str, str]], series: list[str], prices: list[str], code: int, told: str
) -> None:
    ended, out, err = command(series, prices)
    assert (ended, out) == (code, "")
    assert told in err
    assert err.splitlines()[-1].startswith("error: ")
