"""Clustering: articles without a story are compared with what is known around their day, one commit a batch.

store: articles without a story, as published -> ingest.copies: copies of a story's lead, or a story of its own

A story's lead is its copy that was known first. An article is compared with leads only, so that what was known later
than two articles never joins them, and an assignment never changes.
"""

from collections.abc import Callable
from datetime import date

from sqlmodel import Session

from ingest.copies import CopyIndex, Wording, are_copies, days_around
from models.database import Database
from models.store import copies as store
from models.store.copies import FirstWording
from models.store.sql import chunks

BATCH = 2_000
DAYS_KEPT = 60
"""Days around which new articles were last compared; older ones are read again when they are needed."""


class Clusterer:
    """Remembers between rounds what the days around the latest articles hold. What is stored alone decides."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._index = CopyIndex()
        self._seen = 0
        """The newest story that is in the index, as far as its day is."""

    def cluster(self, *, progress: Callable[[int, int], None] | None = None) -> int:
        """Find the story of every article that has none. `progress` is told (done, of). Returns how many those were."""
        with self._database.read() as session:
            waiting = store.without_story(session)
        for done, part in enumerate(chunks(waiting, BATCH)):
            try:
                with self._database.write() as session:
                    self._place(session, store.first_wordings(session, part))
            except BaseException:
                self._index, self._seen = CopyIndex(), 0  # it holds what was not committed
                raise
            self._index.keep_only(DAYS_KEPT)
            if progress is not None:
                progress(min((done + 1) * BATCH, len(waiting)), len(waiting))
        return len(waiting)

    def _place(self, session: Session, articles: list[FirstWording]) -> None:
        self._read_days(session, {day for article in articles for day in days_around(article.event_at)})
        ids = iter(store.story_ids(session, len(articles)))
        leads: dict[int, _Lead] = {}
        placed: dict[int, int] = {}
        new: set[int] = set()
        led: set[int] = set()
        for article in articles:
            own = _Lead(article)
            near = self._index.near(own.wording)
            read = store.leads_of(session, [story for story in near if story not in leads])
            leads |= {story: _Lead(lead) for story, lead in read.items()}
            copies = [story for story in near if are_copies(own.wording, leads[story].wording)]
            if not copies:
                story = next(ids)
                new.add(story)
            else:  # of those known before it the first; else of those known later
                story = min(copies, key=lambda one: (leads[one].known > own.known, leads[one].known))
            if not copies or own.known < leads[story].known:
                leads[story] = own
                self._index.add(story, own.wording)
                if story not in new:
                    led.add(story)
            placed[article.article_id] = story
        store.save_stories(
            session,
            placed,
            new={story: leads[story].article for story in new},
            led={story: leads[story].article for story in led},
        )
        self._seen = max(new, default=self._seen)

    def _read_days(self, session: Session, days: set[date]) -> None:
        """Bring what is stored of these days into the index: new days, and what others have added to known ones."""
        newest = store.newest_story(session)
        for day in sorted(days):
            known = day in self._index
            if not known:
                self._index.open(day)
            if not known or newest > self._seen:
                for story, lead in store.leads_on(session, day, after=self._seen if known else 0).items():
                    self._index.add(story, _Lead(lead).wording)
        self._seen = newest


class _Lead:
    """An article with what is compared of it; `known` orders articles by when they were known."""

    def __init__(self, article: FirstWording) -> None:
        self.article = article
        self.known = article.known_at, article.article_id
        self.wording = Wording(article.outlet, article.title, article.summary, article.body, article.event_at)
