from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from models.database import MIGRATIONS, Database
from models.errors import BadInput, NotAllowed, NotFound
from models.keys import ApiKey
from services.keys import (
    Revoked,
    check_code,
    check_key,
    check_session,
    create_key,
    create_link,
    end_session,
    has_key,
    list_keys,
    list_sessions,
    note_use,
    open_session,
    revoke_key,
    use_is_noted,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def make(database: Database, name: str, now: datetime) -> str:
    with database.write() as session:
        return create_key(session, name, now=now)


def revoke(database: Database, name: str, now: datetime) -> Revoked:
    with database.write() as session:
        return revoke_key(session, name, now=now)


def link(database: Database, name: str, now: datetime) -> str:
    with database.write() as session:
        return create_link(session, name, now=now)


def opened(database: Database, code: str, now: datetime) -> str:
    with database.write() as session:
        return open_session(session, code, now=now)


def whose(database: Database, secret: str | None, now: datetime) -> str:
    with database.read() as session:
        return check_session(session, secret, now=now).reviewer


def everything(database: Database) -> str:
    with database.read() as session:
        connection = session.connection()
        return str([connection.execute(text(f"select * from {t}")).all() for t in ("api_keys", "browser_sessions")])  # noqa: S608


def test_a_secret_is_told_once_and_never_stored(database: Database, now: datetime) -> None:
    secret = make(database, "laptop", now)
    assert secret.startswith("ss_")
    assert len(secret) == 43
    with database.read() as session:
        stored = str(session.connection().execute(text("select * from api_keys")).all())
        (view,) = list_keys(session)
        assert check_key(session, secret).name == "laptop"
    assert secret not in stored
    assert secret[len(view.prefix) :] not in stored
    assert (view.name, view.created_at, view.last_used_at, view.revoked_at) == ("laptop", now, None, None)
    assert secret.startswith(view.prefix)
    assert len(view.prefix) == 9


def test_no_two_secrets_are_the_same(database: Database, now: datetime) -> None:
    assert len({make(database, f"key{n}", now) for n in range(20)}) == 20


def test_each_key_is_known_by_its_own_secret_and_by_nothing_else(database: Database, now: datetime) -> None:
    secrets = {name: make(database, name, now) for name in ("one", "two", "three")}
    with database.read() as session:
        for name, secret in secrets.items():
            assert check_key(session, secret).name == name
        stored = session.connection().execute(text("select secret_hash from api_keys")).scalars().first()
        wrong = secrets["one"][:-1] + ("a" if secrets["one"][-1] != "a" else "b")
        for secret in (wrong, secrets["one"][:9], secrets["one"] + " ", str(stored), "ss_", "é\x00"):
            with pytest.raises(NotAllowed, match="There is no living key with this secret"):
                check_key(session, secret)
        for nothing in (None, ""):
            with pytest.raises(NotAllowed, match="keys create NAME"):
                check_key(session, nothing)


def test_a_revoked_key_is_refused_and_its_name_is_free_again(database: Database, now: datetime) -> None:
    old = make(database, "laptop", now)
    with pytest.raises(BadInput, match=r"a key named laptop already.*keys revoke laptop"):
        make(database, "laptop", now)
    revoke(database, "laptop", now + HOUR)
    with database.read() as session:
        assert not has_key(session)
        with pytest.raises(NotAllowed):
            check_key(session, old)
    new = make(database, "laptop", now + 2 * HOUR)
    revoke(database, "laptop", now + 3 * HOUR)
    newest = make(database, "laptop", now + 4 * HOUR)
    with database.read() as session:
        assert has_key(session)
        assert check_key(session, newest).created_at == now + 4 * HOUR
        for secret in (old, new):
            with pytest.raises(NotAllowed):
                check_key(session, secret)
        assert [key.revoked_at for key in list_keys(session)] == [now + HOUR, now + 3 * HOUR, None]


def test_revoking_what_is_not_there_says_so(database: Database, now: datetime) -> None:
    for _ in range(2):
        with pytest.raises(NotFound, match=r"no living key or session named laptop\. `storyshift keys list`"):
            revoke(database, "laptop", now)
        make(database, "laptop", now)
        revoke(database, "laptop", now)


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 61, "two\nlines", "[red]", "nul\0"])
def test_a_name_is_short_and_plain(database: Database, now: datetime, name: str) -> None:
    with pytest.raises(BadInput, match="A key's name is 1 to 60 letters"):
        make(database, name, now)


