"""Reviews to files and from files: our JSONL, and the tasks of Label Studio. Batches with a transaction each.

An imported review counts from the import on, whenever it was given: before, nobody here could know of it.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Literal

from sqlmodel import Session

from config.definitions import live_tagger_name
from ingest.text import one_line, plain_text
from models.database import Database
from models.errors import BadFile, BadInput
from models.found import FoundArticle
from models.reviews import Review
from models.store import review_files as store
from models.store import tags as tag_store
from models.store.articles import content_hash
from models.store.review_files import Wording
from models.store.reviews import add_reviews
from services import label_studio
from services.review import Given, review_of
from services.review_rows import (
    DASH,
    Refusal,
    Sought,
    Told,
    json_line,
    made_uid,
    name_of,
    parse,
    read_lines,
    shown,
    write_row,
)

FileFormat = Literal["jsonl", "label-studio"]
MEDIA_TYPES: dict[str, str] = {"jsonl": "application/x-ndjson", "label-studio": "application/json"}
BATCH = 500
MOST_SPLITS = 8
"""Places where a text may be cut into title and summary."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ANY = FoundArticle("", "", "", "", "", None, "", "archive", EPOCH, EPOCH, "assumed")


@dataclass(slots=True)
class ImportedReviews:
    """What became of a file. `rows`: reviews read; `no_article`: those refused because their text is not here."""

    file: str
    unit: str = "line"
    rows: int = 0
    imported: int = 0
    known: int = 0
    no_article: int = 0
    seconds: float = 0.0
    refused: list[Refusal] = field(default_factory=list)


# -- export ----------------------------------------------------------------------------------------------------------


def export(database: Database, form: FileFormat, *, now: datetime, every: bool = False) -> Iterator[bytes]:
    """The file, piece by piece, as of `now`; each piece is read in a session of its own.

    `every`: skipped and undone reviews, and those of texts that were taken down, too. Raises: BadInput.
    """
    if form == "jsonl":
        return _lines(database, now, every)
    label_studio.check_names()
    return _tasks(database, now, every)


def _lines(database: Database, now: datetime, every: bool) -> Iterator[bytes]:
    after: tuple[datetime, int] | None = None
    while True:
        with database.read() as session:
            found = store.reviews_after(session, after, as_of=now, every=every, limit=BATCH)
            chances = store.inclusion_probabilities(session, [one.review.revision_id for one in found])
        if not found:
            return
        last = found[-1].review
        after = last.given_at, last.id or 0
        yield b"".join(json_line(write_row(one, chances.get(one.review.revision_id))) for one in found)


def _tasks(database: Database, now: datetime, every: bool) -> Iterator[bytes]:
    after, before, tagger = 0, b"[\n", live_tagger_name()
    while True:
        with database.read() as session:
            found = store.reviews_by_wording(session, after, as_of=now, every=every, limit=BATCH)
            chances = store.inclusion_probabilities(session, list(found))
            narratives, assets = tag_store.tags_of(session, list(found), tagger)
            read = narratives.keys() | assets.keys()
        if not found:
            break
        after = max(found)
        for revision, reviews in found.items():
            told = (narratives.get(revision, []), assets.get(revision, [])) if revision in read else None
            task = label_studio.write_task(revision, reviews, chances.get(revision), tagger, told)
            yield before + json.dumps(task, ensure_ascii=False, allow_nan=False).encode()
            before = b",\n"
    yield (b"[]" if before == b"[\n" else b"\n]") + b"\n"


# -- import ----------------------------------------------------------------------------------------------------------


