"""``/chat/completions``: shapes, errors, limits on the answer, streams."""

import gzip
import json

import pytest
from proxy_client import Client

HELLO = [{"role": "user", "content": "Hello"}]


def test_answer_has_a_providers_shape(client):
    body = client.ask("Say hello.").json()
    assert body.pop("id").startswith("chatcmpl-")
    assert isinstance(body.pop("created"), int)
    assert body.pop("system_fingerprint").startswith("fp_")
    assert body == {
        "model": "gpt-4o-mini",
        "object": "chat.completion",
        "choices": [
            {
                "finish_reason": "stop",
                "index": 0,
                "message": {
                    "content": "Hello!",
                    "role": "assistant",
                    "annotations": [],
                    "refusal": None,
                },
                "provider_specific_fields": {},
                "logprobs": None,
            }
        ],
        "usage": {
            "completion_tokens": 2,
            "prompt_tokens": 10,
            "total_tokens": 12,
            "completion_tokens_details": {
                "accepted_prediction_tokens": 0,
                "audio_tokens": 0,
                "reasoning_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
        },
        "service_tier": "default",
    }


def test_headers_say_model_cost_and_spend(client):
    headers = client.ask("Say hello.").headers
    assert headers["x-litellm-version"] == "1.109.1"
    assert headers["x-litellm-model-name"] == "openai/gpt-4o-mini"
    assert headers["x-litellm-model-group"] == "gpt-4o-mini"
    # 10 tokens at 0.15 and 2 at 0.60 USD a million
    assert float(headers["x-litellm-response-cost"]) == pytest.approx(2.7e-06)
    assert float(headers["x-litellm-key-spend"]) == pytest.approx(2.7e-06)
    again = client.ask("Say hello.").headers
    assert float(again["x-litellm-key-spend"]) == pytest.approx(5.4e-06)


def test_model_without_a_price_seems_to_cost_nothing(client, older):
    headers = client.ask("Say hello.", model="Llama-3.3-70B-Instruct").headers
    assert headers["x-litellm-response-cost"] == "0.0"
    older_client = Client(older.url, older.new_key())
    headers = older_client.ask("Say hello.", model="Llama-3.3-70B-Instruct").headers
    assert "x-litellm-response-cost" not in headers
    assert headers["x-litellm-response-cost-original"] == "0.0"


def test_older_versions_put_a_refusal_elsewhere(older):
    (choice,) = Client(older.url, older.new_key()).ask("Say hello.").json()["choices"]
    assert choice["message"]["provider_specific_fields"] == {"refusal": None}
    assert "refusal" not in choice["message"]
    assert "logprobs" not in choice


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/engines/gpt-4/chat/completions",
        "/openai/deployments/gpt-4/chat/completions?api-version=2024-10-21",
    ],
)
def test_other_paths_to_the_same_answer(client, path):
    body = client.post(path, json={"model": "gpt-4", "messages": HELLO}).json()
    assert body["model"] == "gpt-4"


def test_model_may_stand_in_the_path_alone(client):
    response = client.post("/openai/deployments/gpt-4/chat/completions", json={"messages": HELLO})
    assert response.json()["model"] == "gpt-4"


@pytest.mark.parametrize("model", ["gpt-nope", "GPT-4", "", None])
def test_unknown_model_is_told(client, model):
    response = client.post("/chat/completions", json={"model": model, "messages": HELLO})
    message = (
        f"/chat/completions: Invalid model name passed in model={model}. "
        "Call `/v1/models` to view available models for your key."
    )
    assert response.status_code == 400
    assert response.json() == {
        "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": None,
            "code": "400",
            "provider_specific_fields": {"error": message},
        }
    }
    assert response.headers["x-litellm-response-cost"] == "0"


@pytest.mark.parametrize("body", [{"model": "gpt-nope"}, {"messages": None}, {}])
def test_missing_messages_are_told_before_an_unknown_model(client, body):
    response = client.post("/chat/completions", json=body)
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "/chat/completions: Missing required parameter: 'messages'.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "400",
    }


