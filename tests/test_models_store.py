from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fakes import FakeTagger, found_article
from sqlmodel import select

from jobs.cluster import Clusterer
from models.articles import Revision
from models.database import Database
from models.feeds import Feed
from models.prices import FoundBar, FoundPoint
from models.store.articles import Added, Wanted, add_articles, find_articles, get_article, remove_text
from models.store.feeds import due_feeds, list_feeds, seed_feeds
from models.store.prices import Kept, add_bars, add_points, read_bars
from models.store.stories import Seen, story_frames
from models.store.tags import count_other_languages, count_untagged, save_tags, tags_of, untagged
from models.tags import Text

DAY = datetime(2020, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)


def tag_all(database: Database, now: datetime) -> None:
    Clusterer(database).cluster()
    with database.write() as session:
        rows = untagged(session, "fake@1", after=0, limit=10_000)
        results = FakeTagger().tag(Text(str(row.id), {"title": row.title}) for row in rows)
        save_tags(session, "fake@1", list(zip([row.id or 0 for row in rows], results, strict=True)), now=now)


def test_adding_twice_adds_nothing(database: Database, now: datetime) -> None:
    found = [found_article(f"Gold does thing number {n} today", DAY + n * HOUR) for n in range(1_200)]
    with database.write() as session:
        assert add_articles(session, found, now=now) == Added(new=1_200)
    with database.write() as session:
        assert add_articles(session, found, now=now) == Added(known=1_200)


def test_an_edit_is_a_revision_and_the_article_keeps_every_wording(database: Database, now: datetime) -> None:
    first, edited = (found_article(title, DAY, identity="a") for title in ("Gold rises", "Gold rises to a record"))
    with database.write() as session:
        assert add_articles(session, [first, first, edited], now=now) == Added(new=1, revised=1, known=1)
    with database.read() as session:
        assert [r.seen_at for r in session.exec(select(Revision).order_by(Revision.id))] == [DAY, now]
        before, after = get_article(session, 1, as_of=DAY + HOUR), get_article(session, 1, as_of=now)
        assert before is not None
        assert (before.title, before.revisions) == ("Gold rises", 1)
        assert after is not None
        assert (after.title, after.revisions) == ("Gold rises to a record", 2)
        assert get_article(session, 1, as_of=DAY - HOUR) is None


def test_what_was_taken_down_does_not_come_back_under_another_address(database: Database, now: datetime) -> None:
    found = replace(found_article("Gold rises to a record", DAY, identity="u:1"), guid_key="g:1")
    with database.write() as session:
        add_articles(session, [found], now=now)
        remove_text(session, 1, now=now)
        assert add_articles(session, [replace(found, identity="u:2")], now=now) == Added(known=1)


def test_a_title_of_any_length_can_be_stored(database: Database, now: datetime) -> None:
    endless = "".join(chr(0x4E00 + n % 20_000) for n in range(20_000))
    with database.write() as session:
        assert add_articles(session, [found_article(endless, DAY, identity="endless")], now=now).new == 1


def test_a_revised_article_keeps_counting_until_its_new_wording_is_read(database: Database, now: datetime) -> None:
    with database.write() as session:
        add_articles(session, [found_article("safe_haven+ : fear", DAY, identity="a")], now=now)
    tag_all(database, now)
    with database.write() as session:
        add_articles(session, [found_article("liquidity+ : hope", DAY, identity="a")], now=now)
    seen, narratives = Seen(as_of=now, tagger="fake@1", start=None, end=now), ["safe_haven", "liquidity"]
    with database.read() as session:
        assert story_frames(session, seen, narratives).carried["narrative"].tolist() == ["safe_haven"]
    tag_all(database, now)
    with database.read() as session:
        assert story_frames(session, seen, narratives).carried["narrative"].tolist() == ["liquidity"]


def test_articles_come_newest_first_page_by_page_and_filtered(database: Database, now: datetime) -> None:
    titles = ["safe_haven+ XAU: fear", "liquidity- : hike", "weather: fine", "safe_haven- : calm"]
    with database.write() as session:
        add_articles(session, [found_article(t, DAY + n * HOUR) for n, t in enumerate(titles)], now=now)
    tag_all(database, now)
    either = Wanted("fake@1", narratives=["safe_haven", "liquidity"], asset="XAU")
    with database.read() as session:
        page = find_articles(session, Wanted("fake@1"), as_of=now, before=None, limit=2)
        assert [row.title for row in page] == titles[:1:-1]
        last = (page[-1].event_at, page[-1].id)
        following = find_articles(session, Wanted("fake@1"), as_of=now, before=last, limit=2)
        assert [row.title for row in following] == titles[1::-1]
        havens = find_articles(session, Wanted("fake@1", narratives=["safe_haven"]), as_of=now, before=None, limit=2)
        assert [row.title for row in havens] == [titles[3], titles[0]]
        gold = find_articles(session, either, as_of=now, before=None, limit=2)
        assert [row.title for row in gold] == [titles[0]]


