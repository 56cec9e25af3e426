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
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import QuantType, quantize_dynamic

from config.definitions import CORE_NARRATIVES
from models.tags import AssetScore, NarrativeScore, Tagged
from nlp.calibration import best_threshold, platt, platt_with, softmax_regression
from nlp.evaluation import Figures, judge
from nlp.minilm import Encoder, direction_columns, first_look, look_places, sigmoid, softmax, unit_length
from nlp.network import Network
from nlp.units import Unit
from nlp.windows import TAIL

LOOK_ENTRIES = 1 << 18
LOOK_EPOCHS, LOOK_BATCH, LOOK_RATE = 10, 64, 0.3
LOOK_KEEPS, BODY_LOOK_KEEPS = 0.995, 0.95
"""Of the units in which the network that has not seen them finds a narrative, so many pass a look that has not.

In a body fewer: a narrative is told there by a good part of the windows, and one of twenty may be missed.
"""
SEEN_ENOUGH = 60
"""Units with an asset, for its own threshold."""
BACKGROUND = 2_000
"""Unlabelled texts whose embeddings are shipped: what a narrative of one's own is told apart from."""
Floats = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """What networks said of units that they had not seen, and what readers said.

    Shapes: narratives and assets logits and truths (units, labels); directions and tones (units, labels, 3); modality
    (units, 2); phrases (units, narratives): the scores of keywords@1; weights (units,): how often such a unit is met.
    """

    units: Sequence[Unit]
    keys: Sequence[str]
    """Of the narratives."""
    narratives: Floats
    directions: Floats
    modality: Floats
    assets: Floats
    tones: Floats
    phrases: Floats
    phrase_directions: Floats
    """Of what keywords@1 finds, (units, narratives): -1, 0 or +1, NaN where it does not find the narrative."""
    narrative_truth: Floats
    asset_truth: Floats
    named: Floats
    """Whether the phrases of assets.toml name the asset, (units, assets)."""
    weights: Floats


def export(network: Network, tokenizer: Path, folder: Path) -> None:
    """encoder.onnx (int8) and tokenizer.json."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(tokenizer, folder / "tokenizer.json")
    network.eval()
    ids = torch.ones(2, 16, dtype=torch.int64)  # known to any vocabulary; what they are is not traced
    names = {"input_ids": {0: "batch", 1: "tokens"}, "attention_mask": {0: "batch", 1: "tokens"}}
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        whole = f"{scratch}/encoder.onnx"
        torch.onnx.export(
            network,
            (ids, torch.ones_like(ids)),
            whole,
            input_names=["input_ids", "attention_mask"],
            output_names=["out", "embedding"],
            dynamic_axes=names | {"out": {0: "batch"}, "embedding": {0: "batch"}},
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
    about_training: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """Calibrate what `export` wrote, and write its card. said_by_folds: narrative logits (folds, texts, narratives)."""
    everyone = np.ones(len(out_of_fold.units), dtype=bool)
    scale, shift, beside = _calibrated(out_of_fold, everyone)
    own_likely = sigmoid(out_of_fold.narratives * scale + shift + beside * out_of_fold.phrases)
    thresholds = dict(zip(narratives, _thresholds(own_likely, out_of_fold, everyone, seed=seed), strict=True))
    likely = sigmoid(said_by_folds * scale + shift + beside * unlabelled_phrases).mean(axis=0)
    found = (own_likely >= np.array(list(thresholds.values()))).any(axis=1)
    any_likely, any_own = likely.max(axis=1), own_likely.max(axis=1)
    looks = _first_looks(units, any_own, unlabelled, any_likely, seed=seed)
    passing = float(np.quantile(looks[found], 1 - LOOK_KEEPS))
    read = (looks >= passing) | (out_of_fold.phrases > 0).any(axis=1) | (out_of_fold.named > 0).any(axis=1)
    table = learn_first_look([*unlabelled, *units], np.concatenate([any_likely, any_own]), seed=seed)
    np.save(folder / "first_look.npy", table.astype(np.float16))
    card: dict[str, Any] = {"name": "minilm@draft", "narratives": list(narratives), "assets": list(assets)}
    (folder / "card.json").write_text(json.dumps(card))
    encoder = Encoder(folder)
    tokens = [np.array(found, dtype=np.int64) for found in unlabelled]
    readings = encoder.read(tokens)
    logits = np.stack([reading.narratives for reading in readings])
    about = np.stack([unit_length(reading.embedding) for reading in readings[:BACKGROUND]])
    np.save(folder / "background.npy", np.round(about * (127 / np.abs(about).max())).astype(np.int8))
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
        "directions": {
            key: np.round(weights, 4).tolist()
            for key, weights in zip(narratives, _direction_weights(out_of_fold, everyone), strict=True)
        },
        "first_look_from": round(passing, 4),
        "first_look_body_from": round(float(np.quantile(looks[found], 1 - BODY_LOOK_KEEPS)), 4),
        "asset_named_from": named,
        "asset_unnamed_from": unnamed,
        "pooling": {"tail": TAIL},
        "about": about_training | _told_of_training(out_of_fold, narratives, assets, named, unnamed, read, seed=seed),
    }
    return seal(folder, card)


def _calibrated(found: OutOfFold, rows: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """scale, shift and the phrases' weight of each narrative, shape (narratives,), as these rows have it."""
    fitted = [
        platt_with(
            found.narratives[rows, place],
            found.phrases[rows, place],
            found.narrative_truth[rows, place],
            found.weights[rows],
        )
        for place in range(found.narratives.shape[1])
    ]
    scale, shift, beside = np.array(fitted, dtype=np.float32).T
    return scale, shift, beside


