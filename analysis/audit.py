"""What a random audit says of a tagger, and how it corrects what was counted. docs/methods/audit.md.

stories, by the tagger's scores -> strata -> drawn at random, each with its inclusion probability
those that were read -> weights -> precision, omission and recall, with intervals
a share by the tagger -> precision of the labelled + omission among the others = the corrected share
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from analysis.intervals import Z90, wilson

Array = NDArray[np.float64]
NEEDED = 30
"""Audited stories that carry a narrative (or name an asset) below which nothing is corrected."""
NEAR, TOLD = 0.1, 0.02
"""Scores from which an unlabelled narrative is near a label, and told of at all."""
BANDS = ("label", "near", "told", "other", "untold")
"""Of a narrative: labelled; by its score; or not told of, in a story that is labelled with another, or with none."""
EXPECTED = {"label": 0.6, "near": 0.2, "told": 0.05, "other": 0.01, "untold": 0.002}
"""How often a narrative holds in a band of which nothing was read."""
LIKE_OTHERS = 0.5
"""Stories found in a band before any is read, among as many as it usually takes: narratives differ from what is usual
for all of them, but where none of fifty was right, the next may well be."""
LABELLED, PLACES = 0.6, {"near": 0.2, "told": 0.08, "untold": 0.12}
"""Of a draw: the part that the tagger labelled, shared out by narrative, and the parts of the others."""
CORE_COUNTS = 2
"""A core narrative gets so many times the place of another."""


# -- drawing ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Drawn:
    """units: (revision id, stratum, inclusion probability) in the order in which they are to be read.

    bands: by narrative, how many of all stories lie in each band of its score, and are labelled as building.
    """

    units: list[tuple[int, str, float]]
    bands: dict[str, dict[str, int]]


def draw(ids: Sequence[int], scores: pd.DataFrame, *, size: int, core: Sequence[str], seed: int) -> Drawn:
    """Draw `size` of all stories without replacement within strata, all if there are no more.

    ids: one revision a story. scores: columns revision_id, narrative, score, label, direction; see
    models.store.reviews.scores. A labelled story belongs to its rarest narrative, another to its highest score.
    """
    strata = _strata(ids, scores)
    rng = np.random.default_rng(seed)
    units: list[tuple[int, str, float]] = []
    for stratum, n in _places(strata, size, core).items():
        members = strata[stratum]
        chosen = rng.choice(len(members), n, replace=False)
        units += [(members[place], stratum, n / len(members)) for place in chosen]
    order = rng.permutation(len(units))
    return Drawn([units[place] for place in order], _counts(scores))


def _strata(ids: Sequence[int], scores: pd.DataFrame) -> dict[str, list[int]]:
    labelled = scores[scores["label"].astype(bool)]
    count = labelled["narrative"].value_counts()
    rarest = labelled.assign(rarity=labelled["narrative"].map(count)).sort_values(["rarity", "narrative"])
    own: dict[Any, str] = rarest.groupby("revision_id")["narrative"].first().to_dict()
    highest: dict[Any, float] = scores.groupby("revision_id")["score"].max().to_dict()
    strata: dict[str, list[int]] = {}
    for revision in ids:
        stratum = own.get(revision) or _band(highest.get(revision, 0.0))
        strata.setdefault(stratum, []).append(revision)
    return strata


def _band(score: float) -> str:
    return "near" if score >= NEAR else "told" if score >= TOLD else "untold"


def _places(strata: dict[str, list[int]], size: int, core: Sequence[str]) -> dict[str, int]:
    """How many to draw from each stratum: by their parts, and what one cannot give is shared among the others."""
    weight = {key: CORE_COUNTS if key in core else 1 for key in strata if key not in PLACES}
    total = sum(weight.values())
    part = {key: LABELLED * weight[key] / total for key in weight} | {k: p for k, p in PLACES.items() if k in strata}
    taken = dict.fromkeys(sorted(part), 0)
    while (left := size - sum(taken.values())) > 0:
        free = [key for key in taken if taken[key] < len(strata[key])]
        if not free:
            break
        shares = {key: left * part[key] / sum(part[one] for one in free) for key in free}
        whole = {key: min(int(shares[key]), len(strata[key]) - taken[key]) for key in free}
        if not any(whole.values()):  # less than one each: the largest parts come first
            for key in sorted(free, key=lambda key: (taken[key] - size * part[key], key))[:left]:
                whole[key] = 1
        for key, n in whole.items():
            taken[key] += n
    return {key: n for key, n in taken.items() if n}


def _counts(scores: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Of each narrative that is told of anywhere; what is left of all stories is untold."""
    labelled = set(scores.loc[scores["label"].astype(bool), "revision_id"])
    found = {}
    for narrative, rows in scores.groupby("narrative"):
        label, score = rows["label"].to_numpy(bool), rows["score"].to_numpy("float64")
        told = set(rows.loc[label | (score >= TOLD), "revision_id"])
        found[str(narrative)] = {
            "label": int(label.sum()),
            "building": int((label & (rows["direction"].to_numpy() > 0)).sum()),
            "near": int((~label & (score >= NEAR)).sum()),
            "told": int((~label & (score >= TOLD) & (score < NEAR)).sum()),
            "other": len(labelled - told),
        }
    return found


