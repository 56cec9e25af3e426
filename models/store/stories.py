"""Stories as statistics need them, as they were known at an instant: sums of the rollups, by hour or day.

Whole days are summed already (models/rollups.py). They answer where a question wants no less, and where all that is
known was known at its instant, or its instant is a midnight; otherwise the hours do, and the raw rows of the last one.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import pandas as pd
from sqlalchemy import ColumnElement, Table, and_, case, func, or_, select, true
from sqlmodel import Session, SQLModel, col

from models.articles import Article, Revision
from models.feeds import Fetch, FetchHour
from models.reviews import StandingLabel
from models.rollups import BREADTH, BreadthRollup, NarrativeDay, StoryRollup, ToneRollup
from models.store.reviews import carried_labels
from models.store.rollups import DAYS, EPOCH, KEYS, TONE_UNITS, VALUES, Cells, hour_number, lately
from models.store.sql import month_start, table_of
from models.tags import Tagging

Step = Literal["hour", "day"]
HOURS: dict[Step, int] = {"hour": 1, "day": 24}
TONES = VALUES[ToneRollup]
PLACES = {"event": "hour", "brought": "brought"}
"""Keys that are times, and what they are called as instants."""
BROUGHT = ["hour", "narrative", "outlet", "brought", "n_stories"]


@dataclass(frozen=True, slots=True)
class StoryFrames:
    """Stories that were known and read by the tagger, each standing where its first known copy was published.

    A row where there are any; hour is aware UTC, and the start of the day where days are asked for.

    totals: columns hour, n_stories, n_articles, n_squared (sum of squared copies, from which the effective n of article
        weighting follows).
    carried: labelled stories; columns hour, narrative, n_carrying, n_articles.
    """

    totals: pd.DataFrame
    carried: pd.DataFrame


@dataclass(frozen=True, slots=True)
class KnownDays:
    """StoryFrames by days, of all that is known by now, and of the outlets that brought it by the day's end.

    breadth: columns narrative, start (of the day) and BREADTH.
    """

    totals: pd.DataFrame
    carried: pd.DataFrame
    breadth: pd.DataFrame


@dataclass(frozen=True, slots=True)
class LeadFrames:
    """The same by the outlet of the first known copy, with the labels that are building alone.

    totals: columns hour, outlet, n_stories.
    carried: columns hour, outlet, narrative, direction (1), n_carrying, n_split (that build both poles of the shift).
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


def story_frames(session: Session, seen: Seen, narratives: list[str]) -> StoryFrames:
    scope = "own" if seen.outlet is not None else "all"
    totals, carried = _totals_and_labels(session, seen, narratives, scope, ["event"], ["event", "narrative"])
    return StoryFrames(
        totals[["hour", "n_stories", "n_articles", "n_squared"]],
        carried[["hour", "narrative", "n_carrying", "n_articles"]],
    )


