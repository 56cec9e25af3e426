"""Reviews, the labels that stand by them, and what is drawn for audit.

a review comes in, or is undone -> of each label of the wording the newest review that judges it counts
                                -> labels that no longer stand are closed, new ones opened, and stories counted anew
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import pandas as pd
from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select, union_all
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from models.articles import Article, Revision, Story
from models.reviews import EVERY_OTHER, AuditDraw, AuditRound, Judgement, Review, StandingLabel
from models.store.rollups import recounted
from models.store.search import Search, holds
from models.store.sql import chunks, insert_new, one_at_a_time, read_whole_tables, utc_hour
from models.tags import AssetMention, NarrativeTag, Tagging

Label = tuple[str, str]
"""Kind (narrative or asset) and key."""


def add_reviews(session: Session, reviews: Sequence[Review]) -> list[Review]:
    """Keep those whose uid is new, in this order, and let their labels stand from their known_at on. Returns these."""
    one_at_a_time(session, "stories")
    known: set[str] = set()
    for part in chunks([review.uid for review in reviews]):
        known.update(session.scalars(select(col(Review.uid)).where(col(Review.uid).in_(part))))
    new = []
    for review in reviews:
        if review.uid not in known:
            known.add(review.uid)
            new.append(review)
    session.add_all(new)
    session.flush()
    by_instant: dict[datetime, set[int]] = {}
    for review in new:
        by_instant.setdefault(review.known_at, set()).add(review.revision_id)
    for at in sorted(by_instant):
        _stand(session, by_instant[at], at=at)
    return new


def undo(session: Session, review: Review, *, now: datetime) -> None:
    """From now on it does not count; what it replaced stands again."""
    one_at_a_time(session, "stories")
    review.undone_at = max(now, review.known_at)
    session.flush()
    _stand(session, [review.revision_id], at=review.undone_at)


def _stand(session: Session, revisions: Collection[int], *, at: datetime) -> None:
    with recounted(session, revisions):
        for part in chunks(sorted(set(revisions))):
            latest = select(func.max(col(StandingLabel.stands_from)), func.max(col(StandingLabel.stands_until)))
            told = session.execute(latest.where(col(StandingLabel.revision_id).in_(part))).one()
            # who waited for the lock comes with an earlier instant than what was kept meanwhile
            _stand_part(session, part, at=max(one for one in (at, *told) if one is not None))


def _stand_part(session: Session, revisions: Sequence[int], *, at: datetime) -> None:
    wanted: dict[int, dict[Label, dict[str, Any]]] = defaultdict(dict)
    counts = select(Review).where(
        col(Review.revision_id).in_(revisions),
        col(Review.known_at) <= at,
        col(Review.undone_at).is_(None),
        col(Review.skipped).is_(None),
        col(Review.slice) != "second",
    )
    for review in session.scalars(counts.order_by(col(Review.given_at), col(Review.id))):
        own = wanted[review.revision_id]
        if review.assets is not None:  # it says of every asset whether it is there
            for label in [label for label in own if label[0] == "asset"]:
                del own[label]
        own |= {(row["kind"], row["key"]): row for row in _labels(review, at)}
    now_standing = select(StandingLabel).where(
        col(StandingLabel.revision_id).in_(revisions), col(StandingLabel.stands_until).is_(None)
    )
    for standing in session.scalars(now_standing).all():
        own = wanted[standing.revision_id]
        same = own.get((standing.kind, standing.key))
        if same is not None and all(getattr(standing, name) == same[name] for name in SAID):
            del own[standing.kind, standing.key]
        else:
            standing.stands_until = max(at, standing.stands_from)
    session.flush()
    insert_new(session, StandingLabel, [row for own in wanted.values() for row in own.values()])


SAID = ("review_id", "holds", "direction", "modality", "tone")


def _labels(review: Review, at: datetime) -> list[dict[str, Any]]:
    """Rows of StandingLabel."""
    about = {"review_id": review.id, "revision_id": review.revision_id, "stands_from": at}
    empty = about | {"direction": None, "modality": None, "tone": None}
    rows = []
    for key, said in review.narratives.items():
        more = {} if said is None else {"direction": said["direction"], "modality": said.get("modality")}
        rows.append(empty | {"kind": "narrative", "key": key, "holds": said is not None} | more)
    if review.assets is not None:
        rows.append(empty | {"kind": "asset", "key": EVERY_OTHER, "holds": False})
        rows += [empty | {"kind": "asset", "key": k, "holds": True, "tone": tone} for k, tone in review.assets.items()]
    return rows


def said_columns(judgement: Judgement) -> dict[str, Any]:
    """What a judgement is in the columns of a review."""
    narratives = {key: None if said is None else asdict(said) for key, said in judgement.narratives.items()}
    return {"narratives": narratives, "assets": judgement.assets}


# -- which labels count ----------------------------------------------------------------------------------------------


def standing_at(as_of: datetime) -> ColumnElement[bool]:
    until = col(StandingLabel.stands_until)
    return and_(col(StandingLabel.stands_from) <= as_of, or_(until.is_(None), until > as_of))


def carried_labels(tagger: str, narratives: Collection[str], *, as_of: datetime) -> Select[Any]:
    """What counts, columns revision_id, narrative, direction, modality: a reviewer's label while it stands, else the
    tagger's."""
    told = select(
        col(NarrativeTag.revision_id),
        col(NarrativeTag.narrative),
        col(NarrativeTag.direction),
        col(NarrativeTag.modality),
    ).where(
        col(NarrativeTag.tagger) == tagger,
        col(NarrativeTag.narrative).in_(narratives),
        col(NarrativeTag.label).is_(True),
        ~_judged(NarrativeTag.revision_id, NarrativeTag.narrative, as_of),
    )
    reviewed = select(
        col(StandingLabel.revision_id),
        col(StandingLabel.key),
        col(StandingLabel.direction),
        col(StandingLabel.modality),
    ).where(
        col(StandingLabel.kind) == "narrative",
        col(StandingLabel.key).in_(narratives),
        col(StandingLabel.holds).is_(True),
        standing_at(as_of),
    )
    labels = union_all(told, reviewed).subquery()
    return select(labels)


