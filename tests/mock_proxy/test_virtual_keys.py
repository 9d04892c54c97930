"""Virtual keys: what each may do, what it has spent, and who may change that."""

import threading
from datetime import datetime, timedelta, timezone

import pytest
from proxy_client import Client

from mock_proxy.config import PRACTICE_CONFIG, ProxyConfig, load
from mock_proxy.keys import store
from mock_proxy.server.run import running


@pytest.fixture
def admin(proxy):
    return Client(proxy.url, proxy.master_key)


@pytest.fixture
def make(proxy, admin):
    """Make a key through the proxy; returns a client with it."""

    def make(**settings):
        response = admin.post("/key/generate", json=settings)
        assert response.status_code == 200, response.text
        return Client(proxy.url, response.json()["key"])

    return make


def key_of(client):
    return client.headers["Authorization"].removeprefix("Bearer ")


def error(response):
    return response.json()["error"]


def test_new_key_asks_and_pays(make):
    client = make()
    cost = float(client.ask("Say hello.").headers["x-litellm-response-cost"])
    info = client.get("/key/info").json()["info"]
    assert info["spend"] == pytest.approx(cost)
    assert info["status"] == "active"


def test_spent_budget_stops_everything_but_key_info(make):
    client = make(max_budget=1e-6, key_alias="spender")
    first = client.ask("Say hello.")
    assert first.status_code == 200
    assert first.headers["x-litellm-key-max-budget"] == "1e-06"
    for response in (client.ask("Say hello."), client.ask("Say hello.", stream=True)):
        assert response.status_code == 422
        assert error(response)["type"] == "budget_exceeded"
        assert "Key=spender (sk-..." in error(response)["message"]
        assert "Max budget: 1e-06" in error(response)["message"]
    assert client.get("/key/info").json()["info"]["spend"] > 1e-6
    for path in ("/models", "/model/info", "/model_group/info"):
        assert client.get(path).status_code == 200


def test_older_versions_refuse_the_models_over_budget(older):
    client = Client(older.url, older.new_key(max_budget=0.0))
    assert client.get("/models").status_code == 422
    assert client.get("/model/info").status_code == 200


def test_failed_request_costs_nothing(make):
    client = make(max_budget=1)
    client.ask("Hello", model="nope")
    client.post("/chat/completions", json={})
    assert client.get("/key/info").json()["info"]["spend"] == 0


def test_requests_a_minute_are_limited(make):
    client = make(rpm_limit=2)
    answers = [client.ask("Say hello.") for _ in range(3)]
    assert [a.status_code for a in answers] == [200, 200, 429]
    assert [a.headers.get("x-ratelimit-api_key-remaining-requests") for a in answers] == [
        "1",
        "0",
        None,
    ]
    assert answers[2].headers["retry-after"] == "60"
    assert answers[2].headers["rate_limit_type"] == "requests"
    assert error(answers[2])["type"] == "throttling_error"


def test_limit_ends_with_its_minute(monkeypatch):
    key = store.Key("token", "sk-...", rpm_limit=1)
    key.admit("gpt-4", 0)
    with pytest.raises(store.OverLimit):
        key.admit("gpt-4", 0)
    monkeypatch.setattr(store, "now", lambda: datetime.now(timezone.utc) + timedelta(seconds=61))
    key.admit("gpt-4", 0)


def test_refused_request_does_not_count():
    key = store.Key("token", "sk-...", rpm_limit=5, tpm_limit=10)
    key.admit("gpt-4", 10)
    with pytest.raises(store.OverLimit) as refused:
        key.admit("gpt-4", 10)
    assert refused.value.kind == "tokens"
    assert key.meters["api_keytoken"].requests == 1


def test_few_tokens_a_minute_make_short_answers(make):
    """LiteLLM 1.106.2 sets max_tokens itself, where the request does not."""
    body = make(tpm_limit=40).ask("What is the meaning of life?").json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 10


