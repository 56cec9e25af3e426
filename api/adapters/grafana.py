"""What a chart of Grafana is annotated with; its panels read the series as they are. docs/grafana.md."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.routes.series import respond
from api.schemas import AsOf, End, ErrorAnswer, SeriesAnswer, Tagger
from config.definitions import live_tagger_name
from services import annotations as annotation_service
from services.annotations import KINDS, Annotation, Kind
from services.answers import Format
from services.instants import parse_as_of, parse_bound
from services.series import Question

router = APIRouter(prefix="/v1", tags=["series"], responses={422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}})


@router.get("/annotations", response_model=SeriesAnswer[Annotation])
def annotations(
    request: Request,
    start: Annotated[str | None, Query(description="First instant, by `time`. Default: from the first on.")] = None,
    end: End = None,
    as_of: AsOf = None,
    tagger: Tagger = None,
    kind: Annotated[Kind | None, Query(description="Only shifts of the story, or only changes of triggers.")] = None,
    form: Annotated[Format | None, Query(alias="format", description="json, csv or parquet.")] = None,
) -> Response:
    """Dated remarks for a chart: when the story shifted and when triggers changed, each from when it could be known."""
    question = Question(
        start=parse_bound(start, "start"),
        end=parse_bound(end, "end"),
        as_of=parse_as_of(as_of),
        tagger=tagger or live_tagger_name(),
    )
    kinds = (kind,) if kind else KINDS
    return respond(
        request, lambda session, now: annotation_service.annotations(session, question, kinds, now=now), form
    )
