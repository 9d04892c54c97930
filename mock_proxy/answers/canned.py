"""The maker of canned answers: what LiteLLM makes of a model's ``mock_response``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from starlette.responses import Response

from ..call import Call, Choice, Instead, Piece, Ready, Reply, Stream
from ..litellm import provider, tokens, wire
from ..litellm import version as versions
from . import refusals, rules

PROMPT_TOKENS, COMPLETION_TOKENS = 10, 20
"""What LiteLLM reports for a canned answer, whatever its length."""

PIECE = 3
"""Characters in a piece of a canned stream."""

RESPONSE_CREATED = 1741476542
RESPONSE_MESSAGE = "msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b"
RESPONSE_TOKENS = (36, 87)
RESPONSE_COST = (7.2e-05, 0.000696)
MESSAGE_ID = "msg_013Zva2CMHLNnXjNJJKqJ2EF"
MESSAGE_TOKENS = (2095, 503)
"""Canned answers in these two forms always say this, whatever was asked of which model."""

MID_STREAM = "Exception: mock_streaming_error"
MID_STREAM_MESSAGE = (
    "litellm.APIError: APIError: OpenAIException - litellm.MockException: "
    "This is a mock error raised mid-stream"
)


class Canned:
    """Fulfils ``Maker``."""

    async def reply(self, call: Call) -> Reply:
        await _fail_on_demand(call)
        answer = call.model.mock_response
        if call.route == "/responses" and answer is not None:
            return _response(call, str(answer))
        if call.route == "anthropic_messages" and answer is not None:
            return _message(call, str(answer))
        reply = _reply(call)
        if call.route != "/chat/completions":
            return reply
        return _with_body(call, reply)

    async def stream(self, call: Call) -> Stream:
        if call.route in ("/responses", "anthropic_messages"):
            reply = await self.reply(call)
            return rules.Cut(reply) if reply.body is None else CannedStream(reply, ())
        await _fail_on_demand(call)
        reply = _reply(call)
        if call.route != "/chat/completions":
            texts = _in_pieces(reply)
            parts = [{"index": 0, "delta": {"content": text}} for text in texts]
            end = {"index": 0, "delta": {}, "finish_reason": "stop"}
            return CannedStream(reply, [[part] for part in (*parts, end)])
        answer = call.model.mock_response
        if isinstance(answer, str) and answer.startswith(MID_STREAM):
            # It breaks at the first piece, before anything was sent, and so goes out as JSON.
            if versions.current().types_every_error:
                raise wire.failed(529, MID_STREAM_MESSAGE, call.group, "internal_server_error")
            error = wire.ProxyError(529, MID_STREAM_MESSAGE, None)
            headers = call.headers(reply, is_stream=True)
            raise Instead(wire.JSON(error.body, error.status, headers=headers))
        return CannedStream(reply, _chunks(call, reply))

    async def vectors(self, call: Call) -> Reply:
        """LiteLLM hands a canned answer on as one embedding, whatever it is."""
        await _fail_on_demand(call)
        answer = call.model.mock_response
        if answer is None:
            return await rules.Rules().vectors(call)
        body = {
            "model": call.group,
            "data": [{"embedding": answer, "index": 0, "object": "embedding"}],
            "object": "list",
            "usage": {
                **wire.usage(PROMPT_TOKENS, 0),
                "total_tokens": 0,
                "completion_tokens_details": None,
                "prompt_tokens_details": None,
            },
        }
        return Reply((), PROMPT_TOKENS, 0, body=body)


class CannedStream:
    def __init__(self, reply: Reply, pieces: Iterable[Piece | Ready]) -> None:
        self._reply, self._pieces = reply, pieces

    async def pieces(self) -> AsyncIterator[Piece | Ready]:
        for piece in self._pieces:
            yield piece

    def reply(self) -> Reply:
        return self._reply

    async def close(self) -> None:
        pass


def _reply(call: Call) -> Reply:
    refusals.too_many_answers(call)
    body, params = call.body, call.model.params
    text = params.get("mock_response")
    text = "This is a mock request" if text is None else str(text)
    choice = Choice(text, tool_calls=tuple(params.get("mock_tool_calls") or ()))
    n = body.get("n")
    choices = (choice,) * (1 if n is None else max(0, int(n)))
    prompt, completion = PROMPT_TOKENS, COMPLETION_TOKENS
    said = {}
    if call.is_stream:
        prompt, completion = call.prompt_tokens, tokens.count(text)
        if versions.current().counts_all_streamed_answers:
            completion *= len(choices)
        details = {"reasoning_tokens": 0, "text_tokens": completion}
        said = {"usage": {"completion_tokens_details": details}}
    elif call.caller.key.max_budget is not None:
        # LiteLLM counts a prompt only where it has to keep within a budget: one that is no chat, as
        # it is.
        is_text = call.route == "/completions"
        prompt = tokens.count_inputs(body["prompt"]) if is_text else call.prompt_tokens
    return Reply(choices, prompt, completion, said=said)


def _in_pieces(reply: Reply) -> list[str]:
    text = (reply.choices[0].text or "") if reply.choices else ""
    return [text[i : i + PIECE] for i in range(0, len(text), PIECE)]


# --- /chat/completions ------------------------------------------------------------------------


def _with_body(call: Call, reply: Reply) -> Reply:
    """It has fewer fields than a provider's answer."""
    body = {
        "id": call.id,
        "created": call.created,
        "model": call.group,
        "object": "chat.completion",
        "choices": [_choice(index, choice) for index, choice in enumerate(reply.choices)],
        "usage": wire.usage(reply.prompt_tokens, reply.completion_tokens),
    }
    return Reply(reply.choices, reply.prompt_tokens, reply.completion_tokens, body=body)


