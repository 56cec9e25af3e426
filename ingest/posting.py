"""Sending one message out: an HTTP POST with the guard of fetching, or a mail. Every way to fail becomes an outcome.

A redirect is not followed, and of an answer only its first KB is read.
"""

import asyncio
import smtplib
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from config.settings import MailServer
from ingest import pace
from ingest.fetcher import PRODUCT
from ingest.guard import GuardedTransport, Reach
from models.errors import BadInput, FeedError

TOTAL_SECONDS = 15.0
CONNECT_SECONDS = 10.0
MAX_ANSWER = 1024
"""Bytes of an answer that are read."""
SHOWN = 200
"""Characters of it that are kept."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one attempt. `said` is one sentence for a person."""

    delivered: bool
    said: str
    status: int | None = None
    retry_after: timedelta | None = None
    """How long the receiver wants to be left alone, if it says so."""

    @property
    def gone(self) -> bool:
        """The receiver says that it is not there any more, for good."""
        return self.status == 410


def check_address(url: str, reach: Reach) -> None:
    """Raises: BadInput if it is none of the web, has no address, or leads to one that may not be connected to."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise BadInput(f"url cannot be used: {error}.") from None
    if parts.scheme not in ("http", "https") or not host or not url.isprintable():
        raise BadInput("url must be an address that begins with https:// or http://.")
    if parts.username is not None or parts.password is not None:
        raise BadInput("url must not hold a user or a password; the signature says who sends.")
    try:
        found = {str(one[4][0]).partition("%")[0] for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        raise BadInput(f"url: {host[:200]} has no address. Check how it is written.") from None
    refused = sorted(name for name in found if not reach.allows(ip_address(name)))
    if refused:
        raise BadInput(
            f"url: {host[:200]} leads to {refused[0]}, which is not a public address. If that is meant, name its "
            "network in STORYSHIFT_ALLOWED_NETWORKS."
        )


def post(url: str, body: bytes, headers: dict[str, str], *, reach: Reach) -> Outcome:
    """Send the body as JSON; any 2xx means that it was delivered."""
    try:
        return asyncio.run(_post(url, body, headers, reach))
    except FeedError as error:
        return Outcome(False, str(error))
    except (TimeoutError, httpx.TimeoutException):
        return Outcome(False, f"The receiver did not answer within {TOTAL_SECONDS:.0f} s.")
    except httpx.ConnectError as error:
        hint = "its certificate is not trusted" if "certificate" in str(error).lower() else "nothing answers there"
        return Outcome(False, f"The receiver cannot be reached: {hint}.")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        return Outcome(False, f"The receiver's answer broke off ({type(error).__name__}).")


async def _post(url: str, body: bytes, headers: dict[str, str], reach: Reach) -> Outcome:
    told = {
        "User-Agent": f"{PRODUCT}/0.1 (webhook)",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "Content-Type": "application/json",
    }
    times = {"timeout": httpx.Timeout(TOTAL_SECONDS, connect=CONNECT_SECONDS, pool=None).as_dict()}
    request = httpx.Request("POST", url, content=body, headers=told | headers, extensions=times)
    transport = GuardedTransport(reach, connections=1)
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            response = await transport.handle_async_request(request)
            try:
                return _outcome(response, await _beginning(response))
            finally:
                await response.aclose()
    finally:
        await transport.aclose()


async def _beginning(response: httpx.Response) -> bytes:
    """The first KB; none where the status says it all."""
    body = bytearray()
    if response.is_success:
        return b""
    async for part in response.aiter_raw():
        body += part
        if len(body) >= MAX_ANSWER:
            break
    return bytes(body[:MAX_ANSWER])


def _outcome(response: httpx.Response, beginning: bytes) -> Outcome:
    status = response.status_code
    if response.is_success:
        return Outcome(True, f"The receiver answered {status}.", status)
    if response.has_redirect_location:
        return Outcome(False, f"The receiver redirects ({status}), which is not followed. Change the url.", status)
    text = " ".join("".join(c if c.isprintable() else " " for c in beginning.decode("utf-8", "replace")).split())
    said = f"The receiver answered {status}" + (f": {text[:SHOWN]}" if text else ".")
    again = pace.retry_after(response.headers.get("retry-after", ""), now=datetime.now(UTC))
    return Outcome(False, said, status, again)


def send_mail(server: MailServer, message: EmailMessage) -> Outcome:
    """Hand the mail over to the server; a password never goes over a connection that is not encrypted."""
    context = ssl.create_default_context()
    try:
        if server.encrypted:
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=TOTAL_SECONDS, context=context)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=TOTAL_SECONDS)
        with smtp:
            smtp.ehlo()
            if not server.encrypted and (server.user or smtp.has_extn("starttls")):
                smtp.starttls(context=context)
            if server.user:
                smtp.login(server.user, server.password)
            smtp.send_message(message)
    except smtplib.SMTPAuthenticationError as error:
        return Outcome(
            False, "The mail server refused the user or the password of STORYSHIFT_SMTP_URL.", error.smtp_code
        )
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        return Outcome(False, f"The mail server refused the receiver: {_shown(text)}", code)
    except smtplib.SMTPResponseException as error:
        return Outcome(
            False, f"The mail server answered {error.smtp_code}: {_shown(error.smtp_error)}", error.smtp_code
        )
    except smtplib.SMTPNotSupportedError:
        return Outcome(False, "The mail server offers no STARTTLS or no login, and no password is sent without both.")
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return Outcome(False, f"The mail could not be handed over ({type(error).__name__}).")
    return Outcome(True, "The mail server took it.", 250)


def _shown(text: bytes | str) -> str:
    told = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return "".join(char if char.isprintable() else " " for char in told)[:SHOWN]
