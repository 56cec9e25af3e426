"""The pages' first paint and bytes, and the API under load, over ten thousand articles that `storyshift serve` serves.

python benchmarks/api_load.py [--articles 10000] [--rate 50] [--seconds 60] [--postgres URL]

The articles are made up: two years of headlines, a tenth of them copies, tagged by keywords@1, beside daily closes; on
SQLite and, in a database of its own that is dropped at the end, on PostgreSQL. Rate limits are off. Each page is opened
five times in Chromium with nothing kept (median). Requests are sent at their times by a process of its own whether the
ones before are answered or not (open loop), and each is timed from the moment it was due, so that waiting counts.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import sqlalchemy as sa
from made_up import headlines

STORYSHIFT = str(Path(sys.executable).with_name("storyshift"))
DAYS, OUTLETS, ROUNDS = 730, 40, 5
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
OWN_DATABASE = "storyshift_load"
PAGES = ("/", "/story", "/lead-lag", "/articles", "/articles/1", "/review", "/quality", "/sources")
CORE = ("safe_haven", "debasement", "liquidity", "fiscal_stress")
MIX = {
    "health": 2,
    "articles, filtered": 5,
    "articles, searched": 3,
    "one article": 5,
    "intensity": 4,
    "shift": 4,
    "tone": 2,
    "joined": 3,
    "triggers": 1,
    "shift events": 1,
    "again, with its ETag": 10,
}
"""How many of forty requests. The range of a series is one of thirty; a filter, a word or an article one of many."""
WORDS = ("gold", "bitcoin", "rates", '"safe haven"', "debt -fed", "inflation OR yields", "dollar war")


# -- the record -------------------------------------------------------------------------------------------------------


def fill(folder: Path, articles: int, environment: dict[str, str]) -> None:
    rng = random.Random(7)
    titles = headlines(articles)
    with (folder / "news.jsonl").open("w") as file:
        for n, title in enumerate(titles):
            copied = n and n % 10 == 9
            at = NOW - timedelta(minutes=(articles - n + copied) * DAYS * 1_440 / articles)
            row = {"published_at": at.isoformat(), "title": titles[n - 1] if copied else title}
            row |= {
                "summary": f"{title}. {titles[rng.randrange(articles)]}.",
                "outlet": f"Outlet {rng.randrange(OUTLETS)}",
            }
            file.write(json.dumps(row | {"url": f"https://example.org/{n}"}) + "\n")
    files = []
    for asset, level in (("BTC", 60_000.0), ("XAU", 3_000.0), ("XAG", 40.0)):
        rows = ["date,close"]
        for day in range(DAYS):
            level *= 1 + 0.02 * rng.gauss(0, 1)
            rows.append(f"{NOW - timedelta(days=DAYS - day):%Y-%m-%d},{level:.4f}")
        files.append(folder / f"{asset}.csv")
        files[-1].write_text("\n".join(rows))
    for command in (["import", "news", str(folder / "news.jsonl")], ["import", "prices", *map(str, files)], ["tag"]):
        subprocess.run([STORYSHIFT, *command], env=environment, check=True, capture_output=True)


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [STORYSHIFT, "serve", "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                if httpx.get(f"{address}/v1/health/ready").is_success:
                    break
            except httpx.TransportError:
                time.sleep(0.1)
        else:
            sys.exit("The server does not answer.")
        yield address
    finally:
        server.terminate()
        server.wait()


@contextmanager
def own_database(url: str) -> Iterator[str]:
    """A database of our own beside the one that is named; dropped at the end."""
    whole = sa.make_url(url).set(drivername="postgresql+psycopg")
    engine = sa.create_engine(whole, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"drop database if exists {OWN_DATABASE} with (force)")
        connection.exec_driver_sql(f"create database {OWN_DATABASE}")
        try:
            yield whole.set(drivername="postgresql", database=OWN_DATABASE).render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f"drop database {OWN_DATABASE} with (force)")


# -- the pages --------------------------------------------------------------------------------------------------------


def paint(address: str) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    print("| page | first paint ms | our files kB | chart library kB | API kB |\n| --- | --- | --- | --- | --- |")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for path in PAGES:
            seen = [_opened(browser, address + path) for _ in range(ROUNDS)]
            sizes = [statistics.median(one[kind] for one in seen) / 1_000 for kind in ("own", "charts", "api")]
            first = statistics.median(one["paint"] for one in seen)
            print(f"| {path} | {first:.0f} | {sizes[0]:.0f} | {sizes[1]:.0f} | {sizes[2]:.0f} |", flush=True)
        browser.close()


def _opened(browser: Any, url: str) -> dict[str, float]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    # The stream of news never ends, and is none of what a page is drawn from.
    context.route(
        "**/v1/events", lambda route: route.fulfill(content_type="text/event-stream", body="retry: 99999999\n\n")
    )
    page = context.new_page()
    wire = context.new_cdp_session(page)
    wire.send("Network.enable")
    addresses: dict[str, str] = {}
    told: dict[str, float] = defaultdict(float)
    wire.on("Network.requestWillBeSent", lambda event: addresses.update({event["requestId"]: event["request"]["url"]}))

    def ended(event: dict[str, Any]) -> None:
        where = addresses.get(event["requestId"], "")
        kind = "api" if "/v1/" in where else "charts" if "/vendor/" in where else "own"
        told[kind] += event["encodedDataLength"]

    wire.on("Network.loadingFinished", ended)
    page.goto(url)
    page.wait_for_load_state("networkidle")
    entries = "performance.getEntriesByType('paint').find((one) => one.name === 'first-contentful-paint').startTime"
    told["paint"] = page.evaluate(entries)
    context.close()
    return told


# -- the load ---------------------------------------------------------------------------------------------------------


class Asker:
    """Sends requests of the mix; keeps how long each took, in seconds from when it was due, and what went wrong."""

    def __init__(self, client: httpx.AsyncClient, articles: int) -> None:
        self._client, self._articles = client, articles
        self._rng = random.Random(11)
        self._etags: dict[str, str] = {}
        self.took: dict[str, list[float]] = defaultdict(list)
        self.wrong: dict[str, int] = defaultdict(int)

    def _range(self) -> dict[str, Any]:
        end = NOW - timedelta(days=self._rng.randrange(30))
        return {"start": f"{end - timedelta(days=180):%Y-%m-%d}", "end": f"{end:%Y-%m-%d}", "bucket": "day"}

    def _address(self, kind: str) -> str:
        rng = self._rng
        of = {"narrative": rng.choice(CORE)}
        path, query = {
            "health": ("health/ready", {}),
            "articles, filtered": ("articles", of | {"outlet": f"Outlet {rng.randrange(OUTLETS)}", "limit": 50}),
            "articles, searched": ("articles", {"q": rng.choice(WORDS), "limit": 50}),
            "one article": (f"articles/{rng.randrange(1, self._articles)}", {}),
            "intensity": ("intensity", of | self._range()),
            "shift": ("shift", self._range()),
            "tone": ("tone", {"asset": "BTC"} | self._range()),
            "joined": ("joined", {"asset": rng.choice(("BTC", "XAU"))} | self._range()),
            "triggers": ("triggers", {}),
            "shift events": ("shift/events", {}),
        }[kind]
        return f"/v1/{path}?{urlencode(query)}"

    async def ask(self, kind: str, due: float) -> None:
        headers = {}
        if kind == "again, with its ETag" and self._etags:
            address = self._rng.choice(list(self._etags))
            headers = {"If-None-Match": self._etags[address]}
        else:
            address = self._address("intensity" if kind.startswith("again") else kind)
        try:
            answer = await self._client.get(address, headers=headers)
        except httpx.HTTPError as error:
            self.wrong[f"{kind}: {type(error).__name__}"] += 1
            return
        self.took[kind].append(asyncio.get_running_loop().time() - due)
        if answer.status_code not in (200, 304):
            self.wrong[f"{kind}: {answer.status_code}"] += 1
        elif etag := answer.headers.get("etag"):
            self._etags[address] = etag


async def send(address: str, rate: float, seconds: float, articles: int) -> dict[str, Any]:
    rng = random.Random(13)
    kinds = [kind for kind, times in MIX.items() for _ in range(times)]
    wide = httpx.Limits(max_connections=400, max_keepalive_connections=400)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=wide) as client, asyncio.TaskGroup() as group:
        asker = Asker(client, articles)
        loop = asyncio.get_running_loop()
        began = loop.time() + 0.5
        for n in range(int(rate * seconds)):
            due = began + n / rate
            await asyncio.sleep(max(0.0, due - loop.time()))
            group.create_task(asker.ask(rng.choice(kinds), due))
    return {"took": asker.took, "wrong": asker.wrong, "seconds": loop.time() - began}


def load(name: str, address: str, rate: float, seconds: float, articles: int) -> None:
    """From a process of its own, so that the one that opens pages does not slow it."""
    command = [sys.executable, __file__, "--ask", address, "--rate", str(rate), "--seconds", str(seconds)]
    done = subprocess.run([*command, "--articles", str(articles)], check=True, capture_output=True)
    told = json.loads(done.stdout)
    print(
        f"\n{name}: {rate:g} requests a second for {seconds:g} s; the last was answered after {told['seconds']:.1f} s"
    )
    print("| request | n | p50 ms | p95 ms | p99 ms |\n| --- | --- | --- | --- | --- |")
    everything = [one for times in told["took"].values() for one in times]
    for kind, times in [*sorted(told["took"].items()), ("all", everything)]:
        ordered = sorted(1_000 * one for one in times)
        at = [ordered[min(len(ordered) - 1, int(share * len(ordered)))] for share in (0.5, 0.95, 0.99)]
        print(f"| {kind} | {len(times)} | {at[0]:.0f} | {at[1]:.0f} | {at[2]:.0f} |")
    print("errors: " + (", ".join(f"{what} {n}" for what, n in told["wrong"].items()) or "none"), flush=True)


def measure(name: str, url: str, asked: argparse.Namespace, *, pages: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STORYSHIFT_")}
    environment |= {"STORYSHIFT_DATABASE_URL": url, "STORYSHIFT_TAGGER": "keywords", "STORYSHIFT_RATE_LIMIT": "off"}
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), asked.articles, environment)
    if url.startswith("postgresql"):  # as its own housekeeping does within minutes; before that it guesses wrongly
        engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql("vacuum analyze")
        engine.dispose()
    with serving(environment) as address:
        if pages:
            paint(address)
        load(name, address, asked.rate, asked.seconds, asked.articles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--articles", type=int, default=10_000)
    parser.add_argument("--rate", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--postgres", help="a database on a server where another may be created: postgresql://host/name"
    )
    parser.add_argument("--ask", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.ask:
        print(json.dumps(asyncio.run(send(asked.ask, asked.rate, asked.seconds, asked.articles))))
        return
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", f"sqlite:///{folder}/load.db", asked, pages=True)
    if asked.postgres:
        with own_database(asked.postgres) as url:
            measure("PostgreSQL", url, asked, pages=False)


if __name__ == "__main__":
    main()
