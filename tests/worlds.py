"""Worlds: what becomes known and when, told to a database as the jobs would have told it.

    world = a_world(seed=1)                    # months of news, closes, macro points and visits; or a list by hand
    tell(database, world, until=noon)          # collected, clustered, read by both TAGGERS - all of it known by noon
    tell(database, world, after=noon)          # the rest of it

A wording carries its tags before a colon: "safe_haven+ liquidity-? XAU=-1: words" - the narratives with their force
(+ building, - fading, ~ neither; ? expected; ! not labelled), the assets bare or with a tone. keywords@1 reads the
title so, other@1 the summary.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from random import Random

from fakes import found_article
from sqlalchemy import delete, func, update
from sqlmodel import Session, SQLModel, select

from config.definitions import BASELINE_TAGGER, narratives
from jobs.cluster import Clusterer
from models.articles import Article, Revision
from models.database import Database
from models.feeds import Feed, Fetch
from models.found import FoundArticle
from models.prices import FoundBar, FoundPoint, Interval
from models.reviews import Judgement, Review, SaidNarrative
from models.store.articles import Batch, add_batches, remove_text
from models.store.feeds import add_fetches
from models.store.prices import add_bars, add_points
from models.store.reviews import add_reviews, said_columns, to_audit, undo
from models.store.sql import table_of
from models.store.tags import save_tags, untagged
from models.tags import AssetScore, NarrativeScore, Span, Tagged
from services.review import draw_round

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
OTHER_TAGGER = "other@1"
TAGGERS = (BASELINE_TAGGER, OTHER_TAGGER)
OUTLETS = ("Wire", "Herald", "Ledger", "Courier")
ASSETS = ("BTC", "XAU", "XAG")
SERIES = {"DFII10": 1, "DGS10": 1, "DTWEXBGS": 7}
"""Daily macro series and the days until they are published; FEDFUNDS comes by the month."""
LABEL = re.compile(r"(?P<key>[a-z_]+)(?P<force>[+~-])(?P<expected>\??)(?P<weak>!?)")
FORCE = {"+": 1, "-": -1, "~": 0}
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Brought:
    """An article as a feed (by its outlet) or an archive brought it. Brought again in another wording it is revised,
    by another feed it is seen elsewhere."""

    found: FoundArticle
    feed: str | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """The texts of an article are taken down."""

    identity: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A close; a second one of the same instant is a correction."""

    bar: FoundBar
    interval: Interval = "day"


@dataclass(frozen=True, slots=True)
class Visited:
    """An attempt to fetch a feed, by its outlet."""

    feed: str
    outcome: str = "ok"
    entries_new: int = 1


@dataclass(frozen=True, slots=True)
class Read:
    """A further tagger reads all that is known; it reads as keywords@1 does the title."""

    tagger: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Somebody reads the newest wording of an article and says what a wording says before its colon: all of it."""

    identity: str
    said: str
    reviewer: str = "ann"
    blind: bool = False


@dataclass(frozen=True, slots=True)
class ReadInTurn:
    """Somebody reads what was drawn first of what nobody has read, and says what a wording says before its colon."""

    said: str
    reviewer: str = "ann"


@dataclass(frozen=True, slots=True)
class Undone:
    """The newest review of a reviewer is taken back."""

    reviewer: str = "ann"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Stories are drawn for audit, of what keywords@1 reads."""

    size: int = 40


Apart = Removed | Read | Reviewed | ReadInTurn | Undone | Drawn


@dataclass(frozen=True, slots=True)
class Known:
    """One thing and the instant from which it is known."""

    at: datetime
    what: Brought | Closed | FoundPoint | Visited | Apart


World = Sequence[Known]


# -- telling a database -----------------------------------------------------------------------------------------------


def tell(database: Database, world: World, *, after: datetime | None = None, until: datetime | None = None) -> None:
    """Bring into the record what became known after `after` and by `until`, in that order."""
    chosen = [one for one in world if (after is None or one.at > after) and (until is None or one.at <= until)]
    chosen.sort(key=lambda one: one.at)
    with database.write() as session:
        there = {feed.outlet: feed.id or 0 for feed in session.scalars(select(Feed))}
        if not there:
            feeds = [
                Feed(url=f"https://{outlet}.example/", outlet=outlet, added_at=FIRST, next_fetch_at=FIRST)
                for outlet in OUTLETS
            ]
            session.add_all(feeds)
            session.flush()
            there = {feed.outlet: feed.id or 0 for feed in feeds}
    clusterer = Clusterer(database)
    for apart, group in groupby(chosen, key=lambda one: isinstance(one.what, Apart)):
        part = list(group)
        if apart:
            for one in part:
                _tell_apart(database, one)
        else:
            _tell_together(database, part, there, clusterer)
    if not database.is_sqlite:  # so much at once that its planner would guess wrongly
        with database.engine.begin() as connection:
            connection.exec_driver_sql("analyze")


