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
from .asking import Form, ask

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


def chat_of(body: Body, group: str) -> Body:
    """The same request as ``/chat/completions`` takes it."""
    if body["messages"] is None:
        raise ProxyError(500, "'NoneType' object is not iterable", None)
    messages = body["messages"] if isinstance(body["messages"], list) else []
    system = tokens.text_of(body.get("system"))
    chat = [{"role": "system", "content": system}] if system else []
    chat += [_message(message) for message in messages if isinstance(message, dict)]
    offered, most = body.get("tools"), body.get("max_tokens")
    tools = [
        {"type": "function", "function": _function(tool)}
        for tool in (offered if isinstance(offered, list) else [])
        if isinstance(tool, dict)
    ]
    return {
        "model": group,
        "messages": chat,
        "max_tokens": max(LEAST_TOKENS, most) if isinstance(most, int) and most > 0 else most,
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "stop": body.get("stop_sequences"),
        **({"tools": tools} if tools else {}),
    }


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {k: tool[k] for k in ("name", "description") if k in tool}
    return {**known, "parameters": tool.get("input_schema")}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    for part in parts:
        if isinstance(part, dict) and part.get("type") == "tool_result":
            return {"role": "tool", "content": tokens.text_of(part.get("content"))}
    return {"role": message.get("role"), "content": content}


def _blocks(choice: Choice) -> list[dict[str, Any]]:
    if choice.finish_reason == "length" and not choice.text:
        return []
    if not choice.tool_calls:
        return [{"type": "text", "text": choice.text}]
    return [
        {
            "type": "tool_use",
            "id": made["id"],
            "name": made["function"]["name"],
            "input": _input(made["function"]["arguments"]),
        }
        for made in choice.tool_calls
    ]


def _input(arguments: str) -> Any:
    """What a tool is called with. A model may write what is no JSON: then its words."""
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
    for kind, fields in _events(call, stream.reply()):
        data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
        yield f"event: {kind}\ndata: {data}\n\n".encode()


def _events(call: Call, reply: Reply) -> Iterator[tuple[str, dict[str, Any]]]:
    choice = reply.choices[0]
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
    for index, block in enumerate(_blocks(choice)):
        at = {"index": index}
        if block["type"] == "text":
            pieces = tokens.split(block["text"])
            deltas = [{"type": "text_delta", "text": piece} for piece in pieces]
            begun = {**block, "text": ""}
        else:
            pieces = tokens.split(choice.tool_calls[index]["function"]["arguments"])
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
            begun = {**block, "input": {}}
        yield "content_block_start", {**at, "content_block": begun}
        for delta in deltas:
            yield "content_block_delta", {**at, "delta": delta}
        yield "content_block_stop", at
    stop_reason = STOP_REASONS.get(choice.finish_reason, "end_turn")
    end = {"stop_reason": stop_reason, "stop_sequence": None}
    usage = {"input_tokens": reply.prompt_tokens, "output_tokens": reply.completion_tokens}
    yield "message_delta", {"delta": end, "usage": usage}
    yield "message_stop", {}


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
)
