"""What the random audit says of the tagger, for whatever is to be corrected by it. Store -> analysis."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

import numpy as np
import pandas as pd
from sqlmodel import Session

from analysis import audit as auditing
from analysis.audit import BANDS, NEEDED, Audit, Correction, Line, proportion, tone_line
from config import definitions
from models.derived import AuditedLabel
from models.reviews import EVERY_OTHER, StandingLabel
from models.store import reviews as review_store
from models.store import tags as tag_store
from models.tags import AssetMention, NarrativeTag

FLOOR_NEEDS = 10
"""Audited labels below which nothing is said of a floor."""
NO_INTERVAL = auditing.Interval(None, None, None)


@dataclass(frozen=True)
class Readings:
    """What was drawn for audit, beside what the tagger and, where one has read it, a reviewer say.

    drawn: see models.store.reviews.draws, and a column reached, see analysis.audit.reached. The rest is by revision id.
    """

    drawn: pd.DataFrame
    sizes: dict[int, int]
    bands: dict[str, dict[str, int]]
    """Of the newest round, by narrative."""
    n_stories: int
    """Of the newest round."""
    tags: dict[int, dict[str, NarrativeTag]]
    mentions: dict[int, dict[str, AssetMention]]
    said: dict[int, dict[str, StandingLabel]]
    """Narratives that were judged."""
    named: dict[int, dict[str, StandingLabel]]
    """Assets, where they were judged: with the key EVERY_OTHER beside those that are named."""

    kept: dict[tuple[bool, ...], "pd.Series[float]"] = field(default_factory=dict)
    """Weights that were asked for: narratives that were judged of the same stories have the same."""

    def weights(self, read: Callable[[int], bool]) -> "pd.Series[float]":
        rows = zip(self.drawn["revision_id"], self.drawn["reached"], strict=True)
        marks = tuple(bool(reached and read(revision)) for revision, reached in rows)
        if marks not in self.kept:
            self.kept[marks] = auditing.weights(self.drawn.assign(read=marks), self.sizes)["weight"]
        return self.kept[marks]

    def of_narrative(self, key: str, *, building: bool = False) -> pd.DataFrame:
        """Index revision_id; see analysis.audit.audit. building: only labels that say +1 are labels."""
        weight = self.weights(lambda revision: key in self.said.get(revision, {}))
        rows = []
        for revision in weight.index:
            tag, said = self.tags.get(revision, {}).get(key), self.said[revision][key]
            label = tag is not None and tag.label and (not building or tag.direction > 0)
            holds = said.holds and (not building or (said.direction or 0) > 0)
            other = any(tag.label for tag in self.tags.get(revision, {}).values())
            rows.append((0.0 if tag is None else tag.score, label, holds, other))
        frame = pd.DataFrame(rows, columns=["score", "label", "holds", "other"], index=weight.index)
        return frame.assign(weight=weight)

    def of_asset(self, key: str) -> pd.DataFrame:
        """As of_narrative, and columns told, said: the tone by the tagger and by the reviewer, NaN where none."""
        weight = self.weights(lambda revision: revision in self.named)
        rows = []
        for revision in weight.index:
            mention, said = self.mentions.get(revision, {}).get(key), self.named[revision].get(key)
            told = np.nan if mention is None or mention.tone is None else mention.tone
            tone = np.nan if said is None or said.tone is None else float(said.tone)
            rows.append((0.0, mention is not None, said is not None and said.holds, told, tone))
        frame = pd.DataFrame(rows, columns=["score", "label", "holds", "told", "said"], index=weight.index)
        return frame.astype({"told": "float64", "said": "float64"}).assign(weight=weight)

    def stories(self, key: str, *, building: bool = False) -> dict[str, int]:
        """How many of all stories lie in each band of the narrative's score."""
        counted = self.bands.get(key, {})
        n = {name: counted.get(name, 0) for name in BANDS[:-1]}
        if building:
            own = counted.get("building", 0)
            n = n | {"label": own, "near": n["near"] + n["label"] - own}
        return n | {"untold": max(0, self.n_stories - sum(n.values()))}

    def audit(self, key: str, *, building: bool = False) -> Audit:
        read, stories = self.of_narrative(key, building=building), self.stories(key, building=building)
        return auditing.audit(read, stories, self.usual)

    @cached_property
    def usual(self) -> dict[str, float]:
        return auditing.usual_rates([self.of_narrative(key) for key in definitions.narratives()])


def readings(session: Session, tagger: str, *, as_of: datetime) -> Readings | None:
    """None where nothing was drawn for audit yet."""
    made = review_store.rounds(session, tagger, as_of=as_of)
    if not made:
        return None
    drawn = review_store.draws(session, tagger, as_of=as_of)
    revisions = sorted(set(drawn["revision_id"]))
    drawn["reached"] = auditing.reached(drawn, review_store.passed(session, revisions, as_of=as_of))
    narratives, assets = tag_store.tags_of(session, revisions, tagger)
    said: dict[int, dict[str, StandingLabel]] = defaultdict(dict)
    named: dict[int, dict[str, StandingLabel]] = defaultdict(dict)
    by_search = review_store.searched(session, revisions)
    for revision, labels in review_store.labels_of(session, revisions, as_of=as_of).items():
        for label in labels:
            if label.review_id not in by_search:  # what a search finds is no random part of what was drawn
                (said if label.kind == "narrative" else named)[revision][label.key] = label
    return Readings(
        drawn=drawn,
        sizes={one.id or 0: one.n_stories for one in made},
        bands=made[-1].bands,
        n_stories=made[-1].n_stories,
        tags={revision: {tag.narrative: tag for tag in found} for revision, found in narratives.items()},
        mentions={revision: {one.asset: one for one in found} for revision, found in assets.items()},
        said=dict(said),
        named={revision: labels for revision, labels in named.items() if EVERY_OTHER in labels},
    )


