"""Reviews to files and from files: nothing is lost on the way, nothing comes in twice, nothing bad comes in at all."""

import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import NOW
from fakes import found_article
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record import tag
from sqlmodel import select

from config import definitions
from config.definitions import BASELINE_TAGGER
from models.database import Database
from models.errors import BadFile, BadInput
from models.reviews import Judgement, Review, SaidNarrative, StandingLabel
from models.store import reviews as review_store
from models.store.articles import add_articles, remove_text
from nlp.units import read_units
from services import label_studio
from services.label_studio import read_tasks
from services.review_files import FileFormat, ImportedReviews, export, import_reviews
from services.review_rows import Refusal, Told, read_lines

FIRST = datetime(2020, 1, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
HAVEN = SaidNarrative(1)
EXPORT = Path(__file__).parent / "data" / "label_studio_export.json"
LABELS = Path(__file__).parents[2] / "shared" / "labels" / "dev.jsonl"
TEXTS = [
    ("Frightened savers crowd into gold", ""),
    ("Central bank to drain money", "Slower than last year"),
    ("Deficit — again", "The state borrows — more\u2028than ever"),
]


def tell(database: Database, texts: Sequence[tuple[str, str]] = TEXTS, outlet: str = "The Wire") -> None:
    found = [
        found_article(title, FIRST + HOUR * n, summary=summary, outlet=outlet, url=f"https://example.org/{outlet}/{n}")
        for n, (title, summary) in enumerate(texts)
    ]
    with database.write() as session:
        add_articles(session, found, now=FIRST + 9 * HOUR)


def say(database: Database, *reviews: Review) -> None:
    with database.write() as session:
        review_store.add_reviews(session, reviews)


def review(revision: int, judgement: Judgement, *, uid: str, at: datetime = FIRST, **more: Any) -> Review:
    columns: dict[str, Any] = {
        "reviewer": "ann",
        "slice": "chosen",
        "blind": False,
        "tagger": BASELINE_TAGGER,
        "known_at": max(at, FIRST),
    }
    said = review_store.said_columns(judgement)
    return Review(uid=uid, revision_id=revision, given_at=at, **(columns | said | more))


def written(database: Database, now: datetime, form: FileFormat = "jsonl", *, every: bool = False) -> bytes:
    return b"".join(export(database, form, now=now, every=every))


def rows_of(database: Database, now: datetime, *, every: bool = False) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written(database, now, every=every).splitlines()]


def bring(
    database: Database, content: bytes | str, now: datetime, reviewer: str = "", form: FileFormat | None = None
) -> ImportedReviews:
    stream = io.BytesIO(content if isinstance(content, bytes) else content.encode())
    return import_reviews(database, stream, name="f", clock=lambda: now, form=form, reviewer=reviewer)


def counts(found: ImportedReviews) -> tuple[int, int, int]:
    return found.imported, found.known, len(found.refused)


def reasons(found: ImportedReviews) -> list[tuple[int, str]]:
    return [(one.line, one.reason) for one in found.refused]


def kept(database: Database) -> list[Review]:
    with database.read() as session:
        return list(session.scalars(select(Review).order_by(Review.id)))  # type: ignore[arg-type]


def labelled(**more: Any) -> str:
    row = {"id": "a", "text": TEXTS[0][0], "narratives": {"safe_haven": {"direction": 1}}, "assets": {"XAU": 1}}
    return json.dumps({name: value for name, value in (row | more).items() if value is not ...})


# -- our own lines ---------------------------------------------------------------------------------------------------


