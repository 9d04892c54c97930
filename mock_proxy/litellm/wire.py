"""Bodies, headers and error texts, written as LiteLLM writes them.

The texts come from recordings; ``tests/data/litellm`` holds them.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
from starlette.responses import Response

from ..config import Model
from ..keys import store
from . import version as versions

Headers = dict[str, str]


class ProxyError(Exception):
    """An error that reaches the caller as ``{"error": {…}}``."""

    def __init__(
        self,
        status: int,
        message: str,
        type: str | None,
        param: str | None = None,
        *,
        headers: Headers | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.cools_down = False
        """Whether the model is left alone for some seconds."""
        self.error: dict[str, Any] = {
            "message": message,
            "type": type,
            "param": param,
            "code": str(status),
            **(extra or {}),
        }
        self.body: dict[str, Any] = {"error": self.error}


class Detail(Exception):
    """An error that FastAPI writes itself: ``{"detail": …}``."""

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(str(detail))
        self.status = status
        self.detail = detail


LARGEST_BODY_MB = 2
"""LiteLLM itself has a limit only with a licence (``max_request_size_mb``). Everybody waits while a
body is parsed; those of the lesson have less than 0.1 MB."""


class TooLarge(Exception):
    """A body that is longer than the limit, also when unpacked."""


class NoMapping(Exception):
    """A body that is JSON but no mapping, over which older versions stumble (500)."""


class JSON(Response):
    """A JSON answer without spaces, as LiteLLM's are."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        try:
            return orjson.dumps(content)
        except TypeError:  # a whole number of more than 64 bits
            return python_json(content)


# --- errors, in the order in which LiteLLM checks ---------------------------------------------


def invalid_json(problem: object) -> ProxyError:
    message = f"Invalid JSON payload: {problem}"
    return ProxyError(400, message, "invalid_request_error", "request_body")


def invalid_form(problem: str) -> ProxyError:
    message = f"Invalid form payload: {problem}"
    return ProxyError(400, message, "invalid_request_error", "request_body")


def not_authenticated(reason: str) -> ProxyError:
    return _key_error(f"Authentication Error, {reason}")


def _key_error(message: str) -> ProxyError:
    return ProxyError(401, message, "auth_error", versions.current().key_error_param)


def for_administrators(path: str) -> ProxyError:
    return not_authenticated(
        "Only proxy admin can be used to generate, delete, update info for new keys/users/teams. "
        f"Route={path}. Your role=unknown. Your user_id=*******"
    )


def not_in_body(parameter: str) -> ProxyError:
    """For what would send a request elsewhere."""
    return not_authenticated(
        f"Rejected Request: {parameter} is not allowed in request body. Clientside passthrough "
        "requires explicit admin opt-in via either `general_settings.allow_client_side_credentials "
        "= true` (proxy-wide) or `configurable_clientside_auth_params` on the deployment in your "
        "proxy config.yaml. Relevant Issue: "
        "https://huntr.com/bounties/4001e1a2-7b7a-4776-a3ae-e6692ec3d997"
    )


def no_virtual_key(received: str) -> ProxyError:
    shown = f"{received[:4]}****{received[-4:]}" if len(received) > 8 else "****"
    message = f"LiteLLM Virtual Key expected. Received={shown}, expected to start with 'sk-'."
    return _key_error(message)


def unknown_key(received: str) -> ProxyError:
    message = "Authentication Error, Invalid API key provided."
    if versions.current().names_hash_of_unknown_key:
        message = (
            "Authentication Error, Invalid proxy server token passed. Received API Key = "
            f"{store.masked(received)}, Key Hash (Token) ={store.digest(received)}. "
            "Unable to find token in cache or `LiteLLM_VerificationTokenTable`"
        )
    return ProxyError(401, message, "token_not_found_in_db", "key")


def expired_key(key: store.Key) -> ProxyError:
    message = (
        f"Authentication Error - Expired Key. Key Expiry time {key.expires} "
        f"and current time {store.now()}"
    )
    # The end of the SHA-256, not of the key: LiteLLM has only that at this point.
    return ProxyError(401, message, "expired_key", store.masked(key.token))


def model_denied(model: str) -> ProxyError:
    message = (
        f"The requested model '{model}' is not available for this API key, or the model name "
        "is invalid. Check the models available to you and try again."
    )
    return ProxyError(403, message, "key_model_access_denied", "model")


def over_budget(
    key: store.Key, current: float | None = None, estimate: float | None = None
) -> ProxyError:
    estimated = "" if estimate is None else f"Estimated request cost: {estimate}, "
    message = (
        f"Budget has been exceeded! Key={key.key_alias or 'key'} ({key.key_name}) "
        f"Current cost: {key.spend if current is None else current}, {estimated}"
        f"Max budget: {key.max_budget}"
    )
    return ProxyError(422, message, "budget_exceeded")


