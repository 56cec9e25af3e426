"""Nothing that became known after T changes an answer as of T: over HTTP, for every route that takes `as_of`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fakes import found_article
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlmodel import select
from worlds import (
    DAY,
    FIRST,
    HOUR,
    MINUTE,
    OUTLETS,
    Brought,
    Closed,
    Drawn,
    Known,
    Read,
    ReadInTurn,
    Removed,
    Reviewed,
    Undone,
    Visited,
    a_world,
    forget,
    label,
    tell,
    wording,
)

from api.app import create_app
from models.articles import Article
from models.database import Database
from models.prices import FoundBar, FoundPoint
from services.keys import create_key

ROUTES = {
    "/v1/intensity": [
        "narrative=safe_haven",
        "{weeks}&bucket=week",
        "{days}&narrative=safe_haven&narrative=liquidity&bucket=hour",
        "{weeks}&narrative=safe_haven&weighting=article&bucket=month",
        "{weeks}&narrative=safe_haven&outlet=Wire",
        "{weeks}&narrative=safe_haven&asset=XAU",
        "{weeks}&narrative=liquidity&direction=building",
        "{weeks}&narrative=liquidity&modality=expected&bucket=week",
        "{weeks}&narrative=safe_haven&measure=index",
        "{weeks}&narrative=safe_haven&measure=index&bucket=week&direction=building&tagger=other@1",
        "{weeks}&narrative=safe_haven&beside=keywords&tagger=other@1",
    ],
    "/v1/tone": [
        "{weeks}&asset=XAU",
        "{weeks}&asset=XAU&bucket=week&weighting=article",
        "{weeks}&asset=BTC&bucket=month&outlet=Herald&tagger=other@1",
        "{days}&bucket=hour",
    ],
    "/v1/shift": ["{weeks}", "{weeks}&prior_rates=true&bucket=week&outlet=Wire", "{weeks}&bucket=month&tagger=other@1"],
    "/v1/shift/events": ["", "prior_rates=true"],
    "/v1/shift/why": ["{weeks}&prior_rates=true"],
    "/v1/shift/history": ["{weeks}&prior_rates=true"],
    "/v1/joined": ["{weeks}&asset=BTC&prior_rates=true", "{weeks}&asset=XAU&bucket=week&tagger=other@1"],
    "/v1/prices/{asset}": ["{weeks}", "{days}&bucket=hour"],
    "/v1/lead-lag": [
        "{weeks}&driver=narrative:safe_haven&driver=tone:XAU&asset=BTC&asset=XAG&max_lag=5&target=volatility",
        "{weeks}&driver=macro:DFII10&asset=BTC&max_lag=5",
        "{weeks}&driver=theta&asset=XAU&prior_rates=true&max_lag=5",
    ],
    "/v1/event-study": [
        "event=high:XAG&asset=BTC",
        "event=shift:panic&asset=BTC&prior_rates=true",
        "date=2019-10-01&date=2019-11-11&asset=XAU",
    ],
    "/v1/triggers": [""],
    "/v1/annotations": [""],
    "/v1/articles": [
        "limit=200",
        "{weeks}&narrative=safe_haven&asset=XAU",
        "{weeks}&narrative=liquidity&outlet=Wire&tagger=other@1",
        "q=bador OR edited&limit=200",
        "{weeks}&q=edited -bador&fold=true",
        "narrative=safe_haven&narrative=liquidity&direction=building&fold=true&outlet=Wire&outlet=Herald",
    ],
    "/v1/articles/{article_id}": ["", "tagger=other@1"],
    "/v1/stories/{story_id}": [""],
    "/v1/quality": ["", "by=outlet&bucket=month", "by=asset"],
    "/v1/quality/calibration": ["narrative=safe_haven"],
    "/v1/quality/confusions": [""],
    "/v1/quality/agreement": [""],
    "/v1/reviews": ["limit=200", "by=bob"],
}
"""Questions of each route; {days} and {weeks} stand for a start and an end that lie days before `as_of`."""
LONG_AFTER = timedelta(days=400)


def test_every_route_that_takes_as_of_is_asked_here(sqlite_url: str, now: datetime) -> None:
    paths = create_app(Database(sqlite_url), clock=lambda: now).openapi()["paths"]
    found = {
        path
        for path, route in paths.items()
        for parameter in route.get("get", {}).get("parameters", [])
        if parameter["name"] == "as_of"
    }
    assert found == set(ROUTES), "a route with as_of needs its questions in ROUTES"


@dataclass
class Reader:
    """One server over the record, whose clock can be set; what was asked once is asked again word for word."""

    client: TestClient
    now: datetime
    questions: list[tuple[str, dict[str, list[str]]]]
    routes: dict[str, str]
    """Of each question."""

    def answers(self, now: datetime, as_of: datetime | str) -> dict[str, Any]:
        """Each answer by its question, as asked at `now`."""
        self.now = now
        instant = as_of if isinstance(as_of, str) else as_of.isoformat()
        found = {}
        for path, query in self.questions:
            answer = self.client.get(path, params={**query, "as_of": instant})
            assert answer.status_code in (200, 404, 422), answer.text
            found[f"{path} {query}"] = {"status": answer.status_code} | answer.json()
        return found


@contextmanager
def reading(database: Database, known_by: datetime, routes: Mapping[str, list[str]] = ROUTES) -> Iterator[Reader]:
    """A reader with the questions of the routes, about what lies days before `known_by`."""
    spans = {
        "days": f"start={known_by - 4 * DAY:%Y-%m-%d}&end={known_by - 2 * DAY:%Y-%m-%d}",
        "weeks": f"start={known_by - 70 * DAY:%Y-%m-%d}&end={known_by - 2 * DAY:%Y-%m-%d}",
    }
    with database.read() as session:
        rows = session.execute(
            select(Article.id, Article.story_id).where(Article.known_at <= known_by).order_by(Article.event_at.desc())  # type: ignore[attr-defined]
        ).all()[:40]
    next_id = max((row[0] for row in rows), default=0) + 1
    ids = {
        "asset": ["BTC"],
        "article_id": [*(row[0] for row in rows[:5]), next_id],
        "story_id": sorted({row[1] for row in rows if row[1]})[-5:],
    }
    questions: list[tuple[str, dict[str, list[str]]]] = []
    routes_of: dict[str, str] = {}
    for route, queries in routes.items():
        name = route.partition("{")[2].rstrip("}")
        for path in [route.replace(f"{{{name}}}", str(one)) for one in ids[name]] if name else [route]:
            for query in queries:
                asked: dict[str, list[str]] = {}
                for key, value in parse_qsl(query.format(**spans)):
                    asked.setdefault(key, []).append(value)
                questions.append((path, asked))
                routes_of[f"{path} {asked}"] = route
    reader: Reader

    with database.write() as session:
        key = create_key(session, f"reader-{known_by.timestamp():.0f}", now=known_by)
    with TestClient(
        create_app(database, clock=lambda: reader.now),
        base_url="http://localhost",
        headers={"Authorization": f"Bearer {key}"},
        raise_server_exceptions=False,
    ) as client:
        reader = Reader(client, known_by, questions, routes_of)
        yield reader


def without_removed_texts(answer: Any, database: Database) -> Any:
    """The answers but for the words of articles that are taken down by now, which no one is told or finds any more."""
    with database.read() as session:
        gone = session.execute(select(Article.id, Article.story_id).where(Article.removed_at.is_not(None))).all()  # type: ignore[union-attr]
    articles, stories = {row[0] for row in gone}, {row[1] for row in gone}

    def bare(part: Any) -> Any:
        if isinstance(part, list):
            return [bare(one) for one in part]
        if not isinstance(part, dict):
            return part
        part = {name: bare(value) for name, value in part.items()}
        if part.get("id") in articles and "removed_at" in part:
            part |= {"title": "", "summary": "", "url": None, "removed_at": None}
            part["narratives"] = [one | {"evidence": []} for one in part["narratives"]]
            part["assets"] = [one | {"spans": []} for one in part["assets"]]
        if "history" in part and part["article"]["id"] in articles:
            part["body"] = ""
            part["history"] = [one | {"title": "", "summary": "", "body": "", "changes": []} for one in part["history"]]
        if set(part) == {"id", "title", "outlet", "event_at"} and part["id"] in stories | articles:
            part["title"] = ""
        if "revision_id" in part and part.get("article_id") in articles:
            part["title"] = ""
        if "data" in part and searched:
            part["data"] = [one for one in part["data"] if one["id"] not in articles and one["story_id"] not in stories]
        return part

    searched = False
    found = {}
    for question, one in answer.items():
        searched = "'q'" in question
        found[question] = bare(one)
    return found


def differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The questions with another answer, to the byte."""
    return [question for question, answer in before.items() if json.dumps(answer) != json.dumps(after[question])]


