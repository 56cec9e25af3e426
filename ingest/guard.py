"""Where we may connect to: the address is checked after resolution, on every connection, and is the one connected to.

A name that resolves to a private network, a redirect into one, or a spelling that hides one (decimal, octal, IPv6 that
carries IPv4) is refused before a byte is sent.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import httpcore
import httpx

from config.settings import get_settings
from models.errors import FeedError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
NAT64 = ip_network("64:ff9b::/96")
"""Its addresses carry an IPv4 one in their last 32 bits."""
SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "168.63.129.16/32", "fec0::/10", "3fff::/20")))
"""Public by their number alone: for protocols, Azure's services for its own machines, sites, documents. Not all Pythons
know the first and the last."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be connected to besides the public internet."""

    allowed: tuple[Network, ...] = ()
    everything: bool = False

    @classmethod
    def from_settings(cls) -> "Reach":
        settings = get_settings()
        return cls(settings.networks(), settings.allow_private_addresses)

    def allows(self, address: Address) -> bool:
        if self.everything or any(address in network for network in self.allowed):
            return True
        return all(
            meant.is_global
            and not (meant.is_multicast or meant.is_reserved or any(meant in network for network in SPECIAL))
            for meant in _meant(address)
        )


LOOPBACK = Reach((ip_network("127.0.0.0/8"), ip_network("::1/128")))


def _meant(address: Address) -> Iterable[Address]:
    """What is reached in the end: the address, or the IPv4 addresses that an IPv6 one leads to."""
    if isinstance(address, IPv4Address):
        yield address
    elif address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    elif address in NAT64:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
    else:
        yield address
        if address.sixtofour is not None:
            yield address.sixtofour
        if address.teredo is not None:
            yield from address.teredo


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for httpcore, to checked addresses only."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises: FeedError (forbidden_address); httpcore.ConnectError where no address answers."""
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        addresses = await self._resolve(host, port)
        for address in addresses:
            if not self._reach.allows(address):
                who = host if str(address) == host else f"{host} leads to {address}, which"
                raise FeedError(
                    "forbidden_address",
                    f"{who} is not a public address. If that is meant, name its network in "
                    "STORYSHIFT_ALLOWED_NETWORKS.",
                )
        for address in addresses:
            try:
                return await _connected(str(address), port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Any = None
    ) -> httpcore.AsyncNetworkStream:
        raise FeedError("forbidden_address", f"{path} is not an address on the internet.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _resolve(self, host: str, port: int) -> Sequence[Address]:
        loop = asyncio.get_running_loop()
        with suppress(ValueError):
            return [ip_address(host)]
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(str(error)) from None
        names = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
        return [ip_address(name) for name in names]


class _Stream(httpcore.AsyncNetworkStream):
    """A connection over asyncio's own streams. Those of httpcore, by anyio, cost a third of a round without news."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        async with _within(timeout, httpcore.ReadTimeout, httpcore.ReadError):
            return await self._reader.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        async with _within(timeout, httpcore.WriteTimeout, httpcore.WriteError):
            self._writer.write(buffer)
            await self._writer.drain()

    async def aclose(self) -> None:
        self._writer.transport.abort()  # a server that would drag out the end of TLS is not waited for
        await asyncio.sleep(0)

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        async with _within(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
            await self._writer.start_tls(ssl_context, server_hostname=server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        return self._writer.get_extra_info({"ssl_object": "ssl_object", "server_addr": "peername"}.get(info, info))


async def _connected(address: str, port: int, timeout: float | None) -> _Stream:
    async with _within(timeout, httpcore.ConnectTimeout, httpcore.ConnectError):
        return _Stream(*await asyncio.open_connection(address, port))


@asynccontextmanager
async def _within(seconds: float | None, late: type[Exception], failed: type[Exception]) -> AsyncIterator[None]:
    """Errors of sockets as httpcore names them."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:  # also of TLS
        raise failed(str(error)) from error


@lru_cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted; reading them takes 20 ms."""
    return httpx.create_ssl_context()


class GuardedTransport(httpx.AsyncHTTPTransport):
    def __init__(self, reach: Reach, *, connections: int) -> None:
        super().__init__(verify=_trusted())
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_trusted(),
            max_connections=connections,
            max_keepalive_connections=0,  # feeds lie on many hosts; a kept connection can cost 40 ms (delayed ACK)
            network_backend=GuardedBackend(reach),
        )
