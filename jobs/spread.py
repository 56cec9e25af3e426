"""Work that processes and machines share, on PostgreSQL: the jobs of jobs.scheduler, taken from one queue.

    every few seconds, once however many look: what is due -> the queue (procrastinate, in the same database)
        -> whichever worker has room: one feed, the stories, a range of texts, ...

The queue only says who does what next. That nothing is done twice at once is promised by the claims in the store, so
that `run` may work beside it. docs/workers.md.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from threading import Event, Lock
from typing import Any

from procrastinate import App, PsycopgConnector, exceptions
from procrastinate.jobs import Job, Status
from procrastinate.periodic import PeriodicDeferrer, TaskAtTime
from procrastinate.tasks import Task
from procrastinate.types import TimeDeltaParams
from procrastinate.worker import Worker

from config import definitions
from config.settings import get_settings
from ingest.processes import Parsers
from ingest.sources import open_sources
from jobs.cluster import Clusterer
from jobs.collect import collect, due
from jobs.deliver import Deliverer
from jobs.events import Noticer
from jobs.fulltext import PageReader
from jobs.heartbeat import beat
from jobs.prices import load_prices
from jobs.retention import retain
from jobs.scheduler import report_collected, report_loaded, report_read
from jobs.tag import FirstUnread, Tagger, live_tagger, tag_untagged, waiting_ranges
from models.database import Database
from models.errors import StoryshiftError
from models.store import queue
from services.sources import seed_feeds

AHEAD = 64
"""Ranges of texts that are put into the queue at a time."""
SERIES = 3
"""Of prices that one job loads: at first it is their whole history, which other work must not wait for."""
WAITS = (5, 25, 125, 625)
"""Seconds until a job that failed is tried again, after each of its tries but the last."""
RESCUES = 10
"""A job whose workers died so often is given up; what is still to be done is put into the queue anew."""
HEARTBEAT_SECONDS, STALLED_SECONDS = 10.0, 30.0
"""How often a worker says that it lives, and after which silence its jobs are given to others."""
AGAIN_SECONDS = 3.0
"""Until a worker whose database went away looks for it again."""
CONNECT_SECONDS = 10.0
STOP_LOOK_SECONDS = 0.2
BEAT_SECONDS = 10.0
FORGET_AFTER_SECONDS = 60
"""A look that was missed for longer is not made up for."""
KEPT_HOURS = 24
"""For which jobs that have ended are remembered."""
log = logging.getLogger("storyshift.worker")
Clock = Callable[[], datetime]
AnyTask = Task[..., Any, ...]


def work_on_queue(
    database: Database,
    *,
    clock: Clock,
    threads: int,
    stop: Event,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
    stalled_seconds: float = STALLED_SECONDS,
) -> None:
    """Do `threads` jobs at once until `stop` is set; then end those that run. A database that is away is waited for."""
    app, works = _app_of(database, clock, threads=threads, stalled_seconds=stalled_seconds)

    async def one_life() -> None:
        worker = _Worker(
            app,
            name=f"{socket.gethostname()}-{os.getpid()}",
            concurrency=threads,
            install_signal_handlers=False,
            update_heartbeat_interval=heartbeat_seconds,
            stalled_worker_timeout=stalled_seconds,
        )
        await _until(stop, worker.run(), worker.stop)  # type: ignore[no-untyped-call]

    asyncio.run(_live(app, database, one_life, stop, threads=threads))
    works.deliverer.wait()
    works.close()


def put_what_is_due(database: Database, *, clock: Clock, stop: Event) -> None:
    """Only put what is due into the queue, until `stop` is set. Workers do so too; two at once put nothing in twice."""
    app, _ = _app_of(database, clock, threads=1, stalled_seconds=STALLED_SECONDS)

    async def one_life() -> None:
        looking = asyncio.ensure_future(Looks(app.periodic_registry).worker())
        await _until(stop, looking, looking.cancel)

    asyncio.run(_live(app, database, one_life, stop, threads=1))


class _Works:
    """What the tasks of one worker share: what is costly to make, and what remembers something between rounds."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock
        self.parsers = Parsers()
        self.clusterer, self.noticer = Clusterer(database), Noticer(database, clock=clock)
        self.unread = FirstUnread(database)
        self.deliverer = Deliverer(database, clock=clock)
        self.pages = PageReader(database, clock=clock)
        self.clustering = Lock()
        """Who was thought to be dead may cluster beside whoever took over."""
        self._taggers: list[Tagger] = []

    @cached_property
    def sources(self) -> Any:
        return open_sources()

    @contextmanager
    def tagger(self) -> Iterator[Tagger]:
        """One that no other job uses meanwhile."""
        found = self._taggers.pop() if self._taggers else live_tagger(threads=1)
        try:
            yield found
        finally:
            self._taggers.append(found)

    def close(self) -> None:
        self.parsers.__exit__()


