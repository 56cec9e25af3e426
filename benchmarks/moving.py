"""Rows a second of a whole record from database to database and into a file: written, and compared row by row.

python benchmarks/moving.py POSTGRESQL_URL [ARTICLES]     the database of POSTGRESQL_URL must be empty

The record is that of series_speed.py, each wording with a summary of 40 words and every tenth with a text of 600.
"""

import sys
import tempfile
from pathlib import Path
from random import Random
from time import perf_counter

from made_up import WORDS
from series_speed import fill

from jobs.move import backup, move, restore
from models.database import Database
from models.store import moving


def wording(n: int) -> dict[str, str]:
    words = Random(n).choices(WORDS, k=650 if n % 10 == 0 else 50)
    return {"title": " ".join(words[:10]), "summary": " ".join(words[10:50]), "body": " ".join(words[50:])}


def main(url: str, articles: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        record, back = (Database.open(f"sqlite:///{folder / one}.db") for one in ("record", "back"))
        other = Database.open(url)
        fill(record, articles, wording)
        with record.read() as session:
            rows = {table.name: moving.count(session, table) for table in moving.tables()}
        print(", ".join(f"{n:,} {one}" for one, n in rows.items() if n))
        total = sum(rows.values())
        for said, ask in (
            ("move SQLite to PostgreSQL", lambda: move(record, other)),
            ("move PostgreSQL to SQLite", lambda: move(other, back)),
            ("backup of SQLite", lambda: backup(record, folder / "one.backup")),
            ("backup of PostgreSQL", lambda: backup(other, folder / "two.backup")),
            ("restore into SQLite", lambda: restore(folder / "two.backup", f"sqlite:///{folder}/again.db")),
        ):
            began = perf_counter()
            if any(one.differs_at for one in ask()):
                raise SystemExit(f"{said}: the two differ")
            seconds = perf_counter() - began
            print(f"{said}: {seconds:.1f} s, {total / seconds:,.0f} rows/s, {articles / seconds:,.0f} articles/s")
        for one in (record, back, other):
            one.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 50_000)
