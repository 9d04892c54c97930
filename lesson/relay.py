"""A local relay between the lesson's code and somebody's proxy.

It holds the real key: code gets a stand-in, which the relay replaces on the way out, and puts back
on the way in, so that the real key can stand in no notebook, output or traceback. Other keys, and
requests without one, pass as they are, and so do answers, streams piece by piece. On the way the
relay counts, replaces the names of models, keeps the proxy's limits, and stops at a sum of money.
"""

import asyncio
import contextlib
import json
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lesson.bill import Call, Prices, bill

OF_A_CONNECTION = {
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}
"""Headers that are about one connection, and not passed on (RFC 9110, section 7.6.1)."""

PATIENCE = 50.0
"""Seconds for which a request is held back at a limit. Lesson code gives up after 60."""

HIDDEN = "sk-..."
"""For the real key, in an answer to a request that came without a stand-in."""

NAME_FOLLOWS = ("models", "engines", "deployments")
"""Parts of a path after which LiteLLM takes the name of a model."""


LISTS = ("/models", "/model_group/info", "/model/info")


@dataclass
class Relay:
    """How requests are passed on, and what was counted. `url` is the address lesson code gets.

    `models` names what stands in for a model of the lesson. `waits` are the seconds of each wait
    after a 429, `slowed` those of all requests that waited so that there was none.
    """

    target: str
    key: str = field(default="", repr=False)
    models: Mapping[str, str] = field(default_factory=dict)
    prices: Prices = field(default_factory=dict)
    max_cost: float | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    slowed: float = 0.0
    requests_a_minute: int = 0
    lost: list[str] = field(default_factory=list)
    version: str = ""
    stopped: bool = False

    def __post_init__(self) -> None:
        self._parts: dict[str, tuple[str, str]] = {}
        self._next_slot = 0.0

    def new_key(self, path: str, part: str, key: str = "") -> str:
        """A key for the code of one page and language; by default a stand-in for the real one."""
        key = key or f"sk-{secrets.token_urlsafe(18)}"
        self._parts[key] = (path, part)
        return key

    @property
    def spent(self) -> float:
        """USD, as far as the proxy tells them."""
        return bill(self.calls, self.prices, self.models).usd

    # A request on its way

    async def answer(self, request: Request) -> Response:
        if self.max_cost is not None and self.spent >= self.max_cost:
            self.stopped = True
            return self._budget_exceeded(self.max_cost)
        body = await request.body()
        stand_in = self._stand_in(request)
        model, body = self._renamed(body)
        outgoing = httpx.Request(
            request.method,
            self._address(request),
            headers=self._headers(request, stand_in),
            content=body,
        )
        page, part = self._parts.get(stand_in, ("", ""))
        call = Call(page, part, request.method, request.url.path, model, 0)
        client: httpx.AsyncClient = request.app.state.client
        try:
            response = await unless_gone(request, self._sent(client, outgoing, call))
            is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
            content = b"" if is_stream else await response.aread()
        except httpx.HTTPError as error:
            return self._no_answer(error)
        self.version = response.headers.get("x-litellm-version", self.version)
        call = replace(call, status=response.status_code, cost=cost_of(response))
        headers = self._headers_back(response, stand_in)
        if is_stream:
            pieces = self._pieces(response, call, stand_in)
            return with_headers(StreamingResponse(pieces, response.status_code), headers)
        self.calls.append(with_usage(call, _json(content)))
        content = self._without_key(with_stand_ins(request, content, self.models), stand_in)
        if request.method == "HEAD":
            headers += [(n, v) for n, v in response.headers.raw if n.lower() == b"content-length"]
        return with_headers(Response(content, response.status_code), headers)

    async def _sent(
        self, client: httpx.AsyncClient, outgoing: httpx.Request, call: Call
    ) -> httpx.Response:
        """The answer; at a limit of the proxy that of a later try."""
        left = PATIENCE
        while True:
            if call.asks_model:
                await self._take_slot()
            response = await client.send(outgoing, stream=True)
            self._learn_limit(response)
            if response.status_code != 429 or left <= 0:
                return response
            await response.aread()
            seconds = min(retry_after(response), left)
            left -= max(seconds, 1.0)
            self.waits.append(seconds)
            await self.sleep(seconds)

    async def _take_slot(self) -> None:
        """Keep to the requests a minute that the proxy names for the key: evenly spread."""
        if not self.requests_a_minute:
            return
        now = time.monotonic()
        slot = max(now, self._next_slot)
        self._next_slot = slot + 60 / self.requests_a_minute
        if slot > now:
            self.slowed += slot - now
            await self.sleep(slot - now)

    def _learn_limit(self, response: httpx.Response) -> None:
        limit = response.headers.get("x-litellm-key-rpm-limit", "")
        if limit.isdecimal():
            self.requests_a_minute = int(limit)

    def _stand_in(self, request: Request) -> str:
        """The stand-in that a request came with, in any of the headers clients use."""
        values = request.headers.values()
        return next((key for key in self._parts if any(key in value for value in values)), "")

    def _headers(self, request: Request, stand_in: str) -> list[tuple[bytes, bytes]]:
        dropped = {*OF_A_CONNECTION, "accept-encoding"}
        # A page may send "Bearer " without a key: blanks at the end are not part of a value.
        raw = request.headers.raw
        sent = [(n, v.strip()) for n, v in raw if n.decode("latin-1") not in dropped]
        if self.key and stand_in:
            sent = [(n, v.replace(stand_in.encode(), self.key.encode())) for n, v in sent]
        # Packed, an answer could not be searched for the key.
        return [*sent, (b"accept-encoding", b"identity")]

    def _address(self, request: Request) -> httpx.URL:
        target = httpx.URL(self.target)
        segments = request.scope["raw_path"].decode("latin-1").split("/")
        for number, segment in enumerate(segments[:-1]):
            if segment in NAME_FOLLOWS:
                segments[number + 1] = self.models.get(segments[number + 1], segments[number + 1])
        path = target.raw_path.rstrip(b"/") + "/".join(segments).encode("latin-1")
        if query := request.scope["query_string"]:
            path += b"?" + self._renamed_query(query)
        return target.copy_with(raw_path=path)

    def _renamed_query(self, query: bytes) -> bytes:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        named = [(n, self.models.get(v, v) if "model" in n else v) for n, v in pairs]
        return query if named == pairs else urlencode(named).encode()

    def _renamed(self, body: bytes) -> tuple[str, bytes]:
        """The model that a body names, and the body with the one that stands in for it."""
        content = _json(body)
        model = content.get("model") if isinstance(content, dict) else None
        if not isinstance(model, str):
            return "", body
        if model in self.models:
            body = json.dumps({**content, "model": self.models[model]}).encode()
        return model, body

    # An answer on its way

    def _headers_back(self, response: httpx.Response, stand_in: str) -> list[tuple[bytes, bytes]]:
        drop = set(OF_A_CONNECTION)
        if "content-encoding" in response.headers:  # httpx unpacks it, even unasked
            drop.add("content-encoding")
        kept = []
        for name, value in response.headers.raw:
            if name.decode("latin-1").lower() in drop:
                continue
            value = self._without_key(value, stand_in)
            if name.lower() == b"location":
                value = value.replace(self.target.encode(), self.url.encode())
            kept.append((name, value))
        return kept

    def _without_key(self, text: bytes, stand_in: str) -> bytes:
        """An answer may show the key that asked: `/key/info` does, and some errors did."""
        return text.replace(self.key.encode(), (stand_in or HIDDEN).encode()) if self.key else text

    async def _pieces(
        self, response: httpx.Response, call: Call, stand_in: str
    ) -> AsyncIterator[bytes]:
        seen = bytearray()
        try:
            source = response.aiter_bytes()
            async for piece in masked(source, self.key, stand_in or HIDDEN):
                seen += piece
                yield piece
        except httpx.HTTPError as error:
            self.lost.append(type(error).__name__)
            raise ClientDisconnect from None  # so that the stream breaks off here as well
        finally:
            events = bytes(seen).split(b"data: ")
            usage = next((e for e in reversed(events) if b'"usage"' in e), b"")
            self.calls.append(with_usage(call, _json(usage)))
            await response.aclose()

    def _budget_exceeded(self, max_cost: float) -> Response:
        """LiteLLM's answer (1.106.2) where the budget of a key is spent."""
        message = (
            f"Budget has been exceeded! Key=lesson live --max-cost "
            f"Current cost: {self.spent}, Max budget: {max_cost}"
        )
        error = {"message": message, "type": "budget_exceeded", "param": None, "code": "422"}
        return JSONResponse({"error": error}, 422)

    def _no_answer(self, error: httpx.HTTPError) -> Response:
        name = type(error).__name__
        self.lost.append(name)
        message = f"lesson live: {self.target} does not answer ({name})"
        problem = {"message": message, "type": "internal_server_error", "param": None}
        return JSONResponse({"error": {**problem, "code": "502"}}, 502)


