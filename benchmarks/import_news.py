"""Rows a second into an empty SQLite file: our import against pandas' read_json and to_sql, medians of five in turn."""

import json
import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pandas as pd
import sqlalchemy as sa
from made_up import headlines

from jobs.imports import import_news
from models.database import Database

ROWS, ROUNDS = 20_000, 5


def ours(path: Path, folder: Path) -> float:
    database = Database.open(f"sqlite:///{folder}/ours.db")
    began = perf_counter()
    report = import_news(database, path, now=datetime.now(UTC))
    seconds = perf_counter() - began
    if report.new != ROWS:
        raise SystemExit(f"expected {ROWS} new articles, got {report.new}")
    database.close()
    return ROWS / seconds


def peer(path: Path, folder: Path) -> float:
    engine = sa.create_engine(f"sqlite:///{folder}/peer.db")
    began = perf_counter()
    pd.read_json(path, lines=True).to_sql("news", engine, index=False)
    seconds = perf_counter() - began
    engine.dispose()
    return ROWS / seconds


def main() -> None:
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    first = datetime(2020, 1, 1, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as source:
        path = Path(source) / "news.jsonl"
        rows = [
            {"published_at": (first + timedelta(minutes=7 * n)).isoformat(), "title": title, "outlet": "Made up"}
            for n, title in enumerate(headlines(ROWS))
        ]
        path.write_text("\n".join(map(json.dumps, rows)))
        for _ in range(ROUNDS):
            for name, run in (("ours", ours), ("peer", peer)):
                with tempfile.TemporaryDirectory() as folder:
                    rates[name].append(run(path, Path(folder)))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    print(f"storyshift import: {middle['ours']:,.0f} rows/s · pandas to_sql, no identity or revisions: ", end="")
    print(f"{middle['peer']:,.0f} rows/s · ratio {middle['ours'] / middle['peer']:.2f}")


if __name__ == "__main__":
    main()
