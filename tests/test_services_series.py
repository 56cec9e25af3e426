from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes import FakeTagger, found_article
from record import FIRST, PANIC_FROM, fill, tag

from models.database import Database
from models.errors import BadInput, BadRange, UnknownName
from models.prices import FoundBar
from models.store.articles import add_articles
from models.store.prices import add_bars
from models.store.tags import save_tags, untagged
from models.tags import Text
from services.series import Question, intensity, joined, prices, shift

DAY = timedelta(days=1)
LATE = FIRST + 170 * DAY


@pytest.fixture
def record(database: Database, now: datetime) -> Database:
    fill(database, now)
    return database


def everything(database: Database, now: datetime, question: Question) -> list[object]:
    with database.read() as session:
        return [
            intensity(session, ["safe_haven", "liquidity"], question, now=now).rows,
            intensity(session, ["safe_haven"], replace(question, measure="index"), now=now).rows,
            intensity(session, ["safe_haven"], replace(question, asset="XAU"), now=now).rows,
            shift(session, question, now=now).rows,
            joined(session, "BTC", question, now=now).rows,
            prices(session, "BTC", question, now=now).rows,
        ]


def test_the_numbers_are_those_of_the_record(record: Database, now: datetime) -> None:
    question = Question(start=FIRST + 150 * DAY, end=FIRST + 170 * DAY)
    with record.read() as session:
        shares = intensity(session, ["safe_haven"], question, now=now).rows
        states = shift(session, question, now=now).rows
    assert [point.n_carrying for point in shares] == [1, 2] * 5 + [8] * 10
    assert {point.n_stories for point in shares} == {25}
    assert shares[-1].intensity == 8 / 25
    assert {point.state for point in states[: PANIC_FROM - 150]} == {"calm"}
    assert states[-1].state == "panic"
    assert states[-1].high < 0.5


def test_as_of_sees_nothing_that_was_known_later(record: Database, now: datetime) -> None:
    question = Question(start=LATE - 30 * DAY, end=LATE + 5 * DAY, as_of=LATE + timedelta(hours=7))
    before = everything(record, now, question)
    late = [
        found_article(f"debasement+ : told later {n} for day {n}", LATE - n * DAY, known_at=LATE + DAY, outlet="C")
        for n in range(20)
    ]
    edited = found_article("debasement+ : an edited headline of the day", LATE - DAY, identity="x", known_at=LATE - DAY)
    with record.write() as session:
        add_articles(session, [*late, edited], now=now)
        add_bars(session, "BTC", [FoundBar("BTC", LATE, 1.0)], source="correction", now=now)
    with record.write() as session:  # an article known in time, whose known wording was another, and untagged then
        add_articles(session, [found_article("weather: as it was", LATE - DAY, identity="x")], now=now)
    tag(record, now)
    after = everything(record, now, question)
    assert [len(rows) for rows in after] == [len(rows) for rows in before]
    day_of_edit = LATE.date() - DAY
    for rows, others in zip(before, after, strict=True):
        for row, other in zip(rows, others, strict=True):
            if getattr(row, "bucket_start", LATE).date() < day_of_edit:
                assert row == other
    assert after[-1] == before[-1]
    # asked today, the same question has another answer: the additions were real
    assert everything(record, now, Question(start=question.start, end=question.end)) != before


def test_what_was_published_after_as_of_leaves_open_buckets_empty(record: Database, now: datetime) -> None:
    question = Question(start=LATE - DAY, end=LATE + 2 * DAY, as_of=LATE + timedelta(hours=7))
    with record.read() as session:
        yesterday, today, tomorrow = intensity(session, ["liquidity"], question, now=now).rows
    assert (yesterday.open, today.open, tomorrow.open) == (False, True, True)
    assert today.n_stories == 22  # one every twenty minutes, at 07:00 included
    assert (tomorrow.n_stories, tomorrow.intensity) == (0, None)


def test_every_bucket_width_counts_the_same_stories(record: Database, now: datetime) -> None:
    with record.read() as session:
        for bucket in ("hour", "day", "week", "month"):
            question = Question(start=FIRST, end=FIRST + 31 * DAY, bucket=bucket)
            rows = intensity(session, ["liquidity"], question, now=now).rows
            inside = [row for row in rows if row.bucket_start < FIRST + 31 * DAY]
            if bucket != "week":
                assert sum(row.n_stories for row in inside) == 25 * 31


def test_an_outlet_of_its_own(record: Database, now: datetime) -> None:
    question = Question(start=LATE, end=LATE + DAY, outlet="A")
    with record.read() as session:
        assert intensity(session, ["liquidity"], question, now=now).rows[0].n_stories == 13


