from datetime import datetime, timedelta
from typing import Any

import pytest
from fakes import found_article
from record import FIRST, PANIC_FROM, fill, tag

from models.database import Database
from models.errors import BadRange, UnknownName
from models.prices import FoundBar
from models.store.articles import add_articles
from models.store.prices import add_bars
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
    assert after[3] == before[3]
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
