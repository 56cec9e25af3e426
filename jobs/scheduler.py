"""What runs on a clock, until told to stop: news, its stories, tags and events, what is told of them, prices,
full texts if wanted - side by side.

Each has a thread of its own, so that a server that hangs keeps neither the tagger nor the prices waiting.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from threading import Event, Thread
from time import monotonic

from config import definitions
from config.settings import get_settings
from ingest.sources import open_sources
from jobs.cluster import Clusterer
from jobs.collect import CollectReport, collect
from jobs.deliver import Deliverer
from jobs.events import Noticer
from jobs.fulltext import PageReader
from jobs.heartbeat import beat
from jobs.prices import LoadReport, load_prices
from jobs.retention import retain
from jobs.tag import FirstUnread, live_tagger, tag_untagged
from models.database import Database
from models.errors import StoryshiftError
from services.sources import seed_feeds

LOOK_EVERY_SECONDS = 30.0
TAG_EVERY_SECONDS = 3.0
DELIVER_EVERY_SECONDS = 3.0
RETAIN_EVERY_SECONDS = 86_400.0
STOP_SECONDS = 30.0
"""How long what is under way may take once it is to stop."""
Round = Callable[[], object]
log = logging.getLogger("storyshift.worker")


def work(database: Database, *, clock: Callable[[], datetime], stop: Event) -> bool:
    """Returns when `stop` is set and what was under way is done: True, or False if it takes longer than STOP_SECONDS.

    A round that fails is logged and tried again at the next.
    """
    deliverer = Deliverer(database, clock=clock)
    rounds: list[tuple[Round, float]] = [
        (_collecting(database, clock), LOOK_EVERY_SECONDS),
        (_tagging(database, clock), TAG_EVERY_SECONDS),
        (deliverer.deliver, DELIVER_EVERY_SECONDS),
    ]
    if get_settings().load_prices:
        rounds.append((_loading(database, clock), LOOK_EVERY_SECONDS))
    if get_settings().full_text:
        rounds.append((_reading(database, clock), LOOK_EVERY_SECONDS))
    if get_settings().keep_bodies_days:
        rounds.append((lambda: retain(database, now=clock()), RETAIN_EVERY_SECONDS))
    threads = [Thread(target=_again, args=(*one, stop), daemon=True) for one in rounds]
    for thread in threads:
        thread.start()
    stop.wait()
    threads.append(Thread(target=deliverer.wait, daemon=True))
    threads[-1].start()
    return ended(threads, STOP_SECONDS)


def ended(threads: Sequence[Thread], seconds: float) -> bool:
    """Whether all of them come to their end within so many seconds."""
    until = monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    return not any(thread.is_alive() for thread in threads)


def report_collected(report: CollectReport) -> None:
    if report.feeds:
        log.info(
            "collected feeds=%d failed=%d new_articles=%d seconds=%.1f",
            report.feeds,
            report.failed,
            report.new_articles,
            report.seconds,
        )


def report_loaded(report: LoadReport) -> None:
    new, corrected = sum(one.new for one in report.series), sum(one.corrected for one in report.series)
    if report.series:
        log.info("loaded prices series=%d new=%d corrected=%d", len(report.series), new, corrected)
    for said, series in report.failures.items():
        log.warning("prices failed: %s series=%s", said, ",".join(series))


def report_read(outcomes: Mapping[str, int]) -> None:
    if outcomes:
        log.info("read pages %s", " ".join(f"{outcome}={count}" for outcome, count in sorted(outcomes.items())))


def _collecting(database: Database, clock: Callable[[], datetime]) -> Round:
    def one_round() -> None:
        with database.write() as session:
            seed_feeds(session, definitions.feeds(), now=clock())
        report_collected(collect(database, clock=clock))

    return one_round


def _tagging(database: Database, clock: Callable[[], datetime]) -> Round:
    tagger, clusterer, noticer = live_tagger(), Clusterer(database), Noticer(database, clock=clock)
    unread = FirstUnread(database)

    def one_round() -> None:
        if placed := clusterer.cluster():
            log.info("clustered articles=%d", placed)
        first = unread.look(tagger.name, now=clock())
        if read := tag_untagged(database, tagger, clock=clock, within=(first, None)):
            log.info("tagged texts=%d tagger=%s", read, tagger.name)
        if noticed := noticer.notice():
            log.info("noticed events=%d", noticed)

    return one_round


def _loading(database: Database, clock: Callable[[], datetime]) -> Round:
    sources = open_sources()
    return lambda: report_loaded(load_prices(database, sources, clock=clock))


def _reading(database: Database, clock: Callable[[], datetime]) -> Round:
    reader = PageReader(database, clock=clock)
    return lambda: report_read(reader.read())


def _again(one_round: Round, seconds: float, stop: Event) -> None:
    while not stop.is_set():
        try:
            one_round()
        except StoryshiftError as error:
            log.error("round failed: %s", error)
        except Exception:  # the page must not go on over a worker that is dead
            log.exception("round failed unexpectedly")
        beat()
        stop.wait(seconds)
