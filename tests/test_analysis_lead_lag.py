"""Lead and lag: what is there is found, what is not is not, and nothing of the future changes what was said."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from analysis.lead_lag import ALPHA, Aligned, align, family, lead_lag, log_volatility
from analysis.synthetic import DRIVERS, PRICES, driver, led, loud_together, returns
from models.errors import BadInput

DAY = timedelta(days=1)
FIRST = datetime(2020, 1, 2, tzinfo=UTC)


def planted(kind: str, lag: int, *, n: int = 365, strength: float = 0.3, seed: int = 1) -> Aligned:
    rng = np.random.default_rng(seed)
    return Aligned(*led(driver(kind, n + lag, rng), lag, strength, rng), "day")  # type: ignore[arg-type]


def daily(values: list[float], first: datetime = FIRST) -> list[tuple[datetime, float]]:
    return [(first + n * DAY, value) for n, value in enumerate(values)]


def test_a_planted_lead_is_found_at_its_lag_and_told_in_words() -> None:
    answer = lead_lag(planted("ar80", 5), driver_name="fear", price_name="bitcoin")
    assert (answer.verdict, answer.peak_lag, answer.n, answer.max_lag) == ("news_leads", 5, 365, 20)
    assert answer.p_family <= 0.05
    assert answer.sentence.startswith("Fear comes first: it runs with bitcoin 5 days later (r = +0.")
    peak = answer.lags[20 + 5]
    assert peak.low < peak.estimate < peak.high
    assert peak.p <= 0.01


def test_a_price_that_comes_first_is_told_from_one_that_follows() -> None:
    found = planted("white", 5)
    turned = Aligned(found.returns, found.driver, "day")
    answer = lead_lag(turned)
    assert (answer.verdict, answer.peak_lag) == ("price_leads", -5)
    assert "The price comes first: the series runs with it 5 days later" in answer.sentence


def test_what_moves_together_leads_nothing() -> None:
    rng = np.random.default_rng(2)
    x = driver("white", 200, rng)
    answer = lead_lag(Aligned(x, -0.5 * x + rng.standard_normal(200), "week"))
    assert (answer.verdict, answer.peak_lag) == ("same_time", 0)
    assert "Neither comes first: the series runs against the price at the same time" in answer.sentence


def test_volatility_is_led_where_returns_are_not() -> None:
    rng = np.random.default_rng(3)
    x = driver("ar80", 400, rng)
    moves = np.exp(0.5 * np.r_[np.zeros(3), x[:-3]]) * rng.standard_normal(400)
    assert lead_lag(Aligned(x, moves, "day"), target="volatility").peak_lag == 3
    assert lead_lag(Aligned(x, moves, "day"), target="volatility").verdict == "news_leads"
    assert lead_lag(Aligned(x, moves, "day")).verdict == "none"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["return", "volatility"])
def test_chance_is_taken_for_a_lead_in_one_of_twenty_cases_and_not_more(target: str) -> None:
    """75 pairs a cell; benchmarks/lead_lag.py draws 5,000. The bound is what chance exceeds once in 10,000 runs."""
    alarms = pairs = 0
    for kind in DRIVERS:
        for price in PRICES:
            for n in (48, 168):
                rng = np.random.default_rng([n, DRIVERS.index(kind), PRICES.index(price)])
                for _ in range(75):
                    pair = Aligned(driver(kind, n, rng), returns(price, n, rng), "day")
                    seed = int(rng.integers(2**31))
                    alarms += lead_lag(pair, target=target, seed=seed, resamples=99).verdict != "none"  # type: ignore[arg-type]
                    pairs += 1
    assert alarms <= binom.ppf(1 - 1e-4, pairs, ALPHA)
    assert alarms > 0.01 * pairs, "a test that never alarms finds nothing either"


@pytest.mark.parametrize("kind", DRIVERS)
def test_a_lead_of_a_third_of_the_noise_is_found_in_a_year(kind: str) -> None:
    found = [lead_lag(planted(kind, 5, seed=seed), resamples=99) for seed in range(30)]
    finds = [answer for answer in found if answer.verdict != "none"]
    assert len(finds) >= 24
    if kind != "ar95":  # what hardly changes within days cannot tell which day it was
        assert sum(abs(answer.peak_lag - 5) <= 1 for answer in finds) >= 0.9 * len(finds)


def test_the_same_seed_says_the_same_and_another_nearly_so() -> None:
    found = planted("ar95", 5)
    assert lead_lag(found, seed=4) == lead_lag(found, seed=4)
    assert abs(lead_lag(found, seed=4).p_family - lead_lag(found, seed=5).p_family) < 0.02


@settings(deadline=None, max_examples=30)
@given(scale=st.floats(1e-6, 1e6), shift=st.floats(-1e3, 1e3), sign=st.sampled_from([-1.0, 1.0]))
def test_units_do_not_matter(scale: float, shift: float, sign: float) -> None:
    found = planted("ar80", 5, n=80)
    shift *= scale  # as large against the values as before
    turned = lead_lag(Aligned(sign * scale * found.driver + shift, found.returns, "day"), resamples=99)
    plain = lead_lag(found, resamples=99)
    assert (turned.peak_lag, turned.max_lag) == (plain.peak_lag, plain.max_lag)
    for one, other in zip(turned.lags, plain.lags, strict=True):
        assert one.estimate == pytest.approx(sign * other.estimate, abs=2e-4)


def test_each_lag_is_the_plain_correlation_of_its_pairs_where_the_price_has_no_memory() -> None:
    rng = np.random.default_rng(5)
    x, r = rng.standard_normal(100), rng.standard_normal(100)
    answer = lead_lag(Aligned(x, r, "day"), max_lag=3)
    assert "AR(0)" in answer.method.split(";")[1].split(",")[0]
    for row in answer.lags:
        ahead, behind = max(0, row.lag), max(0, -row.lag)
        told = np.corrcoef(x[behind : 100 - ahead], r[ahead : 100 - behind])[0, 1]
        assert row.estimate == pytest.approx(told, abs=1e-3)


def test_gaps_are_left_out_and_counted() -> None:
    found = planted("ar80", 5)
    x, r = found.driver.copy(), found.returns.copy()
    x[50:60], r[200:215] = np.nan, np.nan
    answer = lead_lag(Aligned(x, r, "day"))
    assert (answer.n, answer.dropped) == (365 - 25, 25)
    assert (answer.verdict, answer.peak_lag) == ("news_leads", 5)


@pytest.mark.parametrize(
    ("x", "r", "told"),
    [
        (np.zeros(60), np.random.default_rng(0).standard_normal(60), "All 60 values of the series are the same"),
        (np.random.default_rng(0).standard_normal(60), np.zeros(60), "All 60 values of the price are the same"),
        (
            np.r_[np.zeros(180), 5.0, np.zeros(184)],
            np.random.default_rng(0).standard_normal(365),
            "Only 1 of 365 values of the series differ from the usual one",
        ),
        (np.random.default_rng(0).standard_normal(60), np.full(60, 0.01) + 1e-15 * np.arange(60), "price are the same"),
        (np.random.default_rng(0).standard_normal(60), np.tile([0.01, -0.02], 30), "The past of the price tells all"),
        (np.arange(23.0), np.arange(23.0) ** 2, "Only 23 rows have both"),
        (np.full(60, np.nan), np.ones(60), "Only 0 rows have both"),
    ],
)
def test_what_cannot_be_told_is_refused_with_a_reason(x: np.ndarray, r: np.ndarray, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        lead_lag(Aligned(x, r, "day"))


def test_24_rows_look_at_six_lags_to_either_side() -> None:
    rng = np.random.default_rng(0)
    answer = lead_lag(Aligned(rng.standard_normal(24), rng.standard_normal(24), "day"))
    assert (answer.n, answer.max_lag, len(answer.lags)) == (24, 6, 13)


def test_a_trend_is_no_lead() -> None:
    rng = np.random.default_rng(6)
    for x in (np.arange(365.0), np.cumsum(rng.standard_normal(365))):
        assert lead_lag(Aligned(x, rng.standard_normal(365), "day"), seed=1).verdict == "none"


def test_volatility_of_a_day_without_movement_is_low_and_finite() -> None:
    found = log_volatility(np.array([0.0, 0.01, -0.01, np.nan]))
    assert np.isfinite(found[:3]).all()
    assert found[0] < found[1] == found[2]
    assert np.isnan(found[3])


# -- realised volatility ----------------------------------------------------------------------------------------------


def by_the_hour(spreads: np.ndarray, rng: np.random.Generator) -> tuple[list, list]:
    """Closes by the hour and by the day (at midnight), whose hourly returns have each day's spread."""
    moves = (spreads[:, None] * rng.standard_normal((len(spreads), 24))).ravel()
    levels = 100 * np.exp(np.r_[0.0, np.cumsum(moves)])
    hourly = [(FIRST - DAY + n * timedelta(hours=1), float(level)) for n, level in enumerate(levels)]
    return hourly, hourly[::24]


