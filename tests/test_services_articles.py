import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from alembic import command
from alembic.config import Config
from fakes import found_article
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from record import tag
from sqlmodel import Session

from api.app import create_app
from models.database import MIGRATIONS, Database
from models.errors import BadInput
from models.store.articles import add_articles, remove_text
from models.store.search import LONGEST, parse
from services.articles import ArticleQuestion, ArticleView, get_article, search_articles
from services.changes import MOST_PAIRS, parts

DAY = datetime(2026, 11, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
SAME_DATABASE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
TEXTS = [
    ("Gold rises, investors buy", "A flight to safety: risk-off returns", "The gold/silver ratio falls"),
    ("Silver falls", "Investors are rising", "Safety first, a flight later"),
    ("BTC-USD above 100k", "Don't sell, says the café's owner", "S&P 500; U.S. debt; 3.5% on <b>bonds</b>"),
    ("=HYPERLINK(1) in gold", "risk on", "“Quoted” words—and dashes"),
    ("黄金上涨", "Gold", "silver"),
]


def tell(database: Database, *texts: tuple[str, str, str], now: datetime) -> None:
    """Each an article of its own, an hour after the one before it."""
    found = [
        found_article(title, DAY + n * HOUR, identity=f"{n}", summary=summary, body=body)
        for n, (title, summary, body) in enumerate(texts)
    ]
    with database.write() as session:
        add_articles(session, found, now=now)


def asked(session: Session, now: datetime, **question: object) -> list[ArticleView]:
    return search_articles(session, ArticleQuestion(**question), now=now).data  # type: ignore[arg-type]


def ids(session: Session, now: datetime, q: str) -> list[int]:
    return sorted(view.id for view in asked(session, now, q=q))


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("gold", [1, 4, 5]),
        ("GOLD silver", [1, 5]),
        ("gold -silver", [4]),
        ("rising", [1, 2]),
        ('"flight to safety"', [1]),
        ("flight safety", [1, 2]),
        ('"silver ratio falls"', [1]),
        ('"buy a flight"', []),
        ("risk-off", [1]),
        ('risk -"risk off"', [4]),
        ("usd OR bonds gold", []),
        ("gold silver OR hyperlink", [1, 4, 5]),
        ("silver -gold", [2]),
        ("gold AND rises", [1]),
        ("btc/usd", [3]),
        ("s&p u.s.", [3]),
        ("3.5%", [3]),
        ("don't", [3]),
        ("café", [3]),
        ("cafe\u0301", [3]),
        ('gold "rises', [1]),
        ("“flight to safety” (gold*)", [1]),
        ("gold OR", [1, 4, 5]),
        ("OR gold OR -silver", [4]),
        ("🚀 gold 🚀 silver!!!", [1, 5]),
        ("quoted words and dashes", [4]),
        ("黄金上涨", [5]),
        (" ".join(["gold"] * 200), [1, 4, 5]),
        ("x" * LONGEST, []),
        ("   ", [1, 2, 3, 4, 5]),
    ],
)
def test_what_is_typed_finds_the_same_on_both_databases(
    database: Database, now: datetime, q: str, found: list[int]
) -> None:
    tell(database, *TEXTS, now=now)
    with database.read() as session:
        assert ids(session, now, q) == found


@pytest.mark.parametrize(
    ("q", "told"),
    [
        ('"', "holds no word"),
        ("*** --- ()[]{} 🚀", "holds no word"),
        ("AND OR", "holds no word"),
        ("-gold", "must not be there"),
        ("x" * (LONGEST + 1), "at most 1,000"),
    ],
)
def test_a_search_without_a_word_is_refused_with_a_reason(q: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        parse(q)


WORDS = st.sampled_from(
    ["gold", "silver", "OR", "AND", "NOT", "NEAR(", '"', "-", "*", ":", "(", ")", "'", "\\", "<->", "é"]
)


@SAME_DATABASE
@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=12).map("".join), st.lists(WORDS).map(" ".join)))
@example("²")
@example("'' :* & ! | <-> \\ title:gold ^gold gold*")
@example("a\x00b")
@example("é" * LONGEST)
@example(" ".join("abcdefgh"[n % 8] + "-" * (n % 2) + str(n % 10) for n in range(300)))
@example(" -".join(["gold", *(str(n) for n in range(200))]))
def test_no_text_whatsoever_is_an_error_of_the_database(database: Database, now: datetime, text: str) -> None:
    with database.read() as session, suppress(BadInput):
        asked(session, now, q=text)


