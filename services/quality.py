"""How good the tags are, where tagger and reviewers differ, and how far reviewers agree. Store -> analysis -> rows."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd
from sqlmodel import Session

from analysis import audit as auditing
from analysis.agreement import Level, agreement
from analysis.audit import NEEDED, Audit, proportion
from config import definitions
from config.definitions import CORE_NARRATIVES
from models.derived import (
    AgreementRow,
    CalibrationRow,
    ConfusionRow,
    QualityRow,
    ToldArticle,
)
from models.errors import UnknownName
from models.reviews import EVERY_OTHER, Review, StandingLabel
from models.store import articles as article_store
from models.store import reviews as review_store
from models.store import tags as tag_store
from models.tags import AssetMention, NarrativeTag
from services.answers import Answer
from services.audit import Readings, is_below, readings
from services.instants import known_by

By = Literal["narrative", "asset", "outlet"]
Period = Literal["all", "month", "quarter", "year"]
STARTS: dict[Period, str] = {"month": "M", "quarter": "Q", "year": "Y"}
EXAMPLES = 5
DIRECTIONS = {1: "building", 0: "neither", -1: "fading"}
TONES = {1: "up", 0: "neither", -1: "down"}


@dataclass(frozen=True, slots=True)
class QualityQuestion:
    tagger: str = field(default_factory=definitions.live_tagger_name)
    as_of: datetime | None = None


# -- quality ---------------------------------------------------------------------------------------------------------


def quality(
    session: Session, question: QualityQuestion, *, by: By = "narrative", bucket: Period = "all", now: datetime
) -> Answer:
    """Precision and recall by narrative, asset or outlet, of all or by the period of publication."""
    as_of = known_by(question.as_of, now)
    _check_tagger(session, question.tagger)
    found = readings(session, question.tagger, as_of=as_of)
    rows = [] if found is None else list(_rows(found, by, bucket))
    n_read = 0 if found is None else len(found.weights(lambda revision: revision in found.said))
    meta = {
        "tagger": question.tagger,
        "as_of": as_of,
        "by": by,
        "bucket": bucket,
        "interval": 0.9,
        "n": n_read,
        "n_drawn": 0 if found is None else int(found.drawn["revision_id"].nunique()),
        "n_stories": 0 if found is None else found.n_stories,
        "needed": NEEDED,
    }
    return Answer(QualityRow, rows, meta)


def _check_tagger(session: Session, tagger: str) -> None:
    known = tag_store.taggers(session)
    if tagger not in known and tagger != definitions.live_tagger_name():
        raise UnknownName("tagger", tagger, known or [definitions.live_tagger_name()])


def _rows(found: Readings, by: By, bucket: Period) -> Iterator[QualityRow]:
    about = found.drawn.drop_duplicates("revision_id").set_index("revision_id")
    for key, pairs in _pairs(found, by):
        if pairs.empty:
            continue
        periods = _periods(about.loc[pairs["revision_id"], "event_at"], bucket)
        for period, rows in pairs.groupby(periods.to_numpy(), sort=True):
            start = None if bucket == "all" else pd.Timestamp(str(period)).to_pydatetime()
            yield _quality_row(found, by, key, start, rows)


def _pairs(found: Readings, by: By) -> Iterator[tuple[str, pd.DataFrame]]:
    """Of each key, one row per story read (by outlet: and narrative): revision_id, weight, score, label, holds, way."""
    if by == "asset":
        for asset in definitions.assets():
            rows = found.of_asset(asset)
            if len(rows) and (rows["label"] | rows["holds"]).any():
                right = np.sign(rows["told"]).eq(rows["said"]) | (rows["told"].round() == rows["said"])
                yield asset, rows.assign(way=right.where(rows["told"].notna())).reset_index(names="revision_id")
        return
    parts = []
    for key in definitions.narratives():
        rows = found.of_narrative(key)
        way = pd.Series([_same_way(found, revision, key) for revision in rows.index], rows.index, dtype=object)
        parts.append((key, rows.assign(way=way).reset_index(names="revision_id")))
    if by == "narrative":
        yield from parts
        return
    whole = pd.concat([rows for _, rows in parts])
    outlets = found.drawn.drop_duplicates("revision_id").set_index("revision_id")["outlet"]
    for outlet, rows in whole.groupby(outlets.loc[whole["revision_id"]].to_numpy()):
        yield str(outlet), rows


def _same_way(found: Readings, revision: int, key: str) -> bool | None:
    tag, said = found.tags.get(revision, {}).get(key), found.said[revision][key]
    return None if tag is None or not said.holds else tag.direction == said.direction


def _periods(published: "pd.Series[Any]", bucket: Period) -> "pd.Series[Any]":
    if bucket == "all":
        return pd.Series(0, index=published.index)
    instants = pd.to_datetime(published, utc=True).dt.tz_localize(None)
    return instants.dt.to_period(STARTS[bucket]).dt.start_time.dt.tz_localize("UTC")


def _quality_row(found: Readings, by: By, key: str, start: datetime | None, rows: pd.DataFrame) -> QualityRow:
    label, holds = rows["label"].to_numpy(bool), rows["holds"].to_numpy(bool)
    weight = rows["weight"].to_numpy("float64")
    precision = proportion(holds[label], weight[label])
    recall = proportion(label[holds], weight[holds])
    floor, below = None, False
    if by == "narrative":
        floor = definitions.narrative(key).precision_floor
        audit = auditing.audit(rows, found.stories(key) if start is None else None, found.usual)
        recall, below = audit.recall, is_below(audit, floor)
    right = rows[label & holds & rows["way"].notna().to_numpy()]
    way = proportion(right["way"].to_numpy(bool), right["weight"].to_numpy("float64"))
    return QualityRow(
        by=by,
        key=key,
        bucket_start=start,
        n=rows["revision_id"].nunique(),
        n_labelled=int(label.sum()),
        n_positive=int(holds.sum()),
        precision=precision.estimate,
        precision_low=precision.low,
        precision_high=precision.high,
        recall=recall.estimate,
        recall_low=recall.low,
        recall_high=recall.high,
        right_way=way.estimate,
        right_way_low=way.low,
        right_way_high=way.high,
        n_right=len(right),
        thin=int(holds.sum()) < NEEDED,
        floor=floor,
        below_floor=below,
    )


def calibration(session: Session, question: QualityQuestion, narratives: Sequence[str], *, now: datetime) -> Answer:
    """Told probabilities against what is so, by narrative; all if none is named. Raises: UnknownName."""
    as_of = known_by(question.as_of, now)
    _check_tagger(session, question.tagger)
    keys = list(dict.fromkeys(narratives)) or list(definitions.narratives())
    for key in keys:
        definitions.narrative(key)
    found = readings(session, question.tagger, as_of=as_of)
    rows = []
    for key in keys if found is not None else []:
        read = found.of_narrative(key) if found is not None else pd.DataFrame()
        for one in auditing.calibration(read):
            told = (one.low_score, one.high_score, one.n, one.told)
            rows.append(CalibrationRow(key, *told, one.holds.estimate, one.holds.low, one.holds.high))
    return Answer(CalibrationRow, rows, {"tagger": question.tagger, "as_of": as_of, "interval": 0.9, "n": len(rows)})


# -- confusions ------------------------------------------------------------------------------------------------------


def confusions(session: Session, question: QualityQuestion, *, now: datetime) -> Answer:
    """Where the tagger and what reviewers say differ, the most frequent first, with the newest texts as examples."""
    as_of = known_by(question.as_of, now)
    _check_tagger(session, question.tagger)
    by_revision = review_store.all_labels(session, as_of=as_of)
    revisions = sorted(by_revision)
    narratives, assets = tag_store.tags_of(session, revisions, question.tagger)
    drawn = set(review_store.draws(session, question.tagger, as_of=as_of)["revision_id"])
    found: dict[tuple[str, str | None, str | None], list[int]] = defaultdict(list)
    for revision in revisions:
        labels = by_revision[revision]
        for confusion in _confused(labels, narratives.get(revision, []), assets.get(revision, [])):
            found[confusion].append(revision)
    order = sorted(found, key=lambda one: (-len(found[one]), str(one)))
    shown = [revision for one in order for revision in found[one][-EXAMPLES:]]
    told = _articles(session, shown)
    rows = [
        ConfusionRow(
            kind=kind,
            said=said,
            truth=truth,
            n=len(found[kind, said, truth]),
            n_audited=len(drawn.intersection(found[kind, said, truth])),
            examples=[told[revision] for revision in reversed(found[kind, said, truth][-EXAMPLES:])],
        )
        for kind, said, truth in order
    ]
    return Answer(ConfusionRow, rows, {"tagger": question.tagger, "as_of": as_of, "n": len(revisions)})


def _confused(
    labels: Sequence[StandingLabel], narratives: Sequence[NarrativeTag], assets: Sequence[AssetMention]
) -> Iterator[tuple[str, str | None, str | None]]:
    """(kind, said, truth) of one text."""
    said = {label.key: label for label in labels if label.kind == "narrative"}
    told = {tag.narrative: tag for tag in narratives if tag.label and tag.narrative in said}
    wrong = sorted(key for key in told if not said[key].holds)
    missed = sorted(key for key, label in said.items() if label.holds and key not in told)
    if wrong and missed:
        yield from (("other", one, other) for one in wrong for other in missed)
    else:
        yield from (("wrong", key, None) for key in wrong)
        yield from (("missed", None, key) for key in missed)
    for key, tag in told.items():
        if said[key].holds and said[key].direction != tag.direction:
            truth = DIRECTIONS[said[key].direction or 0]
            yield "direction", f"{key} {DIRECTIONS[tag.direction]}", f"{key} {truth}"
    named = {label.key: label for label in labels if label.kind == "asset"}
    if EVERY_OTHER not in named:
        return
    mentioned = {one.asset: one for one in assets}
    yield from (("wrong", key, None) for key in sorted(mentioned) if key not in named)
    for key, label in named.items():
        if not label.holds:
            continue
        if key not in mentioned:
            yield "missed", None, key
            continue
        tone = mentioned[key].tone
        if tone is not None and round(tone) != label.tone:
            yield "tone", f"{key} {TONES[round(tone)]}", f"{key} {TONES[label.tone or 0]}"


def _articles(session: Session, revisions: Sequence[int]) -> dict[int, ToldArticle]:
    rows = article_store.articles_as_worded(session, list(dict.fromkeys(revisions)))
    return {row.revision_id: ToldArticle(row.id, row.title, row.outlet, row.event_at) for row in rows}


# -- agreement -------------------------------------------------------------------------------------------------------


def reviewers_agree(session: Session, *, as_of: datetime | None = None, now: datetime) -> Answer:
    """Krippendorff's alpha over texts that were read by two or more, all but the first blind: of each narrative whether
    it holds and its direction, of each asset whether it is named and its tone; `all` takes them together."""
    when = known_by(as_of, now)
    read = _read_apart(review_store.reviews_twice(session, as_of=when))
    revisions = sorted(read)
    reviewers = sorted({review.reviewer for found in read.values() for review in found})
    rows = []
    for of, level, keys, value in _questions():
        tables = {key: _table(read, revisions, reviewers, key, value) for key in keys}
        judged = {key: table for key, table in tables.items() if (~np.isnan(table)).sum(axis=0).max(initial=0) > 1}
        if not judged:
            continue
        whole = np.hstack(list(judged.values()))
        rows.append(_agreement_row(session, of, "all", whole, level, revisions * len(judged)))
        varied = {key: table for key, table in judged.items() if np.nanmin(table) != np.nanmax(table)}
        rows += [_agreement_row(session, of, key, table, level, revisions) for key, table in varied.items()]
    return Answer(AgreementRow, rows, {"as_of": when, "interval": 0.9, "n": len(revisions), "reviewers": reviewers})


def _read_apart(reviews: dict[int, list[Review]]) -> dict[int, list[Review]]:
    """By revision, each reviewer's first reading, the later ones only if they were blind; where there are two."""
    found = {}
    for revision, given in reviews.items():
        first: dict[str, Review] = {}
        for review in given:
            if review.blind or not first:
                first.setdefault(review.reviewer, review)
        if len(first) > 1:
            found[revision] = list(first.values())
    return found


