"""``/completions``: the older form, one text instead of messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Call, Choice, Proxy, Reply, Route, answering, make_reply
from ..litellm import tokens, wire
from ..litellm.wire import ProxyError
from . import failures
from .auth import Caller
from .chat import pieces_of, streamed, usage_of, wants_usage, whole

if TYPE_CHECKING:
    from ..upstream.relay import Streaming

ROUTE = Route("/completions", needs=("prompt",))


async def complete(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """The continuation of a text, or ProxyError. LiteLLM asks a chat model with one message."""
    try:
        async with answering(request, proxy, caller, ROUTE) as call:
            prompt = call.body["prompt"]
            if isinstance(prompt, list) and all(isinstance(part, str) for part in prompt):
                prompt = " ".join(prompt)
            if not isinstance(prompt, str):
                raise _unmapped(prompt, call.group)
            messages = [{"role": "user", "content": prompt}]
            call = replace(call, caller=replace(caller, body={**caller.body, "messages": messages}))
            is_stream = call.body.get("stream") is True
            body = {**call.body, "model": call.group}
            failures.check(body, call.model, relayed=call.relay is not None)
            await failures.on_demand(call.model, call.group, call.caller.key, is_stream=is_stream)
            await asyncio.sleep(float(call.model.params.get("mock_delay") or 0))
            if is_stream:
                return _without(NOT_IN_STREAMS, await _streamed(call))
            reply = await make_reply(call)
            return whole(call, reply, body_of(call, reply))
    except ProxyError as error:
        # Of its own headers LiteLLM 1.106.2 sends but one here; and it writes an unknown
        # model's error in a form of its own.
        error.headers = {
            name: text
            for name, text in error.headers.items()
            if name == "x-litellm-call-id" or name.startswith("llm_provider-")
        }
        if "provider_specific_fields" in error.error:
            message = f"400: {{'error': '{error.error['message']}'}}"
            plain = ProxyError(400, message, "None", "None", headers=error.headers)
            raise plain from None
        raise


NOT_IN_STREAMS = (
    "x-litellm-model-api-base",
    "x-litellm-response-cost",
    "x-litellm-callback",
    "x-litellm-overhead",
)
"""Headers that LiteLLM 1.106.2 leaves out of a streamed completion."""


async def _streamed(call: Call) -> Response:
    relayed = await call.relay.stream(call) if call.relay is not None else None
    if relayed is not None:
        return relayed.response(call, _relayed_chunks(call, relayed))
    reply = await make_reply(call)
    return streamed(call, reply, stream(call, reply))


def _without(names: tuple[str, ...], response: Response) -> Response:
    for name in list(response.headers):
        if name.startswith(names):
            del response.headers[name]
    return response


def _unmapped(prompt: Any, group: str) -> ProxyError:
    message = (
        "litellm.APIConnectionError: APIConnectionError: OpenAIException - Unmapped prompt format. "
        f"Your prompt is neither a list of strings nor a string. prompt={prompt}. "
        "File an issue - https://github.com/BerriAI/litellm/issues"
    )
    return wire.failed(500, message, group, None)


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    usage = usage_of(call, reply)
    for name in ("completion_tokens_details", "prompt_tokens_details"):
        known = usage.get(name)
        more = {"text_tokens": None, "image_tokens": None, "video_tokens": None}
        usage[name] = None if known is None else {**known, **more}
    return {
        "id": call.id,
        "object": "text_completion",
        "created": call.created,
        "model": call.group,
        "choices": [
            {
                "finish_reason": choice.finish_reason,
                "index": index,
                "text": choice.text,
                "logprobs": None,
            }
            for index, choice in enumerate(reply.choices)
        ],
        "usage": usage,
    }


async def stream(call: Call, reply: Reply) -> AsyncIterator[bytes]:
    """The answer as server-sent events; what the client did not wait for costs nothing."""
    try:
        for chunk in _chunks(call, reply):
            yield wire.event(chunk)
            await asyncio.sleep(0)
        call.settle(reply)
        yield wire.DONE
    finally:
        call.admission.close()


def _chunks(call: Call, reply: Reply) -> Iterator[dict[str, Any]]:
    first = reply.choices[0] if reply.choices else Choice("")
    for piece in pieces_of(call, first):
        yield _chunk(call, {"index": 0, "text": piece})
    yield _chunk(call, {"finish_reason": first.finish_reason, "index": 0})
    if wants_usage(call):
        yield _usage_chunk(call, reply)


async def _relayed_chunks(call: Call, relayed: Streaming) -> AsyncIterator[dict[str, Any]]:
    """The first answer's pieces as they come, and how it ended."""
    async for choices in relayed.choices():
        for choice in choices:
            if choice["index"] == 0 and "content" in choice["delta"]:
                yield _chunk(call, {"index": 0, "text": choice["delta"]["content"]})
            if choice["index"] == 0 and "finish_reason" in choice:
                yield _chunk(call, {"finish_reason": choice["finish_reason"], "index": 0})
    if wants_usage(call):
        yield _usage_chunk(call, relayed.reply())


def _chunk(call: Call, choice: dict[str, Any], **more: Any) -> dict[str, Any]:
    if not wants_usage(call):  # then each chunk carries an empty count (LiteLLM 1.106.2)
        more = {"usage": wire.usage(0, 0, canned=True)}
    return {
        "id": call.id,
        "object": "text_completion",
        "created": call.created,
        "model": call.group,
        "choices": [choice],
        **more,
    }


def _usage_chunk(call: Call, reply: Reply) -> dict[str, Any]:
    usage = wire.usage(reply.prompt_tokens, reply.completion_tokens, canned=True)
    usage["completion_tokens_details"] = {
        "reasoning_tokens": 0,
        "text_tokens": reply.completion_tokens,
    }
    price = call.price(reply)
    cost = {} if price is None else {"cost": sum(price)}
    return _chunk(call, {"index": 0}, usage={**usage, **cost})


async def count(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """``/utils/token_counter``: how many tokens a text or messages are."""
    body = caller.body
    problems = []
    if "model" not in body:
        problems.append(_problem("missing", "model", "Field required"))
    elif not isinstance(body["model"], str):
        problems.append(_problem("string_type", "model", "Input should be a valid string"))
    for name, kind, wanted in (("prompt", str, "string"), ("messages", list, "list")):
        if body.get(name) is not None and not isinstance(body[name], kind):
            problems.append(_problem(f"{wanted}_type", name, f"Input should be a valid {wanted}"))
    if problems:
        raise wire.Detail(422, problems)
    prompt, messages = body.get("prompt"), body.get("messages")
    if prompt is None and messages is None:
        raise wire.Detail(400, "prompt or messages or contents must be provided")
    total = tokens.count_messages(messages) if messages is not None else tokens.count(prompt or "")
    return wire.JSON(
        {
            "total_tokens": total,
            "request_model": body["model"],
            "model_used": body["model"],
            "tokenizer_type": "openai_tokenizer",
            "count_source": "local_estimate",
            "original_response": None,
            "error": False,
            "error_message": None,
            "status_code": None,
        }
    )


def _problem(kind: str, name: str, message: str) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", name], "msg": message}
