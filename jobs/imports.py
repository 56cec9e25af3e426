"""Importing archives of news, prices and macro series from files: idempotent, one commit a batch, bad rows kept out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from config import definitions
from ingest.archives import NEEDS, read_article
from ingest.prices import PriceFile, interval_of, read_bars, read_points, value_column
from ingest.rows import RowFile
from models.database import Database
from models.errors import BadFile, BadRow
from models.found import FoundArticle
from models.store.articles import add_articles
from models.store.prices import Kept, add_bars, add_points

BATCH = 2_000
MANY = 1_000
"""New articles after which the database's statistics are made anew."""


@dataclass(slots=True)
class ImportReport:
    file: str
    rows: int = 0
    new: int = 0
    revised: int = 0
    """Articles with a new wording, or prices with a corrected value."""
    known: int = 0
    empty: int = 0
    seconds: float = 0.0
    refused: list[BadRow] = field(default_factory=list)


def import_news(
    database: Database, path: Path, *, now: datetime, progress: Callable[[int, int], None] | None = None
) -> ImportReport:
    """Bring an archive in. `progress` is told (bytes read, of). Raises: BadFile; what was committed before stays."""
    began = perf_counter()
    report = ImportReport(str(path))
    rows = RowFile(path, needs=NEEDS)
    batch: list[FoundArticle] = []

    def keep() -> None:
        if not batch:
            return
        with database.write() as session:
            added = add_articles(session, batch, now=now)
        report.new, report.revised, report.known = (
            report.new + added.new,
            report.revised + added.revised,
            report.known + added.known,
        )
        batch.clear()
        if progress is not None:
            progress(rows.position, rows.size)

    try:
        for line, row in rows:
            report.rows += 1
            if isinstance(row, BadRow):
                report.refused.append(row)
                continue
            try:
                batch.append(read_article(row, now=now))
            except ValueError as error:
                report.refused.append(BadRow(str(path), line, str(error)))
                continue
            if len(batch) >= BATCH:
                keep()
    except (BadFile, KeyboardInterrupt):
        keep()  # the file breaks off, or a person stops it: what was read is kept
        raise
    keep()
    if report.new >= MANY:
        database.analyze()
    report.seconds = round(perf_counter() - began, 3)
    return report


def import_prices(database: Database, path: Path, *, asset: str | None, now: datetime) -> ImportReport:
    """Bring closes in, by the day or by the hour. The asset is the file's name (BTC.csv) unless given.

    Raises: UnknownName, BadFile.
    """
    key = asset or path.name.split(".")[0]
    definition = definitions.asset(key)
    began = perf_counter()
    found = read_bars(path, key, definition, now=now)
    interval = interval_of(path, found.found)
    with database.write() as session:
        kept = add_bars(session, key, found.found, source=path.name, now=now, interval=interval)
    return _report(path, found, kept, began)


def import_macro(database: Database, path: Path, *, series: str | None, now: datetime) -> ImportReport:
    """Bring a macro series in: columns `date` and the series' key (or `value`). Raises: UnknownName, BadFile."""
    key = series or path.name.split(".")[0]
    definition = definitions.macro(key)
    began = perf_counter()
    found = read_points(path, key, definition, value_column(path, key, "value"), now=now)
    with database.write() as session:
        kept = add_points(session, key, found.found, source=path.name, now=now)
    return _report(path, found, kept, began)


def _report(path: Path, found: PriceFile[Any], kept: Kept, began: float) -> ImportReport:
    return ImportReport(
        str(path),
        rows=len(found.found) + len(found.refused) + found.empty,
        new=kept.new,
        revised=kept.corrected,
        known=kept.known,
        empty=found.empty,
        seconds=round(perf_counter() - began, 3),
        refused=found.refused,
    )
