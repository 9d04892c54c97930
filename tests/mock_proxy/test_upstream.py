"""Answers of another server, behind this proxy's keys, budgets, limits and forms."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import contract
import pytest
import requests
from other_server import DONE, OtherServer, completion, endless, piece, streaming
from proxy_client import Client
from starlette.responses import JSONResponse, Response

from mock_proxy.config import ProxyConfig, load, practice
from mock_proxy.litellm import tokens
from mock_proxy.routes.asking import Events
from mock_proxy.server.run import RunningProxy, running
from mock_proxy.upstream.source import KEY_VARIABLE, UpstreamError, address, names_of, upstream

PLANTED = "planted-key-0123456789"
"""The upstream's key: nobody but the upstream is to see it."""


HELLO = [{"role": "user", "content": "Hello"}]


@contextlib.contextmanager
def relaying(
    url: str, config: ProxyConfig | None = None, key: str = PLANTED, **names: str
) -> Iterator[RunningProxy]:
    """A proxy whose answers come from the URL; ``everything`` stands for ``*``."""
    names = {"*" if name == "everything" else name: theirs for name, theirs in names.items()}
    environment = {KEY_VARIABLE: key}
    with (
        upstream(config or practice(), url, names, environment=environment) as source,
        running(source.config, classroom=True, relay=source.relay) as proxy,
    ):
        yield proxy


@pytest.fixture
def proxy(other: OtherServer) -> Iterator[RunningProxy]:
    with relaying(other.url, everything="gemma3") as proxy:
        yield proxy


@pytest.fixture
def learner(proxy: RunningProxy) -> Client:
    return Client(proxy.url, proxy.new_key(alias="learner", other={"user_id": "ann"}))


# --- a whole practice proxy upstream ----------------------------------------------------------


@pytest.fixture(scope="module")
def two() -> Iterator[tuple[RunningProxy, RunningProxy]]:
    """The upstream, another practice proxy, and the one in front of it."""
    with running() as upstream_proxy:
        key = upstream_proxy.new_key()
        with relaying(upstream_proxy.url + "/v1", key=key) as proxy:
            yield upstream_proxy, proxy


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", {"messages": [{"role": "user", "content": "Label: Heat waves"}]}),
        ("/chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "n": 2}),
        (
            "/chat/completions",
            {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2},
        ),
        ("/completions", {"prompt": "Once upon a time"}),
        ("/embeddings", {"model": "text-embedding-ada-002", "input": ["a text", "another"]}),
        ("/v1/responses", {"input": "Hello", "instructions": "Be brief."}),
        ("/v1/messages", {"messages": HELLO, "max_tokens": 9}),
    ],
)
def test_a_relayed_answer_is_what_the_upstream_answered(two, path, body):
    answers = []
    for proxy in two:
        response = Client(proxy.url, proxy.new_key()).post(path, json={"model": "gpt-4", **body})
        assert response.status_code == 200, response.text
        answers.append(without_names(response.json()))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat/completions", {"messages": [{"role": "user", "content": "Say something long."}]}),
        ("/completions", {"prompt": "Say something long."}),
        ("/v1/responses", {"input": "Say something long."}),
        ("/v1/messages", {"messages": HELLO, "max_tokens": 50}),
    ],
)
def test_a_relayed_stream_is_what_the_upstream_streamed(two, path, body):
    body |= {"model": "gpt-4", "stream": True, "stream_options": {"include_usage": True}}
    streams = []
    for proxy in two:
        response = Client(proxy.url, proxy.new_key()).post(path, json=body)
        *events, end = [line for line in response.text.split("\n") if line.startswith("data: ")]
        assert end == "data: [DONE]" or "message_stop" in end
        streams.append([without_names(json.loads(event[6:])) for event in events])
    assert streams[0] == streams[1]
    assert len(streams[0]) > 5


def test_tools_come_back_as_called(two):
    tool = {"name": "get_weather", "parameters": {"properties": {"city": {"type": "string"}}}}
    body = {"tools": [{"type": "function", "function": tool}], "tool_choice": "required"}
    answers = [Client(p.url, p.new_key()).ask("Weather in Paris?", **body).json() for p in two]
    calls = [answer["choices"][0]["message"]["tool_calls"][0]["function"] for answer in answers]
    assert calls[0] == calls[1]
    assert calls[1]["name"] == "get_weather"


