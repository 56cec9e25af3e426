"""What is to be read next, saying what it says, and taking it back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from conftest import analyze
from fakes import found_article
from fastapi.testclient import TestClient
from record import tag
from sqlmodel import Session, select

from api.app import create_app
from config.definitions import BASELINE_TAGGER
from jobs.cluster import Clusterer
from models.database import Database
from models.errors import BadInput, Forbidden, NotFound, UnknownName
from models.reviews import Judgement, Review, SaidNarrative
from models.store import reviews as review_store
from models.store.articles import add_articles, remove_text
from models.store.tags import save_tags, untagged
from models.tags import NarrativeScore, Tagged
from services import review as service
from services.articles import get_article
from services.keys import create_key
from services.quality import progress, reviewers_agree
from services.review import Given, QueueQuestion, draw_round, queue, record_review, undo_review

FIRST = datetime(2020, 1, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIVE = "fake@2"
HAVEN = SaidNarrative(1)
CALM = Judgement()


def told(database: Database, *titles: str, now: datetime) -> None:
    with database.write() as session:
        add_articles(session, [found_article(title, FIRST + HOUR * n) for n, title in enumerate(titles)], now=now)
    Clusterer(database).cluster()


def scored(database: Database, now: datetime, scores: dict[int, float], tagger: str = LIVE) -> None:
    """The live tagger tells each revision's score of safe haven; a label from 0.5 on."""
    with database.write() as session:
        pairs = []
        for row in untagged(session, tagger, after=0, limit=10_000):
            score = scores.get(row.id or 0, 0.0)
            found = (NarrativeScore("safe_haven", score, score >= 0.5, 1, None, ()),) if score >= 0.02 else ()
            pairs.append((row.id or 0, Tagged("", found, ())))
        save_tags(session, tagger, pairs, now=now)
    analyze(database)


def given(revision: int, judgement: Judgement = CALM, *, uid: str = "", **more: object) -> Given:
    return Given(uid or f"u{revision}", revision, "chosen", judgement, **more)  # type: ignore[arg-type]


def asked(**more: object) -> QueueQuestion:
    return QueueQuestion(**{"tagger": LIVE, **more})  # type: ignore[arg-type]


def shown(session: Session, who: str, now: datetime, **more: object) -> list[tuple[str, int]]:
    return [(item.slice, item.article.revision_id) for item in queue(session, asked(**more), who, now=now).data]


# -- the queue --------------------------------------------------------------------------------------------------------


def test_what_the_tagger_doubts_most_comes_first_and_only_once(database: Database, now: datetime) -> None:
    told(database, *(f"story {n} of a kind" for n in range(6)), now=now)
    scored(database, now, {1: 0.9, 2: 0.32, 3: 0.52, 4: 0.1, 5: 0.7})
    with database.write() as session:
        assert shown(session, "ann", now, slices=("uncertain",)) == [
            ("uncertain", 3),
            ("uncertain", 2),
            ("uncertain", 5),
        ]
        record_review(session, given(3), "ann", now=now)
        assert shown(session, "ann", now, slices=("uncertain",)) == [("uncertain", 2), ("uncertain", 5)]
        assert shown(session, "bob", now, slices=("uncertain",)) == [("uncertain", 2), ("uncertain", 5)]


def test_where_tagger_and_keywords_differ_it_says_who_says_what(database: Database, now: datetime) -> None:
    told(database, "safe_haven+ : both", "debasement+ : keywords alone", "the tagger alone", "neither", now=now)
    tag(database, now)
    scored(database, now, {1: 0.9, 3: 0.9})
    with database.read() as session:
        found = queue(session, asked(slices=("disagreement",)), "ann", now=now)
    assert [(item.article.revision_id, item.why) for item in found.data] == [
        (3, "They disagree: the tagger alone says safe haven."),
        (2, "They disagree: keywords alone say debasement."),
    ]


