import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fakes import FakeTagger, found_article
from sqlmodel import select

from jobs import tag as tagging
from jobs.tag import LOOK_THROUGH_EVERY, FirstUnread, read_by_others, retry_set_aside, tag_untagged, waiting_ranges
from models.articles import Revision
from models.database import Database
from models.errors import ConfigError, DatabaseBusy, DatabaseUnavailable
from models.store.articles import add_articles, remove_text
from models.store.tags import DEAD_AFTER, count_untagged, set_aside, untagged
from models.tags import AssetScore, TagAttempt, Tagged, Tagging, Text

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
LATER = DEAD_AFTER + timedelta(seconds=1)
"""What is left by one who died is then taken up."""


class Tagger(FakeTagger):
    """Does as it is told where a title says so. `reads` holds the ids of the texts of each call."""

    def __init__(self, **on: Callable[[], object]) -> None:
        self.on, self.reads = on, list[list[str]]()

    def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
        read = list(texts)
        self.reads.append([text.id for text in read])
        for text in read:
            for word, act in self.on.items():
                if word in text.fields["title"]:
                    act()
        return super().tag(read)

    @property
    def times(self) -> dict[str, int]:
        """How often each text was read, by id."""
        found: dict[str, int] = {}
        for ids in self.reads:
            for one in ids:
                found[one] = found.get(one, 0) + 1
        return found


def fail(error: Exception) -> Callable[[], object]:
    def act() -> None:
        raise error

    return act


def keep(database: Database, titles: Sequence[str]) -> None:
    found = [found_article(title, AT, identity=f"{n} {title}") for n, title in enumerate(titles)]
    with database.write() as session:
        add_articles(session, found, now=AT)


def titles(count: int, **others: int) -> list[str]:
    """So many of news, with words in place of those of some numbers."""
    found = [f"gold+ XAU: story number {n}" for n in range(count)]
    for word, number in others.items():
        found[number] = f"A {word} story"
    return found


def tag(database: Database, tagger: Tagger, at: datetime = AT) -> int:
    return tag_untagged(database, tagger, clock=lambda: at)


def notes(database: Database) -> list[TagAttempt]:
    with database.read() as session:
        return list(session.exec(select(TagAttempt).order_by(TagAttempt.id)))  # type: ignore[arg-type]


def read(database: Database) -> set[str]:
    with database.read() as session:
        query = select(Revision.title).join(Tagging, Tagging.revision_id == Revision.id)  # type: ignore[arg-type]
        return set(session.exec(query))


def test_what_is_read_in_peace_leaves_no_note(database: Database) -> None:
    keep(database, titles(30))
    tagger = Tagger()
    assert tag(database, tagger) == 30
    assert (notes(database), len(tagger.reads)) == ([], 1)
    assert (tag(database, tagger), len(tagger.reads)) == (0, 1)


@pytest.mark.parametrize("bad", [0, 7, 29])
def test_a_text_that_raises_is_set_aside_after_three_tries_and_all_others_are_read_at_once(
    database: Database, bad: int
) -> None:
    keep(database, titles(30, bad=bad))
    tagger = Tagger(bad=fail(ValueError("cannot be split")))
    assert tag(database, tagger) == 29
    assert len(read(database)) == 29
    (note,) = notes(database)
    assert (note.first_id, note.tries, note.set_aside_at) == (bad + 1, 2, None)
    assert note.reason == "ValueError: cannot be split"
    assert tag(database, tagger, AT + timedelta(seconds=30)) == 0
    assert tag(database, tagger, AT + LATER) == 0
    (note,) = notes(database)
    assert (note.first_id, note.last_id, note.tries, note.set_aside_at) == (bad + 1, bad + 1, 3, AT + LATER)
    assert tagger.times[str(bad + 1)] == 3
    for days in range(1, 4):
        assert tag(database, tagger, AT + timedelta(days=days)) == 0
    assert tagger.times[str(bad + 1)] == 3
    with database.read() as session:
        assert untagged(session, tagger.name, after=0, limit=9) == []
        assert count_untagged(session, tagger.name) == 0
        assert [note.first_id for note in set_aside(session, tagger.name)] == [bad + 1]
        assert set_aside(session, "other@1") == []
        assert count_untagged(session, "other@1") == 30


def test_what_was_set_aside_can_be_tried_again_and_is_then_like_any_other(database: Database) -> None:
    keep(database, titles(6, bad=2))
    for minute in range(3):
        tag(database, Tagger(bad=fail(ValueError("no"))), AT + minute * LATER)
    mended = Tagger()
    assert tag(database, mended, AT + 9 * LATER) == 0
    assert retry_set_aside(database, mended) == 1
    assert retry_set_aside(database, mended) == 0
    assert tag(database, mended, AT + 9 * LATER) == 1
    assert (len(read(database)), notes(database)) == (6, [])


