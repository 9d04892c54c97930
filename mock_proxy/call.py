"""A request that was let in: counted against its key, answered, and paid for."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request

from .answers import talk, tools
from .config import Model, ProxyConfig
from .keys.store import Admission, KeyStore, Meter, OverLimit, now
from .litellm import tokens, wire
from .litellm.wire import ProxyError
from .routes.auth import Caller
from .routes.spend import Entry, SpendLog

if TYPE_CHECKING:  # httpx is not for those who relay nothing
    from .upstream.relay import Relay

CANNED_PROMPT_TOKENS, CANNED_COMPLETION_TOKENS = 10, 20
"""What LiteLLM reports for a canned answer, whatever its length."""

BY_RULES = {"x-practice-proxy-answer": "rules"}
"""Marks an answer of the rules where others come from a recording."""

DEFAULT_TIMEOUT = 6000.0
"""Seconds that LiteLLM names in the headers of a failure, unless the model sets its own."""


@dataclass(frozen=True)
class Choice:
    """One answer; ``finish_reason`` is stop, length or tool_calls, or what an upstream says."""

    text: str | None
    finish_reason: str = "stop"
    tool_calls: tuple[dict[str, Any], ...] = ()
    more: dict[str, Any] = field(default_factory=dict)
    """What else an upstream's message holds, such as ``reasoning_content``."""
    logprobs: Any = None
    refusal: str | None = None


@dataclass(frozen=True)
class Reply:
    """The answers to a request, and the tokens that they cost."""

    choices: tuple[Choice, ...]
    prompt_tokens: int
    completion_tokens: int
    cost: tuple[float, float] | None = None
    """USD for the prompt and for the answers, where the price table does not tell."""
    said: dict[str, Any] | None = None
    """What an upstream says of its answer: ``system_fingerprint``, perhaps ``service_tier``, and
    the details of its ``usage``. None where this proxy made the answer."""
    headers: wire.Headers = field(default_factory=dict)
    """An upstream's headers, under LiteLLM's names for them."""


@dataclass(frozen=True)
class Call:
    """A request that was let in."""

    caller: Caller
    model: Model
    group: str
    """The model's name as the request has it."""
    admission: Admission
    model_limits: dict[str, int]
    """What remains of the model's own limits, as headers say it."""
    route: str
    log: SpendLog
    relay: Relay | None = None
    """Who answers instead of the rules, if somebody does."""
    started: float = field(default_factory=time.perf_counter)
    id: str = field(default_factory=wire.new_id)
    created: int = field(default_factory=wire.timestamp)

    @property
    def body(self) -> dict[str, Any]:
        return self.caller.body

    def price(self, reply: Reply) -> tuple[float, float] | None:
        """USD for the prompt and for the answers; None where no price is known."""
        if reply.cost is not None:
            return reply.cost
        facts = tokens.facts(self.model.target, self.model.info)
        return tokens.cost(facts, reply.prompt_tokens, reply.completion_tokens)

    def headers(self, reply: Reply, *, is_stream: bool = False) -> wire.Headers:
        headers = wire.answer_headers(
            self.caller.key,
            self.model,
            self.group,
            call_id=self.caller.call_id,
            cost=self.price(reply),
            seconds=time.perf_counter() - self.started,
            remaining=self.admission.remaining,
            model_limits=self.model_limits,
            is_stream=is_stream,
        )
        if self.relay is not None and reply.said is None:
            headers |= BY_RULES
        if reply.said is not None:  # it would say how much of the time was LiteLLM's own
            headers.pop("x-litellm-overhead-duration-ms", None)
        return {**headers, **reply.headers}

    def settle(self, reply: Reply) -> None:
        """Count the answer's tokens and cost, and enter them in the log."""
        cost = sum(self.price(reply) or (0.0,))
        self.admission.close(reply.prompt_tokens + reply.completion_tokens, cost)
        self.log.entries.append(
            Entry(
                self.id,
                self.caller.call_id,
                self.route,
                self.caller.key,
                self.model,
                self.group,
                reply.prompt_tokens,
                reply.completion_tokens,
                cost,
                now(),
                time.perf_counter() - self.started,
            )
        )


@dataclass(frozen=True)
class Proxy:
    """What the routes share: the configuration, the keys, each deployment's use, the calls."""

    config: ProxyConfig
    keys: KeyStore
    meters: dict[str, Meter] = field(default_factory=dict)
    log: SpendLog = field(default_factory=SpendLog)
    relay: Relay | None = None

    def use(self, model: Model) -> dict[str, int]:
        """Count a request to a model whose configuration limits it, and say what remains.

        LiteLLM 1.106.2 reports ``rpm`` in headers, below zero too, and refuses nothing.
        """
        limit = model.params.get("rpm")
        if not isinstance(limit, int):
            return {}
        meter = self.meters.setdefault(model.id, Meter())
        meter.refresh(now())
        meter.requests += 1
        return {"remaining-requests": limit - meter.requests, "limit-requests": limit}


