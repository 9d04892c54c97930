"""The FastAPI application: LiteLLM's routes for researchers, each a few lines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response

from ..answers.canned import Canned
from ..answers.rules import Rules
from ..call import Caller, Maker, Proxy
from ..classroom.board import Classroom
from ..classroom.watch import add_classroom
from ..config import Model, ProxyConfig
from ..keys.store import KeyStore
from ..litellm import wire
from ..litellm.wire import JSON, Detail, ProxyError
from ..routes import admin, chat, embed, messages, models, responses, texts
from ..routes.auth import enter
from . import swagger
from .middleware import RequestSize, SecurityHeaders

if TYPE_CHECKING:  # httpx is not for those who relay nothing
    from ..upstream.relay import Relay

Answer = Callable[[Request, Proxy, Caller], Coroutine[Any, Any, Response]]


def create_app(
    config: ProxyConfig,
    keys: KeyStore,
    classroom: Classroom | None = None,
    relay: Relay | None = None,
) -> FastAPI:
    """The application; requests change nothing but ``keys``, and ``classroom`` if there is one.

    ``relay`` has the answers made elsewhere.
    """
    app = FastAPIOffline(
        docs_url="/",
        redoc_url=None,
        static_url="/swagger",
        swagger_ui_oauth2_redirect_url="/docs/oauth2-redirect",
        swagger_ui_parameters=swagger.SWAGGER_UI,
        title="LiteLLM API",
        version=wire.VERSION,
    )
    proxy = Proxy(config, keys, makers(relay))
    _add_routes(app, proxy)
    _add_health(app)
    swagger.describe(app)
    _add_errors(app)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=["*"],
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestSize)
    if classroom is not None:
        add_classroom(app, classroom)
    app.add_middleware(GZipMiddleware, minimum_size=500, compresslevel=6)
    return app


def makers(relay: Relay | None) -> Callable[[Model], Maker]:
    """Who answers for which model: the one place that knows all makers."""
    canned, rules = Canned(), Rules()
    relayed = rules if relay is None else relay.or_else(rules)

    def maker_for(model: Model) -> Maker:
        if model.is_canned:
            return canned
        return relayed if relay is not None and relay.serves(model) else rules

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
"""Headers that a page of another site may read; LiteLLM 1.106.2 names these."""


def _add_errors(app: FastAPI) -> None:
    async def proxy_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProxyError)
        return JSON(error.body, error.status, headers=error.headers)

    async def detail(request: Request, error: Exception) -> Response:
        assert isinstance(error, Detail)
        return JSON({"detail": error.detail}, error.status)

    async def stumble(request: Request, error: Exception) -> Response:
        body = {"message": "Internal server error", "type": "internal_server_error"}
        return JSON({"error": body}, 500)

    app.add_exception_handler(ProxyError, proxy_error)
    app.add_exception_handler(Detail, detail)
    app.add_exception_handler(Exception, stumble)


def _add_health(app: FastAPI) -> None:
    async def alive() -> Response:
        return JSON("I'm alive!")

    async def ready() -> Response:
        return JSON({"status": "healthy", "db": "connected"})

    app.get("/health/liveliness")(alive)
    app.get("/health/liveness")(alive)
    app.get("/health/readiness")(ready)


ASK: tuple[tuple[str, Answer], ...] = (
    # The longer path first: "/engines/{model:path}/completions" would match it too.
    ("/chat/completions", chat.complete),
    ("/completions", texts.complete),
    ("/embeddings", embed.embeddings),
)
"""Each under its four paths."""

PREFIXES = ("", "/v1", "/engines/{model:path}", "/openai/deployments/{model:path}")

ROUTES: tuple[tuple[str, str, Answer], ...] = (
    *(("POST", prefix + path, answer) for path, answer in ASK for prefix in PREFIXES),
    ("POST", "/responses", responses.respond),
    ("POST", "/v1/responses", responses.respond),
    ("POST", "/openai/v1/responses", responses.respond),
    ("POST", "/v1/messages", messages.reply_to),
    ("POST", "/utils/token_counter", texts.count),
    ("GET", "/models", models.listing),
    ("GET", "/v1/models", models.listing),
    ("GET", "/v1/models/{model_id}", models.one),
    ("GET", "/models/{model_id}", models.one),
    ("GET", "/model/info", models.info),
    ("GET", "/v1/model/info", models.info),
    ("GET", "/model_group/info", models.groups),
    ("GET", "/utils/supported_openai_params", models.parameters),
)
"""In the order in which they are tried: those that are asked most come first."""

KEY_ROUTES: tuple[tuple[str, str, Answer], ...] = (
    ("GET", "/key/info", admin.info),
    ("GET", "/key/list", admin.listing),
    ("GET", "/spend/logs", admin.spend_logs),
    ("POST", "/key/generate", admin.generate),
    ("POST", "/key/update", admin.update),
    ("POST", "/key/delete", admin.delete),
    ("POST", "/key/block", admin.block),
    ("POST", "/key/unblock", admin.unblock),
    ("POST", "/key/regenerate", admin.regenerate),
    ("POST", "/key/{key}/regenerate", admin.regenerate),
)
"""Those that ask for no budget."""


def _add_routes(app: FastAPI, proxy: Proxy) -> None:
    for routes, is_llm_route in ((ROUTES, True), (KEY_ROUTES, False)):
        for method, path, answer in routes:
            endpoint = _endpoint(proxy, answer, is_llm_route=is_llm_route)
            app.add_api_route(path, endpoint, methods=[method])


def _endpoint(
    proxy: Proxy, answer: Answer, *, is_llm_route: bool
) -> Callable[[Request], Awaitable[Response]]:
    """What FastAPI calls: who asks, then the answer."""

    async def endpoint(request: Request) -> Response:
        caller = await enter(request, proxy.keys, is_llm_route=is_llm_route)
        return await answer(request, proxy, caller)

    return endpoint
