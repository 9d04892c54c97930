"""Answers from another server: any that speaks OpenAI's API, or a recording of one.

Keys, budgets, limits, the order of checks and the form of answers stay this proxy's. The other
server, the upstream, gets the request without the learner's key, and makes the answer.
"""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import orjson

from ..call import Call, Maker, Piece, Reply, Stream
from ..config import Model
from ..litellm import provider, tokens, wire
from ..litellm.wire import ProxyError
from .forms import (
    CHAT,
    EMBEDDINGS,
    Request,
    chat_of,
    failed_inside,
    items,
    mapping,
    number,
    piece,
    reply_of,
    said_by,
    sent_on,
    timeout_of,
)

CONNECTING = 10.0
"""Seconds at most until the upstream accepts a connection."""

IDLE = 3.0
"""Seconds that an unused connection is kept. Uvicorn, on which many local servers run, closes it
after 5; a request that is sent just then would fail."""

SHORTEST_SECRET = 8
"""Keys with fewer characters are not searched for; local servers accept ``none`` as a key."""


BY_RULES = {"x-practice-proxy-answer": "rules"}
"""Marks an answer of the rules where others come from a recording."""

LOG = logging.getLogger(__name__)
"""For whoever started the proxy. Learners see no more than LiteLLM would show them."""


class NotRecorded(ProxyError):
    """A recording does not hold this request."""


class Recorder(Protocol):
    def keep(self, request: Request, upstream_model: str, answered: dict[str, Any]) -> None:
        """Keep ``{"answer": body}``, with the ``status`` of an error, or ``{"pieces": […]}``."""