def test_a_line_says_what_was_judged_and_of_what(database: Database, now: datetime) -> None:
    tell(database)
    said = Judgement({"safe_haven": HAVEN, "liquidity": SaidNarrative(-1, "expected"), "debasement": None}, {"XAU": 1})
    say(database, review(2, said, uid="a", blind=True, note="hm"), review(1, Judgement({"debasement": None}), uid="b"))
    first, second = rows_of(database, now)
    assert first == {
        "id": "a",
        "text": "Central bank to drain money — Slower than last year",
        "title": "Central bank to drain money",
        "summary": "Slower than last year",
        "content_hash": first["content_hash"],
        "url": "https://example.org/The Wire/1",
        "outlet": "The Wire",
        "published_at": "2020-01-01T10:00:00Z",
        "narratives": {"liquidity": {"direction": -1, "modality": "expected"}, "safe_haven": {"direction": 1}},
        "absent": ["debasement"],
        "assets": {"XAU": 1},
        "whole": False,
        "reviewer": "ann",
        "given_at": "2020-01-01T09:00:00Z",
        "slice": "chosen",
        "blind": True,
        "tagger": BASELINE_TAGGER,
        "skipped": None,
        "note": "hm",
        "inclusion_probability": None,
    }
    assert (second["text"], second["absent"], second["assets"]) == (TEXTS[0][0], ["debasement"], None)


def test_skipped_undone_and_removed_are_left_out_unless_asked_for(database: Database, now: datetime) -> None:
    tell(database)
    undone = review(1, Judgement(), uid="undone")
    say(database, undone, review(1, Judgement(), uid="skipped", skipped="?"), review(2, Judgement(), uid="removed"))
    say(database, review(3, Judgement(), uid="stays"))
    with database.write() as session:
        review_store.undo(session, session.get(Review, undone.id), now=FIRST + HOUR)  # type: ignore[arg-type]
        remove_text(session, 2, now=now)
    assert [row["id"] for row in rows_of(database, now)] == ["stays"]
    every = {row["id"]: row for row in rows_of(database, now, every=True)}
    assert set(every) == {"undone", "skipped", "removed", "stays"}
    assert every["undone"]["undone_at"] == "2020-01-01T10:00:00Z"
    assert (every["skipped"]["skipped"], every["removed"]["text"]) == ("?", "")
    assert [row["id"] for row in rows_of(database, FIRST)] == ["undone", "removed", "stays"][::2]


def test_the_newest_draw_for_audit_tells_the_inclusion_probability(database: Database, now: datetime) -> None:
    tell(database)
    say(database, review(1, Judgement(), uid="a"), review(2, Judgement(), uid="b"))
    with database.write() as session:
        for probability in (0.5, 0.25):
            review_store.add_round(session, "x@1", now=FIRST, n_stories=9, bands={}, drawn=[(1, "s", probability)])
    assert [row["inclusion_probability"] for row in rows_of(database, now)] == [0.25, None]


def test_what_is_exported_teaches_a_tagger(database: Database, now: datetime, tmp_path: Path) -> None:
    tell(database)
    nothing: dict[str, SaidNarrative | None] = dict.fromkeys(definitions.narratives())
    say(database, review(3, Judgement(nothing | {"fiscal_stress": HAVEN}, {"UST": -1}), uid="whole"))
    say(database, review(1, Judgement({"safe_haven": HAVEN}, None), uid="in part"))
    say(database, review(1, Judgement(nothing, None), uid="no assets"), review(1, Judgement(), uid="?", skipped="?"))
    path = tmp_path / "reviews.jsonl"
    path.write_bytes(written(database, now, every=True))
    (unit,) = read_units(path)
    assert (unit.id, list(unit.narratives), unit.assets) == ("whole", ["fiscal_stress"], {"UST": -1})
    assert unit.text == "Deficit — again — The state borrows — more\u2028than ever"
    path.write_text(json.dumps(rows_of(database, now, every=True)[1]))
    with pytest.raises(BadFile, match="judged as a whole"):
        read_units(path)


def said(draw: st.DrawFn) -> tuple[Judgement, str | None]:
    keys = [key for key in definitions.narratives() if key != "liquidity"]
    held = {
        key: draw(st.none() | st.builds(SaidNarrative, st.sampled_from([-1, 0, 1]))) for key in draw_some(draw, keys)
    }
    if draw(st.booleans()):
        held["liquidity"] = draw(
            st.none() | st.builds(SaidNarrative, st.just(1), st.sampled_from(["actual", "expected"]))
        )
    assets = draw(st.none() | st.dictionaries(st.sampled_from(["XAU", "BTC", "EQ"]), st.sampled_from([-1, 0, 1])))
    skipped = draw(st.none() | NOTES)
    return (Judgement(held, assets) if skipped is None else Judgement()), skipped


