"""``/chat/completions``: from a request that was let in to its answer, whole or streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from ..call import Call, Choice, Proxy, Reply, Route, answering, make_reply
from ..litellm import tokens, wire
from ..litellm.wire import JSON
from . import failures
from .auth import Caller

if TYPE_CHECKING:
    from ..upstream.relay import Streaming

CANNED_PIECE = 3
"""Characters in a piece of a canned stream."""


ROUTE = Route("/chat/completions", needs=("messages",))


async def complete(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """The answer to a chat request, or ProxyError."""
    async with answering(request, proxy, caller, ROUTE) as call:
        is_stream = caller.body.get("stream") is True
        body = {**caller.body, "model": call.group}
        failures.check(body, call.model, relayed=call.relay is not None)
        await failures.on_demand(call.model, call.group, call.caller.key, is_stream=is_stream)
        await asyncio.sleep(float(call.model.params.get("mock_delay") or 0))
        relayed = await call.relay.stream(call) if is_stream and call.relay is not None else None
        if relayed is not None:
            return relayed.response(call, _relayed_chunks(call, relayed))
        reply = await make_reply(call)
        broken = failures.mid_stream(call.model) if is_stream else None
        if broken is not None:
            call.admission.close()
            return JSON(
                {"error": broken.error}, broken.status, headers=call.headers(reply, is_stream=True)
            )
        if is_stream:
            return streamed(call, reply, stream(call, reply))
        return whole(call, reply, body_of(call, reply))


def whole(call: Call, reply: Reply, body: Any) -> Response:
    """An answer in one piece, paid for."""
    response = JSON(body)
    # Not headers.update, which looks through all headers for each new one.
    response.raw_headers += wire.raw(call.headers(reply))
    call.settle(reply)
    return response


def streamed(call: Call, reply: Reply, events: AsyncIterator[bytes]) -> Response:
    """An answer in events; whoever makes the events settles."""
    headers = call.headers(reply, is_stream=True)
    return StreamingResponse(
        events,
        headers={**headers, "cache-control": "no-cache", "x-accel-buffering": "no"},
        media_type="text/event-stream",
    )


# --- bodies -----------------------------------------------------------------------------------


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    """The whole answer, its fields in LiteLLM's order; a provider's has more than a canned one."""
    canned = call.model.is_canned
    body: dict[str, Any] = {
        "id": call.id,
        "created": call.created,
        "model": call.group,
        "object": "chat.completion",
    }
    said = said_of(call, reply.said)
    if not canned:
        body["system_fingerprint"] = said["system_fingerprint"]
    choice_body = _canned_choice if canned else _provider_choice
    body["choices"] = [choice_body(i, choice) for i, choice in enumerate(reply.choices)]
    body["usage"] = usage_of(call, reply)
    if not canned and "service_tier" in said:
        body["service_tier"] = said["service_tier"]
    return body


def said_of(call: Call, said: dict[str, Any] | None) -> dict[str, Any]:
    """What the provider says of its state: the upstream's words, or those made up for the rules."""
    if said is not None:
        return said
    return {"system_fingerprint": wire.fingerprint(call.model), "service_tier": "default"}


def usage_of(call: Call, reply: Reply) -> dict[str, Any]:
    """The tokens; an upstream's details are handed on, and none are made up for it."""
    counted = (reply.prompt_tokens, reply.completion_tokens)
    if reply.said is None:
        return wire.usage(*counted, canned=call.model.is_canned)
    return {**wire.usage(*counted, canned=True), **reply.said.get("usage", {})}


def _canned_choice(index: int, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"content": choice.text, "role": "assistant"}
    if choice.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in choice.tool_calls]
    return {"finish_reason": choice.finish_reason, "index": index, "message": message}


def _provider_choice(index: int, choice: Choice) -> dict[str, Any]:
    refusal = {"provider_specific_fields": {"refusal": choice.refusal}}
    message: dict[str, Any]
    if choice.tool_calls:
        calls = [_tool_call(call) for call in choice.tool_calls]
        message = {"role": "assistant", "tool_calls": calls, **refusal, "content": choice.text}
    else:
        message = {"content": choice.text, "role": "assistant", **refusal, "annotations": []}
    body: dict[str, Any] = {
        "finish_reason": choice.finish_reason,
        "index": index,
        "message": {**message, **choice.more},
    }
    if choice.logprobs is not None:
        body["logprobs"] = choice.logprobs
    return {**body, "provider_specific_fields": {}}


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    return {
        "function": {"arguments": function.get("arguments", "{}"), "name": function.get("name")},
        "id": call.get("id"),
        "type": call.get("type", "function"),
    }


# --- streams ----------------------------------------------------------------------------------


async def stream(call: Call, reply: Reply) -> AsyncIterator[bytes]:
    """The answer as server-sent events. What was not sent, as the client left, costs nothing."""
    try:
        for chunk in _chunks(call, reply):
            yield wire.event(chunk)
            await asyncio.sleep(0)  # lets other requests, and a client's leaving, be noticed
        call.settle(reply)
        yield wire.DONE
    finally:
        call.admission.close()


