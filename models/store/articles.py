"""Articles, their revisions and stories: adding what was found, searching, and reading one."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, func, insert, or_, select
from sqlmodel import Session, col

from models.articles import Article, FoundArticle, Guid, Revision, Story
from models.store.sql import chunks, insert_new, new_ids, one_at_a_time, table_of
from models.tags import AssetMention, NarrativeTag

SAME_STORY = timedelta(hours=12)
SAME_STORY_WORDS = 4
TITLE_KEY_CHARACTERS = 200
"""Shorter titles ("Market wrap") say too little to make two articles copies of one another."""


@dataclass(slots=True)
class Added:
    """What became of the articles found: `known` ones were there already, word for word."""

    new: int = 0
    revised: int = 0
    known: int = 0


def title_key(title: str) -> str:
    """A title without case, punctuation and spacing: what copies share."""
    return " ".join(re.findall(r"\w+", title.casefold()))[:TITLE_KEY_CHARACTERS]


def content_hash(found: FoundArticle) -> str:
    return hashlib.sha256("\0".join((found.title, found.summary, found.body)).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one visit to a feed, or one part of an archive, brought."""

    found: Sequence[FoundArticle]
    now: datetime
    feed_id: int | None = None


def add_articles(
    session: Session, found: Sequence[FoundArticle], *, now: datetime, feed_id: int | None = None
) -> Added:
    """Store what is new, and new wordings of what is known. The same call again adds nothing."""
    (added,) = add_batches(session, [Batch(found, now, feed_id)])
    return added


def add_batches(session: Session, batches: Sequence[Batch]) -> list[Added]:
    """The same for several batches at once, as if one after the other; what became of each."""
    one_at_a_time(session, "articles")
    ids, removed = _ids(session, [article.identity for batch in batches for article in batch.found])
    ids |= _moved(session, [article for batch in batches for article in batch.found if article.identity not in ids])
    fresh: dict[str, tuple[FoundArticle, int | None]] = {}
    for batch in batches:
        for article in batch.found:
            if article.identity not in ids:
                fresh.setdefault(article.identity, (article, batch.feed_id))
    hashes = _hashes(session, list(ids.values()))
    ids |= _insert_articles(session, list(fresh.values()))
    first_wording = set(fresh)
    revisions: list[dict[str, Any]] = []
    result = [Added() for _ in batches]
    for batch, added in zip(batches, result, strict=True):
        for article in batch.found:
            article_id, wording = ids[article.identity], content_hash(article)
            if article_id in removed or (article_id, wording) in hashes:
                added.known += 1
                continue
            hashes.add((article_id, wording))
            is_new = article.identity in first_wording
            first_wording.discard(article.identity)
            added.new += is_new
            added.revised += not is_new
            revisions.append(
                {
                    "article_id": article_id,
                    "seen_at": article.known_at if is_new else max(batch.now, article.known_at),
                    "title": article.title,
                    "summary": article.summary,
                    "body": article.body,
                    "content_hash": wording,
                }
            )
    insert_new(session, Revision, revisions)
    return result


def _ids(session: Session, identities: list[str]) -> tuple[dict[str, int], set[int]]:
    """The ids of those that are known, by identity; and which of them were taken down."""
    found: dict[str, int] = {}
    removed: set[int] = set()
    for part in chunks(identities):
        query = select(col(Article.identity), col(Article.id), col(Article.removed_at))
        for identity, article_id, removed_at in session.execute(query.where(col(Article.identity).in_(part))):
            found[identity] = article_id
            if removed_at is not None:
                removed.add(article_id)
    return found, removed


def _moved(session: Session, found: list[FoundArticle]) -> dict[str, int]:
    """Articles with an unknown address that are known by their guid, under a title alike: they have moved.

    Under another title the guid is taken as one that is used again.
    """
    keys = {article.guid_key: article for article in found if article.guid_key is not None}
    moved: dict[str, int] = {}
    for part in chunks(list(keys)):
        query = (
            select(col(Guid.key), col(Guid.article_id), col(Revision.title))
            .join(Revision, col(Revision.article_id) == col(Guid.article_id))
            .where(col(Guid.key).in_(part))
        )
        for key, article_id, title in session.execute(query):
            if _alike(title, keys[key].title):
                moved[keys[key].identity] = article_id
    return moved


