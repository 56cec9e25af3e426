"""How long a page of found articles takes on a large store: asked again and again, p50 and p95.

python benchmarks/article_search.py [ARTICLES] [DATABASE_URL]

The store is that of series_speed.py, but each story has words: a title of 9, a summary of 25 and a body of 120, drawn
from 20,000 made-up ones as often as words are in English (the nth word 1/n times), with "gold" in a third of the
stories, "silver" in 3 % and "palladium" in one of 5,000. It is kept where a database is named.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from series_speed import LAST, YEAR, fill
from sqlalchemy import func, select

from models.articles import Article
from models.database import Database
from models.store.sql import table_of
from services.articles import ArticleQuestion, search_articles

ROUNDS, VOCABULARY = 40, 20_000
SYLLABLES = "ba ke li mo nu pa ri so ta ve do fi ga he jo ku la me ni po".split()
OFTEN = np.cumsum(1 / np.arange(1, VOCABULARY + 1))
PLANTED = {"gold": 3, "silver": 33, "palladium": 5_000}
"""Each in every so many-th story."""
ASKED = {
    "no question": {},
    "common word": {"q": "gold"},
    "less common word": {"q": "silver"},
    "rare word": {"q": "palladium"},
    "no such word": {"q": "unobtainium"},
    "phrase of common words": {"q": f'"{SYLLABLES[0] * 3} gold"'},
    "two words, without a third": {"q": "gold silver -palladium"},
    "common, folded": {"q": "gold", "fold": True},
    "rare, folded": {"q": "palladium", "fold": True},
    "folded": {"fold": True},
    "common, narrative and direction, folded": {
        "q": "gold",
        "narratives": ("safe_haven",),
        "direction": "building",
        "fold": True,
    },
    "rare narrative": {"narratives": ("btc_risk_asset",)},
    "common, asset, two outlets, a year": {
        "q": "gold",
        "asset": "BTC",
        "outlets": ("Outlet 1", "Outlet 50"),
        "start": YEAR.start,
    },
}


def main(articles: int, url: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(url or f"sqlite:///{Path(folder) / 'large.db'}")
        with database.read() as session:
            held = session.scalar(select(func.count()).select_from(table_of(Article)))
        if not held:
            fill(database, articles, wording)
        for name, asked in ASKED.items():
            measure(database, name, ArticleQuestion(**asked))


def wording(story: int) -> dict[str, str]:
    rng = np.random.default_rng(story)
    words = [made_up(int(n)) for n in np.searchsorted(OFTEN, rng.random(154) * OFTEN[-1])]
    for word, every in PLANTED.items():
        if story % every == 0:
            words.insert(int(rng.integers(40)), word)
    return {"title": " ".join(words[:9]), "summary": " ".join(words[9:34]), "body": " ".join(words[34:])}


def made_up(n: int) -> str:
    """The nth word of the vocabulary."""
    return "".join(SYLLABLES[n // 20**place % 20] for place in range(3)) + ("x" if n >= 8_000 else "")


def measure(database: Database, name: str, question: ArticleQuestion) -> None:
    taken = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        with database.read() as session:
            found = search_articles(session, question, now=LAST)
        taken.append(1_000 * (time.perf_counter() - started))
    p50, p95 = np.percentile(taken, [50, 95])
    print(f"{name:42} {len(found.data):3} found  p50 {p50:7.1f} ms  p95 {p95:7.1f} ms", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, sys.argv[2] if len(sys.argv) > 2 else None)
