"""What reviews are written to files with, and how the wording is found again that a file's review is of."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select
from sqlmodel import Session, col

from models.articles import Article, Revision
from models.reviews import AuditDraw, Review
from models.store.sql import chunks


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A review beside the wording it is of."""

    review: Review
    title: str
    summary: str
    content_hash: str
    url: str | None
    outlet: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Wording:
    revision_id: int
    url: str | None
    outlet: str
    published_at: datetime
    removed: bool


def reviews_after(
    session: Session, after: tuple[datetime, int] | None, *, as_of: datetime, every: bool, limit: int
) -> list[Reviewed]:
    """Oldest first, those given after the (given_at, id) of one already seen. `every`: skipped and undone ones, and
    those of articles that were taken down, too."""
    query = _reviewed(as_of, every)
    if after is not None:
        at, review_id = after
        later = and_(col(Review.given_at) == at, col(Review.id) > review_id)
        query = query.where(or_(col(Review.given_at) > at, later))
    rows = session.execute(query.order_by(col(Review.given_at), col(Review.id)).limit(limit))
    return [Reviewed(*row) for row in rows]


def reviews_by_wording(
    session: Session, after: int, *, as_of: datetime, every: bool, limit: int
) -> dict[int, list[Reviewed]]:
    """All reviews of the next `limit` wordings that have one, by revision id (above `after`), oldest first."""
    own = _reviewed(as_of, every).with_only_columns(col(Review.revision_id)).distinct()
    next_ids = own.where(col(Review.revision_id) > after).order_by(col(Review.revision_id)).limit(limit)
    found: dict[int, list[Reviewed]] = {revision: [] for revision in session.scalars(next_ids)}
    for part in chunks(list(found)):
        query = _reviewed(as_of, every).where(col(Review.revision_id).in_(part))
        for row in session.execute(query.order_by(col(Review.given_at), col(Review.id))):
            found[row[0].revision_id].append(Reviewed(*row))
    return found


def _reviewed(as_of: datetime, every: bool) -> Any:
    query = (
        select(
            Review,
            col(Revision.title),
            col(Revision.summary),
            col(Revision.content_hash),
            col(Article.url),
            col(Article.outlet),
            col(Article.event_at),
        )
        .join(Revision, col(Revision.id) == Review.revision_id)
        .join(Article, col(Article.id) == Revision.article_id)
        .where(col(Review.known_at) <= as_of)
    )
    if every:
        return query
    stands = or_(col(Review.undone_at).is_(None), col(Review.undone_at) > as_of)
    return query.where(stands, col(Review.skipped).is_(None), col(Article.removed_at).is_(None))


def inclusion_probabilities(session: Session, revision_ids: Sequence[int]) -> dict[int, float]:
    """That of the newest draw for audit of each revision that was ever drawn."""
    found: dict[int, float] = {}
    for part in chunks(revision_ids):
        query = select(col(AuditDraw.revision_id), col(AuditDraw.inclusion_probability))
        drawn = query.where(col(AuditDraw.revision_id).in_(part)).order_by(col(AuditDraw.round_id))
        found.update((revision, probability) for revision, probability in session.execute(drawn))
    return found


def wordings(session: Session, hashes: Collection[str]) -> dict[str, list[Wording]]:
    """Every revision with one of these content hashes, by hash, the first one first."""
    found: dict[str, list[Wording]] = {}
    for part in chunks(sorted(hashes)):
        query = (
            select(
                col(Revision.content_hash),
                col(Revision.id),
                col(Article.url),
                col(Article.outlet),
                col(Article.event_at),
                col(Article.removed_at),
            )
            .join(Article, col(Article.id) == Revision.article_id)
            .where(col(Revision.content_hash).in_(part))
            .order_by(col(Revision.id))
        )
        for content_hash, revision, url, outlet, event_at, removed_at in session.execute(query):
            found.setdefault(content_hash, []).append(Wording(revision, url, outlet, event_at, removed_at is not None))
    return found


def reviewers_by_uid(session: Session, uids: Collection[str]) -> dict[str, str]:
    """Whose review each of these is, of those that are stored."""
    found: dict[str, str] = {}
    for part in chunks(sorted(uids)):
        query = select(col(Review.uid), col(Review.reviewer)).where(col(Review.uid).in_(part))
        found.update((uid, reviewer) for uid, reviewer in session.execute(query))
    return found
