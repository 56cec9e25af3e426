"""A record read whole, table by table, and written into another database of any kind; and one SQLite file as a record.

Values travel as SQLite stores them, whichever databases they come from and go to: instants and dates as text, true and
false as 1 and 0, JSON as the text it was written as. Rows travel in the order of their keys. Which tables there are is
told by the models alone; `revision_words` is kept by triggers, so that it is made anew.
"""

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

import models
from models.database import MIGRATIONS, Database
from models.errors import BadFile, DatabaseUnavailable

for _noun in iter_modules(models.__path__):
    import_module(f"models.{_noun.name}")

BATCH = 5_000
"""Rows that are read, written and committed at once."""
PAGES = 20_000
"""Pages of an SQLite file that are copied before Ctrl-C is heard."""
UNFINISHED = 0x5353_0001
"""The application_id of a file that is still being written."""
DAY = "YYYY-MM-DD"
INSTANT = f"{DAY} HH24:MI:SS.US"
Row = tuple[Any, ...]


def tables() -> Sequence[sa.Table]:
    """All tables of a record; those that others refer to come first."""
    return SQLModel.metadata.sorted_tables


@contextmanager
def still(database: Database) -> Iterator[Session]:
    """A reader that sees one state for as long as it reads, whatever others commit."""
    with database.read() as session:
        if not database.is_sqlite:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        session.execute(sa.text("select version_num from alembic_version"))
        yield session