def test_joined_counts_the_rows_without_a_return(record: Database, now: datetime) -> None:
    question = Question(start=FIRST + 195 * DAY, end=FIRST + 200 * DAY)
    with record.read() as session:
        found = joined(session, "BTC", question, now=now)
        none = joined(session, "XAU", question, now=now)
    assert [row.return_next is None for row in found.rows] == [False, False, False, True, True]
    assert (found.meta["dropped_same"], found.meta["dropped_next"]) == (1, 2)
    assert (none.meta["n_bars"], none.meta["dropped_next"]) == (0, 5)
    assert found.rows[0].safe_haven == 8 / 25


def test_a_question_left_open_ends_at_the_latest_story(record: Database, now: datetime) -> None:
    with record.read() as session:
        found = shift(session, Question(), now=now)
    assert found.rows[-1].bucket_start == FIRST + 199 * DAY
    assert found.meta["n"] == len(found.rows)


def test_an_empty_record_answers_without_a_number(database: Database, now: datetime) -> None:
    with database.read() as session:
        assert {row.index for row in shift(session, Question(), now=now).rows} == {None}
        assert {row.intensity for row in intensity(session, [], Question(), now=now).rows} == {None}
        assert {row.return_same for row in joined(session, "BTC", Question(), now=now).rows} == {None}
        assert prices(session, "BTC", Question(), now=now).rows == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"start": LATE, "end": LATE}, "must be before end"),
        ({"as_of": FIRST.replace(year=2031)}, "lies in the future"),
        ({"start": FIRST - 4_000 * DAY, "end": LATE, "bucket": "hour"}, "at most 92 days"),
    ],
)
def test_a_range_that_cannot_be_answered_is_refused(
    database: Database, now: datetime, asked: dict[str, Any], told: str
) -> None:
    question = Question(**asked)
    with database.read() as session, pytest.raises(BadRange, match=told):
        intensity(session, [], question, now=now)


def test_names_that_are_not_there_are_refused(database: Database, now: datetime) -> None:
    with database.read() as session:
        with pytest.raises(UnknownName, match="no narrative named 'fear'"):
            intensity(session, ["fear"], Question(), now=now)
        with pytest.raises(UnknownName, match="no tagger named 'x@9'"):
            shift(session, Question(tagger="x@9"), now=now)
        with pytest.raises(UnknownName, match="no asset named 'GOLD'"):
            joined(session, "GOLD", Question(), now=now)


def test_the_index_of_the_record_is_about_a_hundred_until_the_panic_begins(record: Database, now: datetime) -> None:
    question = Question(start=FIRST + 80 * DAY, end=LATE, measure="index")
    with record.read() as session:
        found = intensity(session, ["safe_haven"], question, now=now)
    assert found.meta["measure"] == "index"
    young, usual, panic = found.rows[:10], found.rows[20:80], found.rows[80:]
    assert {(row.intensity, row.low, row.n_indexed) for row in young} == {(None, None, 0)}
    assert young[-1].progress == 0.99
    assert sum(row.intensity for row in usual) / 60 == pytest.approx(100, abs=5)
    assert all(row.low > 150 for row in panic)
    assert panic[0].n_indexed == 1  # the other paper had one haven story every day until then
    assert {(row.n_indexed, row.n_outlets, row.progress) for row in panic[1:]} == {(2, 2, 1.0)}


def test_a_copy_counts_for_its_own_outlet_when_it_came(database: Database, now: datetime) -> None:
    text = "liquidity+ : the same long text that a second paper takes from the agency a day later"
    found = [found_article(text, FIRST, outlet="A"), found_article(text, FIRST + timedelta(hours=11), outlet="B")]
    with database.write() as session:
        add_articles(session, found, now=now)
    tag(database, now)
    hours = Question(start=FIRST, end=FIRST + timedelta(hours=12), bucket="hour")
    with database.read() as session:
        by_day = intensity(session, ["liquidity"], Question(start=FIRST, end=FIRST + DAY), now=now).rows[0]
        by_hour = intensity(session, ["liquidity"], hours, now=now).rows
        early = Question(start=FIRST, end=FIRST + DAY, as_of=FIRST + timedelta(hours=5))
        then = intensity(session, ["liquidity"], early, now=now).rows[0]
    assert (by_day.n_carrying, by_day.echo, by_day.n_outlets, by_day.outlets_effective) == (1, 1, 2, 2.0)
    assert (by_hour[0].n_outlets, by_hour[-1].n_outlets) == (1, None)
    assert (then.n_outlets, then.echo) == (1, 0)


