"""Narratives of one's own: told by examples, where the network was trained on nothing of the kind.

    embedding of a window -> whitened by the background, 2,000 windows of news -> length 1
        -> mean cosine with the examples, less of it in directions in which counterexamples lie
        -> by how many standard deviations of the background it lies over a threshold -> probability

Idea, figures and caveats: docs/methods/own-narratives.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from config.definitions import Narrative, distinct
from models.tags import NarrativeScore, Text
from nlp.evaluation import average_precision
from nlp.minilm import MOST_EVIDENCE, SHOWN_FROM, readable, sigmoid, unit_length
from nlp.windows import TAIL, Window, content, pool, span, windows

if TYPE_CHECKING:
    from nlp.minilm import Encoder

SHRINKAGE = 0.2
"""Of the background's mean variance, added in every direction: 2,000 windows do not tell 1,152 variances well."""
ASIDE = 0.05
"""Of the background, so much at most is taken for stories of the narrative itself."""
PASSING = 0.001
"""Of the rest of the background, labelled at most."""
MARGIN = 4.0
"""And standard deviations that the threshold lies over the background's median at least."""
FARTHEST = 30.0
"""Standard deviations from the threshold that are told apart."""
AT_THRESHOLD = -1.5
"""Log-odds there: what was so on 19 topics of news whose shares were 0.2 to 5 %."""
ALIKE = 0.75
"""The cosine from which two examples are one story in other words: neither is left in when the other is judged."""
FOLDS = 5
FEW = 20
Z90 = 1.6449
Floats = NDArray[np.floating]


class Space:
    """Where embeddings lie as seen from the background: whitened."""

    def __init__(self, background: Floats) -> None:
        n, width = background.shape
        self._centre = background.mean(axis=0)
        about = background - self._centre
        variance = about.T @ about / n
        variance += SHRINKAGE * np.trace(variance) / width * np.eye(width)
        self._whitening = np.linalg.cholesky(np.linalg.inv(variance))
        self.background = about @ self._whitening / np.sqrt(n)
        """Shape (texts, width); the squared length of each is its leverage, its own part in the variance."""

    def place(self, embeddings: Floats) -> Floats:
        """Of length 1, shape (windows, width); embeddings as `unit_length` gives them."""
        return _length_one((embeddings - self._centre) @ self._whitening)

    def middles(self, places: list[Floats]) -> Floats:
        """One place for each text: the middle of its windows'."""
        return _length_one(np.reshape([found.mean(axis=0) for found in places], (-1, self.background.shape[1])))


@dataclass(frozen=True, slots=True)
class Head:
    """Tells one narrative. `aside`: directions of the narrative's own stories among the background."""

    direction: Floats
    aside: Floats
    threshold: float
    spread: float

    def likeness(self, places: Floats) -> Floats:
        """From 0 to 1; a label from 0.5 on. No probability yet: see `probability`."""
        return self._likeness(_length_one(_freed(places, self.aside)) @ self.direction)

    def likeness_in_background(self, background: Floats) -> Floats:
        return self._likeness(_scores_as_new(background, self.aside, self.direction))

    def _likeness(self, scores: Floats) -> Floats:
        return sigmoid(np.clip((scores - self.threshold) / self.spread, -FARTHEST, FARTHEST))


def fit(background: Floats, examples: Floats, counterexamples: Floats) -> Head:
    """From places of at least two examples and any number of counterexamples, shape (texts, width).

    What a first head labels of the background is set aside: variance and threshold are told without it.
    """
    first = _fit(background, np.zeros(len(background), dtype=bool), examples, counterexamples)
    return _fit(background, first.likeness_in_background(background) >= 0.5, examples, counterexamples)


