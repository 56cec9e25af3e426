"""The triggers out of the store, on both databases: what is planted is told, and later knowledge changes nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from fakes import found_article
from fastapi.testclient import TestClient
from record import tag, told_once

from api.app import create_app
from models.database import Database
from models.derived import TriggerState
from models.errors import BadRange
from models.prices import FoundBar, FoundPoint
from models.store.articles import add_articles
from models.store.prices import add_bars, add_points
from services.articles import get_story
from services.series import Question
from services.triggers import triggers

DAY = timedelta(days=1)
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
DAYS, STRESS, BEFORE = 190, 170, 280
"""News of so many days, from one of which on fiscal stress is told; prices and macro series from earlier on."""
AS_OF = FIRST + 180 * DAY + timedelta(hours=23)


def point(series: str, day: int, value: float) -> FoundPoint:
    at = FIRST + day * DAY
    return FoundPoint(series, at.date(), value, at)


def fill(database: Database, now: datetime) -> None:
    told_once(database, ("triggers", now), lambda: _tell(database, now))


def _tell(database: Database, now: datetime) -> None:
    """Eight stories a day, one of which tells of strained finances, from day 170 on six; only real yields fall."""
    stories = [
        found_article(
            f"{'fiscal_stress+ ' if n < (6 if day >= STRESS else 1) else 'weather '}: {n} of day {day}",
            FIRST + day * DAY + timedelta(hours=1 + n),
        )
        for day in range(DAYS)
        for n in range(8)
    ]
    lines = {"DFII10": -0.01, "DGS10": 0.01, "DTWEXBGS": 0.1, "FEDFUNDS": 0.0}
    with database.write() as session:
        add_articles(session, stories, now=now)
        for series, slope in lines.items():
            step = 30 if series == "FEDFUNDS" else 1
            points = [point(series, day, 50 + slope * day) for day in range(-BEFORE, DAYS, step)]
            add_points(session, series, points, source="record", now=now)
        for asset, slope in (("XAU", 0.003), ("XAG", 0.003), ("BTC", 0.0)):
            bars = [FoundBar(asset, FIRST + day * DAY, 1_000 * (2 + slope * day)) for day in range(-BEFORE, DAYS)]
            add_bars(session, asset, bars, source="record", now=now)
    tag(database, now)


@pytest.fixture
def record(database: Database, now: datetime) -> Database:
    fill(database, now)
    return database


def asked(database: Database, now: datetime, as_of: datetime | None = AS_OF) -> dict[str, TriggerState]:
    with database.read() as session:
        return {row.trigger: row for row in triggers(session, Question(as_of=as_of), now=now).rows}


def test_what_is_planted_is_told_and_leads_back_to_its_stories(record: Database, now: datetime) -> None:
    found = asked(record, now)
    assert {key: row.state for key, row in found.items()} == {
        "cutting": "off",
        "weak_dollar": "off",
        "fiscal_pressure": "on",
        "real_yields": "on",
        "metals_lead": "on",
        "bitcoin_hedge": "unknown",
    }
    stress = found["fiscal_pressure"]
    assert FIRST.date() + STRESS * DAY <= stress.since <= FIRST.date() + (STRESS + 8) * DAY
    assert [story.title for story in stress.stories] == [f"fiscal_stress+ : {n} of day 180" for n in (5, 4, 3, 2, 1)]
    with record.read() as session:
        assert get_story(session, stress.stories[0].id, now=now).articles[0].title == stress.stories[0].title
    told = {datum.series: datum for datum in stress.data}
    assert told["fiscal_stress"].n == 42
    assert told["DGS10"].value == pytest.approx(0.6)
    assert "too few stories tell what bitcoin is: 0 in the last 60 days" in found["bitcoin_hedge"].sentence.replace(
        "T", "t", 1
    )


@pytest.mark.slow
def test_later_knowledge_changes_nothing_as_of_before(record: Database, now: datetime) -> None:
    before = asked(record, now)
    published = FIRST + 175 * DAY
    late = [
        found_article(f"liquidity+ fiscal_stress+ : late {n}", published, known_at=published + 6 * DAY)
        for n in range(60)
    ]
    reworded = found_article("weather : 7 of day 175 again", published, identity="reworded")
    first = found_article("fiscal_stress+ : 7 of day 176 at first", published, identity="reworded")
    with record.write() as session:
        add_articles(session, late, now=now)
        add_bars(session, "BTC", [FoundBar("BTC", FIRST + 120 * DAY, 1.0)], source="correction", now=now)
        add_points(session, "DFII10", [point("DFII10", 120, -99.0)], source="correction", now=now)
        add_points(session, "DGS10", [point("DGS10", 179, -99.0)], source="correction", now=now)
    tag(record, now)
    assert asked(record, now) == before
    with record.write() as session:  # and what is corrected later leaves the states of the days before as they were
        add_articles(session, [first], now=now)
    tag(record, now)
    once = asked(record, now)
    with record.write() as session:
        add_articles(session, [reworded], now=FIRST + 177 * DAY)
    tag(record, now)
    assert asked(record, now) == once


def test_a_story_that_became_known_long_after_it_was_published_is_no_news(record: Database, now: datetime) -> None:
    before = asked(record, now)
    old = [found_article(f"liquidity+ : old {n}", FIRST + 100 * DAY, known_at=FIRST + 179 * DAY) for n in range(60)]
    with record.write() as session:
        add_articles(session, old, now=now)
    tag(record, now)
    assert asked(record, now) == before


def test_years_later_without_new_values_all_are_unknown_and_say_since_when(record: Database, now: datetime) -> None:
    found = asked(record, now, None)
    assert {row.state for row in found.values()} == {"unknown"}
    last = (FIRST + (DAYS - 1) * DAY).date()
    assert found["real_yields"].since == last + 11 * DAY
    assert f"latest value became known on {last}" in found["real_yields"].sentence
    assert f"latest story became known on {last}" in found["fiscal_pressure"].sentence


def test_before_anything_was_known_all_are_unknown_and_the_future_is_refused(record: Database, now: datetime) -> None:
    found = asked(record, now, FIRST - 1000 * DAY)
    assert {row.state for row in found.values()} == {"unknown"}
    with pytest.raises(BadRange, match="lies in the future"):
        asked(record, now, now + 2 * DAY)


def test_over_http_the_same_rows(record: Database, now: datetime) -> None:
    client = TestClient(create_app(record, clock=lambda: now), base_url="http://localhost")
    answer = client.get("/v1/triggers", params={"as_of": "2020-06-29T23:00:00Z"}).json()
    assert answer["meta"] == {"as_of": "2020-06-29T23:00:00Z", "tagger": "keywords@1", "n": 6}
    found = asked(record, now)
    assert [(row["trigger"], row["state"], row["since"]) for row in answer["data"]] == [
        (row.trigger, row.state, row.since.isoformat()) for row in found.values()
    ]
    assert answer["data"][2]["stories"][0]["title"] == found["fiscal_pressure"].stories[0].title
    table = client.get("/v1/triggers", params={"as_of": "2020-06-29T23:00:00Z", "format": "csv"}).text.splitlines()
    assert table[0] == "trigger,name,state,since,sentence"
    assert table[3].startswith(f"fiscal_pressure,Fiscal pressure escalates,on,{found['fiscal_pressure'].since},")
    assert client.get("/v1/triggers", params={"as_of": "soon"}).status_code == 422
