"""Tagging archives of any size, block by block, in processes beside each other.

    file -> blocks of rows -> a worker: articles (ingest.archives), what the tagger says -> FILE.tags/part-….parquet
         -> from the parts into the store, one commit a batch

A part is whole or not there, and knows which rows it was made of: a block whose part is there is passed over, so that
what was stopped or killed goes on where it was. One reader hands out rows; what is held at once does not grow with the
file. `tag_block` is what both engines run: jobs/backfill_local.py, jobs/backfill_ray.py. What a part holds, and how it
comes into the store: jobs/backfill_parts.py.
"""

import fcntl
import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from time import perf_counter
from typing import Any

from config import definitions
from config.settings import get_settings
from ingest.archives import NEEDS, read_article
from ingest.rows import Row, RowFile
from jobs.backfill_parts import part_row, schema
from jobs.tag import Tagger, live_tagger
from models.errors import BadFile, BadInput, BadRow, ConfigError
from models.found import FoundArticle
from models.store.sql import chunks
from models.tags import Text

BLOCK = 5_000
"""Rows of a part."""
TRIES = 3
"""How often a block is begun whose worker dies of it."""
FILES_AT_ONCE = 200
"""Whose folders are held."""
REFUSED_KEPT = 1_000
"""Refused rows of a file that are listed; all are counted, and each stands in its part."""
FORM = 1
"""Changes when a part of the same rows would look otherwise."""
MARK = b"storyshift"


def one_thread() -> Tagger:
    """The tagger of the settings, for a process that has others beside it. Raises: ConfigError."""
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    return live_tagger(threads=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """What every worker must know. `output` holds the folders of parts; None: each lies beside its file."""

    tagger: str
    languages: tuple[str, ...]
    now: datetime
    output: Path | None = None
    rows: int = BLOCK
    make_tagger: Callable[[], Tagger] = one_thread

    def folder(self, file: Path) -> Path:
        return (self.output or file.parent) / f"{file.name}.tags"

    def part(self, file: Path, number: int) -> Path:
        return self.folder(file) / f"part-{number:06d}.parquet"


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that stand one after the other in a file, each with its line; a row that cannot be read is its reason.

    `digest` tells these rows, the tagger and its languages from others. `size`: bytes of the file that they took.
    """

    file: Path
    number: int
    rows: list[tuple[int, Row | str]]
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a block; or, where `number` is None, why its file could be read no further."""

    file: Path
    number: int | None
    rows: int = 0
    tagged: int = 0
    other_languages: int = 0
    refused: tuple[tuple[int, str], ...] = ()
    size: int = 0
    passed_over: bool = False
    set_aside: str = ""
    """Why there is no part."""
    stops: str = ""
    """Why no other block can do better."""


@dataclass(slots=True)
class FileReport:
    """Rows and what became of them; of those tagged, `before` had been tagged by an earlier run."""

    file: str
    folder: str
    rows: int = 0
    tagged: int = 0
    before: int = 0
    other_languages: int = 0
    refused_rows: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)
    """The first of them, by line and reason."""
    failed: list[str] = field(default_factory=list)
    """Blocks that were set aside, and why the file could be read no further."""
    parts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class BackfillReport:
    tagger: str
    workers: int
    files: list[FileReport]
    seconds: float = 0.0


Engine = Callable[[Plan, Sequence[Path], int], Generator[Told, None, None]]
Progress = Callable[[int, int, int], None]


def plan_of(*, now: datetime, output: Path | None = None) -> Plan:
    """As the settings say. Raises: ConfigError."""
    return Plan(definitions.live_tagger_name(), get_settings().tagged_languages(), now, output)


