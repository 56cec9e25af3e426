"""Three hosts: a database with feeds, and two with a worker each. The link of one is cut in the middle of its work.

    python benchmarks/hosts.py [--cuts 4] [--away 60] [--seed 1]          # as root; on Linux, with `ip`

Each host is a network namespace, joined by a bridge: host a has PostgreSQL and slow feeds that show new entries all the
time, beside an archive that grows; b and c have `storyshift worker --threads 1`. Again and again, while c is at a job,
its link is cut for so many seconds: nobody is told, both ends of its connections are half open. Every second time a
process on c holds, in a transaction that is not ended, the lock that all who find copies or store tags wait for.

Told are how long it takes until the database has let go of c, until what c was at is done by b, what b stores
meanwhile, and, healed, until c has stored something again. Then nothing new is shown, and all that benchmarks/faults.py
looks at is looked at: nothing lost or there twice, one tagging of each wording, no feed visited by both at once,
rollups as a rebuilding has them. Exit code 1 otherwise. The namespaces are taken away in the end, whatever happens.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from http.server import ThreadingHTTPServer
from pathlib import Path
from shutil import which
from statistics import median
from threading import Event, Thread

import sqlalchemy as sa
from faults import (
    AGENCY_EVERY,
    ARCHIVED,
    DRAIN_SECONDS,
    RECOVERY_SECONDS,
    Cluster,
    Handler,
    Outside,
    Program,
    Town,
    drained,
    ended_by_themselves,
    found_article,
    held,
    left,
    stopped,
    wait_until,
    wrong_in_the_end,
)

from models.database import Database
from models.found import FoundArticle

NET = "10.77.0"
HOSTS = {"a": f"{NET}.1", "b": f"{NET}.2", "c": f"{NET}.3"}
FEEDS = 16
"""As many as one worker alone can visit as often as they are looked for."""
BEFORE_SECONDS = (8.0, 15.0)
"""Between c's return and the next cut."""

HOLDER = """
import sys, time
from models.database import Database
from models.store.sql import one_at_a_time
with Database(sys.argv[1], busy_seconds=120).write() as session:
    one_at_a_time(session, "stories")
    print("held", flush=True)
    time.sleep(3_600)
"""


# -- the hosts --------------------------------------------------------------------------------------------------------


def run(*words: str) -> None:
    subprocess.run(words, check=True)