class Relay:
    """The maker of answers for some models of a configuration.

    ``names`` says what the upstream calls each. ``transport`` answers in place of the network.
    """

    def __init__(
        self,
        url: str,
        names: Mapping[str, str],
        *,
        key: str | None = None,
        recorder: Recorder | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        else_practice: bool = False,
    ) -> None:
        self.url, self.names, self._key = url, dict(names), key
        self._recorder, self.else_practice = recorder, else_practice
        self.asks_others = transport is None
        headers = {"accept-encoding": "identity", "content-type": "application/json"}
        if key:
            headers["authorization"] = f"Bearer {key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            limits=httpx.Limits(max_connections=None, keepalive_expiry=IDLE),
            # Cookies set for one learner must not reach the next.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            # A server on this machine is not reached through a network's HTTP_PROXY.
            trust_env=not _is_here(url),
            transport=transport,
        )

    def serves(self, model: Model) -> bool:
        return model.name in self.names and not model.is_canned

    async def close(self) -> None:
        await self._client.aclose()

    def or_else(self, rules: Maker) -> Maker:
        """Who answers what this relay serves: with ``--else-practice``, the rules help out."""
        return OrElse(self, rules) if self.else_practice else self

    async def reply(self, call: Call) -> Reply:
        """The upstream's answer to a chat."""
        body = {name: value for name, value in chat_of(call).items() if name != "stream"}
        response, request = await self._send(call, CHAT, body)
        answer = await self._whole(call, response, request)
        return reply_of(call, answer, self.headers_of(response))

    async def stream(self, call: Call) -> Streaming:
        """The upstream's answer as it comes, once its first piece is there."""
        response, request = await self._send(call, CHAT, chat_of(call))
        streaming = Streaming(self, call, response, request)
        try:
            await streaming.start()
        except BaseException:
            await streaming.close()
            raise
        return streaming

    async def vectors(self, call: Call) -> Reply:
        """The vectors as the upstream sent them, numbers or packed, and what they cost."""
        response, request = await self._send(call, EMBEDDINGS, call.body)
        answer = await self._whole(call, response, request)
        try:
            vectors = tuple(item["embedding"] for item in answer["data"])
        except (KeyError, TypeError):
            raise provider.unreadable(call.group, "Invalid response object") from None
        used = number(mapping(answer.get("usage")).get("prompt_tokens"))
        used = tokens.count_inputs(call.body["input"]) if used is None else used
        headers = self.headers_of(response)
        return Reply((), used, 0, headers=headers, made_here=False, vectors=vectors)

    async def _send(
        self, call: Call, path: str, body: Mapping[str, Any]
    ) -> tuple[httpx.Response, Request]:
        """The upstream's answer with its body unread, if it is one, or ProxyError."""
        request = Request(path, call.group, sent_on(body))
        timeout = timeout_of(call)
        started = time.perf_counter()
        made = self._client.build_request(
            "POST",
            self.url + path,
            content=wire.python_json({"model": self.name_of(call), **request.body}),
            timeout=httpx.Timeout(timeout, connect=min(timeout, CONNECTING), pool=None),
            extensions={"asked": request, "key": call.caller.key},
        )
        with failing(call, timeout, started):
            response = await self._client.send(made, stream=True)
        if response.is_success:
            return response, request
        content = await self._read(call, response)
        text = content.decode("utf-8", "replace")
        if response.status_code in (400, 422):  # the request is at fault, and would be again
            self.record(call, request, {"status": response.status_code, "answer": text})
        headers = self.headers_of(response)
        raise provider.failure(response.status_code, text, headers, call.group, call.route)

    async def _whole(self, call: Call, response: httpx.Response, request: Request) -> Any:
        body = self.parsed(call, await self._read(call, response))
        if not isinstance(body, dict):
            raise provider.unreadable(call.group, "Invalid response object")
        self.record(call, request, {"answer": body})
        return body

    async def _read(self, call: Call, response: httpx.Response) -> bytes:
        try:
            with failing(call, timeout_of(call), time.perf_counter()):
                return self.hide(await response.aread())
        finally:
            await response.aclose()

    def parsed(self, call: Call, content: bytes) -> Any:
        """The JSON, or LiteLLM's error if it is not JSON."""
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as error:
            problem: ValueError = error
        try:
            json.loads(content)
        except ValueError as error:  # in the words that LiteLLM passes on
            problem = error
        raise provider.unreadable(call.group, problem)

    def hide(self, content: bytes) -> bytes:
        """The upstream's words without its key, which it may repeat."""
        if self._key is None or len(self._key) < SHORTEST_SECRET:
            return content
        return content.replace(self._key.encode(), b"sk-...")

    def headers_of(self, response: httpx.Response) -> wire.Headers:
        """The upstream's headers to hand on; a header of ours holds Latin-1 alone."""
        return {
            name: self.hide(text.encode("latin-1", "replace")).decode("latin-1")
            for name, text in provider.handed_on(response.headers).items()
        }

    def name_of(self, call: Call) -> str:
        """What the upstream calls the model."""
        name = self.names[call.model.name]
        return call.group if "*" in name else name

    def record(self, call: Call, request: Request, answered: dict[str, Any]) -> None:
        if self._recorder is not None:
            self._recorder.keep(request, self.name_of(call), answered)


