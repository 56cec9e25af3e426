"""An archive of made-up headlines through `storyshift backfill`, by both engines: articles a second and peak memory.

    python benchmarks/backfill.py [ARTICLES [WORKERS]] [--only local|ray] [--store] [--folder FOLDER]

Every tenth headline tells a narrative, the others do not; the first look of minilm lets about half of them through, as
of the headlines of Reuters (54 %), the Guardian (43 %) or CNBC (45 %). Peak memory is the largest sum, looked at ten
times a second, of what the command and the processes it started hold in RAM (PSS, which counts shared pages once; Linux
only); CPU is the sum of what they took, storing and Ray itself included. The parts of both engines must be equal, byte
for byte. --store brings the local ones into an empty SQLite file as well. FOLDER keeps archive and parts, so that a run
that was stopped goes on; its rate is then that of the rest. Without --only each stage is measured alone before.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time, sleep

from jobs.backfill import Block

TOLD = (
    "Investors flee to {safe} as {fear} shakes markets",
    "{bank} signals {ease} as growth slows",
    "{coin} rallies on fears of currency debasement",
    "Deficit swells and {debt} auction meets weak demand",
    "{metal} hits a record as inflation fears return",
)
OTHER = (
    "{firm} opens a plant in {place}",
    "{firm} names a new head of {part}",
    "{place} museum shows works by {name}",
    "{name} wins the race at {place}",
    "{firm} profit beats forecasts on strong {part}",
    "Storm closes schools around {place}",
    "{place} votes on a new {part} law",
    "{place} school wins a prize for its garden",
)
WORDS = {
    "safe": "safe havens/gold/the yen/Treasuries/cash".split("/"),
    "fear": "war/a bank's collapse/default/contagion/panic".split("/"),
    "bank": "Fed/ECB/Bank of England/Bank of Japan/PBOC".split("/"),
    "ease": "rate cuts/more bond buying/a pause/looser policy".split("/"),
    "coin": "Bitcoin/Ether/Crypto/Gold/Silver".split("/"),
    "debt": "Treasury/bond/gilt/long-dated bond".split("/"),
    "metal": "Gold/Silver/Platinum/Bullion".split("/"),
    "firm": "Acme/Norvik/Harlow/Tessera/Quill/Bexar/Ondine/Calder".split("/"),
    "place": "Leeds/Porto/Denver/Osaka/Lyon/Gdansk/Cork/Tampa".split("/"),
    "part": "sales/software/shipping/research/retail/transport".split("/"),
    "name": "Ito/Moreau/Santos/Novak/Keller/Byrne/Okafor/Lund".split("/"),
}
FIELD = re.compile(r"\{(\w+)\}")
FIRST = datetime(2000, 1, 1, tzinfo=UTC)


def headlines(count: int) -> Iterator[str]:
    rng = random.Random(7)
    for number in range(count):
        form = rng.choice(TOLD if number % 10 == 0 else OTHER)
        yield FIELD.sub(lambda field: rng.choice(WORDS[field[1]]), form) + f", report {number}"


def archive(path: Path, count: int) -> None:
    with path.open("w") as file:
        for number, title in enumerate(headlines(count)):
            at = FIRST + timedelta(minutes=13 * number)
            file.write(json.dumps({"published_at": at.isoformat(), "title": title, "outlet": "Made up"}) + "\n")


class Held:
    """What the processes of a session take: memory at its peak, and seconds of CPU, of those that have ended too."""

    def __init__(self, session: int) -> None:
        self._session, self._seconds = session, dict[int, float]()
        self.peak = 0

    @property
    def seconds(self) -> float:
        return sum(self._seconds.values())

    def look(self) -> None:
        held = 0
        for process in Path("/proc").glob("[0-9]*"):
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) != self._session:
                    continue
                self._seconds[int(process.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                found = re.search(r"^Pss: +(\d+)", (process / "smaps_rollup").read_text(), re.MULTILINE)
                held += 1024 * int(found[1]) if found else 0
            except OSError:  # it has ended
                continue
        self.peak = max(self.peak, held)


def stages(path: Path) -> None:
    """Articles a second of a core, stage by stage, in this process: reading all, the others the first block."""
    from jobs.backfill import plan_of, read_blocks, tag_block, tagger_of
    from jobs.backfill_parts import store_parts
    from jobs.cluster import Clusterer
    from models.database import Database

    def told(stage: str, rows: int, began: float) -> None:
        print(f"{stage} alone: {rows / (process_time() - began):,.0f} articles a second of a core", flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        plan = plan_of(now=datetime.now(UTC), output=Path(scratch))
        plan.folder(path).mkdir()
        began, read, first = process_time(), 0, None
        for block in read_blocks(plan, path):
            assert isinstance(block, Block)  # noqa: S101
            first = first or block
            read += len(block.rows)
        told("reading", read, began)
        assert first is not None  # noqa: S101
        tagger = tagger_of(plan)
        began = process_time()
        tag_block(plan, tagger, first)
        told("tagging", len(first.rows), began)
        database = Database.open(f"sqlite:///{scratch}/stages.db")
        began = process_time()
        store_parts(database, plan.tagger, [plan.part(path, 0)], clock=lambda: datetime.now(UTC))
        told("storing", len(first.rows), began)
        began = process_time()
        Clusterer(database).cluster()
        told("finding copies", len(first.rows), began)
        database.close()


def backfill(path: Path, output: Path, workers: int, *more: str, url: str) -> None:
    """Run the command and print what it did and took."""
    words = [sys.executable, "-m", "storyshift", "backfill", str(path), "--output", str(output), "--format", "json"]
    began = perf_counter()
    with subprocess.Popen(
        [*words, "--workers", str(workers), *more],
        env=os.environ | {"STORYSHIFT_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as process:
        held = Held(process.pid)
        while process.poll() is None:
            held.look()
            sleep(0.1)
        assert process.stdout is not None  # noqa: S101
        report = json.loads(process.stdout.read())
    wall = perf_counter() - began
    (file,) = report["files"]
    new = file["tagged"] - file["before"]
    print(f"{' '.join(more)}: {new / report['seconds']:,.0f} articles/s by {workers} workers with {report['tagger']}")
    print(
        f"  {new} tagged in {report['seconds']:.0f} s, {wall:.0f} s from start to end; peak {held.peak / 1e6:,.0f} MB"
    )
    print(f"  {held.seconds:.0f} s of CPU: {new / held.seconds:,.0f} articles a second of a core", flush=True)
    if file["stored"]:
        stored = file["stored"]
        print(f"  into the store: {stored['articles'] / stored['seconds']:,.0f} articles/s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("articles", type=int, nargs="?", default=20_000)
    parser.add_argument("workers", type=int, nargs="?", default=os.cpu_count() or 1)
    parser.add_argument("--only", choices=["local", "ray"])
    parser.add_argument("--store", action="store_true")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"made-up-{asked.articles}.jsonl"
        if not path.exists():
            archive(path, asked.articles)
        if not asked.only:
            stages(path)
        engines = [asked.only] if asked.only else ["local", "ray"]
        for engine in engines:
            store = ["--into-store"] if asked.store and engine == "local" else ["--parquet-only"]
            url = f"sqlite:///{folder}/made-up-{asked.articles}.db"
            backfill(path, folder / engine, asked.workers, "--engine", engine, *store, url=url)
        made = [sorted((folder / engine / f"{path.name}.tags").glob("part-*.parquet")) for engine in engines]
        size = sum(part.stat().st_size for part in made[0])
        print(f"archive {path.stat().st_size / asked.articles:.0f} bytes an article, parts {size / asked.articles:.0f}")
        if asked.store and "local" in engines:
            held = sum(file.stat().st_size for file in folder.glob(f"made-up-{asked.articles}.db*"))
            print(f"store {held / asked.articles:,.0f} bytes an article")
        if len(made) == 2:
            same = [part.read_bytes() for part in made[0]] == [part.read_bytes() for part in made[1]]
            print("the parts of both engines are equal" if same else "THE PARTS OF THE ENGINES DIFFER")
            if not same:
                sys.exit(1)


if __name__ == "__main__":
    main()