def _app_of(database: Database, clock: Clock, *, threads: int, stalled_seconds: float) -> tuple[App, _Works]:
    """The tasks, with a queue that is not open yet."""
    connector = PsycopgConnector(
        kwargs=database.libpq_arguments, min_size=1, max_size=threads + 4, timeout=CONNECT_SECONDS
    )
    app, works = App(connector=connector), _Works(database, clock)
    _add_looks(app, works, _add_tasks(app, works), stalled_seconds)
    return app, works


def _add_tasks(app: App, works: _Works) -> AnyTask:
    """What is put into the queue when it is due. Returns the task that visits a feed."""
    database, clock = works.database, works.clock

    @app.task(name="feed", priority=5)
    def feed(feed_id: int, attempt: int = 1) -> None:
        name = f"feed:{feed_id}"
        with _tried_again(feed, attempt, name, lock=name, feed_id=feed_id):
            report = collect(database, clock=clock, only=feed_id, parsers=works.parsers)
            report_collected(report)
            if report.new_articles or report.revised_articles:
                _put(stories, "stories", lock="stories", timestamp=0)

    @app.periodic(cron="* * * * * */5")
    @app.task(name="stories", lock="stories", queueing_lock="stories", priority=10)
    def stories(timestamp: int) -> None:  # noqa: ARG001
        with _told("stories"), works.clustering:
            if placed := works.clusterer.cluster():
                log.info("clustered articles=%d", placed)
            tagger = definitions.live_tagger_name()
            unread = works.unread.look(tagger, now=clock())
            for first, last in waiting_ranges(database, tagger, first=unread, most=AHEAD, now=clock()):
                _put(tag, f"tag:{tagger}:{first}", tagger=tagger, first=first, last=last)

    @app.task(name="tag", priority=5)
    def tag(tagger: str, first: int, last: int, attempt: int = 1) -> None:
        again: dict[str, Any] = {"tagger": tagger, "first": first, "last": last}
        with _tried_again(tag, attempt, f"tag:{tagger}:{first}", **again), works.tagger() as reader:
            if reader.name != tagger:  # it was put there by a worker with other settings, and its like will read it
                log.warning("passed over tagger=%s first=%d last=%d", tagger, first, last)
            elif read := tag_untagged(database, reader, clock=clock, within=(first, last)):
                log.info("tagged texts=%d tagger=%s", read, tagger)

    return feed


def _add_looks(app: App, works: _Works, feed: AnyTask, stalled_seconds: float) -> None:
    """What is looked at every so many seconds (the last field)."""
    database, clock, jobs = works.database, works.clock, app.job_manager

    def every(cron: str, name: str, work: Callable[[], Any]) -> None:
        def look(timestamp: int) -> None:  # noqa: ARG001
            with _told(name):
                work()

        app.periodic(cron=cron)(app.task(name=name, lock=name, queueing_lock=name, priority=10)(look))

    def feeds() -> None:
        with database.write() as session:
            seed_feeds(session, definitions.feeds(), now=clock())
        for feed_id in due(database, now=clock()):
            _put(feed, f"feed:{feed_id}", lock=f"feed:{feed_id}", feed_id=feed_id)

    def notice() -> None:
        if noticed := works.noticer.notice():
            log.info("noticed events=%d", noticed)

    def prices() -> None:
        report_loaded(load_prices(database, works.sources, clock=clock, most=SERIES))

    every("* * * * * */30", "feeds", feeds)
    every("* * * * * */5", "deliver", works.deliverer.deliver)
    every("* * * * * */30", "notice", notice)
    if get_settings().load_prices:
        every(
            "* * * * * */30",
            "prices",
            lambda: report_loaded(load_prices(database, works.sources, clock=clock, most=SERIES)),
        )
    if get_settings().keep_bodies_days:
        every("43 * * * *", "retain", lambda: retain(database, now=clock()))
    if get_settings().full_text:
        every("* * * * * */30", "pages", lambda: report_read(works.pages.read()))

    @app.periodic(cron="* * * * * */10")
    @app.task(name="rescue", queueing_lock="rescue", priority=20)
    async def rescue(timestamp: int) -> None:  # noqa: ARG001
        await asyncio.to_thread(queue.forget_later_clock, database.engine)
        await jobs.prune_stalled_workers(stalled_seconds)
        for job in await jobs.get_stalled_jobs(seconds_since_heartbeat=stalled_seconds):
            await _rescue(app, job)

    @app.periodic(cron="17 * * * *")
    @app.task(name="tidy", queueing_lock="tidy", priority=20)
    async def tidy(timestamp: int) -> None:  # noqa: ARG001
        await jobs.delete_old_jobs(KEPT_HOURS, include_failed=True, include_cancelled=True, include_aborted=True)