def test_the_database_itself_refuses_a_second_living_key_of_a_name(database: Database, now: datetime) -> None:
    keys = [ApiKey(name="laptop", prefix="ss_", secret_hash=str(n), created_at=now) for n in range(2)]
    with pytest.raises(IntegrityError), database.write() as session:
        session.add_all(keys)


def test_a_use_is_written_down_at_most_once_a_minute(database: Database, now: datetime) -> None:
    secret = make(database, "laptop", now)
    noted = []
    for second in (0, 30, 59, 60, 90, 119, 120):
        at = now + timedelta(seconds=second)
        with database.write() as session:
            key = check_key(session, secret)
            if not use_is_noted(key, now=at):
                note_use(session, key, now=at)
                noted.append(second)
    assert noted == [0, 60, 120]
    with database.read() as session:
        assert list_keys(session)[0].last_used_at == now + timedelta(seconds=120)


# -- scopes -----------------------------------------------------------------------------------------------------------


def test_a_key_may_do_all_unless_it_is_made_for_reviews(database: Database, now: datetime) -> None:
    with database.write() as session:
        create_key(session, "desk", now=now)
        create_key(session, "phone", scope="review", now=now)
    with database.read() as session:
        assert [(key.name, key.scope, key.kind) for key in list_keys(session)] == [
            ("desk", "admin", "key"),
            ("phone", "review", "key"),
        ]


def test_the_database_itself_refuses_a_scope_that_is_none(database: Database, now: datetime) -> None:
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(ApiKey(name="desk", scope="all", prefix="ss_", secret_hash=str(1), created_at=now))


def test_a_key_of_an_older_version_goes_on_to_do_all(tmp_path: Path, now: datetime) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0010")
        old = "insert into api_keys (name, prefix, secret_hash, created_at) values ('desk', 'ss_', 'x', '2026-01-01')"
        connection.exec_driver_sql(old)
    engine.dispose()
    database = Database.open(url)
    with database.read() as session:
        assert [(key.name, key.scope) for key in list_keys(session)] == [("desk", "admin")]
    with database.write() as session, pytest.raises(BadInput, match="a key named desk already"):
        create_key(session, "desk", now=now)
    database.close()


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_a_link_opens_one_session_once(database: Database, now: datetime) -> None:
    code = link(database, "anna", now)
    secret = opened(database, code, now + HOUR)
    assert whose(database, secret, now + HOUR) == "anna"
    with pytest.raises(NotAllowed, match=r"This link was used already"):
        opened(database, code, now + HOUR)
    with database.read() as session:
        (view,) = list_sessions(session, now=now + HOUR)
    assert (view.kind, view.name, view.scope, view.prefix) == ("session", "anna", "review", None)
    assert (view.created_at, view.opened_at, view.expires_at) == (now, now + HOUR, now + HOUR + 30 * DAY)
    assert (view.last_used_at, view.revoked_at) == (None, None)


def test_of_those_who_open_a_link_at_once_one_gets_in(database: Database, now: datetime) -> None:
    code = link(database, "anna", now)

    def attempt(_: int) -> str | None:
        try:
            return opened(database, code, now)
        except NotAllowed:
            return None

    with ThreadPoolExecutor(4) as pool:
        (secret,) = [found for found in pool.map(attempt, range(8)) if found]
    assert whose(database, secret, now) == "anna"


def test_of_a_link_and_its_session_only_hashes_are_stored(database: Database, now: datetime) -> None:
    code = link(database, "anna", now)
    assert code not in everything(database)
    secret = opened(database, code, now)
    stored = everything(database)
    assert "anna" in stored
    assert not [told for told in (code, secret, code[:12], secret[:12]) if told in stored]
    hashes = [row for row in stored.replace("'", " ").split() if len(row) == 64]
    assert len(hashes) == 2
    for stolen in hashes:
        with pytest.raises(NotAllowed):
            whose(database, stolen, now)
        with pytest.raises(NotAllowed, match="no such link"):
            opened(database, stolen, now)