def reached(drawn: pd.DataFrame, passed: Collection[int]) -> "pd.Series[bool]":
    """Whether a story stands before the first of its round that nobody has passed (read, or skipped) yet.

    drawn: columns round_id, revision_id, in the order drawn. What was judged before its turn, as doubtful, say, is no
    random part of the round until its turn has come.
    """
    is_passed = drawn["revision_id"].isin(list(passed))
    return is_passed.groupby(drawn["round_id"]).cummin().astype(bool)


def weights(drawn: pd.DataFrame, sizes: dict[int, int]) -> pd.DataFrame:
    """Of what share of all stories each that was read speaks; about 1 in all. Index revision_id, column weight.

    drawn: columns round_id, revision_id, inclusion_probability, read (bool). sizes: stories by round. Those not read of
    a round are taken as missing at random; rounds count by how many of each were read.
    """
    read = drawn[drawn["read"].astype(bool)]
    if read.empty:
        return pd.DataFrame({"weight": []}, index=pd.Index([], name="revision_id", dtype="int64"))
    n_drawn, n_read = drawn.groupby("round_id").size(), read.groupby("round_id").size()
    of_round = (n_drawn / n_read) / pd.Series(sizes) * n_read / len(read)
    weight = read["round_id"].map(of_round) / read["inclusion_probability"]
    return weight.groupby(read["revision_id"]).sum().rename("weight").to_frame()


# -- estimating ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 90 % interval; all None where nothing can be told."""

    estimate: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Rate:
    """An estimate in [0, 1] with its 90 % interval."""

    estimate: float
    low: float
    high: float

    @property
    def variance(self) -> float:
        return ((self.high - self.low) / (2 * Z90)) ** 2


@dataclass(frozen=True, slots=True)
class Correction:
    """Of the stories that nobody has read: the share of the labelled that carry the narrative, and of the others."""

    kept: Rate
    missed: Rate


@dataclass(frozen=True, slots=True)
class Audit:
    """n read; of them labelled by the tagger, and positive as the reviewer says."""

    n: int
    n_labelled: int
    n_positive: int
    precision: Interval
    recall: Interval
    correction: Correction

    @property
    def enough(self) -> bool:
        return self.n_positive >= NEEDED


def usual_rates(reads: Sequence[pd.DataFrame]) -> dict[str, float]:
    """How often narratives hold in each band, all those of which any was found taken together, half a find added.

    reads: of each; see audit.
    """
    found = [read for read in reads if read["holds"].any()]
    if not found:
        return EXPECTED
    whole = pd.concat(found)
    holds, weight, bands = whole["holds"].to_numpy("float64"), whole["weight"].to_numpy("float64"), _bands(whole)
    usual = {}
    for place, name in enumerate(BANDS):
        within = bands == place
        n, of = int(within.sum()), float(weight[within].sum())
        share = float(weight[within] @ holds[within]) / of if of > 0 else 0.0
        usual[name] = (n * share + 0.5) / (n + 1) if n else EXPECTED[name]
    return usual


