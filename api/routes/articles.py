"""Articles with their evidence, and the feeds they came from. What writes needs a key."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from sqlmodel import Session

from analysis.buckets import Bucket
from api.remembered import Written
from api.routes.series import accepted, etag_of, once
from api.schemas import AsOf, ErrorAnswer, Listed, Tagger
from api.security import may_write
from config.definitions import FeedKind, live_tagger_name
from services import articles as article_service
from services import sources
from services.answers import MEDIA_TYPES, Format, write
from services.articles import ArticlePage, ArticleQuestion, StoryView, WholeArticle
from services.instants import parse_as_of, parse_bound
from services.series import DIRECTIONS
from services.sources import CoverageRow, FeedView

router = APIRouter(
    prefix="/v1", tags=["articles"], responses={422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}}
)
NO_KEY: dict[int | str, dict[str, Any]] = {401: {"model": ErrorAnswer, "description": "It came without a living key."}}
NONE_THERE: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer}}
PAGE = TypeAdapter(ArticlePage)
FORMS: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPES[form].split(";")[0]: {} for form in ("csv", "parquet")}},
    304: {"description": "The page is the one whose ETag came in If-None-Match."},
}
ArticleId = Annotated[int, Path(ge=1, le=2**31 - 1)]


class NewFeed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(description="The feed's own address.")
    outlet: str = Field("", description="Who publishes it. Default: the host's name.")
    kind: FeedKind = "general"
    language: str = Field("en", description="The language it is written in, as a two-letter code.")


@dataclass
class ArticleParameters:
    """Which articles are asked for, and how they are written."""

    q: Annotated[
        str | None,
        Query(
            description='Words that it must hold; "a phrase", -without, this OR that.',
            examples=['gold "safe haven" -silver'],
        ),
    ] = None
    start: Annotated[str | None, Query(description="Published from then on.", examples=["2020-03-01"])] = None
    end: Annotated[str | None, Query(description="Published before.", examples=["2020-04-01"])] = None
    narrative: Annotated[
        list[str] | None, Query(description="Only articles that carry one of these.", examples=[["safe_haven"]])
    ] = None
    direction: Annotated[
        Literal["building", "fading", "neither", "1", "-1", "0"] | None,
        Query(description="With narrative: only those that carry it in this direction.", examples=["building"]),
    ] = None
    asset: Annotated[str | None, Query(description="Only articles that name it.", examples=["XAU"])] = None
    outlet: Annotated[list[str] | None, Query(description="Only articles of these.", examples=[["The Wire"]])] = None
    fold: Annotated[
        bool, Query(description="One article for each story, the one that was known first.", examples=[True])
    ] = False
    as_of: AsOf = None
    tagger: Tagger = None
    cursor: Annotated[
        str | None,
        Query(description="next_cursor of the page before.", examples=["MjAyMC0wMy0wOVQxNDozMDowMCswMDowMCAxMg=="]),
    ] = None
    limit: Annotated[int, Query(description="Articles on a page, 1 to 200.", examples=[50])] = 50
    format: Annotated[
        Format | None, Query(description="json, csv or parquet; or by the Accept header.", examples=["csv"])
    ] = None

    def question(self) -> ArticleQuestion:
        direction = self.direction
        named = next((name for name, sign in DIRECTIONS.items() if direction in (name, str(sign))), None)
        return ArticleQuestion(
            q=self.q,
            start=parse_bound(self.start, "start"),
            end=parse_bound(self.end, "end"),
            narratives=tuple(self.narrative or ()),
            direction=named,
            asset=self.asset,
            outlets=tuple(self.outlet or ()),
            fold=self.fold,
            tagger=self.tagger or live_tagger_name(),
            as_of=parse_as_of(self.as_of),
            cursor=self.cursor,
            limit=self.limit,
        )


@router.get("/articles", response_model=ArticlePage, responses=FORMS)
def articles(request: Request, parameters: Annotated[ArticleParameters, Depends()]) -> Response:
    """Articles, newest first, each with its narratives, assets and the evidence; as CSV or Parquet a line each.

    The header Link names the next page, as next_cursor does.
    """
    question, form = parameters.question(), parameters.format or accepted(request)

    def work_out(session: Session, now: datetime) -> Written:
        page = article_service.search_articles(session, question, now=now)
        body = content = PAGE.dump_json(page)
        if form != "json":
            body = write(article_service.spreadsheet(page) if form == "csv" else article_service.table(page), form)
        return Written(etag_of(form, content), body, _next_page(request, page))

    return once(request, form, work_out)


def _next_page(request: Request, page: ArticlePage) -> dict[str, str]:
    if page.next_cursor is None:
        return {}
    following = request.url.include_query_params(cursor=page.next_cursor)
    return {"Link": f'<{following.path}?{following.query}>; rel="next"'}


@router.get("/articles/{article_id}", responses=NONE_THERE)
def article(request: Request, article_id: ArticleId, as_of: AsOf = None, tagger: Tagger = None) -> WholeArticle:
    """One article with its body and every wording that was seen, each with what changed, word by word.

    One that was taken down has `removed_at` and no text.
    """
    with request.app.state.database.read() as session:
        return article_service.get_article(
            session, article_id, now=request.app.state.clock(), as_of=parse_as_of(as_of), tagger=tagger
        )


@router.get("/stories/{story_id}", responses={404: {"model": ErrorAnswer}})
def story(
    request: Request,
    story_id: Annotated[int, Path(ge=1, le=2**31 - 1)],
    as_of: AsOf = None,
    tagger: Tagger = None,
) -> StoryView:
    """One story: the copies of a text, the one that was known first before its echoes."""
    with request.app.state.database.read() as session:
        return article_service.get_story(
            session, story_id, now=request.app.state.clock(), as_of=parse_as_of(as_of), tagger=tagger
        )


@router.delete(
    "/articles/{article_id}", status_code=204, dependencies=[Depends(may_write)], responses=NO_KEY | NONE_THERE
)
def take_article_down(request: Request, article_id: ArticleId) -> None:
    """Delete its text, evidence and address. What was counted stays counted; no later visit brings the text back."""
    with request.app.state.database.write() as session:
        article_service.remove_article(session, article_id, now=request.app.state.clock())


@router.get("/feeds")
def feeds(request: Request) -> Listed[FeedView]:
    """Every feed that is collected, with what its server last said."""
    with request.app.state.database.read() as session:
        return Listed[FeedView](data=sources.list_feeds(session, now=request.app.state.clock()))


@router.post(
    "/feeds",
    status_code=201,
    dependencies=[Depends(may_write)],
    responses=NO_KEY | {200: {"model": FeedView, "description": "It is collected already; nothing has changed."}},
)
def add_feed(request: Request, response: Response, feed: NewFeed) -> FeedView:
    """Collect one more feed, or take a removed or retired one back."""
    now = request.app.state.clock()
    with request.app.state.database.write() as session:
        added = sources.add_feed(session, feed.url, outlet=feed.outlet, kind=feed.kind, language=feed.language, now=now)
        address = urlsplit(feed.url.strip()).geturl()
        view = next(view for view in sources.list_feeds(session, now=now) if view.url == address)
    response.status_code = 201 if added else 200
    return view


@router.delete("/feeds", status_code=204, dependencies=[Depends(may_write)], responses=NO_KEY | NONE_THERE)
def remove_feed(
    request: Request, url: Annotated[str, Query(description="The feed's address, as GET /v1/feeds shows it.")]
) -> None:
    """Stop collecting a feed; its articles stay, and feeds.toml does not bring it back."""
    with request.app.state.database.write() as session:
        sources.remove_feed(session, url, now=request.app.state.clock())


@router.get("/coverage")
def coverage(
    request: Request,
    start: Annotated[str | None, Query(description="First instant. Default: two weeks before the end.")] = None,
    end: Annotated[str | None, Query(description="End, exclusive. Default: now.")] = None,
    bucket: Annotated[Bucket, Query(description="Width of a bucket, aligned to UTC.")] = "day",
) -> Listed[CoverageRow]:
    """The record of collecting by feed and bucket: visits, answers, entries received and expected, and a status."""
    state = request.app.state
    with state.database.read() as session:
        rows = sources.coverage(
            session, start=parse_bound(start, "start"), end=parse_bound(end, "end"), bucket=bucket, now=state.clock()
        )
    return Listed[CoverageRow](data=rows)
