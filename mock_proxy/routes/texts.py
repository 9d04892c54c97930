"""``/completions``: the older form, one text instead of messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Body, Call, Caller, Proxy, Ready, Reply, Stream
from ..litellm import tokens, wire
from ..litellm import version as versions
from ..litellm.wire import ProxyError
from .asking import Form, ask, usage_of, wants_usage


async def complete(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return await ask(request, proxy, caller, FORM)


def read(body: Body, group: str) -> Body:
    """LiteLLM asks a chat model with one message for each prompt, and hands on its one answer."""
    prompt = body["prompt"]
    prompts = prompt if isinstance(prompt, list) else [prompt]
    if not prompts or not isinstance(prompt, (str, list)):
        raise _unmapped(prompt, group)
    if isinstance(prompts[0], int):
        prompts = [prompts]
    for part in prompts:
        if not isinstance(part, (str, list)):
            raise _failed(f"'{type(part).__name__}' object is not iterable", group)
    texts = [part if isinstance(part, str) else " ".join(map(str, part)) for part in prompts]
    messages = [{"role": "user", "content": text} for text in texts]
    return {**body, "model": group, "messages": messages}


def _unmapped(prompt: Any, group: str) -> ProxyError:
    return _failed(
        "Unmapped prompt format. Your prompt is neither a list of strings nor a string. "
        f"prompt={prompt}. File an issue - https://github.com/BerriAI/litellm/issues",
        group,
    )


def _failed(problem: str, group: str) -> ProxyError:
    message = f"litellm.APIConnectionError: APIConnectionError: OpenAIException - {problem}"
    known = "internal_server_error" if versions.current().types_every_error else None
    return wire.failed(500, message, group, known)


def in_form(error: ProxyError, call: Call | None) -> ProxyError:
    """Of its own headers LiteLLM sends but one here; and it writes an unknown model's
    error, and a parameter's, in forms of their own."""
    headers = {
        name: text
        for name, text in error.headers.items()
        if name == "x-litellm-call-id" or name.startswith("llm_provider-")
    }
    if "provider_specific_fields" in error.error:
        message = f"400: {{'error': '{error.error['message']}'}}"
        if versions.current().types_every_error:
            return ProxyError(400, message, "invalid_request_error", headers=headers)
        return ProxyError(400, message, "None", "None", headers=headers)
    if error.status == 400 and call is not None and not versions.current().types_every_error:
        error.error["type"] = "None" if "UnsupportedParams" in error.error["message"] else None
    error.headers = headers
    return error


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    usage = usage_of(reply)
    more = ("text_tokens", "image_tokens", "video_tokens")
    of_prompt = versions.current().more_prompt_details or more
    details = {"completion_tokens_details": more, "prompt_tokens_details": of_prompt}
    for name, names in details.items():
        known = usage.get(name)
        usage[name] = None if known is None else {**known, **dict.fromkeys(names)}
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
    if not wants_usage(call) and versions.current().text_chunks_have_usage:
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
    usage = usage_of(reply)
    if "usage" not in reply.said:  # no provider told more
        text_tokens = {"reasoning_tokens": 0, "text_tokens": reply.completion_tokens}
        usage["completion_tokens_details"] = text_tokens
    price = call.price(reply)
    cost = {} if price is None else {"cost": sum(price)}
    choices = [{"index": 0}] if versions.current().usage_chunk_has_choice else []
    return {**_chunk(call, {}), "choices": choices, "usage": {**usage, **cost}}


FORM = Form(
    "/completions",
    needs=("prompt",),
    takes_null=True,
    read=read,
    body=body_of,
    events=events,
    is_checked=True,
    # What LiteLLM leaves out of a streamed completion.
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
    if None not in (prompt, messages) and not versions.current().counts_prompt_beside_messages:
        raise wire.ProxyError(
            400,
            "prompt cannot be sent with messages or contents. "
            "Set drop_params to count them without the prompt",
            "invalid_request_error",
            "prompt",
        )
    total = tokens.count_messages(messages) if messages is not None else tokens.count(prompt or "")
    if messages is not None and isinstance(body.get("tools"), list):
        has_system = any(isinstance(m, dict) and m.get("role") == "system" for m in messages)
        total += tokens.count_tools(body["tools"], has_system=has_system)
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
