"""Reviewing: what is to be read next, what a reviewer says of it, and taking it back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import chain, zip_longest
from typing import Any

from sqlmodel import Session

from analysis.audit import draw
from config import definitions
from config.definitions import BASELINE_TAGGER, NARRATIVE_KEY
from models.errors import BadInput, Forbidden, NotFound, UnknownName
from models.reviews import Judgement, Review, SaidNarrative, Slice
from models.store import articles as article_store
from models.store import reviews as review_store
from models.store import tags as tag_store
from models.store.search import parse
from models.store.sql import one_at_a_time
from models.tags import AssetMention, NarrativeTag
from services.articles import MAX_ID, ArticleView, views
from services.instants import known_by

MAX_ITEMS, MAX_REVIEWS = 50, 200
ROUND = 60
"""Stories drawn at once for audit."""
MIXED: tuple[Slice, ...] = ("audit", "uncertain", "disagreement")
LONGEST_NOTE = 2_000
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Given:
    """A review as it is sent. `whole`: narratives and assets that are not named are not there; else only those that are
    named were judged. `skipped`: why nothing is said of it."""

    uid: str
    revision_id: int
    slice: Slice
    judgement: Judgement
    whole: bool = True
    blind: bool = False
    skipped: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class VerdictView:
    """One label: accepted as the tagger told it, fixed (in direction, modality or tone), rejected or added."""

    kind: str
    key: str
    verdict: str
    direction: int | None
    modality: str | None
    tone: int | None


@dataclass(frozen=True, slots=True)
class ReviewView:
    id: int
    uid: str
    article_id: int
    revision_id: int
    title: str
    reviewer: str
    given_at: datetime
    undone_at: datetime | None
    slice: str
    blind: bool
    tagger: str
    skipped: str | None
    note: str
    verdicts: list[VerdictView]
    """Of all that the tagger labelled, and of all that holds."""


@dataclass(frozen=True, slots=True)
class ReviewPage:
    data: list[ReviewView]
    next_cursor: int | None


@dataclass(frozen=True, slots=True)
class QueueItem:
    """An article to be read. Where `blind`, it comes without what the tagger or anybody else says of it."""

    slice: Slice
    why: str
    blind: bool
    article: ArticleView
    body: str
    reviews: list[ReviewView]


@dataclass(frozen=True, slots=True)
class Queue:
    data: list[QueueItem]
    waiting: dict[str, int]
    """By slice, how many there are to read, counted to MAX_ITEMS."""


@dataclass(frozen=True, slots=True)
class QueueQuestion:
    slices: tuple[Slice, ...] = MIXED
    blind: bool = False
    limit: int = 10
    search: str = ""
    """What an article must hold, for slice search: words, "a phrase", -without, this OR that."""
    narrative: str = ""
    """What is looked for, for slice search; it need not be defined yet."""
    article_id: int | None = None
    """This article alone, whatever was said of it."""
    tagger: str = field(default_factory=definitions.live_tagger_name)


def queue(session: Session, question: QueueQuestion, reviewer: str, *, now: datetime) -> Queue:
    """What the reviewer may read next, slices mixed: half of it drawn at random. A second reading is blind always.

    Raises: BadInput, NotFound.
    """
    if not 1 <= question.limit <= MAX_ITEMS:
        raise BadInput(f"limit is {question.limit}; it must be from 1 to {MAX_ITEMS}.")
    if question.article_id is not None:
        return _one_article(session, question, now=now)
    if "search" in question.slices:
        _check_search(question)
    found = {part: _revisions(session, part, question, reviewer, now=now) for part in question.slices}
    waiting: dict[str, int] = {part: len(revisions) for part, revisions in found.items()}
    mixed = _mix(found)[: question.limit]
    return Queue(_items(session, mixed, question, now=now), waiting)


def _check_search(question: QueueQuestion) -> None:
    parse(question.search)
    if not NARRATIVE_KEY.fullmatch(question.narrative):
        raise BadInput(
            f"A search is for one narrative: narrative is {question.narrative!r}; it must be small letters, digits and "
            "_, a letter first, e.g. ai_bubble."
        )


def _one_article(session: Session, question: QueueQuestion, *, now: datetime) -> Queue:
    article = question.article_id or 0
    row = article_store.get_article(session, article, as_of=now) if 0 < article < MAX_ID else None
    if row is None or row.removed_at is not None:
        raise NotFound(f"There is no article {article} that can be read.")
    return Queue(_items(session, [("chosen", row.revision_id)], question, now=now), {"chosen": 1})


def _revisions(session: Session, part: Slice, question: QueueQuestion, reviewer: str, *, now: datetime) -> list[int]:
    limit = MAX_ITEMS
    if part == "audit":
        return review_store.to_audit(session, question.tagger, reviewer, limit=limit)
    if part == "uncertain":
        return review_store.uncertain(session, question.tagger, reviewer, as_of=now, limit=limit)
    if part == "disagreement":
        if question.tagger == BASELINE_TAGGER:
            return []
        tagger, other = question.tagger, BASELINE_TAGGER
        return review_store.disagreements(session, tagger, other, reviewer, as_of=now, limit=limit)
    if part == "second":
        return review_store.for_second_reading(session, reviewer, as_of=now, limit=limit)
    if part == "search":
        search = parse(question.search)
        return review_store.found_by(session, search, question.narrative, reviewer, as_of=now, limit=limit)
    return []


def _mix(found: dict[Slice, list[int]]) -> list[tuple[Slice, int]]:
    """Every second one drawn at random, while there are such; the others in turn. Each article once."""
    others = [[(part, one) for one in revisions] for part, revisions in found.items() if part != "audit"]
    in_turn = [one for row in zip_longest(*others) for one in row if one is not None]
    drawn: list[tuple[Slice, int]] = [("audit", one) for one in found.get("audit", [])]
    mixed = [one for pair in zip_longest(drawn, in_turn) for one in pair if one is not None]
    first: dict[int, Slice] = {}
    for part, revision in mixed:
        first.setdefault(revision, part)
    return [(part, revision) for revision, part in first.items()]


def _items(
    session: Session, mixed: Sequence[tuple[Slice, int]], question: QueueQuestion, *, now: datetime
) -> list[QueueItem]:
    revisions = [revision for _, revision in mixed]
    rows = article_store.articles_as_worded(session, revisions)
    shown = {
        view.revision_id: (view, row.body)
        for view, row in zip(views(session, rows, question.tagger, as_of=now), rows, strict=True)
    }
    earlier = _review_views(session, chain(*review_store.reviews_of(session, revisions, as_of=now).values()))
    others = None
    if any(part == "disagreement" for part, _ in mixed):
        others = tag_store.tags_of(session, revisions, BASELINE_TAGGER)[0]
    items = []
    for part, revision in mixed:
        view, body = shown[revision]
        blind = question.blind or part == "second"
        why = _why(part, view, question, (others or {}).get(revision, []))
        reviews = [] if blind else [one for one in earlier if one.revision_id == revision and one.undone_at is None]
        items.append(QueueItem(part, why, blind, _unlabelled(view) if blind else view, body, reviews))
    return items


def _unlabelled(view: ArticleView) -> ArticleView:
    return replace(view, narratives=[], assets=[])


def _why(part: Slice, view: ArticleView, question: QueueQuestion, others: Sequence[NarrativeTag]) -> str:
    if part == "audit":
        return "Drawn at random: this one tells how good the tags are."
    if part == "uncertain":
        doubtful = [one for one in view.narratives if one.score is not None]
        nearest = min(doubtful, key=lambda one: abs((one.score or 0.0) - 0.5), default=None)
        return "The tagger is in doubt" + (f" about {_name(nearest.narrative)}." if nearest else ".")
    if part == "disagreement":
        ours = {one.narrative for one in view.narratives if one.label}
        theirs = {one.narrative for one in others if one.label}
        said = [f"the tagger alone says {_name(key)}" for key in sorted(ours - theirs)]
        said += [f"keywords alone say {_name(key)}" for key in sorted(theirs - ours)]
        return f"They disagree: {'; '.join(said)}." if said else "Tagger and keywords disagree."
    if part == "second":
        return "Another has read it; read it without knowing what was said."
    if part == "search":
        return f"Found by “{question.search}”: does it tell {question.narrative}?"
    return "Chosen by you."


def _name(narrative: str) -> str:
    known = definitions.narratives().get(narrative)
    return known.name.lower() if known else narrative


# -- drawing ---------------------------------------------------------------------------------------------------------


def needs_round(session: Session, question: QueueQuestion, reviewer: str, *, now: datetime) -> bool:
    """Whether the reviewer has read all that was drawn for audit, and there is more to read."""
    if "audit" not in question.slices or question.article_id is not None:
        return False
    if review_store.to_audit(session, question.tagger, reviewer, limit=1):
        return False
    return review_store.any_unread(session, question.tagger, reviewer, as_of=now)


def draw_if_needed(session: Session, question: QueueQuestion, reviewer: str, *, now: datetime) -> None:
    """One round, if two ask at once."""
    one_at_a_time(session, "audit")
    if needs_round(session, question, reviewer, now=now):
        draw_round(session, question.tagger, now=now)


def draw_round(session: Session, tagger: str, *, now: datetime, size: int = ROUND) -> int:
    """Draw stories for audit, at random within strata of the tagger's scores; how many."""
    ids, scores = review_store.scores(session, tagger, as_of=now)
    if not ids:
        return 0
    seed = len(review_store.rounds(session, tagger, as_of=now))
    drawn = draw(ids, scores, size=size, core=definitions.CORE_NARRATIVES, seed=seed)
    review_store.add_round(session, tagger, now=now, n_stories=len(ids), bands=drawn.bands, drawn=drawn.units)
    return len(drawn.units)


