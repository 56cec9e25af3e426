"""How often somebody may ask, by the name of a living key or else by address. Counted in memory, by this process.

The address is the one that the connection comes from: anybody could write any other into X-Forwarded-For, which uvicorn
believes of a proxy at 127.0.0.1 only. Whoever comes through another proxy shares its address.
"""

import time
from hashlib import sha256
from ipaddress import ip_network
from math import ceil

from fastapi import Request
from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from models.errors import TooManyRequests

GUESSES = parse("10/minute")
"""Wrong keys from one address; the keys that were right before go on."""


class Limits:
    """rate: as STORYSHIFT_RATE_LIMIT says it, 12000/minute or off."""

    def __init__(self, rate: str) -> None:
        self._rate = None if rate == "off" else parse(rate)
        self._counted = FixedWindowRateLimiter(MemoryStorage())
        self._names: dict[str, str] = {}

    def take(self, request: Request) -> dict[str, str]:
        """Count one request; what its answer's header says of the limit. Raises: TooManyRequests."""
        if self._rate is None or request.url.path.startswith("/v1/health/"):
            return {}
        who = self._names.get(_digest(_secret(request)), "") or _address(request)
        fits = self._counted.hit(self._rate, who)
        ends, left = self._counted.get_window_stats(self._rate, who)
        seconds = max(1, ceil(ends - time.time()))
        if not fits:
            raise TooManyRequests(
                f"More than {self._rate} came from {who}, which is what STORYSHIFT_RATE_LIMIT lets it ask. "
                f"The next request is answered in {_seconds(seconds)}.",
                seconds,
            )
        policy = f'"default";q={self._rate.amount};w={self._rate.get_expiry()}'
        return {"RateLimit-Policy": policy, "RateLimit": f'"default";r={left};t={seconds}'}

    def check_guesses(self, request: Request, secret: str) -> None:
        """Raises: TooManyRequests where this address has sent too many wrong keys, and this one was never right."""
        who = _address(request)
        if not secret or _digest(secret) in self._names or self._counted.test(GUESSES, "keys", who):
            return
        seconds = self._seconds_left(GUESSES, "keys", who)
        raise TooManyRequests(
            f"Too many wrong keys came from {who}. The next is looked at in {_seconds(seconds)}; "
            "`storyshift keys list` shows which keys there are.",
            seconds,
        )

    def note_wrong(self, request: Request) -> None:
        self._counted.hit(GUESSES, "keys", _address(request))

    def note_living(self, secret: str, name: str) -> None:
        """From now on requests with this key are counted by its name."""
        self._names[_digest(secret)] = f"the key {name}"

    def _seconds_left(self, rate: RateLimitItem, *who: str) -> int:
        return max(1, ceil(self._counted.get_window_stats(rate, *who).reset_time - time.time()))


def _secret(request: Request) -> str:
    return request.headers.get("authorization", "").partition(" ")[2].strip()


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest() if secret else ""


def _address(request: Request) -> str:
    """Of IPv6 the network of 64 bits, as one machine has all addresses of it."""
    host = request.client.host if request.client else "an unknown address"
    return str(ip_network(f"{host.partition('%')[0]}/64", strict=False)) if ":" in host else host


def _seconds(count: int) -> str:
    return "a second" if count == 1 else f"{count} seconds"
