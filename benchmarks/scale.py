"""Questions over HTTP against stores of 0.1, 1 and 10 million articles of the same five years: p50, p95, ratios.

python benchmarks/scale.py postgresql://HOST/NAME [--articles 100000 1000000 10000000] [--sqlite 100000 1000000]
                           [--folder FOLDER] [--rounds 30] [--json FILE]

Each store is a database `scale_COUNT` beside the one that is named, built where it is not there (scale_store.py; ten
million articles are about 25 GB) and left there, as those of SQLite are in the folder that is named. One `storyshift
serve` runs for each. Requests are sent one at a time, in turn to each store, so that all meet the same machine; the
server is warm, and no question is asked twice, as answers are remembered. Beside them, on the raw rows: DuckDB and
pandas, which count stories by day and narrative for the same ranges, and must find what the API says. They give no
interval and no breadth, and know only the latest state.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import numpy as np
import pandas as pd
import sqlalchemy as sa
from api_load import serving
from scale_store import END, OUTLETS, build, log

from config.definitions import CORE_NARRATIVES, live_tagger_name
from models.articles import Article
from models.database import Database
from models.store.sql import table_of

AFTER_WRITE = "shift: a year by day, after a write"
"""Then what is remembered of the record is read anew."""
WORDS = ("gold", "silver tariff", "palladium", '"dollar gold"', "inflation OR yields", "debt -fed")
LAST = END.date() - timedelta(days=1)


def _year(n: int) -> dict[str, Any]:
    """A year of days, another one for each n."""
    return {"start": LAST - timedelta(days=365 + n), "end": LAST - timedelta(days=n), "bucket": "day"}


ASKED: dict[str, Callable[[int], tuple[str, dict[str, Any]]]] = {
    "intensity: a year by day, nine narratives": lambda n: ("intensity", _year(n)),
    "shift: a year by day": lambda n: ("shift", _year(n)),
    AFTER_WRITE: lambda n: ("shift", _year(n + 1_000)),
    "articles: narrative, outlet, 90 days": lambda n: (
        "articles",
        {
            "narrative": CORE_NARRATIVES[n % len(CORE_NARRATIVES)],
            "outlet": f"Outlet {n % OUTLETS:02d}",
            "start": LAST - timedelta(days=90 + n),
            "end": LAST - timedelta(days=n),
        },
    ),
    "articles: words, five years": lambda n: (
        "articles",
        {"q": WORDS[n % len(WORDS)], "end": LAST - timedelta(days=n)},
    ),
}


@dataclass(slots=True)
class Store:
    name: str
    articles: int
    database: Database
    address: str = ""
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    bytes: dict[str, int] = field(default_factory=dict)
    """By table, its indexes included."""


# -- stores -----------------------------------------------------------------------------------------------------------


def open_store(kind: str, url: str, articles: int) -> Store:
    database = Database.open(url)
    with database.read() as session:
        held = session.scalar(sa.select(sa.func.count()).select_from(table_of(Article)))
    if held not in (0, articles):
        sys.exit(f"{database} holds {held:,} articles and not {articles:,}. Drop it, and it is built anew.")
    if not held:
        build(database, articles)
    return Store(f"{kind}, {articles / 1e6:g} M", articles, database, bytes=_bytes(database))


def own_url(server: str, articles: int) -> str:
    """The address of the store's own database, which is created if it is not there."""
    whole, name = sa.make_url(server).set(drivername="postgresql+psycopg"), f"scale_{articles}"
    engine = sa.create_engine(whole, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if not connection.exec_driver_sql("select 1 from pg_database where datname = %s", (name,)).all():
            connection.exec_driver_sql(f"create database {name}")
    engine.dispose()
    return whole.set(drivername="postgresql", database=name).render_as_string(hide_password=False)


SIZES = """
select relname, pg_total_relation_size(oid) from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace order by 2 desc
"""
SQLITE_SIZE = "select 'all tables', page_count * page_size from pragma_page_count, pragma_page_size"


def _bytes(database: Database) -> dict[str, int]:
    with database.read() as session:
        return dict(tuple(row) for row in session.execute(sa.text(SQLITE_SIZE if database.is_sqlite else SIZES)))


# -- our own ----------------------------------------------------------------------------------------------------------


def ask(stores: list[Store], rounds: int) -> None:
    with httpx.Client(timeout=300) as client:
        for name, question in ASKED.items():
            for n in range(rounds, -1, -1):
                for store in stores:
                    path, query = question(n)
                    if name == AFTER_WRITE:
                        with store.database.write() as session:
                            session.execute(sa.text("update alembic_version set version_num = version_num"))
                    began = time.perf_counter()
                    answer = client.get(f"{store.address}/v1/{path}", params=query)
                    taken = 1_000 * (time.perf_counter() - began)
                    answer.raise_for_status()
                    if n < rounds:  # the first one warms
                        store.milliseconds.setdefault(name, []).append(taken)
            log(f"asked: {name}")


def counts_told(store: Store) -> dict[tuple[str, str], int]:
    """Of the latest year: stories by (day, narrative), and of all narratives together under ''."""
    answer = httpx.get(f"{store.address}/v1/intensity", params=_year(0), timeout=300).raise_for_status()
    found = {}
    for row in answer.json()["data"]:
        day = row["bucket_start"][:10]
        found[day, row["narrative"]] = row["n_carrying"]
        found[day, ""] = row["n_stories"]
    return {key: count for key, count in found.items() if count}


# -- peers ------------------------------------------------------------------------------------------------------------

RAW = {
    "stories": "select lead_id as revision_id, event_at at time zone 'UTC' as event_at from stories",
    "labels": "select revision_id, narrative from narrative_tags where label and tagger = '{}'",
}
"""Here an article has one wording, of the same number."""
GROUPED = """
with told as (select revision_id, event_at::date as day from stories where event_at >= $start and event_at < $end)
select day, '' as narrative, count(*) from told group by day union all
select day, narrative, count(*) from told join labels using (revision_id) group by day, narrative
"""


def raw_rows(store: Store, folder: Path) -> duckdb.DuckDBPyConnection:
    """The raw rows in a database of DuckDB's own."""
    config = {"memory_limit": "3GB", "threads": os.cpu_count()}
    own = duckdb.connect(str(folder / f"{store.articles}.duckdb"), config=config)
    file = folder / "rows.csv"
    with store.database.engine.connect() as connection:
        cursor = connection.connection.driver_connection.cursor()
        for name, query in RAW.items():
            with (
                file.open("wb") as target,
                cursor.copy(f"copy ({query.format(live_tagger_name())}) to stdout (format csv, header)") as source,
            ):
                for block in source:
                    target.write(block)
            own.execute(f"create table {name} as select * from read_csv('{file}')")
    file.unlink()
    return own


def ask_peers(store: Store, rounds: int, folder: Path) -> dict[str, dict[tuple[str, str], int]]:
    """What each counts in the latest year."""
    own = raw_rows(store, folder)
    stories, labels = (own.execute(f"from {name}").df() for name in RAW)
    asked: dict[str, Callable[[date, date], dict[tuple[str, str], int]]] = {
        "DuckDB: counts of a year by day": lambda start, end: {
            (str(day), narrative): count
            for day, narrative, count in own.execute(GROUPED, {"start": start, "end": end}).fetchall()
        },
        "pandas: counts of a year by day": lambda start, end: _by_pandas(stories, labels, start, end),
    }
    found = {}
    for name, count in asked.items():
        for n in range(rounds, -1, -1):
            years = _year(n)
            began = time.perf_counter()
            found[name] = count(years["start"], years["end"])
            taken = 1_000 * (time.perf_counter() - began)
            if n < rounds:
                store.milliseconds.setdefault(name, []).append(taken)
    own.close()
    log(f"peers asked: {store.name}")
    return found


def _by_pandas(stories: pd.DataFrame, labels: pd.DataFrame, start: date, end: date) -> dict[tuple[str, str], int]:
    told = stories[(stories["event_at"] >= pd.Timestamp(start)) & (stories["event_at"] < pd.Timestamp(end))]
    told = told.assign(day=told["event_at"].dt.floor("D"))
    carried = told.merge(labels, on="revision_id").groupby(["day", "narrative"]).size()
    totals = {(f"{day:%Y-%m-%d}", ""): int(n) for day, n in told.groupby("day").size().items()}
    return totals | {(f"{day:%Y-%m-%d}", narrative): int(n) for (day, narrative), n in carried.items()}


# -- telling ----------------------------------------------------------------------------------------------------------


def rows(stores: list[Store]) -> Iterator[dict[str, Any]]:
    least: dict[tuple[str, str], float] = {}
    for store in stores:
        for name, taken in store.milliseconds.items():
            p50, p95 = np.percentile(taken, [50, 95])
            ratio = p50 / least.setdefault((store.name.split(",")[0], name), p50)
            told = {"store": store.name, "asked": name, "n": len(taken)}
            yield told | {"p50_ms": p50, "p95_ms": p95, "ratio": ratio}


def tell(stores: list[Store]) -> None:
    print("| asked | store | n | p50 ms | p95 ms | p50 / smallest |\n| --- | --- | --- | --- | --- | --- |")
    for row in sorted(rows(stores), key=lambda row: row["asked"]):
        print("| {asked} | {store} | {n} | {p50_ms:.0f} | {p95_ms:.0f} | {ratio:.2f} |".format(**row))
    for store in stores:
        print(f"\n{store.name}: {sum(store.bytes.values()) / store.articles:,.0f} bytes an article")
        each = {name: size / store.articles for name, size in store.bytes.items()}
        print(", ".join(f"{name} {size:,.0f}" for name, size in each.items() if size >= 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server", help="a database on a server where others may be created: postgresql://host/name")
    parser.add_argument("--articles", type=int, nargs="*", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--sqlite", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--folder", help="where the stores of SQLite are kept; without it they are made anew each time")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path, help="where to write what was measured")
    asked = parser.parse_args()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STORYSHIFT_")}
    environment["STORYSHIFT_RATE_LIMIT"] = "off"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        stores = [open_store("PostgreSQL", own_url(asked.server, count), count) for count in asked.articles]
        stores += [
            open_store("SQLite", f"sqlite:///{asked.folder or folder}/{count}.db", count) for count in asked.sqlite
        ]
        for store in stores:
            url = store.database.url.render_as_string(hide_password=False)
            store.address = servers.enter_context(serving(environment | {"STORYSHIFT_DATABASE_URL": url}))
        ask(stores, asked.rounds)
        for store in stores:
            if not store.database.is_sqlite:
                told = counts_told(store)
                for name, found in ask_peers(store, asked.rounds, Path(folder)).items():
                    if found != told:
                        sys.exit(f"{store.name}: {name.split(':')[0]} counts other stories than the API.")
                log(f"{store.name}: {len(told):,} counts are the same")
        tell(stores)
        if asked.json:
            machine = {"cores": os.cpu_count(), "load": os.getloadavg(), "python": sys.version.split()[0]}
            sizes = {store.name: {"articles": store.articles, "bytes": store.bytes} for store in stores}
            told = {"machine": machine, "rows": list(rows(stores)), "stores": sizes}
            asked.json.write_text(json.dumps(told, indent=1))
        for store in stores:
            store.database.close()


if __name__ == "__main__":
    main()
