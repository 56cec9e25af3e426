"""Reviews: what is said counts from when it was said, nothing is lost, and what was counted follows."""

from datetime import UTC, datetime, timedelta

import pytest
from fakes import found_article
from hypothesis import given, settings
from hypothesis import strategies as st
from record import tag
from sqlmodel import Session, select

from config.definitions import BASELINE_TAGGER
from models.database import Database
from models.reviews import Judgement, Review, SaidNarrative, StandingLabel
from models.rollups import BreadthRollup, StoryRollup, ToneRollup
from models.store import reviews as review_store
from models.store.articles import add_articles
from models.store.rollups import rebuild
from models.store.stories import Seen, asset_tones, story_frames

FIRST = datetime(2020, 1, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
HAVEN = SaidNarrative(1)


def told(database: Database, *titles: str, now: datetime) -> None:
    """Articles an hour apart, each known as it is published; revision and article ids count from 1."""
    with database.write() as session:
        add_articles(session, [found_article(title, FIRST + HOUR * n) for n, title in enumerate(titles)], now=now)
    tag(database, now)


def review(
    revision: int, at: datetime, judgement: Judgement, *, reviewer: str = "ann", uid: str = "", slice: str = "chosen"
) -> Review:
    return Review(
        uid=uid or f"{revision} {reviewer} {at.isoformat()} {judgement}",
        revision_id=revision,
        reviewer=reviewer,
        given_at=at,
        known_at=at,
        slice=slice,
        blind=slice == "second",
        tagger=BASELINE_TAGGER,
        **review_store.said_columns(judgement),
    )


def carrying(session: Session, narrative: str, as_of: datetime) -> int:
    seen = Seen(as_of=as_of, tagger=BASELINE_TAGGER, start=None, end=FIRST + timedelta(days=9))
    return int(story_frames(session, seen, [narrative]).carried["n_carrying"].sum())


def tones(session: Session, asset: str, as_of: datetime) -> list[float]:
    seen = Seen(as_of=as_of, tagger=BASELINE_TAGGER, start=None, end=FIRST + timedelta(days=9))
    return [float(tone) for tone in asset_tones(session, seen, asset)["tone"]]


def counted(session: Session) -> list[list[dict[str, object]]]:
    return [
        sorted((row.model_dump() for row in session.scalars(select(table)).all()), key=repr)
        for table in (StoryRollup, BreadthRollup, ToneRollup)
    ]


def nonzero(rows: list[list[dict[str, object]]]) -> list[list[dict[str, object]]]:
    return [[row for row in table if any(row[name] for name in row if name[:2] in ("n_", "to"))] for table in rows]


def test_a_reviewed_label_counts_from_when_it_was_given_and_not_before(database: Database, now: datetime) -> None:
    told(database, "safe_haven+ : gold is a metal", now=now)
    later = FIRST + 30 * HOUR + timedelta(minutes=20)
    with database.write() as session:
        review_store.add_reviews(session, [review(1, later, Judgement({"safe_haven": None, "liquidity": HAVEN}))])
    with database.read() as session:
        before, after = later - timedelta(seconds=1), later + timedelta(seconds=1)
        assert [carrying(session, "safe_haven", at) for at in (before, later, after, now)] == [1, 0, 0, 0]
        assert [carrying(session, "liquidity", at) for at in (before, later, after, now)] == [0, 1, 1, 1]


def test_what_was_not_judged_stays_the_taggers(database: Database, now: datetime) -> None:
    told(database, "safe_haven+ debasement+ XAU=1: money loses", now=now)
    with database.write() as session:
        review_store.add_reviews(session, [review(1, now, Judgement({"debasement": None}))])
    with database.read() as session:
        assert [carrying(session, key, now) for key in ("safe_haven", "debasement")] == [1, 0]
        assert tones(session, "XAU", now) == [1.0]


def test_assets_that_a_reviewer_does_not_name_are_not_there(database: Database, now: datetime) -> None:
    told(database, "XAU=1 BTC=-1: goldman sells", now=now)
    with database.write() as session:
        review_store.add_reviews(session, [review(1, now, Judgement({}, {"BTC": 1, "ETH": 0}))])
    with database.read() as session:
        found = {key: tones(session, key, now) for key in ("XAU", "BTC", "ETH")}
    assert found == {"XAU": [], "BTC": [1.0], "ETH": [0.0]}


def test_undoing_a_review_brings_back_what_stood_before_it(database: Database, now: datetime) -> None:
    told(database, "safe_haven+ : fright", now=now)
    at = [FIRST + n * HOUR for n in range(10, 14)]
    with database.write() as session:
        first = review(1, at[0], Judgement({"safe_haven": None}))
        second = review(1, at[1], Judgement({"safe_haven": HAVEN}), reviewer="bob")
        review_store.add_reviews(session, [first, second])
        review_store.undo(session, second, now=at[2])
        review_store.undo(session, first, now=at[3])
    with database.read() as session:
        instants = [at[0] - HOUR, *at, now]
        assert [carrying(session, "safe_haven", instant) for instant in instants] == [1, 0, 1, 0, 1, 1]


def test_the_same_review_sent_twice_is_kept_once(database: Database, now: datetime) -> None:
    told(database, "safe_haven+ : fright", now=now)
    with database.write() as session:
        assert len(review_store.add_reviews(session, [review(1, now, Judgement(), uid="a")] * 2)) == 1
        assert not review_store.add_reviews(session, [review(1, now, Judgement(), uid="a")])
        assert len(session.scalars(select(Review)).all()) == 1


def test_who_waited_for_the_lock_does_not_undo_what_was_kept_meanwhile(database: Database, now: datetime) -> None:
    """Ann's clock was read before bob's, and her review is kept after his: the later word is still bob's."""
    told(database, "weather : fine", now=now)
    at = FIRST + 10 * HOUR
    with database.write() as session:
        review_store.add_reviews(session, [review(1, at + HOUR, Judgement({"safe_haven": HAVEN}), reviewer="bob")])
        review_store.add_reviews(session, [review(1, at, Judgement({"safe_haven": None}))])
    with database.read() as session:
        assert carrying(session, "safe_haven", now) == 1


def test_a_blind_second_reading_overrules_nobody(database: Database, now: datetime) -> None:
    told(database, "weather : fine", now=now)
    with database.write() as session:
        review_store.add_reviews(session, [review(1, FIRST + 9 * HOUR, Judgement({"liquidity": HAVEN}))])
        again = review(1, FIRST + 10 * HOUR, Judgement({"liquidity": None}), reviewer="bob", slice="second")
        review_store.add_reviews(session, [again])
    with database.read() as session:
        assert carrying(session, "liquidity", now) == 1


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_counting_by_difference_equals_counting_anew(tmp_path_factory: object, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("reviews") / "storyshift.db"  # type: ignore[attr-defined]
    database = Database.open(f"sqlite:///{path}")
    now = FIRST + timedelta(days=2)
    told(database, "safe_haven+ XAU=1: fright", "liquidity+ BTC: money", "safe_haven+ XAU=1: fright", "calm", now=now)
    said = st.fixed_dictionaries(
        {}, optional={key: st.sampled_from([None, HAVEN, SaidNarrative(-1)]) for key in ("safe_haven", "debasement")}
    )
    assets = st.none() | st.dictionaries(st.sampled_from(["XAU", "BTC"]), st.sampled_from([-1, 0, 1]), max_size=2)
    given_to = st.tuples(st.integers(1, 4), st.integers(0, 200), said, assets, st.booleans())
    with database.write() as session:
        for n, (revision, minutes, narratives, named, take_back) in enumerate(
            data.draw(st.lists(given_to, max_size=6))
        ):
            at = now + timedelta(hours=n, minutes=minutes % 60)
            found = review_store.add_reviews(session, [review(revision, at, Judgement(narratives, named), uid=str(n))])
            if take_back:
                review_store.undo(session, found[0], now=at + timedelta(minutes=30))
    with database.write() as session:
        kept = nonzero(counted(session))
        rebuild(session)
        session.flush()
        session.expire_all()
        assert nonzero(counted(session)) == kept
        spells = session.scalars(select(StandingLabel)).all()
        assert all(one.stands_until is None or one.stands_from <= one.stands_until for one in spells)
    database.close()
