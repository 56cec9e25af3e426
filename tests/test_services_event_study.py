"""Event study out of the store, on both databases: what is planted is found, and the future changes nothing."""

import io
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from conftest import analyze
from fastapi.testclient import TestClient
from record import FIRST as STORIES_FROM
from record import PANIC_FROM, fill

from api.app import create_app
from models.database import Database
from models.errors import BadInput, BadRange, UnknownName
from models.prices import FoundBar, FoundPoint
from models.store.prices import add_bars, add_points
from services.event_study import EVENTS, EventStudyAnswer, event_study, known_events
from services.series import Question

DAY = timedelta(days=1)
FIRST = datetime(2014, 1, 2, tzinfo=UTC)
DAYS = 3_000
JUMPS = list(range(500, DAYS - 300, 300))
"""On these days silver closes higher than ever before, and nowhere else; bitcoin rises for sixty days after."""


def bars(asset: str, moves: np.ndarray) -> list[FoundBar]:
    closes = 100 * np.exp(np.cumsum(moves))
    return [FoundBar(asset, FIRST + (day + 1) * DAY, float(close)) for day, close in enumerate(closes)]


def fill_prices(database: Database, now: datetime) -> None:
    silver = np.full(DAYS, -1e-4)
    silver[JUMPS] = 0.1
    bitcoin = 0.02 * np.random.default_rng(1).standard_normal(DAYS)
    for place in JUMPS:
        bitcoin[place + 1 : place + 61] += 0.008
    with database.write() as session:
        for asset, moves in (("XAG", silver), ("BTC", bitcoin)):
            add_bars(session, asset, bars(asset, moves), source="record", now=now)


@pytest.fixture
def record(database: Database, now: datetime) -> Database:
    fill_prices(database, now)
    analyze(database)
    return database


def asked(
    database: Database, now: datetime, event: str | None = "high:XAG", question: Question | None = None, **more: object
) -> EventStudyAnswer:
    with database.read() as session:
        return event_study(session, event, "BTC", question or Question(), now=now, **more)  # type: ignore[arg-type]


def test_bitcoin_is_found_to_rise_after_record_closes_of_silver(record: Database, now: datetime) -> None:
    answer = asked(record, now)
    row = answer.row
    assert [one.day for one in row.events] == [(FIRST + place * DAY).date() for place in JUMPS]
    assert [one.starts_at for one in row.events] == [FIRST + (place + 1) * DAY for place in JUMPS]
    assert (row.event, row.asset, row.verdict, row.n, row.n_effective) == (
        "high:XAG",
        "BTC",
        "above",
        len(JUMPS),
        len(JUMPS),
    )
    assert "After record closes of XAG, BTC does better" in row.sentence
    assert (answer.meta["n_bars"], answer.meta["tagger"]) == (DAYS, None)
    assert abs(answer.meta["correlation"]) < 0.3


def test_days_that_are_named_are_answered_as_the_records_on_them_are(record: Database, now: datetime) -> None:
    found = asked(record, now).row
    named = asked(record, now, None, days=[one.day for one in found.events]).row
    assert (named.event, named.weeks, named.events) == ("dates", found.weeks, found.events)


def test_a_range_chooses_the_events_and_not_the_prices(record: Database, now: datetime) -> None:
    start, end = FIRST + JUMPS[2] * DAY, FIRST + JUMPS[6] * DAY
    row = asked(record, now, question=Question(start=start, end=end)).row
    assert [one.day for one in row.events] == [(FIRST + place * DAY).date() for place in JUMPS[2:6]]
    assert (row.verdict, row.n) == ("too_small", 4)


@pytest.mark.slow
def test_a_shift_of_the_story_is_the_day_whose_news_told_it(database: Database, now: datetime) -> None:
    fill(database, now)
    row = asked(database, now, "shift:panic").row
    assert len(row.events) == 1
    turned = (row.events[0].day - STORIES_FROM.date()).days
    assert PANIC_FROM <= turned < PANIC_FROM + 7
    assert (row.n, row.verdict) == (0, "too_small")
    assert row.events[0].left_out == "the year before it is not in the prices"
    assert "after the story was seen to have shifted to panic: 0 events have" in row.sentence
    assert asked(database, now, "shift:devaluation").row.events == []


def fill_real_yields(database: Database, now: datetime) -> None:
    """The real yield falls for thirty days before each jump of silver, and rises again after it."""
    falls = np.concatenate([np.arange(place - 30, place) for place in JUMPS])
    moves = np.zeros(DAYS)
    moves[falls], moves[falls + 60] = -0.02, 0.02
    days = [FIRST + day * DAY for day in range(DAYS)]
    points = [
        FoundPoint("DFII10", at.date(), float(value), at + 2 * DAY)
        for at, value in zip(days, np.cumsum(moves), strict=True)
    ]
    with database.write() as session:
        add_points(session, "DFII10", points, source="record", now=now)