def test_what_a_litellm_upstream_tells_of_its_own_key_stays_here(two):
    """What the instructor's key has spent, for one."""
    _, proxy = two
    headers = Client(proxy.url, proxy.new_key()).ask("Hello").headers
    assert "llm_provider-date" in headers
    assert [name for name in headers if name.startswith("llm_provider-x-litellm")] == []


def without_names(value):
    """JSON without what is new for each answer."""
    if isinstance(value, dict):
        new = ("id", "created", "created_at", "item_id")
        return {name: without_names(item) for name, item in value.items() if name not in new}
    return [without_names(item) for item in value] if isinstance(value, list) else value


# --- what the upstream is asked ---------------------------------------------------------------


def test_parameters_go_through_unchanged(other, learner):
    sent = {
        "temperature": 0.7,
        "max_tokens": 5,
        "stop": ["\n", "."],
        "n": 2,
        "seed": 42,
        "top_p": 0.9,
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "tool_choice": "auto",
        "logprobs": True,
        "a_parameter_of_their_own": {"deep": [1, None]},
    }
    assert learner.ask("Hello", **sent).status_code == 200
    messages = [{"role": "user", "content": "Hello"}]
    assert other.bodies() == [{"model": "gemma3", "messages": messages, **sent}]


def test_what_is_for_litellm_or_may_hold_a_key_stays_here(other, learner):
    own = {
        "api_key": "sk-somebodys",
        "extra_headers": {"Authorization": "Bearer sk-somebodys"},
        "metadata": {"course": "today"},
        "num_retries": 3,
        "mock_response": "no",
        "max_tokens": None,
    }
    assert learner.ask("Hello", **own).status_code == 200
    assert set(other.bodies()[0]) == {"model", "messages"}


def test_the_upstream_gets_its_own_key_and_no_learners(other, learner):
    learner.ask("Hello")
    (_, headers, _), sent = other.asked[0], learner.headers["Authorization"]
    assert headers["authorization"] == f"Bearer {PLANTED}"
    assert sent.removeprefix("Bearer ") not in json.dumps(headers)


def test_without_a_key_none_is_sent(other):
    with relaying(other.url, key="") as proxy:
        assert Client(proxy.url, proxy.new_key()).ask("Hello").status_code == 200
    assert "authorization" not in other.asked[0][1]


def test_cookies_of_one_answer_are_not_sent_with_the_next(other, learner):
    other.answer = lambda body: JSONResponse(completion("Hi"), headers={"set-cookie": "a=b"})
    responses = [learner.ask("Hello"), learner.ask("Hello")]
    assert all("cookie" not in headers for _, headers, _ in other.asked)
    assert not any("cookie" in name for r in responses for name in r.headers)


@pytest.mark.parametrize("stream", [True, False])
def test_a_header_may_hold_what_ours_cannot(other, learner, stream):
    other.answer = lambda body: from_afar(streaming(piece({"content": "Hi"}, "stop"), DONE))
    if not stream:
        other.answer = lambda body: from_afar(JSONResponse(completion("Hi")))
    response = learner.ask("Hello", stream=stream)
    assert response.status_code == 200
    assert response.headers["llm_provider-x-place"] == "Krak?w ?"


def from_afar(response: Response) -> Response:
    response.raw_headers.append((b"x-place", "Krak\u0151w \u2028".encode()))
    return response


def test_names_of_models_are_mapped(other):
    with relaying(other.url, **{"gpt-4": "big", "everything": "small"}) as proxy:
        client = Client(proxy.url, proxy.new_key())
        answers = [client.ask("Hello", model=name).json() for name in ("gpt-4", "gpt-4.1")]
    assert [body["model"] for body in other.bodies()] == ["big", "small"]
    assert [answer["model"] for answer in answers] == ["gpt-4", "gpt-4.1"]


def test_without_a_map_the_same_name_is_passed_on(other):
    with relaying(other.url) as proxy:
        Client(proxy.url, proxy.new_key()).ask("Hello", model="Llama-3.3-70B-Instruct")
    assert other.bodies()[0]["model"] == "Llama-3.3-70B-Instruct"


def test_a_model_with_an_empty_name_keeps_its_rules(other):
    with relaying(other.url, **{"text-embedding-ada-002": "", "everything": "gemma3"}) as proxy:
        client = Client(proxy.url, proxy.new_key())
        body = {"model": "text-embedding-ada-002", "input": "Hi"}
        vector = client.post("/embeddings", json=body).json()["data"][0]["embedding"]
    assert len(vector) == 1536
    assert other.asked == []


