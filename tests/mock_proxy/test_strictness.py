"""What a provider refuses, and models with canned answers or another server do not."""

import contract
import pytest
from proxy_client import Client

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
USER = {"role": "user", "content": "Hello"}
JSON_MODE = {"type": "json_object"}


@pytest.mark.parametrize(
    ("change", "message", "param"),
    [
        (
            {"messages": [{"role": "teacher", "content": "Hello"}]},
            "Invalid value: 'teacher'. Supported values are: 'system', 'assistant', 'user', "
            "'function', 'tool', and 'developer'.",
            "messages[0].role",
        ),
        (
            {"messages": [USER, {"role": "user"}]},
            "Missing required parameter: 'messages[1].content'.",
            "messages[1].content",
        ),
        (
            {"messages": [{"content": "Hello"}]},
            "Missing required parameter: 'messages[0].role'.",
            "messages[0].role",
        ),
        (
            {"messages": [{"role": "user", "content": None}]},
            "Invalid value for 'content': expected a string, got null.",
            "messages.[0].content",
        ),
        (
            {"messages": []},
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got "
            "an empty array instead.",
            "messages",
        ),
        (
            {"temperature": 3},
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 "
            "instead.",
            "temperature",
        ),
        (
            {"temperature": -0.5},
            "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got "
            "-0.5 instead.",
            "temperature",
        ),
        (
            {"temperature": "0"},
            "Invalid type for 'temperature': expected a decimal, but got a string instead.",
            "temperature",
        ),
        (
            {"max_tokens": 0},
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got 0 "
            "instead.",
            "max_tokens",
        ),
        (
            {"max_tokens": -1},
            "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got -1 "
            "instead.",
            "max_tokens",
        ),
        (
            {"max_tokens": 10.5},
            "Invalid type for 'max_tokens': expected an integer, but got a decimal instead.",
            "max_tokens",
        ),
        (
            {"max_tokens": 20_000},
            "max_tokens is too large: 20000. This model supports at most 16384 completion tokens, "
            "whereas you provided 20000.",
            "max_tokens",
        ),
        (
            {"n": 129},
            "Invalid 'n': integer above maximum value. Expected a value <= 128, but got 129 "
            "instead.",
            "n",
        ),
        ({"temprature": 0}, "Unrecognized request argument supplied: temprature", None),
        ({"foo": 1, "bar": 2}, "Unrecognized request arguments supplied: foo, bar", None),
        (
            {"response_format": JSON_MODE},
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'.",
            "messages",
        ),
        (
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {"name": "f", "strict": True, "parameters": SCHEMA},
                    }
                ]
            },
            "Invalid schema for function 'f': In context=(), 'additionalProperties' is required to "
            "be supplied and to be false.",
            "tools[0].function.parameters",
        ),
        (
            {"model": "text-embedding-ada-002"},
            "The chatCompletion operation does not work with the specified model, "
            "text-embedding-ada-002. Please choose different model and try again. You can learn "
            "more about which models can be used with each operation here: "
            "https://go.microsoft.com/fwlink/?linkid=2197993.",
            None,
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_chat_is_refused_as_a_provider_refuses_it(client, change, message, param, stream):
    body = {"model": "gpt-4o-mini", "messages": [USER], "stream": stream, **change}
    response = client.post("/chat/completions", json=body)
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": f"litellm.BadRequestError: OpenAIException - {message}\n\nLiteLLM: model group "
        f"'{body['model']}' failed with the error above. No fallback was attempted.",
        "type": "invalid_request_error",
        "param": param,
        "code": "400",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 2, "top_p": 1, "max_tokens": 16384, "n": 1, "seed": -5},
        {"temperature": None, "max_tokens": None, "n": None},
        {"metadata": {"course": "APIs"}, "tags": ["a"], "num_retries": 1, "timeout": 5},
        {"messages": [{"role": "developer", "content": "Be brief."}, USER]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]},
        {
            "messages": [
                USER,
                {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
                {"role": "tool", "content": "5", "tool_call_id": "1"},
            ]
        },
        {
            "messages": [{"role": "user", "content": "Hello, in Json"}],
            "response_format": JSON_MODE,
        },
    ],
)
def test_what_a_provider_takes_is_answered(client, change):
    body = {"model": "gpt-4o-mini", "messages": [USER], **change}
    response = client.post("/chat/completions", json=body)
    assert response.status_code == 200, response.text


def test_text_that_is_too_long_for_the_model_is_refused(client):
    text = "word " * 8192
    assert client.ask(text).status_code == 200
    response = client.ask(text, model="gpt-4")
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["message"].startswith(
        "litellm.ContextWindowExceededError: litellm.BadRequestError: "
        "ContextWindowExceededError: OpenAIException - This model's maximum context length is "
        "8192 tokens. However, your messages resulted in 8200 tokens. Please reduce the length of "
        "the messages.\nmodel=gpt-4. "
    )
    assert (error["type"], error["param"]) == ("invalid_request_error", None)


def test_text_that_is_too_long_to_embed_is_refused(client):
    body = {"model": "text-embedding-ada-002", "input": ["short", "word " * 8192]}
    response = client.post("/embeddings", json=body)
    assert response.status_code == 400
    assert "maximum context length is 8191 tokens" in response.json()["error"]["message"]


def test_chat_model_does_not_embed(client):
    response = client.post("/embeddings", json={"model": "gpt-4o-mini", "input": "Hello"})
    assert response.status_code == 400
    assert (
        "The embeddings operation does not work with the specified model, gpt-4o-mini."
        in (response.json()["error"]["message"])
    )


def test_other_forms_are_refused_too(client):
    message = {"model": "gpt-4o-mini", "max_tokens": 0, "messages": [USER]}
    response = client.post("/v1/messages", json=message)
    assert response.status_code == 400
    assert "Invalid 'max_tokens'" in response.json()["error"]["message"]
    body = {"model": "gpt-4o-mini", "input": "Hello", "temperature": 3}
    response = client.post("/v1/responses", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "temperature"
    body = {"model": "gpt-4o-mini", "input": "Hello", "max_output_tokens": 15}
    error = client.post("/v1/responses", json=body).json()["error"]
    assert error["param"] == "max_output_tokens"
    assert "Expected a value >= 16, but got 15 instead." in error["message"]


ODD = {"messages": [{"role": "teacher"}], "temperature": 5, "max_tokens": -1, "foo": 1}


@pytest.mark.parametrize("model", ["gpt-4o-mini", "upstream-ok"])
def test_canned_answers_and_other_servers_take_anything(recorded_proxy, model):
    """As LiteLLM was recorded: it checks none of this itself."""
    with Client(recorded_proxy.url, contract.MASTER_KEY) as client:
        response = client.post("/chat/completions", json={"model": model, **ODD})
    assert response.status_code == 200


@pytest.mark.parametrize("stream", [False, True])
def test_answers_say_that_rules_made_them(client, recorded_proxy, stream):
    embedded = client.post(
        "/embeddings", json={"model": "text-embedding-ada-002", "input": "Hello"}
    )
    for response in (client.ask("Hello", stream=stream), embedded):
        assert response.headers["x-practice-proxy-answer"] == "rules"
    assert "x-practice-proxy-answer" not in client.ask("Hello", temperature=3).headers
    with Client(recorded_proxy.url, contract.MASTER_KEY) as other:
        assert "x-practice-proxy-answer" not in other.ask("Hello", stream=stream).headers