def test_several_bad_texts_are_set_aside_and_new_ones_still_come_in(database: Database) -> None:
    keep(database, titles(20, bad=0, worse=1, worst=19))
    acts = {"bad": fail(ValueError("a")), "worse": fail(TypeError("b")), "worst": fail(RecursionError())}
    tagger = Tagger(**acts)
    assert [tag(database, tagger, AT + minute * LATER) for minute in range(3)] == [17, 0, 0]
    keep(database, ["gold+: another", "A bad sequel"])
    assert tag(database, tagger, AT + 4 * LATER) == 1
    reasons = [note.reason for note in notes(database) if note.set_aside_at]
    assert reasons == ["ValueError: a", "TypeError: b", "RecursionError: "]


@pytest.mark.parametrize("error", [ConfigError("The weights are gone."), DatabaseUnavailable("away")])
def test_an_error_of_ours_is_no_text_s_fault(database: Database, error: Exception) -> None:
    keep(database, titles(10, odd=3))
    with pytest.raises(type(error)):
        tag(database, Tagger(odd=fail(error)))
    assert notes(database) == []
    assert tag(database, Tagger()) == 10


def test_a_tagger_that_can_read_nothing_sets_nothing_aside(database: Database) -> None:
    keep(database, titles(10))
    for minute in range(9):
        with pytest.raises(OSError, match="broken"):
            tag(database, Tagger(story=fail(OSError("broken"))), AT + minute * LATER)
    assert notes(database) == []
    assert tag(database, Tagger()) == 10


def test_a_tagger_that_leaves_results_out_is_found_out(database: Database) -> None:
    class Forgetful(Tagger):
        def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
            return (told for told in super().tag(texts) if told.id != "3")

    keep(database, titles(5))
    assert tag(database, Forgetful()) == 4
    assert [note.first_id for note in notes(database)] == [3]


def test_a_text_of_which_the_tagger_says_what_cannot_be_kept_is_set_aside(database: Database) -> None:
    class Odd(Tagger):
        def tag(self, texts: Iterable[Text]) -> Iterator[Tagged]:
            for told in super().tag(texts):
                yield replace(told, assets=(AssetScore("XAU", 9.0, 1.0, ()),)) if told.id == "3" else told

    keep(database, titles(5))
    assert [tag(database, Odd(), AT + minute * LATER) for minute in range(3)] == [4, 0, 0]
    (note,) = notes(database)
    assert (note.first_id, note.set_aside_at) == (3, AT + LATER)


def test_ctrl_c_leaves_no_note_and_the_same_again_reads_the_rest(database: Database) -> None:
    keep(database, titles(10, stop=5))
    with pytest.raises(KeyboardInterrupt):
        tag(database, Tagger(stop=fail(KeyboardInterrupt())))  # type: ignore[arg-type]
    assert notes(database) == []
    assert tag(database, Tagger()) == 10


KILLER = """
import os, sys
sys.path.insert(0, "tests")
from datetime import datetime
from fakes import FakeTagger
from jobs.tag import tag_untagged
from models.database import Database

class Killed(FakeTagger):
    def tag(self, texts):
        for text in texts:
            if "deadly" in text.fields["title"]:
                os._exit(9)
            yield from super().tag([text])

at = datetime.fromisoformat(sys.argv[2])
print(tag_untagged(Database(sys.argv[1]), Killed(), clock=lambda: at))
"""


def a_process_reads(database: Database, at: datetime) -> int:
    """Its exit code: 9 if it was killed by what it read."""
    root = Path(__file__).parent.parent
    url = database.url.render_as_string(hide_password=False)
    environment = os.environ | {"PYTHONPATH": str(root)}
    command = [sys.executable, "-c", KILLER, url, at.isoformat()]
    return subprocess.run(command, cwd=root, env=environment, timeout=120, check=False).returncode


@pytest.mark.slow
def test_a_text_that_kills_its_reader_is_set_aside_after_three_deaths_and_all_others_are_read(
    database: Database,
) -> None:
    keep(database, titles(40, deadly=11))
    ends = [a_process_reads(database, AT + minute * LATER) for minute in range(4)]
    assert ends == [9, 9, 9, 0]
    assert len(read(database)) == 39
    (note,) = notes(database)
    assert (note.first_id, note.tries, note.set_aside_at) == (12, 3, AT + 3 * LATER)
    assert note.reason is not None
    assert "died" in note.reason
    assert a_process_reads(database, AT + 9 * LATER) == 0