def _judged(revision_id: Any, narrative: Any, as_of: datetime) -> ColumnElement[bool]:
    return exists().where(
        col(StandingLabel.revision_id) == revision_id,
        col(StandingLabel.kind) == "narrative",
        col(StandingLabel.key) == narrative,
        standing_at(as_of),
    )


def carries(
    tagger: str, narratives: Collection[str], *, as_of: datetime, direction: int | None = None
) -> ColumnElement[bool]:
    """Of a revision: whether it carries one of the narratives (in this direction), as a reviewer says or else the
    tagger."""
    told = exists().where(
        col(NarrativeTag.revision_id) == Revision.id,
        col(NarrativeTag.tagger) == tagger,
        col(NarrativeTag.narrative).in_(narratives),
        col(NarrativeTag.label).is_(True),
        ~_judged(NarrativeTag.revision_id, NarrativeTag.narrative, as_of),
    )
    reviewed = exists().where(
        col(StandingLabel.revision_id) == Revision.id,
        col(StandingLabel.kind) == "narrative",
        col(StandingLabel.key).in_(narratives),
        col(StandingLabel.holds).is_(True),
        standing_at(as_of),
    )
    if direction is not None:
        told = told.where(col(NarrativeTag.direction) == direction)
        reviewed = reviewed.where(func.coalesce(col(StandingLabel.direction), 0) == direction)
    return or_(told, reviewed)


def names_asset(tagger: str, asset: str, *, as_of: datetime) -> ColumnElement[bool]:
    """Of a revision: whether it names the asset, as a reviewer says or else the tagger."""
    about = and_(col(StandingLabel.revision_id) == Revision.id, col(StandingLabel.kind) == "asset", standing_at(as_of))
    judged = exists().where(about, col(StandingLabel.key) == EVERY_OTHER)
    named = exists().where(about, col(StandingLabel.key) == asset, col(StandingLabel.holds).is_(True))
    told = exists().where(
        col(AssetMention.revision_id) == Revision.id,
        col(AssetMention.tagger) == tagger,
        col(AssetMention.asset) == asset,
    )
    return or_(named, and_(told, ~judged))


