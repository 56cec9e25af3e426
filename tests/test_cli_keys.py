import json
import re
import socket
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from test_cli import Shell

from config.settings import get_settings
from models.database import Database
from services.keys import open_session
from storyshift.keys import address, own_name
from storyshift.serving import name_of, say_link

FEED = "https://example.org/feed"
ADDED = ["scope", "kind", "opened_at", "expires_at"]


@pytest.fixture
def shell(tmp_path: Path, sqlite_url: str) -> Shell:
    return Shell(tmp_path, sqlite_url)


def test_a_new_key_stands_alone_on_stdout_and_is_told_once(shell: Shell) -> None:
    out, err = shell("keys", "create", "laptop")
    assert re.fullmatch(r"ss_[\w-]{40}\n", out)
    assert err.startswith("The key laptop, shown this once.")
    assert out.strip() not in err
    listed, _ = shell("keys", "list", "--format", "json")
    assert out.strip() not in listed
    (key,) = json.loads(listed)
    assert list(key) == ["name", "prefix", "created_at", "last_used_at", "revoked_at", *ADDED]
    assert [key[name] for name in ADDED] == ["admin", "key", None, None]
    assert (key["name"], key["prefix"], key["last_used_at"], key["revoked_at"]) == ("laptop", out[:9], None, None)
    assert key["prefix"] in shell("keys", "list")[0]