def _tell_apart(database: Database, one: Known) -> None:
    if isinstance(one.what, Read):
        _read(database, one.what.tagger, one.at)
    elif isinstance(one.what, Removed):
        with database.write() as session:
            found = session.scalars(select(Article.id).where(Article.identity == one.what.identity)).one_or_none()
            if found is not None:
                remove_text(session, found, now=one.at)

    elif isinstance(one.what, Drawn):
        with database.write() as session:
            draw_round(session, BASELINE_TAGGER, now=one.at, size=one.what.size)
    elif isinstance(one.what, Reviewed):
        with database.write() as session:
            query = select(func.max(Revision.id)).join(Article, Article.id == Revision.article_id)  # type: ignore[arg-type]
            revision = session.scalars(query.where(Article.identity == one.what.identity)).one_or_none()
            if revision is not None:
                slice = "second" if one.what.blind else "chosen"
                _review(session, revision, one.what.said, one.what.reviewer, slice, one.at)
    elif isinstance(one.what, ReadInTurn):
        with database.write() as session:
            for revision in to_audit(session, BASELINE_TAGGER, one.what.reviewer, limit=1):
                _review(session, revision, one.what.said, one.what.reviewer, "audit", one.at)
    elif isinstance(one.what, Undone):
        with database.write() as session:
            _undo(session, one.what.reviewer, one.at)


def _review(session: Session, revision: int, said: str, reviewer: str, slice: str, at: datetime) -> None:
    tagged = tags(said)
    held = {one.narrative: SaidNarrative(one.direction, one.modality) for one in tagged.narratives if one.label}
    assets = {one.asset: round(one.tone or 0) for one in tagged.assets}
    review = Review(
        uid=f"{reviewer} {revision} {at.isoformat()}",
        revision_id=revision,
        reviewer=reviewer,
        given_at=at,
        known_at=at,
        slice=slice,
        blind=slice == "second",
        tagger=BASELINE_TAGGER,
        **said_columns(Judgement(dict.fromkeys(narratives()) | held, assets)),
    )
    add_reviews(session, [review])


def _undo(session: Session, reviewer: str, at: datetime) -> None:
    standing = select(Review).where(Review.reviewer == reviewer, Review.undone_at.is_(None))  # type: ignore[union-attr]
    newest = session.scalars(standing.order_by(Review.id.desc())).first()  # type: ignore[union-attr]
    if newest is not None:
        undo(session, newest, now=at)


def _tell_together(database: Database, part: list[Known], feeds: dict[str, int], clusterer: Clusterer) -> None:
    with database.write() as session:
        batches = [
            Batch([replace(one.what.found, known_at=one.at)], one.at, feeds.get(one.what.feed or ""))
            for one in part
            if isinstance(one.what, Brought)
        ]
        add_batches(session, batches)
        visits = [
            Fetch(feed_id=feeds[one.what.feed], at=one.at, outcome=one.what.outcome, entries_new=one.what.entries_new)
            for one in part
            if isinstance(one.what, Visited)
        ]
        if visits:
            add_fetches(session, [visit.model_dump(exclude={"id"}) for visit in visits])
        at_once: dict[tuple[str, Interval], list[FoundBar]] = {}
        by_series: dict[str, list[FoundPoint]] = {}
        for one in part:
            match one.what:
                case Closed(bar, interval) if one.at == bar.closed_at:
                    at_once.setdefault((bar.asset, interval), []).append(bar)
                case FoundPoint() as point if one.at == point.known_at:
                    by_series.setdefault(point.series, []).append(point)
        for (asset, interval), bars in at_once.items():
            add_bars(session, asset, bars, source="record", now=LONG_AGO, interval=interval)
        for series, points in by_series.items():
            add_points(session, series, points, source="record", now=LONG_AGO)
        seen = {"source": "record", "watched_since": LONG_AGO}
        for one in part:
            match one.what:
                case Closed(bar, interval) if one.at != bar.closed_at:
                    add_bars(session, bar.asset, [bar], now=one.at, interval=interval, **seen)  # type: ignore[arg-type]
                case FoundPoint() as point if one.at != point.known_at:
                    add_points(session, point.series, [point], now=one.at, **seen)  # type: ignore[arg-type]
    if batches:
        clusterer.cluster()
        for tagger in TAGGERS:
            _read(database, tagger, part[-1].at)


