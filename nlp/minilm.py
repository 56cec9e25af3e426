"""The tagger `minilm@…`: a small encoder with several heads, in onnxruntime.

    text -> windows (a title, or some sentences) -> a first look: does it say anything? -> the encoder reads the rest
         -> per narrative: calibrated probability, direction, modality; pooled over the windows, the best as evidence
         -> per asset: named by the phrases of assets.toml, kept where the encoder reads it as the asset; tone

Each window is read by itself, so that what is said of a text does not depend on what is read with it. Needs no torch.
The weights lie in nlp/weights with their card; `storyshift train` makes them.
"""

import html
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.definitions import WEIGHTS_CARD, Asset, Narrative
from models.tags import AssetScore, NarrativeScore, Span, Tagged, Text
from nlp.keywords import KeywordTagger
from nlp.windows import Window, windows

WEIGHTS = WEIGHTS_CARD.parent
MAX_TOKENS = 96
TEXTS_AT_ONCE = 256
SHOWN_FROM = 0.02
"""Probabilities below are not told: the narrative is not there."""
MOST_EVIDENCE = 3
VOCABULARY = 40_000
"""More than the tokenizer has words."""
Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the encoder says of one window.

    Shapes: narratives (9,) and assets (20,) logits; directions (9, 3) and tones (20, 3) of -1, 0, +1; modality (2,) of
    actual, expected.
    """

    narratives: Floats
    directions: Floats
    modality: Floats
    assets: Floats
    tones: Floats


class Encoder:
    """The network and its tokenizer, read from a folder of weights. Raises: FileNotFoundError."""

    def __init__(self, folder: Path = WEIGHTS) -> None:
        import onnxruntime

        self.card: dict[str, Any] = json.loads((folder / "card.json").read_text())
        self._tokens_of = tokenizer(folder / "tokenizer.json")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # windows are read side by side instead
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(folder / "encoder.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._first_look: Floats = np.load(folder / "first_look.npy").astype(np.float32)

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(cpu_count() or 1)

    def tokens(self, texts: list[str]) -> list[NDArray[np.int64]]:
        """The token ids of each text, at most MAX_TOKENS."""
        return [np.array(found, dtype=np.int64) for found in self._tokens_of(texts)]

    def first_look(self, tokens: NDArray[np.int64]) -> float:
        """The logit that a window carries any narrative, from its words and pairs of words alone."""
        return first_look(self._first_look, tokens)

    def read(self, tokens: list[NDArray[np.int64]]) -> list[Reading]:
        """What each says; equal whatever stands beside it."""
        return list(self._threads.map(self._read_one, tokens, chunksize=16))

    def _read_one(self, tokens: NDArray[np.int64]) -> Reading:
        ids = tokens[None, :]
        (out,) = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return reading(out[0], n_narratives=len(self.card["narratives"]), n_assets=len(self.card["assets"]))


def tokenizer(path: Path) -> Callable[[list[str]], list[list[int]]]:
    """From texts to the ids of their tokens, at most MAX_TOKENS each, as the encoder is trained on and reads them."""
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(path))
    found.no_padding()
    found.enable_truncation(MAX_TOKENS)
    return lambda texts: [one.ids for one in found.encode_batch_fast(texts)]


def first_look(table: Floats, tokens: NDArray[np.int64]) -> float:
    """Sum of the table's entries (2 ** k of them, the first is the bias) for words and pairs of words, over √n."""
    return float(table[0] + table[look_places(tokens, len(table))].sum() / np.sqrt(max(1, len(tokens) - 2)))


def look_places(tokens: NDArray[np.int64], entries: int) -> NDArray[np.int64]:
    """Where a table of so many entries holds the words and pairs of words of a window."""
    inner = tokens[1:-1]
    pairs = (inner[:-1] * 31_013 + inner[1:] * 7) % (entries - VOCABULARY) + VOCABULARY
    return np.concatenate([inner, pairs])