def test_the_parts_add_up_to_the_whole(record: Database, now: datetime) -> None:
    fading = [found_article(f"liquidity- : tightening {n} it is", LATE - n * DAY, outlet="C") for n in range(5)]
    with record.write() as session:
        add_articles(session, fading, now=now)
    tag(record, now)
    whole = Question(start=LATE - 20 * DAY, end=LATE)
    with record.read() as session:

        def carrying(**part: Any) -> list[int]:
            rows = intensity(session, ["liquidity"], replace(whole, **part), now=now).rows
            assert {row.n_stories for row in rows} <= {25, 26}
            return [row.n_carrying for row in rows]

        directions = [carrying(direction=direction) for direction in ("building", "fading", "neither")]
        modalities = [carrying(modality=modality) for modality in ("actual", "expected")]
        assert [sum(parts) for parts in zip(*directions, strict=True)] == carrying()
        assert [sum(parts) for parts in zip(*modalities, strict=True)] == carrying()
        assert sum(directions[1]) == 4
        index = replace(whole, measure="index")
        building = intensity(session, ["liquidity"], replace(index, direction="building"), now=now).rows
        assert building != intensity(session, ["liquidity"], index, now=now).rows
        fell = intensity(session, ["liquidity"], replace(index, direction="neither"), now=now).rows
        assert {row.intensity for row in fell} == {None}


def test_an_asset_is_a_scope_of_its_own(record: Database, now: datetime) -> None:
    question = Question(start=FIRST + 165 * DAY, end=LATE, asset="XAU")
    with record.read() as session:
        havens = intensity(session, ["safe_haven"], question, now=now).rows
        easing = intensity(session, ["liquidity"], question, now=now).rows
        with pytest.raises(UnknownName, match="no asset named 'GOLD'"):
            intensity(session, ["liquidity"], replace(question, asset="GOLD"), now=now)
    assert {(row.n_stories, row.intensity) for row in havens} == {(8, 1.0)}
    assert {(row.n_stories, row.intensity) for row in easing} == {(8, 0.0)}


@pytest.mark.parametrize(
    ("narratives", "asked", "beside", "told"),
    [
        (["safe_haven"], {"modality": "actual"}, False, "Only liquidity is actual or expected"),
        ([], {"modality": "expected"}, False, "Only liquidity is actual or expected"),
        (["liquidity"], {"measure": "index", "weighting": "article"}, False, "weighting article goes with"),
        (["liquidity", "safe_haven"], {}, True, "beside one narrative"),
    ],
)
def test_what_an_intensity_cannot_tell_is_refused(
    database: Database, now: datetime, narratives: list[str], asked: dict[str, Any], beside: bool, told: str
) -> None:
    with database.read() as session, pytest.raises(BadInput, match=told):
        intensity(session, narratives, Question(**asked), now=now, beside_keywords=beside)


def test_the_keyword_series_stands_beside_the_model_s_where_both_read_the_same(record: Database, now: datetime) -> None:
    with record.write() as session:
        rows = untagged(session, "other@1", after=0, limit=100_000)
        texts = [Text(str(row.id), {"title": row.title}) for row in rows]
        pairs = zip([row.id or 0 for row in rows], FakeTagger().tag(texts), strict=True)
        save_tags(session, "other@1", list(pairs), now=now)
    question = Question(start=LATE - 30 * DAY, end=LATE, tagger="other@1")
    with record.read() as session:
        found = intensity(session, ["safe_haven"], question, now=now, beside_keywords=True)
        plain = intensity(session, ["safe_haven"], question, now=now)
        itself = intensity(
            session, ["safe_haven"], replace(question, tagger="keywords@1"), now=now, beside_keywords=True
        )
    assert found.meta["keywords_correlation"] == {"estimate": 1.0, "low": 1.0, "high": 1.0, "n": 30}
    assert [row.keywords_intensity for row in found.rows] == [row.intensity for row in plain.rows]
    assert {row.keywords_intensity for row in plain.rows} == {None}
    assert "keywords_correlation" not in plain.meta
    assert (itself.meta["keywords_correlation"], "itself" in itself.meta["keywords_note"]) == (None, True)


def test_no_correlation_is_told_where_the_keywords_read_less(database: Database, now: datetime) -> None:
    with database.write() as session:
        add_articles(session, [found_article("liquidity+ : easing", FIRST)], now=now)
    tag(database, now)
    with database.write() as session:
        add_articles(session, [found_article("liquidity+ : easing goes on and on", FIRST)], now=now)
        for row in untagged(session, "other@1", after=0, limit=9):
            text = Text(str(row.id), {"title": row.title})
            save_tags(session, "other@1", [(row.id or 0, next(FakeTagger().tag([text])))], now=now)
    question = Question(start=FIRST, end=FIRST + DAY, tagger="other@1")
    with database.read() as session:
        found = intensity(session, ["liquidity"], question, now=now, beside_keywords=True)
    assert found.meta["keywords_correlation"] is None
    assert "has read 1 of the 2 articles" in found.meta["keywords_note"]
    assert found.rows[0].keywords_intensity is None


def test_an_empty_record_has_no_index(database: Database, now: datetime) -> None:
    with database.read() as session:
        rows = intensity(session, [], Question(measure="index"), now=now).rows
        assert {(row.intensity, row.progress, row.n_outlets) for row in rows} == {(None, 0.0, None)}