def labels_of(session: Session, revision_ids: Sequence[int], *, as_of: datetime) -> dict[int, list[StandingLabel]]:
    """What stands of each revision, by id."""
    found: dict[int, list[StandingLabel]] = {}
    for part in chunks(revision_ids):
        query = select(StandingLabel).where(col(StandingLabel.revision_id).in_(part), standing_at(as_of))
        for label in session.scalars(query.order_by(col(StandingLabel.kind), col(StandingLabel.key))):
            found.setdefault(label.revision_id, []).append(label)
    return found


# -- reading reviews -------------------------------------------------------------------------------------------------


def passed(session: Session, revision_ids: Sequence[int], *, as_of: datetime) -> set[int]:
    """Those of these revisions that somebody has read as a whole or skipped, or that were taken down."""
    found: set[int] = set()
    for part in chunks(revision_ids):
        read = select(col(Review.revision_id)).where(
            col(Review.revision_id).in_(part),
            col(Review.known_at) <= as_of,
            or_(col(Review.undone_at).is_(None), col(Review.undone_at) > as_of),
            col(Review.slice) != "search",
        )
        gone = (
            select(col(Revision.id))
            .join(Article, col(Article.id) == Revision.article_id)
            .where(col(Revision.id).in_(part), col(Article.removed_at) <= as_of)
        )
        for query in (read, gone):
            found.update(session.scalars(query))
    return found


def searched(session: Session, revision_ids: Sequence[int]) -> set[int]:
    """Ids of the reviews of these revisions that came of a search."""
    found: set[int] = set()
    for part in chunks(revision_ids):
        query = select(col(Review.id)).where(col(Review.revision_id).in_(part), col(Review.slice) == "search")
        found.update(one for one in session.scalars(query) if one is not None)
    return found


def get_review(session: Session, review_id: int) -> Review | None:
    return session.get(Review, review_id)


def review_by_uid(session: Session, uid: str) -> Review | None:
    return session.scalars(select(Review).where(col(Review.uid) == uid)).first()


def reviews_of(session: Session, revision_ids: Sequence[int], *, as_of: datetime) -> dict[int, list[Review]]:
    """All reviews of these revisions, undone ones too, oldest first."""
    found: dict[int, list[Review]] = {}
    for part in chunks(revision_ids):
        query = select(Review).where(col(Review.revision_id).in_(part), col(Review.known_at) <= as_of)
        for review in session.scalars(query.order_by(col(Review.given_at), col(Review.id))):
            found.setdefault(review.revision_id, []).append(review)
    return found


def find_reviews(
    session: Session, *, as_of: datetime, reviewer: str | None, after: int, limit: int
) -> Sequence[Review]:
    """Reviews with an id above `after`, by id; undone ones too."""
    query = select(Review).where(col(Review.id) > after, col(Review.known_at) <= as_of)
    if reviewer is not None:
        query = query.where(col(Review.reviewer) == reviewer)
    return session.scalars(query.order_by(col(Review.id)).limit(limit)).all()


def count_reviews(session: Session, *, as_of: datetime) -> list[tuple[str, str, bool, datetime]]:
    """(reviewer, slice, skipped, given at) of each review that is not undone, oldest first."""
    query = (
        select(col(Review.reviewer), col(Review.slice), col(Review.skipped), col(Review.given_at))
        .where(col(Review.known_at) <= as_of, or_(col(Review.undone_at).is_(None), col(Review.undone_at) > as_of))
        .order_by(col(Review.given_at))
    )
    return [(who, part, skipped is not None, at) for who, part, skipped, at in session.execute(query)]


def not_yet_read_by(reviewer: str, revision_id: Any) -> ColumnElement[bool]:
    """Whether the reviewer has not yet read the revision as a whole, or skipped it."""
    own = aliased(Review)
    return ~exists().where(
        col(own.revision_id) == revision_id,
        col(own.reviewer) == reviewer,
        col(own.undone_at).is_(None),
        col(own.slice) != "search",
    )


# -- drawing and the queue -------------------------------------------------------------------------------------------