def test_a_trigger_that_turns_on_is_an_event_on_the_day_on_which_that_was_known(
    record: Database, now: datetime
) -> None:
    fill_real_yields(record, now)
    analyze(record)
    row = asked(record, now, "trigger:real_yields").row
    assert len(row.events) == len(JUMPS)
    for one, place in zip(row.events, JUMPS, strict=True):
        # Down 0.25 after 13 days; known two days later; a mean of five days.
        assert one.day == (FIRST + (place - 30 + 12 + 2 + 2) * DAY).date()
    assert row.n == len(JUMPS)
    assert "after the trigger real_yields turned on" in row.sentence.replace("A", "a", 1)
    as_of = FIRST + JUMPS[4] * DAY
    before = asked(record, now, "trigger:real_yields", Question(as_of=as_of)).row
    assert [one.day for one in before.events] == [one.day for one in row.events[:5]]
    with record.write() as session:
        late = FoundPoint("DFII10", (FIRST + 600 * DAY).date(), -9.0, FIRST + 600 * DAY)
        add_points(session, "DFII10", [late], source="correction", now=now)
    assert asked(record, now, "trigger:real_yields", Question(as_of=as_of)).row == before
    assert asked(record, now, "trigger:cutting").row.events == []


def test_what_is_known_later_changes_nothing_as_of_before(record: Database, now: datetime) -> None:
    as_of = FIRST + 2_000 * DAY
    before = asked(record, now, question=Question(as_of=as_of))
    assert 0 < before.row.n < len(JUMPS)
    assert before.row.events[-1].day <= as_of.date()
    with record.write() as session:
        for asset in ("BTC", "XAG"):
            wrong = [FoundBar(asset, FIRST + day * DAY, 1_000.0 + day) for day in (300, 800, 1_990, 2_400)]
            add_bars(session, asset, wrong, source="correction", now=now)
    assert asked(record, now, question=Question(as_of=as_of)) == before
    assert asked(record, now).row != before.row


def test_what_cannot_be_asked_is_told(record: Database, now: datetime) -> None:
    for event, days, error, told in (
        (None, [], BadInput, "Name either an event"),
        ("high:XAG", [date(2020, 1, 1)], BadInput, "one of both"),
        ("oracle", [], UnknownName, "no event named 'oracle'. Known: shift:panic"),
        ("shift:calm", [], UnknownName, "no event named 'shift:calm'"),
        ("trigger:joy", [], UnknownName, "no event named 'trigger:joy'.* Known: .*trigger:cutting"),
        ("high:", [], UnknownName, "no event named 'high:'"),
        ("high:DOGE", [], UnknownName, "no asset named 'DOGE'"),
        ("high:XAU", [], BadInput, "There is no close of XAU known on 2026-11-21"),
        ("high:BTC", [], BadInput, "BTC cannot be judged after record closes of BTC: the two move together"),
    ):
        with pytest.raises(error, match=told):
            asked(record, now, event, days=days)
    with pytest.raises(BadRange, match="lies in the future"):
        asked(record, now, question=Question(as_of=now + 3 * DAY))


def test_every_event_that_can_be_asked_about_is_told_with_its_name(record: Database, now: datetime) -> None:
    with record.read() as session:
        told = {one.event: one.name for one in known_events(session)}
    assert list(told) == [*EVENTS[:-1], "high:BTC", "high:XAG"], "record closes of what has closes"
    assert told["shift:panic"] == "the story turns to panic"
    assert told["trigger:cutting"] == "The central bank is cutting"
    assert told["high:XAG"] == "record close of Silver"


def test_an_empty_store_has_no_shift_of_the_story(database: Database, now: datetime) -> None:
    with pytest.raises(BadInput, match="There is no close of BTC"):
        asked(database, now, "shift:panic")
    fill_prices(database, now)
    assert asked(database, now, "shift:panic").row.n == 0


def test_http_answers_with_the_row_of_the_service(record: Database, now: datetime) -> None:
    row = asked(record, now).row
    with TestClient(create_app(record, clock=lambda: now), base_url="http://localhost") as client:
        found = client.get("/v1/event-study?event=high:XAG&asset=BTC").json()
        named = client.get("/v1/event-study?date=2016-03-09&date=2017-03-09").json()
        weeks = client.get("/v1/event-study?event=high:XAG&asset=BTC&format=csv")
        accepted = client.get("/v1/event-study?event=high:XAG", headers={"Accept": "application/vnd.apache.parquet"})
        wrong = client.get("/v1/event-study?date=yesterday")
        neither = client.get("/v1/event-study")
    (told,) = found["data"]
    assert (told["verdict"], told["sentence"], told["p_family"]) == (row.verdict, row.sentence, row.p_family)
    assert [one["car"] for one in told["weeks"]] == [one.car for one in row.weeks]
    assert found["meta"]["event"] == "high:XAG"
    assert weeks.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[:2] for line in weeks.text.splitlines()[1:]] == [
        [str(w.week), str(w.car)] for w in row.weeks
    ]
    assert pd.read_parquet(io.BytesIO(accepted.content))["car"].tolist() == [one.car for one in row.weeks]
    assert [one["day"] for one in named["data"][0]["events"]] == ["2016-03-09", "2017-03-09"]
    assert (wrong.status_code, neither.status_code) == (422, 422)
    assert set(wrong.json()) == {"error", "detail"}
