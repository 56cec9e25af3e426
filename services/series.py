"""Series over time: intensity, shift, prices, and the join of them. Each: store -> analysis -> answer.

Every function takes `now`, the instant of the question. `as_of` (by default `now`) is the instant of knowledge:
nothing that was known later enters.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

import pandas as pd
from sqlmodel import Session

from analysis.buckets import GRACE, MAX_DAYS, Bucket, check_span, end_of, floor_one, starts
from analysis.intensity import ByOutlet, Measure, Weighting, beside, breadth_of, intensity_points
from analysis.join import bucket_returns
from analysis.shift import POLES, WARM_UP_DAYS, Prior, points_of, ready_on, shift_by_day
from analysis.tone import tone_points
from config import definitions
from config.definitions import BASELINE_TAGGER, CORE_NARRATIVES
from models.derived import IntensityPoint, JoinedPoint, PricePoint, ShiftPoint, TonePoint
from models.errors import BadInput, BadRange, UnknownName
from models.prices import Interval
from models.store import prices as price_store
from models.store import reviews as review_store
from models.store import stories as story_store
from models.store import tags as tag_store
from services.answers import Answer
from services.audit import Audited, audited, audited_tone
from services.instants import check_range, known_by

DEFAULT_SPAN = timedelta(days=365)
MOST_ROWS = 100_000
MOST_KEPT = 16
"""Histories and what was made of them: an instant has three of its own."""
Kept = TypeVar("Kept")
Direction = Literal["building", "fading", "neither"]
Modality = Literal["actual", "expected"]
DIRECTIONS: dict[Direction, int] = {"building": 1, "fading": -1, "neither": 0}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a series. Instants are aware UTC; the range is half-open and widened to whole buckets."""

    start: datetime | None = None
    """By default a year before the end (three months for hours)."""
    end: datetime | None = None
    """By default just after the latest story that was known."""
    bucket: Bucket = "day"
    as_of: datetime | None = None
    tagger: str = field(default_factory=definitions.live_tagger_name)
    outlet: str | None = None
    weighting: Weighting = "story"
    prior_rates: bool = False
    """Start θ from the usual rates of archives while the record has none of its own."""
    measure: Measure = "share"
    """This and what follows is asked of an intensity only."""
    direction: Direction | None = None
    """Count only stories in which the narrative's force is building, fading or neither."""
    modality: Modality | None = None
    """Count only easing that is actual, or expected."""
    asset: str | None = None
    """Only stories that name it are in scope."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A question with nothing left open."""

    starts: list[datetime]
    start: datetime
    end: datetime
    as_of: datetime


def intensity(
    session: Session, narratives: list[str], question: Question, *, now: datetime, beside_keywords: bool = False
) -> Answer:
    """How much of the news carries each narrative, by bucket; all narratives if none is named.

    With `beside_keywords` each row has the same number by keywords@1 beside it, and the meta their correlation
    (`keywords_correlation`), or null and the reason (`keywords_note`).

    Raises: UnknownName, BadRange, BadInput.
    """
    keys = list(dict.fromkeys(narratives)) or list(definitions.narratives())
    for key in keys:
        definitions.narrative(key)
    if question.asset is not None:
        definitions.asset(question.asset)
    if question.modality is not None and keys != ["liquidity"]:
        raise BadInput("Only liquidity is actual or expected: ask for a modality with narrative liquidity alone.")
    if question.measure == "index" and question.weighting == "article":
        raise BadInput(
            "The index counts each outlet's copy of a story once: weighting article goes with measure share."
        )
    if beside_keywords and len(keys) != 1:
        raise BadInput("The keyword series stands beside one narrative: name one.")
    scope = scope_of(session, question, now)
    if len(scope.starts) * len(keys) > MOST_ROWS:
        raise BadRange(
            f"{len(keys)} narratives by {question.bucket} are {len(scope.starts) * len(keys)} rows, and at most "
            f"{MOST_ROWS} are answered at once. Name fewer, ask for a shorter range, or by a longer bucket."
        )
    found = _intensity(session, keys, question, scope)
    return _beside_keywords(session, keys, question, scope, found) if beside_keywords else found


