"""The usual rates of config/prior_rates.toml, from archives already imported and tagged into one database each.

python benchmarks/prior_rates.py sqlite:///reuters.db sqlite:///guardian.db …
"""

import sys
from datetime import UTC, datetime

import numpy as np

from analysis.shift import POLES, daily_rates
from config.definitions import live_tagger_name
from models.database import Database
from models.store.stories import Seen, lead_frames


def main(addresses: list[str]) -> None:
    now = datetime.now(UTC)
    shares: dict[str, list[float]] = {narrative: [] for narrative in POLES.all}
    stories = 0
    for address in addresses:
        with Database.open(address).read() as session:
            seen = Seen(as_of=now, tagger=live_tagger_name(), start=None, end=now, step="day")
            frames = lead_frames(session, seen, list(POLES.all))
        stories += int(frames.totals["n_stories"].sum())
        for narrative, rates in daily_rates(frames.totals, frames.carried).items():
            shares[narrative].append(float(np.nanmedian(rates)))
    print(f"# {len(addresses)} archives, {stories:,} stories")
    for narrative, found in shares.items():
        logs = np.log(found)
        print(f"{narrative} = {{ rate = {np.exp(logs.mean()):.5f}, spread = {logs.std(ddof=1):.2f} }}")


if __name__ == "__main__":
    main(sys.argv[1:])
