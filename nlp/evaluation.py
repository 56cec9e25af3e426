"""How well a tagger does on labelled texts: per narrative, and for assets and tones, with n beside every figure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import comb
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.errors import BadInput
from models.tags import Tagged, Text
from nlp.calibration import expected_error, platt
from nlp.units import Unit

DRAWS = 1_000
CALIBRATED_FROM = 10
"""Texts that carry a narrative, below which no slope of calibration is told."""
PAIRED_DRAWS, PAIRED_AT_ONCE = 2_000, 200
LEAST_POSITIVES = 10
"""Texts of an exam that carry a narrative, below which it does not count when two taggers are compared."""
ENOUGH_POSITIVES = 60
"""Texts that carry a core narrative, over those that count and each once for each, below which nothing is compared."""
SURE = 0.05
"""The p from which down one tagger is called better."""
UNTOLD = 0.002
"""What a narrative that is not told of is held for: the mean of what lies below the least that is told."""


class Reads(Protocol):
    name: str

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]: ...


@dataclass(frozen=True, slots=True)
class NarrativeFigures:
    """precision, recall, f1, ap in [0, 1]; direction: share of the true positives whose direction is right, or None."""

    narrative: str
    n: int
    precision: float
    recall: float
    f1: float
    f1_low: float
    f1_high: float
    """A 90 % interval over bootstrap samples of the texts."""
    ap: float | None
    """None where no text carries it."""
    direction: float | None
    slope: float | None
    """Of the truth on the log-odds told: 1 where they mean what they say, less where they say too much."""
    calibration_error: float | None
    """Expected calibration error, over ten bins of equal width."""


@dataclass(frozen=True, slots=True)
class Figures:
    tagger: str
    units: int
    narratives: list[NarrativeFigures]
    macro_f1_core: float
    macro_f1_context: float
    macro_ap_core: float
    direction: float | None
    modality: float | None
    n_assets: int
    assets_f1: float
    tone: float | None


@dataclass(frozen=True, slots=True)
class Paired:
    """Two taggers on the same n texts: weighted macro-F1 over the core narratives that count, and new less old.

    low, high: a 90 % interval over bootstrap samples of the texts, the same for both. p: the share of these in which
    the new one is not better (one-sided).
    """

    old: str
    new: str
    n: int
    positives: dict[str, int]
    """Texts that carry each narrative that counts."""
    old_f1: float
    new_f1: float
    difference: float
    low: float
    high: float
    p: float
    better: bool
    """p is at most SURE."""
    only_old_right: int
    """Decisions on a text and a narrative, whatever the weights, in which the old tagger alone was right."""
    only_new_right: int
    mcnemar_p: float
    """Exact, two-sided: as if these decisions were independent."""


def evaluate(tagger: Reads, units: Sequence[Unit], *, core: Sequence[str], narratives: Sequence[str]) -> Figures:
    """What the tagger makes of the texts, beside what readers said of them."""
    said = list(tagger.tag(Text(unit.id, {"text": unit.text}) for unit in units))
    return judge(tagger.name, units, said, core=core, narratives=narratives)


def judge(
    tagger: str, units: Sequence[Unit], said: Sequence[Tagged], *, core: Sequence[str], narratives: Sequence[str]
) -> Figures:
    """A narrative that no unit carries is left out of the averages. seed 0 draws the intervals."""
    rows = [_narrative(key, units, said) for key in narratives]
    told = {row.narrative: row for row in rows if row.n}
    context = [row for key, row in told.items() if key not in core]
    own = [told[key] for key in core if key in told]
    right = [same for key in narratives for same in _directions(key, units, said)]
    modalities = list(_modalities(units, said))
    wanted = [set(unit.assets) for unit in units]
    got = [{mention.asset: mention.tone for mention in one.assets} for one in said]
    hits = sum(len(want & set(found)) for want, found in zip(wanted, got, strict=True))
    tones = [
        found[asset] == unit.assets[asset]
        for unit, found in zip(units, got, strict=True)
        for asset in unit.assets.keys() & found.keys()
    ]
    return Figures(
        tagger=tagger,
        units=len(units),
        narratives=rows,
        macro_f1_core=_mean([row.f1 for row in own]) or 0.0,
        macro_f1_context=_mean([row.f1 for row in context]) or 0.0,
        macro_ap_core=_mean([row.ap for row in own if row.ap is not None]) or 0.0,
        direction=_mean(right),
        modality=_mean(modalities),
        n_assets=sum(map(len, wanted)),
        assets_f1=_f1(hits, sum(map(len, got)), sum(map(len, wanted))),
        tone=_mean(tones),
    )


def positives(units: Sequence[Unit], core: Sequence[str]) -> dict[str, int]:
    """Of the core narratives that enough of the texts carry to count when taggers are compared: how many do."""
    counted = {key: sum(key in unit.narratives for unit in units) for key in core}
    return {key: n for key, n in counted.items() if n >= LEAST_POSITIVES}


def check_exam(units: Sequence[Unit], core: Sequence[str]) -> dict[str, int]:
    """See `positives`. Raises: BadInput where they are too few for any comparison."""
    found = positives(units, core)
    if sum(found.values()) < ENOUGH_POSITIVES:
        raise BadInput(
            f"The exam is too small to tell whether a tagger is better: {sum(found.values())} of {ENOUGH_POSITIVES} "
            f"texts that carry a core narrative, among {len(units)} drawn at random and read (a narrative that fewer "
            f"than {LEAST_POSITIVES} carry does not count). Read more of what is drawn for audit first."
        )
    return found


def compare(
    old: Reads, new: Reads, units: Sequence[Unit], weights: Sequence[float], *, core: Sequence[str], seed: int = 0
) -> Paired:
    """Whether the new tagger is better on texts that neither has learned from. Raises: BadInput if they are too few."""
    check_exam(units, core)
    said = [list(one.tag(Text(unit.id, {"text": unit.text}) for unit in units)) for one in (old, new)]
    return paired(units, weights, *said, names=(old.name, new.name), core=core, seed=seed)


def paired(
    units: Sequence[Unit],
    weights: Sequence[float],
    old: Sequence[Tagged],
    new: Sequence[Tagged],
    *,
    names: tuple[str, str],
    core: Sequence[str],
    seed: int = 0,
) -> Paired:
    """`compare`, of what the two have said. Raises: BadInput."""
    counted = check_exam(units, core)
    keys = list(counted)
    truth = np.array([[key in unit.narratives for key in keys] for unit in units])
    labels = [_labels(said, keys) for said in (old, new)]
    even = np.array(weights, dtype=np.float64)
    even = even / even.mean()
    whole = [_macro_f1(truth, one, even[None, :])[0] for one in labels]
    rng = np.random.default_rng(seed)
    spread = []
    for _ in range(PAIRED_DRAWS // PAIRED_AT_ONCE):
        times = rng.multinomial(len(units), np.full(len(units), 1 / len(units)), PAIRED_AT_ONCE) * even
        before, after = (_macro_f1(truth, one, times) for one in labels)
        spread.append(after - before)
    differences = np.concatenate(spread)
    low, high = np.quantile(differences, (0.05, 0.95))
    p = float((differences <= 1e-12).mean())
    right = [one == truth for one in labels]
    only_old, only_new = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    return Paired(
        old=names[0],
        new=names[1],
        n=len(units),
        positives=counted,
        old_f1=float(whole[0]),
        new_f1=float(whole[1]),
        difference=float(whole[1] - whole[0]),
        low=float(low),
        high=float(high),
        p=p,
        better=p <= SURE,
        only_old_right=only_old,
        only_new_right=only_new,
        mcnemar_p=_mcnemar(only_old, only_new),
    )


def _labels(said: Sequence[Tagged], keys: Sequence[str]) -> NDArray[np.bool_]:
    told = [{tag.narrative for tag in one.narratives if tag.label} for one in said]
    return np.array([[key in found for key in keys] for found in told])


def _macro_f1(truth: NDArray[np.bool_], labels: NDArray[np.bool_], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """By sample. Shapes: truth and labels (texts, narratives), weights (samples, texts)."""
    hits = weights @ (truth & labels)
    told = weights @ (truth.astype(float) + labels)
    found: NDArray[np.float64] = np.divide(2 * hits, told, out=np.zeros_like(hits), where=told > 0).mean(axis=1)
    return found


def _mcnemar(one: int, other: int) -> float:
    n = one + other
    return min(1.0, float(2 * sum(comb(n, k) for k in range(min(one, other) + 1)) / 2**n))


def average_precision(scores: np.ndarray, truth: np.ndarray) -> float:
    """The area under precision over recall; of equal scores the wrong one stands first. NaN without a true one."""
    order = np.lexsort((truth, -scores))
    ranked = truth[order].astype(bool)
    return float((np.cumsum(ranked)[ranked] / (np.flatnonzero(ranked) + 1)).mean()) if ranked.any() else float("nan")


def _narrative(key: str, units: Sequence[Unit], said: Sequence[Tagged]) -> NarrativeFigures:
    truth = np.array([key in unit.narratives for unit in units])
    found = [next((tag for tag in one.narratives if tag.narrative == key), None) for one in said]
    labels = np.array([tag is not None and tag.label for tag in found])
    scores = np.array([tag.score if tag is not None else 0.0 for tag in found])
    hits = int((truth & labels).sum())
    told = np.clip(np.where(scores > 0, scores, UNTOLD), 1e-6, 1 - 1e-6)
    enough = truth.sum() >= CALIBRATED_FROM
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(units), (DRAWS, len(units)))
    spread = [_f1(int((truth[d] & labels[d]).sum()), int(labels[d].sum()), int(truth[d].sum())) for d in drawn]
    low, high = np.quantile(spread, (0.05, 0.95))
    return NarrativeFigures(
        narrative=key,
        n=int(truth.sum()),
        precision=hits / max(1, int(labels.sum())),
        recall=hits / max(1, int(truth.sum())),
        f1=_f1(hits, int(labels.sum()), int(truth.sum())),
        f1_low=float(low),
        f1_high=float(high),
        ap=average_precision(scores, truth) if truth.any() else None,
        direction=_mean(list(_directions(key, units, said))),
        slope=platt(np.log(told / (1 - told)), truth, np.ones(len(truth)))[0] if enough else None,
        calibration_error=expected_error(scores, truth) if enough else None,
    )


def _directions(key: str, units: Sequence[Unit], said: Sequence[Tagged]) -> Iterator[bool]:
    for unit, one in zip(units, said, strict=True):
        for tag in one.narratives:
            if tag.narrative == key and tag.label and key in unit.narratives:
                yield tag.direction == unit.narratives[key].direction


def _modalities(units: Sequence[Unit], said: Sequence[Tagged]) -> Iterator[bool]:
    for unit, one in zip(units, said, strict=True):
        for tag in one.narratives:
            if tag.narrative == "liquidity" and tag.label and "liquidity" in unit.narratives:
                yield tag.modality == unit.narratives["liquidity"].modality


def _f1(hits: int, said: int, wanted: int) -> float:
    return 2 * hits / (said + wanted) if said + wanted else 0.0


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if len(values) else None