def draw_some(draw: st.DrawFn, keys: list[str]) -> list[str]:
    return draw(st.lists(st.sampled_from(keys), unique=True, max_size=3))


NOTES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@st.composite
def told_reviews(draw: st.DrawFn) -> list[Review]:
    found = []
    for n in range(draw(st.integers(0, 5))):
        judgement, skipped = said(draw)
        found.append(
            review(
                draw(st.integers(1, 2 * len(TEXTS))),
                judgement,
                uid=f"{n}-{draw(st.integers(0, 99))}",
                at=FIRST + timedelta(microseconds=draw(st.integers(0, 3))),
                known_at=FIRST + HOUR,
                reviewer=draw(st.sampled_from(["ann", "bob@example.org", "Žofie Ó"])),
                slice=draw(st.sampled_from(["audit", "uncertain", "chosen", "second"])),
                tagger=draw(st.sampled_from([BASELINE_TAGGER, "minilm@2026-10"])),
                skipped=skipped,
                note=draw(NOTES),
            )
        )
        found[-1].blind = found[-1].slice == "second" or draw(st.booleans())
    return found


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(told=told_reviews())
@pytest.mark.parametrize("form", ["jsonl", "label-studio"])
def test_a_round_trip_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, form: FileFormat, told: list[Review]
) -> None:
    folder, now = tmp_path_factory.mktemp("trip"), NOW
    here, there = (Database.open(f"sqlite:///{folder / name}.db") for name in ("here", "there"))
    for database, outlets in ((here, "AB"), (there, "BA")):  # the same wordings, under other numbers
        for outlet in outlets:
            tell(database, outlet=outlet)
    say(here, *told)
    before, lines = written(here, now, form, every=True), written(here, now, every=True)
    assert counts(bring(there, before, now)) == (len(told), 0, 0)
    arranged = list if form == "jsonl" else sorted  # tasks come by wording, and so do the numbers of reviews
    assert arranged(written(there, now, every=True).splitlines()) == arranged(lines.splitlines())
    assert counts(bring(there, before, now)) == (0, len(told), 0)
    assert arranged(written(there, now).splitlines()) == arranged(written(here, now).splitlines())
    here.close()
    there.close()


def test_a_round_trip_through_both_databases(database: Database, now: datetime) -> None:
    tell(database)
    given_to = [
        review(n, Judgement({"safe_haven": HAVEN, "debasement": None}, {"XAU": n - 2}), uid=f"{n}") for n in (1, 2, 3)
    ]
    say(database, *given_to)
    lines, tasks = written(database, now), written(database, now, "label-studio")
    assert counts(bring(database, lines, now)) == counts(bring(database, tasks, now)) == (0, 3, 0)
    again = lines.replace(b'"id": "', b'"id": "x').replace(b'"ann"', b'"eve"')
    assert counts(bring(database, again, now)) == (3, 0, 0)
    assert [row["reviewer"] for row in rows_of(database, now)] == ["ann"] * 3 + ["eve"] * 3


def test_an_import_counts_from_the_import_on(database: Database, now: datetime) -> None:
    tell(database)
    assert counts(bring(database, labelled(given_at="2020-02-01"), now, "ann")) == (1, 0, 0)
    (found,) = kept(database)
    assert (found.given_at, found.known_at) == (datetime(2020, 2, 1, 23, 59, 59, tzinfo=UTC), now)
    with database.read() as session:
        assert {one.stands_from for one in session.scalars(select(StandingLabel))} == {now}
    bring(database, labelled(id="b", given_at="2099-01-01T00:00:00Z"), now, "ann")
    assert kept(database)[1].given_at == now


def test_an_undone_review_comes_in_and_never_counts(database: Database, now: datetime) -> None:
    tell(database)
    say(database, review(1, Judgement({"safe_haven": HAVEN}), uid="a"))
    row = rows_of(database, now)[0] | {"id": "b", "undone_at": "2020-01-02T00:00:00Z"}
    assert counts(bring(database, json.dumps(row), now)) == (1, 0, 0)
    assert (kept(database)[1].undone_at, len(rows_of(database, now))) == (now, 1)


