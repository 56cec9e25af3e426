"""The briefs: what was said, when, and on what it rests."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Brief:
    id: str
    published_at: datetime
    outlet: str
    title: str
    summary: str


@lru_cache
def briefs() -> tuple[Brief, ...]:
    """All briefs, oldest first."""
    found = [
        Brief(row["id"], datetime.fromisoformat(row["published_at"]), row["outlet"], row["title"], row["summary"])
        for path in sorted((HERE / "briefs").glob("*.jsonl"))
        for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    ]
    return tuple(sorted(found, key=lambda brief: (brief.published_at, brief.id)))


def outlets() -> list[str]:
    return sorted({brief.outlet for brief in briefs()})
