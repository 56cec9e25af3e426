"""Live events over real HTTP: what happens is told to all who listen, by one look, and nothing holds the server up."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from time import perf_counter, sleep
from typing import Any

import httpx
import pytest
from fakes import found_article
from fastapi import FastAPI
from record import tag
from served import serving

from api import live
from models.database import Database
from models.events import Event
from models.store import events as event_store
from models.store.articles import add_articles

SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY_SECONDS", 0.05)
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.2)


@pytest.fixture
def served(database: Database, now: datetime) -> Iterator[tuple[str, FastAPI]]:
    with serving(database, now) as found:
        yield found


class Listener:
    """A browser's EventSource, as far as it matters."""

    def __init__(self, response: httpx.Response) -> None:
        self.response, self._lines = response, response.iter_lines()

    def next(self, *, comments: bool = False) -> dict[str, Any]:
        """The next event, or a comment, as {"event", "id", "data"} or {"comment"}."""
        found: dict[str, Any] = {}
        for line in self._lines:
            name, _, value = line.partition(": ")
            if not line and found and (comments or "comment" not in found):
                return found
            if not line:
                found = {}
            else:
                found[name or "comment"] = json.loads(value) if name == "data" else value
        raise EOFError


@contextmanager
def listening(address: str, query: str = "", **headers: str) -> Iterator[Listener]:
    with httpx.stream("GET", f"{address}/v1/events{query}", headers=headers, timeout=10) as response:
        assert response.status_code == 200, response.read()
        listener = Listener(response)
        assert listener.next(comments=True).keys() == {"comment"} if "after" not in query and not headers else True
        yield listener


def happens(database: Database, key: str, now: datetime) -> None:
    kind = key.partition(":")[0]
    event = Event(
        kind=kind,
        key=key,
        happened_at=now,
        detected_at=now,
        recorded_at=now,
        title=f"{key}\n<b>",
        sentence="It happened.",
        payload={"state": "panic"},
        link="/v1/shift/events",
    )
    with database.write() as session:
        event_store.notice_one_at_a_time(session)
        assert event_store.add_event(session, event)


def look_began(app: FastAPI) -> None:
    while app.state.live._seen is None:
        sleep(0.01)


def test_what_happens_and_what_comes_in_is_told_to_all_who_listen(
    database: Database, served: tuple[str, FastAPI], now: datetime
) -> None:
    address, app = served
    with listening(address) as one, listening(address, "?kind=trigger", **{"Accept-Encoding": "gzip"}) as other:
        assert one.response.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in other.response.headers
        look_began(app)
        happens(database, "shift:2020-03-04:panic", now)
        happens(database, "test:1:x", now)
        happens(database, "trigger:cutting:2020-03-05:on", now)
        first = one.next()
        assert (first["event"], first["id"], first["data"]["key"]) == ("shift", "1", "shift:2020-03-04:panic")
        assert first["data"]["title"] == "shift:2020-03-04:panic\n<b>"
        assert [listener.next()["id"] for listener in (one, other)] == ["3", "3"]
        with database.write() as session:
            add_articles(session, [found_article("weather : is fine", now - SECOND)], now=now)
        told = {"event": "record", "data": {"articles": 1, "latest": "2026-11-21T11:59:59Z", "tagged": 0}}
        assert [listener.next() for listener in (one, other)] == [told, told]
        tag(database, now)
        assert one.next()["data"]["tagged"] == 1
        assert one.next(comments=True).keys() == {"comment"}  # silence, and the connection lives


def test_who_comes_back_is_told_what_he_missed_and_nothing_twice(
    database: Database, served: tuple[str, FastAPI], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PAGE", 2)
    address, _ = served
    for day in range(1, 7):
        happens(database, f"shift:2020-03-{day:02}:panic", now)
    with listening(address, **{"Last-Event-ID": "1"}) as back, listening(address, "?after=4") as other:
        assert [back.next()["id"] for _ in range(5)] == ["2", "3", "4", "5", "6"]
        assert [other.next()["id"] for _ in range(2)] == ["5", "6"]
        happens(database, "shift:2020-03-07:panic", now)
        assert [listener.next()["id"] for listener in (back, other)] == ["7", "7"]


def test_one_look_serves_all(database: Database, served: tuple[str, FastAPI], now: datetime) -> None:
    address, app = served
    looks: list[int] = []
    look = app.state.live._look
    app.state.live._look = lambda: looks.append(1) or look()
    with listening(address) as one, listening(address) as two, listening(address) as three:
        look_began(app)
        began = perf_counter()
        sleep(0.5)
        assert len(looks) <= (perf_counter() - began) / 0.05 + 2
        happens(database, "shift:2020-03-04:panic", now)
        assert [listener.next()["id"] for listener in (one, two, three)] == ["1", "1", "1"]
    ends = perf_counter() + 10
    while app.state.live._clients:  # who has left is forgotten
        assert perf_counter() < ends
        sleep(0.02)
    sleep(0.2)
    count = len(looks)
    sleep(0.2)
    assert len(looks) == count  # and where nobody listens nobody looks


def test_more_than_can_be_served_are_refused_in_one_sentence(
    served: tuple[str, FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MOST_CLIENTS", 1)
    address, _ = served
    with listening(address):
        refused = httpx.get(f"{address}/v1/events")
        assert (refused.status_code, refused.json()["error"]) == (503, "too_many_listeners")


def test_a_server_that_stops_does_not_wait_for_those_who_listen(database: Database, now: datetime) -> None:
    with ExitStack() as still_open:
        with serving(database, now) as (address, _):
            listener = still_open.enter_context(listening(address))
            began = perf_counter()
        assert perf_counter() - began < 5
        with pytest.raises(EOFError):
            listener.next()


def test_a_look_that_fails_is_taken_again(
    database: Database, served: tuple[str, FastAPI], now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    address, app = served
    look, fails = app.state.live._look, [1, 1]

    def at_first_not() -> Any:
        if fails:
            fails.pop()
            raise OSError("away")
        return look()

    app.state.live._look = at_first_not
    with listening(address) as listener:
        look_began(app)
        happens(database, "shift:2020-03-04:panic", now)
        assert listener.next()["id"] == "1"
    assert "a look failed: away" in caplog.text


def test_the_log_of_events_is_read_page_by_page(database: Database, served: tuple[str, FastAPI], now: datetime) -> None:
    address, _ = served
    for day in range(1, 4):
        happens(database, f"shift:2020-03-{day:02}:panic", now)
    happens(database, "trigger:cutting:2020-03-05:on", now)
    first = httpx.get(f"{address}/v1/events/log?kind=shift&limit=2").json()
    assert [event["id"] for event in first["data"]] == [3, 2]
    rest = httpx.get(f"{address}/v1/events/log?kind=shift&limit=2&cursor={first['next_cursor']}").json()
    assert ([event["id"] for event in rest["data"]], rest["next_cursor"]) == ([1], None)
    assert first["data"][0]["happened_at"] == "2026-11-21T12:00:00Z"
    assert httpx.get(f"{address}/v1/events/log?limit=0").status_code == 422
    assert httpx.get(f"{address}/v1/events?kind=news").status_code == 422
