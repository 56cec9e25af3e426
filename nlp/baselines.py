"""What `evaluate` holds the tagger against: plain logistic regressions on words or on the encoder as it comes.

Needs the extra `train`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from models.errors import BadFile, BadInput
from models.tags import NarrativeScore, Tagged, Text
from nlp.calibration import best_threshold
from nlp.units import Unit

FOLDS, SEED = 4, 7
Vectors = Callable[[list[str]], Any]
"""From texts to one row each."""


class LogisticTagger:
    """A logistic regression a narrative, one for its direction and one for modality; thresholds by cross-validation.

    A narrative that fewer than FOLDS units carry, or all but so few, is not learned and never found; nor are assets.
    """

    def __init__(self, name: str, vectors: Vectors, units: Sequence[Unit], narratives: Sequence[str]) -> None:
        self.name, self._vectors = name, vectors
        seen = vectors([unit.text for unit in units])
        self._holds: dict[str, Any] = {}
        self._directions: dict[str, Any] = {}
        self._thresholds: dict[str, float] = {}
        even = np.ones(len(units))
        for key in narratives:
            truth = np.array([key in unit.narratives for unit in units])
            if min(truth.sum(), (~truth).sum()) < FOLDS:
                continue
            likely = cross_val_predict(_regression(), seen, truth, cv=FOLDS, method="predict_proba")[:, 1]
            self._thresholds[key] = best_threshold(likely, truth, even, seed=SEED)
            self._holds[key] = _regression().fit(seen, truth)
            rows = np.flatnonzero(truth)
            directions = [units[int(row)].narratives[key].direction for row in rows]
            self._directions[key] = _classes(seen[rows], directions)
        rows = np.flatnonzero([_modality(unit) is not None for unit in units])
        self._modality = _classes(seen[rows], [_modality(units[int(row)]) for row in rows]) if len(rows) else None

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        all_texts = list(texts)
        rows = self._vectors([" ".join(text.fields.values()) for text in all_texts])
        likely = {key: found.predict_proba(rows)[:, 1] for key, found in self._holds.items()}
        directions = {key: found.predict(rows) for key, found in self._directions.items()}
        modality = self._modality.predict(rows) if self._modality is not None else None
        for place, text in enumerate(all_texts):
            scores = (
                NarrativeScore(
                    narrative=key,
                    score=float(likely[key][place]),
                    label=bool(likely[key][place] >= self._thresholds[key]),
                    direction=int(directions[key][place]),
                    modality=str(modality[place]) if key == "liquidity" and modality is not None else None,
                    evidence=(),
                )
                for key in self._holds
            )
            yield Tagged(text.id, tuple(scores), ())


def by_words(units: Sequence[Unit], narratives: Sequence[str]) -> LogisticTagger:
    """TF-IDF of words and pairs of words. Raises: BadInput where no two units have a word in common."""
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    try:
        words.fit([unit.text for unit in units])
    except ValueError:
        raise BadInput(f"Nothing can be learned from {len(units)} labelled texts without a word in common.") from None
    return LogisticTagger("tfidf@1", words.transform, units, narratives)


def by_encoder(encoder: Path, units: Sequence[Unit], narratives: Sequence[str]) -> LogisticTagger:
    """The mean token of an encoder as it comes, of length 1. `encoder`: a transformers folder. Raises: BadFile."""
    if not (encoder / "tokenizer.json").is_file():
        raise BadFile(str(encoder), "is no folder with an encoder: it has no tokenizer.json.")
    import torch
    from transformers import AutoModel, AutoTokenizer

    words = AutoTokenizer.from_pretrained(str(encoder), trust_remote_code=False)
    network = AutoModel.from_pretrained(str(encoder), trust_remote_code=False).eval()

    def vectors(texts: list[str]) -> Any:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(texts), 64):
                tokens = words(
                    texts[start : start + 64], padding=True, truncation=True, max_length=96, return_tensors="pt"
                )
                there = tokens["attention_mask"].unsqueeze(-1)
                mean = (network(**tokens).last_hidden_state * there).sum(1) / there.sum(1)
                rows.append(torch.nn.functional.normalize(mean, dim=1).numpy())
        return np.concatenate(rows)

    return LogisticTagger("encoder+logistic@1", vectors, units, narratives)


def _regression() -> LogisticRegression:
    return LogisticRegression(C=10.0, max_iter=1_000)


def _classes(rows: Any, wanted: list[Any]) -> Any:
    """A regression on classes; where only one was seen, it."""
    return (_regression() if len(set(wanted)) > 1 else DummyClassifier()).fit(rows, wanted)


def _modality(unit: Unit) -> str | None:
    return unit.narratives["liquidity"].modality if "liquidity" in unit.narratives else None
