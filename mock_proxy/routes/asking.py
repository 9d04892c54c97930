"""The one way of every request that asks a model: let in, answered, paid for."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ..call import (
    COOLDOWN,
    DEFAULT_TIMEOUT,
    Body,
    Call,
    Caller,
    Instead,
    Proxy,
    Reply,
    Stream,
    max_tokens,
    unasked_limit,
)
from ..config import Model
from ..keys.store import OverBudget, OverLimit
from ..litellm import checks, reasoning, tokens, wire
from ..litellm import version as versions
from ..litellm.wire import JSON, ProxyError


async def _reply(call: Call) -> Reply:
    return await call.maker.reply(call)


def _as_it_is(error: ProxyError, call: Call | None) -> ProxyError:
    return error


def _broken_off(error: ProxyError) -> bytes:
    return wire.event({"error": error.error})


@dataclass(frozen=True)
class Form:
    """What differs between the routes that ask a model."""

    name: str
    """As it stands in error texts, such as ``/chat/completions``."""
    needs: tuple[str, ...]
    """Parameters without which LiteLLM asks no model."""
    read: Callable[[Body, str], Body]
    """The request, to a model of this name, as the makers take it."""
    body: Callable[[Call, Reply], Any]
    """The whole answer."""
    events: Callable[[Call, Stream], AsyncIterator[bytes]] | None = None
    """The answer as server-sent events, if it may be streamed."""
    end: bytes = wire.DONE
    """What follows them when all is paid."""
    make: Callable[[Call], Awaitable[Reply]] = _reply
    takes_null: bool = False
    """Whether null is enough for what it needs."""
    is_checked: bool = False
    """Whether LiteLLM looks at its parameters itself."""
    names_version: bool = False
    """Whether its errors carry ``x-litellm-version``."""
    default_timeout: float = DEFAULT_TIMEOUT
    left_out: tuple[str, ...] = ()
    """Beginnings of headers that its answers lack."""
    left_out_of_streams: tuple[str, ...] = ()
    error: Callable[[ProxyError, Call | None], ProxyError] = _as_it_is
    """An error in this form; the call is None if the request was not let in."""
    broken_off: Callable[[ProxyError], bytes] = _broken_off
    """The event with an error that came in the middle of a stream; LiteLLM ends with it."""


async def ask(request: Request, proxy: Proxy, caller: Caller, form: Form) -> Response:
    """The answer to a request in this form, or ProxyError."""
    return await unless_gone(request, _ask(request, proxy, caller, form))


async def _ask(request: Request, proxy: Proxy, caller: Caller, form: Form) -> Response:
    call: Call | None = None
    try:
        async with let_in(request, proxy, caller, form) as call:
            return await _of_some_model(proxy, call, form)
    except Instead as instead:
        return instead.response
    except ProxyError as error:
        raise form.error(error, call) from None


async def _of_some_model(proxy: Proxy, call: Call, form: Form) -> Response:
    """The model's answer, or, if it fails, that of the first of its fallbacks that does not."""
    try:
        return await _attempt(proxy, call, form)
    except ProxyError as error:
        others = checks.fallbacks(call.body, call.group)
        if not others:
            raise
        errors = [error]
    for name, body in others:
        try:
            return await _attempt(proxy, proxy.instead(call, name, body), form)
        except ProxyError as error:
            errors.append(error)
    raise wire.fallbacks_failed(errors[0], call.group, [name for name, _ in others], errors[1])


async def _attempt(proxy: Proxy, call: Call, form: Form) -> Response:
    proxy.refuse_cooling(call)
    if form.is_checked:
        checks.check(call.body, call.model)
    reasoning.check(call.body, call.model, form.name)
    checks.at_first(call.model, call.group, call.caller.key)
    await asyncio.sleep(float(call.model.params.get("mock_delay") or 0))
    try:
        return await _answer(call, form)
    except ProxyError as error:
        if error.cools_down:
            proxy.cooling[call.model.id] = time.monotonic() + COOLDOWN
        raise


async def _answer(call: Call, form: Form) -> Response:
    if not call.is_stream:
        return whole(call, form, await form.make(call))
    stream = await call.maker.stream(call)
    reply = stream.reply()
    if reply.body is not None:
        return whole(call, form, reply)
    headers = call.headers(reply, is_stream=True)
    left_out = form.left_out + form.left_out_of_streams
    headers = {name: text for name, text in headers.items() if not name.startswith(left_out)}
    return Events(Open(call, stream), events(call, form, stream), headers)


def whole(call: Call, form: Form, reply: Reply) -> Response:
    """An answer in one piece, paid for."""
    response = JSON(form.body(call, reply) if reply.body is None else reply.body)
    headers = call.headers(reply)
    headers = {name: text for name, text in headers.items() if not name.startswith(form.left_out)}
    # Not headers.update, which looks through all headers for each new one.
    response.raw_headers += wire.raw(headers)
    call.settle(reply)
    return response


async def events(call: Call, form: Form, stream: Stream) -> AsyncIterator[bytes]:
    """The answer as server-sent events, paid for at its end."""
    assert form.events is not None
    try:
        async for event in form.events(call, stream):
            yield event
            await asyncio.sleep(0)  # lets other requests, and a client's leaving, be noticed
    except ProxyError as error:
        call.admission.close()
        yield form.broken_off(error)
        if form.end and versions.current().ends_broken_stream:
            yield form.end
        return
    call.settle(stream.reply())
    if form.end:
        yield form.end


class Closing(Protocol):
    async def close(self) -> None: ...


