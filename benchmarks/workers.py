"""How much faster two workers are than one: texts tagged per second through the queue in PostgreSQL.

    python benchmarks/workers.py postgresql://… [--texts 20000] [--times 3] [--tagger minilm]

In a database of its own beside the one that is named, dropped at the end. Each worker is `storyshift worker`, one job
and one thread at a time. The rate is that between the first and the last tenth of the texts, so that no start is in it;
one worker and two take turns, medians are told. Efficiency: the rate of two over twice the rate of one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import sqlalchemy as sa
from made_up import headlines

STORYSHIFT = str(Path(sys.executable).with_name("storyshift"))
OWN_DATABASE = "storyshift_workers"
FORGOTTEN = (
    "taggings narrative_tags asset_mentions story_rollups breadth_rollups tone_rollups story_days breadth_days "
    "narrative_days tag_attempts procrastinate_jobs"
).split()
LOOK_SECONDS, AT_MOST_SECONDS = 0.1, 1_800


def fill(texts: int, environment: dict[str, str]) -> None:
    began = datetime.now(UTC) - timedelta(days=365)
    with tempfile.TemporaryDirectory() as folder:
        news = Path(folder) / "news.jsonl"
        with news.open("w") as file:
            for n, title in enumerate(headlines(texts)):
                at = began + timedelta(minutes=n * 365 * 1_440 / texts)
                row = {"published_at": at.isoformat(), "title": title, "outlet": f"Outlet {n % 40}", "summary": ""}
                file.write(json.dumps(row) + "\n")
        subprocess.run([STORYSHIFT, "import", "news", str(news)], env=environment, check=True, capture_output=True)


def rate(engine: sa.Engine, texts: int, workers: int, environment: dict[str, str]) -> float:
    """Texts per second, from the first tenth to the ninth."""
    with engine.begin() as connection:
        connection.exec_driver_sql(f"truncate {', '.join(FORGOTTEN)} cascade")
        connection.exec_driver_sql("analyze")
    processes = [
        subprocess.Popen([STORYSHIFT, "worker", "--threads", "1"], env=environment, stderr=subprocess.DEVNULL)
        for _ in range(workers)
    ]
    seen: list[tuple[float, int]] = []
    try:
        until = time.monotonic() + AT_MOST_SECONDS
        while not seen or seen[-1][1] < texts:
            if time.monotonic() > until or any(process.poll() is not None for process in processes):
                sys.exit(f"{seen[-1][1]} of {texts} texts were tagged, then no more.")
            with engine.connect() as connection:
                done = connection.exec_driver_sql("select count(*) from taggings").scalar_one()
            seen.append((time.monotonic(), done))
            time.sleep(LOOK_SECONDS)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()
    within = [one for one in seen if 0.1 * texts <= one[1] <= 0.9 * texts]
    (first_at, first), (last_at, last) = within[0], within[-1]
    return (last - first) / (last_at - first_at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--tagger", default="minilm")
    asked = parser.parse_args()
    given = sa.make_url(asked.url).set(drivername="postgresql+psycopg")
    whole = sa.create_engine(given, isolation_level="AUTOCOMMIT")
    own = given.set(database=OWN_DATABASE)
    environment = os.environ | {
        "STORYSHIFT_DATABASE_URL": own.set(drivername="postgresql").render_as_string(hide_password=False),
        "STORYSHIFT_TAGGER": asked.tagger,
        "STORYSHIFT_LOAD_PRICES": "false",
        "STORYSHIFT_CONFIG_DIR": tempfile.mkdtemp(),
    }
    Path(environment["STORYSHIFT_CONFIG_DIR"], "feeds.toml").write_text("")
    with whole.connect() as connection:
        connection.exec_driver_sql(f"drop database if exists {OWN_DATABASE} with (force)")
        connection.exec_driver_sql(f"create database {OWN_DATABASE}")
    try:
        fill(asked.texts, environment)
        engine = sa.create_engine(own)
        rates: dict[int, list[float]] = {1: [], 2: []}
        for turn in range(asked.times):
            for workers in (1, 2) if turn % 2 == 0 else (2, 1):
                rates[workers].append(rate(engine, asked.texts, workers, environment))
                print(f"{workers} worker(s): {rates[workers][-1]:,.0f} texts/s", flush=True)
        engine.dispose()
        one, two = median(rates[1]), median(rates[2])
        print(f"median of {asked.times}: one {one:,.0f}, two {two:,.0f} texts/s; efficiency {two / (2 * one):.0%}")
    finally:
        with whole.connect() as connection:
            connection.exec_driver_sql(f"drop database if exists {OWN_DATABASE} with (force)")


if __name__ == "__main__":
    main()
