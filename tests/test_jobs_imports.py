import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from fakes import hear_ctrl_c
from sqlmodel import func, select

from jobs.imports import import_macro, import_news, import_prices
from models.articles import Article, Revision
from models.database import Database
from models.errors import BadFile, UnknownName
from models.prices import MacroPoint, PriceBar


def lines(path: Path, *rows: object) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def row(number: int, **more: object) -> dict[str, object]:
    return {"published_at": f"2020-03-{1 + number % 28:02d}", "title": f"Story {number}", "outlet": "Wire"} | more


def articles(database: Database) -> list[tuple[str, datetime, str]]:
    with database.read() as session:
        query = select(Article.identity, Article.event_at, Revision.title).join(Revision).order_by(Article.identity)
        return [tuple(found) for found in session.exec(query)]


def test_an_archive_is_read_once_however_often_it_is_given(database: Database, now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "news.jsonl.gz", *(row(n) for n in range(5_000)))
    seen: list[tuple[int, int]] = []
    first = import_news(database, path, now=now, progress=lambda done, of: seen.append((done, of)))
    second = import_news(database, path, now=now)
    assert (first.rows, first.new, first.refused) == (5_000, 5_000, [])
    assert (second.new, second.revised, second.known) == (0, 0, 5_000)
    assert seen[-1][0] == seen[-1][1] == path.stat().st_size


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_the_same_rows_in_any_format_are_the_same_articles(
    database: Database, now: datetime, tmp_path: Path, suffix: str
) -> None:
    rows = [row(n, summary=f"What {n} means", url=f"https://example.org/{n}") for n in range(30)]
    lines(tmp_path / "a.jsonl", *rows)
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    assert import_news(database, tmp_path / f"a.{suffix}", now=now).new == 30
    for other in ("jsonl", "csv", "parquet"):
        assert import_news(database, tmp_path / f"a.{other}", now=now).known == 30


def test_a_bad_row_is_refused_by_line_and_reason_and_the_others_are_kept(
    database: Database, now: datetime, tmp_path: Path
) -> None:
    path = lines(
        tmp_path / "news.jsonl",
        row(1),
        "{not json",
        row(2, published_at="soon"),
        row(3, title="  "),
        "[1, 2]",
        row(4, published_at="2031-01-01"),
        row(5, title=7),
        row(6),
    )
    report = import_news(database, path, now=now)
    assert (report.rows, report.new) == (8, 2)
    assert [bad.line for bad in report.refused] == [2, 3, 4, 5, 6, 7]
    told = [str(bad) for bad in report.refused]
    for part, text in zip(
        ["not JSON", "'soon'", "no title", "not a JSON object", "future", "not text"], told, strict=True
    ):
        assert part in text


def test_both_clocks_follow_what_the_archive_says(database: Database, now: datetime, tmp_path: Path) -> None:
    path = lines(
        tmp_path / "news.jsonl",
        row(1, published_at="2020-03-02"),
        row(2, published_at="2020-03-02T10:00:00+01:00", first_seen_at="2020-03-02T12:00:00Z"),
        row(3, published_at="2020-03-05", first_seen_at="2020-03-04T12:00:00Z"),
    )
    import_news(database, path, now=now)
    with database.read() as session:
        assumed, seen, repaired = session.exec(select(Article).order_by(Article.id))
    assert (assumed.event_at, assumed.known_at, assumed.knowledge) == (
        datetime.fromisoformat("2020-03-02T23:59:59Z"),
        datetime.fromisoformat("2020-03-02T23:59:59Z"),
        "assumed",
    )
    assert (seen.event_at, seen.known_at - seen.event_at, seen.knowledge) == (
        datetime.fromisoformat("2020-03-02T09:00:00Z"),
        timedelta(hours=3),
        "observed",
    )
    assert repaired.event_at == repaired.known_at
    assert "after it was first seen" in (repaired.date_note or "")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "a.csv",
            b"date,headline\n2020-01-01,x\n",
            "no column 'published_at' and no column 'title'.*found: date, head",
        ),
        ("a.jsonl.gz", b"not gzip", "not readable as gzip"),
        ("a.parquet", b"not parquet", "not readable as Parquet"),
        ("a.txt", b"x", "none of the formats"),
    ],
)
def test_a_file_that_cannot_be_read_is_explained(
    database: Database, now: datetime, tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadFile, match=told):
        import_news(database, tmp_path / name, now=now)


