"""The FastAPI application: LiteLLM's routes for researchers, each a few lines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from . import admin, chat, describe, embed, texts, tokens, wire
from .auth import Caller, enter
from .calls import Proxy
from .config import ProxyConfig
from .keys import KeyStore
from .middleware import GZip, SecurityHeaders
from .wire import JSON, Detail, ProxyError

Answer = Callable[[Request, Proxy, Caller], Awaitable[Response]]


def create_app(config: ProxyConfig, keys: KeyStore) -> FastAPI:
    """The application; requests change nothing but ``keys``."""
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
    proxy = Proxy(config, keys)
    _add_health(app)
    _add_models(app, proxy)
    _add_llm(app, proxy)
    _add_keys(app, proxy)
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
    app.add_middleware(GZip)
    return app


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
        return JSON({"error": error.error}, error.status, headers=error.headers)

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
    def visible(caller: Caller) -> list[str]:
        return [name for name in proxy.config.names() if caller.key.may_use(name)]

    def entry(name: str) -> dict[str, Any]:
        model = proxy.config.find(name)
        return wire.model_entry(name, tokens.facts(model.target, model.info) if model else {})

    async def models(request: Request) -> Response:
        caller = await enter(request, proxy.keys)
        entries = [entry(name) for name in visible(caller)]
        if request.query_params.get("include_metadata", "").lower() == "true":
            entries = [{**one, "metadata": {"fallbacks": []}} for one in entries]
        return JSON({"data": entries, "object": "list"})

    async def model(request: Request) -> Response:
        caller = await enter(request, proxy.keys)
        name = request.path_params["model_id"]
        if name not in visible(caller):
            raise Detail(404, f"The model `{name}` does not exist or is not accessible")
        return JSON(entry(name))

    app.get("/models", **describe.MODELS)(models)
    app.get("/v1/models", include_in_schema=False)(models)
    app.get("/v1/models/{model_id}", **describe.MODEL)(model)
    app.get("/models/{model_id}", include_in_schema=False)(model)


def _add_llm(app: FastAPI, proxy: Proxy) -> None:
    """The routes that ask a model, each under its four paths."""

    def add(path: str, answer: Answer, description: dict[str, Any]) -> None:
        async def endpoint(request: Request) -> Response:
            return await answer(request, proxy, await enter(request, proxy.keys))

        app.post(path, **description)(endpoint)
        for prefix in ("/v1", "/engines/{model:path}", "/openai/deployments/{model:path}"):
            app.post(prefix + path, include_in_schema=False)(endpoint)

    # The longer path first: "/engines/{model:path}/completions" would match it too.
    add("/chat/completions", chat.complete, describe.CHAT)
    add("/completions", texts.complete, describe.COMPLETION)
    add("/embeddings", embed.embeddings, describe.EMBEDDINGS)

    async def count(request: Request) -> Response:
        return await texts.count(request, await enter(request, proxy.keys))

    app.post("/utils/token_counter", **describe.TOKEN_COUNTER)(count)


def _add_keys(app: FastAPI, proxy: Proxy) -> None:
    def endpoint(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await answer(
                request, proxy, await enter(request, proxy.keys, is_llm_route=False)
            )

        return endpoint

    app.get("/key/info", **describe.KEY_INFO)(endpoint(admin.info))
    app.get("/key/list", **describe.KEY_LIST)(endpoint(admin.listing))
    app.post("/key/generate", **describe.KEY_GENERATE)(endpoint(admin.generate))
    for path, answer in (
        ("/key/update", admin.update),
        ("/key/delete", admin.delete),
        ("/key/block", admin.block),
        ("/key/unblock", admin.unblock),
    ):
        app.post(path, include_in_schema=False)(endpoint(answer))