def _alike(one: str, other: str) -> bool:
    """Whether half of the words of two titles are the same."""
    first, second = set(title_key(one).split()), set(title_key(other).split())
    return 2 * len(first & second) >= len(first | second)


def _hashes(session: Session, article_ids: list[int]) -> set[tuple[int, str]]:
    found: set[tuple[int, str]] = set()
    for part in chunks(article_ids):
        query = select(col(Revision.article_id), col(Revision.content_hash)).where(col(Revision.article_id).in_(part))
        found.update((article_id, wording) for article_id, wording in session.execute(query))
    return found


def _insert_articles(session: Session, fresh: list[tuple[FoundArticle, int | None]]) -> dict[str, int]:
    """The ids under which the new articles, each with its feed, are now stored, by identity."""
    if not fresh:
        return {}
    stories = _stories(session, [article for article, _ in fresh])
    ids = new_ids(session, Article, len(fresh))
    rows = [
        {
            "id": article_id,
            "identity": article.identity,
            "story_id": stories[article.identity],
            "feed_id": feed_id,
            "outlet": article.outlet,
            "url": article.url,
            "language": article.language,
            "origin": article.origin,
            "event_at": article.event_at,
            "known_at": article.known_at,
            "knowledge": article.knowledge,
            "date_note": article.date_note,
        }
        for (article, feed_id), article_id in zip(fresh, ids, strict=True)
    ]
    session.connection().execute(insert(table_of(Article)), rows)
    guids = [
        {"key": article.guid_key, "article_id": article_id}
        for (article, _), article_id in zip(fresh, ids, strict=True)
        if article.guid_key is not None
    ]
    insert_new(session, Guid, guids)
    return {article.identity: article_id for (article, _), article_id in zip(fresh, ids, strict=True)}


def _stories(session: Session, fresh: list[FoundArticle]) -> dict[str, int]:
    """The story of each new article, by identity: that of an equal title within half a day, or one of its own."""
    keys = {article.identity: title_key(article.title) for article in fresh}
    known: dict[str, list[tuple[datetime, int]]] = {}
    for part in chunks(sorted({key for key in keys.values() if _tells(key)})):
        query = select(col(Story.title_key), col(Story.event_at), col(Story.id)).where(col(Story.title_key).in_(part))
        for key, event_at, story_id in session.execute(query):
            known.setdefault(key, []).append((event_at, story_id))
    ids = iter(new_ids(session, Story, len(fresh)))
    placed: dict[str, int] = {}
    rows: list[dict[str, Any]] = []
    for article in fresh:
        key = keys[article.identity]
        story_id = _near(known.get(key, []), article.event_at) if _tells(key) else None
        if story_id is None:
            story_id = next(ids)
            rows.append({"id": story_id, "title_key": key, "event_at": article.event_at})
            known.setdefault(key, []).append((article.event_at, story_id))
        placed[article.identity] = story_id
    if rows:
        session.connection().execute(insert(table_of(Story)), rows)
    return placed


def _tells(key: str) -> bool:
    """Whether a title says enough for two articles under it to be copies."""
    return key.count(" ") >= SAME_STORY_WORDS - 1


def _near(stories: list[tuple[datetime, int]], event_at: datetime) -> int | None:
    """The closest story within SAME_STORY, the earlier one of two."""
    near = [(abs(at - event_at), at, story) for at, story in stories if abs(at - event_at) <= SAME_STORY]
    return min(near)[2] if near else None


@dataclass(frozen=True, slots=True)
class ArticleRow:
    """An article in the wording that was current at `as_of`."""

    id: int
    story_id: int
    outlet: str
    url: str | None
    language: str
    origin: str
    event_at: datetime
    known_at: datetime
    knowledge: str
    date_note: str | None
    revision_id: int
    revisions: int
    title: str
    summary: str
    body: str