def values(answers: dict[str, Any]) -> dict[str, Any]:
    """Answers without what is told of the question itself."""
    return {
        question: {name: part for name, part in answer.items() if name != "meta"}
        for question, answer in answers.items()
    }


# -- any world, any T, anything later ---------------------------------------------------------------------------------

DAYS = 150
LATER = [
    "article",
    "copy",
    "revision",
    "sighting",
    "removal",
    "visit",
    "bar",
    "late bar",
    "point",
    "late point",
    "tags",
    "review",
    "turn",
    "undo",
    "draw",
]
minutes = st.integers(0, 60 * 24 * 60)
later_knowledge = st.lists(
    st.tuples(st.sampled_from(LATER), st.integers(0, 10_000), minutes, minutes), min_size=1, max_size=20
)
moments = st.tuples(
    st.sampled_from(["any", "any", "known_at", "end of day"]),
    st.one_of(st.integers(120 * 1440, DAYS * 1440), st.integers(2 * 1440, (DAYS + 2) * 1440)),
)


def moment(world: list[Known], kind: str, minute: int) -> datetime:
    """An instant in the middle of anything, that of an article becoming known, or the end of a day."""
    at = FIRST + minute * MINUTE + timedelta(seconds=17, microseconds=5)
    if kind == "known_at":
        return min((one.at for one in world if isinstance(one.what, Brought)), key=lambda known: abs(known - at))
    return at.replace(hour=23, minute=59, second=59, microsecond=0) if kind == "end of day" else at


