"""What we conclude: one row type per statement. The same rows feed the command line, HTTP and the page.

None means "not known", never 0. Instants are aware UTC; buckets are half-open and named by their start.
"""

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class IntensityPoint:
    """How much of the bucket's news carries the narrative: the share of its stories, in [0, 1], or that share against
    the usual, 100 (measure=index), with a 90 % interval."""

    bucket_start: datetime
    narrative: str
    intensity: float | None
    low: float | None
    high: float | None
    n_articles: int
    n_stories: int
    n_carrying: int
    """Stories that carry the narrative."""
    echo: int
    """Copies among the articles of the bucket: articles beyond the first of each story."""
    thin: bool
    open: bool
    coverage: float | None
    """Share of the attempts to fetch a feed in the bucket that succeeded; None where nothing was collected live."""
    n_outlets: int | None = None
    """Outlets that brought the stories that carry the narrative, copies included; None where there is no such story."""
    outlets_effective: float | None = None
    """As many outlets with equal shares of those stories would be as broad: from 1 to n_outlets."""
    n_indexed: int | None = None
    """Outlets that the index is averaged over; None where a share is told."""
    progress: float | None = None
    """How much of the history that the index needs is there, in [0, 1]; None where a share is told."""
    keywords_intensity: float | None = None
    """The same number by keywords@1, where it was asked for beside this one."""
    as_tagged: float | None = None
    """The share before the audit's correction; None where nothing is corrected."""


@dataclass(frozen=True, slots=True)
class TonePoint:
    """Mean tone of the stories that are about an asset, in [-1, 1], with a 90 % interval."""

    bucket_start: datetime
    asset: str
    tone: float | None
    low: float | None
    high: float | None
    disagreement: float | None
    """Standard deviation of the stories' tones: 0 where all say the same, 1 where half say +1 and half -1."""
    n_articles: int
    n_stories: int
    """Stories that name the asset, and of which the tagger tells the tone."""
    thin: bool
    open: bool
    as_tagged: float | None = None
    """The tone before the audit's correction; None where nothing is corrected."""


@dataclass(frozen=True, slots=True)
class ShiftPoint:
    """Where the story stands between panic (0) and devaluation (1). See docs/methods/shift.md."""

    bucket_start: datetime
    panic: float | None
    """Safe-haven stories (building) against their usual rate; 1 is usual."""
    devaluation: float | None
    """Mean of debasement (building), fiscal stress (building) and liquidity (easing), each against its usual rate."""
    index: float | None
    """θ = devaluation / (panic + devaluation); 0.5 is neutral."""
    index_without_liquidity: float | None
    low: float | None
    high: float | None
    p_devaluation: float | None
    """P(θ > 0.5 | what was known by the end of the bucket)."""
    state: str
    """calm, panic, transition, devaluation; warming_up while the baseline is too short; unknown without stories."""
    baseline: str | None
    """Whose usual rates: own, or prior while the record is too young and prior rates were asked for."""
    n_stories: int
    thin: bool
    open: bool
    progress: float
    """How much of the history that a baseline needs is there, in [0, 1]."""
    index_as_tagged: float | None = None
    """θ before the audit's correction; None where nothing is corrected."""


@dataclass(frozen=True, slots=True)
class ShiftCause:
    """What one outlet's stories of one narrative did to θ between two days; all of them add up to its change."""

    narrative: str
    outlet: str
    change: float
    """Of θ."""
    ratio_before: float
    """All outlets' rate of the narrative against its usual one; 1 is usual."""
    ratio: float


@dataclass(frozen=True, slots=True)
class ToldStory:
    """A story as evidence, by the copy of it that was known first."""

    id: int
    title: str
    outlet: str
    event_at: datetime


@dataclass(frozen=True, slots=True)
class ShiftEvent:
    """The story shifted from one state to another. See docs/methods/shift-events.md. Returns are logarithmic."""

    happened_at: datetime
    """Since when, as it looked when it was detected."""
    detected_at: datetime
    """When it could first be known: an hour after the end of the day whose news told it."""
    before: str
    state: str
    probability: float
    """P(state | what was known at detected_at)."""
    index_before: float | None
    """θ at the end of the day before happened_at."""
    index: float | None
    """θ when it was detected."""
    moved_by: str
    """The narrative that moved θ most between the two."""
    n_stories: int
    """From happened_at to detected_at."""
    return_btc: float | None
    """From the first close at or after detected_at to the latest that is known, as gold's and silver's."""
    return_gold: float | None
    return_silver: float | None
    why: list[ShiftCause]
    """The largest parts of the change of θ."""
    stories: list[ToldStory]
    """Of moved_by, published between the two: those with most copies."""


