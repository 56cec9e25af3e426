"""The audit, from drawing to the corrected series: planted errors of a tagger are found, and put right."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fakes import found_article
from record import told_once
from sqlmodel import Session

from config.definitions import BASELINE_TAGGER
from jobs.cluster import Clusterer
from models.articles import Revision
from models.database import Database
from models.reviews import Judgement, Review, SaidNarrative
from models.store import reviews as review_store
from models.store.articles import add_articles, remove_text
from models.store.tags import save_tags, untagged
from models.tags import AssetScore, NarrativeScore, Tagged
from services import quality as quality_service
from services.audit import readings
from services.quality import QualityQuestion
from services.review import draw_round
from services.series import Question, intensity, shift, tone

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
DAYS, A_DAY = 40, 50


def tell(database: Database, now: datetime, *, days: int = DAYS, seed: int = 0) -> dict[int, bool]:
    """50 stories a day, of which one in ten tells of fear; the tagger labels 70 % of these, and 5 % of the others.

    By revision id: whether it does. Each story names bitcoin with tone +1, which the tagger takes for 0.
    """
    told = (database.is_sqlite, now, days, seed)
    told_once(database, ("audit", *told), lambda: TRUTH.update({told: _tell(database, now, days, seed)}))
    return dict(TRUTH[told])


TRUTH: dict[tuple[bool, datetime, int, int], dict[int, bool]] = {}


def _tell(database: Database, now: datetime, days: int, seed: int) -> dict[int, bool]:
    rng = np.random.default_rng(seed)
    found = [
        found_article(f"story {day}-{n} {rng.integers(1 << 40):x}", FIRST + timedelta(days=day, minutes=20 * n))
        for day in range(days)
        for n in range(A_DAY)
    ]
    with database.write() as session:
        add_articles(session, found, now=now)
    Clusterer(database).cluster()
    truth = {}
    with database.write() as session:
        pairs = []
        for row in untagged(session, BASELINE_TAGGER, after=0, limit=100_000):
            holds = bool(rng.random() < 0.1)
            label = bool(rng.random() < (0.7 if holds else 0.05))
            score = float(rng.uniform(0.5, 1) if label else rng.uniform(0.02, 0.4) if holds else rng.uniform(0, 0.1))
            told = (NarrativeScore("safe_haven", score, label, 1, None, ()),) if score >= 0.02 else ()
            truth[row.id or 0] = holds
            pairs.append((row.id or 0, Tagged("", told, (AssetScore("BTC", 0.0, 1.0, ()),))))
        save_tags(session, BASELINE_TAGGER, pairs, now=now)
    return truth


def read(session: Session, truth: dict[int, bool], revisions: Sequence[int], at: datetime, who: str = "ann") -> None:
    haven = SaidNarrative(1)
    reviews = [
        Review(
            uid=f"{who} {revision}",
            revision_id=revision,
            reviewer=who,
            given_at=at,
            known_at=at,
            slice="audit",
            blind=True,
            tagger=BASELINE_TAGGER,
            **review_store.said_columns(Judgement({"safe_haven": haven if truth[revision] else None}, {"BTC": 1})),
        )
        for revision in revisions
    ]
    review_store.add_reviews(session, reviews)


def audit(database: Database, truth: dict[int, bool], at: datetime, *, size: int = 400) -> None:
    with database.write() as session:
        draw_round(session, BASELINE_TAGGER, now=at, size=size)
        drawn = review_store.draws(session, BASELINE_TAGGER, as_of=at)["revision_id"]
        read(session, truth, [int(revision) for revision in drawn], at)


def haven(database: Database, now: datetime, as_of: datetime | None = None, **asked: object) -> object:
    question = Question(start=FIRST, bucket="month", tagger=BASELINE_TAGGER, as_of=as_of, **asked)  # type: ignore[arg-type]
    with database.read() as session:
        return intensity(session, ["safe_haven"], question, now=now)


def test_an_audit_puts_the_intensity_right_and_says_by_how_much(database: Database, now: datetime) -> None:
    truth = tell(database, now, seed=1)
    before = haven(database, now)
    assert before.rows[0].as_tagged is None
    assert not before.meta["audit"][0].corrected
    audit(database, truth, now - timedelta(hours=2))
    told = haven(database, now)
    label = told.meta["audit"][0]
    assert label.corrected
    assert label.precision_low < label.precision < label.precision_high
    assert label.recall_low < label.recall < label.recall_high
    ids = sorted(truth)
    january = np.mean([truth[revision] for revision in ids[: 31 * A_DAY]])
    point = told.rows[0]
    assert point.low < january < point.high
    assert point.as_tagged == pytest.approx(before.rows[0].intensity, abs=0.03)
    assert abs(point.intensity - january) < abs(before.rows[0].intensity - january)


def test_the_audit_is_not_known_before_it_was_made(database: Database, now: datetime) -> None:
    truth = tell(database, now)
    earlier = now - timedelta(hours=3)
    before = haven(database, now, as_of=earlier)
    audit(database, truth, now - timedelta(hours=2))
    assert haven(database, now, as_of=earlier).rows == before.rows
    assert haven(database, now).rows != before.rows


def test_too_few_random_finds_correct_nothing_and_it_says_so(database: Database, now: datetime) -> None:
    truth = tell(database, now, days=10)
    audit(database, truth, now - timedelta(hours=2), size=30)
    told = haven(database, now)
    assert told.rows[0].as_tagged is None
    assert "not corrected" in told.meta["audit"][0].sentence
    assert "30 are needed" in told.meta["audit"][0].sentence


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"measure": "index"}, "the index is not corrected"),
        ({"direction": "fading"}, "only the whole narrative and what is building"),
    ],
)
def test_what_the_audit_cannot_correct_stays_as_tagged(
    database: Database, now: datetime, asked: dict[str, str], why: str
) -> None:
    truth = tell(database, now)
    audit(database, truth, now - timedelta(hours=2))
    told = haven(database, now, **asked)
    assert all(point.as_tagged is None for point in told.rows)
    assert why in told.meta["audit"][0].sentence


def test_the_tone_is_put_right(database: Database, now: datetime) -> None:
    truth = tell(database, now)
    question = Question(start=FIRST, bucket="month", tagger=BASELINE_TAGGER)
    audit(database, truth, now - timedelta(hours=2), size=100)
    with database.read() as session:
        point = tone(session, "BTC", question, now=now).rows[0]
    assert point.as_tagged == pytest.approx(0.0, abs=0.2)
    assert point.tone == pytest.approx(1.0, abs=0.01)


@pytest.mark.slow
def test_the_shift_says_what_it_was_before_the_correction(database: Database, now: datetime) -> None:
    truth = tell(database, now, days=200)
    audit(database, truth, now - timedelta(hours=2))
    with database.read() as session:
        told = shift(session, Question(tagger=BASELINE_TAGGER), now=now)
    spoken = [point for point in told.rows if point.index is not None]
    assert spoken
    assert all(point.index_as_tagged is not None for point in spoken)
    assert {label.key: label.corrected for label in told.meta["audit"]}["safe_haven"]


def test_quality_tells_precision_and_recall_by_narrative_outlet_and_asset(database: Database, now: datetime) -> None:
    truth = tell(database, now)
    audit(database, truth, now - timedelta(hours=2))
    question = QualityQuestion(BASELINE_TAGGER)
    with database.read() as session:
        rows = {
            by: {row.key: row for row in quality_service.quality(session, question, by=by, now=now).rows}  # type: ignore[arg-type]
            for by in ("narrative", "asset", "outlet")
        }
        months = quality_service.quality(session, question, bucket="month", now=now).rows
        bins = quality_service.calibration(session, question, ["safe_haven"], now=now).rows
        confused = quality_service.confusions(session, question, now=now).rows
    own = rows["narrative"]["safe_haven"]
    assert own.precision == pytest.approx(0.61, abs=0.1)
    assert own.recall == pytest.approx(0.7, abs=0.15)
    assert own.right_way == 1.0
    assert rows["asset"]["BTC"].precision == 1.0
    assert rows["asset"]["BTC"].right_way == 0.0
    assert rows["outlet"]["The Wire"].n == 400
    assert {row.bucket_start for row in months} == {FIRST, FIRST + timedelta(days=31)}
    assert sum(row.n for row in bins) == 400
    assert {(row.kind, row.said, row.truth) for row in confused} == {
        ("wrong", "safe_haven", None),
        ("missed", None, "safe_haven"),
        ("tone", "BTC neither", "BTC up"),
    }


def test_a_narrative_below_its_floor_is_marked(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = tell(database, now)
    audit(database, truth, now - timedelta(hours=2))
    from config import definitions

    strict = definitions.narrative("safe_haven").model_copy(update={"precision_floor": 0.9})
    monkeypatch.setattr(definitions, "narrative", lambda _: strict)
    label = haven(database, now).meta["audit"][0]
    assert label.below_floor
    assert "below its floor of 0.90" in label.sentence


def test_inclusion_probabilities_are_those_of_the_draw(database: Database, now: datetime) -> None:
    tell(database, now)
    with database.write() as session:
        draw_round(session, BASELINE_TAGGER, now=now, size=60)
    with database.read() as session:
        drawn = review_store.draws(session, BASELINE_TAGGER, as_of=now)
    assert len(drawn) == 60
    assert (1 / drawn["inclusion_probability"]).sum() == pytest.approx(DAYS * A_DAY)


def test_what_was_judged_before_its_turn_is_no_random_part_until_its_turn_comes(
    database: Database, now: datetime
) -> None:
    """The doubtful, all wrong, are read first; then a round is drawn, of which some have been read already."""
    truth = tell(database, now, days=4)
    early, later = now - timedelta(hours=5), now - timedelta(hours=3)
    with database.write() as session:
        read(session, truth, sorted_early(truth), early)
        draw_round(session, BASELINE_TAGGER, now=later, size=60)
        drawn = [int(one) for one in review_store.draws(session, BASELINE_TAGGER, as_of=now)["revision_id"]]
        found = readings(session, BASELINE_TAGGER, as_of=now)
        assert found is not None
        early_ones = set(sorted_early(truth))
        first_unread = next(place for place, revision in enumerate(drawn) if revision not in early_ones)
        assert len(found.of_narrative("safe_haven")) == first_unread
        read(session, truth, drawn, later)
        found = readings(session, BASELINE_TAGGER, as_of=now)
        assert found is not None
        assert len(found.of_narrative("safe_haven")) == 60


def sorted_early(truth: dict[int, bool]) -> list[int]:
    return [revision for revision in sorted(truth) if not truth[revision]][:150]


def test_a_drawn_story_that_was_taken_down_holds_nobody_up(database: Database, now: datetime) -> None:
    truth = tell(database, now, days=1)
    with database.write() as session:
        draw_round(session, BASELINE_TAGGER, now=now - timedelta(hours=3), size=5)
        gone, *others = review_store.to_audit(session, BASELINE_TAGGER, "ann", limit=9)
        remove_text(session, gone, now=now - timedelta(hours=2))
        session.flush()
        assert review_store.to_audit(session, BASELINE_TAGGER, "ann", limit=9) == others
        read(session, truth, others, now - timedelta(hours=1))
        found = readings(session, BASELINE_TAGGER, as_of=now)
    assert found is not None
    assert len(found.of_narrative("safe_haven")) == 4


def test_a_review_of_an_old_wording_does_not_stand_for_the_new_one(database: Database, now: datetime) -> None:
    truth = tell(database, now)
    audit(database, truth, now - timedelta(hours=3))
    with database.read() as session:
        known = review_store.reviewed_leads(session, ["safe_haven"], tagger=BASELINE_TAGGER, as_of=now)
    assert known["n_stories"].sum() == 400
    with database.write() as session:
        drawn = review_store.draws(session, BASELINE_TAGGER, as_of=now)["article_id"][:10]
        for article in drawn:
            wording = Revision(
                article_id=int(article), seen_at=now - timedelta(hours=1), title="anew", content_hash="x"
            )
            session.add(wording)
        session.flush()
        pairs = [(row.id or 0, Tagged("", (), ())) for row in untagged(session, BASELINE_TAGGER, after=0, limit=99)]
        save_tags(session, BASELINE_TAGGER, pairs, now=now)
    with database.read() as session:
        known = review_store.reviewed_leads(session, ["safe_haven"], tagger=BASELINE_TAGGER, as_of=now)
    assert known["n_stories"].sum() == 390
