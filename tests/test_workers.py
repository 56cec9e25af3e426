"""Workers: processes that share a queue on PostgreSQL, one alone on SQLite; and nothing is done twice at once."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from fakes import FeedServer, Page, found_article, hear_ctrl_c, rss
from procrastinate import App
from procrastinate.testing import InMemoryConnector
from sqlalchemy import create_engine
from sqlmodel import select

from jobs.cluster import Clusterer
from jobs.collect import collect, due
from jobs.spread import Looks
from models.articles import Article
from models.database import Database
from models.feeds import Feed, Fetch
from models.store import queue
from models.store.articles import add_articles
from models.tags import TagAttempt, Tagging
from storyshift.__main__ import main

ROOT = Path(__file__).parent.parent
AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
PATIENCE = 120.0


def until(is_so: Callable[[], Any], what: str, *processes: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, what
        for process in processes:
            assert process.poll() is None, (what, process.stderr and process.stderr.read().decode())
        time.sleep(0.05)


def keep(database: Database, titles: list[str]) -> None:
    found = [found_article(title, AT + timedelta(minutes=n), identity=f"{n}") for n, title in enumerate(titles)]
    with database.write() as session:
        add_articles(session, found, now=AT)


def subscribe(database: Database, now: datetime, *urls: str) -> None:
    with database.write() as session:
        for url in urls:
            session.add(Feed(url=url, outlet="W", added_at=now, next_fetch_at=now))


def count(database: Database, model: Any) -> int:
    with database.read() as session:
        return len(session.exec(select(model)).all())


def ask(database: Database, sql: str) -> list[tuple[Any, ...]]:
    with database.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def statuses(database: Database, task: str) -> Counter[str]:
    found = ask(database, f"select status::text from procrastinate_jobs where task_name = '{task}'")  # noqa: S608
    return Counter(status for (status,) in found)


# -- claims -----------------------------------------------------------------------------------------------------------


def test_two_collectors_at_once_visit_each_feed_once(database: Database, now: datetime) -> None:
    asked: Counter[str] = Counter()
    pages = {f"{n}": Page(rss(f"Story {n}", site=f"s{n}.org"), before=lambda: time.sleep(0.02)) for n in range(40)}
    together = threading.Barrier(3)

    def run() -> None:
        together.wait()
        collect(database, clock=lambda: now)

    with FeedServer(pages) as server:
        subscribe(database, now, *(server.url(name) for name in pages))
        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        asked.update(path for path, _ in server.seen)
    assert asked == {f"/{n}": 1 for n in range(40)}
    assert (count(database, Article), count(database, Fetch)) == (40, 40)


def test_a_feed_that_is_being_visited_is_nobody_else_s_and_due_again_if_its_visitor_dies(
    database: Database, now: datetime
) -> None:
    visiting, may_answer = threading.Event(), threading.Event()
    page = Page(rss("Gold rises"), before=lambda: (visiting.set(), may_answer.wait(PATIENCE)))
    with FeedServer({"a": page}) as server:
        subscribe(database, now, server.url("a"))
        thread = threading.Thread(target=collect, args=(database,), kwargs={"clock": lambda: now})
        thread.start()
        assert visiting.wait(PATIENCE)
        assert due(database, now=now) == []
        assert collect(database, clock=lambda: now).feeds == 0
        assert collect(database, clock=lambda: now, only=1).feeds == 0
        assert due(database, now=now + timedelta(minutes=2)) == [1]
        may_answer.set()
        thread.join()
    assert due(database, now=now + timedelta(minutes=10)) == []
    assert count(database, Fetch) == 1


def test_a_claim_lasts_as_long_as_the_visits_take(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.collect.RENEW_EVERY", timedelta(seconds=0.05))
    clock, renewed = [now], threading.Event()

    def wait() -> None:
        clock[0] = now + timedelta(hours=1)
        until(lambda: due(database, now=now + timedelta(hours=1)) == [], "the claim is renewed")
        renewed.set()

    with FeedServer({"a": Page(rss("Gold rises"), before=wait)}) as server:
        subscribe(database, now, server.url("a"))
        assert collect(database, clock=lambda: clock[0]).new_articles == 1
    assert renewed.is_set()


def test_only_the_one_feed_is_visited_and_only_if_it_is_due(database: Database, now: datetime) -> None:
    with FeedServer({"a": Page(rss("One")), "b": Page(rss("Two", site="b.org"))}) as server:
        subscribe(database, now, server.url("a"), server.url("b"))
        assert collect(database, clock=lambda: now, only=2).new_articles == 1
        assert collect(database, clock=lambda: now, only=2).feeds == 0
        assert due(database, now=now) == [1]


@pytest.mark.parametrize("back", [timedelta(hours=5), timedelta(days=500)])
def test_a_clock_set_back_keeps_no_feed_waiting(database: Database, now: datetime, back: timedelta) -> None:
    with FeedServer({"a": Page(rss("Gold rises"))}) as server:
        subscribe(database, now, server.url("a"))
        assert collect(database, clock=lambda: now).new_articles == 1
        assert collect(database, clock=lambda: now - back).feeds == 1
        assert collect(database, clock=lambda: now - back).feeds == 0
        assert collect(database, clock=lambda: now - back + timedelta(hours=1)).feeds == 1


# -- one worker on SQLite ---------------------------------------------------------------------------------------------


@contextmanager
def working(url: str, folder: Path, *words: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """`storyshift WORDS` as a process, killed in the end where it has not ended."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STORYSHIFT_")}
    environment |= {
        "STORYSHIFT_DATABASE_URL": url,
        "STORYSHIFT_CONFIG_DIR": str(folder),
        "PYTHONPATH": f"{ROOT}:{ROOT}/tests",
    }
    environment |= {"STORYSHIFT_TAGGER": "keywords", "STORYSHIFT_LOAD_PRICES": "false"}
    environment |= {"STORYSHIFT_ALLOW_PRIVATE_ADDRESSES": "true"} | settings
    command = [sys.executable, *words] if words[0] == "-c" else [sys.executable, "-m", "storyshift", *words]
    with (folder / f"log-{time.monotonic_ns()}").open("w+b") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=said, preexec_fn=hear_ctrl_c
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            said.seek(0)
            print(said.read().decode())


