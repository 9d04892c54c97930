"""``/completions``: the older form, one text instead of messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Body, Call, Caller, Proxy, Ready, Reply, Stream
from ..litellm import tokens, wire
from ..litellm.wire import ProxyError
from .asking import Form, ask, usage_of, wants_usage


async def complete(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return await ask(request, proxy, caller, FORM)


def read(body: Body, group: str) -> Body:
    """LiteLLM asks a chat model with one message."""
    prompt = body["prompt"]
    if isinstance(prompt, list) and all(isinstance(part, str) for part in prompt):
        prompt = " ".join(prompt)
    if not isinstance(prompt, str):
        raise _unmapped(prompt, group)
    return {**body, "model": group, "messages": [{"role": "user", "content": prompt}]}


def _unmapped(prompt: Any, group: str) -> ProxyError:
    message = (
        "litellm.APIConnectionError: APIConnectionError: OpenAIException - Unmapped prompt format. "
        f"Your prompt is neither a list of strings nor a string. prompt={prompt}. "
        "File an issue - https://github.com/BerriAI/litellm/issues"
    )
    return wire.failed(500, message, group, None)


def in_form(error: ProxyError, call: Call | None) -> ProxyError:
    """Of its own headers LiteLLM 1.106.2 sends but one here; and it writes an unknown model's
    error in a form of its own."""
    headers = {
        name: text
        for name, text in error.headers.items()
        if name == "x-litellm-call-id" or name.startswith("llm_provider-")
    }
    if "provider_specific_fields" in error.error:
        message = f"400: {{'error': '{error.error['message']}'}}"
        return ProxyError(400, message, "None", "None", headers=headers)
    error.headers = headers
    return error


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    usage = usage_of(reply)
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


async def events(call: Call, stream: Stream) -> AsyncIterator[bytes]:
    """The first answer's pieces, and how it ended."""
    async for piece in stream.pieces():
        if isinstance(piece, Ready):
            yield wire.event(piece)
            continue
        for choice in piece:
            if choice["index"] == 0 and "content" in choice["delta"]:
                yield wire.event(_chunk(call, {"index": 0, "text": choice["delta"]["content"]}))
            if choice["index"] == 0 and "finish_reason" in choice:
                end = {"finish_reason": choice["finish_reason"], "index": 0}
                yield wire.event(_chunk(call, end))
    if wants_usage(call):
        yield wire.event(_usage_chunk(call, stream.reply()))


def _chunk(call: Call, choice: dict[str, Any], **more: Any) -> dict[str, Any]:
    if not wants_usage(call):  # then each chunk carries an empty count (LiteLLM 1.106.2)
        more = {"usage": wire.usage(0, 0)}
    return {
        "id": call.id,
        "object": "text_completion",
        "created": call.created,
        "model": call.group,
        "choices": [choice],
        **more,
    }


def _usage_chunk(call: Call, reply: Reply) -> dict[str, Any]:
    usage = wire.usage(reply.prompt_tokens, reply.completion_tokens)
    usage["completion_tokens_details"] = {
        "reasoning_tokens": 0,
        "text_tokens": reply.completion_tokens,
    }
    price = call.price(reply)
    cost = {} if price is None else {"cost": sum(price)}
    return _chunk(call, {"index": 0}, usage={**usage, **cost})


FORM = Form(
    "/completions",
    needs=("prompt",),
    read=read,
    body=body_of,
    events=events,
    is_checked=True,
    # What LiteLLM 1.106.2 leaves out of a streamed completion.
    left_out_of_streams=(
        "x-litellm-model-api-base",
        "x-litellm-response-cost",
        "x-litellm-callback",
        "x-litellm-overhead",
    ),
    error=in_form,
)


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
