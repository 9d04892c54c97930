"""``/models``, ``/model/info`` and what else tells of models."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..call import Caller, Proxy
from ..config import Model
from ..keys.store import Key
from ..litellm import checks, reasoning, tokens, wire
from ..litellm import version as versions
from ..litellm.wire import JSON, Detail

SHOWN = {
    *("model", "api_base", "api_version", "base_model", "custom_llm_provider", "region_name"),
    *("rpm", "tpm", "timeout", "stream_timeout", "max_retries", "cooldown_time", "weight", "order"),
    *("max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "seed", "stop", "tags"),
    *("reasoning_effort", "drop_params", "additional_drop_params", "allowed_openai_params"),
    *("input_cost_per_token", "output_cost_per_token", "input_cost_per_second"),
    *("output_cost_per_second", "max_budget", "budget_duration", "max_parallel_requests"),
    *("mock_response", "mock_delay", "mock_timeout", "mock_tool_calls"),
}
"""Parameters of a model that are shown. All others stay hidden, because an institution's file holds
credentials under names that no list of secrets would ever be complete with."""

SECRET = re.compile(r"key|secret|token|password|credential|auth|header|cookie", re.IGNORECASE)
"""What the name of a secret contains, where a file's ``model_info`` has names of its own."""

FLAGS = (
    "allow_client_keepalive_override",
    "use_in_pass_through",
    "use_litellm_proxy",
    "use_xai_oauth",
    "merge_reasoning_content_in_choices",
)
"""Parameters that LiteLLM shows of every model, false unless the file says otherwise."""


def visible(proxy: Proxy, key: Key) -> list[str]:
    """The names of the models that the key may use.

    A key with models of its own lists those, in its own order, also such as do not exist; any
    other lists the file's. The key's own names for models come last (LiteLLM 1.106.2).
    """
    aliases = [name for name in key.aliases() if key.may_use(name)]
    if key.uses_all_models():
        return [*proxy.config.names(), *aliases]
    named = (str(name) for name in key.models if name != "no-default-models")
    return list(dict.fromkeys([*(name for name in named if "*" not in name), *aliases]))


def entry(proxy: Proxy, key: Key, name: str) -> dict[str, Any]:
    model = proxy.config.find(key.meant_by(name))
    return wire.model_entry(name, tokens.facts(model.target, model.info) if model else {})


async def listing(request: Request, proxy: Proxy, caller: Caller) -> Response:
    entries = [entry(proxy, caller.key, name) for name in visible(proxy, caller.key)]
    if request.query_params.get("include_metadata", "").lower() == "true":
        entries = [{**one, "metadata": {"fallbacks": []}} for one in entries]
    return JSON({"data": entries, "object": "list"})


async def one(request: Request, proxy: Proxy, caller: Caller) -> Response:
    name = request.path_params["model_id"]
    if name not in visible(proxy, caller.key):
        raise Detail(404, f"The model `{name}` does not exist or is not accessible")
    return JSON(entry(proxy, caller.key, name))


