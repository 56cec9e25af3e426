"""Parsing in processes of their own: both cores are used, and what keeps a parser busy is stopped with it."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pebble import ProcessExpired, ProcessPool

from ingest.parser import ParsedFeed, parse_feed
from models.errors import FeedError

PARSE_SECONDS = 30.0
MEMORY_BYTES = 2 * 1024**3
Result = TypeVar("Result")


class Parsers:
    """A context manager. The processes start with the first thing that is to be read."""

    def __init__(self) -> None:
        self._pool: ProcessPool | None = None

    def __enter__(self) -> "Parsers":
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()

    def warm_up(self) -> None:
        """Let the processes start now, while feeds are still on their way."""
        self._started().schedule(_nothing)

    def _started(self) -> ProcessPool:
        if self._pool is None:
            self._pool = _start()
        return self._pool

    async def parse(self, content: bytes, **about: Any) -> ParsedFeed:
        """As parse_feed, within limits of time and memory. Raises: FeedError; unreadable where they are exceeded."""
        return await self.run("feed", parse_feed, content, **about)

    async def run(self, what: str, read: Callable[..., Result], *given: Any, **about: Any) -> Result:
        """What `read` makes of something from outside, a feed or a page, within the same limits. Raises: FeedError."""
        pool = self._started()
        try:
            result: Result = await asyncio.wrap_future(pool.schedule(read, given, about, timeout=PARSE_SECONDS))
            return result
        except TimeoutError:
            raise FeedError("unreadable", f"The {what} was not read within {PARSE_SECONDS:.0f} s.") from None
        except (MemoryError, ProcessExpired):
            raise FeedError("unreadable", f"The {what} needs too much memory to be read.") from None


def _start() -> ProcessPool:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "ingest.parser"])
    return ProcessPool(max_workers=os.cpu_count() or 1, context=context, initializer=_limit_memory)


def _nothing() -> None:
    pass


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # not everywhere
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