def holds(text: list[list[str]], phrase: tuple[str, ...]) -> bool:
    n = len(phrase)
    return any(tuple(field[i : i + n]) == phrase for field in text for i in range(len(field)))


PLANTED = [
    [[f"{'ab'[n >> k & 1]}x", f"{'cd'[n >> (k + 1) & 1]}x", "ex"[: 2 * (n % 3)]] for k in range(3)] for n in range(16)
]
PHRASE = st.lists(st.sampled_from(["ax", "bx", "cx", "dx", "ex"]), min_size=1, max_size=3).map(tuple)


@SAME_DATABASE
@given(st.lists(st.lists(PHRASE, min_size=1, max_size=2), min_size=1, max_size=3), st.lists(PHRASE, max_size=2))
def test_what_is_found_is_what_holds_the_words(
    database: Database, now: datetime, all_of: list[list[tuple[str, ...]]], without: list[tuple[str, ...]]
) -> None:
    with database.read() as session:
        empty = not asked(session, now)
    if empty:
        tell(database, *((" ".join(a), " ".join(b), " ".join(c)) for a, b, c in PLANTED), now=now)
    quoted = [" OR ".join(f'"{" ".join(phrase)}"' for phrase in either) for either in all_of]
    q = " ".join([*quoted, *(f'-"{" ".join(phrase)}"' for phrase in without)])
    wanted = [
        n + 1
        for n, text in enumerate([[word for word in field if word] for field in text] for text in PLANTED)
        if all(any(holds(text, phrase) for phrase in either) for either in all_of)
        and not any(holds(text, phrase) for phrase in without)
    ]
    with database.read() as session:
        assert ids(session, now, q) == wanted


def test_only_the_wording_that_counts_at_the_time_is_searched(database: Database, now: datetime) -> None:
    tell(database, ("Gold rises", "", ""), now=DAY)
    with database.write() as session:
        add_articles(session, [found_article("Gold falls", DAY, identity="0")], now=DAY + 2 * HOUR)
    with database.read() as session:
        assert not asked(session, now, q="rises")
        assert [view.title for view in asked(session, now, q="falls")] == ["Gold falls"]
        assert [view.title for view in asked(session, now, q="rises", as_of=DAY + HOUR)] == ["Gold rises"]
        assert not asked(session, now, q="falls", as_of=DAY + HOUR)


def words_kept(database: Database) -> set[str]:
    """Each word that the index holds, as it is stored."""
    with database.engine.begin() as connection:
        if not database.is_sqlite:
            query = "select word from ts_stat('select words from revision_words')"
            return set(connection.exec_driver_sql(query).scalars())
        connection.exec_driver_sql("create virtual table temp.kept using fts5vocab('main', 'revision_words', 'row')")
        return set(connection.exec_driver_sql("select term from temp.kept").scalars())


def test_what_is_taken_down_is_gone_from_the_index_too(database: Database, now: datetime) -> None:
    tell(database, ("Gold soars", "unspeakable", "names"), ("Gold waits", "", ""), now=now)
    with database.write() as session:
        remove_text(session, 1, now=now)
    with database.read() as session:
        assert ids(session, now, "gold") == [2]
        assert not ids(session, now, "unspeakable")
    assert words_kept(database) == {"gold", "wait"}
    if database.is_sqlite:
        with database.engine.begin() as connection:
            blocks = connection.exec_driver_sql("select block from revision_words_data").scalars()
            assert not any(b"unspeak" in block for block in blocks)


def test_the_index_agrees_with_the_texts_whoever_wrote_them(database: Database, now: datetime) -> None:
    tell(database, ("Gold rises", "", ""), ("Silver rises", "", ""), now=now)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("update revisions set body = 'palladium' where id = 2")
        connection.exec_driver_sql("delete from revisions where id = 1")
        if database.is_sqlite:
            connection.exec_driver_sql("insert into revision_words (revision_words) values ('integrity-check')")
    assert words_kept(database) == {"silver", "rise", "palladium"}


