import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import SQLModel, select

from models.articles import Article, Revision, Story
from models.database import MIGRATIONS, Database
from models.errors import ConfigError, DatabaseBusy, DatabaseUnavailable
from models.feeds import Feed
from models.prices import PriceBar


def add(database: Database, *feeds: Feed) -> None:
    with database.write() as session:
        for feed in feeds:
            session.add(feed)


def test_the_migrations_build_just_what_the_models_declare(database: Database) -> None:
    found = inspect(database.engine)
    for table in SQLModel.metadata.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert columns == {column.name: column.nullable for column in table.columns}, table.name
        checks = {check["name"] for check in found.get_check_constraints(table.name)}
        assert checks == {str(c.name) for c in table.constraints if type(c).__name__ == "CheckConstraint"}, table.name
        indexes = {index["name"] for index in found.get_indexes(table.name) if not index.get("duplicates_constraint")}
        assert indexes == {str(index.name) for index in table.indexes}, table.name


def test_a_record_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/newer.db"
    database = Database.open(url)
    with database.write() as session:
        session.connection().exec_driver_sql("update alembic_version set version_num = '9999'")
    with pytest.raises(ConfigError, match="of a newer version of Storyshift .schema 9999; this one knows "):
        database.migrate()
    database.close()


OLD_ROWS = """
insert into feeds (id, url, outlet, kind, language, verified, title, added_at, next_fetch_at, failures)
  values (1, 'https://a.org/', 'A', 'general', 'en', 'never', '', '2026-01-01', '2026-01-01', 0);
insert into stories (id, title_key, event_at) values (7, 'gold rises again today', '2026-01-01 08:00:00.000000');
insert into articles (id, identity, story_id, feed_id, outlet, language, origin, event_at, known_at, knowledge) values
  (1, 'u:1', 7, 1, 'A', 'en', 'live', '2026-01-01 08:00:00.000000', '2026-01-01 09:00:00.000000', 'observed'),
  (2, 'u:2', 7, 1, 'B', 'en', 'live', '2026-01-01 07:00:00.000000', '2026-01-01 08:30:00.000000', 'observed');
insert into revisions (id, article_id, seen_at, title, summary, body, content_hash)
  values (1, 1, '2026-01-01 09:00:00.000000', 'Gold rises again today', '', '', 'x');
"""


def test_a_record_of_an_older_version_is_migrated_with_all_that_it_holds(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")
        for statement in OLD_ROWS.split(";\n"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    database = Database.open(url)
    with database.read() as session:
        story = session.exec(select(Story)).one()
        assert (story.id, story.lead_id, story.known_at) == (7, 2, datetime(2026, 1, 1, 8, 30, tzinfo=UTC))
        assert list(session.exec(select(Article.story_id))) == [7, 7]
        assert len(session.exec(select(Revision)).all()) == 1
        assert session.connection().exec_driver_sql("pragma foreign_key_check").all() == []
        assert session.connection().exec_driver_sql("pragma foreign_keys").scalar() == 1
    database.close()


def test_opening_again_migrates_nothing(database: Database) -> None:
    assert database.migrate() is False


def test_a_check_constraint_refuses_what_a_model_would_let_pass(database: Database, now: datetime) -> None:
    bar = PriceBar(asset="BTC", closed_at=now, known_at=now, close=0.0, source="test")
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(bar)


def test_a_failed_write_leaves_nothing_behind(database: Database, now: datetime) -> None:
    good = Feed(url="https://example.org/a", outlet="A", added_at=now, next_fetch_at=now)
    bad = Feed(url="ftp://example.org/a", outlet="A", added_at=now, next_fetch_at=now)
    with pytest.raises(IntegrityError):
        add(database, good, bad)
    with database.read() as session:
        assert session.exec(select(Feed)).all() == []


def test_instants_come_back_aware_and_naive_ones_are_refused(database: Database, now: datetime) -> None:
    add(database, Feed(url="https://example.org/a", outlet="A", added_at=now, next_fetch_at=now))
    with database.read() as session:
        assert session.exec(select(Feed)).one().added_at == now
    naive = Feed(url="https://b.org/a", outlet="B", added_at=now.replace(tzinfo=None), next_fetch_at=now)
    with pytest.raises(StatementError, match="no time zone"):
        add(database, naive)


def test_a_locked_database_says_so_and_loses_nothing(sqlite_url: str, now: datetime) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("begin immediate")
    feed = Feed(url="https://example.org/a", outlet="A", added_at=now, next_fetch_at=now)
    with pytest.raises(DatabaseBusy, match="held by another process"):
        add(Database(sqlite_url, busy_seconds=0.1), feed)
    holder.execute("rollback")
    holder.close()
    add(Database(sqlite_url), feed)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql://localhost/x", "must look like"),
        ("not an address", "must look like"),
        ("sqlite:////no/such/folder/x.db", "does not exist"),
    ],
)
def test_an_address_that_cannot_be_used_is_explained(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Database.open(url)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        Database.open("postgresql://me:secret@127.0.0.1:1/x")
    assert "127.0.0.1:1" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"certainly not a database" * 100)
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        Database.open(f"sqlite:///{tmp_path}/x.db")


def test_whoever_is_silent_is_given_up_by_both_ends_of_a_connection(request: pytest.FixtureRequest) -> None:
    database: Database = request.getfixturevalue("_postgresql")
    searched = database.url.query["options"].partition("search_path=")[2].split()[0]
    with database.engine.connect() as one, psycopg.connect(**database.libpq_arguments) as other:
        for connection in (one.connection.driver_connection, other):
            told = connection.info.get_parameters()
            assert {told["keepalives_idle"], told["tcp_user_timeout"], told["connect_timeout"]} == {"10", "25000"}
            shown = [
                connection.execute(f"show {name}").fetchone()[0]
                for name in ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
            ]
            assert shown == ["10", "5", "3"]
            assert connection.execute("show tcp_user_timeout").fetchone() == ("25000",)
            assert connection.execute("show search_path").fetchone() == (searched,)


def test_an_address_that_says_after_which_silence_is_heard() -> None:
    arguments = Database("postgresql://h/x?keepalives_idle=99&options=-ctcp_keepalives_idle=98").libpq_arguments
    assert (arguments["keepalives_idle"], arguments["keepalives_count"]) == ("99", 3)
    assert arguments["options"].endswith("-ctcp_keepalives_idle=98")  # the last one counts