def test_what_stands_before_the_break_of_a_file_is_kept(database: Database, now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "news.jsonl.gz", *(row(n, body=os.urandom(40).hex()) for n in range(9_000)))
    path.write_bytes(path.read_bytes()[:-40_000])
    with pytest.raises(BadFile, match=r"breaks off after line \d+"):
        import_news(database, path, now=now)
    assert len(articles(database)) > 4_000


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("wait", [0.05, 0.4])
def test_a_killed_import_leaves_whole_batches_and_a_rerun_completes_it(
    database: Database, now: datetime, tmp_path: Path, how: signal.Signals, wait: float
) -> None:
    path = lines(tmp_path / "news.jsonl", *(row(n) for n in range(12_000)))
    environment = os.environ | {"STORYSHIFT_DATABASE_URL": database.url.render_as_string(hide_password=False)}
    command = [sys.executable, "-m", "storyshift", "import", "news", str(path)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, preexec_fn=hear_ctrl_c) as process:
        while not articles_known(database) and process.poll() is None:
            time.sleep(0.01)
        time.sleep(wait)
        process.send_signal(how)
    kept = articles_known(database)
    report = import_news(database, path, now=now)
    assert kept > 0
    assert report.known + report.new == 12_000
    assert report.known == kept
    found = articles(database)
    assert len(found) == 12_000 == len({identity for identity, *_ in found})


def articles_known(database: Database) -> int:
    with database.read() as session:
        return session.exec(select(func.count()).select_from(Article)).one()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_prices_are_imported_once_and_text_in_close_is_refused_by_line(
    database: Database, now: datetime, tmp_path: Path
) -> None:
    path = write(tmp_path / "BTC.csv", "date,close\n2020-03-01,8599.5\n2020-03-02,n/a?\n2020-03-03,8760\n2020-03-04,\n")
    report = import_prices(database, path, asset=None, now=now)
    assert (report.new, report.empty, [bad.line for bad in report.refused]) == (2, 1, [3])
    assert "not a number" in str(report.refused[0])
    assert import_prices(database, path, asset="BTC", now=now).known == 2
    with database.read() as session:
        first = session.exec(select(PriceBar).order_by(PriceBar.closed_at)).first()
    assert first is not None
    assert first.closed_at == first.known_at == datetime.fromisoformat("2020-03-02T00:00:00Z")


def test_a_price_file_without_a_date_or_of_an_unknown_asset_is_refused_whole(
    database: Database, now: datetime, tmp_path: Path
) -> None:
    with pytest.raises(BadFile, match="no column 'date'.*found: day, close"):
        import_prices(database, write(tmp_path / "BTC.csv", "day,close\n2020-03-01,1\n"), asset=None, now=now)
    with pytest.raises(UnknownName, match="no asset named 'DOGE'"):
        import_prices(database, write(tmp_path / "DOGE.csv", "date,close\n"), asset=None, now=now)


def test_a_macro_value_is_known_when_it_was_published(database: Database, now: datetime, tmp_path: Path) -> None:
    path = write(tmp_path / "CPIAUCSL.csv", "date,CPIAUCSL\n2020-01-01,258.7\n2020-02-01,.\n")
    report = import_macro(database, path, series=None, now=now)
    assert (report.new, report.empty) == (1, 1)
    with database.read() as session:
        point = session.exec(select(MacroPoint)).one()
    assert point.known_at == datetime.fromisoformat("2020-02-14T23:59:59Z")  # January ends; 14 days later it is out
    with pytest.raises(BadFile, match="no column 'M2SL' or 'value'"):
        import_macro(database, path, series="M2SL", now=now)