def learnt_later(
    world: list[Known], at: datetime, kind: str, pick: int, ago: timedelta, after: timedelta
) -> list[Known]:
    """Something of the past that becomes known after `at`."""
    known = at + after + timedelta(microseconds=1)
    past = [one.what.found for one in world if isinstance(one.what, Brought) and one.at <= at]
    bars = [one.what for one in world if isinstance(one.what, Closed) and one.at <= at]
    points = [one.what for one in world if isinstance(one.what, FoundPoint) and one.at <= at]
    random = Random(pick)
    recent = past[-1 - pick % len(past)] if past else None
    match kind:
        case "article":
            found = found_article(at=at - ago, identity=f"later/{pick}/{ago}", outlet="Wire", **wording(random, 0.5))
            return [Known(known, Brought(found))]
        case "copy" if recent:
            copy = replace(recent, identity=f"copy/{pick}", outlet=OUTLETS[pick % 4], event_at=min(recent.event_at, at))
            return [Known(known, Brought(copy))]
        case "revision" if recent:
            reworded = replace(recent, title=f"{label(random, 0.5)}: it reads otherwise {pick}")
            return [Known(known, Brought(reworded))]
        case "sighting" if recent:
            return [Known(known, Brought(recent, OUTLETS[pick % 4]))]
        case "removal" if recent:
            return [Known(known, Removed(recent.identity))]
        case "visit":
            return [Known(known, Visited("Wire", "failed"))]
        case "bar":
            closed = bars[-1 - pick % len(bars)]
            return [Known(known, replace(closed, bar=replace(closed.bar, close=closed.bar.close * 1.5)))]
        case "late bar":
            return [Known(known, Closed(FoundBar("BTC", at - ago, 9_999.0)))]
        case "point":
            return [Known(known, replace(points[-1 - pick % len(points)], value=-9.0))]
        case "late point":
            return [Known(known, FoundPoint("DFII10", (at - ago).date() - 4 * DAY, -9.0, at - ago))]
        case "turn":
            return [Known(known, ReadInTurn(f"{label(random, 0.5)}:", "bob" if pick % 3 else "ann"))]
        case "review" if recent:
            said = f"{label(random, 0.5)}:"
            return [Known(known, Reviewed(recent.identity, said, "bob" if pick % 3 else "ann", blind=bool(pick % 2)))]
        case "undo":
            return [Known(known, Undone())]
        case "draw":
            return [Known(known, Drawn(10))]
        case "tags":
            return [Known(known, Read("third@1"))]
    return []


@pytest.mark.slow
@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a world of months would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**16), when=moments, late=later_knowledge, goes_on=st.booleans(), part=st.integers(0, 2))
def test_as_of_t_an_answer_is_what_it_was_at_t(
    database: Database,
    seed: int,
    when: tuple[str, int],
    late: list[tuple[str, int, int, int]],
    goes_on: bool,
    part: int,
) -> None:
    """Served at T, and served years later as of T: the same answer, whatever became known since.

    A third of each route's questions at a time; the next test asks all.
    """
    forget(database)
    world = a_world(seed, days=DAYS, a_day=3)
    then = moment(world, *when)
    as_of = f"{then:%Y-%m-%d}" if when[0] == "end of day" else then
    tell(database, world, until=then)
    with reading(database, then, {route: asked[part::3] or asked for route, asked in ROUTES.items()}) as reader:
        served = reader.answers(then, as_of)
        learnt = [
            one
            for kind, pick, ago, after in late
            for one in learnt_later(world, then, kind, pick, ago * MINUTE, after * MINUTE)
        ]
        tell(database, [*learnt, *(world if goes_on else [])], after=then)
        replayed = reader.answers(then + LONG_AFTER, as_of)
        assert differing(*(without_removed_texts(answers, database) for answers in (served, replayed))) == []