@contextmanager
def open_file(path: Path) -> Iterator[tuple[Iterable[bytes], Callable[[], tuple[int, int]]]]:
    """The lines of a file, or of what is packed in a .gz; and what tells (bytes read, of). Raises: BadFile."""
    if path.is_dir():
        raise BadFile(str(path), "is a folder; name a file in it.")
    try:
        raw = path.open("rb")
    except FileNotFoundError:
        raise BadFile(str(path), "there is no such file.") from None
    except OSError as error:
        raise BadFile(str(path), f"cannot be read ({error.strerror}).") from None
    packed = path.name.lower().endswith(".gz")
    with raw, gzip.open(raw) if packed else nullcontext(raw) as lines:
        size = path.stat().st_size
        yield lines, lambda: (raw.tell(), size)


def import_reviews(
    database: Database,
    lines: Iterable[bytes],
    *,
    name: str,
    clock: Callable[[], datetime],
    form: FileFormat | None = None,
    reviewer: str = "",
    progress: Callable[[], None] | None = None,
) -> ImportedReviews:
    """Bring reviews in from a file's lines. The same file again adds nothing. `progress` is called after each batch.

    `form`: told by how the file begins, if None. `reviewer`: whose reviews they are where the file does not say.
    Raises: BadFile if nothing of it can be read (what was committed before stays); BadInput if it names no reviewer.
    """
    began = perf_counter()
    report = ImportedReviews(name)
    reviewer = _named(reviewer)
    batch: list[Told] = []
    named = False

    def keep() -> None:
        if batch:
            with database.write() as session:
                _keep(session, batch, report, now=clock())
            batch.clear()
            if progress is not None:
                progress()

    try:
        for told in _read(lines, form, reviewer, report):
            report.rows += 1
            if isinstance(told, Refusal):
                report.refused.append(told)
            elif not told.reviewer and not named:
                raise BadInput(f"{name} does not say who reviewed. Name them: --reviewer NAME (over HTTP ?reviewer=).")
            elif not told.reviewer:
                report.refused.append(Refusal(told.line, "names no reviewer."))
            else:
                named = True
                batch.append(told)
            if len(batch) >= BATCH:
                keep()
    except (BadFile, KeyboardInterrupt):
        keep()  # the file breaks off, or a person stops it: what was read is kept
        raise
    keep()
    report.refused.sort(key=lambda one: one.line)
    report.seconds = round(perf_counter() - began, 3)
    return report


def _named(reviewer: str) -> str:
    try:
        return name_of(reviewer, "reviewer")
    except ValueError as error:
        raise BadInput(str(error)) from None


def _read(
    lines: Iterable[bytes], form: FileFormat | None, reviewer: str, report: ImportedReviews
) -> Iterator[Told | Refusal]:
    """Raises: BadFile."""
    try:
        head, rest = _begin(iter(lines))
        begins = _bare(head[-1])[:1] if head else b""
        if head and begins not in (b"{", b"["):
            raise BadFile(report.file, _no_reviews(head[-1]))
        if form == "label-studio" or (form is None and begins == b"["):
            report.unit = "task"
            if head:
                yield from label_studio.read_tasks(_document(chain(head, rest), report.file), reviewer)
        else:
            yield from read_lines(chain(head, rest), reviewer)
    except (EOFError, zlib.error, OSError) as error:
        raise BadFile(report.file, f"cannot be read further ({error}). What came before was read.") from None


def _begin(lines: Iterator[bytes]) -> tuple[list[bytes], Iterator[bytes]]:
    """The lines up to the first that is not empty, and the others."""
    head = []
    for line in lines:
        head.append(line)
        if _bare(line):
            return head, lines
    return [], lines


def _bare(line: bytes) -> bytes:
    return line.removeprefix(b"\xef\xbb\xbf").strip()


def _no_reviews(line: bytes) -> str:
    try:
        begins = line.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        return "is not UTF-8 text."
    return (
        f"holds no reviews: it begins with {shown(begins)}. It must be JSON lines, or JSON as Label Studio exports it."
    )


def _document(lines: Iterable[bytes], name: str) -> object:
    try:
        found = parse(b"".join(lines))
    except ValueError as error:
        raise BadFile(name, str(error)) from None
    return found