def _put(task: AnyTask, name: str, *, lock: str | None = None, seconds: int = 0, **about: Any) -> None:
    """Into the queue under a name, for in so many seconds, unless that name waits there already."""
    later: TimeDeltaParams | None = {"seconds": seconds} if seconds else None
    with suppress(exceptions.AlreadyEnqueued):
        task.configure(queueing_lock=name, lock=lock, schedule_in=later).defer(**about)


@contextmanager
def _tried_again(task: AnyTask, attempt: int, name: str, *, lock: str | None = None, **about: Any) -> Iterator[None]:
    """A job that fails is put into the queue again for later, a few times.

    procrastinate's own retries would not do: they fail for good where the same has been put into the queue meanwhile.
    """
    try:
        with _told(task.name):
            yield
    except Exception:
        if attempt <= len(WAITS):
            _put(task, name, lock=lock, seconds=WAITS[attempt - 1], attempt=attempt + 1, **about)
        raise


@contextmanager
def _told(name: str) -> Iterator[None]:
    """What went wrong stands in the log, in a line where it is an error of ours."""
    try:
        yield
    except StoryshiftError as error:
        log.error("job failed job=%s: %s", name, error)
        raise
    except Exception:
        log.exception("job failed unexpectedly job=%s", name)
        raise


async def _rescue(app: App, job: Job) -> None:
    """Give the job of a dead worker to others, unless the same waits already."""
    assert job.id is not None  # noqa: S101 - it is out of the queue
    log.warning("worker died job=%s attempts=%d", job.task_name, job.attempts)
    try:
        if job.attempts < RESCUES:
            await app.job_manager.retry_job(job)
            return
    except exceptions.UniqueViolation:
        pass
    await app.job_manager.finish_job(job, Status.FAILED, delete_job=False)


class Looks(PeriodicDeferrer):
    """Puts looks into the queue when they are due, and not again those of before a long pause or a clock set back."""

    def get_previous_tasks(self, at: float) -> Iterable[TaskAtTime]:
        self.last_defers = {
            key: last for key, last in self.last_defers.items() if at - FORGET_AFTER_SECONDS <= last <= at
        }
        return super().get_previous_tasks(at)


class _Worker(Worker):
    """Ends, to be begun anew, where it cannot say how a job ended: as long as it lives, nobody takes up that job."""

    async def _periodic_deferrer(self) -> None:
        await Looks(self.app.periodic_registry).worker()

    async def _persist_job_status(self, *given: Any, **about: Any) -> None:
        try:
            await super()._persist_job_status(*given, **about)
        except exceptions.ConnectorException as error:
            log.error("job ended, and the queue could not be told: %s", _said(error))
            self.stop()  # type: ignore[no-untyped-call]


async def _live(
    app: App, database: Database, one_life: Callable[[], Awaitable[None]], stop: Event, *, threads: int
) -> None:
    """One life after another: each ends when the database goes away, or `stop` is set."""
    for library, least in {"procrastinate": logging.CRITICAL, "psycopg": logging.ERROR}.items():
        logging.getLogger(library).setLevel(least)  # what they say of jobs that fail is said here, in a line
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(threads + 4))
    beating = asyncio.ensure_future(_beat())
    while not stop.is_set():
        try:
            await asyncio.to_thread(queue.bring_up_to_date, database.engine)
            await app.open_async()
            await one_life()
        except Exception as error:
            log.error("queue cannot be used database=%s: %s", database, _said(error))
        finally:
            with suppress(Exception):
                await app.close_async()
        if not stop.is_set():
            await _until(stop, asyncio.sleep(AGAIN_SECONDS), lambda: None)
    beating.cancel()


async def _until(stop: Event, work: Awaitable[Any], end: Callable[[], Any]) -> None:
    """Wait for `work`, which `end` ends when `stop` is set."""
    working = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(_is_set(stop))
    await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
    if stopped.done():
        end()
    stopped.cancel()
    with suppress(asyncio.CancelledError):
        await working


async def _is_set(stop: Event) -> None:
    while not stop.is_set():  # an asyncio.Event could not be set by a signal's handler or a test's thread
        await asyncio.sleep(STOP_LOOK_SECONDS)


def _said(error: Exception) -> str:
    """Its first line, or that of what it rests on."""
    return str(error.__cause__ or error).splitlines()[0]


async def _beat() -> None:
    while True:
        beat()
        await asyncio.sleep(BEAT_SECONDS)