def test_realised_volatility_is_the_root_of_the_summed_squares_of_the_hours_of_each_row() -> None:
    rng = np.random.default_rng(8)
    hourly, closes = by_the_hour(np.full(60, 0.01), rng)
    found = align(daily([float(n % 7) for n in range(60)]), closes, hourly)
    moves = np.diff(np.log([close for _, close in hourly])).reshape(60, 24)
    assert found.realised is not None
    assert found.realised[1:] == pytest.approx(np.log(np.sqrt((moves**2).sum(axis=1))))
    assert np.isnan(found.realised[0])
    weekly = [(FIRST + 7 * n * DAY, float(n % 3)) for n in range(8)]
    by_week = align(weekly, closes, hourly).realised
    assert by_week is not None
    assert by_week[1] == pytest.approx(np.log(np.sqrt((moves[1:8] ** 2).sum())))


def test_a_lead_over_realised_volatility_is_found_where_one_return_a_day_hides_it() -> None:
    rng = np.random.default_rng(9)
    x = driver("ar80", 200, rng)
    hourly, closes = by_the_hour(0.004 * np.exp(0.15 * np.r_[np.zeros(3), x[:-3]]), rng)
    values = daily(list(x))
    seen = lead_lag(align(values, closes, hourly), target="volatility")
    hidden = lead_lag(align(values, closes), target="volatility")
    assert (seen.verdict, seen.peak_lag) == ("news_leads", 3)
    assert seen.method.startswith("volatility, realised by the hour: ")
    assert hidden.method.startswith("volatility, ln |r|: ")
    assert abs(hidden.lags[23].estimate) < abs(seen.lags[23].estimate) / 2
    assert lead_lag(align(values, closes, hourly)) == lead_lag(align(values, closes)), "returns need no hours"


