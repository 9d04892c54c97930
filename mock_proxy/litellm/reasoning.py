"""What LiteLLM does with a request to a model that reasons before it answers.

By the model's name, as LiteLLM does it: the GPT-5 family (``gpt-5-mini``) and the o-series
(``o4-mini``). ``max_tokens`` reaches the provider as ``max_completion_tokens``; what such a model
lacks is refused before the provider is asked. Recorded from LiteLLM 1.106.2
(tests/data/litellm/reasoning.json).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..config import Model
from . import tokens, wire
from . import version as versions

GPT_5_LACKS = (
    *("top_p", "stop", "modalities", "prediction", "audio", "presence_penalty"),
    *("frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "thinking"),
    "web_search_options",
)
O_SERIES_LACKS = (
    *("top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"),
    *("parallel_tool_calls", "verbosity", "thinking"),
)
"""Parameters that LiteLLM refuses for these models, in the order in which it names them."""

SETTINGS = {"/chat/completions": "reasoning_effort", "/completions": "reasoning_effort"}
"""By route: the parameter's name in error texts. The newer forms say ``reasoning.effort``."""

DROP = " To drop unsupported params set `litellm.drop_params = True`"


def check(body: dict[str, Any], model: Model, route: str) -> None:
    """Raise LiteLLM's 400 to a parameter that the model lacks.

    With ``drop_params``, in the request or else in the model's ``litellm_params``, the parameter is
    taken out of the body instead. One in ``allowed_openai_params`` is left to the provider.
    """
    name = model.target.rpartition("/")[2]
    if not (_is_gpt_5(name) or _is_o_series(name)):
        return
    setting = SETTINGS.get(route, "reasoning.effort")
    drops = str(body.get("drop_params", model.params.get("drop_params"))).lower() == "true"
    for parameter in _listed(body, "additional_drop_params"):
        if parameter in (*lacks(name), "temperature", "reasoning_effort"):
            body.pop(parameter, None)
    effort = body.get("reasoning_effort")
    if isinstance(effort, Mapping):  # the newer form: {"effort": "low", "summary": "auto"}
        effort = body["reasoning_effort"] = effort.get("effort")

    def refuse_or_drop(parameters: list[str], message: str) -> None:
        if not drops:
            refuse(message, str(body.get("model")))
        for parameter in parameters:
            del body[parameter]

    allowed = _listed(body, "allowed_openai_params")
    lacking = [p for p in lacks(name) if body.get(p) is not None and p not in allowed]
    if (
        "stop" in lacking
        and route == "anthropic_messages"
        and versions.current().refuses_stop_sequences
    ):
        refuse_or_drop(["stop"], not_supported(["stop"], model.target))
    if lacking and setting == "reasoning_effort":
        refuse_or_drop(lacking, not_supported(lacking, model.target))
    elif "top_p" in lacking and _is_gpt_5(name):
        refuse_or_drop(["top_p"], f"{name} only supports top_p when {_unless(setting)}.{DROP}")
    if "stop" in lacking:  # of a newer form, which has no such setting
        body.pop("stop", None)
    facts = tokens.facts(model.target, model.info)
    if _is_gpt_5(name) and _refuses_effort(facts, effort):
        refuse_or_drop(
            ["reasoning_effort"], f"{setting}={effort} is not supported for {name}.{DROP}"
        )
        effort = None
    temperature = body.get("temperature")
    if temperature in (None, 1) or (
        effort == "none" and facts.get("supports_none_reasoning_effort") is True
    ):
        return
    if _is_gpt_5(name):
        message = (
            f"{name} doesn't support temperature={temperature} while reasoning is active. "
            f"Only temperature=1 is supported unless {_unless(setting)}.{DROP}"
        )
        refuse_or_drop(["temperature"], message)
    elif setting == "reasoning_effort":  # else LiteLLM leaves it to the provider
        message = (
            f"O-series models don't support temperature={temperature}. Only temperature=1 is "
            "supported. To drop unsupported openai params from the call, set "
            "`litellm.drop_params = True`"
        )
        refuse_or_drop(["temperature"], message)


def lacks(name: str) -> tuple[str, ...]:
    """The parameters that LiteLLM refuses for a model, given without its provider."""
    if _is_gpt_5(name):
        return GPT_5_LACKS
    return O_SERIES_LACKS if _is_o_series(name) else ()


def supported(name: str, every: Sequence[str]) -> list[str]:
    """Those of OpenAI's parameters that LiteLLM says the model takes: all but what it lacks."""
    more = ["verbosity"] if _is_gpt_5(name) else []
    return [parameter for parameter in every if parameter not in lacks(name)] + more


def _listed(body: Mapping[str, Any], name: str) -> list[str]:
    given = body.get(name)
    return [str(one) for one in given] if isinstance(given, list) else []


def _is_gpt_5(name: str) -> bool:
    return "gpt-5" in name and "gpt-5-chat" not in name


def _is_o_series(name: str) -> bool:
    return re.match(r"o\d", name) is not None


def _refuses_effort(facts: Mapping[str, Any], effort: object) -> bool:
    """By what the price table says of the model; ``xhigh`` must be allowed there."""
    return facts.get(f"supports_{effort}_reasoning_effort", effort != "xhigh") is False


def _unless(setting: str) -> str:
    return (
        f"{setting} resolves to 'none', either set explicitly on the request or declared as the "
        "model's default_reasoning_effort"
    )


def not_supported(parameters: list[str], target: str) -> str:
    """What LiteLLM says of parameters that the model lacks; without a provider it is OpenAI's."""
    provider, _, name = target.partition("/") if "/" in target else ("openai", "", target)
    return (
        f"{provider} does not support parameters: {parameters}, for model={name}. To drop these, "
        "set `litellm.drop_params=True` or for proxy:\n\n"
        "`litellm_settings:\n drop_params: true`\n. \n If you want to use these params "
        f"dynamically send allowed_openai_params={parameters} in your request."
    )


def refuse(message: str, group: str) -> NoReturn:
    """Raise LiteLLM's 400 to a parameter, with this message."""
    message = f"litellm.UnsupportedParamsError: {message}"
    raise wire.failed(400, message, group, "invalid_request_error")
