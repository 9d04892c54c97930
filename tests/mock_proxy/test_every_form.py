"""What holds for every form of asking a model: who leaves pays, and who is slow is slow."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator

import pytest
from proxy_client import Client

from mock_proxy.config import load, practice
from mock_proxy.keys.store import Key, KeyStore
from mock_proxy.server.app import create_app
from mock_proxy.server.run import running

CHAT = {"messages": [{"role": "user", "content": "Say hello to everybody in this long room."}]}
FORMS = {
    "/chat/completions": CHAT,
    "/completions": {"prompt": "Say hello to everybody in this long room."},
    "/responses": {"input": "Say hello to everybody in this long room."},
    "/v1/messages": {**CHAT, "max_tokens": 100},
}


def spent_after(path: str, events: int | None) -> Key:
    """The key of somebody who reads so many events of a stream, or all, and leaves."""
    keys = KeyStore("sk-master")
    text, key = keys.add()
    body = json.dumps({"model": "gpt-4o-mini", "stream": True, **FORMS[path]}).encode()
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
        left, unread, sent = asyncio.Event(), [body], []

        async def receive() -> dict[str, object]:
            if unread:
                return {"type": "http.request", "body": unread.pop()}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)
            if events is not None and len(sent) > events:
                left.set()
                await asyncio.sleep(10)

        await create_app(practice(), keys)(scope, receive, send)

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