def over_limit(limit: store.OverLimit) -> ProxyError:
    reset_at = (store.now() + timedelta(seconds=60)).strftime("%Y-%m-%d %H:%M:%S UTC")
    message = (
        f"Rate limit exceeded for {limit.scope}: {limit.name}. Limit type: {limit.kind}. "
        f"Current limit: {limit.limit}, Remaining: 0. Limit resets at: {reset_at}"
    )
    headers = {"retry-after": "60", "rate_limit_type": limit.kind, "reset_at": reset_at}
    return ProxyError(429, message, "throttling_error", headers=headers)


def model_is_no_text() -> ProxyError:
    return ProxyError(400, "'model' must be a string.", "bad_request_error", "model")


def missing_parameter(route: str, name: str) -> ProxyError:
    message = f"{route}: Missing required parameter: '{name}'."
    return ProxyError(400, message, "invalid_request_error", name)


def unknown_model(route: str, model: object) -> ProxyError:
    message = (
        f"{route}: Invalid model name passed in model={model}. "
        "Call `/v1/models` to view available models for your key."
    )
    extra = {"provider_specific_fields": {"error": message}}
    return ProxyError(400, message, "invalid_request_error", extra=extra)


ROUTER = "\n\nLiteLLM: model group '{group}' failed with the error above. "
"""What the router adds to a failure."""


def failed(
    status: int, message: str, group: str, type: str | None, param: str | None = None
) -> ProxyError:
    """A provider's failure as the router reports it."""
    message += ROUTER.format(group=group) + "No fallback was attempted."
    return ProxyError(status, message, type, param)


def fallbacks_failed(
    first: ProxyError, group: str, fallbacks: Sequence[str], second: ProxyError
) -> ProxyError:
    """The first failure, with that of the first model that was asked instead."""
    before, after = (
        str(error.error["message"]).partition(ROUTER.partition("{")[0])[0]
        for error in (first, second)
    )
    after = after.partition("\nmodel=")[0]
    names = ", ".join(fallbacks)
    message = f"{before}{ROUTER.format(group=group)}Fallback to {names} also failed: {after}"
    return ProxyError(first.status, message, first.error["type"], first.error["param"])


def not_deployed(model: str) -> ProxyError:
    """For a fallback that is no model."""
    message = (
        f"litellm.BadRequestError: You passed in model={model}. "
        "There are no healthy deployments for this model"
    )
    return ProxyError(400, message, "invalid_request_error")


def in_cooldown(model: str, ids: Sequence[str], seconds: int) -> ProxyError:
    message = (
        f"No deployments available for selected model, Try again in {seconds} seconds. All "
        f"deployments for selected model are in cooldown. Passed model={model}. "
        f"pre-call-checks=False, cooldown_list={list(ids)}"
    )
    headers = {"retry-after": str(seconds)}
    return ProxyError(429, message, "all_deployments_in_cooldown", headers=headers)


def mock_testing(parameter: str) -> ProxyError:
    message = (
        f"Mock testing request params are disabled on this proxy: {parameter}. An admin can "
        "enable them by setting "
        "`general_settings.dangerously_allow_mock_testing_request_params: true` in config.yaml. "
        "This setting cannot be changed from the Admin UI or the API."
    )
    extra = {"provider_specific_fields": {"error": message}}
    return ProxyError(400, message, "invalid_request_error", extra=extra)


# --- headers ----------------------------------------------------------------------------------


def key_headers(key: store.Key, cost: float = 0.0) -> Headers:
    """What LiteLLM says of the key: its limits where it has any, and its spend in USD."""
    limits = {
        "x-litellm-key-tpm-limit": key.tpm_limit,
        "x-litellm-key-rpm-limit": key.rpm_limit,
        "x-litellm-key-max-budget": key.max_budget,
    }
    shown = {name: str(value) for name, value in limits.items() if value is not None}
    return {**shown, "x-litellm-key-spend": str(key.spend + cost)}


def error_headers(
    key: store.Key,
    call_id: str,
    model: Model | None,
    *,
    version: bool = False,
    timeout: float | None = None,
) -> Headers:
    """For an error after authentication; the model if it is known.

    Only some routes name the version.
    """
    headers = {"x-litellm-call-id": call_id}
    if model is not None and versions.current().names_model_in_errors:
        headers |= {"x-litellm-model-id": model.id, "x-litellm-model-name": model.target}
    if version:
        headers["x-litellm-version"] = versions.current().number
    headers |= {"x-litellm-response-cost": "0", **key_headers(key)}
    if timeout is not None:
        headers["x-litellm-timeout"] = str(timeout)
    return headers