def test_models_that_misbehave_on_purpose_do_so_still(other, learner):
    statuses = [learner.ask("Hello", model="practice-busy").status_code for _ in range(3)]
    assert statuses == [429, 429, 200]
    assert learner.ask("Hello", model="practice-broken").status_code == 500
    assert other.asked == []


def test_a_key_with_a_small_token_limit_gets_short_answers(other, proxy):
    """LiteLLM sets ``max_tokens`` itself for such a key."""
    Client(proxy.url, proxy.new_key(tpm_limit=400)).ask("Hello")
    assert other.bodies()[0]["max_tokens"] == 100


def test_other_forms_are_asked_as_a_chat(other, learner):
    """In OpenAI's own form: a strict server takes no field that it does not know."""
    tool = {"name": "f", "description": "A tool."}
    learner.post(
        "/v1/responses",
        json={
            "model": "gpt-4o-mini",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
            "tools": [{"type": "function", **tool, "parameters": {}}],
            "text": {"format": {"type": "json_schema", "name": "a", "schema": {}}},
        },
    )
    learner.post(
        "/v1/messages",
        json={
            "model": "gpt-4o-mini",
            "max_tokens": 19,
            "messages": [{"role": "user", "content": "Hi"}],
            "tools": [{**tool, "input_schema": {}}],
        },
    )
    function = {"type": "function", "function": {**tool, "parameters": {}}}
    assert other.bodies() == [
        {
            "model": "gemma3",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "tools": [function],
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {}}},
        },
        {
            "model": "gemma3",
            "messages": [{"role": "user", "content": "Hi"}],
            "max_tokens": 19,
            "tools": [function],
        },
    ]


def test_a_tools_arguments_may_be_no_json(other, learner):
    """Small models write such, and each form of answer hands it on."""
    answer = completion(None)
    call = {"id": "call_1", "function": {"name": "f", "arguments": "{city: Paris"}}
    answer["choices"][0]["message"]["tool_calls"] = [call]
    answer["choices"][0]["finish_reason"] = "tool_calls"
    other.answer = lambda body: JSONResponse(answer)
    (made,) = learner.ask("Hello").json()["choices"][0]["message"]["tool_calls"]
    assert made["function"] == call["function"]
    body = {"model": "gpt-4", "messages": HELLO, "max_tokens": 9}
    (block,) = learner.post("/v1/messages", json=body).json()["content"]
    assert block["input"] == {"arguments": "{city: Paris"}


# --- what stays this proxy's ------------------------------------------------------------------


def test_checks_come_before_the_upstream(other, proxy):
    spent = Client(proxy.url, proxy.new_key(max_budget=0.0))
    limited = Client(proxy.url, proxy.new_key(rpm_limit=0))
    other_model = Client(proxy.url, proxy.new_key(models=["gpt-4"]))
    asked = [client.ask("Hello").status_code for client in (spent, limited, other_model)]
    assert asked == [422, 429, 403]
    assert Client(proxy.url, "sk-unknown").ask("Hello").status_code == 401
    learner = Client(proxy.url, proxy.new_key())
    assert learner.ask("Hello", model="gemma3").status_code == 400  # their name is not ours
    assert learner.post("/chat/completions", json={"model": "gpt-4"}).status_code == 400
    assert other.asked == []


def test_tokens_are_the_upstreams_and_the_price_the_tables(other, proxy, learner):
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    other.answer = lambda body: JSONResponse(completion("Hello", usage=usage))
    response = learner.ask("Hello")
    cost = 1000 * 0.15e-6 + 100 * 0.6e-6
    assert response.json()["usage"] == usage
    assert float(response.headers["x-litellm-response-cost"]) == pytest.approx(cost)
    assert learner.get("/key/info").json()["info"]["spend"] == pytest.approx(cost)
    (entry,) = learner.get("/spend/logs").json()
    assert (entry["model"], entry["total_tokens"]) == ("gemma3", 1100)
    assert entry["request_id"] == response.json()["id"]


def test_an_upstreams_own_price_comes_first(other):
    usage = {"prompt_tokens": 1000, "completion_tokens": 0}
    other.answer = lambda body: JSONResponse(completion("Hello", usage=usage))
    with relaying(other.url, **{"gpt-4": "gpt-4o-mini"}) as proxy:
        response = Client(proxy.url, proxy.new_key()).ask("Hello", model="gpt-4")
    assert float(response.headers["x-litellm-response-cost"]) == pytest.approx(0.15e-3)


