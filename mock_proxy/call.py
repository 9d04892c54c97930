"""One call: who asks which model, who makes the answer, and what it costs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from starlette.responses import Response

from .config import Model, ProxyConfig
from .keys.store import Admission, Key, KeyStore, Meter, now
from .litellm import tokens, wire
from .litellm import version as versions
from .litellm.spend_log import Entry, SpendLog

DEFAULT_TIMEOUT = 6000.0
"""Seconds that LiteLLM names in the headers of a failure, unless the model sets its own."""

COOLDOWN = 5
"""Seconds for which LiteLLM leaves a model alone whose provider knows neither it nor its key."""

UNKNOWN_OUTPUT = 16_384
"""Tokens that LiteLLM expects of an answer where neither request nor model sets a limit."""

Body = dict[str, Any]


@dataclass(frozen=True)
class Caller:
    """A request that passed authentication."""

    key: Key
    body: Body
    call_id: str = field(default_factory=lambda: wire.new_id(""))


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
    told: dict[str, Any] = field(default_factory=dict, kw_only=True)
    """What a provider says of the answer beside its message, such as what its filter found."""
    annotations: list[Any] | None = None


@dataclass(frozen=True)
class Reply:
    """The answers to a request, and the tokens that they cost."""

    choices: tuple[Choice, ...]
    prompt_tokens: int
    completion_tokens: int
    cost: tuple[float, float] | None = None
    """USD for the prompt and for the answers, where the price table does not tell."""
    said: dict[str, Any] = field(default_factory=dict)
    """What a provider says of its answer: ``system_fingerprint``, perhaps ``service_tier``, and
    the details of its ``usage``."""
    headers: wire.Headers = field(default_factory=dict)
    """More headers, such as an upstream's under LiteLLM's names for them."""
    made_here: bool = True
    """Whether no other server was asked."""
    vectors: tuple[Any, ...] = ()
    """Of an embedding: numbers, or packed."""
    body: Any = None
    """The whole body, where it is not the usual one of its form."""

    @property
    def reasoning_tokens(self) -> int:
        """Of the answers' tokens those that nobody sees; they cost as much."""
        details = self.said.get("usage", {}).get("completion_tokens_details")
        thought = details.get("reasoning_tokens") if isinstance(details, dict) else None
        return thought if isinstance(thought, int) else 0


class Ready(dict[str, Any]):
    """A piece of a stream that is sent as it is."""


Piece = list[dict[str, Any]]
"""Parts of answers as a stream's ``choices`` has them."""


class Stream(Protocol):
    """An answer while it is made."""

    def pieces(self) -> AsyncIterator[Piece | Ready]: ...

    def reply(self) -> Reply:
        """All that was made so far, for its price and its headers."""

    async def close(self) -> None: ...


class Maker(Protocol):
    """Who makes the answers: the rules, another server, or the configuration."""

    async def reply(self, call: Call) -> Reply: ...

    async def stream(self, call: Call) -> Stream: ...

    async def vectors(self, call: Call) -> Reply: ...


