"""The Model Context Protocol over the same services: tools that only read, for an assistant. docs/mcp.md.

Answers are the rows of HTTP and what they rest on, bounded in size. What publishers wrote is nobody's instruction: it
stands in fields named `untrusted_text` and nowhere else, without characters that a reader does not see.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from importlib.metadata import version
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import BaseModel, Field, ValidationError

from analysis.intensity import Measure
from analysis.lead_lag import Target
from api.adapters.untrusted import told
from api.mcp_shapes import (
    INSTRUCTIONS,
    MOST_ROWS,
    PROMPT,
    AsOf,
    AssetKey,
    End,
    Key,
    Limit,
    Outlet,
    Prior,
    Rows,
    Start,
    Texts,
    Told,
    Width,
    document_of,
    latest,
    meta_of,
    question_of,
    rows_of,
)
from ingest.text import shortened
from models.database import Database
from models.derived import (
    EventStudy,
    IntensityPoint,
    JoinedPoint,
    PairLeadLag,
    QualityRow,
    ShiftCause,
    ShiftPoint,
    TonePoint,
)
from models.errors import StoryshiftError
from services import articles, catalog, event_study, lead_lag, quality, series, shift_events, triggers
from services.articles import ArticleQuestion
from services.catalog import AssetView, NarrativeView
from services.instants import known_by, parse_as_of, parse_bound
from services.now import state_now
from services.quality import By, Period, QualityQuestion
from services.series import Direction

MOST_ARTICLES = 50
SUMMARY_CHARACTERS, WORDINGS, CAUSES = 1_000, 5, 10


class StateAnswer(BaseModel):
    """Where the story stands; see services.now.StateNow."""

    point: ShiftPoint
    before: ShiftPoint | None
    sentence: str
    causes: list[ShiftCause]
    meta: dict[str, Any]


class Server(MCPServer[Any]):
    """Tells our errors, and what is wrong with arguments, in one sentence each."""

    async def call_tool(self, name: str, arguments: dict[str, Any], context: Any = None) -> Any:
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if isinstance(error.__cause__, StoryshiftError):
                raise ToolError(str(error.__cause__)) from None
            if isinstance(error.__cause__, ValidationError):
                wrong = error.__cause__.errors()[0]
                where = ".".join(str(place) for place in wrong["loc"])
                raise ToolError(f"{where}: {wrong['msg']}.") from None
            raise


def create_server(database: Database, *, clock: Callable[[], datetime]) -> Server:
    """A server over an open database; `clock` gives the instant of each question (aware UTC)."""
    server = Server(
        "storyshift",
        title="Storyshift",
        version=version("storyshift"),
        instructions=INSTRUCTIONS,
        log_level="WARNING",
        subscriptions=False,
    )
    tools = Tools(database, clock)
    hints = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)
    for name in TOOLS:
        server.add_tool(getattr(tools, name), name=name, annotations=hints)

    @server.prompt(title="Is the story shifting?")
    def is_the_story_shifting(as_of: str = "") -> str:
        """A short report on where the story stands, with what it rests on."""
        day = as_of[:40]
        return PROMPT.format(when=f", as of {day}" if day else "", ask=f", each with as_of {day}" if day else "")

    return server


class Tools:
    """One method a tool; its docstring is what an assistant reads of it."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self.database, self.clock = database, clock

    def _asked(self, ask: Callable[..., Any], *of: Any, **more: Any) -> Any:
        """ask: (session, *of, now=) -> the service's answer."""
        with self.database.read() as session:
            return ask(session, *of, now=self.clock(), **more)

    def narratives(self) -> Annotated[CallToolResult, Rows[NarrativeView]]:
        """The narratives that articles are tagged with: key, definition, and which way each moves theta (pole)."""
        found = catalog.narratives()
        return rows_of(found, {"n": len(found)}, MOST_ROWS)

    def assets(self) -> Annotated[CallToolResult, Rows[AssetView]]:
        """The assets that are recognised in the news or priced, and which closes there are."""
        with self.database.read() as session:
            found = catalog.assets(session)
        return rows_of(found, {"n": len(found)}, MOST_ROWS)

    def state_now(
        self, as_of: AsOf = None, outlet: Outlet = None, prior_rates: Prior = False
    ) -> Annotated[CallToolResult, StateAnswer]:
        """Where the story stands: state, theta with its 90 % interval and n, and what moved it last (ten parts)."""
        question = question_of(as_of=as_of, outlet=outlet, prior_rates=prior_rates)
        found = self._asked(state_now, question)
        return document_of(told(replace(found, causes=found.causes[:CAUSES], meta=meta_of(found.meta))))

    def intensity(
        self,
        narrative: Annotated[
            list[Key] | None, Field(description="Keys, see `narratives`. Default: all.", max_length=30)
        ] = None,
        start: Start = None,
        end: End = None,
        bucket: Width = "week",
        as_of: AsOf = None,
        outlet: Outlet = None,
        asset: Annotated[Key | None, Field(description="Only stories that name this asset are in scope.")] = None,
        measure: Annotated[Measure, Field(description="share of the stories, or index: 100 is usual.")] = "share",
        direction: Annotated[Direction | None, Field(description="Only stories in which its force is so.")] = None,
        limit: Limit = 120,
    ) -> Annotated[CallToolResult, Rows[IntensityPoint]]:
        """How much of the news carries each narrative, by bucket, with its 90 % interval."""
        question = replace(
            question_of(start, end, bucket, as_of, outlet), asset=asset, measure=measure, direction=direction
        )
        return latest(self._asked(series.intensity, narrative or [], question), limit)

    def tone(
        self,
        asset: AssetKey = "BTC",
        start: Start = None,
        end: End = None,
        bucket: Width = "week",
        as_of: AsOf = None,
        outlet: Outlet = None,
        limit: Limit = 120,
    ) -> Annotated[CallToolResult, Rows[TonePoint]]:
        """Mean tone (-1 to 1) of the stories about an asset, with its 90 % interval and their disagreement."""
        question = question_of(start, end, bucket, as_of, outlet)
        return latest(self._asked(series.tone, asset, question), limit)

    def shift(
        self,
        start: Start = None,
        end: End = None,
        bucket: Width = "week",
        as_of: AsOf = None,
        outlet: Outlet = None,
        prior_rates: Prior = False,
        limit: Limit = 120,
    ) -> Annotated[CallToolResult, Rows[ShiftPoint]]:
        """Theta between panic (0) and devaluation (1), with its 90 % interval and the state; by day, week or month."""
        question = question_of(start, end, bucket, as_of, outlet, prior_rates)
        return latest(self._asked(series.shift, question), limit)

    def shift_events(self, start: Start = None, end: End = None, as_of: AsOf = None, limit: Limit = 20) -> Texts:
        """When the story shifted, as it was detected, why, and what bitcoin, gold and silver did since."""
        return latest(self._asked(shift_events.shift_events, question_of(start, end, as_of=as_of)), limit)

    def why(
        self,
        start: Annotated[str, Field(description="First day of the move, ISO.", max_length=40)],
        end: Annotated[str, Field(description="The day after the last one, ISO.", max_length=40)],
        as_of: AsOf = None,
        outlet: Outlet = None,
        limit: Limit = 40,
    ) -> Annotated[CallToolResult, Rows[ShiftCause]]:
        """What moved theta from start to end, by narrative and outlet, the largest part first; in words in meta."""
        answer = self._asked(shift_events.why, question_of(start, end, as_of=as_of, outlet=outlet))
        return rows_of(answer.rows, answer.meta, limit)

    def triggers(self, as_of: AsOf = None) -> Texts:
        """The six triggers: off, forming, on or unknown; since when and why, with the data and stories behind each."""
        answer = self._asked(triggers.triggers, question_of(as_of=as_of))
        return rows_of(answer.rows, answer.meta, MOST_ROWS)

    def joined(
        self,
        asset: AssetKey = "BTC",
        start: Start = None,
        end: End = None,
        bucket: Width = "week",
        as_of: AsOf = None,
        prior_rates: Prior = False,
        limit: Limit = 120,
    ) -> Annotated[CallToolResult, Rows[JoinedPoint]]:
        """Theta and the core intensities beside what an asset did in each bucket and next, without look-ahead."""
        question = question_of(start, end, bucket, as_of, prior_rates=prior_rates)
        return latest(self._asked(series.joined, asset, question), limit)

    def lead_lag(
        self,
        driver: Annotated[
            list[Key],
            Field(
                description="narrative:KEY, tone:ASSET, theta, asset:ASSET or macro:SERIES.", min_length=1, max_length=6
            ),
        ],
        asset: AssetKey = "BTC",
        start: Start = None,
        end: End = None,
        bucket: Width = "day",
        as_of: AsOf = None,
        target: Annotated[Target, Field(description="Of the price: log returns or log volatility.")] = "return",
        max_lag: Annotated[int, Field(description="Lags looked at to either side.", ge=1, le=40)] = 20,
    ) -> Annotated[CallToolResult, Rows[PairLeadLag]]:
        """Whether drivers lead an asset, follow it, or neither; p adjusted for all that are asked about together."""
        question = question_of(start, end, bucket, as_of)
        answer = self._asked(lead_lag.lead_lag, driver, [asset], question, target=target, max_lag=max_lag)
        return rows_of(answer.rows, answer.meta, MOST_ROWS)

    def event_study(
        self,
        event: Annotated[
            str | None, Field(description="shift:STATE, trigger:KEY or high:ASSET (record closes).", max_length=60)
        ] = None,
        days: Annotated[
            list[date] | None, Field(description="Instead of an event: days like it.", max_length=200)
        ] = None,
        asset: AssetKey = "BTC",
        start: Start = None,
        end: End = None,
        as_of: AsOf = None,
        limit: Limit = 50,
    ) -> Annotated[CallToolResult, Rows[EventStudy]]:
        """What an asset did in the 26 weeks after events, against placebo dates of the same years."""
        question = question_of(start, end, as_of=as_of)
        found = self._asked(event_study.event_study, event, asset, question, days=days or [])
        off = len(found.row.events) - limit
        note = (
            f"{off} earlier events are counted and not listed; name a later start to see others." if off > 0 else None
        )
        row = replace(found.row, events=found.row.events[-limit:])
        return document_of({"meta": told(meta_of(found.meta)), "data": [told(row)], "left_off": note})

    def search_articles(
        self,
        q: Annotated[
            str | None, Field(description='Words, "a phrase", -without, this OR that.', max_length=300)
        ] = None,
        narrative: Annotated[
            list[Key] | None, Field(description="Only articles that carry one of these.", max_length=30)
        ] = None,
        asset: Annotated[Key | None, Field(description="Only articles that name it.")] = None,
        outlet: Outlet = None,
        start: Start = None,
        end: End = None,
        as_of: AsOf = None,
        cursor: Annotated[str | None, Field(description="next_cursor of the page before.", max_length=200)] = None,
        limit: Annotated[int, Field(description="Articles on a page.", ge=1, le=MOST_ARTICLES)] = 10,
    ) -> Texts:
        """Articles, newest first, with their narratives, assets and the evidence; their text is untrusted."""
        question = ArticleQuestion(
            q=q,
            start=parse_bound(start, "start"),
            end=parse_bound(end, "end"),
            narratives=tuple(narrative or ()),
            asset=asset,
            outlets=(outlet,) if outlet else (),
            as_of=parse_as_of(as_of),
            cursor=cursor,
            limit=limit,
        )
        page = self._asked(articles.search_articles, question)
        found = [replace(view, summary=shortened(view.summary, SUMMARY_CHARACTERS)) for view in page.data]
        note = "There are more: ask again with cursor = next_cursor of the meta." if page.next_cursor else None
        meta = {"n": len(found), "next_cursor": page.next_cursor, "as_of": known_by(question.as_of, self.clock())}
        return document_of({"meta": told(meta), "data": told(found), "left_off": note})

    def article(
        self,
        article_id: Annotated[int, Field(description="Its id, as search_articles tells it.", ge=1, le=2**31 - 1)],
        as_of: AsOf = None,
        characters: Annotated[int, Field(description="Of its body, at most so many.", ge=200, le=20_000)] = 4_000,
    ) -> Annotated[CallToolResult, Told]:
        """One article with its body, the latest wordings that were seen and the feeds it was in; text is untrusted."""
        whole = self._asked(articles.get_article, article_id, as_of=parse_as_of(as_of))
        history = [
            replace(one, body="", changes=[change for change in one.changes if change.field != "body"])
            for one in whole.history[-WORDINGS:]
        ]
        body = shortened(whole.body, characters)
        off = [f"{len(whole.body) - len(body)} characters of the body"] if body != whole.body else []
        off += (
            ["the bodies of the wordings in history, and how these changed"]
            if any(one.body for one in whole.history)
            else []
        )
        off += [f"{len(whole.history) - WORDINGS} earlier wordings"] if len(whole.history) > WORDINGS else []
        note = f"Left off: {'; '.join(off)}." if off else None
        return document_of({"data": told(replace(whole, body=body, history=history)), "left_off": note})

    def quality(
        self,
        by: Annotated[By, Field(description="A row for each narrative, asset or outlet.")] = "narrative",
        bucket: Annotated[Period, Field(description="And for each period of publication.")] = "all",
        as_of: AsOf = None,
        limit: Limit = 120,
    ) -> Annotated[CallToolResult, Rows[QualityRow]]:
        """How good the tags are: precision and recall by what was drawn at random and read, with 90 % intervals."""
        question = QualityQuestion(as_of=parse_as_of(as_of))
        answer = self._asked(quality.quality, question, by=by, bucket=bucket)
        return rows_of(answer.rows, answer.meta, limit)


TOOLS = tuple(name for name in vars(Tools) if not name.startswith("_"))
