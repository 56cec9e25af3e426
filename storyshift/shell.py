"""What the commands share: the clock, the database of the settings, the form of a report."""

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadInput
from storyshift.output import progress, say

if TYPE_CHECKING:
    from jobs.cluster import Clusterer
    from models.database import Database


DEMO_DATABASE = "sqlite:///storyshift-demo.db"


class TextFormat(StrEnum):
    text = "text"
    json = "json"


class TableFormat(StrEnum):
    text = "text"
    json = "json"
    csv = "csv"
    parquet = "parquet"


Report = Annotated[TextFormat, typer.Option("--format", help="text on stderr, or one JSON document on stdout.")]


def now() -> datetime:
    return datetime.now(UTC)


def open_database() -> "Database":
    from config.settings import get_settings
    from models.database import Database

    return Database.open(get_settings().database_url)


def open_record() -> "Database":
    """The database of the settings, for a question about what it holds; where that is nothing, it is said."""
    from services.catalog import is_empty

    database = open_database()
    with database.read() as session:
        if is_empty(session):
            say(
                f"note: {database} holds no article. STORYSHIFT_DATABASE_URL names another; the demo's is "
                f"{DEMO_DATABASE}, in the folder where it runs."
            )
    return database


def find_copies(clusterer: "Clusterer") -> None:
    """Find the story of every article that has none yet, and say how many those were."""
    with progress("finding copies", "articles") as told:
        placed = clusterer.cluster(progress=told)
    if placed:
        say(f"{placed} articles compared: their stories are known.")


def files_in(paths: list[Path]) -> list[Path]:
    """The files named, and those of a known format in the folders named."""
    from ingest.rows import FORMATS

    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.name.lower().endswith(FORMATS))
        if not inside:
            raise BadInput(f"{path} holds no file that can be read: {', '.join(FORMATS)}.")
        found.extend(inside)
    return found