def leads(tagger: str, *, as_of: datetime) -> Any:
    """A subquery of what an audit draws from: columns story_id, revision_id (the newest wording of the story's lead
    that the tagger has read), outlet, event_at. Articles that were taken down are left out."""
    newer, told = aliased(Revision), aliased(Tagging)
    superseded = (
        exists()
        .where(col(newer.article_id) == Revision.article_id, col(newer.id) > Revision.id, col(newer.seen_at) <= as_of)
        .where(col(told.revision_id) == newer.id, col(told.tagger) == tagger)
    )
    return (
        select(
            col(Story.id).label("story_id"),
            col(Revision.id).label("revision_id"),
            col(Article.outlet).label("outlet"),
            col(Article.event_at).label("event_at"),
        )
        .join(Article, col(Article.id) == Story.lead_id)
        .join(Revision, col(Revision.article_id) == Article.id)
        .join(Tagging, and_(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger))
        .where(col(Article.known_at) <= as_of, col(Article.removed_at).is_(None), col(Revision.seen_at) <= as_of)
        .where(~superseded)
        .subquery()
    )


def scores(session: Session, tagger: str, *, as_of: datetime) -> tuple[list[int], pd.DataFrame]:
    """Every lead's revision id, and one row for each narrative told of one.

    Columns revision_id, narrative, score, label, direction.
    """
    read_whole_tables(session)
    among = leads(tagger, as_of=as_of)
    ids = list(session.scalars(select(among.c.revision_id).order_by(among.c.revision_id)))
    query = (
        select(
            col(NarrativeTag.revision_id),
            col(NarrativeTag.narrative),
            col(NarrativeTag.score),
            col(NarrativeTag.label),
            col(NarrativeTag.direction),
        )
        .join(among, among.c.revision_id == NarrativeTag.revision_id)
        .where(col(NarrativeTag.tagger) == tagger)
        .order_by(col(NarrativeTag.revision_id), col(NarrativeTag.narrative))
    )
    rows = [tuple(row) for row in session.execute(query)]
    return ids, pd.DataFrame(rows, columns=["revision_id", "narrative", "score", "label", "direction"])


def add_round(
    session: Session,
    tagger: str,
    *,
    now: datetime,
    n_stories: int,
    bands: Mapping[str, Any],
    drawn: Iterable[tuple[int, str, float]],
) -> None:
    """Keep a draw: (revision id, stratum, inclusion probability) of each, in the order in which they are to be read."""
    made = AuditRound(tagger=tagger, drawn_at=now, n_stories=n_stories, bands=dict(bands))
    session.add(made)
    session.flush()
    rows = [
        {
            "round_id": made.id,
            "revision_id": revision,
            "stratum": stratum,
            "inclusion_probability": probability,
            "place": place,
        }
        for place, (revision, stratum, probability) in enumerate(drawn)
    ]
    insert_new(session, AuditDraw, rows)


def rounds(session: Session, tagger: str, *, as_of: datetime) -> Sequence[AuditRound]:
    """Oldest first."""
    query = select(AuditRound).where(col(AuditRound.tagger) == tagger, col(AuditRound.drawn_at) <= as_of)
    return session.scalars(query.order_by(col(AuditRound.id))).all()


def draws(session: Session, tagger: str, *, as_of: datetime) -> pd.DataFrame:
    """What was drawn: columns round_id, revision_id, inclusion_probability, outlet, event_at, article_id, title."""
    query = (
        select(
            col(AuditDraw.round_id),
            col(AuditDraw.revision_id),
            col(AuditDraw.inclusion_probability),
            col(Article.outlet),
            col(Article.event_at),
            col(Article.id),
            col(Revision.title),
        )
        .join(AuditRound, col(AuditRound.id) == AuditDraw.round_id)
        .join(Revision, col(Revision.id) == AuditDraw.revision_id)
        .join(Article, col(Article.id) == Revision.article_id)
        .where(col(AuditRound.tagger) == tagger, col(AuditRound.drawn_at) <= as_of)
        .order_by(col(AuditDraw.round_id), col(AuditDraw.place))
    )
    names = ["round_id", "revision_id", "inclusion_probability", "outlet", "event_at", "article_id", "title"]
    return pd.DataFrame([tuple(row) for row in session.execute(query)], columns=names)


