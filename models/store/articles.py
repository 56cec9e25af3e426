"""Articles, their revisions and stories: adding what was found, searching, and reading one."""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, exists, func, insert, literal, or_, select, tuple_, union_all
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from models.articles import Article, Guid, Revision, Sighting
from models.base import UTCDateTime
from models.feeds import Feed
from models.found import FoundArticle
from models.store.reviews import carries, names_asset
from models.store.search import Search, forget_words, holds
from models.store.sql import chunks, insert_new, new_ids, one_at_a_time, table_of
from models.store.tallies import tally, total
from models.tags import AssetMention, NarrativeTag


@dataclass(slots=True)
class Added:
    """What became of the articles found: `known` ones were there already, word for word."""

    new: int = 0
    revised: int = 0
    known: int = 0


def content_hash(found: FoundArticle) -> str:
    return hashlib.sha256("\0".join((found.title, found.summary, found.body)).encode()).hexdigest()[:32]


def wordings_of(session: Session, found: Sequence[FoundArticle]) -> list[int | None]:
    """The id of the revision that words each as it was found; None where it is not stored so, or was taken down."""
    stored: dict[tuple[str, str], int] = {}
    for part in chunks(list({article.identity for article in found})):
        query = (
            select(col(Article.identity), col(Revision.content_hash), col(Revision.id))
            .join(Revision, col(Revision.article_id) == Article.id)
            .where(col(Article.identity).in_(part), col(Article.removed_at).is_(None))
        )
        stored |= {(identity, wording): revision for identity, wording, revision in session.execute(query)}
    return [stored.get((article.identity, content_hash(article))) for article in found]


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
    """The same for several batches at once, as if one after the other; what became of each.

    Where another feed brings an article again, that is a sighting; it is its first feed that may revise it.
    """
    one_at_a_time(session, "articles")
    all_found = [article for batch in batches for article in batch.found]
    known = _known(session, [article.identity for article in all_found])
    known |= _moved(session, [article for article in all_found if article.identity not in known])
    fresh: dict[str, tuple[FoundArticle, int | None]] = {}
    for batch in batches:
        for article in batch.found:
            if article.identity not in known:
                fresh.setdefault(article.identity, (article, batch.feed_id))
    hashes = _hashes(session, [article.id for article in known.values()])
    known |= _insert_articles(session, list(fresh.values()))
    first_wording = set(fresh)
    revisions: list[dict[str, Any]] = []
    languages: list[str] = []
    sightings: list[dict[str, Any]] = []
    result = [Added() for _ in batches]
    for batch, added in zip(batches, result, strict=True):
        for article in batch.found:
            kept, wording = known[article.identity], content_hash(article)
            elsewhere = batch.feed_id is not None and batch.feed_id != kept.feed_id
            if elsewhere:
                sightings.append({"article_id": kept.id, "feed_id": batch.feed_id, "seen_at": article.known_at})
            if kept.removed or (kept.id, wording) in hashes or (elsewhere and kept.feed_id is not None):
                added.known += 1
                continue
            hashes.add((kept.id, wording))
            is_new = article.identity in first_wording
            first_wording.discard(article.identity)
            added.new += is_new
            added.revised += not is_new
            languages.append(kept.language)
            revisions.append(
                {
                    "article_id": kept.id,
                    "seen_at": article.known_at if is_new else max(batch.now, article.known_at),
                    "title": article.title,
                    "summary": article.summary,
                    "body": article.body,
                    "content_hash": wording,
                }
            )
    insert_new(session, Revision, revisions)
    tally(session, "revisions", languages)
    _add_sightings(session, sightings)
    return result


@dataclass(frozen=True, slots=True)
class _Known:
    """An article that is stored: the feed that brought it first, its language, and whether it was taken down."""

    id: int
    feed_id: int | None
    language: str
    removed: bool = False


STORED = col(Article.id), col(Article.feed_id), col(Article.language), col(Article.removed_at)


def _known(session: Session, identities: list[str]) -> dict[str, _Known]:
    """Those that are stored, by identity."""
    found: dict[str, _Known] = {}
    for part in chunks(identities):
        query = select(col(Article.identity), *STORED).where(col(Article.identity).in_(part))
        for identity, article_id, feed_id, language, removed_at in session.execute(query):
            found[identity] = _Known(article_id, feed_id, language.lower(), removed_at is not None)
    return found


def _moved(session: Session, found: list[FoundArticle]) -> dict[str, _Known]:
    """Articles with an unknown address that are known by their guid, under a title alike: they have moved.

    Under another title the guid is taken as one that is used again. What was taken down has no title: its guid tells.
    """
    keys = {article.guid_key: article for article in found if article.guid_key is not None}
    moved: dict[str, _Known] = {}
    for part in chunks(list(keys)):
        query = (
            select(col(Guid.key), col(Revision.title), *STORED)
            .join(Article, col(Article.id) == col(Guid.article_id))
            .join(Revision, col(Revision.article_id) == col(Guid.article_id))
            .where(col(Guid.key).in_(part))
        )
        for key, title, article_id, feed_id, language, removed_at in session.execute(query):
            if removed_at is not None or _alike(title, keys[key].title):
                moved[keys[key].identity] = _Known(article_id, feed_id, language.lower(), removed_at is not None)
    return moved


