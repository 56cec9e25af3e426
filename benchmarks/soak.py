"""Full load for a long time: do memory, file handles, threads, connections and latency stay where they are?

    python benchmarks/soak.py [--minutes 20] [--postgres] [--articles 5000] [--tagger keywords]

On SQLite `storyshift run`; with --postgres `storyshift serve` and one `storyshift worker --threads 2`, on a PostgreSQL
of their own. 40 feeds that show new entries all the time, an archive that brings 10 rows a second, and a mix of 4
questions a second to the API. Every 10 s is looked at what each process holds, how long answers took, what is unread.

Told are the medians of each fifth of the time, and the slope per hour from the second fifth on: the median of the
slopes between any two looks (Theil-Sen), which single bad looks do not move. The first fifth is warming up. Flat is

- memory, of each process: a slope below 5 % of its median, or one that what came explains: INDEX_KB of every article
  where copies are found; on SQLite what its file grew by, once for each connection, which keeps pages (up to 64 MB);
- handles, threads, connections: the last fifth has no more than the second, plus 5 % and 3;
- latency: p50 of the last fifth at most 1.5 times that of the second, p95 at most twice;
- unread wordings: no more in the last fifth than in the second, plus 500.

A machine that others use makes latency worse whatever we do: its load is told beside. Exit code 1 where something is
not flat, or went wrong.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from threading import Event, Thread

import httpx
import sqlalchemy as sa
from api_load import fill, send
from faults import Cluster, Outside, Program, children, free_port, wait_until

from models.database import Database
from models.errors import StoryshiftError
from models.feeds import Feed
from models.store.articles import add_articles
from models.store.sql import table_of

LOOK_SECONDS, READY_SECONDS = 10.0, 120.0
QUESTIONS = 4.0
"""A second."""
INDEX_KB = 3.0
"""Of an article in the index of copies, which holds 60 days of them; measured: 2.3 to 2.8."""
CLUSTERS = ("run", "worker")
MEMORY_GROWTH, COUNT_GROWTH, COUNT_MORE, SLOWER_P50, SLOWER_P95, UNREAD_MORE = 0.05, 0.05, 3, 1.5, 2.0, 500
BUSY = "Nothing was lost: try again"
AGAIN = timedelta(seconds=20)
"""After a visit, until a feed is made due again: 40 visits in the 30 s between two looks, of 0.85 s each."""
LONGEST_WAIT = timedelta(seconds=67)
"""What `collect` says after a visit is no longer; a claim is."""
Look = dict[str, float]


@dataclass(frozen=True, slots=True)
class Under:
    """What is looked at."""

    database: Database
    programs: list[Program]
    address: str


# -- what runs --------------------------------------------------------------------------------------------------------


@contextmanager
def running(folder: Path, asked: argparse.Namespace, outside: Outside) -> Iterator[Under]:
    cluster = Cluster(folder / "postgresql") if asked.postgres else None
    if cluster:
        cluster.start()
    url, port = cluster.url if cluster else f"sqlite:///{folder}/soak.db", free_port()
    own = {name: value for name, value in os.environ.items() if not name.startswith("STORYSHIFT_")} | {
        "STORYSHIFT_DATABASE_URL": url,
        "STORYSHIFT_CONFIG_DIR": str(folder),
        "STORYSHIFT_ALLOW_PRIVATE_ADDRESSES": "true",
        "STORYSHIFT_COLLECT_MINUTES": "1",
        "STORYSHIFT_LOAD_PRICES": "false",
        "STORYSHIFT_RATE_LIMIT": "off",
        "STORYSHIFT_TAGGER": asked.tagger,
    }
    words = {"serve": ["serve"], "worker": ["worker", "--threads", "2"]} if cluster else {"run": ["run"]}
    for name in words.keys() & {"serve", "run"}:
        words[name] += ["--port", str(port)]
    programs = [Program(name, one, own, folder) for name, one in words.items()]
    database = None
    try:
        (folder / "feeds.toml").write_text("feeds = []\n")
        fill(folder, asked.articles, own)
        (folder / "feeds.toml").write_text(outside.feeds_file())
        database = Database.open(url)
        database.analyze()
        for program in programs:
            program.start()
        yield Under(database, programs, f"http://127.0.0.1:{port}")
    finally:
        for program in programs:
            if program.groups:
                program.kill()
        if database:
            database.close()
        if cluster:
            cluster.stop()


def is_ready(under: Under) -> bool:
    try:
        return httpx.get(f"{under.address}/v1/health/ready", timeout=30).is_success
    except httpx.TransportError:
        return False


class Load:
    """Feeds are made due, the archive grows, questions are asked, until `end`."""

    def __init__(self, under: Under, outside: Outside, articles: int) -> None:
        self.refused: list[str] = []
        self._under, self._outside, self._articles, self._over = under, outside, articles, Event()
        self._took: list[float] = []
        self.wrong: defaultdict[str, int] = defaultdict(int)
        self._threads = [Thread(target=work, daemon=True) for work in (self._bring, self._ask)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def took(self) -> list[float]:
        """Milliseconds that each answer took since this was asked last."""
        took, self._took = self._took, []
        return took

    def _bring(self) -> None:
        feeds = table_of(Feed)
        while not self._over.wait(1.0):
            now = datetime.now(UTC)
            visited = feeds.c.last_fetched_at
            waits = (visited < now - AGAIN, feeds.c.next_fetch_at > now, visited > now - LONGEST_WAIT)
            try:
                with self._under.database.write() as session:
                    for number, at, next_at in session.execute(
                        sa.select(feeds.c.id, visited, feeds.c.next_fetch_at).where(*waits)
                    ).all():
                        if next_at < at + LONGEST_WAIT:
                            session.execute(feeds.update().where(feeds.c.id == number).values(next_fetch_at=now))
                    add_articles(session, self._outside.archived(), now=now)
            except StoryshiftError as error:
                self.refused.append(str(error))

    def _ask(self) -> None:
        """In windows, each with a client and questions of its own."""
        while not self._over.is_set():
            told = asyncio.run(send(self._under.address, QUESTIONS, LOOK_SECONDS / 2, self._articles))
            self._took += [1_000 * one for times in told["took"].values() for one in times]
            for what, times in told["wrong"].items():
                self.wrong[what] += times


# -- what is looked at ------------------------------------------------------------------------------------------------


def held(process: int) -> tuple[float, int, int]:
    """MB in memory, open handles, threads."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    handles = len(list(Path(f"/proc/{process}/fd").iterdir()))
    return int(status["VmRSS"].split()[0]) / 1_024, handles, int(status["Threads"])


