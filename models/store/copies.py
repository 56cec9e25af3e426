"""Stories as clustering needs them: articles that have none yet, the leads of those there are, and saving both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from models.articles import Article, Revision, Story
from models.store import rollups
from models.store.sql import chunks, new_ids, one_at_a_time, table_of


@dataclass(frozen=True, slots=True)
class FirstWording:
    """An article as it was first worded; of one that was taken down the texts are empty."""

    article_id: int
    event_at: datetime
    known_at: datetime
    outlet: str
    title: str
    summary: str
    body: str


def without_story(session: Session) -> list[int]:
    """The ids of articles that no story was found for yet, in the order in which they were published."""
    query = select(col(Article.id)).where(col(Article.story_id).is_(None))
    return list(session.scalars(query.order_by(col(Article.event_at), col(Article.id))))


def first_wordings(session: Session, article_ids: Sequence[int]) -> list[FirstWording]:
    """Those of the articles that still have no story, in the order in which they were published.

    Until the transaction ends nobody else gives them one.
    """
    one_at_a_time(session, "stories")
    found: list[FirstWording] = []
    for part in chunks(article_ids):
        query = _wordings().where(col(Article.id).in_(part), col(Article.story_id).is_(None))
        found.extend(FirstWording(*row) for row in session.execute(query))
    return sorted(found, key=lambda one: (one.event_at, one.article_id))


def leads_on(session: Session, day: date, *, after: int) -> dict[int, FirstWording]:
    """The leads of stories of a UTC day, by story id; only ids above `after`."""
    start = datetime.combine(day, time(), UTC)
    inside = col(Story.event_at) >= start, col(Story.event_at) < start + timedelta(days=1)
    return _leads(session, *inside, col(Story.id) > after)


def leads_of(session: Session, story_ids: Sequence[int]) -> dict[int, FirstWording]:
    """The leads of these stories, by story id."""
    found: dict[int, FirstWording] = {}
    for part in chunks(story_ids):
        found |= _leads(session, col(Story.id).in_(part))
    return found


def newest_story(session: Session) -> int:
    """The highest id of a story; 0 where there is none."""
    return session.scalar(select(func.max(col(Story.id)))) or 0


def story_ids(session: Session, count: int) -> list[int]:
    """Ids for stories that are about to be saved."""
    return new_ids(session, Story, count)


def save_stories(
    session: Session, stories: Mapping[int, int], new: Mapping[int, FirstWording], led: Mapping[int, FirstWording]
) -> None:
    """Keep the story of each article (`stories`, by article id), the `new` stories and those `led` by another now."""
    connection, table = session.connection(), table_of(Story)
    if new:
        connection.execute(insert(table), _lead_rows(new, "id"))
    if led:
        connection.execute(update(table).where(table.c.id == bindparam("story")), _lead_rows(led, "story"))
    if stories:
        placed = [{"article": article, "story": story} for article, story in stories.items()]
        articles = table_of(Article)
        connection.execute(
            update(articles).where(articles.c.id == bindparam("article")).values(story_id=bindparam("story")), placed
        )
        rollups.count_placed(session, list(stories))


def _lead_rows(leads: Mapping[int, FirstWording], key: str) -> list[dict[str, Any]]:
    """Columns of stories by their lead, with the story's id under `key`."""
    return [
        {key: story, "lead_id": lead.article_id, "event_at": lead.event_at, "known_at": lead.known_at}
        for story, lead in leads.items()
    ]


def _wordings(*more: Any) -> Any:
    wording = aliased(Revision)
    first = select(func.min(col(wording.id))).where(col(wording.article_id) == col(Article.id)).scalar_subquery()
    return (
        select(
            col(Article.id),
            col(Article.event_at),
            col(Article.known_at),
            col(Article.outlet),
            col(Revision.title),
            col(Revision.summary),
            col(Revision.body),
            *more,
        )
        .select_from(Article)
        .join(Revision, col(Revision.id) == first)
    )


def _leads(session: Session, *conditions: Any) -> dict[int, FirstWording]:
    query = _wordings(col(Story.id)).join(Story, col(Story.lead_id) == col(Article.id)).where(*conditions)
    return {story: FirstWording(*row) for *row, story in session.execute(query)}
