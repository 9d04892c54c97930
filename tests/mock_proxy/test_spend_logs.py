"""`/spend/logs`: the master key is told of all calls, or of those of one key."""

from datetime import timedelta

import pytest
from proxy_client import Client

from mock_proxy.keys import store


@pytest.fixture
def log(proxy, client):
    """Asks for the calls of the client's key."""

    def log(**query):
        key = client.headers["Authorization"].removeprefix("Bearer ")
        return Client(proxy.url, proxy.master_key).get(
            "/spend/logs", params={"api_key": key, **query}
        )

    return log


def test_calls_are_told_newest_first_with_their_cost(client, log):
    asked = client.ask("Say hello.")
    body = {"model": "text-embedding-ada-002", "input": "Heat waves"}
    embedded = client.post("/embeddings", json=body)
    streamed = client.ask("Say hello.", stream=True)
    assert streamed.text.endswith("data: [DONE]\n\n")
    client.ask("Say hello.", model="nope")  # failed, and is not told of

    calls = log().json()
    assert [call["call_type"] for call in calls] == ["acompletion", "aembedding", "acompletion"]
    assert [call["model_group"] for call in calls] == ["gpt-4o-mini", body["model"], "gpt-4o-mini"]
    assert calls[2]["request_id"] == asked.json()["id"]
    assert calls[2]["total_tokens"] == asked.json()["usage"]["total_tokens"]
    for call, answer in zip(calls[1:], (embedded, asked), strict=True):
        assert call["spend"] == float(answer.headers["x-litellm-response-cost"])
        assert call["litellm_call_id"] == answer.headers["x-litellm-call-id"]
    info = client.get("/key/info").json()
    assert {call["api_key"] for call in calls} == {info["key"]}
    assert sum(call["spend"] for call in calls) == pytest.approx(info["info"]["spend"])


def test_only_the_master_key_is_told(proxy):
    one = proxy.new_key()
    Client(proxy.url, one).ask("Say hello.")
    assert Client(proxy.url, one).get("/spend/logs").status_code == 401
    master = Client(proxy.url, proxy.master_key)
    for name in (one, store.digest(one)):
        assert len(master.get("/spend/logs", params={"api_key": name}).json()) == 1
    assert len(master.get("/spend/logs").json()) > 0


def test_one_call_can_be_looked_up(client, log):
    ids = [client.ask("Say hello.").json()["id"] for _ in range(2)]
    (found,) = log(request_id=ids[0]).json()
    assert found["request_id"] == ids[0]


def test_days_are_summed_unless_calls_are_asked_for(client, log):
    cost = sum(float(client.ask("Hi").headers["x-litellm-response-cost"]) for _ in range(2))
    today = store.now().date()
    days = {"start_date": str(today), "end_date": str(today + timedelta(days=2))}
    first, *others = log(**days).json()
    assert first["spend"] == pytest.approx(cost)
    assert list(first["models"]) == ["gpt-4o-mini"]
    assert [day["spend"] for day in others] == [0, 0]
    calls = log(**days, summarize="false").json()
    assert len(calls) == 2
    long_ago = {"start_date": "2020-01-01", "end_date": "2020-01-02"}
    assert log(**long_ago, summarize="false").json() == []


def test_date_that_is_none_is_told(log):
    response = log(start_date="x", end_date="2026-01-01")
    assert response.status_code == 500
    assert "does not match format" in response.json()["error"]["message"]
