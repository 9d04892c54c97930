"""``/key/…``: making, reading, changing, blocking and deleting virtual keys."""

from __future__ import annotations

import copy
import json
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from ..call import Caller, Proxy
from ..keys import store
from ..keys.store import Key
from ..litellm import version as versions
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
    aliases: dict[str, Any] | None = None
    soft_budget: float | None = None
    model_max_budget: dict[str, Any] | None = None


class NewerKeySettings(KeySettings):
    rpm_limit: int | None = Field(None, ge=0)
    tpm_limit: int | None = Field(None, ge=0)


class OneKey(BaseModel):
    key: str


class SomeKeys(BaseModel):
    keys: list[str] | None = None
    key_aliases: list[str] | None = None


class Listing(BaseModel):
    """What a request may say of a list of keys."""

    page: int = Field(1, ge=1)
    size: int = Field(10, ge=1, le=100)
    user_id: str | None = None
    team_id: str | None = None
    key_alias: str | None = None
    key_hash: str | None = None
    status: str | None = None
    return_full_object: bool = False
    sort_by: str | None = None
    sort_order: str = "desc"


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
KEPT_FIELDS = ("team_id", "user_id", "agent_id", "aliases", "permissions")

SOFT_BUDGET = "soft budget"
"""Its name in a key's other settings: LiteLLM keeps it in a row of the table of budgets."""

LICENSED_FIELDS = (
    *("disable_global_guardrails", "guardrails", "policies", "tags", "team_member_key_duration"),
    *("prompts", "logging", "secret_manager_settings"),
    *("allowed_passthrough_routes", "denied_passthrough_routes"),
)
"""Settings that a LiteLLM without a licence refuses."""

NO_LICENCE = (
    "You must be a LiteLLM Enterprise user to use this feature. If you have a license please set "
    "`LITELLM_LICENSE` in your env. Get a 7 day trial key here: "
    "https://www.litellm.ai/enterprise#trial. \nPricing: https://www.litellm.ai/#pricing"
)

SHORTEST_KEY = 16
"""Characters."""

STATUSES = ("active", "expired", "revoked", "deleted")
SORTED_BY = ("spend", "max_budget", "created_at", "updated_at", "token", "key_alias")


@dataclass(frozen=True)
class Refused(Exception):
    """Settings that LiteLLM refuses. Over others it stumbles: those are a ValueError."""

    problem: str
    status: int = 400


