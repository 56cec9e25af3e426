"""What OpenBB Workspace reads: its two files, and its widgets' answers in the shapes it documents. docs/openbb.md.

The Workspace is a page of another origin, so the browser asks whether it may read: only what it reads is opened, to it
alone, and without the browser's cookies. widgets.json describes these routes; /openapi.json leaves them out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api.adapters.untrusted import as_markdown, visible
from api.adapters.widgets import APPS, READ, WIDGETS
from config import definitions
from config.definitions import CORE_NARRATIVES
from models.derived import PairLeadLag
from services import articles, catalog, lead_lag, series, shift_events
from services import triggers as trigger_service
from services.answers import Answer, plain
from services.articles import ArticleQuestion, ArticleView
from services.instants import parse_as_of, parse_bound
from services.now import StateNow, state_now
from services.series import Question

router = APIRouter(include_in_schema=False)
ORIGINS = ("https://pro.openbb.co", "https://pro.openbb.dev", "http://localhost:1420")
"""The Workspace, its preview, and its desktop application."""
Rows = list[dict[str, Any]]
Told = TypeVar("Told")
HUES = {"calm": "#8593a3", "panic": "#d9534a", "transition": "#d6981f", "devaluation": "#8b6fe0"}
LINES = ("#d9534a", "#8b6fe0", "#3d8b63", "#d6981f", "#4a90d9", "#8593a3", "#c060a0", "#6aa84f", "#a0522d")
Theme = Annotated[str, Query(description="dark or light: as the Workspace is.")]
Raw = Annotated[bool, Query(description="The rows instead of the picture of them.")]


class Cors(CORSMiddleware):
    """Lets the Workspace read what it reads; to all else, and to everybody else, it is as if it were not there."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, allow_origins=ORIGINS, allow_headers=("Authorization",), allow_private_network=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        meant = scope["type"] == "http" and scope["path"] in READ
        if meant and Headers(scope=scope).get("origin", "") in self.allow_origins:
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class Metric(BaseModel):
    label: str
    value: str
    delta: str | None = None
    subvalue: str | None = None


class Option(BaseModel):
    label: str
    value: str


class News(BaseModel):
    title: str
    date: str
    author: str
    excerpt: str
    body: str


@dataclass
class Asked:
    """What the Workspace's date pickers and drop-downs ask; one that is left empty asks nothing."""

    start: Annotated[str | None, Query(description="First day. Default: a year before the end.")] = None
    end: Annotated[str | None, Query(description="The day after the last. Default: after the latest story.")] = None
    bucket: Annotated[Literal["day", "week", "month"], Query(description="Width of a bucket.")] = "day"
    as_of: Annotated[str | None, Query(description="Answer as it was known at the end of that day.")] = None

    def question(self) -> Question:
        start, end = parse_bound(self.start or None, "start"), parse_bound(self.end or None, "end")
        return Question(start=start, end=end, bucket=self.bucket, as_of=parse_as_of(self.as_of or None))


Parameters = Annotated[Asked, Depends()]


@router.get("/widgets.json")
def widgets() -> dict[str, dict[str, Any]]:
    """The widgets that OpenBB Workspace can show."""
    return WIDGETS


@router.get("/apps.json")
def apps() -> Rows:
    """One app for OpenBB Workspace, with all widgets laid out on three tabs."""
    return APPS


@router.get("/openbb/assets")
def assets(request: Request) -> list[Option]:
    """The assets that can be chosen: those with closes, then those that only the news names."""
    with request.app.state.database.read() as session:
        found = [view for view in catalog.assets(session) if view.n_bars or view.mentioned]
    found.sort(key=lambda view: not view.n_bars)
    return [Option(label=f"{view.asset} · {view.name}", value=view.asset) for view in found]


@router.get("/openbb/narratives")
def narratives() -> list[Option]:
    """The narratives that can be chosen."""
    return [Option(label=view.name, value=view.narrative) for view in catalog.narratives()]


@router.get("/openbb/now", response_model_exclude_none=True)
def now(request: Request, asked: Parameters) -> list[Metric]:
    """The state of the story and θ, each with what it rests on, and what moved θ last."""
    return _metrics(_answered(request, asked, state_now))


