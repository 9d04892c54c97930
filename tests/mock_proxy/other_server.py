"""A server that speaks OpenAI's API as a test needs it: slow, failing, broken, or leaky."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Answer = Callable[[dict[str, Any]], Response | Awaitable[Response]]


class OtherServer:
    """Answers with ``answer``, and remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answer: Answer = lambda body: JSONResponse(completion("Hello"))
        self.asked_now, self.left = threading.Event(), threading.Event()
        """Set as soon as a request is there, and when a client has left before its answer."""

    async def endpoint(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append((request.url.path, dict(request.headers), body))
        self.asked_now.set()
        answered = self.answer(body)
        return answered if isinstance(answered, Response) else await answered

    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, _, body in self.asked]


@contextlib.contextmanager
def other_server() -> Iterator[OtherServer]:
    other = OtherServer()
    app = Starlette(routes=[Route("/{path:path}", other.endpoint, methods=["POST"])])
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.001)
        other.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        try:
            yield other
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


def completion(text: str | None, **more: Any) -> dict[str, Any]:
    """A small server's answer: no more than OpenAI's API demands."""
    message = {"role": "assistant", "content": text}
    return {
        "id": "cmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "theirs",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        **more,
    }


def piece(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    data = {"object": "chat.completion.chunk", "model": "theirs", "choices": [choice]}
    return b"data: " + json.dumps(data).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def streaming(*pieces: bytes) -> Response:
    async def content() -> AsyncIterator[bytes]:
        for part in pieces:
            yield part

    return StreamingResponse(content(), media_type="text/event-stream")


def endless(left: threading.Event, first: bytes | None = None) -> Response:
    """An answer that ends only if the client leaves, which it tells."""

    async def content() -> AsyncIterator[bytes]:
        try:
            if first is not None:
                yield first
            await asyncio.Event().wait()
        finally:
            left.set()

    return StreamingResponse(content(), media_type="text/event-stream")
