"""Requests that fail at the provider, and models whose configuration asks to fail.

LiteLLM checks little itself; what it passes on fails in its own code or at the provider,
with these statuses and texts (recorded from LiteLLM 1.106.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ..answers import schemas
from ..config import Model
from ..keys.store import Key
from ..litellm import wire
from ..litellm.wire import ProxyError

WITHOUT_RESPONSE_FORMAT = ("gpt-4", "gpt-3.5-turbo-16k", "gpt-4-0613", "gpt-4-32k")
"""Targets (without ``openai/``) for which LiteLLM refuses ``response_format``."""

MOST_ANSWERS = 128
"""OpenAI's limit on ``n``."""

MID_STREAM = "Exception: mock_streaming_error"
MID_STREAM_MESSAGE = (
    "litellm.APIError: APIError: OpenAIException - litellm.MockException: "
    "This is a mock error raised mid-stream"
)


def check(body: Mapping[str, Any], model: Model, *, relayed: bool = False) -> None:
    """Raise what LiteLLM answers to parameters that it cannot work with.

    What the provider would refuse is left to it if the request is ``relayed``.
    """
    group = str(body.get("model"))
    response_format = body.get("response_format")
    if response_format is not None and not isinstance(response_format, dict):
        raise _internal(f"Unsupported response_format type - {response_format}", group)
    name = model.target.partition("/")[2] or model.target
    refused = [
        parameter
        for parameter in ("response_format", "reasoning_effort")
        if body.get(parameter) is not None and name in WITHOUT_RESPONSE_FORMAT
    ]
    if refused:
        raise _unsupported(refused, name, group)
    _check_messages(body.get("messages"), group)
    if response_format and not model.is_canned and not relayed:
        _check_schema(response_format, group)
    n = body.get("n")
    if n is not None and not isinstance(n, int):
        kind = type(n).__name__
        problem = f"'{kind}' object cannot be interpreted as an integer"
        if model.is_canned:
            problem = f"Mock completion response failed - {problem}"
        raise _internal(problem, group)
    if isinstance(n, int) and n > MOST_ANSWERS and not relayed:
        message = (
            "litellm.BadRequestError: OpenAIException - Invalid 'n': integer above maximum value. "
            f"Expected a value <= {MOST_ANSWERS}, but got {n} instead."
        )
        raise wire.failed(400, message, group, "invalid_request_error", "n")


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


def _check_schema(response_format: Mapping[str, Any], group: str) -> None:
    """Refuse a strict schema that OpenAI refuses.

    Its documentation of structured outputs demands `additionalProperties: false` and every
    property in `required`. Not recorded: the texts are written after OpenAI's.
    """
    asked = response_format.get("json_schema")
    if response_format.get("type") != "json_schema" or not isinstance(asked, Mapping):
        return
    problem = schemas.fault(asked.get("schema"), strict=asked.get("strict") is True)
    if problem is not None:
        name = asked.get("name", "")
        message = (
            "litellm.BadRequestError: OpenAIException - Invalid schema for response_format "
            f"'{name}': {problem}"
        )
        raise wire.failed(400, message, group, "invalid_request_error", "response_format")


def _internal(problem: str, group: str) -> ProxyError:
    message = f"litellm.APIConnectionError: APIConnectionError: OpenAIException - {problem}"
    return wire.failed(500, message, group, "internal_server_error")


def _unsupported(parameters: list[str], name: str, group: str) -> ProxyError:
    message = (
        f"litellm.UnsupportedParamsError: openai does not support parameters: {parameters}, "
        f"for model={name}. To drop these, set `litellm.drop_params=True` or for proxy:\n\n"
        "`litellm_settings:\n drop_params: true`\n. \n If you want to use these params "
        f"dynamically send allowed_openai_params={parameters} in your request."
    )
    return wire.failed(400, message, group, "invalid_request_error")


async def on_demand(model: Model, group: str, key: Key, *, is_stream: bool) -> None:
    """Raise the failure that the model's ``mock_response`` or ``mock_timeout`` asks for."""
    at_first(model, group, key)
    params = model.params
    if params.get("mock_timeout") is True and params.get("timeout") is not None:
        timeout = float(params["timeout"])
        await asyncio.sleep(timeout)
        raise wire.failed(
            408,
            "litellm.Timeout: This is a mock timeout error\n\n"
            f"Deployment Info: request_timeout: None\ntimeout: {timeout}",
            group,
            "invalid_request_error",
        )
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
    if wanted.startswith(MID_STREAM) and not is_stream:
        raise wire.failed(529, MID_STREAM_MESSAGE, group, "internal_server_error")


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
"""By status: what LiteLLM 1.106.2 makes of a provider's failure, and its type."""


def at_first(model: Model, group: str, key: Key) -> None:
    """Raise as long as a model fails that its configuration lets fail at first.

    ``model_info: {fail_first: 2, fail_with: 429}`` fails two times for each key, with this
    status, then answers once, and begins again: who repeats an exercise sees the same again.
    A real LiteLLM accepts such a file and ignores the two words. A provider's ``retry-after``
    reaches the client as ``llm_provider-retry-after`` (LiteLLM 1.106.2).
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


def mid_stream(model: Model) -> ProxyError | None:
    """The error of a stream that the model's ``mock_response`` asks to break.

    It breaks at the first piece, before anything was sent, and so goes out as plain JSON.
    """
    wanted = model.mock_response
    if isinstance(wanted, str) and wanted.startswith(MID_STREAM):
        return ProxyError(529, MID_STREAM_MESSAGE, None)
    return None