# -- worlds by hand, in which later knowledge would change the answer if it leaked ------------------------------------


@pytest.mark.slow
def test_whatever_is_asked_would_be_answered_otherwise_if_it_knew_more(database: Database) -> None:
    """An hour after T much becomes known of the weeks before: every answer changes, and as of T none does."""
    world, random = a_world(3, days=DAYS, a_day=3), Random(1)
    then = FIRST + (DAYS - 2) * DAY + 9 * HOUR + 30 * MINUTE
    past = [one for one in world if one.at <= then]
    known = [one.what.found for one in past if isinstance(one.what, Brought)]
    learnt: list[Brought | Closed | FoundPoint | Drawn | Reviewed | ReadInTurn] = [Drawn()]
    learnt += [ReadInTurn(f"safe_haven- fiscal_stress+ {random.choice(['XAU=1', 'BTC=-1'])}:") for _ in range(60)]
    for found in known[-100:]:
        said = f"safe_haven- fiscal_stress+ {random.choice(['XAU=1', 'BTC=-1'])}:"
        learnt += [Reviewed(found.identity, said), Reviewed(found.identity, "safe_haven+ BTC:", "bob", blind=True)]
    for ago in range(120):
        for outlet in ("Wire", "Herald"):
            title = f"safe_haven+ liquidity+? fiscal_stress~ XAU=-1 BTC=1: number {ago} that {outlet} tells late"
            summary = f"safe_haven+ liquidity+? debasement+ XAU=1 BTC=-1: {ago}"
            learnt.append(Brought(found_article(title, then - ago * 14 * HOUR, outlet=outlet, summary=summary)))
    for n in range(5):
        learnt.append(Brought(found_article(f"btc_risk_asset+ safe_haven~: at once the {n}th", then, outlet="Wire")))
    for found in known[-80:]:
        title = f"debasement+ XAG=1: anew {found.identity}"
        learnt.append(Brought(replace(found, title=title, summary=f"safe_haven~ {title}")))
    for found in known[-160:]:
        learnt.append(Brought(replace(found, outlet="Copyist", identity=f"copy of {found.identity}")))
    for one in past:
        if isinstance(one.what, Closed) and (one.at > then - 5 * DAY or random.random() < 0.15):
            close = one.what.bar.close * random.uniform(1, 1.2)
            learnt.append(replace(one.what, bar=replace(one.what.bar, close=close)))
    for series in ("DFII10", "DGS10", "DTWEXBGS"):
        learnt.append(FoundPoint(series, (then - 2 * DAY).date(), 70.0, then + HOUR))
    tell(database, past)
    with reading(database, then) as reader:
        served = reader.answers(then, then)
        tell(database, [Known(then + HOUR, what) for what in learnt])
        assert differing(served, reader.answers(then + LONG_AFTER, then)) == []
        an_hour_later = reader.answers(then + LONG_AFTER, then + HOUR)
    assert {answer["status"] for answer in served.values()} == {200, 404}
    # a shift that was told stays told; that later knowledge tells of others: test_services_shift_events.py
    moved = {asked for asked in served if "shift/events" not in asked and "shift:panic" not in asked}
    assert set(differing(values(served), values(an_hour_later))) >= moved


