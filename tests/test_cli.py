import io
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pandas as pd
import pytest
import sqlalchemy as sa
from fakes import FeedServer, Page, hear_ctrl_c, rss

from config import definitions
from models.derived import IntensityPoint, JoinedPoint, ShiftPoint, columns
from storyshift.__main__ import main


class Shell:
    """Runs `storyshift` as a person would, in an empty folder with its own database.

    A call runs it in this process, from the words to the exit code: starting a process and loading the libraries would
    take longer than the command. `process` and `start` do that, where it is what is promised.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("STORYSHIFT_")}
        self.environment |= {"STORYSHIFT_DATABASE_URL": url, "COLUMNS": "200"}
        self.environment |= {"STORYSHIFT_ALLOW_PRIVATE_ADDRESSES": "true", "STORYSHIFT_TAGGER": "keywords"}

    def start(self, *words: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-W", "error::ResourceWarning", "-m", "storyshift", *words]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            preexec_fn=hear_ctrl_c,
        )

    def process(self, *words: str, given: str = "", code: int = 0) -> tuple[str, str]:
        """stdout and stderr of a process that must exit with `code`, and never shows a traceback."""
        with self.start(*words) as process:
            out, err = process.communicate(given.encode(), timeout=60)
        return heard(out, err, process.returncode, code)

    def __call__(self, *words: str, given: str = "", code: int = 0) -> tuple[str, str]:
        """The same, without a process of its own."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with self._inside() as inside:
            inside.setattr(sys, "argv", ["storyshift", *words])
            inside.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode()), "utf-8"))
            inside.setattr(sys, "stdout", out)
            inside.setattr(sys, "stderr", err)
            try:
                main()
                ended: str | int | None = 0
            except SystemExit as exit_:
                ended = exit_.code
        return heard(out.buffer.getvalue(), err.buffer.getvalue(), ended or 0, code)  # type: ignore[attr-defined]

    @contextmanager
    def _inside(self) -> Iterator[pytest.MonkeyPatch]:
        """In the folder and with the environment of a command, whose settings and connections end with it."""
        opened: list[sa.Engine] = []

        def remember(connection: sa.Connection) -> None:
            opened.append(connection.engine)

        sa.event.listen(sa.Engine, "engine_connect", remember)
        try:
            with pytest.MonkeyPatch.context() as inside:
                for name in os.environ.keys() - self.environment.keys():
                    inside.delenv(name)
                for name, value in self.environment.items():
                    inside.setenv(name, value)
                inside.chdir(self.folder)
                definitions.forget()
                yield inside
        finally:
            sa.event.remove(sa.Engine, "engine_connect", remember)
            for engine in opened:
                engine.dispose()
            definitions.forget()


def heard(out: bytes, err: bytes, ended: str | int, code: int) -> tuple[str, str]:
    assert "Traceback" not in err.decode(), err.decode()
    assert ended == code, err.decode()
    return out.decode(), err.decode()


@pytest.fixture
def shell(tmp_path: Path, sqlite_url: str) -> Shell:
    return Shell(tmp_path, sqlite_url)


def test_help_is_quick_because_it_loads_none_of_the_heavy_libraries() -> None:
    heavy = "torch transformers spacy pandas scipy sqlmodel fastapi plotly pyarrow".split()
    heavy += "exchange_calendars httpx ccxt yfinance".split()
    code = f"import sys, storyshift.__main__; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code]).decode().strip() == "[]"