def _read(database: Database, tagger: str, now: datetime) -> None:
    field = "summary" if tagger == OTHER_TAGGER else "title"
    with database.write() as session:
        rows = untagged(session, tagger, after=0, limit=1_000_000)
        save_tags(session, tagger, [(row.id or 0, tags(getattr(row, field), field)) for row in rows], now=now)


def tags(text: str, field: str = "title") -> Tagged:
    """What a wording says of itself before its colon."""
    narratives, assets = [], []
    for word in text.partition(":")[0].split() if ":" in text else []:
        label = LABEL.fullmatch(word)
        if label is None:
            key, _, tone = word.partition("=")
            assets.append(AssetScore(key, float(tone) if tone else None, 1.0, (_span(text, key, field),)))
            continue
        key = label["key"]
        modality = ("expected" if label["expected"] else "actual") if key == "liquidity" else None
        score, evidence = (0.2 if label["weak"] else 0.9), (_span(text, key, field),)
        narratives.append(NarrativeScore(key, score, not label["weak"], FORCE[label["force"]], modality, evidence))
    return Tagged("", tuple(narratives), tuple(assets))


def _span(text: str, word: str, field: str) -> Span:
    start = text.index(word)
    return Span(field, start, start + len(word), word)


def forget(database: Database) -> None:
    """Empty every table."""
    with database.write() as session:
        session.execute(update(table_of(Article)).values(story_id=None))
        for table in reversed(SQLModel.metadata.sorted_tables):
            session.execute(delete(table))


# -- a world of months ------------------------------------------------------------------------------------------------

NARRATIVES = (
    "safe_haven+ safe_haven+ safe_haven- safe_haven~! debasement+ debasement~ liquidity+ liquidity+? liquidity- "
    "fiscal_stress+ fiscal_stress- geopolitical_risk+ btc_monetary_hedge+ btc_risk_asset+"
).split()
SUBJECTS = ("BTC=1 BTC=-1 BTC XAU=1 XAU=-1 XAU=0.5 XAG=1 XAG").split()
WORDS = [f"{one}{two}" for one in "ba ke li mo nu pa ri so ta ve".split() for two in "dor fin gal hem jot".split()]


def label(random: Random, haven: float = 0.0) -> str:
    """The part of a wording before its colon; `haven` is how likely it tells of safe havens."""
    told: dict[str, str] = {}
    names = ["safe_haven+"] if random.random() < haven else []
    names += [random.choice(NARRATIVES) for _ in range(random.choice([0, 0, 0, 1, 1, 2]))]
    for name in [*names, *(random.choice(SUBJECTS) for _ in range(random.choice([0, 0, 1, 1, 2])))]:
        told.setdefault(re.split(r"[+~=-]", name)[0], name)
    return " ".join(told.values())


def wording(random: Random, haven: float = 0.0, *, long: bool = False) -> dict[str, str]:
    """Title, summary and body of an article nobody else has written."""
    words = [random.choice(WORDS) for _ in range(6)]
    body = " ".join(random.choice(WORDS) for _ in range(24)) if long else ""
    return {
        "title": f"{label(random, haven)}: {' '.join(words)}",
        "summary": f"{label(random, haven / 2)}: {words[0]}",
        "body": body,
    }


def a_world(
    seed: int, *, days: int = 150, a_day: int = 4, panic_from: int = 115, prices_before: int = 500
) -> list[Known]:
    """News of `days` from FIRST on, about `a_day` stories a day, of which more tell of safe havens from `panic_from`.

    With them come copies, edited, late and removed articles, articles in other languages, visits to feeds; closes (also
    corrected and late ones, by the hour too) and macro points, both from `prices_before` days earlier on.
    """
    random = Random(seed)
    news = list(_news(random, days, a_day, panic_from))
    others = [*_closes(random, days, prices_before), *_points(random, days, prices_before)]
    return [*news, *others, *_reviews(random, news, days)]


