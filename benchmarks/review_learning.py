"""What learning from reviews is worth: taggers before and after, paired, on texts that neither has learned from.

A learns from a quarter of the labels; B from these and from reviews of what A is most in doubt about; C from reviews
of texts drawn at random. The labels play the reviewer. All goes by the store, the queue and `train --reviews`. Needs
the extra `train` and ../shared; takes an hour or more, and leaves its stages in --work, outside of the repository.
"""

import argparse
import json
import os
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlmodel import col, select

from config import definitions
from jobs.cluster import Clusterer
from jobs.tag import baseline_tagger, live_tagger, tag_untagged
from models.articles import Article, Revision
from models.database import Database
from models.found import FoundArticle
from models.reviews import Judgement, SaidNarrative, Slice
from models.store import reviews as review_store
from models.store.articles import add_articles
from nlp.evaluation import compare, evaluate
from nlp.minilm import Encoder, MiniLMTagger
from nlp.units import Unit, read_units
from services.review import Given, QueueQuestion, queue, review_of
from storyshift import learning

LABELS = Path(__file__).parents[2] / "shared" / "labels"
NEWS = Path(__file__).parents[2] / "shared" / "data" / "news"
ARCHIVES = ("cnbc-2017-2020.jsonl.gz", "reuters-2018-2020.jsonl.gz")
HELD_OUT, UNLABELLED, SEED = 3_000, 2_000, 0
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def main() -> None:
    options = arguments()
    options.work.mkdir(parents=True, exist_ok=True)
    os.environ["STORYSHIFT_TAGGER"] = "minilm"
    split(options.work)
    if not (options.work / "a" / "card.json").exists():
        train(options, "a")
    use(options.work / "a", options.work / "none.db")
    for name in ("b", "c") if options.random else ("b",):
        store(options, name)
        train(options, name, reviews=True)
    report(options.work, options.random)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", type=Path, help="A folder with all-MiniLM-L6-v2.")
    parser.add_argument(
        "--work", type=Path, required=True, help="Not in the repository: texts of others will lie there."
    )
    parser.add_argument("--folds", type=int, default=4, help="Networks that are trained for a tagger.")
    parser.add_argument("--reviews", type=int, default=1_500, help="For B at most: as many as A is in doubt about.")
    parser.add_argument("--random", action="store_true", help="Train C as well.")
    return parser.parse_args()


def split(work: Path) -> None:
    """Files of a quarter of the labels, of the exam, and of the rest; a small archive of unlabelled news."""
    if (work / "news.jsonl").exists():
        return
    rows = [json.loads(line) for line in (LABELS / "train.jsonl").read_text().splitlines()]
    random.Random(SEED).shuffle(rows)
    quarter = len(rows) // 4
    dev = [json.loads(line) for line in (LABELS / "dev.jsonl").read_text().splitlines()]
    write(work / "quarter.jsonl", rows[:quarter])
    write(work / "exam.jsonl", dev + rows[quarter : quarter + HELD_OUT])
    write(work / "rest.jsonl", rows[quarter + HELD_OUT :])
    texts = learning.unlabelled_texts([NEWS / name for name in ARCHIVES], seed=SEED)[:UNLABELLED]
    write(work / "news.jsonl", [{"published_at": "2020-03-09", "title": text, "outlet": "Wire"} for text in texts])