def _intensity(session: Session, keys: list[str], question: Question, scope: Scope) -> Answer:
    seen = _seen(question, scope)
    days = story_store.known_days(session, seen, keys)
    frames = days or story_store.story_frames(session, seen, keys)
    breadth = days.breadth if days and question.bucket == "day" else _breadth(session, seen, keys, question.bucket)
    by_outlet = None
    if question.measure == "index":
        own = story_store.outlet_frames(session, replace(seen, start=None), keys)
        by_outlet = ByOutlet(own.totals, own.carried)
    found = _audited(session, keys, question, scope)
    reviewed = None
    if found.corrections and question.weighting == "story" and question.asset is None and question.outlet is None:
        building = question.direction == "building"
        reviewed = review_store.reviewed_leads(
            session, keys, tagger=question.tagger, as_of=scope.as_of, building=building
        )
    points = intensity_points(
        frames.totals,
        frames.carried,
        story_store.fetch_counts(session, start=scope.start, end=min(scope.end, scope.as_of)),
        breadth=breadth,
        narratives=keys,
        starts=scope.starts,
        bucket=question.bucket,
        weighting=question.weighting,
        now=scope.as_of,
        by_outlet=by_outlet,
        corrections=found.corrections,
        reviewed=reviewed,
    )
    asked = {name: getattr(question, name) for name in ("measure", "direction", "modality", "asset", "weighting")}
    return Answer(IntensityPoint, points, _meta(question, scope, interval=0.9, audit=found.told, **asked))


def _breadth(session: Session, seen: story_store.Seen, keys: list[str], bucket: Bucket) -> pd.DataFrame:
    counted = None if bucket == "hour" else story_store.breadth_counts(session, seen, keys, bucket)
    return breadth_of(story_store.breadth_frame(session, seen, keys), bucket) if counted is None else counted


def _audited(session: Session, keys: list[str], question: Question, scope: Scope) -> Audited:
    """A share of all labels, or of those that are building, is what an audit tells; others stay as tagged."""
    building = question.direction == "building"
    found = audited(session, question.tagger, keys, as_of=scope.as_of, building=building)
    why = None
    if question.measure == "index":
        why = "the index is not corrected, only shares are"
    elif question.modality is not None or question.direction in ("fading", "neither"):
        why = "this part is not corrected, only the whole narrative and what is building are"
    if why is None:
        return found
    told = [
        replace(one, corrected=False, sentence=f"{definitions.narrative(one.key).name}: {why}.") for one in found.told
    ]
    return Audited({}, told)


def _beside_keywords(session: Session, keys: list[str], question: Question, scope: Scope, found: Answer) -> Answer:
    note: str | None
    if question.tagger == BASELINE_TAGGER:
        rows, correlation, note = found.rows, None, f"The series is that of {BASELINE_TAGGER} itself."
    else:
        ours, theirs = (
            story_store.count_read(session, start=scope.start, end=scope.end, as_of=scope.as_of, tagger=tagger)
            for tagger in (question.tagger, BASELINE_TAGGER)
        )
        if theirs < ours:
            rows, correlation = found.rows, None
            note = (
                f"{BASELINE_TAGGER} has read {theirs} of the {ours} articles: "
                "`STORYSHIFT_TAGGER=keywords storyshift tag` reads the others."
            )
        else:
            other = _intensity(session, keys, replace(question, tagger=BASELINE_TAGGER), scope)
            rows, correlation, note = beside(found.rows, other.rows)
    return Answer(IntensityPoint, rows, found.meta | {"keywords_correlation": correlation, "keywords_note": note})


