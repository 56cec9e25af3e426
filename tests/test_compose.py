"""docker-compose.yml without a container engine: against the compose specification, and its commands as processes.

The processes get what their containers would: their environment and no other, their secrets as files, an empty folder
in which they may write nothing, a /tmp of their own. PostgreSQL is the one that the tests use, in a schema of its own.
"""

import getpass
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import sqlalchemy as sa
import yaml
from conftest import own_schema
from fakes import FeedServer, Page, rss

from config.settings import Settings, get_settings
from jobs.heartbeat import beat
from models.database import Database
from models.errors import BadInput, ConfigError, NotAllowed
from services.keys import bring_key, check_key

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
LONG = ("api", "worker", "scheduler")
PATIENCE = 120
SERVED, SECRETS, TMP = "8000", "/run/secrets", "/tmp"  # noqa: S108 - as containers have them


def interpolated(value: Any) -> Any:
    """As compose reads it where no variable is set: ${NAME:-default} is its default, and $$ is $."""
    if isinstance(value, dict):
        return {key: interpolated(one) for key, one in value.items()}
    if isinstance(value, list):
        return [interpolated(one) for one in value]
    if not isinstance(value, str):
        return value
    return re.sub(r"\$\{\w+:-([^}]*)\}|\$(\$)", lambda found: found[2] or found[1] or "", value)


COMPOSE = interpolated(yaml.safe_load(TEXT))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def test_it_is_what_the_compose_specification_allows() -> None:
    schema = json.loads(files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(TEXT))
    wrong = yaml.safe_load(TEXT)
    wrong["services"]["api"]["depend_on"] = {}
    with pytest.raises(jsonschema.ValidationError, match="depend_on"):
        jsonschema.Draft202012Validator(schema).validate(wrong)


