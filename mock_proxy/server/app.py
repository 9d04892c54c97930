"""The application: LiteLLM's routes for researchers, as one table.

LiteLLM is a FastAPI application. Its routes here read and answer by themselves, so they stand on
Starlette, which is below FastAPI and starts in half the time; the page and the description are
FastAPI's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..answers import recording
from ..answers.canned import Canned
from ..answers.recorded import NotRecorded, Recorded
from ..answers.recording import Recording
from ..answers.rules import Rules
from ..call import Caller, Maker, Proxy
from ..classroom.board import Classroom
from ..classroom.watch import add_classroom
from ..config import Model, ProxyConfig
from ..keys.store import KeyStore
from ..litellm import version as versions
from ..litellm.version import Version
from ..litellm.wire import JSON, Detail, ProxyError
from ..routes import admin, chat, embed, messages, models, responses, texts
from ..routes.auth import enter
from . import swagger
from .guard import Guard
from .middleware import RequestSize, SecurityHeaders

if TYPE_CHECKING:  # httpx is not for those who relay nothing
    from ..upstream.relay import Relay

Answer = Callable[[Request, Proxy, Caller], Coroutine[Any, Any, Response]]


def create_app(
    config: ProxyConfig,
    keys: KeyStore,
    classroom: Classroom | None = None,
    relay: Relay | None = None,
    kept: Mapping[str, Recording] | None = None,
    *,
    only_recorded: bool = False,
    guarded: str | None = None,
) -> Starlette:
    """The application.

    It raises UnknownVersion if the configuration names a version of LiteLLM that is not known.

    ``relay`` gets answers from another server; those of the models in ``kept`` are kept there.
    With ``only_recorded``, models that have a recording answer nothing else.
    ``guarded`` is the address that the proxy listens on, if other sites' pages are kept out.
    """
    version = versions.of(config.litellm_version)
    proxy = Proxy(config, keys, makers(relay, kept or {}, only_recorded=only_recorded))
    routes = [*_routes(proxy), *HEALTH, *swagger.routes()]
    app = Starlette(routes=routes, exception_handlers=ERRORS)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"] if guarded is None else [],
        allow_origin_regex=None if guarded is None else ".*",  # the guard has refused all others
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
    if guarded is not None:
        app.add_middleware(Guard, host=guarded)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestSize)
    if classroom is not None:
        add_classroom(app, classroom)
    if version.compresses:
        app.add_middleware(GZipMiddleware, minimum_size=500, compresslevel=6)
    app.add_middleware(AnswersAs, version=version)
    return app


class AnswersAs:
    """Answer each request as this version of LiteLLM does."""

    def __init__(self, app: ASGIApp, version: Version) -> None:
        self.app, self.version = app, version

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        versions.use(self.version)
        await self.app(scope, receive, send)


def makers(
    relay: Relay | None, kept: Mapping[str, Recording], *, only_recorded: bool = False
) -> Callable[[Model], Maker]:
    """Who answers for which model: the one place that knows all makers."""
    canned, rules = Canned(), Rules()
    relayed = rules if relay is None else relay.or_else(rules)

    @cache
    def recorded(path: Path) -> Maker:
        return Recorded(recording.read(path), NotRecorded() if only_recorded else rules)

    def maker_for(model: Model) -> Maker:
        if model.is_canned:
            return canned
        if model.name in kept:
            return Recorded(kept[model.name], relayed, keeps=True)
        if relay is not None and relay.serves(model):
            return relayed
        return rules if model.recording is None else recorded(model.recording)

    return maker_for


EXPOSED_HEADERS = (
    "x-litellm-semantic-filter",
    "x-litellm-semantic-filter-tools",
    "x-litellm-adaptive-router-model",
    "x-litellm-applied-guardrails",
    "x-litellm-guardrail-scan-id",
    "x-litellm-guardrail-scan-metadata",
    "x-litellm-cache-key",
)
"""Headers that a page of another site may read, as in LiteLLM 1.106.2."""


async def _proxy_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProxyError)
    return JSON(error.body, error.status, headers=error.headers)


async def _detail(request: Request, error: Exception) -> Response:
    assert isinstance(error, Detail)
    return JSON({"detail": error.detail}, error.status)


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSON({"detail": error.detail}, error.status_code, headers=error.headers)


async def _stumble(request: Request, error: Exception) -> Response:
    body = {"message": "Internal server error", "type": "internal_server_error"}
    return JSON({"error": body}, 500)


ERRORS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    ProxyError: _proxy_error,
    Detail: _detail,
    HTTPException: _no_such_route,
    Exception: _stumble,
}


def route(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """A route of this method alone: Starlette would answer HEAD where GET is, FastAPI does not."""
    made = Route(path, endpoint, methods=[method])
    made.methods = {method}
    return made


async def _alive(request: Request) -> Response:
    return JSON("I'm alive!")


async def _ready(request: Request) -> Response:
    return JSON({"status": "healthy", "db": "connected"})


HEALTH = (
    route("GET", "/health/liveliness", _alive),
    route("GET", "/health/liveness", _alive),
    route("GET", "/health/readiness", _ready),
)


ASK: tuple[tuple[str, Answer], ...] = (
    # The longer path first: "/engines/{model:path}/completions" would match it too.
    ("/chat/completions", chat.complete),
    ("/completions", texts.complete),
    ("/embeddings", embed.embeddings),
)
"""Each is served under four paths."""

PREFIXES = ("", "/v1", "/engines/{model:path}", "/openai/deployments/{model:path}")

ROUTES: tuple[tuple[str, str, Answer], ...] = (
    *(("POST", prefix + path, answer) for path, answer in ASK for prefix in PREFIXES),
    ("POST", "/responses", responses.respond),
    ("POST", "/v1/responses", responses.respond),
    ("POST", "/openai/v1/responses", responses.respond),
    *(
        (method, prefix + "/responses/{response_id}", responses.one)
        for prefix in ("", "/v1", "/openai/v1")
        for method in ("GET", "DELETE")
    ),
    ("POST", "/v1/messages", messages.reply_to),
    ("POST", "/v1/messages/count_tokens", messages.count),
    ("POST", "/utils/token_counter", texts.count),
    ("GET", "/models", models.listing),
    ("GET", "/v1/models", models.listing),
)
"""In the order in which they are tried: those that are asked most come first."""

FREE_ROUTES: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "/v1/models/{model_id}", models.one),
    ("GET", "/models/{model_id}", models.one),
    ("GET", "/model/info", models.info),
    ("GET", "/v1/model/info", models.info),
    ("GET", "/model_group/info", models.groups),
    ("GET", "/key/info", admin.info),
    ("GET", "/key/list", admin.listing),
    ("GET", "/spend/logs", admin.spend_logs),
)
"""Those that ask for no budget."""

ADMIN_ROUTES: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "/utils/supported_openai_params", models.parameters),
    ("POST", "/key/generate", admin.generate),
    ("POST", "/key/update", admin.update),
    ("POST", "/key/delete", admin.delete),
    ("POST", "/key/block", admin.block),
    ("POST", "/key/unblock", admin.unblock),
    ("POST", "/key/regenerate", admin.regenerate),
    ("POST", "/key/{key}/regenerate", admin.regenerate),
)
"""Those for the master key and keys of admins."""


def _routes(proxy: Proxy) -> Iterator[BaseRoute]:
    for routes in (ROUTES, FREE_ROUTES, ADMIN_ROUTES):
        for method, path, answer in routes:
            has_form = method == "POST" and path.startswith(("/key/", "/utils/"))
            enters = partial(
                enter,
                keys=proxy.keys,
                is_llm_route=routes is ROUTES,
                for_admins=routes is ADMIN_ROUTES,
                has_form=has_form and answer is not admin.regenerate,
            )
            yield route(method, path, _endpoint(proxy, enters, answer))


def _endpoint(
    proxy: Proxy, enters: Callable[[Request], Awaitable[Caller]], answer: Answer
) -> Callable[[Request], Awaitable[Response]]:
    """Authenticate, then answer."""

    async def endpoint(request: Request) -> Response:
        return await answer(request, proxy, await enters(request))

    return endpoint
