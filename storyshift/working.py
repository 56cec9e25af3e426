"""Working without a page: `worker` does what is due, `scheduler` only says what that is to workers on PostgreSQL."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import BadInput
from storyshift.logs import tell
from storyshift.shell import now, open_database

if TYPE_CHECKING:
    from models.database import Database

Threads = Annotated[
    int | None, typer.Option(min=1, max=16, help="How many jobs are done at once, on PostgreSQL. Default: 1.")
]


def worker(threads: Threads = None) -> None:
    """Collect, tag and do all else that is due, without a page; on PostgreSQL as many of these as you like."""
    from storyshift.serving import log_to_stderr

    log_to_stderr()
    database = open_database()
    if database.is_sqlite and threads is not None:
        raise BadInput(f"--threads is for PostgreSQL; {database} has one worker, with a thread for each kind of work.")
    tell("Collecting and tagging; Ctrl-C stops.")
    if database.is_sqlite:
        _work_alone(database)
        return
    from jobs.spread import work_on_queue

    with until_stopped() as stop:
        work_on_queue(database, clock=now, threads=threads or 1, stop=stop)


def scheduler() -> None:
    """On PostgreSQL: say to the workers what is due. Each worker does so too, so that this one may be missing."""
    from storyshift.serving import log_to_stderr

    log_to_stderr()
    database = open_database()
    if database.is_sqlite:
        raise BadInput(f"A scheduler is for PostgreSQL; with {database}, `storyshift worker` does all that is due.")
    from jobs.spread import put_what_is_due

    tell("Saying what is due; Ctrl-C stops.")
    with until_stopped() as stop:
        put_what_is_due(database, clock=now, stop=stop)


def _work_alone(database: "Database") -> None:
    from jobs.scheduler import work

    with until_stopped() as stop:
        work(database, clock=now, stop=stop)


@contextmanager
def until_stopped() -> Iterator[Event]:
    """An event that is set by the first Ctrl-C or SIGTERM; a second one stops at once.

    What is under way then has STOP_SECONDS to end: after these the process ends, and others take it up.
    """
    import signal

    from jobs.scheduler import STOP_SECONDS

    stop, over = Event(), Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def heard(*_: object) -> None:
        for again, usual in before.items():
            signal.signal(again, usual)
        stop.set()
        Thread(target=end_at_last, daemon=True).start()

    def end_at_last() -> None:
        if not over.wait(STOP_SECONDS):
            tell("stopped in the middle of something; it is taken up again by whoever works next.")
            sys.stderr.flush()
            os._exit(0)

    for number in before:
        signal.signal(number, heard)
    try:
        yield stop
    finally:
        over.set()
        for number, usual in before.items():
            signal.signal(number, usual)
