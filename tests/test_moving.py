"""A whole record from database to database, into a file and back, is the same record."""

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import test_models_database
from alembic import command
from alembic.config import Config
from conftest import NOW, _empty
from sqlmodel import SQLModel, select
from test_cli import Shell, shell  # noqa: F401 - a fixture
from worlds import ASSETS, DAY, FIRST, a_world, tell

from jobs import move as job
from jobs.imports import import_news
from jobs.move import Compared, backup, compare, move, restore
from models.articles import Article, Guid, Sighting, Story
from models.database import MIGRATIONS, Database
from models.errors import BadFile, BadInput, DatabaseUnavailable
from models.events import Delivery, Event, EventLook, Webhook
from models.feeds import Feed
from models.keys import ApiKey, BrowserSession
from models.pages import PageFetch
from models.prices import PriceBar, Watch
from models.store import moving
from models.tags import AssetMention, TagAttempt
from services.articles import ArticleQuestion, search_articles
from services.review import QueueQuestion, queue
from services.series import Question, intensity, joined, shift, tone

MADE_ANEW = ("alembic_version", "revision_words", "procrastinate_", "queue_version", "writes")
"""How the tables begin that are not moved: of the schema, the search, and of the work of PostgreSQL's workers."""
DAYS = 25
TO_READ = QueueQuestion(
    ("audit", "second", "disagreement", "search"), limit=20, search="edited", narrative="x", tagger="keywords@1"
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with something in every table, of every kind of value."""
    path = tmp_path_factory.mktemp("told") / "told.db"
    database = Database.open(f"sqlite:///{path}")
    tell(database, a_world(5, days=DAYS, a_day=2, panic_from=15, prices_before=40))
    with database.write() as session:
        feed, article = session.exec(select(Feed)).first(), session.exec(select(Article)).first()
        assert feed is not None
        assert article is not None
        session.add(ApiKey(name="laptop", prefix="ss_abcdef", secret_hash="0" * 64, created_at=NOW))
        session.add(BrowserSession(reviewer="änn 🦊", code_hash="1" * 64, created_at=NOW, expires_at=NOW + DAY))
        event = Event(
            kind="shift", key="shift:2020-03-04:panic", happened_at=FIRST, detected_at=FIRST, recorded_at=NOW,
            title="Panic", sentence="The story\tis\\panic\n.", link="/", payload={"z": 1.5, "a": [None, True, "é"]},
        )  # fmt: skip
        webhook = Webhook(kind="json", url="https://a.example/", secret="whsec_x", events=["shift"], created_at=NOW)  # noqa: S106
        session.add_all([event, webhook])
        session.flush()
        session.add(Delivery(webhook_id=webhook.id or 0, event_id=event.id or 0, next_attempt_at=NOW))
        session.add(EventLook(of="triggers:keywords@1", began_at=FIRST, day=date(2020, 2, 29), states={"fear": "on"}))
        session.add(Watch(kind="price", key="BTC", interval="day", next_at=NOW, since=NOW - timedelta(microseconds=1)))
        session.add(PageFetch(article_id=article.id or 0, at=NOW, attempts=1, outcome="ok"))
        session.add_all(Guid(key=key, article_id=article.id or 0) for key in ("b", "B", "a-1", "a1", "_", "é", "\\N"))
        session.merge(Sighting(article_id=article.id or 0, feed_id=feed.id or 0, seen_at=NOW))
        session.add(TagAttempt(tagger="keywords@1", first_id=1, last_id=2, begun_at=NOW, alive_at=NOW))
        session.flush()
        session.connection().exec_driver_sql(  # null in two ways: JSON's, and SQL's
            "insert into webhooks (kind, url, events, triggers, states, threshold, quiet_hours, active, created_at)"
            " values ('json', 'https://b.example/', '[]', '[]', '[]', null, 'null', 0, '2026-11-21 12:00:00.000000')"
        )
    with database.read() as session:
        empty = [table.name for table in moving.tables() if not moving.count(session, table)]
    assert not empty, f"this fixture puts no row into {empty}"
    database.close()
    return path


@pytest.fixture
def record(told: Path, tmp_path: Path) -> Iterator[Database]:
    shutil.copy(told, tmp_path / "told.db")
    database = Database(f"sqlite:///{tmp_path / 'told.db'}")
    yield database
    database.close()


@pytest.fixture
def postgresql(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue("_postgresql")
    _empty(found)
    return found


@pytest.fixture
def empty(sqlite_url: str) -> Iterator[Database]:
    database = Database(sqlite_url)
    yield database
    database.close()


def address(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


def held(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables as the models read them, by key."""
    with database.read() as session:
        found = {}
        for table in SQLModel.metadata.sorted_tables:
            keys = [column.name for column in table.primary_key.columns]
            rows = session.execute(sa.select(table)).mappings().all()
            found[table.name] = [tuple(row.items()) for row in sorted(rows, key=lambda row: [row[key] for key in keys])]
        return found


def answers(database: Database) -> list[Any]:
    question = Question(start=FIRST, end=FIRST + DAYS * DAY, as_of=FIRST + DAYS * DAY)
    with database.read() as session:
        return [
            intensity(session, [], question, now=NOW).rows,
            intensity(session, [], replace(question, outlet="Wire"), now=NOW).rows,
            shift(session, question, now=NOW).rows,
            *(tone(session, asset, question, now=NOW).rows for asset in ASSETS),
            joined(session, "BTC", question, now=NOW).rows,
            search_articles(
                session, ArticleQuestion(q='"badorr" OR kefin OR nujem OR edited', tagger="keywords@1"), now=NOW
            ),
            queue(session, TO_READ, "carl", now=NOW),
        ]


def differing(compared: list[Compared]) -> list[str]:
    assert [one.table for one in compared] == [table.name for table in SQLModel.metadata.sorted_tables]
    return [one.table for one in compared if one.differs_at or not one.checksum or one.rows != one.rows_there]


# -- moving -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_record_moved_to_postgresql_and_back_holds_the_same_and_answers_the_same(
    record: Database, postgresql: Database, empty: Database
) -> None:
    there, back = move(record, postgresql), move(postgresql, empty)
    assert differing(there) == differing(back) == []
    assert there == back
    assert min(one.rows for one in there) > 0
    assert held(record) == held(postgresql) == held(empty)
    found = answers(record)
    assert all(found)
    assert len(found[-2].data) > 3
    assert found[-1].data
    assert answers(postgresql) == found
    assert answers(empty) == found