Value = Callable[[Review, str], float | None]


def _questions() -> list[tuple[str, Level, list[str], Value]]:
    narratives, assets = list(definitions.narratives()), list(definitions.assets())
    return [
        ("narrative", "nominal", narratives, _holds),
        ("direction", "nominal", narratives, _direction),
        ("asset", "nominal", assets, _names),
        ("tone", "interval", assets, _tone),
    ]


def _holds(review: Review, key: str) -> float | None:
    return float(review.narratives[key] is not None) if key in review.narratives else None


def _direction(review: Review, key: str) -> float | None:
    said = review.narratives.get(key)
    return None if said is None else float(said["direction"])


def _names(review: Review, key: str) -> float | None:
    return None if review.assets is None else float(key in review.assets)


def _tone(review: Review, key: str) -> float | None:
    return None if review.assets is None or key not in review.assets else float(review.assets[key])


def _table(
    read: dict[int, list[Review]], revisions: Sequence[int], reviewers: Sequence[str], key: str, value: Value
) -> "np.ndarray[Any, np.dtype[np.float64]]":
    table = np.full((len(reviewers), len(revisions)), np.nan)
    for column, revision in enumerate(revisions):
        for review in read[revision]:
            said = value(review, key)
            table[reviewers.index(review.reviewer), column] = np.nan if said is None else said
    return table