def tone(session: Session, asset: str, question: Question, *, now: datetime) -> Answer:
    """Mean tone of the stories about an asset, by bucket. Raises: UnknownName, BadRange."""
    definitions.asset(asset)
    scope = scope_of(session, question, now)
    tones = story_store.asset_tones(session, _seen(question, scope), asset)
    line, told = audited_tone(session, question.tagger, asset, as_of=scope.as_of)
    points = tone_points(
        tones,
        asset=asset,
        starts=scope.starts,
        bucket=question.bucket,
        weighting=question.weighting,
        now=scope.as_of,
        line=line,
    )
    asked = {"asset": asset, "weighting": question.weighting, "interval": 0.9, "audit": [told]}
    return Answer(TonePoint, points, _meta(question, scope, **asked))


def shift(session: Session, question: Question, *, now: datetime) -> Answer:
    """θ and the state of the story, by day, week or month. Raises: UnknownName, BadRange."""
    return _shift(session, question, scope_of(session, question, now))


def history(session: Session, question: Question, as_of: datetime) -> story_store.LeadFrames:
    """All stories of θ by day and outlet, from the first one to those that were known."""
    seen = story_store.Seen(
        as_of=as_of,
        tagger=question.tagger,
        start=None,
        end=floor_one(as_of, "day") + timedelta(days=1),
        outlet=question.outlet,
        step="day",
    )
    return once(session, seen, lambda: story_store.lead_frames(session, seen, list(POLES.all)))


def once(session: Session, what: Hashable, work_out: Callable[[], Kept]) -> Kept:
    """Worked out once, where the session has a place for it (`info["read"]`, see api/remembered.py)."""
    kept: dict[Hashable, Any] | None = session.info.get("read")
    if kept is None:
        return work_out()
    if what in kept:
        found: Kept = kept[what]
        return found
    found = kept[what] = work_out()
    while len(kept) > MOST_KEPT:
        kept.pop(next(iter(kept)), None)
    return found


def audited_poles(session: Session, question: Question, scope: Scope) -> Audited:
    """What the audit says of the building labels of θ's narratives, of those that are defined."""
    keys = [key for key in POLES.all if key in definitions.narratives()]
    return audited(session, question.tagger, keys, as_of=scope.as_of, building=True)


def prior_of(question: Question) -> Prior | None:
    """The usual rates to start from, where they are asked for. Raises: ConfigError."""
    return definitions.prior_rates(question.tagger).rates if question.prior_rates else None


def _shift(session: Session, question: Question, scope: Scope) -> Answer:
    frames = history(session, question, scope.as_of)
    found = audited_poles(session, question, scope)
    # a day rests on those up to it alone, so that one history serves every range
    daily = once(
        session,
        ("theta", question.tagger, question.outlet, question.prior_rates, scope.as_of),
        lambda: shift_by_day(frames.totals, frames.carried, prior=prior_of(question), corrections=found.corrections),
    )
    points = points_of(daily, starts=scope.starts, bucket=question.bucket, now=scope.as_of)
    meta = _meta(
        question,
        scope,
        interval=0.9,
        baseline_needs_days=WARM_UP_DAYS,
        prior_rates=definitions.prior_rates(question.tagger).label if question.prior_rates else None,
        ready_on=ready_on(frames.totals, now=scope.as_of),
        first_story_at=story_store.event_range(session, as_of=scope.as_of)[0],
        audit=found.told,
    )
    return Answer(ShiftPoint, points, meta)


def prices(session: Session, asset: str, question: Question, *, now: datetime) -> Answer:
    """The closes of an asset in [start, end), as they were known: by the hour if asked for hours, else by the day.

    Without a start, all of them by the day, the last three months by the hour.
    Raises: UnknownName, BadRange.
    """
    instrument = definitions.priced_as(asset)
    as_of = known_by(question.as_of, now)
    check_range(question.start, question.end)
    interval: Interval = "hour" if question.bucket == "hour" else "day"
    start, end = question.start, question.end or as_of
    if start is None and interval == "hour":
        start = end - timedelta(days=MAX_DAYS["hour"])
    if start is not None:
        check_span(start, end, question.bucket)
    rows = price_store.read_bars(session, instrument, as_of=as_of, start=start, end=question.end, interval=interval)
    meta = {"asset": asset, "instrument": instrument, "unit": definitions.asset(instrument).unit, "interval": interval}
    return Answer(PricePoint, rows, meta | {"as_of": as_of, "n": len(rows)})