def to_audit(session: Session, tagger: str, reviewer: str, *, limit: int) -> list[int]:
    """Revisions drawn that nobody has judged and that the reviewer has not skipped, in the order drawn."""
    query = (
        select(col(AuditDraw.revision_id))
        .join(AuditRound, col(AuditRound.id) == AuditDraw.round_id)
        .join(Revision, col(Revision.id) == AuditDraw.revision_id)
        .join(Article, and_(col(Article.id) == Revision.article_id, col(Article.removed_at).is_(None)))
        .where(col(AuditRound.tagger) == tagger, _unjudged(AuditDraw.revision_id))
        .where(not_yet_read_by(reviewer, AuditDraw.revision_id))
        .order_by(col(AuditDraw.round_id), col(AuditDraw.place))
    )
    return list(dict.fromkeys(session.scalars(query.limit(limit))))


def uncertain(session: Session, tagger: str, reviewer: str, *, as_of: datetime, limit: int) -> list[int]:
    """Leads of which no label stands, by how near a narrative's score comes to one half, nearest first."""
    among = leads(tagger, as_of=as_of)
    distance = func.min(func.abs(col(NarrativeTag.score) - 0.5))
    query = (
        select(among.c.revision_id)
        .join(NarrativeTag, col(NarrativeTag.revision_id) == among.c.revision_id)
        .where(
            col(NarrativeTag.tagger) == tagger,
            col(NarrativeTag.score).between(0.2, 0.8),
            _unjudged(among.c.revision_id),
            ~_drawn(among.c.revision_id),
            not_yet_read_by(reviewer, among.c.revision_id),
        )
        .group_by(among.c.revision_id)
        .order_by(distance, among.c.revision_id)
        .limit(limit)
    )
    return list(session.scalars(query))


def disagreements(
    session: Session, tagger: str, other: str, reviewer: str, *, as_of: datetime, limit: int
) -> list[int]:
    """Leads of which no label stands and that both have read, of which one labels a narrative that the other does not:
    the newest first."""
    among = leads(tagger, as_of=as_of)
    ours, theirs, read = aliased(NarrativeTag), aliased(NarrativeTag), aliased(Tagging)

    def only(one: Any, name: str, others: Any, other_name: str) -> ColumnElement[bool]:
        same = exists().where(
            col(others.revision_id) == one.revision_id,
            col(others.tagger) == other_name,
            col(others.narrative) == one.narrative,
            col(others.label).is_(True),
        )
        return exists().where(
            col(one.revision_id) == among.c.revision_id, col(one.tagger) == name, col(one.label).is_(True), ~same
        )

    query = (
        select(among.c.revision_id)
        .join(read, and_(col(read.revision_id) == among.c.revision_id, col(read.tagger) == other))
        .where(
            or_(only(ours, tagger, theirs, other), only(theirs, other, ours, tagger)),
            _unjudged(among.c.revision_id),
            ~_drawn(among.c.revision_id),
            not_yet_read_by(reviewer, among.c.revision_id),
        )
        .order_by(among.c.event_at.desc(), among.c.revision_id)
        .limit(limit)
    )
    return list(session.scalars(query))


def any_unread(session: Session, tagger: str, reviewer: str, *, as_of: datetime) -> bool:
    """Whether there is a lead that nobody has judged and that the reviewer has not skipped."""
    among = leads(tagger, as_of=as_of)
    query = select(among.c.revision_id).where(
        _unjudged(among.c.revision_id), not_yet_read_by(reviewer, among.c.revision_id)
    )
    return session.scalar(query.limit(1)) is not None


