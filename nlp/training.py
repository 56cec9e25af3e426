"""Training the tagger `minilm`. Needs the extra `train`; resumable: each stage leaves its result in the work folder.

labelled units, and lessons written by us -> a network a fold (cross-fitting)
               -> what each says of the units it has not seen (out of fold)
               -> calibration and thresholds, by out-of-fold figures alone
their weights, averaged -> one network -> int8
unlabelled news -> what the networks say of it: by this int8 is calibrated, and the first look learns
               -> a folder of weights with their card

The work folder says by a fingerprint what its stages were made of; those of anything else are not taken for them.
"""

import hashlib
import json
import math
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from config.definitions import Asset, Narrative
from models.errors import BadFile
from models.tags import Text
from nlp.export import OutOfFold, describe, export
from nlp.keywords import KeywordTagger
from nlp.minilm import readable, tokenizer
from nlp.network import Network
from nlp.units import Unit

FOLDS, EPOCHS = 4, 4
BATCH, RATE, HEAD_RATE, WARM_UP = 32, 1.5e-4, 7.5e-4, 0.1
AVERAGE = 0.99
"""Of the weights over the last steps: what is kept is their running mean."""
NARRATIVE_LOSS, ASSET_LOSS, DIRECTION_LOSS, TONE_LOSS, MODALITY_LOSS = 9.0, 5.0, 0.5, 0.5, 0.4
RICH, RICH_WEIGHT = re.compile(r"train_(?:r4|rich)-|review-"), 0.3
"""Rounds of labelling, and reviews, that were chosen for rare and doubtful units count less for thresholds."""
Floats = NDArray[np.floating]
Told = Callable[[str, int, int], None]


@dataclass(slots=True)
class Lesson:
    """Texts as tokens, and what is to be said of each.

    Shapes: holds (n, labels) in [0, 1], narratives before assets; direction (n, narratives, 3), tone (n, assets, 3) and
    modality (n, 2) as distributions, each with the weight it counts with: (n, narratives), (n, assets), (n,).
    """

    tokens: list[list[int]]
    holds: Floats
    direction: Floats
    direction_weight: Floats
    tone: Floats
    tone_weight: Floats
    modality: Floats
    modality_weight: Floats

    def __len__(self) -> int:
        return len(self.tokens)

    def taken(self, rows: Sequence[int]) -> "Lesson":
        arrays = (getattr(self, name)[rows] for name in list(self.__dataclass_fields__)[1:])
        return Lesson([self.tokens[row] for row in rows], *arrays)

    def joined(self, other: "Lesson") -> "Lesson":
        names = list(self.__dataclass_fields__)[1:]
        arrays = (np.concatenate([getattr(self, name), getattr(other, name)]) for name in names)
        return Lesson(self.tokens + other.tokens, *arrays)


