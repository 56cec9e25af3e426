"""The few SQL pieces that differ between SQLite and PostgreSQL."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Integer, Table, func, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import Session, SQLModel

from models.base import UTCDateTime

CHUNK = 500
"""Rows or names in one statement."""
Item = TypeVar("Item")


class utc_hour(FunctionElement[datetime]):
    """The start of the UTC hour that an instant lies in."""

    name = "utc_hour"
    type = UTCDateTime()
    inherit_cache = True


@compiles(utc_hour, "sqlite")
def _sqlite_hour(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"substr({compiler.process(element.clauses, **options)}, 1, 13) || ':00:00.000000'"


@compiles(utc_hour, "postgresql")
def _postgresql_hour(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    return f"date_trunc('hour', {compiler.process(element.clauses, **options)}, 'UTC')"


class month_start(FunctionElement[int]):
    """The first day of the month that a day lies in; days are counted since 1900-01-01."""

    name = "month_start"
    type = Integer()
    inherit_cache = True


@compiles(month_start, "sqlite")
def _sqlite_month(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    day = compiler.process(element.clauses, **options)
    first = f"julianday(date('1900-01-01', {day} || ' days', 'start of month'))"
    return f"cast({first} - julianday('1900-01-01') as integer)"


@compiles(month_start, "postgresql")
def _postgresql_month(element: Any, compiler: SQLCompiler, **options: Any) -> str:
    day = compiler.process(element.clauses, **options)
    return f"(date_trunc('month', (date '1900-01-01' + {day})::timestamp)::date - date '1900-01-01')"


def chunks(items: Sequence[Item], size: int = CHUNK) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def table_of(model: type[SQLModel]) -> Table:
    found: Table = model.__table__  # type: ignore[attr-defined]
    return found


def insert_into(session: Session, model: type[SQLModel]) -> postgresql.Insert | sqlite.Insert:
    """The database's own insert, which can say what happens on a conflict."""
    table = table_of(model)
    return postgresql.insert(table) if session.get_bind().dialect.name == "postgresql" else sqlite.insert(table)


def insert_new(session: Session, model: type[SQLModel], rows: list[dict[str, Any]]) -> None:
    """Insert the rows; those that break a uniqueness rule are already there and are passed over."""
    if not rows:
        return
    session.connection().execute(insert_into(session, model).on_conflict_do_nothing(), rows)


def add_to(session: Session, model: type[SQLModel], counts: Collection[str], rows: list[dict[str, Any]]) -> None:
    """Insert the rows; where one of the same key is there already, its counts grow by theirs."""
    if not rows:
        return
    table, new = table_of(model), insert_into(session, model)
    keys = [column.name for column in table.primary_key]
    sums = {name: table.c[name] + new.excluded[name] for name in counts}
    rows.sort(key=lambda row: [str(row[key]) for key in keys])  # two writers lock rows in the same order
    session.connection().execute(new.on_conflict_do_update(index_elements=keys, set_=sums), rows)


def new_ids(session: Session, model: type[SQLModel], count: int) -> list[int]:
    """`count` ids for rows of the table that are about to be inserted, so that they can refer to each other.

    PostgreSQL takes them from the table's sequence. On SQLite the transaction of Database.write holds the write lock.
    """
    table = table_of(model)
    if session.get_bind().dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, "id")
        drawn = select(func.nextval(sequence)).select_from(func.generate_series(1, count))
        return list(session.execute(drawn).scalars())
    last = session.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
    return list(range(last + 1, last + count + 1))


def read_whole_tables(session: Session) -> None:
    """For a query over nearly all rows: on PostgreSQL, until the transaction ends, no rows are compared each with each.

    Right after an import its statistics are old, and it would take many rows for few.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("set local enable_nestloop = off"))


def one_at_a_time(session: Session, what: str) -> None:
    """Let no other transaction of this schema do the same until this one ends. SQLite has one writer anyway."""
    if session.get_bind().dialect.name == "postgresql":
        of_schema = func.concat(func.current_schema(), ".", what)
        session.execute(select(func.pg_advisory_xact_lock(func.hashtext(of_schema))))
