"""Opening the database: SQLite in one file (WAL), or PostgreSQL; migrated to the newest schema when opened.

    database = Database.open(url)        # migrates
    with database.read() as session: …   # sees one state, writes nothing
    with database.write() as session: …  # one transaction: committed at the end, rolled back on an error

A locked or unreachable database becomes DatabaseBusy or DatabaseUnavailable, with what to do.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from threading import Lock
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlmodel import Session

from models.errors import ConfigError, DatabaseBusy, DatabaseUnavailable

BUSY_SECONDS = 10
"""How long a writer waits for another before giving up."""
POOL = 20
"""Connections that are kept open once they were needed: to open one takes longer than most questions."""
SILENT = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
"""By libpq's names: a connection whose other end says nothing, as its link was cut, is given up after some 25 s."""
SILENT_THERE = " ".join(f"-c{'' if name.startswith('tcp') else 'tcp_'}{name}={value}" for name, value in SILENT.items())
"""The same said to the server, which else keeps the locks of who was cut off: for two hours, as Linux has it."""
CONNECT_SECONDS = 10
AWAY = ("08", "28", "3D", "53", "57")
"""Classes of PostgreSQL's error codes that mean the server, and not the statement: connection, access, resources."""
DISK_FULL = ("53100", "database or disk is full", "disk I/O error")
"""PostgreSQL's code, and what SQLite says where the disk is full, or where a file may not grow any more."""
MIGRATIONS = Path(__file__).parent / "migrations"
WRITES_KEPT = 1_000
COUNTED_SINCE = "0009"
"""The version since which stories are counted as models.store.rollups counts them; an older store is counted anew."""


class Database:
    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        """Raises: ConfigError if the address is not one of a supported database."""
        self.url = _normal(url)
        try:
            self.engine = sa.create_engine(
                self.url,
                pool_size=POOL,
                pool_pre_ping=not self.is_sqlite,
                hide_parameters=True,  # an error that is logged does not show what was to be stored
                connect_args=self._arguments(busy_seconds),
            )
        except ModuleNotFoundError:
            raise ConfigError(
                "PostgreSQL needs the driver of the extra `postgres`: pip install 'storyshift[postgres]'."
            ) from None
        if self.is_sqlite:
            _keep_from_others(self.url.database)
            sa.event.listen(self.engine, "connect", _sqlite_connect)
            sa.event.listen(self.engine, "begin", _sqlite_begin)
        self._watcher: sa.PoolProxiedConnection | None = None
        self._watching = Lock()

    @classmethod
    def open(cls, url: str, *, busy_seconds: float = BUSY_SECONDS) -> "Database":
        """The database at `url`, created and migrated where needed."""
        database = cls(url, busy_seconds=busy_seconds)
        database.migrate()
        return database

    @property
    def libpq_arguments(self) -> dict[str, Any]:
        """What leads to the database, password and all, for what talks to PostgreSQL by itself."""
        where = self.url.translate_connect_args(username="user", database="dbname") | dict(self.url.query)
        own = self.url.query.get("options", "")
        return where | self._patience | {"options": f"{SILENT_THERE} {own}"}

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    def __str__(self) -> str:
        """The address without its password, wherever in it that stands."""
        secret = {name: "***" for name in self.url.query if "password" in name}
        return self.url.update_query_dict(secret).render_as_string(hide_password=True)

    def _arguments(self, busy_seconds: float) -> dict[str, Any]:
        if self.is_sqlite:
            return {"timeout": busy_seconds}
        own = str(self.url.query.get("options", ""))
        ours = f"{SILENT_THERE} {own} -ctimezone=UTC -clock_timeout={int(busy_seconds * 1000)}"
        return self._patience | {"options": ours}

    @property
    def _patience(self) -> dict[str, Any]:
        """How long a silent server is waited for, as the address says it where it does."""
        usual = {"connect_timeout": CONNECT_SECONDS} | SILENT
        return {name: self.url.query.get(name, value) for name, value in usual.items()}

    @contextmanager
    def read(self) -> Iterator[Session]:
        with self._translated(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self, *, waits: bool = True) -> Iterator[Session]:
        """Raises: DatabaseBusy if another process holds the database; unless it waits, at once."""
        engine = self.engine.execution_options(writes=True, waits=waits)
        with self._translated(), Session(engine, expire_on_commit=False) as session, session.begin():
            if not waits and not self.is_sqlite:
                session.connection().exec_driver_sql("set local lock_timeout = '10ms'")
            yield session
            if not self.is_sqlite:
                _note_write(session)

    def version(self) -> str:
        """Names what a reader sees now: the same again means that nobody's `write` was committed in between."""
        with self._translated():
            if not self.is_sqlite:
                with self.engine.connect() as connection:
                    return str(connection.exec_driver_sql("select count(*), sum(id) from writes").one())
            with self._watching:
                if self._watcher is None:  # it tells what others commit, so nothing may ever be written by it
                    self._watcher = self.engine.raw_connection()
                cursor = self._watcher.cursor()
                cursor.execute("pragma data_version")
                return str(cursor.fetchall()[0][0])

    def analyze(self) -> None:
        """To be told after much came at once: until its statistics are new, PostgreSQL takes many rows for few."""
        with self._translated(), self.engine.execution_options(writes=True).begin() as connection:
            connection.exec_driver_sql("pragma optimize" if self.is_sqlite else "analyze")

    def migrate(self) -> bool:
        """Bring the schema to the newest version; True if anything changed. Two processes may call it at once."""
        from alembic import command
        from alembic.config import Config
        from alembic.migration import MigrationContext
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        known = ScriptDirectory.from_config(config)
        head = known.get_current_head()
        with self._translated():
            with self.engine.connect() as connection:
                found = MigrationContext.configure(connection).get_current_revision()
                if found == head:
                    return False
                if found not in (None, *(one.revision for one in known.walk_revisions())):
                    raise ConfigError(
                        f"The database {self} is of a newer version of Storyshift (schema {found}; this one knows "
                        f"{head}). Use that version, or restore a backup that this one made."
                    )
            # SQLite changes a table by making it anew, which those that refer to it would forbid
            with (
                self.engine.execution_options(writes=True).connect() as connection,
                _unchecked_references(connection) if self.is_sqlite else nullcontext(),
                connection.begin(),
            ):
                if not self.is_sqlite:
                    connection.exec_driver_sql("select pg_advisory_xact_lock(20180320)")
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                if found is not None and found < COUNTED_SINCE:
                    from models.store.rollups import rebuild

                    rebuild(Session(connection))
        return True

    def close(self) -> None:
        with self._watching:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        self.engine.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            reason = str(error.orig).strip().splitlines()[0] if error.orig else str(error)
            if "locked" in reason or "lock timeout" in reason:
                raise DatabaseBusy(
                    f"The database {self} is held by another process ({reason}). Nothing was lost: try again."
                ) from error
            state = str(getattr(error.orig, "sqlstate", None) or AWAY[0])
            if state in DISK_FULL or reason in DISK_FULL:
                raise DatabaseUnavailable(
                    f"The database {self} cannot be written ({reason}). What was committed is kept: make room on its "
                    "disk, and do the same again."
                ) from error
            away = isinstance(error, OperationalError) and state.startswith(AWAY)
            if away or "not a database" in reason:
                raise DatabaseUnavailable(
                    f"The database {self} cannot be used ({reason}). Check STORYSHIFT_DATABASE_URL, and that it runs."
                ) from error
            raise


