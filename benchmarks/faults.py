"""Kills workers, API, scheduler and database at random moments under load, and counts what is lost, or there twice.

    python benchmarks/faults.py [--moments 50] [--gone 60] [--seed 1] [--tagger keywords]

A PostgreSQL of its own, with the settings that initdb gives it (every commit is on the disk); `storyshift serve`, two
`storyshift worker --threads 1` and a `storyshift scheduler`; 40 slow feeds on loopback, an archive that grows beside,
a webhook. At each moment SIGKILL to a worker, the API, the scheduler, or PostgreSQL with all its processes; it is
started again after 0 to 3 s. Recovery: from that start until the next piece of its work is committed, or answered.
Then PostgreSQL is stopped for as long as --gone says, and what the API answers meanwhile is looked at.

A feed shows an entry until its reader comes back with the ETag of an answer that held it - which is stored with the
entries, in one commit - and then never again: what a commit has lost nothing brings back. `collect` asks a feed once a
minute at most; the benchmark makes each due again 2 s after a visit, and never while somebody holds it.
"""

import argparse
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from threading import Event, Lock, Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import sqlalchemy as sa
from made_up import WORDS, headlines
from sqlmodel import Session

from jobs.tag import tagger_named
from models.articles import Article, Revision, Story
from models.database import Database
from models.errors import DatabaseUnavailable
from models.found import FoundArticle
from models.store.articles import add_articles
from models.store.rollups import COUNTED, rebuild
from models.store.sql import table_of
from models.tags import AssetMention, NarrativeTag, TagAttempt, Tagging, Text
from services.webhooks import Terms, create, queue_test

STORYSHIFT = str(Path(sys.executable).with_name("storyshift"))
FEEDS, STANDING, AGENCY_EVERY = 40, 3, 5
ANSWERS_AFTER = (0.1, 1.0)
"""Seconds that a feed takes."""
ARCHIVED = 10
"""Rows that the archive brings every second."""
VICTIMS = ("worker", "api", "scheduler", "database")
BEFORE_SECONDS, DOWN_SECONDS = (0.5, 6.0), (0.0, 3.0)
RECOVERY_SECONDS, DRAIN_SECONDS, STOP_SECONDS = 180.0, 1_800.0, 60.0
COMMITTED = re.compile(r"collected feeds=|tagged texts=")
Named = tuple[str, str]
"""Outlet and title: no two entries have the same."""


# -- a PostgreSQL of its own ------------------------------------------------------------------------------------------