@dataclass(frozen=True, slots=True)
class ShiftSpell:
    """A spell of like news, in hindsight."""

    start: datetime
    end: datetime
    state: str
    panic: float
    devaluation: float
    index: float
    n_stories: int


@dataclass(frozen=True, slots=True)
class JoinedPoint:
    """A bucket's story beside what the asset did in it and next. Returns are logarithmic, close to close."""

    bucket_start: datetime
    asset: str
    index: float | None
    state: str
    safe_haven: float | None
    debasement: float | None
    liquidity: float | None
    fiscal_stress: float | None
    n_stories: int
    thin: bool
    open: bool
    close: float | None
    """The last close inside the bucket."""
    closed_at: datetime | None
    return_same: float | None
    """From the last close at or before the bucket's start to the last close inside the bucket."""
    return_next: float | None
    """From the first close at or after the bucket's end to the close a bucket later: no price from before the end."""
    next_from: datetime | None
    next_to: datetime | None


@dataclass(frozen=True, slots=True)
class Lag:
    """The correlation of a driver with a price `lag` steps later, with a 90 % interval; p is of this lag alone."""

    lag: int
    estimate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Granger:
    """Whether the past of one side helps to tell the other beyond its own past. p is None where rows are too few."""

    p: float | None
    lags: int
    n: int


@dataclass(frozen=True, slots=True)
class Projection:
    """Log return over the next `horizon` rows after a driver one standard deviation higher, with a 90 % interval."""

    horizon: int
    estimate: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of the next return by the driver, made with what was known before it. None where too few could be made."""

    r2: float | None
    """Share of the squared error of the mean of the returns so far that is saved; below 0 the mean is better."""
    p: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Beside:
    """What else can be asked of a driver and a price; none of it enters the verdict."""

    granger_driver_to_price: Granger
    granger_price_to_driver: Granger
    projections: list[Projection]
    out_of_sample: Forecast


@dataclass(frozen=True, slots=True)
class LeadLag:
    """Whether a driver leads a price. `verdict` rests on p_family, over all lags, and on nothing else."""

    n: int
    """Rows with both a value and a return."""
    max_lag: int
    lags: list[Lag]
    p_family: float
    verdict: str
    """news_leads (the driver comes first), price_leads, same_time, or none."""
    peak_lag: int
    sentence: str
    method: str
    seed: int
    target: str
    step: str
    """What a lag counts: hour, day, week, month, or row."""
    dropped: int
    """Rows between the first and the last value that lack a value or a return."""
    visible_from: float
    """The smallest |correlation| at the peak lag that would have been told from chance over all lags."""


@dataclass(frozen=True, slots=True)
class PairLeadLag:
    """One driver beside one asset, among others that were asked about at the same time."""

    driver: str
    asset: str
    p_adjusted: float
    """p_family, adjusted for all pairs asked about."""
    verdict: str
    """By p_adjusted; that of `lead_lag` is by its own p_family, as if no other pair had been asked about."""
    lead_lag: LeadLag
    beside: Beside | None = None
    """Where no other pair was asked about."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A pair, among others that were asked about at the same time, of which nothing can be told."""

    driver: str
    asset: str
    why: str


@dataclass(frozen=True, slots=True)
class EventWeek:
    """The mean cumulative abnormal log return `week` weeks after the events (before them, if negative).

    None where there is no event to tell it of. The interval and the band are 90 % and, as p, of this week alone.
    """

    week: int
    car: float | None
    low: float | None
    high: float | None
    placebo_mean: float | None
    placebo_low: float | None
    """5 % of the placebo's means lie below …"""
    placebo_high: float | None
    """… and 5 % above."""
    percentile: float | None
    """How many per cent of the placebo's means lie below `car`."""
    p: float | None
    """Two-sided: how often a placebo's mean is as far from their centre."""


@dataclass(frozen=True, slots=True)
class EventReturn:
    """One event, and why it does not count where it does not."""

    day: date
    starts_at: datetime | None
    """The first close at or after the end of the day, from which returns are counted."""
    car: float | None
    """Cumulative abnormal log return of the 26 weeks after it."""
    left_out: str | None


