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
from .asking import Form, ask, parts_of, streamed_with_usage


async def one(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """An answer that was kept: LiteLLM looks for it at the model's provider, and knows of none."""
    error = wire.not_deployed("None")
    error.headers |= wire.error_headers(caller.key, caller.call_id, None, version=True)
    raise error


async def respond(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """The answer to ``input``."""
    return await ask(request, proxy, caller, FORM)


def chat_of(body: Body, group: str) -> Body:
    """The same request as ``/chat/completions`` takes it, translated as LiteLLM does."""
    given = body["input"]
    items = given if isinstance(given, list) else [{"role": "user", "content": given}]
    messages: list[dict[str, Any]] = []
    for item in items:
        if isinstance(item, dict):
            _add(messages, item)
    if body.get("instructions"):
        messages.insert(0, {"role": "system", "content": body["instructions"]})
    chat: Body = {
        "model": group,
        "messages": messages,
        "max_tokens": body.get("max_output_tokens"),
        **{name: body.get(name) for name in ("temperature", "top_p", "user")},
        **_tools(body),
        **streamed_with_usage(body),
    }
    if isinstance(body.get("reasoning"), dict):
        chat["reasoning_effort"] = body["reasoning"].get("effort")
    if "drop_params" in body:
        chat["drop_params"] = body["drop_params"]
    text = body.get("text")
    if isinstance(text, dict) and text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    if isinstance(text, dict) and isinstance(text.get("format"), dict):
        wanted = text["format"]
        chat["response_format"] = {"type": wanted.get("type")}
        if wanted.get("type") == "json_schema":
            chat["response_format"]["json_schema"] = _without_type(wanted)
    return chat


def _tools(body: Body) -> Body:
    if not isinstance(body.get("tools"), list):
        return {}
    tools = [
        {"type": "function", "function": _without_type(tool)}
        for tool in body["tools"]
        if isinstance(tool, dict) and tool.get("type") == "function"
    ]
    if not tools:
        return {}
    choice, parallel = body.get("tool_choice"), body.get("parallel_tool_calls")
    if isinstance(choice, dict) and choice.get("type") == "function" and "name" in choice:
        choice = {"type": "function", "function": {"name": choice["name"]}}
    return {"tools": tools, "tool_choice": choice, "parallel_tool_calls": parallel}


def _add(messages: list[dict[str, Any]], item: dict[str, Any]) -> None:
    """Add an item of the conversation: calls of tools go into one message of the assistant."""
    kind = item.get("type")
    if kind == "function_call":
        if not messages or messages[-1]["role"] != "assistant":
            messages.append({"role": "assistant", "content": None})
        function = {"name": item.get("name"), "arguments": item.get("arguments") or "{}"}
        made = {"id": item.get("call_id"), "type": "function", "function": function}
        messages[-1].setdefault("tool_calls", []).append(made)
    elif kind == "function_call_output":
        output = tokens.text_of(item.get("output"))
        messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": output})
    elif kind in (None, "message"):  # a model's "reasoning" is not for another one
        messages.append({"role": item.get("role"), "content": _content(item.get("content"))})


def _content(content: Any) -> Any:
    return list(map(_part, content)) if isinstance(content, list) else content


def _part(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if str(kind).endswith("_text"):  # "input_text" and "output_text" are plain "text" in a chat
        return {"type": "text", "text": part.get("text")}
    if kind == "input_image":
        url = {"url": part.get("image_url"), "detail": part.get("detail") or "auto"}
        return {"type": "image_url", "image_url": url}
    return part


def _without_type(given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "type"}


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    """A provider's answer as LiteLLM passes it on."""
    choice = reply.choices[0]
    output = [*_reasoning(call, reply), *_output(call, choice)]
    return _body(call, output, choice.finish_reason, reply)


def _body(
    call: Call, output: list[dict[str, Any]], finish_reason: str, reply: Reply
) -> dict[str, Any]:
    cut_off = finish_reason == "length"
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
        "output": output,
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


def _reasoning(call: Call, reply: Reply) -> list[dict[str, Any]]:
    """The place of the reasoning, which stays with the provider."""
    item = {"id": call.id.replace("chatcmpl-", "rs_"), "summary": [], "type": "reasoning"}
    return [item] if reply.reasoning_tokens else []


def _output(call: Call, choice: Choice) -> list[dict[str, Any]]:
    calls = [_called(made["id"], **made["function"]) for made in choice.tool_calls]
    is_empty = not choice.text and (calls or choice.finish_reason == "length")
    return calls if is_empty else [_said(call, choice.text or ""), *calls]


def _called(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {
        "arguments": arguments,
        "call_id": id,
        "name": name,
        "type": "function_call",
        "id": id.replace("call_", "fc_"),
        **({"async": None} if versions.current().names_async_calls else {}),
        "caller": None,
        "namespace": None,
        "status": "completed",
    }


def _said(call: Call, text: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "annotations": [],
        "text": text,
        "type": "output_text",
        "logprobs": None,
    }
    return {
        "id": call.id.replace("chatcmpl-", "msg_"),
        "content": [content],
        "role": "assistant",
        "status": "completed",
        "type": "message",
        "phase": None,
    }


async def events(call: Call, stream: Stream) -> AsyncIterator[bytes]:
    number = 0
    async for kind, fields in _events(call, stream):
        yield wire.event({"type": kind, **fields, "sequence_number": number, "model": call.group})
        number += 1


def _without_nulls(value: Any) -> Any:
    """LiteLLM leaves them out of events, and has them in a whole answer."""
    if isinstance(value, dict):
        return {name: _without_nulls(part) for name, part in value.items() if part is not None}
    return list(map(_without_nulls, value)) if isinstance(value, list) else value


Event = tuple[str, dict[str, Any]]


async def _events(call: Call, stream: Stream) -> AsyncIterator[Event]:
    begun = _body(call, [], "stop", stream.reply()) | {"status": "in_progress", "usage": None}
    begun = _without_nulls(begun)
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    output = _reasoning(call, stream.reply())
    for item in output:
        yield "response.output_item.added", {"output_index": 0, "item": item}
        yield _done(0, item)
    places: dict[str | int, int] = {}
    """Where in the output the text is, and the call of the tool of each number."""
    finish_reason = "stop"
    async for kind, at, said in parts_of(stream):
        if kind == "end":
            finish_reason = said
            continue
        part = "text" if kind == "text" else at
        if part not in places:
            places[part] = len(output)
            item = _called(**said, arguments="") if kind == "tool" else _said(call, "")
            output.append(_without_nulls(item))
            for event in _started(output, places[part]):
                yield event
        place = _place(output, places[part])
        if kind == "text":
            output[places[part]]["content"][0]["text"] += said
            delta = {**place, "content_index": 0, "delta": said, "logprobs": []}
            yield "response.output_text.delta", delta
        elif kind == "arguments":
            output[places[part]]["arguments"] += said
            yield "response.function_call_arguments.delta", {**place, "delta": said}
    if not places and finish_reason != "length":
        places["text"] = len(output)
        output.append(_without_nulls(_said(call, "")))
        for event in _started(output, places["text"]):
            yield event
    for index in places.values():
        for event in _finished(output, index):
            yield event
    reply = stream.reply()
    done, price = _body(call, output, finish_reason, reply), call.price(reply)
    done["usage"]["cost"] = None if price is None else sum(price)
    end = "response.incomplete" if done["status"] == "incomplete" else "response.completed"
    yield end, {"response": _without_nulls(done)}


NO_TEXT = {"type": "output_text", "text": "", "annotations": []}


def _place(output: list[dict[str, Any]], index: int) -> dict[str, Any]:
    return {"item_id": output[index]["id"], "output_index": index}


def _started(output: list[dict[str, Any]], index: int) -> Iterator[Event]:
    item, is_text = output[index], output[index]["type"] == "message"
    nothing_yet: dict[str, Any] = {"content": []} if is_text else {"arguments": ""}
    started = {**item, "status": "in_progress", **nothing_yet}
    yield "response.output_item.added", {"output_index": index, "item": started}
    if is_text:
        part = {**_place(output, index), "content_index": 0}
        yield "response.content_part.added", {**part, "part": NO_TEXT}


def _finished(output: list[dict[str, Any]], index: int) -> Iterator[Event]:
    item, place = output[index], _place(output, index)
    if item["type"] == "message":
        part, text = {**place, "content_index": 0}, item["content"][0]["text"]
        yield "response.output_text.done", {**part, "text": text, "logprobs": []}
        yield "response.content_part.done", {**part, "part": {**NO_TEXT, "text": text}}
        item["content"][0]["logprobs"] = None
    else:
        finished = {**place, "arguments": item["arguments"], "name": item["name"]}
        yield "response.function_call_arguments.done", finished
    yield _done(index, item)


def _done(index: int, item: dict[str, Any]) -> Event:
    at = {"output_index": index, "sequence_number": None}  # takes its place here
    return "response.output_item.done", {**at, "item": item}


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
