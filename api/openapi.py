"""What /openapi.json says beyond what the routes say themselves: what may be refused, and an example of each parameter.

The examples are sent as they stand by tests/test_openapi.py.
"""

from typing import Any

from fastapi import FastAPI

from services.answers import MEDIA_TYPES

TAGS = {
    "series": "What is measured, over time. JSON, CSV or Parquet, with an ETag.",
    "articles": "What the numbers rest on, and the feeds that it came from.",
    "definitions": "What can be asked about.",
    "events": "What happened, as it happens, and who is told of it.",
    "review": "What people say of the tags, and how good these are.",
    "health": "How the server fares.",
}
REFUSED = {
    "400": "The Host header names another server (STORYSHIFT_ALLOWED_HOSTS), or the body is no text in UTF-8.",
    "401": "It came without a living key or session.",
    "403": "The key may not do this, or a page of another server sent it.",
    "404": "There is none.",
    "413": "The body is larger than a megabyte, or does not say how large it is.",
    "422": "What is asked cannot be answered; the detail says what to change.",
    "429": "Too many requests; Retry-After says in how many seconds the next is answered.",
    "503": "The database does not answer, or another process holds it; Retry-After says when to try again.",
}
ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
EXAMPLES: dict[str, Any] = {
    "after": 0,
    "all": True,
    "article_id": 1,
    "as_of": "2020-08-15",
    "asset": "BTC",
    "beside": "keywords",
    "blind": True,
    "bucket": "week",
    "by": "narrative",
    "cursor": 100,
    "date": ["2020-03-12", "2020-05-11"],
    "direction": "building",
    "driver": ["narrative:safe_haven", "theta"],
    "end": "2020-08-01",
    "event": "shift:panic",
    "format": "csv",
    "last-event-id": "0",
    "limit": 20,
    "max_lag": 5,
    "measure": "share",
    "modality": "actual",
    "narrative": ["liquidity"],
    "outlet": "The Wire",
    "prior_rates": False,
    "review_id": 1,
    "reviewer": "anna",
    "search": "gold",
    "seed": 1,
    "slice": ["audit"],
    "start": "2020-05-01",
    "story_id": 1,
    "tagger": "keywords@1",
    "target": "return",
    "url": "https://example.org/feed",
    "webhook_id": 1,
    "weighting": "story",
}
"""By the name of a parameter."""
EXAMPLES_AT: dict[tuple[str, str], Any] = {
    ("/v1/annotations", "kind"): "shift",
    ("/v1/events", "kind"): ["shift", "trigger"],
    ("/v1/events/log", "kind"): ["shift", "trigger"],
    ("/v1/lead-lag", "asset"): ["BTC"],
    ("/v1/lead-lag", "bucket"): "day",
    ("/v1/quality", "bucket"): "month",
    ("/v1/review/queue", "narrative"): "safe_haven",
    ("/v1/shift/why", "bucket"): "day",
    ("/v1/reviews", "by"): "me",
    ("/v1/reviews/export", "format"): "jsonl",
    ("/v1/reviews/import", "format"): "jsonl",
}
"""By path and name, where a name means something else there."""

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/v1/feeds"): {
        "application/json": {"url": "https://example.org/feed", "outlet": "Example", "kind": "macro", "language": "en"}
    },
    ("post", "/v1/reviews"): {
        "application/json": {
            "uid": "6f9a1f0e-3c55-4c8e-9d0b-0d6f0a3a9b11",
            "revision_id": 1,
            "slice": "chosen",
            "narratives": {"safe_haven": {"direction": 1}, "debasement": None},
            "assets": {"XAU": 1},
        }
    },
    ("post", "/v1/reviews/import"): {
        "application/x-ndjson": '{"id": "1", "text": "Gold rises", "narratives": ["safe_haven"], "assets": []}\n',
        "application/json": [{"data": {"text": "Gold rises"}, "annotations": []}],
    },
    ("post", "/v1/webhooks"): {
        "application/json": {
            "kind": "json",
            "url": "https://example.org/hook",
            "events": ["shift", "trigger"],
            "threshold": {"series": "narrative:safe_haven", "above": 0.2},
            "quiet_hours": {"from": "22:00", "until": "07:00", "zone": "Europe/Berlin"},
        }
    },
    ("patch", "/v1/webhooks/{webhook_id}"): {"application/json": {"active": False}},
}
"""By method, path and media type."""


def describe(app: FastAPI) -> None:
    """Let the application's document say all that its routes answer."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = plain()
            found["tags"] = [{"name": name, "description": told} for name, told in TAGS.items()]
            for path, operations in found["paths"].items():
                for method, operation in operations.items():
                    _complete(path, operation)
                    for kind, example in BODIES.get((method, path), {}).items():
                        operation["requestBody"]["content"][kind]["example"] = example
        return plain()

    app.openapi = document  # type: ignore[method-assign]


def _complete(path: str, operation: dict[str, Any]) -> None:
    operation["summary"] = operation["description"].replace("\n", " ").partition(". ")[0].rstrip(".")
    answers = operation["responses"]
    if "401" in answers:
        answers.setdefault("403", {})
    expected = {"400", "422", "429", "503"}
    expected |= {"413"} if "requestBody" in operation else set()
    expected |= {"401"} if operation.get("security") else set()
    for status in expected | (answers.keys() & REFUSED.keys()):
        answers[status] = {"description": REFUSED[status], "content": ERROR}
    parameters = operation.get("parameters", ())
    if any(parameter["name"] == "format" and "parquet" in str(parameter) for parameter in parameters):
        answers["200"]["content"] |= {kind.partition(";")[0]: {} for kind in MEDIA_TYPES.values() if "json" not in kind}
        answers["304"] = {"description": "If-None-Match names the ETag of this answer."}
    operation["responses"] = dict(sorted(answers.items()))
    for parameter in parameters:
        name, schema = parameter["name"], parameter["schema"]
        example = EXAMPLES_AT.get((path, name), EXAMPLES.get(name))
        if "examples" not in schema and example is not None:
            schema["examples"] = [example]
