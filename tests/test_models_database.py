import sqlite3
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import SQLModel, select

from models.database import Database
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