def test_a_filled_record_is_migrated_down_and_up_again_with_its_words(database: Database, now: datetime) -> None:
    tell(database, *TEXTS, now=now)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0011")
    assert database.migrate()
    with database.read() as session:
        assert ids(session, now, "gold") == [1, 4, 5]


def test_a_wording_of_any_length_is_kept_and_found(database: Database, now: datetime) -> None:
    endless = " ".join(f"{chr(0x10400 + n % 30)}{chr(0x4E00 + n % 20_000)}{n}" for n in range(60_000))
    tell(database, ("Gold rises", "", endless), now=now)
    with database.read() as session:
        assert ids(session, now, "gold") == [1]


# -- filters ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def told(database: Database, now: datetime) -> Database:
    """One story by three outlets (lead by A), then two of its own; all tagged."""
    copied = "safe_haven+ XAU: fear spreads through every market of the world today"
    found = [
        found_article(copied, DAY, identity="a", outlet="A", url="https://a.example/1"),
        found_article(copied, DAY + HOUR, identity="b", outlet="B"),
        found_article(copied, DAY + 2 * HOUR, identity="c", outlet="C", known_at=DAY + 9 * HOUR),
        found_article(
            "safe_haven- : calm returns to bonds and money markets", DAY + 3 * HOUR, identity="d", outlet="B"
        ),
        found_article("=cmd, nothing of fear", DAY + 4 * HOUR, identity="e", outlet="C"),
    ]
    with database.write() as session:
        add_articles(session, found, now=now)
    tag(database, now)
    return database


def test_a_page_tells_how_many_copies_there_are_and_folds_them(told: Database, now: datetime) -> None:
    with told.read() as session:
        assert [(view.outlet, view.echoes) for view in asked(session, now)] == [
            ("C", 0),
            ("B", 0),
            ("C", 2),
            ("B", 2),
            ("A", 2),
        ]
        assert [view.id for view in asked(session, now, fold=True)] == [5, 4, 1]
        assert [(view.id, view.echoes) for view in asked(session, now, fold=True, q="fear market")] == [(1, 2)]
        before = asked(session, now, as_of=DAY + 2 * HOUR)
        assert [(view.id, view.echoes) for view in before] == [(2, 1), (1, 1)]


def test_of_the_copies_that_answer_a_question_the_first_known_is_shown(told: Database, now: datetime) -> None:
    with told.read() as session:
        assert [view.id for view in asked(session, now, fold=True, outlets=("B", "C"), q="spreads")] == [2]
        late = asked(session, now, fold=True, outlets=("C",), q="spreads")
        assert [(view.id, view.echoes) for view in late] == [(3, 2)]


@pytest.mark.parametrize(("direction", "found"), [("building", [1, 2, 3]), ("fading", [4]), ("neither", [])])
def test_a_direction_is_that_of_the_narrative_named(
    told: Database, now: datetime, direction: str, found: list[int]
) -> None:
    with told.read() as session:
        views = asked(session, now, narratives=("safe_haven",), direction=direction)
        assert sorted(view.id for view in views) == found
        with pytest.raises(BadInput, match="name one"):
            asked(session, now, direction=direction)


# -- over HTTP -------------------------------------------------------------------------------------------------------


@pytest.fixture
def client(told: Database, now: datetime) -> Iterator[TestClient]:
    with TestClient(create_app(told, clock=lambda: now), base_url="http://localhost") as found:
        yield found


def test_every_format_holds_the_same_articles(client: TestClient) -> None:
    asked = "/v1/articles?direction=1&narrative=safe_haven&fold=true"
    (view,) = client.get(asked).json()["data"]
    table = pd.read_csv(io.StringIO(client.get(f"{asked}&format=csv").text), parse_dates=["event_at", "known_at"])
    frame = pd.read_parquet(io.BytesIO(client.get(asked, headers={"Accept": "application/vnd.apache.parquet"}).content))
    names = "id event_at known_at outlet title summary url story_id echoes narratives assets tagger".split()
    assert list(table.columns) == list(frame.columns) == names
    for row in (table.iloc[0], frame.iloc[0]):
        assert row["event_at"] == pd.Timestamp(view["event_at"])
        assert [row[name] for name in ("id", "title", "url", "story_id", "echoes")] == [
            view[name] for name in ("id", "title", "url", "story_id", "echoes")
        ]
        assert (row["narratives"], row["assets"]) == ("safe_haven+", "XAU")