def test_half_of_the_mix_is_drawn_at_random(database: Database, now: datetime) -> None:
    told(database, *(f"story {n} of its own kind" for n in range(200)), now=now)
    scored(database, now, dict.fromkeys(range(1, 100), 0.4))
    with database.write() as session:
        assert service.needs_round(session, asked(), "ann", now=now)
        assert draw_round(session, LIVE, now=now) == 60
        assert not service.needs_round(session, asked(), "ann", now=now)
        slices = [part for part, _ in shown(session, "ann", now, limit=20)]
    assert slices.count("audit") == 10
    assert slices.count("uncertain") == 10


def test_when_all_that_was_drawn_is_read_more_is_drawn_while_there_is_any(database: Database, now: datetime) -> None:
    told(database, *(f"story {n} of its own kind" for n in range(8)), now=now)
    scored(database, now, {})
    with database.write() as session:
        draw_round(session, LIVE, now=now, size=5)
        for part, revision in shown(session, "ann", now, slices=("audit",)):
            assert part == "audit"
            record_review(session, given(revision), "ann", now=now)
        assert service.needs_round(session, asked(), "ann", now=now)
        service.draw_if_needed(session, asked(), "ann", now=now + HOUR)
        for _, revision in shown(session, "ann", now, slices=("audit",)):
            record_review(session, given(revision), "ann", now=now)
        assert len(review_store.rounds(session, LIVE, as_of=now + HOUR)) == 2
        for _ in range(3):  # all eight are read: there is nothing to draw
            service.draw_if_needed(session, asked(), "ann", now=now + HOUR)
        assert len(review_store.rounds(session, LIVE, as_of=now + HOUR)) == 2


def test_what_one_skips_another_may_read(database: Database, now: datetime) -> None:
    told(database, "a story of some kind", now=now)
    scored(database, now, {1: 0.5})
    with database.write() as session:
        record_review(session, given(1, skipped="cannot tell"), "ann", now=now)
        assert shown(session, "ann", now, slices=("uncertain",)) == []
        assert shown(session, "bob", now, slices=("uncertain",)) == [("uncertain", 1)]


def test_a_second_reading_shows_nothing_of_the_first(database: Database, now: datetime) -> None:
    told(database, "a story of some kind", now=now)
    scored(database, now, {1: 0.9})
    with database.write() as session:
        record_review(session, given(1, Judgement({"safe_haven": HAVEN}), note="clear"), "ann", now=now)
        assert shown(session, "ann", now, slices=("second",)) == []
        (item,) = queue(session, asked(slices=("second",)), "bob", now=now).data
        assert (item.blind, item.article.narratives, item.article.assets, item.reviews) == (True, [], [], [])
        record_review(session, Given("b", 1, "second", CALM), "bob", now=now)
        assert shown(session, "cem", now, slices=("second",)) == []


def test_a_search_finds_titles_for_a_narrative_that_need_not_exist(database: Database, now: datetime) -> None:
    told(database, "The AI bubble inflates", "Bubble tea", "an ai bubble bursts", "100%_ AI", now=now)
    scored(database, now, {})
    with database.write() as session:
        search = {"slices": ("search",), "search": "ai bubble", "narrative": "ai_bubble"}
        assert shown(session, "ann", now, **search) == [("search", 3), ("search", 1)]
        partly = given(3, Judgement({"ai_bubble": HAVEN}), whole=False)
        with pytest.raises(UnknownName, match="ai_bubble"):
            record_review(session, partly, "ann", now=now)
        record_review(session, Given("s", 3, "search", partly.judgement, whole=False), "ann", now=now)
        assert shown(session, "ann", now, **search) == [("search", 1)]
        for nothing in ("", "%_"):
            with pytest.raises(BadInput, match="holds no word"):
                queue(session, asked(slices=("search",), search=nothing, narrative="x"), "ann", now=now)
        with pytest.raises(BadInput, match="small letters"):
            queue(session, asked(slices=("search",), search="x", narrative="Ä"), "ann", now=now)