def test_days_of_which_too_many_hours_are_missing_have_no_realised_volatility() -> None:
    rng = np.random.default_rng(10)
    hourly, closes = by_the_hour(np.full(60, 0.01), rng)
    values = daily([float(n % 7) for n in range(60)])
    few = [bar for n, bar in enumerate(hourly) if not 240 < n <= 240 + 7]  # seven of the hours of the eleventh day
    enough = [bar for n, bar in enumerate(hourly) if not 240 < n <= 240 + 6]
    still = [(at, 100.0) if 240 <= n <= 264 else (at, close) for n, (at, close) in enumerate(hourly)]
    for bars, missing in ((few, [0, 11]), (enough, [0]), (still, [0, 11])):
        realised = align(values, closes, bars).realised
        assert realised is not None
        assert np.flatnonzero(np.isnan(realised)).tolist() == missing
    assert align(values, closes, hourly[: 24 * 40]).realised is None, "a third of the days have no hours"


def test_volatility_that_never_changes_is_refused() -> None:
    found = Aligned(np.random.default_rng(0).standard_normal(60), np.tile([0.01, -0.01], 30), "day")
    with pytest.raises(BadInput, match="All 60 values of the volatility of the price are the same"):
        lead_lag(found, target="volatility")


# -- on one grid ------------------------------------------------------------------------------------------------------


