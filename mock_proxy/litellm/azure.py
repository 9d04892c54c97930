"""What LiteLLM makes of Azure OpenAI's content filter.

A prompt is refused with a 400, an answer is withheld: ``finish_reason`` is ``content_filter``. What
Azure sends is written after its documentation, what LiteLLM makes of it was recorded from LiteLLM
(tests/data/litellm/filtered.json).
"""

from __future__ import annotations

import json
from typing import Any

from ..config import HARMS
from . import provider, wire
from . import version as versions
from .wire import ProxyError

REFUSED = (
    "The response was filtered due to the prompt triggering Azure OpenAI's content management "
    "policy. Please modify your prompt and retry. To learn more about our content filtering "
    "policies please read our documentation: https://go.microsoft.com/fwlink/?linkid=2198766"
)
NO_ATTACK = {"jailbreak": {"detected": False, "filtered": False}}


def results(filtered: str | None = None) -> dict[str, Any]:
    """``content_filter_results``; ``filtered`` is the category for which a text was filtered."""
    return {
        category: {
            "filtered": category == filtered,
            "severity": "medium" if category == filtered else "safe",
        }
        for category in HARMS
    }


def prompt_results() -> list[dict[str, Any]]:
    """``prompt_filter_results`` of a prompt that passed."""
    return [{"prompt_index": 0, "content_filter_results": {**results(), **NO_ATTACK}}]


def refused(category: str, group: str, route: str) -> ProxyError:
    """The 400 of a prompt that was filtered for this category."""
    found = dict(sorted({**results(category), **NO_ATTACK}.items()))
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": found}
    told = {"message": REFUSED, "type": None, "param": "prompt", "code": "content_filter"}
    error = {**told, "status": 400, "innererror": inner}
    if route == "/completions":
        message = f"litellm.BadRequestError: OpenAIException - {REFUSED}"
        kind = "invalid_request_error" if versions.current().types_every_error else None
        return wire.failed(400, message, group, kind, "prompt")
    message = json.dumps({"error": error}) if route == "/responses" else REFUSED
    failed = wire.failed(
        400,
        f"litellm.BadRequestError: litellm.ContentPolicyViolationError: {message}\n"
        f"model={group}. content_policy_fallback=None. fallbacks=None.\n\n"
        "Set 'content_policy_fallback' - https://docs.litellm.ai/docs/routing#fallbacks",
        group,
        "invalid_request_error",
    )
    if route in ("/chat/completions", "/responses"):
        fields = {"innererror": inner, "inner_error": inner, "azure_error": error}
        if route == "/responses":
            fields = dict.fromkeys(fields)
        failed.error["provider_specific_fields"] = fields
    return failed


def bad_request(message: str, param: str | None, group: str) -> ProxyError:
    """Azure's 400 for any other reason."""
    name = "" if versions.current().rewords_provider_errors else f" {provider.NAMES[400]}"
    text = f"litellm.BadRequestError: AzureException{name} - {message}"
    return wire.failed(400, text, group, "invalid_request_error", param)
