"""Shifts are told when they could be known, seldom where there is none, and their parts add up."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import synthetic
from analysis.shift import POLES, daily_shift, record_of
from analysis.shift_events import shifts, state_of
from analysis.shift_history import spells
from analysis.why import causes
from models.errors import BadInput

FIRST = datetime(2019, 1, 1, tzinfo=UTC)
USUAL = {"safe_haven": 0.03, "debasement": 0.02, "fiscal_stress": 0.02, "liquidity": 0.05}
Frames = tuple[pd.DataFrame, pd.DataFrame]


def news(*planted: tuple[str, int, int, float], days: int = 450, seed: int = 1, **more: float) -> Frames:
    """Usual news, in which narratives are told so many times as often from one day to another."""
    times = {name: np.ones(days) for name in USUAL}
    for name, start, end, factor in planted:
        times[name][start:end] = factor
    return synthetic.news(days, np.random.default_rng(seed), first=FIRST, usual=USUAL, times=times, **more)  # type: ignore[arg-type]


def until(frames: Frames, day: int) -> Frames:
    totals, carried = (frame[frame["hour"] < pd.Timestamp(FIRST + timedelta(days=day))] for frame in frames)
    return totals, carried


PANIC = ("safe_haven", 250, 350, 4.0)
DOUBT = [("debasement", 350, 450, 3.5), ("fiscal_stress", 350, 450, 3.5)]


@pytest.mark.parametrize("seed", [1, 2, 4])
def test_panic_and_then_devaluation_are_detected_within_ten_days_dated_and_named(seed: int) -> None:
    record = record_of(*news(PANIC, *DOUBT, seed=seed))
    first = (record.days[0] - pd.Timestamp(FIRST)).days
    told = [(one.before, one.to, one.happened + first, one.detected + first) for one in shifts(record)]
    panic = next(one for one in told if one[1] == "panic")
    doubt = next(one for one in told if one[1] == "devaluation" and one[3] >= 350)
    for (_, _, happened, detected), planted in ((panic, 250), (doubt, 350)):
        assert planted <= detected <= planted + 10
        assert abs(happened - planted) <= 5
        assert happened <= detected
    assert doubt[0] == "panic"


def test_where_nothing_is_planted_fewer_than_one_a_year_is_told() -> None:
    found = [len(shifts(record_of(*news(seed=seed)))) for seed in range(12)]
    assert sum(found) / (12 * (450 - 120) / 365) < 1


def test_a_new_outlet_with_habits_of_its_own_is_no_devaluation() -> None:
    totals, carried = news(days=420, seed=5)
    habit = {name: np.full(420, {"debasement": 5.0, "liquidity": 2.0}.get(name, 0.5)) for name in USUAL}
    rng = np.random.default_rng(6)
    own = synthetic.news(420, rng, first=FIRST, usual=USUAL, times=habit, outlets=1, mixed=False, a_day=15)
    since = pd.Timestamp(FIRST + timedelta(days=300))
    extra = [frame[frame["hour"] >= since].assign(outlet="coin daily") for frame in own]
    both = [pd.concat(pair) for pair in zip((totals, carried), extra, strict=True)]
    alone, joined = (daily_shift(*frames)["index"].iloc[-90:].mean() for frames in ((totals, carried), both))
    one_pot = daily_shift(*(frame.assign(outlet="all") for frame in both))["index"].iloc[-90:].mean()  # type: ignore[arg-type]
    assert abs(joined - alone) < 0.06
    assert one_pot - alone > 0.08  # as it would be if all outlets were one


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 50), st.integers(130, 449))
def test_what_comes_later_changes_no_shift_that_was_told(seed: int, day: int) -> None:
    whole = news(PANIC, *DOUBT, seed=seed)
    record = record_of(*until(whole, day))
    known = len(record.days)
    assert shifts(record) == [one for one in shifts(record_of(*whole)) if one.detected < known]


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 50), st.integers(140, 300), st.integers(1, 100))
def test_the_causes_add_up_to_the_change_of_theta(seed: int, start: int, later: int) -> None:
    frames = news(PANIC, *DOUBT, seed=seed)
    record = record_of(*frames)
    index = daily_shift(*frames)["index"].to_numpy("float64")
    before, after = start, min(start + later, len(index) - 1)
    rows = causes(record, before, after)
    assert sum(row.change for row in rows) == pytest.approx(index[after] - index[before], abs=1e-4)
    assert {row.narrative for row in rows} <= set(POLES.all)


def test_one_outlet_s_campaign_is_named_as_the_cause() -> None:
    totals, carried = news(days=400, seed=3)
    day = pd.Timestamp(FIRST + timedelta(days=380, hours=12))
    more = [(day, "outlet3", "debasement", 1, "", 30, 30, 0)]
    campaign = pd.concat([carried, pd.DataFrame(more, columns=synthetic.CARRIED).astype(carried.dtypes.to_dict())])
    record = record_of(totals, campaign)
    at = record.days.get_loc(pd.Timestamp(FIRST + timedelta(days=380)))
    first = causes(record, at - 1, at)[0]
    assert (first.narrative, first.outlet) == ("debasement", "outlet3")
    assert first.change > 0.05
    assert first.ratio > first.ratio_before


def test_in_hindsight_the_spells_begin_where_they_were_planted() -> None:
    found = spells(record_of(*news(PANIC, *DOUBT, days=450)))
    starts = [(spell.start - FIRST).days for spell in found]
    for planted in (250, 350):
        assert min(abs(start - planted) for start in starts) <= 7
    assert [spell.state for spell in found if 250 <= (spell.start - FIRST).days + 7 < 340][:1] == ["panic"]
    assert found[-1].state == "devaluation"
    assert all(one.end == other.start for one, other in zip(found, found[1:], strict=False))


def test_a_history_of_a_few_weeks_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="needs 12 weeks"):
        spells(record_of(*news(days=150)))


@pytest.mark.parametrize(
    ("levels", "state"),
    [
        ({}, "calm"),
        ({"safe_haven": 2}, "panic"),
        ({"safe_haven": 8, "liquidity": 2}, "panic"),
        ({"liquidity": 4}, "transition"),
        ({"safe_haven": 2, "debasement": 2}, "transition"),
        ({"debasement": 2}, "devaluation"),
        ({"safe_haven": 2, "debasement": 8, "fiscal_stress": 8}, "devaluation"),
    ],
)
def test_what_the_levels_of_the_narratives_are_called(levels: dict[str, float], state: str) -> None:
    assert state_of(dict.fromkeys(USUAL, 1.0) | levels) == state