def _chunks(call: Call, reply: Reply) -> Iterator[dict[str, Any]]:
    if call.model.is_canned and len(reply.choices) > 1:
        yield from _canned_chunks_of_several(call, reply)
    else:
        yield from _chunks_in_step(call, reply)
    if call.model.is_canned:
        yield _canned_chunk(call, [{"index": 0, "delta": {}, "finish_reason": "stop"}])
    else:
        for index, choice in enumerate(reply.choices):
            end = {"finish_reason": choice.finish_reason, "index": index, "delta": {}}
            yield _provider_chunk(call, [end])
    if wants_usage(call):
        yield _usage_chunk(call, reply)


async def _relayed_chunks(call: Call, relayed: Streaming) -> AsyncIterator[dict[str, Any]]:
    """An upstream's pieces as they come."""
    async for choices in relayed.choices():
        yield _provider_chunk(call, choices, relayed.said)
    if wants_usage(call):
        yield _usage_chunk(call, relayed.reply())


def wants_usage(call: Call) -> bool:
    """Whether a stream is to end with the tokens that it used."""
    options = call.body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


def _chunks_in_step(call: Call, reply: Reply) -> Iterator[dict[str, Any]]:
    """The answers' parts, the first of all of them first."""
    make = _canned_chunk if call.model.is_canned else _provider_chunk
    deltas = [_deltas(call, choice) for choice in reply.choices]
    for at in range(max(map(len, deltas), default=0)):
        parts = [
            {"index": index, "delta": of_choice[at]}
            for index, of_choice in enumerate(deltas)
            if at < len(of_choice)
        ]
        yield make(call, parts)


def _deltas(call: Call, choice: Choice) -> list[dict[str, Any]]:
    """An answer's parts as a stream brings them; the first says whose they are."""
    if choice.tool_calls and not call.model.is_canned:
        return _tool_deltas(choice)
    pieces = pieces_of(call, choice)
    deltas: list[dict[str, Any]] = [{"content": piece} for piece in pieces]
    if deltas:
        role = {"role": "assistant"}
        deltas[0] = role | deltas[0] if call.model.is_canned else deltas[0] | role
    return deltas


def _canned_chunks_of_several(call: Call, reply: Reply) -> Iterator[dict[str, Any]]:
    """A canned stream of several answers, whose form differs from that of one.

    LiteLLM 1.106.2 orders the fields otherwise, names the role in each piece of every answer
    but the first, and ends once, for the first.
    """
    pieces = pieces_of(call, reply.choices[0])
    for at, piece in enumerate(pieces):
        named = {"content": piece, "role": "assistant"}
        deltas = [
            named if index or not at else {"content": piece} for index in range(len(reply.choices))
        ]
        yield {
            "id": call.id,
            "created": call.created,
            "model": call.group,
            "object": "chat.completion.chunk",
            "choices": [{"index": index, "delta": delta} for index, delta in enumerate(deltas)],
        }


def _tool_deltas(choice: Choice) -> list[dict[str, Any]]:
    """The calls of tools, each first named, then its arguments in pieces."""
    deltas: list[dict[str, Any]] = []
    for index, made in enumerate(choice.tool_calls):
        function = made["function"]
        named = {"arguments": "", "name": function["name"]}
        start = {"id": made["id"], "function": named, "type": "function", "index": index}
        deltas.append({"tool_calls": [start]})
        for piece in tokens.split(function["arguments"]):
            part = {"function": {"arguments": piece}, "type": "function", "index": index}
            deltas.append({"tool_calls": [part]})
    deltas[0] = {"role": "assistant", **deltas[0]}
    return deltas


def pieces_of(call: Call, choice: Choice) -> list[str]:
    """The answer's text as it is streamed."""
    text = choice.text or ""
    if call.model.is_canned:
        return [text[i : i + CANNED_PIECE] for i in range(0, len(text), CANNED_PIECE)]
    return ["", *tokens.split(text)]


def _canned_chunk(call: Call, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": call.id,
        "object": "chat.completion.chunk",
        "created": call.created,
        "model": call.group,
        "choices": choices,
    }


def _provider_chunk(
    call: Call, choices: list[dict[str, Any]], said: dict[str, Any] | None = None
) -> dict[str, Any]:
    said = said_of(call, said)
    chunk = {
        "id": call.id,
        "created": call.created,
        "model": call.group,
        "object": "chat.completion.chunk",
        "system_fingerprint": said["system_fingerprint"],
        "choices": choices,
    }
    if "service_tier" in said:
        chunk["service_tier"] = said["service_tier"]
    return chunk


def _usage_chunk(call: Call, reply: Reply) -> dict[str, Any]:
    """The last chunk, which unlike OpenAI's keeps one choice."""
    canned, said = call.model.is_canned, said_of(call, reply.said)
    usage = usage_of(call, reply)
    if canned:
        usage["completion_tokens_details"] = {
            "reasoning_tokens": 0,
            "text_tokens": reply.completion_tokens,
        }
    price = call.price(reply)
    if price is not None:
        usage["cost"] = sum(price)
    chunk: dict[str, Any] = {
        "id": call.id,
        "created": call.created,
        "model": call.group,
        "object": "chat.completion.chunk",
    }
    if not canned:
        chunk["system_fingerprint"] = said["system_fingerprint"]
    chunk |= {"choices": [{"index": 0, "delta": {}}], "usage": usage}
    if not canned and "service_tier" in said:
        chunk["service_tier"] = said["service_tier"]
    return chunk
