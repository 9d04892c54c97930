"""Who calls: the body read and the key checked, in LiteLLM's order."""

from __future__ import annotations

import json
import zlib
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from ..call import Body, Caller
from ..keys.store import Key, KeyStore
from ..litellm import checks, wire
from ..litellm import version as versions

KEY_HEADERS = (
    "x-litellm-api-key",
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
)
"""Headers that may hold the key; the first that is sent counts."""

READ_BY_FASTAPI = ("/utils/", "/key/")
"""Beginnings of paths whose body FastAPI reads, and refuses in its own form."""

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

NOT_IN_BODY = ("api_base", "base_url", "user_config", "model_list")
"""Parameters that would send a request elsewhere, with the proxy's credentials."""

USERS_ROUTES = ("/models/", "/v1/models/", "/spend/logs")
"""Beginnings of paths that a key needs a user for."""

LONG_BODY = 100_000
"""Bytes; parsing so many takes up to 5 ms."""

ASKED_MODEL = "mock_proxy.model"
"""Where a request's scope says for which model a key was needed, None for none."""


async def enter(
    request: Request,
    keys: KeyStore,
    *,
    is_llm_route: bool = True,
    for_admins: bool = False,
    has_form: bool = False,
) -> Caller:
    """Read the body, then find the key and ask whether it may do this.

    LiteLLM reports a body that is no JSON before it looks for a key; a blocked key
    before a model that is denied, that before an expired key, and that before a budget.
    Routes that are not the API of a model (``is_llm_route`` false) ask for no budget, nor do
    the newer versions for the list of models. Where the body is a form of FastAPI's
    (``has_form``), that has read it before. A long or compressed body is read for those alone who
    have a key: reading it keeps others waiting.
    """
    if has_form:
        await _check_json(request)
    caller = await _let_in(request, keys, is_llm_route=is_llm_route)
    path, key = request.url.path, caller.key
    if not key.manages:
        needs_user = path.startswith(USERS_ROUTES) and not key.other.get("user_id")
        if for_admins or needs_user:
            raise wire.for_administrators(path)
    if has_form:
        await _check_form(request)
    return caller


async def _let_in(request: Request, keys: KeyStore, *, is_llm_route: bool) -> Caller:
    if len(await request.body()) > LONG_BODY or _is_packed(request):
        find_key(request, keys)
    body = await read_body(request)
    model = request.scope[ASKED_MODEL] = request.path_params.get("model") or body.get("model")
    key = find_key(request, keys)
    for parameter in NOT_IN_BODY:
        if parameter in body:
            raise wire.not_in_body(parameter)
    if key.is_master:
        return Caller(key, body)
    if key.blocked:
        raise wire.not_authenticated(
            "Key is blocked. Update via `/key/unblock` if you're an admin."
        )
    others = (name for name, _ in checks.fallbacks(body, str(model)))
    for name in (model, *others):
        if isinstance(name, str) and not key.may_use(name):
            raise wire.model_denied(name)
    if key.has_expired():
        raise wire.expired_key(key)
    asks_budget = is_llm_route and (
        request.method != "GET" or versions.current().refuses_models_over_budget
    )
    if asks_budget and key.is_over_budget():
        raise wire.over_budget(key)
    if key.allowed_routes and not _allows(key.allowed_routes, request.url.path):
        raise wire.Detail(
            403,
            "Virtual key is not allowed to call this route. Only allowed to call routes: "
            f"{key.allowed_routes}. Tried to call route: {request.url.path}",
        )
    return Caller(key, body)


NO_LLM_ROUTES = ("/key/", "/user/", "/team/", "/spend/")


def _allows(routes: list[Any], path: str) -> bool:
    """Whether a key's routes include this one; ``llm_api_routes`` stands for those of models."""
    names = [str(route) for route in routes]
    return path in names or ("llm_api_routes" in names and not path.startswith(NO_LLM_ROUTES))


async def _check_json(request: Request) -> None:
    """Raise what FastAPI answers to a form that is said to be JSON, and is none."""
    raw = await request.body()
    if not 0 < len(raw) <= LONG_BODY or not _is_json(request):
        return
    try:
        json.loads(raw)
    except json.JSONDecodeError as problem:
        raise wire.Detail(422, [_json_invalid(problem)]) from None
    except (ValueError, RecursionError):
        raise wire.Detail(400, "There was an error parsing the body") from None


