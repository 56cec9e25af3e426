"""Articles as a reader sees them: with their narratives, assets and the evidence for each."""

import base64
import binascii
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlmodel import Session

from config import definitions
from models.articles import Revision
from models.errors import BadInput, NotFound
from models.reviews import StandingLabel
from models.store import articles as article_store
from models.store import reviews as review_store
from models.store import tags as tag_store
from models.store.articles import ArticleRow, Wanted
from models.store.search import parse
from models.tags import AssetMention, NarrativeTag
from services.answers import Answer
from services.changes import Change, parts
from services.instants import check_range, known_by
from services.series import DIRECTIONS, Direction

MAX_LIMIT = 200
SIGNS = {1: "+", -1: "-", 0: "~"}
FREE_TEXT = ("outlet", "title", "summary", "url")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a text begins that a spreadsheet takes for a formula."""
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
    """Label, direction and modality are a reviewer's where one has said so; score and evidence are the tagger's."""

    narrative: str
    score: float | None
    """None where the tagger does not tell the narrative."""
    label: bool
    direction: int
    modality: str | None
    evidence: list[SpanView]
    reviewed: bool = False


@dataclass(frozen=True, slots=True)
class AssetView:
    """The tone is a reviewer's where one has told it; an asset that a reviewer does not find is not there."""

    asset: str
    tone: float | None
    salience: float | None
    """None where the tagger does not name the asset."""
    spans: list[SpanView]
    reviewed: bool = False


@dataclass(frozen=True, slots=True)
class ArticleView:
    id: int
    revision_id: int
    """The wording: what a review is given of."""
    story_id: int | None
    """None until its copies have been looked for; it counts from then on."""
    echoes: int
    """Other articles of its story that were known by then."""
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
    changes: list[Change]
    """Title, summary and body, where they read otherwise than in the wording before; of the first none."""


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
class FlatArticle:
    """An article as a line of a table."""

    id: int
    event_at: datetime
    known_at: datetime
    outlet: str
    title: str
    summary: str
    url: str | None
    story_id: int | None
    echoes: int
    narratives: str
    """Those it carries, each with + (building), - (fading) or ~ (neither): safe_haven+;liquidity~."""
    assets: str
    """Those it names: XAU;BTC."""
    tagger: str


@dataclass(frozen=True, slots=True)
class ArticleQuestion:
    q: str | None = None
    """Words, "a phrase", -without, this OR that; see docs/articles.md."""
    start: datetime | None = None
    end: datetime | None = None
    narratives: tuple[str, ...] = ()
    """Only articles that carry one of these; all if none is named."""
    direction: Direction | None = None
    """In this direction."""
    asset: str | None = None
    outlets: tuple[str, ...] = ()
    """Only articles of one of these; all if none is named."""
    fold: bool = False
    """One article for each story: of those that answer the question, the one that was known first."""
    tagger: str = field(default_factory=definitions.live_tagger_name)
    as_of: datetime | None = None
    cursor: str | None = None
    limit: int = 50


def search_articles(session: Session, question: ArticleQuestion, *, now: datetime) -> ArticlePage:
    """Articles published in [start, end), newest first, in the wording of as_of.

    Raises: UnknownName, BadRange, BadInput (q, direction, cursor, limit).
    """
    as_of = known_by(question.as_of, now)
    rows = article_store.find_articles(
        session, _wanted(question), as_of=as_of, before=_place(question.cursor), limit=question.limit + 1
    )
    page = rows[: question.limit]
    cursor = _cursor(page[-1]) if len(rows) > question.limit else None
    return ArticlePage(views(session, page, question.tagger, as_of=as_of), cursor)


def _wanted(question: ArticleQuestion) -> Wanted:
    for narrative in question.narratives:
        definitions.narrative(narrative)
    if question.asset is not None:
        definitions.asset(question.asset)
    if question.direction is not None and not question.narratives:
        raise BadInput(f"direction={question.direction} is that of a narrative: name one, e.g. narrative=safe_haven.")
    check_range(question.start, question.end)
    if not 1 <= question.limit <= MAX_LIMIT:
        raise BadInput(f"limit is {question.limit}; it must be from 1 to {MAX_LIMIT}.")
    return Wanted(
        tagger=question.tagger,
        start=question.start,
        end=question.end,
        narratives=question.narratives,
        direction=None if question.direction is None else DIRECTIONS[question.direction],
        asset=question.asset,
        outlets=question.outlets,
        search=parse(question.q) if question.q and not question.q.isspace() else None,
        fold=question.fold,
    )


def table(page: ArticlePage) -> Answer:
    """The articles of a page as lines of a table."""
    return Answer(FlatArticle, [_flat(view) for view in page.data])


def spreadsheet(page: ArticlePage) -> Answer:
    """The same, safe to open: a text that a spreadsheet would run as a formula has an apostrophe before it."""
    answer = table(page)
    for n, row in enumerate(answer.rows):
        texts = {name: getattr(row, name) or "" for name in FREE_TEXT}
        answer.rows[n] = replace(row, **{name: f"'{text}" for name, text in texts.items() if text.startswith(FORMULA)})
    return answer