def test_null_stays_as_it_was_written(record: Database, postgresql: Database) -> None:
    asked = (
        "select webhooks.id, threshold is null, quiet_hours is null, cast(payload as text) from webhooks, events"
        " order by webhooks.id"
    )
    move(record, postgresql)
    found = []
    for database in (record, postgresql):
        with database.read() as session:
            found.append([tuple(row) for row in session.connection().exec_driver_sql(asked)])
    assert found[0] == found[1]
    assert [tuple(map(bool, row[1:3])) for row in found[0]] == [(False, False), (True, False)]


def test_new_rows_follow_on_those_that_came(record: Database, postgresql: Database) -> None:
    move(record, postgresql)
    for database in (record, postgresql):
        with database.write() as session:
            greatest = session.execute(sa.select(sa.func.max(Story.id))).scalar_one()
            story = Story(lead_id=1, event_at=NOW, known_at=NOW)
            session.add(story)
            session.add(Feed(url="https://new.example/", outlet="New", added_at=NOW, next_fetch_at=NOW))
            session.flush()
            assert story.id == greatest + 1


def test_every_table_of_a_database_is_moved_or_named_as_made_anew(database: Database) -> None:
    moved = {table.name for table in moving.tables()}
    assert moved == set(SQLModel.metadata.tables)
    found = set(sa.inspect(database.engine).get_table_names())
    assert {name for name in found if not name.startswith(MADE_ANEW)} == moved
    assert not [name for name in moved if name.startswith(MADE_ANEW)]


