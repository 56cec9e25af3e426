"""Deleting the bodies of old articles: what was counted of them stays, and so does the text that people still judge."""

from datetime import datetime

from sqlalchemy import exists, select, update
from sqlmodel import Session, col

from models.articles import Article, Revision
from models.reviews import AuditDraw, Review
from models.tags import AssetMention, NarrativeTag, Tagging

PAGES = 500
"""Of SQLite's index of words, rewritten in one transaction: some 20 ms."""


def old_bodies(session: Session, tagger: str, *, before: datetime, after: int, limit: int) -> list[int]:
    """Up to `limit` revisions with a body, by id above `after`, that were seen, and their articles known, before then.

    Only those that the tagger has read and whose story is known; none that was reviewed or drawn for the audit.
    """
    read = exists().where(col(Tagging.revision_id) == Revision.id, col(Tagging.tagger) == tagger)
    judged = exists().where(col(Review.revision_id) == Revision.id)
    drawn = exists().where(col(AuditDraw.revision_id) == Revision.id)
    query = (
        select(col(Revision.id))
        .join(Article, col(Article.id) == col(Revision.article_id))
        .where(
            col(Revision.id) > after,
            col(Revision.body) != "",
            col(Revision.seen_at) < before,
            col(Article.known_at) < before,
            col(Article.story_id).is_not(None),
            read,
            ~judged,
            ~drawn,
        )
        .order_by(col(Revision.id))
        .limit(limit)
    )
    return [revision for revision in session.scalars(query) if revision is not None]


def delete_bodies(session: Session, revision_ids: list[int]) -> None:
    """Delete them, and what tags quote of them. What else the tags say stays."""
    session.execute(update(Revision).where(col(Revision.id).in_(revision_ids)).values(body=""))
    for tag in session.scalars(select(NarrativeTag).where(col(NarrativeTag.revision_id).in_(revision_ids))):
        if any(span["field"] == "body" for span in tag.evidence):
            tag.evidence = [span for span in tag.evidence if span["field"] != "body"]
    for mention in session.scalars(select(AssetMention).where(col(AssetMention.revision_id).in_(revision_ids))):
        if any(span["field"] == "body" for span in mention.spans):
            mention.spans = [span for span in mention.spans if span["field"] != "body"]


def forget_some_words(session: Session, *, first: bool) -> bool:
    """Leave less in SQLite's index of words whose text is gone; False if nothing is left to do.

    As models.store.search.forget_words, in steps between which others write.
    """
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        return False
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - it is connected
    before = driver.total_changes
    merge = "insert into revision_words (revision_words, rank) values ('merge', ?)"
    connection.exec_driver_sql(merge, (-PAGES if first else PAGES,))
    return bool(driver.total_changes - before >= 2)
