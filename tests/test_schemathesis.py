"""schemathesis asks every operation of /openapi.json what nobody would: no 5xx, and no answer that is not documented.

SCHEMATHESIS_EXAMPLES=200 asks so many more questions, for a longer look.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from conftest import NOW
from fastapi import FastAPI
from limits import parse
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from api.app import create_app
from config.settings import get_settings
from models.database import Database
from models.keys import Scope
from services.keys import create_key

LONG = os.environ.get("SCHEMATHESIS_EXAMPLES")
ANSWERS = ["2xx", "304", "401", "403", "404", "422", "429"]
"""422 too, to what a schema allows: it cannot say that an as_of lies in the future or that no asset is named so."""


@schemathesis.serializer("application/x-ndjson")
def _lines(_: Any, value: Any) -> bytes:
    return value.encode(errors="replace") if isinstance(value, str) else str(value).encode()


@dataclass
class Found:
    operations: set[str] = field(default_factory=set)
    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def hunt(app: FastAPI, *, examples: int, key: str | None, long: bool) -> Found:
    config = SchemathesisConfig.from_dict(
        {
            "seed": 1,
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
            "generation": {"max-examples": examples, "database": "none"},
            "phases": {"stateful": {"enabled": long}, "coverage": {"enabled": long}},
            "checks": {"positive_data_acceptance": {"expected-statuses": ANSWERS}},
        }
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    found = Found()
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished | events.FuzzScenarioFinished):
            _note(found, event.recorder)
        elif isinstance(event, events.NonFatalError):
            found.failures.append(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    return found


def _note(found: Found, recorder: Any) -> None:
    for key, interaction in recorder.interactions.items():
        found.cases += 1
        if interaction.response is not None:
            found.statuses[interaction.response.status_code] += 1
        if key in recorder.cases:
            found.operations.add(recorder.cases[key].value.operation.label)
    for checks in recorder.checks.values():
        found.failures += [
            f"{recorder.label}: {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"
            for check in checks
            if check.failure_info is not None
        ]


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No limits, under the name that schemathesis calls; and a webhook's host is looked up nowhere."""
    monkeypatch.setenv("STORYSHIFT_ALLOWED_HOSTS", "testserver")
    monkeypatch.setenv("STORYSHIFT_RATE_LIMIT", "off")
    get_settings.cache_clear()
    monkeypatch.setattr("api.limits.GUESSES", parse("1000000/minute"))
    monkeypatch.setattr("ingest.posting.socket.getaddrinfo", lambda *_, **__: [(0, 0, 0, "", ("127.0.0.1", 443))])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("database", "scope"),
    [("sqlite", "admin"), ("sqlite", "read"), ("sqlite", None), ("postgresql", "admin")],
    indirect=["database"],
)
def test_no_question_breaks_the_server_and_no_answer_is_undocumented(database: Database, scope: Scope | None) -> None:
    """Without a key that may do all, of a server where reading takes one."""
    with database.write() as session:
        key = create_key(session, "hunter", scope=scope, now=NOW) if scope else None
    app = create_app(database, clock=lambda: NOW, open_to_read=scope == "admin")
    app.state.live.close()  # as when a server stops: a stream of events ends at once
    found = hunt(app, examples=int(LONG or 3), key=key, long=LONG is not None)
    print(f"{scope}: {len(found.operations)} operations, {found.cases} requests, {dict(found.statuses)}")
    assert len(found.operations) >= 49
    assert not found.failures, "\n\n".join(found.failures)
    assert max(found.statuses) < 500
