"""`/spend/logs`: a key of a user is told of its own calls, the master key of all."""

from datetime import timedelta

import pytest
from proxy_client import Client

from mock_proxy.keys import store
from mock_proxy.routes.spend import MOST_DAYS

USER = {"user_id": "ann"}


@pytest.fixture
def client(proxy):
    with Client(proxy.url, proxy.new_key(other=USER)) as session:
        yield session


def test_key_without_a_user_is_refused(proxy):
    response = Client(proxy.url, proxy.new_key()).get("/spend/logs")
    assert response.status_code == 401
    assert "Route=/spend/logs. Your role=unknown" in response.json()["error"]["message"]


def test_calls_are_told_newest_first_with_their_cost(client):
    asked = client.ask("Say hello.")
    body = {"model": "text-embedding-ada-002", "input": "Heat waves"}
    embedded = client.post("/embeddings", json=body)
    streamed = client.ask("Say hello.", stream=True)
    assert streamed.text.endswith("data: [DONE]\n\n")
    client.ask("Say hello.", model="nope")  # failed, and is not told of

    calls = client.get("/spend/logs").json()
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


def test_each_key_is_told_of_its_own_calls_only(proxy):
    one, other = (proxy.new_key(other=USER) for _ in range(2))
    Client(proxy.url, one).ask("Say hello.")
    assert Client(proxy.url, other).get("/spend/logs").json() == []
    assert Client(proxy.url, other).get("/spend/logs", params={"api_key": one}).json() == []
    master = Client(proxy.url, proxy.master_key)
    for name in (one, store.digest(one)):
        assert len(master.get("/spend/logs", params={"api_key": name}).json()) == 1
    assert len(master.get("/spend/logs").json()) > 0


def test_one_call_can_be_looked_up(client):
    ids = [client.ask("Say hello.").json()["id"] for _ in range(2)]
    (found,) = client.get("/spend/logs", params={"request_id": ids[0]}).json()
    assert found["request_id"] == ids[0]


def test_days_are_summed_unless_calls_are_asked_for(client):
    cost = sum(float(client.ask("Hi").headers["x-litellm-response-cost"]) for _ in range(2))
    today = store.now().date()
    days = {"start_date": str(today), "end_date": str(today + timedelta(days=2))}
    first, *others = client.get("/spend/logs", params=days).json()
    assert first["spend"] == pytest.approx(cost)
    assert list(first["models"]) == ["gpt-4o-mini"]
    assert [day["spend"] for day in others] == [0, 0]
    calls = client.get("/spend/logs", params={**days, "summarize": "false"}).json()
    assert len(calls) == 2
    long_ago = {"start_date": "2020-01-01", "end_date": "2020-01-02"}
    assert client.get("/spend/logs", params={**long_ago, "summarize": "false"}).json() == []


def test_date_that_is_none_is_told(client):
    response = client.get("/spend/logs", params={"start_date": "x", "end_date": "2026-01-01"})
    assert response.status_code == 500
    assert "does not match format" in response.json()["error"]["message"]


def test_days_until_the_end_of_the_calendar_are_not_all_listed(client):
    for last in ("9999-12-31", "9999-12-30"):
        dates = {"start_date": "2020-01-01", "end_date": last}
        response = client.get("/spend/logs", params=dates)
        assert response.status_code == 200
        assert len(response.json()) <= MOST_DAYS + 2