def test_the_services_are_those_that_are_promised() -> None:
    assert list(SERVICES) == ["db", "migrate", *LONG]
    assert SERVICES["db"]["image"] == "postgres:16"
    assert SERVICES["worker"]["deploy"]["replicas"] >= 2
    assert "container_name" not in SERVICES["worker"]  # with a name of its own there can be only one
    assert not any("ports" in SERVICES[name] for name in SERVICES if name != "api")


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_leans_on_is_declared_and_can_be_waited_for(name: str) -> None:
    service = SERVICES[name]
    assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    assert {volume.partition(":")[0] for volume in service.get("volumes", ())} <= set(COMPOSE["volumes"])
    for other, wanted in service.get("depends_on", {}).items():
        if wanted["condition"] == "service_healthy":
            assert SERVICES[other]["healthcheck"]["test"]
        else:
            assert wanted["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"
    if name in LONG:
        assert set(service["depends_on"]) == {"db", "migrate"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_little_and_use_little(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] not in ("", "0", "root", "0:0")
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all("size=" in mount for mount in service["tmpfs"])
    assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert all(volume.startswith("record:") for volume in service.get("volumes", ()))
    if name != "migrate":
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
        assert seconds(service["stop_grace_period"]) >= 15


def test_no_secret_stands_in_it() -> None:
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            assert not re.search(r"PASSWORD|SECRET|KEY|TOKEN", name) or name.endswith("_FILE"), name
            assert not re.search(r"://[^/@]*:[^/@]*@", value), name
    assert all(set(one) == {"file"} for one in COMPOSE["secrets"].values())
    ignored = subprocess.run(["git", "check-ignore", "secrets/api_key"], cwd=ROOT, capture_output=True, check=False)
    assert ignored.returncode in (0, 128)  # 128: this is no checkout


def test_each_variable_is_a_setting() -> None:
    known = {f"STORYSHIFT_{name.upper()}" for name in Settings.model_fields}
    for service in SERVICES.values():
        assert {name for name in service["environment"] if name.startswith("STORYSHIFT_")} <= known


def make_secrets(folder: Path) -> "subprocess.CompletedProcess[str]":
    """By the line at the head of the file."""
    if shutil.which("openssl") is None:
        pytest.skip("the secrets are drawn by openssl, which is not here")
    (line,) = re.findall(r"^# +(mkdir .*)$", TEXT, re.MULTILINE)
    return subprocess.run(["sh", "-c", line], cwd=folder, text=True, capture_output=True, check=False)


def test_the_line_that_makes_the_secrets_draws_them_once_and_never_over_old_ones(tmp_path: Path) -> None:
    assert make_secrets(tmp_path).returncode == 0
    folder = tmp_path / "secrets"
    drawn = {file.name: file.read_text() for file in folder.iterdir()}
    assert drawn.keys() == COMPOSE["secrets"].keys()
    assert {one["file"] for one in COMPOSE["secrets"].values()} == {f"./secrets/{name}" for name in drawn}
    assert re.fullmatch(r"ss_[\w-]{64}\n", drawn["api_key"])
    assert len(drawn["database_password"]) == 65
    assert folder.stat().st_mode & 0o777 == 0o700  # others on this machine do not come in,
    assert all(file.stat().st_mode & 0o777 == 0o444 for file in folder.iterdir())  # and each container's user can read
    assert make_secrets(tmp_path).returncode != 0
    assert {file.name: file.read_text() for file in folder.iterdir()} == drawn


def test_the_image_is_built_from_the_lock_in_two_stages_and_runs_as_nobody_special() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    build, final = re.split(r"^FROM .*$", text, flags=re.MULTILINE)[1:]
    assert "--require-hashes -r requirements.lock" in build
    assert re.search(r"^USER (\d+):\1$", final, re.MULTILINE)
    assert {SERVICES[name]["user"] for name in ("migrate", *LONG)} == set(re.findall(r"^USER (\S+)$", final, re.M))
    assert "HEALTHCHECK" in final
    assert not re.search(r"pip install|apt-get|gcc", final)
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    packages = re.search(r"packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.DOTALL)
    assert packages is not None
    assert "*" in kept
    assert {f"!{name}" for name in re.findall(r'"(\w+)[".]', packages[1])} <= set(kept)


# -- as processes -----------------------------------------------------------------------------------------------------


def seconds(told: str) -> float:
    return float(told.removesuffix("s"))


class Stack:
    """The services of the file as processes, wired as containers are."""

    def __init__(self, folder: Path, url: sa.URL, config: Path) -> None:
        self.folder, self.url, self.config = folder, url, config
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        assert make_secrets(folder).returncode == 0
        self.secrets = {file.name: file.read_text().strip() for file in (folder / "secrets").iterdir()}
        if url.password:  # that of the tests is not the one that was drawn
            (folder / "secrets" / "database_password").chmod(0o600)
            (folder / "secrets" / "database_password").write_text(str(url.password))

    def here(self, value: str, own: Path) -> str:
        """A path or port of a container, as it is on this machine."""
        places = {SECRETS: str(self.folder / "secrets"), TMP: str(own), SERVED: str(self.port)}
        return re.sub(rf"(?<![\w.]){SECRETS}(?=/)|(?<![\w.]){TMP}(?=/|$)|\b{SERVED}\b", lambda m: places[m[0]], value)

    def environment(self, name: str, own: Path) -> dict[str, str]:
        service = {key: self.here(value, own) for key, value in SERVICES[name]["environment"].items()}
        assert service["STORYSHIFT_DATABASE_URL"] == "postgresql://storyshift@db/storyshift"
        bare = self.url.set(username=self.url.username or getpass.getuser(), password=None)
        service["STORYSHIFT_DATABASE_URL"] = bare.render_as_string()
        service |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TMPDIR": str(own)}
        # what keeps the test from the network: feeds of its own, on loopback, and no prices
        service |= {"STORYSHIFT_CONFIG_DIR": str(self.config), "STORYSHIFT_ALLOW_PRIVATE_ADDRESSES": "true"}
        return service | {"STORYSHIFT_LOAD_PRICES": "false", "STORYSHIFT_TAGGER": "keywords"}

    def start(self, name: str, number: int = 1) -> "Running":
        return Running(self, name, self.folder / f"{name}-{number}")


class Running:
    def __init__(self, stack: Stack, name: str, folder: Path) -> None:
        self.service = SERVICES[name]
        self.root, self.tmp, self.log = folder / "root", folder / "tmp", folder / "log"
        for place in (self.root, self.tmp):
            place.mkdir(parents=True)
        self._here: Callable[[str], str] = lambda value: stack.here(value, self.tmp)
        self.environment = stack.environment(name, self.tmp)
        self.process = self._run([self._here(word) for word in self.service["command"]])

    def _run(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=self.root, env=self.environment, stdout=log, stderr=log)

    def wait_until_healthy(self) -> None:
        how, *words = (self._here(word) for word in self.service["healthcheck"]["test"])
        command = words if how == "CMD" else ["sh", "-c", *words]
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, check=False).returncode:
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.5)

    def stop(self) -> int:
        """The exit code after SIGTERM, within the time that the file grants."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds(self.service["stop_grace_period"]))

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Processes that parse feeds are reached by a socket in TMPDIR, whose address has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="stack-", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def stack(short_path: Path, worker_id: str) -> Iterator[Stack]:
    page = Page(rss("Investors flee to safe havens", "Gold rises"))
    with own_schema(f"compose_{worker_id}") as url, FeedServer({"feed": page}) as server:
        config = short_path / "config"
        config.mkdir()
        (config / "feeds.toml").write_text(
            f'[[feeds]]\nurl = "{server.url("feed")}"\noutlet = "Wire"\nkind = "general"\nverified = "never"\n'
        )
        yield Stack(short_path, url, config)


@pytest.mark.slow
def test_its_commands_start_become_healthy_work_together_and_stop_as_asked(stack: Stack) -> None:
    for number in (1, 2):  # each `up` runs it again
        migrate = stack.start("migrate", number)
        assert migrate.process.wait(timeout=PATIENCE) == 0, migrate.said()
    with ExitStack() as ends:
        running = [
            stack.start(name, number + 1)
            for name in LONG
            for number in range(SERVICES[name]["deploy"].get("replicas", 1))
        ]
        for one in running:
            ends.callback(one.kill)
        for one in running:
            one.wait_until_healthy()
        api = httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", timeout=30)
        ends.callback(api.close)
        assert api.get("/v1/health/live").status_code == 200
        assert api.get("/v1/articles").status_code == 401
        api.headers["Authorization"] = f"Bearer {stack.secrets['api_key']}"
        deadline = time.monotonic() + PATIENCE
        while not (read := tagged_titles(api)):
            assert time.monotonic() < deadline, "\n".join(one.said()[-1_500:] for one in running)
            time.sleep(0.5)
        assert "Investors flee to safe havens" in read
        assert [one.stop() for one in running] == [0] * len(running), [one.said() for one in running]
    for one in [*running, migrate]:
        assert list(one.root.iterdir()) == [], "the root of a container can be read only"
        for secret in (*stack.secrets.values(), "open?code="):
            assert secret not in one.said()
    for one in running:
        for line in one.said().splitlines():
            assert {"time", "level", "logger", "event"} <= json.loads(line).keys()


def tagged_titles(api: httpx.Client) -> list[str]:
    """Of articles that were collected, compared and tagged as carrying safe_haven."""
    answer = api.get("/v1/articles", params={"narrative": "safe_haven"})
    assert answer.status_code == 200, answer.text
    return [row["title"] for row in answer.json()["data"]]


# -- secrets from files -----------------------------------------------------------------------------------------------


def test_the_password_of_the_database_comes_from_its_file_and_is_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("a b/@:%é\n", encoding="utf-8")
    monkeypatch.setenv("STORYSHIFT_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("STORYSHIFT_DATABASE_URL", "postgresql://anna@db:5433/name?sslmode=require")
    found = Database(get_settings().database_url)
    assert (found.url.username, found.url.password, found.url.host, found.url.port) == ("anna", "a b/@:%é", "db", 5433)
    assert (found.url.database, found.url.query["sslmode"]) == ("name", "require")
    for shown in (str(found), str(get_settings())):
        assert "a b" not in shown
        assert "a%20b" not in shown


@pytest.mark.parametrize(
    ("url", "held", "said"),
    [
        ("postgresql://anna@db/name", None, "cannot be read: No such file or directory"),
        ("postgresql://anna@db/name", b"\xff\xfe", "cannot be read: it is not text"),
        ("postgresql://anna@db/name", b" \n", "must hold a password"),
        ("postgresql://db/name", b"word", "must name a user without one"),
        ("postgresql://anna:other@db/name", b"word", "must name a user without one"),
        ("sqlite:///storyshift.db", b"word", "must name a user without one"),
    ],
)
def test_a_password_file_that_cannot_be_used_is_said_in_one_sentence(
    url: str, held: bytes | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if held is not None:
        (tmp_path / "password").write_bytes(held)
    monkeypatch.setenv("STORYSHIFT_DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("STORYSHIFT_DATABASE_URL", url)
    with pytest.raises(ConfigError, match=said) as raised:
        get_settings()
    assert "word" not in str(raised.value).replace("password", "").replace("PASSWORD", "")


SECRET, OTHER = "ss_" + "a" * 40, "ss_" + "b" * 40


def test_a_key_whose_secret_is_given_is_made_once_and_another_secret_takes_its_place(
    database: Database, now: datetime
) -> None:
    def bring(secret: str, name: str = "compose") -> bool:
        with database.write() as session:
            return bring_key(session, name, secret, now=now)

    def opens(secret: str) -> bool:
        with database.read() as session:
            try:
                return check_key(session, secret).name == "compose"
            except NotAllowed:
                return False

    assert [bring(SECRET), bring(SECRET)] == [True, False]
    assert (opens(SECRET), opens(OTHER)) == (True, False)
    assert bring(OTHER)
    assert (opens(SECRET), opens(OTHER)) == (False, True)
    for secret, name, said in (
        (SECRET, "compose", "was revoked"),
        (OTHER, "another", "is that of the key compose"),
        ("ss_short", "compose", "at least 32"),
        ("b" * 40, "compose", "must be ss_"),
        ("", "compose", "must be ss_"),
    ):
        with pytest.raises(BadInput, match=said) as raised:
            bring(secret, name)
        assert not secret or secret not in str(raised.value)
    assert opens(OTHER)


def test_a_heartbeat_is_the_age_of_a_file_where_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beat()
    monkeypatch.setattr(get_settings(), "heartbeat_file", tmp_path / "heartbeat")
    how, check = SERVICES["worker"]["healthcheck"]["test"]
    assert how == "CMD-SHELL"

    def healthy() -> bool:
        about = {"PATH": os.environ["PATH"], "STORYSHIFT_HEARTBEAT_FILE": str(tmp_path / "heartbeat")}
        return subprocess.run(["sh", "-c", check], env=about, capture_output=True, check=False).returncode == 0

    assert not healthy()
    beat()
    assert healthy()
    old = time.time() - 300
    os.utime(tmp_path / "heartbeat", (old, old))
    assert not healthy()
    beat()
    assert healthy()