def test_a_spreadsheet_runs_no_title_and_everything_else_has_it_as_it_is(client: TestClient) -> None:
    asked = "/v1/articles?q=cmd"
    assert client.get(asked).json()["data"][0]["title"] == "=cmd, nothing of fear"
    assert pd.read_csv(io.StringIO(client.get(f"{asked}&format=csv").text))["title"][0] == "'=cmd, nothing of fear"
    exact = pd.read_parquet(io.BytesIO(client.get(f"{asked}&format=parquet").content))
    assert exact["title"][0] == "=cmd, nothing of fear"


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_an_unchanged_page_is_not_sent_twice_and_a_link_leads_to_the_next(
    client: TestClient, told: Database, now: datetime, form: str
) -> None:
    first = client.get(f"/v1/articles?limit=2&q=fear OR calm&format={form}")
    again = client.get(first.request.url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    link = first.headers["link"]
    assert again.headers["link"] == link
    with told.write() as session:
        add_articles(session, [found_article("fear again", DAY + 8 * HOUR)], now=now)
    assert client.get(first.request.url, headers={"If-None-Match": first.headers["etag"]}).status_code == 200
    following = client.get(link[link.index("<") + 1 : link.index(">")].replace(f"format={form}", "format=json"))
    assert [view["id"] for view in following.json()["data"]] == [3, 2]


@pytest.mark.parametrize(
    ("query", "told_"),
    [
        ("q=()", "holds no word"),
        ("direction=1", "name one"),
        ("direction=up&narrative=safe_haven", "direction"),
        ("format=xml", "format"),
    ],
)
def test_a_question_that_cannot_be_answered_is_told_in_a_sentence(client: TestClient, query: str, told_: str) -> None:
    answer = client.get(f"/v1/articles?{query}")
    assert answer.status_code == 422
    assert told_ in answer.json()["detail"]


# -- changes ---------------------------------------------------------------------------------------------------------


def test_an_edited_article_tells_what_changed_word_by_word(database: Database, now: datetime) -> None:
    first = found_article("Gold rises to 1,900", DAY, identity="a", summary="same", body="Buyers came, sellers left.")
    edited = replace(first, title="Gold falls to 1,900", body="Buyers came. Some sellers left.")
    with database.write() as session:
        add_articles(session, [first], now=now)
        add_articles(session, [edited], now=now)
    with database.read() as session:
        before, after = get_article(session, 1, now=now).history
    assert before.changes == []
    title, body = after.changes
    assert [(part.op, part.text) for part in title.parts] == [
        ("same", "Gold "),
        ("removed", "rises"),
        ("added", "falls"),
        ("same", " to 1,900"),
    ]
    assert body.field == "body"
    assert [part.text for part in body.parts if part.op == "added"] == [". Some"]


@settings(deadline=None)
@given(*[st.one_of(st.text(), st.lists(st.sampled_from(["gold", "rises", " ", "\n", ",", "é"])).map("".join))] * 2)
def test_the_parts_of_a_change_give_both_texts_back(old: str, new: str) -> None:
    found = parts(old, new)
    assert "".join(part.text for part in found if part.op != "removed") == new
    assert "".join(part.text for part in found if part.op != "added") == old
    assert all(part.text for part in found)
    assert all(one.op != other.op for one, other in zip(found, found[1:], strict=False))


def test_texts_with_too_much_to_compare_are_told_as_one_change() -> None:
    n = int(MOST_PAIRS**0.5) + 1
    old, new = "start " + "a b " * n + "end", "start " + "b a a " * n + "end"
    assert [part.op for part in parts(old, new)] == ["same", "removed", "added", "same"]
