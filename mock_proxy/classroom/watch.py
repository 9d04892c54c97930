"""The classroom's page, its events, and the middleware that notes each request as it ends."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..litellm import wire
from ..routes.auth import ASKED_MODEL, sent_key
from .board import Asked, Classroom, shown

PAGE, EVENTS = "/classroom", "/classroom/events"

PAUSE = 1.0
"""Least seconds between two events."""

HEARTBEAT = 10.0
"""Most seconds between two signs of life, and until the page sees that somebody is quiet."""

LARGEST_ERROR = 65_536
"""Bytes of an error's body that are looked at for its type."""


class Watch:
    """Note who asked for what, and how it ended.

    Inside GZip, as it reads the type of an error from the body. Bodies of requests and of
    successful answers pass unread: the routes say which model was asked.
    """

    def __init__(self, app: ASGIApp, classroom: Classroom) -> None:
        self.app, self.classroom = app, classroom

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in (PAGE, EVENTS):
            await self.app(scope, receive, send)
            return
        end = End()

        async def send_seen(message: Message) -> None:
            end.see(message)
            await send(message)

        try:
            await self.app(scope, receive, send_seen)
        except ClientDisconnect:
            raise
        except Exception:  # answered with this outside all middleware
            end.status, end.body = 500, b'{"error":{"type":"internal_server_error"}}'
            raise
        finally:
            self._note(scope, end)

    def _note(self, scope: Scope, end: End) -> None:
        """Requests that need no key, such as for the Swagger page, say nothing about a learner."""
        sent = sent_key(Request(scope))
        failed_with_key = end.status >= 400 and sent is not None
        if not end.status or not (ASKED_MODEL in scope or failed_with_key):
            return
        asked = Asked(
            method=shown(scope["method"]) or "",
            path=shown(scope["path"], sent) or "",
            model=shown(scope.get(ASKED_MODEL), sent),
            status=end.status,
            error=shown(end.error_type(), sent),
            address=shown(scope["client"][0] if scope["client"] else "unknown") or "",
            time=time.time(),
        )
        self.classroom.note(sent, asked)


@dataclass
class End:
    """How a request ended, as far as it has."""

    status: int = 0
    body: bytes = b""
    """Of an error only."""

    def see(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif self.status >= 400 and len(self.body) < LARGEST_ERROR:
            self.body += message.get("body", b"")

    def error_type(self) -> str | None:
        try:
            error = orjson.loads(self.body)["error"]["type"] if self.body else None
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return error if isinstance(error, str) else None


# --- the page and its events ------------------------------------------------------------------


def add_classroom(app: Starlette, classroom: Classroom) -> None:
    """Add routes that the OpenAPI description leaves out, and the middleware.

    The page itself holds nothing, and is for everyone. It asks for the master key and sends it as
    a header, as all clients do. So there is no session to keep, nothing to steal from the browser
    once the page is closed, no key in an address, and no other site can use it, although LiteLLM
    lets all sites ask: a cookie would go along by itself, a header does not.
    """
    html = Path(__file__).with_name("classroom.html").read_text(encoding="utf-8")
    headers = {
        "cache-control": "no-store",
        "content-security-policy": policy(html),
        "referrer-policy": "no-referrer",
    }

    async def page(request: Request) -> Response:
        return HTMLResponse(html, headers=headers)

    async def events(request: Request) -> Response:
        key = classroom.keys.find(sent_key(request) or "")
        if key is None or not key.is_master:
            raise wire.not_authenticated("this page needs the master key.")
        return StreamingResponse(
            stream(classroom),
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
            media_type="text/event-stream",
        )

    app.add_route(PAGE, page, methods=["GET"])
    app.add_route(EVENTS, events, methods=["GET"])
    app.add_middleware(Watch, classroom=classroom)


def policy(html: str) -> str:
    """What a browser lets the page do: run its own script, and ask this proxy."""

    def hashes(element: str) -> str:
        texts = re.findall(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)
        digests = (hashlib.sha256(text.encode()).digest() for text in texts)
        return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


async def stream(classroom: Classroom) -> AsyncIterator[bytes]:
    """Snapshots as server-sent events: one at once, then whenever something has changed."""
    changed = asyncio.Event()
    classroom.pages.add(changed)
    sent: dict[str, Any] = {}
    try:
        while True:
            changed.clear()
            now = time.time()
            snapshot = classroom.snapshot(now)
            if snapshot != sent:
                yield wire.event({"time": now, **snapshot})
                sent = snapshot
            else:
                yield b":\n\n"
            await asyncio.sleep(PAUSE)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(changed.wait(), HEARTBEAT)
    finally:
        classroom.pages.discard(changed)
