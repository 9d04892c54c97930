"""What an upstream is asked, and what it answers, in this proxy's terms."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..call import DEFAULT_TIMEOUT, Call, Choice, Reply, most_tokens
from ..litellm import provider, tokens, wire
from ..litellm.wire import ProxyError

CHAT, EMBEDDINGS = "/chat/completions", "/embeddings"

NOT_SENT_ON = (
    "model",  # goes on under the upstream's name for it
    "timeout",
    "num_retries",
    "fallbacks",
    "metadata",
    "mock_",
    "litellm_",
    "api_key",
    "api_base",
    "base_url",
    "extra_headers",
    "user_config",
)
"""Prefixes of parameters that are for LiteLLM itself, or might hold a key."""


@dataclass(frozen=True)
class Request:
    """What the upstream is asked, and the name that the learner used for the model."""

    path: str
    model: str
    body: dict[str, Any]
    """Without the model."""


def sent_on(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are for the upstream, unchanged; null counts as left out."""
    return {
        name: value
        for name, value in body.items()
        if value is not None and not name.startswith(NOT_SENT_ON)
    }


def chat_of(call: Call) -> dict[str, Any]:
    """The chat to send. A text completion is a chat of one message, as in LiteLLM."""
    body = {name: value for name, value in call.body.items() if name != "prompt"}
    most = most_tokens(call)
    if most is not None and not {"max_tokens", "max_completion_tokens"} & body.keys():
        body["max_tokens"] = most
    return body


def timeout_of(call: Call) -> float:
    """Seconds to wait for the upstream: the request's, or the model's."""
    asked = call.body.get("timeout")
    if isinstance(asked, (int, float)) and asked > 0:
        return float(asked)
    return float(call.model.params.get("timeout") or DEFAULT_TIMEOUT)


# --- answers ----------------------------------------------------------------------------------


def reply_of(call: Call, body: Mapping[str, Any], headers: wire.Headers) -> Reply:
    """An upstream's body as a reply; tokens are counted here where it gives none."""
    given = [choice for choice in items(body.get("choices")) if isinstance(choice, dict)]
    if not given:
        raise provider.unreadable(call.group, "Invalid response object")
    choices = tuple(_choice(choice) for choice in given)
    usage = mapping(body.get("usage"))
    prompt, completion = (number(usage.get(f"{kind}_tokens")) for kind in ("prompt", "completion"))
    return Reply(
        choices,
        call.prompt_tokens if prompt is None else prompt,
        sum(map(_tokens_of, choices)) if completion is None else completion,
        said={**said_by(body), "usage": _details(usage)},
        headers=headers,
        made_here=False,
    )


def _tokens_of(choice: Choice) -> int:
    arguments = (made["function"]["arguments"] for made in choice.tool_calls)
    return tokens.count(choice.text or "") + sum(map(tokens.count, arguments))


OF_A_MESSAGE = ("role", "content", "tool_calls", "refusal", "annotations", "function_call", "audio")
"""Fields of a message that have a place of their own in the answer, or are dropped."""


def _choice(choice: Mapping[str, Any]) -> Choice:
    message = mapping(choice.get("message"))
    text = message.get("content")
    return Choice(
        text if text is None else str(text),
        str(choice.get("finish_reason") or "stop"),
        tuple(_call(made) for made in items(message.get("tool_calls")) if isinstance(made, dict)),
        {k: v for k, v in message.items() if k not in OF_A_MESSAGE and v is not None},
        choice.get("logprobs"),
        message.get("refusal"),
        items(message["annotations"]) if "annotations" in message else None,
    )


def _call(made: Mapping[str, Any]) -> dict[str, Any]:
    function = mapping(made.get("function"))
    arguments = function.get("arguments")
    return {
        "id": str(made.get("id") or wire.new_id("call_")),
        "type": "function",
        "function": {
            "name": str(function.get("name") or ""),
            "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments or {}),
        },
    }


def piece(choice: Any) -> dict[str, Any]:
    """A choice of a streamed piece, without empty fields and without refusals, which LiteLLM
    drops."""
    choice = mapping(choice)
    delta = {k: v for k, v in mapping(choice.get("delta")).items() if v is not None}
    delta.pop("refusal", None)
    if set(delta) == {"role"}:
        delta["content"] = ""
    first = {name: delta[name] for name in ("content", "role") if name in delta}
    piece: dict[str, Any] = {}
    if choice.get("finish_reason") is not None:
        piece["finish_reason"] = choice["finish_reason"]
    piece["index"] = number(choice.get("index")) or 0
    piece["delta"] = {**first, **delta}
    if choice.get("logprobs") is not None:
        piece["logprobs"] = without_nulls(choice["logprobs"])
    return piece


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def said_by(body: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"system_fingerprint": body.get("system_fingerprint")}
    for name, kind in (("id", str), ("created", int), ("model", str), ("service_tier", str)):
        if isinstance(body.get(name), kind):
            said[name] = body[name]
    return said


def _details(usage: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in usage.items() if name.endswith("_tokens_details")}


def failed_inside(event: Mapping[str, Any], group: str) -> ProxyError:
    """An error that came as a piece of a stream."""
    code = str(mapping(event["error"]).get("code"))
    status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else 500
    return provider.failed_inside(status, json.dumps(event), group)


def mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
