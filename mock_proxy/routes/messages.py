"""``/v1/messages``: Anthropic's form of a conversation."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Body, Call, Caller, Choice, Proxy, Reply, Stream
from ..litellm import tokens
from ..litellm.wire import JSON, ProxyError
from .asking import Form, ask, parts_of, streamed_with_usage

NEEDS = ("messages",)

LEAST_TOKENS = 16
"""LiteLLM asks for no shorter answers than these: the Responses API, which it goes by, has none."""

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}


async def reply_to(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """The model's next message, or an error in Anthropic's form."""
    return await ask(request, proxy, caller, FORM)


async def count(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """``/v1/messages/count_tokens``: of a request in this form. (LiteLLM 1.109.1 asks OpenAI for
    the count of its models; here there is nobody to ask.)"""
    body = caller.body
    if not body.get("model"):
        raise _in_anthropics_form(
            ProxyError(400, "model parameter is required", "invalid_request_error"), None
        )
    chat = chat_of({"messages": [], **body}, str(body["model"]))
    counted = {"input_tokens": tokens.count_messages(chat["messages"])}
    return JSON({**counted, "litellm_count_source": "local_estimate"})


def _in_anthropics_form(error: ProxyError, call: Call | None) -> ProxyError:
    kind = ERROR_TYPES.get(error.status, "api_error")
    told: dict[str, Any] = {"type": kind, "message": error.error["message"]}
    if "provider_specific_fields" in error.error:
        told["provider_specific_fields"] = error.error["provider_specific_fields"]
    changed = ProxyError(error.status, "", None, headers=error.headers)
    changed.body = {"type": "error", "error": told}
    if error.error["param"] in NEEDS:  # sent with one header of LiteLLM's only
        changed.headers = {"x-litellm-call-id": error.headers["x-litellm-call-id"]}
    elif call is not None:
        call_id = {"x-litellm-call-id": call.caller.call_id, "x-litellm-model-id": call.model.id}
        changed.headers = {**call_id, **error.headers}
        changed.headers.pop("x-litellm-model-name", None)
    return changed


TOOL_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def chat_of(body: Body, group: str) -> Body:
    """The same request as ``/chat/completions`` takes it, translated as LiteLLM does."""
    if body["messages"] is None:
        raise ProxyError(500, "'NoneType' object is not iterable", None)
    messages = body["messages"] if isinstance(body["messages"], list) else []
    system = tokens.text_of(body.get("system"))
    chat: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in messages:
        if isinstance(message, dict):
            chat += _messages(message)
    most, metadata = body.get("max_tokens"), body.get("metadata")
    return {
        "model": group,
        "messages": chat,
        "max_tokens": max(LEAST_TOKENS, most) if isinstance(most, int) and most > 0 else most,
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "stop": body.get("stop_sequences"),
        "user": metadata.get("user_id") if isinstance(metadata, dict) else None,
        **_tools(body),
        **streamed_with_usage(body),
    }


def _tools(body: Body) -> Body:
    offered = body.get("tools")
    tools = [
        {"type": "function", "function": _function(tool)}
        for tool in (offered if isinstance(offered, list) else [])
        if isinstance(tool, dict)
    ]
    if not tools:
        return {}
    choice = body.get("tool_choice")
    choice = choice if isinstance(choice, dict) else {}
    chosen: Any = TOOL_CHOICES.get(str(choice.get("type")))
    if choice.get("type") == "tool":
        chosen = {"type": "function", "function": {"name": choice.get("name")}}
    one_by_one = {"parallel_tool_calls": False} if choice.get("disable_parallel_tool_use") else {}
    return {"tools": tools, "tool_choice": chosen, **one_by_one}


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {k: tool[k] for k in ("name", "description") if k in tool}
    return {**known, "parameters": tool.get("input_schema")}


def _messages(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One message, or several: each result of a tool is a message of its own, before the text."""
    role, content = message.get("role"), message.get("content")
    if not isinstance(content, list):
        yield {"role": role, "content": content}
        return
    blocks = [block for block in content if isinstance(block, dict)]
    if role == "assistant":
        text = "".join(str(b.get("text") or "") for b in blocks if b.get("type") == "text")
        calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
        yield {"role": role, "content": text or None, **({"tool_calls": calls} if calls else {})}
        return
    results = [block for block in blocks if block.get("type") == "tool_result"]
    for result in results:
        text = tokens.text_of(result.get("content"))
        yield {"role": "tool", "tool_call_id": result.get("tool_use_id"), "content": text}
    parts = [_part(block) for block in blocks if block not in results]
    if parts or not results:
        yield {"role": role, "content": parts}


