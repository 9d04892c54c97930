"""The FastAPI application: LiteLLM's routes for researchers, each a few lines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
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
from . import describe
from .middleware import GZip, RequestSize, SecurityHeaders

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
        swagger_ui_parameters=describe.SWAGGER_UI,
        title="LiteLLM API",
        version=wire.VERSION,
        description=describe.PROXY,
        openapi_tags=describe.TAGS,
    )
    proxy = Proxy(config, keys, makers(relay))
    _add_llm(app, proxy)  # first, as routes are tried in order and these are asked most
    _add_models(app, proxy)
    _add_keys(app, proxy)
    _add_health(app)
    describe.add_security(app)
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
    app.add_middleware(GZip)
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

    app.get("/health/liveliness", **describe.LIVELINESS)(alive)
    app.get("/health/liveness", include_in_schema=False)(alive)
    app.get("/health/readiness", **describe.READINESS)(ready)


def _add_models(app: FastAPI, proxy: Proxy) -> None:
    def add(path: str, answer: Answer, description: dict[str, Any]) -> None:
        app.get(path, **description)(_endpoint(proxy, answer))

    add("/models", models.listing, describe.MODELS)
    add("/v1/models", models.listing, HIDDEN)
    add("/v1/models/{model_id}", models.one, describe.MODEL)
    add("/models/{model_id}", models.one, HIDDEN)
    add("/model/info", models.info, describe.MODEL_INFO)
    add("/v1/model/info", models.info, HIDDEN)
    add("/model_group/info", models.groups, HIDDEN)
    add("/utils/supported_openai_params", models.parameters, HIDDEN)


HIDDEN: dict[str, Any] = {"include_in_schema": False}


def _endpoint(
    proxy: Proxy, answer: Answer, *, is_llm_route: bool = True
) -> Callable[[Request], Awaitable[Response]]:
    """What FastAPI calls: who asks, then the answer."""

    async def endpoint(request: Request) -> Response:
        caller = await enter(request, proxy.keys, is_llm_route=is_llm_route)
        return await answer(request, proxy, caller)

    return endpoint


def _add_llm(app: FastAPI, proxy: Proxy) -> None:
    """The routes that ask a model, each under its four paths."""

    def add(path: str, answer: Answer, description: dict[str, Any]) -> None:
        endpoint = _endpoint(proxy, answer)
        app.post(path, **description)(endpoint)
        for prefix in ("/v1", "/engines/{model:path}", "/openai/deployments/{model:path}"):
            app.post(prefix + path, **HIDDEN)(endpoint)

    # The longer path first: "/engines/{model:path}/completions" would match it too.
    add("/chat/completions", chat.complete, describe.CHAT)
    add("/completions", texts.complete, describe.COMPLETION)
    add("/embeddings", embed.embeddings, describe.EMBEDDINGS)

    for path in ("/responses", "/v1/responses", "/openai/v1/responses"):
        described = describe.RESPONSES if path == "/responses" else HIDDEN
        app.post(path, **described)(_endpoint(proxy, responses.respond))
    app.post("/v1/messages", **describe.MESSAGES)(_endpoint(proxy, messages.reply_to))
    app.post("/utils/token_counter", **describe.TOKEN_COUNTER)(_endpoint(proxy, texts.count))


def _add_keys(app: FastAPI, proxy: Proxy) -> None:
    def endpoint(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        return _endpoint(proxy, answer, is_llm_route=False)

    app.get("/key/info", **describe.KEY_INFO)(endpoint(admin.info))
    app.get("/key/list", **describe.KEY_LIST)(endpoint(admin.listing))
    app.get("/spend/logs", **describe.SPEND_LOGS)(endpoint(admin.spend_logs))
    app.post("/key/generate", **describe.KEY_GENERATE)(endpoint(admin.generate))
    for path, answer in (
        ("/key/update", admin.update),
        ("/key/delete", admin.delete),
        ("/key/block", admin.block),
        ("/key/unblock", admin.unblock),
        ("/key/regenerate", admin.regenerate),
        ("/key/{key}/regenerate", admin.regenerate),
    ):
        app.post(path, **HIDDEN)(endpoint(answer))
