"""Shapes of answers that are not rows of a derived type, and the common parameters of every series."""

from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Query
from pydantic import BaseModel

from analysis.buckets import Bucket
from analysis.intensity import Measure, Weighting
from config.definitions import live_tagger_name
from services.answers import Format
from services.instants import parse_as_of, parse_bound
from services.series import Direction, Modality, Question

Row = TypeVar("Row")
Start = Annotated[
    str | None, Query(description="First instant, ISO date or instant (UTC). Default: a year before end.")
]
End = Annotated[str | None, Query(description="End, exclusive. Default: just after the latest story.")]
AsOf = Annotated[str | None, Query(description="Answer as it was known then; a date means the end of that day.")]
Tagger = Annotated[str | None, Query(description="Whose tags are counted, as name@revision. Default: the live one.")]


class SeriesAnswer(BaseModel, Generic[Row]):
    """A series: what it rests on, and its rows."""

    meta: dict[str, Any]
    data: list[Row]


class ErrorAnswer(BaseModel):
    error: str
    detail: str


class Listed(BaseModel, Generic[Row]):
    data: list[Row]


@dataclass
class QuestionParameters:
    """start, end, bucket, as_of, tagger, outlet, weighting: what every series and statement is asked."""

    start: Start = None
    end: End = None
    bucket: Annotated[Bucket, Query(description="Width of a bucket, aligned to UTC; weeks begin on Monday.")] = "day"
    as_of: AsOf = None
    tagger: Tagger = None
    outlet: Annotated[str | None, Query(description="Only this outlet's articles.")] = None
    weighting: Annotated[Weighting, Query(description="story: copies count once; article: each counts.")] = "story"
    prior_rates: Annotated[
        bool, Query(description="Let θ start from the usual rates of archives while the record has none of its own.")
    ] = False

    def question(self) -> Question:
        return Question(
            start=parse_bound(self.start, "start"),
            end=parse_bound(self.end, "end"),
            bucket=self.bucket,
            as_of=parse_as_of(self.as_of),
            tagger=self.tagger or live_tagger_name(),
            outlet=self.outlet,
            weighting=self.weighting,
            prior_rates=self.prior_rates,
        )


@dataclass
class SeriesParameters(QuestionParameters):
    """What every series is asked, and how it is written."""

    format: Annotated[Format | None, Query(description="json, csv or parquet; or by the Accept header.")] = None


@dataclass
class IntensityParameters(SeriesParameters):
    """What an intensity is asked besides."""

    measure: Annotated[
        Measure,
        Query(
            description="share: of the stories; index: by outlet against its usual share and its swings, 100 is usual."
        ),
    ] = "share"
    direction: Annotated[Direction | None, Query(description="Count only stories whose direction this is.")] = None
    modality: Annotated[
        Modality | None, Query(description="Count only easing that is actual, or expected; with narrative=liquidity.")
    ] = None
    asset: Annotated[str | None, Query(description="Only stories that name this asset are in scope.")] = None
    beside: Annotated[
        Literal["keywords"] | None,
        Query(description="The same numbers by keywords@1 beside those of one narrative, and the correlation of both."),
    ] = None

    def question(self) -> Question:
        return replace(
            super().question(),
            measure=self.measure,
            direction=self.direction,
            modality=self.modality,
            asset=self.asset,
        )