def test_every_table_is_known_where_nothing_else_was_imported() -> None:
    code = "from models.store.moving import tables; print(*(table.name for table in tables()))"
    said = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert set(said) == set(SQLModel.metadata.tables)


def test_a_kind_of_column_that_nobody_thought_of_is_refused(record: Database) -> None:
    odd = sa.Table("odd", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.LargeBinary))
    with record.read() as session, pytest.raises(TypeError, match=r"odd\.a"):
        next(moving.read(session, odd))


def test_the_order_of_keys_does_not_depend_on_the_language_of_the_database(
    record: Database, postgresql: Database
) -> None:
    with postgresql.engine.begin() as connection:
        if not connection.exec_driver_sql("select 1 from pg_collation where collname = 'en-x-icu'").scalar():
            pytest.skip("this PostgreSQL knows no languages")
        connection.exec_driver_sql('alter table guids alter column key type varchar collate "en-x-icu"')
        connection.exec_driver_sql('alter table asset_mentions alter column asset type varchar collate "en-x-icu"')
    try:
        assert differing(move(record, postgresql)) == []
        assert len(held(postgresql)["guids"]) >= 7
    finally:
        with postgresql.engine.begin() as connection:
            connection.exec_driver_sql('alter table guids alter column key type varchar collate "default"')
            connection.exec_driver_sql('alter table asset_mentions alter column asset type varchar collate "default"')


def test_minus_zero_is_zero_on_the_way(postgresql: Database, empty: Database) -> None:
    with postgresql.write() as session:
        session.add(_article(1))
        session.flush()
        session.connection().exec_driver_sql(
            "insert into revisions (id, article_id, seen_at, title, summary, body, content_hash)"
            " values (1, 1, now(), 't', '', '', 'x')"
        )
        session.add(AssetMention(revision_id=1, tagger="a@1", asset="BTC", tone=-0.0, salience=0.1 + 0.2))
    assert differing(move(postgresql, empty)) == []
    assert held(empty)["asset_mentions"] == held(postgresql)["asset_mentions"]


def _article(n: int, **more: Any) -> Article:
    given = {"outlet": "A", "origin": "live", "event_at": NOW, "known_at": NOW, "knowledge": "observed"}
    return Article(id=n, identity=f"i{n}", **given | more)


def test_an_empty_record_is_moved_too(empty: Database, tmp_path: Path) -> None:
    other = Database.open(f"sqlite:///{tmp_path}/other.db")
    assert differing(move(empty, other)) == []
    other.close()


# -- stopped ----------------------------------------------------------------------------------------------------------


class Stopped(Exception):
    pass


def stop_after(batches: int) -> Callable[[int, int], None]:
    seen = []

    def progress(done: int, of: int) -> None:
        assert 0 < done <= of
        seen.append(done)
        if len(seen) == batches:
            raise Stopped

    return progress


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 50, 1_000])
def test_a_move_that_is_stopped_goes_on_where_it_was(
    record: Database, database: Database, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 50)
    for stop in (batch // 50 + 1, 2, 1, 13):
        with pytest.raises(Stopped):
            move(record, database, progress=stop_after(stop))
    before = sum(map(len, held(database).values()))
    written = []
    append = moving.append
    monkeypatch.setattr(moving, "append", lambda *given: (written.extend(given[2]), append(*given)))
    assert differing(move(record, database)) == []
    assert before > 0
    assert before + len(written) == sum(map(len, held(record).values()))
    assert held(database) == held(record)


def test_a_finished_move_given_again_compares_and_writes_nothing(
    record: Database, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = move(record, database)
    monkeypatch.setattr(moving, "append", lambda *_: pytest.fail("something was written"))
    assert move(record, database) == first


KILLED = """
import sys
from models.store import moving
from storyshift.__main__ import main
moving.BATCH = 2
sys.argv = ["storyshift", "move", "--to", sys.argv[1]]
main()
"""


@pytest.mark.slow
def test_a_move_whose_process_is_killed_goes_on(record: Database, database: Database, shell: Shell) -> None:  # noqa: F811
    shell.environment["STORYSHIFT_DATABASE_URL"] = address(record)
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, address(database)],
        env=shell.environment | {"PYTHONPATH": str(MIGRATIONS.parent.parent)},
        cwd=shell.folder,
        stderr=subprocess.PIPE,
    ) as process:
        await_rows(database, "stories", process)
        process.kill()
        process.wait(60)
        assert process.returncode == -signal.SIGKILL
    wanted = held(record)
    there = held(database)
    assert 0 < sum(map(len, there.values())) < sum(map(len, wanted.values()))
    _, err = shell("move", "--to", address(database))
    assert "holds what" in err
    assert held(database) == wanted


