"""What the commands share: the clock, the database of the settings, the form of a report."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.database import Database


class TextFormat(StrEnum):
    text = "text"
    json = "json"


Report = Annotated[TextFormat, typer.Option("--format", help="text on stderr, or one JSON document on stdout.")]


def now() -> datetime:
    return datetime.now(UTC)


def open_database() -> "Database":
    from config.settings import get_settings
    from models.database import Database

    return Database.open(get_settings().database_url)
