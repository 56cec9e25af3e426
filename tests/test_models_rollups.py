"""The rollups hold what the raw rows say: at every instant, whatever came when, and however often they are made."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from fakes import FakeTagger, found_article
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session, SQLModel, col, select

from analysis.intensity import breadth_of
from jobs.cluster import Clusterer
from models.articles import Article, Revision, Tally
from models.database import Database
from models.feeds import Feed, Fetch, FetchHour
from models.migrations.versions.m0015_rollups_by_day import FILL_DAYS
from models.migrations.versions.m0017_fetches_by_hour import FILL_HOURS
from models.migrations.versions.m0018_tallies import FILL
from models.migrations.versions.m0019_days_as_known import FILL_KNOWN
from models.rollups import NarrativeDay
from models.store.articles import add_articles
from models.store.feeds import add_fetches
from models.store.rollups import COUNTED, DAYS, rebuild
from models.store.sql import table_of
from models.store.stories import (
    Seen,
    asset_tones,
    breadth_counts,
    breadth_frame,
    fetch_counts,
    known_days,
    lead_frames,
    outlet_frames,
    story_frames,
)
from models.store.tags import save_tags, untagged
from models.tags import Text

DAY = datetime(2020, 3, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
NARRATIVES = ["safe_haven", "debasement", "liquidity", "btc_risk_asset"]
TITLES = (
    "safe_haven+ debasement+ XAU=1: fear of money and of all else is told by everyone today",
    "liquidity+ BTC=-1 XAU: the central bank eases and all the world reads of it this morning",
    "liquidity- : tighter is what they say and what they mean in this long sentence of the agency",
    "weather: nothing of interest was said by anyone about anything in the whole of the country",
)
arrivals = st.lists(
    st.tuples(
        st.sampled_from(range(len(TITLES))),  # which text
        st.sampled_from("ABC"),  # outlet
        st.integers(0, 60 * 40),  # minutes until it was published
        st.integers(0, 60 * 30),  # and until it was known
        st.booleans(),  # edited a while later
    ),
    min_size=1,
    max_size=12,
)


def store(database: Database, told: list[tuple[int, str, int, int, bool]], *, parts: int) -> datetime:
    """Only these, in a few parts, each clustered and tagged in turn, sometimes the other way round. Returns the end."""
    with database.engine.execution_options(writes=True).begin() as connection:
        for table in reversed(SQLModel.metadata.sorted_tables):
            connection.execute(table.delete())
    end = DAY + timedelta(days=9)
    for part in range(parts):
        now = DAY + timedelta(days=4 + part)
        found = []
        for n, (title, outlet, published, late, _) in enumerate(told):
            if n % parts == part:
                at = DAY + timedelta(minutes=published)
                known = at + timedelta(minutes=late)
                found.append(found_article(TITLES[title], at, identity=f"a{n}", outlet=outlet, known_at=known))
        with database.write() as session:
            add_articles(session, found, now=now)
        if part % 2:
            read(database, end)
        Clusterer(database).cluster()
        read(database, end)
    edited = [
        found_article(f"debasement- BTC=1: edited {n}", DAY + timedelta(minutes=m), identity=f"a{n}", outlet=outlet)
        for n, (_, outlet, m, _, changed) in enumerate(told)
        if changed
    ]
    with database.write() as session:
        add_articles(session, edited, now=DAY + timedelta(days=7, minutes=17))
    read(database, end)
    return end


def read(database: Database, now: datetime) -> None:
    with database.write() as session:
        rows = untagged(session, "fake@1", after=0, limit=10_000)
        results = FakeTagger().tag(Text(str(row.id), {"title": row.title}) for row in rows)
        save_tags(session, "fake@1", list(zip([row.id or 0 for row in rows], results, strict=True)), now=now)


def by_hand(session: Session, as_of: datetime) -> dict[str, Counter[Any]]:
    """Counted anew from articles and titles, as the codebook of the numbers says it."""
    copies: dict[int, list[tuple[Any, ...]]] = {}
    for article in session.scalars(select(Article).where(col(Article.known_at) <= as_of)):
        seen = select(Revision).where(Revision.article_id == article.id, Revision.seen_at <= as_of)
        wordings = list(session.scalars(seen.order_by(col(Revision.id).desc())))
        if wordings and article.story_id is not None:
            (tags,) = FakeTagger().tag([Text("", {"title": wordings[0].title})])
            copies.setdefault(article.story_id, []).append((article.known_at, article.id, article, tags))
    found: dict[str, Counter[Any]] = {"all": Counter(), "own": Counter(), "tone": Counter(), "breadth": Counter()}
    for story in copies.values():
        story.sort(key=lambda one: one[:2])
        _, _, lead, tags = story[0]
        hour = hour_of(lead.event_at)
        found["all"][hour, ""] += 1
        for tag in tags.narratives:
            found["all"][hour, tag.narrative] += 1
            for outlet in {one[2].outlet for one in story}:
                brought = min(one[2].event_at for one in story if one[2].outlet == outlet)
                found["breadth"][hour, tag.narrative, outlet, hour_of(brought)] += 1
        for mention in tags.assets:
            if mention.tone is not None:
                found["tone"][hour, mention.asset] += len(story) * mention.tone
        for outlet in {one[2].outlet for one in story}:
            _, _, first, said = next(one for one in story if one[2].outlet == outlet)
            found["own"][hour_of(first.event_at), outlet, ""] += 1
            for tag in said.narratives:
                found["own"][hour_of(first.event_at), outlet, tag.narrative] += 1
    return found


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def counted(session: Session, as_of: datetime, end: datetime) -> dict[str, Counter[Any]]:
    seen = Seen(as_of=as_of, tagger="fake@1", start=None, end=end)
    found: dict[str, Counter[Any]] = {"all": Counter(), "own": Counter(), "tone": Counter(), "breadth": Counter()}
    frames, own = story_frames(session, seen, NARRATIVES), outlet_frames(session, seen, NARRATIVES)
    for row in frames.totals.itertuples():
        found["all"][row.hour, ""] += row.n_stories
    for row in frames.carried.itertuples():
        found["all"][row.hour, row.narrative] += row.n_carrying
    for row in own.totals.itertuples():
        found["own"][row.hour, row.outlet, ""] += row.n_stories
    for row in own.carried.itertuples():
        found["own"][row.hour, row.outlet, row.narrative] += row.n_carrying
    for row in breadth_frame(session, seen, NARRATIVES).itertuples():
        found["breadth"][row.hour, row.narrative, row.outlet, row.brought] += row.n_stories
    for asset in ("BTC", "XAU"):
        for row in asset_tones(session, seen, asset).itertuples():
            found["tone"][row.hour, asset] += row.tone_by_article
    return found


def rows(session: Session) -> Counter[Any]:
    """All rows of the rollups, and of their days, that say anything."""
    found: Counter[Any] = Counter()
    for table in map(table_of, COUNTED):
        keys = len(table.primary_key)
        found.update((table.name, *row) for row in session.execute(select(table)) if any(row[keys:]))
    return found


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=arrivals, parts=st.integers(1, 3), minutes=st.integers(-10, 60 * 24 * 8))
def test_what_is_counted_at_any_instant_is_what_the_articles_say(
    database: Database, told: list[tuple[int, str, int, int, bool]], parts: int, minutes: int
) -> None:
    end = store(database, told, parts=parts)
    with database.read() as session:
        known = [article.known_at for article in session.scalars(select(Article))]
        for as_of in (DAY + timedelta(minutes=minutes), end, *known[:3], known[0] - timedelta(microseconds=1)):
            said = counted(session, as_of, end)
            assert {name: +one for name, one in said.items() if name != "tone"} == {
                name: +one for name, one in by_hand(session, as_of).items() if name != "tone"
            }
            hand = by_hand(session, as_of)["tone"]
            assert {key: said["tone"][key] for key in hand} == pytest.approx(dict(hand))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=arrivals, parts=st.integers(1, 3))
def test_made_again_they_are_the_same(
    database: Database, told: list[tuple[int, str, int, int, bool]], parts: int
) -> None:
    store(database, told, parts=parts)
    with database.read() as session:
        before = rows(session)
    with database.write() as session:
        rebuild(session)
    with database.read() as session:
        assert rows(session) == before


@pytest.mark.slow
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=arrivals, parts=st.integers(1, 3), days=st.integers(-1, 9))
def test_whole_days_tell_what_their_hours_tell(
    database: Database, told: list[tuple[int, str, int, int, bool]], parts: int, days: int
) -> None:
    """Of an instant at midnight, of one after all that is known, and of one between, where days cannot tell it."""
    end = store(database, told, parts=parts)
    midnight = DAY + timedelta(days=days)
    with database.read() as session:
        for as_of in (midnight, midnight + timedelta(minutes=90), end + timedelta(days=99)):
            seen = Seen(as_of=as_of, tagger="fake@1", start=None, end=end)
            by_day = replace(seen, step="day")
            for ask in (story_frames, lead_frames, outlet_frames):
                hours, of_days = ask(session, seen, NARRATIVES), ask(session, by_day, NARRATIVES)
                for name in ("totals", "carried"):
                    assert folded(getattr(hours, name)) == folded(getattr(of_days, name))
            brought = breadth_frame(session, seen, NARRATIVES)
            for bucket in ("day", "week", "month"):
                counted = breadth_counts(session, by_day, NARRATIVES, bucket)
                if counted is not None:
                    wanted = breadth_of(brought, bucket)
                    assert folded(counted) == folded(wanted[wanted["n"] > 0])
            known = known_days(session, by_day, NARRATIVES)
            if known is not None:
                frames = story_frames(session, seen, NARRATIVES)
                assert folded(known.totals) == folded(frames.totals)
                assert folded(known.carried) == folded(frames.carried)
                assert folded(known.breadth) == folded(breadth_of(brought, "day"))
        by_now = replace(by_day, as_of=end + timedelta(days=99))
        assert breadth_counts(session, by_now, NARRATIVES, "day") is not None
        assert known_days(session, by_now, NARRATIVES) is not None


def folded(frame: pd.DataFrame) -> dict[Any, tuple[float, ...]]:
    """The sums of a frame's counts by the rest of it, hours being whole days."""
    frame = frame.assign(**{name: frame[name].dt.floor("D") for name in ("hour", "start") if name in frame})
    counts = [name for name in frame if name.startswith("n") and name != "narrative"]
    sums = frame.groupby([name for name in frame if name not in counts])[counts].sum().astype("float64")
    return {key: tuple(row) for key, row in zip(sums.index, sums.to_numpy(), strict=True) if any(row)}