def test_a_model_without_any_price_seems_to_cost_nothing(other):
    with relaying(other.url) as proxy:
        response = Client(proxy.url, proxy.new_key()).ask("Hello", model="Llama-3.3-70B-Instruct")
    assert response.headers["x-litellm-response-cost"] == "0.0"


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": None}, "many"])
def test_tokens_are_counted_here_where_the_upstream_does_not(other, learner, usage):
    other.answer = lambda body: JSONResponse(completion("One two three", usage=usage))
    counted = learner.ask("Hello").json()["usage"]
    assert counted == {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11}


def test_headers_and_model_info_say_who_answered(other, learner):
    headers = learner.ask("Hello").headers
    assert headers["x-litellm-model-name"] == "openai/gemma3"
    assert headers["x-litellm-model-api-base"] == other.url
    assert headers["x-litellm-model-group"] == "gpt-4o-mini"
    assert headers["llm_provider-server"] == "uvicorn"


def test_no_state_of_a_system_is_made_up(other, learner):
    """``system_fingerprint`` goes into reports: it is the upstream's, or left out as by LiteLLM."""
    assert "system_fingerprint" not in learner.ask("Hello").json()
    other.answer = lambda body: JSONResponse(completion("Hi", system_fingerprint="b1-2"))
    answer = learner.ask("Hello").json()
    assert answer["system_fingerprint"] == "b1-2"
    assert "service_tier" not in answer


def test_what_else_a_message_holds_is_handed_on(other, learner):
    answer = completion("4")
    answer["choices"][0]["message"]["reasoning_content"] = "2 and 2"
    answer["choices"][0]["logprobs"] = {"content": []}
    answer["choices"][0]["message"]["refusal"] = "I will not."
    other.answer = lambda body: JSONResponse(answer)
    choice = learner.ask("2 + 2?").json()["choices"][0]
    assert choice["message"]["reasoning_content"] == "2 and 2"
    assert choice["logprobs"] == {"content": []}
    assert choice["message"]["refusal"] == "I will not."


# --- failures ---------------------------------------------------------------------------------

RECORDED = json.loads((contract.DATA / "upstream_errors.json").read_text(encoding="utf-8"))
STATUSES = ("err_up-401", "err_up-404", "err_up-429", "err_up-500", "err_up-503", "err_up-quota")
BAD_REQUESTS = ("err_up-badparam", "err_up-context", "err_up-filter")
STREAMED = ("err_stream_up-429", "err_stream_up-context")


@pytest.fixture(scope="module")
def recorded_models() -> ProxyConfig:
    return load(contract.DATA / "config.yaml", {})


@pytest.mark.parametrize("case", [*STATUSES, *BAD_REQUESTS, *STREAMED])
def test_failures_are_reported_as_litellm_reports_them(other, recorded_models, case):
    """The provider said what LiteLLM 1.106.2 was recorded to repeat."""
    request, recorded = RECORDED[case]["request"], RECORDED[case]["response"]
    error = json.loads(recorded["body_text"])["error"]
    told = error["message"].partition("OpenAIException - ")[2]
    told = told.partition("\n\nLiteLLM: ")[0].partition("\nmodel=")[0]
    code = "model_not_found" if case == "err_up-404" else None
    theirs = {"message": told, "param": error["param"], "type": "theirs", "code": code}
    provider = {"error": theirs}
    sent = {"retry-after": "20", "x-request-id": "req_1"}
    status = recorded["status"]
    other.answer = lambda body: JSONResponse(provider, status, headers=sent)
    models = replace(recorded_models, litellm_version="1.106.2")
    with relaying(other.url, models) as proxy:
        response = Client(proxy.url, proxy.new_key()).post(request["path"], json=request["body"])
    assert response.status_code == status
    assert response.json() == {"error": error}
    assert response.headers["llm_provider-retry-after"] == "20"
    assert response.headers["llm_provider-x-request-id"] == "req_1"
    assert "retry-after" not in response.headers  # that is for limits of this proxy


