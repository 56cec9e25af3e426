"""Models of Hugging Face, named hf:OWNER/NAME@REVISION: taggers, and the tone of another tagger's assets.

    text -> windows -> the model reads each (for entailment: against each narrative's hypothesis)
         -> per narrative: probability, and direction where a label tells it; pooled over the windows as for minilm
         -> per asset: named by the phrases of assets.toml; no tone, unless a model of sentiment tells it

What a model's labels mean stands in narratives.toml. A probability is the model's own: nothing is calibrated. Each
window is read by itself, so that what is said of a text does not depend on what is read with it. Needs the extra `hf`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.definitions import Asset, EntailmentModel, Narrative, NarrativeModel, SentimentModel, model_and_revision
from models.errors import ConfigError
from models.tags import NarrativeScore, Tagged, Text
from nlp.evaluation import Reads
from nlp.keywords import KeywordTagger
from nlp.minilm import MOST_EVIDENCE, SHOWN_FROM, TEXTS_AT_ONCE, readable, sigmoid, softmax
from nlp.windows import TAIL, content, holds, pool, span, windows

MAX_TOKENS = 512
"""Read at once, where the model does not take fewer: an endless sentence is one window."""
SIDES = ("entail", "contradict")
"""How the names of the labels begin in most models of entailment."""
Floats = NDArray[np.floating]


class Classifier:
    """A sequence classifier and its tokenizer, out of the cache of Hugging Face or, failing that, from its hub."""

    def __init__(self, name: str) -> None:
        """Raises: ConfigError."""
        try:
            import torch  # noqa: F401 - without it transformers has no models
        except ModuleNotFoundError:
            raise ConfigError(f"{name} needs the extra `hf`: pip install 'storyshift[hf]'.") from None
        config, self._tokenizer, self._network = _load(name)
        self.labels: list[str] = [config.id2label[place] for place in range(config.num_labels)]
        self.several: bool = config.problem_type == "multi_label_classification"
        """Whether more than one label may hold."""
        limits = (MAX_TOKENS, self._tokenizer.model_max_length, getattr(config, "max_position_embeddings", 0))
        self._limit = min(limit for limit in limits if limit > 0)

    def logits(self, text: str, hypothesis: str | None = None) -> Floats:
        """Shape (labels,)."""
        import torch

        tokens = self._tokenizer(text, hypothesis, truncation=True, max_length=self._limit, return_tensors="pt")
        with torch.inference_mode():
            found: Floats = self._network(**tokens).logits[0].double().numpy()
        return found


class HuggingFaceTagger:
    """Deterministic; keeps nothing between texts."""

    def __init__(
        self,
        name: str,
        told: NarrativeModel | EntailmentModel,
        narratives: Mapping[str, Narrative],
        assets: Mapping[str, Asset],
        model: Classifier | None = None,
    ) -> None:
        """Raises: ConfigError."""
        self.name = name
        self._model = model or Classifier(name)
        self._threshold = told.threshold
        self._phrases = KeywordTagger({}, dict(assets))
        self._hypotheses: list[str] = []
        if isinstance(told, EntailmentModel):
            self._narratives = list(narratives)
            self._hypotheses = [found.hypothesis or found.definition for found in narratives.values()]
            self._sides = _entailment(name, told, self._model.labels)
        else:
            self._narratives = list(dict.fromkeys(said.narrative for said in told.labels.values()))
            _check(name, told.labels, self._model.labels)
            self._says = np.zeros((len(self._model.labels), len(self._narratives), 3))
            for label, said in told.labels.items():
                place = self._model.labels.index(label), self._narratives.index(said.narrative)
                self._says[*place, said.direction + 1] = 1
        self._together = np.max if self._model.several else np.sum
        """Of labels that say the same. Those of which only one can hold share their probability."""

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        """One result per text, in order; a text without words gives an empty result."""
        for text in texts:
            (named,) = self._phrases.tag([text])
            yield Tagged(text.id, tuple(self._found(text)), named.assets)

    def _found(self, text: Text) -> Iterator[NarrativeScore]:
        """The likeliest first."""
        cut = windows(text)
        if not cut:
            return
        read = np.stack([self._read(readable(content(text, window))) for window in cut])
        by_window = self._together(read, axis=2).clip(max=1)
        pooled = pool(by_window, cut, n_windows=len(cut), tail=TAIL)
        for place in np.argsort(-pooled, kind="stable"):
            if pooled[place] < SHOWN_FROM:
                return
            best = np.argsort(-by_window[:, place], kind="stable")[:MOST_EVIDENCE]
            label = bool(pooled[place] >= self._threshold)
            shown = [cut[window] for window in best if by_window[window, place] >= self._threshold]
            yield NarrativeScore(
                narrative=self._narratives[place],
                score=round(float(pooled[place]), 4),
                label=label,
                direction=int(read[best, place].sum(axis=0).argmax()) - 1,
                modality=None,
                evidence=tuple(span(text, window) for window in shown) if label else (),
            )

    def _read(self, words: str) -> Floats:
        """How likely each narrative is told with direction -1, 0, +1; shape (narratives, 3)."""
        if self._hypotheses:
            entailed = [softmax(self._model.logits(words, asked)[self._sides])[0] for asked in self._hypotheses]
            return np.array([[0, share, 0] for share in entailed])
        found: Floats = self._together(_probabilities(self._model, words)[:, None, None] * self._says, axis=0)
        return found


class WithSentiment:
    """Another tagger's tags, with the tone of each asset as a model of sentiment reads the windows that name it."""

    def __init__(self, tagger: Reads, name: str, told: SentimentModel, model: Classifier | None = None) -> None:
        """Raises: ConfigError."""
        self.name = f"{tagger.name}+{name}"
        self._tagger = tagger
        self._model = model or Classifier(name)
        _check(name, told.labels, self._model.labels)
        for label in self._model.labels:
            if label not in told.labels:
                raise _mistake(name, f"{label!r} is left out; say its tone, -1, 0 or 1.")
        self._tones = np.array([[told.labels[label] == tone for tone in (-1, 0, 1)] for label in self._model.labels])

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        """One result per text, in order."""
        rest = iter(texts)
        while batch := list(islice(rest, TEXTS_AT_ONCE)):
            for text, tagged in zip(batch, self._tagger.tag(batch), strict=True):
                yield self._judged(text, tagged)

    def _judged(self, text: Text, tagged: Tagged) -> Tagged:
        """An asset that is meant without being named is judged by the whole text."""
        cut = windows(text)
        naming = [[window for window in cut if holds(window, found.spans)] or cut for found in tagged.assets]
        read = {window: self._read(readable(content(text, window))) for some in naming for window in some}
        assets = [
            replace(found, tone=float(np.sum([read[w] for w in some], axis=0).argmax()) - 1 if some else None)
            for found, some in zip(tagged.assets, naming, strict=True)
        ]
        return replace(tagged, assets=tuple(assets))

    def _read(self, words: str) -> Floats:
        """How likely the tone is -1, 0, +1."""
        found: Floats = _probabilities(self._model, words) @ self._tones
        return found


