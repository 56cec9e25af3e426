"""How good the tags are, over HTTP: each table as JSON, CSV or Parquet."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from api.routes.articles import NO_KEY
from api.routes.review import Reviewer
from api.routes.series import respond
from api.schemas import AsOf, ErrorAnswer, SeriesAnswer, Tagger
from config.definitions import live_tagger_name
from models.derived import AgreementRow, CalibrationRow, ConfusionRow, QualityRow
from services import quality as quality_service
from services.answers import Format
from services.instants import parse_as_of
from services.quality import By, Period, Progress, QualityQuestion

router = APIRouter(prefix="/v1", tags=["review"], responses={422: {"model": ErrorAnswer}, 503: {"model": ErrorAnswer}})
FormatAsked = Annotated[Format | None, Query(alias="format", description="json, csv or parquet.")]


def _question(as_of: AsOf = None, tagger: Tagger = None) -> QualityQuestion:
    return QualityQuestion(tagger=tagger or live_tagger_name(), as_of=parse_as_of(as_of))


Asked = Annotated[QualityQuestion, Depends(_question)]


@router.get("/quality", response_model=SeriesAnswer[QualityRow])
def quality(
    request: Request,
    question: Asked,
    by: Annotated[By, Query(description="A row for each narrative, asset or outlet.")] = "narrative",
    bucket: Annotated[Period, Query(description="And for each period of publication; all: taken together.")] = "all",
    form: FormatAsked = None,
) -> Response:
    """Precision and recall by what was drawn at random and read, with 90 % intervals."""
    return respond(
        request, lambda session, now: quality_service.quality(session, question, by=by, bucket=bucket, now=now), form
    )


@router.get("/quality/calibration", response_model=SeriesAnswer[CalibrationRow])
def calibration(
    request: Request,
    question: Asked,
    narrative: Annotated[list[str] | None, Query(description="One or more keys; all if none is given.")] = None,
    form: FormatAsked = None,
) -> Response:
    """The tagger's scores against what is so, among what was drawn at random and read."""
    return respond(
        request, lambda session, now: quality_service.calibration(session, question, narrative or [], now=now), form
    )


@router.get("/quality/confusions", response_model=SeriesAnswer[ConfusionRow])
def confusions(request: Request, question: Asked, form: FormatAsked = None) -> Response:
    """Where the tagger and what reviewers say differ, the most frequent first; CSV and Parquet without examples."""
    return respond(request, lambda session, now: quality_service.confusions(session, question, now=now), form)


@router.get("/quality/agreement", response_model=SeriesAnswer[AgreementRow])
def agreement(request: Request, as_of: AsOf = None, form: FormatAsked = None) -> Response:
    """Krippendorff's alpha of reviewers who read the same texts, each without seeing what the other said."""
    return respond(
        request, lambda session, now: quality_service.reviewers_agree(session, as_of=parse_as_of(as_of), now=now), form
    )


@router.get("/review/progress", responses=NO_KEY)
def progress(request: Request, who: Reviewer) -> Progress:
    """How much was reviewed, and what that has bought so far."""
    with request.app.state.database.read() as session:
        return quality_service.progress(session, who, now=request.app.state.clock())