def test_requests_at_once_are_limited(make):
    client = make(max_parallel_requests=1, rpm_limit=50)
    other = make(max_parallel_requests=50)
    for one, wanted in ((client, {200, 429}), (other, {200})):
        seen = set()

        def ask(one=one, seen=seen):
            for _ in range(5):
                response = Client(one.url, key_of(one)).ask("What is life?", stream=True)
                seen.add(response.status_code)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen <= wanted
        assert one.ask("Hello").status_code in {200, 429}  # 429 only for the requests a minute


def test_finished_request_makes_room_for_the_next(make):
    client = make(max_parallel_requests=1)
    for parameters in ({}, {"stream": True}, {"model": "nope"}, {"messages": None}):
        client.ask("Hello", **parameters)
    assert client.ask("Hello").headers["x-ratelimit-api_key-remaining-max_parallel_requests"] == "0"


def test_blocked_key_is_told_until_it_is_unblocked(admin, make):
    client = make()
    admin.post("/key/block", json={"key": key_of(client)})
    response = client.get("/models")
    assert response.status_code == 401
    assert "Key is blocked" in error(response)["message"]
    admin.post("/key/unblock", json={"key": key_of(client)})
    assert client.get("/models").status_code == 200


def test_deleted_key_is_unknown(admin, make):
    client = make(key_alias="short-lived")
    assert admin.post("/key/delete", json={"key_aliases": ["short-lived"]}).json() == {
        "deleted_keys": ["short-lived"]
    }
    assert error(client.get("/models"))["type"] == "token_not_found_in_db"


def test_expired_key_is_told(make):
    client = make(duration="0s")
    response = client.get("/models")
    assert response.status_code == 401
    assert error(response)["type"] == "expired_key"


def test_admins_key_makes_keys_and_others_do_not(proxy):
    budget = {"max_budget": 0.001}
    with Client(proxy.url, proxy.new_key(is_admin=True)) as of_admin:
        made = of_admin.post("/key/generate", json=budget).json()
        assert made["max_budget"] == 0.001
        assert of_admin.get("/key/info", params={"key": made["key"]}).status_code == 200
    with Client(proxy.url, made["key"]) as of_learner:
        assert of_learner.post("/key/generate", json=budget).status_code == 401


def test_updated_key_keeps_what_was_not_changed(admin, make):
    client = make(models=["gpt-4"], max_budget=1, metadata={"course": "a"})
    changed = admin.post("/key/update", json={"key": key_of(client), "max_budget": 3}).json()
    assert (changed["max_budget"], changed["models"]) == (3.0, ["gpt-4"])
    assert changed["metadata"] == {"course": "a"}
    assert client.get("/key/info").json()["info"]["max_budget"] == 3.0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/key/generate"),
        ("POST", "/key/update"),
        ("POST", "/key/delete"),
        ("POST", "/key/block"),
        ("POST", "/key/unblock"),
        ("POST", "/key/regenerate"),
        ("GET", "/spend/logs"),
        ("GET", "/models/gpt-4"),
        ("GET", "/utils/supported_openai_params"),
    ],
)
def test_only_the_master_key_manages_keys(client, method, path):
    response = client.request(method, path, json={})
    assert response.status_code == 401
    assert error(response)["type"] == "auth_error"
    assert error(response)["message"] == (
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for "
        f"new keys/users/teams. Route={path}. Your role=unknown. Your user_id=*******"
    )


@pytest.mark.parametrize(
    ("routes", "models", "info"),
    [(["/models"], 200, 403), (["llm_api_routes"], 200, 403), (["/key/info"], 403, 200)],
)
def test_key_may_be_for_certain_routes_only(make, routes, models, info):
    client = make(allowed_routes=routes)
    assert client.get("/models").status_code == models
    assert client.get("/key/info").status_code == info


def test_odd_settings_of_a_key_do_no_harm(admin, make):
    client = make(models=["x", ""], allowed_routes=[{"a": 1}, 5], aliases={"": ""})
    assert client.get("/models").status_code == 403
    made = admin.post("/key/generate", json={"models": [{"a": 1}, 5, None]})
    assert (made.status_code, error(made)["type"]) == (500, "internal_server_error")