def with_stand_ins(request: Request, content: bytes, models: Mapping[str, str]) -> bytes:
    """A list of models in which each stand-in also stands under the name that the lesson uses."""
    listed = _json(content) if request.url.path.endswith(LISTS) and models else None
    if not isinstance(listed, dict) or not isinstance(listed.get("data"), list):
        return content
    entries = listed["data"]
    added = [
        {**entry, name: ours}
        for ours, theirs in models.items()
        for entry in entries
        for name in ("id", "model_group", "model_name")
        if isinstance(entry, dict) and entry.get(name) == theirs
    ]
    return json.dumps({**listed, "data": [*added, *entries]}).encode()


async def unless_gone(request: Request, sent: Awaitable[httpx.Response]) -> httpx.Response:
    """Wait for an answer as long as somebody waits for it here."""
    answer = asyncio.ensure_future(sent)
    gone = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()


async def masked(pieces: AsyncIterator[bytes], key: str, stand_in: str) -> AsyncIterator[bytes]:
    """The pieces with `stand_in` for `key`, also where a key is cut in two."""
    if not key:
        async for piece in pieces:
            yield piece
        return
    secret, kept = key.encode(), b""
    async for piece in pieces:
        text = (kept + piece).replace(secret, stand_in.encode())
        cut = next((n for n in range(len(secret) - 1, 0, -1) if text.endswith(secret[:n])), 0)
        text, kept = text[: len(text) - cut], text[len(text) - cut :]
        if text:
            yield text
    if kept:
        yield kept


