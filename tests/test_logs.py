"""The log: one event a line, with keys that stay, for people and as JSON, and never a secret in it."""

import ast
import io
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storyshift.logs import Json, Text, event_of, log_to_stderr

ROOT = Path(__file__).parent.parent
FOLDERS = ("models", "services", "ingest", "nlp", "analysis", "jobs", "api", "storyshift")
log = logging.getLogger("storyshift.test")


@contextmanager
def heard(form: logging.Formatter) -> Iterator[list[str]]:
    """The lines that are logged within."""
    stream, lines = io.StringIO(), list[str]()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(form)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        lines.extend(stream.getvalue().splitlines())


def one_json(*said: Any) -> dict[str, Any]:
    with heard(Json()) as lines:
        log.info(*said)
    (line,) = lines
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_line_for_people_has_the_instant_in_utc_the_level_the_logger_and_what_was_said() -> None:
    with heard(Text()) as lines:
        log.warning("collected feeds=%d seconds=%.1f", 3, 0.25)
    (line,) = lines
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING storyshift\.test collected feeds=3 seconds=0\.2", line
    )


def test_in_json_the_keys_have_their_values_as_they_were_given() -> None:
    found = one_json("collected feeds=%d url=%s seconds=%.1f", 3, "http://a/b c=d", 0.25)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {
        "level": "info",
        "logger": "storyshift.test",
        "event": "collected",
        "feeds": 3,
        "url": "http://a/b c=d",
        "seconds": 0.25,
        "message": "collected feeds=3 url=http://a/b c=d seconds=0.2",
    }


@pytest.mark.parametrize(
    ("template", "event", "keys"),
    [
        ("tagged texts=%d tagger=%s", "tagged", ["texts", "tagger"]),
        ("round failed: %s", "round failed", [None]),
        ("prices failed: %s series=%s", "prices failed", [None, "series"]),
        ("nothing to say", "nothing to say", []),
        ("", "", []),
    ],
)
def test_an_event_is_the_words_before_its_first_key(template: str, event: str, keys: list[str | None]) -> None:
    assert event_of(template) == (event, keys)


def test_a_value_without_a_key_is_the_reason() -> None:
    found = one_json("round failed: %s", ValueError("the disk is full, tries=3"))
    assert (found["event"], found["reason"]) == ("round failed", "the disk is full, tries=3")
    assert "tries" not in found


def test_a_traceback_stands_in_the_same_line_of_json() -> None:
    with heard(Json()) as lines:
        try:
            raise ValueError("over\ntwo lines")
        except ValueError:
            log.exception("round failed unexpectedly")
    (line,) = lines
    assert json.loads(line)["event"] == "round failed unexpectedly"
    assert "ValueError: over\ntwo lines" in json.loads(line)["traceback"]


def test_what_a_library_logs_is_told_apart_and_its_words_are_not_taken_for_keys() -> None:
    record = logging.makeLogRecord(
        {"name": "uvicorn.error", "msg": "port=%d taken", "args": (80,), "levelname": "INFO"}
    )
    found = json.loads(Json().format(record))
    assert (found["event"], found["message"]) == ("library", "port=80 taken")
    assert "port" not in found


SECRETS = (
    "postgresql://anna:s3cret-word@db/storyshift",
    "https://token-as-user@feeds.example/rss",
    "https://feeds.example/rss?apikey=s3cret-word&n=1",
    "http://127.0.0.1:8000/open?code=s3cret-word",
    "Bearer ss_s3cret-word-s3cret-word-s3cret-word",
    "whsec_s3cret+word/",
)


@pytest.mark.parametrize("form", [Text(), Json()])
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_logged_whether_as_a_value_in_the_words_or_in_a_traceback(
    form: logging.Formatter, secret: str
) -> None:
    with heard(form) as lines:
        log.info("asked url=%s", secret)
        log.info(f"asked {secret}")
        try:
            raise ValueError(secret)
        except ValueError:
            log.exception("round failed: %s", secret)
    told = "\n".join(lines)
    assert "***" in told
    assert "s3cret" not in told
    assert "token-as-user" not in told


def test_addresses_without_a_secret_stay_whole() -> None:
    url = "https://feeds.example:8443/a@b/rss?page=2&codec=x"
    assert one_json("asked url=%s", url)["url"] == url


def logged() -> dict[str, set[str]]:
    """Every event that our code logs, with its keys."""
    found: dict[str, set[str]] = {}
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                template = template_of(call)
                if template is not None:
                    event, keys = event_of(template)
                    found.setdefault(event, set()).update(key or "reason" for key in keys)
    return found


def template_of(call: ast.AST) -> str | None:
    match call:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="log"), attr="debug" | "info" | "warning" | "error" | "exception"),
            args=[first, *_],
        ):
            assert isinstance(first, ast.Constant), f"what is logged must be a text in place: {ast.unparse(call)}"
            return str(first.value)
    return None


def test_every_event_and_its_keys_are_documented_and_no_other() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`|]+)` \|([^|]*)\|", page.partition("## Logs")[2].partition("\n## ")[0], re.MULTILINE)
    told = {event: set(re.findall(r"`(\w+)`", keys)) for event, keys in rows}
    assert told == logged()
    assert all(event for event in told)


@pytest.mark.parametrize(("form", "kind"), [("text", Text), ("json", Json)])
def test_the_format_is_that_of_the_settings_and_libraries_are_heard_from_warnings_on(
    form: str, kind: type[logging.Formatter], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = logging.RootLogger(logging.DEBUG)
    monkeypatch.setattr(logging, "root", root)
    monkeypatch.setattr(logging, "captureWarnings", lambda _: None)
    log_to_stderr(form)
    assert [type(handler.formatter) for handler in root.handlers] == [kind]
    assert root.level == logging.WARNING
    assert logging.getLogger("storyshift").level == logging.INFO
