"""Shifts planted in made-up news: how soon they are detected, how often one is told that is none, what θ holds.

python benchmarks/planted_shifts.py [RECORDS]

News of forty stories a day by twelve outlets that come and go, whose volume wanders and rests on weekends, each with a
habit of its own of telling each narrative. 365 usual days, then a shift, then 120 more. Beside the detector: how often
the state of the day changes where nothing is planted.
"""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.shift import WARM_UP_DAYS, daily_shift, record_of
from analysis.shift_events import shifts
from analysis.synthetic import news

FIRST = datetime(2019, 1, 1, tzinfo=UTC)
USUAL = {"safe_haven": 0.03, "debasement": 0.02, "fiscal_stress": 0.02, "liquidity": 0.05}
AT, DAYS, SOON = 365, 485, 10
SHIFTS: dict[str, tuple[str, Mapping[str, float], Mapping[str, float]]] = {
    "calm to panic (haven × 3)": ("panic", {}, {"safe_haven": 3}),
    "calm to devaluation (debasement, fiscal × 3)": ("devaluation", {}, {"debasement": 3, "fiscal_stress": 3}),
    "panic to devaluation (haven × 4, then debasement, fiscal × 3.5)": (
        "devaluation",
        {"safe_haven": 4},
        {"debasement": 3.5, "fiscal_stress": 3.5},
    ),
    "calm to easing alone (liquidity × 3)": ("transition", {}, {"liquidity": 3}),
    "twice the usual (debasement, fiscal × 2)": ("devaluation", {}, {"debasement": 2, "fiscal_stress": 2}),
}
BEGINS = 300
"""Where a first state is planted, it begins on this day."""
Array = NDArray[np.float64]


def made(seed: int, first: Mapping[str, float], then: Mapping[str, float]) -> tuple[pd.DataFrame, pd.DataFrame, Array]:
    """Totals, carried, and the true θ by day."""
    times = {name: np.ones(DAYS) for name in USUAL}
    for name, one in times.items():
        one[BEGINS:AT] = first.get(name, 1)
        one[AT:] = then.get(name, 1)
    totals, carried = news(DAYS, np.random.default_rng(seed), first=FIRST, usual=USUAL, times=times)
    devaluation = np.mean([times[name] for name in USUAL if name != "safe_haven"], axis=0)
    return totals, carried, devaluation / (devaluation + times["safe_haven"])


def main(records: int) -> None:
    print(f"{records} records a row\n")
    print("| planted | found within 10 days | days: median (90 %) | named rightly | happened: off by | other, a year |")
    print("| --- | --- | --- | --- | --- | --- |")
    usual, flips = [], 0
    for seed in range(4 * records):
        totals, carried, _ = made(seed, {}, {})
        usual.append(len(shifts(record_of(totals, carried))))
        states = daily_shift(totals, carried)["state"].to_numpy()[WARM_UP_DAYS:]
        flips += int((states[1:] != states[:-1]).sum())
    years = (DAYS - WARM_UP_DAYS) / 365 * len(usual)
    inside: dict[str, list[float]] = {"before": [], "the ten days after": [], "later": []}
    for told, (state, first, then) in SHIFTS.items():
        delays, off, named, other = [], [], 0, 0
        for seed in range(records):
            totals, carried, theta = made(seed, first, then)
            missing = DAYS - len(record_of(totals, carried).days)
            found = shifts(record_of(totals, carried))
            after = [one for one in found if one.detected + missing >= AT and one.happened + missing >= AT - SOON]
            hit = next((one for one in after if one.to == state), None)
            delays.append(hit.detected + missing - AT if hit else np.inf)
            off += [abs(hit.happened + missing - AT)] if hit else []
            named += bool(after) and after[0].to == state
            other += len(found) - bool(hit) - bool(first and any(one.to == "panic" for one in found))
            _cover(inside, daily_shift(totals, carried), theta[missing:], AT - missing)
        late = np.array(delays)
        middle, ninth = np.median(late), np.quantile(late, 0.9, method="higher")
        print(
            f"| {told} | {np.mean(late <= SOON):.0%} | {middle:.0f} ({ninth:.0f}) | "
            f"{named / records:.0%} | {np.median(off):.0f} | {other / records / ((DAYS - WARM_UP_DAYS) / 365):.2f} |",
            flush=True,
        )
    print(f"\nNothing planted: {sum(usual) / years:.2f} shifts a year ({sum(usual)} in {years:.0f} years).", end=" ")
    print(f"The state of the day changes {flips / years:.1f} times a year.")
    print("θ's 90 % interval holds the true θ: " + ", ".join(f"{k} {np.mean(v):.1%}" for k, v in inside.items()) + ".")


def _cover(inside: dict[str, list[float]], daily: pd.DataFrame, theta: Array, at: int) -> None:
    holds = ((daily["low"] <= theta) & (theta <= daily["high"])).to_numpy()
    spoken = daily["index"].notna().to_numpy()
    place = np.arange(len(daily))
    for name, days in (
        ("before", place < at - (AT - BEGINS)),
        ("the ten days after", (place >= at) & (place < at + SOON)),
        ("later", place >= at + SOON),
    ):
        inside[name].append(float(holds[days & spoken].mean()))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