def retry_after(response: httpx.Response) -> float:
    """The seconds that a 429 asks for: LiteLLM's own, or its provider's."""
    for name in ("retry-after", "llm_provider-retry-after"):
        with contextlib.suppress(ValueError):
            return max(float(response.headers.get(name, "")), 0.0)
    return 5.0


def cost_of(response: httpx.Response) -> float | None:
    """USD. For models without a known price LiteLLM says 0.0, or nothing, as for streams."""
    try:
        return float(response.headers["x-litellm-response-cost"]) or None
    except (KeyError, ValueError):
        return None


def with_usage(call: Call, content: Any) -> Call:
    usage = content.get("usage") if isinstance(content, dict) else None
    if not isinstance(usage, dict) or not call.asks_model:
        return call
    prompt, completion = (usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return replace(call, prompt_tokens=prompt or 0, completion_tokens=completion or 0)


def with_headers(response: Response, headers: list[tuple[bytes, bytes]]) -> Response:
    """The response with exactly these headers, and its own length."""
    own = [(n, v) for n, v in response.raw_headers if n == b"content-length"]
    if any(name == b"content-length" for name, _ in headers):
        own = []
    response.raw_headers = [*headers, *own]
    return response


def _json(text: bytes) -> Any:
    try:
        return json.loads(text or b"null")
    except ValueError:
        return None


# The server


@contextlib.contextmanager
def relaying(relay: Relay) -> Iterator[Relay]:
    """Serve on a free port of this machine, in a thread, until the block ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        relay.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = uvicorn.Server(
            uvicorn.Config(
                quiet(application(relay)),
                log_level="critical",
                access_log=False,
                server_header=False,
                date_header=False,
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True, name="relay")
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the relay stopped while it started")
                time.sleep(0.001)
            yield relay
        finally:
            server.should_exit = True
            thread.join()


def application(relay: Relay) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        # Models can take long to think; the client decides how long it waits.
        timeout = httpx.Timeout(None, connect=10)
        async with httpx.AsyncClient(timeout=timeout, verify=authorities()) as client:
            app.state.client = client
            yield

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[Route("/{path:path}", relay.answer, methods=methods)], lifespan=lifespan
    )


def authorities() -> ssl.SSLContext | bool:
    """The certificates that the lesson's own code would trust, which uses `requests`."""
    own = os.environ.get("REQUESTS_CA_BUNDLE")
    return ssl.create_default_context(cafile=own) if own else True


def quiet(app: Starlette) -> Any:
    """Where a client leaves before its answer is there, nothing is wrong."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(ClientDisconnect):
            await app(scope, receive, send)

    return served
