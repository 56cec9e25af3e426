"""Articles with their evidence, and the feeds they came from."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request

from analysis.buckets import Bucket
from api.schemas import AsOf, End, ErrorAnswer, Listed, Start, Tagger
from config.definitions import BASELINE_TAGGER
from services import articles as article_service
from services import sources
from services.articles import ArticlePage, ArticleQuestion, WholeArticle
from services.instants import parse_as_of, parse_bound
from services.sources import CoverageRow, FeedView

router = APIRouter(
    prefix="/v1", tags=["articles"], responses={422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}}
)


@router.get("/articles")
def articles(
    request: Request,
    start: Start = None,
    end: End = None,
    narrative: Annotated[list[str] | None, Query(description="Only articles that carry one of these.")] = None,
    asset: Annotated[str | None, Query(description="Only articles that name it.")] = None,
    outlet: Annotated[str | None, Query()] = None,
    as_of: AsOf = None,
    tagger: Tagger = BASELINE_TAGGER,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before.")] = None,
    limit: Annotated[int, Query(description="Articles on a page, 1 to 200.")] = 50,
) -> ArticlePage:
    """Articles, newest first, each with its narratives, assets and the evidence for them."""
    question = ArticleQuestion(
        start=parse_bound(start, "start"),
        end=parse_bound(end, "end"),
        narratives=tuple(narrative or ()),
        asset=asset,
        outlet=outlet,
        tagger=tagger,
        as_of=parse_as_of(as_of),
        cursor=cursor,
        limit=limit,
    )
    with request.app.state.database.read() as session:
        return article_service.search_articles(session, question, now=request.app.state.clock())


@router.get("/articles/{article_id}", responses={404: {"model": ErrorAnswer}})
def article(
    request: Request,
    article_id: Annotated[int, Path(ge=1, le=2**31 - 1)],
    as_of: AsOf = None,
    tagger: Tagger = BASELINE_TAGGER,
) -> WholeArticle:
    """One article with its body and every wording that was seen."""
    with request.app.state.database.read() as session:
        return article_service.get_article(
            session, article_id, now=request.app.state.clock(), as_of=parse_as_of(as_of), tagger=tagger
        )


@router.get("/feeds")
def feeds(request: Request) -> Listed[FeedView]:
    """Every feed that is collected, with what its server last said."""
    with request.app.state.database.read() as session:
        return Listed[FeedView](data=sources.list_feeds(session, now=request.app.state.clock()))


@router.get("/coverage")
def coverage(
    request: Request,
    start: Annotated[str | None, Query(description="First instant. Default: two weeks before the end.")] = None,
    end: Annotated[str | None, Query(description="End, exclusive. Default: now.")] = None,
    bucket: Annotated[Bucket, Query(description="Width of a bucket, aligned to UTC.")] = "day",
) -> Listed[CoverageRow]:
    """The record of collecting: visits to each feed by bucket, how many it answered, and the articles they brought."""
    state = request.app.state
    with state.database.read() as session:
        rows = sources.coverage(
            session, start=parse_bound(start, "start"), end=parse_bound(end, "end"), bucket=bucket, now=state.clock()
        )
    return Listed[CoverageRow](data=rows)
