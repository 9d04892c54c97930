"""What LiteLLM's ASGI middleware does to every answer."""

from __future__ import annotations

import gzip

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..litellm.wire import JSON

SECURITY_HEADERS = (
    ("x-frame-options", "DENY"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("x-content-type-options", "nosniff"),
)
SMALLEST_GZIP = 500
"""Bytes; smaller bodies are sent as they are (LiteLLM 1.106.2)."""


LARGEST_BODY_MB = 50
"""LiteLLM itself knows a limit only with a licence (``max_request_size_mb``)."""


class TooLarge(Exception):
    """A body that goes on beyond the limit."""


class RequestSize:
    """Refuse bodies above ``LARGEST_BODY_MB``, with the words of LiteLLM 1.106.2 for its own limit.

    A body is refused unread where its length is announced; else it is counted as it arrives.
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


class GZip:
    """Compress whole bodies of 500 bytes or more for clients that accept it; never a stream."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        accepted = "gzip" in Headers(scope=scope).get("accept-encoding", "")
        start: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            if start is not None:
                head, start = start, None
                message = compress(head, message, accepted=accepted)
                await send(head)
            await send(message)

        await self.app(scope, receive, send_compressed)
        if start is not None:
            await send(start)


def compress(start: Message, body: Message, *, accepted: bool) -> Message:
    """The first body message, compressed if it is the whole body, and ``start`` changed to suit."""
    content = body.get("body", b"")
    headers = MutableHeaders(scope=start)
    if (
        body["type"] != "http.response.body"
        or body.get("more_body")
        or len(content) < SMALLEST_GZIP
        or "content-encoding" in headers
        or "etag" in headers
    ):
        return body
    headers.add_vary_header("Accept-Encoding")
    if not accepted:
        return body
    content = gzip.compress(content, compresslevel=6)
    headers["content-encoding"] = "gzip"
    headers["content-length"] = str(len(content))
    return {**body, "body": content}