# -- labelled texts --------------------------------------------------------------------------------------------------


def test_of_a_labelled_text_what_is_not_named_does_not_hold(database: Database, now: datetime) -> None:
    tell(database)
    summary = labelled(id=7, text="Deficit — again — The state borrows — more\u2028than ever", narratives={}, assets={})
    assert counts(bring(database, f"{labelled()}\n\n{summary}\n", now, "ann")) == (2, 0, 0)
    first, second = kept(database)
    assert first.narratives == dict.fromkeys(definitions.narratives()) | {
        "safe_haven": {"direction": 1, "modality": None}
    }
    assert (first.assets, first.slice, first.tagger, first.reviewer) == ({"XAU": 1}, "chosen", BASELINE_TAGGER, "ann")
    assert (second.revision_id, second.assets, set(second.narratives.values())) == (3, {}, {None})


def test_a_labelled_text_may_leave_things_open(database: Database, now: datetime) -> None:
    tell(database)
    lines = [labelled(assets=None), labelled(id="b", whole=False, slice="audit", blind=True)]
    assert counts(bring(database, "\n".join(lines), now, "ann")) == (2, 0, 0)
    first, second = kept(database)
    assert (first.assets, len(first.narratives)) == (None, len(definitions.narratives()))
    assert (second.assets, len(second.narratives), second.slice, second.blind) == ({"XAU": 1}, 1, "audit", True)


def test_importing_twice_adds_nothing_but_a_corrected_label_comes_in(database: Database, now: datetime) -> None:
    tell(database)
    assert counts(bring(database, labelled(), now, "ann")) == (1, 0, 0)
    assert counts(bring(database, labelled(), now + HOUR, "ann")) == (0, 1, 0)
    assert counts(bring(database, labelled(), now, "bob")) == (1, 0, 0)
    assert counts(bring(database, labelled(narratives={}), now, "ann")) == (1, 0, 0)


@pytest.mark.skipif(not LABELS.exists(), reason="the labelled texts are not here")
def test_the_labelled_texts_of_the_project_come_in(database: Database, now: datetime) -> None:
    lines = LABELS.read_text(encoding="utf-8").splitlines()[:40]
    cut = [json.loads(line)["text"].partition(" — ") for line in lines]
    tell(database, [(title, summary) for title, _, summary in cut])
    found = bring(database, "\n".join(lines), now, "ann")
    assert (counts(found), found.rows) == ((40, 0, 0), 40)