def test_the_migration_fills_the_days_as_they_are_kept(database: Database) -> None:
    store(database, [(0, "A", 0, 0, False), (0, "B", 1700, 60, False), (1, "B", 3000, 1500, True)], parts=2)
    with database.read() as session:
        before = rows(session)
    with database.write() as session:
        for days in (*DAYS.values(), NarrativeDay):
            session.connection().execute(table_of(days).delete())
        for summed in (*FILL_DAYS, FILL_KNOWN):
            session.connection().exec_driver_sql(summed)
    with database.read() as session:
        assert rows(session) == before


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=arrivals, parts=st.integers(1, 3))
def test_the_tallies_are_what_a_count_would_say(
    database: Database, told: list[tuple[int, str, int, int, bool]], parts: int
) -> None:
    store(database, told, parts=parts)
    german = [
        replace(found_article("Gold steigt", DAY, identity=f"g{n}", outlet="D"), language="de-AT") for n in range(3)
    ]
    with database.write() as session:
        add_articles(session, [*german, german[0]], now=DAY + timedelta(days=20))
        kept = tallies(session)
        session.connection().execute(table_of(Tally).delete())
        for filled in FILL:
            session.connection().exec_driver_sql(filled)
        assert kept == tallies(session)
        assert kept["articles", "de-at"] == 3