def test_form_data_has_no_messages(client):
    body = json.dumps({"model": "gpt-4", "messages": HELLO})
    response = client.post(
        "/chat/completions",
        data=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert response.json()["error"]["param"] == "messages"


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/json; charset=utf-8"])
def test_content_type_is_ignored_otherwise(client, content_type):
    body = json.dumps({"model": "gpt-4", "messages": HELLO})
    response = client.post("/chat/completions", data=body, headers={"Content-Type": content_type})
    assert response.status_code == 200


@pytest.mark.parametrize("messages", ["Hello", {"role": "user", "content": "Hello"}, ["Hello"]])
def test_messages_of_a_wrong_shape_are_told(client, messages):
    response = client.post("/chat/completions", json={"model": "gpt-4", "messages": messages})
    assert response.status_code == 400
    assert response.json()["error"]["message"] == (
        "Invalid request format: litellm.APIConnectionError: APIConnectionError: "
        "OpenAIException - 'str' object has no attribute 'get'\n\nLiteLLM: model group 'gpt-4' "
        "failed with the error above. No fallback was attempted."
    )


@pytest.mark.parametrize("body", ['"hello"', "[1]", "5", "null"])
def test_body_that_is_no_object_is_told(client, body):
    response = client.post("/chat/completions", data=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"] == "Invalid JSON payload: expected an object"


@pytest.mark.parametrize("body", ['"hello"', "[1]", "5", "null"])
def test_older_versions_stumble_over_a_body_that_is_no_object(older, body):
    response = Client(older.url, older.new_key()).post("/chat/completions", data=body)
    assert response.status_code == 500
    assert response.json() == {
        "error": {"message": "Internal server error", "type": "internal_server_error"}
    }


def test_model_that_is_no_text_is_told(client):
    response = client.post("/chat/completions", json={"model": 5, "messages": HELLO})
    assert response.json()["error"] == {
        "message": "'model' must be a string.",
        "type": "bad_request_error",
        "param": "model",
        "code": "400",
    }


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_answer_ends_at_its_longest(client, name):
    body = client.ask("What is the meaning of life?", **{name: 5}).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][0]["message"]["content"] == "This is the practice proxy"
    assert body["usage"]["completion_tokens"] == 5


def test_answer_ends_before_a_stop_text(client):
    body = client.ask("What is the meaning of life?", stop=[" proxy", "nothing"]).json()
    assert body["choices"][0]["message"]["content"] == "This is the practice"
    assert body["choices"][0]["finish_reason"] == "stop"


def test_several_answers(client):
    body = client.ask("What is life?", n=3).json()
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in body["choices"]}) == 1


def test_several_answers_differ_with_a_temperature(client):
    body = client.ask("What is life?", n=3, temperature=1).json()
    assert len({choice["message"]["content"] for choice in body["choices"]}) == 3


def test_same_question_gets_the_same_answer(client):
    assert client.answer("What is life?") == client.answer("What is life?", temperature=0)


def test_temperature_varies_answers_in_the_same_order_for_every_key(proxy, client):
    first = [client.answer("What is life?", temperature=0.7) for _ in range(3)]
    client.headers["Authorization"] = "Bearer " + proxy.new_key()
    assert [client.answer("What is life?", temperature=0.7) for _ in range(3)] == first
    assert len(set(first)) == 3


def test_same_seed_gets_the_same_answer(client):
    answers = [client.answer("What is life?", temperature=1, seed=7) for _ in range(3)]
    assert len(set(answers)) == 1


# --- streams ----------------------------------------------------------------------------------


def events(response):
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *lines, end, empty = response.text.split("\n\n")
    assert (end, empty) == ("data: [DONE]", "")
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_stream_holds_the_same_answer_in_pieces(client):
    chunks = events(client.ask("What is life?", stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"content": "", "role": "assistant"}
    assert "".join(d.get("content", "") for d in deltas) == client.answer("What is life?")
    assert chunks[-1]["choices"] == [{"finish_reason": "stop", "index": 0, "delta": {}}]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}