def test_a_wording_is_found_by_its_hash_and_among_copies_by_its_address(database: Database, now: datetime) -> None:
    tell(database, outlet="A")
    tell(database, outlet="B")
    say(database, review(4, Judgement({"safe_haven": HAVEN}), uid="a"))
    row = rows_of(database, now)[0]
    bring(database, json.dumps(row | {"id": "b", "text": "", "title": ""}), now)
    bring(database, json.dumps(row | {"id": "c", "url": None, "outlet": None}), now)
    bring(database, json.dumps(row | {"id": "d", "content_hash": "nonsense"}), now)
    assert [one.revision_id for one in kept(database)] == [4, 4, 1, 4]


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"narratives": {"safe_haven": {"direction": "+1"}}}, "direction of safe_haven is '+1'; it must be -1, 0 or 1"),
        ({"narratives": {"safe_haven": {"direction": "up"}}}, "is 'up'"),
        ({"narratives": {"safe_haven": {"direction": 1.0}}}, "is 1.0"),
        ({"narratives": {"safe_haven": {"direction": True}}}, "is true"),
        ({"narratives": {"safe_haven": {"direction": 10**30}}}, "is 1000000"),
        ({"narratives": {"safe_haven": {"direction": [[1]]}}}, "is a list"),
        ({"narratives": {"safe_haven": 1}}, '"direction": -1, 0 or 1'),
        ({"narratives": {"safe_haven": {}}}, "it must be {"),
        ({"narratives": ["safe_haven"]}, "narratives is a list"),
        ({"narratives": ...}, "has no narratives"),
        ({"narratives": {"moon_phase": {"direction": 1}}}, "no narrative named 'moon_phase'"),
        ({"narratives": {"\0": {"direction": 1}}}, "no key"),
        ({"narratives": {"liquidity": {"direction": 1}}}, "Liquidity needs a modality"),
        ({"narratives": {"liquidity": {"direction": 1, "modality": 3}}}, "modality of liquidity is 3"),
        ({"narratives": {"safe_haven": {"direction": 1, "modality": "actual"}}}, "has no modality"),
        ({"assets": {"XAU": 2}}, "tone of XAU is 2"),
        ({"assets": {"MOON": 1}}, "no asset named 'MOON'"),
        ({"assets": [1]}, "assets is a list"),
        ({"id": ...}, "has no id"),
        ({"id": 1.5}, "id is 1.5"),
        ({"text": ...}, "has no text"),
        ({"text": 7}, "text is 7"),
        ({"text": "Nobody wrote this"}, "No article here reads so: 'Nobody wrote this'"),
        ({"note": "\0"}, "note holds a character that cannot be stored"),
        ({"note": "n" * 2_001}, "at most 2000 characters"),
        ({"reviewer": "a\nb"}, "one line of visible characters"),
        ({"reviewer": {"name": "ann"}}, "reviewer is an object"),
        ({"given_at": "yesterday"}, "given_at: 'yesterday' is not a date"),
        ({"given_at": "1066-10-14"}, "is before 1980"),
        ({"given_at": 1e400}, "given_at is Infinity"),
        ({"blind": "yes"}, "blind is 'yes'"),
        ({"absent": ["safe_haven"]}, "among the absent"),
        ({"absent": [], "id": "with space"}, "visible ASCII"),
        ({"absent": "none"}, "absent is 'none'"),
    ],
)
def test_a_bad_row_is_refused_by_line_and_reason_and_stops_nothing(
    now: datetime, sqlite_url: str, more: dict[str, Any], told: str
) -> None:
    database = Database(sqlite_url)
    tell(database)
    bad = labelled(**more).replace("Infinity", "1e400")
    found = bring(database, f"{labelled(id='first')}\n{bad}\n{labelled(id='last')}\n", now, "ann")
    assert (found.imported, found.rows) == (2, 3)
    ((line, reason),) = reasons(found)
    assert line == 2
    assert told in reason
    assert len(reason) < 400
    database.close()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"id": "a", "text": "brok', "is not JSON"),
        (b'{"id": "\xff"}', "is not UTF-8 text"),
        (b'{"id": NaN}', "NaN is no number"),
        (b'{"id": ' + b"9" * 5_000 + b"}", "is not JSON"),
        (b'{"id": ' + b"[" * 100_000 + b"}", "is not JSON"),
        (b"[1, 2]", "is not a JSON object"),
        (b'{"id": "b", "text": "\\ud800", "narratives": {}, "assets": {}}', "cannot be stored"),
        (b'{"id": 3, "data": {"text": "x"}, "annotations": []}', "task of Label Studio"),
        (labelled(id="first").encode(), "has the id 'first', as line 1 has"),
    ],
)
def test_a_broken_line_is_one_sentence(now: datetime, sqlite_url: str, line: bytes, told: str) -> None:
    database = Database(sqlite_url)
    tell(database)
    found = bring(database, labelled(id="first").encode() + b"\n" + line + b"\n" + labelled().encode(), now, "ann")
    assert found.imported == 2
    ((number, reason),) = reasons(found)
    assert (number, told in reason) == (2, True), reason
    database.close()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"id,text,narratives\na,b,c\n", "begins with 'id,text,narratives'"),
        (b"<!DOCTYPE html>\n<html><body>404", "begins with '<!DOCTYPE html>'"),
        ("id".encode("utf-16"), "is not UTF-8 text"),
        (b'[{"id": 1, "data": {"text": "x"}, "annot', "is not JSON"),
        (b'[{"id": 1, "data": {"text": NaN}}]', "NaN is no number"),
        (b"[" * 100_000, "nested too deep"),
        (b"[\xff]", "is not UTF-8"),
    ],
)
def test_a_file_that_holds_no_reviews_is_one_sentence(
    now: datetime, sqlite_url: str, content: bytes, told: str
) -> None:
    database = Database(sqlite_url)
    with pytest.raises(BadFile, match=f"f: .*{told}") as error:
        bring(database, content, now, "ann")
    assert len(str(error.value)) < 300
    database.close()