def _fit(background: Floats, own: NDArray[np.bool_], examples: Floats, counterexamples: Floats) -> Head:
    rows = background[own]
    aside = np.linalg.cholesky(np.linalg.inv(np.eye(len(rows)) - rows @ rows.T)).T @ rows
    examples, counterexamples = (_length_one(_freed(places, aside)) for places in (examples, counterexamples))
    n = len(examples)
    total = examples.sum(axis=0)
    direction = _away_from(counterexamples, total[None, :] / n)[0]
    left_out = (examples * _away_from(counterexamples, (total - examples) / (n - 1))).sum(axis=1)
    scores = _scores_as_new(background, aside, direction)[~own]
    low, median, high = np.quantile(scores, (0.16, 0.5, 1 - ASIDE))
    spread = max(median - low, 1e-9)  # of the lower half, where no story of the narrative lies
    rest = scores[scores <= max(np.quantile(left_out, 0.25), high)]
    threshold = max(np.quantile(rest, 1 - PASSING), median + MARGIN * spread)
    return Head(direction, aside, float(threshold), float(spread))


def _freed(vectors: Floats, aside: Floats) -> Floats:
    """Their products are those of vectors that had been whitened without the rows set aside (Woodbury)."""
    return np.hstack([vectors, vectors @ aside.T])


def _scores_as_new(background: Floats, aside: Floats, direction: Floats) -> Floats:
    """What new texts in the places of the background would score: as if the variance had been told without each."""
    beside = background @ aside.T
    leverage = np.einsum("ij,ij->i", background, background) + np.einsum("ij,ij->i", beside, beside)
    width = background.shape[1]
    scores = background @ direction[:width] + beside @ direction[width:]
    found: Floats = scores / np.sqrt(np.maximum(leverage * (1 - leverage), 1e-9))
    return found


def _away_from(counterexamples: Floats, directions: Floats) -> Floats:
    """(1 + Σ c cᵀ)⁻¹ v for each direction v: as if the counterexamples were a part of the background's variance."""
    if not len(counterexamples):
        return directions
    among = counterexamples @ counterexamples.T + np.eye(len(counterexamples))
    found: Floats = directions - np.linalg.solve(among, counterexamples @ directions.T).T @ counterexamples
    return found


def _length_one(vectors: Floats) -> Floats:
    found: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return found


def probability(likeness: float) -> float:
    """Of a text, from its windows' likeness, pooled."""
    bounded = min(max(likeness, 1e-6), 1 - 1e-6)
    return float(sigmoid(np.log(bounded / (1 - bounded)) + AT_THRESHOLD))


class OwnNarratives:
    """The part of MiniLMTagger that tells narratives by their examples."""

    def __init__(self, narratives: Mapping[str, Narrative], encoder: "Encoder") -> None:
        self._keys = list(narratives)
        self._space = Space(encoder.background())
        self._heads = [_fitted(self._space, found, encoder) for found in narratives.values()]

    def likeness(self, embeddings: Floats) -> Floats:
        """From the encoder's embeddings, shape (windows, 1152), to (windows, narratives)."""
        places = self._space.place(unit_length(embeddings.astype(np.float64)))
        return np.stack([head.likeness(places) for head in self._heads], axis=1)

    def told(self, text: Text, cut: list[Window], likeness: Floats, *, tail: float) -> list[NarrativeScore]:
        """Direction is 0 always: examples do not tell it."""
        pooled = pool(likeness, cut, n_windows=len(cut), tail=tail)
        found = []
        for key, by_window, whole in zip(self._keys, likeness.T, pooled, strict=True):
            score, label = probability(whole), bool(whole >= 0.5)
            best = np.argsort(-by_window, kind="stable")[:MOST_EVIDENCE]
            shown = [span(text, cut[place]) for place in best if label and by_window[place] >= 0.5]
            if score >= SHOWN_FROM:
                found.append(NarrativeScore(key, round(score, 4), label, 0, None, tuple(shown)))
        return found


