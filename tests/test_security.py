"""What an outsider tries, and what holds: docs/security.md names for each threat a test, of here or elsewhere."""

import ast
import gzip
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
import sqlalchemy as sa
from fakes import found_article
from fastapi.testclient import TestClient
from served import serving
from test_cli import Shell, shell  # noqa: F401 - a fixture
from test_cli_keys import wait_for

from api import arriving
from api.app import PAGES, create_app
from api.protected import HEADERS
from config.settings import get_settings
from ingest import rows
from ingest.guard import Reach
from ingest.opml import read_opml
from ingest.rows import RowFile
from models.database import Database
from models.errors import BadFile
from models.events import Webhook
from models.store.articles import add_articles
from nlp.keywords import Hit, _outside
from nlp.minilm import Encoder
from services.keys import create_key, create_link

ROOT = Path(__file__).parent.parent
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""What no database has a part in."""
WORKSPACE = {"Origin": "https://pro.openbb.co", "Access-Control-Request-Method": "GET"}
EVIL = {"Host": "evil.example"}
TITLE = "Gold rises while an outsider reads on"


@pytest.fixture
def client(database: Database, now: datetime) -> Iterator[TestClient]:
    """A browser on loopback; beside our routes there is one that breaks."""
    app = create_app(database, clock=lambda: now)
    app.add_api_route("/broken", lambda: 1 // 0, include_in_schema=False)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as found:
        yield found


def paths_of(client: TestClient) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """Method, path and parameters of each operation of /openapi.json."""
    for path, operations in client.get("/openapi.json").json()["paths"].items():
        for method, told in operations.items():
            yield method.upper(), path, told.get("parameters", [])


def filled(path: str, value: str = "1") -> str:
    return re.sub(r"\{\w+\}", value, path)


# -- the page ---------------------------------------------------------------------------------------------------------


def test_every_threat_of_the_page_names_tests_that_exist() -> None:
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    threats = [
        line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| threat", "| ---"))
    ]
    assert len(threats) > 30
    for threat in threats:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", threat.rpartition(" | ")[2])
        assert named, f"no test: {threat}"
        for file, test in named:
            text = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert re.search(rf"^(async )?def {test}\(", text, re.MULTILINE), f"{file} has no {test}"


# -- what every answer tells a browser --------------------------------------------------------------------------------


@ON_SQLITE
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("HEAD", "/", {}, 200),
        ("GET", "/v1/narratives", {}, 200),
        ("GET", "/v1/articles?format=csv", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/static/style.css", {}, 200),
        ("GET", "/vendor/plotly.min.js", {}, 200),
        ("GET", "/swagger/swagger-ui-bundle.js", {}, 200),
        ("OPTIONS", "/widgets.json", WORKSPACE, 200),
        ("GET", "/evidence", {}, 308),
        ("GET", "/v1/narratives/", {}, 307),
        ("GET", "/broken/", {}, 307),
        ("GET", "/", EVIL, 400),
        ("GET", "/open?code=guessed", {}, 401),
        ("GET", "/v1/session", {}, 401),
        ("POST", "/v1/feeds", {"Content-Length": "0"}, 401),
        ("GET", "/v1/nothing", {}, 404),
        ("GET", "/nothing", {"Accept": "text/html"}, 404),
        ("GET", "/static/nothing.js", {}, 404),
        ("DELETE", "/v1/narratives", {}, 405),
        ("POST", "/v1/feeds", {"Content-Length": "1000001"}, 413),
        ("GET", "/v1/articles?limit=many", {}, 422),
        ("GET", "/v1/articles?q=%00", {}, 422),
        ("GET", "/broken", {}, 500),
    ],
)
def test_every_answer_refusal_and_failure_protects_the_browser(
    client: TestClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = client.request(method, path, headers=headers, follow_redirects=False)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "script-src" not in answer.headers["content-security-policy"]
    kept = "public, max-age=86400" if path.startswith("/vendor/") else "private, no-cache"
    assert answer.headers["cache-control"] in (kept, "no-store")


@ON_SQLITE
def test_what_has_not_changed_and_who_asks_too_often_are_answered_with_the_same_headers(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, database: Database, now: datetime
) -> None:
    for path in ("/static/style.css", "/v1/narratives", "/v1/intensity"):
        if etag := client.get(path).headers.get("etag"):
            unchanged = client.get(path, headers={"If-None-Match": etag})
            assert (unchanged.status_code, unchanged.content) == (304, b"")
            assert {name: unchanged.headers.get(name) for name in HEADERS} == HEADERS
    monkeypatch.setenv("STORYSHIFT_RATE_LIMIT", "1/hour")
    get_settings.cache_clear()
    with TestClient(create_app(database, clock=lambda: now), base_url="http://localhost") as limited:
        limited.get("/v1/narratives")
        refused = limited.get("/v1/narratives")
    assert refused.status_code == 429
    assert {name: refused.headers.get(name) for name in HEADERS} == HEADERS


@ON_SQLITE
def test_the_page_of_the_api_may_start_itself_and_load_nothing_from_elsewhere(client: TestClient) -> None:
    policy = client.get("/docs").headers["content-security-policy"]
    assert policy == HEADERS["Content-Security-Policy"] + "; script-src 'self' 'unsafe-inline'"
    assert not re.search(r"(src|href|url)\s*[=:]\s*[\"'](https?:)?//", client.get("/docs").text)


# -- what is sent to the server ---------------------------------------------------------------------------------------


def sent(address: str, request: bytes, *more: bytes) -> bytes:
    """The answer over a connection of its own, as far as it comes."""
    host, port = address.removeprefix("http://").split(":")
    found = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection, suppress(ConnectionError):
        connection.sendall(request)
        for part in more:
            connection.sendall(part)
        while part := connection.recv(65_536):
            found += part
    return found


@ON_SQLITE
def test_the_server_does_not_say_what_it_runs_on_and_takes_no_head_without_end(
    database: Database, now: datetime
) -> None:
    start = b"GET /v1/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    with serving(database, now) as (address, _):
        answered = sent(address, start + b"\r\n")
        assert answered.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nserver:" not in answered.lower()
        for endless in (b"X: " + b"y" * 200_000, b"X: y\r\n" * 30_000):
            assert sent(address, start, endless, b"\r\n\r\n")[:12] in (b"HTTP/1.1 400", b"")  # or cut off
        assert b"400" in sent(address, start + b"Host: evil.example\r\n\r\n")[:12]
        assert b"400" in sent(address, b"GET / HTTP/1.0\r\n\r\n")[:12]


@ON_SQLITE
@pytest.mark.parametrize("length", [b"Content-Length: 2\r\n", b""])
@pytest.mark.parametrize("method", [b"POST", b"DELETE"])
def test_a_body_in_chunks_is_not_read_whatever_length_stands_beside_it(
    database: Database, now: datetime, length: bytes, method: bytes
) -> None:
    head = method + b" /v1/feeds HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
    with serving(database, now) as (address, _):
        answer = sent(address, head + length + b"\r\n2\r\n{}\r\n0\r\n\r\n")
        assert b"413" in answer[:12]
        assert b"too_large" in answer


@ON_SQLITE
def test_a_request_that_never_ends_is_cut_off_and_one_that_is_answered_for_long_is_not(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arriving, "ARRIVES_WITHIN", 0.5)
    host, half = b"Host: localhost\r\n", b"GET /v1/health/live HTTP/1.1\r\nX: "
    with serving(database, now) as (address, _):
        place = ("127.0.0.1", int(address.rpartition(":")[2]))
        with socket.create_connection(place) as listening:
            listening.sendall(b"GET /v1/events HTTP/1.1\r\n" + host + b"\r\n")
            assert listening.recv(12) == b"HTTP/1.1 200"
            assert sent(address, b"") == b""
            assert sent(address, half) == b""
            body = b"POST /v1/feeds HTTP/1.1\r\n" + host + b"Content-Length: 9\r\n\r\n{"
            assert sent(address, body)[:12] in (b"HTTP/1.1 401", b"")
            with socket.create_connection(place, timeout=60) as again:
                again.sendall(b"GET /v1/health/live HTTP/1.1\r\n" + host + b"\r\n")
                assert again.recv(12) == b"HTTP/1.1 200"
                again.sendall(half)
                with suppress(ConnectionError):
                    while again.recv(65_536):
                        pass
            with socket.create_connection(place) as dripping:
                assert dripped(dripping) < DRIPS
            listening.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    assert listening.recv(65_536) != b""


DRIPS = 6_000


def dripped(connection: socket.socket) -> int:
    """How many bytes, one now and then, were taken before the other side had enough."""
    for count in range(DRIPS):
        try:
            connection.sendall(b"X")
        except OSError:
            return count
        time.sleep(0.01)
    return DRIPS


@ON_SQLITE
def test_numbers_and_nestings_without_end_are_refused(client: TestClient, database: Database, now: datetime) -> None:
    with database.write() as session:
        key = create_key(session, "laptop", now=now)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for body in (
        "[" * 100_000,
        '{"url":' * 100_000,
        '{"url": ' + "9" * 100_000 + "}",
        '{"url": 1e999}',
        '{"url": NaN}',
    ):
        for path in ("/v1/feeds", "/v1/webhooks"):
            assert client.post(path, headers=headers, content=body).status_code in (400, 422)


@ON_SQLITE
def test_no_path_leads_out_of_the_folders_of_files(client: TestClient) -> None:
    out = ["../", "%2e%2e/", "..%2f", "%2e%2e%2f", "..%5c", "....//", "/", "%2f"]
    for root in ("/static/", "/swagger/", "/vendor/"):
        for step in out:
            for goal in ("pyproject.toml", "templates/now.html", "etc/passwd"):
                for depth in (2, 12):
                    assert client.get(root + step * depth + goal).status_code == 404
        assert client.get(root).status_code == 404
        assert client.get(root + "a" * 5_000).status_code == 404


INJECTIONS = (
    "'",
    '"',
    "\\",
    "1' OR '1'='1",
    "x'; drop table articles; --",
    "x') union select secret, secret, secret from webhooks --",
    "%' or 1=1 --",
    "%(id)s :id ? {0} $1 $$",
    'words:* NEAR( "',
    "2020-01-01' or '1'='1",
)


@pytest.mark.slow
def test_no_parameter_speaks_sql(client: TestClient, database: Database, now: datetime) -> None:
    secret = "whsec_planted"  # noqa: S105
    with database.write() as session:
        add_articles(session, [found_article(TITLE, now - timedelta(days=1))], now=now)
        session.add(
            Webhook(kind="json", secret=secret, url="http://x", events=[], triggers=[], states=[], created_at=now)
        )
        key = create_key(session, "laptop", now=now)
    headers, asked = {"Authorization": f"Bearer {key}"}, 0
    for method, path, parameters in paths_of(client):
        if method != "GET" or path in ("/v1/events", "/v1/webhooks/{webhook_id}"):
            continue
        for parameter in parameters:
            refused = 0
            for planted in INJECTIONS:
                if refused == 2:  # one that takes words of its own only, or numbers
                    break
                if parameter["in"] == "path":
                    answer = client.get(filled(path, quote(planted, safe="")), headers=headers)
                elif parameter["in"] == "query":
                    answer = client.get(filled(path), params={parameter["name"]: planted}, headers=headers)
                else:
                    continue
                asked += 1
                refused = refused + 1 if answer.status_code == 422 else 0
                assert answer.status_code < 500, f"{path} {parameter['name']}={planted}: {answer.text[:300]}"
                assert secret not in answer.text
    assert asked > 200
    found = client.get("/v1/articles", headers=headers).json()["data"]
    assert [article["title"] for article in found] == [TITLE]


# -- who may read -----------------------------------------------------------------------------------------------------


@ON_SQLITE
def test_under_a_name_that_is_not_ours_nothing_is_read(client: TestClient) -> None:
    paths = [filled(path) for method, path, _ in paths_of(client) if method == "GET"]
    assert len(paths) > 30
    for path in (
        *paths,
        *PAGES,
        "/docs",
        "/openapi.json",
        "/metrics",
        "/widgets.json",
        "/static/now.js",
        "/open?code=x",
    ):
        for name in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "localhost.", "evil@localhost"):
            refused = client.get(path, headers={"Host": name})
            assert (refused.status_code, refused.json()["error"]) == (400, "unknown_host"), f"{name}{path}"


@ON_SQLITE
def test_beyond_loopback_nobody_without_a_key_sees_anything_of_the_record(database: Database, now: datetime) -> None:
    with database.write() as session:
        add_articles(session, [found_article(TITLE, now - timedelta(days=1), outlet="Wire-7")], now=now)
        create_key(session, "laptop", now=now)
    app = create_app(database, clock=lambda: now, open_to_read=False)
    with TestClient(app, base_url="http://localhost", client=("192.0.2.1", 5)) as anyone:
        for method, path, _ in paths_of(anyone):
            answer = anyone.request(method, filled(path), headers={"Content-Length": "0"})
            open_to_all = path.startswith("/v1/health/")
            assert answer.status_code == (200 if open_to_all else 401), f"{method} {path}: {answer.text}"
        for path in (*PAGES, "/articles/1", "/docs", "/openapi.json", "/v1/health/ready", "/widgets.json", "/metrics"):
            text = anyone.get(path).text
            assert TITLE not in text
            assert "Wire-7" not in text


# -- what is told, logged and kept ------------------------------------------------------------------------------------


SECRET = "planted-Zq7"  # noqa: S105


@pytest.mark.slow
@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_in_what_a_server_and_its_worker_say_and_log(shell: Shell, form: str) -> None:  # noqa: F811
    config = shell.folder / "config"
    config.mkdir()
    (config / "feeds.toml").write_text("")
    shell.environment |= {
        "STORYSHIFT_CONFIG_DIR": str(config),
        "STORYSHIFT_LOAD_PRICES": "false",
        "STORYSHIFT_LOG_FORMAT": form,
        "STORYSHIFT_SMTP_URL": f"smtp://user:{SECRET}@127.0.0.1:1",
        "STORYSHIFT_MAIL_FROM": "storyshift@example.org",
    }
    database = Database(shell.environment["STORYSHIFT_DATABASE_URL"])
    now = datetime.now(UTC)
    with database.write() as session:
        key, link = create_key(session, "laptop", now=now), create_link(session, "anna", now=now)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    secrets = [key, link, SECRET, f"ss_{SECRET}"]
    with shell.start("run", "--port", str(port)) as process:
        try:
            root = f"http://127.0.0.1:{port}"
            assert wait_for(f"{root}/v1/health/live") == 200
            with httpx.Client(base_url=root, timeout=60) as asking:
                asking.get("/open", params={"code": SECRET})
                asking.get("/open", params={"code": link})
                secrets += [asking.cookies["storyshift_session"], asking.get("/v1/session").json()["csrf"]]
                asking.get("/v1/session", headers={"Authorization": f"Bearer ss_{SECRET}"})
                asking.get(f"/v1/{SECRET}", headers={"Cookie": f"storyshift_session={SECRET}"})
                bearer = {"Authorization": f"Bearer {key}"}
                for terms in (
                    {"url": "http://127.0.0.1:1/hook"},
                    {"kind": "slack", "url": f"http://127.0.0.1:1/services/{SECRET}"},
                    {"kind": "mail", "to": "anna@example.org"},
                ):
                    made = asking.post("/v1/webhooks", headers=bearer, json=terms)
                    assert made.status_code == 201, made.text
                    secrets += filter(None, [made.json()["secret"]])
                    asking.post(f"/v1/webhooks/{made.json()['id']}/test", headers=bearer).raise_for_status()
                for _ in range(600):
                    told = [asking.get(f"/v1/webhooks/{n}/deliveries", headers=bearer).text for n in (1, 2, 3)]
                    if all('"attempts":0' not in text for text in told):
                        break
                    time.sleep(0.1)
                listed = asking.get("/v1/webhooks", headers=bearer).text
        finally:
            process.terminate()
            out, err = (text.decode() for text in process.communicate(timeout=60))
    database.close()
    assert err.count("delivery failed") >= 3
    said = [out, err, listed, *told, *shell("doctor"), *shell("doctor", "--format", "json"), *shell("keys", "list")]
    said += [*shell("keys", "list", "--format", "json"), *shell("--help")]
    for text in said:
        for secret in secrets:
            assert secret not in text


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@127.0.0.1:1/none",
        f"postgresql://127.0.0.1:1/none?user=me&password={SECRET}",
        f"postgresql://me:{SECRET}@127.0.0.1:port/none",
        f"mysql://me:{SECRET}@127.0.0.1/none",
        f"me:{SECRET}@127.0.0.1",
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(shell: Shell, url: str) -> None:  # noqa: F811
    shell.environment["STORYSHIFT_DATABASE_URL"] = url
    code = 1 if ":1/" in url else 2
    for words in (["keys", "list"], ["feeds", "list"], ["migrate"]):
        out, err = shell(*words, code=code)
        assert err.startswith("error: ")
        assert SECRET not in out + err


def test_an_error_of_the_database_does_not_show_what_was_to_be_stored(database: Database, now: datetime) -> None:
    with pytest.raises(sa.exc.IntegrityError) as failed, database.write() as session:
        session.add(Webhook(kind="none", secret=SECRET, url=SECRET, events=[], triggers=[], states=[], created_at=now))
    assert "webhooks" in str(failed.value)
    assert SECRET not in str(failed.value).partition("DETAIL")[0]


def test_the_files_of_a_new_record_are_its_owners_alone(tmp_path: Path, now: datetime) -> None:
    before = os.umask(0)
    try:
        database = Database.open(f"sqlite:///{tmp_path / 'storyshift.db'}")
        with database.write() as session:
            create_key(session, "laptop", now=now)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        database.close()
    finally:
        os.umask(before)
    assert modes == {f"storyshift.db{end}": 0o600 for end in ("", "-wal", "-shm")}


# -- what is fetched --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["168.63.129.16", "::ffff:168.63.129.16", "fec0::1", "3fff::1", "100.100.100.200"])
def test_addresses_of_a_clouds_own_services_and_of_sites_are_not_public(address: str) -> None:
    assert not Reach().allows(ip_address(address))


def test_a_text_that_repeats_phrases_and_their_exceptions_costs_a_moment() -> None:
    hits = [Hit("haven", "body", n, n + 1, n, n + 1, "haven") for n in range(0, 80_000, 2)]
    exceptions = [Hit("tax haven", "body", n, n + 1, n, n + 1, "haven") for n in range(0, 79_998, 2)]
    began = perf_counter()
    assert _outside(hits, exceptions) == hits[-1:]
    assert perf_counter() - began < 20  # each with each: 1.6 thousand million comparisons, many minutes


# -- what is read from files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["news.jsonl.gz", "news.csv.gz"])
def test_a_compressed_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(rows, "LONGEST_LINE", 2**20)
    with gzip.open(tmp_path / name, "wb") as file:
        file.write(b"title\n" if "csv" in name else b'{"title": "Gold"}\n')
        for _ in range(64):
            file.write(b"x" * 2**20)
    tracemalloc.start()
    with pytest.raises(BadFile, match="has a line of more than 1,048,576 characters"):
        list(RowFile(tmp_path / name))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24


def test_a_list_of_feeds_reads_no_file_and_its_entities_do_not_grow(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    laughs = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    entities = f'<!DOCTYPE o [<!ENTITY e0 "laughs">{laughs}<!ENTITY file SYSTEM "{(tmp_path / "secret").as_uri()}">]>'
    feeds = "".join(
        f'<outline type="rss" text="a{entity}" xmlUrl="http://example.org/{entity}"/>' for entity in ("&e11;", "&file;")
    )
    (tmp_path / "list.opml").write_text(
        f'<?xml version="1.0"?>{entities}<opml version="2.0"><body>{feeds}</body></opml>'
    )
    found = read_opml(tmp_path / "list.opml")
    assert len(found) == 2
    assert all(len(feed.url) < 100 and SECRET not in feed.url + feed.title for feed in found)


class Planted:
    """Writes a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return io.open, (str(self.mark), "w")


