"""Tagging: revisions that the tagger has not read are read in batches, one commit a batch.

    store: what nobody reads, noted as being read, one commit -> tagger -> store: tags, and the note is gone, one commit

A note that is left tells that its reader died: the revisions are then read one by one, each with a note of its own, so
that one that kills its readers, or cannot be read, is set aside at last and keeps no other waiting.
"""

import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any, Protocol

from config import definitions
from config.settings import OTHER_MODEL, get_settings
from ingest.text import storable
from models.articles import Revision
from models.database import Database
from models.errors import BadInput, BadRow, DatabaseBusy, DatabaseUnavailable, StoryshiftError
from models.store import tags as tag_store
from models.store.tags import Batch
from models.tags import NarrativeScore, Tagged, Text

BATCH = 1_000
BEAT_SECONDS = 15.0
"""So often a reader says that it lives."""
OFFERS = 6
"""So often what was read is offered to a database that others hold."""
ALL_BAD = 5
"""So many revisions of which none can be read are not at fault: the tagger is."""
LOOK_THROUGH_EVERY = timedelta(minutes=10)
REASON_CHARACTERS = 300
log = logging.getLogger("storyshift.tag")


class Tagger(Protocol):
    name: str

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]: ...


def live_tagger(*, threads: int | None = None) -> Tagger:
    """The tagger of the settings; minilm reads in so many threads (None: as many as cores). Raises: ConfigError."""
    definitions.live_tagger_name()  # weights that are not there are named
    tagger, sentiment = get_settings().tagger, get_settings().sentiment
    if not sentiment:
        return tagger_named(tagger, threads=threads)
    from nlp.huggingface import WithSentiment

    told = definitions.sentiment_model(sentiment)
    return WithSentiment(tagger_named(tagger, threads=threads), sentiment, told)


def tagger_named(name: str, *, threads: int | None = None) -> Tagger:
    """minilm, keywords or hf:OWNER/NAME@REVISION. Raises: BadInput, ConfigError."""
    if name == "keywords":
        return baseline_tagger()
    if name == "minilm":
        from nlp.minilm import Encoder, MiniLMTagger

        return MiniLMTagger(definitions.narratives(), definitions.assets(), Encoder(threads=threads))
    if not OTHER_MODEL.fullmatch(name):
        raise BadInput(f"{name!r} is no tagger; it must be minilm, keywords or hf:OWNER/NAME@REVISION.")
    from nlp.huggingface import HuggingFaceTagger

    return HuggingFaceTagger(name, definitions.tagger_model(name), definitions.narratives(), definitions.assets())


def baseline_tagger() -> Tagger:
    from nlp.keywords import KeywordTagger

    return KeywordTagger(definitions.narratives(), definitions.assets())


