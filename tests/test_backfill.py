import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from fakes import FakeTagger, hear_ctrl_c
from sqlmodel import col, func, select

from config import definitions
from jobs.backfill import TRIES, BackfillReport, FileReport, Plan, backfill, plan_of, read_blocks
from jobs.backfill_local import run_locally
from jobs.backfill_parts import StoredReport, store_parts
from jobs.imports import import_news
from jobs.tag import baseline_tagger, tag_untagged
from models.articles import Article, Revision
from models.database import Database
from models.errors import BadFile, BadInput, ConfigError
from models.store.articles import remove_text
from models.tags import AssetMention, NarrativeTag, Tagged, Tagging, Text

WAIT_SECONDS = 180
TITLES = [
    "Investors flee to safe havens and gold as markets plunge",
    "Fed cuts interest rates again as inflation fears grow",
    "Museum opens new wing",
    "Bitcoin rallies on fears of currency debasement",
]


def row(number: int, **more: object) -> dict[str, Any]:
    title = f"{TITLES[number % 4]} {number}"
    return {"published_at": f"2020-03-{1 + number % 28:02d}", "title": title, "outlet": "Wire"} | more


def lines(path: Path, *rows: object) -> Path:
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


class Deadly(FakeTagger):
    """Ends its process, as an out-of-memory killer would, when it reads "poison"; of "once" only the first time."""

    def __init__(self, folder: Path) -> None:
        self._seen = folder / "died once"

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        for text in texts:
            title = text.fields["title"]
            if "poison" in title or ("once" in title and not self._seen.exists()):
                self._seen.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if "odd" in title:
                raise RuntimeError("an odd text")
            yield from super().tag([text])


def dead_at_once() -> Any:
    os._exit(7)


def plan(now: datetime, rows: int = 10, **more: Any) -> Plan:
    return Plan("keywords@1", ("en",), now, rows=rows, make_tagger=baseline_tagger, **more)


def run_here(plan: Plan, files: Any, _: int) -> Iterator[Any]:
    """Without processes: what does not need them is told sooner."""
    from jobs.backfill import Block, tag_block, tagger_of

    tagger = tagger_of(plan)
    for file in files:
        for item in read_blocks(plan, file):
            yield tag_block(plan, tagger, item) if isinstance(item, Block) else item


def tagged(plan: Plan, *files: Path, run: Any = run_here, workers: int = 2) -> BackfillReport:
    return backfill(plan, files, run, workers=workers)


def store(database: Database, plan: Plan, report: FileReport) -> StoredReport:
    parts = [plan.part(Path(report.file), number) for number in report.parts]
    return store_parts(database, plan.tagger, parts, clock=lambda: plan.now)


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [
        found for part in sorted(folder.glob("part-*.parquet")) for found in pa.parquet.read_table(part).to_pylist()
    ]


def parts(folder: Path) -> dict[str, int]:
    return {part.name: part.stat().st_mtime_ns for part in folder.glob("part-*.parquet")}


def stored(database: Database) -> list[list[tuple[Any, ...]]]:
    """What of the store tagging and importing make, without ids and the time of tagging."""
    with database.read() as session:
        tables = [
            session.exec(
                select(Article.identity, Article.event_at, Article.known_at, Article.outlet, Revision.title).join(
                    Revision, col(Revision.article_id) == Article.id
                )
            ),
            session.exec(
                select(Article.identity, Tagging.tagger)
                .join(Revision, col(Revision.article_id) == Article.id)
                .join(Tagging, col(Tagging.revision_id) == Revision.id)
            ),
            session.exec(
                select(
                    Article.identity,
                    NarrativeTag.narrative,
                    NarrativeTag.score,
                    NarrativeTag.label,
                    NarrativeTag.direction,
                    NarrativeTag.modality,
                    NarrativeTag.evidence,
                )
                .join(Revision, col(Revision.article_id) == Article.id)
                .join(NarrativeTag, col(NarrativeTag.revision_id) == Revision.id)
            ),
            session.exec(
                select(
                    Article.identity, AssetMention.asset, AssetMention.tone, AssetMention.salience, AssetMention.spans
                )
                .join(Revision, col(Revision.article_id) == Article.id)
                .join(AssetMention, col(AssetMention.revision_id) == Revision.id)
            ),
        ]
        return [sorted((tuple(found) for found in table), key=repr) for table in tables]


