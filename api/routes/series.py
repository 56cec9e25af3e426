"""Series: intensity, shift, prices, joined - each as JSON, CSV or Parquet, with an ETag over its rows."""

import hashlib
import json
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Query, Request, Response

from api.schemas import ErrorAnswer, SeriesAnswer, SeriesParameters
from models.derived import IntensityPoint, JoinedPoint, PricePoint, ShiftPoint
from services import series
from services.answers import MEDIA_TYPES, Answer, Format, write

router = APIRouter(prefix="/v1", tags=["series"], responses={422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}})
Parameters = Annotated[SeriesParameters, Depends()]


@router.get("/intensity", response_model=SeriesAnswer[IntensityPoint])
def intensity(
    request: Request,
    parameters: Parameters,
    narrative: Annotated[list[str] | None, Query(description="One or more keys; all if none is given.")] = None,
) -> Response:
    """Share of stories that carry each narrative, with its 90 % interval."""
    state = request.app.state
    with state.database.read() as session:
        answer = series.intensity(session, narrative or [], parameters.question(), now=state.clock())
    return _respond(request, answer, parameters.format)


@router.get("/shift", response_model=SeriesAnswer[ShiftPoint])
def shift(request: Request, parameters: Parameters) -> Response:
    """θ between panic (0) and devaluation (1), with its interval and the state of the story."""
    state = request.app.state
    with state.database.read() as session:
        answer = series.shift(session, parameters.question(), now=state.clock())
    return _respond(request, answer, parameters.format)


@router.get("/prices/{asset}", response_model=SeriesAnswer[PricePoint])
def prices(request: Request, parameters: Parameters, asset: str) -> Response:
    """Closes of an asset, by the day or, with bucket=hour, by the hour: when each was struck and when it was known."""
    state = request.app.state
    with state.database.read() as session:
        answer = series.prices(session, asset, parameters.question(), now=state.clock())
    return _respond(request, answer, parameters.format)


@router.get("/joined", response_model=SeriesAnswer[JoinedPoint])
def joined(
    request: Request,
    parameters: Parameters,
    asset: Annotated[str, Query(description="Whose returns stand beside the story.")] = "BTC",
) -> Response:
    """θ and the core intensities beside what an asset did in each bucket and next, without look-ahead."""
    state = request.app.state
    with state.database.read() as session:
        answer = series.joined(session, asset, parameters.question(), now=state.clock())
    return _respond(request, answer, parameters.format)


def _respond(request: Request, answer: Answer, form: Format | None) -> Response:
    form = form or _accepted(request.headers.get("accept", ""))
    rows = json.dumps(answer.records()).encode()
    etag = f'"{hashlib.sha256(form.encode() + rows).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(write(answer, form), media_type=MEDIA_TYPES[form], headers=headers)


def _accepted(accept: str) -> Format:
    """The first format that is named; JSON where none is, or JSON is named too."""
    named = [form for form in get_args(Format) if MEDIA_TYPES[form].split(";")[0] in accept]
    return "json" if not named or "json" in named else named[0]