# -- saying ----------------------------------------------------------------------------------------------------------


def record_review(session: Session, given: Given, reviewer: str, *, now: datetime) -> tuple[ReviewView, bool]:
    """Keep a review; with it, whether it is new: one that was sent before is answered with what was kept.

    Raises: BadInput, UnknownName, NotFound.
    """
    known = review_store.review_by_uid(session, given.uid)
    if known is not None:
        if known.reviewer != reviewer:
            raise BadInput(f"There is a review {given.uid!r} of somebody else already; choose another uid.")
        return _review_views(session, [known])[0], False
    rows = article_store.articles_as_worded(session, [given.revision_id]) if 0 < given.revision_id < MAX_ID else []
    if not rows or rows[0].removed_at is not None:
        raise NotFound(f"There is no wording {given.revision_id} that can be read.")
    review = review_of(given, reviewer, given_at=now, known_at=now, tagger=definitions.live_tagger_name())
    added = review_store.add_reviews(session, [review])
    if not added:  # it was being sent twice at once
        return record_review(session, given, reviewer, now=now)
    return _review_views(session, added)[0], True


def review_of(given: Given, reviewer: str, *, given_at: datetime, known_at: datetime, tagger: str) -> Review:
    """What is kept of a review. Raises: BadInput, UnknownName."""
    if not re.fullmatch(r"[\x21-\x7e]{1,80}", given.uid):
        raise BadInput(f"uid is {given.uid[:80]!r}; it must be 1 to 80 visible ASCII characters.")
    if len(given.note) > LONGEST_NOTE or len(given.skipped or "") > LONGEST_NOTE:
        raise BadInput(f"A note or reason has at most {LONGEST_NOTE} characters.")
    if UNSTORABLE.search(given.note + (given.skipped or "")):
        raise BadInput("A note or reason holds a character that cannot be stored (NUL, or half of a pair).")
    judgement = Judgement() if given.skipped is not None else _checked(given)
    return Review(
        uid=given.uid,
        revision_id=given.revision_id,
        reviewer=reviewer,
        given_at=given_at,
        known_at=known_at,
        slice=given.slice,
        blind=given.blind or given.slice == "second",
        tagger=tagger,
        skipped=given.skipped,
        note=given.note,
        **review_store.said_columns(judgement),
    )


