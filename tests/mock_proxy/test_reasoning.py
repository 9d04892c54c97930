"""The practice model that reasons: what it refuses, how long it reasons, what that costs."""

import json

import pytest
from proxy_client import Client

from mock_proxy.answers.rules import Cut
from mock_proxy.call import Choice, Reply
from mock_proxy.config import load
from mock_proxy.server.run import running

TITLE = "Is this title about health? Answer yes or no. Title: Nurses and heat"
PRICE = {"prompt": 2.5e-07, "completion": 2e-06}
"""USD a token of gpt-5-mini, in LiteLLM's price table."""


def asked(client, text=TITLE, **parameters):
    response = client.ask(text, model="practice-reasoning", **parameters)
    assert response.status_code == 200, response.text
    return response


def reasoning_tokens(response):
    return response.json()["usage"]["completion_tokens_details"]["reasoning_tokens"]


@pytest.mark.parametrize(
    ("effort", "tokens"), [("minimal", 0), ("low", 64), (None, 256), ("medium", 256), ("high", 768)]
)
def test_more_effort_is_more_tokens_and_the_same_answer(client, effort, tokens):
    response = asked(client, reasoning_effort=effort)
    assert reasoning_tokens(response) == tokens
    assert response.json()["choices"][0]["message"]["content"] == "yes"
    assert response.json()["usage"]["completion_tokens"] == tokens + 1


def test_longer_prompts_are_reasoned_about_longer(client):
    longer = asked(client, TITLE + " and hospitals" * 40, reasoning_effort="low")
    assert reasoning_tokens(longer) == 128
    assert longer.json()["usage"]["prompt_tokens"] in range(65, 129)


def test_reasoning_costs_as_much_as_text(client):
    response = asked(client)
    usage, headers = response.json()["usage"], response.headers
    prompt, completion = (usage[f"{part}_tokens"] * price for part, price in PRICE.items())
    assert float(headers["x-litellm-response-cost"]) == pytest.approx(prompt + completion)
    reasoning = float(headers["x-litellm-response-cost-reasoning"])
    assert reasoning == pytest.approx(256 * PRICE["completion"])


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("limit", [10, 256])
def test_limit_that_the_reasoning_uses_up_leaves_no_answer(client, name, limit):
    response = asked(client, **{name: limit})
    (choice,) = response.json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")
    assert response.json()["usage"]["completion_tokens"] == reasoning_tokens(response) == limit


def test_limit_counts_the_reasoning_and_the_text(client):
    response = asked(client, "Hello", max_completion_tokens=258)
    (choice,) = response.json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello!", "length")
    assert response.json()["usage"]["completion_tokens"] == 258


def test_each_of_several_answers_is_reasoned_about(client):
    assert reasoning_tokens(asked(client, n=3)) == 3 * 256


def test_answers_vary_because_the_temperature_is_1(client):
    said = [asked(client, "Tell me a joke").json()["choices"][0]["message"] for _ in range(2)]
    assert said[0] != said[1]


def test_tools_and_json_need_room_too(client):
    wanted = {"response_format": {"type": "json_object"}, "max_completion_tokens": 100}
    (choice,) = asked(client, "The year as JSON: 2019", **wanted).json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("", "length")


def test_stream_ends_without_text_where_the_limit_is_too_small(client):
    stream = asked(
        client, max_completion_tokens=10, stream=True, stream_options={"include_usage": True}
    )
    *chunks, done = [line[6:] for line in stream.text.split("\n\n") if line]
    assert done == "[DONE]"
    first, last, usage = map(json.loads, chunks)
    assert first["choices"][0]["delta"] == {"content": "", "role": "assistant"}
    assert last["choices"][0]["finish_reason"] == "length"
    assert usage["usage"]["completion_tokens_details"]["reasoning_tokens"] == 10


def test_stream_that_is_left_half_way_costs_its_reasoning():
    usage = {"completion_tokens_details": {"reasoning_tokens": 64}}
    stream = Cut(Reply((Choice("Hello there."),), 8, 67, said={"usage": usage}))
    assert stream.reply().completion_tokens == 64


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"temperature": 0}, "gpt-5-mini doesn't support temperature=0 while reasoning is active"),
        ({"top_p": 0.5}, "openai does not support parameters: ['top_p'], for model=gpt-5-mini"),
        ({"reasoning_effort": "none"}, "reasoning_effort=none is not supported for gpt-5-mini."),
        ({"reasoning_effort": "much"}, "Invalid value: 'much'. Supported values are: 'none', "),
        ({"verbosity": "much"}, "Invalid value: 'much'. Supported values are: 'low', 'medium'"),
    ],
)
def test_what_it_lacks_is_refused(client, parameters, message):
    response = client.ask(TITLE, model="practice-reasoning", **parameters)
    assert response.status_code == 400
    assert message in response.json()["error"]["message"]


def test_drop_params_drops_them(client):
    response = asked(client, temperature=0, top_p=0.5, reasoning_effort="none", drop_params=True)
    assert reasoning_tokens(response) == 256


def test_only_settings_are_dropped(client):
    dropped = ["messages", "model", "temperature"]
    assert asked(client, temperature=0, additional_drop_params=dropped).status_code == 200


def test_effort_that_a_model_lacks_is_refused_by_the_provider(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("model_list: [{model_name: o, litellm_params: {model: openai/o4-mini}}]")
    with running(load(file)) as proxy, Client(proxy.url, proxy.new_key()) as client:
        response = client.ask(TITLE, model="o", reasoning_effort="minimal")
    assert response.status_code == 400
    assert (
        "Unsupported value: 'minimal' is not supported with the 'o4-mini' model. Supported values "
        "are: 'low', 'medium', and 'high'." in response.json()["error"]["message"]
    )


def test_other_models_do_not_reason(client):
    assert reasoning_tokens(client.ask(TITLE)) == 0


def test_newer_form_shows_that_it_reasoned(client):
    body = {"model": "practice-reasoning", "input": TITLE, "reasoning": {"effort": "low"}}
    answer = client.post("/v1/responses", json=body).json()
    assert [item["type"] for item in answer["output"]] == ["reasoning", "message"]
    assert answer["usage"]["output_tokens_details"]["reasoning_tokens"] == 64
    cut = client.post("/v1/responses", json={**body, "max_output_tokens": 20}).json()
    assert [item["type"] for item in cut["output"]] == ["reasoning"]
    assert cut["incomplete_details"] == {"reason": "max_output_tokens"}