def test_only_what_the_tagger_has_not_read_is_untagged(database: Database, now: datetime) -> None:
    with database.write() as session:
        add_articles(session, [found_article("safe_haven+ XAU: fear", DAY)], now=now)
        assert count_untagged(session, "fake@1") == 1
    tag_all(database, now)
    tag_all(database, now)
    with database.read() as session:
        assert (count_untagged(session, "fake@1"), count_untagged(session, "other@1")) == (0, 1)
        narratives, assets = tags_of(session, [1], "fake@1")
        assert narratives[1][0].evidence == [{"field": "title", "start": 0, "end": 10, "text": "safe_haven"}]
        assert assets[1][0].asset == "XAU"


def test_stories_are_counted_once_at_their_first_known_copy(database: Database, now: datetime) -> None:
    title = "safe_haven+: gold rises as fear spreads"
    found = [
        found_article(title, DAY + 30 * timedelta(minutes=1), outlet="B", known_at=DAY + 9 * HOUR),
        found_article(title, DAY + 2 * HOUR, outlet="A", known_at=DAY + 2 * HOUR),
        found_article("weather: it is fine in March", DAY + 2 * HOUR, outlet="A"),
    ]
    with database.write() as session:
        add_articles(session, found, now=now)
    tag_all(database, now)
    seen = Seen(as_of=now, tagger="fake@1", start=None, end=DAY + timedelta(days=1))
    with database.read() as session:
        late = story_frames(session, seen, ["safe_haven"])
        early = story_frames(session, replace(seen, as_of=DAY + 3 * HOUR), ["safe_haven"])
    assert late.totals[["n_stories", "n_articles", "n_squared"]].values.tolist() == [[2, 3, 5]]
    assert early.totals[["n_stories", "n_articles", "n_squared"]].values.tolist() == [[2, 2, 2]]
    assert late.totals["hour"].iloc[0] == DAY + 2 * HOUR
    assert late.carried[["narrative", "n_articles"]].values.tolist() == [["safe_haven", 2]]


def test_a_corrected_close_stands_beside_the_old_one_and_counts_from_when_it_was_known(
    database: Database, now: datetime
) -> None:
    bars = [FoundBar("BTC", DAY, 8_000.0), FoundBar("BTC", DAY + timedelta(days=1), 7_900.0)]
    corrected = [FoundBar("BTC", DAY, 8_100.0), bars[1]]
    with database.write() as session:
        assert add_bars(session, "BTC", bars, source="a", now=now - HOUR) == Kept(new=2)
        assert add_bars(session, "BTC", corrected, source="b", now=now) == Kept(corrected=1, known=1)
        assert add_bars(session, "BTC", corrected, source="b", now=now) == Kept(known=2)
    with database.read() as session:
        assert [bar.close for bar in read_bars(session, "BTC", as_of=now - HOUR)] == [8_000.0, 7_900.0]
        assert [bar.close for bar in read_bars(session, "BTC", as_of=now)] == [8_100.0, 7_900.0]
        assert [bar.close for bar in read_bars(session, "BTC", as_of=DAY)] == [8_000.0]


def test_a_corrected_macro_value_is_known_only_now(database: Database, now: datetime) -> None:
    point = FoundPoint("DFII10", DAY.date(), 0.5, DAY + timedelta(days=1))
    with database.write() as session:
        assert add_points(session, "DFII10", [point], source="a", now=now) == Kept(new=1)
        changed = FoundPoint("DFII10", DAY.date(), 0.6, DAY + timedelta(days=1))
        assert add_points(session, "DFII10", [changed, changed], source="a", now=now) == Kept(corrected=1, known=1)


def test_a_removed_feed_is_not_seeded_again_and_the_longest_waiting_is_due_first(
    database: Database, now: datetime
) -> None:
    def feed(name: str, wait: int = 0) -> Feed:
        return Feed(url=f"https://{name}.org/", outlet=name, added_at=now, next_fetch_at=now + wait * HOUR)

    with database.write() as session:
        assert seed_feeds(session, [feed("a"), feed("b", -2), feed("c", 1)]) == 3
    with database.write() as session:
        assert [found.outlet for found in due_feeds(session, now=now, every=False)] == ["b", "a"]
        assert len(due_feeds(session, now=now, every=True)) == 3
        due_feeds(session, now=now, every=False)[0].removed_at = now
    with database.write() as session:
        assert seed_feeds(session, [feed("a"), feed("b")]) == 0
        assert [health.feed.outlet for health in list_feeds(session, news_since=now)] == ["a", "c"]


def test_articles_in_other_languages_are_kept_and_counted_but_not_read(database: Database, now: datetime) -> None:
    german = replace(found_article("Gold steigt auf ein Rekordhoch", now), language="de-AT")
    with database.write() as session:
        add_articles(session, [found_article("Gold rises to a record high", now), german], now=now)
    with database.read() as session:
        assert [row.title for row in untagged(session, "fake@1", after=0, limit=9)] == ["Gold rises to a record high"]
        assert count_untagged(session, "fake@1", languages=("en", "de")) == 2
        assert count_other_languages(session, ("en",)) == 1
        assert count_other_languages(session, ()) == 2