def for_second_reading(session: Session, reviewer: str, *, as_of: datetime, limit: int) -> list[int]:
    """Revisions that one other reviewer has judged as a whole and nobody a second time, those judged first before."""
    other = aliased(Review)
    first = (
        select(col(Review.revision_id), func.min(col(Review.given_at)).label("given_at"))
        .join(Revision, col(Revision.id) == Review.revision_id)
        .join(Article, and_(col(Article.id) == Revision.article_id, col(Article.removed_at).is_(None)))
        .where(
            col(Review.undone_at).is_(None),
            col(Review.skipped).is_(None),
            col(Review.slice) != "search",
            col(Review.known_at) <= as_of,
            not_yet_read_by(reviewer, Review.revision_id),
            ~exists().where(
                col(other.revision_id) == Review.revision_id,
                col(other.undone_at).is_(None),
                col(other.skipped).is_(None),
                col(other.slice) != "search",
                col(other.reviewer) != Review.reviewer,
            ),
        )
        .group_by(col(Review.revision_id))
        .order_by(func.min(col(Review.given_at)), col(Review.revision_id))
        .limit(limit)
    )
    return [revision for revision, _ in session.execute(first)]


def found_by(
    session: Session, search: Search, narrative: str, reviewer: str, *, as_of: datetime, limit: int
) -> list[int]:
    """Wordings that are found and that the reviewer has not judged for the narrative; the newest articles first, one
    for each title."""
    said = aliased(StandingLabel)
    judged = exists().where(
        col(said.revision_id) == Revision.id, col(said.key) == narrative, col(said.stands_until).is_(None)
    )
    own = aliased(Review)
    skipped = exists().where(
        col(own.revision_id) == Revision.id,
        col(own.reviewer) == reviewer,
        col(own.slice) == "search",
        col(own.undone_at).is_(None),
        col(own.skipped).is_not(None),
    )
    query = (
        select(col(Revision.id), col(Revision.title))
        .join(Article, col(Article.id) == Revision.article_id)
        .where(col(Article.known_at) <= as_of, col(Revision.seen_at) <= as_of, ~judged)
        .where(~skipped, holds(session, search, col(Revision.id)))
        .order_by(col(Article.event_at).desc(), col(Revision.id).desc())
    )
    seen: dict[str, int] = {}
    for revision, title in session.execute(query.limit(4 * limit)):
        seen.setdefault(title.casefold(), revision)
    return list(seen.values())[:limit]


def _unjudged(revision_id: Any) -> ColumnElement[bool]:
    """Whether nobody has judged the revision as a whole: whoever searched has judged one narrative alone."""
    return ~exists().where(
        col(StandingLabel.revision_id) == revision_id,
        col(StandingLabel.kind) == "asset",
        col(StandingLabel.key) == EVERY_OTHER,
        col(StandingLabel.stands_until).is_(None),
    )


def _drawn(revision_id: Any) -> ColumnElement[bool]:
    """Those come in the order in which they were drawn: of a round half read, the doubtful must not come first."""
    return exists().where(col(AuditDraw.revision_id) == revision_id)


def revisions_by_hash(session: Session, hashes: Collection[str]) -> dict[str, int]:
    """The first revision with each of these content hashes, by hash."""
    found: dict[str, int] = {}
    for part in chunks(sorted(hashes)):
        query = select(col(Revision.content_hash), func.min(col(Revision.id))).where(
            col(Revision.content_hash).in_(part)
        )
        found.update(
            (wording, revision) for wording, revision in session.execute(query.group_by(Revision.content_hash))
        )
    return found


def all_labels(session: Session, *, as_of: datetime) -> dict[int, list[StandingLabel]]:
    """Every label that stands, by revision id."""
    found: dict[int, list[StandingLabel]] = {}
    query = (
        select(StandingLabel).where(standing_at(as_of)).order_by(col(StandingLabel.revision_id), col(StandingLabel.id))
    )
    for label in session.scalars(query):
        found.setdefault(label.revision_id, []).append(label)
    return found


def reviews_twice(session: Session, *, as_of: datetime) -> dict[int, list[Review]]:
    """The reviews of wordings that two or more reviewers have judged, oldest first, by revision id."""
    counts = (
        col(Review.known_at) <= as_of,
        or_(col(Review.undone_at).is_(None), col(Review.undone_at) > as_of),
        col(Review.skipped).is_(None),
        col(Review.slice) != "search",
    )
    twice = (
        select(col(Review.revision_id))
        .where(*counts)
        .group_by(col(Review.revision_id))
        .having(func.count(col(Review.reviewer).distinct()) > 1)
    )
    query = select(Review).where(*counts, col(Review.revision_id).in_(twice))
    found: dict[int, list[Review]] = {}
    for review in session.scalars(query.order_by(col(Review.given_at), col(Review.id))):
        found.setdefault(review.revision_id, []).append(review)
    return found