async def info(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Everything known of each model: its harmless parameters, prices and abilities."""
    shown = [model for model in proxy.config.models if caller.key.may_use(model.name)]
    wanted = request.query_params.get("litellm_model_id")
    if wanted is not None:
        shown = [model for model in shown if model.id == wanted]
        if not shown:
            raise Detail(400, {"error": f"Model id = {wanted} not found on litellm proxy"})
    return JSON({"data": [_info(model, caller.key) for model in shown]})


def _info(model: Model, key: Key) -> dict[str, Any]:
    """One model, its fields in LiteLLM's order: those of the file, then those of the tables."""
    params = {name: value for name, value in model.params.items() if name in SHOWN}
    for name in ("timeout", "stream_timeout"):
        if isinstance(params.get(name), int):
            params[name] = float(params[name])
    mocked = [name for name in params if name.startswith("mock_") and name != "mock_response"]
    last = ("mock_response", "model", *mocked)
    form = _form("model_info")
    info = {name: value for name, value in model.info.items() if name in form}
    info |= _without_secrets({k: v for k, v in model.info.items() if k not in info})
    if not key.is_master:
        info["direct_access"] = False  # LiteLLM means: of a user, not of a key
    facts = tokens.facts(model.target, model.info)
    known = {
        **{name: value for name, value in facts.items() if name in form},
        "id": model.id,
        "db_model": False,
        "member_auto_router": False,
        "pricing_overrides": [],
        "key": tokens.key_in_table(model.target) or model.target,
        "litellm_provider": model.target.partition("/")[0],
        "supported_openai_params": _supported(model.target),
    }
    first = ("id", "db_model", "member_auto_router")
    return {
        "model_name": model.name,
        "litellm_params": {
            **{name: value for name, value in params.items() if name not in last},
            **{name: params.get(name, False) for name in FLAGS},
            **{name: params[name] for name in last if name in params},
        },
        "model_info": {**dict.fromkeys([*first, *info]), **form, **known, **info},
    }


def _without_secrets(value: Any) -> Any:
    """The value without the fields, at any depth, whose names sound like a secret's."""
    if isinstance(value, dict):
        return {
            name: _without_secrets(part)
            for name, part in value.items()
            if not SECRET.search(str(name))
        }
    if isinstance(value, list):
        return [_without_secrets(part) for part in value]
    return value


async def groups(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """What is known of each model name, whichever deployments stand behind it."""
    names = [name for name in proxy.config.names() if caller.key.may_use(name)]
    wanted = request.query_params.get("model_group")
    if wanted is not None:
        names = [name for name in names if name == wanted]
    return Response(
        wire.python_json({"data": [_group(proxy, name) for name in names]}),
        media_type="application/json",
    )


def _group(proxy: Proxy, name: str) -> dict[str, Any]:
    model = proxy.config.find(name)
    assert model is not None, "names() lists only what find() finds"
    form = _form("group")
    facts = tokens.facts(model.target, model.info)
    known = {name: value for name, value in facts.items() if name in form}
    in_table = tokens.key_in_table(model.target) is not None
    for limit in ("max_input_tokens", "max_output_tokens"):
        if limit in known:
            known[limit] = float(known[limit])
    return {
        **form,
        **known,
        "model_group": name,
        "providers": [model.target.partition("/")[0]],
        "tpm": model.params.get("tpm"),
        "rpm": model.params.get("rpm"),
        "supported_reasoning_efforts": None if model.info or not in_table else [],
        "supported_openai_params": _supported(model.target),
    }


def _supported(target: str) -> list[str]:
    return reasoning.supported(target.rpartition("/")[2], _forms()["supported_openai_params"])


async def parameters(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Which of OpenAI's parameters a model takes."""
    name = request.query_params.get("model")
    if name is None:
        problem = {"type": "missing", "loc": ["query", "model"], "msg": "Field required"}
        raise Detail(422, [problem])
    supported = _supported(name)
    if reasoning.lacks(name):
        supported.insert(supported.index("reasoning_effort"), "user")
    elif tokens.key_in_table(name):
        lacking = checks.unsupported(name)
        supported = [parameter for parameter in supported if parameter not in lacking] + ["user"]
    elif proxy.config.find(name) is None:
        raise Detail(400, {"error": f"Could not map model={name}"})
    return JSON({"supported_openai_params": supported})


def _form(name: str) -> dict[str, Any]:
    """The fields of one kind of answer, with their empty values."""
    form: dict[str, Any] = _forms()[name]
    if versions.current().has_newer_fields:
        return form
    newer = _forms()["newer"][name]
    return {field: value for field, value in form.items() if field not in newer}


@cache
def _forms() -> dict[str, Any]:
    path = Path(__file__).with_name("model_forms.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))