@pytest.mark.parametrize("content", [b"", b"\n \n", b"[]", b"\xef\xbb\xbf"])
def test_an_empty_file_holds_nothing(now: datetime, sqlite_url: str, content: bytes) -> None:
    database = Database(sqlite_url)
    assert counts(bring(database, content, now)) == (0, 0, 0)
    database.close()


def test_somebody_must_have_said_it(now: datetime, sqlite_url: str) -> None:
    database = Database(sqlite_url)
    tell(database)
    with pytest.raises(BadInput, match="f does not say who reviewed"):
        bring(database, labelled(), now)
    with pytest.raises(BadInput, match="visible"):
        bring(database, labelled(), now, "a\x07b")
    found = bring(database, f"{labelled(reviewer='ann')}\n{labelled(id='b')}", now)
    assert (counts(found), reasons(found)) == ((1, 0, 1), [(2, "names no reviewer.")])
    database.close()


def test_no_uid_of_somebody_else_and_no_text_that_was_taken_down(database: Database, now: datetime) -> None:
    tell(database)
    say(database, review(1, Judgement(), uid="a"), review(2, Judgement(), uid="b"))
    first, second = rows_of(database, now)
    with database.write() as session:
        remove_text(session, 2, now=now)
    lines = [json.dumps(first | {"reviewer": "eve"}), json.dumps(second | {"id": "c"})]
    found = bring(database, "\n".join(lines), now)
    assert [line for line, _ in reasons(found)] == [1, 2]
    assert "There is a review 'a' of ann here already" in found.refused[0].reason
    assert "was taken down here" in found.refused[1].reason
    assert found.no_article == 1


names = st.sampled_from(
    "id text title narratives absent assets reviewer given_at skipped note data annotations".split()
)
names |= st.sampled_from(
    "result from_name type value choices completed_by import_id meta storyshift safe_haven 1".split()
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | st.text(max_size=3) | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=2), inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=80, deadline=None)
@given(row=anything, tasks=st.lists(st.fixed_dictionaries({"data": anything, "annotations": st.lists(anything)})))
def test_nothing_that_json_can_hold_breaks_the_reading(row: Any, tasks: list[Any]) -> None:
    for told in (*read_lines([json.dumps(row).encode()], "ann"), *read_tasks([row, *tasks], "ann")):
        assert isinstance(told, Told) or (told.reason.endswith(".") and len(told.reason) < 500)


def test_what_is_nested_deep_is_refused_and_no_more() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    names = ("id", "unique_id", "import_id", "completed_by", "created_at", "meta")
    annotations = [{"result": [], "id": 1, name: deep} for name in names]
    found = list(read_tasks([{"id": deep, "data": {"text": "x"}, "annotations": annotations}], "ann"))
    assert [type(told) for told in found] == [Told, Told, Refusal, Refusal, Refusal, Refusal]


# -- Label Studio ----------------------------------------------------------------------------------------------------


def test_an_export_of_label_studio_comes_in(database: Database, now: datetime) -> None:
    tell(database)
    found = bring(database, EXPORT.read_bytes(), now)
    assert (counts(found), found.unit, found.rows) == ((4, 0, 1), "task", 5)
    assert reasons(found) == [(2, "Liquidity needs a modality: actual or expected.")]
    first, second, third, fourth = kept(database)
    assert (first.reviewer, second.reviewer) == ("label-studio-1", "bob@example.org")
    assert (first.assets, first.narratives["safe_haven"], first.narratives["debasement"]) == (
        {"XAU": 1},
        {"direction": 1, "modality": None},
        None,
    )
    assert first.given_at == datetime(2026, 11, 20, 9, 12, 27, 480432, tzinfo=UTC)
    assert (second.assets, set(second.narratives.values())) == ({}, {None})
    assert third.narratives["liquidity"] == {"direction": -1, "modality": "expected"}
    assert (fourth.skipped, fourth.narratives, fourth.assets) == ("Skipped in Label Studio.", {}, None)
    assert counts(bring(database, EXPORT.read_bytes(), now)) == (0, 4, 1)
    assert {one.reviewer for one in kept(database)} == {"label-studio-1", "bob@example.org"}


