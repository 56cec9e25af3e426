"""Stories as statistics need them, as they were known at an instant: sums of the rollups, by hour or day."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import pandas as pd
from sqlalchemy import and_, case, func, select
from sqlmodel import Session, SQLModel, col

from models.articles import Article, Revision
from models.feeds import Fetch
from models.rollups import BreadthRollup, StoryRollup, ToneRollup
from models.store.reviews import carried_labels
from models.store.rollups import EPOCH, KEYS, TONE_UNITS, VALUES, Cells, hour_number, lately
from models.store.sql import table_of, utc_hour
from models.tags import Tagging

Step = Literal["hour", "day"]
HOURS: dict[Step, int] = {"hour": 1, "day": 24}
TONES = VALUES[ToneRollup]
PLACES = {"event_hour": "hour", "brought_hour": "brought"}
"""Keys that are hours, and what they are called as instants."""
BROUGHT = ["hour", "narrative", "outlet", "brought", "n_stories"]


@dataclass(frozen=True, slots=True)
class StoryFrames:
    """Stories that were known and read by the tagger, each standing where its first known copy was published.

    A row where there are any; hour is aware UTC, and the start of the day where days are asked for.

    totals: columns hour, outlet, n_stories, n_articles, n_squared (sum of squared copies, from which the effective n of
        article weighting follows).
    carried: labelled stories; columns hour, outlet, narrative, direction, modality, n_carrying, n_articles, n_split
        (that build both poles of the shift).
    outlet is that of the first known copy where outlets are asked apart, else empty.
    """

    totals: pd.DataFrame
    carried: pd.DataFrame


@dataclass(frozen=True, slots=True)
class OutletFrames:
    """Stories by outlet: an outlet has a story once, where its own first known copy was published, as that copy reads.

    totals: columns hour (aware UTC), outlet, n_stories, n_squared (that of a text which n outlets bring one after the
        other sums to n squared). carried: columns hour, outlet, narrative, n_carrying. A row where there are any.
    """

    totals: pd.DataFrame
    carried: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Seen:
    """Whose stories are counted, and as they were known when."""

    as_of: datetime
    tagger: str
    start: datetime | None
    """None: from the first on. Instants are whole hours; the range is half-open."""
    end: datetime
    outlet: str | None = None
    """Only this outlet's copies."""
    asset: str | None = None
    """Only stories that name it."""
    step: Step = "hour"
    direction: int | None = None
    """Of labels, only those that say this; so for the modality. All stories are counted all the same."""
    modality: str | None = None


def story_frames(session: Session, seen: Seen, narratives: list[str], *, outlets_apart: bool = False) -> StoryFrames:
    """Outlets apart: not with an asset."""
    scope = "own" if seen.outlet is not None else "lead" if outlets_apart else "all"
    by = ["event_hour", "outlet"]
    totals, carried = _totals_and_labels(
        session, seen, narratives, scope, by, [*by, "narrative", "direction", "modality"]
    )
    return StoryFrames(
        totals[["hour", "outlet", "n_stories", "n_articles", "n_squared"]],
        carried[["hour", "outlet", "narrative", "direction", "modality", "n_carrying", "n_articles", "n_split"]],
    )


def outlet_frames(session: Session, seen: Seen, narratives: list[str]) -> OutletFrames:
    by = ["event_hour", "outlet"]
    totals, carried = _totals_and_labels(session, seen, narratives, "own", by, [*by, "narrative"])
    totals["n_squared"] = totals["n_stories" if seen.outlet else "n_nth"]
    return OutletFrames(
        totals[["hour", "outlet", "n_stories", "n_squared"]], carried[["hour", "outlet", "narrative", "n_carrying"]]
    )


