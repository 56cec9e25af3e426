"""The tagger `minilm@…`: a small encoder with several heads, in onnxruntime.

    text -> windows (a title, or some sentences) -> a first look: does it say anything? -> the encoder reads the rest
         -> per narrative: calibrated probability, direction, modality; pooled over the windows, the best as evidence
         -> per asset: named by the phrases of assets.toml, kept where the encoder reads it as the asset; tone

Narratives that the network does not know are told by their examples (nlp/own.py), for which every window is read, or
else by their phrases; what is said of the others does not change by that.

Each window is read by itself, so that what is said of a text does not depend on what is read with it. Needs no torch.
The weights lie in nlp/weights with their card, or where STORYSHIFT_WEIGHTS says; `storyshift train` makes them.
"""

import html
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from os import cpu_count, environ
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.definitions import Asset, Narrative, name_with_own, own_narratives, weights_folder
from models.tags import AssetScore, NarrativeScore, Tagged, Text
from nlp.keywords import KeywordTagger
from nlp.windows import Window, content, holds, pool, span, windows

MAX_TOKENS = 96
TEXTS_AT_ONCE = 256
WINDOWS_AT_ONCE = 1_024
"""Whose embeddings are held."""
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
    actual, expected; embedding (1152,), what the window is about.
    """

    narratives: Floats
    directions: Floats
    modality: Floats
    assets: Floats
    tones: Floats
    embedding: Floats


class Encoder:
    """The network and its tokenizer, read from a folder of weights: those in use, unless another is named.

    It reads in as many threads as there are cores, unless a number is given. Raises: FileNotFoundError.
    """

    def __init__(self, folder: Path | None = None, *, threads: int | None = None) -> None:
        import onnxruntime

        self._at_once = threads or cpu_count() or 1
        if threads == 1:
            environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the tokenizer takes all cores otherwise
        folder = folder or weights_folder()
        self._folder = folder
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
        return ThreadPoolExecutor(self._at_once)

    def tokens(self, texts: list[str]) -> list[NDArray[np.int64]]:
        """The token ids of each text, at most MAX_TOKENS."""
        return [np.array(found, dtype=np.int64) for found in self._tokens_of(texts)]

    def background(self) -> Floats:
        """Embeddings of windows of news, of length 1: what a narrative of one's own is told apart from."""
        return unit_length(np.load(self._folder / "background.npy").astype(np.float64))

    def first_look(self, tokens: NDArray[np.int64]) -> float:
        """The logit that a window carries any narrative, from its words and pairs of words alone."""
        return first_look(self._first_look, tokens)

    def read(self, tokens: list[NDArray[np.int64]]) -> list[Reading]:
        """What each says; equal whatever stands beside it."""
        return list(self._threads.map(self._read_one, tokens, chunksize=16))

    def _read_one(self, tokens: NDArray[np.int64]) -> Reading:
        ids = tokens[None, :]
        out, embedding = self._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        return reading(
            out[0], embedding[0], n_narratives=len(self.card["narratives"]), n_assets=len(self.card["assets"])
        )


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


def unit_length(embedding: Floats) -> Floats:
    """An embedding (…, 3 * width) with each of its three parts, and then the whole, of length 1."""
    parts = embedding.reshape(*embedding.shape[:-1], 3, -1)
    found: Floats = (parts / np.linalg.norm(parts, axis=-1, keepdims=True)).reshape(embedding.shape) / np.sqrt(3)
    return found


def reading(out: Floats, embedding: Floats, *, n_narratives: int, n_assets: int) -> Reading:
    """The parts of the network's output row, in its order."""
    sizes = [n_narratives, 3 * n_narratives, 2, n_assets, 3 * n_assets]
    narratives, directions, modality, assets, tones = np.split(out, np.cumsum(sizes)[:-1])
    return Reading(narratives, directions.reshape(-1, 3), modality, assets, tones.reshape(-1, 3), embedding)