def test_a_link_lives_for_a_day_and_its_session_for_thirty(database: Database, now: datetime) -> None:
    late, good = link(database, "anna", now), link(database, "anna", now)
    with pytest.raises(NotAllowed, match="This link is too old: it was to be opened within 24 hours"):
        opened(database, late, now + DAY)
    began = now + DAY - SECOND
    secret = opened(database, good, began)
    assert whose(database, secret, began + 30 * DAY - SECOND) == "anna"
    with pytest.raises(NotAllowed, match=r"has ended, or is not known here. `storyshift keys link NAME`"):
        whose(database, secret, began + 30 * DAY)


def test_a_session_is_known_by_its_own_secret_and_by_nothing_else(database: Database, now: datetime) -> None:
    codes = {name: link(database, name, now) for name in ("anna", "bert")}
    waiting = link(database, "carl", now)
    secrets = {name: opened(database, code, now) for name, code in codes.items()}
    assert {name: whose(database, secret, now) for name, secret in secrets.items()} == {"anna": "anna", "bert": "bert"}
    for wrong in (*codes.values(), waiting, secrets["anna"][:-1], secrets["anna"] + " ", "é\x00"):
        with pytest.raises(NotAllowed, match="has ended, or is not known here"):
            whose(database, wrong, now)
    for nothing in (None, ""):
        with pytest.raises(
            NotAllowed, match=r"Reviewing needs a key, or in a browser a session\. `storyshift keys link"
        ):
            whose(database, nothing, now)
    for nothing in ("", "é"):
        with database.read() as session, pytest.raises(NotAllowed, match="There is no such link"):
            check_code(session, nothing, now=now)


def test_revoking_a_name_ends_its_key_its_sessions_and_its_links(database: Database, now: datetime) -> None:
    key = make(database, "anna", now)
    secret = opened(database, link(database, "anna", now), now)
    waiting = link(database, "anna", now)
    other = opened(database, link(database, "bert", now), now)
    assert revoke(database, "anna", now + HOUR) == Revoked(key=True, sessions=2)
    with database.read() as session, pytest.raises(NotAllowed):
        check_key(session, key)
    with pytest.raises(NotAllowed):
        whose(database, secret, now + HOUR)
    with pytest.raises(NotAllowed, match="This link was revoked"):
        opened(database, waiting, now + HOUR)
    assert whose(database, other, now + HOUR) == "bert"
    with pytest.raises(NotFound):
        revoke(database, "anna", now + HOUR)
    assert revoke(database, "bert", now + HOUR) == Revoked(key=False, sessions=1)
    with database.read() as session:
        assert [row.revoked_at for row in list_sessions(session, now=now + HOUR)] == [now + HOUR] * 2


def test_a_session_that_was_ended_reviews_nothing_any_more(database: Database, now: datetime) -> None:
    first, second = (opened(database, link(database, "anna", now), now) for _ in range(2))
    with database.write() as session:
        end_session(session, check_session(session, first, now=now).id or 0, now=now)
    with pytest.raises(NotAllowed):
        whose(database, first, now)
    assert whose(database, second, now) == "anna"


def test_links_that_nobody_opened_are_forgotten_and_sessions_are_not(database: Database, now: datetime) -> None:
    opened(database, link(database, "anna", now), now)
    for _ in range(3):
        link(database, "anna", now)
    with database.read() as session:
        assert len(list_sessions(session, now=now)) == 4
        assert len(list_sessions(session, now=now + DAY)) == 1  # what cannot be opened any more is not listed
    link(database, "anna", now + 40 * DAY)
    with database.read() as session:
        count = text("select count(*) from browser_sessions")
        assert session.connection().execute(count).scalar() == 2


@pytest.mark.parametrize("name", ["", "two words", "x" * 61, "a/b"])
def test_a_reviewer_s_name_is_short_and_plain_as_a_key_s(database: Database, now: datetime, name: str) -> None:
    with pytest.raises(BadInput, match="A reviewer's name is 1 to 60 letters"):
        link(database, name, now)
