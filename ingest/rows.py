"""Rows of a file that a person gives us: JSON lines, CSV (either also .gz) or Parquet, each with its line number.

A row that cannot be read is yielded as a BadRow in its place; the others go on.
"""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from models.errors import BadFile, BadRow

Row = dict[str, Any]
FORMATS = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".csv", ".csv.gz", ".parquet")
csv.field_size_limit(2**27)


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
        return self._raw.tell() if self._raw is not None and not self._raw.closed else 0

    def __iter__(self) -> Iterator[tuple[int, Row | BadRow]]:
        """Raises: BadFile if the file breaks off or lacks a needed column."""
        read = {".csv": self._csv, ".parquet": self._parquet}.get(self.kind or "", self._json_lines)
        line = 0
        try:
            with self.path.open("rb") as self._raw:
                for line, row in read(self._raw):
                    yield line, row
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise BadFile(
                str(self.path), f"the compressed file breaks off after line {line} ({error}). Rows before it were read."
            ) from None
        except OSError as error:
            raise BadFile(str(self.path), f"cannot be read ({error.strerror or error}).") from None

    def _stream(self, raw: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
        return gzip.open(raw) if self.path.name.lower().endswith(".gz") else raw

    def _json_lines(self, raw: IO[bytes]) -> Iterator[tuple[int, Row | BadRow]]:
        for line, text in enumerate(self._stream(raw), 1):
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

    def _csv(self, raw: IO[bytes]) -> Iterator[tuple[int, Row | BadRow]]:
        text = TextIOWrapper(self._stream(raw), encoding="utf-8-sig", errors="surrogateescape", newline="")
        reader = csv.reader(text)
        header = next(reader, [])
        names = [name.strip() for name in header]
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
            elif any("\udc80" <= char <= "\udcff" for value in values for char in value):
                yield line, self._bad(line, "is not UTF-8 text.")
            else:
                yield line, dict(zip(names, values, strict=True))

    def _parquet(self, raw: IO[bytes]) -> Iterator[tuple[int, Row | BadRow]]:
        import pyarrow
        import pyarrow.parquet

        line = 0
        try:
            table = pyarrow.parquet.ParquetFile(raw)
            self._check(table.schema_arrow.names)
            for batch in table.iter_batches(batch_size=2_000):
                for row in batch.to_pylist():
                    line += 1
                    yield line, row
        except (pyarrow.ArrowException, OSError) as error:
            raise BadFile(str(self.path), f"is not readable as Parquet ({str(error).splitlines()[0]}).") from None

    def _check(self, names: list[str]) -> None:
        missing = [name for name in self.needs if name not in names]
        if missing:
            raise BadFile(
                str(self.path),
                f"has no column {' and no column '.join(map(repr, missing))}. "
                f"It needs {', '.join(self.needs)}; found: {', '.join(names) or 'nothing'}.",
            )

    def _bad(self, line: int, reason: str) -> BadRow:
        return BadRow(str(self.path), line, reason)