def _load(name: str) -> tuple[Any, Any, Any]:
    """Config, tokenizer and network. The hub is asked only for what the cache does not have. Raises: ConfigError."""
    model, revision = model_and_revision(name)
    folder = Path(model).is_absolute()
    if folder and not Path(model, "config.json").is_file():
        raise ConfigError(f"{name} cannot be loaded: {model} is no folder with a model, it has no config.json.")
    said = ""
    for local_files_only in (True, False):
        try:
            return _parts(name, local_files_only=local_files_only)
        except ConfigError:
            raise
        except Exception as error:  # whatever transformers makes of what it finds there
            said = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".:")
    hint = "" if folder else f" To fetch it where there is a network: hf download {model} --revision {revision}"
    raise ConfigError(f"{name} cannot be loaded: {said}.{hint}")


def _parts(name: str, *, local_files_only: bool) -> tuple[Any, Any, Any]:
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model, revision = model_and_revision(name)
    where: dict[str, Any] = {"revision": revision, "local_files_only": local_files_only, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(model, **where)
    head = (config.architectures or ["none"])[0]
    if not head.endswith("ForSequenceClassification") or config.num_labels == 1:
        raise ConfigError(f"{name} is no classifier of texts: its head is {head} with {config.num_labels} labels.")
    tokenizer = AutoTokenizer.from_pretrained(model, **where)
    network = AutoModelForSequenceClassification.from_pretrained(model, config=config, **where)
    return config, tokenizer, network.float().eval()


def _probabilities(model: Classifier, words: str) -> Floats:
    return sigmoid(model.logits(words)) if model.several else softmax(model.logits(words))


def _check(name: str, told: Iterable[str], labels: list[str]) -> None:
    for label in told:
        if label not in labels:
            raise _mistake(name, f"the model has no label {label!r}; it has {', '.join(labels)}.")


def _entailment(name: str, told: EntailmentModel, labels: list[str]) -> list[int]:
    """Where the labels for entailment and for contradiction stand; of two labels, the other one contradicts."""
    _check(name, told.labels, labels)
    said: Mapping[str, str] = told.labels or {label: label.casefold() for label in labels}
    found = [[n for n, label in enumerate(labels) if said.get(label, "").startswith(side)] for side in SIDES]
    if len(labels) == 2 and len(found[0]) == 1 and not found[1]:
        found[1] = [1 - found[0][0]]
    if [len(places) for places in found] != [1, 1]:
        raise _mistake(
            name,
            f"which of {', '.join(labels)} tells entailment and which contradiction must be said: "
            f'labels = {{ "{labels[0]}" = "entailment", "{labels[-1]}" = "contradiction" }}, or the like.',
        )
    return [places[0] for places in found]


def _mistake(name: str, what: str) -> ConfigError:
    return ConfigError(f"narratives.toml: models.{model_and_revision(name)[0]}: labels: {what}")