def test_a_revoked_key_stays_listed(shell: Shell) -> None:
    assert "There is no key yet. `storyshift keys create NAME` makes one." in shell("keys", "list")[1]
    assert shell("keys", "list", "--format", "json")[0] == "[]\n"
    shell("keys", "create", "laptop")
    assert "The key laptop is revoked." in shell("keys", "revoke", "laptop")[1]
    assert json.loads(shell("keys", "list", "--format", "json")[0])[0]["revoked_at"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["create", "laptop"], 2, "There is a key named laptop already."),
        (["create", "two words"], 2, "A key's name is 1 to 60 letters"),
        (["link", "two words"], 2, "A reviewer's name is 1 to 60 letters"),
        (
            ["revoke", "desk"],
            1,
            "There is no living key or session named desk. `storyshift keys list` shows those there are.",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence(shell: Shell, words: list[str], code: int, told: str) -> None:
    shell("keys", "create", "laptop")
    out, err = shell("keys", *words, code=code)
    assert out == ""
    assert err.startswith("error: ")
    assert told in err


def test_every_command_of_keys_says_what_it_does(shell: Shell) -> None:
    commands = re.findall(r"│ (\w+)  +(\S.*?) *│", shell("keys", "--help")[0])
    assert {name for name, told in commands if len(told) > 10} == {"create", "link", "list", "revoke"}


def test_others_are_let_in_only_once_there_is_a_key(shell: Shell) -> None:
    """STORYSHIFT_ALLOWED_HOSTS alone is not enough; then all takes the key, and the link names a host."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    serve = ("serve", "--host", "0.0.0.0", "--port", port)
    shell.environment["STORYSHIFT_ALLOWED_HOSTS"] = "localhost"
    err = shell(*serve, code=2)[1]
    assert "and no key in sqlite" in err
    assert "Create one first: `storyshift keys create NAME`." in err
    key = shell("keys", "create", "laptop")[0].strip()
    shell("keys", "create", "old")
    with shell.start(*serve) as process:
        try:
            url = f"http://127.0.0.1:{port}/v1/feeds"
            assert wait_for(url) == 401
            assert httpx.post(url, json={"url": FEED}).status_code == 401
            allowed = {"Authorization": f"Bearer {key}"}
            assert httpx.get(url, headers=allowed).status_code == 200
            assert httpx.post(url, json={"url": FEED}, headers=allowed).status_code == 201
            shell("keys", "revoke", "laptop")  # is heard at once, without a restart
            assert httpx.post(url, json={"url": FEED}, headers=allowed).status_code == 401
        finally:
            process.terminate()
            said = process.communicate(timeout=20)[1].decode()
    assert re.search(rf"Review as \S+: http://localhost:{port}/open\?code=", said)
    used, unused, link = json.loads(shell("keys", "list", "--format", "json")[0])
    assert used["last_used_at"]
    assert (unused["last_used_at"], link["kind"]) == (None, "session")
    shell("keys", "revoke", "old")
    assert "keys create NAME" in shell(*serve, code=2)[1]  # revoked ones do not count


def test_a_key_that_may_only_review_is_said_and_shown_to_be_one(shell: Shell) -> None:
    out, err = shell("keys", "create", "phone", "--scope", "review")
    assert re.fullmatch(r"ss_[\w-]{40}\n", out)
    assert err.startswith("The key phone, which may review only, shown this once.")
    (key,) = json.loads(shell("keys", "list", "--format", "json")[0])
    assert (key["scope"], key["kind"]) == ("review", "key")
    assert re.search(r"phone +review +ss_", shell("keys", "list")[0])
    assert "The key eyes, which may read only, shown" in shell("keys", "create", "eyes", "--scope", "read")[1]


def test_a_link_stands_alone_on_stdout_and_is_listed_until_its_name_is_revoked(shell: Shell) -> None:
    out, err = shell("keys", "link", "anna")
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/open\?code=[\w-]{40}\n", out)
    assert "reviews as anna for 30 days" in err
    other = shell("keys", "link", "anna", "--host", "shift.example", "--port", "80")[0]
    assert other.startswith("http://shift.example:80/open?code=")
    rows = json.loads(shell("keys", "list", "--format", "json")[0])
    assert [(row["kind"], row["name"], row["scope"], row["prefix"]) for row in rows] == [
        ("session", "anna", "review", None)
    ] * 2
    assert {row["opened_at"] for row in rows} == {None}
    shown, told = shell("keys", "list")
    assert "session of" in shown
    assert "anna" in shown
    assert "There is no key yet" in told
    assert shell("keys", "revoke", "anna")[1] == "Browser sessions and links of anna ended: 2.\n"
    assert json.loads(shell("keys", "list", "--format", "json")[0]) == []


@pytest.mark.parametrize(
    ("user", "name"),
    [("anna", "anna"), ("ACME\\anna b", "ACME-anna-b"), ("  ", "reviewer"), ("x" * 99, "x" * 60), (None, "reviewer")],
)
def test_whoever_runs_it_reviews_under_their_own_name(
    monkeypatch: pytest.MonkeyPatch, user: str | None, name: str
) -> None:
    def getuser() -> str:
        if user is None:
            raise KeyError("getpwuid(): uid not found")
        return user

    monkeypatch.setattr("getpass.getuser", getuser)
    assert own_name() == name


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("shift.example", "shift.example")],
)
def test_an_address_is_one_that_a_browser_takes(host: str, shown: str) -> None:
    assert address(host, 8000) == f"http://{shown}:8000"


@pytest.mark.parametrize(
    ("host", "allowed", "named"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.2", "shift.example", "127.0.0.2"),
        ("0.0.0.0", "shift.example, other.example", "shift.example"),
        ("::", "localhost,127.0.0.1", "localhost"),
        ("Other.example", "shift.example,other.example", "Other.example"),
    ],
)
def test_the_link_names_the_server_as_it_may_be_called(
    monkeypatch: pytest.MonkeyPatch, host: str, allowed: str, named: str
) -> None:
    monkeypatch.setenv("STORYSHIFT_ALLOWED_HOSTS", allowed)
    get_settings.cache_clear()
    assert name_of(host) == named


def test_a_server_prints_a_link_that_opens_a_session_once(shell: Shell) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with shell.start("serve", "--port", port) as process:
        try:
            assert wait_for(f"http://127.0.0.1:{port}/v1/health/live") == 200
        finally:
            process.terminate()
            said = process.communicate(timeout=20)[1].decode()
    (link,) = re.findall(rf"http://127\.0\.0\.1:{port}/open\?code=[\w-]{{40}}", said)
    database = Database(shell.environment["STORYSHIFT_DATABASE_URL"])
    with database.write() as session:
        assert open_session(session, link.rpartition("=")[2], now=datetime.now(UTC))
    database.close()
    (row,) = json.loads(shell("keys", "list", "--format", "json")[0])
    assert f"Review as {row['name']}: {link}" in said
    assert row["opened_at"]


def test_a_server_starts_without_a_link_while_another_writes(
    sqlite_url: str, now: datetime, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)) as holder:
        holder.execute("begin immediate")
        say_link(Database(sqlite_url, busy_seconds=0.1), "127.0.0.1", 8000, now)
    told = capsys.readouterr().err
    assert told.startswith("The database is busy, so here is no link for reviewing: `storyshift keys link ")


def wait_for(url: str) -> int:
    for _ in range(200):
        try:
            return httpx.get(url).status_code
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}")