def test_stream_ends_with_usage_on_request(client, older):
    with_usage = {"stream": True, "stream_options": {"include_usage": True}}
    before = Client(older.url, older.new_key()).ask("Say hello.", **with_usage)
    assert events(before)[-1]["choices"] == [{"index": 0, "delta": {}}]  # OpenAI's own has none
    response = client.ask("Say hello.", **with_usage)
    last = events(response)[-1]
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 12
    assert last["usage"]["cost"] == pytest.approx(2.7e-06)


def test_streamed_tokens_cost_the_same(client):
    client.ask("Say hello.", stream=True).content  # noqa: B018
    headers = client.ask("Say hello.").headers
    assert float(headers["x-litellm-key-spend"]) == pytest.approx(5.4e-06)


def test_error_before_a_stream_is_plain_json(client):
    response = client.ask("Hello", model="nope", stream=True)
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]["code"] == "400"


def test_stream_must_be_true_itself(client):
    assert client.ask("Hello", stream="yes").headers["content-type"] == "application/json"


# --- what is for LiteLLM, not for a model ---------------------------------------------------------


@pytest.mark.parametrize("parameter", ["reasoning_effort", "verbosity", "thinking"])
def test_parameter_that_the_model_has_not_is_refused(client, parameter):
    response = client.ask("Hello", **{parameter: "low"})
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert f"openai does not support parameters: ['{parameter}'], for model=gpt-4o-mini" in message
    for let in ({"drop_params": True}, {"allowed_openai_params": [parameter]}):
        assert client.ask("Hello", **{parameter: "low"}, **let).status_code == 200


@pytest.mark.parametrize("parameter", ["api_base", "base_url", "user_config", "model_list"])
def test_nobody_sends_the_proxys_key_elsewhere(client, parameter):
    response = client.ask("Hello", **{parameter: "http://127.0.0.1:1"})
    assert response.status_code == 401
    assert f"{parameter} is not allowed in request body" in response.json()["error"]["message"]


def test_errors_name_the_model_since_1_109_1(client, older):
    names = {"x-litellm-model-id", "x-litellm-model-name"}
    assert names <= set(client.ask("Hello", n="two").headers)
    assert not names & set(client.ask("Hello", model="nope").headers)
    older_client = Client(older.url, older.new_key())
    assert not names & set(older_client.ask("Hello", n="two").headers)


FAILING = {"model": "Llama-3.3-70B-Instruct", "verbosity": "low"}


def test_fallback_answers_and_is_paid_for(client):
    response = client.ask("Say hello.", **FAILING, drop_params=False, fallbacks=["nope", "gpt-4"])
    assert response.status_code == 400  # gpt-4 has no verbosity either
    body = {"model": "gpt-4o-mini", "verbosity": None}
    response = client.ask("Say hello.", **FAILING, fallbacks=["nope", body])
    assert response.json()["model"] == "gpt-4o-mini"
    assert response.headers["x-litellm-attempted-fallbacks"] == "1"
    assert response.headers["x-litellm-model-group"] == "gpt-4o-mini"
    assert float(response.headers["x-litellm-response-cost"]) == pytest.approx(2.7e-06)
    assert client.get("/key/info").json()["info"]["spend"] == pytest.approx(2.7e-06)


def test_key_must_be_let_use_the_fallback(proxy):
    client = Client(proxy.url, proxy.new_key(models=["gpt-4o-mini"]))
    for other in ("gpt-4", {"model": "gpt-4"}, {"gpt-4o-mini": ["gpt-4"]}):
        response = client.ask("Hello", fallbacks=[other])
        assert response.status_code == 403
        assert "The requested model 'gpt-4' is" in response.json()["error"]["message"]


def test_compressed_request_is_read_since_1_109_1(client, older):
    body = gzip.compress(json.dumps({"model": "gpt-4o-mini", "messages": HELLO}).encode())
    packed = {"data": body, "headers": {"content-encoding": "gzip"}}
    assert client.post("/chat/completions", **packed).status_code == 200
    before = Client(older.url, older.new_key()).post("/chat/completions", **packed)
    assert before.json()["error"]["param"] == "messages"  # taken for an empty body