def _flat(view: ArticleView) -> FlatArticle:
    carried = [f"{one.narrative}{SIGNS[one.direction]}" for one in view.narratives if one.label]
    return FlatArticle(
        id=view.id,
        event_at=view.event_at,
        known_at=view.known_at,
        outlet=view.outlet,
        title=view.title,
        summary=view.summary,
        url=view.url,
        story_id=view.story_id,
        echoes=view.echoes,
        narratives=";".join(carried),
        assets=";".join(one.asset for one in view.assets),
        tagger=view.tagger,
    )


def get_article(
    session: Session, article_id: int, *, now: datetime, as_of: datetime | None = None, tagger: str | None = None
) -> WholeArticle:
    """Raises: NotFound if there is no such article, or it was not known yet."""
    row = article_store.get_article(session, article_id, as_of=known_by(as_of, now))
    if row is None:
        raise NotFound(f"There is no article {article_id}" + (" known at that time." if as_of else "."))
    history = article_store.get_revisions(session, article_id, as_of=known_by(as_of, now))
    return WholeArticle(
        article=views(session, [row], tagger, as_of=known_by(as_of, now))[0],
        body=row.body,
        history=[_revision(one, before) for before, one in zip([None, *history], history, strict=False)],
        sightings=[SightingView(*s) for s in article_store.sightings(session, article_id, as_of=known_by(as_of, now))],
    )


def _revision(revision: Revision, before: Revision | None) -> RevisionView:
    fields = {name: (getattr(before, name, ""), getattr(revision, name)) for name in ("title", "summary", "body")}
    changes = [Change(name, parts(old, new)) for name, (old, new) in fields.items() if before and old != new]
    return RevisionView(revision.seen_at, revision.title, revision.summary, revision.body, changes)


def get_story(
    session: Session, story_id: int, *, now: datetime, as_of: datetime | None = None, tagger: str | None = None
) -> StoryView:
    """Raises: NotFound if there is no such story, or none of it was known yet."""
    rows = article_store.story_articles(session, story_id, as_of=known_by(as_of, now))
    if not rows:
        raise NotFound(f"There is no story {story_id}" + (" known at that time." if as_of else "."))
    outlets = len({row.outlet for row in rows})
    copies = views(session, rows, tagger, as_of=known_by(as_of, now))
    return StoryView(story_id, rows[0].event_at, rows[0].known_at, len(rows) - 1, outlets, copies)


def views(
    session: Session, rows: list[ArticleRow], tagger: str | None, *, as_of: datetime, as_reviewed: bool = True
) -> list[ArticleView]:
    """Articles with the labels that count; with those of the tagger alone if `as_reviewed` is False."""
    tagger = tagger or definitions.live_tagger_name()
    revisions = [row.revision_id for row in rows]
    narratives, assets = tag_store.tags_of(session, revisions, tagger)
    standing = review_store.labels_of(session, revisions, as_of=as_of) if as_reviewed else {}
    echoes = article_store.echoes_of(session, [row.story_id for row in rows if row.story_id], as_of=as_of)
    return [
        ArticleView(
            id=row.id,
            revision_id=row.revision_id,
            story_id=row.story_id,
            echoes=echoes.get(row.story_id or 0, 0),
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
            narratives=_narratives(narratives.get(row.revision_id, []), standing.get(row.revision_id, [])),
            assets=_assets(assets.get(row.revision_id, []), standing.get(row.revision_id, [])),
        )
        for row in rows
    ]


def _narratives(tags: list[NarrativeTag], standing: list[StandingLabel]) -> list[NarrativeView]:
    """Those the tagger tells, then those that only a reviewer does."""
    said = {label.key: label for label in standing if label.kind == "narrative"}
    found = []
    for tag in tags:
        own = said.pop(tag.narrative, None)
        score, evidence = tag.score, [SpanView(**span) for span in tag.evidence]
        if own is None:
            found.append(NarrativeView(tag.narrative, score, tag.label, tag.direction, tag.modality, evidence))
        else:
            told = own.holds, own.direction or 0, own.modality
            found.append(NarrativeView(tag.narrative, score, *told, evidence, reviewed=True))
    added = [label for label in said.values() if label.holds]
    return found + [NarrativeView(one.key, None, True, one.direction or 0, one.modality, [], True) for one in added]


def _assets(mentions: list[AssetMention], standing: list[StandingLabel]) -> list[AssetView]:
    judged = any(label.kind == "asset" for label in standing)
    said = {label.key: label for label in standing if label.kind == "asset" and label.holds}
    found = []
    for mention in mentions:
        own, spans = said.pop(mention.asset, None), [SpanView(**span) for span in mention.spans]
        if own is not None:
            found.append(AssetView(mention.asset, own.tone, mention.salience, spans, reviewed=True))
        elif not judged:
            found.append(AssetView(mention.asset, mention.tone, mention.salience, spans))
    return found + [AssetView(label.key, label.tone, None, [], reviewed=True) for label in said.values()]


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