class Open:
    """A stream on its way. Whoever leaves it half-way pays for the prompt and what was made:
    a provider wants its money all the same."""

    def __init__(self, call: Call, stream: Stream) -> None:
        self._call, self._stream = call, stream

    async def close(self) -> None:
        try:
            await self._stream.close()
        finally:
            self._call.settle(self._stream.reply())


class Events(StreamingResponse):
    """Closes what makes the events, however this answer ends: even where it never began."""

    def __init__(
        self, source: Closing, events: AsyncIterator[bytes], headers: wire.Headers
    ) -> None:
        self._source = source
        super().__init__(
            events,
            headers={**headers, "cache-control": "no-cache", "x-accel-buffering": "no"},
            media_type="text/event-stream",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._source.close()


@contextlib.asynccontextmanager
async def let_in(request: Request, proxy: Proxy, caller: Caller, form: Form) -> AsyncIterator[Call]:
    """Let the request in, and give errors on the way to its answer their headers.

    LiteLLM's order: the model's type, the key's limits, the needed parameters, the model.
    With an error, what was let in is closed unpaid. Who leaves pays for the prompt.
    """
    timeout: float | None = None
    model: Model | None = None
    admission = None
    call: Call | None = None
    try:
        body = caller.body
        name = request.path_params.get("model") or body.get("model")
        if name is not None and not isinstance(name, str):
            raise wire.model_is_no_text()
        model = proxy.config.find(caller.key.meant_by(name)) if name else None
        reserve = _reserve(body, caller.key.smallest_tpm_limit(name))
        admission = caller.key.admit(name or "", reserve)
        for parameter in form.needs:
            if body.get(parameter) is None and not (form.takes_null and parameter in body):
                raise wire.missing_parameter(form.name, parameter)
        checks.refuse_mock_testing(body)
        if name is None or model is None:
            raise wire.unknown_model(form.name, name)
        timeout = float(model.params.get("timeout") or form.default_timeout)
        call = Call(
            caller,
            form.read(body, name),
            form.events is not None and body.get("stream") is True,
            model,
            name,
            proxy.maker_for(model),
            admission,
            proxy.use(model),
            form.name,
            proxy.log,
        )
        if caller.key.max_budget is not None:
            # One answer may cost more than what is left; a hundred at once must fit.
            admission.reserve(call.most_cost(), must_fit=call.answers > 1)
        yield call
    except OverBudget as over:
        if admission is not None:
            admission.close()
        raise wire.over_budget(caller.key, over.current, over.estimate) from None
    except OverLimit as limit:
        error = wire.over_limit(limit)
        error.headers |= wire.error_headers(
            caller.key, caller.call_id, model, version=form.names_version
        )
        raise error from None
    except BaseException as error:
        if call is not None and isinstance(error, asyncio.CancelledError):
            call.settle_left()
        if admission is not None:
            admission.close()
        if isinstance(error, ProxyError):
            error.headers |= wire.error_headers(
                caller.key, caller.call_id, model, version=form.names_version, timeout=timeout
            )
        raise


def _reserve(body: Body, tpm_limit: int | None) -> int:
    """Tokens that LiteLLM sets aside for a request before it knows better."""
    if tpm_limit is None:
        return 0
    messages = body.get("messages")
    text = "".join(
        tokens.text_of(m.get("content"))
        for m in (messages if isinstance(messages, list) else [])
        if isinstance(m, dict)
    )
    prompt = max(1, len(text) // 4)
    most = max_tokens(body)
    return prompt + (most if most is not None else max(prompt, unasked_limit(tpm_limit)))


T = TypeVar("T")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work, but no longer than the client waits: nobody reads what comes of it then.

    The body has been read, so what comes next is the client's leaving.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


# --- what several forms have in common --------------------------------------------------------


def usage_of(reply: Reply) -> dict[str, Any]:
    """The tokens, with such details as the provider gives."""
    return {
        **wire.usage(reply.prompt_tokens, reply.completion_tokens),
        **reply.said.get("usage", {}),
    }


def wants_usage(call: Call) -> bool:
    """Whether a stream is to end with the tokens that it used."""
    options = call.body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def streamed_with_usage(body: Body) -> Body:
    """As LiteLLM asks for a stream in a form that reports the tokens at its end."""
    if body.get("stream") is not True:
        return {}
    return {"stream": True, "stream_options": {"include_usage": True}}


Part = tuple[Literal["text", "tool", "arguments", "end"], int, Any]


async def parts_of(stream: Stream) -> AsyncIterator[Part]:
    """The first answer as it comes, for forms that know one answer alone.

    A piece of its text; the ``{"id", "name"}`` of a tool that is called; a piece of the arguments
    for the tool of this number; or why it ended.
    """
    called: set[int] = set()
    async for piece in stream.pieces():
        for choice in piece if isinstance(piece, list) else ():
            if choice["index"] != 0:
                continue
            delta = choice["delta"]
            if isinstance(delta.get("content"), str) and delta["content"]:
                yield "text", 0, delta["content"]
            calls = delta.get("tool_calls")
            for made in calls if isinstance(calls, list) else ():
                if not isinstance(made, dict) or not isinstance(made.get("function"), dict):
                    continue
                at, function = made.get("index") or 0, made["function"]
                if at not in called:
                    called.add(at)
                    name = str(function.get("name") or "")
                    yield (
                        "tool",
                        at,
                        {"id": str(made.get("id") or wire.new_id("call_"))} | {"name": name},
                    )
                if isinstance(function.get("arguments"), str) and function["arguments"]:
                    yield "arguments", at, function["arguments"]
            if choice.get("finish_reason"):
                yield "end", 0, str(choice["finish_reason"])
