"""Bad days: what is killed, a disk that is full, a database that is gone, a clock that jumps back. Nothing is lost."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from conftest import REQUIRED, own_schema
from fakes import FeedServer, Page, hear_ctrl_c, rss
from sqlmodel import select
from test_api_writing import Clock
from test_jobs_deliver import Receiver, deliverer, hook, one_round, tried
from test_services_noticing import BEFORE, record  # noqa: F401 - a fixture

from jobs.events import AGAIN, Noticer
from models.articles import Revision
from models.database import MIGRATIONS, Database
from models.events import Delivery, EventLook
from models.store import events as event_store
from models.tags import Tagging

ROOT = Path(__file__).parent.parent
BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PATIENCE = 60.0
LARGEST = resource.RLIM_INFINITY
SMALL_MB = 10


@contextmanager
def storyshift(
    url: str, folder: Path, *words: str, before: Callable[[], object] = int, **settings: str
) -> Iterator["subprocess.Popen[str]"]:
    """`storyshift WORDS` as a process that writes what it says into `said`; killed in the end if it has not ended."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STORYSHIFT_")}
    environment |= {"STORYSHIFT_DATABASE_URL": url, "STORYSHIFT_CONFIG_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    environment |= {"STORYSHIFT_TAGGER": "keywords", "STORYSHIFT_LOAD_PRICES": "false"}
    environment |= {"STORYSHIFT_ALLOW_PRIVATE_ADDRESSES": "true"} | settings

    def prepare() -> None:
        hear_ctrl_c()
        before()

    command = [sys.executable, *words] if words[0] == "-c" else [sys.executable, "-m", "storyshift", *words]
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=said, preexec_fn=prepare, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def ran(url: str, folder: Path, *words: str, before: Callable[[], object] = int) -> tuple[int, list[str]]:
    """Its exit code, and the lines that it said, but for those about copies."""
    with storyshift(url, folder, *words, before=before) as process:
        code = process.wait(2 * PATIENCE)
    return code, [line for line in said(folder).splitlines() if line.strip() and "compared" not in line]


def said(folder: Path) -> str:
    return (folder / "said").read_text()


def until(is_so: Callable[[], Any], what: str, folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, f"{what}: {said(folder)}"
        time.sleep(0.05)


def titles(database: Database) -> Counter[str]:
    with database.read() as session:
        return Counter(session.exec(select(Revision.title)).all())


def archive(folder: Path, rows: int) -> Counter[str]:
    """Writes news.jsonl; the titles in it."""
    rng = Random(3)
    words = [f"word{n}" for n in range(500)]
    found = [f"Story {n} of {' '.join(rng.choices(words, k=5))}" for n in range(rows)]
    with (folder / "news.jsonl").open("w") as file:
        for title in found:
            row = {"published_at": "2026-11-20T09:00:00Z", "outlet": "W", "title": title}
            file.write(json.dumps(row | {"summary": " ".join(rng.choices(words, k=40))}) + "\n")
    return Counter(found)


# -- killed, and gone -------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not BINARIES and "postgresql" not in REQUIRED, reason="no PostgreSQL is installed here")
def test_worker_api_scheduler_and_database_are_killed_under_load_and_nothing_is_lost_or_there_twice() -> None:
    """And the database is gone for a while, where the API says so and all goes on afterwards. In minutes."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STORYSHIFT_")}
    done = subprocess.run(
        [sys.executable, "benchmarks/faults.py", "--moments", "4", "--gone", "5"],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=1_500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kills = [line.split()[:2] for line in done.stdout.splitlines() if " kills, " in line]
    assert kills == [["api", "1"], ["database", "1"], ["scheduler", "1"], ["worker", "1"]]


# -- a full disk ------------------------------------------------------------------------------------------------------


def no_file_beyond(most: int) -> Callable[[], None]:
    """For a process about to start: no file of it grows beyond so many bytes, as on a full disk. It may be lifted."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, LARGEST))


def is_one_sentence_about_the_disk(lines: list[str]) -> bool:
    (line,) = lines
    return line.startswith("error: The database ") and "make room on its disk, and do the same again." in line


def is_whole(url: str) -> bool:
    with closing(Database(url)) as database, database.engine.connect() as connection:
        return connection.exec_driver_sql("pragma integrity_check").all() == [("ok",)]


@pytest.mark.slow
def test_an_import_onto_a_full_disk_says_so_and_the_same_again_completes_it(sqlite_url: str, tmp_path: Path) -> None:
    expected = archive(tmp_path, 6_000)
    words = "import", "news", "news.jsonl"
    code, lines = ran(sqlite_url, tmp_path, *words, before=no_file_beyond(3_000_000))
    assert (code, is_one_sentence_about_the_disk(lines)) == (1, True), lines
    assert is_whole(sqlite_url)
    with closing(Database(sqlite_url)) as database:
        assert 0 < titles(database).total() < 6_000
        assert ran(sqlite_url, tmp_path, *words)[0] == 0
        assert titles(database) == expected


@pytest.mark.slow
def test_collecting_onto_a_full_disk_says_so_and_the_same_again_completes_it(sqlite_url: str, tmp_path: Path) -> None:
    long = " and so on" * 60
    pages = {f"{n}": Page(rss(*(f"Feed {n}, {i}{long}" for i in range(100)), site=f"s{n}.org")) for n in range(20)}
    expected = Counter(f"Feed {n}, {i}{long}" for n in range(20) for i in range(100))
    words = "collect", "--once", "--all"
    with FeedServer(pages) as server, closing(Database(sqlite_url)) as database:
        feeds_file(tmp_path, server, pages)
        code, lines = ran(sqlite_url, tmp_path, *words, before=no_file_beyond(1_500_000))
        assert (code, is_one_sentence_about_the_disk(lines[-1:])) == (1, True), lines
        assert is_whole(sqlite_url)
        assert titles(database).total() < 2_000
        assert ran(sqlite_url, tmp_path, *words)[0] == 0
        assert titles(database) == expected


def feeds_file(folder: Path, server: FeedServer, pages: dict[str, Page]) -> None:
    entry = '[[feeds]]\nurl = "{}"\noutlet = "W{}"\nkind = "macro"\n'
    (folder / "feeds.toml").write_text("\n".join(entry.format(server.url(name), name) for name in pages))


@pytest.mark.slow
def test_a_worker_on_a_full_disk_goes_on_by_itself_once_there_is_room(sqlite_url: str, tmp_path: Path) -> None:
    expected = archive(tmp_path, 3_000)
    assert ran(sqlite_url, tmp_path, "import", "news", "news.jsonl")[0] == 0
    (tmp_path / "feeds.toml").write_text("feeds = []\n")
    size = (tmp_path / "storyshift.db").stat().st_size

    def read() -> int:
        with database.read() as session:
            return len(session.exec(select(Tagging.revision_id)).all())

    with (
        closing(Database(sqlite_url)) as database,
        storyshift(sqlite_url, tmp_path, "worker", before=no_file_beyond(size // 20)) as process,
    ):
        until(lambda: "round failed: The database" in said(tmp_path), "it says that the disk is full", tmp_path)
        assert process.poll() is None
        assert read() < 3_000
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
        until(lambda: read() == 3_000, "it goes on", tmp_path)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        assert titles(database) == expected
    assert "Traceback" not in said(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path, _postgresql: Database) -> Iterator[tuple[str, Callable[[], object]]]:
    """The address of an empty schema whose tables lie on a disk of a few MB, and what makes room there."""
    engine = sa.create_engine(_postgresql.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        data = Path(connection.exec_driver_sql("show data_directory").scalar_one())
    folder = Path("/tmp") / f"storyshift-small-{os.getpid()}"  # noqa: S108 - PostgreSQL's user cannot go into tmp_path
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_MB}m", "tmpfs", str(folder)]
    if not data.is_dir() or subprocess.run(mount, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("no file system can be mounted here, or PostgreSQL is on another machine")
    name = f"small_{os.getpid()}"
    try:
        os.chown(folder, data.stat().st_uid, data.stat().st_gid)
        with engine.connect() as connection:
            connection.exec_driver_sql(f"create tablespace {name} location '{folder}'")
            connection.exec_driver_sql(f"create schema {name}")
        url = _postgresql.url.update_query_dict({"options": f"-csearch_path={name} -cdefault_tablespace={name}"})
        yield (
            url.render_as_string(hide_password=False),
            lambda: subprocess.run(["mount", "-o", "remount,size=500m", folder], check=True),
        )
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"drop schema if exists {name} cascade")
            connection.exec_driver_sql("checkpoint")  # only then are the files of dropped tables gone
            connection.exec_driver_sql(f"drop tablespace if exists {name}")
        subprocess.run(["umount", "-l", folder], check=True)  # other connections may have files open there
        folder.rmdir()
        engine.dispose()


@pytest.mark.slow
def test_a_full_disk_of_postgresql_is_said_too_and_the_same_again_completes_it(
    small_disk: tuple[str, Callable[[], object]], tmp_path: Path
) -> None:
    url, make_room = small_disk
    expected = archive(tmp_path, 12_000)
    words = "import", "news", "news.jsonl"
    code, lines = ran(url, tmp_path, *words)
    assert (code, is_one_sentence_about_the_disk(lines)) == (1, True), lines
    with closing(Database(url)) as database:
        before = titles(database)
        assert 0 < before.total() < 12_000
        assert max(before.values()) == 1
        make_room()
        assert ran(url, tmp_path, *words)[0] == 0, said(tmp_path)
        assert titles(database) == expected


# -- a clock that jumps back ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("back", [timedelta(minutes=30), timedelta(hours=5), timedelta(days=500)])
@pytest.mark.parametrize("was_tried", [False, True])
def test_what_was_to_be_told_before_the_clock_jumped_back_is_told_at_once_and_once(
    database: Database, now: datetime, back: timedelta, was_tried: bool
) -> None:
    clock = Clock(now)
    with Receiver(*[500] * was_tried) as receiver:
        webhook = hook(database, now, receiver.url)
        tried(database, webhook, now)
        if was_tried:
            assert one_round(deliverer(database, clock)) == 1
        clock.now = now - back
        rounds = [one_round(deliverer(database, clock)) for _ in range(3)]
    assert rounds == [1, 0, 0]
    assert len(receiver.got) == 1 + was_tried
    with database.read() as session:
        assert session.exec(select(Delivery.state)).all() == ["delivered"]


def test_what_was_put_off_by_a_clock_a_little_ahead_is_not_hurried(database: Database, now: datetime) -> None:
    clock = Clock(now)
    with Receiver(500) as receiver:
        tried(database, hook(database, now, receiver.url), now)
        assert one_round(deliverer(database, clock)) == 1
        clock.now = now - timedelta(minutes=4)
        assert one_round(deliverer(database, clock)) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_after_the_clock_jumped_back_the_next_look_does_not_wait_for_it(
    record: Database,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[datetime] = []
    found = event_store.record_mark

    def mark(session: Any, tagger: str = "") -> Any:
        looks.append(clock.now)
        return (*found(session, tagger), len(looks))

    clock = Clock(BEFORE.replace(hour=20))
    monkeypatch.setattr("services.events.record_mark", lambda session: mark(session, "keywords@1"))
    noticed: list[datetime] = []
    monkeypatch.setattr("services.noticing.keep", lambda session, found, now: noticed.append(now) or [])
    noticer = Noticer(record, clock=clock)
    for step in (timedelta(0), AGAIN / 2, -5 * AGAIN, AGAIN / 2):
        clock.now += step
        noticer.notice()
    assert noticed == [looks[0], looks[2]]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_a_clock_far_ahead_has_looked_at_is_looked_at_again_once_it_is_set(
    record: Database,  # noqa: F811
) -> None:
    ahead, clock = BEFORE + timedelta(days=900), Clock(BEFORE)
    clock.now = ahead
    Noticer(record, clock=clock).notice()
    clock.now = BEFORE
    Noticer(record, clock=clock).notice()
    with record.read() as session:
        looks = {look.of.partition(":")[0]: look for look in session.exec(select(EventLook))}
    assert looks["shift"].began_at == BEFORE
    assert looks["triggers"].day == (BEFORE - timedelta(days=1, hours=1)).date()


# -- a migration that is interrupted ----------------------------------------------------------------------------------

OLD = "0005"
MIGRATE = """
import os, signal, sys
import sqlalchemy as sa

left = int(sys.argv[1])

def one_less(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

sa.event.listen(sa.Engine, "before_cursor_execute", one_less)
sa.event.listen(sa.Engine, "commit", one_less)
sys.argv = ["storyshift", "migrate"]
from storyshift.__main__ import main
main()
"""
MANY = 300


def old_record(url: str) -> None:
    """A store of version OLD that holds a few hundred articles, tagged and with copies."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    database = Database(url)
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
        for table, rows in old_rows().items():
            names = ", ".join(rows[0])
            marks = ", ".join(f":{name}" for name in rows[0])
            connection.execute(sa.text(f"insert into {table} ({names}) values ({marks})"), rows)  # noqa: S608
        if not database.is_sqlite:
            for table in ("feeds", "stories", "articles", "revisions"):
                connection.exec_driver_sql(f"select setval('{table}_id_seq', {MANY + 1})")
    database.close()


def old_rows() -> dict[str, list[dict[str, Any]]]:
    feed = {"url": "https://a.org/", "outlet": "A", "kind": "general", "language": "en", "verified": "never"}
    feed |= {"title": "", "added_at": instant(0), "next_fetch_at": instant(0), "failures": 0}
    about = {"feed_id": 1, "outlet": "A", "language": "en", "origin": "live", "knowledge": "observed"}
    numbers = range(1, MANY + 1)
    return {
        "feeds": [{"id": 1} | feed],
        "stories": [{"id": n, "title_key": f"gold rises {n}", "event_at": instant(n)} for n in numbers if n % 3],
        "articles": [
            {"id": n, "identity": f"u:{n}", "story_id": n if n % 3 else n - 1}
            | about
            | {"event_at": instant(n), "known_at": instant(n)}
            for n in numbers
        ],
        "revisions": [
            {"id": n, "article_id": n, "seen_at": instant(n), "title": f"Gold rises {n}", "summary": "", "body": ""}
            | {"content_hash": f"{n}"}
            for n in numbers
        ],
        "taggings": [{"revision_id": n, "tagger": "fake@1", "tagged_at": instant(n)} for n in numbers],
        "narrative_tags": [
            {"revision_id": n, "tagger": "fake@1", "narrative": "safe_haven", "score": 0.9, "direction": 1}
            | {"label": True, "evidence": "[]"}
            for n in numbers
        ],
    }


def instant(minutes: int) -> str:
    return f"2026-01-{1 + minutes // 60:02d} {minutes // 60:02d}:{minutes % 60:02d}:00.000000"


def content(url: str) -> dict[str, Any]:
    """Each table with its columns and rows; what a search is made of and the queue's own too."""
    database = Database(url)
    with closing(database), database.engine.connect() as connection:
        found = {}
        for table in sorted(sa.inspect(connection).get_table_names()):
            result = connection.exec_driver_sql(f'select * from "{table}"')  # noqa: S608
            found[table] = (tuple(result.keys()), Counter(map(repr, result)))
        if database.is_sqlite:
            assert connection.exec_driver_sql("pragma integrity_check").all() == [("ok",)]
            assert connection.exec_driver_sql("pragma foreign_key_check").all() == []
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def two_stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The addresses of two that nobody has opened."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/one.db", f"sqlite:///{tmp_path}/two.db"
        return
    one, two = (own_schema(f"migrated_{os.getpid()}_{n}") for n in range(2))
    with one as first, two as second:
        yield first.render_as_string(hide_password=False), second.render_as_string(hide_password=False)


@pytest.mark.slow
def test_a_migration_that_is_killed_leaves_the_old_version_whole_and_the_next_one_completes(
    two_stores: tuple[str, str], tmp_path: Path
) -> None:
    undisturbed, url = two_stores
    for store in two_stores:
        old_record(store)
    before, steps = content(url), 0

    def one_more(*_: object) -> None:
        nonlocal steps
        steps += 1

    with closing(Database(undisturbed)) as database:
        sa.event.listen(database.engine, "before_cursor_execute", one_more)
        sa.event.listen(database.engine, "commit", one_more)
        assert database.migrate()
    last = steps
    for step in (1, last // 4, last // 2, last - last // 4, last - 2, last - 1, last):
        with storyshift(url, tmp_path, "-c", MIGRATE, str(step)) as process:
            assert process.wait(2 * PATIENCE) == -signal.SIGKILL, said(tmp_path)
        assert content(url) == before
    assert ran(url, tmp_path, "migrate")[0] == 0
    after = content(url)
    assert after == content(undisturbed)
    assert len(after["articles"][1]) == MANY
    assert after["story_rollups"][1]