def feeds_file(folder: Path, *urls: str) -> None:
    entries = [f'[[feeds]]\nurl = "{url}"\noutlet = "W{n}"\nkind = "macro"\n' for n, url in enumerate(urls)]
    (folder / "feeds.toml").write_text("\n".join(entries) or "feeds = []\n")


def all_tagged(database: Database, n: int) -> bool:
    return count(database, Tagging) == n


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_on_sqlite_collects_and_tags_and_ends_what_it_does_when_told(
    sqlite_url: str, tmp_path: Path, how: signal.Signals
) -> None:
    database = Database(sqlite_url)
    may_answer = threading.Event()
    pages = {
        "a": Page(rss("Investors flee to safe havens")),
        "slow": Page(rss("Slow", site="slow.org"), before=lambda: may_answer.wait(PATIENCE)),
    }
    with FeedServer(pages) as server:
        feeds_file(tmp_path, server.url("a"), server.url("slow"))
        with working(sqlite_url, tmp_path, "worker") as process:
            until(lambda: all_tagged(database, 1), "it is tagged", process)
            process.send_signal(how)
            time.sleep(0.5)
            assert process.poll() is None
            may_answer.set()
            assert process.wait(PATIENCE) == 0
    assert count(database, Article) == 2
    database.close()


@pytest.mark.parametrize(
    ("words", "told"),
    [(("worker", "--threads", "2"), "--threads is for PostgreSQL"), (("scheduler",), "A scheduler is for PostgreSQL")],
)
def test_what_is_only_for_postgresql_says_so_on_sqlite(
    sqlite_url: str,
    words: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("STORYSHIFT_DATABASE_URL", sqlite_url)
    monkeypatch.setattr(sys, "argv", ["storyshift", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


# -- many workers on PostgreSQL ---------------------------------------------------------------------------------------


@pytest.fixture
def shared(request: pytest.FixtureRequest) -> Database:
    """PostgreSQL, with an empty queue."""
    from conftest import _empty

    database: Database = request.getfixturevalue("_postgresql")
    with database.engine.begin() as connection:
        connection.exec_driver_sql("truncate procrastinate_workers, procrastinate_jobs cascade")
    _empty(database)
    return database


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


WORKER = """
import sys
from datetime import datetime, timedelta, UTC
from fakes import FakeTagger
from jobs import spread, tag
from models.store import tags as tag_store
from models.database import Database
from storyshift.working import until_stopped
import logging, os, time

logging.basicConfig(level=logging.INFO)
reads, pause = sys.argv[2], float(sys.argv[3])

class Counting(FakeTagger):
    name = "keywords@1"
    def tag(self, texts):
        read = list(texts)
        with open(reads, "a") as noted:
            noted.write("".join(f"{os.getpid()} {text.id}\\n" for text in read))
        time.sleep(pause if len(read) > 1 else 0)
        return super().tag(read)

spread.live_tagger = lambda threads: Counting()
tag.BATCH = 100
tag.BEAT_SECONDS = 0.3
tag_store.DEAD_AFTER = timedelta(seconds=2)
with until_stopped() as stop:
    spread.work_on_queue(
        Database(sys.argv[1]), clock=lambda: datetime.now(UTC), threads=int(sys.argv[4]), stop=stop,
        heartbeat_seconds=0.5, stalled_seconds=2.0,
    )
"""


@contextmanager
def a_worker(
    database: Database, folder: Path, *, url: str | None = None, pause: float = 0.0, threads: int = 1
) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker that notes what it reads, `pause` seconds a batch, and is soon thought to be dead."""
    given = (WORKER, url or url_of(database), str(folder / "reads"), str(pause), str(threads))
    with working(url or url_of(database), folder, "-c", *given) as process:
        yield process


def reads(folder: Path) -> list[tuple[str, str]]:
    """(process, text) of every text that was read."""
    file = folder / "reads"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(process, text) for process, _, text in (line.partition(" ") for line in lines)]


@pytest.mark.slow
def test_two_workers_share_the_texts_and_each_is_read_once(shared: Database, tmp_path: Path) -> None:
    feeds_file(tmp_path)
    keep(shared, [f"gold+ XAU: story {n}" for n in range(5_000)])
    Clusterer(shared).cluster()
    with a_worker(shared, tmp_path, pause=0.1) as first, a_worker(shared, tmp_path, pause=0.1, threads=2) as second:
        until(lambda: all_tagged(shared, 5_000), "all are tagged", first, second)
        for process in (first, second):
            process.terminate()
        assert [first.wait(PATIENCE), second.wait(PATIENCE)] == [0, 0]
    found = reads(tmp_path)
    assert Counter(text for _, text in found) == {str(n): 1 for n in range(1, 5_001)}
    assert {process for process, _ in found} == {str(first.pid), str(second.pid)}
    assert count(shared, TagAttempt) == 0
    assert "failed" not in statuses(shared, "tag")
    assert ask(shared, "select count(*) from procrastinate_workers") == [(0,)]


@pytest.mark.slow
def test_what_a_killed_worker_was_reading_another_takes_up(shared: Database, tmp_path: Path) -> None:
    feeds_file(tmp_path)
    keep(shared, [f"gold+ XAU: story {n}" for n in range(400)])
    Clusterer(shared).cluster()
    with a_worker(shared, tmp_path, pause=600) as stuck:
        until(lambda: reads(tmp_path), "it reads", stuck)
        stuck.kill()
        stuck.wait()
        before = {text for _, text in reads(tmp_path)}
        assert 0 < len(before) < 400
        assert count(shared, Tagging) == 0
        with a_worker(shared, tmp_path) as other:
            until(lambda: all_tagged(shared, 400), "the other has read all", other)
            until(lambda: not statuses(shared, "tag")["doing"], "no job is stuck", other)
            other.terminate()
            assert other.wait(PATIENCE) == 0
    times = Counter(text for _, text in reads(tmp_path))
    assert times == {str(n): 1 + (str(n) in before) for n in range(1, 401)}
    assert count(shared, TagAttempt) == 0


@pytest.mark.slow
def test_feeds_are_visited_once_by_whichever_worker_and_what_they_bring_is_tagged(
    shared: Database, tmp_path: Path
) -> None:
    pages = {str(n): Page(rss(f"Investors flee to safe havens {n}", site=f"s{n}.org")) for n in range(12)}
    with FeedServer(pages) as server:
        feeds_file(tmp_path, *(server.url(name) for name in pages))
        words = ("worker", "--threads", "2")
        with (
            working(url_of(shared), tmp_path, *words) as first,
            working(url_of(shared), tmp_path, *words) as second,
            working(url_of(shared), tmp_path, "scheduler") as looking,
        ):
            until(lambda: all_tagged(shared, 12), "all are tagged", first, second, looking)
            for process in (first, second, looking):
                process.terminate()
            assert [process.wait(PATIENCE) for process in (first, second, looking)] == [0, 0, 0]
        assert Counter(path for path, _ in server.seen) == {f"/{n}": 1 for n in range(12)}
    assert statuses(shared, "feed") == {"succeeded": 12}


@pytest.mark.slow
def test_two_schedulers_put_nothing_into_the_queue_twice(shared: Database, tmp_path: Path) -> None:
    feeds_file(tmp_path)
    deferred = "select task_name, args->>'timestamp' from procrastinate_jobs"
    with working(url_of(shared), tmp_path, "scheduler") as one, working(url_of(shared), tmp_path, "scheduler") as two:
        found: set[tuple[Any, ...]] = set()

        def several() -> bool:
            """As a worker would, take what is there: the same name does not wait twice anyway."""
            found.update(ask(shared, deferred))
            with shared.engine.begin() as connection:
                connection.exec_driver_sql("update procrastinate_jobs set status = 'doing' where status = 'todo'")
                connection.exec_driver_sql("update procrastinate_jobs set status = 'succeeded' where status = 'doing'")
            return len({stamp for name, stamp in found if name == "stories"}) >= 4

        until(several, "some rounds have gone by", one, two)
        one.terminate()
        two.send_signal(signal.SIGINT)
        assert [one.wait(PATIENCE), two.wait(PATIENCE)] == [0, 0]
    rows = ask(shared, deferred)
    assert len(rows) == len(set(rows))
    assert {"stories", "deliver", "rescue"} <= {name for name, _ in rows}


class Gate:
    """Leads to PostgreSQL, until it is shut: then whoever is connected is cut off, and others are refused."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._listener: socket.socket | None = None
        self._through: list[socket.socket] = []
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port: int = free.getsockname()[1]

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=True)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for one in self._through:
            _cut(one)
        self._through.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                inside, _ = listener.accept()
            except OSError:
                return
            outside = socket.create_connection(self._to)
            self._through += [inside, outside]
            for pair in ((inside, outside), (outside, inside)):
                threading.Thread(target=_carry, args=pair, daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while found := source.recv(65_536):
            target.sendall(found)
    _cut(source)
    _cut(target)


def _cut(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@pytest.mark.slow
def test_a_worker_whose_database_goes_away_waits_for_it_and_goes_on(shared: Database, tmp_path: Path) -> None:
    feeds_file(tmp_path)
    gate = Gate(shared.url.host or "127.0.0.1", shared.url.port or 5432)
    url = shared.url.set(host="127.0.0.1", port=gate.port).render_as_string(hide_password=False)
    gate.open()
    with a_worker(shared, tmp_path, url=url, pause=0.05, threads=2) as worker:
        keep(shared, [f"gold+ XAU: story {n}" for n in range(1_500)])
        until(lambda: count(shared, Tagging) >= 200, "it has begun", worker)
        gate.shut()
        time.sleep(4)
        assert worker.poll() is None
        gate.open()
        until(lambda: all_tagged(shared, 1_500), "it has gone on", worker)
        until(lambda: not statuses(shared, "tag")["doing"], "no job is stuck", worker)
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
    gate.shut()
    assert count(shared, TagAttempt) == 0


@pytest.mark.slow
def test_a_worker_ends_what_it_does_when_told_to_stop(shared: Database, tmp_path: Path) -> None:
    feeds_file(tmp_path)
    keep(shared, [f"gold+ XAU: story {n}" for n in range(300)])
    Clusterer(shared).cluster()
    with a_worker(shared, tmp_path, pause=2) as worker:
        until(lambda: reads(tmp_path), "it reads", worker)
        worker.terminate()
        assert worker.wait(PATIENCE) == 0
    read = {text for _, text in reads(tmp_path)}
    assert len(read) == count(shared, Tagging) > 0
    assert not statuses(shared, "tag")["doing"]
    assert count(shared, TagAttempt) == 0


def test_a_look_is_taken_on_time_after_a_clock_set_back_and_not_made_up_for_after_a_pause() -> None:
    app = App(connector=InMemoryConnector())
    app.periodic(cron="* * * * * */5")(app.task(name="look")(lambda timestamp: None))
    looks = Looks(app.periodic_registry)

    def due_at(at: float) -> list[int]:
        return [stamp for _, stamp in looks.get_previous_tasks(at)]

    assert [due_at(at) for at in (10_000.5, 10_002.0, 10_011.0)] == [[10_000], [], [10_005, 10_010]]
    assert [due_at(at) for at in (6_004.0, 6_004.5, 6_005.5)] == [[6_000], [], [6_005]]
    assert due_at(50_001.0) == [50_000]


def test_jobs_of_a_clock_that_was_set_back_do_not_wait_for_it(shared: Database) -> None:
    insert = (
        "insert into procrastinate_jobs (queue_name, task_name, scheduled_at) values ('default', '{}', now() + '{}')"
    )
    with shared.engine.begin() as connection:
        connection.exec_driver_sql(insert.format("soon", "5 minutes"))
        connection.exec_driver_sql(insert.format("lost", "1 day"))
        connection.exec_driver_sql("insert into procrastinate_workers (last_heartbeat) values (now() + '1 day')")
    queue.forget_later_clock(shared.engine)
    waits = dict(ask(shared, "select task_name, scheduled_at > now() from procrastinate_jobs"))
    assert waits == {"soon": True, "lost": False}
    assert ask(shared, "select last_heartbeat > now() from procrastinate_workers") == [(False,)]


def test_the_queue_s_tables_follow_the_library(shared: Database) -> None:
    """Those of its version 3.3 are brought to the one that is installed."""
    engine = create_engine(shared.url.update_query_dict({"options": "-csearch_path=an_older_queue"}))
    files = sorted((resources.files("procrastinate.sql") / "migrations").iterdir(), key=lambda file: file.name)
    old = [file for file in files if file.name.endswith(".sql") and file.name < "03.04"]
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("create schema an_older_queue")
            connection.exec_driver_sql("create table queue_version (migration text not null)")
            connection.exec_driver_sql("insert into queue_version values (%s)", (old[-1].name,))
        for file in old:
            with engine.begin() as connection:
                connection.connection.driver_connection.execute(file.read_text())  # type: ignore[union-attr]
        ran = queue.bring_up_to_date(engine)
        assert ran == sorted(ran)
        assert "03.04.00_50_post_add_retry_failed_job_procedure.sql" in ran
        assert queue.bring_up_to_date(engine) == []
        functions = (
            "select proname from pg_proc where pronamespace = current_schema()::regnamespace "
            "and starts_with(proname, 'procrastinate_') order by 1"
        )
        with engine.connect() as connection:
            assert connection.exec_driver_sql(functions).scalars().all() == [one for (one,) in ask(shared, functions)]
        with engine.begin() as connection:
            queue.drop(connection)
            left = "select count(*) from pg_class where relnamespace = current_schema()::regnamespace"
            assert connection.exec_driver_sql(left).scalar() == 0
            assert connection.exec_driver_sql(functions).scalars().all() == []
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("drop schema an_older_queue cascade")
        engine.dispose()
