"""Rows as pandas frames, typed by what the server says of them; units by models.units."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models import units

if TYPE_CHECKING:
    import pandas as pd

INSTANT, DAY = "datetime64[us, UTC]", "datetime64[us]"
DTYPES: dict[tuple[Any, Any], str] = {
    ("number", None): "float64",
    ("integer", None): "Int64",
    ("boolean", None): "boolean",
    ("string", None): "string",
    ("string", "date-time"): INSTANT,
    ("string", "date"): DAY,
}
WORDS = {"boolean": "true or false", "string": "text", "category": "name", "object": "list"}
WORDS |= {INSTANT: "instant, UTC", DAY: "day"}
NAMED = ("state", "before")
"""Columns that hold one of few names."""


class RowType:
    """A row of an answer: its columns and what pandas keeps them as."""

    def __init__(self, described: Mapping[str, Any], path: str, *within: str) -> None:
        """path: of a question; the rows are those of its `data`, or of a list further within each of these."""
        self._schemas = described["components"]["schemas"]
        answers = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        name, row = self._resolved(answers)
        for step in ("data", *within):
            name, row = self._resolved(row["properties"][step])
        self.name = name.rpartition("__")[2]
        self.dtypes = {column: self._dtype(column, schema) for column, schema in row["properties"].items()}

    def _resolved(self, schema: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """The row type's name, and its schema; of a list, those of its rows."""
        schema = schema.get("items", schema)
        name = str(schema["$ref"]).rpartition("/")[2]
        return name, self._schemas[name]

    def _dtype(self, column: str, schema: Mapping[str, Any]) -> str:
        if column in NAMED:
            return "category"
        found = {DTYPES.get((one.get("type"), one.get("format")), "object") for one in _options(schema)}
        if found == {INSTANT, DAY}:
            return INSTANT
        return found.pop() if len(found) == 1 else "object"

    def frame(self, rows: Sequence[Mapping[str, Any]], index: str | None, attrs: Mapping[str, Any]) -> "pd.DataFrame":
        """Without rows too, all columns are there, as what they are. attrs: meta, and whatever else is to be kept."""
        import pandas as pd

        columns = {name: self._column([row[name] for row in rows], dtype) for name, dtype in self.dtypes.items()}
        frame = pd.DataFrame(columns)
        if index is not None:
            frame = frame.set_index(frame.pop(index).astype("int64") if self.dtypes[index] == "Int64" else index)
        frame.attrs.update(attrs, units=self.units(attrs.get("meta", {})))
        return frame

    def _column(self, values: list[Any], dtype: str) -> "pd.Series[Any]":
        import pandas as pd

        if dtype in (INSTANT, DAY):
            return pd.Series(pd.to_datetime(values, utc=dtype == INSTANT, format="ISO8601")).astype(dtype)  # type: ignore[call-overload, no-any-return]
        return pd.Series(values, dtype=dtype)

    def units(self, meta: Mapping[str, Any]) -> dict[str, str]:
        """By column; of a number that a newer server tells and we do not know yet, "number"."""
        known = units.units_of(self.name)
        told = {column: WORDS.get(dtype) or known.get(column, "number") for column, dtype in self.dtypes.items()}
        if "close" in told and "unit" in meta:
            told["close"] = quoted_in(meta["unit"], meta["asset"])
        return {column: _as_asked(unit, meta) for column, unit in told.items()}


def quoted_in(unit: str | None, asset: str) -> str:
    """What a close of the asset is counted in: USD per BTC, USD/oz."""
    if not unit:
        return units.EVERYWHERE["close"]
    return f"{unit} per {asset}" if unit.isupper() else unit


def _options(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a value can be, null apart."""
    return [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]


def _as_asked(unit: str, meta: Mapping[str, Any]) -> str:
    if unit != units.SHARE_OF_STORIES:
        return unit
    if meta.get("measure") == "index":
        return units.AGAINST_THE_USUAL
    return unit.replace("stories", "articles") if meta.get("weighting") == "article" else unit