def answer_headers(
    key: store.Key,
    model: Model,
    group: str,
    *,
    call_id: str,
    cost: tuple[float, float] | None,
    seconds: float,
    remaining: Mapping[tuple[str, store.LimitKind], tuple[int, int]],
    model_limits: Mapping[str, int],
    is_stream: bool = False,
    fallbacks: int = 0,
) -> Headers:
    """For an answer: who made it, what it cost in USD (prompt, completion), what remains.

    A stream's headers leave before its cost is known, and have no total. A total of nothing
    stands for a price that is not known, too.
    """
    prompt, completion = (0.0, 0.0) if is_stream or cost is None else cost
    total = prompt + completion
    headers = {
        "x-litellm-call-id": call_id,
        "x-litellm-model-id": model.id,
        "x-litellm-model-name": model.target,
        "x-litellm-model-api-base": model.api_base,
        "x-litellm-version": versions.current().number,
    }
    if total or (not is_stream and versions.current().says_unknown_cost_as_zero):
        headers["x-litellm-response-cost"] = str(total)
    headers |= {
        "x-litellm-response-cost-original": str(total),
        "x-litellm-response-cost-discount-amount": "0.0",
        "x-litellm-response-cost-margin-amount": "0.0",
        "x-litellm-response-cost-margin-percent": "0.0",
        "x-litellm-response-cost-input": str(prompt),
        "x-litellm-response-cost-output": str(completion),
        "x-litellm-response-cost-tool-usage": "0.0",
        **key_headers(key, total),
        "x-litellm-response-duration-ms": str(seconds * 1000),
    }
    if not model.is_canned:
        headers["x-litellm-overhead-duration-ms"] = f"{seconds * 1000:.4f}"
    headers |= {
        "x-litellm-callback-duration-ms": "0.0",
        "x-litellm-model-group": group,
        **{f"x-ratelimit-{name}": str(value) for name, value in model_limits.items()},
        "x-litellm-attempted-retries": "0",
        "x-litellm-attempted-fallbacks": str(fallbacks),
    }
    for (scope, kind), (left, limit) in remaining.items():
        headers[f"x-ratelimit-{scope}-remaining-{kind}"] = str(left)
        headers[f"x-ratelimit-{scope}-limit-{kind}"] = str(limit)
    return headers


def raw(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them. What Latin-1 lacks is replaced: a header cannot hold it."""
    return [(name.encode(), text.encode("latin-1", "replace")) for name, text in headers.items()]


# --- bodies -----------------------------------------------------------------------------------


def new_id(prefix: str = "chatcmpl-") -> str:
    return prefix + str(uuid.uuid4())


def timestamp() -> int:
    return int(time.time())


def model_entry(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """One model as ``/models`` lists it. The date is the same for all, as in LiteLLM."""
    entry = {"id": name, "object": "model", "created": 1677610602, "owned_by": "openai"}
    for fact in ("mode", "max_input_tokens", "max_output_tokens"):
        if facts.get(fact) is not None and "input_cost_per_token" in facts:
            entry[fact] = facts[fact]
    return entry


def usage(prompt: int, completion: int) -> dict[str, Any]:
    """Tokens used."""
    return {
        "completion_tokens": completion,
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
    }


def usage_details(reasoning: int = 0) -> dict[str, Any]:
    """How a provider breaks its tokens down, where at most the reasoning is of a special kind."""
    return {
        "completion_tokens_details": {
            "accepted_prediction_tokens": 0,
            "audio_tokens": 0,
            "reasoning_tokens": reasoning,
            "rejected_prediction_tokens": 0,
        },
        "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
    }


def tool_call(made: Mapping[str, Any]) -> dict[str, Any]:
    function = made.get("function") or {}
    return {
        "function": {"arguments": function.get("arguments", "{}"), "name": function.get("name")},
        "id": made.get("id"),
        "type": made.get("type", "function"),
    }


def fingerprint(model: Model) -> str:
    """What a provider calls the state of its system; here it depends on the model alone."""
    return "fp_" + hashlib.sha256(model.target.encode()).hexdigest()[:10]


def event(data: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


DONE = b"data: [DONE]\n\n"


def isoformat(moment: datetime | None, *, zulu: bool) -> str | None:
    """A time to the millisecond: ``….123000Z``, or with ``+00:00``, as the route has it."""
    if moment is None:
        return None
    moment = moment.astimezone(timezone.utc).replace(microsecond=moment.microsecond // 1000 * 1000)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text + ("Z" if zulu else "+00:00")


def python_json(content: Any) -> bytes:
    """JSON with numbers written as Python's json writes them (``1e-05``)."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def plain(value: Any) -> Any:
    """A JSON value with numbers in one form: R writes 0 where Python writes 0.0."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value
