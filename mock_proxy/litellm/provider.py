"""What LiteLLM makes of a provider's failures: its statuses, texts, types and headers.

Recorded for 400, 401, 403, 404, 413, 422, 429, 500, 502, 503, 529, a timeout and an answer that is
no JSON. Other statuses follow the same pattern.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from . import version as versions
from . import wire
from .wire import ProxyError

NAMES = {
    400: "BadRequestError",
    401: "AuthenticationError: AuthenticationError",
    403: "BadRequestError",
    404: "NotFoundError: NotFoundError",
    413: "BadRequestError",
    422: "BadRequestError",
    429: "RateLimitError: RateLimitError",
    500: "InternalServerError: InternalServerError",
    502: "BadGatewayError: BadGatewayError",
    503: "ServiceUnavailableError: ServiceUnavailableError",
}
TYPES = {401: "authentication_error", 429: "throttling_error"}

COOLS_DOWN = (401, 404)
"""Statuses after which LiteLLM leaves a model alone for some seconds: they will not pass."""

TOO_LONG = (
    "maximum context length",
    "context_length_exceeded",
    "exceed context window",
    "exceeds the available context size",
)
"""How providers and local servers say that a text is too long for the model."""

TOO_LONG_FOR_MODEL = (
    "ContextWindowExceededError: litellm.BadRequestError: ContextWindowExceededError: "
    "OpenAIException - {message}\nmodel={group}. context_window_fallbacks=None. fallbacks=None."
    "\n\nSet 'context_window_fallback' - https://docs.litellm.ai/docs/routing#fallbacks"
)

REPEATED = ("/responses", "anthropic_messages")
"""Routes whose errors repeat the provider's body."""

CODED = ("/embeddings", "/completions")
"""Routes whose errors repeat the provider's status, and in older versions its body."""

LONGEST_MESSAGE = 2_000
"""Characters of a provider's message that are handed on; it may be a whole web page."""

LIMITS = tuple(
    f"x-ratelimit-{what}-{kind}"
    for what in ("limit", "remaining")
    for kind in ("requests", "tokens")
)
"""A provider's headers that LiteLLM hands on under their own names, too."""

NOT_HANDED_ON = ("set-cookie", "connection", "keep-alive", "transfer-encoding", "x-litellm-")
"""Beginnings of names. LiteLLM behind LiteLLM would tell what its instructor's key has spent."""


def failure(
    status: int, content: str, headers: wire.Headers, group: str, route: str = "/chat/completions"
) -> ProxyError:
    """What the caller gets for a provider's answer that is an error, with ``handed_on`` headers."""
    is_new = versions.current().rewords_provider_errors
    told = _told(content)
    code = f"Error code: {status}"
    message = str(told.get("message") or (not is_new and content) or code)
    if told and route in REPEATED:
        message = content
    elif told and route in CODED:
        message = f"{code} - {message if is_new else json.loads(content)}"
    message = message[:LONGEST_MESSAGE]
    status = status if status >= 400 else 500
    if is_new and status == 413:
        status = 429
    kind = "internal_server_error" if status >= 500 else TYPES.get(status, "invalid_request_error")
    param = told.get("param") if status == 400 else None
    if status in (408, 504):
        status, kind, text = 408, "invalid_request_error", f"Timeout: APITimeoutError - {message}"
    elif status == 400 and any(sign in f"{message} {told.get('code')}" for sign in TOO_LONG):
        param, text = None, TOO_LONG_FOR_MODEL.format(message=message, group=group)
    else:
        name = NAMES.get(status, "APIError: APIError")
        if is_new and status == 403:
            name, kind = "APIError: APIError", "permission_error"
        if not is_new and told.get("code") == "model_not_found":
            name = "NotFoundError"
        text = f"{name}: OpenAIException - {message}"
    error = wire.failed(status, f"litellm.{text}", group, kind, param)
    error.headers |= headers
    error.cools_down = status in COOLS_DOWN
    return error


def failed_inside(status: int, content: str, group: str) -> ProxyError:
    """For an error that comes in the middle of a stream: no other model is asked any more."""
    error = failure(status, content, {}, group)
    text, _, _ = error.error["message"].partition(wire.ROUTER.partition("{")[0])
    error.error["message"] = re.sub(r"^(litellm\.\w+: )\w+: (?=OpenAIException)", r"\1", text)
    return error


def unreachable(group: str) -> ProxyError:
    message = (
        "litellm.InternalServerError: InternalServerError: OpenAIException - Connection error."
    )
    return wire.failed(500, message, group, "internal_server_error")


def timed_out(
    group: str, timeout: float, seconds: float, deployed: float | None = None
) -> ProxyError:
    """``timeout`` is the request's, ``deployed`` the model's own, in seconds."""
    message = (
        "litellm.Timeout: APITimeoutError - Request timed out. Error_str: Request timed out. - "
        f"timeout value={timeout}, time taken={seconds:.1f} seconds"
    )
    message += deployment(deployed)
    return wire.failed(408, message, group, "invalid_request_error")


def deployment(timeout: float | None) -> str:
    """What an error that came too late says of the model's own time, in seconds."""
    said = f"\n\nDeployment Info: request_timeout: None\ntimeout: {timeout}"
    return said + "\nstream_timeout: None" * versions.current().rewords_provider_errors


def unreadable(group: str, problem: object) -> ProxyError:
    """For an answer that is no JSON, or not of the form that was asked for."""
    message = f"litellm.InternalServerError: InternalServerError: OpenAIException - {problem}"
    return wire.failed(500, message, group, "internal_server_error")


def handed_on(headers: Mapping[str, str]) -> wire.Headers:
    """A provider's headers as LiteLLM hands them on, ``retry-after`` among them."""
    found = {name.lower(): text for name, text in headers.items()}
    found = {name: text for name, text in found.items() if not name.startswith(NOT_HANDED_ON)}
    handed = {f"llm_provider-{name}": text for name, text in found.items()}
    return handed | {name: found[name] for name in LIMITS if name in found}


def _told(content: str) -> dict[str, Any]:
    """The error in its body: OpenAI's form, or one of those that other servers write."""
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    if not isinstance(body, dict):
        return {}
    error = body.get("error", body)
    if not isinstance(error, dict):
        return {"message": error}
    return {"message": error.get("message") or error.get("detail"), **error}
