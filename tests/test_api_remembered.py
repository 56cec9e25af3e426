"""What was worked out is given again as long as it is true, and no longer."""

import gc
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from fakes import found_article

from api import remembered
from api.remembered import Moment, Remembered, Written
from models.database import Database
from models.store.articles import add_articles


class Question:
    """Answers "1", "2", … each time it is worked out."""

    def __init__(self, size: int = 1) -> None:
        self.size, self.worked_out = size, 0

    def __call__(self, _: Moment) -> Written:
        self.worked_out += 1
        return Written(str(self.worked_out), b"x" * self.size)


def bring(database: Database, title: str, now: datetime) -> None:
    with database.write() as session:
        add_articles(session, [found_article(title, now)], now=now)


def test_an_answer_is_worked_out_once_until_something_is_committed(database: Database, now: datetime) -> None:
    answers, ask = Remembered(database, lambda: now), Question()
    assert [answers.get("q", ask).etag for _ in range(3)] == ["1", "1", "1"]
    bring(database, "Gold rises", now)
    assert [answers.get("q", ask).etag for _ in range(3)] == ["2", "2", "2"]


def test_what_another_process_commits_is_seen(database: Database, now: datetime) -> None:
    answers, ask = Remembered(database, lambda: now), Question()
    other = Database(database.engine.url.render_as_string(hide_password=False))
    try:
        answers.get("q", ask)
        bring(other, "Gold rises", now)
        assert answers.get("q", ask).etag == "2"
    finally:
        other.close()


def test_the_version_is_the_same_while_nobody_commits(database: Database, now: datetime) -> None:
    before = database.version()
    with database.read() as session:
        session.connection().exec_driver_sql("select count(*) from articles").all()
    assert database.version() == before
    bring(database, "Silver rises", now)
    assert database.version() != before


def test_an_answer_about_now_is_soon_worked_out_again(database: Database, now: datetime) -> None:
    clock = [now]
    answers, ask = Remembered(database, lambda: clock[0]), Question()
    answers.get("q", ask)
    clock[0] += timedelta(seconds=remembered.KEEP_SECONDS)
    assert answers.get("q", ask).etag == "2"
    clock[0] = now  # it was set back
    assert answers.get("q", ask).etag == "3"


def test_what_is_no_longer_true_takes_no_room(database: Database, now: datetime) -> None:
    answers, ask = Remembered(database, lambda: now), Question(size=12_345)
    for number in range(3):
        bring(database, f"Gold rises {number}", now)
        for question in "ab":
            answers.get(question, ask)
    kept = [one.etag for one in gc.get_objects() if isinstance(one, Written) and len(one.body) == ask.size]
    assert sorted(kept) == ["5", "6"]


def test_those_who_ask_at_once_wait_for_one(database: Database, now: datetime) -> None:
    answers, ask, together = Remembered(database, lambda: now), Question(), Barrier(8)

    def one(_: int) -> str:
        together.wait()
        return answers.get("q", ask).etag

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(8))) == {"1"}
    assert ask.worked_out == 1


def test_an_error_is_not_remembered(database: Database, now: datetime) -> None:
    answers = Remembered(database, lambda: now)

    def fails(_: Moment) -> Written:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        answers.get("q", fails)
    assert answers.get("q", Question()).etag == "1"


def test_the_oldest_answers_make_room(database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MAX_BYTES", 100)
    answers, ask = Remembered(database, lambda: now), Question(size=40)
    for question in "abaca":  # b is the one asked for longest ago when c comes
        answers.get(question, ask)
    assert answers.get("a", ask).etag == "1"
    assert answers.get("c", ask).etag == "3"
    assert answers.get("b", ask).etag == "4"


def test_until_something_is_committed_all_is_answered_as_of_one_instant(database: Database, now: datetime) -> None:
    clock, moments = [now], []
    answers = Remembered(database, lambda: clock[0])

    def ask(moment: Moment) -> Written:
        moments.append(moment)
        return Written("", b"")

    answers.get("a", ask)
    clock[0] += timedelta(seconds=1)
    answers.get("b", ask)
    bring(database, "Gold rises", clock[0])
    answers.get("b", ask)
    assert [moment.now for moment in moments] == [now, now, clock[0]]
    assert moments[0].read is moments[1].read is not moments[2].read