def _checked(given: Given) -> Judgement:
    said, narratives = given.judgement, definitions.narratives()
    for key, one in said.narratives.items():
        if key not in narratives and not (given.slice == "search" and NARRATIVE_KEY.fullmatch(key)):
            raise UnknownName("narrative", key, list(narratives))
        if one is not None:
            _check_narrative(key, one)
    for key, tone in (said.assets or {}).items():
        definitions.asset(key)
        if tone not in (-1, 0, 1):
            raise BadInput(f"The tone of {key} is {tone!r}; it must be -1, 0 or 1.")
    if given.slice == "search":  # one narrative was looked for: nothing else was judged
        return Judgement(said.narratives)
    if not given.whole:
        return said
    return Judgement(dict.fromkeys(narratives) | said.narratives, said.assets or {})


def _check_narrative(key: str, said: SaidNarrative) -> None:
    if said.direction not in (-1, 0, 1):
        raise BadInput(f"The direction of {key} is {said.direction!r}; it must be -1, 0 or 1.")
    if key == "liquidity" and said.modality not in ("actual", "expected"):
        raise BadInput("Liquidity needs a modality: actual or expected.")
    if key != "liquidity" and said.modality is not None:
        raise BadInput(f"{key} has no modality; only liquidity is actual or expected.")