def _choice(index: int, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"content": choice.text, "role": "assistant"}
    if choice.tool_calls:
        message["tool_calls"] = [wire.tool_call(made) for made in choice.tool_calls]
    return {"finish_reason": choice.finish_reason, "index": index, "message": message}


def _chunks(call: Call, reply: Reply) -> Iterator[Ready]:
    if len(reply.choices) > 1:
        yield from _chunks_of_several(call, reply)
    else:
        for at, text in enumerate(_in_pieces(reply)):
            role = {} if at else {"role": "assistant"}
            yield _chunk(call, [{"index": 0, "delta": {**role, "content": text}}])
    yield _chunk(call, [{"index": 0, "delta": {}, "finish_reason": "stop"}])


def _chunk(call: Call, choices: Piece) -> Ready:
    return Ready(
        id=call.id,
        object="chat.completion.chunk",
        created=call.created,
        model=call.group,
        choices=choices,
    )


def _chunks_of_several(call: Call, reply: Reply) -> Iterator[Ready]:
    """A canned stream of several answers, whose form differs from that of one.

    LiteLLM orders the fields otherwise, names the role in each piece of every answer
    but the first, and ends once, for the first.
    """
    for at, text in enumerate(_in_pieces(reply)):
        named = {"content": text, "role": "assistant"}
        deltas = [
            named if index or not at else {"content": text} for index in range(len(reply.choices))
        ]
        yield Ready(
            id=call.id,
            created=call.created,
            model=call.group,
            object="chat.completion.chunk",
            choices=[{"index": index, "delta": delta} for index, delta in enumerate(deltas)],
        )


# --- the other forms --------------------------------------------------------------------------


def _response(call: Call, text: str) -> Reply:
    if call.is_stream:
        raise Instead(_broken_stream(call))
    content: dict[str, Any] = {
        "annotations": [],
        "text": text,
        "type": "output_text",
        "logprobs": None,
    }
    message = {
        "id": RESPONSE_MESSAGE,
        "content": [content],
        "role": "assistant",
        "status": "completed",
        "type": "message",
        "phase": None,
    }
    prompt, completion = RESPONSE_TOKENS
    body = {
        "id": call.id.replace("chatcmpl-", "resp_"),
        "created_at": RESPONSE_CREATED,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": call.group,
        "object": "response",
        "output": [message],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "max_output_tokens": None,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "status": "completed",
        "text": {"format": {"type": "text"}},
        "truncation": "disabled",
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {
                "audio_tokens": None,
                "cached_tokens": 0,
                "cached_tokens_details": None,
                "image_tokens": None,
                "text_tokens": None,
                "video_tokens": None,
            },
            "output_tokens": completion,
            "output_tokens_details": dict.fromkeys(
                ("audio_tokens", "reasoning_tokens", "text_tokens")
            ),
            "total_tokens": prompt + completion,
            "cost": None,
        },
        "user": None,
        "store": True,
    }
    return Reply((Choice(text),), prompt, completion, RESPONSE_COST, body=body)


