"""``/v1/responses``: OpenAI's newer form of a conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Body, Call, Caller, Choice, Proxy, Reply, Stream
from ..litellm import tokens, wire
from ..litellm import version as versions
from ..litellm.wire import ProxyError
from .asking import Form, ask


async def one(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """An answer that was kept: LiteLLM looks for it at the model's provider, and knows of none."""
    error = wire.not_deployed("None")
    error.headers |= wire.error_headers(caller.key, caller.call_id, None, version=True)
    raise error


async def respond(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """The answer to ``input``."""
    return await ask(request, proxy, caller, FORM)


def chat_of(body: Body, group: str) -> Body:
    """The same request as ``/chat/completions`` takes it."""
    given = body["input"]
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    messages = [_message(item) for item in items if isinstance(item, dict)]
    if body.get("instructions"):
        messages.insert(0, {"role": "system", "content": body["instructions"]})
    chat: Body = {
        "model": group,
        "messages": messages,
        "max_tokens": body.get("max_output_tokens"),
        **{name: body.get(name) for name in ("temperature", "top_p", "tool_choice")},
    }
    if isinstance(body.get("reasoning"), dict):
        chat["reasoning_effort"] = body["reasoning"].get("effort")
    if "drop_params" in body:
        chat["drop_params"] = body["drop_params"]
    if isinstance(body.get("tools"), list):
        chat["tools"] = [
            {"type": "function", "function": _without_type(tool)}
            for tool in body["tools"]
            if isinstance(tool, dict) and tool.get("type") == "function"
        ]
    text = body.get("text")
    if isinstance(text, dict) and text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
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
    thought = reply.reasoning_tokens
    details = {"audio_tokens": None, "reasoning_tokens": thought, "text_tokens": None}
    effort = {"effort": call.body.get("reasoning_effort") or "medium", "summary": None}
    return {
        "id": call.id.replace("chatcmpl-", "resp_"),
        "created_at": call.created,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if cut_off else None,
        "instructions": None,
        "metadata": None,
        "model": call.group,
        "object": "response",
        "output": [*_reasoning(call, thought), *_output(call, choice)],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "max_output_tokens": None,
        "previous_response_id": None,
        "reasoning": effort if thought else None,
        "status": "incomplete" if cut_off else "completed",
        "text": None,
        "truncation": None,
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": None,
            "output_tokens": completion,
            "output_tokens_details": details if thought else None,
            "total_tokens": prompt + completion,
            "cost": None,
        },
        "user": None,
        "store": None,
    }


def _reasoning(call: Call, thought: int) -> list[dict[str, Any]]:
    """The place of the reasoning, which stays with the provider."""
    item = {"id": call.id.replace("chatcmpl-", "rs_"), "summary": [], "type": "reasoning"}
    return [item] if thought else []


def _output(call: Call, choice: Choice) -> list[dict[str, Any]]:
    if choice.finish_reason == "length" and not choice.text:
        return []
    if choice.tool_calls:
        return [
            {
                "arguments": made["function"]["arguments"],
                "call_id": made["id"],
                "name": made["function"]["name"],
                "type": "function_call",
                "id": made["id"].replace("call_", "fc_"),
                **({"async": None} if versions.current().names_async_calls else {}),
                "caller": None,
                "namespace": None,
                "status": "completed",
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


async def events(call: Call, stream: Stream) -> AsyncIterator[bytes]:
    for number, (kind, fields) in enumerate(_events(call, stream.reply())):
        yield wire.event({"type": kind, **fields, "sequence_number": number, "model": call.group})


def _without_nulls(value: Any) -> Any:
    """What LiteLLM puts into events: what nothing is known of is left out."""
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value


def _events(call: Call, reply: Reply) -> Iterator[tuple[str, dict[str, Any]]]:
    price = call.price(reply)
    done = body_of(call, reply)
    done["usage"]["cost"] = None if price is None else sum(price)
    done = _without_nulls(done)
    begun = {k: v for k, v in done.items() if k != "usage"}
    begun |= {"status": "in_progress", "output": []}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(done["output"]):
        place = {"item_id": item["id"], "output_index": index}
        if item["type"] == "reasoning":
            yield "response.output_item.added", {"output_index": index, "item": item}
        elif item["type"] == "message":
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
        at = {"output_index": index, "sequence_number": None}  # takes its place here
        if item["type"] == "message":
            item["content"][0]["logprobs"] = None
        yield "response.output_item.done", {**at, "item": item}
    end = "response.incomplete" if done["status"] == "incomplete" else "response.completed"
    yield end, {"response": _without_nulls(done)}


def _with_model(error: ProxyError, call: Call | None) -> ProxyError:
    if call is not None:
        error.headers["x-litellm-model-id"] = call.model.id
    return error


FORM = Form(
    "/responses",
    needs=("input",),
    read=chat_of,
    body=body_of,
    events=events,
    names_version=True,
    default_timeout=600.0,
    error=_with_model,
)