@pytest.mark.parametrize("status", [401, 404])
def test_a_model_that_the_upstream_does_not_serve_is_left_alone(other, learner, status):
    """LiteLLM's router waits for five seconds before it asks for it again."""
    other.answer = lambda body: JSONResponse({"error": {"message": "no"}}, status)
    asked = [learner.ask("Hello", model=model) for model in ("gpt-4", "gpt-4", "gpt-4.1")]
    assert [response.status_code for response in asked] == [status, 429, status]
    assert asked[1].headers["retry-after"] == "5"
    error = asked[1].json()["error"]
    assert error["type"] == "all_deployments_in_cooldown"
    assert "Try again in 5 seconds" in error["message"]
    assert len(other.asked) == 2


def test_a_model_that_failed_otherwise_is_asked_again(other, learner):
    other.answer = lambda body: JSONResponse({"error": {"message": "no"}}, 500)
    assert [learner.ask("Hello").status_code for _ in range(2)] == [500, 500]


def test_an_answer_that_is_no_json(other, recorded_models):
    other.answer = lambda body: Response("<html>", media_type="text/html")
    with relaying(other.url, recorded_models) as proxy:
        response = Client(proxy.url, proxy.new_key()).ask("Hello", model="up-badjson")
    recorded = RECORDED["err_up-badjson"]["response"]
    assert response.status_code == recorded["status"]
    assert response.json() == json.loads(recorded["body_text"])


@pytest.mark.parametrize("answer", [[], {}, {"choices": []}, {"choices": "none"}, None])
def test_an_answer_of_another_form_is_a_failure(other, learner, answer):
    other.answer = lambda body: JSONResponse(answer)
    for more in ({}, {"stream": True}):
        response = learner.ask("Hello", **more)
        assert response.status_code == 500
        assert response.json()["error"]["type"] == "internal_server_error"
    response = learner.post("/embeddings", json={"model": "text-embedding-ada-002", "input": "a"})
    assert response.status_code == 500


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"error": "model not loaded"}', "model not loaded"),
        ('{"detail": "Not Found"}', "Not Found"),
        ("no JSON at all", "Error code: 404"),
        ("", "Error code: 404"),
    ],
)
def test_failures_in_other_servers_forms(other, learner, content, message):
    other.answer = lambda body: Response(content, 404)
    response = learner.ask("Hello")
    assert response.status_code == 404
    told = response.json()["error"]["message"]
    assert told.startswith(f"litellm.NotFoundError: NotFoundError: OpenAIException - {message}\n")


def test_an_upstream_that_is_not_there(caplog):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with relaying(f"http://127.0.0.1:{taken.getsockname()[1]}/v1") as proxy:
            client = Client(proxy.url, proxy.new_key())
            responses = [client.ask("Hello"), client.ask("Hello", stream=True)]
    for response in responses:
        assert response.status_code == 500
        error = response.json()["error"]
        assert error["type"] == "internal_server_error"
        assert "OpenAIException - Connection error." in error["message"]
    assert "cannot be reached" in caplog.text  # for who started the proxy


def test_an_upstream_that_takes_too_long(other, learner):
    other.answer = lambda body: endless(other.left)
    response = learner.ask("Hello", timeout=0.2)
    assert response.status_code == 408
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith("litellm.Timeout: APITimeoutError - Request timed out.")
    assert "timeout value=0.2" in error["message"]
    assert other.left.wait(10)


def test_a_failure_costs_nothing(other, learner):
    other.answer = lambda body: JSONResponse({"error": {"message": "no"}}, 500)
    learner.ask("Hello")
    assert learner.get("/key/info").json()["info"]["spend"] == 0.0


# --- streams ----------------------------------------------------------------------------------


def test_pieces_arrive_as_they_come(other, learner):
    """The upstream has sent its first piece, and goes on only for ever."""
    other.answer = lambda body: endless(other.left, piece({"role": "assistant", "content": "Hi"}))
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    with learner.post("/chat/completions", json={**body, "stream": True}, stream=True) as response:
        event = json.loads(next(response.iter_lines())[6:])
        assert event["choices"][0]["delta"] == {"role": "assistant", "content": "Hi"}
        assert event["model"] == "gpt-4o-mini"
    assert other.left.wait(10), "the client's leaving was not passed on"


def test_a_client_that_leaves_ends_the_upstreams_work(other, proxy, learner):
    """Before anything was answered."""
    other.answer = lambda body: endless(other.left)
    leave_after_asking(learner, other)
    assert other.left.wait(10)
    prompt = 8 * 0.15e-6  # a provider was asked
    assert learner.get("/key/info").json()["info"]["spend"] == pytest.approx(prompt)
    key = proxy.keys.find(learner.headers["Authorization"].removeprefix("Bearer "))
    assert key is not None
    assert key.in_flight == 0