async def generate(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Make a key. Only the master key may, and an admin's."""
    form = _parse(_settings_form(), caller.body)
    try:
        _check_new(form, proxy)
        _check(form)
    except (Refused, ValueError) as problem:
        raise _wrong_settings(problem) from None
    _check_alias(form.key_alias, proxy)
    settings = settings_of(form)
    text, key = proxy.keys.add(form.key, **settings)
    body = _filled("generated", key) | {
        "key": text,
        "token_id": key.token,
        "expires": _microseconds(key.expires),
    }
    if not versions.current().has_newer_fields:
        for name in ("content_policy_fallbacks", "fallback_on_unsupported_params"):
            del body["router_settings"][name]
    return JSON({name: body[name] for name in _form("generated")})


async def info(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """What is known of a key: of the caller's own, or with the master key of any.

    LiteLLM knows nothing of the master key itself, but somebody who practises alone has no
    other, so here the known practice key is told of like any.
    """
    asked = request.query_params.get("key")
    key = proxy.keys.find(asked) if asked else caller.key
    if key is None and asked and caller.key.manages:
        deleted = proxy.keys.find_deleted(asked)
        if deleted is not None:
            return _python({"key": asked, "info": _filled("deleted", deleted)})
    if key is None or (key.is_master and not key.is_practice):
        raise ProxyError(404, "Key not found in database", "not_found_error", "key")
    if not (caller.key.manages or key is caller.key):
        raise Detail(403, "You are not allowed to access this key's info. Your role=None")
    body = _filled("info", key) | {"status": status_of(key)}
    return _python(
        {"key": asked or key.token, "info": {name: body[name] for name in _form("info")}}
    )


async def update(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Change what is said of a key, and nothing else of it. Without a key, the alias names it."""
    form = _parse(_settings_form(), caller.body)
    if form.key is None and form.key_alias is None:
        raise _invalid("either key or key_alias must be provided")
    key = proxy.keys.find(form.key) if form.key else _by_alias(proxy, form.key_alias)
    if key is None or key.is_master:
        raise _not_found("" if form.key else f" No key with key_alias='{form.key_alias}'.")
    try:
        _check(form)
    except (Refused, ValueError) as problem:
        raise _wrong_change(problem) from None
    _check_alias(form.key_alias, proxy, of=key)
    given = settings_of(form, changing=True)
    if "other" in given:
        given["other"] = key.other | given["other"]
    if "budget_duration" not in form.model_fields_set:
        given.pop("budget_reset_at", None)
    for name, value in given.items():
        setattr(key, name, value)
    _changed(key)
    body = _filled("updated", key) | {"key": form.key or key.token}
    return _python({name: body[name] for name in _form("updated")})


async def delete(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Delete keys, by themselves, their hashes, or their aliases."""
    form = _parse(SomeKeys, caller.body)
    named = form.keys or form.key_aliases
    if not named:
        raise _invalid("At least one of 'keys' or 'key_aliases' must be provided.")
    if form.keys:
        found = [proxy.keys.find(key) for key in form.keys]
    else:
        found = [_by_alias(proxy, alias) for alias in form.key_aliases or []]
    if not any(key is not None and not key.is_master for key in found):
        raise _wrong_settings(Refused("No keys found", 404))
    for key in found:
        if key is not None and not key.is_master:
            proxy.keys.remove(key)
    return JSON({"deleted_keys": named})


async def block(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return JSON(_filled("row", _set_blocked(proxy, caller, blocked=True)))


async def unblock(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return JSON(_filled("unblocked", _set_blocked(proxy, caller, blocked=False)))


def _set_blocked(proxy: Proxy, caller: Caller, *, blocked: bool) -> Key:
    form = _parse(OneKey, caller.body)
    key = proxy.keys.find(form.key)
    if key is None or key.is_master:
        raise _not_found()
    key.blocked = blocked
    _changed(key)
    return key


async def regenerate(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """Give a key another text: refused, as by a LiteLLM without a licence."""
    message = f"Regenerating Virtual Keys is an Enterprise feature, {NO_LICENCE}"
    raise ProxyError(500, message, "internal_server_error")


async def spend_logs(request: Request, proxy: Proxy, caller: Caller) -> Response:
    return spend.answer(request, proxy.log, caller.key)


async def listing(request: Request, proxy: Proxy, caller: Caller) -> Response:
    """All keys, the newest first, in pages of ``size``; hashes only unless asked for all.

    Who is no admin is told of the keys of the same user.
    """
    form = _parse(Listing, request.query_params, "query")
    if not caller.key.manages:
        form.user_id = caller.key.other.get("user_id")
        if form.user_id is None:
            message = (
                "You are not authorized to access this endpoint. "
                "No 'user_id' is associated with your API key."
            )
            raise ProxyError(403, message, "bad_request_error", "user_id")
    found = _sorted([key for key in _candidates(proxy, form) if _is_wanted(key, form)], form)
    shown = found[(form.page - 1) * form.size : form.page * form.size]
    return JSON(
        {
            "keys": [
                _filled("listed", key) if form.return_full_object else key.token for key in shown
            ],
            "total_count": len(found),
            "current_page": form.page,
            "total_pages": math.ceil(len(found) / form.size),
        }
    )


def _candidates(proxy: Proxy, form: Listing) -> list[Key]:
    """The keys that there are, or were, the newest first."""
    if form.status not in (None, *STATUSES):
        supported = ", ".join(f"'{status}'" for status in STATUSES)
        raise _wrong_query(f"Invalid status value. Supported: {supported}.")
    return list(reversed(list(proxy.keys.deleted if form.status == "deleted" else proxy.keys)))


def _is_wanted(key: Key, form: Listing) -> bool:
    asked = {
        "key_alias": key.key_alias,
        "key_hash": key.token,
        "user_id": key.other.get("user_id"),
        "team_id": key.other.get("team_id"),
    }
    return form.status in (None, "deleted", status_of(key)) and all(
        getattr(form, name) in (None, "", value) for name, value in asked.items()
    )


def _sorted(keys: list[Key], form: Listing) -> list[Key]:
    """In the order asked for; what has no value comes first, as PostgreSQL has it from above."""
    name = form.sort_by
    if name is None:
        return keys
    if name not in SORTED_BY:
        columns = ", ".join(SORTED_BY)
        raise _wrong_query(f"Invalid sort column. Must be one of: {columns}")
    order = form.sort_order.lower()
    if order not in ("asc", "desc"):
        raise _wrong_query("Invalid sort order. Must be 'asc' or 'desc'")
    with_value = [key for key in keys if getattr(key, name) is not None]
    without = [key for key in keys if getattr(key, name) is None]
    with_value.sort(key=lambda key: getattr(key, name), reverse=order == "desc")
    return without + with_value if order == "desc" else with_value + without


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
        given["expires"] = store.now() + store.duration(form.duration)
    if form.budget_duration is not None:
        given["budget_reset_at"] = store.next_reset(form.budget_duration)
    kept = {name: getattr(form, name, None) for name in KEPT_FIELDS}
    kept = {name: value for name, value in kept.items() if value is not None}
    if form.soft_budget is not None and not changing:
        kept |= {"budget_id": str(uuid.uuid4()), SOFT_BUDGET: form.soft_budget}
    if kept:
        given["other"] = kept
    return given


def _settings_form() -> type[KeySettings]:
    return NewerKeySettings if versions.current().refuses_negative_limits else KeySettings


def _check_new(form: KeySettings, proxy: Proxy) -> None:
    """Raise Refused or ValueError if no key can be made so."""
    key = form.key
    if key is not None and not key.startswith("sk-"):
        shown = f"{key[:4]}****{key[-4:]}" if len(key) > 8 else "****"
        raise Refused(
            f"Invalid key format. LiteLLM Virtual Key must start with 'sk-'. Received: {shown}"
        )
    if key is not None and len(key) < SHORTEST_KEY and proxy.keys.find(key) is None:
        raise Refused(
            "Invalid key format. LiteLLM Virtual Key must be at least "
            f"{SHORTEST_KEY} characters long."
        )
    if not all(isinstance(model, str) for model in form.models or []):
        raise Refused("Internal Server Error.", 500)


def _check(form: KeySettings) -> None:
    """Raise Refused or ValueError if no key can have these settings."""
    for name in ("max_budget", "soft_budget"):
        budget = getattr(form, name)
        if budget is not None and (not math.isfinite(budget) or budget < 0):
            raise Refused(f"{name} must be a non-negative finite number. Received: {budget}")
    for name in ("duration", "budget_duration"):
        _check_duration(name, getattr(form, name))
    if form.model_max_budget:
        raise ValueError(
            "Invalid model_max_budget: You must have an enterprise license to set "
            f"model_max_budget. {NO_LICENCE}. Example of valid model_max_budget: "
            "https://docs.litellm.ai/docs/proxy/users"
        )
    for name in LICENSED_FIELDS:
        if getattr(form, name, None):
            feature = f"This feature is only available for LiteLLM Enterprise users: {name}."
            raise Refused(f"{feature} {NO_LICENCE}", 403)


def _check_duration(name: str, text: str | None) -> None:
    try:
        if text is not None:
            store.duration(text)
    except store.TooLong as problem:
        raise Refused(str(problem)) from None
    except ValueError:
        if name == "duration":
            raise
        hint = "Use a format like '1h', '24h', '7d', or '30d'."
        raise Refused(f"Invalid {name} '{text}'. {hint}") from None


def _check_alias(alias: str | None, proxy: Proxy, of: Key | None = None) -> None:
    if _by_alias(proxy, alias) not in (None, of):
        message = (
            f"Key with alias '{alias}' already exists. "
            "Unique key aliases across all keys are required."
        )
        raise ProxyError(400, message, "bad_request_error", "key_alias")


def _wrong_settings(problem: Refused | ValueError) -> ProxyError:
    """LiteLLM shows what it refuses as Python writes a dictionary."""
    if not isinstance(problem, Refused):
        return ProxyError(500, str(problem), "internal_server_error")
    message = str({"error": problem.problem})
    return ProxyError(problem.status, message, _type_of(problem.status) or "internal_server_error")


def _wrong_query(problem: str) -> ProxyError:
    message, kind = str({"error": problem}), _type_of(400) or "internal_server_error"
    return ProxyError(400, message, kind, versions.current().key_error_param)


def _wrong_change(problem: Refused | ValueError) -> ProxyError:
    """As ``_wrong_settings``, from the route that changes a key."""
    is_refused = isinstance(problem, Refused)
    status = problem.status if isinstance(problem, Refused) else 400
    message = str({"error": problem.problem}) if isinstance(problem, Refused) else str(problem)
    if kind := _type_of(status):
        return ProxyError(status, message, kind)
    message = message if is_refused else f"Authentication Error, {message}"
    return ProxyError(status, message, "auth_error", "None")


def _type_of(status: int) -> str | None:
    """An error's type, where it follows from its status."""
    if not versions.current().types_key_errors_by_status:
        return None
    kinds = {403: "auth_error", 500: "internal_server_error"}
    return kinds.get(status, "invalid_request_error")


def _parse(form: type[Form], given: Mapping[str, Any], part: str = "body") -> Form:
    try:
        return form.model_validate(dict(given))
    except ValidationError as problem:
        errors = problem.errors(include_url=False, include_input=False, include_context=False)
        raise Detail(422, [{**e, "loc": [part, *e["loc"]]} for e in errors]) from None


def _invalid(message: str) -> Detail:
    return Detail(422, [{"type": "value_error", "loc": ["body"], "msg": f"Value error, {message}"}])


def _not_found(more: str = "") -> ProxyError:
    return ProxyError(
        404, f"Key not found.{more}", "not_found_error", "key_alias" if more else "key"
    )


def _by_alias(proxy: Proxy, alias: str | None) -> Key | None:
    return next((key for key in proxy.keys if alias and key.key_alias == alias), None)


def _changed(key: Key) -> None:
    key.updated_at = key.settings_updated_at = store.now()
    key.keep()


# --- from a key to an answer ------------------------------------------------------------------


def status_of(key: Key) -> str:
    return "revoked" if key.blocked else "expired" if key.has_expired() else "active"


@cache
def _forms() -> dict[str, dict[str, Any]]:
    path = Path(__file__).with_name("key_forms.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _form(name: str) -> dict[str, Any]:
    """The fields of one kind of answer in LiteLLM's order, with their empty values."""
    return _forms()[name]


def _filled(name: str, key: Key) -> dict[str, Any]:
    """One kind of answer with the key's values in it."""
    zulu = name in ("generated", "row", "unblocked", "listed")
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
        "last_active": wire.isoformat(key.last_active, zulu=zulu),
        "deleted_at": wire.isoformat(key.deleted_at, zulu=zulu),
        "id": str(uuid.UUID(key.token[:32])),
        **key.other,
    }
    if SOFT_BUDGET in key.other and name in ("generated", "info", "listed"):
        known["litellm_budget_table"] = _form("budget") | {
            "budget_id": key.other["budget_id"],
            "soft_budget": key.other[SOFT_BUDGET],
            "created_at": known["created_at"],
            "updated_at": known["created_at"],
        }
    return body | {field: value for field, value in known.items() if field in body}


def _microseconds(moment: datetime | None) -> str | None:
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _python(body: Any) -> Response:
    """JSON as these routes of LiteLLM write it: small numbers as ``1e-05``."""
    return Response(wire.python_json(body), media_type="application/json")
