"""What holds for every form of asking a model: who leaves pays, and who is slow is slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from proxy_client import Client
from starlette.requests import ClientDisconnect

from mock_proxy.config import ProxyConfig, load, practice
from mock_proxy.keys.store import Key, KeyStore
from mock_proxy.litellm.tokens import count as tokens_of
from mock_proxy.server.app import create_app
from mock_proxy.server.run import RunningProxy, running

VECTORS = {"model": "late-vectors", "input": "Say hello to everybody in this long room."}
CHAT = {"messages": [{"role": "user", "content": "Say hello to everybody in this long room."}]}
FORMS = {
    "/chat/completions": CHAT,
    "/completions": {"prompt": "Say hello to everybody in this long room."},
    "/responses": {"input": "Say hello to everybody in this long room."},
    "/v1/messages": {**CHAT, "max_tokens": 100},
}


def spent_after(path: str, events: int | None) -> Key:
    """The key of somebody who reads so many events of a stream, or all, and leaves."""
    body = {"model": "gpt-4o-mini", "stream": True, **FORMS[path]}
    return leaving(practice(), path, body, events)


def leaving(config: ProxyConfig, path: str, body: dict[str, Any], events: int | None) -> Key:
    keys = KeyStore("sk-master")
    text, key = keys.add()
    raw = json.dumps(body).encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {text}".encode())],
    }

    async def asked() -> None:
        left, unread, sent = asyncio.Event(), [raw], []
        if events == 0:  # long before the answer
            asyncio.get_running_loop().call_later(0.01, left.set)

        async def receive() -> dict[str, object]:
            if unread:
                return {"type": "http.request", "body": unread.pop()}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)
            if events and len(sent) > events:
                left.set()
                await asyncio.sleep(10)

        with contextlib.suppress(ClientDisconnect):
            await create_app(config, keys)(scope, receive, send)

    asyncio.run(asked())
    return key


@pytest.mark.parametrize("path", FORMS)
def test_whoever_leaves_a_stream_pays_at_least_for_the_prompt(path):
    left, stayed = spent_after(path, 2), spent_after(path, None)
    assert 0 < left.spend <= stayed.spend
    assert left.in_flight == stayed.in_flight == 0


@pytest.mark.parametrize("path", ["/chat/completions", "/completions"])
def test_what_was_not_sent_of_a_stream_costs_nothing(path):
    spends = [spent_after(path, events).spend for events in (1, 4, None)]
    assert spends == sorted(set(spends))


LATE = """
model_list:
  - model_name: late
    litellm_params: {model: openai/gpt-4o-mini, mock_delay: 600}
  - model_name: late-vectors
    litellm_params: {model: openai/text-embedding-ada-002, mock_delay: 600}
"""


@pytest.mark.parametrize("path", [*FORMS, "/embeddings"])
@pytest.mark.parametrize("stream", [False, True])
def test_whoever_leaves_before_the_answer_pays_for_the_prompt(tmp_path, path, stream):
    file = tmp_path / "late.yaml"
    file.write_text(LATE, encoding="utf-8")
    body = {"model": "late", "stream": stream, **FORMS[path]} if path in FORMS else VECTORS
    key = leaving(load(file), path, body, 0)
    text = "Say hello to everybody in this long room."
    tokens = tokens_of(text) + (0 if path == "/embeddings" else 7)
    price = 0.1e-6 if path == "/embeddings" else 0.15e-6
    assert key.spend == pytest.approx(tokens * price)
    assert (key.in_flight, key.reserved) == (0, 0.0)


SLOW = """
model_list:
  - model_name: gpt-4o-mini
    litellm_params: {model: openai/gpt-4o-mini, mock_delay: 0.3}
  - model_name: canned
    litellm_params: {model: openai/gpt-4o-mini, mock_delay: 0.3, mock_response: Late}
  - model_name: text-embedding-ada-002
    litellm_params: {model: openai/text-embedding-ada-002, mock_delay: 0.3}
"""


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    path = tmp_path_factory.mktemp("slow") / "slow.yaml"
    path.write_text(SLOW, encoding="utf-8")
    with running(load(path)) as proxy, Client(proxy.url, proxy.new_key()) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *((path, {"model": "gpt-4o-mini", **body}) for path, body in FORMS.items()),
        *((path, {"model": "canned", **body}) for path, body in FORMS.items()),
        ("/embeddings", {"model": "text-embedding-ada-002", "input": "roof"}),
    ],
)
def test_a_slow_model_is_slow_in_every_form(slow, path, body):
    started = time.perf_counter()
    assert slow.post(path, json=body).status_code == 200
    assert time.perf_counter() - started >= 0.3


FAILING = """
model_list:
  - model_name: busy
    litellm_params: {model: openai/gpt-4o-mini}
    model_info: {fail_first: 1, fail_with: 429}
  - model_name: down
    litellm_params: {model: openai/gpt-4o-mini}
    model_info: {fail_first: 1, fail_with: 503}
  - model_name: broken
    litellm_params: {model: openai/gpt-4o-mini, mock_response: litellm.InternalServerError}
  - model_name: limited
    litellm_params: {model: openai/gpt-4o-mini, mock_response: litellm.RateLimitError}
  - model_name: silent
    litellm_params: {model: openai/gpt-4o-mini, mock_response: x, mock_timeout: true, timeout: 0.1}
  - model_name: "well-*"
    litellm_params: {model: openai/gpt-4o-mini}
"""
FAILURES = [
    ("busy", {}, 429, "Rate limit reached for busy"),
    ("down", {}, 503, "currently overloaded"),
    ("broken", {}, 500, "this is a mock internal server error"),
    ("limited", {}, 429, "this is a mock rate limit error"),
    ("silent", {}, 408, "This is a mock timeout error"),
    ("unknown", {}, 400, "Invalid model name passed in model=unknown"),
    ("well-meant\r\nx: y", {}, 400, "Invalid model name passed in model=well-meant"),
    ("well-meant", {"max_budget": 0.0}, 422, "Budget has been exceeded"),
    ("well-meant", {"rpm_limit": 0}, 429, "Rate limit exceeded for api_key"),
    ("well-meant", {"models": ["busy"]}, 403, "is not available for this API key"),
    ("well-meant", {"blocked": True}, 401, "Key is blocked"),
]


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    path = tmp_path_factory.mktemp("failing") / "failing.yaml"
    path.write_text(FAILING, encoding="utf-8")
    with running(load(path)) as proxy:
        yield proxy


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [*FORMS, "/embeddings"])
@pytest.mark.parametrize(("model", "limits", "status", "message"), FAILURES)
def test_the_same_failure_is_the_same_in_every_form(
    failing, path, stream, model, limits, status, message
):
    body = {"model": model, "stream": stream, **FORMS.get(path, {"input": "roof"})}
    text, key = failing.keys.add(**limits)
    with Client(failing.url, text) as client:
        response = client.post(path, json=body)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]
    assert (key.spend, key.in_flight, key.reserved) == (0.0, 0, 0.0)
