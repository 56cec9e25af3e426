"""Kills the process at random moments, reruns the command to its end, and compares the store with an undisturbed run's.

    python benchmarks/kill_moments.py [sqlite | postgresql://…] [MOMENTS]

In turn `storyshift collect --once --all` (60 feeds on loopback) and `storyshift import news` (4,000 rows), by the real
command line, from an empty store each time. The same in the end: articles, their wordings, which are one story, and the
feeds in which each was seen. In PostgreSQL a schema of its own is used, and dropped.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import sqlalchemy as sa
from made_up import WORDS, headlines

from models.articles import Article, Revision, Sighting, Story
from models.database import Database
from models.errors import DatabaseUnavailable
from models.feeds import Feed

FEEDS, ROWS, AGENCY = 60, 4_000, 200
SCHEMA = "storyshift_kills"
ANSWERS_AFTER = 0.03
"""Seconds that the server takes, so that visits do not all end together."""
NO_STORE = sa.exc.DatabaseError, DatabaseUnavailable
STORYSHIFT = str(Path(sys.executable).with_name("storyshift"))
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
TITLES = headlines(ROWS)
TEXTS = [" ".join(random.Random(number).choices(WORDS, k=40)) for number in range(ROWS)]
first = sa.select(Article.identity, Feed.url).join(Feed, Feed.id == Article.feed_id)
again = sa.select(Article.identity, Feed.url).join_from(Article, Sighting).join(Feed, Feed.id == Sighting.feed_id)
HELD: dict[str, Any] = {
    "articles": sa.select(Article.identity, Article.outlet, Article.url, Article.event_at),
    "wordings": sa.select(Article.identity, Revision.content_hash).join_from(Article, Revision),
    "feeds": sa.union_all(first, again),
}


def feed(number: int) -> bytes:
    """25 entries of its own, 5 that its outlet's other feed has too, 10 of an agency's under the outlet's addresses."""
    outlet = number // 2
    own, both = range(number * 25, number * 25 + 25), range(2_000 + outlet * 5, 2_005 + outlet * 5)
    items = "".join(
        f"<item><title>{TITLES[n]}</title><link>https://outlet{outlet}.example/{n}</link><guid>{outlet}-{n}</guid>"
        f"<pubDate>{FIRST + timedelta(minutes=n % 1_500):%a, %d %b %Y %H:%M:%S} GMT</pubDate>"
        f"<description>{TEXTS[n]}</description></item>"
        for n in [*own, *both, *random.Random(outlet).sample(range(3_000, 3_000 + AGENCY), 10)]
    )
    return f'<rss version="2.0"><channel><title>Feed {number}</title>{items}</channel></rss>'.encode()


def archive() -> Iterator[dict[str, str]]:
    """Each eighth row is the one before it an hour later elsewhere, each fiftieth an edit of the one before it."""
    for n in range(ROWS):
        edit, copy = n % 50 == 49, n % 8 == 7
        of = n - 1 if edit or copy else n
        outlet = of if edit else n
        yield {
            "published_at": (FIRST + timedelta(minutes=7 * of, hours=copy)).isoformat(),
            "title": TITLES[of] + " update" * edit,
            "summary": TEXTS[of],
            "outlet": f"Outlet {outlet % 9}",
            "url": f"https://outlet{outlet % 9}.example/{of}",
        }


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        sleep(ANSWERS_AFTER)
        with suppress(ConnectionError):  # the client was killed
            self.send_response(200)
            self.end_headers()
            self.wfile.write(feed(int(self.path.lstrip("/"))))


@contextmanager
def empty_store(url: str, folder: Path) -> Iterator[str]:
    """The address of one that no command has opened yet."""
    if url == "sqlite":
        with tempfile.TemporaryDirectory(dir=folder) as own:
            yield f"sqlite:///{own}/storyshift.db"
        return
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"drop schema if exists {SCHEMA} cascade")
        connection.exec_driver_sql(f"create schema {SCHEMA}")
        own = sa.make_url(url).update_query_dict({"options": f"-csearch_path={SCHEMA}"})
        yield own.render_as_string(hide_password=False)
        connection.exec_driver_sql(f"drop schema {SCHEMA} cascade")
    engine.dispose()