def test_a_search_keeps_nothing_out_of_the_audit_nor_the_audit_out_of_a_search(
    database: Database, now: datetime
) -> None:
    told(database, *(f"the AI bubble, part {n} of its own kind" for n in range(4)), now=now)
    scored(database, now, {})
    search = {"slices": ("search",), "search": "bubble", "narrative": "ai_bubble"}
    with database.write() as session:
        draw_round(session, LIVE, now=now)
        partly = Judgement({"ai_bubble": HAVEN})
        record_review(session, Given("s", 1, "search", partly, whole=False), "ann", now=now)
        record_review(session, Given("t", 2, "search", CALM, skipped="cannot tell"), "ann", now=now)
        assert {revision for _, revision in shown(session, "ann", now, slices=("audit",))} == {1, 2, 3, 4}
        record_review(session, given(3), "ann", now=now)
        assert {revision for _, revision in shown(session, "ann", now, **search)} == {3, 4}
        assert progress(session, "ann", now=now).by_slice == {"search": 2, "chosen": 1}


def test_what_was_drawn_is_read_in_the_order_drawn_and_not_as_doubtful(database: Database, now: datetime) -> None:
    told(database, *(f"story {n} of its own kind" for n in range(100)), now=now)
    scored(database, now, dict.fromkeys(range(1, 101), 0.4))
    with database.write() as session:
        draw_round(session, LIVE, now=now, size=60)
        drawn = set(review_store.to_audit(session, LIVE, "ann", limit=100))
        doubtful = {revision for _, revision in shown(session, "ann", now, slices=("uncertain",), limit=50)}
    assert (len(drawn), len(doubtful), drawn & doubtful) == (60, 40, set())


def test_what_was_taken_down_is_not_shown_and_not_reviewed(database: Database, now: datetime) -> None:
    told(database, "a story of some kind", now=now)
    scored(database, now, {1: 0.5})
    with database.write() as session:
        remove_text(session, 1, now=now)
        session.flush()
        assert shown(session, "ann", now, slices=("uncertain",)) == []
        with pytest.raises(NotFound, match="no wording 1"):
            record_review(session, given(1), "ann", now=now)
        with pytest.raises(NotFound, match="no article 1"):
            queue(session, asked(article_id=1), "ann", now=now)


def test_an_empty_store_has_nothing_to_review(database: Database, now: datetime) -> None:
    with database.write() as session:
        assert draw_round(session, LIVE, now=now) == 0
        assert queue(session, asked(), "ann", now=now).data == []
        assert progress(session, "ann", now=now).audited == 0
        assert reviewers_agree(session, now=now).rows == []


# -- saying -----------------------------------------------------------------------------------------------------------


def test_a_verdict_tells_what_became_of_each_label(database: Database, now: datetime) -> None:
    told(database, "safe_haven+ debasement- liquidity+ XAU=1 BTC=-1: all at once", now=now)
    tag(database, now)
    said = Judgement(
        {"safe_haven": HAVEN, "debasement": HAVEN, "fiscal_stress": SaidNarrative(-1)}, {"XAU": 1, "BTC": 0, "ETH": 1}
    )
    with database.write() as session:
        view, new = record_review(session, given(1, said), "ann", now=now)
    assert new
    assert {one.key: one.verdict for one in view.verdicts} == {
        "safe_haven": "accept",
        "debasement": "fix",
        "fiscal_stress": "add",
        "liquidity": "reject",
        "XAU": "accept",
        "BTC": "fix",
        "ETH": "add",
    }


def test_the_article_shows_what_a_reviewer_says(database: Database, now: datetime) -> None:
    told(database, "safe_haven+ XAU=1: gold gains", now=now)
    tag(database, now)
    with database.write() as session:
        said = Judgement({"liquidity": SaidNarrative(-1, "expected")}, {"UST": -1})
        record_review(session, given(1, said), "ann", now=now)
    with database.read() as session:
        article = get_article(session, 1, now=now, tagger=BASELINE_TAGGER).article
    labels = {one.narrative: (one.label, one.reviewed, one.score) for one in article.narratives}
    assert labels["safe_haven"] == (False, True, 0.9)
    assert labels["liquidity"] == (True, True, None)
    assert [(one.asset, one.tone, one.reviewed) for one in article.assets] == [("UST", -1, True)]


