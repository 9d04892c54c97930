"""Headers that every answer carries, redirects and other sites' pages."""

import gzip

import pytest
import requests
from proxy_client import Client

ALWAYS = {
    "x-frame-options": "DENY",
    "content-security-policy": "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


@pytest.mark.parametrize("path", ["/health/liveliness", "/models", "/nope", "/", "/models/"])
def test_every_answer_carries_the_security_headers(anonymous, path):
    headers = anonymous.get(path, allow_redirects=False).headers
    assert {name: headers.get(name) for name in ALWAYS} == ALWAYS
    assert "Origin" in headers["vary"]
    assert "server" not in headers


def test_trailing_slash_redirects(proxy, client):
    response = client.get("/models/", allow_redirects=False)
    assert response.status_code == 307
    assert response.headers["location"] == proxy.url + "/models"
    assert response.headers["content-length"] == "0"


def test_double_slash_is_not_found(client):
    assert client.get("//models").status_code == 404


def test_head_is_not_allowed(client):
    assert client.head("/models").status_code == 405


def test_older_versions_compress_long_answers_for_those_who_accept_it(older, client):
    accept = {"Accept-Encoding": "gzip"}
    assert "content-encoding" not in client.get("/models", headers=accept).headers
    client = Client(older.url, older.new_key())
    compressed = client.get("/models", headers=accept, stream=True)
    assert compressed.headers["content-encoding"] == "gzip"
    plain = client.get("/models", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(compressed.raw.read(decode_content=False)) == plain.content
    for response in (compressed, plain):
        assert response.headers["vary"] == "Origin, Accept-Encoding"


def test_pages_of_other_sites_may_ask(anonymous):
    response = anonymous.options(
        "/models",
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert (response.status_code, response.text) == (200, "OK")
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["access-control-allow-headers"] == "authorization"
    assert response.headers["access-control-max-age"] == "600"


def test_connection_is_kept(proxy):
    with requests.Session() as session:
        ports = set()
        for _ in range(3):
            response = session.get(proxy.url + "/health/liveliness", timeout=5, stream=True)
            ports.add(response.raw.connection.sock.getsockname()[1])
            response.content  # noqa: B018 (reads the body, so that the connection is free)
    assert len(ports) == 1