class Streaming:
    """An upstream's answer while it comes."""

    def __init__(
        self, relay: Relay, call: Call, response: httpx.Response, request: Request
    ) -> None:
        self._relay, self._call, self._response, self._request = relay, call, response, request
        self._events = self._read()
        self._first: dict[str, Any] | None = None
        self._pieces: list[Any] = []
        self._texts: dict[int, str] = {}
        self._arguments: dict[int, str] = {}
        """For each answer, the arguments of all its tool calls, joined."""
        self._usage: dict[str, Any] = {}
        self._ended = False
        self.said: dict[str, Any] = {}

    async def start(self) -> None:
        """Wait for the first piece: a failure before it is reported as for a whole answer."""
        self._first = await anext(self._events, None)
        self.said = said_by(self._first or {})

    async def pieces(self) -> AsyncIterator[Piece]:
        """The pieces of the answers, as LiteLLM writes them."""
        event = self._first
        while event is not None:
            choices = [piece(choice) for choice in items(event.get("choices"))]
            # LiteLLM's own last piece, with the usage, holds a choice that says nothing.
            choices = [choice for choice in choices if choice["delta"] or len(choice) > 2]
            for choice in choices:
                self._note(choice)
            if choices:
                yield choices
            event = await anext(self._events, None)
        self._relay.record(self._call, self._request, {"pieces": self._pieces})

    def reply(self) -> Reply:
        choices = [
            {"message": {"content": text, "tool_calls": _called_with(self._arguments[index])}}
            for index, text in self._texts.items()
        ]
        body = {**self.said, "choices": choices or [{}], "usage": self._usage}
        return reply_of(self._call, body, self._relay.headers_of(self._response))

    async def close(self) -> None:
        """Tell the upstream to stop, if it has not."""
        await self._events.aclose()
        await self._response.aclose()

    async def _read(self) -> AsyncGenerator[dict[str, Any], None]:
        """The data of each event, to the end of the stream."""
        with failing(self._call, timeout_of(self._call), time.perf_counter()):
            async for data in _data(self._response):
                if data == b"[DONE]":
                    self._ended = True
                    continue  # to the end of the body, so that the connection can be kept
                event = self._relay.parsed(self._call, self._relay.hide(data))
                if not isinstance(event, dict):
                    raise provider.unreadable(self._call.group, "Invalid response object")
                if event.get("error"):
                    raise failed_inside(event, self._call.group)
                self._pieces.append(event)
                self._usage = mapping(event.get("usage")) or self._usage
                yield event
        if not self._ended:
            raise provider.unreachable(self._call.group)

    def _note(self, choice: dict[str, Any]) -> None:
        index, delta = choice["index"], choice["delta"]
        called = (mapping(made).get("function") for made in items(delta.get("tool_calls")))
        arguments = [mapping(function).get("arguments") for function in called]
        content = delta.get("content")
        text = content if isinstance(content, str) else ""
        self._texts[index] = self._texts.get(index, "") + text
        self._arguments[index] = self._arguments.get(index, "") + "".join(
            part for part in arguments if isinstance(part, str)
        )
        self._ended = self._ended or "finish_reason" in choice


def _called_with(arguments: str) -> list[dict[str, Any]]:
    return [{"function": {"arguments": arguments}}] if arguments else []


class OrElse:
    """A recording's answers, and those of another maker, marked, to what it does not hold."""

    def __init__(self, relay: Relay, other: Maker) -> None:
        self._relay, self._other = relay, other

    async def reply(self, call: Call) -> Reply:
        try:
            return await self._relay.reply(call)
        except NotRecorded:
            return replace(await self._other.reply(call), headers=BY_RULES)

    async def stream(self, call: Call) -> Stream:
        try:
            return await self._relay.stream(call)
        except NotRecorded:
            return Marked(await self._other.stream(call))

    async def vectors(self, call: Call) -> Reply:
        try:
            return await self._relay.vectors(call)
        except NotRecorded:
            return replace(await self._other.vectors(call), headers=BY_RULES)


class Marked:
    """A stream whose headers say that it comes from no recording."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.pieces, self.close = stream.pieces, stream.close

    def reply(self) -> Reply:
        return replace(self._stream.reply(), headers=BY_RULES)


@contextlib.contextmanager
def failing(call: Call, timeout: float, started: float) -> Iterator[None]:
    """Turn what fails on the way to the upstream into LiteLLM's errors."""
    try:
        yield
    except httpx.TimeoutException as problem:
        LOG.warning("The upstream did not answer in time (%s).", type(problem).__name__)
        own = call.model.params.get("timeout")
        deployed = None if own is None else float(own)
        seconds = time.perf_counter() - started
        raise provider.timed_out(call.group, timeout, seconds, deployed) from None
    except (httpx.HTTPError, httpx.StreamError) as problem:
        LOG.warning("The upstream cannot be reached (%s).", problem or type(problem).__name__)
        raise provider.unreachable(call.group) from None


async def _data(response: httpx.Response) -> AsyncIterator[bytes]:
    """The data of server-sent events. httpx's lines end at characters that JSON may hold."""
    unread = b""
    async for content in response.aiter_bytes():
        *lines, unread = (unread + content).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield line[5:].strip()
    if unread.startswith(b"data:"):
        yield unread[5:].strip()


def _is_here(url: str) -> bool:
    return (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")