def reviewed_leads(
    session: Session, narratives: Collection[str], *, tagger: str, as_of: datetime, building: bool = False
) -> pd.DataFrame:
    """Stories of whose lead, in the wording that counts, a reviewer has said whether it carries a narrative (or whether
    it is building), by the UTC hour of publication.

    Columns hour, narrative, holds, n_stories.
    """
    among = leads(tagger, as_of=as_of)
    hour = utc_hour(among.c.event_at).label("hour")
    told = and_(col(StandingLabel.holds), col(StandingLabel.direction) > 0) if building else col(StandingLabel.holds)
    holds = case((told, 1), else_=0).label("carries")
    query = (
        select(hour, col(StandingLabel.key), holds, func.count())
        .join(among, among.c.revision_id == StandingLabel.revision_id)
        .where(col(StandingLabel.kind) == "narrative", col(StandingLabel.key).in_(narratives), standing_at(as_of))
        .group_by(hour, col(StandingLabel.key), holds)
    )
    rows = [tuple(row) for row in session.execute(query)]
    frame = pd.DataFrame(rows, columns=["hour", "narrative", "holds", "n_stories"])
    frame["hour"] = pd.to_datetime(frame["hour"], utc=True).astype("datetime64[us, UTC]")
    return frame.astype({"n_stories": "int64", "holds": bool})


# -- learning from reviews -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wording:
    revision_id: int
    article_id: int
    story_id: int | None
    title: str
    summary: str

    @property
    def text(self) -> str:
        """Title, or title — summary."""
        return f"{self.title} — {self.summary}" if self.summary.strip() else self.title


def wordings(session: Session, revision_ids: Sequence[int]) -> dict[int, Wording]:
    """By revision id, in this order. Articles that were taken down are left out."""
    found: dict[int, Wording] = {}
    for part in chunks(revision_ids):
        query = (
            select(
                col(Revision.id),
                col(Revision.article_id),
                col(Article.story_id),
                col(Revision.title),
                col(Revision.summary),
            )
            .join(Article, col(Article.id) == Revision.article_id)
            .where(col(Revision.id).in_(part), col(Article.removed_at).is_(None))
        )
        found |= {row[0]: Wording(*row) for row in session.execute(query)}
    return {revision: found[revision] for revision in revision_ids if revision in found}


def all_draws(session: Session, *, as_of: datetime) -> pd.DataFrame:
    """What was drawn at random, for whichever tagger: columns round_id, revision_id, inclusion_probability."""
    query = (
        select(col(AuditDraw.round_id), col(AuditDraw.revision_id), col(AuditDraw.inclusion_probability))
        .join(AuditRound, col(AuditRound.id) == AuditDraw.round_id)
        .where(col(AuditRound.drawn_at) <= as_of)
        .order_by(col(AuditDraw.round_id), col(AuditDraw.place))
    )
    rows = [tuple(row) for row in session.execute(query)]
    return pd.DataFrame(rows, columns=["round_id", "revision_id", "inclusion_probability"])


def round_sizes(session: Session, *, as_of: datetime) -> dict[int, int]:
    """From how many stories each round was drawn, for whichever tagger, by its id."""
    query = select(col(AuditRound.id), col(AuditRound.n_stories)).where(col(AuditRound.drawn_at) <= as_of)
    return dict(session.execute(query).all())


def labels_of_narrative(session: Session, narrative: str, *, as_of: datetime) -> dict[int, bool]:
    """Whether it holds, as it stands, by the id of each revision that was judged for it."""
    query = (
        select(col(StandingLabel.revision_id), col(StandingLabel.holds))
        .where(col(StandingLabel.kind) == "narrative", col(StandingLabel.key) == narrative, standing_at(as_of))
        .order_by(col(StandingLabel.revision_id))
    )
    return dict(session.execute(query).all())