class Cluster:
    """In `folder`, on a free port. `user` owns it where we are root, whom PostgreSQL refuses."""

    def __init__(self, folder: Path, *, user: str = "postgres") -> None:
        self.port, self._folder, self._data = free_port(), folder, folder / "data"
        self._bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self._as: list[str] = []
        folder.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            self._as = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            subprocess.run(["chown", "-R", user, str(folder)], check=True)
        initdb = [*self._as, str(self._bin / "initdb"), "-D", str(self._data), "-U", "storyshift", "-A", "trust"]
        subprocess.run(initdb, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        self.url = f"postgresql://storyshift@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Returns when it takes connections. It is our own child: one that nobody waits for would keep its lock."""
        words = [
            "-D",
            str(self._data),
            "-p",
            str(self.port),
            "-k",
            str(self._folder),
            "-c",
            "listen_addresses=127.0.0.1",
        ]
        with (self._folder / "log").open("a") as log:
            command = [*self._as, str(self._bin / "postgres"), *words]
            self._postmaster = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=log, start_new_session=True
            )
        ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode:
            if self._postmaster.poll() is not None:
                raise SystemExit(f"PostgreSQL does not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Whoever is connected is cut off."""
        self._postmaster.send_signal(signal.SIGINT)
        self._postmaster.wait(STOP_SECONDS)

    def kill(self) -> None:
        """The postmaster and all its processes, so that nobody is left to tidy up."""
        self._postmaster.send_signal(signal.SIGSTOP)  # so that it starts no other meanwhile
        others = children(self._postmaster.pid)
        for process in (self._postmaster.pid, *others):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._postmaster.wait()
        while any(is_alive(process) for process in others):
            time.sleep(0.01)


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as found:
        return int(found.getsockname()[1])


def children(process: int) -> list[int]:
    """Its own, not theirs: PostgreSQL has no others."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(entry.name))
    return found


def is_alive(process: int) -> bool:
    """A zombie is not: nobody has asked for its exit code."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


# -- what comes in ----------------------------------------------------------------------------------------------------


@dataclass
class MadeUpFeed:
    standing: list[Named]
    """In every answer, so that it would be seen if they were taken for new ones."""
    unread: list[Named] = field(default_factory=list)
    """Shown, or about to be, until an answer that held them was stored."""
    answers: list[list[Named]] = field(default_factory=list)
    """What each held; its ETag is its place, from 1."""
    at_once: int = 0
    visited_at: float = 0.0


class Outside:
    """Feeds at /feed/N and a receiver of webhooks at /hook."""

    def __init__(self, seed: int) -> None:
        self._rng, self._lock, self._titles = random.Random(seed), Lock(), iter(headlines(200_000))
        self._agency = [f"Agency: {next(self._titles)}" for _ in range(2_000)]
        self.feeds = [MadeUpFeed([(f"Outlet {n}", next(self._titles)) for _ in range(STANDING)]) for n in range(FEEDS)]
        self.stored: set[Named] = set()
        """What the store says that it holds: by an ETag, or by having committed a row of the archive."""
        self.visits = self.together = 0
        """together: visits to a feed while another was under way."""
        self.waited: list[float] = [0.0]
        """Seconds between two visits to a feed, each time."""
        self.is_quiet = False
        self.received: Counter[str] = Counter()
        """By webhook-id."""
        self.ids: defaultdict[str, set[str]] = defaultdict(set)
        """The webhook-ids under which each event came."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"outside": self}))
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def feeds_file(self) -> str:
        entry = '[[feeds]]\nurl = "{}/feed/{}"\noutlet = "Outlet {}"\nkind = "markets"\n'
        return "\n".join(entry.format(self.root, n, n) for n in range(FEEDS))

    def visited(self, number: int, etag: str) -> tuple[str, bytes | None]:
        """The ETag and body of an answer; no body where there is nothing new since the one with `etag`."""
        feed = self.feeds[number]
        with self._lock:
            self.visits += 1
            self.together += bool(feed.at_once)
            feed.at_once += 1
            if feed.visited_at:
                self.waited.append(time.monotonic() - feed.visited_at)
            feed.visited_at = time.monotonic()
            if etag:
                held = set(feed.answers[int(etag) - 1])
                self.stored |= held
                feed.unread = [entry for entry in feed.unread if entry not in held]
            if not self.is_quiet:
                feed.unread += [(f"Outlet {number}", self._title()) for _ in range(self._rng.randint(0, 4))]
            if etag and not feed.unread:
                return etag, None
            shown = [*feed.standing, *feed.unread]
            feed.answers.append(shown)
            return str(len(feed.answers)), rss(shown)

    def left(self, number: int) -> None:
        with self._lock:
            self.feeds[number].at_once -= 1

    def says_stored(self) -> set[Named]:
        with self._lock:
            return set(self.stored)

    def unread(self) -> int:
        with self._lock:
            return sum(len(feed.unread) for feed in self.feeds)

    def wait(self) -> None:
        time.sleep(self._rng.uniform(*ANSWERS_AFTER))

    def archived(self) -> list[FoundArticle]:
        with self._lock:
            return [found_article((f"Archive {n}", self._title())) for n in range(ARCHIVED)]

    def keep(self, rows: list[FoundArticle]) -> None:
        """The store has committed these of the archive."""
        with self._lock:
            self.stored |= {(row.outlet, row.title) for row in rows}

    def told(self, message: str, key: str) -> None:
        with self._lock:
            self.received[message] += 1
            self.ids[key].add(message)

    def _title(self) -> str:
        """One of a few that many outlets have, or one of its own."""
        if self._rng.randrange(AGENCY_EVERY) or self.is_quiet:
            return next(self._titles)
        return self._agency[self.visits // FEEDS % len(self._agency)] + f" ({next(self._titles).split()[-1]})"


def text_of(title: str) -> str:
    """Of an agency the same, whoever has it."""
    return " ".join(random.Random(title.partition(" (")[0]).choices(WORDS, k=40))


def rss(entries: list[Named]) -> bytes:
    items = "".join(
        f"<item><title>{title}</title><link>https://{outlet.replace(' ', '')}.example/{title.split()[-1].strip('()')}"
        f"</link><description>{text_of(title)}</description></item>"
        for outlet, title in entries
    )
    return f'<rss version="2.0"><channel><title>Made up</title>{items}</channel></rss>'.encode()


def found_article(named: Named) -> FoundArticle:
    outlet, title = named
    now = datetime.now(UTC)
    at = now - timedelta(days=1 + random.Random(title).randrange(30))
    about = {"summary": text_of(title), "body": "", "url": None, "language": "en", "origin": "archive"}
    clocks = {"event_at": at, "known_at": at, "knowledge": "assumed"}
    return FoundArticle(identity=f"{outlet}|{title}"[-200:], outlet=outlet, title=title, **about, **clocks)


class Handler(BaseHTTPRequestHandler):
    outside: Outside
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        number = int(self.path.rpartition("/")[2])
        etag, body = self.outside.visited(number, self.headers.get("If-None-Match", "").strip('"'))
        self.outside.wait()
        self.outside.left(number)
        with suppress(ConnectionError):  # the reader was killed
            self.send_response(200 if body else 304)
            self.send_header("ETag", f'"{etag}"')
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.outside.told(self.headers["webhook-id"], event["key"])
        with suppress(ConnectionError):
            self.send_response(204)
            self.end_headers()


# -- what runs --------------------------------------------------------------------------------------------------------


class Program:
    """`storyshift WORDS`, with a log of each of its lives."""

    def __init__(self, name: str, words: list[str], environment: dict[str, str], folder: Path) -> None:
        self.name, self._words, self._environment, self._folder = name, words, environment, folder
        self.groups: list[int] = []
        """Of its processes in each life."""

    def start(self) -> None:
        self.log = self._folder / f"{self.name}-{len(self.groups)}.log"
        with self.log.open("w") as said:
            self.process = subprocess.Popen(
                [STORYSHIFT, *self._words], env=self._environment, stdout=said, stderr=said, start_new_session=True
            )
        self.groups.append(self.process.pid)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def has_committed(self, since: int = 0) -> bool:
        """Whether its log says so, from this place on."""
        return COMMITTED.search(self.log.read_text()[since:]) is not None

    def left_behind(self) -> int:
        """Earlier lives of which a process still runs."""
        found = 0
        for group in self.groups[:-1]:
            with suppress(ProcessLookupError):
                os.killpg(group, 0)
                found += 1
        return found


class Town:
    """All that runs, and the load on it."""

    def __init__(self, folder: Path, *, seed: int, tagger: str) -> None:
        self.outside, self.cluster, self.tagger = Outside(seed), Cluster(folder / "postgresql"), tagger
        self.cluster.start()
        (folder / "feeds.toml").write_text(self.outside.feeds_file())
        own = {name: value for name, value in os.environ.items() if not name.startswith("STORYSHIFT_")} | {
            "STORYSHIFT_DATABASE_URL": self.cluster.url,
            "STORYSHIFT_CONFIG_DIR": str(folder),
            "STORYSHIFT_ALLOW_PRIVATE_ADDRESSES": "true",
            "STORYSHIFT_COLLECT_MINUTES": "1",
            "STORYSHIFT_LOAD_PRICES": "false",
            "STORYSHIFT_TAGGER": tagger,
        }
        os.environ.update({name: value for name, value in own.items() if name.startswith("STORYSHIFT_")})
        self.database = Database.open(self.cluster.url)
        with self.database.write() as session:
            self.hook = create(session, Terms(url=f"{self.outside.root}/hook"), now=datetime.now(UTC)).id
        self.port = free_port()
        self.api = Program("api", ["serve", "--port", str(self.port)], own, folder)
        self.workers = [Program(f"worker{n}", ["worker", "--threads", "1"], own, folder) for n in range(2)]
        self.scheduler = Program("scheduler", ["scheduler"], own, folder)
        self.programs = [self.api, *self.workers, self.scheduler]
        self.refused: Counter[str] = Counter()
        """What the load met while something was down, by the kind of load."""
        self.broken: list[str] = []
        self._over = Event()

    def begin(self) -> None:
        for program in self.programs:
            program.start()
        loads: tuple[tuple[str, float, Callable[[], None]], ...] = (
            ("feeds made due", 1.0, self._make_due),
            ("archive", 1.0, self._archive),
            ("events", 10.0, self._event),
            ("questions", 0.3, self.ask),
        )
        for name, seconds, work in loads:
            Thread(target=self._again, args=(name, seconds, work), daemon=True).start()

    def end(self) -> None:
        self._over.set()
        for program in self.programs:
            if hasattr(program, "process"):
                program.kill()
        self.cluster.stop()
        self.outside.close()

    def count(self, sql: str) -> int:
        with self.database.engine.connect() as connection:
            return int(connection.exec_driver_sql(sql).scalar_one() or 0)

    def looks(self) -> int:
        """Grows with each look that anybody has put into the queue."""
        return self.count("select max(id) from procrastinate_periodic_defers")

    def told_without_database(self) -> str:
        """What the API says, unless it is what it should."""
        with urlopen(f"http://127.0.0.1:{self.port}/v1/health/live", timeout=30):
            pass
        try:
            self.ask()
        except HTTPError as error:
            said = error.read().decode()
            is_sentence = (
                error.code == 503 and json.loads(said)["detail"].endswith(".") and error.headers["Retry-After"]
            )
            return "" if is_sentence else f"{error.code}: {said[:300]}"
        except OSError as error:
            return str(error)
        return "200"

    def answers(self) -> bool:
        self.ask()
        return True

    def ask(self) -> None:
        """Raises: OSError unless the API is ready and answers."""
        for path in ("health/ready", "articles?limit=20"):
            with urlopen(f"http://127.0.0.1:{self.port}/v1/{path}", timeout=30) as answer:
                answer.read()

    def _make_due(self) -> None:
        with self.database.engine.begin() as connection:
            connection.exec_driver_sql(
                "update feeds set next_fetch_at = now() where last_fetched_at < now() - interval '2 seconds'"
                " and next_fetch_at > now() and next_fetch_at < last_fetched_at + interval '67 seconds'"
            )

    def _archive(self) -> None:
        if self.outside.is_quiet:
            return
        rows = self.outside.archived()
        while not self._over.is_set():
            with suppress(DatabaseUnavailable):
                with self.database.write() as session:
                    add_articles(session, rows, now=datetime.now(UTC))
                self.outside.keep(rows)
                return
            self.refused["archive"] += 1
            self._over.wait(0.5)

    def _event(self) -> None:
        if not self.outside.is_quiet:
            with self.database.write() as session:
                queue_test(session, self.hook, now=datetime.now(UTC))

    def _again(self, name: str, seconds: float, work: Callable[[], None]) -> None:
        while not self._over.wait(seconds):
            try:
                work()
            except (DatabaseUnavailable, OSError, sa.exc.OperationalError) as error:
                self.refused[name] += 1
                if isinstance(error, HTTPError) and error.code != 503:
                    self.broken.append(f"{name}: {error.code} {error.read().decode()[:300]}")
            except Exception as error:
                self.broken.append(f"{name}: {type(error).__name__}: {error}")


def wait_until(is_so: Callable[[], bool], seconds: float) -> float | None:
    """Seconds that it took; None if it did not come true."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        with suppress(OSError, DatabaseUnavailable, sa.exc.DBAPIError):
            if is_so():
                return time.monotonic() - began
        time.sleep(0.05)
    return None


# -- what happens to it -----------------------------------------------------------------------------------------------


def killed(town: Town, victim: str, rng: random.Random) -> float | None:
    """Seconds until it was at work again; None if it was not."""
    down = rng.uniform(*DOWN_SECONDS)
    if victim == "database":
        town.cluster.kill()
        time.sleep(down)
        return database_back(town)
    program = {"worker": rng.choice(town.workers), "api": town.api, "scheduler": town.scheduler}[victim]
    program.kill()
    time.sleep(down)
    looks = town.looks()
    program.start()
    is_back = {"worker": program.has_committed, "api": town.answers, "scheduler": lambda: town.looks() > looks}[victim]
    return wait_until(is_back, RECOVERY_SECONDS)


def database_back(town: Town) -> float | None:
    """It is started; seconds until a worker has committed something and the API answers. None if that does not come."""
    began, logs = time.monotonic(), [(worker, len(worker.log.read_text())) for worker in town.workers]
    town.cluster.start()

    def is_back() -> bool:
        return town.answers() and any(worker.has_committed(since) for worker, since in logs)

    return None if wait_until(is_back, RECOVERY_SECONDS) is None else time.monotonic() - began


def gone(town: Town, seconds: float) -> Iterator[str]:
    """The database is stopped for so long; each answer of the API meanwhile that is no sentence with status 503."""
    town.cluster.stop()
    answers: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        answers[town.told_without_database()] += 1
        time.sleep(0.5)
    took = database_back(town)
    told = "not back" if took is None else f"at work {took:.1f} s after it was back"
    print(f"database stopped for {seconds:.0f} s: {answers['']} answers, each 503 and a sentence; {told}", flush=True)
    yield from (f"without a database the API said {said}" for said in answers if said)
    if took is None:
        yield f"nothing was at work again within {RECOVERY_SECONDS:.0f} s after the database was back"


def held(town: Town) -> tuple[set[Named], int]:
    """What the store holds of what it says it does, and how often something is there once more."""
    with town.database.read() as session:
        found = Counter(
            tuple(row)
            for row in session.execute(sa.select(Article.outlet, Revision.title).join_from(Article, Revision))
        )
    return set(found), found.total() - len(found)


def ended_by_themselves(town: Town) -> list[str]:
    return [f"{one.name} ended by itself" for one in town.programs if one.process.poll() is not None]


def left(town: Town) -> list[int]:
    """How many entries, articles, revisions, notes, messages and jobs wait for something."""
    queries = (
        "select count(*) from articles where story_id is null",
        "select count(*) from revisions r where not exists (select from taggings t where t.revision_id = r.id)",
        "select count(*) from tag_attempts",
        "select count(*) from deliveries where state = 'waiting'",
        "select count(*) from procrastinate_jobs where status = 'todo' and task_name = 'tag'",
    )
    return [town.outside.unread(), *map(town.count, queries)]


def drained(town: Town) -> float | None:
    """Seconds until nothing waits, once nothing comes in any more."""
    town.outside.is_quiet = True
    return wait_until(lambda: not any(left(town)), DRAIN_SECONDS)


def stopped(town: Town) -> Iterator[str]:
    """All are told to stop; what was wrong with how they did."""
    for program in town.programs:
        program.process.terminate()
    for program in town.programs:
        try:
            code = program.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            yield f"{program.name} does not stop"
        else:
            if code:
                yield f"{program.name} ended with {code}"
        if behind := program.left_behind():
            yield f"{program.name}: {behind} killed lives left processes behind"
    if stuck := town.count("select count(*) from procrastinate_jobs where status = 'doing'"):
        yield f"{stuck} jobs are stuck"


def rollups(session: Session) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for table in map(table_of, COUNTED):
        keys = len(table.primary_key)
        found.update((table.name, *row) for row in session.execute(sa.select(table)) if any(row[keys:]))
    return found


def wrong_in_the_end(town: Town) -> Iterator[str]:
    """Each check of the whole store that fails, in a sentence."""
    outside = town.outside
    shown = {entry for feed in outside.feeds for answer in feed.answers for entry in answer} | outside.stored
    found, again = held(town)
    if missing := shown - found:
        yield f"{len(missing)} of {len(shown)} entries are lost: {sorted(missing)[:3]}"
    if unknown := found - shown:
        yield f"{len(unknown)} entries nobody showed: {sorted(unknown)[:3]}"
    if again:
        yield f"{again} entries are there twice"
    with town.database.read() as session:
        ids = list(session.scalars(sa.select(Revision.id)))
        tagged = Counter(session.scalars(sa.select(Tagging.revision_id)))
        if tagged != Counter(ids):
            yield f"{len(ids)} revisions, {tagged.total()} taggings"
        stories = set(session.scalars(sa.select(Story.id)))
        used = set(session.scalars(sa.select(Article.story_id)))
        if stories != used:
            yield f"{len(stories - used)} stories without an article, {len(used - stories)} articles without a story"
        yield from _other_tags(session, town.tagger)
        if session.scalar(sa.select(sa.func.count()).select_from(TagAttempt)):
            yield "notes of reading are left"
        before = rollups(session)
    with town.database.write() as session:
        rebuild(session)
        after = rollups(session)
    if before != after:
        yield f"rollups: {len(before - after)} rows too many, {len(after - before)} missing"
    yield from _other_deliveries(town)


def _other_tags(session: Session, name: str) -> Iterator[str]:
    tagger = tagger_named(name)
    texts = [
        Text(str(number), {"title": title, "summary": summary, "body": body})
        for number, title, summary, body in session.execute(
            sa.select(Revision.id, Revision.title, Revision.summary, Revision.body)
        )
    ]
    said = {
        (int(one.id), key)
        for one in tagger.tag(texts)
        for key in [tag.narrative for tag in one.narratives] + [asset.asset for asset in one.assets]
    }
    kept = {tuple(row) for row in session.execute(sa.select(NarrativeTag.revision_id, NarrativeTag.narrative))}
    kept |= {tuple(row) for row in session.execute(sa.select(AssetMention.revision_id, AssetMention.asset))}
    if kept != said:
        yield f"{len(said - kept)} tags are missing, {len(kept - said)} nobody said"


def _other_deliveries(town: Town) -> Iterator[str]:
    with town.database.engine.connect() as connection:
        rows = connection.exec_driver_sql("select d.id, e.key from deliveries d join events e on e.id = d.event_id")
        expected = {f"msg_{number}": key for number, key in rows}
    received = town.outside.received
    if lost := set(expected) - set(received):
        yield f"{len(lost)} messages never came"
    if unknown := set(received) - set(expected):
        yield f"{len(unknown)} messages came that nobody keeps"
    if twice := [key for key, ids in town.outside.ids.items() if len(ids) > 1]:
        yield f"{len(twice)} events came under more than one id"


@dataclass
class Tally:
    """What each kill did."""

    took: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lost: Counter[str] = field(default_factory=Counter)
    twice: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    last: str = ""
    _missing: set[Named] = field(default_factory=set)
    _again: int = 0

    def add(self, town: Town, victim: str, seconds: float | None) -> None:
        says = town.outside.says_stored()  # before we look: what comes later may not be there yet
        found, again = held(town)
        again += town.outside.together
        self.lost[victim] += len(says - found - self._missing)
        self.twice[victim] += max(0, again - self._again)
        self._missing |= says - found
        self._again = again
        if seconds is None:
            self.wrong.append(f"{victim} was not at work again within {RECOVERY_SECONDS:.0f} s")
        else:
            self.took[victim].append(seconds)
        self.wrong += ended_by_themselves(town)
        told = "not back" if seconds is None else f"back after {seconds:.1f} s"
        self.last = f"{told}; {len(found):,} entries in the store"

    def tell(self, town: Town, drained: float | None) -> None:
        for victim, times in sorted(self.took.items()):
            print(
                f"{victim:9} {len(times):3} kills, recovery p50 {median(times):5.1f} s, max {max(times):5.1f} s, "
                f"lost {self.lost[victim]}, twice {self.twice[victim]}"
            )
        outside, received = town.outside, town.outside.received
        articles, visits = (town.count(f"select count(*) from {table}") for table in ("articles", "fetches"))
        print(
            f"{articles:,} articles; {visits:,} visits of {outside.visits:,} were stored, no feed waited longer than "
            f"{max(outside.waited):.0f} s; {len(received)} messages, {received.total() - len(received)} of them again "
            f"under the same id; all done {drained or 0:.0f} s after"
        )


# -- the whole --------------------------------------------------------------------------------------------------------


@contextmanager
def a_town(seed: int, tagger: str) -> Iterator[Town]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's own user goes through it
        town = Town(folder, seed=seed, tagger=tagger)
        try:
            yield town
        finally:
            town.end()


def until_enough() -> Event:
    """Set by the first Ctrl-C or SIGTERM: no more kills, but all checks. The second one ends it."""
    enough = Event()

    def heard(*_: object) -> None:
        for one in (signal.SIGINT, signal.SIGTERM):
            signal.signal(one, signal.default_int_handler)
        enough.set()

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, heard)
    return enough


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--gone", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tagger", default="keywords")
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    victims = [VICTIMS[n % len(VICTIMS)] for n in range(asked.moments)]
    rng.shuffle(victims)
    tally = Tally()
    with a_town(asked.seed, asked.tagger) as town:
        town.begin()
        if wait_until(lambda: all(worker.has_committed() for worker in town.workers), RECOVERY_SECONDS) is None:
            sys.exit("The workers never began.")
        enough = until_enough()
        for number, victim in enumerate(victims, 1):
            time.sleep(rng.uniform(*BEFORE_SECONDS))
            tally.add(town, victim, killed(town, victim, rng))
            print(f"{number:3} {victim:9} {tally.last}", file=sys.stderr, flush=True)
            if tally.wrong or enough.is_set():
                break
        if asked.gone:
            tally.wrong += gone(town, asked.gone)
        tally.wrong += ended_by_themselves(town)
        seconds = drained(town)
        if seconds is None:
            tally.wrong.append(f"work was left after {DRAIN_SECONDS:.0f} s: {left(town)}")
        tally.wrong += [*stopped(town), *wrong_in_the_end(town), *town.broken[:5]]
        tally.tell(town, seconds)
        if tally.wrong:
            for program in town.programs:
                print(f"--- {program.name}\n{program.log.read_text()[-3000:]}", file=sys.stderr)
    if tally.wrong or tally.lost.total() or tally.twice.total():
        sys.exit("\n".join(f"WRONG: {one}" for one in tally.wrong) or 1)
    print("nothing lost, nothing twice; rollups are what rebuilding gives; no job stuck")


if __name__ == "__main__":
    main()
