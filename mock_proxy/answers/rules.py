"""The maker whose answers follow rules, and who refuses what a provider would refuse."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import orjson

from ..call import Call, Choice, Piece, Reply, Stream, most_tokens
from ..litellm import tokens, wire
from ..litellm.wire import ProxyError
from . import filters, refusals, talk, thinking, tools, vectors

MARK = {"x-practice-proxy-answer": "rules"}
"""The header that says who made an answer: this proxy, which LiteLLM's other headers hide."""

DEFAULT_DIMENSIONS = 1536
MOST_DIMENSIONS = 4096


class Rules:
    """Fulfils ``Maker``."""

    async def reply(self, call: Call) -> Reply:
        return await self._reply(call, is_stream=False)

    async def _reply(self, call: Call, *, is_stream: bool) -> Reply:
        refusals.of_chat(call)
        filters.check(call)
        body = call.body
        n = body.get("n")
        first, varies = _which_time(call)
        stop = body.get("stop")
        stop = stop if isinstance(stop, list) else [stop]
        stop = [mark for mark in stop if isinstance(mark, str)]
        wanted = 1 if n is None else max(0, int(n))
        different = wanted if varies else min(1, wanted)
        choices = []
        for i in range(different):
            choices.append(_choice(call, talk.read(body["messages"], first + i), stop))
            await asyncio.sleep(0)  # others are not to wait for 128 answers to a long text
        if not varies:
            choices *= wanted
        completion = sum(
            tokens.count(choice.text or "")
            + sum(tokens.count(made["function"]["arguments"]) for made in choice.tool_calls)
            for choice in choices[:different]
        )
        if not varies:
            completion *= wanted
        thought = _thought(call) * wanted
        said = {
            "system_fingerprint": None if thinking.reasons(call) else wire.fingerprint(call.model),
            **({} if refusals.is_azures(call) else {"service_tier": "default"}),
            "usage": wire.usage_details(thought),
            **filters.told(call),
        }
        return Reply(
            tuple(filters.filtered(call, choices, is_stream=is_stream)),
            call.prompt_tokens,
            completion + thought,
            said=said,
            headers=MARK,
        )

    async def stream(self, call: Call) -> Stream:
        return filters.stream(call, Cut(await self._reply(call, is_stream=True)))

    async def vectors(self, call: Call) -> Reply:
        refusals.of_embedding(call)
        texts = tokens.texts_of(call.body["input"])
        size = _dimensions(call)
        packed = call.body.get("encoding_format") == "base64"
        made: list[Any] = []
        for text in texts:
            vector = vectors.embed(text, size)
            made.append(vectors.as_base64(vector) if packed else vector)
            await asyncio.sleep(0)  # others are not to wait for two thousand texts
        prompt = tokens.count_inputs(call.body["input"])
        return Reply((), prompt, 0, vectors=tuple(made), headers=MARK)


class Cut:
    """An answer in pieces of a token each; of what has not been sent, only reasoning costs."""

    def __init__(self, reply: Reply) -> None:
        self._reply, self._sent = reply, reply.reasoning_tokens

    async def pieces(self) -> AsyncIterator[Piece]:
        for piece in in_step([_deltas(choice) for choice in self._reply.choices]):
            self._sent += len(piece)
            yield piece
        for index, choice in enumerate(self._reply.choices):
            yield [{"finish_reason": choice.finish_reason, "index": index, "delta": {}}]
        self._sent = self._reply.completion_tokens

    def reply(self) -> Reply:
        sent = min(self._sent, self._reply.completion_tokens)
        return replace(self._reply, completion_tokens=sent)

    async def close(self) -> None:
        pass


def in_step(deltas: list[list[dict[str, Any]]]) -> Iterator[Piece]:
    """The answers' parts, the first of all of them first."""
    for at in range(max(map(len, deltas), default=0)):
        yield [
            {"index": index, "delta": of_choice[at]}
            for index, of_choice in enumerate(deltas)
            if at < len(of_choice)
        ]


