"""The maker whose answers a real model gave before: recorded once, served to everybody."""

from __future__ import annotations

from typing import Any

from ..call import Call, Choice, Maker, Reply, Stream, most_tokens
from ..litellm import tokens, wire
from ..litellm.wire import ProxyError
from . import refusals, vectors
from .recording import Recording, Vector, asked
from .rules import Cut

BY_RECORDING = {"x-practice-proxy-answer": "recorded"}
"""The header of an answer that a model gave; the rules mark theirs themselves."""


class NotRecorded:
    """Fulfils ``Maker``, and answers nothing: for pages that show what a model answered."""

    async def reply(self, call: Call) -> Reply:
        raise ProxyError(
            404,
            f"No answer of {call.model.name} to this request is recorded. `lesson record` asks the "
            "model; a page that wants an answer by the rules asks another model.",
            "not_found_error",
        )

    async def stream(self, call: Call) -> Stream:
        return Cut(await self.reply(call))

    vectors = reply


class Recorded:
    """Fulfils ``Maker``: the recorded answer to a request, or else another maker's.

    What a provider would refuse is refused first. With ``keeps``, what the other maker answers is
    kept in the recording: the other is a server then, and this is how a recording is made.
    """

    def __init__(self, recording: Recording, other: Maker, *, keeps: bool = False) -> None:
        self._recording, self._other, self._keeps = recording, other, keeps

    async def reply(self, call: Call) -> Reply:
        refusals.of_chat(call)
        body = _chat_of(call)
        nth = _which(call, body)
        answer = self._recording.answer(body, nth)
        if answer is None and not self._keeps:
            # A learner asks more often than it was recorded: from the beginning again.
            recorded = self._recording.how_many(body)
            answer = self._recording.answer(body, (nth - 1) % recorded + 1) if recorded else None
        if answer is not None:
            return _reply_of(answer)
        reply = await self._other.reply(call)
        if not self._keeps:
            return reply
        answer = _answer_of(reply)
        self._recording.keep(body, answer)
        return _reply_of(answer)

    async def stream(self, call: Call) -> Stream:
        return Cut(await self.reply(call))

    async def vectors(self, call: Call) -> Reply:
        refusals.of_embedding(call)
        texts = tokens.texts_of(call.body["input"])
        known = [self._recording.vector(text) for text in texts]
        if None in known:
            reply = await self._other.vectors(call)
            if not self._keeps:
                return reply
            share = -(-reply.prompt_tokens // max(1, len(texts)))
            for text, numbers in zip(texts, reply.vectors, strict=True):
                self._recording.keep_vector(text, Vector(tuple(map(float, numbers)), share))
            known = [self._recording.vector(text) for text in texts]
        found = [vector for vector in known if vector is not None]
        packed = call.body.get("encoding_format") == "base64"
        made = [list(vector.numbers) for vector in found]
        return Reply(
            (),
            sum(vector.tokens for vector in found),
            0,
            headers=BY_RECORDING,
            vectors=tuple(map(vectors.as_base64, made)) if packed else tuple(made),
        )


def _chat_of(call: Call) -> dict[str, Any]:
    """The chat with the limit on its answer that the key brings, as a provider would get it."""
    most = most_tokens(call)
    body = {name: value for name, value in call.body.items() if name != "prompt"}
    return body if most is None else {**body, "max_tokens": most}


def _which(call: Call, body: dict[str, Any]) -> int:
    """The number of the answer: answers vary where the temperature is above 0."""
    temperature = body.get("temperature")
    if not isinstance(temperature, (int, float)) or temperature <= 0 or "seed" in body:
        return 1
    return call.caller.key.times_asked("recorded " + repr(asked(body)))


def _answer_of(reply: Reply) -> dict[str, Any]:
    """What is kept of an answer."""
    choices: list[dict[str, Any]] = []
    for choice in reply.choices:
        kept: dict[str, Any] = {"content": choice.text, "finish_reason": choice.finish_reason}
        if choice.tool_calls:
            kept["tool_calls"] = list(choice.tool_calls)
        choices.append(kept)
    return {"choices": choices, "usage": [reply.prompt_tokens, reply.completion_tokens]}


def _reply_of(answer: dict[str, Any]) -> Reply:
    choices = [
        Choice(one["content"], one["finish_reason"], tuple(one.get("tool_calls", ())))
        for one in answer["choices"]
    ]
    prompt, completion = answer["usage"]
    said = {"system_fingerprint": None, "usage": wire.usage_details()}
    return Reply(tuple(choices), prompt, completion, said=said, headers=BY_RECORDING)