def _totals_and_labels(
    session: Session, seen: Seen, narratives: list[str], scope: str, totals_by: list[str], labels_by: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    recent = _recent(session, seen)
    where = _where(seen, scope=[scope])
    totals = _sums(session, StoryRollup, seen, where | {"narrative": [""]}, recent, by=totals_by)
    labels = _sums(session, StoryRollup, seen, where | _said(seen, narratives), recent, by=labels_by)
    return totals, labels.rename(columns={"n_stories": "n_carrying"})


def breadth_frame(session: Session, seen: Seen, narratives: list[str]) -> pd.DataFrame:
    """Which outlets brought the stories that carry a narrative, all copies included, and by when.

    Columns hour (of the story), narrative, outlet, brought (hour of the outlet's first copy), n_stories.
    """
    if seen.outlet is not None:
        own = story_frames(session, seen, narratives).carried
        return own.assign(brought=own["hour"], n_stories=own["n_carrying"])[BROUGHT]
    where = _where(seen) | _said(seen, narratives)
    by = ["event_hour", "narrative", "outlet", "brought_hour"]
    return _sums(session, BreadthRollup, seen, where, _recent(session, seen), by=by)[BROUGHT]


def asset_tones(session: Session, seen: Seen, asset: str) -> pd.DataFrame:
    """Tones of the stories that are about the asset, where one was told, summed by hour.

    Columns hour, n_stories, n_articles, n_squared, and the sums of tone and tone_squared, also by_article.
    """
    where = _where(seen, scope=["all" if seen.outlet is None else "own"]) | {"asset": [asset]}
    found = _sums(session, ToneRollup, seen, where, _recent(session, seen), by=["event_hour"])
    for name in TONES:
        if name.startswith("tone"):
            found[name] = found[name] / TONE_UNITS ** (2 if "squared" in name else 1)
    return found[["hour", *TONES]]


def _where(seen: Seen, **more: list[Any]) -> dict[str, list[Any]]:
    """Which values each column of a key may have."""
    found = {"asset": [seen.asset or ""]} | more
    return found if seen.outlet is None else found | {"outlet": [seen.outlet]}


def _said(seen: Seen, narratives: list[str]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {"narrative": narratives}
    if seen.direction is not None:
        found["direction"] = [seen.direction]
    return found if seen.modality is None else found | {"modality": [seen.modality]}


def _this_hour(seen: Seen) -> datetime:
    return seen.as_of.replace(minute=0, second=0, microsecond=0)


def _recent(session: Session, seen: Seen) -> Cells:
    """Of the hour that as_of lies in, to the instant."""
    return lately(session, seen.tagger, since=_this_hour(seen), until=seen.as_of)


def _sums(
    session: Session,
    rollup: type[SQLModel],
    seen: Seen,
    where: dict[str, list[Any]],
    recent: Cells,
    *,
    by: list[str],
) -> pd.DataFrame:
    """What the cells sum to, by some columns of their key, as it was known; hours as instants (see PLACES)."""
    table = table_of(rollup)
    values, width = list(VALUES[rollup]), HOURS[seen.step]
    hours = (0 if seen.start is None else hour_number(seen.start)), hour_number(seen.end - timedelta(microseconds=1))
    grouped = [table.c[key] // width if key in PLACES else table.c[key] for key in by]
    query = (
        select(*grouped, *(func.sum(table.c[name]) for name in values))
        .where(table.c.tagger == seen.tagger, *(table.c[name].in_(allowed) for name, allowed in where.items()))
        .where(table.c.event_hour.between(*hours), table.c.known_hour < hour_number(_this_hour(seen)))
        .group_by(*grouped)
    )
    rows = [tuple(row) for row in session.execute(query).all()]
    added = []
    for (kind, key), counts in recent.items():
        cell = dict(zip(KEYS[kind], key, strict=True))
        wanted = kind is rollup and all(cell[name] in allowed for name, allowed in where.items())
        if wanted and hours[0] <= cell["event_hour"] <= hours[1]:
            added.append((*(cell[k] // width if k in PLACES else cell[k] for k in by), *counts))
    frame = pd.DataFrame(rows + added, columns=[*by, *values]).astype(dict.fromkeys(values, "int64"))
    if added:
        frame = frame.groupby(by)[values].sum().reset_index()
    frame = frame[frame["n_stories"] != 0].reset_index(drop=True)
    for place in [key for key in by if key in PLACES]:
        frame[PLACES[place]] = _instants(frame.pop(place) * width)
    return frame


def _instants(hours: "pd.Series[int]") -> "pd.Series[pd.Timestamp]":
    """Hours since 1900 as aware instants."""
    since = pd.to_timedelta(hours.astype("int64"), unit="h")
    return (pd.Timestamp(EPOCH) + since).astype("datetime64[us, UTC]")


def loudest(
    session: Session,
    narrative: str,
    *,
    start: datetime,
    end: datetime,
    as_of: datetime,
    tagger: str,
    outlet: str | None,
    limit: int,
) -> list[tuple[int, str, str, datetime]]:
    """Stories that build a narrative, published in [start, end), those with most copies first.

    (story id, title, outlet, published) of the copy that was known first, as all was known at `as_of`.
    """
    labels = carried_labels(tagger, [narrative], as_of=as_of).subquery()
    query = (
        select(col(Article.id), col(Article.story_id), col(Article.known_at), col(Revision.title))
        .add_columns(col(Article.outlet), col(Article.event_at), case((labels.c.direction > 0, 1), else_=0))
        .join(Revision, col(Revision.article_id) == Article.id)
        .join(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .outerjoin(labels, labels.c.revision_id == Revision.id)
        .where(col(Article.event_at) >= start, col(Article.event_at) < end, col(Article.known_at) <= as_of)
        .where(col(Article.story_id).is_not(None), col(Revision.seen_at) <= as_of)
        .order_by(col(Revision.id))
    )
    if outlet is not None:
        query = query.where(col(Article.outlet) == outlet)
    current = {article: rest for article, *rest in session.execute(query)}  # of each article the newest wording
    copies: dict[int, list[tuple[Any, ...]]] = {}
    for article, (story, known_at, *told, builds) in current.items():
        if builds:
            copies.setdefault(story, []).append((known_at, article, *told))
    order = sorted(copies, key=lambda story: (-len(copies[story]), story))[:limit]
    return [(story, *min(copies[story], key=lambda one: one[:2])[2:]) for story in order]


def event_range(session: Session, *, as_of: datetime) -> tuple[datetime | None, datetime | None]:
    """When the earliest and the latest article that were known at `as_of` were published."""
    known = select(col(Article.event_at)).where(col(Article.known_at) <= as_of).limit(1)  # along the index
    first = session.scalar(known.order_by(col(Article.event_at), col(Article.id)))
    return first, session.scalar(known.order_by(col(Article.event_at).desc(), col(Article.id).desc()))


def count_read(session: Session, *, start: datetime, end: datetime, as_of: datetime, tagger: str) -> int:
    """Articles published in [start, end), known at `as_of`, of which the tagger has read a wording that was."""
    query = (
        select(func.count(col(Article.id).distinct()))
        .join(Revision, col(Revision.article_id) == Article.id)
        .join(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .where(col(Article.event_at) >= start, col(Article.event_at) < end)
        .where(col(Article.known_at) <= as_of, col(Revision.seen_at) <= as_of)
    )
    return session.scalar(query) or 0


def fetch_counts(session: Session, *, start: datetime, end: datetime) -> pd.DataFrame:
    """Attempts to fetch a feed by UTC hour: columns hour, attempts, answered."""
    hour = utc_hour(col(Fetch.at))
    answered = func.sum(case((col(Fetch.outcome) == "failed", 0), else_=1))
    query = select(hour, func.count(), answered).where(col(Fetch.at) >= start, col(Fetch.at) < end)
    rows = [tuple(row) for row in session.execute(query.group_by(hour).order_by(hour))]
    frame = pd.DataFrame(rows, columns=["hour", "attempts", "answered"])
    frame["hour"] = pd.to_datetime(frame["hour"], utc=True).astype("datetime64[us, UTC]")
    return frame.astype({"attempts": "int64", "answered": "int64"})