def _deltas(choice: Choice) -> list[dict[str, Any]]:
    """An answer's parts as a stream brings them; the first says whose they are."""
    if choice.tool_calls:
        return _tool_deltas(choice)
    pieces = tokens.split(choice.text or "")
    return [{"content": "", "role": "assistant"}, *({"content": piece} for piece in pieces)]


def _tool_deltas(choice: Choice) -> list[dict[str, Any]]:
    """The calls of tools, each first named, then its arguments in pieces."""
    deltas: list[dict[str, Any]] = []
    for index, made in enumerate(choice.tool_calls):
        function = made["function"]
        named = {"arguments": "", "name": function["name"]}
        start = {"id": made["id"], "function": named, "type": "function", "index": index}
        deltas.append({"tool_calls": [start]})
        for piece in tokens.split(function["arguments"]):
            part = {"function": {"arguments": piece}, "type": "function", "index": index}
            deltas.append({"tool_calls": [part]})
    deltas[0] = {"role": "assistant", **deltas[0]}
    return deltas


def _thought(call: Call) -> int:
    """Tokens of reasoning for one answer, which count towards its limit."""
    most, thought = most_tokens(call), thinking.length(call)
    return thought if most is None else min(most, thought)


def _choice(call: Call, conversation: talk.Conversation, stop: list[str]) -> Choice:
    """One answer: the call of a tool, JSON, or text. Nothing where the reasoning left no room."""
    body = call.body
    most = most_tokens(call)
    if most is not None:
        most -= _thought(call)
        if most == 0:
            return Choice("", "length")
    if isinstance(body.get("tools"), list):
        # Another server was recorded as calling whatever it is offered.
        always = not refusals.is_openais(call)
        made = tools.call_for(conversation, body["tools"], body.get("tool_choice"), always=always)
        if made is not None:
            return Choice(None, "tool_calls", (made,))
    response_format = body.get("response_format")
    if isinstance(response_format, dict) and response_format.get("type") in JSON_FORMATS:
        text = talk.formatted(conversation, response_format)
        if text is None:
            raise _no_schema(response_format, call.group)
    else:
        text = talk.answer(conversation)
    return Choice(*talk.cut(text, most, stop))


JSON_FORMATS = ("json_object", "json_schema")


def _no_schema(response_format: dict[str, Any], group: str) -> ProxyError:
    wanted = response_format.get("json_schema")
    name = wanted.get("name") if isinstance(wanted, dict) else None
    message = (
        f"Invalid schema for response_format '{name}': the practice proxy finds no value that "
        "fits it."
    )
    return refusals.refusal(message, group, "response_format")


def _which_time(call: Call) -> tuple[int, bool]:
    """The number of the answer to give, and whether answers vary: with a temperature above 0,
    and where a model reasons, since its temperature is 1.

    With a ``seed`` the seed alone decides, so that the same seed gets the same answer.
    """
    body = call.body
    temperature = 1 if thinking.reasons(call) else body.get("temperature")
    if not isinstance(temperature, (int, float)) or temperature <= 0:
        return 1, False
    if isinstance(body.get("seed"), int):
        return abs(body["seed"]) % 97 + 1, True
    conversation = orjson.dumps([call.group, body["messages"]])
    return call.caller.key.times_asked(hashlib.sha256(conversation).hexdigest()), True


def _dimensions(call: Call) -> int:
    """How many numbers a vector has: the model's, unless the request says and the model can."""
    facts = tokens.facts(call.model.target, call.model.info)
    size = int(facts.get("output_vector_size") or DEFAULT_DIMENSIONS)
    wanted = call.body.get("dimensions")
    if wanted is None:
        return size
    if "text-embedding-3" not in call.model.target:
        message = (
            "litellm.UnsupportedParamsError: Setting dimensions is not supported for OpenAI "
            "`text-embedding-3` and later models. To drop it from the call, set "
            "`litellm.drop_params = True`."
        )
        raise wire.failed(400, message, call.group, "invalid_request_error")
    if not isinstance(wanted, int) or not 1 <= wanted <= min(size, MOST_DIMENSIONS):
        message = f"Invalid value for 'dimensions' = {wanted}. Must be between 1 and {size}."
        raise refusals.refusal(message, call.group, "dimensions")
    return wanted
