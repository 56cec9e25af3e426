from datetime import UTC, datetime, timedelta

import pytest
from fakes import found_article
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlmodel import select

from jobs.cluster import Clusterer
from models.articles import Article, Revision, Story
from models.database import Database
from models.found import FoundArticle
from models.store.articles import add_articles, remove_text
from models.store.copies import without_story

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEXT = (
    "The central bank said it would buy bonds worth 60 billion a month until inflation returns to target, the first "
    "such step in 11 years. Two of nine members voted against it. The currency lost 1.4 percent within the hour."
)
OTHER = (
    "Bond purchases are back: policy makers decided by seven votes to two to spend 60 billion every month for as long "
    "as prices rise too slowly, a measure last seen more than a decade ago, and traders sold the currency at once."
)


def story_of(database: Database) -> dict[str, int | None]:
    with database.read() as session:
        return dict(session.exec(select(Article.identity, Article.story_id)).all())


def groups(database: Database) -> set[frozenset[str]]:
    members: dict[int | None, set[str]] = {}
    for identity, story in story_of(database).items():
        members.setdefault(story, set()).add(identity)
    return {frozenset(names) for names in members.values()}


def keep(database: Database, *found: FoundArticle) -> None:
    with database.write() as session:
        add_articles(session, found, now=AT)


def test_the_agency_s_text_in_twelve_outlets_is_one_story_and_two_wordings_stay_two(database: Database) -> None:
    copies = [
        found_article(
            f"Headline number {n} of an editor", AT + n * HOUR, outlet=f"outlet {n}", identity=f"copy {n}", body=TEXT
        )
        for n in range(12)
    ]
    keep(database, *copies, found_article("Bond buying returns", AT, outlet="other", identity="other", body=OTHER))
    assert Clusterer(database).cluster() == 13
    assert groups(database) == {frozenset(f"copy {n}" for n in range(12)), frozenset({"other"})}


def test_copies_that_come_one_by_one_and_after_restarts_join_and_nothing_is_moved(database: Database) -> None:
    clusterer, before = Clusterer(database), {}
    for n in range(8):
        keep(
            database, found_article("Bank to buy bonds again", AT + n * HOUR, identity=f"{n}", outlet=f"{n}", body=TEXT)
        )
        if n % 3 == 2:
            clusterer = Clusterer(database)
        assert clusterer.cluster() == 1
        assert clusterer.cluster() == 0
        after = story_of(database)
        assert after.items() >= before.items()
        before = after
    assert len(set(before.values())) == 1


def test_two_processes_in_turn_see_each_other_s_stories(database: Database) -> None:
    first, second = Clusterer(database), Clusterer(database)
    for n, clusterer in enumerate([first, second, first, second]):
        keep(
            database, found_article("Bank to buy bonds again", AT + n * HOUR, identity=f"{n}", outlet=f"{n}", body=TEXT)
        )
        clusterer.cluster()
    assert len(groups(database)) == 1


def test_what_breaks_off_is_done_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(database, *(found_article("x", AT, identity=f"{n}", outlet=f"{n}", body=TEXT) for n in range(6)))
    monkeypatch.setattr("jobs.cluster.BATCH", 2)
    clusterer = Clusterer(database)

    def stop(done: int, of: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clusterer.cluster(progress=stop)
    with database.read() as session:
        assert len(without_story(session)) == 2
    monkeypatch.setattr("jobs.cluster.are_copies", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        clusterer.cluster()
    monkeypatch.undo()
    clusterer.cluster()
    assert len(groups(database)) == 1


def test_a_story_is_led_by_the_copy_that_was_known_first(database: Database) -> None:
    keep(
        database, found_article("Bank to buy bonds", AT, identity="late", outlet="A", body=TEXT, known_at=AT + 9 * HOUR)
    )
    Clusterer(database).cluster()
    keep(
        database, found_article("Bonds bought", AT + HOUR, identity="early", outlet="B", body=TEXT, known_at=AT + HOUR)
    )
    Clusterer(database).cluster()
    with database.read() as session:
        (story,) = session.exec(select(Story)).all()
        lead = session.get_one(Article, story.lead_id)
        assert (lead.identity, story.known_at, story.event_at) == ("early", AT + HOUR, AT + HOUR)


def test_of_what_was_taken_down_nothing_is_compared(database: Database) -> None:
    keep(database, found_article("Bank to buy bonds", AT, identity="removed", outlet="A", body=TEXT))
    Clusterer(database).cluster()
    with database.write() as session:
        remove_text(session, 1, now=AT)
    keep(database, found_article("Bank to buy bonds", AT, identity="copy", outlet="B", body=TEXT))
    Clusterer(database).cluster()
    assert len(groups(database)) == 2


WORDS = TEXT.split()
PARTS = {"whole": WORDS, "first half": WORDS[:26], "second half": WORDS[14:], "other": OTHER.split()}
arrivals = st.lists(
    st.tuples(st.sampled_from(sorted(PARTS)), st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=9
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(arrivals=arrivals, horizon=st.integers(0, 60), rounds=st.integers(1, 3))
def test_what_became_known_later_joins_nothing_that_was_known_before(
    sqlite_url: str, arrivals: list[tuple[str, int, int]], horizon: int, rounds: int
) -> None:
    """Whatever the order of arrival: of those known by then, the same ones share a story as if no other had come."""
    found = [
        found_article(
            f"Headline {n} over {part}",
            AT + event * HOUR,
            identity=f"{n}",
            outlet=f"{n}",
            body=" ".join(PARTS[part]),
            known_at=AT + (event + late) * HOUR,
        )
        for n, (part, event, late) in enumerate(arrivals)
    ]

    def partition(chosen: list[FoundArticle], known: set[str]) -> set[frozenset[str]]:
        database = Database(sqlite_url)
        with database.write() as session:
            for model in (Revision, Article, Story):
                session.execute(delete(model))
        size = max(1, len(found) // rounds)
        for start in range(0, len(found), size):
            keep(database, *[article for article in found[start : start + size] if article in chosen])
            Clusterer(database).cluster()
        seen = {group & known for group in groups(database)} - {frozenset()}
        database.close()
        return seen

    then = [article for article in found if article.known_at <= AT + horizon * HOUR]
    known = {article.identity for article in then}
    assert partition(found, known) == partition(then, known)
