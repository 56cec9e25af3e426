import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from jobs.replay import briefs as bundled
from jobs.replay import play as module
from jobs.replay.play import play
from jobs.replay.server import document
from models.articles import Article
from models.database import Database
from models.prices import PriceBar
from models.store.feeds import list_feeds
from models.store.tags import count_untagged

DAYS = 6


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bundled.Brief]]:
    """A replay of six days: two briefs a day in two outlets, and the bundled bitcoin prices."""
    rows = [
        {
            "id": f"t-{day}-{outlet}",
            "published_at": f"2020-02-{20 + day}T{8 + place * 6:02d}:00:00Z",
            "outlet": f"Replay · {outlet}",
            "title": f"Investors seek safe havens on day {day} in {outlet}",
            "summary": "Gold & bonds rose <a little>.",
        }
        for day in range(DAYS)
        for place, outlet in enumerate(("Markets", "Policy"))
    ]
    for folder in ("briefs", "prices", "macro"):
        (tmp_path / folder).mkdir()
    (tmp_path / "briefs" / "few.jsonl").write_text("\n".join(map(json.dumps, rows)))
    shutil.copy(bundled.HERE / "prices" / "BTC.csv", tmp_path / "prices")
    shutil.copy(bundled.HERE / "macro" / "DFII10.csv", tmp_path / "macro")
    monkeypatch.setattr(bundled, "HERE", tmp_path)
    monkeypatch.setattr(module, "HERE", tmp_path)
    bundled.briefs.cache_clear()
    yield list(bundled.briefs())
    bundled.briefs.cache_clear()


def quiet(done: int, of: int) -> None:
    pass


def record(database: Database) -> list[tuple[str, datetime, datetime, str]]:
    with database.read() as session:
        rows = session.exec(select(Article).order_by(Article.event_at))
        return [(row.outlet, row.event_at, row.known_at, row.origin) for row in rows]


def test_the_replay_goes_through_the_same_jobs_on_its_own_clock(
    database: Database, now: datetime, few: list[bundled.Brief]
) -> None:
    assert play(database, now=now, progress=quiet) == DAYS
    assert [row[:2] for row in record(database)] == [(brief.outlet, brief.published_at) for brief in few]
    for _, event_at, known_at, origin in record(database):
        assert origin == "replay"
        assert timedelta(0) <= known_at - event_at < timedelta(days=1)
    with database.read() as session:
        assert count_untagged(session, "keywords@1") == 0
        assert list_feeds(session, news_since=now) == []  # nothing is left that a worker would visit
        assert len(session.exec(select(PriceBar.id)).all()) > 1_000


def test_a_replay_that_is_complete_is_not_played_again(
    database: Database, now: datetime, few: list[bundled.Brief]
) -> None:
    play(database, now=now, progress=quiet)
    before = record(database)
    assert play(database, now=now, progress=quiet) == 0
    assert record(database) == before


@pytest.mark.slow
def test_a_stopped_replay_goes_on_where_it_was_and_ends_the_same(
    database: Database, now: datetime, few: list[bundled.Brief]
) -> None:
    def stop(done: int, of: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(database, now=now, progress=stop)
    assert len(record(database)) == 6
    assert play(database, now=now, progress=quiet) == DAYS - 2  # the day it was stopped in is looked at again
    stopped = record(database)
    assert len(stopped) == 2 * DAYS
    assert [row[:2] for row in stopped] == [(brief.outlet, brief.published_at) for brief in few]


def test_a_feed_shows_only_what_was_published_by_the_clock(few: list[bundled.Brief]) -> None:
    early, late = (document(0, datetime.fromisoformat(f"2020-02-{day}T09:00:00Z")).decode() for day in (20, 22))
    assert (early.count("<item>"), late.count("<item>")) == (1, 3)
    assert "Gold &amp; bonds rose &lt;a little&gt;." in early


def test_the_bundled_replay_spans_both_periods() -> None:
    found = bundled.briefs()
    months = {f"{brief.published_at:%Y-%m}" for brief in found}
    assert {"2020-02", "2020-03", "2020-08", "2021-01", "2025-10", "2026-01", "2026-02"} <= months
    assert len(found) >= 440
    assert list(found) == sorted(found, key=lambda brief: (brief.published_at, brief.id))