class Instead(Exception):
    """An answer that takes the place of all others, and costs nothing."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@dataclass(frozen=True)
class Call:
    """A request that was let in."""

    caller: Caller
    body: Body
    """The request as a chat, or as it was sent."""
    is_stream: bool
    model: Model
    group: str
    """The model's name as the request has it."""
    maker: Maker
    admission: Admission
    model_limits: dict[str, int]
    """What remains of the model's own limits, as headers say it."""
    route: str
    log: SpendLog
    fallbacks: int = 0
    """1 if another model was asked before, and failed."""
    started: float = field(default_factory=time.perf_counter)
    id: str = field(default_factory=wire.new_id)
    created: int = field(default_factory=wire.timestamp)

    @cached_property
    def prompt_tokens(self) -> int:
        """Of the messages or texts, where nobody else says: counted once, as it takes its time."""
        if "messages" not in self.body:
            return tokens.count_inputs(self.body.get("input"))
        messages = self.body["messages"]
        return tokens.count_messages(messages) if isinstance(messages, (list, str, dict)) else 0

    def price(self, reply: Reply) -> tuple[float, float] | None:
        """USD for the prompt and for the answers; None where no price is known."""
        if reply.cost is not None:
            return reply.cost
        facts = tokens.facts(self.model.target, self.model.info)
        return tokens.cost(facts, reply.prompt_tokens, reply.completion_tokens)

    def most_cost(self) -> float:
        """USD that the answers may cost at most; 0 where no price is known.

        As LiteLLM 1.106.2 estimates it: the prompt, and for each answer the request's limit, but
        no more than the model can write.
        """
        facts = tokens.facts(self.model.target, self.model.info)
        answer = 0
        if "messages" in self.body:
            can = facts.get("max_output_tokens")
            can = can if isinstance(can, int) and can > 0 else UNKNOWN_OUTPUT
            answer = min(most_tokens(self) or UNKNOWN_OUTPUT, can)
        return sum(tokens.cost(facts, self.prompt_tokens, answer * self.answers) or (0.0,))

    @property
    def answers(self) -> int:
        """How many answers to the same question were asked for."""
        n = self.body.get("n")
        return max(1, n) if isinstance(n, int) else 1

    def headers(self, reply: Reply, *, is_stream: bool = False) -> wire.Headers:
        cost = self.price(reply)
        headers = wire.answer_headers(
            self.caller.key,
            self.model,
            self.caller.key.meant_by(self.group),
            call_id=self.caller.call_id,
            cost=cost,
            seconds=time.perf_counter() - self.started,
            remaining=self.admission.remaining,
            model_limits=self.model_limits,
            is_stream=is_stream,
            fallbacks=self.fallbacks,
        )
        facts = tokens.facts(self.model.target, self.model.info)
        thought = tokens.cost(facts, 0, reply.reasoning_tokens)
        is_told = (
            self.route != "anthropic_messages" or versions.current().message_has_reasoning_cost
        )
        if thought and sum(thought) and is_told and not is_stream:
            headers["x-litellm-response-cost-reasoning"] = str(sum(thought))
        if not reply.made_here:  # it would say how much of the time was LiteLLM's own
            headers.pop("x-litellm-overhead-duration-ms", None)
        return {**headers, **reply.headers}

    def settle_left(self) -> None:
        """Count the prompt of somebody who leaves before the answer: a provider was asked."""
        self.settle(Reply((), self.prompt_tokens, 0))

    def settle(self, reply: Reply) -> None:
        """Count the answer's tokens and cost, and enter them in the log, once."""
        if not self.admission.is_open:
            return
        cost = sum(self.price(reply) or (0.0,))
        self.admission.close(reply.prompt_tokens + reply.completion_tokens, cost)
        self.log.entries.append(
            Entry(
                reply.said.get("id", self.id),
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
    maker_for: Callable[[Model], Maker]
    meters: dict[str, Meter] = field(default_factory=dict)
    log: SpendLog = field(default_factory=SpendLog)
    cooling: dict[str, float] = field(default_factory=dict)
    """Until when which model is left alone, by its id; see ``time.monotonic``."""

    def refuse_cooling(self, call: Call) -> None:
        """Raise ProxyError if the model is left alone for now."""
        now = time.monotonic()
        ids = [model for model, until in self.cooling.items() if until > now]
        if call.model.id in ids:
            raise wire.in_cooldown(call.group, ids, COOLDOWN)

    def instead(self, call: Call, name: str, body: Body) -> Call:
        """The same call to another model, with these parameters changed, or ProxyError."""
        model = self.config.find(name)
        if model is None:
            raise wire.not_deployed(name)
        return replace(
            call,
            body={**call.body, **body, "model": name},
            model=model,
            group=name,
            maker=self.maker_for(model),
            model_limits=self.use(model),
            fallbacks=1,
        )

    def use(self, model: Model) -> dict[str, int]:
        """Count a request to a model whose configuration limits it, and say what remains.

        LiteLLM reports ``rpm`` in headers, below zero too, and refuses nothing.
        """
        limit = model.params.get("rpm")
        if not isinstance(limit, int):
            return {}
        meter = self.meters.setdefault(model.id, Meter())
        meter.refresh(now())
        meter.requests += 1
        return {"remaining-requests": limit - meter.requests, "limit-requests": limit}


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
    most, tpm_limit = max_tokens(call.body), call.caller.key.smallest_tpm_limit(call.group)
    if most is None and tpm_limit is not None and unasked_limit(tpm_limit) < 1024:
        return unasked_limit(tpm_limit)
    return most