@router.get("/openbb/shift", response_model=None)
def shift(request: Request, asked: Parameters, theme: Theme = "dark", raw: Raw = False) -> dict[str, Any] | Rows:
    """θ with its 90 % band, points in the colour of the state: a figure of Plotly."""
    rows = flat(_answered(request, asked, series.shift))
    return rows if raw else _figure(_theta(rows), theme, "θ: 0 panic, 1 devaluation", {"range": [0, 1]})


@router.get("/openbb/intensity", response_model=None)
def intensity(
    request: Request,
    asked: Parameters,
    narrative: Annotated[str | None, Query(description="Its key. Default: the core narratives.")] = None,
    theme: Theme = "dark",
    raw: Raw = False,
) -> dict[str, Any] | Rows:
    """The share of the stories that carry each narrative: a figure of Plotly."""
    core = [key for key in CORE_NARRATIVES if key in definitions.narratives()]
    rows = flat(_answered(request, asked, series.intensity, [narrative] if narrative else core))
    return rows if raw else _figure(_shares(rows), theme, "share of the stories", {"rangemode": "tozero"})


@router.get("/openbb/triggers")
def triggers(request: Request, asked: Parameters) -> Rows:
    """The six triggers, without the data and stories behind them."""
    return flat(_answered(request, asked, trigger_service.triggers))


@router.get("/openbb/shift-events")
def events(request: Request, asked: Parameters) -> Rows:
    """When the story shifted, the latest first; all shifts if no start is named."""
    return flat(_answered(request, asked, shift_events.shift_events))[::-1]


@router.get("/openbb/lead-lag")
def leads(
    request: Request, asked: Parameters, asset: Annotated[str, Query(description="Whose returns.")] = "BTC"
) -> Rows:
    """θ and the core narratives beside an asset's returns, one row each; where nothing can be told, why."""
    drivers = ["theta", *(f"narrative:{key}" for key in CORE_NARRATIVES if key in definitions.narratives())]
    answer = _answered(request, asked, lead_lag.lead_lag, drivers, [asset])
    untold = dict.fromkeys(("p_adjusted", "peak_lag", "estimate", "low", "high", "n"))
    left_out = [
        {"driver": one.driver, "verdict": "unknown"} | untold | {"sentence": one.why} for one in answer.meta["left_out"]
    ]
    return [_pair(pair) for pair in answer.rows] + left_out


@router.get("/openbb/articles")
def newsfeed(
    request: Request,
    asked: Parameters,
    narrative: Annotated[str | None, Query(description="Only articles that carry it.")] = None,
    limit: Annotated[int, Query(description="At most so many, 1 to 200.")] = 30,
) -> list[News]:
    """The latest articles. Bodies are Markdown, in which a publisher's text shows as just that text."""
    question, state = asked.question(), request.app.state
    wanted = ArticleQuestion(
        start=question.start,
        end=question.end,
        as_of=question.as_of,
        narratives=(narrative,) if narrative else (),
        limit=limit,
    )
    with state.database.read() as session:
        return [_news(view) for view in articles.search_articles(session, wanted, now=state.clock()).data]


def flat(answer: Answer) -> Rows:
    """The rows without lists, as a table needs them."""
    return [{name: value for name, value in row.items() if not isinstance(value, list)} for row in answer.records()]


def _answered(request: Request, asked: Asked, ask: Callable[..., Told], *of: Any) -> Told:
    """ask: (session, *of, question, now=)."""
    state = request.app.state
    with state.database.read() as session:
        return ask(session, *of, asked.question(), now=state.clock())


def _metrics(told: StateNow) -> list[Metric]:
    point, before = told.point, told.before
    day = f"{point.bucket_start:%Y-%m-%d}" + (", open" if point.open else "")
    if point.index is None:
        theta = Metric(label="θ", value="unknown", subvalue=f"{point.progress:.0%} of the history it needs")
    else:
        change = None if before is None or before.index is None else f"{point.index - before.index:+.2f}"
        band = f"90 %: {point.low:.2f} to {point.high:.2f}"
        theta = Metric(label="θ (0 panic, 1 devaluation)", value=f"{point.index:.2f}", delta=change, subvalue=band)
    chance = "unknown" if point.p_devaluation is None else f"{point.p_devaluation:.0%}"
    return [
        Metric(label="State", value=point.state.replace("_", " "), subvalue=day),
        theta,
        Metric(label="P(θ > 0.5)", value=chance),
        Metric(label="Stories", value=str(point.n_stories), subvalue="few: thin" if point.thin else "that day"),
        Metric(label="What moved it", value=_moved(told), subvalue=told.sentence),
    ]