def backfill(
    plan: Plan, files: Sequence[Path], run: Engine, *, workers: int, progress: Progress | None = None
) -> BackfillReport:
    """Tag the files. `progress` is told (bytes done, of, rows tagged in this run). What fails stands in the report.

    Raises: BadInput, ConfigError, BadFile where parts cannot be written. Parts that are whole stay.
    """
    began = perf_counter()
    folders = [plan.folder(file) for file in files]
    if twice := next((folder for folder in folders if folders.count(folder) > 1), None):
        raise BadInput(f"Two files would have their tags in {twice}; bring them in one after the other.")
    reports = {file: FileReport(str(file), str(folder)) for file, folder in zip(files, folders, strict=True)}
    readable = {file for file in files if _is_readable(file)}  # of the others it is told when their turn comes
    total, done, rows = sum(file.stat().st_size for file in readable), 0, 0
    for some in chunks(files, FILES_AT_ONCE):
        with ExitStack() as stack:
            for file in some:
                if file in readable:
                    stack.enter_context(_alone_in(plan.folder(file)))
            for told in stack.enter_context(closing(run(plan, some, workers))):
                if told.stops:
                    raise BadFile(str(plan.folder(told.file)), told.stops)
                _add(reports[told.file], told)
                done += told.size
                rows += 0 if told.passed_over else told.rows
                if progress is not None:
                    progress(min(done, total), total, rows)
    for report in reports.values():
        report.parts.sort()
        _keep_first(report.refused)
    return BackfillReport(plan.tagger, workers, list(reports.values()), round(perf_counter() - began, 3))


def _is_readable(file: Path) -> bool:
    try:
        RowFile(file)
    except BadFile:
        return False
    return True


def _add(report: FileReport, told: Told) -> None:
    if told.set_aside:
        report.failed.append(told.set_aside)
    if told.number is None:
        return
    report.rows += told.rows
    report.tagged += told.tagged
    report.before += told.tagged if told.passed_over else 0
    report.other_languages += told.other_languages
    report.refused_rows += len(told.refused)
    if not told.set_aside:
        report.parts.append(told.number)
    report.refused += told.refused
    if len(report.refused) > 2 * REFUSED_KEPT:
        _keep_first(report.refused)


