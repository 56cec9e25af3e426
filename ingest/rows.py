"""Rows of a file that a person gives us: JSON lines, CSV (either also .gz) or Parquet, each with its line number.

A row that cannot be read is yielded as a BadRow in its place; the others go on.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, AnyStr

from models.errors import BadFile, BadRow

Row = dict[str, Any]
FORMATS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".csv", ".csv.gz", ".parquet")
LONGEST_LINE = 2**27
"""Characters or bytes of a line; of a few bytes a compressed file can make one that fills the memory."""
csv.field_size_limit(LONGEST_LINE)


class RowFile:
    """The rows of one file. Iterating yields (line, row or BadRow); `position` of `size` bytes tells the progress."""

    def __init__(self, path: Path, *, needs: tuple[str, ...] = ()) -> None:
        """`needs` are columns without which a CSV or Parquet file is refused at once.

        Raises: BadFile if it is not there, cannot be opened or has no name of a known format.
        """
        self.path, self.needs = path, needs
        self.kind = next((f.removesuffix(".gz") for f in FORMATS if path.name.lower().endswith(f)), None)
        if not path.exists():
            raise BadFile(str(path), "there is no such file.")
        if path.is_dir():
            raise BadFile(str(path), "is a folder; name a file in it.")
        if self.kind is None:
            raise BadFile(str(path), f"is none of the formats that can be read: {', '.join(FORMATS)}.")
        self.size = path.stat().st_size
        self._raw: IO[bytes] | None = None

    @property
    def position(self) -> int:
        if self._raw is None:
            return 0
        return self.size if self._raw.closed else self._raw.tell()

    def __iter__(self) -> Iterator[tuple[int, Row | BadRow]]:
        """Raises: BadFile if the file breaks off or lacks a needed column."""
        read = {".csv": self._csv, ".parquet": self._parquet}.get(self.kind or "", self._json_lines)
        line = 0
        try:
            with self.path.open("rb") as self._raw, self._stream(self._raw) as stream:
                for line, row in read(stream):
                    yield line, row
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            if isinstance(error, gzip.BadGzipFile) and not line:
                raise BadFile(str(self.path), f"is not readable as gzip ({error}).") from None
            raise BadFile(
                str(self.path), f"the compressed file breaks off after line {line} ({error}). Rows before it were read."
            ) from None
        except OSError as error:
            raise BadFile(str(self.path), f"cannot be read ({error.strerror or error}).") from None

    def _stream(self, raw: IO[bytes]) -> AbstractContextManager[Any]:
        return gzip.open(raw) if self.path.name.lower().endswith(".gz") else nullcontext(raw)

    def _json_lines(self, stream: IO[bytes]) -> Iterator[tuple[int, Row | BadRow]]:
        for line, text in enumerate(self._lines(stream), 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text.decode("utf-8-sig" if line == 1 else "utf-8"))
            except UnicodeDecodeError:
                yield line, self._bad(line, "is not UTF-8 text.")
            except (ValueError, RecursionError) as error:
                yield line, self._bad(line, f"is not JSON ({error}).")
            else:
                yield line, row if isinstance(row, dict) else self._bad(line, "is not a JSON object {…}.")

    def _csv(self, stream: IO[bytes]) -> Iterator[tuple[int, Row | BadRow]]:
        with TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            yield from self._csv_rows(csv.reader(self._lines(text), strict=True))

    def _lines(self, stream: IO[AnyStr]) -> Iterator[AnyStr]:
        while text := stream.readline(LONGEST_LINE + 1):
            if len(text) > LONGEST_LINE:
                raise BadFile(str(self.path), f"has a line of more than {LONGEST_LINE:,} characters, which no row is.")
            yield text

    def _csv_rows(self, reader: Any) -> Iterator[tuple[int, Row | BadRow]]:
        try:
            names = [name.strip() for name in next(reader, [])]
        except csv.Error as error:
            raise BadFile(str(self.path), f"is not readable as CSV ({error}).") from None
        if any(_is_foreign(name) for name in names):
            raise BadFile(str(self.path), "is not UTF-8 text; save it as UTF-8.")
        self._check(names)
        while True:
            try:
                values = next(reader)
            except StopIteration:
                break
            except csv.Error as error:
                yield reader.line_num, self._bad(reader.line_num, f"is not CSV ({error}).")
                continue
            line = reader.line_num
            if not any(values):
                continue
            if len(values) != len(names):
                yield line, self._bad(line, f"has {len(values)} values under {len(names)} columns.")
            elif any(_is_foreign(value) for value in values):
                yield line, self._bad(line, "is not UTF-8 text.")
            else:
                yield line, dict(zip(names, values, strict=True))

    def _parquet(self, stream: IO[bytes]) -> Iterator[tuple[int, Row | BadRow]]:
        import pyarrow
        import pyarrow.parquet

        line = 0
        try:
            table = pyarrow.parquet.ParquetFile(stream)
            self._check(table.schema_arrow.names)
            for batch in table.iter_batches(batch_size=2_000):
                for row in batch.to_pylist():
                    line += 1
                    yield line, row
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
            raise BadFile(
                str(self.path), f"is not readable as Parquet (after row {line}: {str(error).splitlines()[0]})."
            ) from None

    def _check(self, names: list[str]) -> None:
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise BadFile(str(self.path), f"has two columns named {twice!r}.")
        missing = [name for name in self.needs if name not in names]
        if missing:
            raise BadFile(
                str(self.path),
                f"has no column {' and no column '.join(map(repr, missing))}. "
                f"It needs {', '.join(self.needs)}; found: {', '.join(names) or 'nothing'}.",
            )

    def _bad(self, line: int, reason: str) -> BadRow:
        return BadRow(str(self.path), line, reason)


def _is_foreign(text: str) -> bool:
    """Whether bytes stand in it that are not UTF-8 (kept by surrogateescape)."""
    return any("\udc80" <= char <= "\udcff" for char in text)