@pytest.mark.parametrize(
    ("said", "error", "why"),
    [
        (Judgement({"fear": None}), UnknownName, "no narrative named 'fear'"),
        (Judgement({"safe_haven": SaidNarrative(2)}), BadInput, "must be -1, 0 or 1"),
        (Judgement({"liquidity": SaidNarrative(1)}), BadInput, "actual or expected"),
        (Judgement({"safe_haven": SaidNarrative(1, "actual")}), BadInput, "only liquidity"),
        (Judgement({}, {"DOGE": 1}), UnknownName, "no asset named 'DOGE'"),
        (Judgement({}, {"BTC": 5}), BadInput, "tone of BTC"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_reason(
    database: Database, now: datetime, said: Judgement, error: type[Exception], why: str
) -> None:
    told(database, "a story", now=now)
    with database.write() as session, pytest.raises(error, match=why):
        record_review(session, given(1, said), "ann", now=now)
    with database.read() as session:
        assert session.scalars(select(Review)).all() == []


def test_one_takes_back_ones_own_reviews_alone(database: Database, now: datetime) -> None:
    told(database, "a story", now=now)
    with database.write() as session:
        view, _ = record_review(session, given(1), "ann", now=now)
        with pytest.raises(Forbidden, match="is ann's"):
            undo_review(session, view.id, "bob", now=now)
        with pytest.raises(NotFound, match="no review 99"):
            undo_review(session, 99, "ann", now=now)
        first = undo_review(session, view.id, "ann", now=now).undone_at
        assert undo_review(session, view.id, "ann", now=now + HOUR).undone_at == first


def test_a_uid_of_somebody_else_is_refused(database: Database, now: datetime) -> None:
    told(database, "a story", now=now)
    with database.write() as session:
        record_review(session, given(1, uid="mine"), "ann", now=now)
        with pytest.raises(BadInput, match="somebody else"):
            record_review(session, given(1, uid="mine"), "bob", now=now)


# -- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(database: Database, now: datetime) -> Iterator[tuple[TestClient, dict[str, dict[str, str]]]]:
    """A server, and the header of each reviewer's key."""
    told(database, *(f"story {n} of its own kind" for n in range(60)), now=now)
    tag(database, now)
    with database.write() as session:
        keys = {name: create_key(session, name, now=now, scope="review") for name in ("ann", "bob")}
    headers = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
    with TestClient(create_app(database, clock=lambda: now), base_url="http://localhost") as client:
        yield client, headers


Served = tuple[TestClient, dict[str, dict[str, str]]]


def body(revision: int, **more: object) -> dict[str, object]:
    return {"uid": f"http-{revision}", "revision_id": revision, "narratives": {}, "assets": {}} | more


def test_whoever_has_no_key_reviews_nothing(served: Served) -> None:
    client, _ = served
    for method, path in (("get", "/v1/review/queue"), ("post", "/v1/reviews"), ("get", "/v1/review/progress")):
        assert getattr(client, method)(path, **({"json": body(1)} if method == "post" else {})).status_code == 401


def test_two_at_once_on_one_article_are_both_kept(served: Served, database: Database) -> None:
    client, headers = served
    answers: list[int] = []

    def say(who: str, holds: bool) -> None:
        narratives = {"safe_haven": {"direction": 1}} if holds else {}
        said = body(1, uid=who, narratives=narratives)
        answers.append(client.post("/v1/reviews", json=said, headers=headers[who]).status_code)

    threads = [Thread(target=say, args=one) for one in (("ann", True), ("bob", False))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201, 201]
    kept = client.get("/v1/reviews", headers=headers["ann"]).json()["data"]
    assert {one["reviewer"] for one in kept} == {"ann", "bob"}
    newest = max(kept, key=lambda one: one["id"])
    labels = client.get("/v1/articles/1", params={"tagger": BASELINE_TAGGER}).json()["article"]["narratives"]
    haven = [one["label"] for one in labels if one["narrative"] == "safe_haven"]
    assert haven == ([True] if newest["reviewer"] == "ann" else [])


def test_sending_again_what_was_not_answered_keeps_it_once(served: Served) -> None:
    client, headers = served
    statuses = [client.post("/v1/reviews", json=body(1), headers=headers["ann"]).status_code for _ in range(3)]
    assert statuses == [201, 200, 200]
    assert len(client.get("/v1/reviews", headers=headers["ann"]).json()["data"]) == 1


def test_the_queue_draws_by_itself_and_pages_through_reviews(served: Served) -> None:
    client, headers = served
    found = client.get("/v1/review/queue", params={"limit": 50}, headers=headers["ann"]).json()
    assert {item["slice"] for item in found["data"]} == {"audit"}
    for item in found["data"][:5]:
        said = body(item["article"]["revision_id"], slice="audit")
        assert client.post("/v1/reviews", json=said, headers=headers["ann"]).status_code == 201
    first = client.get("/v1/reviews", params={"limit": 3, "by": "me"}, headers=headers["ann"]).json()
    rest = client.get("/v1/reviews", params={"limit": 3, "cursor": first["next_cursor"]}, headers=headers["ann"]).json()
    assert (len(first["data"]), len(rest["data"]), rest["next_cursor"]) == (3, 2, None)
    told_so_far = client.get("/v1/review/progress", headers=headers["ann"]).json()
    assert (told_so_far["all"], told_so_far["audited"], told_so_far["by_slice"]) == (5, 5, {"audit": 5})


def test_quality_is_told_in_every_format(served: Served) -> None:
    client, headers = served
    for item in client.get("/v1/review/queue", params={"limit": 30}, headers=headers["ann"]).json()["data"]:
        said = body(item["article"]["revision_id"], slice="audit", narratives={"safe_haven": {"direction": 1}})
        client.post("/v1/reviews", json=said, headers=headers["ann"])
    for path in ("/v1/quality", "/v1/quality/calibration", "/v1/quality/confusions", "/v1/quality/agreement"):
        rows = client.get(path).json()
        assert rows["data"] or path.endswith("agreement")
        lines = client.get(path, params={"format": "csv"}).text.splitlines()
        assert len(lines) == 1 + len(rows["data"])
        assert client.get(path, params={"format": "parquet"}).content[:4] == b"PAR1"
    assert client.get("/v1/quality", params={"by": "moon"}).status_code == 422


def test_the_agreement_of_two_who_read_forty_texts_blind_is_that_by_hand(served: Served) -> None:
    client, headers = served
    for who, slice_ in (("ann", "chosen"), ("bob", "second")):
        for revision in range(1, 41):
            holds = revision <= 20 if who == "ann" else revision <= 16 or revision == 21
            narratives = {"safe_haven": {"direction": 1}} if holds else {}
            said = body(revision, uid=f"{who}{revision}", slice=slice_, narratives=narratives)
            assert client.post("/v1/reviews", json=said, headers=headers[who]).status_code == 201
    rows = client.get("/v1/quality/agreement").json()["data"]
    haven = next(row for row in rows if (row["of"], row["key"]) == ("narrative", "safe_haven"))
    # by hand: 10 of 80 values lie in a pair that differs; 37 say yes and 43 no
    assert haven["alpha"] == pytest.approx(1 - (10 / 80) / (2 * 37 * 43 / (80 * 79)), abs=1e-6)
    assert haven["low"] < haven["alpha"] < haven["high"]
    assert (haven["n"], haven["n_reviewers"], haven["agreed"]) == (40, 2, 0.875)
    assert [one["title"] for one in haven["disputed"]] == [f"story {n} of its own kind" for n in (16, 17, 18, 19, 20)]


@pytest.mark.parametrize("note", ["\x00", "\ud800"])
def test_a_note_that_cannot_be_stored_is_refused(database: Database, now: datetime, note: str) -> None:
    told(database, "a story", now=now)
    with database.write() as session, pytest.raises(BadInput, match="cannot be stored"):
        record_review(session, given(1, note=note), "ann", now=now)


def test_a_search_judges_one_narrative_whatever_is_sent(database: Database, now: datetime) -> None:
    told(database, "a story", now=now)
    with database.write() as session:
        record_review(session, Given("s", 1, "search", Judgement({"safe_haven": HAVEN}, {})), "ann", now=now)
        assert [label.key for label in review_store.labels_of(session, [1], as_of=now)[1]] == ["safe_haven"]
