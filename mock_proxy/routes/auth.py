"""Who calls: the body read and the key checked, in LiteLLM's order."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request

from ..call import Body, Caller
from ..keys.store import Key, KeyStore
from ..litellm import wire

KEY_HEADERS = (
    "x-litellm-api-key",
    "authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "ocp-apim-subscription-key",
)
"""Headers that may hold the key; the first that is sent counts."""

FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data")

LONG_BODY = 100_000
"""Bytes; parsing so many takes up to 5 ms."""

ASKED_MODEL = "mock_proxy.model"
"""Where a request's scope says for which model a key was needed, None for none."""


async def enter(request: Request, keys: KeyStore, *, is_llm_route: bool = True) -> Caller:
    """Read the body, then find the key and ask whether it may do this.

    LiteLLM 1.106.2 reports a body that is no JSON before it looks for a key; a blocked key
    before a model that is denied, that before an expired key, and that before a budget.
    Routes that are not the API of a model (``is_llm_route`` false) ask for no budget.
    A long body is parsed for those alone who have a key: parsing keeps others waiting.
    """
    if len(await request.body()) > LONG_BODY:
        find_key(request, keys)
    body = await read_body(request)
    model = request.scope[ASKED_MODEL] = request.path_params.get("model") or body.get("model")
    key = find_key(request, keys)
    if key.is_master:
        return Caller(key, body)
    if key.blocked:
        raise wire.not_authenticated(
            "Key is blocked. Update via `/key/unblock` if you're an admin."
        )
    if isinstance(model, str) and not key.may_use(model):
        raise wire.model_denied(model)
    if key.has_expired():
        raise wire.expired_key(key)
    if is_llm_route and key.is_over_budget():
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
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    raw = await request.body()
    if not raw:
        return {}
    if content_type in FORM_TYPES:
        return dict(parse_qsl(raw.decode("utf-8", "replace")))
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        body = _lenient(raw, problem)
    if not isinstance(body, dict):
        raise wire.NoMapping
    return body


def _lenient(raw: bytes, problem: orjson.JSONDecodeError) -> Any:
    """What Python's json reads where orjson does not, such as NaN; as LiteLLM does."""
    try:
        body = json.loads(raw.decode("utf-8"))
        json.dumps(body, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise wire.invalid_json(problem) from None
    return body
