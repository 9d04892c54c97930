"""The OpenAPI description, which Swagger UI shows: written by hand in ``swagger.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI

from ..litellm import wire

SWAGGER_UI = {"tagsSorter": "alpha"}
"""What LiteLLM 1.106.2 sets; so Try it out must be pressed, as there."""

FILE = Path(__file__).with_name("swagger.yaml")


def describe(app: FastAPI) -> None:
    """Serve the description; it is read when it is first asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            description: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
            del description["shared"]
            description["info"]["version"] = wire.VERSION
            app.openapi_schema = description
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