def _fitted(space: Space, narrative: Narrative, encoder: "Encoder") -> Head:
    examples = [space.place(found) for found in read(distinct(narrative.examples), encoder)]
    against = [space.place(found) for found in read(distinct(narrative.counterexamples), encoder)]
    return fit(space.background, space.middles(examples), space.middles(against))


def read(texts: Sequence[str], encoder: "Encoder") -> list[Floats]:
    """The embeddings of each text's windows, shape (windows, 1152). A text without a word has none."""
    cut = [windows(Text("", {"text": text})) for text in texts]
    contents = [
        readable(content(Text("", {"text": text}), window))
        for text, found in zip(texts, cut, strict=True)
        for window in found
    ]
    if not contents:
        return [np.zeros((0, 3)) for _ in texts]
    readings = encoder.read(encoder.tokens(contents))
    embeddings = unit_length(np.stack([reading.embedding for reading in readings]).astype(np.float64))
    return np.split(embeddings, np.cumsum([len(found) for found in cut])[:-1])


# -- how well it does -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Share:
    """count of n, with a 90 % interval (Wilson)."""

    count: int
    n: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """Each text was judged by a head that had been fitted, threshold and all, without it."""

    examples: int
    repeated: int
    """Examples that were dropped: equal to another but for case, space and punctuation, or without a word."""
    few: bool
    """Fewer than 20 examples: the figures say little."""
    found: Share
    """Of the examples, labelled. Those that say nearly the same are left out together."""
    background: Share
    """Of the background, labelled; stories that do tell the narrative are among them."""
    counterexamples: Share | None
    ap: float
    """Of the examples among the background: the area under precision over recall."""
    auc: float


def share(count: int, n: int) -> Share:
    p = count / n
    middle = (p + Z90**2 / (2 * n)) / (1 + Z90**2 / n)
    half = Z90 * np.sqrt(p * (1 - p) / n + Z90**2 / (4 * n**2)) / (1 + Z90**2 / n)
    return Share(count, n, p, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def assess(narrative: Narrative, encoder: "Encoder") -> Assessment:
    """What may be hoped for on new texts: about as much as on each text that was left out."""
    texts = distinct(narrative.examples)
    space = Space(encoder.background())
    apart = [space.place(found) for found in read(texts, encoder)]
    against = [space.place(found) for found in read(distinct(narrative.counterexamples), encoder)]
    examples, counter, background = space.middles(apart), space.middles(against), space.background
    alike = examples @ examples.T >= ALIKE
    found = np.zeros(len(texts))
    for place, judged in enumerate(apart):
        others = examples[~alike[place]]
        if len(others) > 1:
            found[place] = _whole(fit(background, others, counter), judged)
    wrong = [
        _whole(fit(background, examples, np.delete(counter, place, axis=0)), judged)
        for place, judged in enumerate(against)
    ]
    labelled = np.zeros(len(background))
    for fold in range(FOLDS):
        out = np.arange(len(background)) % FOLDS == fold
        labelled[out] = fit(background[~out], examples, counter).likeness_in_background(background[out])
    truth = np.arange(len(texts) + len(background)) < len(texts)
    return Assessment(
        examples=len(texts),
        repeated=len(narrative.examples) - len(texts),
        few=len(texts) < FEW,
        found=_labelled(found),
        background=_labelled(labelled),
        counterexamples=_labelled(np.array(wrong)) if wrong else None,
        ap=average_precision(np.concatenate([found, labelled]), truth),
        auc=float(np.mean((found[:, None] > labelled) + 0.5 * (found[:, None] == labelled))),
    )


def _labelled(likeness: Floats) -> Share:
    return share(int((likeness >= 0.5).sum()), len(likeness))


def _whole(head: Head, places: Floats) -> float:
    """The likeness of a text of these windows, as the tagger pools it."""
    cut = [Window("text", place, place + 1) for place in range(len(places))]
    return float(pool(head.likeness(places)[:, None], cut, n_windows=len(cut), tail=TAIL)[0])
