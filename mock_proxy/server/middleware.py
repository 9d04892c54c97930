"""Middleware for every request and answer, besides Starlette's own."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..litellm.wire import JSON, LARGEST_BODY_MB, TooLarge

SECURITY_HEADERS = (
    ("x-frame-options", "DENY"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
)


class RequestSize:
    """Refuse bodies above ``LARGEST_BODY_MB``, with the words of LiteLLM 1.106.2 for its own limit.

    A body is refused unread if its length is announced, and is counted as it arrives if not. One
    that was compressed is counted as ``routes.auth`` unpacks it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit, received = LARGEST_BODY_MB * 1024 * 1024, 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise TooLarge
            return message

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        try:
            if announced.isdecimal() and int(announced) > limit:
                raise TooLarge
            await self.app(scope, counted, send)
        except TooLarge:
            problem = f"Request size is too large. Max size is {LARGEST_BODY_MB} MB"
            await JSON({"error": problem}, 413)(scope, receive, send)


class SecurityHeaders:
    """Add the headers that keep answers out of other sites' frames."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS:
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)
