"""Precision and recall of clustering, on real articles with made copies and made look-alikes.

    python benchmarks/copies.py FULLTEXT.jsonl.gz [SHORT.jsonl.gz …]

FULLTEXT holds articles with a body (../shared/data/news/yahoo-finance-fulltext…), SHORT ones with a summary. Of each
article that is drawn, copies are made as outlets make them, hours later under other addresses; and a look-alike: the
same template the day after, with other numbers. Everything is stored and clustered as usual; pairs are counted.
"""

import gzip
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from time import perf_counter

from sqlmodel import Session, select

from ingest.dates import parse_instant
from ingest.text import plain_text
from jobs.cluster import Clusterer
from models.articles import Article
from models.database import Database
from models.found import FoundArticle
from models.store.articles import add_articles

DRAWN = 300
HOUR = timedelta(hours=1)
LEAST_WORDS = 20
LOOK_ALIKE = "look-alike"


@dataclass(frozen=True)
class Text:
    title: str
    summary: str
    body: str


def copies(text: Text, rng: random.Random) -> Iterator[tuple[str, Text]]:
    """What outlets make of an agency's text, by the name of the edit."""
    body = text.body or text.summary
    sentences = re.split(r"(?<=[.!?])\s+", body)
    first = " ".join(sentences[:1])
    half = " ".join(sentences[: max(1, len(sentences) // 2)])
    dropped = rng.randrange(len(sentences))
    yield "verbatim", text
    yield "re-headlined", Text(" ".join(first.split()[:9]), text.summary, text.body)
    credited = f"NEW YORK, {rng.randint(1, 28)} May (Reuters) - {body} (Reporting by A. Writer; Editing by B. Editor)"
    yield "credited", Text("UPDATE 1-" + text.title, "", credited)
    yield "outlet behind the title", Text(text.title + " - The Daily Wire", text.summary, text.body)
    if len(body.split()) < 3 * LEAST_WORDS:
        return
    yield "cut to half", Text(text.title, "", half)
    yield "cut to half, re-headlined, credited", Text(" ".join(first.split()[:9]), "", f"LONDON (AP) - {half}")
    yield "cut to its beginning", Text(text.title, " ".join(body.split()[:45]), "")
    yield "a sentence dropped", Text(text.title, "", " ".join(sentences[:dropped] + sentences[dropped + 1 :]))
    words = body.split()
    for place in rng.sample(range(len(words)), len(words) // 40):
        words[place] = "reworded"
    yield "one word in forty changed", Text(text.title, "", " ".join(words))


def look_alike(text: Text, rng: random.Random) -> Text:
    """The same template on the next day: other numbers, the other direction."""
    turned = {"rose": "fell", "fell": "rose", "up": "down", "down": "up", "gains": "losses", "higher": "lower"}

    def other(found: re.Match[str]) -> str:
        return re.sub(r"\d", lambda _: str(rng.randint(1, 9)), found[0])

    def told(part: str) -> str:
        part = re.sub(r"\d[\d.,]*", other, part)
        return re.sub(r"\b(" + "|".join(turned) + r")\b", lambda found: turned[found[0]], part)

    return Text(told(text.title), told(text.summary), told(text.body))


def found(text: Text, at: datetime, outlet: str) -> FoundArticle:
    return FoundArticle(
        identity=f"{outlet} {at.isoformat()} {text.title}"[:200],
        outlet=outlet,
        title=text.title,
        summary=text.summary,
        body=text.body,
        url=None,
        language="en",
        origin="archive",
        event_at=at,
        known_at=at,
        knowledge="assumed",
    )


def read(path: Path) -> Iterator[tuple[Text, datetime, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for row in map(json.loads, file):
            at = parse_instant(row["published_at"])
            text = Text(row["title"], plain_text(row.get("summary") or ""), plain_text(row.get("body") or ""))
            yield text, at, row.get("outlet", "")


def main(paths: list[Path]) -> None:
    rng = random.Random(7)
    everything = [one for path in paths for one in read(path)]
    begins = Counter(" ".join(text.body.split()[:LEAST_WORDS]) for text, _, _ in everything)
    able = [
        (text, at, outlet)
        for text, at, outlet in everything
        if len((text.body or text.summary).split()) >= LEAST_WORDS
        and (not text.body or begins[" ".join(text.body.split()[:LEAST_WORDS])] == 1)  # others: a site's own words
    ]
    print(f"{len(everything):,} real articles, {len(able):,} with a text of their own")
    rows: list[tuple[FoundArticle, int, str]] = [(found(*one), -1, "real") for one in everything]
    for number, (text, at, outlet) in enumerate(rng.sample(able, min(DRAWN, len(able)))):
        original = found(text, at, outlet)
        rows = [row for row in rows if row[0].identity != original.identity]
        rows.append((original, number, "original"))
        for place, (edit, copy) in enumerate(copies(text, rng), 1):
            rows.append((found(copy, at + rng.randint(1, 20) * HOUR / 2, f"copy {place}"), number, edit))
        if len(re.findall(r"\d", text.body or text.summary)) >= 6:
            rows.append((found(look_alike(text, rng), at + 24 * HOUR, outlet), number, LOOK_ALIKE))
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(f"sqlite:///{folder}/copies.db")
        with database.write() as session:
            add_articles(session, [article for article, _, _ in rows], now=max(a.event_at for a, _, _ in rows))
        began = perf_counter()
        placed = Clusterer(database).cluster()
        seconds = perf_counter() - began
        with database.read() as session:
            report(session, rows)
        database.close()
    print(f"{placed:,} articles clustered in {seconds:.1f} s: {placed / seconds:,.0f}/s")


def report(session: Session, rows: list[tuple[FoundArticle, int, str]]) -> None:
    stories = dict(session.exec(select(Article.identity, Article.story_id)).all())
    original = {number: stories[article.identity] for article, number, edit in rows if edit == "original"}
    made = Counter(edit for _, _, edit in rows)
    joined = Counter(edit for a, number, edit in rows if number >= 0 and stories[a.identity] == original[number])
    for edit in made:
        if edit not in ("real", "original", LOOK_ALIKE):
            print(f"{edit:40} {joined[edit]:4} of {made[edit]:4} joined their original")
    print(f"{LOOK_ALIKE:40} {joined[LOOK_ALIKE]:4} of {made[LOOK_ALIKE]:4} joined it, and should not")
    members: dict[int | None, list[tuple[FoundArticle, int, str]]] = {}
    for row in rows:
        members.setdefault(stories[row[0].identity], []).append(row)
    pairs = [pair for story in members.values() for pair in combinations(story, 2)]
    right = sum(a[1] == b[1] >= 0 and LOOK_ALIKE not in (a[2], b[2]) for a, b in pairs)
    real = [(a[0], b[0]) for a, b in pairs if a[2] in ("real", "original") and b[2] in ("real", "original")]
    sizes = Counter(number for _, number, edit in rows if number >= 0 and edit != LOOK_ALIKE)
    wanted = sum(size * (size - 1) // 2 for size in sizes.values())
    wrong = len(pairs) - right - len(real)
    print(f"pairs of made copies: recall {right / wanted:.4f} (n = {wanted}), precision {right / (right + wrong):.4f}")
    print(f"{len(real)} pairs of real articles joined (of {made['real'] + made['original']:,} articles); to be read:")
    for one, other in sorted(real, key=lambda pair: pair[0].title)[:: max(1, len(real) // 12)]:
        print(f"   {one.title[:70]!r} ~ {other.title[:70]!r}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
