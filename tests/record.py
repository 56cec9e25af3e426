"""A small record with known content: 200 days of tagged stories from 2020-01-01, and bitcoin closing every day."""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from conftest import analyze
from fakes import FakeTagger, found_article
from sqlmodel import SQLModel, select

from config.definitions import BASELINE_TAGGER
from jobs.cluster import Clusterer
from models.database import Database
from models.prices import FoundBar
from models.store.articles import add_articles
from models.store.prices import add_bars
from models.store.tags import save_tags, untagged
from models.tags import Text

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
DAYS = 200
PANIC_FROM = 160


def headlines(day: int) -> list[str]:
    """25 headlines a day: 1 or 2 for each core narrative, 8 haven stories a day once the panic begins."""
    havens = 8 if day >= PANIC_FROM else 1 + day % 2
    told = [f"safe_haven+ XAU: fear number {n}" for n in range(havens)]
    told += [f"liquidity+ : easing {n}" for n in range(1 + (day + 1) % 2)]
    told += ["debasement+ BTC: money loses"] * (day % 2) + ["fiscal_stress+ : deficit grows"] * (day % 2)
    return [f"{title} on day {day}" for title in told + [f"weather {n} is fine" for n in range(25 - len(told))]]


def fill(database: Database, now: datetime, *, days: int = DAYS) -> None:
    told_once(database, ("record", now, days), lambda: _tell(database, now, days))


def told_once(database: Database, what: Hashable, tell: Callable[[], object]) -> None:
    """What an empty database was once told in this process is copied into the next one."""
    key = (database.is_sqlite, what)
    with database.read() as session:
        empty = not any(session.execute(select(table).limit(1)).first() for table in TABLES)
    if empty and key in FILLED:
        _put(database, FILLED[key])
    else:
        tell()
        if empty:
            FILLED[key] = _held(database)
    analyze(database)


def _tell(database: Database, now: datetime, days: int) -> None:
    found = [
        found_article(title, FIRST + timedelta(days=day, minutes=20 * place), outlet="AB"[place % 2])
        for day in range(days)
        for place, title in enumerate(headlines(day))
    ]
    with database.write() as session:
        add_articles(session, found, now=now)
        bars = [FoundBar("BTC", FIRST + timedelta(days=day), 8_000.0 + 10 * day) for day in range(days)]
        add_bars(session, "BTC", bars, source="record", now=now)
    tag(database, now)


TABLES = SQLModel.metadata.sorted_tables
FILLED: dict[tuple[bool, Hashable], dict[str, bytes]] = {}
"""What a filled database holds: the file of SQLite, each table of PostgreSQL as `copy` writes it."""


def _held(database: Database) -> dict[str, bytes]:
    if database.is_sqlite:
        return {"": _file(database).read_bytes()}
    with database.engine.connect() as connection:
        cursor = connection.connection.cursor()
        held = {}
        for table in TABLES:
            with cursor.copy(f"copy {table.name} to stdout") as copy:
                held[table.name] = b"".join(copy)
        return held


def _put(database: Database, held: dict[str, bytes]) -> None:
    if database.is_sqlite:
        _file(database).write_bytes(held[""])
        return
    with database.engine.begin() as connection:
        cursor = connection.connection.cursor()
        for name, rows in held.items():
            with cursor.copy(f"copy {name} from stdin") as copy:
                copy.write(rows)
            if "id" in SQLModel.metadata.tables[name].columns:
                cursor.execute(f"select setval('{name}_id_seq', max(id)) from {name} having max(id) > 0")  # noqa: S608


def _file(database: Database) -> Path:
    """That of an SQLite database in which nobody reads or writes."""
    database.close()
    path = Path(database.url.database or "")
    assert not path.with_name(f"{path.name}-wal").exists()
    return path


def tag(database: Database, now: datetime) -> None:
    """Cluster, and tag what is untagged, as the baseline's name, by the fake that reads its labels from the title."""
    Clusterer(database).cluster()
    with database.write() as session:
        rows = untagged(session, BASELINE_TAGGER, after=0, limit=100_000)
        texts = [Text(str(row.id), {"title": row.title}) for row in rows]
        pairs = zip([row.id or 0 for row in rows], FakeTagger().tag(texts), strict=True)
        save_tags(session, BASELINE_TAGGER, list(pairs), now=now)
