"""What happens, as it happens: one look at the record every few seconds, told to every page that listens."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from models.database import Database
from services import events
from services.answers import plain
from services.events import EventView, RecordState

LOOK_EVERY_SECONDS = 3.0
HEARTBEAT_SECONDS = 15.0
MOST_CLIENTS = 200
MOST_WAITING = 100
"""Messages that wait for a client; one that does not take them is let go, and comes back by itself."""
PAGE = 200
Message = EventView | RecordState | None
"""None: there is no more."""
log = logging.getLogger("storyshift.api")


@dataclass(slots=True)
class _Seen:
    mark: tuple[int | None, ...]
    event_id: int


class Live:
    """Looks while somebody listens. All of it runs in the server's event loop, but for the looks themselves."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._clients: set[asyncio.Queue[Message]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._seen: _Seen | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends = False

    @property
    def is_full(self) -> bool:
        return len(self._clients) >= MOST_CLIENTS

    def close(self) -> None:
        """No more is told; every stream ends. A server that stops waits for its answers to end. From any thread."""
        self._ends = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._let_all_go)

    async def stream(self, *, after: int | None, kinds: Collection[str]) -> AsyncIterator[bytes]:
        """What is sent: events recorded after that id, then all that happens. It ends when the server does."""
        with self._listening() as client:
            last = 0
            if after is not None:
                await self._began()
                last = after
                while told := await asyncio.to_thread(self._events_after, last, kinds):
                    for event in told:
                        yield _event(event)
                    last = told[-1].id
            yield KEEPALIVE_COMMENT
            while True:
                try:
                    message = await asyncio.wait_for(client.get(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield KEEPALIVE_COMMENT
                    continue
                if message is None:
                    return
                if isinstance(message, RecordState):
                    yield format_sse_event(event="record", data_str=_json(message))
                elif message.id > last and (not kinds or message.kind in kinds):
                    yield _event(message)

    @contextmanager
    def _listening(self) -> Iterator[asyncio.Queue[Message]]:
        self._loop = asyncio.get_running_loop()
        client: asyncio.Queue[Message] = asyncio.Queue(MOST_WAITING)
        if self._ends:
            client.put_nowait(None)
        self._clients.add(client)
        if self._looking is None or self._looking.done():
            self._seen = None
            self._looking = asyncio.create_task(self._look_again_and_again())
        try:
            yield client
        finally:
            self._clients.discard(client)

    async def _began(self) -> None:
        """Until the first look: what is recorded after it is told to whoever listens."""
        while self._seen is None and not self._ends:
            await asyncio.sleep(0.02)

    async def _look_again_and_again(self) -> None:
        while self._clients and not self._ends:
            try:
                for message in await asyncio.to_thread(self._look):
                    self._tell(message)
            except Exception as error:  # the database may be back at the next look
                log.warning("live events: a look failed: %s", error)
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def _look(self) -> list[Message]:
        """What is new since the last look; nothing at the first."""
        told: list[Message] = []
        with self._database.read() as session:
            mark = events.record_mark(session)
            if self._seen is None:
                self._seen = _Seen(mark, events.last_event_id(session))
                return told
            if mark != self._seen.mark:
                told.append(events.record_state(session, now=self._clock()))
            new = events.events_after(session, self._seen.event_id, kinds=(), limit=PAGE)
        self._seen = _Seen(mark, new[-1].id if new else self._seen.event_id)
        return [*told, *new]

    def _tell(self, message: Message) -> None:
        for client in list(self._clients):
            try:
                client.put_nowait(message)
            except asyncio.QueueFull:
                self._let_go(client)

    def _let_all_go(self) -> None:
        for client in list(self._clients):
            self._let_go(client)

    def _let_go(self, client: asyncio.Queue[Message]) -> None:
        self._clients.discard(client)
        while not client.empty():
            client.get_nowait()
        client.put_nowait(None)

    def _events_after(self, after: int, kinds: Collection[str]) -> list[EventView]:
        with self._database.read() as session:
            return events.events_after(session, after, kinds=kinds, limit=PAGE)


def _event(event: EventView) -> bytes:
    return format_sse_event(event=event.kind, id=str(event.id), data_str=_json(event))


def _json(told: Any) -> str:
    return json.dumps(plain(told), ensure_ascii=False, allow_nan=False)
