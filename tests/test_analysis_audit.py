"""The audit's arithmetic, on draws whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.audit import (
    BANDS,
    Audit,
    Correction,
    Rate,
    audit,
    calibration,
    corrected_share,
    draw,
    proportion,
    tone_line,
    usual_rates,
    weights,
)

CORE = ("fear",)
SURE = Correction(Rate(1.0, 1.0, 1.0), Rate(0.0, 0.0, 0.0))
Z = np.zeros(1)


def told(n: int, *, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Scores of n stories for two narratives, calibrated, and whether each holds: shape (n, 2)."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.15, 2.5, (n, 2))
    rows = [(i, key, p[i, k], p[i, k] >= 0.5, 1) for i in range(n) for k, key in enumerate(("fear", "war"))]
    frame = pd.DataFrame(rows, columns=["revision_id", "narrative", "score", "label", "direction"])
    return frame[frame["score"] >= 0.02].reset_index(drop=True), rng.random((n, 2)) < p


def audited(scores: pd.DataFrame, holds: np.ndarray, n: int, *, size: int, rounds: int, seed: int) -> Audit:
    """Of `fear`, by all that was drawn."""
    drawn = [draw(range(n), scores, size=size, core=CORE, seed=seed * 100 + r) for r in range(rounds)]
    columns = ["revision_id", "stratum", "inclusion_probability"]
    parts = [pd.DataFrame(one.units, columns=columns).assign(round_id=r, read=True) for r, one in enumerate(drawn)]
    weight = weights(pd.concat(parts), dict.fromkeys(range(rounds), n))
    frames = []
    for place, key in enumerate(("fear", "war")):
        own = scores[scores["narrative"] == key].set_index("revision_id")
        ids = weight.index
        frames.append(
            weight.assign(
                score=own["score"].reindex(ids).fillna(0.0),
                label=own["label"].reindex(ids, fill_value=False).astype(bool),
                holds=holds[ids, place],
                other=ids.isin(scores.loc[scores["label"], "revision_id"]),
            )
        )
    counted = drawn[-1].bands["fear"]
    stories = {name: counted.get(name, 0) for name in BANDS[:-1]}
    return audit(frames[0], stories | {"untold": n - sum(stories.values())}, usual_rates(frames))


@given(
    n=st.integers(1, 300),
    size=st.integers(1, 80),
    seed=st.integers(0, 5),
)
def test_a_draw_has_its_size_and_its_probabilities_add_up_to_all_stories(n: int, size: int, seed: int) -> None:
    scores, _ = told(n, seed=seed)
    units = draw(range(n), scores, size=size, core=CORE, seed=seed).units
    assert len(units) == min(n, size)
    assert len({revision for revision, *_ in units}) == len(units)
    in_stratum = {stratum: 1 / p for _, stratum, p in units}
    drawn = {stratum: sum(1 for _, other, _ in units if other == stratum) for stratum in in_stratum}
    whole = sum(round(drawn[stratum] * times) for stratum, times in in_stratum.items())
    assert whole <= n
    if size >= 80 or len(units) == n:
        assert whole == n


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    scores, _ = told(2_000)
    one, again, other = (draw(range(2_000), scores, size=60, core=CORE, seed=seed).units for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_every_story_is_drawn_as_often_as_its_probability_says() -> None:
    scores, _ = told(200)
    times, expected = np.zeros(200), np.zeros(200)
    for seed in range(400):
        for revision, _, p in draw(range(200), scores, size=40, core=CORE, seed=seed).units:
            times[revision] += 1
            expected[revision] = p
    seen = expected > 0
    assert np.abs(times[seen] / 400 - expected[seen]).max() < 0.15
    assert np.corrcoef(times[seen], expected[seen])[0, 1] > 0.95


def test_weights_speak_for_all_stories_also_where_only_some_were_read() -> None:
    scores, _ = told(2_000)
    found = [draw(range(2_000), scores, size=60, core=CORE, seed=seed).units for seed in (1, 2)]
    columns = ["revision_id", "stratum", "inclusion_probability"]
    drawn = pd.concat([pd.DataFrame(units, columns=columns).assign(round_id=r) for r, units in enumerate(found)])
    drawn["read"] = True
    assert weights(drawn, {0: 2_000, 1: 2_000})["weight"].sum() == pytest.approx(1.0)
    drawn["read"] = [place % 3 > 0 for place in range(len(drawn))]
    assert weights(drawn, {0: 2_000, 1: 2_000})["weight"].sum() == pytest.approx(1.0, abs=0.35)
    assert weights(drawn.assign(read=False), {0: 2_000, 1: 2_000}).empty


@pytest.mark.slow
def test_precision_and_recall_lie_within_their_intervals_nine_times_in_ten() -> None:
    n, inside = 20_000, []
    scores, holds = told(n)
    label = np.zeros(n, dtype=bool)
    label[scores.loc[(scores["narrative"] == "fear") & scores["label"], "revision_id"]] = True
    precision, recall = holds[label, 0].mean(), label[holds[:, 0]].mean()
    for seed in range(60):
        found = audited(scores, holds, n, size=60, rounds=7, seed=seed)
        inside.append(
            (
                found.precision.low <= precision <= found.precision.high,
                found.recall.low <= recall <= found.recall.high,
            )
        )
    assert np.mean(inside, axis=0) == pytest.approx(0.9, abs=0.09)


def test_a_tagger_that_never_errs_is_told_so() -> None:
    scores, _ = told(3_000)
    label = np.zeros((3_000, 2), dtype=bool)
    for place, key in enumerate(("fear", "war")):
        label[scores.loc[(scores["narrative"] == key) & scores["label"], "revision_id"], place] = True
    found = audited(scores, label, 3_000, size=60, rounds=5, seed=0)
    assert found.precision.estimate == 1.0
    assert found.recall.estimate > 0.8  # of two hundred read none was missed: of three thousand some may be
    assert found.recall.high > 0.9


def test_nothing_read_tells_nothing() -> None:
    columns = {name: pd.Series(dtype=kind) for name, kind in (("weight", float), ("score", float))}
    bools = {name: pd.Series(dtype=bool) for name in ("label", "holds", "other")}
    found = audit(pd.DataFrame(columns | bools), None)
    assert (found.n, found.precision.estimate, found.recall.estimate, found.enough) == (0, None, None, False)
    assert list(calibration(pd.DataFrame(columns | bools))) == []
    assert proportion(np.zeros(0, dtype=bool), np.zeros(0)).estimate is None


def test_where_all_is_labelled_recall_is_not_bounded_and_nothing_breaks() -> None:
    read = pd.DataFrame({"weight": [0.5, 0.5], "score": [0.9, 0.9], "label": True, "holds": True, "other": True})
    found = audit(read, None)
    assert (found.recall.estimate, found.recall.low) == (1.0, None)


@pytest.mark.parametrize("missed", [0.01, 0.001, 0.0001])
def test_the_less_is_missed_the_narrower_is_a_corrected_share(missed: float) -> None:
    found = Correction(Rate(0.85, 0.8, 0.9), Rate(missed, missed / 2, missed * 2))
    *_, high = corrected_share(np.zeros(1), np.array([20.0]), found, carrying=Z, lacking=Z)
    assert high[0] < 0.13


def test_a_correction_that_knows_of_no_error_changes_no_share() -> None:
    share, n = np.array([0.0, 0.2, 1.0]), np.array([20.0, 50.0, 5.0])
    zero = np.zeros(3)
    value, low, high = corrected_share(share, n, SURE, carrying=zero, lacking=zero)
    assert value == pytest.approx(share)
    assert (low <= value).all()
    assert (value <= high).all()


def test_a_share_is_corrected_by_what_is_kept_and_what_is_missed() -> None:
    found = Correction(Rate(0.8, 0.7, 0.9), Rate(0.05, 0.02, 0.1))
    value, low, high = corrected_share(np.array([0.5]), np.array([1e9]), found, carrying=Z, lacking=Z)
    assert value[0] == pytest.approx(0.5 * 0.8 + 0.5 * 0.05)
    assert value[0] - low[0] == pytest.approx(np.hypot(0.5 * 0.1, 0.5 * 0.03), rel=1e-3)
    assert high[0] - value[0] == pytest.approx(np.hypot(0.5 * 0.1, 0.5 * 0.05), rel=1e-3)


def test_stories_that_were_read_are_not_corrected() -> None:
    found = Correction(Rate(0.5, 0.4, 0.6), Rate(0.1, 0.05, 0.2))
    value, *_ = corrected_share(
        np.array([0.3]), np.array([100.0]), found, carrying=np.array([0.3]), lacking=np.array([0.7])
    )
    assert value[0] == pytest.approx(0.3)


@given(
    share=st.floats(0, 1),
    n=st.integers(0, 500),
    kept=st.floats(0.01, 0.99),
    missed=st.floats(0.001, 0.5),
    read=st.floats(0, 1),
)
def test_a_corrected_share_is_a_share_with_an_interval_around_it(
    share: float, n: int, kept: float, missed: float, read: float
) -> None:
    found = Correction(Rate(kept, kept / 2, min(1, kept * 1.5)), Rate(missed, missed / 2, min(1, missed * 2)))
    told_share = np.array([share if n else np.nan])
    value, low, high = corrected_share(
        told_share, np.array([float(n)]), found, carrying=told_share * read, lacking=(1 - told_share) * read
    )
    if n == 0:
        assert np.isnan(value[0])
        return
    assert 0 <= low[0] <= value[0] + 1e-9
    assert value[0] - 1e-9 <= high[0] <= 1


def test_a_tone_that_the_tagger_flattens_is_stretched_again() -> None:
    rng = np.random.default_rng(0)
    said = rng.choice([-1.0, 0.0, 1.0], 400)
    line = tone_line(0.5 * said + 0.1, said, np.ones(400))
    assert (line.intercept, line.slope) == pytest.approx((-0.2, 2.0))
    assert line.at(0.6)[0] == pytest.approx(1.0)
    assert line.at(9.0)[0] == 1.0


def test_no_tone_is_corrected_by_few_and_one_tone_by_its_mean() -> None:
    assert tone_line(np.zeros(29), np.ones(29), np.ones(29)) is None
    line = tone_line(np.zeros(30), np.ones(30), np.ones(30))
    assert line.at(0.0) == pytest.approx((1.0, 0.0))