def _keep(session: Session, batch: Sequence[Told], report: ImportedReviews, *, now: datetime) -> None:
    found = _find(session, batch)
    made: list[tuple[Told, str, Review]] = []
    for told, place in zip(batch, found, strict=True):
        if isinstance(place, str):
            report.refused.append(Refusal(told.line, place))
            report.no_article += 1
            continue
        wording, hashed = place
        try:
            review = _review(told, wording, told.uid or made_uid(told, hashed), now)
        except BadInput as error:
            report.refused.append(Refusal(told.line, str(error)))
        else:
            made.append((told, review.uid, review))
    whose = store.reviewers_by_uid(session, {uid for _, uid, _ in made})
    mine = []
    for told, uid, review in made:
        if whose.get(uid, review.reviewer) == review.reviewer:
            mine.append(review)
        else:
            report.refused.append(Refusal(told.line, f"There is a review {uid!r} of {whose[uid]} here already."))
    added = len(add_reviews(session, mine))
    report.imported += added
    report.known += len(mine) - added


def _review(told: Told, wording: Wording, uid: str, now: datetime) -> Review:
    """Raises: BadInput, UnknownName."""
    given = Given(
        uid=uid,
        revision_id=wording.revision_id,
        slice=told.slice,  # type: ignore[arg-type]
        judgement=told.judgement,
        whole=told.whole,
        blind=told.blind,
        skipped=told.skipped,
        note=told.note,
    )
    given_at = now if told.given_at is None else min(told.given_at, now)
    tagger = told.tagger or live_tagger_name()
    review = review_of(given, told.reviewer, given_at=given_at, known_at=now, tagger=tagger)
    if told.undone:
        review.undone_at = now  # it is kept, and never counts here
    return review


def _find(session: Session, batch: Sequence[Told]) -> list[tuple[Wording, str] | str]:
    """The wording of each, with its hash, or why there is none."""
    wanted = [_hashes(told.sought) for told in batch]
    kept = store.wordings(session, set(chain.from_iterable(wanted)))
    return [_choose(told.sought, hashes, kept) for told, hashes in zip(batch, wanted, strict=True)]


def _choose(sought: Sought, hashes: Sequence[str], kept: dict[str, list[Wording]]) -> tuple[Wording, str] | str:
    """Where several articles are worded so, the one of that address, outlet and time, as far as they are told."""
    removed = False
    for hashed in hashes:
        living = [one for one in kept.get(hashed, []) if not one.removed]
        removed |= hashed in kept
        if living:
            return max(living, key=lambda one: _likeness(one, sought)), hashed
    quoted = shown((sought.text or sought.title or sought.content_hash)[:50])
    return f"Its text was taken down here: {quoted}." if removed else f"No article here reads so: {quoted}."


def _likeness(wording: Wording, sought: Sought) -> tuple[bool, bool, bool]:
    return (
        (wording.url or "") == sought.url,
        wording.outlet == sought.outlet,
        wording.published_at == sought.published_at,
    )


def _hashes(sought: Sought) -> list[str]:
    """Under which hashes its wording may be stored, the surest first."""
    found = [sought.content_hash] if re.fullmatch(r"[0-9a-f]{32}", sought.content_hash) else []
    pairs = [(sought.title, sought.summary)] if sought.title else []
    pairs += _cuts(sought.text) if sought.text else []
    pairs += [(one_line(title), plain_text(summary)) for title, summary in pairs]
    found += [content_hash(replace(ANY, title=title, summary=summary)) for title, summary in pairs]
    return list(dict.fromkeys(found))


def _cuts(text: str) -> list[tuple[str, str]]:
    """The text as a title, and cut at each dash into title and summary."""
    parts = text.split(DASH, MOST_SPLITS)
    places = range(1, len(parts))
    return [(text, ""), *((DASH.join(parts[:place]), DASH.join(parts[place:])) for place in places)]