@dataclass(frozen=True, slots=True)
class EventStudy:
    """What an asset does around events. `verdict` rests on n, n_effective and p_family, and on nothing else."""

    event: str
    asset: str
    n: int
    """Events with the year before and the 26 weeks after them in the prices; only these count."""
    n_effective: int
    """Of them, how many can be chosen so that their 26 weeks do not overlap."""
    n_left_out: int
    weeks: list[EventWeek]
    p_family: float | None
    """Over weeks 1 to 26: how often the placebo's strangest week is as strange."""
    verdict: str
    """above, below (than on other days of the same years), none, or too_small."""
    peak_week: int | None
    sentence: str
    method: str
    seed: int
    draws: int
    events: list[EventReturn]


@dataclass(frozen=True, slots=True)
class PricePoint:
    closed_at: datetime
    asset: str
    close: float
    known_at: datetime


@dataclass(frozen=True, slots=True)
class TriggerDatum:
    """A measure that a trigger rests on, with what it is held against; None where it is not known."""

    series: str
    measure: str
    value: float | None
    threshold: float | None
    """What `value` must reach for the trigger to turn on (a fall is negative); None where it only enters another."""
    unit: str
    n: int
    """How many values, closes or stories stand behind it."""
    at: datetime | None
    """When the latest of them became known."""


@dataclass(frozen=True, slots=True)
class TriggerState:
    """How one of the six triggers stands. See docs/methods/triggers.md."""

    trigger: str
    name: str
    state: str
    """off, forming, on; unknown where a series is missing, stale or too short."""
    since: date
    """The day on whose end the present state began, as it was known then; that of the first record at the earliest."""
    sentence: str
    data: list[TriggerDatum]
    stories: list[ToldStory]
    """The latest that it rests on, newest first."""


def columns(row_type: type[Any]) -> list[str]:
    """The column names of a derived row type, in order."""
    return [field.name for field in fields(row_type)]


@dataclass(frozen=True, slots=True)
class AuditedLabel:
    """How far a narrative, or the tone of an asset, is corrected by the random audit, or why not."""

    key: str
    corrected: bool
    n: int
    """Stories that were drawn at random and read."""
    n_positive: int
    """Of them those that carry it (or name it)."""
    needed: int
    """Positives from which on it is corrected."""
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    floor: float | None
    below_floor: bool
    """Whether the audited precision is below the narrative's floor."""
    sentence: str


@dataclass(frozen=True, slots=True)
class QualityRow:
    """How good the tags are, by what was drawn at random and read, with 90 % intervals. See docs/methods/audit.md."""

    by: str
    """narrative, asset or outlet."""
    key: str
    bucket_start: datetime | None
    """Of the publications; None: of all."""
    n: int
    """Stories read."""
    n_labelled: int
    """Labels of the tagger among them (of all narratives, by outlet)."""
    n_positive: int
    """Labels of the reviewers."""
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    right_way: float | None
    """Of the labels that are right, those with the right direction (of assets: tone)."""
    right_way_low: float | None
    right_way_high: float | None
    n_right: int
    """Labels that are right."""
    thin: bool
    """Fewer than 30 positives."""
    floor: float | None
    below_floor: bool


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """Of the stories read with a score in [low_score, high_score): what was told, and of what share it is so."""

    narrative: str
    low_score: float
    high_score: float
    n: int
    told: float
    """Mean score."""
    holds: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class ToldArticle:
    id: int
    title: str
    outlet: str
    event_at: datetime


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """What the tagger says of texts that reviewers read otherwise; counted among all that were reviewed."""

    kind: str
    """wrong (not there), missed, other (one for another), direction or tone."""
    said: str | None
    truth: str | None
    n: int
    n_audited: int
    """Of them those drawn at random."""
    examples: list[ToldArticle]


@dataclass(frozen=True, slots=True)
class AgreementRow:
    """How far reviewers agree who read the same texts, each without seeing what the other said."""

    of: str
    """narrative (whether it holds), direction, asset (whether it is named), tone."""
    key: str
    """all: taken together."""
    alpha: float | None
    """Krippendorff's: 1 where they agree, 0 where they agree as chance would; None where nothing varies."""
    low: float | None
    high: float | None
    """90 %, over bootstrap samples of the texts."""
    n: int
    """Texts that two or more judged; of `all`, each as often as there are keys."""
    n_reviewers: int
    agreed: float | None
    """Share of the texts of which all said the same."""
    disputed: list[ToldArticle]