def test_weekend_news_meets_mondays_close() -> None:
    values = daily([float(n) for n in range(14)])  # 2020-01-02 is a Thursday
    closes = [(at, 100.0 + n) for n, (at, _) in enumerate(values) if at.weekday() < 5]
    found = align(values, closes)
    assert found.step == "day"
    monday = [at for at, _ in closes].index(FIRST + 4 * DAY)
    assert found.driver[monday] == pytest.approx((2 + 3 + 4) / 3)
    assert np.isfinite(found.returns[1:]).all()


def test_weekly_values_take_the_last_close_before_them() -> None:
    values = [(FIRST + 7 * n * DAY, float(n)) for n in range(10)]
    closes = daily([float(100 + n) for n in range(70)])
    found = align(values, closes)
    assert found.step == "week"
    assert found.returns[1] == pytest.approx(np.log(107 / 100))


def test_a_return_over_a_hole_in_the_prices_is_missing() -> None:
    closes = daily([100.0] * 10) + daily([200.0] * 10, FIRST + 30 * DAY)
    found = align(daily([float(n) for n in range(40)]), closes)
    assert np.isnan(found.returns[10])
    assert not found.returns[11]


def test_series_without_a_common_time_are_refused_with_both_ranges() -> None:
    with pytest.raises(BadInput, match=r"2020-01-02 to 2020-01-03.*2021-01-01 to 2021-01-02.*no time in common"):
        align(daily([1.0, 2.0]), daily([1.0, 2.0], datetime(2021, 1, 1, tzinfo=UTC)))


