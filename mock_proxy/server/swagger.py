"""Swagger UI at ``/``, and the OpenAPI description that it shows: written in ``swagger.yaml``.

Both are read when somebody first asks for them: no request of a program does.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from ..litellm import version
from ..litellm.wire import JSON

FILE = Path(__file__).with_name("swagger.yaml")

TITLE = "LiteLLM API"
SWAGGER_UI = {"tagsSorter": "alpha"}
"""What LiteLLM 1.106.2 sets; so Try it out must be pressed, as there."""

OAUTH2 = "/docs/oauth2-redirect"


@cache
def description() -> dict[str, Any]:
    """The OpenAPI description."""
    described: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    del described["shared"]
    return described


def routes() -> list[BaseRoute]:
    """The page, its files (of the package fastapi-offline: no page loads from elsewhere).

    None of them where the package is missing: inside a browser's page, which no browser opens."""
    package = find_spec("fastapi_offline")
    if package is None or package.origin is None:
        return []
    files = StaticFiles(directory=Path(package.origin).with_name("static"))
    return [
        Route("/", page, methods=["GET"]),
        Route(OAUTH2, oauth2_redirect, methods=["GET"]),
        Route("/openapi.json", openapi, methods=["GET"]),
        Mount("/swagger", files),
    ]


async def openapi(request: Request) -> Response:
    described = description()
    info = {**described["info"], "version": version.current().number}
    return JSON({**described, "info": info})


async def page(request: Request) -> Response:
    from fastapi.openapi.docs import get_swagger_ui_html

    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title=f"{TITLE} - Swagger UI",
        oauth2_redirect_url=OAUTH2,
        swagger_js_url="/swagger/swagger-ui-bundle.js",
        swagger_css_url="/swagger/swagger-ui.css",
        swagger_favicon_url="/swagger/favicon.png",
        swagger_ui_parameters=SWAGGER_UI,
    )


async def oauth2_redirect(request: Request) -> Response:
    from fastapi.openapi.docs import get_swagger_ui_oauth2_redirect_html

    return get_swagger_ui_oauth2_redirect_html()
