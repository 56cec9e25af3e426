"""Every brief of the replay is grounded: its numbers stand in the bundled tables, and were knowable when it is dated.

A brief's `numbers` say, for each number in its text, what it is:
    close ASSET DAY · change ASSET DAY DAY (percent) · points ASSET DAY DAY · high|low ASSET DAY DAY (of closes)
    value SERIES DAY · diff SERIES DAY DAY fomc DAY (stands in that FOMC statement; checked where ../shared is there)
A SERIES may stand wherever an ASSET does.
"""

import csv
import gzip
import json
import re
from collections import Counter
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from config import definitions
from ingest.calendars import close_instants
from ingest.prices import period_end

REPLAY = Path(__file__).parent.parent / "jobs" / "replay"
FOMC = Path(__file__).parents[2] / "shared" / "data" / "news" / "fomc-statements-1994-2026.jsonl.gz"
OUTLETS = {f"Replay · {name}" for name in ("Markets", "Metals", "Crypto", "Policy", "World")}
NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?")
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
NO_CLAIM = re.compile(
    r"S&P 500|\b(?:2|5|10|20|30)-year\b|COVID-19|\bG7\b|\bG20\b|\b(?:19|20)\d\d\b"
    rf"|\b(?:{MONTHS}) \d{{1,2}}\b|\b\d{{1,2}} (?:{MONTHS})\b"
)
FILES = sorted((REPLAY / "briefs").glob("*.jsonl"))


def briefs(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


@cache
def table(kind: str, key: str) -> dict[date, float]:
    with (REPLAY / kind / f"{key}.csv").open() as file:
        rows = csv.reader(file)
        next(rows)
        return {date.fromisoformat(day): float(value) for day, value in rows if value}


@cache
def statements() -> dict[str, str]:
    if not FOMC.exists():
        return {}
    with gzip.open(FOMC, "rt", encoding="utf-8") as lines:
        return {row["published_at"][:10]: row["body"] for row in map(json.loads, lines)}


def kind_of(key: str) -> str:
    return "macro" if (REPLAY / "macro" / f"{key}.csv").exists() else "prices"


def value(expression: str) -> float | None:
    """What a number is by the tables; None for an FOMC statement's, which is looked up as text."""
    what, key, *days = expression.split()
    if what == "fomc":
        return None
    kind = kind_of(key)
    at = [date.fromisoformat(day) for day in days]
    series = table(kind, key)
    first, last = series[at[0]], series[at[-1]]
    if what in ("close", "value"):
        return first
    if what == "change":
        return 100 * (last / first - 1)
    if what in ("points", "diff"):
        return last - first
    inside = [close for day, close in series.items() if at[0] <= day <= at[1]]
    return {"high": max, "low": min}[what](inside)


def known_at(source: str, key: str, day: date) -> datetime:
    if source == "macro":
        series = definitions.macro(key)
        end = period_end(day, series.frequency)
        return datetime.fromisoformat(f"{end.isoformat()}T00:00:00+00:00")
    return closed_at(key)[day]


@cache
def closed_at(key: str) -> dict[date, datetime]:
    """Asked for all days of a table at once: the exchange's calendar is made anew for each question."""
    days = list(table("prices", key))
    return dict(zip(days, close_instants(days, definitions.asset(key)), strict=True))


def cited(brief: dict[str, Any]) -> list[tuple[str, str, date]]:
    """(prices or macro, key, day) of every table row the brief leans on."""
    found = []
    for number in brief["numbers"]:
        what, key, *days = number["is"].split()
        if what != "fomc":
            found += [(kind_of(key), key, date.fromisoformat(day)) for day in days]
    for basis in brief["basis"]:
        kind, _, rest = basis.partition(":")
        if kind in ("price", "macro"):
            key, day = rest.split(":")
            found.append(("prices" if kind == "price" else "macro", key, date.fromisoformat(day)))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_brief_is_whole_and_names_its_basis(path: Path) -> None:
    for brief in briefs(path):
        assert set(brief) == {"id", "published_at", "outlet", "title", "summary", "basis", "numbers"}, brief["id"]
        assert brief["outlet"] in OUTLETS, brief["id"]
        assert brief["published_at"].endswith("Z"), brief["id"]
        assert 15 <= len(brief["title"]) <= 120, brief["id"]
        assert 30 <= len(brief["summary"]) <= 400, brief["id"]
        assert brief["basis"], brief["id"]
        for basis in brief["basis"]:
            assert re.match(r"(price|macro):\w+:\d{4}-\d\d-\d\d$|fomc:\d{4}-\d\d-\d\d$|event:.{10,}", basis), basis
            if basis.startswith("fomc:") and statements():
                assert basis[5:] in statements(), f"{brief['id']}: no statement of {basis[5:]}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_number_is_what_the_tables_say(path: Path) -> None:
    for brief in briefs(path):
        text = NO_CLAIM.sub(" ", f"{brief['title']} | {brief['summary']}")
        said = Counter(found.rstrip(",") for found in NUMBER.findall(text))
        explained = {number["says"] for number in brief["numbers"]}
        assert set(said) == explained, f"{brief['id']}: in the text {sorted(said)}, explained {sorted(explained)}"
        for number in brief["numbers"]:
            claim = number["says"].replace(",", "")
            decimals = len(claim.partition(".")[2])
            truth = value(number["is"])
            if truth is None:
                statement = statements().get(number["is"].split()[1], claim)
                assert claim in statement, f"{brief['id']}: {claim} is not in the statement"
            else:
                assert float(claim) == round(abs(truth), decimals), f"{brief['id']}: {number} is {truth:.4f}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_brief_knows_what_was_not_known_yet(path: Path) -> None:
    for brief in briefs(path):
        at = datetime.fromisoformat(brief["published_at"])
        for kind, key, day in cited(brief):
            assert day in table(kind, key), f"{brief['id']}: no {key} on {day}"
            assert known_at(kind, key, day) <= at, f"{brief['id']}: {key} of {day} was not known at {at}"
        for basis in brief["basis"]:
            for day in re.findall(r"\d{4}-\d\d-\d\d", basis):
                assert day <= brief["published_at"][:10], f"{brief['id']}: {basis} is later than the brief"


def test_no_two_briefs_are_the_same() -> None:
    everything = [brief for path in FILES for brief in briefs(path)]
    for field in ("id", "title"):
        twice = [text for text, count in Counter(brief[field] for brief in everything).items() if count > 1]
        assert twice == []
