"""Files that a person gives us: every row with its line, every bad row in its place, every broken file by name."""

import csv
import gzip
import json
import random
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.rows import FORMATS, RowFile
from models.errors import BadFile, BadRow

Write = Callable[[str, bytes | str], Path]
WANTED = [{"a": "1", "b": "é"}, {"a": "2", "b": "x"}]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(name: str, content: bytes | str) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def read(path: Path, *needs: str) -> list[tuple[int, Any]]:
    """Lines with their rows; a bad row as its reason."""
    return [(line, str(row) if isinstance(row, BadRow) else row) for line, row in RowFile(path, needs=needs)]


def parquet(tmp_path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize(
    "name", ["rows.jsonl", "rows.ndjson", "rows.jsonl.gz", "ROWS.JSONL.GZ", "rows.csv", "rows.csv.gz"]
)
def test_the_same_rows_are_read_from_every_format(write: Write, name: str) -> None:
    text = "a,b\r\n1,é\r\n2,x\r\n" if "csv" in name else "\n".join(json.dumps(row) for row in WANTED)
    content = gzip.compress(text.encode()) if name.lower().endswith(".gz") else text.encode()
    assert [row for _, row in read(write(name, content), *WANTED[0])] == WANTED


@pytest.mark.parametrize(("name", "text", "line"), [("r.csv", "a,b\n1,2", 2), ("r.jsonl", '{"a": "1", "b": "2"}', 1)])
def test_a_byte_order_mark_is_no_part_of_the_first_name(write: Write, name: str, text: str, line: int) -> None:
    assert read(write(name, text.encode("utf-8-sig")), "a") == [(line, {"a": "1", "b": "2"})]


def test_lines_are_counted_as_an_editor_counts_them(write: Write) -> None:
    content = 'a,b\n1,"one\ntwo\n\nfour"\n2\n\n3,x\n'
    assert read(write("rows.csv", content)) == [
        (5, {"a": "1", "b": "one\ntwo\n\nfour"}),
        (6, f"{write('rows.csv', content)}, line 6: has 1 values under 2 columns."),
        (8, {"a": "3", "b": "x"}),
    ]


@pytest.mark.parametrize("content", [b"a,b\n1,x\n2,\xe9\n3,y\n", b"a,b\n1,x\n2,y,z\n3,y\n", b"a,b\n1,x\n2\n3,y\n"])
def test_a_bad_row_of_csv_is_kept_out_and_the_others_go_on(write: Write, content: bytes) -> None:
    first, bad, last = RowFile(write("rows.csv", content))
    assert (first, last) == ((2, {"a": "1", "b": "x"}), (4, {"a": "3", "b": "y"}))
    assert bad[0] == 3
    assert isinstance(bad[1], BadRow)
    assert bad[1].line == 3
    assert "line 3: " in str(bad[1])


@pytest.mark.parametrize("bad", [b"{", b"[1]", b'"a"', b'{"a": "\xe9"}', b"[" * 100_000, b"1" * 5_000, b"\x00"])
def test_a_bad_row_of_json_lines_is_kept_out_and_the_others_go_on(write: Write, bad: bytes) -> None:
    first, kept_out, last = RowFile(write("rows.jsonl", b'{"a": 1}\n' + bad + b'\n\n{"a": 2}'))
    assert (first, last) == ((1, {"a": 1}), (4, {"a": 2}))
    assert kept_out[0] == 2
    assert isinstance(kept_out[1], BadRow)


def test_values_of_parquet_keep_their_types(tmp_path: Path) -> None:
    rows = [{"at": datetime(2020, 3, 9, 14, tzinfo=UTC), "day": date(2020, 3, 9), "close": 1.5, "title": "é"}]
    path = parquet(tmp_path, **{name: [value, None] for name, value in rows[0].items()})
    assert read(path, "at") == [(1, rows[0]), (2, dict.fromkeys(rows[0]))]


@pytest.mark.parametrize("unit", ["us", "s"])
def test_a_timestamp_beyond_the_calendar_is_named_and_not_a_crash(tmp_path: Path, unit: str) -> None:
    path = parquet(tmp_path, at=pa.array([0, 10**18 if unit == "us" else 10**12], pa.timestamp(unit)))
    try:
        assert isinstance(list(RowFile(path))[1][1], BadRow)
    except BadFile as error:
        assert str(path) in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", ["rows.csv.gz", "rows.jsonl.gz"])
def test_a_file_that_breaks_off_gives_the_rows_before_and_says_where(write: Write, name: str) -> None:
    numbers = random.Random(1).choices(range(10**9), k=5_000)
    lines = ["n", *map(str, numbers)] if "csv" in name else [json.dumps({"n": number}) for number in numbers]
    packed = gzip.compress("\n".join(lines).encode())
    got: list[tuple[int, Any]] = []
    with pytest.raises(BadFile) as broken:
        got.extend(RowFile(write(name, packed[: len(packed) // 2])))
    assert [int(row["n"]) for _, row in got] == numbers[: len(got)]
    assert len(got) > 1_000
    assert f"breaks off after line {got[-1][0]} " in str(broken.value)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.txt", b"a\n1", "none of the formats that can be read: .jsonl"),
        ("rows", b"", "none of the formats"),
        ("rows.csv.gz", b"a,b\n1,2\n", "Not a gzipped file"),
        ("rows.jsonl.gz", gzip.compress(b"{}", mtime=0)[:-3] , "breaks off"),
        ("rows.parquet", b"", "not readable as Parquet"),
        ("rows.parquet", b"PAR1 and no more PAR1", "not readable as Parquet"),
        ("rows.csv", b"date,value\n1,2\n", "has no column 'a'. It needs a; found: date, value."),
        ("rows.csv", b"", "found: nothing"),
        ("rows.csv", "a,b\n1,2\n".encode("utf-16"), "is not UTF-8 text"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_says_why(write: Write, name: str, content: bytes, reason: str) -> None:
    path = write(name, content)
    with pytest.raises(BadFile) as refusal:
        read(path, "a")
    assert str(refusal.value).startswith(f"{path}: ")
    assert reason in str(refusal.value)
    str(refusal.value).encode()  # it can be printed


def test_a_folder_a_missing_file_and_a_missing_column_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="is a folder"):
        RowFile(tmp_path)
    with pytest.raises(BadFile, match="there is no such file"):
        RowFile(tmp_path / "rows.csv")
    with pytest.raises(BadFile, match="no column 'close'.*found: price"):
        read(parquet(tmp_path, price=[1.0]), "close")


def test_a_header_too_large_for_csv_is_named_and_not_a_crash(write: Write) -> None:
    before = csv.field_size_limit(10)
    try:
        with pytest.raises(BadFile):
            read(write("rows.csv", "a" * 20 + ",b\n1,2\n"))
    finally:
        csv.field_size_limit(before)


def test_a_line_of_text_may_hold_other_breaks_than_line_ends(write: Write) -> None:
    text = "a,b\n" + "".join(f"x{char}y,{n}\n" for n, char in enumerate("\u2028\x85\x0b\x0c\x1c"))
    rows = list(RowFile(write("rows.csv", text)))
    assert [line for line, _ in rows] == [2, 3, 4, 5, 6]
    assert all(not isinstance(row, BadRow) for _, row in rows)


def test_a_quote_that_is_never_closed_is_refused_and_not_a_title(write: Write) -> None:
    rows = list(RowFile(write("rows.csv", 'a,b\n1,2\n"open,3\n4,5\n')))
    assert rows[0] == (2, {"a": "1", "b": "2"})
    assert isinstance(rows[1][1], BadRow)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv"])
def test_progress_never_goes_back_and_ends_at_the_size(write: Write, name: str) -> None:
    rows = RowFile(write(name, '{"a": 1}\n' * 20_000))
    places = [rows.position for _ in rows]
    assert places == sorted(places)
    assert (RowFile(rows.path).position, places[-1], rows.position) == (0, rows.size, rows.size)


@pytest.mark.parametrize("name", [f"rows{suffix}" for suffix in FORMATS])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), packed=st.booleans())
@example(content=b'a,b\r1,"\xff\n\x00,2\n', packed=True)
def test_any_bytes_are_rows_or_a_bad_file(write: Write, name: str, content: bytes, packed: bool) -> None:
    try:
        rows = list(RowFile(write(name, gzip.compress(content) if packed else content)))
    except BadFile:
        return
    assert all(isinstance(row, dict | BadRow) for _, row in rows)
    assert [line for line, _ in rows] == sorted(line for line, _ in rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), piece=st.binary(min_size=1, max_size=6))
def test_a_parquet_file_with_a_few_wrong_bytes_is_rows_or_a_bad_file(tmp_path: Path, at: float, piece: bytes) -> None:
    path = parquet(tmp_path, title=["gold", "silver", None], at=[datetime(2020, 3, 9, tzinfo=UTC)] * 3)
    content = path.read_bytes()
    place = int(at * len(content))
    path.write_bytes(content[:place] + piece + content[place + len(piece) :])
    try:
        assert all(isinstance(row, dict | BadRow) for _, row in RowFile(path))
    except BadFile as error:
        assert str(path) in str(error)  # noqa: PT017