def test_each_block_is_a_part_with_what_the_tagger_says_of_its_rows(now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "news.jsonl.gz", *(row(n) for n in range(25)))
    (report,) = tagged(plan(now), path).files
    assert (report.rows, report.tagged, report.before, report.refused_rows, report.parts) == (25, 25, 0, 0, [0, 1, 2])
    folder = tmp_path / "news.jsonl.gz.tags"
    assert report.folder == str(folder)
    found = rows_of(folder)
    assert [one["line"] for one in found] == list(range(1, 26))
    assert {one["tagger"] for one in found} == {"keywords@1"}
    assert found[0]["published_at"] == datetime.fromisoformat("2020-03-01T23:59:59Z")
    said = list(baseline_tagger().tag(Text(str(n), {"title": row(n)["title"]}) for n in range(25)))
    assert any(one.narratives for one in said)
    assert any(one.assets for one in said)
    for one, result in zip(found, said, strict=True):
        assert [tag["narrative"] for tag in one["narratives"]] == [tag.narrative for tag in result.narratives]
        assert [tag["score"] for tag in one["narratives"]] == [tag.score for tag in result.narratives]
        assert [mention["asset"] for mention in one["assets"]] == [mention.asset for mention in result.assets]
        for tag in one["narratives"]:
            assert all(one["title"][span["start"] : span["end"]] == span["text"] for span in tag["evidence"])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_same_rows_in_any_format_are_told_the_same(now: datetime, tmp_path: Path, suffix: str) -> None:
    rows = [row(n) for n in range(25)]
    frame = pd.DataFrame(rows)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=7)
    tagged(plan(now), lines(tmp_path / "a.jsonl", *rows), tmp_path / f"a.{suffix}")
    without_lines = [
        [{name: value for name, value in found.items() if name != "line"} for found in rows_of(tmp_path / folder)]
        for folder in ("a.jsonl.tags", f"a.{suffix}.tags")
    ]
    assert len(without_lines[0]) == 25
    assert without_lines[0] == without_lines[1]


def test_twice_does_nothing_and_tells_the_same(now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "news.jsonl", *(row(n) for n in range(12)), "{bad", row(12, language="de"), row(13))
    (first,) = tagged(plan(now), path).files
    before = parts(tmp_path / "news.jsonl.tags")
    (second,) = tagged(plan(now), path).files
    assert parts(tmp_path / "news.jsonl.tags") == before
    assert (first.before, second.before) == (0, 13)
    assert replace(second, before=0) == first
    assert (second.rows, second.tagged, second.other_languages) == (15, 13, 1)
    assert [line for line, _ in second.refused] == [13]


def test_only_blocks_whose_rows_or_tagger_are_others_are_tagged_again(now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "news.jsonl", *(row(n) for n in range(40)))
    folder = tmp_path / "news.jsonl.tags"
    tagged(plan(now), path)
    before = parts(folder)
    lines(path, *(row(n) for n in range(15)), row(99), *(row(n) for n in range(16, 28)))
    (report,) = tagged(plan(now), path).files
    after = parts(folder)
    assert (report.tagged, report.before) == (28, 10)
    assert sorted(after) == ["part-000000.parquet", "part-000001.parquet", "part-000002.parquet"]
    assert [name for name in after if after[name] == before[name]] == ["part-000000.parquet"]
    (report,) = tagged(Plan("fake@1", ("en",), now, rows=10, make_tagger=FakeTagger), path).files
    assert report.before == 0
    assert {one["tagger"] for one in rows_of(folder)} == {"fake@1"}


