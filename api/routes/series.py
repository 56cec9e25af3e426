"""Series: intensity, shift, prices, joined - each as JSON, CSV or Parquet, with an ETag over its rows."""

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Query, Request, Response
from sqlmodel import Session

from analysis.lead_lag import Target
from api.remembered import Moment, Written
from api.schemas import (
    AsOf,
    ErrorAnswer,
    IntensityParameters,
    QuestionParameters,
    SeriesAnswer,
    SeriesParameters,
    Tagger,
)
from config.definitions import live_tagger_name
from models.derived import (
    EventStudy,
    IntensityPoint,
    JoinedPoint,
    PairLeadLag,
    PricePoint,
    ShiftCause,
    ShiftEvent,
    ShiftPoint,
    ShiftSpell,
    TonePoint,
    TriggerState,
)
from services import event_study as event_study_service
from services import lead_lag as lead_lag_service
from services import series
from services import shift_events as events
from services import triggers as trigger_service
from services.answers import MEDIA_TYPES, Answer, Format, json_of, json_rows, write
from services.instants import parse_as_of
from services.series import Question

router = APIRouter(prefix="/v1", tags=["series"], responses={422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}})
Parameters = Annotated[SeriesParameters, Depends()]
PairsAnswer = SeriesAnswer[PairLeadLag]
EventsAnswer = SeriesAnswer[EventStudy]


@router.get("/intensity", response_model=SeriesAnswer[IntensityPoint])
def intensity(
    request: Request,
    parameters: Annotated[IntensityParameters, Depends()],
    narrative: Annotated[list[str] | None, Query(description="One or more keys; all if none is given.")] = None,
) -> Response:
    """How much of the news carries each narrative, as a share of stories or as an index, with its 90 % interval."""
    beside = parameters.beside == "keywords"
    question = parameters.question()
    return respond(
        request,
        lambda session, now: series.intensity(session, narrative or [], question, now=now, beside_keywords=beside),
        parameters.format,
    )


@router.get("/tone", response_model=SeriesAnswer[TonePoint])
def tone(
    request: Request,
    parameters: Parameters,
    asset: Annotated[str, Query(description="Of which asset.")] = "BTC",
) -> Response:
    """Mean tone of the stories about an asset, with its 90 % interval and their disagreement."""
    return _answered(request, parameters, series.tone, asset)


@router.get("/shift", response_model=SeriesAnswer[ShiftPoint])
def shift(request: Request, parameters: Parameters) -> Response:
    """θ between panic (0) and devaluation (1), with its interval and the state of the story."""
    return _answered(request, parameters, series.shift)


@router.get("/shift/events", response_model=SeriesAnswer[ShiftEvent])
def shift_events(request: Request, parameters: Parameters) -> Response:
    """When the story shifted, as it was detected, and what lay behind it; all shifts if no start is named."""
    return _answered(request, parameters, events.shift_events)


@router.get("/shift/why", response_model=SeriesAnswer[ShiftCause])
def why(request: Request, parameters: Parameters) -> Response:
    """What moved θ from the day before `start` to the last day before `end`, by narrative and outlet."""
    return _answered(request, parameters, events.why)


@router.get("/shift/history", response_model=SeriesAnswer[ShiftSpell])
def shift_history(request: Request, parameters: Parameters) -> Response:
    """The record cut into spells, in hindsight: for looking back, never for testing."""
    return _answered(request, parameters, events.shift_history)


@router.get("/prices/{asset}", response_model=SeriesAnswer[PricePoint])
def prices(request: Request, parameters: Parameters, asset: str) -> Response:
    """Closes of an asset, by the day or, with bucket=hour, by the hour: when each was struck and when it was known."""
    return _answered(request, parameters, series.prices, asset)


@router.get("/joined", response_model=SeriesAnswer[JoinedPoint])
def joined(
    request: Request,
    parameters: Parameters,
    asset: Annotated[str, Query(description="Whose returns stand beside the story.")] = "BTC",
) -> Response:
    """θ and the core intensities beside what an asset did in each bucket and next, without look-ahead."""
    return _answered(request, parameters, series.joined, asset)


