"""The page at ``/``: works without internet, authorizes, and its examples work."""

import re

import pytest
from proxy_client import Client
from starlette.routing import Route

from mock_proxy.config import practice
from mock_proxy.server import swagger
from mock_proxy.server.app import create_app


@pytest.fixture
def description(anonymous):
    return anonymous.get("/openapi.json").json()


def test_page_loads_nothing_from_elsewhere(anonymous):
    page = anonymous.get("/").text
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert assets == [
        "/swagger/swagger-ui.css",
        "/swagger/favicon.png",
        "/swagger/swagger-ui-bundle.js",
    ]
    assert not re.search(r"https?://", page)
    for asset in assets:
        assert anonymous.get(asset).status_code == 200


def test_authorize_sends_litellms_header(description):
    scheme = description["components"]["securitySchemes"]["APIKeyHeader"]
    assert (scheme["in"], scheme["name"]) == ("header", "x-litellm-api-key")


def operations(description):
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_every_route_is_described(description):
    tags = {tag["name"] for tag in description["tags"]}
    for method, path, operation in operations(description):
        assert operation["summary"], (method, path)
        assert operation["description"], (method, path)
        assert set(operation["tags"]) <= tags


def test_every_described_route_is_there(proxy):
    app = create_app(practice(), proxy.keys)
    served = {
        (method.lower(), route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods
    }
    described = {(method, path) for method, path, _ in operations(swagger.description())}
    assert described <= served


def test_every_route_but_health_asks_for_the_key(description):
    for _, path, operation in operations(description):
        wanted = None if path.startswith("/health") else [{"APIKeyHeader": []}]
        assert operation.get("security") == wanted, path


def test_every_example_works(proxy, description):
    """What Execute sends: the path's example parameters, each example body, the key."""
    client = Client(proxy.url)
    client.headers["x-litellm-api-key"] = proxy.master_key
    tried = 0
    for method, path, operation in operations(description):
        query = {}
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
            elif "example" in parameter:
                query[parameter["name"]] = parameter["example"]
        content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        bodies = [example["value"] for example in content.get("examples", {}).values()] or [None]
        for body in bodies:
            response = client.request(method, path, json=body, params=query)
            assert response.status_code == 200, (method, path, body, response.text)
            tried += 1
    assert tried >= 12