def write(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def use(weights: Path, database: Path) -> None:
    """Settings of the commands that follow."""
    os.environ |= {"STORYSHIFT_WEIGHTS": str(weights), "STORYSHIFT_DATABASE_URL": f"sqlite:///{database}"}
    definitions.forget()


def train(options: argparse.Namespace, name: str, *, reviews: bool = False) -> None:
    from nlp import training

    training.FOLDS = options.folds
    (options.work / "no-lessons").mkdir(exist_ok=True)
    learning.train(
        labels=options.work / "quarter.jsonl",
        encoder=options.encoder,
        output=options.work / name,
        work=options.work / f"{name}-stages",
        lessons=options.work / "no-lessons",
        unlabelled=[options.work / "news.jsonl"],
        seed=SEED,
        reviews=reviews,
    )


def store(options: argparse.Namespace, name: str) -> None:
    """The store that B or C learns from: the exam drawn and read, and so many of the rest reviewed."""
    path, base = options.work / f"{name}.db", options.work / "base.db"
    use(options.work / "a", path)
    if path.exists():
        return
    units = {unit.id: unit for part in ("exam", "rest") for unit in read_units(options.work / f"{part}.jsonl")}
    if not base.exists():
        examined(base, list(units.values()), len(read_units(options.work / "exam.jsonl")))
    with closing(sqlite3.connect(base)) as whole, closing(sqlite3.connect(path)) as copy:
        whole.backup(copy)
    database = Database.open(f"sqlite:///{path}")
    revisions = ids(database)
    reviewed = {revisions[unit]: found for unit, found in units.items()}
    if name == "b":
        doubtful(database, reviewed, options.reviews)
    else:
        pool = [revisions[unit.id] for unit in read_units(options.work / "rest.jsonl")]
        say(database, random.Random(1).sample(pool, options.reviews), reviewed, "chosen")
    database.close()


def examined(path: Path, units: Sequence[Unit], n_exam: int) -> None:
    """A store of these units as articles, tagged by A, of which the first were drawn at random and read."""
    database = Database.open(f"sqlite:///{path}")
    found = []
    for n, unit in enumerate(units):
        title, _, summary = unit.text.partition(" — ")
        at = FIRST + timedelta(minutes=n)
        found.append(FoundArticle(unit.id, "Wire", title, summary, "", None, "en", "archive", at, at, "assumed"))
    with database.write() as session:
        add_articles(session, found, now=NOW)
    Clusterer(database).cluster()
    tagger = live_tagger()
    tag_untagged(database, tagger, clock=lambda: NOW)
    revisions = ids(database)
    drawn = [revisions[unit.id] for unit in units[:n_exam]]
    with database.write() as session:
        places = [(revision, "all", 1.0) for revision in drawn]
        review_store.add_round(session, tagger.name, now=NOW, n_stories=n_exam, bands={}, drawn=places)
    say(database, drawn, {revisions[unit.id]: unit for unit in units}, "audit")
    database.close()


def ids(database: Database) -> dict[str, int]:
    """The wording of each unit."""
    with database.read() as session:
        query = select(col(Article.identity), col(Revision.id)).join(Revision, col(Revision.article_id) == Article.id)
        return {identity: revision or 0 for identity, revision in session.exec(query)}


def say(database: Database, revisions: Sequence[int], units: dict[int, Unit], part: Slice) -> None:
    """The labels play the reviewer."""
    reviews = []
    for revision in revisions:
        held = {key: SaidNarrative(said.direction, said.modality) for key, said in units[revision].narratives.items()}
        judgement = Judgement(dict(held), dict(units[revision].assets))
        given = Given(f"label-{revision}", revision, part, judgement)
        reviews.append(review_of(given, "labels", given_at=NOW, known_at=NOW, tagger=definitions.live_tagger_name()))
    with database.write() as session:
        review_store.add_reviews(session, reviews)


def doubtful(database: Database, units: dict[int, Unit], n: int) -> None:
    """Reviewed as the queue brings them, the most doubtful first."""

    done = 0
    while done < n:
        with database.read() as session:
            asked = QueueQuestion(slices=("uncertain",), limit=min(50, n - done))
            items = queue(session, asked, "labels", now=NOW).data
        if not items:
            break
        batch = [item.article.revision_id for item in items]
        say(database, batch, units, "uncertain")
        done += len(batch)
    print(f"{done} doubtful texts reviewed")


def report(work: Path, with_random: bool) -> None:
    """Paired figures on dev, on the held-out units, and on both, whether or not a candidate was put to use."""
    folders = {"A": work / "a", "B": work / "b-stages" / "candidate", "C": work / "c-stages" / "candidate"}
    taggers = {
        name: MiniLMTagger(definitions.narratives(), definitions.assets(), Encoder(folder))
        for name, folder in folders.items()
        if name != "C" or with_random
    }
    units = read_units(work / "exam.jsonl")
    n, core = len(units) - HELD_OUT, definitions.CORE_NARRATIVES
    for name, tagger in {**taggers, "keywords": baseline_tagger()}.items():
        whole = evaluate(tagger, units, core=core, narratives=list(definitions.narratives()))
        print(f"{name:<9} core F1 {whole.macro_f1_core:.3f}, AP {whole.macro_ap_core:.3f}, direction {whole.direction}")
    for part, judged in {"dev": units[:n], "held out": units[n:], "both": units}.items():
        for old, new in (("A", "B"), ("A", "C"), ("C", "B")):
            if new in taggers and old in taggers:
                told = compare(taggers[old], taggers[new], judged, [1.0] * len(judged), core=core)
                print(
                    f"{part:<9} {told.n:>5}  {old} {told.old_f1:.3f}  {new} {told.new_f1:.3f}  {told.difference:+.3f} "
                    f"({told.low:+.3f} to {told.high:+.3f}, p {told.p:.4f})  alone right: {old} {told.only_old_right}, "
                    f"{new} {told.only_new_right} (p {told.mcnemar_p:.4f})"
                )


if __name__ == "__main__":
    main()