def tallies(session: Session) -> dict[tuple[str, str], int]:
    return {(one.of, one.key): one.n for one in session.exec(select(Tally))}


def test_saying_it_twice_counts_it_once(database: Database, now: datetime) -> None:
    store(database, [(0, "A", 0, 0, False), (1, "B", 5, 0, False)], parts=1)
    with database.read() as session:
        before = rows(session)
    with database.write() as session:
        results = list(FakeTagger().tag([Text("1", {"title": TITLES[2]})]))
        save_tags(session, "fake@1", [(1, results[0])], now=now)
    with database.read() as session:
        assert rows(session) == before


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    visits=st.lists(st.tuples(st.integers(0, 60 * 30), st.sampled_from(["ok", "failed", "not_modified"])), min_size=1),
    start=st.integers(-2, 30),
    minutes=st.integers(0, 60 * 32),
)
def test_visits_are_counted_by_the_hour_to_the_instant(
    database: Database, visits: list[tuple[int, str]], start: int, minutes: int
) -> None:
    with database.write() as session:
        for table in (Fetch, FetchHour, Feed):
            session.connection().execute(table_of(table).delete())
        feed = Feed(url="https://a.example/", outlet="A", added_at=DAY, next_fetch_at=DAY)
        session.add(feed)
        session.flush()
        told = [Fetch(feed_id=feed.id or 0, at=DAY + timedelta(minutes=at), outcome=said) for at, said in visits]
        add_fetches(session, [visit.model_dump(exclude={"id"}) for visit in told])
    begin, end = DAY + start * HOUR, DAY + timedelta(minutes=minutes)
    within = [visit for visit in told if begin <= visit.at < end]
    wanted = Counter(hour_of(visit.at) for visit in within)
    answered = Counter(hour_of(visit.at) for visit in within if visit.outcome != "failed")
    with database.read() as session:
        found = fetch_counts(session, start=begin, end=end)
        kept = session.execute(select(FetchHour.hour, FetchHour.attempts, FetchHour.answered)).all()
    assert dict(zip(found["hour"], found["attempts"], strict=True)) == dict(wanted)
    assert dict(zip(found["hour"], found["answered"], strict=True)) == {hour: answered[hour] for hour in wanted}
    with database.write() as session:  # the migration fills them as they are kept
        session.connection().execute(table_of(FetchHour).delete())
        session.connection().exec_driver_sql(FILL_HOURS[session.get_bind().dialect.name])
        again = session.execute(select(FetchHour.hour, FetchHour.attempts, FetchHour.answered)).all()
    assert set(again) == set(kept)
