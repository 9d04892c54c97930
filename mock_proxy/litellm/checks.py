"""Requests that fail in LiteLLM's own code, and models whose configuration lets fail at first.

LiteLLM checks little itself; what it passes on fails in its own code or at the provider,
with these statuses and texts (recorded).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..config import Model
from ..keys.store import Key
from . import reasoning, tokens, wire
from .wire import ProxyError

WITHOUT_RESPONSE_FORMAT = ("gpt-4", "gpt-3.5-turbo-16k", "gpt-4-0613", "gpt-4-32k")
"""Targets (without ``openai/``) for which LiteLLM refuses ``response_format``."""

MOCK_TESTING = re.compile(r"mock_(timeout|delay|testing_\w+)")
"""Parameters with which an administrator tests LiteLLM."""


def check(body: Mapping[str, Any], model: Model) -> None:
    """Raise what LiteLLM answers to parameters that it cannot work with."""
    group = str(body.get("model"))
    response_format = body.get("response_format")
    if response_format is not None and not isinstance(response_format, dict):
        raise _internal(f"Unsupported response_format type - {response_format}", group)
    name = model.target.partition("/")[2] or model.target
    refused = [p for p in unsupported(name) if body.get(p) is not None and not _is_let(p, body)]
    if refused:
        reasoning.refuse(reasoning.not_supported(refused, model.target), group)
    timeout = body.get("timeout")
    if isinstance(timeout, str) and not _is_number(timeout):
        raise _internal(f"could not convert string to float: '{timeout}'", group)
    _check_messages(body.get("messages"), group)
    n = body.get("n")
    if n is not None and not isinstance(n, int):
        kind = type(n).__name__
        problem = f"'{kind}' object cannot be interpreted as an integer"
        if model.is_canned:
            problem = f"Mock completion response failed - {problem}"
        raise _internal(problem, group)


def unsupported(name: str) -> list[str]:
    """Those of OpenAI's parameters that LiteLLM refuses for an OpenAI model of this name. What a
    model that reasons lacks is in ``reasoning``.

    Of a model that it does not know, it takes ``reasoning_effort``.
    """
    if reasoning.lacks(name):
        return []
    known = tokens.key_in_table(name) is not None
    lacking = {
        "response_format": name in WITHOUT_RESPONSE_FORMAT,
        "reasoning_effort": known,
        "verbosity": True,
        "thinking": True,
    }
    return [parameter for parameter, is_lacking in lacking.items() if is_lacking]


def _is_let(parameter: str, body: Mapping[str, Any]) -> bool:
    """Whether the request itself has the parameter dropped, or sent on all the same."""
    if str(body.get("drop_params")).lower() == "true":
        return True
    lists = (body.get(name) for name in ("allowed_openai_params", "additional_drop_params"))
    return any(parameter in names for names in lists if isinstance(names, list))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_mock_testing(body: Mapping[str, Any]) -> None:
    found = [parameter for parameter in body if MOCK_TESTING.fullmatch(parameter)]
    if found:
        raise wire.mock_testing(", ".join(found))


def fallbacks(body: Mapping[str, Any], group: str) -> list[tuple[str, dict[str, Any]]]:
    """The models to ask if this one fails, and what to ask them otherwise, in the request's order.

    LiteLLM takes names, requests of their own, and its configuration's form, ``{name: [names]}``.
    """
    found: list[tuple[str, dict[str, Any]]] = []
    given = body.get("fallbacks")
    for other in given if isinstance(given, list) else []:
        if isinstance(other, str):
            found.append((other, {}))
        elif isinstance(other, dict) and isinstance(other.get("model"), str):
            found.append((other["model"], other))
        elif isinstance(other, dict) and isinstance(other.get(group), list):
            found += [(name, {}) for name in other[group] if isinstance(name, str)]
    return found


def _check_messages(messages: Any, group: str) -> None:
    if not isinstance(messages, (list, str, dict)):
        raise _internal(f"'{type(messages).__name__}' object is not iterable", group)
    for message in messages:
        if not isinstance(message, dict):
            kind = type(message).__name__
            raise wire.failed(
                400,
                "Invalid request format: litellm.APIConnectionError: APIConnectionError: "
                f"OpenAIException - '{kind}' object has no attribute 'get'",
                group,
                "invalid_request_error",
            )
        content = message.get("content")
        if isinstance(content, (bool, int, float)):
            raise _internal(f"'{type(content).__name__}' object is not iterable", group)


def _internal(problem: str, group: str) -> ProxyError:
    message = f"litellm.APIConnectionError: APIConnectionError: OpenAIException - {problem}"
    return wire.failed(500, message, group, "internal_server_error")


PROVIDER_FAILURES = {
    429: (
        "litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit reached for {model} "
        "on requests per min (RPM). Please try again in 1s.",
        "throttling_error",
    ),
    500: (
        "litellm.InternalServerError: InternalServerError: OpenAIException - The server had an "
        "error while processing your request. Sorry about that!",
        "internal_server_error",
    ),
    503: (
        "litellm.ServiceUnavailableError: ServiceUnavailableError: OpenAIException - The engine "
        "is currently overloaded, please try again later",
        "internal_server_error",
    ),
    408: (
        "litellm.Timeout: APITimeoutError - Request timed out. "
        "Error_str: Request timed out.\n\nDeployment Info: request_timeout: None\ntimeout: None",
        "invalid_request_error",
    ),
}
"""By status: what LiteLLM makes of a provider's failure, and its type."""


def at_first(model: Model, group: str, key: Key) -> None:
    """Raise as long as a model fails that its configuration lets fail at first.

    ``model_info: {fail_first: 2, fail_with: 429}`` fails two times for each key, with this
    status, then answers once, and begins again: who repeats an exercise sees the same again.
    A real LiteLLM accepts such a file and ignores the two words. A provider's ``retry-after``
    reaches the client as ``llm_provider-retry-after``.
    """
    times = model.info.get("fail_first")
    if not isinstance(times, int):
        return
    if key.failed.get(model.name, 0) >= times:
        key.failed[model.name] = 0
        return
    key.failed[model.name] = key.failed.get(model.name, 0) + 1
    status = model.info.get("fail_with", 429)
    message, kind = PROVIDER_FAILURES.get(status, PROVIDER_FAILURES[500])
    status = status if status in PROVIDER_FAILURES else 500
    error = wire.failed(status, message.format(model=group), group, kind)
    if status == 429:
        error.headers["llm_provider-retry-after"] = "1"
    raise error
