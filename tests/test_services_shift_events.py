"""Shift events from a store: when they could be known, what lay behind them, and what prices did since."""

import math
from datetime import datetime, timedelta

import pytest
from fakes import found_article
from record import FIRST, PANIC_FROM, fill, tag

from models.database import Database
from models.derived import ShiftCause
from models.errors import BadInput
from models.store.articles import add_articles
from services.answers import write
from services.series import Question, shift
from services.shift_events import _sentence, shift_events, shift_history, why

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def record(database: Database, now: datetime) -> Database:
    fill(database, now)
    return database


def test_an_event_says_when_why_on_what_stories_and_what_bitcoin_did_since(record: Database, now: datetime) -> None:
    with record.read() as session:
        (event,) = shift_events(session, Question(), now=now).rows
        thetas = {point.bucket_start: point.index for point in shift(session, Question(), now=now).rows}
    assert (event.before, event.state, event.moved_by) == ("calm", "panic", "safe_haven")
    assert abs((event.happened_at - FIRST).days - PANIC_FROM) <= 1
    assert event.happened_at < event.detected_at <= FIRST + (PANIC_FROM + 5) * DAY
    last = (event.detected_at - HOUR - DAY).replace(hour=0)
    assert (event.index_before, event.index) == (thetas[event.happened_at - DAY], thetas[last])
    assert {story.title.split(":")[0] for story in event.stories} == {"safe_haven+ XAU"}
    assert all(event.happened_at <= story.event_at < event.detected_at for story in event.stories)
    day = math.ceil((event.detected_at - FIRST) / DAY)
    assert event.return_btc == pytest.approx(math.log((8_000 + 10 * 199) / (8_000 + 10 * day)), abs=1e-6)
    assert event.return_gold is None
    assert event.why[0].narrative == "safe_haven"


def test_it_is_known_from_its_instant_on_and_not_before(record: Database, now: datetime) -> None:
    with record.read() as session:
        (event,) = shift_events(session, Question(), now=now).rows
        at = shift_events(session, Question(as_of=event.detected_at), now=now).rows
        before = shift_events(session, Question(as_of=event.detected_at - timedelta(seconds=1)), now=now).rows
        later = shift_events(session, Question(start=event.detected_at + DAY), now=now).rows
    assert [one.detected_at for one in at] == [event.detected_at]
    assert (before, later) == ([], [])


def test_what_becomes_known_later_changes_nothing_of_it(record: Database, now: datetime) -> None:
    question = Question(as_of=FIRST + 190 * DAY)
    with record.read() as session:
        before = shift_events(session, question, now=now).rows
    late = [
        found_article(f"debasement+ : told later {n}", FIRST + (150 + n % 30) * DAY, known_at=FIRST + 195 * DAY)
        for n in range(300)
    ]
    with record.write() as session:
        add_articles(session, late, now=now)
    tag(record, now)
    with record.read() as session:
        assert shift_events(session, question, now=now).rows == before
        assert shift_events(session, Question(), now=now).rows != before


def test_the_causes_add_up_and_are_said_in_one_sentence(record: Database, now: datetime) -> None:
    question = Question(start=FIRST + PANIC_FROM * DAY, end=FIRST + (PANIC_FROM + 10) * DAY)
    with record.read() as session:
        found = why(session, question, now=now)
        days = shift(session, Question(start=question.start - DAY, end=question.end), now=now).rows  # type: ignore[operator]
    assert found.meta["index_before"] == days[0].index
    assert found.meta["index"] == days[-1].index
    assert sum(row.change for row in found.rows) == pytest.approx(found.meta["change"], abs=1e-4)
    assert {row.outlet for row in found.rows} == {"A", "B"}
    assert found.meta["sentence"].startswith(f"θ fell to {days[-1].index:.2f} from {days[0].index:.2f}: safe_haven -")


@pytest.mark.slow
def test_history_says_that_it_is_hindsight(database: Database, now: datetime) -> None:
    fill(database, now, days=260)
    with database.read() as session:
        found = shift_history(session, Question(), now=now)
    assert found.meta["hindsight"] is True
    assert abs((found.rows[1].start - FIRST).days - PANIC_FROM) <= 7
    assert [spell.state for spell in found.rows[:2]] == ["calm", "panic"]


def test_tables_leave_lists_out_and_json_has_them(record: Database, now: datetime) -> None:
    with record.read() as session:
        found = shift_events(session, Question(), now=now)
    header = write(found, "csv").decode().splitlines()[0].split(",")
    assert "moved_by" in header
    assert not {"why", "stories"} & set(header)
    assert b'"stories": [{"id": ' in write(found, "json")
    assert write(found, "parquet")


def test_without_news_there_is_no_event_and_why_says_what_is_missing(database: Database, now: datetime) -> None:
    with database.read() as session:
        assert shift_events(session, Question(), now=now).rows == []
        assert shift_history(session, Question(), now=now).rows == []
        with pytest.raises(BadInput, match="no day with a usual rate"):
            why(session, Question(), now=now)


def test_a_range_in_which_theta_does_not_speak_is_refused_by_name(record: Database, now: datetime) -> None:
    with record.read() as session, pytest.raises(BadInput, match="θ speaks from 2020-04-29 to 2020-07-18"):
        why(session, Question(start=FIRST, end=FIRST + 190 * DAY), now=now)


def said(*changes: float) -> str:
    rows = [ShiftCause(f"story_{n}", "A", change, 1.0, 1.2) for n, change in enumerate(changes)]
    return _sentence(0.5, 0.5 + sum(changes), rows)


def test_parts_that_two_digits_cannot_tell_apart_are_told_in_three() -> None:
    assert "story_0 +0.20 (" in said(0.2, 0.1)
    assert "story_0 +0.014 (" in said(0.014, 0.012)
    assert "story_1 +0.012 (" in said(0.014, 0.012)


def test_parts_too_small_to_be_told_alone_are_told_together_where_they_come_to_something() -> None:
    assert said(0.1, 0.004, 0.004).endswith("most by A), others +0.01.")
    assert "others" not in said(0.1, 0.004, -0.004)
