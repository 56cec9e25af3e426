from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fakes import found_article

from jobs.cluster import Clusterer
from models.database import Database
from models.errors import NotFound
from models.feeds import Feed
from models.store.articles import Added, Batch, add_articles, add_batches
from services.articles import get_article, get_story

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
TITLE = "Gold rises as investors seek safety"


def feeds(database: Database, *outlets: str) -> None:
    with database.write() as session:
        for outlet in outlets:
            session.add(Feed(url=f"https://{outlet}.org/", outlet=outlet, added_at=AT, next_fetch_at=AT))


def test_a_story_is_its_copies_the_one_known_first_before_its_echoes(database: Database) -> None:
    known = [3, 1, 2]
    found = [found_article(TITLE, AT, outlet=f"outlet {n}", known_at=AT + n * HOUR) for n in known]
    with database.write() as session:
        add_articles(session, found, now=AT)
    with database.read() as session:
        assert get_article(session, 1, now=AT + 9 * HOUR).article.story_id is None
    Clusterer(database).cluster()
    with database.read() as session:
        story = get_story(session, 1, now=AT + 9 * HOUR)
        assert ([a.outlet for a in story.articles], story.echoes, story.outlets) == (
            ["outlet 1", "outlet 2", "outlet 3"],
            2,
            3,
        )
        assert get_story(session, 1, now=AT + 9 * HOUR, as_of=AT + HOUR).echoes == 0
        with pytest.raises(NotFound, match="known at that time"):
            get_story(session, 1, now=AT + 9 * HOUR, as_of=AT)


@pytest.mark.parametrize("together", [True, False])
def test_the_same_article_in_two_feeds_is_one_article_with_two_sightings(database: Database, together: bool) -> None:
    feeds(database, "wire", "herald")
    first = found_article(TITLE, AT, identity="u:1", outlet="wire", known_at=AT + HOUR)
    again = replace(first, outlet="herald", summary="In their words.", known_at=AT + 2 * HOUR)
    batches = [Batch([first], AT + HOUR, 1), Batch([again], AT + 2 * HOUR, 2)]
    for part in [batches] if together else [[batch] for batch in batches]:
        with database.write() as session:
            add_batches(session, part)
    with database.write() as session:  # both feeds are visited again, and a reader looks it up in an archive
        assert add_batches(session, batches) == [Added(known=1), Added(known=1)]
    with database.read() as session:
        whole = get_article(session, 1, now=AT + 9 * HOUR)
        assert [(seen.outlet, seen.seen_at) for seen in whole.sightings] == [
            ("wire", AT + HOUR),
            ("herald", AT + 2 * HOUR),
        ]
        assert (whole.article.outlet, len(whole.history)) == ("wire", 1)
        before = get_article(session, 1, now=AT + 9 * HOUR, as_of=AT + HOUR)
        assert [seen.url for seen in before.sightings] == ["https://wire.org/"]


def test_an_article_of_an_archive_that_a_feed_brings_again_may_be_revised_by_it(database: Database) -> None:
    feeds(database, "wire")
    found = found_article(TITLE, AT, identity="u:1")
    with database.write() as session:
        add_articles(session, [found], now=AT)
        assert add_articles(session, [replace(found, summary="More.")], now=AT + HOUR, feed_id=1) == Added(revised=1)
    with database.read() as session:
        assert [seen.outlet for seen in get_article(session, 1, now=AT + HOUR).sightings] == ["wire"]
