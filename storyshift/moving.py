"""`storyshift move`, `backup`, `restore`: the whole record into another database, into a file, and back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import ConfigError, DatabaseUnavailable
from storyshift.output import progress, put_json, say
from storyshift.shell import Report, TextFormat, now

if TYPE_CHECKING:
    from jobs.move import Compared
    from models.database import Database


def move(
    to: Annotated[str, typer.Option("--to", help="sqlite:///file.db or postgresql://user@host/name; an empty one.")],
    form: Report = TextFormat.text,
) -> None:
    """Copy the whole record into another database and compare them; stopped, the same command goes on."""
    from jobs.move import move as move_all
    from jobs.move import refuse_itself
    from models.database import Database

    source = _source()
    began = now()
    with _named("--to"):
        target = Database(to)
        refuse_itself(source, target)
        target.migrate()
    with progress("moving", "rows") as told:
        compared = move_all(source, target, progress=told)
    _report(compared, form)
    _end(began, compared, f"{target} holds what {source} holds")


def backup(
    file: Annotated[Path, typer.Argument(help="The SQLite file to write.", show_default=False)],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Put it in the place of an older backup.")] = False,
    form: Report = TextFormat.text,
) -> None:
    """Write the whole record into one SQLite file and compare them; others may write meanwhile."""
    from jobs.move import backup as write

    source = _source()
    began = now()
    with progress("writing", "rows") as told:
        compared = write(source, file, overwrite=overwrite, progress=told)
    _report(compared, form)
    _end(began, compared, f"{file} holds what {source} held when it began")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `storyshift backup` wrote.", show_default=False)],
    form: Report = TextFormat.text,
) -> None:
    """Bring a backup into the database of the settings, which must be empty, and compare them."""
    from config.settings import get_settings
    from jobs.move import restore as bring

    began = now()
    with progress("restoring", "rows") as told:
        compared = bring(file, get_settings().database_url, progress=told)
    _report(compared, form)
    _end(began, compared, f"The database of STORYSHIFT_DATABASE_URL holds what {file} holds")


def _source() -> "Database":
    """The database of the settings. Raises: ConfigError where there is none: an empty one is not made."""
    from config.settings import get_settings
    from models.database import Database
    from models.store.moving import file_at

    url = get_settings().database_url
    file = file_at(url)
    if file is not None and not file.is_file():
        raise ConfigError(f"There is no database {url}. Set STORYSHIFT_DATABASE_URL to the one that holds the record.")
    return Database.open(url)


@contextmanager
def _named(option: str) -> Iterator[None]:
    """What is wrong is an option, and not the setting that errors of a database speak of."""
    try:
        yield
    except (ConfigError, DatabaseUnavailable) as error:
        raise type(error)(str(error).replace("STORYSHIFT_DATABASE_URL", option)) from error


def _report(compared: "list[Compared]", form: TextFormat) -> None:
    from dataclasses import asdict

    from rich.console import Console
    from rich.table import Table

    table = Table("table", "rows", "there", "checksum", "same", box=None, header_style="bold")
    for column in table.columns[1:3]:
        column.justify = "right"
    for one in compared:
        same = f"no, from {one.differs_at} on" if one.differs_at else "yes"
        table.add_row(one.table, f"{one.rows:,}", f"{one.rows_there:,}", one.checksum or "", same)
    Console(stderr=True).print(table)
    if form is TextFormat.json:
        put_json([asdict(one) for one in compared])


def _end(began: datetime, compared: "list[Compared]", done: str) -> None:
    from jobs.move import sentence

    wrong = [one for one in compared if one.differs_at]
    for one in wrong:
        say(f"error: {sentence(one)}")
    if wrong:
        say("Somebody wrote while the record was copied? Stop what writes, and begin again with an empty database.")
        raise typer.Exit(1)
    seconds = (now() - began).total_seconds()
    rows = sum(one.rows for one in compared)
    say(f"{done}: {rows:,} rows in {len(compared)} tables, written and compared in {seconds:.1f} s.")
