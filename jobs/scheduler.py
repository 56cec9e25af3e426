"""What runs on a clock, until told to stop: collecting and tagging news, and beside it loading prices."""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from threading import Event, Thread

from config import definitions
from config.settings import get_settings
from ingest.sources import Source, open_sources
from jobs.collect import collect
from jobs.prices import load_prices
from jobs.tag import baseline_tagger, tag_untagged
from models.database import Database
from models.errors import StoryshiftError
from services.sources import seed_feeds

LOOK_EVERY_SECONDS = 30.0
log = logging.getLogger("storyshift.worker")


def work(database: Database, *, clock: Callable[[], datetime], stop: Event) -> None:
    """Returns when `stop` is set. A round that fails is logged and tried again at the next.

    Prices have a thread of their own, so that a slow exchange keeps no news waiting.
    """
    if get_settings().load_prices:
        sources = open_sources()
        Thread(target=_again, args=(lambda: _price_round(database, sources, clock), stop), daemon=True).start()
    tagger = baseline_tagger()

    def news_round() -> None:
        with database.write() as session:
            seed_feeds(session, definitions.feeds(), now=clock())
        report = collect(database, clock=clock)
        read = tag_untagged(database, tagger, clock=clock)
        if report.feeds or read:
            log.info(
                "collected feeds=%d failed=%d new_articles=%d tagged=%d seconds=%.1f",
                report.feeds,
                report.failed,
                report.new_articles,
                read,
                report.seconds,
            )

    _again(news_round, stop)


def _price_round(database: Database, sources: Mapping[str, Source], clock: Callable[[], datetime]) -> None:
    report = load_prices(database, sources, clock=clock)
    new, corrected = sum(one.new for one in report.series), sum(one.corrected for one in report.series)
    if report.series:
        log.info("loaded prices series=%d new=%d corrected=%d", len(report.series), new, corrected)
    for said, series in report.failures.items():
        log.warning("prices failed: %s series=%s", said, ",".join(series))


def _again(one_round: Callable[[], None], stop: Event) -> None:
    while not stop.is_set():
        try:
            one_round()
        except StoryshiftError as error:
            log.error("round failed: %s", error)
        except Exception:  # the page must not go on over a worker that is dead
            log.exception("round failed unexpectedly")
        stop.wait(LOOK_EVERY_SECONDS)
