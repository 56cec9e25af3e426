"""Beside the lags: Granger, local projections and forecasts made in real time, on planted truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.forecast import granger, local_projections, out_of_sample
from analysis.synthetic import driver, led


def planted(kind: str = "ar80", lag: int = 1, n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return led(driver(kind, n + lag, rng), lag, 0.4, rng)  # type: ignore[arg-type]


def test_granger_tells_the_way() -> None:
    x, r = planted()
    assert granger(x, r).p < 0.001 < 0.05 < granger(r, x).p  # type: ignore[operator]


def test_what_is_unrelated_helps_neither() -> None:
    rng = np.random.default_rng(1)
    p = [granger(driver("white", 200, rng), driver("white", 200, rng)).p or 0.0 for _ in range(100)]
    assert 1 <= sum(value <= 0.1 for value in p) <= 20
    assert (
        sum(
            (out_of_sample(driver("ar80", 200, rng), driver("white", 200, rng), max_lag=5).p or 0) < 0.05
            for _ in range(40)
        )
        <= 6
    )


def test_a_projection_adds_up_what_follows() -> None:
    x, r = planted("white")
    found = local_projections(x, r, horizons=5)
    assert [row.horizon for row in found] == [1, 2, 3, 4, 5]
    for row in found:  # a white driver tells the next return and no other
        assert row.low < 0.4 < row.high
        assert row.estimate == pytest.approx(0.4, abs=0.25)


def test_forecasts_find_the_lag_by_themselves_and_beat_the_mean() -> None:
    x, r = planted("white", lag=4)
    found = out_of_sample(x, r, max_lag=8)
    assert found.r2 > 0.05  # type: ignore[operator]
    assert found.p < 0.01  # type: ignore[operator]
    assert out_of_sample(r, x, max_lag=8).r2 < 0.02  # type: ignore[operator]


@settings(deadline=None, max_examples=15)
@given(row=st.integers(200, 299))
def test_a_forecast_uses_nothing_that_came_after_it(row: int) -> None:
    x, r = planted(n=300)
    errors = out_of_sample(x[:row], r[:row], max_lag=5)
    r[row:] = np.nan  # nothing comes after it but the driver's own values
    x[row:] = 1e6
    assert out_of_sample(x, r, max_lag=5) == errors


def test_too_few_rows_are_not_told() -> None:
    x, r = planted(n=30)
    assert out_of_sample(x, r, max_lag=3).r2 is None
    assert granger(x[:11], r[:11]).p is None
    assert local_projections(x[:12], r[:12], horizons=3) == []


def test_gaps_are_left_out() -> None:
    x, r = planted()
    x[100:110], r[250] = np.nan, np.nan
    assert granger(x, r).p < 0.001  # type: ignore[operator]
    assert np.isfinite(local_projections(x, r, horizons=2)[0].estimate)
    assert out_of_sample(x, r, max_lag=3).n < out_of_sample(*planted(), max_lag=3).n