@router.get("/lead-lag", response_model=PairsAnswer)
def lead_lag(
    request: Request,
    parameters: Annotated[QuestionParameters, Depends()],
    driver: Annotated[list[str], Query(description="narrative:KEY, tone:ASSET, theta, asset:ASSET or macro:SERIES.")],
    asset: Annotated[list[str] | None, Query(description="Which assets. Default: BTC.")] = None,
    target: Annotated[Target, Query(description="Of the price: log returns or log volatility.")] = "return",
    max_lag: Annotated[int, Query(description="Lags looked at to either side, at most a quarter of n.")] = 20,
    seed: Annotated[int, Query(description="Of the surrogates.")] = 0,
) -> Response:
    """Whether drivers lead assets, follow them, or neither; p adjusted for all pairs that are asked about together.

    Answered as JSON only: each pair holds its lags."""
    question = parameters.question()

    def ask(session: Session, now: datetime) -> Answer:
        found = lead_lag_service.lead_lag(
            session, driver, asset or ["BTC"], question, target=target, max_lag=max_lag, seed=seed, now=now
        )
        return Answer(PairLeadLag, found.rows, found.meta)

    return respond(request, ask, "json")


@router.get("/triggers", response_model=SeriesAnswer[TriggerState])
def triggers(
    request: Request,
    as_of: AsOf = None,
    tagger: Tagger = None,
    form: Annotated[
        Format | None, Query(alias="format", description="json; csv or parquet without data and stories.")
    ] = None,
) -> Response:
    """The six triggers: off, forming, on or unknown; since when, why, with the data and the stories behind each."""
    question = Question(as_of=parse_as_of(as_of), tagger=tagger or live_tagger_name())
    return respond(request, lambda session, now: trigger_service.triggers(session, question, now=now), form)


@router.get("/event-study", response_model=EventsAnswer)
def event_study(
    request: Request,
    parameters: Parameters,
    event: Annotated[
        str | None, Query(description="shift:STATE, trigger:KEY (it turns on) or high:ASSET (record closes).")
    ] = None,
    day: Annotated[list[date] | None, Query(alias="date", description="Instead of an event: days like it.")] = None,
    asset: Annotated[str, Query(description="Whose returns are looked at.")] = "BTC",
    seed: Annotated[int, Query(description="Of the placebo dates.", ge=0)] = 0,
) -> Response:
    """What an asset does in the 26 weeks after events, against placebo dates of the same years.

    JSON: one row, with its weeks and events; CSV and Parquet: the weeks.
    """
    question, form = parameters.question(), parameters.format or accepted(request)

    def ask(session: Session, now: datetime) -> Answer:
        found = event_study_service.event_study(session, event, asset, question, days=day or [], seed=seed, now=now)
        return Answer(EventStudy, [found.row], found.meta) if form == "json" else found.table()

    return respond(request, ask, form)


def _answered(request: Request, parameters: SeriesParameters, ask: Callable[..., Answer], *of: str) -> Response:
    """ask: (session, *of, question, now=) -> Answer."""
    question = parameters.question()
    return respond(request, lambda session, now: ask(session, *of, question, now=now), parameters.format)


def respond(request: Request, ask: Callable[[Session, datetime], Answer], form: Format | None) -> Response:
    """In the format named, or accepted; with an ETag over the rows and what they rest on."""
    form = form or accepted(request)

    def work_out(session: Session, now: datetime) -> Written:
        answer = ask(session, now)
        rows = json_rows(answer)
        told = repr({name: value for name, value in answer.meta.items() if name != "as_of"}).encode()
        body = json_of(answer, rows) if form == "json" else write(answer, form)
        return Written(etag_of(form, rows + told), body)

    return once(request, form, work_out)


def once(request: Request, form: Format, work_out: Callable[[Session, datetime], Written]) -> Response:
    """What is remembered for this question, or is worked out now; 304 without it where the client has it already."""
    state = request.app.state

    def ask(moment: Moment) -> Written:
        with state.database.read() as session:
            session.info["read"] = moment.read
            # who names an instant may name the present one, which lies after the moment's
            return work_out(session, state.clock() if "as_of" in request.query_params else moment.now)

    written = state.remembered.get((request.url.path, request.url.query, form), ask)
    headers = {"ETag": written.etag, "Cache-Control": "private, no-cache", "Vary": "Accept", **written.headers}
    if written.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(written.body, media_type=MEDIA_TYPES[form], headers=headers)


def etag_of(form: Format, content: bytes) -> str:
    return f'"{hashlib.sha256(form.encode() + content).hexdigest()[:32]}"'


def accepted(request: Request) -> Format:
    """The first format that the Accept header names; JSON where it names none, or JSON too."""
    accept = request.headers.get("accept", "")
    named = [form for form in get_args(Format) if MEDIA_TYPES[form].split(";")[0] in accept]
    return "json" if not named or "json" in named else named[0]