def known_days(session: Session, seen: Seen, narratives: list[str]) -> KnownDays | None:
    """None where hours or a part of the stories are asked for, or anything counted became known after the instant."""
    part = (seen.outlet, seen.asset, seen.direction, seen.modality)
    if seen.step != "day" or any(asked is not None for asked in part) or _known_later(session, seen.as_of):
        return None
    first, last = _range(seen)
    table, counts = table_of(NarrativeDay), VALUES[NarrativeDay]
    query = select(table.c.narrative, table.c.event_day, *(table.c[name] for name in counts)).where(
        table.c.tagger == seen.tagger,
        table.c.narrative.in_(["", *narratives]),
        table.c.event_day.between(first // 24, last // 24),
        table.c.n_stories != 0,
    )
    rows = [tuple(row) for row in session.execute(query)]
    frame = pd.DataFrame(rows, columns=["narrative", "day", *counts]).astype(dict.fromkeys(counts, "int64"))
    frame["hour"] = _instants(frame.pop("day") * 24)
    of_any = frame["narrative"] == ""
    carried = frame[~of_any].rename(columns={"n_stories": "n_carrying"})
    of_outlets = {"hour": "start", "n_brought": "n", "n_brought_squared": "n_squared"}
    return KnownDays(
        frame.loc[of_any, ["hour", "n_stories", "n_articles", "n_squared"]],
        carried[["hour", "narrative", "n_carrying", "n_articles"]],
        carried.drop(columns="n_squared").rename(columns=of_outlets)[["narrative", "start", *BREADTH]],
    )


def lead_frames(session: Session, seen: Seen, narratives: list[str]) -> LeadFrames:
    """Not of an asset. Of the question's outlet, each story is its own."""
    scope, by = "lead" if seen.outlet is None else "own", ["event", "outlet"]
    building = replace(seen, direction=1)
    totals, carried = _totals_and_labels(session, building, narratives, scope, by, [*by, "narrative"])
    return LeadFrames(
        totals[["hour", "outlet", "n_stories"]],
        carried.assign(direction=1)[["hour", "outlet", "narrative", "direction", "n_carrying", "n_split"]],
    )


def outlet_frames(session: Session, seen: Seen, narratives: list[str]) -> OutletFrames:
    by = ["event", "outlet"]
    totals, carried = _totals_and_labels(session, seen, narratives, "own", by, [*by, "narrative"])
    totals["n_squared"] = totals["n_stories" if seen.outlet else "n_nth"]
    return OutletFrames(
        totals[["hour", "outlet", "n_stories", "n_squared"]], carried[["hour", "outlet", "narrative", "n_carrying"]]
    )


def _totals_and_labels(
    session: Session, seen: Seen, narratives: list[str], scope: str, totals_by: list[str], labels_by: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    known = _known(session, seen)
    where = _where(seen, scope=[scope])
    totals = _sums(session, StoryRollup, seen, where | {"narrative": [""]}, known, by=totals_by)
    labels = _sums(session, StoryRollup, seen, where | _said(seen, narratives), known, by=labels_by)
    return totals, labels.rename(columns={"n_stories": "n_carrying"})


def breadth_frame(session: Session, seen: Seen, narratives: list[str]) -> pd.DataFrame:
    """Which outlets brought the stories that carry a narrative, all copies included, and by when.

    Columns hour (of the story), narrative, outlet, brought (hour of the outlet's first copy), n_stories.
    """
    if seen.outlet is not None:
        own = story_frames(session, seen, narratives).carried
        return own.assign(outlet=seen.outlet, brought=own["hour"], n_stories=own["n_carrying"])[BROUGHT]
    where = _where(seen) | _said(seen, narratives)
    by = ["event", "narrative", "outlet", "brought"]
    return _sums(session, BreadthRollup, seen, where, _known(session, seen), by=by)[BROUGHT]


def breadth_counts(
    session: Session, seen: Seen, narratives: list[str], bucket: Literal["day", "week", "month"]
) -> pd.DataFrame | None:
    """How many stories of a narrative each outlet brought by the end of the story's bucket, summed over outlets.

    Columns narrative, start (of the bucket) and BREADTH. None where whole days cannot tell it: see breadth_frame.
    """
    known = _known(session, seen)
    level = _level(BreadthRollup, seen, known)
    if level.hours == 1 or known.recent or seen.outlet is not None:
        return None
    table, start, brought = level.table, _start(level.time("event"), bucket), _start(level.time("brought"), bucket)
    each = (
        select(table.c.narrative, start.label("start"), func.sum(table.c.n_stories).label("n"))
        .where(level.where(seen, known, {"narrative": narratives}), brought <= start)
        .group_by(table.c.narrative, start, table.c.outlet)
        .subquery()
    )
    query = (
        select(each.c.narrative, each.c.start, func.count(), func.sum(each.c.n), func.sum(each.c.n * each.c.n))
        .where(each.c.n != 0)
        .group_by(each.c.narrative, each.c.start)
    )
    rows = [tuple(row) for row in session.execute(query)]
    frame = pd.DataFrame(rows, columns=["narrative", "day", *BREADTH]).astype(dict.fromkeys(BREADTH, "float64"))
    frame["start"] = _instants(frame.pop("day") * 24)
    return frame


def _start(day: ColumnElement[int], bucket: str) -> ColumnElement[int]:
    """The first day of its bucket; days are counted from a Monday."""
    return month_start(day) if bucket == "month" else day - day % 7 if bucket == "week" else day


def asset_tones(session: Session, seen: Seen, asset: str) -> pd.DataFrame:
    """Tones of the stories that are about the asset, where one was told, summed by hour.

    Columns hour, n_stories, n_articles, n_squared, and the sums of tone and tone_squared, also by_article.
    """
    where = _where(seen, scope=["all" if seen.outlet is None else "own"]) | {"asset": [asset]}
    found = _sums(session, ToneRollup, seen, where, _known(session, seen), by=["event"])
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


@dataclass(frozen=True, slots=True)
class _Known:
    """Of the rollups what was known before an hour, where not all was, and the raw rows of that hour."""

    before: int | None
    recent: Cells


def _known(session: Session, seen: Seen) -> _Known:
    if not _known_later(session, seen.as_of):
        return _Known(None, {})
    this_hour = seen.as_of.replace(minute=0, second=0, microsecond=0)
    return _Known(hour_number(this_hour), lately(session, seen.tagger, since=this_hour, until=seen.as_of))


def _known_later(session: Session, instant: datetime) -> bool:
    """Whether anything that is counted became known after the instant."""
    labelled = or_(col(StandingLabel.stands_from) > instant, col(StandingLabel.stands_until) > instant)
    return any(
        session.scalar(select(1).where(later).limit(1)) is not None
        for later in (col(Article.known_at) > instant, col(Revision.seen_at) > instant, labelled)
    )


@dataclass(frozen=True, slots=True)
class _Level:
    """A rollup by hours, or summed to days."""

    table: Table
    hours: Literal[1, 24]

    def time(self, of: str) -> ColumnElement[int]:
        return self.table.c[f"{of}_{'hour' if self.hours == 1 else 'day'}"]

    def where(self, seen: Seen, known: _Known, allowed: dict[str, list[Any]]) -> ColumnElement[bool]:
        first, last = _range(seen)
        return and_(
            self.table.c.tagger == seen.tagger,
            *(self.table.c[name].in_(values) for name, values in allowed.items() if name in self.table.c),
            self.time("event").between(first // self.hours, last // self.hours),
            true() if known.before is None else self.time("known") < known.before // self.hours,
        )


def _level(rollup: type[SQLModel], seen: Seen, known: _Known) -> _Level:
    whole_days = seen.step == "day" and (known.before is None or known.before % 24 == 0)
    all_labels = rollup is not BreadthRollup or (seen.direction is None and seen.modality is None)
    if rollup in DAYS and whole_days and all_labels and seen.asset is None:
        return _Level(table_of(DAYS[rollup]), 24)
    return _Level(table_of(rollup), 1)


def _range(seen: Seen) -> tuple[int, int]:
    """The first and the last hour."""
    return (0 if seen.start is None else hour_number(seen.start)), hour_number(seen.end - timedelta(microseconds=1))


def _sums(
    session: Session,
    rollup: type[SQLModel],
    seen: Seen,
    where: dict[str, list[Any]],
    known: _Known,
    *,
    by: list[str],
) -> pd.DataFrame:
    """What the cells sum to, by some columns of their key, as it was known; times as instants (see PLACES)."""
    level = _level(rollup, seen, known)
    values, width = list(VALUES[rollup]), HOURS[seen.step]
    grouped = [level.time(key) // (width // level.hours) if key in PLACES else level.table.c[key] for key in by]
    query = (
        select(*grouped, *(func.sum(level.table.c[name]) for name in values))
        .where(level.where(seen, known, where))
        .group_by(*grouped)
    )
    rows = [tuple(row) for row in session.execute(query).all()]
    first, last = _range(seen)
    added = []
    for (kind, key), counts in known.recent.items():
        cell = dict(zip(KEYS[kind], key, strict=True))
        wanted = kind is rollup and all(cell[name] in allowed for name, allowed in where.items())
        if wanted and first <= cell["event_hour"] <= last:
            added.append((*(cell[f"{k}_hour"] // width if k in PLACES else cell[k] for k in by), *counts))
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
    """Attempts to fetch a feed by UTC hour: columns hour, attempts, answered. The start is a whole hour."""
    last = end.replace(minute=0, second=0, microsecond=0)
    hours = select(FetchHour).where(col(FetchHour.hour) >= hour_number(start), col(FetchHour.hour) < hour_number(last))
    rows = [(one.hour, one.attempts, one.answered) for one in session.scalars(hours.order_by(col(FetchHour.hour)))]
    answered = func.sum(case((col(Fetch.outcome) == "failed", 0), else_=1))
    query = select(func.count(), answered).where(col(Fetch.at) >= max(start, last), col(Fetch.at) < end)
    attempts, told = session.execute(query).one()
    if attempts:
        rows.append((hour_number(last), attempts, told))
    frame = pd.DataFrame(rows, columns=["hour", "attempts", "answered"]).astype("int64")
    frame["hour"] = _instants(frame["hour"])
    return frame
