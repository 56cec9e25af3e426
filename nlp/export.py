"""From a trained network to a folder of weights that nlp/minilm.py reads: int8, calibrated as shipped, with its card.

network -> ONNX -> int8 -> what the shipped backend says of unlabelled texts -> calibration against the folds' networks
        -> the first look, which learns from them what says nothing -> card.json, named by a hash of all of it
"""

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from nlp.calibration import best_threshold, platt, platt_with
from nlp.minilm import Encoder, first_look, look_places, sigmoid
from nlp.network import Network

LOOK_ENTRIES = 1 << 18
LOOK_EPOCHS, LOOK_BATCH, LOOK_RATE = 10, 64, 0.3
LOOK_KEEPS = 0.995
"""Of the units in which the network that has not seen them finds a narrative, so many pass a look that has not."""
SEEN_ENOUGH = 60
"""Units with an asset, for its own threshold."""
TAIL = 0.4
"""Of a body's windows, whose mean counts: the best micro-F1 on 91 articles that were labelled as a whole."""
Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What networks said of units that they had not seen, and what readers said.

    Shapes: narratives and assets logits and truths (units, labels); phrases (units, narratives): the scores of
    keywords@1; weights (units,): how often such a unit is met.
    """

    narratives: Floats
    phrases: Floats
    narrative_truth: Floats
    assets: Floats
    asset_truth: Floats
    named: Floats
    """Whether the phrases of assets.toml name the asset, (units, assets)."""
    weights: Floats


def export(network: Network, tokenizer: Path, folder: Path) -> None:
    """encoder.onnx (int8) and tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(tokenizer, folder / "tokenizer.json")
    network.eval()
    ids = torch.randint(1_000, 2_000, (2, 16))
    names = {"input_ids": {0: "batch", 1: "tokens"}, "attention_mask": {0: "batch", 1: "tokens"}, "out": {0: "batch"}}
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        whole = f"{scratch}/encoder.onnx"
        torch.onnx.export(
            network,
            (ids, torch.ones_like(ids)),
            whole,
            input_names=["input_ids", "attention_mask"],
            output_names=["out"],
            dynamic_axes=names,
            opset_version=17,
            dynamo=False,
        )
        quantize_dynamic(whole, str(folder / "encoder.onnx"), weight_type=QuantType.QInt8, per_channel=True)


