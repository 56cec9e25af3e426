"""Articles as a reader sees them: with their narratives, assets and the evidence for each."""

import base64
import binascii
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlmodel import Session

from config import definitions
from models.errors import BadInput, NotFound
from models.store import articles as article_store
from models.store import tags as tag_store
from models.store.articles import ArticleRow
from models.tags import AssetMention, NarrativeTag
from services.instants import check_range, known_by

MAX_LIMIT = 200
MAX_ID = 2**31


@dataclass(frozen=True, slots=True)
class SpanView:
    """A place in the named field; offsets count Unicode code points, half-open."""

    field: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class NarrativeView:
    narrative: str
    score: float
    label: bool
    direction: int
    modality: str | None
    evidence: list[SpanView]


@dataclass(frozen=True, slots=True)
class AssetView:
    asset: str
    tone: float | None
    salience: float
    spans: list[SpanView]


@dataclass(frozen=True, slots=True)
class ArticleView:
    id: int
    story_id: int | None
    """None until its copies have been looked for; it counts from then on."""
    outlet: str
    url: str | None
    language: str
    origin: str
    event_at: datetime
    known_at: datetime
    knowledge: str
    date_note: str | None
    removed_at: datetime | None
    """When it was taken down, whatever as_of: since then it has no text, no evidence and no address."""
    revisions: int
    title: str
    summary: str
    tagger: str
    narratives: list[NarrativeView]
    assets: list[AssetView]


@dataclass(frozen=True, slots=True)
class RevisionView:
    seen_at: datetime
    title: str
    summary: str
    body: str


@dataclass(frozen=True, slots=True)
class SightingView:
    """A feed in which an article was seen, and when it was first seen there."""

    outlet: str
    url: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class WholeArticle:
    """An article with its body, every wording that was seen, oldest first, and the feeds it was seen in."""

    article: ArticleView
    body: str
    history: list[RevisionView]
    sightings: list[SightingView]


@dataclass(frozen=True, slots=True)
class StoryView:
    """The copies of one text, the one that was known first before its echoes."""

    id: int
    event_at: datetime
    known_at: datetime
    echoes: int
    outlets: int
    articles: list[ArticleView]


@dataclass(frozen=True, slots=True)
class ArticlePage:
    data: list[ArticleView]
    next_cursor: str | None
    """Pass it as `cursor` for the next page; None on the last."""


@dataclass(frozen=True, slots=True)
class ArticleQuestion:
    start: datetime | None = None
    end: datetime | None = None
    narratives: tuple[str, ...] = ()
    """Only articles that carry one of these; all if none is named."""
    asset: str | None = None
    outlet: str | None = None
    tagger: str = field(default_factory=definitions.live_tagger_name)
    as_of: datetime | None = None
    cursor: str | None = None
    limit: int = 50


def search_articles(session: Session, question: ArticleQuestion, *, now: datetime) -> ArticlePage:
    """Articles published in [start, end), newest first. Raises: UnknownName, BadRange, BadInput (cursor, limit)."""
    for narrative in question.narratives:
        definitions.narrative(narrative)
    if question.asset is not None:
        definitions.asset(question.asset)
    check_range(question.start, question.end)
    if not 1 <= question.limit <= MAX_LIMIT:
        raise BadInput(f"limit is {question.limit}; it must be from 1 to {MAX_LIMIT}.")
    rows = article_store.find_articles(
        session,
        start=question.start,
        end=question.end,
        as_of=known_by(question.as_of, now),
        narratives=question.narratives,
        asset=question.asset,
        outlet=question.outlet,
        tagger=question.tagger,
        before=_place(question.cursor),
        limit=question.limit + 1,
    )
    page = rows[: question.limit]
    cursor = _cursor(page[-1]) if len(rows) > question.limit else None
    return ArticlePage(_views(session, page, question.tagger), cursor)


def get_article(
    session: Session, article_id: int, *, now: datetime, as_of: datetime | None = None, tagger: str | None = None
) -> WholeArticle:
    """Raises: NotFound if there is no such article, or it was not known yet."""
    row = article_store.get_article(session, article_id, as_of=known_by(as_of, now))
    if row is None:
        raise NotFound(f"There is no article {article_id}" + (" known at that time." if as_of else "."))
    history = article_store.get_revisions(session, article_id, as_of=known_by(as_of, now))
    return WholeArticle(
        article=_views(session, [row], tagger)[0],
        body=row.body,
        history=[RevisionView(r.seen_at, r.title, r.summary, r.body) for r in history],
        sightings=[SightingView(*s) for s in article_store.sightings(session, article_id, as_of=known_by(as_of, now))],
    )


def get_story(
    session: Session, story_id: int, *, now: datetime, as_of: datetime | None = None, tagger: str | None = None
) -> StoryView:
    """Raises: NotFound if there is no such story, or none of it was known yet."""
    rows = article_store.story_articles(session, story_id, as_of=known_by(as_of, now))
    if not rows:
        raise NotFound(f"There is no story {story_id}" + (" known at that time." if as_of else "."))
    outlets = len({row.outlet for row in rows})
    copies = _views(session, rows, tagger)
    return StoryView(story_id, rows[0].event_at, rows[0].known_at, len(rows) - 1, outlets, copies)


def _views(session: Session, rows: list[ArticleRow], tagger: str | None) -> list[ArticleView]:
    tagger = tagger or definitions.live_tagger_name()
    narratives, assets = tag_store.tags_of(session, [row.revision_id for row in rows], tagger)
    return [
        ArticleView(
            id=row.id,
            story_id=row.story_id,
            outlet=row.outlet,
            url=row.url,
            language=row.language,
            origin=row.origin,
            event_at=row.event_at,
            known_at=row.known_at,
            knowledge=row.knowledge,
            date_note=row.date_note,
            removed_at=row.removed_at,
            revisions=row.revisions,
            title=row.title,
            summary=row.summary,
            tagger=tagger,
            narratives=[_narrative(tag) for tag in narratives.get(row.revision_id, [])],
            assets=[_asset(mention) for mention in assets.get(row.revision_id, [])],
        )
        for row in rows
    ]


def _narrative(tag: NarrativeTag) -> NarrativeView:
    evidence = [SpanView(**span) for span in tag.evidence]
    return NarrativeView(tag.narrative, tag.score, tag.label, tag.direction, tag.modality, evidence)


def _asset(mention: AssetMention) -> AssetView:
    return AssetView(mention.asset, mention.tone, mention.salience, [SpanView(**span) for span in mention.spans])


def _cursor(row: ArticleRow) -> str:
    return base64.urlsafe_b64encode(f"{row.event_at.isoformat()} {row.id}".encode()).decode()


def _place(cursor: str | None) -> tuple[datetime, int] | None:
    if cursor is None:
        return None
    try:
        at, article_id = base64.b64decode(cursor, altchars=b"-_", validate=True).decode().split()
        when, number = datetime.fromisoformat(at), int(article_id)
        if when.tzinfo is None or not 0 < number < MAX_ID:
            raise ValueError
        return when.astimezone(UTC), number
    except (ValueError, OverflowError, binascii.Error, UnicodeDecodeError):
        raise BadInput("cursor is not one that an earlier answer gave; start again without it.") from None


def remove_article(session: Session, article_id: int, *, now: datetime) -> None:
    """Take an article's text down; it stays counted where it was. Raises: NotFound."""
    if not 0 < article_id < MAX_ID or not article_store.remove_text(session, article_id, now=now):
        raise NotFound(f"There is no article {article_id}.")
