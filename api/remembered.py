"""Answers that were worked out are given again while the record is as it was, to whoever asks the same.

Within a moment - nothing is committed, for five minutes at most - every question is answered as of the same instant, so
that what several need, such as the history of θ, is read once. An answer that speaks of now may so be KEEP_SECONDS old;
what was committed meanwhile is in it. Several who ask the same at once wait for one to work it out.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import BoundedSemaphore, Lock
from typing import Any

from models.database import Database

KEEP_SECONDS = 300
MAX_BYTES = 64_000_000
AT_ONCE = 2
"""Answers that are worked out beside each other: more would each take as much memory, and none come sooner."""


@dataclass(frozen=True, slots=True)
class Written:
    """The body of an answer, its ETag, and what else stands in its head."""

    etag: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moment:
    """The instant of which all is answered while the record is as it was, and what was read for it."""

    name: Hashable
    now: datetime
    read: dict[Hashable, Any] = field(default_factory=dict)


class Remembered:
    """The answers of one application at the latest moment; those asked for longest ago are forgotten first."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database, self._clock = database, clock
        self._answers: OrderedDict[Hashable, Written] = OrderedDict()
        self._bytes = 0
        self._moment: Moment | None = None
        self._lock = Lock()
        self._asked: defaultdict[Hashable, Lock] = defaultdict(Lock)
        self._at_once = BoundedSemaphore(AT_ONCE)

    def get(self, question: Hashable, work_out: Callable[[Moment], Written]) -> Written:
        """Raises: what work_out raises; that is not remembered."""
        moment = self._now()
        key = (question, moment.name)
        with self._lock:
            turn = self._asked[key]
        with turn:
            found = self._find(key)
            if found is None:
                try:
                    with self._at_once:
                        found = work_out(moment)
                    self._keep(key, moment, found)
                finally:
                    with self._lock:
                        self._asked.pop(key, None)
            return found

    def _now(self) -> Moment:
        now = self._clock()
        name = (self._database.version(), int(now.timestamp() // KEEP_SECONDS))
        with self._lock:
            if self._moment is None or self._moment.name != name:
                self._moment = Moment(name, now)
                self._answers.clear()  # an earlier moment does not come again
                self._bytes = 0
            return self._moment

    def _find(self, key: Hashable) -> Written | None:
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                self._asked.pop(key, None)
            return self._answers.get(key)

    def _keep(self, key: Hashable, moment: Moment, answer: Written) -> None:
        with self._lock:
            if moment is not self._moment:
                return
            self._answers[key] = answer
            self._bytes += len(answer.body)
            while self._bytes > MAX_BYTES:
                _, forgotten = self._answers.popitem(last=False)
                self._bytes -= len(forgotten.body)