def test_the_calls_of_tools_in_a_stream_are_counted_here(other, learner):
    parts = [{"index": 0, "function": {"arguments": text}} for text in ('{"a":', " 1}")]
    pieces = [piece({"tool_calls": [part]}) for part in parts]
    other.answer = lambda body: streaming(*pieces, piece({}, "tool_calls"), DONE)
    learner.ask("Hello", stream=True)
    (entry,) = learner.get("/spend/logs").json()
    assert entry["completion_tokens"] == tokens.count('{"a": 1}')


def test_whoever_leaves_a_stream_pays_for_what_came(other, proxy, learner):
    other.answer = lambda body: endless(other.left, piece({"content": "One two"}))
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}
    with learner.post("/chat/completions", json={**body, "stream": True}, stream=True) as response:
        next(response.iter_lines())
    assert other.left.wait(10)
    key = proxy.keys.find(learner.headers["Authorization"].removeprefix("Bearer "))
    for _ in range(1000):
        if not key.in_flight:
            break
        time.sleep(0.01)
    assert key.spend == pytest.approx(8 * 0.15e-6 + 2 * 0.6e-6)


def leave_after_asking(client: Client, other: OtherServer) -> None:
    """Close the connection once the upstream has the request."""
    host, port = client.url.removeprefix("http://").split(":")
    body = b'{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}]}'
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\n"
            + f"authorization: {client.headers['Authorization']}\r\n".encode()
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        assert other.asked_now.wait(10)


def test_a_client_that_leaves_before_the_first_event_ends_the_upstreams_work():
    """Its answer was made, and is never begun, so no generator can end it."""
    ended: list[bool] = []

    class Answering:
        async def close(self) -> None:
            ended.append(True)

    async def events() -> AsyncIterator[bytes]:
        yield b"never sent"

    async def leave_at_once() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: object) -> None:
        await asyncio.Event().wait()

    response = Events(Answering(), events(), {})
    asyncio.run(response({"type": "http"}, leave_at_once, send))
    assert ended == [True]


def test_a_streams_tokens_and_cost(other, learner):
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    last = b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n"
    other.answer = lambda body: streaming(piece({"content": "Hi"}), piece({}, "stop"), last, DONE)
    response = learner.ask("Hello", stream=True, stream_options={"include_usage": True})
    *_, counted, end = response.text.strip().split("\n\n")
    assert end == "data: [DONE]"
    cost = 1000 * 0.15e-6 + 100 * 0.6e-6
    assert json.loads(counted[6:])["usage"] == {**usage, "cost": pytest.approx(cost)}
    assert learner.get("/key/info").json()["info"]["spend"] == pytest.approx(cost)


def test_a_stream_without_usage_is_counted_here(other, learner):
    pieces = [piece({"content": text}) for text in ("One", " two", " three")]
    other.answer = lambda body: streaming(*pieces, piece({}, "stop"), DONE)
    assert learner.ask("Hello", stream=True).text.endswith("data: [DONE]\n\n")
    (entry,) = learner.get("/spend/logs").json()
    assert (entry["prompt_tokens"], entry["completion_tokens"]) == (8, 3)


@pytest.mark.parametrize(
    "broken",
    [
        (),
        (b"data: {not json\n\n",),
        (b'data: {"error": {"message": "out of memory", "code": 503}}\n\n',),
    ],
)
def test_a_stream_that_breaks_in_the_middle(other, learner, broken):
    """It says so in the stream, and costs nothing."""
    other.answer = lambda body: streaming(piece({"content": "Hi"}), *broken)
    response = learner.ask("Hello", stream=True)
    first, last, end = response.text.strip().split("\n\n")
    assert (response.status_code, end) == (200, "data: [DONE]")
    assert json.loads(first[6:])["choices"][0]["delta"]["content"] == "Hi"
    assert set(json.loads(last[6:])) == {"error"}
    assert learner.get("/key/info").json()["info"]["spend"] == 0.0


def test_a_stream_that_breaks_before_its_first_piece_is_plain_json(other, learner):
    error = b'data: {"error": {"message": "out of memory", "code": 503}}\n\n'
    other.answer = lambda body: streaming(error)
    response = learner.ask("Hello", stream=True)
    assert response.status_code == 503
    assert response.json()["error"]["message"].startswith("litellm.ServiceUnavailableError")