def _broken_stream(call: Call) -> Response:
    """LiteLLM cannot stream a canned answer in this form."""
    reply = Reply((), *RESPONSE_TOKENS, RESPONSE_COST)
    if versions.current().ends_broken_stream:
        problem = "'ResponsesAPIResponse' object has no attribute '__aiter__'"
        failed = {
            "id": call.id.replace("chatcmpl-", "resp_"),
            "created_at": call.created,
            "error": {"code": "server_error", "message": problem},
            "object": "response",
            "output": [],
            "status": "failed",
        }
        told = {"type": "response.failed", "response": failed, "sequence_number": 0}
        content = b"event: response.failed\n" + wire.event(told) + wire.DONE
        return Response(content, headers=_of_stream(call, reply), media_type="text/event-stream")
    error = {"message": "Error processing stream start", "type": "internal_server_error"}
    content = wire.event({"error": {**error, "param": None, "code": "500"}}) + wire.DONE
    headers = _of_stream(call, reply)
    return Response(content, 500, headers=headers, media_type="text/event-stream")


def _of_stream(call: Call, reply: Reply) -> wire.Headers:
    return {**call.headers(reply), "cache-control": "no-cache", "x-accel-buffering": "no"}


def _message(call: Call, text: str) -> Reply:
    """Never a stream, though one be asked for; it costs nothing."""
    prompt, completion = MESSAGE_TOKENS
    body = {
        "content": [{"text": text, "type": "text"}],
        "id": MESSAGE_ID,
        "model": call.group,
        "role": "assistant",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "type": "message",
        "usage": {"input_tokens": prompt, "output_tokens": completion},
    }
    cost = None if versions.current().canned_message_has_price else (0.0, 0.0)
    return Reply((Choice(text),), prompt, completion, cost, body=body)


# --- failures ---------------------------------------------------------------------------------


async def _fail_on_demand(call: Call) -> None:
    """Raise the failure that the model's ``mock_response`` or ``mock_timeout`` asks for.

    Recorded of chats; here the other forms fail in the same way, so that a class can learn of it.
    """
    model, group, params = call.model, call.group, call.model.params
    if params.get("mock_timeout") is True and params.get("timeout") is not None:
        timeout = float(params["timeout"])
        await asyncio.sleep(timeout)
        message = "litellm.Timeout: This is a mock timeout error" + provider.deployment(timeout)
        raise wire.failed(408, message, group, "invalid_request_error")
    wanted = model.mock_response
    if not isinstance(wanted, str):
        return
    if wanted == "litellm.RateLimitError":
        message = "litellm.RateLimitError: this is a mock rate limit error"
        raise wire.failed(429, message, group, "throttling_error")
    if wanted == "litellm.InternalServerError":
        message = "litellm.InternalServerError: this is a mock internal server error"
        raise wire.failed(500, message, group, "internal_server_error")
    if wanted == "litellm.ContextWindowExceededError":
        message = (
            "litellm.ContextWindowExceededError: litellm.BadRequestError: "
            f"this is a mock context window exceeded error\nmodel={group}. "
            "context_window_fallbacks=None. fallbacks=None.\n\nSet 'context_window_fallback' - "
            "https://docs.litellm.ai/docs/routing#fallbacks"
        )
        raise wire.failed(400, message, group, "invalid_request_error")
    if wanted.startswith("Exception: content_filter_policy"):
        message = f"litellm.BadRequestError: OpenAIException - litellm.MockException: {wanted}"
        raise wire.failed(400, message, group, "invalid_request_error")
    if wanted.startswith(MID_STREAM) and not call.is_stream:
        raise wire.failed(529, MID_STREAM_MESSAGE, group, "internal_server_error")
