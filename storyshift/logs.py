"""Logs on stderr: one event a line, for people or as JSON. docs/operations.md lists the events and their keys.

A call names its event and its keys in the text it logs by: log.info("collected feeds=%d seconds=%.1f", 3, 0.25). So
what stands in the line for people is what stands in JSON, and no value is taken apart again to find it.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

from config.settings import get_settings
from storyshift.output import say

FORMAT = re.compile(r"(?:\b(?P<key>[a-z_]+)=)?(?P<format>%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z])")
SECRETS = (
    (re.compile(r"(?<=://)[^/\s@'\"]*@"), "***@"),
    (re.compile(r"\bss_[\w-]{20,}"), "ss_***"),
    (re.compile(r"\bwhsec_[\w+/=-]+"), "whsec_***"),
    (re.compile(r"\b(code|key|token|secret|password|apikey|api_key)=[^&\s'\"]+", re.IGNORECASE), r"\1=***"),
)
"""Users and passwords in addresses, keys, secrets of webhooks, and what addresses carry by such names."""

log = logging.getLogger("storyshift.told")


def tell(message: str) -> None:
    """A sentence for whoever started the process; where the log is JSON, a line of it."""
    if get_settings().log_format == "json":
        log.info("told: %s", message)
    else:
        say(message)


def log_to_stderr(form: str) -> None:
    """form: text or json. What other libraries log comes the same way, from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Json() if form == "json" else Text())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    if form == "json":
        logging.captureWarnings(True)
    logging.getLogger("storyshift").setLevel(logging.INFO)


class Text(logging.Formatter):
    """2026-11-26T11:30:00.123Z INFO storyshift.worker collected feeds=3 seconds=0.2"""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002
        return _instant(record)

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


class Json(logging.Formatter):
    """{"time", "level", "logger", "event", …the keys of the event, "message", "traceback"} on one line."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        told |= keys_of(record) if record.name.startswith("storyshift") else {"event": "library"}
        told["message"] = record.getMessage()
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        clean = {key: without_secrets(value) if isinstance(value, str) else value for key, value in told.items()}
        return json.dumps(clean, ensure_ascii=False)


def event_of(template: str) -> tuple[str, list[str | None]]:
    """The event that a call's text names - its words before the first key or value - and the key of each value."""
    first = FORMAT.search(template)
    event = template[: first.start()] if first else template
    return event.strip(" :"), [match["key"] for match in FORMAT.finditer(template)]


def keys_of(record: logging.LogRecord) -> dict[str, Any]:
    """The event, and its keys with their values as they were given; a value without a key is its `reason`."""
    template, given = str(record.msg), record.args if isinstance(record.args, tuple) else ()
    event, keys = event_of(template)
    found: dict[str, Any] = {"event": event}
    for key, value in zip(keys, given, strict=False):
        found[key or "reason"] = value if isinstance(value, int | float | bool | None) else str(value)
    return found


def without_secrets(text: str) -> str:
    for secret, shown in SECRETS:
        text = secret.sub(shown, text)
    return text


def _instant(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