def _add_sightings(session: Session, seen: list[dict[str, Any]]) -> None:
    """Keep the first sighting of each article in each feed."""
    ids = list(dict.fromkeys(sighting["article_id"] for sighting in seen))
    there: set[tuple[int, int]] = set()
    for part in chunks(ids):
        query = select(col(Sighting.article_id), col(Sighting.feed_id)).where(col(Sighting.article_id).in_(part))
        there.update((article_id, feed_id) for article_id, feed_id in session.execute(query))
    insert_new(session, Sighting, [one for one in seen if (one["article_id"], one["feed_id"]) not in there])


def _alike(one: str, other: str) -> bool:
    """Whether half of the words of two titles are the same."""
    first, second = set(re.findall(r"\w+", one.casefold())), set(re.findall(r"\w+", other.casefold()))
    return 2 * len(first & second) >= len(first | second)


def _hashes(session: Session, article_ids: list[int]) -> set[tuple[int, str]]:
    found: set[tuple[int, str]] = set()
    for part in chunks(article_ids):
        query = select(col(Revision.article_id), col(Revision.content_hash)).where(col(Revision.article_id).in_(part))
        found.update((article_id, wording) for article_id, wording in session.execute(query))
    return found


def _insert_articles(session: Session, fresh: list[tuple[FoundArticle, int | None]]) -> dict[str, _Known]:
    """The new articles, each with its feed, as they are now stored, by identity. None has a story yet."""
    if not fresh:
        return {}
    ids = new_ids(session, Article, len(fresh))
    rows = [
        {
            "id": article_id,
            "identity": article.identity,
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
    tally(session, "articles", (article.language.lower() for article, _ in fresh))
    guids = [
        {"key": article.guid_key, "article_id": article_id}
        for (article, _), article_id in zip(fresh, ids, strict=True)
        if article.guid_key is not None
    ]
    insert_new(session, Guid, guids)
    return {
        article.identity: _Known(id_, feed_id, article.language.lower())
        for (article, feed_id), id_ in zip(fresh, ids, strict=True)
    }


@dataclass(frozen=True, slots=True)
class ArticleRow:
    """An article in the wording that was current at `as_of`."""

    id: int
    story_id: int | None
    outlet: str
    url: str | None
    language: str
    origin: str
    event_at: datetime
    known_at: datetime
    knowledge: str
    date_note: str | None
    removed_at: datetime | None
    revision_id: int
    revisions: int
    title: str
    summary: str
    body: str


def _counts_at(session: Session, as_of: datetime) -> Any:
    """Of a revision of the article: whether it is the wording that counts at `as_of`, the last one seen by then."""
    wording = aliased(Revision)
    seen = and_(col(wording.article_id) == Article.id, col(wording.seen_at) <= as_of)
    last = select(func.max(col(wording.id))).where(seen).correlate(Article).scalar_subquery()
    its = col(Revision.article_id) == Article.id
    if session.get_bind().dialect.name == "sqlite":
        return and_(its, col(Revision.id) == last)
    # the same, but PostgreSQL takes an equation for so rare that it would read every article to find one
    return and_(its, col(Revision.seen_at) <= as_of, col(Revision.id) >= last)


def _article_query(session: Session, as_of: datetime) -> Any:
    """Articles in the wordings that count at `as_of`, as ArticleRow has them."""
    wording = aliased(Revision)
    seen = and_(col(wording.article_id) == Article.id, col(wording.seen_at) <= as_of)
    revisions = select(func.count()).select_from(wording).where(seen).correlate(Article).scalar_subquery()
    query = _worded(revisions).join(Revision, _counts_at(session, as_of))
    return query.where(col(Article.known_at) <= as_of)


def _worded(revisions: Any) -> Any:
    """What ArticleRow has of an article and its wording, which is still to be joined."""
    return select(
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
        col(Article.removed_at),
        col(Revision.id),
        revisions,
        col(Revision.title),
        col(Revision.summary),
        col(Revision.body),
    )


def articles_as_worded(session: Session, revision_ids: Sequence[int]) -> list[ArticleRow]:
    """The articles in these wordings, in this order."""
    found: dict[int, ArticleRow] = {}
    earlier = aliased(Revision)
    of_it = and_(col(earlier.article_id) == Revision.article_id, col(earlier.id) <= Revision.id)
    revisions = select(func.count()).select_from(earlier).where(of_it).correlate(Revision).scalar_subquery()
    for part in chunks(revision_ids):
        query = _worded(revisions).join(Revision, col(Revision.article_id) == Article.id)
        rows = [ArticleRow(*row) for row in session.execute(query.where(col(Revision.id).in_(part)))]
        found |= {row.revision_id: row for row in rows}
    return [found[revision] for revision in revision_ids if revision in found]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must hold of an article and of its wording at the time; what is left open asks nothing."""

    tagger: str
    start: datetime | None = None
    end: datetime | None = None
    narratives: Sequence[str] = ()
    """It carries one of these,"""
    direction: int | None = None
    """in this direction."""
    asset: str | None = None
    outlets: Sequence[str] = ()
    """It is of one of these."""
    search: Search | None = None
    fold: bool = False
    """Of several of one story only the one that was known first."""


def find_articles(
    session: Session, wanted: Wanted, *, as_of: datetime, before: tuple[datetime, int] | None, limit: int
) -> list[ArticleRow]:
    """Articles published in [start, end), newest first. `before` is the (event_at, id) of the last one already seen."""
    found = _matching(session, wanted, as_of=as_of)
    query = select(found.c.revision_id)
    if wanted.fold:
        other = _matching(session, wanted, as_of=as_of)
        sooner = or_(
            other.c.known_at < found.c.known_at, and_(other.c.known_at == found.c.known_at, other.c.id < found.c.id)
        )
        query = query.where(~exists().where(other.c.story_id == found.c.story_id, sooner))
    if before is not None:
        place = tuple_(literal(before[0], UTCDateTime()), literal(before[1]))
        query = query.where(tuple_(found.c.event_at, found.c.id) < place)
    query = query.order_by(found.c.event_at.desc(), found.c.id.desc()).limit(limit)
    return articles_as_worded(session, list(session.scalars(query)))


def _matching(session: Session, wanted: Wanted, *, as_of: datetime) -> Any:
    """A subquery of what is wanted: columns id, story_id, event_at, known_at, revision_id."""
    query: Any = (
        select(
            col(Article.id),
            col(Article.story_id),
            col(Article.event_at),
            col(Article.known_at),
            col(Revision.id).label("revision_id"),
        )
        .join(Revision, _counts_at(session, as_of))
        .where(col(Article.known_at) <= as_of)
    )
    if wanted.start is not None:
        query = query.where(col(Article.event_at) >= wanted.start)
    if wanted.end is not None:
        query = query.where(col(Article.event_at) < wanted.end)
    if wanted.outlets:
        query = query.where(col(Article.outlet).in_(wanted.outlets))
    if wanted.narratives:
        query = query.where(carries(wanted.tagger, wanted.narratives, as_of=as_of, direction=wanted.direction))
    if wanted.asset is not None:
        query = query.where(names_asset(wanted.tagger, wanted.asset, as_of=as_of))
    if wanted.search is not None:
        query = query.where(holds(session, wanted.search, col(Revision.id)))
    return query.subquery()


def echoes_of(session: Session, story_ids: Collection[int], *, as_of: datetime) -> dict[int, int]:
    """How many articles of each story were known by then, but for one."""
    found: dict[int, int] = {}
    for part in chunks(sorted(set(story_ids))):
        query = (
            select(col(Article.story_id), func.count() - 1)
            .where(col(Article.story_id).in_(part), col(Article.known_at) <= as_of)
            .group_by(col(Article.story_id))
        )
        found |= dict(session.execute(query).all())
    return found


def get_article(session: Session, article_id: int, *, as_of: datetime) -> ArticleRow | None:
    row = session.execute(_article_query(session, as_of).where(col(Article.id) == article_id)).first()
    return ArticleRow(*row) if row is not None else None


def story_articles(session: Session, story_id: int, *, as_of: datetime) -> list[ArticleRow]:
    """The copies of a story that were known by then, the lead first."""
    query = _article_query(session, as_of).where(col(Article.story_id) == story_id)
    return [ArticleRow(*row) for row in session.execute(query.order_by(col(Article.known_at), col(Article.id)))]


def sightings(session: Session, article_id: int, *, as_of: datetime) -> list[tuple[str, str, datetime]]:
    """(outlet, address, when) of each feed in which the article was seen by then, the first one first."""
    first: Any = select(col(Article.feed_id).label("feed_id"), col(Article.known_at).label("seen_at")).where(
        col(Article.id) == article_id
    )
    others: Any = select(col(Sighting.feed_id), col(Sighting.seen_at)).where(col(Sighting.article_id) == article_id)
    seen = union_all(first, others).subquery()
    query = (
        select(col(Feed.outlet), col(Feed.url), seen.c.seen_at)
        .join(seen, seen.c.feed_id == col(Feed.id))
        .where(seen.c.seen_at <= as_of)
        .order_by(seen.c.seen_at, col(Feed.id))
    )
    return [(outlet, url, seen_at) for outlet, url, seen_at in session.execute(query)]


def get_revisions(session: Session, article_id: int, *, as_of: datetime) -> Sequence[Revision]:
    """Every wording seen by then, oldest first."""
    query = (
        select(Revision)
        .where(col(Revision.article_id) == article_id, col(Revision.seen_at) <= as_of)
        .order_by(col(Revision.id))
    )
    return session.scalars(query).all()


def count_articles(session: Session) -> int:
    return total(session, "articles")


def remove_text(session: Session, article_id: int, *, now: datetime) -> bool:
    """Delete every text of an article and its address; what was counted stays. False if there is no such article.

    The identity stays too, so that no later visit brings it back.
    """
    one_at_a_time(session, "articles")
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
    forget_words(session)
    return True
