"""``/key/…``: making, reading, changing, blocking and deleting virtual keys."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from ..call import Caller, Proxy
from ..keys import store
from ..keys.store import Key
from ..litellm import wire
from ..litellm.wire import JSON, Detail, ProxyError
from . import spend


class KeySettings(BaseModel):
    """What a request may say of a key; LiteLLM's types. Other fields are kept and do nothing."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    key: str | None = None
    key_alias: str | None = None
    duration: str | None = None
    models: list[Any] | None = None
    spend: float | None = None
    max_budget: float | None = None
    budget_duration: str | None = None
    max_parallel_requests: int | None = None
    metadata: dict[str, Any] | None = None
    tpm_limit: int | None = None
    rpm_limit: int | None = None
    model_rpm_limit: dict[str, Any] | None = None
    model_tpm_limit: dict[str, Any] | None = None
    blocked: bool | None = None
    allowed_routes: list[Any] | None = None
    team_id: str | None = None
    user_id: str | None = None


class OneKey(BaseModel):
    key: str


class SomeKeys(BaseModel):
    keys: list[str] | None = None
    key_aliases: list[str] | None = None


Form = TypeVar("Form", bound=BaseModel)

PLAIN_FIELDS = (
    "key_alias",
    "models",
    "spend",
    "max_budget",
    "budget_duration",
    "max_parallel_requests",
    "tpm_limit",
    "rpm_limit",
    "blocked",
    "allowed_routes",
)
KEPT_FIELDS = ("team_id", "user_id", "agent_id", "aliases", "permissions", "tags")


