"""How long series take on a large store: asked for again and again, p50 and p95, as rows and as JSON.

python benchmarks/series_speed.py [ARTICLES] [DATABASE_URL]

The store is made up: articles of three years by sixty outlets, a tenth of them copies, tagged with the codebook's
narratives at usual rates; it is kept where a database is named. Beside them: the same intensities counted by one SQL
statement over the raw rows, as a careful analyst without rollups would (a story at its first copy, as known now).
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import func, insert, select, text
from sqlmodel import Session

from config.definitions import live_tagger_name, narratives
from models.articles import Article, Revision, Story
from models.database import Database
from models.store.rollups import rebuild
from models.store.sql import chunks, table_of
from models.tags import AssetMention, NarrativeTag, Tagging
from services.answers import write
from services.series import Question, intensity, joined, shift, tone

DAYS, OUTLETS, BATCH, ROUNDS = 1_096, 60, 20_000, 20
LAST = datetime(2026, 11, 1, tzinfo=UTC)
YEAR = Question(start=LAST - timedelta(days=365), end=LAST)
RATES = (0.012, 0.006, 0.04, 0.012, 0.02, 0.03, 0.004, 0.006, 0.006)
ASSETS = (("BTC", 0.15), ("XAU", 0.05), ("USD", 0.08))
RAW = """
with leads as (
    select a.story_id, a.event_at, r.id as revision_id,
           row_number() over (partition by a.story_id order by a.known_at, a.id) as place
    from articles a join revisions r on r.article_id = a.id
    join taggings t on t.revision_id = r.id and t.tagger = :tagger
    where a.event_at >= :start and a.known_at <= :now)
select t.narrative, {day}, count(*) from leads
left join narrative_tags t on t.revision_id = leads.revision_id and t.tagger = :tagger and t.label
where place = 1 group by 1, 2
"""


def _headline(n: int) -> dict[str, str]:
    return {"title": f"Headline {n}", "summary": "", "body": ""}


def main(articles: int, url: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(url or f"sqlite:///{Path(folder) / 'large.db'}")
        with database.read() as session:
            held = session.scalar(select(func.count()).select_from(table_of(Article)))
        if not held:
            fill(database, articles)
        measure(database)


def fill(database: Database, articles: int, wording: Callable[[int], dict[str, str]] = _headline) -> None:
    started = time.perf_counter()
    rng = np.random.default_rng(1)
    at = np.sort(rng.integers(0, DAYS * 86_400, articles))
    story = np.cumsum(rng.random(articles) >= 0.1)
    story[story == 0] = 1
    outlet = rng.choice(OUTLETS, articles, p=np.arange(1, OUTLETS + 1)[::-1] / (OUTLETS * (OUTLETS + 1) / 2))
    told = rng.random((articles, len(RATES))) < RATES
    named = rng.random((articles, len(ASSETS))) < [share for _, share in ASSETS]
    tagger, first = live_tagger_name(), LAST - timedelta(days=DAYS)
    for part in chunks(range(articles), BATCH):
        with database.write() as session:
            for model, rows in _rows(part, at, story, outlet, told, named, tagger, first, wording):
                if rows:
                    session.connection().execute(insert(table_of(model)), rows)
    print(f"{articles:,} articles stored in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    started = time.perf_counter()
    with database.write() as session:
        rebuild(session)
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("analyze"))
    print(f"counted in {time.perf_counter() - started:.0f} s", file=sys.stderr)


def _rows(
    part: Sequence[int],
    at: Any,
    story: Any,
    outlet: Any,
    told: Any,
    named: Any,
    tagger: str,
    first: datetime,
    wording: Callable[[int], dict[str, str]],
) -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    keys = list(narratives())
    when = {n: first + timedelta(seconds=int(at[n])) for n in part}
    leads = [n for n in part if n == 0 or story[n] != story[n - 1]]
    yield (
        Story,
        [{"id": int(story[n]), "lead_id": n + 1, "event_at": when[n], "known_at": when[n]} for n in leads],
    )
    article = {"url": None, "language": "en", "origin": "archive", "knowledge": "assumed"}
    yield (
        Article,
        [
            {"id": n + 1, "identity": f"i{n}", "story_id": int(story[n]), "outlet": f"Outlet {outlet[n]}"}
            | article
            | {"event_at": when[n], "known_at": when[n]}
            for n in part
        ],
    )
    yield (
        Revision,
        [
            {"id": n + 1, "article_id": n + 1, "seen_at": when[n], "content_hash": f"{n}"} | wording(int(story[n]))
            for n in part
        ],
    )
    yield Tagging, [{"revision_id": n + 1, "tagger": tagger, "tagged_at": LAST} for n in part]
    tag = {"tagger": tagger, "score": 0.9, "label": True, "evidence": []}
    yield (
        NarrativeTag,
        [
            {"revision_id": n + 1, "narrative": keys[k], "direction": int(n % 4 > 0), "modality": None} | tag
            for n in part
            for k in np.flatnonzero(told[n])
        ],
    )
    yield (
        AssetMention,
        [
            {"revision_id": n + 1, "tagger": tagger, "asset": ASSETS[k][0], "tone": float(n % 3 - 1), "salience": 1.0}
            | {"spans": []}
            for n in part
            for k in np.flatnonzero(named[n])
        ],
    )


def measure(database: Database) -> None:
    keys = list(narratives())
    asked: dict[str, Callable[[Session], Any]] = {
        f"intensity, a year by day, {len(keys)} narratives": lambda s: intensity(s, keys, YEAR, now=LAST),
        "the same, index": lambda s: intensity(s, keys, _with(measure="index"), now=LAST),
        "shift, a year by day": lambda s: shift(s, YEAR, now=LAST),
        "tone of BTC, a year by day": lambda s: tone(s, "BTC", YEAR, now=LAST),
        "joined with BTC, a year by day": lambda s: joined(s, "BTC", YEAR, now=LAST),
        "intensity as of half past some hour": lambda s: intensity(
            s, keys, _with(as_of=LAST - timedelta(days=30, minutes=30)), now=LAST
        ),
    }
    print("| question | p50 ms | p95 ms |\n| --- | --- | --- |")
    for name, question in asked.items():
        with database.read() as session:
            times = _times(lambda one=question, s=session: write(one(s), "json"))  # type: ignore[misc]
        print(f"| {name} | {np.median(times):.0f} | {np.quantile(times, 0.95):.0f} |", flush=True)
    day = "date(leads.event_at)" if not database.is_sqlite else "substr(leads.event_at, 1, 10)"
    start = str(YEAR.start)[:26] if database.is_sqlite else YEAR.start
    until = str(LAST)[:26] if database.is_sqlite else LAST
    with database.read() as session:
        values = {"tagger": live_tagger_name(), "start": start, "now": until}
        times = _times(lambda: session.execute(text(RAW.format(day=day)), values).all(), rounds=3)
    print(f"| the counts alone, over the raw rows | {np.median(times):.0f} | {np.quantile(times, 0.95):.0f} |")


def _with(**more: Any) -> Question:
    return Question(start=YEAR.start, end=YEAR.end, **more)


def _times(ask: Callable[[], Any], rounds: int = ROUNDS) -> list[float]:
    ask()
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        ask()
        found.append(1_000 * (time.perf_counter() - started))
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2] if len(sys.argv) > 2 else None)
