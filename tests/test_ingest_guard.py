"""Addresses and servers that must not be reached. Names are resolved by a stand-in; connections are real."""

import asyncio
import socket
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from fakes import FeedServer, Page, rss

from ingest.fetcher import Answer, Http, fetch
from ingest.guard import LOOPBACK, GuardedBackend, Reach
from models.errors import ConfigError, FeedError

PUBLIC = Reach()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.1",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",  # cloud metadata
        "100.64.0.1",  # carrier-grade NAT
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "ff0e::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:a00:1::1",  # Teredo through a private server
    ],
)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not PUBLIC.allows(ip_address(address))
    assert Reach(everything=True).allows(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101", "172.32.0.1"])
def test_a_public_address_is_not(address: str) -> None:
    assert PUBLIC.allows(ip_address(address))


def test_a_network_that_is_named_is_allowed_and_its_neighbour_is_not() -> None:
    reach = Reach((ip_network("10.1.0.0/16"), ip_network("fd00::/8")))
    assert reach.allows(ip_address("10.1.2.3"))
    assert reach.allows(ip_address("fd00::5"))
    assert not reach.allows(ip_address("10.2.0.1"))


def test_the_networks_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    from config import definitions

    monkeypatch.setenv("STORYSHIFT_ALLOW_PRIVATE_ADDRESSES", "false")
    monkeypatch.setenv("STORYSHIFT_ALLOWED_NETWORKS", " 10.1.0.0/16, fd00::/8 ")
    definitions.forget()
    assert Reach.from_settings() == Reach((ip_network("10.1.0.0/16"), ip_network("fd00::/8")))
    monkeypatch.setenv("STORYSHIFT_ALLOWED_NETWORKS", "10.1.0.0/99")
    definitions.forget()
    with pytest.raises(ConfigError, match="STORYSHIFT_ALLOWED_NETWORKS='10.1.0.0/99' cannot be used"):
        Reach.from_settings()


@pytest.fixture
def server() -> Iterator[FeedServer]:
    with FeedServer({"feed": Page(rss("Gold rises"))}) as running:
        yield running


def get(url: str, reach: Reach = PUBLIC) -> Answer:
    async def once() -> Answer:
        async with Http("", reach) as http:
            return await fetch(http, url, etag=None, last_modified=None)

    return asyncio.run(once())


SPELLINGS = ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "0"]


@pytest.mark.parametrize("host", SPELLINGS)
def test_loopback_in_any_spelling_is_refused_before_a_byte_is_sent(server: FeedServer, host: str) -> None:
    port = server.root.rpartition(":")[2]
    with pytest.raises(FeedError) as caught:
        get(f"http://{host}:{port}/feed")
    assert caught.value.kind in ("forbidden_address", "unreachable", "bad_address")  # not all spellings resolve
    assert server.seen == []


def test_the_sentence_names_the_setting(server: FeedServer) -> None:
    with pytest.raises(FeedError) as caught:
        get(server.url("feed"))
    assert str(caught.value) == (
        "127.0.0.1 is not a public address. If that is meant, name its network in STORYSHIFT_ALLOWED_NETWORKS."
    )


def test_a_redirect_into_a_private_network_is_refused(server: FeedServer) -> None:
    server.pages["away"] = Page(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})
    with pytest.raises(FeedError, match=r"169.254.169.254 is not a public address"):
        get(server.url("away"), LOOPBACK)


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let every name resolve to these addresses, one list for each asking; the last stays."""
    asked: list[str] = []
    left = list(answers)

    async def resolve(self: GuardedBackend, host: str, port: int) -> list[Any]:
        asked.append(host)
        return [ip_address(one) for one in (left.pop(0) if len(left) > 1 else left[0])]

    monkeypatch.setattr(GuardedBackend, "_resolve", resolve)
    return asked


def test_a_name_that_leads_into_a_private_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ["10.0.0.5"])
    with pytest.raises(FeedError, match=r"intranet.example leads to 10.0.0.5, which is not a public address"):
        get("http://intranet.example/feed")


def test_a_name_with_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ["1.1.1.1", "192.168.0.1"])
    with pytest.raises(FeedError, match=r"192.168.0.1"):
        get("http://two-faced.example/feed")


def test_a_name_that_changes_its_address_is_resolved_once_and_that_one_is_connected_to(
    monkeypatch: pytest.MonkeyPatch, server: FeedServer
) -> None:
    """Rebinding: checked at one address, connected at another. Here only one answer is ever used."""
    asked = names(monkeypatch, ["127.0.0.1"], ["10.9.9.9"])
    port = server.root.rpartition(":")[2]
    assert get(f"http://rebinding.example:{port}/feed", LOOPBACK).status == 200
    assert asked == ["rebinding.example"]
    with pytest.raises(FeedError, match=r"10.9.9.9"):
        get(f"http://rebinding.example:{port}/feed", LOOPBACK)


def test_a_name_without_an_address_is_unreachable() -> None:
    with pytest.raises(FeedError, match="cannot be reached") as caught:
        get("http://nowhere.invalid/feed")
    assert caught.value.kind == "unreachable"


@pytest.mark.parametrize("url", ["ftp://example.org/feed", "file:///etc/passwd", "gopher://example.org/", "feed"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(FeedError) as caught:
        get(url)
    assert caught.value.kind == "bad_address"


def test_a_second_address_is_tried_where_the_first_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, server: FeedServer
) -> None:
    names(monkeypatch, ["127.0.0.9", "127.0.0.1"])
    with socket.socket() as closed:
        closed.bind(("127.0.0.9", 0))
    port = server.root.rpartition(":")[2]
    assert get(f"http://twice.example:{port}/feed", LOOPBACK).status == 200