# -- correcting series -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Audited:
    """What the audit says of each narrative: how its share is corrected, if it is, and what is told of it."""

    corrections: dict[str, Correction]
    told: list[AuditedLabel]


def audited(
    session: Session, tagger: str, narratives: Sequence[str], *, as_of: datetime, building: bool = False
) -> Audited:
    """building: of the labels that say +1 alone, as θ counts them."""
    found = readings(session, tagger, as_of=as_of)
    corrections, told = {}, []
    for key in narratives:
        audit = None if found is None else found.audit(key, building=building)
        told.append(_told(key, audit))
        if audit is not None and audit.enough:
            corrections[key] = audit.correction
    return Audited(corrections, told)


def _told(key: str, audit: Audit | None) -> AuditedLabel:
    floor = definitions.narrative(key).precision_floor
    n, positive = (0, 0) if audit is None else (audit.n, audit.n_positive)
    precision, recall = (NO_INTERVAL, NO_INTERVAL) if audit is None else (audit.precision, audit.recall)
    enough = audit is not None and audit.enough
    below = is_below(audit, floor)
    surely = "" if (precision.high or 0.0) < floor else ", not surely"
    return AuditedLabel(
        key=key,
        corrected=enough,
        n=n,
        n_positive=positive,
        needed=NEEDED,
        precision=precision.estimate,
        precision_low=precision.low,
        precision_high=precision.high,
        recall=recall.estimate if enough else None,
        recall_low=recall.low if enough else None,
        recall_high=recall.high if enough else None,
        floor=floor,
        below_floor=below,
        sentence=_sentence(key, audit)
        + (f" Its precision is below its floor of {floor:.2f}{surely}." if below else ""),
    )


def is_below(audit: Audit | None, floor: float) -> bool:
    if audit is None or audit.n_labelled < FLOOR_NEEDS:
        return False
    return (audit.precision.estimate or 0.0) < floor


def _sentence(key: str, audit: Audit | None) -> str:
    name = definitions.narrative(key).name
    if audit is None or not audit.n:
        return f"{name}: not corrected, nothing was read at random yet."
    if not audit.enough:
        return (
            f"{name}: not corrected, {audit.n_positive} of {audit.n} stories read at random carry it and {NEEDED} are "
            "needed."
        )
    return (
        f"{name}: corrected by {audit.n} stories read at random: precision {_between(audit.precision)}, recall "
        f"{_between(audit.recall)}."
    )


def _between(found: auditing.Interval) -> str:
    if found.estimate is None:
        return "not known"
    if found.low is None or found.high is None:
        return f"{found.estimate:.2f}"
    return f"{found.estimate:.2f} ({found.low:.2f}-{found.high:.2f})"


def audited_tone(session: Session, tagger: str, asset: str, *, as_of: datetime) -> tuple[Line | None, AuditedLabel]:
    """How the tone of an asset is corrected, if it is, and what is told of it."""
    found = readings(session, tagger, as_of=as_of)
    rows = pd.DataFrame() if found is None else found.of_asset(asset)
    both = rows.dropna(subset=["told", "said"]) if len(rows) else rows
    line = None
    if len(both):
        line = tone_line(*(both[name].to_numpy("float64") for name in ("told", "said", "weight")))
    name = definitions.asset(asset).name
    if line is None:
        sentence = (
            f"{name}: the tone is not corrected, {len(both)} stories read at random name it and {NEEDED} are needed."
        )
    else:
        error = float(np.average((both["told"] - both["said"]).to_numpy(), weights=both["weight"].to_numpy()))
        sentence = (
            f"{name}: the tone is corrected by {line.n} stories read at random; the tagger's lies {error:+.2f} from "
            "the reviewers' on average."
        )
    label, holds = (rows["label"], rows["holds"]) if len(rows) else (pd.Series(dtype=bool), pd.Series(dtype=bool))
    weight = rows["weight"].to_numpy("float64") if len(rows) else np.zeros(0)
    precision = proportion(holds.to_numpy(bool)[label.to_numpy(bool)], weight[label.to_numpy(bool)])
    recall = proportion(label.to_numpy(bool)[holds.to_numpy(bool)], weight[holds.to_numpy(bool)])
    told = AuditedLabel(
        key=asset,
        corrected=line is not None,
        n=len(rows),
        n_positive=int(holds.sum()),
        needed=NEEDED,
        precision=precision.estimate,
        precision_low=precision.low,
        precision_high=precision.high,
        recall=recall.estimate,
        recall_low=recall.low,
        recall_high=recall.high,
        floor=None,
        below_floor=False,
        sentence=sentence,
    )
    return line, told
