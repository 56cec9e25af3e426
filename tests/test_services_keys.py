from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models.database import Database
from models.errors import BadInput, NotAllowed, NotFound
from models.keys import ApiKey
from services.keys import check_key, create_key, has_key, list_keys, note_use, revoke_key, use_is_noted

HOUR = timedelta(hours=1)


def make(database: Database, name: str, now: datetime) -> str:
    with database.write() as session:
        return create_key(session, name, now=now)


def revoke(database: Database, name: str, now: datetime) -> None:
    with database.write() as session:
        revoke_key(session, name, now=now)


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
        with pytest.raises(NotFound, match=r"no living key named laptop\. `storyshift keys list`"):
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