@settings(deadline=None, max_examples=25)
@given(cut=st.integers(60, 99), seed=st.integers(0, 5))
def test_what_comes_later_changes_nothing_that_was_aligned(cut: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = daily(list(rng.standard_normal(100)))
    closes = [(at + timedelta(hours=1), 100 + rng.random()) for at, _ in values]
    hourly = [(FIRST + n * timedelta(hours=1), 100 + rng.random()) for n in range(2_400)]
    until = values[cut][0]
    early = align(*([one for one in known if one[0] <= until] for known in (values, closes, hourly)))
    late = align(values, closes, hourly)
    assert early.realised is not None
    assert late.realised is not None
    assert np.array_equal(early.realised, late.realised[: len(early.realised)], equal_nan=True)
    assert np.array_equal(early.driver, late.driver[: len(early.driver)], equal_nan=True)
    assert np.array_equal(early.returns, late.returns[: len(early.returns)], equal_nan=True)


# -- many drivers, many assets ----------------------------------------------------------------------------------------


def several(n_drivers: int, n_assets: int, *, seed: int, planted_lag: int | None = 5, n: int = 365):
    rng = np.random.default_rng(seed)
    kinds = [DRIVERS[place % len(DRIVERS)] for place in range(n_drivers)]
    drivers = {f"driver {place}": driver(kind, n + 1, rng) for place, kind in enumerate(kinds)}
    moves = {f"asset {place}": returns(PRICES[place % len(PRICES)], n + 1, rng) for place in range(n_assets)}
    if planted_lag is not None:
        moves["asset 1"] = moves["asset 1"] + 0.4 * np.roll(drivers["driver 2"], planted_lag)
    return (
        {name: daily(list(values)) for name, values in drivers.items()},
        {name: daily(list(100 * np.exp(np.cumsum(0.01 * values)))) for name, values in moves.items()},
    )


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_across_nine_drivers_and_five_assets_the_planted_one_is_found_and_no_other(seed: int) -> None:
    found, left_out = family(*several(9, 5, seed=seed), resamples=299)
    assert (len(found), left_out) == (45, [])
    told = [(pair.driver, pair.asset) for pair in found if pair.p_adjusted <= ALPHA]
    assert told == [("driver 2", "asset 1")]
    assert all(pair.p_adjusted >= pair.lead_lag.p_family for pair in found)
    by_chance = [pair for pair in found if pair.lead_lag.verdict != "none" and pair.p_adjusted > ALPHA]
    assert {pair.verdict for pair in by_chance} <= {"none"}
    assert all(
        "Among 45 pairs asked about at once that is no more than chance" in p.lead_lag.sentence for p in by_chance
    )
    assert [pair.verdict for pair in found if pair.verdict != "none"] == ["news_leads"]


@pytest.mark.slow
def test_across_pairs_that_are_unrelated_one_family_in_twenty_alarms() -> None:
    alarms = sum(
        min(pair.p_adjusted for pair in family(*several(3, 2, seed=seed, planted_lag=None, n=120), resamples=99)[0])
        <= ALPHA
        for seed in range(100)
    )
    assert alarms <= binom.ppf(1 - 1e-4, 100, ALPHA)


def test_being_loud_at_the_same_times_is_no_lead() -> None:
    rng = np.random.default_rng(8)
    alarms = sum(
        lead_lag(Aligned(*loud_together(365, 0.8, rng), "day"), seed=seed, resamples=99).verdict != "none"
        for seed in range(100)
    )
    assert alarms <= binom.ppf(1 - 1e-4, 100, ALPHA)  # by plain correlations it is 56


def test_a_driver_asked_about_twice_costs_nothing() -> None:
    drivers, assets = several(1, 1, seed=4, planted_lag=None)
    (one,), _ = family(drivers, assets, resamples=299)
    twice, _ = family(drivers | {"again": drivers["driver 0"]}, assets, resamples=299)
    assert twice[0].p_adjusted == twice[1].p_adjusted == one.p_adjusted == one.lead_lag.p_family


def test_pairs_that_cannot_be_told_are_left_out_each_with_its_reason_and_the_others_are_as_without_them() -> None:
    drivers, assets = several(2, 1, seed=5, planted_lag=None)
    without, _ = family(drivers, assets, resamples=99)
    few = {"short": drivers["driver 0"][:9], "elsewhen": drivers["driver 1"][:40], "early": drivers["driver 1"][30:60]}
    found, left_out = family(drivers | few, assets | {"flat": daily([100.0] * 366)}, resamples=99)
    told = {(one.driver, one.asset): one.why for one in left_out}
    assert "driver 0 and flat: All 365 values of flat are the same" in told["driver 0", "flat"]
    assert "too few values of short (9)" in told["short", "asset 0"]
    assert "have a value of early and of those before it" in told["early", "asset 0"], (
        "what was asked about first stays"
    )
    assert {one.driver for one in found} == {"driver 0", "driver 1", "elsewhen"}
    assert {one.asset for one in found} == {"asset 0"}
    alone = {one.driver: one.lead_lag.lags[0].estimate for one in without}
    assert {one.driver: one.lead_lag.lags[0].estimate for one in found if one.driver in alone} == alone
    assert all(one.p_adjusted >= one.lead_lag.p_family for one in found)


def test_where_nothing_can_be_told_every_pair_is_left_out() -> None:
    drivers, _ = several(1, 1, seed=5, planted_lag=None)
    found, left_out = family(drivers, {"flat": daily([100.0] * 366), "bare": daily([1.0])}, resamples=9)
    assert found == []
    assert [one.asset for one in left_out] == ["flat", "bare"]
    assert family({"short": drivers["driver 0"][:9]}, {"flat": daily([100.0] * 366)})[0] == []


def test_surrogates_are_averaged_over_weekends_as_the_driver_is() -> None:
    """A daily driver beside closes on weekdays: Monday's mean of three varies less, in the null too."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(60):
        values = daily(list(driver("white", 140, rng)))
        prices = 100 * np.exp(np.cumsum(0.01 * rng.standard_normal(140)))
        closes = [(at, float(price)) for (at, _), price in zip(values, prices, strict=True) if at.weekday() < 5]
        alarms += lead_lag(align(values, closes), resamples=99, seed=int(rng.integers(2**31))).verdict != "none"
    assert alarms <= binom.ppf(1 - 1e-4, 60, ALPHA)
