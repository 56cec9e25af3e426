"""What runs on a clock: seed the feeds, then collect what is due and tag what is new, until told to stop."""

import logging
from collections.abc import Callable
from datetime import datetime
from threading import Event

from config import definitions
from jobs.collect import collect
from jobs.tag import baseline_tagger, tag_untagged
from models.database import Database
from models.errors import StoryshiftError
from services.sources import seed_feeds

LOOK_EVERY_SECONDS = 30.0
log = logging.getLogger("storyshift.worker")


def work(database: Database, *, clock: Callable[[], datetime], stop: Event) -> None:
    """Returns when `stop` is set. A round that fails is logged and tried again at the next."""
    tagger = baseline_tagger()
    while not stop.is_set():
        try:
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
        except StoryshiftError as error:
            log.error("round failed: %s", error)
        except Exception:  # the page must not go on over a worker that is dead
            log.exception("round failed unexpectedly")
        stop.wait(LOOK_EVERY_SECONDS)