class Trainer:
    def __init__(
        self,
        encoder: Path,
        narratives: Sequence[str],
        assets: Sequence[str],
        *,
        seed: int,
        work: Path,
        folds: int | None = None,
    ) -> None:
        """`encoder`: a folder with a transformers encoder and its tokenizer.json. `work` is created."""
        self.narratives, self.assets, self.seed, self.work, self._encoder = narratives, assets, seed, work, encoder
        self.n_folds = folds or FOLDS
        self._tokens_of = tokenizer(encoder / "tokenizer.json")
        work.mkdir(parents=True, exist_ok=True)

    def claim(self, units: Sequence[Unit], lessons: Sequence[Unit], unlabelled: Sequence[str]) -> None:
        """Say in `work` what its stages are made of. Raises: BadFile where it holds stages of anything else."""
        inputs, kept = self._fingerprint(units, lessons, unlabelled), self.work / "inputs.sha256"
        stages = [path.name for path in self.work.iterdir() if path.suffix in (".pt", ".npy")]
        if kept.exists() and kept.read_text().strip() == inputs:
            return
        if kept.exists() or stages:
            raise BadFile(
                str(self.work),
                "holds stages of other texts, labels, lessons, seed or encoder; name another folder, or empty it.",
            )
        write_whole(kept, lambda file: file.write(inputs.encode()))

    def _fingerprint(self, units: Sequence[Unit], lessons: Sequence[Unit], unlabelled: Sequence[str]) -> str:
        made_of = [[asdict(unit) for unit in units], [asdict(unit) for unit in lessons], list(unlabelled)]
        method = [EPOCHS, BATCH, RATE, HEAD_RATE, self.n_folds, self.seed, list(self.narratives), list(self.assets)]
        digest = hashlib.sha256(json.dumps([made_of, method], sort_keys=True).encode())
        for path in sorted(found for found in self._encoder.iterdir() if found.is_file()):
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def network(self) -> Network:
        torch.manual_seed(self.seed)
        return Network(self._encoder, n_narratives=len(self.narratives), n_assets=len(self.assets))

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return self._tokens_of([readable(text) for text in texts])

    def lesson(self, units: Sequence[Unit]) -> Lesson:
        n, k, m = len(units), len(self.narratives), len(self.assets)
        lesson = Lesson(self.tokens([unit.text for unit in units]), *_empty(n, k, m))
        for row, unit in enumerate(units):
            for key, judgement in unit.narratives.items():
                place = self.narratives.index(key)
                lesson.holds[row, place] = lesson.direction_weight[row, place] = 1
                lesson.direction[row, place, judgement.direction + 1] = 1
                if judgement.modality is not None:
                    lesson.modality[row, int(judgement.modality == "expected")] = 1
                    lesson.modality_weight[row] = 1
            for key, tone in unit.assets.items():
                place = self.assets.index(key)
                lesson.holds[row, k + place] = lesson.tone_weight[row, place] = 1
                lesson.tone[row, place, tone + 1] = 1
        return lesson

    def folds(self, n: int) -> list[list[int]]:
        order = list(range(n))
        random.Random(self.seed).shuffle(order)
        return [sorted(order[fold :: self.n_folds]) for fold in range(self.n_folds)]

    def cross_fit(self, lesson: Lesson, beside: Lesson, fold: int, told: Told) -> Floats:
        """What a network that has not seen the fold says of it, shape (units of the fold, outputs). Kept in `work`.

        `beside`: what every network learns from, and none is judged by.
        """
        kept = self.work / f"fold-{fold}.npy"
        if not kept.exists():
            unseen = self.folds(len(lesson))[fold]
            seen = sorted(set(range(len(lesson))) - set(unseen))
            taught = lesson.taken(seen).joined(beside)
            network = self.fit(self.network(), taught, epochs=EPOCHS, name=f"fold-{fold}", told=told)
            save_array(kept, predict(network, [lesson.tokens[row] for row in unseen]))
        found: Floats = np.load(kept)
        return found

    def out_of_fold(self, lesson: Lesson, beside: Lesson, told: Told) -> Floats:
        """What networks that have not seen each unit say of it, shape (units, outputs)."""
        parts = [self.cross_fit(lesson, beside, fold, told) for fold in range(self.n_folds)]
        out = np.zeros((len(lesson), parts[0].shape[1]), dtype=np.float32)
        for rows, part in zip(self.folds(len(lesson)), parts, strict=True):
            out[rows] = part
        return out

    def fit(self, network: Network, lesson: Lesson, *, epochs: int, name: str, told: Told) -> Network:
        """Train, and keep the running mean of the weights in `work` under `name`; where it lies there, take it."""
        kept = self.work / f"{name}.pt"
        if kept.exists():
            network.load_state_dict(torch.load(kept, weights_only=True))
            return network
        torch.manual_seed(self.seed)
        rng = random.Random(self.seed)
        for parameter in network.encoder.embeddings.parameters():
            parameter.requires_grad = False
        steps = epochs * math.ceil(len(lesson) / BATCH)
        body = [p for n, p in network.named_parameters() if n.startswith("encoder.") and p.requires_grad]
        heads = [p for n, p in network.named_parameters() if not n.startswith("encoder.")]
        optimizer = torch.optim.AdamW(
            [{"params": body, "lr": RATE}, {"params": heads, "lr": HEAD_RATE}], weight_decay=0.01, fused=True
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer,
            lambda step: min((step + 1) / (WARM_UP * steps), max(0.0, (steps - step) / ((1 - WARM_UP) * steps))),
        )
        average = deepcopy(network)
        done = 0
        for _ in range(epochs):
            network.train()
            for rows in _batches(lesson.tokens, rng):
                ids, there = _padded([lesson.tokens[row] for row in rows])
                with torch.autocast("cpu", dtype=torch.bfloat16):
                    out, _ = network(ids, there)
                loss = self._loss(out.float(), lesson, rows)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
                done += 1
                decay = min(AVERAGE, done / (done + 10))
                with torch.no_grad():
                    for mean, now in zip(average.parameters(), network.parameters(), strict=True):
                        if now.requires_grad:
                            mean.lerp_(now, 1 - decay)
                told(name, done, steps)
        write_whole(kept, lambda file: torch.save(average.state_dict(), file))
        return average

    def _loss(self, out: Tensor, lesson: Lesson, rows: list[int]) -> Tensor:
        narratives, directions, modality, assets, tones = split(out, len(self.narratives), len(self.assets))
        holds = torch.from_numpy(lesson.holds[rows])
        k = len(self.narratives)
        loss = NARRATIVE_LOSS * nn.functional.binary_cross_entropy_with_logits(narratives, holds[:, :k])
        loss = loss + ASSET_LOSS * nn.functional.binary_cross_entropy_with_logits(assets, holds[:, k:])
        for share, logits, wanted, weight in (
            (DIRECTION_LOSS, directions, lesson.direction, lesson.direction_weight),
            (TONE_LOSS, tones, lesson.tone, lesson.tone_weight),
            (MODALITY_LOSS, modality, lesson.modality, lesson.modality_weight),
        ):
            counted = torch.from_numpy(weight[rows])
            missed = -(torch.from_numpy(wanted[rows]) * logits.log_softmax(-1)).sum(-1)
            loss = loss + share * (missed * counted).sum() / counted.sum().clamp(min=1.0)
        return loss

    def average(self) -> Network:
        """One network whose weights are the mean of the folds': they began alike and have found the same valley."""
        parts = [torch.load(self.work / f"fold-{fold}.pt", weights_only=True) for fold in range(self.n_folds)]
        network = self.network()
        network.load_state_dict({name: torch.stack([part[name] for part in parts]).mean(0) for name in parts[0]})
        return network

    def said_by_folds(self, tokens: list[list[int]], told: Told) -> Floats:
        """What each fold's network says of unlabelled texts, shape (folds, texts, outputs)."""
        parts = []
        for fold in range(self.n_folds):
            kept = self.work / f"unlabelled-{fold}.npy"
            if not kept.exists():
                network = self.network()
                network.load_state_dict(torch.load(self.work / f"fold-{fold}.pt", weights_only=True))
                save_array(kept, predict(network, tokens).astype(np.float16))
            parts.append(np.load(kept).astype(np.float32))
            told("unlabelled", fold + 1, self.n_folds)
        return np.stack(parts)


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """What is killed while it writes leaves nothing under this name."""
    beside = path.with_name(f"{path.name}.new")
    with beside.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def save_array(path: Path, array: Floats) -> None:
    write_whole(path, lambda file: np.save(file, array))


