"""The loop of reviewing closed once in a real store: labelled texts are its articles, their labels play the reviewer.

python benchmarks/review_loop.py LABELS... [--tagger minilm] [--rounds 7] [--days 60]

The queue's random slice is read round by round through the services; then what the audit says stands beside the truth
of all texts: precision, recall, the share of each narrative before and after, and by day. Then the doubtful and the
disputed slices are read, and it is told how many labels each review set right. Prints JSON.
"""

import argparse
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np


def main() -> None:
    asked = _asked()
    os.environ["STORYSHIFT_TAGGER"] = asked.tagger
    from nlp.units import read_units

    units = {unit.text: unit for path in asked.labels for unit in read_units(path)}
    with TemporaryDirectory() as folder:
        print(json.dumps(_loop(f"sqlite:///{folder}/loop.db", units, asked.rounds, asked.days), indent=2))


def _loop(url: str, units: dict[str, Any], rounds: int, days: int) -> dict[str, Any]:
    from config.definitions import narratives
    from jobs.tag import baseline_tagger, live_tagger, tag_untagged
    from models.database import Database
    from services.audit import readings
    from services.series import Question, intensity

    database, tagger = Database.open(url), live_tagger()
    first, now = datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 6, 1, tzinfo=UTC)
    day_of = _fill(database, units, first, days)
    for one in (tagger, baseline_tagger()):
        tag_untagged(database, one, clock=lambda: now)
    keys = list(narratives())
    question = Question(start=first, end=first + timedelta(days=days), bucket="day", tagger=tagger.name)

    def shares() -> dict[str, np.ndarray]:
        with database.read() as session:
            rows = intensity(session, keys, question, now=now).rows
        return {key: np.array([[r.intensity, r.low, r.high] for r in rows if r.narrative == key]) for key in keys}

    before = shares()
    began = perf_counter()
    n_read = sum(_read(database, units, "audit", now, draw=True) for _ in range(rounds))
    seconds = perf_counter() - began
    after = shares()
    n_days = np.bincount(list(day_of.values()), minlength=days)
    told: dict[str, Any] = {}
    with database.read() as session:
        found = readings(session, tagger.name, as_of=now)
        labels = _labels(session, tagger.name)
    for key in keys if found is not None else []:
        audit = found.audit(key)
        holds = {text for text, unit in units.items() if key in unit.narratives}
        said = labels.get(key, set())
        true = np.bincount([day_of[text] for text in holds], minlength=days) / n_days
        weight = n_days / n_days.sum()
        told[key] = {
            "finds": audit.n_positive,
            "corrected": audit.enough,
            "precision": _beside(audit.precision, len(said & holds) / max(1, len(said))),
            "recall": _beside(audit.recall, len(said & holds) / max(1, len(holds))),
            "share": round(float(weight @ true), 4),
            "share_as_tagged": round(float(weight @ before[key][:, 0]), 4),
            "share_corrected": round(float(weight @ after[key][:, 0]), 4),
            "days_in_interval": round(float(np.mean((after[key][:, 1] <= true) & (true <= after[key][:, 2]))), 3),
            "days_in_interval_before": round(
                float(np.mean((before[key][:, 1] <= true) & (true <= before[key][:, 2]))), 3
            ),
        }
    more = {part: _yield(database, units, part, now) for part in ("uncertain", "disagreement", "audit")}
    return {
        "tagger": tagger.name,
        "texts": len(units),
        "read_at_random": n_read,
        "ms_a_review": round(1_000 * seconds / max(1, n_read), 1),
        "narratives": told,
        "labels_set_right_a_review": more,
    }


def _beside(found: Any, truth: float) -> dict[str, Any]:
    inside = None if found.low is None or found.high is None else bool(found.low <= truth <= found.high)
    return {"told": found.estimate, "low": found.low, "high": found.high, "truth": round(truth, 4), "inside": inside}


def _fill(database: Any, units: dict[str, Any], first: datetime, days: int) -> dict[str, int]:
    """Each text an article, at random among the days; by text its day."""
    from jobs.cluster import Clusterer
    from models.found import FoundArticle
    from models.store.articles import add_articles

    day_of = dict(zip(units, np.random.default_rng(0).integers(0, days, len(units)).tolist(), strict=True))
    found = []
    for text, unit in units.items():
        at = first + timedelta(days=day_of[text], minutes=len(found) % 1_000)
        found.append(
            FoundArticle(
                identity=unit.id,
                outlet="labels",
                title=text,
                summary="",
                body="",
                url=None,
                language="en",
                origin="archive",
                event_at=at,
                known_at=at,
                knowledge="assumed",
            )
        )
    with database.write() as session:
        add_articles(session, found, now=first)
    Clusterer(database).cluster()
    return day_of


def _read(database: Any, units: dict[str, Any], part: str, now: datetime, *, draw: bool = False) -> int:
    """Read all that waits of a slice, as the labels say; how many."""
    from services.review import QueueQuestion, draw_round, queue

    if draw:
        with database.write() as session:
            draw_round(session, QueueQuestion().tagger, now=now)
    n = 0
    while True:
        with database.read() as session:
            items = queue(session, QueueQuestion(slices=(part,), limit=50), "labels", now=now).data  # type: ignore[arg-type]
        if not items:
            return n
        for item in items:
            _say(database, units, item, now)
        n += len(items)


def _say(database: Any, units: dict[str, Any], item: Any, now: datetime) -> Any:
    from models.reviews import Judgement, SaidNarrative
    from services.review import Given, record_review

    unit = units[item.article.title]
    said = {
        key: SaidNarrative(one.direction, (one.modality or "actual") if key == "liquidity" else None)
        for key, one in unit.narratives.items()
    }
    given = Given(unit.id, item.article.revision_id, item.slice, Judgement(said, dict(unit.assets)))
    with database.write() as session:
        return record_review(session, given, "labels", now=now)[0]


def _yield(database: Any, units: dict[str, Any], part: str, now: datetime, most: int = 100) -> float | None:
    """Narrative labels that a review of the slice set right, on average over up to `most`."""
    from services.review import QueueQuestion, draw_round, queue

    if part == "audit":
        with database.write() as session:
            draw_round(session, QueueQuestion().tagger, now=now, size=most)
    set_right = []
    while len(set_right) < most:
        with database.read() as session:
            items = queue(session, QueueQuestion(slices=(part,), limit=50), "labels", now=now).data  # type: ignore[arg-type]
        if not items:
            break
        for item in items[: most - len(set_right)]:
            verdicts = _say(database, units, item, now).verdicts
            set_right.append(sum(one.kind == "narrative" and one.verdict != "accept" for one in verdicts))
    return round(float(np.mean(set_right)), 3) if set_right else None


def _labels(session: Any, tagger: str) -> dict[str, set[str]]:
    """By narrative, the texts that the tagger labels."""
    from models.store import articles as article_store
    from models.store import reviews as review_store

    ids, scores = review_store.scores(session, tagger, as_of=datetime.now(UTC))
    titles = {row.revision_id: row.title for row in article_store.articles_as_worded(session, ids)}
    labelled = scores[scores["label"].astype(bool)]
    return {
        str(key): {titles[revision] for revision in rows["revision_id"]} for key, rows in labelled.groupby("narrative")
    }


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("labels", type=Path, nargs="+")
    parser.add_argument("--tagger", default="minilm")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--days", type=int, default=60)
    return parser.parse_args()


if __name__ == "__main__":
    main()
