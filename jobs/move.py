"""A whole record from one database into another, into one file, and back: copied by batches, then compared row by row.

What has been copied is seen in the target itself: its rows are the first ones of the record, table after table. So a
move that was killed goes on where it was, and a target that holds anything else is refused.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlmodel import Session

from models.database import Database
from models.errors import BadFile, BadInput, DatabaseUnavailable
from models.store import moving

Told = Callable[[int, int], None]
SHOWN = 12
"""Letters of a checksum."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A table on both sides. `differs_at`: the first key whose row is not the same, or is on one side only."""

    table: str
    rows: int
    rows_there: int
    checksum: str | None
    """Of its rows in the order of their keys, whatever database holds them; None where they differ."""
    differs_at: str | None = None


def move(source: Database, target: Database, *, progress: Told | None = None) -> list[Compared]:
    """All of `source` into `target`, which is migrated, and empty or holds the beginning of a move of the same record.

    What is written into the source meanwhile is not moved; it shows as a difference. `progress` is told (rows, of).
    Raises: BadInput if the target holds anything else; DatabaseUnavailable if it does not take a row.
    """
    refuse_itself(source, target)
    with moving.still(source) as reading:
        count = _copy(reading, target, str(source), progress)
    with moving.still(source) as ours, moving.still(target) as theirs:
        return compare(ours, theirs, _after(count, progress))


def backup(source: Database, file: Path, *, overwrite: bool = False, progress: Told | None = None) -> list[Compared]:
    """One state of the record into one SQLite file that only its owner may read. Others may write meanwhile.

    `progress` is told (rows, of). Raises: BadFile; then there is no new file, and an older one is as it was.
    """
    _refuse_file(source, file, overwrite)
    with _part(file) as part, moving.still(source) as reading:
        if source.is_sqlite:
            moving.copy_file(reading, part)
            count = 0
        else:
            count = _into_file(reading, part, str(source), progress)
        moving.close_file(part)
        with moving.read_file(part) as written:
            compared = compare(reading, written, _after(count, progress))
        if wrong := [one for one in compared if one.differs_at]:
            raise BadFile(str(file), f"was not written: {sentence(wrong[0])}")
    return compared


def _into_file(reading: Session, part: Path, name: str, progress: Told | None) -> int:
    try:
        with closing(moving.begin_file(part)) as target:
            return _copy(reading, target, name, progress)
    except DatabaseUnavailable as error:
        raise BadFile(str(part), str(error)) from error


def restore(file: Path, url: str, *, progress: Told | None = None) -> list[Compared]:
    """The record of a file into the database at `url`, as `move` does. An older version's is migrated as a copy of it.

    Raises: BadFile if it is not a whole record; then no database is made. BadInput, DatabaseUnavailable as `move` does.
    """
    there = moving.file_at(url)
    if there is not None and _same_file(file, there):
        raise BadInput(f"{file} is the database itself. Restore it into another, which is empty.")
    newest = moving.check_file(file)
    with ExitStack() as stack:
        target = Database.open(url)
        stack.callback(target.close)
        if not newest:
            file = _migrated_copy(file, Path(stack.enter_context(TemporaryDirectory(prefix="storyshift-"))))
        reading = stack.enter_context(moving.read_file(file))
        count = _copy(reading, target, str(file), progress)
        with moving.still(target) as written:
            return compare(reading, written, _after(count, progress))


def refuse_itself(source: Database, target: Database) -> None:
    """Raises: BadInput if both are one database."""
    here, there = (Path(one.url.database or "") for one in (source, target))
    if source.url == target.url or (source.is_sqlite and target.is_sqlite and _same_file(here, there)):
        raise BadInput(f"{target} is the database itself. Name another one, which is empty.")


def _copy(reading: Session, target: Database, name: str, progress: Told | None) -> int:
    """The rows that were read, once all are there."""
    counts = [moving.count(reading, table) for table in moving.tables()]
    held = _held(reading, counts, target, name)
    done, of = sum(held), 2 * sum(counts)
    for table, has in zip(moving.tables(), held, strict=True):
        with closing(moving.read(reading, table, skip=has)) as batches:
            for rows in batches:
                with target.write() as session:
                    moving.append(session, table, rows)
                done += len(rows)
                if progress is not None:
                    progress(done, of)
    with target.write() as session:
        moving.settle(session)
    return done