def _article_query(as_of: datetime) -> Any:
    current = (
        select(
            col(Revision.article_id).label("article_id"),
            func.max(col(Revision.id)).label("revision_id"),
            func.count().label("revisions"),
        )
        .where(col(Revision.seen_at) <= as_of)
        .group_by(col(Revision.article_id))
        .subquery()
    )
    return (
        select(
            col(Article.id),
            col(Article.story_id),
            col(Article.outlet),
            col(Article.url),
            col(Article.language),
            col(Article.origin),
            col(Article.event_at),
            col(Article.known_at),
            col(Article.knowledge),
            col(Article.date_note),
            current.c.revision_id,
            current.c.revisions,
            col(Revision.title),
            col(Revision.summary),
            col(Revision.body),
        )
        .join(current, current.c.article_id == Article.id)
        .join(Revision, col(Revision.id) == current.c.revision_id)
        .where(col(Article.known_at) <= as_of)
    )


def find_articles(
    session: Session,
    *,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime,
    narratives: Sequence[str],
    asset: str | None,
    outlet: str | None,
    tagger: str,
    before: tuple[datetime, int] | None,
    limit: int,
) -> list[ArticleRow]:
    """Articles published in [start, end), newest first: those that carry one of `narratives`, if any is named.

    `before` is the (event_at, id) of the last one already seen.
    """
    query = _article_query(as_of)
    if start is not None:
        query = query.where(col(Article.event_at) >= start)
    if end is not None:
        query = query.where(col(Article.event_at) < end)
    if outlet is not None:
        query = query.where(col(Article.outlet) == outlet)
    if narratives:
        query = query.where(
            exists().where(
                col(NarrativeTag.revision_id) == Revision.id,
                col(NarrativeTag.tagger) == tagger,
                col(NarrativeTag.narrative).in_(narratives),
                col(NarrativeTag.label).is_(True),
            )
        )
    if asset is not None:
        query = query.where(
            exists().where(
                col(AssetMention.revision_id) == Revision.id,
                col(AssetMention.tagger) == tagger,
                col(AssetMention.asset) == asset,
            )
        )
    if before is not None:
        at, article_id = before
        query = query.where(
            or_(col(Article.event_at) < at, and_(col(Article.event_at) == at, col(Article.id) < article_id))
        )
    query = query.order_by(col(Article.event_at).desc(), col(Article.id).desc()).limit(limit)
    return [ArticleRow(*row) for row in session.execute(query)]


def get_article(session: Session, article_id: int, *, as_of: datetime) -> ArticleRow | None:
    row = session.execute(_article_query(as_of).where(col(Article.id) == article_id)).first()
    return ArticleRow(*row) if row is not None else None


def get_revisions(session: Session, article_id: int, *, as_of: datetime) -> Sequence[Revision]:
    """Every wording seen by then, oldest first."""
    query = (
        select(Revision)
        .where(col(Revision.article_id) == article_id, col(Revision.seen_at) <= as_of)
        .order_by(col(Revision.id))
    )
    return session.scalars(query).all()


def count_articles(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Article)) or 0


def remove_text(session: Session, article_id: int, *, now: datetime) -> bool:
    """Delete every text of an article and its address; what was counted stays. False if there is no such article.

    The identity stays too, so that no later visit brings it back.
    """
    article = session.get(Article, article_id)
    if article is None:
        return False
    revisions = session.scalars(select(Revision).where(col(Revision.article_id) == article_id)).all()
    for revision in revisions:
        revision.title = revision.summary = revision.body = ""
        for tag in session.scalars(select(NarrativeTag).where(col(NarrativeTag.revision_id) == revision.id)):
            tag.evidence = []
        for mention in session.scalars(select(AssetMention).where(col(AssetMention.revision_id) == revision.id)):
            mention.spans = []
    article.url, article.removed_at = None, article.removed_at or now
    others = select(func.count()).where(
        col(Article.story_id) == article.story_id, col(Article.id) != article_id, col(Article.removed_at).is_(None)
    )
    if not session.scalar(others):
        session.get_one(Story, article.story_id).title_key = f"removed {article.story_id}"
    return True