def _keep_first(refused: list[tuple[int, str]]) -> None:
    """Blocks come in any order."""
    refused.sort()
    del refused[REFUSED_KEPT:]


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """The folder, made and cleared of what a killed run began; nobody else writes there until it is left."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise BadFile(str(folder), f"cannot be written ({error.strerror}). Name another with --output.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadFile(
                str(folder), "another backfill writes there. Wait for it, or name another --output."
            ) from None
        for begun in folder.glob(".part-*"):
            begun.unlink(missing_ok=True)
        yield


# -- blocks -----------------------------------------------------------------------------------------------------------


def read_blocks(plan: Plan, file: Path) -> Iterator[Block | Told]:
    """The blocks of a file that are to be tagged, and what is known of the others; last, why it ends too soon."""
    parts = set()
    try:
        for block in _blocks(plan, file):
            parts.add(plan.part(file, block.number))
            yield _told_before(plan, block) or block
    except BadFile as error:
        yield Told(file, None, set_aside=error.reason)
        return
    for part in set(plan.folder(file).glob("part-*.parquet")) - parts:  # of rows that the file no longer has
        part.unlink()


def _blocks(plan: Plan, file: Path) -> Iterator[Block]:
    """Raises: BadFile, after a block of the rows before the break."""
    source = RowFile(file, needs=NEEDS)
    rows: list[tuple[int, Row | str]] = []
    number, read, broken = 0, 0, None

    def block() -> Block:
        nonlocal number, read
        position = max(read, source.position)
        found = Block(file, number, rows, _digest(plan, rows), position - read)
        number, read = number + 1, position
        return found

    try:
        for line, row in source:
            rows.append((line, row.reason if isinstance(row, BadRow) else row))
            if len(rows) == plan.rows:
                yield block()
                rows = []
    except BadFile as error:
        broken = error
    if rows:
        yield block()
    if broken is not None:
        raise broken


def _digest(plan: Plan, rows: list[tuple[int, Row | str]]) -> str:
    said = repr((FORM, plan.tagger, plan.languages, rows))
    return blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _told_before(plan: Plan, block: Block) -> Told | None:
    """What an earlier run made of the same rows, if its part is there and whole."""
    import pyarrow
    import pyarrow.parquet

    try:
        metadata = pyarrow.parquet.read_schema(plan.part(block.file, block.number)).metadata or {}
        said = json.loads(metadata.get(MARK, b"{}"))
    except (OSError, ValueError, pyarrow.ArrowException):
        return None
    if said.get("digest") != block.digest:
        return None
    return Told(
        block.file,
        block.number,
        len(block.rows),
        said["tagged"],
        said["other_languages"],
        tuple((line, reason) for line, reason in said["refused"]),
        block.size,
        passed_over=True,
    )


# -- one block, in a worker -------------------------------------------------------------------------------------------


def tagger_of(plan: Plan) -> Tagger:
    """The tagger of this process. Raises: ConfigError if it is not that of the plan."""
    tagger = plan.make_tagger()
    if tagger.name != plan.tagger:
        raise ConfigError(
            f"A worker has the tagger {tagger.name}, not {plan.tagger}: its weights or its narratives.toml are others."
        )
    return tagger


def tag_block(plan: Plan, tagger: Tagger, block: Block) -> Told:
    """Read and tag the rows and write their part. Raises nothing: what went wrong is told."""
    part = plan.part(block.file, block.number)
    tries = part.with_name(f".{part.stem}.tries")  # counted where they are seen by whoever tries next
    told = Told(block.file, block.number, rows=len(block.rows), size=block.size)
    lines = f"lines {block.rows[0][0]:,} to {block.rows[-1][0]:,} are set aside: "
    try:
        with tries.open("ab") as counted:
            counted.write(b".")
            begun = counted.tell()
        if begun <= TRIES:
            told = replace(told, **_write_part(plan, tagger, block, part))
        else:
            told = replace(told, set_aside=f"{lines}the process that tagged them died {TRIES} times.")
        tries.unlink()
    except OSError as error:
        return replace(told, stops=f"cannot be written ({error.strerror or error}).")
    except Exception as error:
        tries.unlink(missing_ok=True)
        return replace(told, set_aside=f"{lines}{type(error).__name__}: {error}")
    return told


def _write_part(plan: Plan, tagger: Tagger, block: Block, part: Path) -> dict[str, Any]:
    import pyarrow
    import pyarrow.parquet

    articles, refused = _articles(block, plan.now)
    ours = {line for line, article in articles if _written_in(article.language, plan.languages)}
    texts = (
        Text(str(line), {"title": article.title, "summary": article.summary, "body": article.body})
        for line, article in articles
        if line in ours
    )
    tagged = {int(result.id): result for result in tagger.tag(texts)}
    said: dict[str, Any] = {"tagged": len(tagged), "other_languages": len(articles) - len(tagged)}
    mark = json.dumps({"digest": block.digest, **said, "refused": refused})
    rows = [part_row(line, article, tagged.get(line), tagger.name) for line, article in articles]
    table = pyarrow.Table.from_pylist(rows, schema=schema().with_metadata({MARK: mark.encode()}))
    begun = part.with_name(f".{part.stem}.{os.getpid()}")
    pyarrow.parquet.write_table(table, begun, compression="zstd")
    begun.replace(part)
    return said | {"refused": tuple(refused)}


def _articles(block: Block, now: datetime) -> tuple[list[tuple[int, FoundArticle]], list[tuple[int, str]]]:
    articles: list[tuple[int, FoundArticle]] = []
    refused: list[tuple[int, str]] = []
    for line, row in block.rows:
        if isinstance(row, str):
            refused.append((line, row))
            continue
        try:
            articles.append((line, read_article(row, now=now)))
        except ValueError as error:
            refused.append((line, str(error)))
    return articles, refused


def _written_in(language: str, languages: Sequence[str]) -> bool:
    """As models.store.tags.untagged has it: en means en and en-GB."""
    return any(language.lower() == name or language.lower().startswith(f"{name}-") for name in languages)