def _bands(read: pd.DataFrame) -> NDArray[np.intp]:
    """The place in BANDS of each story read."""
    score = read["score"].to_numpy("float64")
    below = np.where(read["other"].to_numpy(bool), 3, 4)
    scored = np.where(score >= NEAR, 1, np.where(score >= TOLD, 2, below))
    bands: NDArray[np.intp] = np.where(read["label"].to_numpy(bool), 0, scored)
    return bands


def audit(read: pd.DataFrame, stories: dict[str, int] | None, usual: dict[str, float] = EXPECTED) -> Audit:
    """What the stories read say of one narrative.

    read: columns weight, score (0 where the tagger does not tell it), label, holds, other (whether the story is
    labelled with anything; bool). stories: how many there are in each band; None: as the weights say. usual: see
    usual_rates.
    """
    label, holds = read["label"].to_numpy(bool), read["holds"].to_numpy(bool)
    weight, band = read["weight"].to_numpy("float64"), _bands(read)
    places = range(len(BANDS))
    n_read = np.array([(band == one).sum() for one in places])
    mass = np.array([weight[band == one].sum() for one in places])
    unread = mass
    if stories is not None:
        mass = np.array([stories[name] for name in BANDS], dtype="float64")
        unread = np.maximum(mass - n_read, 0)
    rates = [_rate(holds[band == one], weight[band == one], usual[name]) for one, name in enumerate(BANDS)]
    missed = _sum(rates[1:], mass[1:] / max(mass[1:].sum(), 1e-12))
    labelled = float(mass[0] / max(mass.sum(), 1e-12))
    return Audit(
        n=len(read),
        n_labelled=int(label.sum()),
        n_positive=int(holds.sum()),
        precision=proportion(holds[label], weight[label]),
        recall=_recall(rates[0], missed, labelled) if holds.any() else Interval(None, None, None),
        correction=Correction(rates[0], _sum(rates[1:], unread[1:] / max(unread[1:].sum(), 1e-12))),
    )


def _rate(holds: NDArray[np.bool_], weight: Array, usual: float) -> Rate:
    """How often the narrative holds in a band: the mean and the 5 % and 95 % points of a beta distribution."""
    n = weight.sum() ** 2 / (weight**2).sum() if len(weight) else 0.0
    hits = n * float(weight @ holds / weight.sum()) if len(weight) else 0.0
    yes, no = hits + LIKE_OTHERS, n - hits + LIKE_OTHERS * (1 - usual) / usual
    low, high = special.betaincinv(yes, no, (0.05, 0.95))
    mean = yes / (yes + no)
    return Rate(mean, min(float(low), mean), max(float(high), mean))


def _sum(rates: Sequence[Rate], parts: Array) -> Rate:
    """Of the bands together. The interval: Zou & Donner (2008), which keeps what is skewed of each."""
    mean = sum(part * rate.estimate for rate, part in zip(rates, parts, strict=True))
    below = sum((part * (rate.estimate - rate.low)) ** 2 for rate, part in zip(rates, parts, strict=True))
    above = sum((part * (rate.high - rate.estimate)) ** 2 for rate, part in zip(rates, parts, strict=True))
    return Rate(float(mean), max(0.0, float(mean - np.sqrt(below))), min(1.0, float(mean + np.sqrt(above))))


def proportion(holds: NDArray[np.bool_], weight: Array) -> Interval:
    """The weighted share of those that hold, with Wilson's interval at Kish's effective n."""
    if not len(weight):
        return Interval(None, None, None)
    share, n = weight @ holds / weight.sum(), weight.sum() ** 2 / (weight**2).sum()
    low, high = wilson(np.array([share]), np.array([n]))
    return Interval(*(round(float(value), 6) for value in (share, low[0], high[0])))


def _recall(kept: Rate, missed: Rate, labelled: float) -> Interval:
    """Of the narrative's stories, those that are labelled; the interval by the log-odds of its parts, as in _sum."""
    hit, lost = labelled * kept.estimate, (1 - labelled) * missed.estimate
    if hit <= 0:
        return Interval(0.0, 0.0, None)
    if lost <= 0:  # there is nothing that is not labelled
        return Interval(1.0, None, 1.0)
    odds = np.log(hit / lost)
    below = np.hypot(np.log(kept.estimate / max(kept.low, 1e-9)), np.log(missed.high / missed.estimate))
    above = np.hypot(np.log(kept.high / kept.estimate), np.log(missed.estimate / max(missed.low, 1e-9)))
    ends = 1 / (1 + np.exp(-np.array([odds, odds - below, odds + above])))
    return Interval(*(round(float(value), 6) for value in ends))


