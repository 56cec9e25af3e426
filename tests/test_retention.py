"""Old bodies go where the settings say so; what was counted, what people judge and what is still to be read stays."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from fakes import FakeTagger, found_article
from sqlmodel import col, func, select

from config import definitions
from config.settings import get_settings
from jobs import retention
from jobs.cluster import Clusterer
from jobs.retention import retain
from models.articles import Revision
from models.database import Database
from models.errors import ConfigError
from models.found import FoundArticle
from models.reviews import AuditDraw, AuditRound, Review
from models.store.articles import add_articles
from models.store.rollups import ROLLUPS, rebuild
from models.store.sql import table_of
from models.store.tags import save_tags, untagged
from models.tags import AssetMention, AssetScore, NarrativeTag, Span, Tagged, Text
from services.articles import ArticleQuestion, search_articles
from services.series import Question, intensity, shift, tone

DAY = timedelta(days=1)
N_OLD, N_DAYS = 40, 60
"""One article a day for 60 days; with 20 days kept 40 are old."""


class QuotingTagger(FakeTagger):
    """Quotes the title and the body for all it says."""

    name = "keywords@1"

    def tag_all(self, rows: list[Revision]) -> list[tuple[int, Tagged]]:
        quote = Span("body", 0, 4, "body")
        texts = [Text(str(row.id), {"title": row.title}) for row in rows]
        return [
            (
                row.id or 0,
                replace(
                    said,
                    narratives=tuple(replace(one, evidence=(*one.evidence, quote)) for one in said.narratives),
                    assets=tuple(AssetScore(one.asset, one.tone, one.salience, (quote,)) for one in said.assets),
                ),
            )
            for row, said in zip(rows, self.tag(texts), strict=True)
        ]


def wording(n: int, now: datetime) -> FoundArticle:
    at = now - (N_DAYS - n) * DAY
    title = f"safe_haven+ XAU=1: fear number {n} of {n * 7919}" if n % 2 else f"weather: number {n} of {n * 104729}"
    body = f"body quokka{n} {'zyzzyva' if n < N_OLD else ''}"
    return found_article(title, at, outlet="AB"[n % 2], summary=f"summary{n}", body=body)


@pytest.fixture
def record(database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch) -> Database:
    """With 20 days kept: fewer than settings allow, as a test need not wait for copies or pages."""
    with database.write() as session:
        add_articles(session, [wording(n, now) for n in range(N_DAYS)], now=now)
    Clusterer(database).cluster()
    read_all(database, now)
    monkeypatch.setattr(get_settings(), "keep_bodies_days", 20)
    return database


def read_all(database: Database, now: datetime) -> None:
    with database.write() as session:
        rows = untagged(session, definitions.live_tagger_name(), after=0, limit=1_000)
        save_tags(session, definitions.live_tagger_name(), QuotingTagger().tag_all(list(rows)), now=now)


def bodies(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count()).where(col(Revision.body) != "")) or 0


def counted(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rollups, sorted."""
    with database.read() as session:
        return {
            model.__name__: sorted(tuple(row) for row in session.execute(select(*table_of(model).columns)))
            for model in ROLLUPS
        }


def figures(database: Database, now: datetime) -> list[object]:
    question = Question(start=now - N_DAYS * DAY, end=now)
    with database.read() as session:
        return [
            intensity(session, ["safe_haven"], question, now=now).rows,
            intensity(session, ["safe_haven"], replace(question, measure="index"), now=now).rows,
            intensity(session, ["safe_haven"], replace(question, as_of=now - 30 * DAY, asset="XAU"), now=now).rows,
            tone(session, "XAU", question, now=now).rows,
            shift(session, question, now=now).rows,
        ]


def test_old_bodies_go_and_no_figure_changes_nor_the_rollups_made_again(record: Database, now: datetime) -> None:
    before, rolled = figures(record, now), counted(record)
    assert retain(record, now=now) == N_OLD
    assert bodies(record) == N_DAYS - N_OLD
    assert figures(record, now) == before
    assert counted(record) == rolled
    with record.write() as session:
        rebuild(session)
    assert counted(record) == rolled
    assert figures(record, now) == before
    assert retain(record, now=now) == 0


def test_titles_summaries_and_tags_stay_and_only_what_they_quote_of_the_body_goes(
    record: Database, now: datetime
) -> None:
    retain(record, now=now)
    with record.read() as session:
        old = session.scalars(select(Revision).order_by(col(Revision.id))).all()[1]
        tag = session.scalars(select(NarrativeTag).where(col(NarrativeTag.revision_id) == old.id)).one()
        mention = session.scalars(select(AssetMention).where(col(AssetMention.revision_id) == old.id)).one()
        young = session.scalars(select(NarrativeTag).order_by(col(NarrativeTag.revision_id).desc())).first()
    assert (old.title[:12], old.summary, old.body) == ("safe_haven+ ", "summary1", "")
    assert (tag.label, tag.direction, [span["field"] for span in tag.evidence]) == (True, 1, ["title"])
    assert (mention.tone, mention.spans) == (1.0, [])
    assert young is not None
    assert [span["field"] for span in young.evidence] == ["title", "body"]