def count(session: Session, table: sa.Table) -> int:
    return int(session.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def read(
    session: Session, table: sa.Table, *, skip: int = 0, most: int | None = None
) -> Generator[list[Row], None, None]:
    """Its rows from the one after the first `skip` on, at most `most`, in batches of BATCH."""
    postgresql = session.get_bind().dialect.name == "postgresql"
    query = sa.select(*(_stored(column, postgresql) for column in table.columns)).order_by(
        *(  # SQLite's own order; that of PostgreSQL depends on its language
            sa.collate(column, "C") if postgresql and isinstance(_type(column), sa.String) else column
            for column in table.primary_key.columns
        )
    )
    if skip or most is not None:
        query = query.limit(most if most is not None else 2**62).offset(skip)
    with session.execute(query, execution_options={"yield_per": BATCH}) as result:
        for rows in result.partitions():
            yield [tuple(row) for row in rows]


def _stored(column: "sa.Column[Any]", postgresql: bool) -> "sa.ColumnElement[Any]":
    """The column as SQLite stores it. Raises: TypeError for a type that nobody has thought of yet."""
    match _type(column):
        case sa.Integer() | sa.String():
            return column
        case sa.Float():  # SQLite knows no -0.0
            return column + sa.literal_column("0.0::float8") if postgresql else column
        case sa.JSON():
            return sa.cast(column, sa.Text)
        case sa.Boolean():
            return sa.cast(column, sa.Integer) if postgresql else sa.type_coerce(column, sa.Integer)
        case sa.DateTime():
            at = sa.func.to_char(sa.func.timezone("UTC", column), INSTANT)
            return at if postgresql else sa.type_coerce(column, sa.Text)
        case sa.Date():
            return sa.func.to_char(column, DAY) if postgresql else sa.type_coerce(column, sa.Text)
        case other:
            raise TypeError(f"{column}: how {other!r} travels is not said in models.store.moving")


def _type(column: "sa.Column[Any]") -> "sa.types.TypeEngine[Any]":
    return column.type.impl_instance if isinstance(column.type, sa.types.TypeDecorator) else column.type


def append(session: Session, table: sa.Table, rows: Sequence[Row]) -> None:
    """Write rows as `read` gives them. Raises: DatabaseUnavailable saying what the database does not take."""
    connection = session.connection()
    quoted = connection.dialect.identifier_preparer.quote
    into = f"{quoted(table.name)} ({', '.join(quoted(column.name) for column in table.columns)})"
    try:
        if connection.dialect.name == "postgresql":
            with connection.connection.cursor().copy(f"copy {into} from stdin") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join("?" * len(table.columns))
            connection.exec_driver_sql(f"insert into {into} values ({marks})", list(rows))  # noqa: S608
    except (sa.exc.DBAPIError, connection.dialect.loaded_dbapi.Error) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise DatabaseUnavailable(
            f"The database {connection.engine.url.render_as_string(hide_password=True)} does not take the rows of "
            f"{table.name} from {key_of(table, rows[0])} on ({reason}). Mend this, and give the same command again."
        ) from error


def key_of(table: sa.Table, row: Row) -> str:
    """The key of a row, in words: id=17."""
    places = {column.name: place for place, column in enumerate(table.columns)}
    return ", ".join(f"{column.name}={row[places[column.name]]}" for column in table.primary_key.columns)


def settle(session: Session) -> None:
    """After all rows have come: on PostgreSQL, new ids begin behind the greatest, and its planner knows the tables."""
    if session.get_bind().dialect.name != "postgresql":
        return
    for table in tables():
        if (key := table.autoincrement_column) is not None:
            sequence = sa.func.pg_get_serial_sequence(table.name, key.name)
            greatest = sa.select(sa.func.max(key)).scalar_subquery()
            session.execute(sa.select(sa.func.setval(sequence, sa.func.coalesce(greatest, 1), greatest.is_not(None))))
        session.execute(sa.text(f"analyze {table.name}"))


# -- one file ---------------------------------------------------------------------------------------------------------


def file_at(url: str) -> Path | None:
    """The file of an SQLite database, whether or not it is there; None for others, and for what is no address."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return None
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


@contextmanager
def read_file(path: Path) -> Iterator[Session]:
    """A reader of an SQLite file that changes nothing of it."""
    address = f"{path.resolve().as_uri()}?mode=ro"
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(address, uri=True, isolation_level=None))
    try:
        with Session(engine) as session:
            session.connection().exec_driver_sql("begin")
            yield session
    finally:
        engine.dispose()


def copy_file(session: Session, path: Path) -> None:
    """Copy the whole SQLite database that is read into an empty file, as it is seen. Raises: BadFile."""
    source = session.connection().connection.driver_connection
    try:
        with closing(sqlite3.connect(path)) as target:
            source.backup(target, pages=PAGES)  # type: ignore[union-attr]
    except sqlite3.Error as error:
        raise BadFile(str(path), f"cannot be written ({error}).") from error


def begin_file(path: Path) -> Database:
    """A migrated record in an empty file, marked as unfinished."""
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"pragma application_id = {UNFINISHED}")
    return Database.open(sa.URL.create("sqlite", database=str(path)).render_as_string())


def close_file(path: Path) -> None:
    """Bring all of a database that nobody has open into its one file, and check it. Raises: BadFile."""
    try:
        with closing(sqlite3.connect(path)) as file:
            file.execute("pragma journal_mode = delete").fetchall()
            _check_pages(file, path)
    except sqlite3.Error as error:
        raise BadFile(str(path), f"cannot be written ({error}).") from error


def finish_file(path: Path) -> None:
    """Take the mark off."""
    with closing(sqlite3.connect(path)) as file:
        file.execute("pragma application_id = 0")


def check_file(path: Path) -> bool:
    """Whether the file is a record of this version; False: of an older one. Raises: BadFile."""
    said = str(path)
    if not path.is_file():
        raise BadFile(said, "there is no such file.")
    if path.suffix == ".part":
        raise BadFile(said, "is an unfinished backup. Restore a finished one.")
    try:
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise BadFile(said, "is not an SQLite file, so it is no backup of a record.")
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            if database.execute("pragma application_id").fetchone() == (UNFINISHED,):
                raise BadFile(said, "is an unfinished backup. Restore a finished one.")
            _check_pages(database, path)
            if not database.execute("select 1 from sqlite_master where name = 'alembic_version'").fetchone():
                raise BadFile(said, "is an SQLite file, but holds no record of Storyshift.")
            found = [version for (version,) in database.execute("select version_num from alembic_version")]
    except OSError as error:
        raise BadFile(said, f"cannot be read ({error.strerror}).") from error
    except sqlite3.Error as error:
        raise BadFile(said, f"cannot be read ({error}).") from error
    known = _versions()
    if len(found) != 1 or found[0] not in known:
        raise BadFile(
            said,
            f"was written by another version of Storyshift ({', '.join(found) or 'none'}) than this one knows, which "
            f"is {known[0]}. Restore it with a newer one.",
        )
    return bool(found[0] == known[0])


def _check_pages(database: sqlite3.Connection, path: Path) -> None:
    wrong = [said for (said,) in database.execute("pragma integrity_check(1)") if said != "ok"]
    if wrong:
        raise BadFile(str(path), f"is damaged ({wrong[0]}).")


def _versions() -> list[str]:
    """Of the schema, the newest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
