"""``/chat/completions``: from a request that was let in to its answer, whole or streamed."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from . import answers, failures, tokens, wire
from .auth import Caller
from .config import Model, ProxyConfig
from .keys import Admission, OverLimit
from .wire import JSON, ProxyError

CANNED_PROMPT_TOKENS, CANNED_COMPLETION_TOKENS = 10, 20
"""What LiteLLM reports for a canned answer, whatever its length."""

CANNED_PIECE = 3
"""Characters in a piece of a canned stream."""


@dataclass(frozen=True)
class Choice:
    """One answer; ``finish_reason`` is stop, length or tool_calls."""

    text: str | None
    finish_reason: str = "stop"
    tool_calls: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Reply:
    """The answers to a request, and the tokens that they cost."""

    choices: tuple[Choice, ...]
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Call:
    """A request that was let in."""

    caller: Caller
    model: Model
    group: str
    """The model's name as the request has it."""
    admission: Admission
    started: float = field(default_factory=time.perf_counter)
    id: str = field(default_factory=wire.new_id)
    created: int = field(default_factory=wire.timestamp)

    @property
    def body(self) -> dict[str, Any]:
        return self.caller.body

    def price(self, reply: Reply) -> tuple[float, float] | None:
        """USD for the prompt and for the answers; None where no price is known."""
        facts = tokens.facts(self.model.target, self.model.info)
        return tokens.cost(facts, reply.prompt_tokens, reply.completion_tokens)

    def headers(self, reply: Reply, *, is_stream: bool = False) -> wire.Headers:
        return wire.answer_headers(
            self.caller.key,
            self.model,
            call_id=self.caller.call_id,
            cost=self.price(reply),
            seconds=time.perf_counter() - self.started,
            remaining=self.admission.remaining,
            is_stream=is_stream,
        )

    def settle(self, reply: Reply) -> None:
        """Count the answer's tokens and cost."""
        cost = sum(self.price(reply) or (0.0,))
        self.admission.close(reply.prompt_tokens + reply.completion_tokens, cost)


def admit(request: Request, config: ProxyConfig, caller: Caller, route: str, needed: str) -> Call:
    """Check the request as far as LiteLLM does, and count it against the key's limits.

    In LiteLLM's order: the model's type, the limits, the ``needed`` parameter, the model.
    """
    body = caller.body
    name = request.path_params.get("model") or body.get("model")
    if name is not None and not isinstance(name, str):
        raise wire.model_is_no_text()
    admission = caller.key.admit(name or "", reserve=_reserve(body, caller.key.tpm_limit))
    try:
        if body.get(needed) is None:
            raise wire.missing_parameter(route, needed)
        model = config.find(name) if name else None
        if name is None or model is None:
            raise wire.unknown_model(route, name)
    except ProxyError:
        admission.close()
        raise
    return Call(caller, model, name, admission)


