"""False alarms and power of `storyshift lead-lag`: python benchmarks/lead_lag.py [PAIRS] [POWER_PAIRS]

Every driver (white, AR 0.8, AR 0.95) beside every price (white, AR 0.2, GARCH with heavy tails) that has nothing to do
with it, at six lengths and for both targets: how often a verdict is given. A cell is too high if chance would make it
so in less than 0.05 / cells. Then r_t = 0.3 · driver_(t - 5) + noise, n = 365: how often it is found, and at the right
lag. Between them: two series that share nothing but the times at which they are loud. All on the cores there are.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from time import perf_counter

import numpy as np
from scipy.stats import binom

from analysis.lead_lag import ALPHA, Aligned, lead_lag
from analysis.synthetic import DRIVERS, PRICES, driver, led, loud_together, returns

LENGTHS, TARGETS, RESAMPLES, AT_ONCE = (24, 48, 72, 168, 336, 730), ("return", "volatility"), 199, 250


def alarms(job):
    (kind, price, n, target), seed, pairs = job
    rng = np.random.default_rng([seed, DRIVERS.index(kind), PRICES.index(price), n, TARGETS.index(target)])
    found = 0
    for _ in range(pairs):
        pair = Aligned(driver(kind, n, rng), returns(price, n, rng), "day")
        answer = lead_lag(pair, target=target, seed=int(rng.integers(2**31)), resamples=RESAMPLES)
        found += answer.verdict != "none"
    return found


def loud(job):
    spread, seed, pairs = job
    rng = np.random.default_rng([seed, int(10 * spread)])
    found = 0
    for _ in range(pairs):
        answer = lead_lag(Aligned(*loud_together(365, spread, rng), "day"), seed=seed, resamples=RESAMPLES)
        found += answer.verdict != "none"
    return found


def finds(job):
    kind, seed, pairs = job
    rng = np.random.default_rng([seed, DRIVERS.index(kind)])
    found = right = 0
    for _ in range(pairs):
        values, led_returns = led(driver(kind, 370, rng), 5, 0.3, rng)
        answer = lead_lag(Aligned(values, led_returns, "day"), seed=int(rng.integers(2**31)), resamples=RESAMPLES)
        found += answer.verdict != "none"
        right += answer.verdict == "news_leads" and abs(answer.peak_lag - 5) <= 1
    return found, right


def main(pairs, power_pairs):
    cells = list(product(DRIVERS, PRICES, LENGTHS, TARGETS))
    began = perf_counter()
    rows = []
    with ProcessPoolExecutor() as pool:
        parts = -(-pairs // AT_ONCE)
        for cell in cells:
            sizes = [min(AT_ONCE, pairs - AT_ONCE * part) for part in range(parts)]
            count = sum(pool.map(alarms, [(cell, seed, size) for seed, size in enumerate(sizes)]))
            rows.append((cell, count))
            print(f"{cell[3]:11}{cell[2]:>4}  driver {cell[0]:6}price {cell[1]:6}{count / pairs:7.3f}", flush=True)
        total = sum(count for _, count in rows)
        print(
            f"pooled {total / pairs / len(cells):.4f} of {pairs * len(cells):,} pairs, {perf_counter() - began:.0f} s"
        )
        worst = max(rows, key=lambda row: row[1])
        chance = binom.sf(worst[1] - 1, pairs, ALPHA)
        limit = ALPHA / len(cells)
        print(f"highest cell {worst[1] / pairs:.3f} {worst[0]}: p = {chance:.2g}, too high below {limit:.2g}")
        parts = max(1, power_pairs // AT_ONCE)
        for spread in (0.4, 0.8):
            jobs = [(spread, seed, min(AT_ONCE, power_pairs)) for seed in range(parts)]
            share = sum(pool.map(loud, jobs)) / (parts * min(AT_ONCE, power_pairs))
            print(f"unrelated, but loud at the same times (log volatility ± {spread}): {share:.3f}", flush=True)
        for kind in DRIVERS:
            found = list(
                pool.map(
                    finds, [(kind, seed, min(AT_ONCE, power_pairs)) for seed in range(max(1, power_pairs // AT_ONCE))]
                )
            )
            n = len(found) * min(AT_ONCE, power_pairs)
            hits, right = (sum(column) for column in zip(*found, strict=True))
            print(
                f"planted, driver {kind:6} found {hits / n:.3f} of {n}, at lag 5 ± 1 {right / max(1, hits):.3f} of them"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000, int(sys.argv[2]) if len(sys.argv) > 2 else 1_000)