def tag_untagged(
    database: Database,
    tagger: Tagger,
    *,
    clock: Callable[[], datetime],
    within: tuple[int, int | None] = (1, None),
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Read what the tagger has not read and nobody else reads; only `within` a first and a last id.

    `progress` is told (done, of). Returns how many revisions were read.
    Raises: what the tagger raises, where that is not one text's fault.
    """
    languages = get_settings().tagged_languages()
    waiting, done, after, last = 0, 0, within[0] - 1, within[1]
    if not waiting_ranges(database, tagger.name, first=within[0], most=1, size=1, now=clock()):
        return 0  # so that no writer waits where there is nothing to read
    with database.read() as session:
        if progress is not None:
            waiting = tag_store.count_untagged(session, tagger.name, languages=languages)
    with _Alive(database, clock) as alive:
        while True:
            with database.write() as session:
                for note in tag_store.set_dead_aside(session, tagger.name, now=clock()):
                    log.warning("set aside revision=%d tagger=%s: %s", note.first_id, tagger.name, note.reason)
                batch = tag_store.claim_untagged(
                    session, tagger.name, after=after, upto=last, limit=BATCH, languages=languages, now=clock()
                )
            if batch is None:
                return done
            done += _read(database, tagger, batch, clock, alive)
            if not batch.one_by_one:
                after = batch.revisions[-1].id or after
            if progress is not None:
                progress(done, max(waiting, done))


class FirstUnread:
    """Remembers from which id on to look for unread revisions, so that a round need not go through the whole record.

    It goes through it now and then: with others beside it, lower ids may appear after higher ones, or be tried again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: tuple[str, datetime, int] | None = None

    def look(self, tagger: str, *, now: datetime) -> int:
        """For the tagger of this name. Raises: DatabaseUnavailable."""
        if self._found is not None:
            name, at, first = self._found
            if name == tagger and timedelta(0) <= now - at < LOOK_THROUGH_EVERY:
                return first
        with self._database.read() as session:
            first = tag_store.first_unread(session, tagger, languages=get_settings().tagged_languages())
        self._found = tagger, now, first
        return first


def waiting_ranges(
    database: Database, tagger: str, *, first: int, most: int, now: datetime, size: int | None = None
) -> list[tuple[int, int]]:
    """(first id, last id) of up to `most` batches that the tagger of this name has not read and nobody reads."""
    languages = get_settings().tagged_languages()
    with database.read() as session:
        return tag_store.unread_ranges(
            session, tagger, after=first - 1, size=size or BATCH, most=most, languages=languages, now=now
        )


def read_by_others(database: Database, tagger: Tagger) -> int:
    """How many revisions are left that someone reads, or that failed not long ago."""
    with database.read() as session:
        return tag_store.count_untagged(session, tagger.name, languages=get_settings().tagged_languages())


def retry_set_aside(database: Database, tagger: Tagger) -> int:
    """Let the tagger try again what it set aside. Returns how many revisions those are."""
    with database.write() as session:
        aside = tag_store.set_aside(session, tagger.name)
        tag_store.forget_notes(session, [note.id or 0 for note in aside])
    return len(aside)


class _Alive:
    """Says at every beat that who reads what it holds lives, in a thread that dies with its process."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self.notes: set[int] = set()
        self._database, self._clock = database, clock
        self._over = Event()
        self._thread = Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "_Alive":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Who leaves by an error, Ctrl-C too, leaves no note: another may read that at once."""
        self._over.set()
        self._thread.join()
        if kind is not None and self.notes:
            with suppress(DatabaseUnavailable), self._database.write() as session:
                tag_store.forget_notes(session, self.notes)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                with self._database.write() as session:
                    tag_store.keep_alive(session, self.notes.copy(), now=self._clock())
            except DatabaseUnavailable:
                pass
            except Exception:
                log.exception("beat failed unexpectedly")


def _read(database: Database, tagger: Tagger, batch: Batch, clock: Callable[[], datetime], alive: _Alive) -> int:
    """How many of the batch were read."""
    note, read = batch.note.id or 0, None
    alive.notes.add(note)
    if not batch.one_by_one:
        try:
            read = _tag(database, tagger, batch.revisions, note, clock)
        except StoryshiftError:
            raise
        except Exception as error:
            log.warning("could not read texts=%d tagger=%s: %s", len(batch.revisions), tagger.name, _said(error))
    if read is None:
        read = _read_one_by_one(database, tagger, batch, clock, alive)
    alive.notes.discard(note)
    return read


def _read_one_by_one(
    database: Database, tagger: Tagger, batch: Batch, clock: Callable[[], datetime], alive: _Alive
) -> int:
    read, failed = 0, []
    for revision in batch.revisions:
        with database.write() as session:
            note = tag_store.begin_one(session, batch.note, revision.id or 0, now=clock())
        alive.notes.add(note)
        try:
            read += _tag(database, tagger, [revision], note, clock)
        except StoryshiftError:
            raise
        except Exception as error:
            failed.append(note)
            if not read and len(failed) == len(batch.revisions) >= ALL_BAD:
                alive.notes.update(failed)
                raise
            with database.write() as session:
                is_aside = tag_store.note_failure(session, note, _said(error), now=clock())
            said = revision.id, tagger.name, _said(error)
            if is_aside:
                log.warning("set aside revision=%d tagger=%s: %s", *said)
            else:
                log.warning("could not read revision=%d tagger=%s: %s", *said)
        alive.notes.discard(note)
    return read


def _tag(
    database: Database, tagger: Tagger, revisions: Sequence[Revision], note: int, clock: Callable[[], datetime]
) -> int:
    """Read these revisions and keep what is said of them; the note that they are being read goes with it."""
    results = list(tagger.tag(_text(revision) for revision in revisions))
    pairs = [(revision.id or 0, result) for revision, result in zip(revisions, results, strict=True)]
    for left in reversed(range(OFFERS)):
        try:
            with database.write() as session:
                tag_store.save_tags(session, tagger.name, pairs, now=clock())
                tag_store.forget_notes(session, [note])
            break
        except DatabaseBusy:  # others are storing theirs: to read anew takes longer than to wait
            if not left:
                raise
    return len(pairs)


def _said(error: Exception) -> str:
    return storable(f"{type(error).__name__}: {error}")[:REASON_CHARACTERS]


def _text(revision: Revision) -> Text:
    return Text(str(revision.id), {"title": revision.title, "summary": revision.summary, "body": revision.body})


def read_line(path: str, number: int, line: str) -> Text:
    """A line {"id", "text"} or {"id", "title", "summary", "body"} as a text. Raises: BadRow."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow(path, number, f"is not JSON ({error}).") from None
    if not isinstance(row, dict) or "id" not in row:
        raise BadRow(path, number, 'is not an object with an "id".')
    fields = {name: row[name] for name in ("title", "summary", "body", "text") if row.get(name) is not None}
    if not fields:
        raise BadRow(path, number, 'has neither "text" nor any of "title", "summary", "body".')
    wrong = [name for name, value in fields.items() if not isinstance(value, str)]
    if wrong:
        raise BadRow(path, number, f"{wrong[0]} is not text.")
    return Text(_whole(str(row["id"])), {name: _whole(value) for name, value in fields.items()})


def _whole(text: str) -> str:
    """Halves of characters (lone surrogates) replaced one for one, so that offsets hold."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def result_line(tagged: Tagged, tagger: str) -> dict[str, Any]:
    """What `storyshift tag --input` writes for one text."""
    return {
        "id": tagged.id,
        "narratives": {tag.narrative: _narrative(tag) for tag in tagged.narratives},
        "assets": [
            {
                "asset": mention.asset,
                "tone": mention.tone,
                "salience": mention.salience,
                "spans": [{"field": s.field, "start": s.start, "end": s.end} for s in mention.spans],
            }
            for mention in tagged.assets
        ],
        "tagger": tagger,
    }


def _narrative(tag: NarrativeScore) -> dict[str, Any]:
    evidence = [{"field": s.field, "start": s.start, "end": s.end, "text": s.text} for s in tag.evidence]
    said = {"score": tag.score, "label": tag.label, "direction": tag.direction, "evidence": evidence}
    return said if tag.modality is None else said | {"modality": tag.modality}
