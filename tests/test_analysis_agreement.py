"""Krippendorff's alpha, against a calculation by hand."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.agreement import agreement

NOBODY = np.nan


def by_hand(one: list[float], other: list[float]) -> float:
    """1 - observed / expected disagreement of two reviewers of the same texts, names that are the same or not."""
    n = 2 * len(one)
    observed = sum(2 for a, b in zip(one, other, strict=True) if a != b) / n
    counts = Counter([*one, *other])
    expected = sum(counts[a] * counts[b] for a in counts for b in counts if a != b) / (n * (n - 1))
    return 1 - observed / expected


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0]), st.sampled_from([0.0, 1.0, 2.0])), min_size=2, max_size=40))
def test_alpha_is_what_it_is_by_hand(pairs: list[tuple[float, float]]) -> None:
    one, other = map(list, zip(*pairs, strict=True))
    found = agreement(np.array([one, other]), "nominal")
    if len({*one, *other}) == 1:
        assert found.alpha.estimate is None
        return
    assert found.alpha.estimate == pytest.approx(by_hand(one, other), abs=1e-5)


def test_the_example_of_krippendorff_2011() -> None:
    said = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, NOBODY, NOBODY, NOBODY],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NOBODY, 3],
            [NOBODY, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NOBODY],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NOBODY],
        ]
    )
    found = agreement(said, "nominal")
    assert found.alpha.estimate == pytest.approx(0.743, abs=0.001)
    assert (found.n, found.n_reviewers) == (11, 4)
    assert found.alpha.low < 0.743 < found.alpha.high
    assert agreement(said, "interval").alpha.estimate == pytest.approx(0.849, abs=0.001)


def test_who_reads_alone_agrees_with_nobody() -> None:
    found = agreement(np.array([[1.0, 0.0], [NOBODY, NOBODY]]), "nominal")
    assert (found.alpha.estimate, found.n, found.agreed, found.disputed) == (None, 0, None, [])


def test_texts_on_which_they_differ_are_named() -> None:
    assert agreement(np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]), "nominal").disputed == [1, 2]