def _direction_weights(found: OutOfFold, rows: NDArray[np.bool_]) -> list[Floats]:
    """Per narrative, for nlp.minilm.direction_columns: of the units that carry it and in which it is found."""
    weights = []
    for place, key in enumerate(found.keys):
        judged = [
            row
            for row in np.flatnonzero(rows & (found.narratives[:, place] > 0)).tolist()
            if key in found.units[row].narratives
        ]
        columns = _direction_columns(found, place)[judged]
        truth = np.array([found.units[row].narratives[key].direction + 1 for row in judged], dtype=np.intp)
        weights.append(softmax_regression(columns, truth, 3))
    return weights


def _direction_columns(found: OutOfFold, place: int) -> Floats:
    return direction_columns(softmax(found.directions[:, place]), found.phrase_directions[:, place])


def _thresholds(likely: Floats, found: OutOfFold, rows: NDArray[np.bool_], *, seed: int) -> list[float]:
    truth, weights = found.narrative_truth[rows], found.weights[rows]
    return [
        round(best_threshold(likely[rows, place], truth[:, place], weights, seed=seed), 3)
        for place in range(likely.shape[1])
    ]


def _told_of_training(
    found: OutOfFold,
    narratives: Sequence[str],
    assets: Sequence[str],
    named: dict[str, float],
    unnamed: float,
    read: NDArray[np.bool_],
    *,
    seed: int,
) -> dict[str, Any]:
    """Figures out of fold, with the first look as it is used and, for comparison, with every unit read."""
    cascaded, whole = (
        _judged(found, narratives, assets, named, unnamed, rows, seed=seed) for rows in (read, np.ones_like(read))
    )
    return {
        "out_of_fold": asdict(cascaded),
        "units_read": round(float(read.mean()), 4),
        "core_f1_if_all_were_read": round(whole.macro_f1_core, 4),
    }


def _judged(
    found: OutOfFold,
    narratives: Sequence[str],
    assets: Sequence[str],
    named: dict[str, float],
    unnamed: float,
    read: NDArray[np.bool_],
    *,
    seed: int,
) -> Figures:
    """Figures on units that neither their network nor, by halves, calibration and thresholds have seen.

    read: the units that the first look passes; of others nothing is told.

    Only the thresholds of the assets have: a number each.
    """
    n = len(found.units)
    likely, labels = np.zeros((n, len(narratives))), np.zeros((n, len(narratives)), dtype=bool)
    directions = np.zeros((n, len(narratives)), dtype=int)
    for half in (0, 1):
        judged = np.arange(n) % 2 == half
        scale, shift, beside = _calibrated(found, ~judged)
        half_likely = sigmoid(found.narratives * scale + shift + beside * found.phrases)
        likely[judged] = half_likely[judged]
        for place, weights in enumerate(_direction_weights(found, ~judged)):
            scores = weights[:, 0] + _direction_columns(found, place)[judged] @ weights[:, 1:].T
            directions[judged, place] = scores.argmax(axis=1) - 1
        labels[judged] = (half_likely >= _thresholds(half_likely, found, ~judged, seed=seed))[judged]
    likely[~read], labels[~read] = 0.0, False
    floors = np.where(found.named > 0, [named[key] for key in assets], unnamed)
    meant = (sigmoid(found.assets) >= floors) & read[:, None]
    said = []
    for row, unit in enumerate(found.units):
        modality = ("actual", "expected")[int(found.modality[row].argmax())]
        tags = [
            NarrativeScore(
                key,
                float(likely[row, place]),
                bool(labels[row, place]),
                int(directions[row, place]),
                modality if key == "liquidity" else None,
                (),
            )
            for place, key in enumerate(narratives)
        ]
        mentions = [
            AssetScore(assets[place], float(found.tones[row, place].argmax()) - 1, 1.0, ())
            for place in np.flatnonzero(meant[row]).tolist()
        ]
        said.append(Tagged(unit.id, tuple(tags), tuple(mentions)))
    return judge("out of fold", found.units, said, core=CORE_NARRATIVES, narratives=narratives)


def seal(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    """Write the card, named by a hash of the weights and of all that is decided by."""
    card["name"] = ""
    digest = hashlib.sha256(json.dumps(card, sort_keys=True).encode())
    for name in ("background.npy", "encoder.onnx", "first_look.npy", "tokenizer.json"):
        digest.update((folder / name).read_bytes())
    card["name"] = f"minilm@{digest.hexdigest()[:8]}"
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    return card


def tell_more(folder: Path, more: dict[str, Any]) -> dict[str, Any]:
    """Add to what the card of a folder of weights says of their training; the card, which has another name by that."""
    card = json.loads((folder / "card.json").read_text())
    return seal(folder, card | {"about": card["about"] | more})


def put_to_use(folder: Path, output: Path) -> None:
    """Copy a folder of weights to `output`: written beside it whole, then renamed. What else lies there stays.

    Killed between the two renames, it leaves nothing in `output`; what was there lies in OUTPUT.old, and the next call
    takes it up.
    """
    target = output.resolve()
    beside, before = target.with_name(f"{target.name}.new"), target.with_name(f"{target.name}.old")
    if before.exists() and not target.exists():
        before.rename(target)
    for left in (beside, before):
        if left.exists():
            shutil.rmtree(left)
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.copytree(target, beside)
    shutil.copytree(folder, beside, dirs_exist_ok=True)
    if target.exists():
        target.rename(before)
    beside.rename(target)
    if before.exists():
        shutil.rmtree(before)


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