def joined(session: Session, asset: str, question: Question, *, now: datetime) -> Answer:
    """θ and the core intensities beside what the asset did in each bucket and next. Raises: UnknownName, BadRange.

    `dropped_same` and `dropped_next` in the meta count the buckets with θ for which a return is missing.
    """
    instrument = definitions.priced_as(asset)
    scope = scope_of(session, question, now)
    shifts = _shift(session, question, scope)
    shares = _intensity(session, [key for key in CORE_NARRATIVES if key in definitions.narratives()], question, scope)
    bars = price_store.read_bars(session, instrument, as_of=scope.as_of)
    returns = bucket_returns(bars, starts=scope.starts, bucket=question.bucket)
    share = {(point.bucket_start, point.narrative): point.intensity for point in shares.rows}
    rows = [
        JoinedPoint(
            bucket_start=point.bucket_start,
            asset=asset,
            index=point.index,
            state=point.state,
            safe_haven=share.get((point.bucket_start, "safe_haven")),
            debasement=share.get((point.bucket_start, "debasement")),
            liquidity=share.get((point.bucket_start, "liquidity")),
            fiscal_stress=share.get((point.bucket_start, "fiscal_stress")),
            n_stories=point.n_stories,
            thin=point.thin,
            open=point.open,
            close=found.close,
            closed_at=found.closed_at,
            return_same=found.return_same,
            return_next=found.return_next,
            next_from=found.next_from,
            next_to=found.next_to,
        )
        for point, found in zip(shifts.rows, returns, strict=True)
    ]
    told = [row for row in rows if row.n_stories]
    return Answer(
        JoinedPoint,
        rows,
        shifts.meta
        | {
            "asset": asset,
            "instrument": instrument,
            "n_bars": len(bars),
            "dropped_same": sum(row.return_same is None for row in told),
            "dropped_next": sum(row.return_next is None for row in told),
        },
    )


def scope_of(session: Session, question: Question, now: datetime) -> Scope:
    as_of = known_by(question.as_of, now)
    known = tag_store.taggers(session)
    if question.tagger not in known and question.tagger != definitions.live_tagger_name():
        raise UnknownName("tagger", question.tagger, known or [definitions.live_tagger_name()])
    end = question.end
    if end is None:
        latest = story_store.event_range(session, as_of=as_of)[1] or as_of
        end = max(latest, question.start or latest) + timedelta(seconds=1)
    start = question.start
    if start is None:
        start = end - min(DEFAULT_SPAN, timedelta(days=MAX_DAYS[question.bucket]) - timedelta(days=1))
    buckets = starts(start, end, question.bucket)
    return Scope(buckets, floor_one(start, question.bucket), end_of(buckets[-1], question.bucket), as_of)


def _seen(question: Question, scope: Scope) -> story_store.Seen:
    return story_store.Seen(
        as_of=scope.as_of,
        tagger=question.tagger,
        start=scope.start,
        end=scope.end,
        outlet=question.outlet,
        asset=question.asset,
        step="hour" if question.bucket == "hour" else "day",
        direction=None if question.direction is None else DIRECTIONS[question.direction],
        modality=question.modality,
    )


def _meta(question: Question, scope: Scope, **more: Any) -> dict[str, Any]:
    return {
        "start": scope.start,
        "end": scope.end,
        "bucket": question.bucket,
        "as_of": scope.as_of,
        "tagger": question.tagger,
        "outlet": question.outlet,
        "grace_hours": GRACE.total_seconds() / 3600,
        "n": len(scope.starts),
    } | more
