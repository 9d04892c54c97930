"""``/v1/responses``: OpenAI's newer form of a conversation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Call, Choice, Proxy, Reply, Route, answering, make_reply
from ..litellm import tokens, wire
from .auth import Body, Caller
from .chat import streamed, whole
from .failures import at_first

ROUTE = Route("/responses", needs=("input",), names_version=True)

CANNED_CREATED = 1741476542
CANNED_MESSAGE = "msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b"
CANNED_TOKENS = (36, 87)
CANNED_COST = (7.2e-05, 0.000696)
"""A canned answer of LiteLLM 1.106.2 always says this, whatever was asked of which model."""


async def respond(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """The answer to ``input``, or ProxyError."""
    async with answering(request, proxy, caller, ROUTE) as call:
        is_stream = call.body.get("stream") is True
        if call.model.mock_response is not None:
            if is_stream:
                return _broken_stream(call)
            reply = Reply((Choice(str(call.model.mock_response)),), *CANNED_TOKENS, CANNED_COST)
            return whole(call, reply, canned_body(call, reply))
        call = as_chat(call, chat_of(call.body))
        at_first(call.model, call.group, call.caller.key)
        reply = await make_reply(call)
        if is_stream:
            return streamed(call, reply, stream(call, reply))
        return whole(call, reply, body_of(call, reply))


def as_chat(call: Call, chat: Body) -> Call:
    """The call with its body as a chat request, for the rules to answer."""
    return replace(call, caller=replace(call.caller, body={**chat, "model": call.group}))


def chat_of(body: Body) -> Body:
    """The same request as ``/chat/completions`` takes it."""
    given = body["input"]
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    messages = [_message(item) for item in items if isinstance(item, dict)]
    if body.get("instructions"):
        messages.insert(0, {"role": "system", "content": body["instructions"]})
    chat: Body = {
        "messages": messages,
        "max_tokens": body.get("max_output_tokens"),
        "temperature": body.get("temperature"),
        "tool_choice": body.get("tool_choice"),
    }
    if isinstance(body.get("tools"), list):
        chat["tools"] = [
            {"type": "function", "function": _without_type(tool)}
            for tool in body["tools"]
            if isinstance(tool, dict) and tool.get("type") == "function"
        ]
    text = body.get("text")
    if isinstance(text, dict) and isinstance(text.get("format"), dict):
        wanted = text["format"]
        chat["response_format"] = {"type": wanted.get("type")}
        if wanted.get("type") == "json_schema":
            chat["response_format"]["json_schema"] = _without_type(wanted)
    return chat


def _message(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("type") == "function_call_output":
        return {"role": "tool", "content": item.get("output")}
    content = item.get("content")
    if isinstance(content, list):  # "input_text" and "output_text" are plain "text" in a chat
        content = [
            {"type": "text", "text": part.get("text")}
            if isinstance(part, dict) and str(part.get("type")).endswith("_text")
            else part
            for part in content
        ]
    return {"role": item.get("role"), "content": content}


def _without_type(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "type"}


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    """A provider's answer as LiteLLM hands it on."""
    choice = reply.choices[0]
    cut_off = choice.finish_reason == "length"
    prompt, completion = reply.prompt_tokens, reply.completion_tokens
    return {
        "id": call.id.replace("chatcmpl-", "resp_"),
        "created_at": call.created,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut_off else None,
        "instructions": None,
        "metadata": None,
        "model": call.group,
        "object": "response",
        "output": _output(call, choice),
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "max_output_tokens": None,
        "previous_response_id": None,
        "reasoning": None,
        "status": "incomplete" if cut_off else "completed",
        "text": None,
        "truncation": None,
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": None,
            "output_tokens": completion,
            "output_tokens_details": None,
            "total_tokens": prompt + completion,
            "cost": None,
        },
        "user": None,
        "store": None,
    }


def _output(call: Call, choice: Choice) -> list[dict[str, Any]]:
    if choice.tool_calls:
        return [
            {
                "type": "function_call",
                "id": made["id"].replace("call_", "fc_"),
                "call_id": made["id"],
                "status": "completed",
                **made["function"],
            }
            for made in choice.tool_calls
        ]
    content: dict[str, Any] = {
        "annotations": [],
        "text": choice.text,
        "type": "output_text",
        "logprobs": None,
    }
    return [
        {
            "id": call.id.replace("chatcmpl-", "msg_"),
            "content": [content],
            "role": "assistant",
            "status": "completed",
            "type": "message",
            "phase": None,
        }
    ]


def canned_body(call: Call, reply: Reply) -> dict[str, Any]:
    body = body_of(call, reply)
    body["output"][0]["id"] = CANNED_MESSAGE
    details = dict.fromkeys(("audio_tokens", "reasoning_tokens", "text_tokens"))
    body["usage"] |= {
        "input_tokens_details": {
            "audio_tokens": None,
            "cached_tokens": 0,
            "cached_tokens_details": None,
            "image_tokens": None,
            "text_tokens": None,
            "video_tokens": None,
        },
        "output_tokens_details": details,
    }
    return body | {
        "created_at": CANNED_CREATED,
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "reasoning": {"effort": None, "summary": None},
        "text": {"format": {"type": "text"}},
        "truncation": "disabled",
        "store": True,
    }


def _broken_stream(call: Call) -> Response:
    """LiteLLM 1.106.2 cannot stream a canned answer in this form."""
    call.admission.close()
    reply = Reply((), *CANNED_TOKENS, CANNED_COST)
    error = {"message": "Error processing stream start", "type": "internal_server_error"}
    problem = {"error": {**error, "param": None, "code": "500"}}
    headers = {**call.headers(reply), "cache-control": "no-cache", "x-accel-buffering": "no"}
    content = wire.event(problem) + wire.DONE
    return Response(content, 500, headers=headers, media_type="text/event-stream")


async def stream(call: Call, reply: Reply) -> AsyncIterator[bytes]:
    """The answer as events; what the client did not wait for costs nothing."""
    try:
        for number, (kind, fields) in enumerate(_events(call, reply)):
            yield wire.event(
                {"type": kind, **fields, "sequence_number": number, "model": call.group}
            )
            await asyncio.sleep(0)
        call.settle(reply)
        yield wire.DONE
    finally:
        call.admission.close()


def _events(call: Call, reply: Reply) -> Iterator[tuple[str, dict[str, Any]]]:
    done = body_of(call, reply)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(done["output"]):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "message":
            text = item["content"][0]["text"]
            empty = {"type": "output_text", "text": "", "annotations": []}
            part = {**place, "content_index": 0}
            started = {**item, "status": "in_progress", "content": []}
            yield "response.output_item.added", {"output_index": index, "item": started}
            yield "response.content_part.added", {**part, "part": empty}
            for piece in tokens.split(text):
                yield "response.output_text.delta", {**part, "delta": piece, "logprobs": []}
            yield "response.output_text.done", {**part, "text": text, "logprobs": []}
            yield "response.content_part.done", {**part, "part": {**empty, "text": text}}
        else:
            started = {**item, "status": "in_progress", "arguments": ""}
            yield "response.output_item.added", {"output_index": index, "item": started}
            for piece in tokens.split(item["arguments"]):
                yield "response.function_call_arguments.delta", {**place, "delta": piece}
            finished = {**place, "arguments": item["arguments"], "name": item["name"]}
            yield "response.function_call_arguments.done", finished
        yield "response.output_item.done", {"output_index": index, "item": item}
    end = "response.incomplete" if done["status"] == "incomplete" else "response.completed"
    yield end, {"response": done}