def _call(block: dict[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(block.get("input") or {}, ensure_ascii=False)
    function = {"name": block.get("name"), "arguments": arguments}
    return {"id": block.get("id"), "type": "function", "function": function}


def _part(block: dict[str, Any]) -> dict[str, Any]:
    source = block.get("source")
    if block.get("type") == "image" and isinstance(source, dict):
        packed = f"data:{source.get('media_type')};base64,{source.get('data')}"
        return {"type": "image_url", "image_url": {"url": source.get("url") or packed}}
    if block.get("type") == "text":  # without "cache_control", which OpenAI's form does not know
        return {"type": "text", "text": block.get("text")}
    return block


def _blocks(choice: Choice) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": choice.text or ""}]
    calls = [
        {
            "type": "tool_use",
            "id": made["id"],
            "name": made["function"]["name"],
            "input": _input(made["function"]["arguments"]),
        }
        for made in choice.tool_calls
    ]
    is_empty = not choice.text and (calls or choice.finish_reason == "length")
    return calls if is_empty else [*text, *calls]


def _input(arguments: str) -> Any:
    """What a tool is called with. A model may write what is not JSON: then its words."""
    try:
        return json.loads(arguments)
    except ValueError:
        return {"arguments": arguments}


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    choice = reply.choices[0]
    stop_reason = STOP_REASONS.get(choice.finish_reason, "end_turn")
    details = {"type": "refusal", "category": None, "explanation": None}
    return {
        "id": call.id.replace("chatcmpl-", "resp_"),
        "type": "message",
        "role": "assistant",
        "model": call.group,
        "stop_sequence": None,
        "usage": {"input_tokens": reply.prompt_tokens, "output_tokens": reply.completion_tokens},
        "content": _blocks(choice),
        "stop_reason": stop_reason,
        "stop_details": details if stop_reason == "refusal" else None,
    }


async def events(call: Call, stream: Stream) -> AsyncIterator[bytes]:
    async for kind, fields in _events(call, stream):
        yield _event(kind, {"type": kind, **fields})


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


async def _events(call: Call, stream: Stream) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    nothing_yet = {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }
    start: dict[str, Any] = {
        "id": call.id.replace("chatcmpl-", "msg_"),
        "type": "message",
        "role": "assistant",
        "content": [],
        "model": call.group,
        "stop_reason": None,
        "stop_sequence": None,
        "usage": nothing_yet,
    }
    yield "message_start", {"message": start}
    opened: list[str | int] = []
    """The blocks so far: "text", or the number of a tool; the last is open."""
    finish_reason = "stop"
    async for kind, at, said in parts_of(stream):
        if kind == "end":
            finish_reason = said
            continue
        block = "text" if kind == "text" else at
        if kind == "tool" or not opened or (block == "text" and opened[-1] != "text"):
            if opened:
                yield "content_block_stop", {"index": len(opened) - 1}
            opened.append(block)
            begun = {"type": "tool_use", **said, "input": {}} if kind == "tool" else NO_TEXT
            yield "content_block_start", {"index": len(opened) - 1, "content_block": begun}
        if kind != "tool":
            delta = {"type": "text_delta", "text": said}
            if kind == "arguments":
                delta = {"type": "input_json_delta", "partial_json": said}
            index = len(opened) - 1 - opened[::-1].index(block)
            yield "content_block_delta", {"index": index, "delta": delta}
    if not opened and finish_reason != "length":
        opened.append("text")
        yield "content_block_start", {"index": 0, "content_block": NO_TEXT}
    if opened:
        yield "content_block_stop", {"index": len(opened) - 1}
    end = {"stop_reason": STOP_REASONS.get(finish_reason, "end_turn"), "stop_sequence": None}
    reply = stream.reply()
    usage = {"input_tokens": reply.prompt_tokens, "output_tokens": reply.completion_tokens}
    yield "message_delta", {"delta": end, "usage": usage}
    yield "message_stop", {}


NO_TEXT = {"type": "text", "text": ""}


def _broken_off(error: ProxyError) -> bytes:
    return _event("error", _in_anthropics_form(error, None).body)


FORM = Form(
    "anthropic_messages",
    needs=NEEDS,
    takes_null=True,
    read=chat_of,
    body=body_of,
    events=events,
    end=b"",
    names_version=True,
    default_timeout=600.0,
    left_out=("x-litellm-model-api-base", "x-litellm-callback-duration-ms"),
    error=_in_anthropics_form,
    broken_off=_broken_off,
)