def _agreement_row(
    session: Session, of: str, key: str, table: Any, level: Level, revisions: Sequence[int]
) -> AgreementRow:
    found = agreement(table, level)
    disputed = list(dict.fromkeys(revisions[place] for place in found.disputed))[: 4 * EXAMPLES]
    told = _articles(session, disputed)
    return AgreementRow(
        of=of,
        key=key,
        alpha=found.alpha.estimate,
        low=found.alpha.low,
        high=found.alpha.high,
        n=found.n,
        n_reviewers=found.n_reviewers,
        agreed=found.agreed,
        disputed=[told[revision] for revision in disputed],
    )


# -- progress --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """What was reviewed, and what that has bought so far."""

    reviewer: str
    today: int
    all: int
    """By this reviewer; `everybody` counts all reviewers'."""
    everybody: int
    skipped: int
    audited: int
    """Stories drawn at random that were read."""
    by_slice: dict[str, int]
    sentences: list[str]


def progress(session: Session, reviewer: str, *, now: datetime) -> Progress:
    given = review_store.count_reviews(session, as_of=now)
    own = [one for one in given if one[0] == reviewer]
    found = readings(session, definitions.live_tagger_name(), as_of=now)
    audits = (
        {} if found is None else {key: found.audit(key) for key in CORE_NARRATIVES if key in definitions.narratives()}
    )
    return Progress(
        reviewer=reviewer,
        today=sum(at > now - timedelta(days=1) and at.date() == now.date() for *_, at in own),
        all=len(own),
        everybody=len(given),
        skipped=sum(skipped for _, _, skipped, _ in own),
        audited=0 if found is None else len(found.weights(lambda revision: revision in found.said)),
        by_slice=dict(Counter(part for _, part, _, _ in given)),
        sentences=list(_bought(audits)),
    )


def _bought(audits: dict[str, Audit]) -> Iterator[str]:
    for key, audit in audits.items():
        name = definitions.narrative(key).name
        low, high = audit.precision.low, audit.precision.high
        if audit.enough and low is not None and high is not None:
            yield f"{name} is corrected; its precision is known to ± {50 * (high - low):.0f} points."
        elif audit.n_positive:
            yield f"{name}: {audit.n_positive} of the {NEEDED} random finds after which its numbers are corrected."