THEN = FIRST + 3 * DAY + 10 * HOUR + 30 * MINUTE
GOLD = found_article("safe_haven+ XAU=1: gold rises as many seek safety", FIRST + 8 * HOUR, outlet="Wire")
RATES = found_article("liquidity+ XAU=-1: the bank lowers its rate again", FIRST + 20 * HOUR, outlet="Herald")
CLOSE = Closed(FoundBar("BTC", FIRST + DAY, 8_000.0))
A_FEW_DAYS = [
    Known(GOLD.event_at, Brought(GOLD)),
    Known(RATES.event_at + HOUR, Brought(RATES)),
    Known(FIRST, Closed(FoundBar("BTC", FIRST, 7_000.0))),
    Known(CLOSE.bar.closed_at, CLOSE),
    Known(FIRST + 5 * HOUR, Visited("Wire")),
]
OF_A_FEW_DAYS = {
    "/v1/intensity": ["start=2020-01-01&end=2020-01-03&narrative=safe_haven&narrative=debasement&weighting=article"],
    "/v1/tone": ["start=2020-01-01&end=2020-01-03&asset=XAU&weighting=article"],
    "/v1/shift": ["start=2020-01-01&end=2020-01-03&prior_rates=true"],
    "/v1/shift/events": ["", "prior_rates=true"],
    "/v1/shift/why": ["{weeks}&prior_rates=true"],
    "/v1/shift/history": ["{weeks}&prior_rates=true"],
    "/v1/joined": ["start=2020-01-01&end=2020-01-03&prior_rates=true"],
    "/v1/prices/{asset}": [""],
    "/v1/articles": [""],
    "/v1/articles/{article_id}": [""],
    "/v1/stories/{story_id}": [""],
}
COUNTED = {"intensity", "tone", "shift", "joined"}
LEARNT = {
    "an article of before": (
        Brought(found_article("debasement+ XAU=1: money loses", FIRST + 9 * HOUR, outlet="Wire")),
        COUNTED | {"articles", "article"},
    ),
    "a copy": (
        Brought(replace(GOLD, outlet="Ledger", identity="copy", event_at=GOLD.event_at + HOUR)),
        {"intensity", "tone", "articles", "article", "story"},
    ),
    "another wording": (
        Brought(replace(GOLD, title="debasement+ XAU=-1: gold falls")),
        COUNTED | {"articles", "article", "story"},
    ),
    "a feed that has it too": (Brought(GOLD, feed="Ledger"), {"article"}),
    "a visit": (Visited("Wire", "failed"), set()),
    "a corrected close": (Closed(replace(CLOSE.bar, close=9.0)), {"joined", "prices"}),
    "a close that was missing": (Closed(FoundBar("BTC", FIRST + 2 * DAY, 9.0)), {"joined", "prices"}),
    "what another tagger reads": (Read("third@1"), set()),
    "what a reviewer says": (
        Reviewed(GOLD.identity, "debasement+ XAU=-1:"),
        COUNTED | {"articles", "article", "story"},
    ),
}
NAMES = {"/v1/articles/{article_id}": "article", "/v1/stories/{story_id}": "story", "/v1/prices/{asset}": "prices"}


@pytest.mark.slow
@pytest.mark.parametrize("learnt", LEARNT)
def test_each_thing_learnt_later_changes_what_is_known_later_alone(database: Database, learnt: str) -> None:
    what, touched = LEARNT[learnt]
    tell(database, A_FEW_DAYS)
    with reading(database, THEN, OF_A_FEW_DAYS) as reader:
        served = reader.answers(THEN, THEN)
        tell(database, [Known(THEN + HOUR, what)])
        assert differing(served, reader.answers(THEN + LONG_AFTER, THEN)) == []
        later = reader.answers(THEN + LONG_AFTER, THEN + HOUR)
        changed = {reader.routes[question] for question in differing(values(served), values(later))}
    assert {NAMES.get(route, route.rpartition("/")[2]) for route in changed} == touched


def test_what_is_taken_down_stays_counted_and_only_its_words_are_gone(database: Database) -> None:
    tell(database, A_FEW_DAYS)
    with reading(database, THEN, OF_A_FEW_DAYS) as reader:
        served = reader.answers(THEN, THEN)
        tell(database, [Known(THEN + HOUR, Removed(GOLD.identity))])
        replayed = reader.answers(THEN + LONG_AFTER, THEN)
        assert {reader.routes[question] for question in differing(served, replayed)} == {
            "/v1/articles",
            "/v1/articles/{article_id}",
            "/v1/stories/{story_id}",
        }
    assert differing(*(without_removed_texts(answers, database) for answers in (served, replayed))) == []


def test_what_is_known_at_the_very_instant_is_known(database: Database) -> None:
    tell(database, A_FEW_DAYS, until=GOLD.known_at)
    with reading(database, GOLD.known_at, {"/v1/articles": [""], "/v1/intensity": ["narrative=safe_haven"]}) as reader:
        before = reader.answers(GOLD.known_at, GOLD.known_at - timedelta(microseconds=1))
        served = reader.answers(GOLD.known_at, GOLD.known_at)
        tell(database, A_FEW_DAYS, after=GOLD.known_at)
        assert differing(served, reader.answers(THEN, GOLD.known_at)) == []
    assert [len(answers["/v1/articles {}"]["data"]) for answers in (before, served)] == [0, 1]
