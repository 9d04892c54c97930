"""``/chat/completions``, whole or streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Body, Call, Caller, Choice, Piece, Proxy, Ready, Reply, Stream
from ..litellm import version as versions
from ..litellm import wire
from .asking import Form, ask, usage_of, wants_usage


async def complete(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return await ask(request, proxy, caller, FORM)


def read(body: Body, group: str) -> Body:
    return {**body, "model": group}


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    """The whole answer, its fields in LiteLLM's order."""
    body: dict[str, Any] = {
        "id": reply.said.get("id", call.id),
        "created": reply.said.get("created", call.created),
        # Only the name that was asked for is put in the place of the provider's.
        "model": reply.said.get("model", call.group) if call.fallbacks else call.group,
        "object": "chat.completion",
    }
    if reply.said.get("system_fingerprint") is not None:
        body["system_fingerprint"] = reply.said["system_fingerprint"]
    body["choices"] = [_choice(i, choice) for i, choice in enumerate(reply.choices)]
    body["usage"] = usage_of(reply)
    if "service_tier" in reply.said:
        body["service_tier"] = reply.said["service_tier"]
    if "prompt_filter_results" in reply.said:
        body["prompt_filter_results"] = reply.said["prompt_filter_results"]
    return body


def _choice(index: int, choice: Choice) -> dict[str, Any]:
    in_message = versions.current().has_refusal_in_message
    specific = {} if in_message else {"provider_specific_fields": {"refusal": choice.refusal}}
    message: dict[str, Any]
    if choice.tool_calls:
        calls = [wire.tool_call(made) for made in choice.tool_calls]
        message = {"role": "assistant", "tool_calls": calls, **specific}
        if choice.annotations is not None:
            message["annotations"] = choice.annotations
        message["content"] = choice.text
    else:
        annotations = choice.annotations or []
        message = {
            **{"content": choice.text, "role": "assistant"},
            **specific,
            "annotations": annotations,
        }
    if in_message:
        message["refusal"] = choice.refusal
    body: dict[str, Any] = {
        "finish_reason": choice.finish_reason,
        "index": index,
        "message": {**message, **choice.more},
    }
    if choice.logprobs is not None and not in_message:
        body["logprobs"] = choice.logprobs
    body["provider_specific_fields"] = choice.told
    if in_message:
        body["logprobs"] = choice.logprobs
    return body


async def events(call: Call, stream: Stream) -> AsyncIterator[bytes]:
    said = stream.reply().said
    is_first = True
    async for piece in stream.pieces():
        if isinstance(piece, Ready):
            yield wire.event(piece)
            continue
        choices = _once(piece, is_first=is_first)
        if choices or not piece:  # Azure begins with a piece without choices
            yield wire.event(_chunk(call, choices, said))
            is_first = is_first and not piece
    if wants_usage(call):
        yield wire.event(_usage_chunk(call, stream.reply()))


def _once(piece: Piece, *, is_first: bool) -> Piece:
    """The piece as LiteLLM hands it on: of several answers only the first one's end is told, and
    who speaks is told only at the beginning."""
    choices = [one for one in piece if not (one["index"] and "finish_reason" in one)]
    if is_first:
        return choices
    for choice in choices:
        if choice["delta"].pop("role", None) and choice["delta"].get("content") == "":
            del choice["delta"]["content"]
    return [one for one in choices if one["delta"] or "finish_reason" in one or len(one) > 2]


def _chunk(call: Call, choices: Piece, said: dict[str, Any], **more: Any) -> dict[str, Any]:
    chunk: dict[str, Any] = {
        "id": said.get("id", call.id),
        "created": call.created,
        "model": call.group,
        "object": "chat.completion.chunk",
    }
    if said.get("system_fingerprint") is not None:
        chunk["system_fingerprint"] = said["system_fingerprint"]
    chunk |= {"choices": choices, **more}
    if "service_tier" in said:
        chunk["service_tier"] = said["service_tier"]
    return chunk


def _usage_chunk(call: Call, reply: Reply) -> dict[str, Any]:
    """The last chunk. LiteLLM does not count what a canned answer without a text has used."""
    usage, price = usage_of(reply), call.price(reply)
    if price is not None:
        usage["cost"] = sum(price)
    choices = [{"index": 0, "delta": {}}] if versions.current().usage_chunk_has_choice else []
    counted = {} if call.model.is_canned and not reply.completion_tokens else {"usage": usage}
    return _chunk(call, choices, reply.said, **counted)


FORM = Form(
    "/chat/completions",
    needs=("messages",),
    read=read,
    body=body_of,
    events=events,
    is_checked=True,
)
