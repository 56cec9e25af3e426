"""How requests come in: their heads within a size, and the whole of each within a time.

uvicorn waits without end for the rest of a request that has begun: who opens many and finishes none would keep all
others out.
"""

import asyncio
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

ARRIVES_WITHIN = 60.0
"""Seconds from a connection, or from the first byte of a later request on it, until the whole request is here."""
COMING = (h11.IDLE, h11.SEND_BODY)


class Arriving(H11Protocol):
    """h11 refuses a head of more than 64 KB (uvicorn's other parser takes one of any size)."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(ARRIVES_WITHIN, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state not in COMING:
            self._stop_waiting()
        elif self._late is None:
            self._late = self.loop.call_later(ARRIVES_WITHIN, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _stop_waiting(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def listening(app: FastAPI, **more: Any) -> uvicorn.Config:
    """How the application is served; `more` is how it logs."""
    return uvicorn.Config(app, http=Arriving, ws="none", server_header=False, **more)