def test_pieces_may_be_cut_anywhere_and_hold_any_character(other, learner):
    """U+2028 ends a line for Python's ``splitlines``, and not in JSON."""
    whole = piece({"content": "a\u2028b"}).replace(b"\\u2028", "\u2028".encode())
    parts = [whole[i : i + 1] for i in range(len(whole))]
    other.answer = lambda body: streaming(*parts, piece({}, "stop"), DONE)
    first = learner.ask("Hello", stream=True).text.split("\n\n")[0]
    assert json.loads(first[6:])["choices"][0]["delta"]["content"] == "a\u2028b"


# --- the key ----------------------------------------------------------------------------------


def test_the_upstreams_key_is_nowhere_to_be_seen(other, proxy, learner, caplog, capfd):
    """Even where the upstream repeats it: in errors, headers, answers and streams."""
    caplog.set_level(logging.INFO)
    leak = {"x-echo": PLANTED}
    answers = [
        JSONResponse({"error": {"message": f"Wrong key {PLANTED}"}}, 401, headers=leak),
        JSONResponse(completion(PLANTED), headers=leak),
        streaming(piece({"content": PLANTED}), piece({}, "stop"), DONE),
        Response(PLANTED, 500, headers=leak),
        Response(f"{PLANTED} is no JSON", headers=leak),
    ]
    seen = []
    for answer in answers:
        other.answer = lambda body, answer=answer: answer
        response = learner.ask("Hello", stream=isinstance(answer, type(answers[2])))
        seen.append(f"{response.headers} {response.text}")
    admin = Client(proxy.url, proxy.master_key)
    seen += [admin.get(path).text for path in ("/model/info", "/spend/logs", "/key/list")]
    with admin.get("/classroom/events", stream=True) as events:
        seen.append(next(events.iter_lines()).decode())
    seen += [caplog.text, *capfd.readouterr()]
    assert "learner" in seen[8]  # the classroom's stream tells of the learner
    assert "sk-..." in seen[0]
    assert [text for text in seen if PLANTED in text] == []


def test_the_classroom_shows_failures_of_the_upstream(other, proxy, learner):
    other.answer = lambda body: JSONResponse({"error": {"message": "no"}}, 503)
    for _ in range(3):
        learner.ask("Hello")
    headers = {"Authorization": f"Bearer {proxy.master_key}"}
    url = proxy.url + "/classroom/events"
    with requests.get(url, headers=headers, stream=True, timeout=10) as events:
        snapshot = json.loads(next(events.iter_lines())[6:])
    (row,) = (row for row in snapshot["rows"] if row["name"] == "learner")
    assert row["state"] == "stuck"


# --- wrong calls ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url", ["localhost:11434", "ftp://here/v1", "http://", "http://[::1", "http://a:b", "here"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(UpstreamError, match=r"--upstream http://127\.0\.0\.1"):
        address(url)


@pytest.mark.parametrize("url", [f"http://me:{PLANTED}@here/v1", f"http://here/v1?key={PLANTED}"])
def test_an_address_with_a_key_is_refused_and_not_repeated(url):
    with pytest.raises(UpstreamError, match=KEY_VARIABLE) as refused:
        address(url)
    assert PLANTED not in str(refused.value)


def test_a_name_that_no_model_has_is_refused():
    with pytest.raises(UpstreamError, match=r"gpt-5=.*gpt-4, gpt-4\.1"):
        names_of(practice(), {"gpt-5": "gemma3"})
    for name in ("practice-busy", "practice-reasoning"):  # they answer for themselves
        with pytest.raises(UpstreamError, match=name):
            names_of(practice(), {name: "gemma3"})


def test_a_key_with_characters_that_no_key_has_is_refused():
    with (
        pytest.raises(UpstreamError, match=KEY_VARIABLE) as refused,
        upstream(practice(), "http://here/v1", {}, environment={KEY_VARIABLE: "pläntëd\nkey"}),
    ):
        pass
    assert "key\n" not in str(refused.value)


def test_many_requests_at_once_share_no_answers(two):
    """Each gets its own, whichever connection it goes over."""
    _, proxy = two
    answers: dict[int, str] = {}

    def ask(number: int) -> None:
        answers[number] = Client(proxy.url, proxy.new_key()).answer(f"My number is {number}.")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(100, 120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(str(number) in answers[number] for number in range(100, 120))