def test_budget_is_shown_as_litellm_does(proxy):
    client = Client(proxy.url, proxy.new_key(max_budget=1))
    assert client.ask("Hello").headers["x-litellm-key-max-budget"] == "1.0"


def test_keys_of_a_user_are_listed_for_the_user(admin, make):
    mine, others = make(user_id="ada"), make(user_id="grace")
    assert mine.get("/key/list").json()["keys"] == [store.digest(key_of(mine))]
    assert mine.get("/key/list", params={"user_id": "grace"}).json()["total_count"] == 1
    listed = admin.get("/key/list", params={"user_id": "grace"}).json()
    assert listed["keys"] == [store.digest(key_of(others))]
    nobodys = make().get("/key/list")
    assert (nobodys.status_code, error(nobodys)["param"]) == (403, "user_id")


def test_keys_are_listed_by_status(admin, make):
    clients = {status: make(user_id="listed") for status in ("active", "revoked", "deleted")}
    clients["expired"] = make(user_id="listed", duration="0s")
    admin.post("/key/block", json={"key": key_of(clients["revoked"])})
    admin.post("/key/delete", json={"keys": [key_of(clients["deleted"])]})
    for status, client in clients.items():
        listed = admin.get("/key/list", params={"user_id": "listed", "status": status}).json()
        assert listed["keys"] == [store.digest(key_of(client))]
    assert admin.get("/key/list", params={"status": "odd"}).status_code == 400


def test_keys_are_listed_in_the_order_asked_for(admin, make):
    keys = [make(user_id="sorted", max_budget=budget) for budget in (2, None, 1)]
    query = {"user_id": "sorted", "sort_by": "max_budget"}
    for order, wanted in (("asc", (2, 0, 1)), ("desc", (1, 0, 2))):
        listed = admin.get("/key/list", params={**query, "sort_order": order}).json()["keys"]
        assert listed == [store.digest(key_of(keys[i])) for i in wanted]
    for wrong in ({"sort_by": "colour"}, {"sort_by": "spend", "sort_order": "up"}):
        assert admin.get("/key/list", params=wrong).status_code == 400


def test_deleted_key_is_told_of_to_admins(admin, make):
    client = make(key_alias="gone")
    admin.post("/key/delete", json={"keys": [key_of(client)]})
    for name in (key_of(client), store.digest(key_of(client))):
        told = admin.get("/key/info", params={"key": name}).json()["info"]
        assert (told["key_alias"], told["status"]) == ("gone", "deleted")
        assert told["deleted_at"] is not None
    assert make().get("/key/info", params={"key": key_of(client)}).status_code == 404


def test_key_calls_a_model_by_its_own_name(make):
    client = make(models=["gpt-4o-mini"], aliases={"ours": "gpt-4o-mini", "other": "gpt-4"})
    response = client.ask("Say hello.", model="ours")
    assert response.json()["model"] == "ours"
    assert response.headers["x-litellm-model-group"] == "gpt-4o-mini"
    assert client.ask("Say hello.", model="other").status_code == 403


def test_tokens_of_one_model_are_limited(make):
    client = make(model_tpm_limit={"gpt-4o-mini": 20})
    first = client.ask("Hello")
    assert first.headers["x-ratelimit-model_per_key-limit-tokens"] == "20"
    assert first.headers["x-ratelimit-model_per_key-remaining-tokens"] == "14"
    while (response := client.ask("Hello")).status_code == 200:
        pass
    assert response.status_code == 429
    assert "model_per_key" in error(response)["message"]
    assert client.ask("Hello", model="gpt-4").status_code == 200


def test_page_far_beyond_the_last_is_empty(admin):
    listed = admin.get("/key/list", params={"page": 10**30}).json()
    assert (listed["keys"], listed["current_page"]) == ([], 10**30)


def test_key_of_someone_else_is_not_shown(client, make):
    response = client.get("/key/info", params={"key": key_of(make())})
    assert response.status_code == 403
    assert "not allowed to access this key's info" in response.json()["detail"]


