"""What runs on a clock, until told to stop: news, its stories, tags and events, what is told of them, prices,
full texts if wanted - side by side.

Each has a thread of its own, so that a server that hangs keeps neither the tagger nor the prices waiting.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from threading import Event, Thread

from config import definitions
from config.settings import get_settings
from ingest.sources import open_sources
from jobs.cluster import Clusterer
from jobs.collect import collect
from jobs.deliver import Deliverer
from jobs.events import Noticer
from jobs.fulltext import PageReader
from jobs.prices import load_prices
from jobs.tag import live_tagger, tag_untagged
from models.database import Database
from models.errors import StoryshiftError
from services.sources import seed_feeds

LOOK_EVERY_SECONDS = 30.0
TAG_EVERY_SECONDS = 3.0
DELIVER_EVERY_SECONDS = 3.0
Round = Callable[[], None]
log = logging.getLogger("storyshift.worker")


def work(database: Database, *, clock: Callable[[], datetime], stop: Event) -> None:
    """Returns when `stop` is set. A round that fails is logged and tried again at the next."""
    rounds: list[tuple[Round, float]] = [
        (_tagging(database, clock), TAG_EVERY_SECONDS),
        (_delivering(database, clock), DELIVER_EVERY_SECONDS),
    ]
    if get_settings().load_prices:
        rounds.append((_loading(database, clock), LOOK_EVERY_SECONDS))
    if get_settings().full_text:
        rounds.append((_reading(database, clock), LOOK_EVERY_SECONDS))
    for one_round, seconds in rounds:
        Thread(target=_again, args=(one_round, seconds, stop), daemon=True).start()
    _again(_collecting(database, clock), LOOK_EVERY_SECONDS, stop)


def _collecting(database: Database, clock: Callable[[], datetime]) -> Round:
    def one_round() -> None:
        with database.write() as session:
            seed_feeds(session, definitions.feeds(), now=clock())
        report = collect(database, clock=clock)
        if report.feeds:
            log.info(
                "collected feeds=%d failed=%d new_articles=%d seconds=%.1f",
                report.feeds,
                report.failed,
                report.new_articles,
                report.seconds,
            )

    return one_round


def _tagging(database: Database, clock: Callable[[], datetime]) -> Round:
    tagger, clusterer, noticer = live_tagger(), Clusterer(database), Noticer(database, clock=clock)

    def one_round() -> None:
        if placed := clusterer.cluster():
            log.info("clustered articles=%d", placed)
        if read := tag_untagged(database, tagger, clock=clock):
            log.info("tagged texts=%d tagger=%s", read, tagger.name)
        if noticed := noticer.notice():
            log.info("noticed events=%d", noticed)

    return one_round


def _delivering(database: Database, clock: Callable[[], datetime]) -> Round:
    deliverer = Deliverer(database, clock=clock)

    def one_round() -> None:
        deliverer.deliver()

    return one_round


def _loading(database: Database, clock: Callable[[], datetime]) -> Round:
    sources = open_sources()

    def one_round() -> None:
        report = load_prices(database, sources, clock=clock)
        new, corrected = sum(one.new for one in report.series), sum(one.corrected for one in report.series)
        if report.series:
            log.info("loaded prices series=%d new=%d corrected=%d", len(report.series), new, corrected)
        for said, series in report.failures.items():
            log.warning("prices failed: %s series=%s", said, ",".join(series))

    return one_round


def _reading(database: Database, clock: Callable[[], datetime]) -> Round:
    reader = PageReader(database, clock=clock)

    def one_round() -> None:
        if outcomes := reader.read():
            log.info("read pages %s", " ".join(f"{outcome}={count}" for outcome, count in sorted(outcomes.items())))

    return one_round


def _again(one_round: Round, seconds: float, stop: Event) -> None:
    while not stop.is_set():
        try:
            one_round()
        except StoryshiftError as error:
            log.error("round failed: %s", error)
        except Exception:  # the page must not go on over a worker that is dead
            log.exception("round failed unexpectedly")
        stop.wait(seconds)