@pytest.mark.parametrize("content", [b"", b"PAR1 broken", None])
def test_a_part_that_is_broken_or_gone_is_made_again(now: datetime, tmp_path: Path, content: bytes | None) -> None:
    path = lines(tmp_path / "news.jsonl", *(row(n) for n in range(30)))
    folder = tmp_path / "news.jsonl.tags"
    tagged(plan(now), path)
    whole = rows_of(folder)
    part = folder / "part-000001.parquet"
    part.unlink() if content is None else part.write_bytes(content)
    (folder / ".part-000001.123").write_bytes(b"begun by a run that was killed")
    (report,) = tagged(plan(now), path).files
    assert report.before == 20
    assert rows_of(folder) == whole
    assert not list(folder.glob(".part*"))


def test_a_bad_row_is_told_by_line_and_reason_and_the_others_are_kept(now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", row(1), "{bad", row(2, title=" "), row(3, published_at="2031-01-01"), row(4))
    (report,) = tagged(plan(now, rows=2), path).files
    assert (report.rows, report.tagged, report.refused_rows) == (5, 2, 3)
    assert [line for line, _ in report.refused] == [2, 3, 4]
    for (_, reason), said in zip(report.refused, ["not JSON", "no title", "future"], strict=True):
        assert said in reason
    assert [one["line"] for one in rows_of(tmp_path / "n.jsonl.tags")] == [1, 5]


def test_what_is_listed_of_very_many_bad_rows_is_bounded_and_their_number_is_not(
    now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.backfill.REFUSED_KEPT", 7)
    (report,) = tagged(plan(now), lines(tmp_path / "n.jsonl", *["{bad"] * 55)).files
    assert report.refused_rows == 55
    assert [line for line, _ in report.refused] == [1, 2, 3, 4, 5, 6, 7]


def test_a_file_that_cannot_be_read_does_not_stop_the_others(now: datetime, tmp_path: Path) -> None:
    broken = lines(tmp_path / "broken.jsonl.gz", *(row(n, body=os.urandom(40).hex()) for n in range(2_000)))
    broken.write_bytes(broken.read_bytes()[:-40_000])
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"not parquet")
    missing, good = tmp_path / "missing.jsonl", lines(tmp_path / "good.jsonl", row(1))
    found = tagged(plan(now, rows=100), broken, bad, missing, good).files
    assert [bool(report.failed) for report in found] == [True, True, True, False]
    for report, said in zip(found, ["breaks off after line", "not readable as Parquet", "no such file"], strict=False):
        assert said in report.failed[0]
    assert 0 < found[0].tagged < 2_000
    assert len(rows_of(tmp_path / "broken.jsonl.gz.tags")) == found[0].tagged
    assert found[3].tagged == 1


def test_an_empty_file_is_no_failure(now: datetime, tmp_path: Path) -> None:
    (report,) = tagged(plan(now), lines(tmp_path / "empty.jsonl")).files
    assert (report.rows, report.parts, report.failed) == (0, [], [])


def test_articles_in_other_languages_are_kept_and_not_tagged(database: Database, now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", row(0), row(1, language="de"), row(2, language="en-GB"))
    (report,) = tagged(plan(now), path).files
    assert (report.tagged, report.other_languages) == (2, 1)
    assert [one["narratives"] is None for one in rows_of(tmp_path / "n.jsonl.tags")] == [False, True, False]
    store(database, plan(now), report)
    with database.read() as session:
        assert session.scalar(select(func.count()).select_from(Article)) == 3
        assert session.scalar(select(func.count()).select_from(Tagging)) == 2


def test_the_store_is_as_if_the_file_had_been_imported_and_tagged(
    database: Database, now: datetime, tmp_path: Path
) -> None:
    rows = [row(n, summary=f"What {n} means for gold.", url=f"https://example.org/{n}") for n in range(35)]
    rows.insert(30, rows[3] | {"title": "Bitcoin as a hedge against debasement, reworded"})
    rows.insert(31, rows[3])
    path = lines(tmp_path / "n.jsonl", *rows)
    (report,) = tagged(plan(now), path).files
    first = store(database, plan(now), report)
    found = stored(database)
    assert (first.articles, first.new, first.revised, first.known, first.tagged) == (37, 35, 1, 1, 37)
    again = store(database, plan(now), report)
    assert (again.new, again.revised, again.known) == (0, 0, 37)
    assert stored(database) == found
    assert import_news(database, path, now=now).known == 37
    assert tag_untagged(database, baseline_tagger(), clock=lambda: now) == 0
    fresh = Database.open(f"sqlite:///{tmp_path}/other.db")
    with closing(fresh):
        import_news(fresh, path, now=now)
        tag_untagged(fresh, baseline_tagger(), clock=lambda: now)
        assert stored(fresh) == found
    assert all(found)


def test_what_was_taken_down_does_not_come_back_with_its_tags(
    database: Database, now: datetime, tmp_path: Path
) -> None:
    path = lines(tmp_path / "n.jsonl", row(0), row(1))
    (report,) = tagged(plan(now), path).files
    import_news(database, path, now=now)
    with database.write() as session:
        remove_text(session, session.exec(select(Article.id).order_by(Article.id)).first() or 0, now=now)
    assert store(database, plan(now), report).tagged == 1
    with database.read() as session:
        evidence = [tag.evidence for tag in session.exec(select(NarrativeTag))]
    assert evidence
    assert all("havens" not in span["text"] for spans in evidence for span in spans)


@pytest.mark.slow
def test_the_processes_say_what_one_process_says(now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", *(row(n) for n in range(45)))
    seen: list[tuple[int, int, int]] = []
    report = backfill(
        plan(now, output=tmp_path / "many"), [path], run_locally, workers=2, progress=lambda *told: seen.append(told)
    )
    one = tagged(plan(now, output=tmp_path / "one"), path)
    assert replace(report.files[0], folder="") == replace(one.files[0], folder="")
    assert seen[-1] == (path.stat().st_size, path.stat().st_size, 45)
    for part in (tmp_path / "one" / "n.jsonl.tags").glob("part*"):
        assert part.read_bytes() == (tmp_path / "many" / "n.jsonl.tags" / part.name).read_bytes()
    assert len(report.files[0].parts) == 5


def deadly(folder: Path, now: datetime, **more: Any) -> Plan:
    return Plan("fake@1", ("en",), now, rows=4, make_tagger=partial(Deadly, folder), **more)


def deadly_news(path: Path) -> Path:
    titles = ["a", "b", "c", "d", "once", "e", "f", "g", "h", "i", "poison", "j", "k", "odd", "l", "m", "n"]
    return lines(path, *(row(n, title=title) for n, title in enumerate(titles)))


def is_as_it_should_be_of_the_deadly(report: BackfillReport) -> None:
    (file,) = report.files
    assert (file.rows, file.tagged, file.parts) == (17, 9, [0, 1, 4])
    poisoned, odd = sorted(file.failed, key=lambda said: "odd" in said)
    assert f"lines 9 to 12 are set aside: the process that tagged them died {TRIES} times" in poisoned
    assert "lines 13 to 16 are set aside: RuntimeError: an odd text" in odd


@pytest.mark.slow
def test_a_block_whose_worker_dies_is_tried_again_and_after_three_deaths_set_aside(
    now: datetime, tmp_path: Path
) -> None:
    path = deadly_news(tmp_path / "n.jsonl")
    is_as_it_should_be_of_the_deadly(tagged(deadly(tmp_path, now), path, run=run_locally))
    assert not list((tmp_path / "n.jsonl.tags").glob(".part*"))


@pytest.mark.slow
def test_workers_that_cannot_even_start_end_the_run_with_a_sentence(now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", *(row(n) for n in range(30)))
    with pytest.raises(ConfigError, match=f"{TRIES} workers died before.*exit code 7"):
        tagged(replace(plan(now), make_tagger=dead_at_once), path, run=run_locally)
    with pytest.raises(ConfigError, match="has the tagger keywords@1, not other@1"):
        tagged(replace(plan(now), tagger="other@1"), path, run=run_locally)


def test_parts_that_cannot_be_written_end_the_run_with_a_sentence(now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", row(1))
    (tmp_path / "n.jsonl.tags").write_text("a file where the folder should be")
    with pytest.raises(BadFile, match=r"n\.jsonl\.tags: cannot be written .*--output"):
        tagged(plan(now), path)
    folder = tmp_path / "out" / "n.jsonl.tags"
    folder.mkdir(parents=True)
    (folder / "part-000000.parquet").mkdir()
    with pytest.raises(BadFile, match="cannot be written"):
        tagged(plan(now, output=tmp_path / "out"), path)


def test_two_do_not_write_in_one_place(now: datetime, tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", row(1))

    def while_another(plan: Plan, files: Any, workers: int) -> Iterator[Any]:
        with pytest.raises(BadFile, match="another backfill writes there"):
            tagged(plan, path)
        yield from run_here(plan, files, workers)

    assert tagged(plan(now), path, run=while_another).files[0].tagged == 1
    (tmp_path / "b").mkdir()
    other = lines(tmp_path / "b" / "n.jsonl", row(2))
    with pytest.raises(BadInput, match="Two files would have their tags in"):
        tagged(plan(now, output=tmp_path), path, other)


def test_the_plan_is_that_of_the_settings(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan_of(now=now).tagger == "keywords@1"
    monkeypatch.setenv("STORYSHIFT_TAGGER", "minilm")
    monkeypatch.setenv("STORYSHIFT_LANGUAGES", "en,de")
    definitions.forget()
    found = plan_of(now=now)
    assert (found.tagger, found.languages) == (definitions.live_tagger_name(), ("en", "de"))
    assert found.tagger.startswith("minilm@")


# -- the command ------------------------------------------------------------------------------------------------------


def environment(url: str) -> dict[str, str]:
    return os.environ | {"STORYSHIFT_DATABASE_URL": url}


def command(url: str, *words: str, code: int = 0) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "storyshift", "backfill", *words],
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def is_whole(part: Path) -> bool:
    return pa.parquet.read_metadata(part).num_rows > 0


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_what_is_killed_or_stopped_leaves_whole_parts_and_a_rerun_completes_it(
    sqlite_url: str, tmp_path: Path, how: signal.Signals
) -> None:
    path = lines(tmp_path / "n.jsonl", *(row(n) for n in range(10_100)))
    folder = tmp_path / "n.jsonl.tags"
    words = [sys.executable, "-m", "storyshift", "backfill", str(path), "--workers", "1"]
    with subprocess.Popen(
        words, env=environment(sqlite_url), stderr=subprocess.PIPE, preexec_fn=hear_ctrl_c, start_new_session=True
    ) as process:
        wait_until(lambda: bool(parts(folder)) or process.poll() is not None)
        os.killpg(process.pid, how) if how is signal.SIGINT else process.kill()  # Ctrl-C reaches the workers too
        _, err = process.communicate(timeout=WAIT_SECONDS)
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "stopped; what was committed is kept, and the same command completes it." in err.decode()
        assert "Traceback" not in err.decode()
    before = parts(folder)
    assert 0 < len(before) < 3
    assert all(is_whole(folder / name) for name in before)
    out, _ = command(sqlite_url, str(path), "--format", "json")
    (told,) = json.loads(out)["files"]
    assert (told["rows"], told["tagged"], told["parts"], told["stored"]["new"]) == (10_100, 10_100, 3, 10_100)
    assert told["before"] >= 5_000 * len(before)
    after = parts(folder)
    assert len(after) == 3
    assert before.items() <= after.items()
    assert [one["line"] for one in rows_of(folder)] == list(range(1, 10_101))


@pytest.mark.slow
def test_the_command_tells_what_it_did_and_its_exit_code_what_failed(sqlite_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    lines(folder / "a.jsonl", row(0), "{bad", row(1))
    pd.DataFrame([row(2), row(3)]).to_parquet(folder / "b.parquet")
    out, err = command(sqlite_url, str(folder))
    assert out == ""
    assert f"refused: {folder}/a.jsonl, line 2: is not JSON" in err
    assert "4 new articles" not in err
    assert "a.jsonl: 3 rows: 2 tagged, 0 of them before, 1 refused. Their tags lie in" in err
    (folder / "c.parquet").write_bytes(b"x")
    out, err = command(sqlite_url, str(folder), "--output", str(tmp_path / "o"), "--format", "json", code=1)
    report = json.loads(out)
    assert [(file["rows"], file["tagged"], file["stored"]["known"]) for file in report["files"]] == [
        (3, 2, 2),
        (2, 2, 2),
        (0, 0, 0),
    ]
    assert report["files"][0]["refused"][0]["line"] == 2
    assert "not readable as Parquet" in report["files"][2]["failed"][0]
    _, err = command(sqlite_url, str(tmp_path / "nowhere.jsonl"), "--parquet-only", code=1)
    assert "there is no such file" in err


def test_only_parquet_touches_no_database(tmp_path: Path) -> None:
    path = lines(tmp_path / "n.jsonl", row(0))
    command(f"sqlite:///{tmp_path}/none/none.db", str(path), "--parquet-only")
    assert len(rows_of(tmp_path / "n.jsonl.tags")) == 1


# -- Ray --------------------------------------------------------------------------------------------------------------


def test_without_ray_its_engine_is_refused_with_a_sentence(
    now: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.backfill_ray import run_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    path = lines(tmp_path / "n.jsonl", row(0))
    with pytest.raises(ConfigError, match=r"pip install 'storyshift\[cluster\]'"):
        tagged(plan(now), path, run=run_ray)


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_named(sqlite_url: str, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    path = lines(tmp_path / "n.jsonl", row(0))
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "storyshift", "backfill", str(path), "--engine", "ray"],
            env=environment(sqlite_url) | {"STORYSHIFT_RAY_ADDRESS": address},
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
        )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: The Ray cluster at {address} does not answer (")


BOTH = """
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
import test_backfill as tests
from jobs.backfill_ray import run_ray

folder, now = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
path = tests.deadly_news(folder / "n.jsonl")
reports = []
for name, run in (("local", tests.run_locally), ("ray", run_ray)):
    (folder / "died once").unlink(missing_ok=True)
    reports.append(tests.tagged(tests.deadly(folder, now, output=folder / name), path, run=run))
    tests.is_as_it_should_be_of_the_deadly(reports[-1])
local, ray = ([replace(file, folder="", failed=sorted(file.failed)) for file in report.files] for report in reports)
assert local == ray, (local, ray)
"""


@pytest.mark.slow
def test_ray_makes_the_same_parts_and_tells_the_same_even_where_actors_die(now: datetime, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, "-c", BOTH, str(tmp_path), now.isoformat()],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=3 * WAIT_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    both = [sorted((tmp_path / name / "n.jsonl.tags").glob("part*")) for name in ("local", "ray")]
    assert [part.name for part in both[0]] == [part.name for part in both[1]]
    assert len(both[0]) == 3
    for local, ray in zip(*both, strict=True):
        assert pa.parquet.read_table(local).equals(pa.parquet.read_table(ray), check_metadata=True)
