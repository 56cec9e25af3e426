"""HEAD is answered as GET is, without the body, where to ask changes nothing."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

NOT_HERE = frozenset(("/open", "/v1/events"))
"""A link opens once, and whoever looks at it first would use it up; a stream has no end."""


class Heads:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or scope["path"] in NOT_HERE:
            await self.app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                if message.get("more_body", False):
                    return
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self.app(dict(scope, method="GET"), receive, without_body)