def reading(out: Floats, *, n_narratives: int, n_assets: int) -> Reading:
    """The parts of the network's output row, in its order."""
    sizes = [n_narratives, 3 * n_narratives, 2, n_assets, 3 * n_assets]
    narratives, directions, modality, assets, tones = np.split(out, np.cumsum(sizes)[:-1])
    return Reading(narratives, directions.reshape(-1, 3), modality, assets, tones.reshape(-1, 3))


def readable(content: str) -> str:
    """A window as the encoder shall read it: entities resolved, white space folded."""
    return " ".join(html.unescape(content.replace("\\r\\n", " ").replace("\\n", " ")).split())


class MiniLMTagger:
    """Deterministic; keeps nothing between texts. Memory is bounded whatever the number and length of texts."""

    def __init__(
        self, narratives: Mapping[str, Narrative], assets: Mapping[str, Asset], encoder: Encoder | None = None
    ) -> None:
        self._encoder = encoder or Encoder()
        card = self._encoder.card
        self.name: str = card["name"]
        self._narratives: list[str] = card["narratives"]
        self._assets: list[str] = card["assets"]
        self._scale, self._shift, self._beside = (
            np.array(card["calibration"][key], dtype=np.float32) for key in ("scale", "shift", "phrases")
        )
        self._thresholds = np.array([card["thresholds"][key] for key in self._narratives], dtype=np.float32)
        self._first_from: float = card["first_look_from"]
        self._named_from: dict[str, float] = card["asset_named_from"]
        self._unnamed_from: float = card["asset_unnamed_from"]
        self._tail: float = card["pooling"]["tail"]
        self._phrases = KeywordTagger(dict(narratives), dict(assets))
        self._words = {key: [word.casefold() for word in (*a.aliases, *a.exact)] for key, a in assets.items()}

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        """One result per text, in order; a text without words gives an empty result."""
        rest = iter(texts)
        while batch := list(islice(rest, TEXTS_AT_ONCE)):
            yield from self._tag_batch(batch)

    def _tag_batch(self, texts: list[Text]) -> Iterator[Tagged]:
        found_by_phrases = list(self._phrases.tag(texts))
        cut = [windows(text) for text in texts]
        places = [(number, window) for number, found in enumerate(cut) for window in found]
        tokens = self._encoder.tokens([readable(_content(texts[number], window)) for number, window in places])
        telling = [_telling(found, phrases) for found, phrases in zip(cut, found_by_phrases, strict=True)]
        chosen = [
            place
            for place, (number, window) in enumerate(places)
            if window in telling[number] or self._encoder.first_look(tokens[place]) >= self._first_from
        ]
        read = dict(zip(chosen, self._encoder.read([tokens[place] for place in chosen]), strict=True))
        place = 0
        for text, found, phrases in zip(texts, cut, found_by_phrases, strict=True):
            readings = [read.get(place + n) for n in range(len(found))]
            place += len(found)
            yield self._conclude(text, found, readings, phrases)

    def _conclude(self, text: Text, found: list[Window], readings: list[Reading | None], phrases: Tagged) -> Tagged:
        told = [(window, reading) for window, reading in zip(found, readings, strict=True) if reading is not None]
        if not told:
            return Tagged(text.id, (), ())
        logits = np.stack([reading.narratives for _, reading in told])
        probabilities = sigmoid(logits * self._scale + self._shift)
        pooled = self.pool(probabilities, [window.field for window, _ in told], len(found))
        scores = {tag.narrative: tag.score for tag in phrases.narratives}
        beside = self._beside * np.array([scores.get(key, 0.0) for key in self._narratives], dtype=np.float32)
        pooled = np.clip(pooled, 1e-6, 1 - 1e-6)
        pooled = sigmoid(np.log(pooled / (1 - pooled)) + beside)
        narratives = [
            self._narrative(place, float(pooled[place]), probabilities[:, place], told, text)
            for place in np.argsort(-pooled, kind="stable")
            if pooled[place] >= SHOWN_FROM
        ]
        return Tagged(text.id, tuple(narratives), tuple(self._mentioned(text, told, phrases)))

    def pool(self, probabilities: Floats, fields: list[str], n_windows: int) -> Floats:
        """One probability per narrative from those of the windows that were read, shape (windows, narratives).

        The highest of title and summary, or the mean of the best `tail` of the others' windows, whichever is more: a
        long text is not tagged for a passing word.
        """
        lead = np.array([field in ("title", "summary") for field in fields])
        n_rest = n_windows - int(lead.sum())
        best: Floats = probabilities[lead].max(axis=0, initial=0.0)
        rest = -np.sort(-probabilities[~lead], axis=0)
        if len(rest):
            counted = max(1, round(self._tail * n_rest))
            best = np.maximum(best, rest[:counted].sum(axis=0) / counted)
        return best

    def _narrative(
        self, place: int, score: float, by_window: Floats, told: list[tuple[Window, Reading]], text: Text
    ) -> NarrativeScore:
        best = np.argsort(-by_window, kind="stable")[:MOST_EVIDENCE]
        weights = by_window[best]
        directions = np.stack([softmax(told[window][1].directions[place]) for window in best])
        label = score >= self._thresholds[place]
        modality = None
        if self._narratives[place] == "liquidity":
            said = np.stack([softmax(told[window][1].modality) for window in best])
            modality = ("actual", "expected")[int((weights @ said).argmax())]
        shown = [told[window][0] for window in best if by_window[window] >= min(self._thresholds[place], score)]
        return NarrativeScore(
            narrative=self._narratives[place],
            score=round(score, 4),
            label=bool(label),
            direction=int((weights @ directions).argmax()) - 1,
            modality=modality,
            evidence=tuple(_span(text, window) for window in shown) if label else (),
        )

    def _mentioned(self, text: Text, told: list[tuple[Window, Reading]], phrases: Tagged) -> Iterator[AssetScore]:
        """Assets that are named and meant, or meant without a word of theirs; the most salient first."""
        mentions = {mention.asset: mention for mention in phrases.assets}
        written = " ".join(text.fields.values()).casefold()
        logits = np.stack([reading.assets for _, reading in told])
        found = []
        for place, key in enumerate(self._assets):
            mention = mentions.get(key)
            near = [n for n, (window, _) in enumerate(told) if mention is not None and _holds(window, mention.spans)]
            rows = near or range(len(told))
            probability = float(sigmoid(logits[list(rows), place]).max())
            if mention is None and (probability < self._unnamed_from or any(w in written for w in self._words[key])):
                continue
            if mention is not None and probability < self._named_from[key]:
                continue
            tones = np.stack([softmax(told[n][1].tones[place]) * sigmoid(logits[n, place]) for n in rows])
            tone = float(tones.sum(axis=0).argmax()) - 1.0
            found.append(AssetScore(key, tone, mention.salience if mention else 0.2, mention.spans if mention else ()))
        return iter(sorted(found, key=lambda one: -one.salience))


def _content(text: Text, window: Window) -> str:
    return text.fields[window.field][window.start : window.end]


def _span(text: Text, window: Window) -> Span:
    return Span(window.field, window.start, window.end, _content(text, window))


def _telling(found: list[Window], phrases: Tagged) -> set[Window]:
    """Windows with a phrase of a narrative, and the first that name each asset: what is said there is its tone."""
    spans = [tag.evidence for tag in phrases.narratives]
    telling = {window for window in found if any(_holds(window, evidence) for evidence in spans)}
    for mention in phrases.assets:
        telling.update(islice((one for one in found if _holds(one, mention.spans)), MOST_EVIDENCE))
    return telling


def _holds(window: Window, spans: tuple[Span, ...]) -> bool:
    return any(span.field == window.field and window.start <= span.start < window.end for span in spans)


def sigmoid(logits: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-logits))
    return found


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return found