def test_a_name_for_those_who_are_only_numbers(database: Database, now: datetime) -> None:
    tell(database)
    bring(database, EXPORT.read_bytes(), now, "ann")
    assert [one.reviewer for one in kept(database)] == ["ann", "bob@example.org", "bob@example.org", "ann"]


def test_tasks_hold_the_text_what_the_tagger_says_and_all_reviews(database: Database, now: datetime) -> None:
    tell(database, [("safe_haven+ liquidity- XAU=1 BTC: fright", ""), *TEXTS])
    tag(database, now)
    said = Judgement({"liquidity": SaidNarrative(1, "actual"), "debasement": None}, {"XAU": -1})
    say(database, review(1, said, uid="a"), review(1, Judgement(), uid="b", reviewer="bob"), review(2, said, uid="c"))
    first, second = json.loads(written(database, now, "label-studio"))
    assert set(first["data"]) == {"text", "title", "summary", "url", "outlet", "published_at", "content_hash"}
    assert chosen(first["predictions"][0]) == [
        ("liquidity", "fading"),
        ("safe_haven", "building"),
        ("modality", "actual"),
        ("BTC", "neither"),
        ("XAU", "up"),
    ]
    assert first["predictions"][0]["model_version"] == BASELINE_TAGGER
    assert chosen(first["annotations"][0]) == [("liquidity", "building"), ("modality", "actual"), ("XAU", "down")]
    assert [len(task["annotations"]) for task in (first, second)] == [2, 1]
    assert all("completed_by" not in one for one in first["annotations"])


def chosen(said: dict[str, Any]) -> list[tuple[str, str]]:
    assert all((one["to_name"], one["type"]) == ("text", "choices") for one in said["result"])
    return [(one["from_name"], one["value"]["choices"][0]) for one in said["result"]]