async def generate(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Make a key. Only the master key may, and an admin's."""
    _only_master(request, caller)
    form = _parse(KeySettings, caller.body)
    _check(form, proxy)
    if form.key is not None and not form.key.startswith("sk-"):
        shown = f"{form.key[:4]}****{form.key[-4:]}" if len(form.key) > 8 else "****"
        raise _refused(
            f"Invalid key format. LiteLLM Virtual Key must start with 'sk-'. Received: {shown}"
        )
    settings = settings_of(form)
    existing = proxy.keys.find(form.key) if form.key else None
    if existing is None:
        text, key = proxy.keys.add(form.key, **settings)
    else:  # is told as made anew, but keeps its alias, limits and spend (LiteLLM 1.106.2)
        text = str(form.key)
        key = Key(existing.token, existing.key_name, created_at=existing.created_at, **settings)
    body = _filled("generated", key) | {
        "key": text,
        "token_id": key.token,
        "expires": _microseconds(key.expires),
    }
    return JSON({name: body[name] for name in _form("generated")})


async def info(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """What is known of a key: of the caller's own, or with the master key of any.

    LiteLLM knows nothing of the master key itself, but somebody who practises alone has no
    other, so here the known practice key is told of like any.
    """
    asked = request.query_params.get("key")
    key = proxy.keys.find(asked) if asked else caller.key
    if key is None or (key.is_master and not key.is_practice):
        raise ProxyError(404, "Key not found in database", "not_found_error", "key")
    if not (caller.key.is_master or caller.key.is_admin or key is caller.key):
        raise Detail(403, "You are not allowed to access this key's info. Your role=None")
    body = _filled("info", key) | {"status": status_of(key)}
    return _python(
        {"key": asked or key.token, "info": {name: body[name] for name in _form("info")}}
    )


async def update(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Change what is said of a key, and nothing else of it."""
    _only_master(request, caller)
    form = _parse(KeySettings, caller.body)
    if form.key is None and form.key_alias is None:
        raise _invalid("either key or key_alias must be provided")
    _check(form, proxy, existing=form.key)
    key = proxy.keys.find(form.key) if form.key else _by_alias(proxy, form.key_alias)
    if key is None or key.is_master:
        raise _not_found(form.key or form.key_alias or "")
    given = settings_of(form, changing=True)
    for name in ("budget_reset_at",):
        if "budget_duration" not in form.model_fields_set:
            given.pop(name, None)
    for name, value in given.items():
        setattr(key, name, value)
    _changed(key)
    body = _filled("updated", key) | {"key": form.key or key.token}
    return _python({name: body[name] for name in _form("updated")})


async def delete(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Delete keys, by themselves, their hashes, or their aliases."""
    _only_master(request, caller)
    form = _parse(SomeKeys, caller.body)
    named = form.keys or form.key_aliases
    if not named:
        raise _invalid("At least one of 'keys' or 'key_aliases' must be provided.")
    if form.keys:
        found = [proxy.keys.find(key) for key in form.keys]
    else:
        found = [_by_alias(proxy, alias) for alias in form.key_aliases or []]
    if not any(key is not None and not key.is_master for key in found):
        raise ProxyError(404, "{'error': 'No keys found'}", "internal_server_error")
    for key in found:
        if key is not None and not key.is_master:
            proxy.keys.remove(key)
    return JSON({"deleted_keys": named})


async def block(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return _set_blocked(request, proxy, caller, blocked=True)


async def unblock(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return _set_blocked(request, proxy, caller, blocked=False)


def _set_blocked(request: Request, proxy: Proxy, caller: Caller, *, blocked: bool) -> Response:
    _only_master(request, caller)
    form = _parse(OneKey, caller.body)
    key = proxy.keys.find(form.key)
    if key is None or key.is_master:
        raise ProxyError(404, "Key not found.", "not_found_error", "key")
    key.blocked = blocked
    _changed(key)
    return JSON(_filled("row", key))


async def regenerate(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Give a key another text: refused, as by a LiteLLM without a licence."""
    _only_master(request, caller)
    raise ProxyError(
        500,
        "Regenerating Virtual Keys is an Enterprise feature, You must be a LiteLLM Enterprise "
        "user to use this feature. If you have a license please set `LITELLM_LICENSE` in your "
        "env. Get a 7 day trial key here: https://www.litellm.ai/enterprise#trial. \n"
        "Pricing: https://www.litellm.ai/#pricing",
        "internal_server_error",
    )


async def spend_logs(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return spend.answer(request, proxy.log, caller.key)


async def listing(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """All keys, the newest first, in pages of ``size``; hashes only unless asked for all."""
    _only_master(request, caller)
    query = request.query_params
    size, page = _whole_number(query.get("size"), 10), _whole_number(query.get("page"), 1)
    found = [
        key
        for key in reversed(list(proxy.keys))
        if (query.get("key_alias") or key.key_alias) == key.key_alias
    ]
    shown = found[(page - 1) * size : page * size]
    whole = query.get("return_full_object", "").lower() == "true"
    return JSON(
        {
            "keys": [_filled("listed", key) if whole else key.token for key in shown],
            "total_count": len(found),
            "current_page": page,
            "total_pages": math.ceil(len(found) / size),
        }
    )


# --- from a request to a key ------------------------------------------------------------------


def settings_of(form: KeySettings, *, changing: bool = False) -> dict[str, Any]:
    """Key's fields, as far as the request gives them."""
    given = {
        name: getattr(form, name)
        for name in PLAIN_FIELDS
        if getattr(form, name) is not None or (changing and name in form.model_fields_set)
    }
    for name in ("models", "allowed_routes"):
        if name in given:
            given[name] = given[name] or []
    metadata = dict(form.metadata or {})
    for name in ("model_rpm_limit", "model_tpm_limit"):
        limits = getattr(form, name)
        if limits is not None:  # LiteLLM keeps these with the metadata
            metadata[name] = limits
            given[name] = {
                model: int(limit) for model, limit in limits.items() if isinstance(limit, int)
            }
    if form.metadata is not None or metadata:
        given["metadata"] = metadata
    if form.duration is not None:
        given["expires"] = store.now() + _duration(form.duration)
    if form.budget_duration is not None:
        given["budget_reset_at"] = store.next_reset(form.budget_duration)
    kept = {name: getattr(form, name, None) for name in KEPT_FIELDS}
    kept = {name: value for name, value in kept.items() if value is not None}
    if kept:
        given["other"] = kept
    return given


def _check(form: KeySettings, proxy: Proxy, existing: str | None = None) -> None:
    budget = form.max_budget
    if budget is not None and (not math.isfinite(budget) or budget < 0):
        raise _refused(f"max_budget must be a non-negative finite number. Received: {budget}")
    for duration in (form.duration, form.budget_duration):
        if duration is not None:
            _duration(duration)
    alias = form.key_alias
    if alias is not None:
        holder = _by_alias(proxy, alias)
        if holder is not None and (existing is None or proxy.keys.find(existing) is not holder):
            message = (
                f"Key with alias '{alias}' already exists. "
                "Unique key aliases across all keys are required."
            )
            raise ProxyError(400, message, "bad_request_error", "key_alias")


def _duration(text: str) -> timedelta:
    try:
        return store.duration(text)
    except store.TooLong as problem:
        raise _refused(str(problem)) from None
    except ValueError as problem:
        raise ProxyError(500, str(problem), "internal_server_error") from None


def _parse(form: type[Form], body: Mapping[str, Any]) -> Form:
    try:
        return form.model_validate(body)
    except ValidationError as problem:
        errors = problem.errors(include_url=False, include_input=False, include_context=False)
        raise Detail(422, [{**e, "loc": ["body", *e["loc"]]} for e in errors]) from None


def _invalid(message: str) -> Detail:
    return Detail(422, [{"type": "value_error", "loc": ["body"], "msg": f"Value error, {message}"}])


def _refused(problem: str) -> ProxyError:
    """LiteLLM shows this kind of problem as Python writes a dictionary."""
    return ProxyError(400, str({"error": problem}), "internal_server_error")


def _not_found(key: str) -> ProxyError:
    message = f"Team not found, passed key={key}"
    return ProxyError(404, message, "not_found_error", "key")


def _only_master(request: Request, caller: Caller) -> None:
    if not (caller.key.is_master or caller.key.is_admin):
        raise wire.not_authenticated(
            "Only proxy admin can be used to generate, delete, update info for new "
            f"keys/users/teams. Route={request.url.path}. Your role=unknown. Your user_id=*******"
        )


def _by_alias(proxy: Proxy, alias: str | None) -> Key | None:
    return next((key for key in proxy.keys if alias and key.key_alias == alias), None)


def _changed(key: Key) -> None:
    key.updated_at = key.settings_updated_at = store.now()
    key.keep()


def _whole_number(text: str | None, default: int) -> int:
    return max(1, int(text)) if text and text.isdecimal() else default


# --- from a key to an answer ------------------------------------------------------------------


def status_of(key: Key) -> str:
    return "revoked" if key.blocked else "expired" if key.has_expired() else "active"


@cache
def _forms() -> dict[str, dict[str, Any]]:
    path = Path(__file__).with_name("key_forms.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _form(name: str) -> dict[str, Any]:
    """The fields of one kind of answer in LiteLLM 1.106.2's order, with their empty values."""
    return _forms()[name]


def _filled(name: str, key: Key) -> dict[str, Any]:
    """One kind of answer with the key's values in it."""
    zulu = name in ("generated", "row", "listed")
    body = copy.deepcopy(_form(name))
    known = {
        "token": key.token,
        "key_name": key.key_name,
        "key_alias": key.key_alias,
        "models": key.models,
        "spend": key.spend,
        "total_spend": key.spend,
        "max_budget": key.max_budget,
        "budget_duration": key.budget_duration,
        "budget_reset_at": wire.isoformat(key.budget_reset_at, zulu=zulu),
        "max_parallel_requests": key.max_parallel_requests,
        "tpm_limit": key.tpm_limit,
        "rpm_limit": key.rpm_limit,
        "metadata": key.metadata,
        "blocked": key.blocked,
        "allowed_routes": key.allowed_routes,
        "expires": wire.isoformat(key.expires, zulu=zulu),
        "created_at": wire.isoformat(key.created_at, zulu=zulu),
        "updated_at": wire.isoformat(key.updated_at, zulu=zulu),
        "settings_updated_at": wire.isoformat(key.settings_updated_at, zulu=zulu),
        **key.other,
    }
    return body | {field: value for field, value in known.items() if field in body}


def _microseconds(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _python(body: Any) -> Response:
    """JSON as these routes of LiteLLM write it: small numbers as ``1e-05``."""
    return Response(wire.python_json(body), media_type="application/json")