def test_practice_key_is_told_of_like_any(admin):
    before = admin.get("/key/info").json()["info"]["spend"]
    cost = float(admin.ask("Say hello.").headers["x-litellm-response-cost"])
    assert admin.get("/key/info").json()["info"]["spend"] == pytest.approx(before + cost)


def test_litellm_knows_nothing_of_another_master_key():
    config = ProxyConfig(models=load(PRACTICE_CONFIG).models, master_key="sk-another-master-key")
    with running(config) as proxy:
        client = Client(proxy.url, proxy.master_key)
        assert client.get("/key/info").status_code == 404
        spends = [client.ask("Say hello.").headers["x-litellm-key-spend"] for _ in range(2)]
        assert spends[0] == spends[1]


def test_keys_are_listed_in_pages_the_newest_first(admin, make):
    first, second = make(), make()
    listed = admin.get("/key/list", params={"size": 2}).json()
    assert listed["keys"] == [store.digest(key_of(second)), store.digest(key_of(first))]
    assert listed["total_pages"] >= 1


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("15m", 900),
        ("2h", 7200),
        ("7d", 604800),
        ("1w", 604800),
        ("1mo", 2592000),
        ("daily", 86400),
    ],
)
def test_durations(text, seconds):
    assert store.duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "abc", "-1d"])
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError, match="Invalid duration format"):
        store.duration(text)


@pytest.mark.parametrize("text", ["5", "1y", "1 d"])
def test_durations_without_a_unit_are_refused(text):
    with pytest.raises(ValueError, match=f"Unsupported duration unit, passed duration: {text}"):
        store.duration(text)


@pytest.mark.parametrize("text", ["99999999999d", "9999999d", "9" * 5000 + "s"])
@pytest.mark.parametrize("field", ["duration", "budget_duration"])
@pytest.mark.parametrize("path", ["/key/generate", "/key/update"])
def test_durations_beyond_the_calendar_are_refused(admin, make, path, field, text):
    response = admin.post(path, json={"key": key_of(make()), field: text})
    assert response.status_code == 400
    assert "duration is too long. Received: 9999999" in error(response)["message"]


def test_a_key_that_is_made_again_stays_what_it_is(admin, make, proxy):
    """Recorded of LiteLLM 1.106.2: its answer tells of a new key, with the old one's birthday."""
    client = make(key_alias="stays", max_budget=1.0, models=["gpt-4o-mini"])
    client.ask("Say hello.")
    before = client.get("/key/info").json()["info"]
    response = admin.post("/key/generate", json={"key": key_of(client), "max_budget": 9.0})
    assert response.status_code == 200
    told = response.json()
    assert (told["key"], told["token"]) == (key_of(client), store.digest(key_of(client)))
    assert (told["key_alias"], told["spend"], told["max_budget"]) == (None, 0.0, 9.0)
    assert told["created_at"][:23] == before["created_at"][:23]
    assert client.get("/key/info").json()["info"] == before


def test_the_master_keys_own_text_makes_no_second_key(admin, proxy):
    known = len(proxy.keys)
    assert admin.post("/key/generate", json={"key": proxy.master_key}).status_code == 200
    assert len(proxy.keys) == known
    assert admin.get("/key/list").status_code == 200


@pytest.mark.parametrize("text", ["1h", "1d", "7d", "30d", "90s"])
def test_budget_starts_anew_after_its_duration(monkeypatch, text):
    key = store.Key(
        "token",
        "sk-...",
        spend=2.0,
        max_budget=1.0,
        budget_duration=text,
        budget_reset_at=store.next_reset(text),
    )
    assert key.is_over_budget()
    later = store.now() + timedelta(days=32)
    monkeypatch.setattr(store, "now", lambda: later)
    assert not key.is_over_budget()
    assert key.spend == 0
    assert key.budget_reset_at > later


def test_memory_of_what_was_asked_is_bounded(monkeypatch):
    monkeypatch.setattr(store, "REMEMBERED_CONVERSATIONS", 3)
    key = store.Key("token", "sk-...")
    assert [key.times_asked(c) for c in "abcda"] == [1, 1, 1, 1, 1]
    assert key.times_asked("d") == 2