def split(out: Tensor, k: int, m: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Output rows as narratives (n, k), directions (n, k, 3), modality (n, 2), assets (n, m), tones (n, m, 3)."""
    narratives, directions, modality, assets, tones = out.split([k, 3 * k, 2, m, 3 * m], dim=1)
    return narratives, directions.unflatten(1, (k, 3)), modality, assets, tones.unflatten(1, (m, 3))


def predict(network: Network, tokens: list[list[int]]) -> Floats:
    """Logits, shape (texts, outputs)."""
    network.eval()
    order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
    parts: list[Floats] = []
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        for start in range(0, len(order), 2 * BATCH):
            rows = order[start : start + 2 * BATCH]
            logits, _ = network(*_padded([tokens[row] for row in rows]))
            parts.append(logits.float().numpy())
    out: Floats = np.empty((len(tokens), parts[0].shape[1]), dtype=np.float32)
    out[order] = np.concatenate(parts)
    return out


def _empty(n: int, k: int, m: int) -> list[Floats]:
    shapes = [(n, k + m), (n, k, 3), (n, k), (n, m, 3), (n, m), (n, 2), (n,)]
    return [np.zeros(shape, dtype=np.float32) for shape in shapes]


def _batches(tokens: list[list[int]], rng: random.Random) -> Iterator[list[int]]:
    """Rows in random order, those of like length together."""
    order = list(range(len(tokens)))
    rng.shuffle(order)
    pools = [order[start : start + 20 * BATCH] for start in range(0, len(order), 20 * BATCH)]
    ordered = [sorted(pool, key=lambda row: len(tokens[row])) for pool in pools]
    batches = [pool[start : start + BATCH] for pool in ordered for start in range(0, len(pool), BATCH)]
    rng.shuffle(batches)
    yield from batches


def _padded(tokens: list[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, tokens))
    ids = torch.tensor([found + [0] * (longest - len(found)) for found in tokens])
    there = torch.tensor([[1] * len(found) + [0] * (longest - len(found)) for found in tokens])
    return ids, there


def train_tagger(
    units: Sequence[Unit],
    lessons: Sequence[Unit],
    unlabelled: Sequence[str],
    *,
    encoder: Path,
    definitions: dict[str, Narrative],
    assets: dict[str, Asset],
    output: Path,
    work: Path,
    seed: int,
    about: dict[str, object],
    told: Told,
    folds: int | None = None,
) -> dict[str, object]:
    """Every stage, from units to a folder of weights; the card. What lies in `work` is not done again.

    Raises: BadFile where `work` holds stages of other inputs.
    """
    narratives = [key for key, found in definitions.items() if not found.examples]  # others are told by examples
    keys = [key for key, asset in assets.items() if asset.aliases or asset.exact]
    trainer = Trainer(encoder, narratives, keys, seed=seed, work=work, folds=folds)
    trainer.claim(units, lessons, unlabelled)
    lesson, beside = trainer.lesson(units), trainer.lesson(lessons)
    out = trainer.out_of_fold(lesson, beside, told)
    tokens = trainer.tokens(unlabelled)
    export(trainer.average(), encoder / "tokenizer.json", output)
    k, m = len(narratives), len(keys)
    phrases = KeywordTagger({key: definitions[key] for key in narratives}, assets)
    named = np.zeros((len(units), m), dtype=np.float32)
    scores = np.zeros((len(units) + len(unlabelled), k), dtype=np.float32)
    ways = np.full((len(units), k), np.nan, dtype=np.float32)
    texts = [readable(text) for text in (*(unit.text for unit in units), *unlabelled)]
    for row, found in enumerate(phrases.tag(Text("", {"text": text}) for text in texts)):
        for tag in found.narratives:
            scores[row, narratives.index(tag.narrative)] = tag.score
        if row < len(units):
            ways[row, [narratives.index(tag.narrative) for tag in found.narratives]] = [
                tag.direction for tag in found.narratives
            ]
            named[row, [keys.index(mention.asset) for mention in found.assets]] = 1
    parts = [part.numpy() for part in split(torch.from_numpy(out), k, m)]
    return describe(
        output,
        narratives=narratives,
        assets=keys,
        units=lesson.tokens,
        unlabelled=tokens,
        unlabelled_phrases=scores[len(units) :],
        said_by_folds=trainer.said_by_folds(tokens, told)[:, :, :k],
        out_of_fold=OutOfFold(
            units=units,
            keys=narratives,
            narratives=parts[0],
            directions=parts[1],
            modality=parts[2],
            assets=parts[3],
            tones=parts[4],
            phrases=scores[: len(units)],
            phrase_directions=ways,
            narrative_truth=lesson.holds[:, :k],
            asset_truth=lesson.holds[:, k:],
            named=named,
            weights=np.array([RICH_WEIGHT if RICH.match(unit.id) else 1.0 for unit in units], dtype=np.float32),
        ),
        about_training=about,
        seed=seed,
    )