def test_the_api_starts_without_torch_transformers_or_spacy() -> None:
    code = (
        "import sys, api.app; print([m for m in ('torch', 'transformers', 'spacy', 'exchange_calendars')"
        " if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code]).decode().strip() == "[]"


NEWS = [
    {"published_at": "2020-03-09", "title": "Investors flee to safe havens as markets plunge", "outlet": "Wire"},
    {"published_at": "2020-03-09", "title": "Fed cuts interest rates to support markets", "outlet": "Wire"},
    {"published_at": "2020-03-10", "title": "Museum opens new wing", "outlet": "Wire"},
    {"published_at": "nonsense", "title": "No date", "outlet": "Wire"},
]


def test_from_an_archive_to_the_numbers(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "news.jsonl").write_text("\n".join(map(json.dumps, NEWS)))
    (tmp_path / "BTC.csv").write_text(
        "date,close\n2020-03-08,8100\n2020-03-09,7900\n2020-03-10,7800\n2020-03-11,7700\n"
    )
    _, err = shell("import", "news", "news.jsonl")
    assert "line 4: published_at: 'nonsense' is not a date" in err
    assert "3 new articles" in err
    assert "0 new articles" in shell("import", "news", "news.jsonl")[1]
    assert "3 texts tagged by keywords@1" in shell("tag")[1]
    assert "0 texts tagged" in shell("tag")[1]
    shell("import", "prices", "BTC.csv")
    out, err = shell("series", "--narrative", "safe_haven", "--narrative", "liquidity", "--start", "2020-03-09")
    rows = pd.read_csv(io.StringIO(out))
    assert list(rows.columns) == columns(IntensityPoint)
    assert rows.groupby("narrative")["n_carrying"].sum().to_dict() == {"safe_haven": 1, "liquidity": 1}
    assert err == "audit: as tagged: safe_haven, liquidity (0 stories read at random; see `storyshift quality`).\n"
    found = json.loads(shell("shift", "--bucket", "week", "--format", "json")[0])
    assert list(found["data"][0]) == columns(ShiftPoint)
    assert found["data"][-1]["state"] == "warming_up"
    out, _ = shell("joined", "--asset", "BTC", "--start", "2020-03-09", "--end", "2020-03-11")
    joined = pd.read_csv(io.StringIO(out))
    assert list(joined.columns) == columns(JoinedPoint)
    assert joined["return_next"].notna().tolist() == [True, True]


def test_parquet_comes_whole_through_a_pipe(shell: Shell) -> None:
    with shell.start("series", "--format", "parquet", "--narrative", "liquidity") as process:
        frame = pd.read_parquet(io.BytesIO(process.communicate()[0]))
    assert list(frame.columns) == columns(IntensityPoint)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (
            ["series", "--narrative", "safe-heaven"],
            2,
            "named 'safe-heaven'. Did you mean 'safe_haven'? Known: safe_haven",
        ),
        (["joined", "--asset", "btc"], 2, "There is no asset named 'btc'. Did you mean 'BTC'?"),
        (["series", "safe_heaven"], 2, "narratives go by --narrative: `storyshift series --narrative safe_haven`."),
        (["series", "fear", "--bucket", "week"], 2, "'fear' stands alone, but narratives go by --narrative"),
        (["series", "--narrative", "fear"], 2, "There is no narrative named 'fear'. Known: safe_haven"),
        (["joined", "--asset", "DOGE"], 2, "There is no asset named 'DOGE'"),
        (["shift", "--start", "2020-05-01", "--end", "2020-01-01"], 2, "must be before end"),
        (["shift", "--start", "yesterday"], 2, "--start is 'yesterday'"),
        (["shift", "--as-of", "2199-01-01"], 2, "lies in the future"),
        (["shift", "--bucket", "year"], 2, "year"),
        (["shift", "--bucket", "hour"], 2, "daily statistic"),
        (["import", "news", "nowhere.jsonl"], 1, "nowhere.jsonl: there is no such file"),
        (["import", "prices", "XAU.csv"], 1, "XAU.csv: has no column 'date'"),
        (["import", "prices", "BTC.csv"], 1, "BTC.csv, line 2: close is 'about 9000', which is not a number"),
        (["import", "prices", "DOGE.csv"], 1, "There is no asset named 'DOGE'"),
        (["import", "news", "empty"], 2, "holds no file that can be read"),
        (["feeds", "add", "example.org/feed"], 2, "must start with http"),
        (["feeds", "add", "http://a.example:99999/"], 2, "is not a feed's address"),
        (["feeds", "add", "https://me:secret@a.example/"], 2, "must not hold a user name or password"),
        (["feeds", "add", "https://a.example/", "--kind", "gossip"], 2, "There is no kind of feed named 'gossip'"),
        (["tag", "--output", "tags.jsonl"], 2, "--output goes with --input"),
        (["tag", "--input", "BTC.csv", "--output", "BTC.csv"], 2, "is the input itself"),
        (["feeds", "remove", "https://example.org/none"], 1, "There is no feed https://example.org/none"),
        (["tag", "--input", "nowhere.jsonl"], 1, "nowhere.jsonl: cannot be opened"),
        (["serve", "--host", "0.0.0.0"], 2, "STORYSHIFT_ALLOWED_HOSTS"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_an_exit_code(
    shell: Shell, tmp_path: Path, words: list[str], code: int, told: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "XAU.csv").write_text("day,close\n2020-03-01,1\n")
    (tmp_path / "BTC.csv").write_text("date,close\n2020-03-01,about 9000\n")
    (tmp_path / "DOGE.csv").write_text("date,close\n2020-03-01,1\n")
    out, err = shell(*words, code=code)
    assert told in " ".join(err.split())
    assert out == ""


def test_one_bad_file_does_not_stop_the_others(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(NEWS[0]))
    (tmp_path / "b.jsonl").write_text(json.dumps(NEWS[1]))
    out, err = shell.process("import", "news", "a.jsonl", "missing.jsonl", "b.jsonl", "--format", "json", code=1)
    assert "missing.jsonl: there is no such file" in err
    assert [report["new"] for report in json.loads(out)] == [1, 1]


def test_refused_rows_stand_in_the_report_as_json(shell: Shell) -> None:
    rows = '{"published_at": "2020-03-09", "title": "Gold rises"}\n{"title": "When?"}\n'
    (shell.folder / "half.jsonl").write_text(rows)
    (report,) = json.loads(shell("import", "news", "half.jsonl", "--format", "json")[0])
    assert (report["new"], report["refused"]) == (1, [{"line": 2, "reason": "has no published_at."}])


@pytest.mark.slow
def test_a_locked_database_is_a_sentence(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(NEWS[0]))
    holder = sqlite3.connect(tmp_path / "storyshift.db", isolation_level=None)
    holder.execute("begin immediate")
    code = "import models.database as d; d.Database.__init__.__kwdefaults__['busy_seconds'] = 0.2\n"
    code += (
        "import sys; sys.argv = ['storyshift', 'import', 'news', 'a.jsonl']\nimport storyshift.__main__ as m; m.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=shell.environment, capture_output=True, text=True, check=False
    )
    holder.close()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: The database")
    assert "held by another process" in done.stderr


def test_a_busy_port_is_a_sentence(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} is in use" in shell("serve", "--port", str(port), code=1)[1]


def test_tagging_a_stream_needs_no_database_and_keeps_the_order(tmp_path: Path) -> None:
    shell = Shell(tmp_path, "postgresql://127.0.0.1:1/none")
    given = [
        json.dumps({"id": "a", "text": "Gold climbs as investors seek safe haven 🚀 amid fear"}),
        "not json",
        "",
        json.dumps({"id": 7, "title": "Fed expected to cut rates", "summary": None, "body": "x"}),
        json.dumps({"id": "empty", "text": ""}),
        json.dumps({"title": "no id"}),
        '{"id": "half", "text": "\\ud800 gold"}',
    ]
    out, err = shell("tag", "--input", "-", given="\n".join(given))
    found = [json.loads(line) for line in out.splitlines()]
    assert [line["id"] for line in found] == ["a", "7", "empty", "half"]
    assert all(line["tagger"] == "keywords@1" for line in found)
    tag = found[0]["narratives"]["safe_haven"]
    assert set(tag) == {"score", "label", "direction", "evidence"}
    assert tag["label"] is True
    assert found[0]["assets"][0]["asset"] == "XAU"
    assert found[0]["assets"][0]["spans"] == [{"field": "text", "start": 0, "end": 4}]
    assert found[1]["narratives"]["liquidity"]["modality"] == "expected"
    assert found[2]["narratives"] == {}
    assert "-, line 2: is not JSON" in err
    assert "2 lines refused" in err


def test_feeds_are_listed_with_what_their_servers_said(shell: Shell, tmp_path: Path) -> None:
    with FeedServer({"good": Page(rss("Gold rises")), "bad": Page(b"", 404)}) as server:
        (tmp_path / "config").mkdir()
        entry = '[[feeds]]\nurl = "{}"\noutlet = "Good"\nkind = "macro"\n'
        (tmp_path / "config" / "feeds.toml").write_text(entry.format(server.url("good")))
        shell.environment["STORYSHIFT_CONFIG_DIR"] = str(tmp_path / "config")
        shell("feeds", "add", server.url("bad"), "--outlet", "Bad")
        assert "is collected already" in shell("feeds", "add", server.url("bad"))[1]
        out, err = shell("collect", "--once", "--format", "json")
        report = json.loads(out)
        assert [report[k] for k in ("feeds", "fetched", "not_modified", "failed", "new_articles")] == [2, 1, 0, 1, 1]
        assert "404" in err
        listed = {feed["outlet"]: feed for feed in json.loads(shell("feeds", "list", "--format", "json")[0])}
        assert (listed["Good"]["articles"], listed["Good"]["last_status"]) == (1, 200)
        assert "404" in listed["Bad"]["last_error"]
        shell("feeds", "remove", server.url("good"))
        assert "Good" not in shell("feeds", "list")[0]


@pytest.mark.slow
def test_run_collects_tags_serves_and_stops_when_told(shell: Shell, tmp_path: Path) -> None:
    with FeedServer({"feed": Page(rss("Investors flee to safe havens"))}) as server, socket.socket() as free:
        (tmp_path / "feeds.toml").write_text(f'[[feeds]]\nurl = "{server.url("feed")}"\noutlet = "W"\nkind = "macro"\n')
        shell.environment |= {"STORYSHIFT_CONFIG_DIR": str(tmp_path), "STORYSHIFT_LOAD_PRICES": "false"}
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        with shell.start("run", "--port", str(port)) as process:
            address = f"http://127.0.0.1:{port}/v1"
            ready: dict[str, int] = {}
            until = time.monotonic() + 30
            while ready.get("articles") != 1 or ready.get("untagged") != 0:
                assert time.monotonic() < until, ready
                time.sleep(0.1)
                try:
                    ready = httpx.get(f"{address}/health/ready").json()
                except httpx.TransportError:
                    continue
            carried = httpx.get(f"{address}/articles?narrative=safe_haven").json()["data"]
            assert [article["title"] for article in carried] == ["Investors flee to safe havens"]
            process.terminate()
            _, err = process.communicate(timeout=10)
    assert f"http://127.0.0.1:{port}/" in err.decode()


def test_feeds_are_checked_listed_and_brought_in_as_opml(shell: Shell, tmp_path: Path) -> None:
    with FeedServer({"good": Page(rss("Gold rises", "Fed waits")), "bad": Page(b"", 404)}) as server:
        out, err = shell("feeds", "check", server.url("good"), server.url("bad"), "--format", "json")
        good, bad = json.loads(out)
        assert (good["answers"], good["entries"], good["newest"]) == (True, 2, "2026-11-20T01:00:00Z")
        assert (bad["answers"], bad["error"]) == (False, "The server answered 404 Not Found.")
        assert "1 of 2 feeds answer." in err
        assert "404" in shell("feeds", "check", server.url("bad"))[0]
        (tmp_path / "feeds.toml").write_text(
            f'[[feeds]]\nurl = "{server.url("good")}"\noutlet = "A & B"\nkind = "macro"\n'
        )
        shell.environment["STORYSHIFT_CONFIG_DIR"] = str(tmp_path)
        exported = shell("feeds", "export-opml")[0]
        assert 'text="A &amp; B"' in exported
        (tmp_path / "list.opml").write_text(exported.replace("/good", "/other").replace("A &amp; B", "Other"))
        assert "1 feeds added, 0 collected already, 0 refused" in shell("feeds", "import-opml", "list.opml")[1]
        assert "0 feeds added, 1 collected already" in shell("feeds", "import-opml", "list.opml")[1]
        listed = {feed["outlet"]: feed["url"] for feed in json.loads(shell("feeds", "list", "--format", "json")[0])}
        assert listed == {"A & B": server.url("good"), "Other": server.url("other")}
    (tmp_path / "no.opml").write_text("<html>a page</html>")
    assert "no.opml: names no feed; is it OPML?" in shell("feeds", "import-opml", "no.opml", code=1)[1]
    assert "cannot be read" in shell("feeds", "import-opml", "missing.opml", code=1)[1]


def test_an_article_is_taken_down_and_stays_counted(shell: Shell, tmp_path: Path) -> None:
    with FeedServer({"a": Page(rss("Investors flee to safe havens"))}) as server:
        (tmp_path / "feeds.toml").write_text(f'[[feeds]]\nurl = "{server.url("a")}"\noutlet = "W"\nkind = "macro"\n')
        shell.environment["STORYSHIFT_CONFIG_DIR"] = str(tmp_path)
        shell("collect", "--once")
        shell("tag")
        words = ("series", "--narrative", "safe_haven", "--start", "2026-11-20", "--end", "2026-11-21")
        before = shell(*words)[0]
        assert "1 taken down" in shell("articles", "remove", "1")[1]
        assert shell(*words)[0] == before
        server.pages["a"] = Page(rss("Investors flee to safe havens, again"))
        shell("collect", "--all")
    with closing(sqlite3.connect(tmp_path / "storyshift.db")) as connection:
        held = "".join(connection.iterdump())
    assert "flee" not in held
    assert "There is no article 7." in shell("articles", "remove", "7", code=1)[1]


def test_without_a_network_loading_prices_says_which_sources_fail_and_doctor_too(shell: Shell) -> None:
    shell.environment |= dict.fromkeys(("HTTPS_PROXY", "https_proxy"), "http://127.0.0.1:9")  # nobody listens there
    out, err = shell("load-prices", "--format", "json")
    assert {series["error"] is None for series in json.loads(out)} == {False}
    assert "failed: No exchange answers: coinbaseexchange cannot be reached; bitstamp" in err
    assert "failed: Yahoo cannot be reached" in err
    assert "failed: FRED cannot be reached" in err
    assert "Series: CPIAUCSL, " in err
    assert "0 series were due" in shell("load-prices")[1]
    out, err = shell("doctor", "--format", "json")
    assert {check["source"]: check["answers"] for check in json.loads(out)["sources"]} == dict.fromkeys(
        ("coinbaseexchange", "bitstamp", "kraken", "yfinance", "fred"), False
    )
    assert "0 of 5 sources answer." in err
    assert "prices     0 series with values, 31 failing" in err


def test_migrate_says_what_it_did(tmp_path: Path) -> None:
    shell = Shell(tmp_path, f"sqlite:///{tmp_path}/new.db")
    assert "migrated" in shell.process("migrate")[1]
    assert "newest schema already" in shell("migrate")[1]


def test_narratives_are_listed(shell: Shell) -> None:
    assert "safe_haven  (panic)" in shell("narratives", "list")[0]
    assert len(json.loads(shell("narratives", "list", "--format", "json")[0])) == 9


def test_the_clock_of_the_command_line_is_aware() -> None:
    from storyshift.shell import now

    assert now().tzinfo is UTC
    assert abs((now() - datetime.now(UTC)).total_seconds()) < 5


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_collecting_that_is_killed_keeps_whole_feeds_and_a_rerun_completes_it(
    shell: Shell, tmp_path: Path, how: signal.Signals
) -> None:
    killed = threading.Event()
    pages = {str(n): Page(rss(f"Story {n} of the day", site=f"site{n}.org")) for n in range(30)}
    for n in range(10, 30):  # these do not answer before the kill, so that it falls into the middle
        pages[str(n)].before = lambda: bool(killed.wait(30))
    with FeedServer(pages) as server:
        entries = [f'[[feeds]]\nurl = "{server.url(name)}"\noutlet = "W{name}"\nkind = "macro"\n' for name in pages]
        (tmp_path / "feeds.toml").write_text("\n".join(entries))
        shell.environment["STORYSHIFT_CONFIG_DIR"] = str(tmp_path)
        with shell.start("collect", "--once") as process:
            while not stored(tmp_path):
                time.sleep(0.01)
            process.send_signal(how)
            _, err = process.communicate(timeout=20)
        killed.set()
        kept = stored(tmp_path)
        assert 0 < kept <= 10
        if how is signal.SIGINT:
            assert process.returncode == 130
            assert "Traceback" not in err.decode()
            assert "the same command completes it" in err.decode()
        which = "--once" if how is signal.SIGINT else "--all"  # for others, what was claimed is due in two minutes
        report = json.loads(shell("collect", which, "--format", "json")[0])
    assert report["new_articles"] == 30 - kept
    assert stored(tmp_path) == 30


def stored(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "storyshift.db")) as connection:
        return int(connection.execute("select count(*) from articles").fetchone()[0])


def test_an_empty_record_is_said_beside_its_answer(shell: Shell) -> None:
    out, err = shell("shift", "--start", "2020-01-01", "--end", "2020-01-02")
    assert out.startswith("bucket_start,")
    assert "holds no article. STORYSHIFT_DATABASE_URL names another; the demo's is sqlite:///storyshift-demo.db" in err