def _reserve(body: dict[str, Any], tpm_limit: int | None) -> int:
    """Tokens that LiteLLM sets aside for a request before it knows better."""
    if tpm_limit is None:
        return 0
    messages = body.get("messages")
    text = "".join(
        tokens.text_of(m.get("content"))
        for m in (messages if isinstance(messages, list) else [])
        if isinstance(m, dict)
    )
    prompt = max(1, len(text) // 4)
    most = max_tokens(body)
    return prompt + (most if most is not None else max(prompt, min(1024, tpm_limit // 4)))


def max_tokens(body: dict[str, Any]) -> int | None:
    """The request's limit on the answer's tokens, by either of its names."""
    for name in ("max_completion_tokens", "max_tokens"):
        if isinstance(body.get(name), int) and body[name] > 0:
            return int(body[name])
    return None


async def complete(request: Request, config: ProxyConfig, caller: Caller, route: str) -> Response:
    """The answer to a chat request, or ProxyError."""
    timeout: float | None = None
    try:
        call = admit(request, config, caller, route, "messages")
        is_stream = caller.body.get("stream") is True
        timeout = float(call.model.params.get("timeout") or 6000)
        try:
            failures.check({**caller.body, "model": call.group}, call.model)
            await failures.on_demand(call.model, call.group, is_stream=is_stream)
            await asyncio.sleep(float(call.model.params.get("mock_delay") or 0))
            reply = make_reply(call)
        except BaseException:
            call.admission.close()
            raise
    except OverLimit as limit:
        error = wire.over_limit(limit)
        error.headers |= wire.error_headers(caller.key, caller.call_id)
        raise error from None
    except ProxyError as error:
        error.headers |= wire.error_headers(caller.key, caller.call_id, timeout=timeout)
        raise
    if is_stream:
        headers = call.headers(reply, is_stream=True)
        return StreamingResponse(
            stream(call, reply),
            headers={**headers, "cache-control": "no-cache", "x-accel-buffering": "no"},
            media_type="text/event-stream",
        )
    response = JSON(body_of(call, reply))
    response.headers.update(call.headers(reply))
    call.settle(reply)
    return response


def make_reply(call: Call) -> Reply:
    """The answers: the model's canned one, or the rules'."""
    return canned_reply(call) if call.model.is_canned else ruled_reply(call)


def canned_reply(call: Call) -> Reply:
    body, params = call.body, call.model.params
    text = params.get("mock_response")
    text = "This is a mock request" if text is None else str(text)
    choice = Choice(text, tool_calls=tuple(params.get("mock_tool_calls") or ()))
    n = body.get("n")
    choices = (choice,) * (1 if n is None else max(0, int(n)))
    prompt, completion = CANNED_PROMPT_TOKENS, CANNED_COMPLETION_TOKENS
    if body.get("stream") is True:
        prompt, completion = tokens.count_messages(body["messages"]), tokens.count(text)
    elif call.caller.key.max_budget is not None:
        # LiteLLM counts a prompt only where it has to keep within a budget.
        prompt = tokens.count_messages(body["messages"])
    return Reply(choices, prompt, completion)


def ruled_reply(call: Call) -> Reply:
    body = call.body
    n = body.get("n")
    first, varies = _which_time(call)
    stop = body.get("stop") or ()
    stop = [stop] if isinstance(stop, str) else [s for s in stop if isinstance(s, str)]
    choices = []
    for i in range(1 if n is None else max(0, int(n))):
        conversation = answers.read(body["messages"], first + i if varies else 1)
        text, reason = answers.cut(answers.answer(conversation), max_tokens(body), stop)
        choices.append(Choice(text, reason))
    completion = sum(tokens.count(choice.text or "") for choice in choices)
    return Reply(tuple(choices), tokens.count_messages(body["messages"]), completion)


def _which_time(call: Call) -> tuple[int, bool]:
    """The how-manieth answer to give, and whether answers vary: with a temperature above 0.

    With a ``seed`` the seed alone decides, so that the same seed gets the same answer.
    """
    body = call.body
    temperature = body.get("temperature")
    if not isinstance(temperature, (int, float)) or temperature <= 0:
        return 1, False
    if isinstance(body.get("seed"), int):
        return abs(body["seed"]) % 97 + 1, True
    conversation = orjson.dumps([call.group, body["messages"]])
    return call.caller.key.times_asked(hashlib.sha256(conversation).hexdigest()), True


# --- bodies -----------------------------------------------------------------------------------


def body_of(call: Call, reply: Reply) -> dict[str, Any]:
    """The whole answer, its fields in LiteLLM's order; a provider's has more than a canned one."""
    canned = call.model.is_canned
    body: dict[str, Any] = {
        "id": call.id,
        "created": call.created,
        "model": call.group,
        "object": "chat.completion",
    }
    if not canned:
        body["system_fingerprint"] = wire.fingerprint(call.model)
    choice_body = _canned_choice if canned else _provider_choice
    body["choices"] = [choice_body(i, choice) for i, choice in enumerate(reply.choices)]
    body["usage"] = wire.usage(reply.prompt_tokens, reply.completion_tokens, canned=canned)
    if not canned:
        body["service_tier"] = "default"
    return body


def _canned_choice(index: int, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"content": choice.text, "role": "assistant"}
    if choice.tool_calls:
        message["tool_calls"] = [_tool_call(call) for call in choice.tool_calls]
    return {"finish_reason": choice.finish_reason, "index": index, "message": message}


def _provider_choice(index: int, choice: Choice) -> dict[str, Any]:
    refusal = {"provider_specific_fields": {"refusal": None}}
    message: dict[str, Any]
    if choice.tool_calls:
        calls = [_tool_call(call) for call in choice.tool_calls]
        message = {"role": "assistant", "tool_calls": calls, **refusal, "content": None}
    else:
        message = {"content": choice.text, "role": "assistant", **refusal, "annotations": []}
    return {
        "finish_reason": choice.finish_reason,
        "index": index,
        "message": message,
        "provider_specific_fields": {},
    }


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function") or {}
    return {
        "function": {"arguments": function.get("arguments", "{}"), "name": function.get("name")},
        "id": call.get("id"),
        "type": call.get("type", "function"),
    }


# --- streams ----------------------------------------------------------------------------------


async def stream(call: Call, reply: Reply) -> AsyncIterator[bytes]:
    """The answer as server-sent events. What was not sent, as the client left, costs nothing."""
    try:
        for chunk in _chunks(call, reply):
            yield wire.event(chunk)
            await asyncio.sleep(0)  # lets other requests, and a client's leaving, be noticed
        call.settle(reply)
        yield wire.DONE
    finally:
        call.admission.close()


def _chunks(call: Call, reply: Reply) -> Iterator[dict[str, Any]]:
    make = _canned_chunk if call.model.is_canned else _provider_chunk
    pieces = [_split(call, choice) for choice in reply.choices]
    for at in range(max(map(len, pieces), default=0)):
        deltas = []
        for index, (choice_pieces, _) in enumerate(zip(pieces, reply.choices, strict=True)):
            if at < len(choice_pieces):
                delta = {"content": choice_pieces[at]}
                if at == 0:
                    delta = _first(call, choice_pieces[at])
                deltas.append({"index": index, "delta": delta})
        yield make(call, deltas)
    for index, choice in enumerate(reply.choices):
        end: dict[str, Any]
        if call.model.is_canned:
            end = {"index": index, "delta": {}, "finish_reason": choice.finish_reason}
        else:
            end = {"finish_reason": choice.finish_reason, "index": index, "delta": {}}
        yield make(call, [end])
        if call.model.is_canned:
            break  # LiteLLM ends a canned stream of several answers once, for the first
    options = call.body.get("stream_options")
    if isinstance(options, dict) and options.get("include_usage"):
        yield _usage_chunk(call, reply)


def _split(call: Call, choice: Choice) -> list[str]:
    text = choice.text or ""
    if call.model.is_canned:
        return [text[i : i + CANNED_PIECE] for i in range(0, len(text), CANNED_PIECE)]
    return ["", *tokens.split(text)]


def _first(call: Call, piece: str) -> dict[str, str]:
    if call.model.is_canned:
        return {"role": "assistant", "content": piece}
    return {"content": piece, "role": "assistant"}


def _canned_chunk(call: Call, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": call.id,
        "object": "chat.completion.chunk",
        "created": call.created,
        "model": call.group,
        "choices": choices,
    }


def _provider_chunk(call: Call, choices: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": call.id,
        "created": call.created,
        "model": call.group,
        "object": "chat.completion.chunk",
        "system_fingerprint": wire.fingerprint(call.model),
        "choices": choices,
        "service_tier": "default",
    }


def _usage_chunk(call: Call, reply: Reply) -> dict[str, Any]:
    """The last chunk, which unlike OpenAI's keeps one choice."""
    canned = call.model.is_canned
    usage = wire.usage(reply.prompt_tokens, reply.completion_tokens, canned=canned)
    if canned:
        usage["completion_tokens_details"] = {
            "reasoning_tokens": 0,
            "text_tokens": reply.completion_tokens,
        }
    price = call.price(reply)
    if price is not None:
        usage["cost"] = sum(price)
    chunk: dict[str, Any] = {
        "id": call.id,
        "created": call.created,
        "model": call.group,
        "object": "chat.completion.chunk",
    }
    if not canned:
        chunk["system_fingerprint"] = wire.fingerprint(call.model)
    chunk |= {"choices": [{"index": 0, "delta": {}}], "usage": usage}
    if not canned:
        chunk["service_tier"] = "default"
    return chunk
