"""Stories as statistics need them, as they were known at an instant: sums of the rollups, by hour or day."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pandas as pd
from sqlalchemy import ColumnElement, and_, case, func, select
from sqlmodel import Session, SQLModel, col

from models.articles import Article, Revision
from models.feeds import Fetch
from models.rollups import BreadthRollup, StoryRollup, ToneRollup
from models.store.rollups import EPOCH, HOUR, KEYS, TONE_UNITS, VALUES, Cells, hour_number, lately
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


def story_frames(
    session: Session,
    seen: Seen,
    narratives: list[str],
    *,
    step: Step = "hour",
    outlets_apart: bool = False,
    direction: int | None = None,
    modality: str | None = None,
) -> StoryFrames:
    """With a direction or modality `carried` has only the labels that say it. Outlets apart: not with an asset."""
    scope = "own" if seen.outlet is not None else "lead" if outlets_apart else "all"
    found = _sums(session, StoryRollup, seen, narratives, step, scope=scope)
    return StoryFrames(
        totals=found[found["narrative"] == ""][["hour", "outlet", "n_stories", "n_articles", "n_squared"]],
        carried=_labelled(found, direction, modality).rename(columns={"n_stories": "n_carrying"})[
            ["hour", "outlet", "narrative", "direction", "modality", "n_carrying", "n_articles", "n_split"]
        ],
    )


def breadth_frame(
    session: Session,
    seen: Seen,
    narratives: list[str],
    *,
    step: Step = "hour",
    direction: int | None = None,
    modality: str | None = None,
) -> pd.DataFrame:
    """Which outlets brought the stories that carry a narrative, all copies included, and by when.

    Columns hour (of the story), narrative, outlet, brought (hour of the outlet's first copy), n_stories.
    """
    if seen.outlet is not None:
        own = story_frames(session, seen, narratives, step=step, direction=direction, modality=modality).carried
        return own.assign(brought=own["hour"], n_stories=own["n_carrying"])[BROUGHT]
    return _labelled(_sums(session, BreadthRollup, seen, narratives, step), direction, modality)[BROUGHT]


def outlet_frames(
    session: Session,
    seen: Seen,
    narratives: list[str],
    *,
    step: Step = "hour",
    direction: int | None = None,
    modality: str | None = None,
) -> OutletFrames:
    found = _sums(session, StoryRollup, seen, narratives, step, scope="own")
    totals = found[found["narrative"] == ""].assign(n_squared=lambda f: f["n_stories" if seen.outlet else "n_nth"])
    carried = _labelled(found, direction, modality).rename(columns={"n_stories": "n_carrying"})
    return OutletFrames(
        totals=totals[["hour", "outlet", "n_stories", "n_squared"]],
        carried=carried.groupby(["hour", "outlet", "narrative"])["n_carrying"].sum().reset_index(),
    )


def asset_tones(session: Session, seen: Seen, asset: str, *, step: Step = "hour") -> pd.DataFrame:
    """Tones of the stories that are about the asset, where one was told, summed by hour.

    Columns hour, n_stories, n_articles, n_squared, and the sums of tone and tone_squared, also by_article.
    """
    about = Seen(seen.as_of, seen.tagger, seen.start, seen.end, seen.outlet, asset)
    found = _sums(session, ToneRollup, about, [], step, scope="all" if seen.outlet is None else "own")
    for name in TONES:
        if name.startswith("tone"):
            found[name] = found[name] / TONE_UNITS ** (2 if "squared" in name else 1)
    return found[["hour", *TONES]]


def _labelled(found: pd.DataFrame, direction: int | None, modality: str | None) -> pd.DataFrame:
    labels = found[found["narrative"] != ""]
    if direction is not None:
        labels = labels[labels["direction"] == direction]
    return labels if modality is None else labels[labels["modality"] == modality]


def _sums(
    session: Session, rollup: type[SQLModel], seen: Seen, narratives: list[str], step: Step, scope: str | None = None
) -> pd.DataFrame:
    """What the cells sum to as it was known; columns hour, the rollup's key but for event_hour, and its values."""
    table = table_of(rollup)
    keys, values = KEYS[rollup], VALUES[rollup]
    wanted: dict[str, Any] = {"asset": [seen.asset or ""]}
    if "narrative" in keys:
        wanted["narrative"] = narratives if rollup is BreadthRollup else ["", *narratives]
    if scope is not None:
        wanted["scope"] = [scope]
    if "scope" in keys and (scope == "all" or seen.outlet is not None):
        wanted["outlet"] = [seen.outlet or ""]
    first = None if seen.start is None else hour_number(seen.start)
    last = hour_number(seen.end - HOUR / 3600)
    of_hour = seen.as_of.replace(minute=0, second=0, microsecond=0)
    conditions: list[ColumnElement[bool]] = [table.c[name].in_(allowed) for name, allowed in wanted.items()]
    conditions += [
        table.c.tagger == seen.tagger,
        table.c.known_hour < hour_number(of_hour),
        table.c.event_hour <= last,
    ]
    if first is not None:
        conditions.append(table.c.event_hour >= first)
    grouped = [table.c[key] // HOURS[step] if key in PLACES and step != "hour" else table.c[key] for key in keys]
    query = select(*grouped, *(func.sum(table.c[name]) for name in values)).where(*conditions).group_by(*grouped)
    rows = [tuple(row) for row in session.execute(query).all()]
    rows += _recent(lately(session, seen.tagger, since=of_hour, until=seen.as_of), rollup, wanted, first, last, step)
    frame = pd.DataFrame(rows, columns=[*keys, *values]).astype(dict.fromkeys(values, "int64"))
    frame = frame.groupby(list(keys), as_index=False)[list(values)].sum()
    frame = frame[frame["n_stories"] != 0].reset_index(drop=True)
    for place in [key for key in keys if key in PLACES]:
        frame[PLACES[place]] = _instants(frame.pop(place) * HOURS[step])
    return frame


def _recent(
    cells: Cells, rollup: type[SQLModel], wanted: dict[str, Any], first: int | None, last: int, step: Step
) -> list[tuple[Any, ...]]:
    """The rows of these cells that are asked for."""
    keys = KEYS[rollup]
    rows = []
    for (kind, key), values in cells.items():
        named = dict(zip(keys, key, strict=True)) if kind is rollup else None
        if named is None or any(named[name] not in allowed for name, allowed in wanted.items()):
            continue
        if named["event_hour"] <= last and (first is None or named["event_hour"] >= first):
            rows.append((*(v // HOURS[step] if k in PLACES else v for k, v in named.items()), *values))
    return rows


def _instants(hours: "pd.Series[int]") -> "pd.Series[pd.Timestamp]":
    """Hours since 1900 as aware instants."""
    since = pd.to_timedelta(hours.astype("int64"), unit="h")
    return (pd.Timestamp(EPOCH) + since).astype("datetime64[us, UTC]")


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
