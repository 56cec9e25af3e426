"""`storyshift doctor`, where no source of prices is asked."""

import json
from datetime import UTC, datetime

import pytest
from fakes import found_article

from models.database import Database
from models.store.articles import add_articles
from storyshift.doctor import doctor
from storyshift.shell import TextFormat


@pytest.fixture(autouse=True)
def _alone(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storyshift.doctor.open_database", lambda: database)
    monkeypatch.setattr("ingest.sources.open_one_by_one", lambda: {})


def test_it_says_where_the_record_lies_how_large_it_is_and_what_waits(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    at = datetime(2020, 1, 1, tzinfo=UTC)
    with database.write() as session:
        add_articles(session, [found_article("Gold rises", at)], now=at)
    doctor(TextFormat.text)
    said = capsys.readouterr().err
    assert ("SQLite 3." if database.is_sqlite else "PostgreSQL ") in said
    assert "at the newest schema (00" in said
    assert "articles   1, of which 1 untagged; the latest " in said
    assert " days ago" in said
    assert "events     0 on their way to webhooks" in said
    assert ("are free on its disk" in said) == database.is_sqlite
    assert ("workers    0 todo, 0 doing, 0 failed, 0 succeeded" in said) != database.is_sqlite


def test_as_json_it_is_one_document_with_the_same(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    doctor(TextFormat.json)
    told = json.loads(capsys.readouterr().out)
    assert told["server"]["bytes"] > 0
    assert (told["server"]["free_bytes"] is None) != database.is_sqlite
    assert (told["jobs"] is None) == database.is_sqlite
    assert told["ages"] == {"fetch": None, "article": None, "worker": None}
    assert (told["deliveries_waiting"], told["set_aside"], told["sources"]) == (0, [], [])