def through_label_studio(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As Label Studio gives tasks back that were imported there: new ids, its own annotator and times."""
    for n, task in enumerate(tasks, 900):
        task["id"] = n
        for m, annotation in enumerate(task["annotations"], 10 * n):
            del annotation["meta"]
            annotation |= {"import_id": annotation["id"], "id": m, "completed_by": 1, "project": 6}
            annotation["created_at"] = annotation["updated_at"] = "2026-11-20T12:00:00Z"
    return tasks


def test_reviews_that_were_in_label_studio_are_known_when_they_come_back(database: Database, now: datetime) -> None:
    tell(database)
    say(database, review(1, Judgement({"safe_haven": HAVEN}), uid="a"), review(2, Judgement(), uid="b", skipped="?"))
    tasks = through_label_studio(json.loads(written(database, now, "label-studio", every=True)))
    assert counts(bring(database, json.dumps(tasks), now)) == (0, 2, 0)
    tasks[0]["annotations"][0]["result"][0]["value"]["choices"] = ["fading"]  # somebody corrects it there
    assert counts(bring(database, json.dumps(tasks), now)) == (1, 1, 0)
    assert (kept(database)[-1].reviewer, kept(database)[-1].narratives["safe_haven"]["direction"]) == (
        "label-studio-1",
        -1,
    )


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (
            {"annotations": [{"result": [{"from_name": "sentiment", "type": "choices"}]}]},
            "another project: 'sentiment'",
        ),
        ({"annotations": [{"result": [{"from_name": "XAU", "type": "labels"}]}]}, "another project"),
        (
            {"annotations": [{"result": [{"from_name": "XAU", "type": "choices", "value": {"choices": ["moon"]}}]}]},
            "moon",
        ),
        ({"annotations": [{"result": [{"from_name": "XAU", "type": "choices", "value": []}]}]}, "needs one choice"),
        ({"annotations": [{"result": 3}]}, "list of results"),
        ({"annotations": [{"result": [3]}]}, "not a choice"),
        ({"annotations": ["x"]}, "not an annotation"),
        ({"annotations": {}}, "annotations is an object"),
        ({"annotations": [{"result": [], "completed_by": [1]}]}, "completed_by is a list"),
        ({"annotations": [{"result": [], "created_at": 5}]}, "created_at is 5"),
        ({"data": {"image": "x.png"}, "annotations": [{"result": []}]}, "has no text"),
        ({"data": 5}, "not a task of Label Studio"),
    ],
)
def test_a_bad_task_is_refused_by_its_number(now: datetime, sqlite_url: str, task: dict[str, Any], told: str) -> None:
    database = Database(sqlite_url)
    tell(database)
    good = {"id": 1, "data": {"text": TEXTS[0][0]}, "annotations": [{"id": 1, "result": []}]}
    found = bring(database, json.dumps([good, {"data": good["data"]} | task, {"data": good["data"]}, 7]), now, "ann")
    assert found.imported == 1
    (number, reason), (last, _) = reasons(found)
    assert (number, last, told in reason) == (2, 4, True), reason
    database.close()


def test_the_configuration_has_a_control_for_each_narrative_and_asset() -> None:
    view = ET.fromstring(label_studio.config())  # noqa: S314
    controls = {one.attrib["name"]: [c.attrib["value"] for c in one] for one in view.iter("Choices")}
    named = [key for key, asset in definitions.assets().items() if asset.aliases or asset.exact]
    assert set(controls) == {"modality", *definitions.narratives(), *named}
    assert (controls["safe_haven"], controls["XAU"]) == (["building", "neither", "fading"], ["up", "neither", "down"])
    assert {one.attrib["toName"] for one in view.iter("Choices")} == {"text"}
    assert [one.attrib["value"] for one in view.iter("Text")] == ["$text"]


def own_narrative(monkeypatch: pytest.MonkeyPatch, folder: Path, key: str) -> None:
    text = (Path(definitions.__file__).parent / "narratives.toml").read_text(encoding="utf-8")
    names = 'name = "A <b> & \\"c\\""\ndefinition = "it\'s \\u0007 < &amp;"\n'
    entry = f'\n[narratives.{key}]\n{names}pole = "context"\nkeywords = ["x"]\n'
    (folder / "narratives.toml").write_text(text + entry, encoding="utf-8")
    monkeypatch.setenv("STORYSHIFT_CONFIG_DIR", str(folder))
    definitions.forget()


def test_the_configuration_is_well_formed_whatever_a_narrative_is_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str, now: datetime
) -> None:
    own_narrative(monkeypatch, tmp_path, "own")
    headers = [one.attrib["value"] for one in ET.fromstring(label_studio.config()).iter("Header")]  # noqa: S314
    assert 'A <b> & "c": it\'s < &amp;' in headers
    own_narrative(monkeypatch, tmp_path, "text")
    database = Database(sqlite_url)
    for call in (label_studio.config, lambda: written(database, now, "label-studio")):
        with pytest.raises(BadInput, match="Rename the narrative or asset 'text'"):
            call()
    database.close()


def test_pages_join_without_a_seam(database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.review_files.BATCH", 2)
    tell(database)
    say(database, *(review(1 + n % 3, Judgement({"safe_haven": HAVEN}), uid=f"{n}") for n in range(7)))
    assert [row["id"] for row in rows_of(database, now)] == list("0123456")
    assert [len(task["annotations"]) for task in json.loads(written(database, now, "label-studio"))] == [3, 2, 2]
    lines = written(database, now).replace(b'"id": "', b'"id": "x')
    assert counts(bring(database, lines, now)) == (7, 0, 0)


def test_the_manual_names_every_field(database: Database, now: datetime) -> None:
    tell(database)
    say(database, review(1, Judgement(), uid="a"))
    page = (Path(__file__).parents[1] / "docs" / "label-studio.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in rows_of(database, now)[0])