# -- correcting ------------------------------------------------------------------------------------------------------


def corrected_share(
    share: Array, n: Array, found: Correction, *, carrying: Array, lacking: Array
) -> tuple[Array, Array, Array]:
    """A share as the audit corrects it, with its 90 % interval; NaN where n is 0. Shapes: all (buckets,).

    share: of n effective stories, labelled. carrying, lacking: shares of the stories of which a reviewer has said that
    they carry the narrative (these are labelled), or do not (these are not): they are known, and not corrected.
    """
    kept, missed = found.kept, found.missed
    labelled, others = np.maximum(share - carrying, 0), np.maximum(1 - share - lacking, 0)
    value = np.clip(carrying + labelled * kept.estimate + others * missed.estimate, 0, 1)
    low, high = wilson(share, n)
    slope = abs(kept.estimate - missed.estimate)
    below = [slope * (share - low), labelled * (kept.estimate - kept.low), others * (missed.estimate - missed.low)]
    above = [slope * (high - share), labelled * (kept.high - kept.estimate), others * (missed.high - missed.estimate)]
    reach = [np.sqrt(np.sum(np.square(parts), axis=0)) for parts in (below, above)]
    return value, np.maximum(value - reach[0], 0), np.minimum(value + reach[1], 1)


@dataclass(frozen=True, slots=True)
class Line:
    """The tone a reviewer tells where the tagger tells t: intercept + slope t. covariance: shape (2, 2); n read."""

    n: int
    intercept: float
    slope: float
    covariance: tuple[tuple[float, float], tuple[float, float]]

    def at(self, tone: float) -> tuple[float, float]:
        """The corrected tone, and its variance by what the audit does not know."""
        x = np.array([1.0, tone])
        return float(np.clip(self.intercept + self.slope * tone, -1, 1)), float(x @ np.array(self.covariance) @ x)


def tone_line(told: Array, said: Array, weight: Array) -> Line | None:
    """By weighted least squares, with the sandwich variance; None below NEEDED stories. Shapes: all (stories,).

    Where the tagger tells one tone only, the slope is 1: only the mean is corrected.
    """
    if len(told) < NEEDED:
        return None
    w = weight / weight.sum()
    n = 1 / (w**2).sum()
    if float(w @ (told - w @ told) ** 2) < 1e-9:
        shift = said - told
        mean = float(w @ shift)
        variance = float(w @ (shift - mean) ** 2) / max(n - 1, 1)
        return Line(len(told), mean, 1.0, ((variance, 0.0), (0.0, 0.0)))
    x = np.column_stack([np.ones(len(told)), told])
    bread = np.linalg.inv(x.T @ (w[:, None] * x))
    intercept, slope = bread @ x.T @ (w * said)
    residual = said - intercept - slope * told
    meat = x.T @ ((w * residual)[:, None] ** 2 * x) * n / max(n - 2, 1)
    covariance = bread @ meat @ bread
    (a, b), (c, d) = covariance.tolist()
    return Line(len(told), float(intercept), float(slope), ((a, b), (c, d)))


# -- calibration -----------------------------------------------------------------------------------------------------

EDGES = (0.0, 0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Bin:
    """Of the stories read whose score lies in [low_score, high_score): what was told, and what is so."""

    low_score: float
    high_score: float
    n: int
    told: float
    holds: Interval


def calibration(read: pd.DataFrame) -> Iterator[Bin]:
    """See audit; bins of which nothing was read are left out."""
    score = read["score"].to_numpy("float64")
    for low, high in pairwise(EDGES):
        rows = read[(score >= low) & ((score < high) | (high == 1.0))]
        if len(rows):
            weight = rows["weight"].to_numpy("float64")
            told = float(weight @ rows["score"].to_numpy("float64") / weight.sum())
            yield Bin(low, high, len(rows), round(told, 6), proportion(rows["holds"].to_numpy(bool), weight))