@dataclass(frozen=True)
class Route:
    """What differs between the routes that ask a model."""

    name: str
    """As it stands in error texts, such as ``/chat/completions``."""
    needs: tuple[str, ...]
    """Parameters without which LiteLLM asks no model."""
    names_version: bool = False
    """Whether its errors carry ``x-litellm-version``."""
    default_timeout: float = DEFAULT_TIMEOUT


@contextlib.asynccontextmanager
async def answering(
    request: Request, proxy: Proxy, caller: Caller, route: Route
) -> AsyncIterator[Call]:
    """Let the request in, and give errors on the way to its answer their headers.

    LiteLLM's order: the model's type, the key's limits, the needed parameters, the model.
    What is let in must be settled (``Call.settle``); with an error it is closed unpaid.
    """
    timeout: float | None = None
    admission: Admission | None = None
    try:
        body = caller.body
        name = request.path_params.get("model") or body.get("model")
        if name is not None and not isinstance(name, str):
            raise wire.model_is_no_text()
        admission = caller.key.admit(name or "", reserve=_reserve(body, caller.key.tpm_limit))
        for parameter in route.needs:
            if body.get(parameter) is None:
                raise wire.missing_parameter(route.name, parameter)
        model = proxy.config.find(name) if name else None
        if name is None or model is None:
            raise wire.unknown_model(route.name, name)
        timeout = float(model.params.get("timeout") or route.default_timeout)
        limits = proxy.use(model)
        relay = proxy.relay if proxy.relay is not None and proxy.relay.serves(model) else None
        yield Call(caller, model, name, admission, limits, route.name, proxy.log, relay)
    except OverLimit as limit:
        error = wire.over_limit(limit)
        error.headers |= wire.error_headers(caller.key, caller.call_id, version=route.names_version)
        raise error from None
    except BaseException as error:
        if admission is not None:
            admission.close()
        if isinstance(error, ProxyError):
            error.headers |= wire.error_headers(
                caller.key, caller.call_id, version=route.names_version, timeout=timeout
            )
        raise


T = TypeVar("T")


async def unless_gone(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do the work, but no longer than the client waits: nobody is to pay for what nobody reads.

    The body has been read, so what comes next is the client's leaving.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


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
    return prompt + (most if most is not None else max(prompt, unasked_limit(tpm_limit)))


def unasked_limit(tpm_limit: int) -> int:
    """Tokens that LiteLLM 1.106.2 allows an answer whose request sets no limit.

    A quarter of the key's tokens a minute, if that is less than 1,024: a key with a small
    limit gets short answers, cut off with ``finish_reason: length``.
    """
    return max(1, min(1024, tpm_limit // 4))


def max_tokens(body: dict[str, Any]) -> int | None:
    """The request's limit on the answer's tokens, by either of its names."""
    for name in ("max_completion_tokens", "max_tokens"):
        if isinstance(body.get(name), int) and body[name] > 0:
            return int(body[name])
    return None


def most_tokens(call: Call) -> int | None:
    """The limit on the answer's tokens: the request's, or the one that follows from the key's."""
    most, tpm_limit = max_tokens(call.body), call.caller.key.tpm_limit
    if most is None and tpm_limit is not None and unasked_limit(tpm_limit) < 1024:
        return unasked_limit(tpm_limit)
    return most


async def make_reply(call: Call) -> Reply:
    """The answers: the model's canned one, an upstream's, or the rules'."""
    if call.model.is_canned:
        return canned_reply(call)
    relayed = await call.relay.reply(call) if call.relay is not None else None
    return await ruled_reply(call) if relayed is None else relayed


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


async def ruled_reply(call: Call) -> Reply:
    body = call.body
    n = body.get("n")
    first, varies = _which_time(call)
    stop = body.get("stop")
    stop = [mark for mark in (stop if isinstance(stop, list) else [stop]) if isinstance(mark, str)]
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
    return Reply(tuple(choices), tokens.count_messages(body["messages"]), completion)


def _choice(call: Call, conversation: talk.Conversation, stop: list[str]) -> Choice:
    """One answer: the call of a tool, JSON, or text."""
    body = call.body
    if isinstance(body.get("tools"), list):
        made = tools.call_for(conversation, body["tools"], body.get("tool_choice"))
        if made is not None:
            return Choice(None, "tool_calls", (made,))
    response_format = body.get("response_format")
    if isinstance(response_format, dict) and response_format.get("type") in JSON_FORMATS:
        text = talk.formatted(conversation, response_format)
        if text is None:
            raise _no_schema(response_format, call.group)
    else:
        text = talk.answer(conversation)
    return Choice(*talk.cut(text, most_tokens(call), stop))


JSON_FORMATS = ("json_object", "json_schema")


def _no_schema(response_format: dict[str, Any], group: str) -> ProxyError:
    wanted = response_format.get("json_schema")
    name = wanted.get("name") if isinstance(wanted, dict) else None
    message = (
        "litellm.BadRequestError: OpenAIException - Invalid schema for response_format "
        f"'{name}': the practice proxy finds no value that fits it."
    )
    return wire.failed(400, message, group, "invalid_request_error", "response_format")


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
