"""Entries collected and stored per second over loopback, and how long a round takes in which nothing changed.

    python benchmarks/collect_feeds.py ROOT FEEDS [PEER_PYTHON]

ROOT serves FEEDS feeds as ROOT/0.xml … with ETags. PEER_PYTHON, a Python with the `reader` library, visits the
same feeds in turn (each from an empty database, five times; medians are quoted).
"""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

from ingest.guard import Reach
from jobs.collect import collect
from models.database import Database
from models.feeds import Feed

TIMES = 5
PEER = """
import sys, time
from reader import make_reader
root, feeds, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
reader = make_reader(path)
for number in range(feeds):
    reader.add_feed(f"{root}/{number}.xml")
began = time.perf_counter()
reader.update_feeds(workers=8)
print((reader.get_entry_counts().total or 0) / (time.perf_counter() - began))
"""


def now() -> datetime:
    return datetime.now(UTC)


def ours(root: str, feeds: int, folder: Path) -> tuple[float, float, float]:
    """Entries per second of a first round, and the seconds of both rounds."""
    database = Database.open(f"sqlite:///{folder}/storyshift.db")
    with database.write() as session:
        for number in range(feeds):
            session.add(Feed(url=f"{root}/{number}.xml", outlet=str(number), added_at=now(), next_fetch_at=now()))
    seconds, stored = [], 0
    for _ in range(2):
        began = perf_counter()
        stored += collect(database, clock=now, every=True, reach=Reach(everything=True)).new_articles
        seconds.append(perf_counter() - began)
    database.close()
    return stored / seconds[0], seconds[0], seconds[1]


def main(root: str, feeds: int, peer: str | None) -> None:
    results, peers = [], []
    for _ in range(TIMES):
        with tempfile.TemporaryDirectory() as folder:
            results.append(ours(root, feeds, Path(folder)))
            if peer:
                command = [peer, "-c", PEER, root, str(feeds), f"{folder}/reader.sqlite"]
                peers.append(float(subprocess.check_output(command)))
    rate = median(rate for rate, _, _ in results)
    again = median(second / first for _, first, second in results)
    print(f"{feeds} feeds: {rate:,.0f} entries/s; a round without change takes {again:.2f} of a first one")
    if peers:
        print(f"reader: {median(peers):,.0f} entries/s; ratio {rate / median(peers):.2f}")


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
