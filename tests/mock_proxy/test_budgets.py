"""Budgets hold when many ask at once, and when one asks for much."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from other_server import completion
from proxy_client import Client
from starlette.responses import JSONResponse

from mock_proxy.config import practice
from mock_proxy.server.run import running
from mock_proxy.upstream.source import upstream

USED = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}


@pytest.fixture
def relaying(other):
    with (
        upstream(practice(), other.url, {}, environment={}) as source,
        running(source.config, relay=source.relay) as proxy,
    ):
        yield proxy


async def slow(body):
    await asyncio.sleep(1)
    return JSONResponse(completion("Hello", usage=USED))


def info(client):
    return client.get("/key/info").json()["info"]


def test_requests_at_once_do_not_all_pass_a_small_budget(relaying, other):
    other.answer = slow
    client = Client(relaying.url, relaying.new_key(max_budget=0.0001))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: client.ask("Hello"), range(20)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [422] * 19
    refused = next(answer for answer in answers if answer.status_code == 422).json()["error"]
    assert refused["type"] == "budget_exceeded"
    assert refused["message"].startswith("Budget has been exceeded! Key=key (sk-...")
    assert refused["message"].endswith("Max budget: 0.0001")
    assert len(other.asked) == 1


def test_what_was_reserved_is_given_back(relaying, other):
    client = Client(relaying.url, relaying.new_key(max_budget=0.0001))
    other.answer = lambda body: JSONResponse({"error": {"message": "down"}}, 500)
    assert client.ask("Hello").status_code == 500
    assert info(client)["spend"] == 0
    other.answer = lambda body: JSONResponse(completion("Hello", usage=USED))
    assert client.ask("Hello").status_code == 200
    assert client.ask("Hello").status_code == 200


def test_many_answers_that_do_not_fit_the_budget_are_refused(relaying, other):
    client = Client(relaying.url, relaying.new_key(max_budget=0.01))
    refused = client.ask("Hello", n=100, max_tokens=16000)
    assert refused.status_code == 422
    assert "Estimated request cost: " in refused.json()["error"]["message"]
    assert not other.asked
    assert client.ask("Hello", n=2, max_tokens=10).status_code == 200


def test_embeddings_at_once_do_not_all_pass_either(relaying, other):
    async def slow(body):
        await asyncio.sleep(1)
        data = [{"object": "embedding", "index": 0, "embedding": [1.0]}]
        return JSONResponse({"data": data, "usage": {"prompt_tokens": 100}})

    other.answer = slow
    client = Client(relaying.url, relaying.new_key(max_budget=1e-6))
    body = {"model": "text-embedding-ada-002", "input": "heat waves " * 50}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post("/embeddings", json=body), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422]
