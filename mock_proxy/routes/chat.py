"""``/chat/completions``, whole or streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Body, Call, Caller, Choice, Piece, Proxy, Ready, Reply, Stream
from ..litellm import wire
from .asking import Form, ask, usage_of, wants_usage


async def complete(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return await ask(request, proxy, caller, FORM)


def read(body: Body, group: str) -> Body:
    return {**body, "model": group}


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    """The whole answer, its fields in LiteLLM's order."""
    body: dict[str, Any] = {
        "id": call.id,
        "created": call.created,
        "model": call.group,
        "object": "chat.completion",
        "system_fingerprint": reply.said.get("system_fingerprint"),
        "choices": [_choice(i, choice) for i, choice in enumerate(reply.choices)],
        "usage": usage_of(reply),
    }
    if "service_tier" in reply.said:
        body["service_tier"] = reply.said["service_tier"]
    return body


def _choice(index: int, choice: Choice) -> dict[str, Any]:
    refusal = {"provider_specific_fields": {"refusal": choice.refusal}}
    message: dict[str, Any]
    if choice.tool_calls:
        calls = [wire.tool_call(made) for made in choice.tool_calls]
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


async def events(call: Call, stream: Stream) -> AsyncIterator[bytes]:
    said = stream.reply().said
    async for piece in stream.pieces():
        yield wire.event(piece if isinstance(piece, Ready) else _chunk(call, piece, said))
    if wants_usage(call):
        yield wire.event(_usage_chunk(call, stream.reply()))


def _chunk(call: Call, choices: Piece, said: dict[str, Any], **more: Any) -> dict[str, Any]:
    chunk: dict[str, Any] = {
        "id": call.id,
        "created": call.created,
        "model": call.group,
        "object": "chat.completion.chunk",
    }
    if "system_fingerprint" in said:
        chunk["system_fingerprint"] = said["system_fingerprint"]
    chunk |= {"choices": choices, **more}
    if "service_tier" in said:
        chunk["service_tier"] = said["service_tier"]
    return chunk


def _usage_chunk(call: Call, reply: Reply) -> dict[str, Any]:
    """The last chunk, which unlike OpenAI's keeps one choice."""
    usage, price = usage_of(reply), call.price(reply)
    if price is not None:
        usage["cost"] = sum(price)
    return _chunk(call, [{"index": 0, "delta": {}}], reply.said, usage=usage)


FORM = Form(
    "/chat/completions",
    needs=("messages",),
    read=read,
    body=body_of,
    events=events,
    is_checked=True,
)