def await_rows(database: Database, table: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with database.read() as session:
            if session.connection().exec_driver_sql(f"select count(*) from {table}").scalar_one():  # noqa: S608
                return
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        time.sleep(0.02)
    raise AssertionError(f"no row came into {table}")


# -- refused ----------------------------------------------------------------------------------------------------------


def refuses(record: Database, target: Database, *words: str) -> None:
    before = held(target)
    with pytest.raises(BadInput) as refused:
        move(record, target)
    assert all(word in str(refused.value) for word in ("Name an empty database", *words)), str(refused.value)
    assert held(target) == before


def test_a_database_that_holds_another_record_is_refused_and_stays_as_it_is(
    record: Database, database: Database
) -> None:
    with database.write() as session:
        session.add(Feed(url="https://b.example/", outlet="B", added_at=NOW, next_fetch_at=NOW))
    refuses(record, database, "feeds", "id=1")


def test_a_database_with_more_than_the_record_is_refused(record: Database, database: Database) -> None:
    move(record, database)
    with database.write() as session:
        session.add(Feed(url="https://b.example/", outlet="B", added_at=NOW, next_fetch_at=NOW))
    refuses(record, database, "feeds", "id=5")


def test_a_record_that_was_changed_since_a_move_stopped_is_refused(record: Database, database: Database) -> None:
    move(record, database)
    with record.write() as session:
        session.execute(sa.update(Feed).where(Feed.id == 2).values(title="changed"))
    refuses(record, database, "feeds", "id=2")


def test_what_no_stopped_move_leaves_is_refused(record: Database, database: Database) -> None:
    move(record, database)
    with database.write() as session:
        session.execute(sa.delete(SQLModel.metadata.tables["macro_points"]))
    refuses(record, database, "before others were complete")


def test_what_is_written_meanwhile_shows_as_a_difference(
    record: Database, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 500)
    changed = []

    def progress(done: int, of: int) -> None:
        if done > of / 4 and not changed:
            changed.append(done)
            with record.write() as session:
                session.execute(sa.update(Feed).where(Feed.id == 2).values(title="changed"))
                session.add(Feed(url="https://new.example/", outlet="New", added_at=NOW, next_fetch_at=NOW))

    compared = move(record, database, progress=progress)
    assert changed
    assert differing(compared) == ["feeds"]
    (feeds,) = (one for one in compared if one.table == "feeds")
    assert (feeds.rows, feeds.rows_there, feeds.differs_at) == (5, 4, "id=2")
    assert "table feeds is not the same from id=2 on" in job.sentence(feeds)


def test_a_row_that_is_missing_or_too_many_is_named(record: Database, database: Database) -> None:
    move(record, database)
    with database.write() as session:
        session.execute(sa.delete(Guid).where(Guid.key == "B"))
        session.add(Watch(kind="macro", key="DFII10", interval="day", next_at=NOW))
    with record.read() as ours, database.read() as theirs:
        found = {one.table: one for one in compare(ours, theirs) if one.differs_at}
    assert found.keys() == {"guids", "watches"}
    assert (found["guids"].differs_at or "").startswith("key=B")
    assert found["watches"].differs_at == "id=2"


def test_a_row_that_the_database_does_not_take_is_said(record: Database, postgresql: Database) -> None:
    with record.write() as session:
        session.execute(sa.update(Feed).where(Feed.id == 3).values(title="a\0b"))
    with pytest.raises(DatabaseUnavailable, match=r"does not take the rows of feeds from id=1 on \(.*NUL"):
        move(record, postgresql)
    assert held(postgresql)["feeds"] == []


def test_no_archive_brings_what_postgresql_cannot_hold(empty: Database, tmp_path: Path) -> None:
    row = {"published_at": "2020-03-09", "url": "https://a.example/\0", "first_seen_at": None}
    row |= {name: f"{name}\0 with words" for name in ("title", "summary", "body", "outlet")}
    (tmp_path / "news.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"url": None, "title": "Other"}))
    assert import_news(empty, tmp_path / "news.jsonl", now=NOW).new > 0
    assert "\\x00" not in repr(held(empty))


def test_a_database_is_not_moved_into_itself(record: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for other in (record, Database("sqlite:///told.db")):
        with pytest.raises(BadInput, match="itself"):
            move(record, other)
        other.close()
    with pytest.raises(BadInput, match="itself"):
        restore(tmp_path / "told.db", address(record))
    with pytest.raises(BadFile, match="itself"):
        backup(record, tmp_path / "told.db", overwrite=True)


@pytest.mark.parametrize(
    ("to", "code", "said"),
    [
        ("mysql://me@host/x", 2, "--to must look like sqlite:///"),
        ("nonsense", 2, "--to must look like sqlite:///"),
        ("", 2, "--to must look like sqlite:///"),
        ("sqlite:////nowhere/at/all.db", 2, "does not exist. Create it first."),
        ("postgresql://127.0.0.1:1/x", 1, "cannot be used"),
        ("sqlite:///storyshift.db", 2, "is the database itself"),
    ],
)
def test_an_address_that_cannot_be_used_is_said_in_one_sentence(
    shell: Shell,  # noqa: F811
    to: str,
    code: int,
    said: str,
) -> None:
    if "postgresql" in to:
        pytest.importorskip("psycopg")
    _, err = shell("move", "--to", to, code=code)
    assert said in err
    assert "STORYSHIFT_DATABASE_URL" not in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [("move", "--to", "sqlite:///other.db"), ("backup", "a.backup")])
def test_where_there_is_no_database_none_is_made(shell: Shell, words: tuple[str, ...]) -> None:  # noqa: F811
    shell.environment["STORYSHIFT_DATABASE_URL"] = "sqlite:///mistyped.db"
    before = sorted(shell.folder.iterdir())
    _, err = shell(*words, code=2)
    assert "There is no database sqlite:///mistyped.db" in err
    assert sorted(shell.folder.iterdir()) == before


# -- into a file and back ---------------------------------------------------------------------------------------------


def fill(database: Database, record: Database) -> Database:
    if not database.is_sqlite:
        move(record, database)
        return database
    return record


@pytest.mark.slow
def test_a_backup_restored_holds_the_same_and_answers_the_same(
    record: Database, database: Database, postgresql: Database, tmp_path: Path
) -> None:
    """From each kind of database, into each."""
    source = fill(database, record)
    wanted, found = held(record), answers(record)
    written = backup(source, tmp_path / "a.backup")
    assert differing(written) == []
    assert stat_mode(tmp_path / "a.backup") == 0o600
    assert sorted(path.name for path in tmp_path.glob("a.backup*")) == ["a.backup"]
    before = (tmp_path / "a.backup").read_bytes()
    _empty(postgresql)
    for target in (Database(f"sqlite:///{tmp_path}/new.db"), postgresql):
        assert restore(tmp_path / "a.backup", address(target)) == written
        assert held(target) == wanted
        assert answers(target) == found
        target.close()
    assert (tmp_path / "a.backup").read_bytes() == before
    assert sorted(path.name for path in tmp_path.glob("a.backup*")) == ["a.backup"]


def stat_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_backup_is_for_its_owner_alone_whatever_others_may_read_by_default(record: Database, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        backup(record, tmp_path / "a.backup")
    finally:
        os.umask(before)
    assert stat_mode(tmp_path / "a.backup") == 0o600


def test_a_backup_may_be_opened_as_a_database(record: Database, tmp_path: Path) -> None:
    backup(record, tmp_path / "a.backup")
    opened = Database.open(f"sqlite:///{tmp_path}/a.backup")
    assert answers(opened) == answers(record)
    opened.close()


def test_a_backup_holds_one_state_while_others_write(record: Database, database: Database, tmp_path: Path) -> None:
    source = fill(database, record)
    stop, written = threading.Event(), []

    def work() -> None:
        n = 0
        while not stop.is_set() and n < 5_000:
            n += 1
            with source.write() as session:
                session.add(Feed(url=f"https://{n}.example/", outlet="W", added_at=NOW, next_fetch_at=NOW))
                session.add(Watch(kind="price", key=f"W{n}", interval="day", next_at=NOW))
            written.append(n)

    writer = threading.Thread(target=work)
    writer.start()
    try:
        until = time.monotonic() + 60
        while not written and time.monotonic() < until:
            time.sleep(0.01)
        first = len(written)
        assert differing(backup(source, tmp_path / "a.backup")) == []
    finally:
        stop.set()
        writer.join()
    copied = Database(f"sqlite:///{tmp_path}/a.backup")
    found = held(copied)
    copied.close()
    assert first > 0
    feeds = [row for row in found["feeds"] if ("outlet", "W") in row]
    assert first <= len(feeds) == len(found["watches"]) - 1 <= len(written) + 1


def test_a_backup_does_not_wait_for_who_is_writing(record: Database, database: Database, tmp_path: Path) -> None:
    source = fill(database, record)
    with source.write() as session:
        session.add(Feed(url="https://late.example/", outlet="Late", added_at=NOW, next_fetch_at=NOW))
        session.flush()
        backup(source, tmp_path / "a.backup")
    copied = Database(f"sqlite:///{tmp_path}/a.backup")
    assert "late.example" not in repr(held(copied)["feeds"])
    assert "late.example" in repr(held(source)["feeds"])
    copied.close()


def test_a_file_that_is_there_is_kept_unless_told_otherwise(record: Database, tmp_path: Path) -> None:
    file = tmp_path / "a.backup"
    file.write_text("precious")
    with pytest.raises(BadFile, match="--overwrite"):
        backup(record, file)
    assert file.read_text() == "precious"
    backup(record, file, overwrite=True)
    assert moving.check_file(file)
    for other in (tmp_path, Path("/dev/null")):
        with pytest.raises(BadFile, match="is not a file"):
            backup(record, other, overwrite=True)
    with pytest.raises(BadFile, match="cannot be written"):
        backup(record, tmp_path / "nowhere" / "a.backup")


def test_a_database_in_use_is_not_overwritten(record: Database, empty: Database, tmp_path: Path) -> None:
    with empty.write() as session:
        session.add(Feed(url="https://b.example/", outlet="B", added_at=NOW, next_fetch_at=NOW))
    with pytest.raises(BadFile, match=r"storyshift\.db-wal beside it"):
        backup(record, tmp_path / "storyshift.db", overwrite=True)
    assert len(held(empty)["feeds"]) == 1


def test_a_backup_that_is_stopped_leaves_the_older_one_and_nothing_else(
    record: Database, postgresql: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 100)
    move(record, postgresql)
    (tmp_path / "a.backup").write_text("older")
    for source in (record, postgresql):
        with pytest.raises(Stopped):
            backup(source, tmp_path / "a.backup", overwrite=True, progress=stop_after(5))
        assert sorted(path.name for path in tmp_path.glob("a.backup*")) == ["a.backup"]
        assert (tmp_path / "a.backup").read_text() == "older"


def test_what_a_killed_backup_left_is_no_backup_and_in_nobodys_way(
    record: Database, postgresql: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 100)
    move(record, postgresql)
    part, renamed = tmp_path / "a.backup.part", tmp_path / "renamed.backup"

    def keep(done: int, of: int) -> None:
        if done > of / 3 and not renamed.exists():
            with closing(sqlite3.connect(part)) as file, closing(sqlite3.connect(renamed)) as copy:
                file.backup(copy)

    backup(postgresql, tmp_path / "a.backup", progress=keep)
    renamed.replace(part)
    for name in ("a.backup.part", "renamed.backup"):
        if name == "renamed.backup":
            shutil.copy(part, renamed)
        with pytest.raises(BadFile, match="unfinished backup"):
            restore(tmp_path / name, address(record))
    backup(record, tmp_path / "a.backup", overwrite=True)
    assert not part.exists()
    assert moving.check_file(tmp_path / "a.backup")


def test_two_backups_into_one_file_do_not_mix(record: Database, tmp_path: Path) -> None:
    part = tmp_path / "a.backup.part"

    def another(done: int, of: int) -> None:
        part.unlink(missing_ok=True)
        part.write_text("another's")

    with pytest.raises(BadFile, match="another backup"):
        backup(record, tmp_path / "a.backup", progress=another)
    assert part.read_text() == "another's"
    assert not (tmp_path / "a.backup").exists()


def small(most: int) -> Callable[[], None]:
    """For a process about to start: no file of it may grow beyond so many bytes, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "most"),
    [(("backup", "a.backup", "--overwrite"), 400_000), (("move", "--to", "sqlite:///other.db"), 1_000_000)],
)
def test_a_full_disk_is_said_in_one_sentence(
    shell: Shell,  # noqa: F811
    record: Database,
    database: Database,
    words: tuple[str, ...],
    most: int,
) -> None:
    source = fill(database, record)
    (shell.folder / "a.backup").write_text("older")
    with subprocess.Popen(
        [sys.executable, "-m", "storyshift", *words],
        env=shell.environment | {"STORYSHIFT_DATABASE_URL": address(source)},
        cwd=shell.folder,
        stderr=subprocess.PIPE,
        preexec_fn=small(most),
    ) as process:
        _, said = process.communicate(timeout=120)
    err = said.decode()
    assert process.returncode == 1, err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    assert (shell.folder / "a.backup").read_text() == "older"
    assert not list(shell.folder.glob("a.backup.*"))


def test_what_is_no_whole_record_is_refused_and_says_so(record: Database, empty: Database, tmp_path: Path) -> None:
    backup(record, tmp_path / "good")
    good = (tmp_path / "good").read_bytes()
    made = {"text": b"feeds", "empty": b"", "short": good[: len(good) // 2], "spoilt": spoilt(good)}
    for name, content in made.items():
        (tmp_path / name).write_bytes(content)
    for name, statement in (("other", "create table a (b)"), ("newer", "update alembic_version set version_num = '9'")):
        if name == "newer":
            shutil.copy(tmp_path / "good", tmp_path / name)
        with closing(sqlite3.connect(tmp_path / name)) as file:
            file.execute(statement)
            file.commit()
    said = {
        "missing": "there is no such file",
        ".": "there is no such file",
        "text": "is not an SQLite file",
        "empty": "is not an SQLite file",
        "short": r"cannot be read \(|is damaged",
        "spoilt": r"cannot be read \(|is damaged",
        "other": "holds no record of Storyshift",
        "newer": "another version",
    }
    for name, words in said.items():
        with pytest.raises(BadFile, match=words):
            restore(tmp_path / name, address(empty))
    assert not any(held(empty).values())


def spoilt(content: bytes) -> bytes:
    """A page in the middle overwritten."""
    middle = len(content) // 8192 * 4096
    return content[:middle] + b"\xff" * 4096 + content[middle + 4096 :]


def test_a_bad_file_makes_no_database(shell: Shell) -> None:  # noqa: F811
    shell.environment["STORYSHIFT_DATABASE_URL"] = "sqlite:///new.db"
    _, err = shell("restore", "nowhere.backup", code=1)
    assert "nowhere.backup: there is no such file." in err
    assert not (shell.folder / "new.db").exists()


def test_a_backup_of_an_older_version_is_restored_and_stays_as_it_is(database: Database, tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    engine = sa.create_engine(f"sqlite:///{tmp_path}/old.backup")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        for statement in test_models_database.OLD_ROWS.replace("'2026-01-01'", "'2026-01-01 00:00:00.000000'").split(
            ";\n"
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    before = (tmp_path / "old.backup").read_bytes()
    assert differing(restore(tmp_path / "old.backup", address(database))) == []
    with database.read() as session:
        assert session.exec(select(Story.id)).one() == 7
        assert list(session.exec(select(Article.story_id))) == [7, 7]
    assert (tmp_path / "old.backup").read_bytes() == before
    assert [path.name for path in tmp_path.glob("old*")] == ["old.backup"]


def test_a_restore_that_is_stopped_goes_on_and_one_into_a_used_database_is_refused(
    record: Database, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH", 200)
    backup(record, tmp_path / "a.backup")
    with pytest.raises(Stopped):
        restore(tmp_path / "a.backup", address(database), progress=stop_after(6))
    assert differing(restore(tmp_path / "a.backup", address(database))) == []
    with database.write() as session:
        session.add(PriceBar(asset="X", interval="day", closed_at=NOW, known_at=NOW, close=1.0, source="s"))
    with pytest.raises(BadInput, match="Name an empty database"):
        restore(tmp_path / "a.backup", address(database))


# -- as commands ------------------------------------------------------------------------------------------------------


def test_the_commands_print_a_table_and_their_rows_as_json(
    shell: Shell,  # noqa: F811
    record: Database,
    database: Database,
) -> None:
    shell.environment["STORYSHIFT_DATABASE_URL"] = address(record)
    out, err = shell("move", "--to", address(database), "--format", "json")
    moved = json.loads(out)
    feeds = next(one for one in moved if one["table"] == "feeds")
    assert (feeds["rows"], feeds["rows_there"], feeds["differs_at"]) == (4, 4, None)
    assert [line.split() for line in err.splitlines() if line.strip().startswith("feeds ")] == [
        ["feeds", "4", "4", feeds["checksum"], "yes"]
    ]
    out, err = shell("backup", "a.backup", "--format", "json")
    assert json.loads(out) == moved
    shell.environment["STORYSHIFT_DATABASE_URL"] = "sqlite:///restored.db"
    out, err = shell("restore", "a.backup")
    assert out == ""
    assert "holds what a.backup holds" in err


def test_a_difference_is_named_and_fails(shell: Shell, record: Database, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    shell.environment["STORYSHIFT_DATABASE_URL"] = address(record)
    copied = job._copy

    def change(*given: Any) -> int:
        found = copied(*given)
        with record.write() as session:
            session.execute(sa.update(Feed).where(Feed.id == 2).values(title="changed"))
        return found

    monkeypatch.setattr(job, "_copy", change)
    _, err = shell("move", "--to", "sqlite:///other.db", code=1)
    assert "error: table feeds is not the same from id=2 on (4 rows, 4 there)." in err
    assert "no, from id=2 on" in err


@pytest.mark.slow
def test_a_backup_is_made_while_storyshift_runs(shell: Shell, record: Database) -> None:  # noqa: F811
    shell.environment |= {"STORYSHIFT_DATABASE_URL": address(record), "STORYSHIFT_LOAD_PRICES": "false"}
    with shell.start("worker") as worker:
        try:
            assert worker.stderr is not None
            assert worker.stderr.readline()
            shell.process("backup", "a.backup")
            assert worker.poll() is None
        finally:
            worker.kill()
            worker.communicate()
    assert moving.check_file(shell.folder / "a.backup")
