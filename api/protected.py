"""What every answer tells a browser, whoever gives it: a route, a refusal, a file, a bug. docs/security.md."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
DOCS_POLICY = POLICY + "; script-src 'self' 'unsafe-inline'"
"""Swagger's page starts itself with an inline script; it shows no text from feeds."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Protected:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                protect(MutableHeaders(scope=message), scope["path"])
            await send(message)

        await self.app(scope, receive, sent)


def protect(headers: MutableHeaders, path: str) -> None:
    """What an answer does not say of caching itself: none shared, and none without asking again."""
    headers.update(HEADERS)
    if path == "/docs":
        headers["Content-Security-Policy"] = DOCS_POLICY
    headers.setdefault("Cache-Control", "private, no-cache")
