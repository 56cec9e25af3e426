"""What a service answers with, and how an answer is written: JSON {"meta", "data"}, CSV or Parquet, the same rows."""

import csv
import io
import json
from dataclasses import dataclass, field, is_dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, get_args, get_origin, get_type_hints

from models.derived import columns

Format = Literal["csv", "json", "parquet"]
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of one derived type, and what they rest on."""

    row_type: type[Any]
    rows: list[Any]
    meta: dict[str, Any] = field(default_factory=dict)

    def records(self) -> list[dict[str, Any]]:
        """The rows as plain values; instants as ISO text in UTC."""
        names = columns(self.row_type)
        return [{name: plain(getattr(row, name)) for name in names} for row in self.rows]


def plain(value: Any) -> Any:
    """An instant as 2020-03-09T00:00:00Z, a day as 2020-03-09, a row within a row as an object; else as it is."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, list):
        return [plain(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in columns(type(value))}
    return value.isoformat() if isinstance(value, date) else value


def write(answer: Answer, form: Format) -> bytes:
    return {"csv": _csv, "json": _json, "parquet": _parquet}[form](answer)


def json_rows(answer: Answer) -> bytes:
    """The rows alone: the same whenever they are asked for, whatever the meta says of when."""
    return json.dumps(answer.records(), ensure_ascii=False, allow_nan=False).encode()


def json_of(answer: Answer, rows: bytes) -> bytes:
    """The whole document around rows that are already written."""
    meta = {name: plain(value) for name, value in answer.meta.items()}
    return b'{"meta": ' + json.dumps(meta, ensure_ascii=False, allow_nan=False).encode() + b', "data": ' + rows + b"}"


def _json(answer: Answer) -> bytes:
    return json_of(answer, json_rows(answer))


def _csv(answer: Answer) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, _flat(answer.row_type), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for record in answer.records():
        writer.writerow({name: str(v).lower() if isinstance(v, bool) else v for name, v in record.items()})
    return text.getvalue().encode()


def _flat(row_type: type[Any]) -> list[str]:
    """The columns that have a place in a table: all but lists."""
    hints = get_type_hints(row_type)
    return [name for name in columns(row_type) if get_origin(hints[name]) is not list]


def _parquet(answer: Answer) -> bytes:
    import pandas as pd

    names = _flat(answer.row_type)
    frame = pd.DataFrame([[getattr(row, name) for name in names] for row in answer.rows], columns=names)
    for name, kind in (
        (name, get_type_hints(answer.row_type)[name]) for name in names
    ):  # a column of Nones keeps its type
        if float in (kind, *get_args(kind)):
            frame[name] = frame[name].astype("float64")
        elif int in get_args(kind):
            frame[name] = frame[name].astype("Int64")
        elif datetime in (kind, *get_args(kind)):
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()
