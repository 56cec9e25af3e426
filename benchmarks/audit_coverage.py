"""How often the audit's 90 % intervals hold the truth: random audits of labelled texts, the labels being the reviewer.

python benchmarks/audit_coverage.py LABELS... [--tagger keywords|minilm] [--audits 200] [--rounds 7] [--days 60]

The texts are the whole population; they are spread over `days` at random, so that each day has a truth of its own. Each
audit draws rounds as the queue of reviewing does. Printed as JSON, of narratives with enough random finds to be
corrected: how often precision, recall, and the corrected share of all and of single days lay within their intervals,
and bias and mean error of the share before and after.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.audit import BANDS, NEEDED, Audit, Interval, audit, corrected_share, draw, usual_rates, weights
from analysis.intervals import wilson
from config.definitions import CORE_NARRATIVES, narratives
from jobs.tag import tagger_named
from models.tags import Tagged, Text
from nlp.units import Unit, read_units
from services.review import ROUND


class World:
    """Texts with what is so and what the tagger says; arrays of shape (texts, narratives)."""

    def __init__(self, units: list[Unit], tagged: list[Tagged], *, days: int) -> None:
        self.keys = list(narratives())
        rows = [
            (row, tag.narrative, tag.score, tag.label, tag.direction)
            for row, one in enumerate(tagged)
            for tag in one.narratives
        ]
        self.scores = pd.DataFrame(rows, columns=["revision_id", "narrative", "score", "label", "direction"])
        self.n = len(units)
        self.truth = np.array([[key in unit.narratives for key in self.keys] for unit in units])
        self.label, self.score = np.zeros(self.truth.shape, dtype=bool), np.zeros(self.truth.shape)
        for row, key, score, label, _ in rows:
            self.label[row, self.keys.index(key)] = label
            self.score[row, self.keys.index(key)] = score
        self.day = np.random.default_rng(1).integers(0, days, self.n)
        self.stories = np.bincount(self.day, minlength=days).astype("float64")

    def audits(self, seed: int, rounds: int) -> tuple[np.ndarray, list[Audit]]:
        """The texts read, and what that says of each narrative."""
        seeds = [1_000 * seed + number for number in range(rounds)]
        drawn = [draw(range(self.n), self.scores, size=ROUND, core=CORE_NARRATIVES, seed=one) for one in seeds]
        columns = ["revision_id", "stratum", "inclusion_probability"]
        parts = [pd.DataFrame(one.units, columns=columns).assign(round_id=r, read=True) for r, one in enumerate(drawn)]
        weight = weights(pd.concat(parts), dict.fromkeys(range(rounds), self.n))
        read = weight.index.to_numpy()
        frames = [
            weight.assign(
                score=self.score[read, place],
                label=self.label[read, place],
                holds=self.truth[read, place],
                other=self.label[read].any(axis=1),
            )
            for place in range(len(self.keys))
        ]
        usual = usual_rates(frames)
        found = []
        for key, frame in zip(self.keys, frames, strict=True):
            counted = drawn[-1].bands.get(key, {})
            stories = {name: counted.get(name, 0) for name in BANDS[:-1]}
            found.append(audit(frame, stories | {"untold": self.n - sum(stories.values())}, usual))
        return read, found

    def judged(self, place: int, read: np.ndarray, found: Audit) -> dict[str, Any]:
        truth, label = self.truth[:, place], self.label[:, place]
        row: dict[str, Any] = {
            "narrative": self.keys[place],
            "n": found.n,
            "n_positive": found.n_positive,
            "precision_in": _within(found.precision, truth[label].mean()),
            "recall_in": _within(found.recall, label[truth].mean()),
        }
        is_read = np.isin(np.arange(self.n), read)
        said = np.where(is_read, truth, label)
        for name, groups, sizes in (
            ("all", np.zeros(self.n, dtype=int), np.array([float(self.n)])),
            ("day", self.day, self.stories),
        ):
            true, plain, share, carrying, lacking = (
                np.bincount(groups[which], minlength=len(sizes)) / sizes
                for which in (truth, label, said, is_read & truth, is_read & ~truth)
            )
            value, low, high = corrected_share(share, sizes, found.correction, carrying=carrying, lacking=lacking)
            bare_low, bare_high = wilson(plain, sizes)
            row |= {
                f"{name}_in": np.mean((low <= true) & (true <= high)),
                f"{name}_in_before": np.mean((bare_low <= true) & (true <= bare_high)),
                f"{name}_share": true.mean(),
                f"{name}_width": np.mean(high - low),
                f"{name}_bias": np.mean(value - true),
                f"{name}_bias_before": np.mean(plain - true),
                f"{name}_error": np.mean(np.abs(value - true)),
                f"{name}_error_before": np.mean(np.abs(plain - true)),
            }
        return row


def main() -> None:
    asked = _asked()
    units = [unit for path in asked.labels for unit in read_units(path)]
    tagger = tagger_named(asked.tagger)
    tagged = list(tagger.tag(Text(unit.id, {"title": unit.text}) for unit in units))
    frame = pd.DataFrame(_rows(World(units, tagged, days=asked.days), asked.audits, asked.rounds))
    enough = frame[frame["n_positive"] >= NEEDED]
    told = {
        "tagger": tagger.name,
        "texts": len(units),
        "audits": asked.audits,
        "read": int(frame["n"].mean()),
        "corrected": _means(enough),
        "corrected_core": _means(enough[enough["narrative"].isin(CORE_NARRATIVES)]),
        "by_narrative": {str(key): _means(rows) for key, rows in enough.groupby("narrative")},
        "whatever_was_found": _means(frame),
    }
    print(json.dumps(told, indent=2))


def _rows(world: World, audits: int, rounds: int) -> Iterator[dict[str, Any]]:
    for seed in range(audits):
        read, found = world.audits(seed, rounds)
        for place, one in enumerate(found):
            yield world.judged(place, read, one)


def _within(found: Interval, truth: float) -> float:
    if found.low is None or found.high is None:
        return float("nan")
    return float(found.low <= truth <= found.high)


def _means(rows: pd.DataFrame) -> dict[str, float]:
    numbers = rows.drop(columns=["narrative", "n"]).mean()
    return {"n": len(rows)} | {str(name): round(float(value), 4) for name, value in numbers.items()}


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("labels", type=Path, nargs="+")
    parser.add_argument("--tagger", default="keywords")
    parser.add_argument("--audits", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--days", type=int, default=60)
    return parser.parse_args()


if __name__ == "__main__":
    main()