@contextmanager
def three_hosts() -> Iterator[dict[str, str]]:
    """The namespace of each host. The bridge and its ends of the links (to-b, to-c) are in that of a."""
    spaces = {host: f"storyshift-{os.getpid()}-{host}" for host in HOSTS}
    try:
        for space in spaces.values():
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
        inside = ("ip", "-n", spaces["a"])
        run(*inside, "link", "add", "bridge", "type", "bridge")
        run(*inside, "addr", "add", f"{HOSTS['a']}/24", "dev", "bridge")
        run(*inside, "link", "set", "bridge", "up")
        for host in "bc":
            run(*inside, "link", "add", f"to-{host}", "type", "veth", "peer", "eth0", "netns", spaces[host])
            run(*inside, "link", "set", f"to-{host}", "master", "bridge", "up")
            run("ip", "-n", spaces[host], "addr", "add", f"{HOSTS[host]}/24", "dev", "eth0")
            run("ip", "-n", spaces[host], "link", "set", "eth0", "up")
        yield spaces
    finally:
        for space in spaces.values():
            left_over = subprocess.run(["ip", "netns", "pids", space], check=False, capture_output=True, text=True)
            for process in left_over.stdout.split():
                os.kill(int(process), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", space], check=False, stderr=subprocess.DEVNULL)


class Feeds(Outside):
    """An outlet has each text of the agency once, and the archive none: then all that have one are one story."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._had: Counter[int] = Counter()

    def archived(self) -> list[FoundArticle]:
        with self._lock:
            return [found_article((f"Archive {n}", next(self._titles))) for n in range(ARCHIVED)]

    def _title(self) -> str:
        if self._rng.randrange(AGENCY_EVERY) or self.is_quiet:
            return next(self._titles)
        outlet = max(range(FEEDS), key=lambda n: self.feeds[n].visited_at)  # that asks just now
        self._had[outlet] += 1
        return f"{self._agency[self._had[outlet]]} ({next(self._titles).split()[-1]})"


class HostCluster(Cluster):
    """On the address of host a too, for all on the net."""

    def start(self) -> None:
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {NET}.0/24 trust\n")
        settings = self._data / "postgresql.conf"
        settings.write_text(settings.read_text() + f"\nlisten_addresses = '127.0.0.1,{HOSTS['a']}'\n")
        words = [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port), "-k", str(self._folder)]
        with (self._folder / "log").open("a") as log:
            self._postmaster = subprocess.Popen(
                [*self._as, *words], cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        ready = [str(self._bin / "pg_isready"), "-q", "-h", HOSTS["a"], "-p", str(self.port)]
        if wait_until(lambda: not subprocess.run(ready, check=False).returncode, RECOVERY_SECONDS) is None:
            sys.exit(f"PostgreSQL does not start: {(self._folder / 'log').read_text()[-2000:]}")


class HostWorker(Program):
    """A worker in the namespace of its host; `ip netns exec` becomes it, so that its process is the one we know."""

    def __init__(self, host: str, space: str, environment: dict[str, str], folder: Path) -> None:
        super().__init__(host, [], environment, folder)
        self._space, self._said = space, 0

    def start(self) -> None:
        self.log = self._folder / f"{self.name}.log"
        words = ["ip", "netns", "exec", self._space, sys.executable, "-m", "storyshift", "worker", "--threads", "1"]
        with self.log.open("w") as said:
            self.process = subprocess.Popen(
                words, env=self._environment, stdout=said, stderr=said, start_new_session=True
            )
        self.groups.append(self.process.pid)

    def place(self) -> int:
        return len(self.log.read_text())

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Another process on this host holds the lock."""
        words = ["ip", "netns", "exec", self._space, sys.executable, "-c", HOLDER]
        words.append(self._environment["STORYSHIFT_DATABASE_URL"])
        path = os.pathsep.join(one for one in sys.path if one)
        with subprocess.Popen(words, stdout=subprocess.PIPE, env=self._environment | {"PYTHONPATH": path}) as holder:
            try:
                next(iter(holder.stdout or ()))  # it says so
                yield
            finally:
                holder.kill()


class Country(Town):
    """What faults.Town is, on hosts: no API, no scheduler, no webhook."""

    def __init__(self, folder: Path, spaces: dict[str, str], *, seed: int) -> None:
        self.outside, self.cluster, self.tagger = Feeds(seed), HostCluster(folder / "postgresql"), "keywords"
        self.cluster.start()
        handler = type("Handler", (Handler,), {"outside": self.outside})
        self._feeds = ThreadingHTTPServer((HOSTS["a"], 0), handler)
        self._feeds.daemon_threads = True
        Thread(target=self._feeds.serve_forever, daemon=True).start()
        self.outside.root = f"http://{HOSTS['a']}:{self._feeds.server_address[1]}"
        entries = self.outside.feeds_file().split("\n[[feeds]]")[:FEEDS]
        (folder / "feeds.toml").write_text("\n[[feeds]]".join(entries) + "\n")
        own = {name: value for name, value in os.environ.items() if not name.startswith("STORYSHIFT_")} | {
            "STORYSHIFT_DATABASE_URL": self.cluster.url.replace("127.0.0.1", HOSTS["a"]),
            "STORYSHIFT_CONFIG_DIR": str(folder),
            "STORYSHIFT_ALLOW_PRIVATE_ADDRESSES": "true",
            "STORYSHIFT_COLLECT_MINUTES": "1",
            "STORYSHIFT_LOAD_PRICES": "false",
            "STORYSHIFT_TAGGER": self.tagger,
        }
        os.environ.update({name: value for name, value in own.items() if name.startswith("STORYSHIFT_")})
        self.database = Database.open(self.cluster.url)
        self.b, self.c = (HostWorker(host, spaces[host], own, folder) for host in "bc")
        self.programs = [self.b, self.c]
        self.refused, self.broken, self._over = {"feeds made due": 0, "archive": 0}, [], Event()

    def begin(self) -> None:
        self.b.start()
        if wait_until(lambda: bool(self.count("select count(*) from procrastinate_workers")), RECOVERY_SECONDS) is None:
            sys.exit(f"b does not begin:\n{self.b.log.read_text()}")
        self.number_of_b = self.number_of_latest()
        self.c.start()
        loads: tuple[tuple[str, Callable[[], None]], ...] = (
            ("feeds made due", self._make_due),
            ("archive", self._archive),
        )
        for name, work in loads:
            Thread(target=self._again, args=(name, 1.0, work), daemon=True).start()

    def end(self) -> None:
        super().end()
        self._feeds.shutdown()
        self._feeds.server_close()
        self.database.close()

    def rows(self, sql: str, **given: object) -> list[sa.Row]:
        with self.database.engine.connect() as connection:
            return list(connection.execute(sa.text(sql), given))

    def number_of_latest(self) -> int:
        """Of the worker that has said last that it lives; the queue tells nothing of hosts."""
        return int(self.rows("select id from procrastinate_workers order by last_heartbeat desc limit 1")[0].id)

    def jobs_of_c(self) -> list[sa.Row]:
        return self.rows(
            "select id, task_name from procrastinate_jobs where status = 'doing' and worker_id <> :worker"
            " and task_name in ('feed', 'tag', 'stories')",
            worker=self.number_of_b,
        )

    def connections(self, host: str) -> int:
        """That the database believes in."""
        return self.count(f"select count(*) from pg_stat_activity where client_addr = '{HOSTS[host]}'")


# -- what happens to them ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cut:
    """In seconds from the cut, or from the healing (back)."""

    task: str
    let_go: float
    done: float
    longest_pause: float
    """In which b stored nothing while c was away."""
    stored: int
    """Articles, while c was away."""
    back: float


def cut(country: Country, away: float, *, holds: bool) -> Cut | str:
    """Cuts c while it is at a job, and heals after `away` seconds. What went wrong, where it did."""
    with country.c.holding() if holds else nullcontext():
        return _cut(country, away, "holds the lock: " if holds else "")


def _cut(country: Country, away: float, first: str) -> Cut | str:
    found: list[sa.Row] = []

    def is_at_something() -> bool:
        found[:] = country.jobs_of_c()
        return bool(found)

    if wait_until(is_at_something, RECOVERY_SECONDS) is None:
        return "c was at nothing"
    run("ip", "link", "set", "to-c", "down")
    began, articles = time.monotonic(), country.count("select count(*) from articles where origin = 'live'")
    numbers = [row.id for row in found]
    let_go = done = None
    place, last, pause = country.b.place(), began, 0.0
    try:
        while time.monotonic() - began < away or (done is None and time.monotonic() - began < RECOVERY_SECONDS):
            time.sleep(0.1)
            passed = time.monotonic() - began
            if let_go is None and not country.connections("c"):
                let_go = passed
            ended = "select count(*) from procrastinate_jobs where id = any(:numbers) and status in ('todo', 'doing')"
            if done is None and not country.rows(ended, numbers=numbers)[0].count:
                done = passed
            if country.b.has_committed(place):
                pause, last, place = max(pause, time.monotonic() - last), time.monotonic(), country.b.place()
        pause = max(pause, time.monotonic() - last)
        stored = country.count("select count(*) from articles where origin = 'live'") - articles
        country.number_of_b = country.number_of_latest()
    finally:
        run("ip", "link", "set", "to-c", "up")
    place = country.c.place()
    back = wait_until(lambda: country.c.has_committed(place), RECOVERY_SECONDS)
    if done is None or back is None:
        return "what c was at was not done" if done is None else "c did not come back"
    return Cut(first + "+".join(row.task_name for row in found), let_go or float("inf"), done, pause, stored, back)


def tell(cuts: list[Cut]) -> None:
    print("| c was at | database let go of c | done by b | b's longest pause | articles meanwhile | c back |")
    print("|" + " --- |" * 6)
    for one in cuts:
        print(
            f"| {one.task} | {one.let_go:.0f} s | {one.done:.0f} s | {one.longest_pause:.0f} s | {one.stored} |"
            f" {one.back:.0f} s |"
        )
    for name in ("let_go", "done", "longest_pause", "back"):
        times = [getattr(one, name) for one in cuts]
        print(f"{name}: p50 {median(times):.1f} s, max {max(times):.1f} s")


def inside(asked: argparse.Namespace) -> None:
    """On host a."""
    rng, cuts, wrong = random.Random(asked.seed), [], []
    spaces = {host: f"{asked.inside}-{host}" for host in HOSTS}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's own user goes through it
        country = Country(folder, spaces, seed=asked.seed)
        try:
            country.begin()
            if wait_until(lambda: all(one.has_committed() for one in country.programs), RECOVERY_SECONDS) is None:
                sys.exit("The workers never began.\n" + country.b.log.read_text() + country.c.log.read_text())
            for number in range(1, asked.cuts + 1):
                time.sleep(rng.uniform(*BEFORE_SECONDS))
                found = cut(country, asked.away, holds=number % 2 == 0)
                if isinstance(found, Cut):
                    cuts.append(found)
                else:
                    wrong.append(f"cut {number}: {found}")
                says = country.outside.says_stored()
                entries, again = held(country)
                lost = len(says - entries)
                wrong += [f"cut {number}: {lost} lost, {again} twice"] if lost or again else []
                print(f"{number} {found}; {len(entries):,} entries", file=sys.stderr, flush=True)
            wrong += ended_by_themselves(country)
            seconds = drained(country)
            if seconds is None:
                wrong.append(f"work was left after {DRAIN_SECONDS:.0f} s: {left(country)}")
            wrong += [*stopped(country), *wrong_in_the_end(country), *country.broken[:5]]
            if country.outside.together:
                wrong.append(f"{country.outside.together} visits to a feed while another was under way")
            if cuts:
                tell(cuts)
            articles, visits = (country.count(f"select count(*) from {table}") for table in ("articles", "fetches"))
            print(
                f"{articles:,} articles; {visits:,} visits of "
                f"{country.outside.visits:,} were stored, no feed waited longer than "
                f"{max(country.outside.waited):.0f} s; all done {seconds or 0:.0f} s after"
            )
            if wrong:
                for program in country.programs:
                    print(f"--- {program.name}\n{program.log.read_text()[-6000:]}", file=sys.stderr)
        finally:
            run("ip", "link", "set", "to-c", "up")
            country.end()
    if wrong:
        sys.exit("\n".join(f"WRONG: {one}" for one in wrong))
    print("nothing lost, nothing twice; rollups are what rebuilding gives; no job stuck")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=4)
    parser.add_argument("--away", type=float, default=60, help="seconds that c is cut off")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was made is taken away
    if asked.inside:
        inside(asked)
        return
    if os.geteuid() or not which("ip"):
        sys.exit("Network namespaces need root, and `ip` of iproute2.")
    with three_hosts() as spaces:
        name = spaces["a"].removesuffix("-a")
        words = ["ip", "netns", "exec", spaces["a"], sys.executable, *sys.argv, "--inside", name]
        code = subprocess.run(words, check=False).returncode
    sys.exit(code)


if __name__ == "__main__":
    main()