def held(url: str, folder: Path) -> dict[str, Any]:
    """What must not depend on when a process was killed, or nothing. An SQLite file is copied, and left as it was."""
    with tempfile.TemporaryDirectory(dir=folder) as copy:
        if url.startswith("sqlite"):
            shutil.copytree(Path(url.removeprefix("sqlite:///")).parent, copy, dirs_exist_ok=True)
            url = f"sqlite:///{copy}/storyshift.db"
        with closing(Database(url)) as database, suppress(*NO_STORE), database.read() as session:
            found: dict[str, Any] = {what: Counter(map(tuple, session.execute(query))) for what, query in HELD.items()}
            stories = defaultdict(set)
            for identity, story in session.execute(sa.select(Article.identity, Article.story_id)):
                stories[story].add(identity)
            parts = {(story is None, frozenset(copies)) for story, copies in stories.items()}
            return found | {"stories": (parts, session.scalar(sa.select(sa.func.count()).select_from(Story)))}
    return {}


def run(command: list[str], url: str, folder: Path, *, seconds: float | None = None) -> None:
    """To its end, or until it is killed (SIGKILL) after so many seconds."""
    own = {"STORYSHIFT_DATABASE_URL": url, "STORYSHIFT_CONFIG_DIR": str(folder)}
    own = os.environ | own | {"STORYSHIFT_ALLOW_PRIVATE_ADDRESSES": "true"}
    with suppress(subprocess.TimeoutExpired):
        subprocess.run([STORYSHIFT, *command], env=own, timeout=seconds, check=True, stderr=subprocess.DEVNULL)


def killed(command: list[str], url: str, folder: Path, moments: int) -> None:
    rng, times, undisturbed = random.Random(7), [], []
    for _ in range(2):
        with empty_store(url, folder) as store:
            began = perf_counter()
            run(command, store, folder)
            times.append(perf_counter() - began)
            undisturbed.append(held(store, folder))
    whole, expected = min(times), undisturbed[0]
    if undisturbed[1] != expected:
        raise SystemExit("Two undisturbed runs differ: there is nothing to compare with.")
    span, middle, differ = [whole / 2, whole], 0, 0
    for _ in range(moments):
        moment = rng.uniform(*span)
        with empty_store(url, folder) as store:
            run(command, store, folder, seconds=moment)
            left = held(store, folder)
            run(command, store, folder)
            found = held(store, folder)
        if not left.get("articles"):  # it had hardly started: later, from now on
            span[0] = (span[0] + moment) / 2
        elif left == expected:
            span[1] = (span[1] + moment) / 2
        else:
            middle += 1
        if wrong := [what for what in expected if found.get(what) != expected[what]]:
            differ += 1
            print(f"killed after {moment:.2f} s of {whole:.2f}: other {', '.join(wrong)}", flush=True)
    print(
        f"{url.partition(':')[0]}, {command[0]} ({whole:.1f} s, {expected['articles'].total():,} articles): "
        f"{moments} moments, {middle} in the middle of the work, {differ} stores differ",
        flush=True,
    )


def main(url: str, moments: int) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    entry = '[[feeds]]\nurl = "http://127.0.0.1:{}/{}"\noutlet = "Outlet {}"\nkind = "markets"\n'
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "feeds.toml").write_text("".join(entry.format(server.server_port, n, n // 2) for n in range(FEEDS)))
        (folder / "news.jsonl").write_text("\n".join(map(json.dumps, archive())))
        killed(["collect", "--once", "--all"], url, folder, (moments + 1) // 2)
        killed(["import", "news", f"{folder}/news.jsonl"], url, folder, moments // 2)
    server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "sqlite", int(sys.argv[2]) if len(sys.argv) > 2 else 50)
