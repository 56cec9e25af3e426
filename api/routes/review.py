"""Reviewing over HTTP: what to read next, saying what it says, taking it back. Needs a key or the browser session."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.routes.articles import NO_KEY, NONE_THERE
from api.schemas import AsOf, ErrorAnswer, Tagger
from api.security import reviewer
from config.definitions import live_tagger_name
from models.reviews import Judgement, SaidNarrative, Slice
from services import review as review_service
from services.instants import parse_as_of
from services.review import MIXED, Given, Queue, QueueQuestion, ReviewPage, ReviewView

router = APIRouter(prefix="/v1", tags=["review"], responses={422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}})
FORBIDDEN: dict[int | str, dict[str, Any]] = {
    403: {"model": ErrorAnswer, "description": "It is not yours to do, or was not meant."}
}
Reviewer = Annotated[str, Depends(reviewer)]
MAX_REVIEW_ID = 2**31 - 1


class NarrativeSaid(BaseModel):
    model_config = ConfigDict(extra="forbid")

    direction: Literal[-1, 0, 1] = Field(description="1 building (liquidity: easing), -1 fading, 0 neither.")
    modality: Literal["actual", "expected"] | None = Field(None, description="Of liquidity, and of nothing else.")


class NewReview(BaseModel):
    model_config = ConfigDict(extra="forbid")

    uid: str = Field(description="Chosen by you, e.g. a UUID: the same review sent again is kept once.")
    revision_id: int = Field(description="The wording that was read, as the queue gives it.")
    slice: Slice = Field("chosen", description="Why it was shown, as the queue gives it.")
    narratives: dict[str, NarrativeSaid | None] = Field(
        default_factory=dict, description="Those that hold, by key; null for one that does not."
    )
    assets: dict[str, Literal[-1, 0, 1]] | None = Field(None, description="The tone of each asset that is named.")
    whole: bool = Field(
        True, strict=True, description="What is not named is not there. false: only what is named was judged."
    )
    blind: bool = Field(False, strict=True, description="No labels were shown.")
    skipped: str | None = Field(None, description="Why nothing is said of it; then nothing is judged.")
    note: str = ""


@router.get("/review/queue", responses=NO_KEY | NONE_THERE)
def review_queue(
    request: Request,
    who: Reviewer,
    slice: Annotated[list[Slice] | None, Query(description="Which slices; all three of the mix if none is.")] = None,
    blind: Annotated[bool, Query(description="Without what the tagger says.")] = False,
    limit: Annotated[int, Query(description="Articles at once, 1 to 50.")] = 10,
    search: Annotated[
        str, Query(description='With slice=search: words that it must hold; "a phrase", -without, this OR that.')
    ] = "",
    narrative: Annotated[str, Query(description="What is looked for, with slice=search; also a new one.")] = "",
    article_id: Annotated[int | None, Query(description="This article alone.")] = None,
    tagger: Tagger = None,
) -> Queue:
    """Articles to read: drawn at random (half), doubtful, and disputed between tagger and keywords.

    Where all that was drawn at random has been read, more is drawn."""
    question = QueueQuestion(
        slices=tuple(dict.fromkeys(slice or MIXED)),
        blind=blind,
        limit=limit,
        search=search,
        narrative=narrative,
        article_id=article_id,
        tagger=tagger or live_tagger_name(),
    )
    database, now = request.app.state.database, request.app.state.clock()
    with database.read() as session:
        draws = review_service.needs_round(session, question, who, now=now)
    if draws:
        with database.write() as session:
            review_service.draw_if_needed(session, question, who, now=now)
    with database.read() as session:
        return review_service.queue(session, question, who, now=now)


@router.post(
    "/reviews",
    status_code=201,
    responses=NO_KEY
    | FORBIDDEN
    | NONE_THERE
    | {200: {"model": ReviewView, "description": "It was sent before, and is kept."}},
)
def add_review(request: Request, response: Response, who: Reviewer, said: NewReview) -> ReviewView:
    """Say what a text says. It counts from now on, instead of what the tagger says of the same wording."""
    narratives = {
        key: None if one is None else SaidNarrative(one.direction, one.modality) for key, one in said.narratives.items()
    }
    given = Given(
        uid=said.uid,
        revision_id=said.revision_id,
        slice=said.slice,
        judgement=Judgement(narratives, None if said.assets is None else dict(said.assets)),
        whole=said.whole,
        blind=said.blind,
        skipped=said.skipped,
        note=said.note,
    )
    with request.app.state.database.write() as session:
        view, new = review_service.record_review(session, given, who, now=request.app.state.clock())
    response.status_code = 201 if new else 200
    return view


@router.delete("/reviews/{review_id:int}", responses=NO_KEY | NONE_THERE | FORBIDDEN)
def undo_review(request: Request, who: Reviewer, review_id: Annotated[int, Path(ge=1, le=MAX_REVIEW_ID)]) -> ReviewView:
    """Take one of your own reviews back: what it replaced counts again. The record keeps both."""
    with request.app.state.database.write() as session:
        return review_service.undo_review(session, review_id, who, now=request.app.state.clock())


@router.get("/reviews", responses=NO_KEY)
def list_reviews(
    request: Request,
    who: Reviewer,
    by: Annotated[str | None, Query(description="Only this reviewer's; `me` for your own.")] = None,
    as_of: AsOf = None,
    cursor: Annotated[int, Query(ge=0, le=MAX_REVIEW_ID, description="next_cursor of the page before.")] = 0,
    limit: Annotated[int, Query(description="Reviews on a page, 1 to 200.")] = 50,
) -> ReviewPage:
    """Every review, in the order in which they came in; undone ones too."""
    with request.app.state.database.read() as session:
        return review_service.list_reviews(
            session,
            now=request.app.state.clock(),
            as_of=parse_as_of(as_of),
            reviewer=who if by == "me" else by,
            cursor=cursor,
            limit=limit,
        )