def direction_columns(shares: Floats, phrases: Floats) -> Floats:
    """What a direction is told from: log-odds of -1, 0, +1 against their mean, and whether phrases say + or -.

    Shapes: shares (n, 3), phrases (n,) of -1, 0, +1 or NaN where they do not find the narrative; result (n, 5).
    """
    logs = np.log(np.clip(shares, 1e-6, 1))
    return np.column_stack([logs - logs.mean(axis=1, keepdims=True), phrases == 1, phrases == -1])


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
        self._narratives: list[str] = card["narratives"]
        own = own_narratives(narratives, self._narratives)
        self.name = name_with_own(card["name"], own)
        self._by_phrases = {key for key, found in own.items() if not found.examples}
        self._own = None
        if by_examples := {key: found for key, found in own.items() if found.examples}:
            from nlp.own import OwnNarratives

            self._own = OwnNarratives(by_examples, self._encoder)
        self._assets: list[str] = card["assets"]
        self._scale, self._shift, self._beside = (
            np.array(card["calibration"][key], dtype=np.float32) for key in ("scale", "shift", "phrases")
        )
        self._thresholds = np.array([card["thresholds"][key] for key in self._narratives], dtype=np.float32)
        self._directions = [np.array(card["directions"][key]) for key in self._narratives]
        self._first_from: float = card["first_look_from"]
        self._first_body_from: float = card["first_look_body_from"]
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
        tokens = self._encoder.tokens([readable(content(texts[number], window)) for number, window in places])
        found_by_phrases, beside = self._parted(found_by_phrases)
        telling = [_telling(found, phrases) for found, phrases in zip(cut, found_by_phrases, strict=True)]
        chosen = {
            place
            for place, (number, window) in enumerate(places)
            if window in telling[number] or self._encoder.first_look(tokens[place]) >= self._look_from(window)
        }
        read, likeness = self._read(tokens, chosen)
        place = 0
        for text, found, phrases, own in zip(texts, cut, found_by_phrases, beside, strict=True):
            readings = [read.get(place + n) for n in range(len(found))]
            if self._own is not None and found:
                own = [*own, *self._own.told(text, found, likeness[place : place + len(found)], tail=self._tail)]
            place += len(found)
            told = self._conclude(text, found, readings, phrases)
            yield replace(told, narratives=tuple(sorted([*told.narratives, *own], key=lambda tag: -tag.score)))

    def _look_from(self, window: Window) -> float:
        return self._first_body_from if window.field == "body" else self._first_from

    def _parted(self, found: list[Tagged]) -> tuple[list[Tagged], list[list[NarrativeScore]]]:
        """What phrases say of the network's narratives, and of those of one's own that nothing else tells."""
        known = [[tag for tag in one.narratives if tag.narrative in self._narratives] for one in found]
        own = [[tag for tag in one.narratives if tag.narrative in self._by_phrases] for one in found]
        return [replace(one, narratives=tuple(tags)) for one, tags in zip(found, known, strict=True)], own

    def _read(self, tokens: list[NDArray[np.int64]], chosen: set[int]) -> tuple[dict[int, Reading], Floats]:
        """The readings of the windows chosen, and the likeness of every window to each narrative told by examples."""
        read: dict[int, Reading] = {}
        likeness = []
        places = range(len(tokens)) if self._own is not None else sorted(chosen)
        for first in range(0, len(places), WINDOWS_AT_ONCE):
            some = places[first : first + WINDOWS_AT_ONCE]
            readings = self._encoder.read([tokens[place] for place in some])
            if self._own is not None:
                likeness.append(self._own.likeness(np.stack([reading.embedding for reading in readings])))
            read.update((place, reading) for place, reading in zip(some, readings, strict=True) if place in chosen)
        return read, np.concatenate(likeness) if likeness else np.zeros((0, 0))

    def _conclude(self, text: Text, found: list[Window], readings: list[Reading | None], phrases: Tagged) -> Tagged:
        told = [(window, reading) for window, reading in zip(found, readings, strict=True) if reading is not None]
        if not told:
            return Tagged(text.id, (), ())
        logits = np.stack([reading.narratives for _, reading in told])
        probabilities = sigmoid(logits * self._scale + self._shift)
        pooled = pool(probabilities, [window for window, _ in told], n_windows=len(found), tail=self._tail)
        said = {tag.narrative: tag for tag in phrases.narratives}
        scores = [said[key].score if key in said else 0.0 for key in self._narratives]
        beside = self._beside * np.array(scores, dtype=np.float32)
        pooled = np.clip(pooled, 1e-6, 1 - 1e-6)
        pooled = sigmoid(np.log(pooled / (1 - pooled)) + beside)
        narratives = [
            self._narrative(place, float(pooled[place]), probabilities[:, place], told, text, said)
            for place in np.argsort(-pooled, kind="stable")
            if pooled[place] >= SHOWN_FROM
        ]
        return Tagged(text.id, tuple(narratives), tuple(self._mentioned(text, told, phrases)))

    def _narrative(
        self,
        place: int,
        score: float,
        by_window: Floats,
        told: list[tuple[Window, Reading]],
        text: Text,
        phrases: Mapping[str, NarrativeScore],
    ) -> NarrativeScore:
        key = self._narratives[place]
        best = np.argsort(-by_window, kind="stable")[:MOST_EVIDENCE]
        weights = by_window[best]
        directions = np.stack([softmax(told[window][1].directions[place]) for window in best])
        beside = np.array([phrases[key].direction if key in phrases else np.nan])
        columns = direction_columns((weights @ directions / weights.sum())[None, :], beside)[0]
        turned = self._directions[place]
        label = score >= self._thresholds[place]
        modality = None
        if key == "liquidity":
            said = np.stack([softmax(told[window][1].modality) for window in best])
            modality = ("actual", "expected")[int((weights @ said).argmax())]
        shown = [told[window][0] for window in best if by_window[window] >= min(self._thresholds[place], score)]
        return NarrativeScore(
            narrative=key,
            score=round(score, 4),
            label=bool(label),
            direction=int((turned[:, 0] + turned[:, 1:] @ columns).argmax()) - 1,
            modality=modality,
            evidence=tuple(span(text, window) for window in shown) if label else (),
        )

    def _mentioned(self, text: Text, told: list[tuple[Window, Reading]], phrases: Tagged) -> Iterator[AssetScore]:
        """Assets that are named and meant, or meant without a word of theirs; the most salient first."""
        mentions = {mention.asset: mention for mention in phrases.assets}
        written = " ".join(text.fields.values()).casefold()
        logits = np.stack([reading.assets for _, reading in told])
        found = []
        for place, key in enumerate(self._assets):
            mention = mentions.get(key)
            near = [n for n, (window, _) in enumerate(told) if mention is not None and holds(window, mention.spans)]
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


def _telling(found: list[Window], phrases: Tagged) -> set[Window]:
    """Windows with a phrase of a narrative, and the first that name each asset: what is said there is its tone."""
    spans = [tag.evidence for tag in phrases.narratives]
    telling = {window for window in found if any(holds(window, evidence) for evidence in spans)}
    for mention in phrases.assets:
        telling.update(islice((one for one in found if holds(one, mention.spans)), MOST_EVIDENCE))
    return telling


def sigmoid(logits: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-logits))
    return found


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    found: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return found