def undo_review(session: Session, review_id: int, reviewer: str, *, now: datetime) -> ReviewView:
    """Take one's own review back; what it replaced stands again. Raises: NotFound, Forbidden."""
    review = review_store.get_review(session, review_id) if 0 < review_id < MAX_ID else None
    if review is None:
        raise NotFound(f"There is no review {review_id}.")
    if review.reviewer != reviewer:
        raise Forbidden(f"Review {review_id} is {review.reviewer}'s, who alone may take it back.")
    if review.undone_at is None:
        review_store.undo(session, review, now=now)
    return _review_views(session, [review])[0]


def list_reviews(
    session: Session,
    *,
    now: datetime,
    as_of: datetime | None = None,
    reviewer: str | None = None,
    cursor: int = 0,
    limit: int = 50,
) -> ReviewPage:
    """Reviews in the order in which they came in, undone ones too. Raises: BadInput."""
    if not 1 <= limit <= MAX_REVIEWS:
        raise BadInput(f"limit is {limit}; it must be from 1 to {MAX_REVIEWS}.")
    found = review_store.find_reviews(
        session, as_of=known_by(as_of, now), reviewer=reviewer, after=cursor, limit=limit + 1
    )
    page = _review_views(session, found[:limit], as_of=known_by(as_of, now))
    return ReviewPage(page, page[-1].id if len(found) > limit else None)


def _review_views(session: Session, reviews: Any, *, as_of: datetime | None = None) -> list[ReviewView]:
    found: list[Review] = list(reviews)
    revisions = list({review.revision_id for review in found})
    rows = {row.revision_id: row for row in article_store.articles_as_worded(session, revisions)}
    tags = {tagger: tag_store.tags_of(session, revisions, tagger) for tagger in {review.tagger for review in found}}
    return [
        ReviewView(
            id=review.id or 0,
            uid=review.uid,
            article_id=rows[review.revision_id].id,
            revision_id=review.revision_id,
            title=rows[review.revision_id].title,
            reviewer=review.reviewer,
            given_at=review.given_at,
            undone_at=None if as_of and review.undone_at and review.undone_at > as_of else review.undone_at,
            slice=review.slice,
            blind=review.blind,
            tagger=review.tagger,
            skipped=review.skipped,
            note=review.note,
            verdicts=_verdicts(
                review,
                tags[review.tagger][0].get(review.revision_id, []),
                tags[review.tagger][1].get(review.revision_id, []),
            ),
        )
        for review in found
    ]


def _verdicts(review: Review, narratives: Sequence[NarrativeTag], assets: Sequence[AssetMention]) -> list[VerdictView]:
    told = {tag.narrative: (tag.direction, tag.modality) for tag in narratives if tag.label}
    found = []
    for key, said in review.narratives.items():
        held = None if said is None else (said["direction"], said.get("modality"))
        if (verdict := _verdict(told.get(key), held)) is not None:
            direction, modality = held or (None, None)
            found.append(VerdictView("narrative", key, verdict, direction, modality, None))
    if review.assets is not None:
        named = {one.asset: None if one.tone is None else round(one.tone) for one in assets}
        for key in named.keys() | review.assets.keys():
            tone = review.assets.get(key)
            before = (named[key] if named[key] is not None else tone,) if key in named else None
            if (verdict := _verdict(before, None if tone is None else (tone,))) is not None:
                found.append(VerdictView("asset", key, verdict, None, None, tone))
    return sorted(found, key=lambda one: (one.kind != "narrative", one.key))


def _verdict(told: tuple[Any, ...] | None, said: tuple[Any, ...] | None) -> str | None:
    if told is None:
        return None if said is None else "add"
    if said is None:
        return "reject"
    return "accept" if told == said else "fix"