def learn_first_look(tokens: Sequence[Sequence[int]], said: Floats, *, seed: int) -> Floats:
    """The table of nlp.minilm.first_look. said: the highest probability of any narrative, shape (texts,)."""
    rng = np.random.default_rng(seed)
    table = np.zeros(LOOK_ENTRIES, dtype=np.float32)
    squares = np.full(LOOK_ENTRIES, 1e-8, dtype=np.float32)
    hits = [look_places(np.array(found), LOOK_ENTRIES) for found in tokens]
    roots = np.array([np.sqrt(max(1, len(found) - 2)) for found in tokens], dtype=np.float32)
    for _ in range(LOOK_EPOCHS):
        for rows in np.array_split(rng.permutation(len(tokens)), max(1, len(tokens) // LOOK_BATCH)):
            flat = np.concatenate([hits[row] for row in rows])
            owner = np.repeat(np.arange(len(rows)), [len(hits[row]) for row in rows])
            logits = table[0] + np.bincount(owner, weights=table[flat], minlength=len(rows)) / roots[rows]
            missed = (sigmoid(logits) - said[rows]).astype(np.float32)
            slope = np.bincount(flat, weights=(missed / roots[rows])[owner], minlength=LOOK_ENTRIES).astype(np.float32)
            slope[0] = missed.sum()
            touched = np.append(np.unique(flat), 0)
            squares[touched] += slope[touched] ** 2
            table[touched] -= LOOK_RATE * slope[touched] / np.sqrt(squares[touched])
    return table


def describe(
    folder: Path,
    *,
    narratives: Sequence[str],
    assets: Sequence[str],
    units: Sequence[Sequence[int]],
    unlabelled: Sequence[Sequence[int]],
    unlabelled_phrases: Floats,
    said_by_folds: Floats,
    out_of_fold: OutOfFold,
    about: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Calibrate what `export` wrote, and write its card. said_by_folds: narrative logits (folds, texts, narratives)."""
    fitted = [
        platt_with(
            out_of_fold.narratives[:, place],
            out_of_fold.phrases[:, place],
            out_of_fold.narrative_truth[:, place],
            out_of_fold.weights,
        )
        for place in range(len(narratives))
    ]
    scale, shift, beside = (np.array([found[part] for found in fitted], dtype=np.float32) for part in range(3))
    own_likely = sigmoid(out_of_fold.narratives * scale + shift + beside * out_of_fold.phrases)
    thresholds = {
        key: round(
            best_threshold(
                own_likely[:, place],
                out_of_fold.narrative_truth[:, place],
                out_of_fold.weights,
                seed=seed,
            ),
            3,
        )
        for place, key in enumerate(narratives)
    }
    likely = sigmoid(said_by_folds * scale + shift + beside * unlabelled_phrases).mean(axis=0)
    found = (own_likely >= np.array(list(thresholds.values()))).any(axis=1)
    any_likely, any_own = likely.max(axis=1), own_likely.max(axis=1)
    looks = _first_looks(units, any_own, unlabelled, any_likely, seed=seed)
    table = learn_first_look([*unlabelled, *units], np.concatenate([any_likely, any_own]), seed=seed)
    np.save(folder / "first_look.npy", table.astype(np.float16))
    card: dict[str, Any] = {"name": "minilm@draft", "narratives": list(narratives), "assets": list(assets)}
    (folder / "card.json").write_text(json.dumps(card))
    encoder = Encoder(folder)
    tokens = [np.array(found, dtype=np.int64) for found in unlabelled]
    logits = np.stack([reading.narratives for reading in encoder.read(tokens)])
    even = np.ones(len(tokens), dtype=np.float32)
    shipped = [
        platt(logits[:, place], likely[:, place], even, offset=beside[place] * unlabelled_phrases[:, place])
        for place in range(len(narratives))
    ]
    named, unnamed = _asset_thresholds(out_of_fold, assets)
    card |= {
        "calibration": {
            "scale": [round(pair[0], 5) for pair in shipped],
            "shift": [round(pair[1], 5) for pair in shipped],
            "phrases": [round(float(weight), 5) for weight in beside],
        },
        "thresholds": thresholds,
        "first_look_from": round(float(np.quantile(looks[found], 1 - LOOK_KEEPS)), 4),
        "asset_named_from": named,
        "asset_unnamed_from": unnamed,
        "pooling": {"tail": TAIL},
        "about": about,
    }
    return seal(folder, card)


def seal(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    """Write the card, named by a hash of the weights and of all that is decided by."""
    card["name"] = ""
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name in ("encoder.onnx", "first_look.npy", "tokenizer.json"):
        digest.update((folder / name).read_bytes())
    card["name"] = f"minilm@{digest.hexdigest()[:8]}"
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return card


def _first_looks(
    units: Sequence[Sequence[int]], said: Floats, others: Sequence[Sequence[int]], said_of_others: Floats, *, seed: int
) -> Floats:
    """The first look at each unit, by a table that has learned from the other half of them and from all others."""
    looks = np.zeros(len(units))
    for half in (0, 1):
        seen = np.arange(len(units)) % 2 == half
        tokens = [*others, *(unit for unit, taken in zip(units, seen, strict=True) if taken)]
        table = learn_first_look(tokens, np.concatenate([said_of_others, said[seen]]), seed=seed)
        for row in np.flatnonzero(~seen):
            looks[row] = first_look(table, np.array(units[int(row)], dtype=np.int64))
    return looks


def _asset_thresholds(found: OutOfFold, assets: Sequence[str]) -> tuple[dict[str, float], float]:
    """From which probability an asset that is named is meant, and any that no phrase names is meant all the same.

    An asset that readers found seldom is meant wherever it is named.
    """
    probabilities = sigmoid(found.assets)
    named = {}
    for place, key in enumerate(assets):
        truth, said = found.asset_truth[:, place], found.named[:, place] > 0
        grid = np.linspace(0.0, 0.6, 31)
        kept = [said & (probabilities[:, place] >= floor) for floor in grid]
        f1 = [2 * (truth * one).sum() / (one.sum() + truth.sum()) for one in kept]
        named[key] = round(float(grid[int(np.argmax(f1))]), 3) if truth.sum() >= SEEN_ENOUGH else 0.0
    floors = np.array(list(named.values()))
    best = (0.0, 1.0)
    for unnamed in np.linspace(0.5, 0.99, 50):
        said = np.where(found.named > 0, probabilities >= floors, probabilities >= unnamed)
        f1 = 2 * (said * found.asset_truth).sum() / (said.sum() + found.asset_truth.sum())
        best = max(best, (float(f1), round(float(unnamed), 3)))
    return named, best[1]
