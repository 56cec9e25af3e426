"""Retention: once a day the bodies of old articles are deleted, if the settings say so; one commit a batch.

Titles, summaries, tags and all that was counted stay, so that no series changes. docs/operations.md says what is lost.
"""

import logging
from datetime import datetime, timedelta

from config import definitions
from config.settings import get_settings
from models.database import Database
from models.store import retention as store

BATCH = 500
log = logging.getLogger("storyshift.worker")


def retain(database: Database, *, now: datetime) -> int:
    """Delete the bodies that STORYSHIFT_KEEP_BODIES_DAYS keeps no longer. Returns how many those were."""
    days = get_settings().keep_bodies_days
    if not days:
        return 0
    before, tagger = now - timedelta(days=days), definitions.live_tagger_name()
    deleted = after = 0
    while True:
        with database.read() as session:
            wanted = store.old_bodies(session, tagger, before=before, after=after, limit=BATCH)
        if not wanted:
            break
        with database.write() as session:  # looked for again: one may have been reviewed meanwhile
            found = store.old_bodies(session, tagger, before=before, after=after, limit=BATCH)
            store.delete_bodies(session, found)
        deleted, after = deleted + len(found), wanted[-1]
    first = True
    while deleted:
        with database.write() as session:
            if not store.forget_some_words(session, first=first):
                break
        first = False
    if deleted:
        log.info("bodies deleted texts=%d days=%d", deleted, days)
    return deleted
