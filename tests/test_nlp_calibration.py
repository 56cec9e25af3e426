import numpy as np
import pytest

from nlp.calibration import best_threshold, expected_error, platt


def planted(scale: float, shift: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    logits = rng.normal(-2, 2, n)
    return logits, (rng.random(n) < 1 / (1 + np.exp(-(scale * logits + shift)))).astype(float)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.5, 1.0), (2.0, -1.0)])
def test_the_scale_that_was_planted_is_found(scale: float, shift: float) -> None:
    logits, truth = planted(scale, shift)
    found = platt(logits, truth, np.ones(len(truth)))
    assert found == pytest.approx((scale, shift), abs=0.12)
    probabilities = 1 / (1 + np.exp(-(found[0] * logits + found[1])))
    assert expected_error(probabilities, truth) < 0.01


def test_units_that_are_met_seldom_count_little() -> None:
    logits, truth = planted(1.0, 0.0)
    rich = np.arange(len(truth)) % 2 == 0
    found = platt(logits, np.where(rich, 1.0, truth), np.where(rich, 0.0, 1.0))
    assert found == pytest.approx((1.0, 0.0), abs=0.15)


def test_the_threshold_lies_where_f1_is_best() -> None:
    rng = np.random.default_rng(2)
    probabilities = rng.random(5_000)
    truth = (probabilities > 0.7).astype(float)
    assert best_threshold(probabilities, truth, np.ones(5_000), seed=0) == pytest.approx(0.7, abs=0.02)


def test_what_is_said_too_surely_is_an_error() -> None:
    assert expected_error(np.full(100, 0.9), np.array([1.0] * 50 + [0.0] * 50)) == pytest.approx(0.4)
    assert expected_error(np.array([]), np.array([])) == 0
