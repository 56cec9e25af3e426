"""What is planted in a record is noticed once, by what was known then; what lies in the past is told to nobody."""

from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import pytest
import test_services_triggers
from fakes import found_article
from record import FIRST, PANIC_FROM, fill, tag
from sqlmodel import Session
from test_api_writing import Clock

from jobs.events import AFTER_FAILURE, AGAIN, Noticer
from models.clocks import end_of_day
from models.database import Database
from models.derived import ShiftEvent
from models.errors import ConfigError
from models.events import Event, EventLook, Webhook
from models.store import events as event_store
from models.store.articles import add_articles
from services import noticing
from services.answers import plain
from services.noticing import keep, notice, wants
from services.series import Question
from services.shift_events import shift_events
from services.triggers import triggers
from services.webhooks import Terms, create

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BEFORE = FIRST + 150 * DAY
AFTER = FIRST + 190 * DAY
TAGGER = "keywords@1"
once = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""Where the database makes no difference."""


@pytest.fixture
def record(database: Database, now: datetime) -> Database:
    fill(database, now)
    return database


def look(database: Database, at: datetime) -> int:
    """Somebody who has just been started looks, once."""
    return Noticer(database, clock=lambda: at).notice()


def events(database: Database, kind: str = "shift") -> list[Event]:
    with database.read() as session:
        return list(event_store.events_of(session, kind))


def the_shift(database: Database, now: datetime, as_of: datetime | None = None) -> ShiftEvent:
    with database.read() as session:
        (row,) = shift_events(session, Question(as_of=as_of), now=now).rows
    assert isinstance(row, ShiftEvent)
    return row


def waiting(database: Database, at: datetime = AFTER + 900 * DAY) -> list[str]:
    with database.read() as session:
        return [event.key for _, _, event in event_store.due(session, now=at, beside=(), limit=100)]


def hook(database: Database, at: datetime, **terms: Any) -> int:
    with database.write() as session:
        return create(session, Terms(url="https://example.org/", **terms), now=at).id


# -- shifts -----------------------------------------------------------------------------------------------------------


def test_a_planted_shift_is_noticed_once_with_what_was_known_when_it_was_detected(
    record: Database, now: datetime
) -> None:
    row = the_shift(record, now)
    hook(record, BEFORE)
    assert (look(record, BEFORE), events(record)) == (0, [])
    clock = Clock(row.detected_at - 2 * HOUR)
    noticer = Noticer(record, clock=clock)
    assert noticer.notice() == 0
    clock.now = row.detected_at
    assert noticer.notice() == 1
    (event,) = events(record)
    key = f"shift:{row.happened_at:%Y-%m-%d}:panic"
    assert (event.key, event.past, event.payload["before"], event.payload["state"]) == (key, False, "calm", "panic")
    assert (event.happened_at, event.detected_at, event.recorded_at) == (row.happened_at, row.detected_at, clock.now)
    assert event.sentence.startswith("The story shifted from calm to panic on ")
    assert event.payload["stories"] == plain(the_shift(record, now, row.detected_at).stories)
    assert not [name for name in event.payload if name.startswith("return_")]
    assert waiting(record) == [key]
    clock.now = AFTER
    assert (noticer.notice(), look(record, AFTER)) == (0, 0)  # and after a restart nothing twice
    assert len(events(record)) == 1


@once
def test_noticed_late_it_still_says_only_what_was_known_then(record: Database, now: datetime) -> None:
    row = the_shift(record, now)
    look(record, BEFORE)
    assert look(record, AFTER) == 1  # the worker was off for weeks; nothing is lost
    (event,) = events(record)
    then = the_shift(record, now, row.detected_at)
    assert (event.detected_at, event.recorded_at) == (row.detected_at, AFTER)
    for name in ("probability", "index", "index_before", "n_stories", "why", "stories"):
        assert event.payload[name] == plain(getattr(then, name))


@once
def test_what_lies_in_the_past_at_the_first_look_is_kept_and_told_to_nobody(record: Database, now: datetime) -> None:
    hook(record, now)
    assert look(record, now) == 0
    (event,) = events(record)
    assert event.past
    assert (event.payload, waiting(record)) == ({"before": "calm", "state": "panic", "tagger": TAGGER}, [])
    assert "θ" not in event.sentence


@once
def test_an_archive_that_is_imported_later_lies_in_the_past_too(record: Database, now: datetime) -> None:
    hook(record, now)
    with record.write() as session:
        session.add(EventLook(of=f"shift:{TAGGER}", began_at=now))
    assert look(record, now + DAY) == 0
    assert [event.past for event in events(record)] == [True]
    assert waiting(record) == []


def test_two_who_look_by_mistake_at_once_tell_it_once(record: Database, now: datetime) -> None:
    hook(record, BEFORE)
    look(record, BEFORE)
    both: list[int] = []
    threads = [Thread(target=lambda: both.append(look(record, AFTER))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(both) == [0, 1]
    assert (len(events(record)), len(waiting(record))) == (1, 1)


@once
def test_a_shift_that_late_news_dates_otherwise_is_not_told_again(record: Database, now: datetime) -> None:
    look(record, BEFORE)
    assert look(record, AFTER) == 1
    earlier = [
        found_article(f"safe_haven+ XAU: late fear {n}", FIRST + (PANIC_FROM - 4 + n % 4) * DAY, known_at=AFTER + HOUR)
        for n in range(80)
    ]
    with record.write() as session:
        add_articles(session, earlier, now=now)
    tag(record, now)
    moved = the_shift(record, now, AFTER + 2 * DAY)
    assert moved.happened_at != events(record)[0].happened_at
    assert look(record, AFTER + 2 * DAY) == 0
    assert len(events(record)) == 1


@once
def test_a_shift_that_only_late_news_tell_was_detected_when_they_came(database: Database, now: datetime) -> None:
    fill(database, now, days=PANIC_FROM)
    look(database, BEFORE)
    came = FIRST + (PANIC_FROM + 30) * DAY
    late = [
        found_article(f"{'safe_haven+ ' if n < 8 else 'weather '}: {n} of {day}", FIRST + day * DAY, known_at=came)
        for day in range(PANIC_FROM, PANIC_FROM + 8)
        for n in range(25)
    ]
    with database.write() as session:
        add_articles(session, late, now=now)
    tag(database, now)
    assert look(database, came - HOUR) == 0
    assert look(database, came + HOUR) == 1
    (event,) = events(database)
    assert (event.detected_at, event.past) == (came + HOUR, False)


@once
def test_nothing_is_computed_where_nothing_came_in(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[datetime] = []

    def counted(session: Session, tagger: str, *, now: datetime) -> noticing.Noticed:
        looks.append(now)
        return notice(session, tagger, now=now)

    def something_comes_in() -> None:
        with database.write() as session:
            add_articles(session, [found_article(f"weather {len(looks)}: is fine", now)], now=now)

    monkeypatch.setattr(noticing, "notice", counted)
    clock = Clock(now)
    noticer = Noticer(database, clock=clock)
    for after, comes_in in ((0, False), (5, False), (6, True), (6.5, True), (7, False), (12.9, False), (13, False)):
        clock.now = now + after * HOUR  # of noon: at 13 a day has ended an hour ago
        if comes_in:
            something_comes_in()
        noticer.notice()
    assert [(at - now) / HOUR for at in looks] == [0, 6, 7, 13]
    assert AGAIN == HOUR


@once
def test_a_look_that_fails_is_not_taken_again_at_once(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> noticing.Noticed:
        raise ConfigError("triggers.toml is wrong.")

    clock = Clock(now)
    noticer = Noticer(database, clock=clock)
    with monkeypatch.context() as patched:
        patched.setattr(noticing, "notice", fails)
        with pytest.raises(ConfigError):
            noticer.notice()
        assert noticer.notice() == 0
    clock.now += AFTER_FAILURE
    noticer.notice()
    with database.read() as session:
        assert event_store.look(session, f"shift:{TAGGER}") is not None


# -- triggers ---------------------------------------------------------------------------------------------------------


def test_a_trigger_that_turns_is_told_once_as_of_the_end_of_its_day(database: Database, now: datetime) -> None:
    test_services_triggers.fill(database, now)
    begins = FIRST + (test_services_triggers.STRESS - 5) * DAY + 12 * HOUR
    hook(database, begins, triggers=("fiscal_pressure",), states=("on",))
    assert (look(database, begins), events(database, "trigger")) == (0, [])
    at = FIRST + 185 * DAY + 2 * HOUR
    with database.read() as session:
        states = {row.trigger: row for row in triggers(session, Question(as_of=at - DAY), now=now).rows}
    look(database, at)
    turned = [event for event in events(database, "trigger") if event.payload["trigger"] == "fiscal_pressure"]
    assert turned[-1].payload["state"] == "on"
    on = turned[-1]
    assert on.key == f"trigger:fiscal_pressure:{states['fiscal_pressure'].since}:on"
    assert on.detected_at == on.happened_at == end_of_day(states["fiscal_pressure"].since)
    with database.read() as session:
        rows = triggers(session, Question(as_of=on.detected_at), now=now).rows
    assert on.payload.items() >= plain(next(row for row in rows if row.trigger == "fiscal_pressure")).items()
    assert waiting(database) == [on.key]
    count = len(events(database, "trigger"))
    assert (look(database, at), look(database, at + HOUR)) == (0, 0)
    assert len(events(database, "trigger")) == count


@once
def test_a_trigger_that_cannot_be_told_for_a_while_has_not_turned(database: Database, now: datetime) -> None:
    test_services_triggers.fill(database, now)
    begins = FIRST + 185 * DAY + 12 * HOUR
    look(database, begins)
    look(database, begins + 25 * DAY)  # all went stale
    with database.read() as session:
        found = event_store.look(session, f"triggers:{TAGGER}")
        assert {row.state for row in triggers(session, Question(as_of=begins + 25 * DAY), now=now).rows} == {"unknown"}
    assert found is not None
    assert found.states["fiscal_pressure"] == "on"
    assert {event.payload["state"] for event in events(database, "trigger")} <= {"on", "off", "forming"}


# -- thresholds -------------------------------------------------------------------------------------------------------


def days_of(database: Database, carried: list[int], now: datetime) -> None:
    """Ten stories a day, of which so many carry safe_haven."""
    found = [
        found_article(f"{'safe_haven+ ' if n < count else 'weather '}: {n} of day {day}", FIRST + day * DAY + n * HOUR)
        for day, count in enumerate(carried)
        for n in range(10)
    ]
    with database.write() as session:
        add_articles(session, found, now=now)
    tag(database, now)


def test_a_threshold_fires_when_it_is_crossed_and_again_only_after_the_way_back(
    database: Database, now: datetime
) -> None:
    days_of(database, [1, 1, 5, 5, 5, 1, 6, 6, 1], now)
    threshold = {"series": "narrative:safe_haven", "above": 0.3, "below": None}
    hook(database, FIRST + DAY + 12 * HOUR, events=(), threshold=threshold)
    fired = [look(database, FIRST + day * DAY + 2 * HOUR) for day in range(1, 10)]
    assert fired == [0, 0, 1, 0, 0, 0, 1, 0, 0]
    first, second = events(database, "threshold")
    assert first.key == "threshold:1:2020-01-03:narrative:safe_haven:above:0.3"
    assert first.payload == {
        "webhook": 1,
        "series": "narrative:safe_haven",
        "day": "2020-01-03",
        "value": 0.5,
        "tagger": TAGGER,
        "above": 0.3,
    }
    assert second.payload["day"] == "2020-01-07"
    assert first.link == "/v1/intensity?narrative=safe_haven&start=2020-01-03&end=2020-01-04"


@once
def test_where_it_lay_beyond_before_it_was_set_it_does_not_fire(database: Database, now: datetime) -> None:
    days_of(database, [5, 5, 5, 5, 1, 5], now)
    threshold = {"series": "narrative:safe_haven", "above": 0.3, "below": None}
    hook(database, FIRST + 2 * DAY + 12 * HOUR, events=(), threshold=threshold)
    assert [look(database, FIRST + day * DAY + 2 * HOUR) for day in range(3, 7)] == [0, 0, 0, 1]


@once
def test_days_that_nobody_looked_at_are_held_against_it_afterwards(database: Database, now: datetime) -> None:
    days_of(database, [5, 5, 1, 5, 1, 1], now)
    below = {"series": "narrative:safe_haven", "above": None, "below": 0.2}
    hook(database, FIRST + DAY + 12 * HOUR, events=(), threshold=below)
    assert look(database, FIRST + 6 * DAY + 2 * HOUR) == 2
    assert [event.payload["day"] for event in events(database, "threshold")] == ["2020-01-03", "2020-01-05"]


def test_a_threshold_of_a_narrative_that_is_gone_switches_its_webhook_off_and_stops_no_other(
    database: Database, now: datetime
) -> None:
    days_of(database, [1, 5], now)
    gone = hook(database, FIRST, threshold={"series": "narrative:no_more", "above": 0.3, "below": None})
    hook(database, FIRST, threshold={"series": "narrative:safe_haven", "above": 0.3, "below": None})
    assert look(database, FIRST + 2 * DAY + 2 * HOUR) == 1
    with database.read() as session:
        webhook = event_store.get_webhook(session, gone)
        assert webhook is not None
        assert (webhook.active, "no_more" in (webhook.off_reason or "")) == (False, True)


# -- who wants what ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "kind", "payload", "wanted"),
    [
        ({}, "shift", {"state": "panic"}, True),
        ({"events": ["trigger"]}, "shift", {"state": "panic"}, False),
        ({"states": ["devaluation"]}, "shift", {"state": "panic"}, False),
        ({"states": ["devaluation"]}, "trigger", {"state": "on", "trigger": "cutting"}, True),
        ({"states": ["on"]}, "trigger", {"state": "off", "trigger": "cutting"}, False),
        ({"triggers": ["metals_lead"]}, "trigger", {"state": "on", "trigger": "cutting"}, False),
        ({"triggers": ["metals_lead"]}, "shift", {"state": "calm"}, True),
        ({"events": []}, "threshold", {"webhook": 1}, True),
        ({}, "threshold", {"webhook": 2}, False),
        ({}, "test", {"webhook": 2}, False),
    ],
)
def test_a_webhook_is_told_what_it_asked_for(
    terms: dict[str, Any], kind: str, payload: dict[str, Any], wanted: bool
) -> None:
    webhook = Webhook(
        **({"id": 1, "kind": "json", "events": ["shift", "trigger"], "triggers": [], "states": []} | terms)
    )
    assert wants(webhook, Event(kind=kind, payload=payload)) is wanted


def test_what_another_kept_meanwhile_is_left_out(record: Database, now: datetime) -> None:
    look(record, BEFORE)
    with record.read() as session:
        found, again = (notice(session, TAGGER, now=AFTER) for _ in range(2))
    with record.write() as session:
        assert [event.kind for event in keep(session, found, now=AFTER)].count("shift") == 1
    with record.write() as session:
        assert keep(session, again, now=AFTER) == []
