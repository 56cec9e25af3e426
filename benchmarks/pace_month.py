"""A simulated month of 300 feeds on a fake clock: how often each is visited, and how soon its news is seen.

    python benchmarks/pace_month.py [minutes]

Feeds publish at random, from one entry a week to 200 a day, by day more than by night, and show their last 25.
The pace is that of ingest/pace.py; beside it stands a reader that visits every feed at the usual time.
"""

import sys
from datetime import UTC, datetime, timedelta

import numpy as np

from ingest import pace

FEEDS, DAYS, SHOWN = 300, 30, 25
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)


def published(rng: np.random.Generator, a_day: float) -> np.ndarray:
    """Hours since BEGIN of each entry, ascending."""
    hours = np.arange(DAYS * 24)
    awake = 1 + 0.8 * np.sin((hours % 24 - 8) / 24 * 2 * np.pi)
    counts = rng.poisson(a_day / 24 * awake)
    return np.sort(np.repeat(hours, counts) + rng.random(int(counts.sum())))


def visited(
    entries: np.ndarray, url: str, *, usual: timedelta, floor: timedelta, adaptive: bool
) -> tuple[int, list[float], int, float]:
    """Visits, hours until each entry was seen, entries missed, and the shortest time between two visits (hours)."""
    at, interval, seen, visits, shortest = 0.0, usual, 0, 0, float("inf")
    delays: list[float] = []
    missed = 0
    first = True
    while at < DAYS * 24:
        visits += 1
        upto = int(np.searchsorted(entries, at, side="right"))
        new = upto - seen
        missed += max(0, new - SHOWN)
        delays.extend(at - entries[max(seen, upto - SHOWN) : upto])
        if adaptive and not first:
            interval = pace.adapted(
                interval, pace.Visit(min(new, SHOWN), min(upto, SHOWN) - min(new, SHOWN)), usual=usual
            )
        seen, first = upto, False
        wait = pace.wait(interval, floor, url) / timedelta(hours=1)
        shortest = min(shortest, wait)
        at += wait
    return visits, delays, missed, shortest


def main(minutes: int) -> None:
    rng = np.random.default_rng(7)
    usual = timedelta(minutes=minutes)
    rates = np.exp(rng.uniform(np.log(1 / 7), np.log(200), FEEDS))
    floors = rng.choice([0, 0, 0, 0, 1, 2], FEEDS)
    print(f"{FEEDS} feeds, {DAYS} days, usual time {minutes} min")
    for adaptive in (True, False):
        visits, gained, missed, delays, below = 0, 0, 0, [], 0
        for number, (rate, floor) in enumerate(zip(rates, floors, strict=True)):
            entries = published(np.random.default_rng(number), rate)
            wanted = timedelta(hours=int(floor))
            n, late, lost, shortest = visited(
                entries, f"https://f{number}.org/", usual=usual, floor=wanted, adaptive=adaptive
            )
            visits, gained, missed = visits + n, gained + len(late), missed + lost
            delays.extend(late)
            below += shortest < floor
        print(
            f"{'adaptive' if adaptive else 'every time'}: {visits / FEEDS / DAYS:.1f} visits a feed and day, "
            f"{visits / gained:.2f} an entry gained; delay median {np.median(delays) * 60:.0f} min, "
            f"p95 {np.quantile(delays, 0.95) * 60:.0f} min; {missed} of {gained + missed} entries missed; "
            f"{below} feeds visited below their floor"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
