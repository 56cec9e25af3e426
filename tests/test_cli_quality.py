"""`storyshift quality`, and what the series say of the audit."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from test_cli import Shell
from test_services_audit import FIRST, audit, read, tell

from models.database import Database
from models.derived import QualityRow
from services.answers import Answer
from storyshift.quality import _show


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


@pytest.mark.parametrize("bucket", [None, FIRST])
def test_in_eighty_columns_the_table_is_folded_and_nothing_of_it_is_cut(
    bucket: datetime | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"by": "narrative", "key": "btc_monetary_hedge", "bucket_start": bucket, "n": 1_000, "n_labelled": 1_000}
    told |= {"n_positive": 1, "precision": 0.75, "precision_low": 0.5, "precision_high": 0.9, "n_right": 9}
    told |= {"recall": 0.38, "recall_low": 0.05, "recall_high": 0.8, "right_way": 1.0, "right_way_low": 0.98}
    told |= {"right_way_high": 1.0, "thin": True, "floor": 0.8, "below_floor": False}
    answer = Answer(QualityRow, [QualityRow(**told)], {})  # type: ignore[arg-type]
    shown = {}
    for width in ("80", "200"):
        monkeypatch.setenv("COLUMNS", width)
        _show(answer)
        shown[width] = capsys.readouterr().out
    assert max(len(line.rstrip()) for line in shown["80"].splitlines()) <= 80
    words = {"btc_monetary_hedge", "1000", "0.75", "0.50-0.90", "0.38", "0.05-0.80", "0.98-1.00", "too", "few"}
    words |= {"2020-01-01,"} if bucket else set()
    assert words <= set(shown["80"].split())
    assert "0.38 (0.05-0.80)" in shown["200"]
    assert "…" not in "".join(shown.values())


def test_what_rests_on_few_finds_says_how_few_are_too_few(audited: Shell) -> None:
    said = audited("quality", "--by", "outlet", "--bucket", "month")[1]
    rows = json.loads(audited("quality", "--by", "outlet", "--bucket", "month", "--format", "json")[0])["data"]
    assert ("Too few: fewer than 30" in said) == any(row["thin"] for row in rows)


def test_a_series_says_on_stderr_how_far_it_is_corrected(audited: Shell) -> None:
    rows, said = audited("series", "--narrative", "safe_haven", "--start", "2020-01-01")
    assert rows.splitlines()[0].endswith("as_tagged")
    assert "audit: Safe haven: corrected by 4" in said
    said = audited("shift", "--start", "2020-02-01")[1]
    assert "audit: as tagged: debasement, fiscal_stress, liquidity" in said
    assert "audit: Bitcoin: the tone is corrected" in audited("tone", "--asset", "BTC", "--start", "2020-01-01")[1]


def test_where_nothing_was_read_it_says_where_to_begin(shell: Shell) -> None:
    assert "Nothing to tell yet" in shell("quality")[1]
