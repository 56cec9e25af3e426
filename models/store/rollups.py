"""Keeping the rollups: what a change of the raw rows changes in them, in the same transaction.

stories that change -> their copies and wordings, with what reviewers said of them, with and without what is new
                    -> by instant of knowledge, the cells in which each story counts -> the differences, added

`changes` is the one place that says what a story counts as; the rows of the rollups are sums of it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select
from sqlmodel import Session, SQLModel, col

from models.articles import Article, Revision
from models.reviews import EVERY_OTHER, StandingLabel
from models.rollups import (
    DEVALUATION_POLE,
    PANIC_POLE,
    BreadthDay,
    BreadthRollup,
    NarrativeDay,
    StoryDay,
    StoryRollup,
    ToneRollup,
)
from models.store.sql import add_to, chunks, insert_new, table_of
from models.tags import AssetMention, NarrativeTag, Tagging

ROLLUPS: tuple[type[SQLModel], ...] = (StoryRollup, BreadthRollup, ToneRollup)
DAYS: dict[type[SQLModel], type[SQLModel]] = {StoryRollup: StoryDay, BreadthRollup: BreadthDay}
"""By whole days, of any asset; those without a modality in their key are of every direction and modality."""
COUNTED: tuple[type[SQLModel], ...] = (*ROLLUPS, *DAYS.values(), NarrativeDay)
"""All that `rebuild` makes; a row whose counts are all 0 says nothing."""
EPOCH = datetime(1900, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
TONE_UNITS = 10_000
REBUILD_BATCH = 2_000
Cell = tuple[type[SQLModel], tuple[Any, ...]]
"""A rollup, and the values of its key but for tagger and known hour, in the order of KEYS."""
Cells = dict[Cell, tuple[int, ...]]
KEYS = {
    StoryRollup: ("scope", "asset", "narrative", "outlet", "event_hour", "direction", "modality"),
    BreadthRollup: ("asset", "narrative", "event_hour", "outlet", "brought_hour", "direction", "modality"),
    ToneRollup: ("scope", "asset", "outlet", "event_hour"),
}
VALUES: dict[type[SQLModel], tuple[str, ...]] = {
    StoryRollup: ("n_stories", "n_articles", "n_squared", "n_split", "n_nth"),
    BreadthRollup: ("n_stories",),
    ToneRollup: (
        "n_stories",
        "n_articles",
        "n_squared",
        "tone",
        "tone_squared",
        "tone_by_article",
        "tone_squared_by_article",
    ),
    NarrativeDay: ("n_stories", "n_articles", "n_squared", "n_outlets", "n_brought", "n_brought_squared"),
}


def hour_number(instant: datetime) -> int:
    """Whole hours since 1900, of the hour that the instant lies in."""
    return (instant - EPOCH) // HOUR


@dataclass(slots=True)
class Wording:
    """A revision that the tagger has read, and what it said of it."""

    revision_id: int
    seen_at: datetime
    narratives: list[tuple[str, int, str]] = field(default_factory=list)
    """(narrative, direction, modality) of each label."""
    tones: dict[str, float | None] = field(default_factory=dict)
    """By asset that is named."""
    reviewed: list[StandingLabel] = field(default_factory=list)
    """What reviewers said of it, each while it stands."""

    def instants(self) -> set[datetime]:
        """When it, or what counts of it, became known."""
        told = {at for label in self.reviewed for at in (label.stands_from, label.stands_until) if at is not None}
        return {self.seen_at, *told}

    def as_said(self, at: datetime) -> "Wording":
        """With the labels that count at an instant: a reviewer's where one stands, else the tagger's."""
        standing = [one for one in self.reviewed if stands(one, at)]
        if not standing:
            return self
        said = {one.key: one for one in standing if one.kind == "narrative"}
        named = {one.key: one for one in standing if one.kind == "asset"}
        narratives = [one for one in self.narratives if one[0] not in said]
        narratives += [(key, one.direction or 0, one.modality or "") for key, one in said.items() if one.holds]
        tones = {} if EVERY_OTHER in named else {key: tone for key, tone in self.tones.items() if key not in named}
        tones |= {key: one.tone for key, one in named.items() if one.holds}
        return Wording(self.revision_id, self.seen_at, narratives, tones)


def stands(label: StandingLabel, at: datetime) -> bool:
    return label.stands_from <= at and (label.stands_until is None or at < label.stands_until)


@dataclass(slots=True)
class Copy:
    article_id: int
    outlet: str
    event_at: datetime
    known_at: datetime
    wordings: list[Wording] = field(default_factory=list)

    def current(self, at: datetime) -> Wording | None:
        """The newest wording that was seen by then, as it was labelled then; None if the article was not known."""
        if self.known_at > at:
            return None
        seen = max((one for one in self.wordings if one.seen_at <= at), key=lambda one: one.revision_id, default=None)
        return seen and seen.as_said(at)


Story = list[Copy]


def changes(
    stories: Iterable[Story], *, since: datetime | None = None, until: datetime | None = None
) -> dict[int, Cells]:
    """What each hour of knowledge adds to the cells; with bounds, what became known in [since, until] alone."""
    found: dict[int, Cells] = defaultdict(dict)
    for story in stories:
        instants = sorted(
            {max(copy.known_at, at) for copy in story for wording in copy.wordings for at in wording.instants()}
        )
        earlier = [instant for instant in instants if since is not None and instant < since]
        before = _cells(story, earlier[-1]) if earlier else {}
        for instant in instants[len(earlier) :]:
            if until is not None and instant > until:
                break
            now = _cells(story, instant)
            cells = found[hour_number(instant)]
            for cell in now.keys() | before.keys():
                _add(cells, cell, now.get(cell), before.get(cell))
            before = now
    return found


def _add(cells: Cells, cell: Cell, more: tuple[int, ...] | None, less: tuple[int, ...] | None = None) -> None:
    if more == less:
        return
    zero = (0,) * len(VALUES[cell[0]])
    sums = zip(cells.get(cell, zero), more or zero, less or zero, strict=True)
    cells[cell] = tuple(has + plus - minus for has, plus, minus in sums)


def _cells(story: Story, at: datetime) -> Cells:
    """The cells in which the story counts as it was known at an instant, once in each."""
    cells: Cells = {}
    known = [(copy, wording) for copy in story if (wording := copy.current(at)) is not None]
    if not known:
        return cells
    known.sort(key=lambda one: (one[0].known_at, one[0].article_id))
    lead, wording = known[0]
    hour = hour_number(lead.event_at)
    brought: dict[str, int] = {}
    for copy, _ in known:
        published = hour_number(copy.event_at)
        brought[copy.outlet] = min(published, brought.get(copy.outlet, published))
    for asset in ("", *wording.tones):
        _count(cells, wording, ("all", asset, "", hour), len(known), 0)
        for narrative, direction, modality in wording.narratives:
            for outlet, published in brought.items():
                cells[BreadthRollup, (asset, narrative, hour, outlet, published, direction, modality)] = (1,)
    _count(cells, wording, ("lead", "", lead.outlet, hour), len(known), 0)
    own: dict[str, list[tuple[Copy, Wording]]] = {}
    for one in known:
        own.setdefault(one[0].outlet, []).append(one)
    order = sorted(own.values(), key=lambda copies: (copies[0][0].event_at, copies[0][0].outlet))
    nth: dict[str, int] = defaultdict(int)
    for copies in order:
        first, said = copies[0]
        for asset in ("", *said.tones):
            nth[asset] += 1
            _count(cells, said, ("own", asset, first.outlet, hour_number(first.event_at)), len(copies), nth[asset])
    return cells


def _count(cells: Cells, said: Wording, where: tuple[str, str, str, int], copies: int, nth: int) -> None:
    scope, asset, outlet, hour = where
    building = {narrative for narrative, direction, _ in said.narratives if direction > 0}
    split = bool(building.intersection(PANIC_POLE) and building.intersection(DEVALUATION_POLE))
    weight = 2 * nth - 1 if nth else 0
    cells[StoryRollup, (scope, asset, "", outlet, hour, 0, "")] = (1, copies, copies**2, 0, weight)
    for narrative, direction, modality in said.narratives:
        of_poles = narrative in PANIC_POLE or narrative in DEVALUATION_POLE
        halved = int(split and direction > 0 and of_poles)
        key = (scope, asset, narrative, outlet, hour, direction, modality)
        cells[StoryRollup, key] = (1, copies, copies**2, halved, weight)
    tone = said.tones.get(asset) if scope != "lead" else None
    if tone is not None:
        units = round(tone * TONE_UNITS)
        square = units**2
        counts = (1, copies, copies**2, units, square, units * copies, square * copies)
        cells[ToneRollup, (scope, asset, outlet, hour)] = counts


def add(session: Session, tagger: str, hours: Mapping[int, Cells]) -> None:
    """Add the changes of each known hour to the rollups."""
    rows: dict[type[SQLModel], list[dict[str, Any]]] = defaultdict(list)
    for hour, cells in hours.items():
        for (rollup, key), values in cells.items():
            if any(values):
                named = dict(zip((*KEYS[rollup], *VALUES[rollup]), (*key, *values), strict=True))
                rows[rollup].append({"tagger": tagger, "known_hour": hour} | named)
    for rollup, new in rows.items():
        add_to(session, rollup, VALUES[rollup], new)
        if rollup in DAYS:
            add_to(session, DAYS[rollup], VALUES[rollup], _by_day(rollup, new))
    of_any = [row for rollup in DAYS for row in rows[rollup] if row["asset"] == ""]
    _sum_known(session, tagger, {row["narrative"] for row in of_any}, {row["event_hour"] // 24 for row in of_any})


def _by_day(rollup: type[SQLModel], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What rows of a rollup add to its days."""
    keys = {column.name: column.name.replace("_day", "_hour") for column in table_of(DAYS[rollup]).primary_key}
    sums: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(VALUES[rollup]))
    for row in rows:
        if row["asset"] == "":
            values = sums[tuple(row[of] if of == name else row[of] // 24 for name, of in keys.items())]
            for place, name in enumerate(VALUES[rollup]):
                values[place] += row[name]
    names = (*keys, *VALUES[rollup])
    return [dict(zip(names, (*key, *values), strict=True)) for key, values in sums.items() if any(values)]


def _sum_known(session: Session, tagger: str, narratives: Collection[str], days: Collection[int]) -> None:
    """NarrativeDay anew, of these narratives on these days. As breadth cannot be added to, writers take turns."""
    stories, brought, known = table_of(StoryDay), table_of(BreadthDay), table_of(NarrativeDay)
    for part in chunks(sorted(days)):
        in_stories, in_brought, in_known = (
            and_(table.c.tagger == tagger, table.c.narrative.in_(sorted(narratives)), table.c.event_day.in_(part))
            for table in (stories, brought, known)
        )
        by_outlet = (
            select(brought.c.narrative, brought.c.event_day, func.sum(brought.c.n_stories))
            .where(in_brought, brought.c.brought_day <= brought.c.event_day)
            .group_by(brought.c.narrative, brought.c.event_day, brought.c.outlet)
        )
        breadth: dict[tuple[str, int], tuple[int, int, int]] = defaultdict(lambda: (0, 0, 0))
        for narrative, day, n in session.execute(by_outlet):
            if n:
                outlets, pairs, squared = breadth[narrative, day]
                breadth[narrative, day] = outlets + 1, pairs + n, squared + n * n
        counted = (
            select(
                stories.c.narrative,
                stories.c.event_day,
                *(func.sum(stories.c[name]) for name in ("n_stories", "n_articles", "n_squared")),
            )
            .where(in_stories, stories.c.scope == "all", stories.c.outlet == "")
            .group_by(stories.c.narrative, stories.c.event_day)
        )
        rows = [
            {"tagger": tagger, "narrative": narrative, "event_day": day}
            | dict(zip(VALUES[NarrativeDay], (*counts, *breadth[narrative, day]), strict=True))
            for narrative, day, *counts in session.execute(counted)
        ]
        session.connection().execute(delete(known).where(in_known))
        insert_new(session, NarrativeDay, rows)


def count_tagged(session: Session, tagger: str, revisions: Collection[int]) -> None:
    """The tagger has said something of these revisions, in this transaction, for the first time."""
    new = set(revisions)
    stories: set[int] = set()
    for part in chunks(sorted(new)):
        query = (
            select(col(Article.story_id))
            .distinct()
            .join(Revision, col(Revision.article_id) == Article.id)
            .where(col(Revision.id).in_(part), col(Article.story_id).is_not(None))
        )
        stories.update(session.scalars(query))
    _count_difference(session, tagger, stories, lambda _, wording: wording.revision_id in new)


def count_placed(session: Session, articles: Collection[int]) -> None:
    """These articles have found their stories in this transaction."""
    new = set(articles)
    taggers: dict[str, set[int]] = defaultdict(set)
    for part in chunks(sorted(new)):
        query = (
            select(col(Tagging.tagger), col(Article.story_id))
            .join(Revision, col(Revision.id) == Tagging.revision_id)
            .join(Article, col(Article.id) == Revision.article_id)
            .where(col(Article.id).in_(part), col(Article.story_id).is_not(None))
            .distinct()
        )
        for tagger, story in session.execute(query):
            taggers[tagger].add(story)
    for tagger, stories in sorted(taggers.items()):
        _count_difference(session, tagger, stories, lambda copy, _: copy.article_id in new)


@contextmanager
def recounted(session: Session, revisions: Collection[int]) -> Iterator[None]:
    """What is done within changes the labels that stand of these revisions; afterwards it is counted."""
    taggers: dict[str, set[int]] = defaultdict(set)
    for part in chunks(sorted(revisions)):
        query = (
            select(col(Tagging.tagger), col(Article.story_id))
            .join(Revision, col(Revision.id) == Tagging.revision_id)
            .join(Article, col(Article.id) == Revision.article_id)
            .where(col(Revision.id).in_(part), col(Article.story_id).is_not(None))
        )
        for tagger, story in session.execute(query):
            taggers[tagger].add(story)
    before = {tagger: changes(read_stories(session, tagger, ids).values()) for tagger, ids in taggers.items()}
    yield
    session.flush()
    for tagger, ids in sorted(taggers.items()):
        _add_difference(session, tagger, changes(read_stories(session, tagger, ids).values()), before[tagger])


def _count_difference(
    session: Session, tagger: str, stories: Collection[int], is_new: Callable[[Copy, Wording], bool]
) -> None:
    after = list(read_stories(session, tagger, stories).values())
    before = [_without(story, is_new) for story in after]
    _add_difference(session, tagger, changes(after), changes(before))


def _add_difference(session: Session, tagger: str, after: dict[int, Cells], before: Mapping[int, Cells]) -> None:
    for hour, cells in before.items():
        for cell, values in cells.items():
            _add(after.setdefault(hour, {}), cell, None, values)
    add(session, tagger, after)


def _without(story: Story, is_new: Callable[[Copy, Wording], bool]) -> Story:
    return [
        Copy(
            copy.article_id,
            copy.outlet,
            copy.event_at,
            copy.known_at,
            [wording for wording in copy.wordings if not is_new(copy, wording)],
        )
        for copy in story
    ]


def read_stories(session: Session, tagger: str, ids: Collection[int]) -> dict[int, Story]:
    """Stories by id, with the wordings that the tagger has read."""
    stories: dict[int, Story] = defaultdict(list)
    for part in chunks(sorted(ids)):
        in_part = col(Article.story_id).in_(part)
        copies: dict[int, Copy] = {}
        wordings: dict[int, Wording] = {}
        read = and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger)
        query = (
            select(
                col(Article.story_id),
                col(Article.id),
                col(Article.outlet),
                col(Article.event_at),
                col(Article.known_at),
                col(Revision.id),
                col(Revision.seen_at),
            )
            .join(Revision, col(Revision.article_id) == Article.id)
            .join(Tagging, read)
            .where(in_part)
        )
        for story, article, outlet, event_at, known_at, revision, seen_at in session.execute(query):
            if article not in copies:
                copies[article] = Copy(article, outlet, event_at, known_at)
                stories[story].append(copies[article])
            wordings[revision] = Wording(revision, seen_at)
            copies[article].wordings.append(wordings[revision])
        _read_tags(session, tagger, wordings)
        _read_reviewed(session, wordings)
    return stories


def _read_tags(session: Session, tagger: str, wordings: Mapping[int, Wording]) -> None:
    for part in chunks(sorted(wordings)):
        labels = (
            select(
                col(NarrativeTag.revision_id),
                col(NarrativeTag.narrative),
                col(NarrativeTag.direction),
                col(NarrativeTag.modality),
            )
            .where(col(NarrativeTag.revision_id).in_(part), col(NarrativeTag.tagger) == tagger)
            .where(col(NarrativeTag.label).is_(True))
        )
        for revision, narrative, direction, modality in session.execute(labels):
            wordings[revision].narratives.append((narrative, direction, modality or ""))
        mentions = select(col(AssetMention.revision_id), col(AssetMention.asset), col(AssetMention.tone)).where(
            col(AssetMention.revision_id).in_(part), col(AssetMention.tagger) == tagger
        )
        for revision, asset, tone in session.execute(mentions):
            wordings[revision].tones[asset] = tone


def _read_reviewed(session: Session, wordings: Mapping[int, Wording]) -> None:
    for part in chunks(sorted(wordings)):
        query = select(StandingLabel).where(col(StandingLabel.revision_id).in_(part)).order_by(col(StandingLabel.id))
        for label in session.scalars(query):
            wordings[label.revision_id].reviewed.append(label)


def lately(session: Session, tagger: str, *, since: datetime, until: datetime) -> Cells:
    """What became known in [since, until], both included: of the hour that the rollups hold as a whole only."""
    known = select(col(Article.story_id)).where(col(Article.known_at).between(since, until))
    worded = (
        select(col(Article.story_id))
        .join(Revision, col(Revision.article_id) == Article.id)
        .where(col(Revision.seen_at).between(since, until))
    )
    reviewed = (
        select(col(Article.story_id))
        .join(Revision, col(Revision.article_id) == Article.id)
        .join(StandingLabel, col(StandingLabel.revision_id) == Revision.id)
        .where(
            or_(
                col(StandingLabel.stands_from).between(since, until),
                col(StandingLabel.stands_until).between(since, until),
            )
        )
    )
    stories = {story for query in (known, worded, reviewed) for story in session.scalars(query) if story is not None}
    found: Cells = {}
    if stories:
        for cells in changes(read_stories(session, tagger, stories).values(), since=since, until=until).values():
            for cell, values in cells.items():
                _add(found, cell, values)
    return found


def rebuild(session: Session) -> None:
    """Make all rollups again from the raw rows."""
    for counted in COUNTED:
        session.connection().execute(delete(table_of(counted)))
    for tagger in session.scalars(select(col(Tagging.tagger)).distinct()).all():
        for part in _story_ids(session):
            add(session, tagger, changes(read_stories(session, tagger, part).values()))


def _story_ids(session: Session) -> Iterator[Sequence[int]]:
    after = 0
    query = select(col(Article.story_id)).distinct().order_by(col(Article.story_id)).limit(REBUILD_BATCH)
    while part := session.scalars(query.where(col(Article.story_id) > after)).all():
        yield [story for story in part if story is not None]
        after = part[-1] or after