async def _check_form(request: Request) -> None:
    """Raise what FastAPI answers to a form that is not there, or no JSON."""
    if not await request.body():
        error = {"type": "missing", "loc": ["body"], "msg": "Field required"}
        raise wire.Detail(422, [error])
    if not _is_json(request):
        message = "Input should be a valid dictionary or object to extract fields from"
        error = {"type": "model_attributes_type", "loc": ["body"], "msg": message}
        raise wire.Detail(422, [error])


def _is_json(request: Request) -> bool:
    content_type = request.headers.get("content-type")
    if content_type is None:
        return True
    name = content_type.partition(";")[0].strip().lower()
    return name == "application/json" or (
        name.startswith("application/") and name.endswith("+json")
    )


def find_key(request: Request, keys: KeyStore) -> Key:
    """The caller's key, or the error that LiteLLM gives instead."""
    sent = sent_key(request)
    if sent is None:
        raise wire.not_authenticated("No api key passed in.")
    if sent == "":
        raise wire.not_authenticated(
            "Malformed API Key passed in. Ensure Key has `Bearer ` prefix."
        )
    if not sent.startswith("sk-"):
        raise wire.no_virtual_key(sent)
    key = keys.find(sent)
    if key is None:
        raise wire.unknown_key(sent)
    return key


def sent_key(request: Request) -> str | None:
    """The key as sent: None without a header for it, empty where ``Bearer`` is missing."""
    for name in KEY_HEADERS:
        value = request.headers.get(name)
        if value is None or (name == "authorization" and not value):
            continue
        value = value.strip()
        if name == "authorization":
            return _bearer(value) or ""
        return (_bearer(value) or value) if name == "x-litellm-api-key" else value
    return None


def _bearer(value: str) -> str | None:
    for scheme in ("Bearer ", "Basic ", "bearer "):
        if value.startswith(scheme):
            return value.replace(scheme, "")
    return None


async def read_body(request: Request) -> Body:
    """The body as a mapping: JSON whatever its type says, but for forms. Empty is ``{}``."""
    given = request.headers.get("content-type", "")
    content_type = given.partition(";")[0].strip().lower()
    raw = await request.body()
    if _is_packed(request):
        raw = _unpacked(raw)
    if not raw:
        return {}
    if content_type == FORM_TYPES[1] and "boundary=" not in given:
        raise wire.invalid_form("400: Missing boundary in multipart.")
    if content_type in FORM_TYPES:
        return dict(parse_qsl(raw.decode("utf-8", "replace")))
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        body = _lenient(request, raw, problem)
    if not isinstance(body, dict):
        if versions.current().refuses_no_object:
            raise wire.invalid_json("expected an object")
        raise wire.NoMapping
    return body


def _lenient(request: Request, raw: bytes, problem: orjson.JSONDecodeError) -> Any:
    """What Python's json reads where orjson does not, such as NaN; as LiteLLM does.

    LiteLLM takes a body that is no UTF-8 for an empty one.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return {}
    try:
        body = json.loads(text)
        json.dumps(body, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError) and request.url.path.startswith(READ_BY_FASTAPI):
            raise wire.Detail(422, [_json_invalid(error)]) from None
        raise wire.invalid_json(problem) from None
    return body


def _json_invalid(error: json.JSONDecodeError) -> dict[str, Any]:
    return {"type": "json_invalid", "loc": ["body", error.pos], "msg": "JSON decode error"}


def _is_packed(request: Request) -> bool:
    return versions.current().reads_gzip and request.headers.get("content-encoding") == "gzip"


def _unpacked(packed: bytes) -> bytes:
    """The body of a request that was compressed with gzip, if it is not too large."""
    limit = wire.LARGEST_BODY_MB * 1024 * 1024
    try:
        body = zlib.decompressobj(wbits=31).decompress(packed, limit + 1)
    except zlib.error:
        return packed
    if len(body) > limit:
        raise wire.TooLarge
    return body
