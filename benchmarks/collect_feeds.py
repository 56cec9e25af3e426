"""Entries collected and stored per second over loopback, with and without clustering, and a round without change.

    python benchmarks/collect_feeds.py ROOT FEEDS [PEER_PYTHON]

ROOT serves FEEDS feeds as ROOT/0.xml … with ETags. PEER_PYTHON, a Python with the `reader` library, visits the
same feeds in turn (each from an empty database, five times; medians are quoted). The peak of memory is that of our
main process and, beside it, of the largest parsing process.
"""

import resource
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

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


def ours(root: str, feeds: int, folder: Path) -> tuple[float, float, float, float]:
    """Entries per second of a first round, the same with clustering, and the seconds of a first and a second round."""
    from ingest.guard import Reach  # here, and not in every parsing process
    from jobs.cluster import Clusterer
    from jobs.collect import collect
    from models.database import Database
    from models.feeds import Feed
    from storyshift.shell import now

    database = Database.open(f"sqlite:///{folder}/storyshift.db")
    with database.write() as session:
        for number in range(feeds):
            session.add(Feed(url=f"{root}/{number}.xml", outlet=str(number), added_at=now(), next_fetch_at=now()))
    times = [perf_counter()]
    stored = collect(database, clock=now, every=True, reach=Reach(everything=True)).new_articles
    times.append(perf_counter())
    Clusterer(database).cluster()
    times.append(perf_counter())
    collect(database, clock=now, every=True, reach=Reach(everything=True))
    times.append(perf_counter())
    database.close()
    first, clustering, second = (after - before for before, after in pairwise(times))
    return stored / first, stored / (first + clustering), first, second


def main(root: str, feeds: int, peer: str | None) -> None:
    results, peers = [], []
    for _ in range(TIMES):
        with tempfile.TemporaryDirectory() as folder:
            results.append(ours(root, feeds, Path(folder)))
            if peer:
                command = [peer, "-c", PEER, root, str(feeds), f"{folder}/reader.sqlite"]
                peers.append(float(subprocess.check_output(command)))
    rate, clustered = (median(result[place] for result in results) for place in (0, 1))
    again = median(second / first for _, _, first, second in results)
    print(f"{feeds} feeds: {rate:,.0f} entries/s, {clustered:,.0f} with clustering")
    print(f"a round without change takes {again:.3f} of a first one")
    if peers:
        peer_rate = median(peers)
        print(f"reader: {peer_rate:,.0f} entries/s; ratio {rate / peer_rate:.2f}, {clustered / peer_rate:.2f}")
    peaks = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print("peak memory: main process {:.0f} MB, largest other {:.0f} MB".format(*peaks))


if __name__ == "__main__":
    main(sys.argv[1].rstrip("/"), int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else None)
