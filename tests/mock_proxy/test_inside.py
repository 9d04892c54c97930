"""The proxy inside the interpreter: clients do their own work, and no port is there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import urllib3.util.connection
from openai import OpenAI
from starlette.types import Receive, Scope, Send
from urllib3 import connectionpool

from mock_proxy.config import practice
from mock_proxy.keys.store import KeyStore
from mock_proxy.server import inside
from mock_proxy.server.app import create_app

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows asks the system about each socket"
)

KEY = "sk-practice-key"
HEADERS = {"Authorization": f"Bearer {KEY}"}
URL = inside.URL + "/chat/completions"


def asked(**more: Any) -> dict[str, Any]:
    return {"model": "gpt-4", "messages": [{"role": "user", "content": "Say hello."}], **more}


async def elsewhere(scope: Scope, receive: Receive, send: Send) -> None:
    """Tells what it was asked."""
    host, port = scope["server"]
    if host == "closed.example":
        raise ConnectionError("nobody is there")
    text = f"{scope['scheme']} {host} {port} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text})


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[KeyStore]:
    """The keys of a proxy that answers inside this interpreter, as long as the test runs."""
    for owner, name in (
        (socket, "create_connection"),
        (urllib3.util.connection, "create_connection"),
        (ssl.SSLContext, "wrap_socket"),
        (connectionpool.HTTPConnectionPool, "ConnectionCls"),
        (connectionpool.HTTPSConnectionPool, "ConnectionCls"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    keys = KeyStore(KEY)
    with contextlib.closing(inside.connect(create_app(practice(), keys), elsewhere=elsewhere)):
        yield keys


@pytest.mark.usefixtures("keys")
def test_requests_and_httpx_are_answered() -> None:
    response = requests.post(URL, headers=HEADERS, json=asked(), timeout=5)
    assert (response.status_code, response.reason) == (200, "OK")
    assert httpx.post(URL, headers=HEADERS, json=asked()).json()["usage"]["total_tokens"] > 2
    assert requests.head(f"{inside.URL}/models", timeout=5).status_code == 405


@pytest.mark.usefixtures("keys")
def test_refusals_are_those_of_the_proxy() -> None:
    response = requests.post(URL, headers={"Authorization": "Bearer x"}, json=asked(), timeout=5)
    assert response.status_code == 401
    assert "expected to start with 'sk-'" in response.json()["error"]["message"]


@pytest.mark.usefixtures("keys")
def test_openai_streams() -> None:
    client = OpenAI(base_url=inside.URL, api_key=KEY)
    chunks = client.chat.completions.create(**asked(stream=True))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    whole = requests.post(URL, headers=HEADERS, json=asked(), timeout=5).json()
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]
    assert len(pieces) > 2


def test_a_client_that_leaves_a_stream_pays(keys: KeyStore) -> None:
    text, key = keys.add()
    headers = {"Authorization": f"Bearer {text}"}
    body = asked(stream=True, messages=[{"role": "user", "content": "a long question " * 100}])
    with httpx.stream("POST", URL, headers=headers, json=body) as response:
        lines = response.iter_lines()
        first = next(lines)
        assert key.spend == 0
    assert json.loads(first.removeprefix("data: "))["object"] == "chat.completion.chunk"
    assert key.spend > 0


@pytest.mark.usefixtures("keys")
def test_a_slow_answer_meets_the_timeout() -> None:
    started = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        requests.post(URL, headers=HEADERS, json=asked(model="practice-slow"), timeout=0.2)
    assert time.monotonic() - started < 3


@pytest.mark.usefixtures("keys")
def test_it_answers_below_a_running_loop() -> None:
    """As in a notebook, where the kernel's own loop runs."""

    async def cell() -> tuple[int, Any]:
        response = requests.get(f"{inside.URL}/models", headers=HEADERS, timeout=5)
        await asyncio.sleep(0)
        return response.status_code, asyncio.current_task()

    status, task = asyncio.run(cell())
    assert (status, task is not None) == (200, True)


@pytest.mark.usefixtures("keys")
def test_other_addresses_are_asked_elsewhere() -> None:
    assert requests.get("http://a.example/b?c", timeout=5).text == "http a.example 80 /b"
    assert requests.get("https://a.example/b", timeout=5).text == "https a.example 443 /b"
    with pytest.raises(requests.ConnectionError, match="nobody is there"):
        requests.get("http://closed.example", timeout=5)


@pytest.mark.usefixtures("keys")
def test_without_an_elsewhere_they_are_refused() -> None:
    with (
        contextlib.closing(inside.connect(elsewhere)),
        pytest.raises(requests.ConnectionError, match="Connection refused"),
    ):
        requests.get("http://127.0.0.1:4001/models", timeout=5)