def test_whoever_reads_is_left_to_it_and_only_what_nobody_reads_is_taken(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagging, "BATCH", 10)
    keep(database, titles(25, slow=3))
    is_reading, may_go_on = threading.Event(), threading.Event()

    def wait() -> None:
        is_reading.set()
        assert may_go_on.wait(60)

    first, second = Tagger(slow=wait), Tagger(slow=fail(AssertionError("read twice at once")))
    thread = threading.Thread(target=tag, args=(database, first))
    thread.start()
    assert is_reading.wait(60)
    assert waiting_ranges(database, first.name, first=1, most=9, now=AT) == [(11, 20), (21, 25)]
    assert tag(database, second, AT + timedelta(seconds=50)) == 15
    assert read_by_others(database, second) == 10
    may_go_on.set()
    thread.join()
    assert sorted(map(int, first.times)) == list(range(1, 11))
    assert sorted(map(int, second.times)) == list(range(11, 26))
    assert len(read(database)) == 25


def test_a_reader_that_takes_long_says_that_it_lives(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "BEAT_SECONDS", 0.05)
    keep(database, titles(10, slow=3))
    clock = [AT]
    seen = threading.Event()

    def wait() -> None:
        clock[0] = AT + 5 * LATER
        until = threading.Event()
        for _ in range(1200):
            if notes(database)[0].alive_at == clock[0]:
                seen.set()
                return
            until.wait(0.05)

    assert tag_untagged(database, Tagger(slow=wait), clock=lambda: clock[0]) == 10
    assert seen.is_set()


def test_what_one_who_died_has_left_is_read_once_though_many_come(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tagging, "BATCH", 10)
    keep(database, titles(40))
    with database.write() as session:
        session.add(TagAttempt(tagger="fake@1", first_id=11, last_id=20, begun_at=AT, alive_at=AT))
    taggers = [Tagger() for _ in range(4)]
    threads = [threading.Thread(target=tag, args=(database, one, AT + LATER)) for one in taggers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times: dict[str, int] = {}
    for one in taggers:
        for revision, count in one.times.items():
            times[revision] = times.get(revision, 0) + count
    assert times == {str(n): 1 for n in range(1, 41)}
    assert notes(database) == []


@pytest.mark.parametrize("back", [timedelta(hours=3), timedelta(days=400)])
def test_a_clock_set_back_keeps_nothing_waiting(database: Database, back: timedelta) -> None:
    keep(database, titles(12, bad=2))
    tag(database, Tagger(bad=fail(ValueError("no"))))
    with database.write() as session:
        session.add(TagAttempt(tagger="fake@1", first_id=13, last_id=14, begun_at=AT, alive_at=AT))
    keep(database, ["gold+: one", "gold+: two"])
    assert tag(database, Tagger(), AT - back) == 3
    assert notes(database) == []


def test_what_was_taken_down_meanwhile_leaves_no_note(database: Database) -> None:
    keep(database, titles(3, bad=1))
    tag(database, Tagger(bad=fail(ValueError("no"))))
    with database.write() as session:
        article = session.exec(select(Revision.article_id).where(Revision.id == 2)).one()
        remove_text(session, article, now=AT)
    assert tag(database, Tagger(bad=fail(ValueError("no"))), AT + LATER) in (0, 1)
    assert notes(database) == []


def test_only_texts_within_the_range_are_read(database: Database) -> None:
    keep(database, titles(10))
    tagger = Tagger()
    assert tag_untagged(database, tagger, clock=lambda: AT, within=(4, 6)) == 3
    assert tagger.reads == [["4", "5", "6"]]
    assert tag_untagged(database, tagger, clock=lambda: AT, within=(4, 6)) == 0


def test_a_round_begins_where_something_is_unread_and_at_times_from_the_beginning(database: Database) -> None:
    keep(database, titles(10, bad=3))
    unread = FirstUnread(database)
    assert unread.look("fake@1", now=AT) == 1
    for minute in range(3):
        tag(database, Tagger(bad=fail(ValueError("no"))), AT + minute * LATER)
    assert unread.look("fake@1", now=AT + 5 * LATER) == 1
    assert unread.look("fake@1", now=AT + LOOK_THROUGH_EVERY) == 11
    retry_set_aside(database, Tagger())
    assert unread.look("fake@1", now=AT + LOOK_THROUGH_EVERY + LATER) == 11
    assert unread.look("other@1", now=AT + LOOK_THROUGH_EVERY + LATER) == 1
    assert unread.look("fake@1", now=AT + LOOK_THROUGH_EVERY + LATER) == 4
    assert unread.look("fake@1", now=AT) == 4


def test_what_was_read_is_offered_again_while_others_hold_the_database(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(database, titles(3))
    tagger, save, busy = Tagger(), tagging.tag_store.save_tags, iter([True, True, False])

    def saved(*given: object, **more: object) -> None:
        if next(busy):
            raise DatabaseBusy("The database is held by another process.")
        save(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(tagging.tag_store, "save_tags", saved)
    assert tag(database, tagger) == 3
    assert len(tagger.reads) == 1
