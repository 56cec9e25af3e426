import json
import re
import socket
import time
from pathlib import Path

import httpx
import pytest
from test_cli import Shell

FEED = "https://example.org/feed"


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
    assert list(key) == ["name", "prefix", "created_at", "last_used_at", "revoked_at"]
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
        (["revoke", "desk"], 1, "There is no living key named desk. `storyshift keys list` shows those there are."),
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
    assert {name for name, told in commands if len(told) > 10} == {"create", "list", "revoke"}


def test_others_are_let_in_only_once_there_is_a_key(shell: Shell) -> None:
    """STORYSHIFT_ALLOWED_HOSTS alone is not enough; reading stays open, writing takes the key."""
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
            assert wait_for(url) == 200
            assert httpx.post(url, json={"url": FEED}).status_code == 401
            allowed = {"Authorization": f"Bearer {key}"}
            assert httpx.post(url, json={"url": FEED}, headers=allowed).status_code == 201
            shell("keys", "revoke", "laptop")  # is heard at once, without a restart
            assert httpx.post(url, json={"url": FEED}, headers=allowed).status_code == 401
        finally:
            process.terminate()
            process.communicate(timeout=20)
    (used, _) = json.loads(shell("keys", "list", "--format", "json")[0])
    assert used["last_used_at"]
    shell("keys", "revoke", "old")
    assert "keys create NAME" in shell(*serve, code=2)[1]  # revoked ones do not count


def wait_for(url: str) -> int:
    for _ in range(200):
        try:
            return httpx.get(url).status_code
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"nothing answers at {url}")