def test_words_of_a_deleted_body_are_not_found_any_more_and_nothing_of_them_stays_in_the_index(
    record: Database, now: datetime
) -> None:
    def found(words: str) -> int:
        with record.read() as session:
            return len(search_articles(session, ArticleQuestion(q=words), now=now).data)

    def in_index(word: bytes) -> bool:
        with record.engine.connect() as connection:
            blocks = connection.exec_driver_sql("select block from revision_words_data").scalars()
            return any(word in block for block in blocks)

    assert [found(words) for words in ("quokka3", "quokka55", "summary3", "zyzzyva")] == [1, 1, 1, N_OLD]
    if record.is_sqlite:
        assert in_index(b"yzzyva")
    retain(record, now=now)
    assert [found(words) for words in ("quokka3", "quokka55", "summary3", "zyzzyva")] == [0, 1, 1, 0]
    if record.is_sqlite:
        assert not in_index(b"yzzyva")
        with record.write() as session:
            check = "insert into revision_words (revision_words, rank) values ('integrity-check', 1)"
            session.connection().exec_driver_sql(check)


def test_what_people_have_judged_or_are_to_judge_is_kept_whole(record: Database, now: datetime) -> None:
    with record.write() as session:
        reviewed, drawn, *_ = session.scalars(select(col(Revision.id)).order_by(col(Revision.id))).all()
        about = {"given_at": now, "known_at": now, "slice": "chosen", "blind": False, "tagger": "keywords@1"}
        session.add(Review(uid="1", revision_id=reviewed, reviewer="anna", **about))
        session.add(AuditRound(id=1, tagger="keywords@1", drawn_at=now, n_stories=60))
        session.flush()
        session.add(AuditDraw(round_id=1, revision_id=drawn, stratum="s", inclusion_probability=0.5, place=0))
    assert retain(record, now=now) == N_OLD - 2
    with record.read() as session:
        kept = session.scalars(select(Revision).where(col(Revision.id).in_([reviewed, drawn]))).all()
    assert all(revision.body for revision in kept)


def test_what_the_tagger_has_not_read_yet_is_kept_until_it_has(record: Database, now: datetime) -> None:
    late = replace(wording(5, now), identity="late", title="weather: found late, and of nothing else at all")
    with record.write() as session:
        add_articles(session, [late], now=now - 30 * DAY)
    Clusterer(record).cluster()
    assert retain(record, now=now) == N_OLD
    read_all(record, now)
    assert retain(record, now=now) == 1


def test_the_same_wording_seen_again_adds_nothing(record: Database, now: datetime) -> None:
    retain(record, now=now)
    with record.write() as session:
        again = add_articles(session, [wording(n, now) for n in range(N_DAYS)], now=now)
    assert (again.new, again.revised, again.known) == (0, 0, N_DAYS)
    assert bodies(record) == N_DAYS - N_OLD


def test_killed_between_two_batches_it_goes_on_where_it_was(
    record: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 15)
    monkeypatch.setattr(retention.store, "delete_bodies", dying_at(3, retention.store.delete_bodies))
    with pytest.raises(ZeroDivisionError):
        retain(record, now=now)
    assert bodies(record) == N_DAYS - 30
    monkeypatch.undo()
    monkeypatch.setattr(get_settings(), "keep_bodies_days", 20)
    assert retain(record, now=now) == N_OLD - 30


def dying_at(call: int, function: Callable[..., None]) -> Callable[..., None]:
    calls = iter(range(1, call + 1))

    def called(*given: object) -> None:
        function(*given)
        if next(calls) == call:
            raise ZeroDivisionError

    return called


def test_off_by_default_and_never_so_soon_that_copies_or_pages_would_miss_their_text(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as session:
        add_articles(session, [wording(n, now) for n in range(N_DAYS)], now=now)
    Clusterer(database).cluster()
    read_all(database, now)
    assert retain(database, now=now) == 0
    assert bodies(database) == N_DAYS
    for days, allowed in (("30", True), ("29", False), ("-1", False)):
        definitions.forget()
        monkeypatch.setenv("STORYSHIFT_KEEP_BODIES_DAYS", days)
        if allowed:
            assert get_settings().keep_bodies_days == 30
        else:
            with pytest.raises(ConfigError, match="STORYSHIFT_KEEP_BODIES_DAYS="):
                get_settings()


def test_an_empty_record_has_nothing_to_delete(
    database: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_settings(), "keep_bodies_days", 30)
    assert retain(database, now=now) == 0