def _normal(url: str) -> sa.URL:
    """postgres:// and postgresql:// mean the psycopg driver; other databases are refused."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        backend = None
    if backend == "sqlite":
        if parsed.database and parsed.database != ":memory:" and not Path(parsed.database).parent.is_dir():
            raise ConfigError(f"The folder of the database {parsed.database} does not exist. Create it first.")
        return parsed
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError("STORYSHIFT_DATABASE_URL must look like sqlite:///storyshift.db or postgresql://user@host/name.")


def _keep_from_others(path: str | None) -> None:
    """A new file is its owner's alone: it will hold the secrets of webhooks. SQLite makes those beside it alike."""
    if path and path != ":memory:" and not path.startswith("file:"):
        with suppress(OSError):  # SQLite says by itself what is wrong with a place
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _note_write(session: Session) -> None:
    """Of each write a row of its own, so that none waits for another. Old ones are forgotten now and then."""
    connection = session.connection()
    number = connection.exec_driver_sql("insert into writes default values returning id").scalar_one()
    if number % WRITES_KEPT == 0:
        connection.exec_driver_sql("delete from writes where id <= %s", (number - WRITES_KEPT,))


@contextmanager
def _unchecked_references(connection: sa.Connection) -> Iterator[None]:
    """Outside of a transaction, as the switch does nothing within one."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    driver.execute("pragma foreign_keys = off")
    try:
        yield
    finally:
        driver.execute("pragma foreign_keys = on")


def _sqlite_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin in _sqlite_begin, not at the driver's guess
    cursor = connection.cursor()
    for pragma in ("journal_mode = wal", "synchronous = normal", "foreign_keys = on", "cache_size = -65536"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def _sqlite_begin(connection: sa.Connection) -> None:
    """A writer takes the write lock at once: one that reads first and asks later is refused without waiting."""
    asked = connection.get_execution_options()
    begin = "begin immediate" if asked.get("writes", False) else "begin"
    if asked.get("waits", True):
        connection.exec_driver_sql(begin)
        return
    patience = connection.exec_driver_sql("pragma busy_timeout").scalar_one()
    connection.exec_driver_sql("pragma busy_timeout = 0")
    try:
        connection.exec_driver_sql(begin)
    finally:
        connection.exec_driver_sql(f"pragma busy_timeout = {patience}")