def opened(process: int, file: str) -> int:
    """How often it has this file open."""
    found = 0
    for handle in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):
            found += str(handle.readlink()) == file
    return found


def at(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def look(under: Under, load: Load, began: float) -> Look:
    found: Look = {"minute": (time.monotonic() - began) / 60}
    for program in under.programs:
        names = [f"{program.name} {what}" for what in ("MB", "handles", "threads")]
        found |= zip(names, held(program.process.pid), strict=True)
        parsers = 0.0
        for child in children(program.process.pid):
            with suppress(OSError, KeyError):  # it has just ended
                parsers += held(child)[0]
        found[f"{program.name} children MB"] = parsers
    took = sorted(load.took())
    found |= {"p50 ms": at(took, 0.5), "p95 ms": at(took, 0.95), "answers": float(len(took))}
    with under.database.engine.connect() as connection:

        def count(sql: str) -> float:
            return float(connection.exec_driver_sql(sql).scalar_one())

        file = under.database.url.database or ""
        if under.database.is_sqlite:
            found["connections"] = float(opened(under.programs[0].process.pid, file))
            found["file"] = Path(file).stat().st_size / 2**20
        else:
            found["connections"] = count("select count(*) from pg_stat_activity where pid <> pg_backend_pid()")
        found["articles"] = count("select count(*) from articles")
        found["unread"] = count("select count(*) from revisions") - count(
            "select count(distinct revision_id) from taggings"
        )
    found["machine's load"] = os.getloadavg()[0]
    return found


# -- what is said of it -----------------------------------------------------------------------------------------------


def fifths(looks: list[Look], name: str) -> list[float]:
    """The median of each fifth of the time."""
    size = len(looks) / 5
    parts = [looks[round(n * size) : round((n + 1) * size)] for n in range(5)]
    return [median([one[name] for one in part if one[name] == one[name]] or [float("nan")]) for part in parts]


def slope(looks: list[Look], name: str) -> float:
    """Per hour, after the first fifth."""
    points = [(one["minute"] / 60, one[name]) for one in looks[round(len(looks) / 5) :] if one[name] == one[name]]
    return median((y - b) / (x - a) for n, (x, y) in enumerate(points) for a, b in points[:n])


def explained(looks: list[Look], name: str) -> float:
    """MB an hour that a process may grow by for what came."""
    program = name.partition(" ")[0]
    index = INDEX_KB * slope(looks, "articles") / 1_024 if program in CLUSTERS else 0.0
    pages = slope(looks, "file") * median(one["connections"] for one in looks) if "file" in looks[0] else 0.0
    return index + pages


def not_flat(looks: list[Look], name: str) -> str:
    """Why it is not flat; empty where it is, or where no rule is about it."""
    _, second, _, _, last = fifths(looks, name)
    if name.endswith("MB"):
        grown, usual = slope(looks, name), MEMORY_GROWTH * median(one[name] for one in looks)
        allowed = max(usual, explained(looks, name))
        return f"{grown:+.0f} MB an hour, {allowed:.0f} allowed" if grown > allowed else ""
    if name.endswith(("handles", "threads")) or name == "connections":
        return "more and more" if last > second * (1 + COUNT_GROWTH) + COUNT_MORE else ""
    if name in ("p50 ms", "p95 ms"):
        return "slower" if last > second * (SLOWER_P50 if name == "p50 ms" else SLOWER_P95) else ""
    return "more and more" if name == "unread" and last > second + UNREAD_MORE else ""


def tell(looks: list[Look]) -> list[str]:
    """Prints the table. Returns what is not flat."""
    print("| | first fifth | second | third | fourth | last | per hour | |\n|" + " --- |" * 8)
    wrong = []
    for name in looks[0]:
        if name in ("minute", "answers"):
            continue
        why = not_flat(looks, name)
        wrong += [f"{name}: {why}"] if why else []
        ruled = name not in ("articles", "file", "machine's load")
        cells = " | ".join(f"{one:,.0f}" for one in fifths(looks, name))
        print(f"| {name} | {cells} | {slope(looks, name):+,.0f} | {(why or 'flat') if ruled else ''} |")
    grown = {name: slope(looks, name) for name in looks[0] if name.endswith("MB")}
    came = slope(looks, "articles")
    each = ", ".join(f"{name.removesuffix(' MB')} {1_024 * one / came:+.1f}" for name, one in grown.items())
    print(f"\n{came:,.0f} articles an hour; kB of memory for each of them: {each}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--articles", type=int, default=5_000, help="that are there before")
    parser.add_argument("--tagger", default="keywords")
    parser.add_argument("--postgres", action="store_true", help="on PostgreSQL instead of SQLite")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started is ended
    looks: list[Look] = []
    outside = Outside(seed=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's own user goes through it
        with running(folder, asked, outside) as under:
            if wait_until(lambda: is_ready(under), READY_SECONDS) is None:
                sys.exit("It does not become ready.")
            load = Load(under, outside, asked.articles)
            began = time.monotonic()
            while time.monotonic() - began < asked.minutes * 60:
                time.sleep(LOOK_SECONDS)
                looks.append(look(under, load, began))
                told = "  ".join(f"{name} {value:,.1f}" for name, value in looks[-1].items())
                print(told, file=sys.stderr, flush=True)
            load.end()
            lines = [line for one in under.programs for line in one.log.read_text().splitlines()]
            failures = [line for line in lines if "failed" in line and "failed=0" not in line]
            waited = sum(BUSY in line for line in failures)
    outside.close()
    wrong = tell(looks)
    print(
        f"{outside.visits:,} visits to feeds, {outside.together} of them while another was under way; "
        f"{sum(one['answers'] for one in looks):,.0f} answers of the API, wrong: {dict(load.wrong) or 'none'}; "
        f"the archive was put off {len(load.refused)} times; jobs put off as others held the database: {waited}; "
        f"other failures in the log: {len(failures) - waited}"
    )
    print("\n".join([line for line in failures if BUSY not in line][:5]))
    if wrong or load.wrong or len(failures) > waited or outside.together:
        sys.exit("\n".join(["NOT FLAT", *wrong]))
    print("flat")


if __name__ == "__main__":
    main()