def _reviews(random: Random, news: list[Known], days: int) -> Iterable[Known]:
    """Four evenings on which stories are drawn for audit, thirty are read in their turn, and six others by two."""
    for part in (0.5, 0.65, 0.8, 0.95):
        evening = FIRST + part * days * DAY
        yield Known(evening, Drawn())
        known = [one.what.found.identity for one in news if isinstance(one.what, Brought) and one.at <= evening]
        for n, identity in enumerate(random.sample(known, min(30, len(known)))):
            at = evening + n * MINUTE
            yield Known(at, ReadInTurn(f"{label(random)}:"))
            if n % 5 == 0:
                yield Known(at + timedelta(seconds=10), Reviewed(identity, f"{label(random)}:"))
                yield Known(at + timedelta(seconds=20), Reviewed(identity, f"{label(random)}:", "bob", blind=True))
            if n % 10 == 0:
                yield Known(at + timedelta(seconds=40), Undone())


def _news(random: Random, days: int, a_day: int, panic_from: int) -> Iterable[Known]:
    for day in range(days):
        for n in range(random.randint(a_day - 1, a_day + 1)):
            at = FIRST + day * DAY + timedelta(seconds=random.randrange(86_400))
            words = wording(random, 0.7 if day >= panic_from else 0.15, long=random.random() < 0.2)
            language = "de" if random.random() < 0.05 else "en"
            found = found_article(at=at, identity=f"{day}/{n}", outlet=random.choice(OUTLETS), **words)
            found = replace(found, language=language)
            yield from article(random, found)
            for copy in range(random.choice([0, 0, 0, 0, 1, 2])):
                again = at + random.randrange(1, 660) * MINUTE
                its = found_article(at=again, identity=f"{day}/{n}/{copy}", outlet=random.choice(OUTLETS), **words)
                yield from article(random, its)
        for outlet in OUTLETS[:3]:
            visited = Visited(outlet, random.choice(["ok", "ok", "not_modified", "failed"]), random.randrange(4))
            yield Known(FIRST + day * DAY + timedelta(seconds=random.randrange(86_400)), visited)


def article(random: Random, found: FoundArticle) -> Iterable[Known]:
    """It, known soon or late, and what may become of it."""
    late = random.choice([random.randrange(90) * MINUTE] * 8 + [random.randrange(240) * HOUR, 40 * DAY])
    at = found.event_at + late
    feed = found.outlet if random.random() < 0.6 else None
    yield Known(at, Brought(found, feed))
    if random.random() < 0.12:
        edited = replace(found, title=f"{label(random)}: {found.title.rpartition(':')[2]} edited")
        yield Known(at + random.randrange(1, 400) * HOUR, Brought(edited, feed))
    if feed is not None and random.random() < 0.08:
        yield Known(at + random.randrange(1, 100) * HOUR, Brought(found, random.choice(OUTLETS)))
    if random.random() < 0.02:
        yield Known(at + random.randrange(1, 700) * HOUR, Removed(found.identity))


def _closes(random: Random, days: int, before: int) -> Iterable[Known]:
    for asset, size, drift in (("BTC", 0.03, 0.0), ("XAU", 0.01, 0.001), ("XAG", 0.02, 0.002)):
        close = 1_000.0
        for day in range(-before, days):
            close *= 1 + drift + size * random.uniform(-1, 1)
            at = FIRST + day * DAY
            if asset != "BTC" and at.weekday() in (6, 0):  # the closes of Saturday and Sunday
                continue
            bar = FoundBar(asset, at, round(close, 2))
            late = random.randrange(1, 96) * HOUR if random.random() < 0.03 else timedelta(0)
            yield Known(at + late, Closed(bar))
            if random.random() < 0.03:
                corrected = replace(bar, close=round(close * random.uniform(0.9, 1.1), 2))
                yield Known(at + late + random.randrange(1, 900) * HOUR, Closed(corrected))
            if asset == "BTC" and day >= 0:
                for hour in (7, 8, 20):
                    hourly = FoundBar(asset, at + hour * HOUR, round(close * random.uniform(0.99, 1.01), 2))
                    yield Known(hourly.closed_at, Closed(hourly, "hour"))


def _points(random: Random, days: int, before: int) -> Iterable[Known]:
    lines = [(series, lag, 2, 0.05) for series, lag in SERIES.items()] + [("FEDFUNDS", 3, 30, 0.2)]
    for series, lag, step, size in lines:
        value = 50.0
        for day in range(-before, days, step):
            value += size * random.uniform(-1, 1)
            at = FIRST + (day + lag) * DAY
            point = FoundPoint(series, (FIRST + day * DAY).date(), round(value, 2), at)
            late = random.randrange(1, 96) * HOUR if random.random() < 0.03 else timedelta(0)
            yield Known(at + late, point)
            if random.random() < 0.03:
                corrected = replace(point, value=round(value + random.uniform(-1, 1), 2))
                yield Known(at + late + random.randrange(1, 900) * HOUR, corrected)
