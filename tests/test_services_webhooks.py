"""What a webhook may ask for, quiet hours by the wall clock, and the signature."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as Verifier

from config import definitions
from config.settings import get_settings
from models.errors import BadInput, ConfigError
from services.messages import signature
from services.webhooks import Terms, checked, quiet_until

NIGHT = {"from": "22:00", "until": "07:00", "zone": "Europe/Berlin"}
NOON = {"from": "12:00", "until": "13:30", "zone": "UTC"}
SMALL = {"from": "01:30", "until": "02:30", "zone": "Europe/Berlin"}
URL = "http://127.0.0.1:9/"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("quiet", "now", "ends"),
    [
        (None, "2026-11-21 23:00", None),
        (NOON, "2026-11-21 11:59", None),
        (NOON, "2026-11-21 12:00", "2026-11-21 13:30"),
        (NOON, "2026-11-21 13:30", None),
        (NIGHT, "2026-11-21 20:59", None),
        (NIGHT, "2026-11-21 21:00", "2026-11-22 06:00"),
        (NIGHT, "2026-11-22 05:59", "2026-11-22 06:00"),
        (NIGHT, "2026-11-22 06:00", None),
        (NIGHT, "2026-07-01 20:00", "2026-07-02 05:00"),
        (NIGHT, "2026-03-28 22:00", "2026-03-29 05:00"),  # the night in which an hour is left out
        (NIGHT, "2026-10-24 21:00", "2026-10-25 06:00"),  # that in which one comes twice
        (SMALL, "2026-03-29 00:45", "2026-03-29 01:30"),  # 02:30 is not there: an hour later
        (SMALL, "2026-10-25 00:15", "2026-10-25 01:30"),  # 02:15 for the first time
        (SMALL, "2026-10-25 01:15", "2026-10-25 01:30"),  # and for the second
        (SMALL, "2026-10-25 01:30", None),
    ],
)
def test_quiet_hours_end_by_the_wall_clock(quiet: dict[str, str] | None, now: str, ends: str | None) -> None:
    assert quiet_until(quiet, at(now)) == (at(ends) if ends else None)


@given(
    st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    st.times(),
    st.times(),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
)
def test_quiet_hours_always_end_within_a_day_and_are_over_then(
    now: datetime, begins: Any, ends: Any, zone: str
) -> None:
    begins, ends = begins.replace(second=0, microsecond=0), ends.replace(second=0, microsecond=0)
    if begins == ends:
        return
    quiet = {"from": begins.isoformat("minutes"), "until": ends.isoformat("minutes"), "zone": zone}
    found = quiet_until(quiet, now)
    if found is not None:
        assert now < found <= now + timedelta(hours=25)
        again = quiet_until(quiet, found)
        assert again is None or begins == ends or again > found


@given(st.binary(min_size=24, max_size=64), st.text(max_size=200), st.integers(1, 10**9))
def test_any_body_is_signed_so_that_only_the_secret_and_the_body_verify(raw: bytes, text: str, number: int) -> None:
    secret, now, body = f"whsec_{b64encode(raw).decode()}", datetime.now(UTC), text.encode()
    signed = signature(secret, f"msg_{number}", now, body)
    assert signed == Verifier(secret).sign(f"msg_{number}", now, text)
    other = f"whsec_{b64encode(raw[::-1] + b'!').decode()}"
    assert signature(other, f"msg_{number}", now, body) != signed
    assert signature(secret, f"msg_{number}", now, body + b"!") != signed


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"url": None}, "takes `url`, and not `to`"),
        ({"to": "anna@example.org"}, "takes `url`, and not `to`"),
        ({"url": "ftp://example.org/"}, "begins with https:// or http://"),
        ({"url": "https://"}, "begins with https:// or http://"),
        ({"url": "http://[::1"}, "url cannot be used"),
        ({"url": "http://127.0.0.1:99999/"}, "url cannot be used"),
        ({"url": "http://me:word@127.0.0.1/"}, "must not hold a user or a password"),
        ({"url": "http://127.0.0.1/" + "x" * 2_000}, "longer than 2000"),
        ({"url": "http://127.0.0.1/a\r\nX: y"}, "url"),
        ({"kind": "pager"}, "no kind of webhook named 'pager'"),
        ({"events": ("news",)}, "no kind of event named 'news'"),
        ({"events": ()}, "would never be told anything"),
        ({"triggers": ("rain",)}, "no trigger named 'rain'"),
        ({"states": ("joy",)}, "no state named 'joy'"),
        ({"threshold": {"series": "narrative:rain", "above": 1, "below": None}}, "no narrative named 'rain'"),
        ({"threshold": {"series": "tone:DOGE", "above": 1, "below": None}}, "no asset named 'DOGE'"),
        ({"threshold": {"series": "vix", "above": 1, "below": None}}, "no series named 'vix'"),
        ({"threshold": {"series": "theta", "above": None, "below": None}}, "`above` or `below`, one of them"),
        ({"threshold": {"series": "theta", "above": 1, "below": 0}}, "`above` or `below`, one of them"),
        ({"quiet_hours": {"from": "22:00", "until": "22:00", "zone": "UTC"}}, "two different times"),
        ({"quiet_hours": {"from": "late", "until": "07:00", "zone": "UTC"}}, "two different times"),
        ({"quiet_hours": {"from": "22:00", "until": "07:00", "zone": "Mars/Base"}}, "'Mars/Base' is no time zone"),
        ({"quiet_hours": {"from": "22:00", "until": "07:00", "zone": "../etc/passwd"}}, "is no time zone"),
        ({"kind": "mail", "url": None, "to": "anna"}, "one mail address"),
        ({"kind": "mail", "url": None, "to": "a@example.org\nBcc: b@example.org"}, "one mail address"),
        ({"kind": "mail", "url": None, "to": "a@example.org, b@example.org"}, "one mail address"),
        ({"kind": "mail", "url": None, "to": "anna@example.org"}, "cannot send mail: STORYSHIFT_SMTP_URL"),
        ({"kind": "mail", "to": "anna@example.org"}, "takes `to`, and not `url`"),
    ],
)
def test_what_cannot_be_kept_to_is_refused_in_one_sentence(terms: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInput) as refused:
        checked(Terms(**({"url": URL} | terms)))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://localhost:9/", "http://[::1]/", "http://169.254.169.254/", "http://0x7f000001/"],
)
def test_an_address_inside_is_refused_unless_its_network_is_allowed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORYSHIFT_ALLOW_PRIVATE_ADDRESSES")
    definitions.forget()
    with pytest.raises(BadInput, match=r"not a public address\. If that is meant, name its network"):
        checked(Terms(url=url))
    monkeypatch.setenv("STORYSHIFT_ALLOWED_NETWORKS", "127.0.0.0/8,::1/128,169.254.0.0/16")
    definitions.forget()
    assert checked(Terms(url=f" {url} ")).url == url


@pytest.mark.parametrize("wrong", ["smtp.example.org", "http://me:s3cret@example.org", "smtp://me:s3cret@x:99999"])
def test_a_mail_server_that_cannot_be_is_named_without_its_password(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORYSHIFT_SMTP_URL", wrong)
    definitions.forget()
    with pytest.raises(ConfigError, match="STORYSHIFT_SMTP_URL cannot be used") as refused:
        get_settings().mail_server()
    assert "s3cret" not in str(refused.value) + repr(get_settings())


def test_a_mail_server_is_read_from_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORYSHIFT_SMTP_URL", "smtps://me%40home:p%3Aw@mail.example.org")
    definitions.forget()
    with pytest.raises(ConfigError, match="STORYSHIFT_MAIL_FROM"):
        get_settings().mail_server()
    monkeypatch.setenv("STORYSHIFT_MAIL_FROM", "storyshift@example.org")
    definitions.forget()
    server = get_settings().mail_server()
    assert server is not None
    assert (server.host, server.port, server.encrypted) == ("mail.example.org", 465, True)
    assert (server.user, server.password) == ("me@home", "p:w")
    assert "p:w" not in repr(server)
