"""What can be said in a question, by the names of the API's own parameters. All but the subject can be left out."""

from datetime import date, datetime
from typing import Literal, TypedDict

Instant = str | date | datetime
"""A date, an aware datetime, or either as ISO text (2020-03-09, 2020-03-09T14:30:00Z)."""
Bucket = Literal["hour", "day", "week", "month"]
Direction = Literal["building", "fading", "neither"]
Weighting = Literal["story", "article"]


class Known(TypedDict, total=False):
    """As of when, and by whose tags."""

    as_of: Instant | None
    tagger: str | None


class Span(Known, total=False):
    start: Instant | None
    end: Instant | None


class SeriesQuestion(Span, total=False):
    """What every series takes."""

    bucket: Bucket
    outlet: str | None
    weighting: Weighting
    prior_rates: bool


class IntensityQuestion(SeriesQuestion, total=False):
    asset: str | None
    direction: Direction | None
    modality: Literal["actual", "expected"] | None
    measure: Literal["share", "index"]
    beside: Literal["keywords"] | None


class LeadLagQuestion(SeriesQuestion, total=False):
    target: Literal["return", "volatility"]
    max_lag: int
    seed: int


class EventStudyQuestion(SeriesQuestion, total=False):
    date: Instant | list[Instant] | None
    seed: int


class ArticlesQuestion(Span, total=False):
    q: str | None
    narrative: str | list[str] | None
    direction: Direction | None
    asset: str | None
    outlet: str | list[str] | None
    fold: bool


class QueueQuestion(TypedDict, total=False):
    slice: str | list[str]
    blind: bool
    limit: int
    search: str
    narrative: str
    article_id: int
    tagger: str | None