def _held(reading: Session, counts: Sequence[int], target: Database, name: str) -> list[int]:
    """How many rows of each table the target holds, each table's first ones. Raises: BadInput if it holds others."""
    with moving.still(target) as writing:
        held = [moving.count(writing, table) for table in moving.tables()]
        whole = True
        for table, n, has in zip(moving.tables(), counts, held, strict=True):
            at = _compared(reading, writing, table, most=has)[1] if has else None
            if at is None and has and not whole:
                at = "its first row, before others were complete"
            if at is not None:
                raise BadInput(
                    f"{target} holds something already, and not the beginning of {name} as it is now (table "
                    f"{table.name}, {at}). Name an empty database."
                )
            whole = whole and has == n
    return held


def compare(ours: Session, theirs: Session, progress: Told | None = None) -> list[Compared]:
    """Each table of two records, row by row."""
    found: list[Compared] = []
    counts = [moving.count(ours, table) for table in moving.tables()]
    done, of = 0, sum(counts)
    for table, n in zip(moving.tables(), counts, strict=True):
        told = None if progress is None else partial(_further, progress, done, of)
        checksum, at = _compared(ours, theirs, table, told=told)
        found.append(Compared(table.name, n, moving.count(theirs, table), checksum, at))
        done += n
    return found


def _compared(
    ours: Session, theirs: Session, table: Any, *, most: int | None = None, told: Callable[[int], None] | None = None
) -> tuple[str | None, str | None]:
    """The checksum if the first `most` rows are the same, else the first key at which they are not."""
    digest, done = sha256(), 0
    with closing(moving.read(ours, table, most=most)) as left, closing(moving.read(theirs, table)) as right:
        for here, there in zip_longest(left, right, fillvalue=list[moving.Row]()):
            if here != there:
                one, other = next((a, b) for a, b in zip_longest(here, there) if a != b)
                keys = [moving.key_of(table, row) for row in (one, other) if row is not None]
                return None, " / ".join(dict.fromkeys(keys))
            digest.update("".join(map(repr, here)).encode())
            done += len(here)
            if told is not None:
                told(done)
    return digest.hexdigest()[:SHOWN], None


def sentence(one: Compared) -> str:
    return f"table {one.table} is not the same from {one.differs_at} on ({one.rows:,} rows, {one.rows_there:,} there)."


def _further(progress: Told, before: int, of: int, done: int) -> None:
    progress(before + done, of)


def _after(before: int, progress: Told | None) -> Told | None:
    """Tells of work that follows on another."""
    return None if progress is None else lambda done, of: progress(before + done, before + of)


# -- the file ---------------------------------------------------------------------------------------------------------


def _refuse_file(source: Database, file: Path, overwrite: bool) -> None:
    said = str(file)
    if source.is_sqlite and _same_file(file, Path(source.url.database or "")):
        raise BadFile(said, "is the database itself. Name another file.")
    if file.exists() and not file.is_file():
        raise BadFile(said, "is not a file.")
    if file.exists() and not overwrite:
        raise BadFile(said, "is there already; --overwrite puts the new backup in its place.")
    for end in ("-wal", "-journal"):  # SQLite would take what stands in it for a part of the backup
        beside = file.with_name(file.name + end)
        if beside.exists() and beside.stat().st_size:
            raise BadFile(said, f"has {beside.name} beside it: a database of that name is in use. Name another file.")


@contextmanager
def _part(file: Path) -> Iterator[Path]:
    """An empty file beside `file`: a database that takes its name once it is whole, and goes if it never is."""
    part = file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        raise BadFile(str(part), f"cannot be written ({error.strerror}).") from error
    try:  # it stays open, so that no other file can have its number; SQLite has closed its own by the end
        yield part
        if not _is_still(descriptor, part):
            raise BadFile(str(part), "was replaced by another backup into the same file. Wait for that one.")
        moving.finish_file(part)
        os.fsync(descriptor)
        part.replace(file)
        _sync(file.parent)
    finally:
        if _is_still(descriptor, part):
            for end in ("", "-journal", "-wal", "-shm"):
                part.with_name(part.name + end).unlink(missing_ok=True)
        os.close(descriptor)


def _is_still(descriptor: int, path: Path) -> bool:
    return path.exists() and os.path.samestat(os.fstat(descriptor), path.stat())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _migrated_copy(file: Path, folder: Path) -> Path:
    copy = folder / "older.db"
    with moving.read_file(file) as reading:
        moving.copy_file(reading, copy)
    Database.open(f"sqlite:///{copy}").close()
    return copy


def _same_file(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)
