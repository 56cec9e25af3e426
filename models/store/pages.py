"""Pages: the articles whose full text is wanted, keeping it as a new wording, and the record of each attempt."""

from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from models.articles import Article, Revision
from models.found import FoundArticle
from models.pages import PageFetch
from models.store.articles import add_articles
from models.store.sql import one_at_a_time


def waiting_pages(
    session: Session, *, now: datetime, published_since: datetime, enough: int, limit: int
) -> list[tuple[int, str]]:
    """(article id, address) of live articles whose current wording has a body of fewer than `enough` characters.

    Newest first; those that were not tried yet, or are to be tried again by now.
    """
    wording = aliased(Revision)
    newest = select(func.max(wording.id)).where(col(wording.article_id) == col(Article.id)).scalar_subquery()
    query = (
        select(col(Article.id), col(Article.url))
        .outerjoin(PageFetch, col(PageFetch.article_id) == col(Article.id))
        .join(Revision, col(Revision.id) == newest)
        .where(
            col(Article.origin) == "live",
            col(Article.event_at) >= published_since,
            col(Article.url).is_not(None),
            col(Article.removed_at).is_(None),
            or_(col(PageFetch.article_id).is_(None), col(PageFetch.next_at) <= now),
            func.length(col(Revision.body)) < enough,
        )
        .order_by(col(Article.event_at).desc(), col(Article.id).desc())
        .limit(limit)
    )
    return [(article_id, url) for article_id, url in session.execute(query)]


def visits_since(session: Session, instant: datetime) -> list[tuple[str, datetime]]:
    """(address, when) of the pages that were asked for since then."""
    query = (
        select(col(Article.url), col(PageFetch.at))
        .join(PageFetch, col(PageFetch.article_id) == col(Article.id))
        .where(col(PageFetch.at) >= instant, col(Article.url).is_not(None))
    )
    return [(url, at) for url, at in session.execute(query)]


def add_full_text(session: Session, article_id: int, text: str, *, now: datetime) -> bool:
    """Keep the text as a new wording of the article, under its current title and summary.

    False if its text was taken down meanwhile; then nothing is kept.
    """
    one_at_a_time(session, "articles")
    article = session.get_one(Article, article_id)
    if article.removed_at is not None:
        return False
    newest = select(Revision).where(col(Revision.article_id) == article_id).order_by(col(Revision.id).desc()).limit(1)
    current = session.scalars(newest).one()
    found = FoundArticle(
        identity=article.identity,
        outlet=article.outlet,
        title=current.title,
        summary=current.summary,
        body=text,
        url=article.url,
        language=article.language,
        origin=article.origin,
        event_at=article.event_at,
        known_at=now,
        knowledge=article.knowledge,
    )
    add_articles(session, [found], now=now, feed_id=article.feed_id)
    return True


def get_attempt(session: Session, article_id: int) -> PageFetch | None:
    return session.get(PageFetch, article_id)


def save_attempt(session: Session, attempt: PageFetch) -> None:
    """Keep it in the place of the article's earlier attempt, if there was one."""
    session.merge(attempt)
