"""`storyshift quality`, and what the series say of the audit."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from test_cli import Shell
from test_services_audit import FIRST, audit, read, tell

from models.database import Database


@pytest.fixture
def shell(tmp_path: Path, sqlite_url: str) -> Shell:
    return Shell(tmp_path, sqlite_url)


@pytest.fixture
def audited(shell: Shell) -> Shell:
    """A store of forty days with planted errors and an audit of it; two of its readers read sixty stories twice."""
    database = Database(shell.environment["STORYSHIFT_DATABASE_URL"])
    truth = tell(database, FIRST + timedelta(days=50))
    audit(database, truth, FIRST + timedelta(days=51))
    with database.write() as session:
        for who in ("bob", "cem"):
            read(session, truth, sorted(truth)[:60], FIRST + timedelta(days=52), who=who)
    database.close()
    return shell


def test_quality_is_told_as_a_table_and_as_rows(audited: Shell) -> None:
    table, said = audited("quality")
    assert "safe_haven" in table
    assert "stories drawn at random were read" in said
    document = json.loads(audited("quality", "--format", "json")[0])
    assert document["data"][0]["precision_low"] < document["data"][0]["precision"]
    assert audited("quality", "--by", "asset", "--format", "csv")[0].startswith("by,key,bucket_start,n,")
    assert "0.90-1.00" in audited("quality", "--calibration")[0]
    assert "missed" in audited("quality", "--confusions")[0]
    assert "narrative" in audited("quality", "--agreement")[0]
    assert "one of --calibration" in audited("quality", "--calibration", "--agreement", code=2)[1]


def test_a_series_says_on_stderr_how_far_it_is_corrected(audited: Shell) -> None:
    rows, said = audited("series", "--narrative", "safe_haven", "--start", "2020-01-01")
    assert rows.splitlines()[0].endswith("as_tagged")
    assert "audit: Safe haven: corrected by 4" in said
    said = audited("shift", "--start", "2020-02-01")[1]
    assert "audit: as tagged: debasement, fiscal_stress, liquidity" in said
    assert "audit: Bitcoin: the tone is corrected" in audited("tone", "--asset", "BTC", "--start", "2020-01-01")[1]


def test_where_nothing_was_read_it_says_where_to_begin(shell: Shell) -> None:
    assert "Nothing to tell yet" in shell("quality")[1]
