"""The queue of work that workers share, on PostgreSQL: procrastinate's own tables, made and kept up to date here.

The table `queue_version` holds the name of procrastinate's last migration that they have.
"""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from sqlalchemy import Connection, Engine

from models.errors import ConfigError

DROP = """
do $$
declare
    found record;
begin
    for found in select oid::regclass::text as name from pg_class
        where relnamespace = current_schema()::regnamespace and relkind = 'r' and relname like 'procrastinate\\_%'
    loop
        execute 'drop table ' || found.name || ' cascade';
    end loop;
    for found in select oid::regprocedure::text as name from pg_proc
        where pronamespace = current_schema()::regnamespace and proname like 'procrastinate\\_%'
    loop
        execute 'drop function ' || found.name || ' cascade';
    end loop;
    for found in select oid::regtype::text as name from pg_type
        where typnamespace = current_schema()::regnamespace and typname like 'procrastinate\\_%'
    loop
        execute 'drop type ' || found.name || ' cascade';
    end loop;
end;
$$
"""


def create(connection: Connection) -> None:
    """Make the tables in the current schema. Raises: ConfigError where procrastinate is not installed."""
    _run(connection, _folder().joinpath("schema.sql").read_text(encoding="utf-8"))
    _run(connection, "create table queue_version (migration text not null)")
    connection.exec_driver_sql("insert into queue_version values (%s)", (max(name for name, _ in _migrations()),))


def bring_up_to_date(engine: Engine) -> list[str]:
    """Run what procrastinate has added since the tables were made, a commit each; the names of these migrations.

    Two may call it at once.
    """
    ran = []
    for name, file in _migrations():
        with engine.begin() as connection:
            connection.exec_driver_sql("lock table queue_version in exclusive mode")
            has = str(connection.exec_driver_sql("select migration from queue_version").scalar_one())
            if name > has:
                _run(connection, file.read_text(encoding="utf-8"))
                connection.exec_driver_sql("update queue_version set migration = %s", (name,))
                ran.append(name)
    return ran


def drop(connection: Connection) -> None:
    _run(connection, DROP)
    _run(connection, "drop table queue_version")


def forget_later_clock(engine: Engine) -> None:
    """After the server's clock jumped back: workers that lived later than now, and jobs put off for long, wait no more.

    No job is put off for more than an hour.
    """
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "update procrastinate_workers set last_heartbeat = now() where last_heartbeat > now()"
        )
        connection.exec_driver_sql(
            "update procrastinate_jobs set scheduled_at = now() "
            "where status = 'todo' and scheduled_at > now() + interval '1 hour'"
        )


def _folder() -> Traversable:
    try:
        return files("procrastinate.sql")
    except ModuleNotFoundError:
        raise ConfigError(
            "PostgreSQL needs procrastinate of the extra `postgres`: pip install 'storyshift[postgres]'."
        ) from None


def _migrations() -> list[tuple[str, Traversable]]:
    """By name, as they are run."""

    def all_of_them() -> Iterator[tuple[str, Traversable]]:
        for file in _folder().joinpath("migrations").iterdir():
            if file.name.endswith(".sql"):
                yield file.name, file

    return sorted(all_of_them(), key=lambda pair: pair[0])


def _run(connection: Connection, statements: str) -> None:
    """Several statements, in which a percent sign means itself."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    driver.execute(statements)