def _moved(told: StateNow) -> str:
    changes = [(cause.narrative, cause.change) for cause in told.causes]
    moved = {name: sum(change for key, change in changes if key == name) for name, _ in changes}
    name = max(moved, key=lambda key: abs(moved[key]), default=None)
    return "unknown" if name is None else f"{name} {moved[name]:+.2f}"


def _theta(rows: Rows) -> Rows:
    days = [row["bucket_start"] for row in rows]
    edge = {"x": days, "type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    return [
        edge | {"y": [row["low"] for row in rows], "showlegend": False},
        edge
        | {"y": [row["high"] for row in rows], "name": "90 % band"}
        | {"fill": "tonexty", "fillcolor": "rgba(133, 147, 163, 0.25)"},
        {
            "x": days,
            "y": [row["index"] for row in rows],
            "type": "scatter",
            "mode": "lines+markers",
            "name": "θ",
            "line": {"width": 1.6, "color": HUES["calm"]},
            "marker": {"size": 5, "color": [HUES.get(row["state"], HUES["calm"]) for row in rows]},
            "customdata": [[row["state"], row["n_stories"], "thin" if row["thin"] else ""] for row in rows],
            "hovertemplate": "%{x|%Y-%m-%d}: θ %{y:.2f}, %{customdata[0]}, n = %{customdata[1]} %{customdata[2]}"
            "<extra></extra>",
        },
    ]


def _shares(rows: Rows) -> Rows:
    names = {view.narrative: view.name for view in catalog.narratives()}
    traces = []
    for place, key in enumerate(dict.fromkeys(row["narrative"] for row in rows)):
        own = [row for row in rows if row["narrative"] == key]
        traces.append(
            {
                "x": [row["bucket_start"] for row in own],
                "y": [row["intensity"] for row in own],
                "type": "scatter",
                "mode": "lines",
                "name": names[key],
                "line": {"width": 1.6, "color": LINES[place % len(LINES)]},
                "customdata": [[row["low"], row["high"], row["n_carrying"], row["n_stories"]] for row in own],
                "hovertemplate": "%{y:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%}), "
                "%{customdata[2]} of %{customdata[3]} stories",
            }
        )
    return traces


def _figure(traces: Rows, theme: str, title: str, axis: dict[str, Any]) -> dict[str, Any]:
    """Without a title of its own, which the widget has."""
    ink, paper, grid = ("#333333", "#ffffff", "#dddddd") if theme == "light" else ("#e8eaed", "#151518", "#333338")
    lines = {"gridcolor": grid, "zerolinecolor": grid}
    layout = {
        "paper_bgcolor": paper,
        "plot_bgcolor": paper,
        "font": {"color": ink},
        "margin": {"l": 50, "r": 20, "t": 20, "b": 40},
        "legend": {"orientation": "h", "y": 1.08},
        "hovermode": "x unified",
        "xaxis": lines,
        "yaxis": lines | {"title": {"text": title}} | axis,
    }
    return {"data": traces, "layout": layout}


def _pair(pair: PairLeadLag) -> dict[str, Any]:
    told = pair.lead_lag
    peak = next(lag for lag in told.lags if lag.lag == told.peak_lag)
    return {
        "driver": pair.driver,
        "verdict": pair.verdict,
        "p_adjusted": pair.p_adjusted,
        "peak_lag": told.peak_lag,
        "estimate": peak.estimate,
        "low": peak.low,
        "high": peak.high,
        "n": told.n,
        "sentence": told.sentence,
    }


def _news(view: ArticleView) -> News:
    if view.removed_at:
        title = text = "This text was taken down."
    else:
        title, text = visible(view.title), view.summary
    found = [one.narrative for one in view.narratives if one.label] + [one.asset for one in view.assets]
    body = (
        f"**{as_markdown(title)}**\n\n{as_markdown(text)}\n\nFound in it: {as_markdown(', '.join(found) or 'nothing')}"
    )
    source = f"\n\nSource: {as_markdown(view.url)}" if view.url else ""
    return News(
        title=title,
        date=plain(view.event_at),
        author=visible(view.outlet),
        excerpt=visible(text)[:300],
        body=body + source,
    )
