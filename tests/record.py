"""A small record with known content: 200 days of tagged stories from 2020-01-01, and bitcoin closing every day."""

from datetime import UTC, datetime, timedelta

from fakes import FakeTagger, found_article

from config.definitions import BASELINE_TAGGER
from jobs.cluster import Clusterer
from models.database import Database
from models.prices import FoundBar
from models.store.articles import add_articles
from models.store.prices import add_bars
from models.store.tags import save_tags, untagged
from models.tags import Text

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
DAYS = 200
PANIC_FROM = 160


def headlines(day: int) -> list[str]:
    """25 headlines a day: 1 or 2 for each core narrative, 8 haven stories a day once the panic begins."""
    havens = 8 if day >= PANIC_FROM else 1 + day % 2
    told = [f"safe_haven+ XAU: fear number {n}" for n in range(havens)]
    told += [f"liquidity+ : easing {n}" for n in range(1 + (day + 1) % 2)]
    told += ["debasement+ BTC: money loses"] * (day % 2) + ["fiscal_stress+ : deficit grows"] * (day % 2)
    return [f"{title} on day {day}" for title in told + [f"weather {n} is fine" for n in range(25 - len(told))]]


def fill(database: Database, now: datetime, *, days: int = DAYS) -> None:
    found = [
        found_article(title, FIRST + timedelta(days=day, minutes=20 * place), outlet="AB"[place % 2])
        for day in range(days)
        for place, title in enumerate(headlines(day))
    ]
    with database.write() as session:
        add_articles(session, found, now=now)
        bars = [FoundBar("BTC", FIRST + timedelta(days=day), 8_000.0 + 10 * day) for day in range(days)]
        add_bars(session, "BTC", bars, source="record", now=now)
    tag(database, now)


def tag(database: Database, now: datetime) -> None:
    """Cluster, and tag what is untagged, as the baseline's name, by the fake that reads its labels from the title."""
    Clusterer(database).cluster()
    with database.write() as session:
        rows = untagged(session, BASELINE_TAGGER, after=0, limit=100_000)
        texts = [Text(str(row.id), {"title": row.title}) for row in rows]
        pairs = zip([row.id or 0 for row in rows], FakeTagger().tag(texts), strict=True)
        save_tags(session, BASELINE_TAGGER, list(pairs), now=now)