def test_weights_that_hold_a_pickle_are_refused_and_run_nothing(tmp_path: Path) -> None:
    mark, folder = tmp_path / "ran", tmp_path / "weights"
    folder.mkdir()
    for file in (ROOT / "nlp" / "weights").iterdir():
        (folder / file.name).symlink_to(file)
    (folder / "first_look.npy").unlink()
    np.save(folder / "first_look.npy", np.array([Planted(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        Encoder(folder, threads=1)
    assert not mark.exists()


def test_the_weights_that_are_shipped_are_those_that_their_name_tells() -> None:
    folder = ROOT / "nlp" / "weights"
    card = json.loads((folder / "card.json").read_text())
    digest = sha256(json.dumps(card | {"name": ""}, sort_keys=True).encode())
    for name in ("background.npy", "encoder.onnx", "first_look.npy", "tokenizer.json"):
        digest.update((folder / name).read_bytes())
    assert card["name"] == f"minilm@{digest.hexdigest()[:8]}"


def test_a_network_reads_no_file_outside_of_its_folder(tmp_path: Path) -> None:
    import onnxruntime

    (tmp_path / "inside.bin").write_bytes(struct.pack("<f", 1.0))
    (tmp_path / "secret").write_bytes(struct.pack("<f", 7.0))
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "inside.bin").write_bytes(struct.pack("<f", 1.0))
    for place, allowed in (("inside.bin", True), ("../secret", False), (str(tmp_path / "secret"), False)):
        (folder / "encoder.onnx").write_bytes(network_with(place))
        if allowed:
            session = onnxruntime.InferenceSession(str(folder / "encoder.onnx"), providers=["CPUExecutionProvider"])
            assert session.run(None, {})[0].tolist() == [1.0]
            continue
        with pytest.raises(Exception, match=r"(?i)external data|escape|outside|absolute"):
            onnxruntime.InferenceSession(str(folder / "encoder.onnx"), providers=["CPUExecutionProvider"])


def network_with(place: str) -> bytes:
    """An ONNX model that gives back one number, which it keeps in a file of its own."""

    def number(field: int, value: int) -> bytes:
        return bytes([field << 3, value])

    def piece(field: int, value: bytes | str) -> bytes:
        content = value.encode() if isinstance(value, str) else value
        length, size = b"", len(content)
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([field << 3 | 2]) + length + bytes([size]) + content

    kept = piece(13, piece(1, "location") + piece(2, place))
    weight = number(1, 1) + number(2, 1) + piece(8, "w") + kept + number(14, 1)
    node = piece(1, "w") + piece(2, "y") + piece(4, "Identity")
    shape = piece(1, number(1, 1) + piece(2, piece(1, number(1, 1))))
    graph = piece(1, node) + piece(2, "g") + piece(5, weight) + piece(12, piece(1, "y") + piece(2, shape))
    return number(1, 8) + piece(7, graph) + piece(8, number(2, 13))


OF_RAY = "backfill_ray.py"
"""What the processes of one Ray hand to each other; Ray does the same, and comes from nobody else."""


def test_no_code_of_ours_unpickles_runs_a_shell_or_trusts_code_of_a_model() -> None:
    seen: set[str] = set()
    for folder in ("storyshift", "api", "jobs", "services", "ingest", "nlp", "analysis", "config", "models"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = {alias.name.partition(".")[0] for alias in node.names}
                    names |= {getattr(node, "module", None) or ""}
                    assert not names & {"pickle", "shelve", "marshal", "dill", "joblib", "yaml"} or path.name == OF_RAY
                if isinstance(node, ast.Call):
                    called = ast.unparse(node.func)
                    told = {word.arg: ast.unparse(word.value) for word in node.keywords}
                    assert told.get("shell", "False") == "False", path
                    assert told.get("allow_pickle", "False") == "False", path
                    assert called not in ("eval", "exec", "os.system", "os.popen", "tempfile.mktemp"), path
                    if called == "torch.load":
                        assert told["weights_only"] == "True", path
                        seen.add(called)
                    if called.endswith(".from_pretrained"):
                        assert told.get("trust_remote_code") == "False" or told.get(None) == "where", path
                        seen.add("from_pretrained")
    assert seen == {"torch.load", "from_pretrained"}
    assert '"trust_remote_code": False' in (ROOT / "nlp" / "huggingface.py").read_text(encoding="utf-8")


# -- the packages -----------------------------------------------------------------------------------------------------


def test_audit_tells_what_is_known_and_fails_only_where_there_is_a_fix(tmp_path: Path) -> None:
    known = {"id": "GHSA-1", "fix_versions": ["2.0"], "aliases": ["CVE-1"], "description": "It is wrong."}
    for found, code, said in (
        ([], 0, ["packages checked: 1; vulnerabilities known: 0"]),
        ([known], 1, ["one 1.0: GHSA-1 (CVE-1), mended in 2.0", "packages checked: 1; vulnerabilities known: 1"]),
        (
            [known | {"fix_versions": []}],
            0,
            ["one 1.0: GHSA-1 (CVE-1), not mended yet", "packages checked: 1; vulnerabilities known: 1"],
        ),
    ):
        packages = [{"name": "one", "version": "1.0", "vulns": found}]
        assert audited(tmp_path, json.dumps({"dependencies": packages})) == (code, said)
        packages.append({"name": "two", "skip_reason": "not found"})
        said[-1] += "; 1 unknown to the service"
        assert audited(tmp_path, json.dumps({"dependencies": packages})) == (code, said)


def test_audit_that_could_ask_nobody_says_so_in_one_line_and_calls_nothing_safe(tmp_path: Path) -> None:
    code, said = audited(tmp_path, "", "Traceback …\nConnectionError: no route")
    assert (code, said) == (0, ["not checked: pip-audit could not ask (ConnectionError: no route)."])
    skipped = {"dependencies": [{"name": "one", "skip_reason": "Dependency not found on PyPI"}], "fixes": []}
    code, said = audited(tmp_path, json.dumps(skipped), "No known vulnerabilities found")
    assert (code, said) == (0, ["not checked: no advisory service that knows these packages answers from here."])


def audited(folder: Path, out: str, err: str = "") -> tuple[int, list[str]]:
    """The exit code and the lines of .ci/audit where pip-audit says this."""
    fake = folder / "pip-audit"
    fake.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stdout.write({out!r})\nsys.stderr.write({err!r})\nsys.exit(1)\n"
    )
    fake.chmod(0o700)
    command = [sys.executable, str(ROOT / ".ci" / "audit"), str(fake)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, [line.removeprefix("audit: ") for line in done.stdout.splitlines()]
