"""What is learned from, and by what it is judged: nothing is in both, nor is a copy of it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from fakes import found_article
from sqlmodel import Session

from config import definitions
from config.definitions import BASELINE_TAGGER, CORE_NARRATIVES
from jobs.cluster import Clusterer
from models.database import Database
from models.reviews import Judgement, Review, SaidNarrative
from models.store import reviews as review_store
from models.store.articles import add_articles, remove_text
from nlp.units import Judgement as Told
from nlp.units import Unit
from services.learning import Reviewed, examples_of, reviewed_units, without_reviewed

FIRST = datetime(2020, 1, 1, 9, tzinfo=UTC)
SAID = FIRST + timedelta(days=1)
HAVEN = SaidNarrative(1)
WHOLE = dict.fromkeys(definitions.narratives())
"""Nothing holds."""


def tell(database: Database, *texts: tuple[str, str] | str, copies: Sequence[str] = ()) -> None:
    """Articles an hour apart, copies by other outlets after them; revision and article ids count from 1."""
    pairs = [(text, "") if isinstance(text, str) else text for text in (*texts, *copies)]
    with database.write() as session:
        found = [
            found_article(title, FIRST + timedelta(hours=n), summary=summary, outlet=f"Outlet {n}")
            for n, (title, summary) in enumerate(pairs)
        ]
        add_articles(session, found, now=FIRST)
    Clusterer(database).cluster()


def judge(
    session: Session,
    revision: int,
    narratives: dict[str, SaidNarrative | None],
    assets: dict[str, int] | None = None,
    *,
    slice: str = "chosen",
    at: datetime = SAID,
) -> None:
    review = Review(
        uid=f"{revision} {slice} {at}",
        revision_id=revision,
        reviewer="ann",
        given_at=at,
        known_at=at,
        slice=slice,
        blind=False,
        tagger=BASELINE_TAGGER,
        **review_store.said_columns(Judgement(narratives, assets)),
    )
    review_store.add_reviews(session, [review])


def draw(session: Session, tagger: str, *drawn: tuple[int, float], of: int, at: datetime = FIRST) -> None:
    places = [(revision, "all", probability) for revision, probability in drawn]
    review_store.add_round(session, tagger, now=at, n_stories=of, bands={}, drawn=places)


def found(database: Database, now: datetime = SAID) -> Reviewed:
    with database.read() as session:
        return reviewed_units(session, now=now)


def test_what_was_drawn_is_the_exam_for_whichever_tagger_and_all_else_that_is_whole_is_learned_from(
    database: Database,
) -> None:
    tell(
        database, ("Fear grips traders", "Gold is sought."), "Wheat ripens early", "Ships wait outside the port", "Rain"
    )
    with database.write() as session:
        draw(session, "minilm@1", (2, 0.5), of=4)
        draw(session, "minilm@2", (3, 0.1), (4, 1.0), of=40)
        judge(session, 1, WHOLE | {"safe_haven": SaidNarrative(-1)}, {"XAU": 1, "SPX": -1}, slice="uncertain")
        judge(session, 2, WHOLE | {"liquidity": SaidNarrative(1, "expected")}, {}, slice="audit")
        judge(session, 3, WHOLE, {}, slice="uncertain")  # whatever it was shown for, it was drawn
    reviewed = found(database)
    (unit,) = reviewed.learn
    assert unit == Unit("review-1", "Fear grips traders — Gold is sought.", {"safe_haven": Told(-1)}, {"XAU": 1})
    assert [one.unit.id for one in reviewed.exam] == ["review-2", "review-3"]
    assert reviewed.exam_units[0].narratives == {"liquidity": Told(1, "expected")}
    # by hand: a round counts by how many of it were read, here one each; of the second, one of two was
    assert reviewed.exam_weights == pytest.approx([(1 / 0.5) / 4 / 2, (1 / 0.1) * 2 / 40 / 2])
    assert found(database, SAID - timedelta(hours=1)).learn == []


def test_copies_of_what_was_drawn_are_not_learned_from_read_or_not(database: Database) -> None:
    text = "Central bank cuts its rate by half a point and says that more cuts may follow in spring"
    tell(database, text, "Museum opens a new wing", copies=[text, text + "."])
    with database.write() as session:
        draw(session, "minilm@1", (1, 1.0), of=2)
        for revision in (2, 3, 4):
            judge(session, revision, WHOLE, {})
    reviewed = found(database)
    assert [unit.id for unit in reviewed.learn] == ["review-2"]
    assert reviewed.exam == []


def test_a_text_that_is_drawn_elsewhere_is_not_learned_from_though_no_copy_was_found(database: Database) -> None:
    with database.write() as session:
        days = [FIRST, FIRST + timedelta(days=200)]
        add_articles(session, [found_article("Gold up!", day) for day in days], now=days[1])
        draw(session, "minilm@1", (1, 1.0), of=2)
        judge(session, 2, WHOLE, {}, at=days[1])
    assert found(database, days[1]).learn == []


@pytest.mark.parametrize(
    ("narratives", "assets"),
    [
        ({"ai_bubble": HAVEN}, None),
        (WHOLE, None),
        ({key: None for key in WHOLE if key != "trade_conflict"}, {}),
    ],
)
def test_what_was_judged_in_part_is_not_learned_from(
    database: Database, narratives: dict[str, SaidNarrative | None], assets: dict[str, int] | None
) -> None:
    tell(database, "Is it a bubble?")
    with database.write() as session:
        judge(session, 1, narratives, assets, slice="search")
    assert found(database).learn == []


def test_core_narratives_suffice_for_the_exam_and_parts_of_two_reviews_make_a_whole(database: Database) -> None:
    tell(database, "Fear", "Rain")
    with database.write() as session:
        draw(session, BASELINE_TAGGER, (1, 1.0), of=2)
        judge(session, 1, dict.fromkeys(CORE_NARRATIVES))
        judge(session, 2, dict.fromkeys(CORE_NARRATIVES))
        judge(session, 2, {key: None for key in WHOLE if key not in CORE_NARRATIVES}, {"BTC": 0}, slice="audit")
    reviewed = found(database)
    assert [one.unit.id for one in reviewed.exam] == ["review-1"]
    assert [unit.assets for unit in reviewed.learn] == [{"BTC": 0}]


def test_what_was_taken_down_or_taken_back_teaches_nothing(database: Database) -> None:
    tell(database, "Fear", "Rain", "Wind")
    with database.write() as session:
        draw(session, BASELINE_TAGGER, (3, 1.0), of=3)
        for revision in (1, 2, 3):
            judge(session, revision, WHOLE, {})
        remove_text(session, 1, now=SAID)
        remove_text(session, 3, now=SAID)
        taken_back = review_store.reviews_of(session, [2], as_of=SAID)[2][0]
        review_store.undo(session, taken_back, now=SAID + timedelta(hours=1))
    assert [unit.text for unit in found(database).learn] == ["Rain"]
    later = found(database, SAID + timedelta(hours=2))
    assert (later.learn, later.exam) == ([], [])


def test_labelled_texts_that_the_exam_or_a_review_has_are_left_out_and_counted() -> None:
    def units(*texts: str) -> list[Unit]:
        return [Unit(str(n), text, {}, {}) for n, text in enumerate(texts)]

    reviewed = Reviewed(units("Rain in May"), [], frozenset({"gold up", "fear grips traders"}))
    kept, examined, retold = without_reviewed(
        units("Gold up!", "Fear grips  traders — Gold is sought", "RAIN in May", "Rain in May — It is wet", "Gold"),
        reviewed,
    )
    assert [unit.text for unit in kept] == ["Rain in May — It is wet", "Gold"]
    assert (examined, retold) == (2, 1)


def test_examples_are_what_reviewers_said_of_a_key_that_nothing_defines(database: Database) -> None:
    tell(database, ("AI shares: a bubble?", "Some say so."), "New chip", "AI mania", "Wheat")
    with database.write() as session:
        draw(session, BASELINE_TAGGER, (3, 1.0), of=4)
        for revision, holds in ((1, True), (2, False), (3, True)):
            judge(session, revision, {"ai_bubble": SaidNarrative(0) if holds else None}, slice="search")
        judge(session, 4, WHOLE, {})
        told = examples_of(session, "ai_bubble", now=SAID)
    assert told == (["AI shares: a bubble? — Some say so."], ["New chip"])
